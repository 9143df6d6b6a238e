"""What does predict_proba cost, for one row and for a million?

The network of epoch.py (50 features, trunk 128-64, heads of 32 for 2, 2 and 5 classes), fitted
before. One row: the median of many calls after the first. A million rows: the time beside numpy's
float32 products of the same shapes, and the peak of resident memory beyond X and the result, in a
fresh process. First call: the estimator or model read from disk in a fresh process, imports apart.

Usage: python docs/benchmarks/speed/prediction.py [--repeats 5]
"""

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from _networks import (
    MatrixProducts,
    Work,
    labelled_parts,
    make_classifier,
    make_keras_model,
    make_mlp,
    make_torch_network,
)
from _timing import (
    clock,
    has_torch,
    in_fresh_process,
    measure_in_turn,
    milliseconds,
    parse_options,
    peak_memory,
    report,
    times,
)

WORK = Work(2_000, 50, (128, 64), 256, head=(32,))
MANY_ROWS = 1_000_000
CALLS = 100
BATCH_ROWS = 8_192
NUMPY = "numpy's matrix products alone"


Predict = Callable[[np.ndarray], Any]


def sk_mtl_predictor(work: Work) -> Predict:
    """Return predict_proba of a fitted estimator."""
    return make_classifier(work, epochs=1).fit(*work.make_table()).predict_proba


def keras_predictor(work: Work) -> Predict:
    """Return predict of a Keras model."""
    return partial(make_keras_model(work).predict, batch_size=BATCH_ROWS, verbose=0)


def keras_caller(work: Work) -> Predict:
    """Return a function that calls a Keras model itself."""
    model = make_keras_model(work)
    return lambda x: [np.asarray(z) for z in model(x).values()]


def mlp_predictor(work: Work) -> Predict:
    """Return a function that calls three MLPClassifiers."""
    parts = labelled_parts(*work.make_table())
    mlps = [make_mlp(work, len(y), 1).fit(x, y) for x, y in parts]
    return lambda x: [mlp.predict_proba(x) for mlp in mlps]


def torch_caller(work: Work) -> Predict:
    """Return a function that calls a PyTorch module."""
    import torch

    network = make_torch_network(work).eval()

    def infer(x: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [z.numpy() for z in network(torch.from_numpy(x))]

    return infer


PREDICTORS = {
    "sk_mtl": sk_mtl_predictor,
    "`keras.Model.predict`": keras_predictor,
    "MLPClassifier, three of them": mlp_predictor,
    "Keras, the model called": keras_caller,
    "PyTorch, the module called": torch_caller,
}
BULK = list(PREDICTORS)[:3]


def median_call(predict: Predict, x: np.ndarray, n_calls: int) -> float:
    """Median of the seconds of calls."""
    return float(np.median([clock(predict, x) for _ in range(n_calls)]))


def tabulate_one_row(
    predictors: dict[str, Predict], work: Work, options: Any
) -> tuple[Sequence[str], list]:
    """Time calls with one row."""
    x = work.make_features()[:1]
    n_calls = 3 if options.quick else CALLS
    for predict in predictors.values():
        predict(x)
    seconds = measure_in_turn(
        {who: partial(median_call, predict, x, n_calls) for who, predict in predictors.items()},
        options,
    )
    rows = []
    for who, values in seconds.items():
        ratio = times(values, seconds["sk_mtl"])
        asked = {"sk_mtl": "≤ 1 ms", "`keras.Model.predict`": "≥ 20 ×"}.get(who, "")
        rows.append((who, milliseconds(values), ratio, asked))
    return ("one row", "ms, median of the calls", "time ÷ sk_mtl's", "asked"), rows


def tabulate_many_rows(
    predictors: dict[str, Predict], work: Work, options: Any
) -> tuple[Sequence[str], list]:
    """Time calls with all rows, and measure their memory."""
    X = work.make_features()
    products = MatrixProducts(work, BATCH_ROWS, training=False)
    contenders = {who: partial(clock, predictors[who], X) for who in BULK}
    seconds = measure_in_turn(contenders | {NUMPY: products.seconds}, options)
    rows = []
    for who, values in seconds.items():
        row = [who, milliseconds(values), f"{products.rate(np.median(values)):.0f}", "", "", "", ""]
        if who != NUMPY:
            row[3] = times(seconds[NUMPY], values)
        if who == "sk_mtl" or (who in BULK and not options.quick):
            peak = in_fresh_process(measure_peak, who, work, quick=options.quick)
            row[5] = f"{peak / 1e6:,.0f}"
        if who == "sk_mtl":
            row[4], row[6] = "≥ 0.5", "≤ 200"
        rows.append(row)
    title = f"{work.n_rows:,} × {work.n_features}"
    rate = "rate ÷ numpy's"
    return (title, "ms", "GFLOP/s", rate, "asked", "peak MB beyond X and result", "asked"), rows


def measure_peak(who: str, work: Work) -> int:
    """Bytes at the peak of a prediction beyond X and the result, after a first call of one row."""
    predict = PREDICTORS[who](WORK)
    X = work.make_features()
    predict(X[:1])
    peak, result = peak_memory(lambda: predict(X))
    arrays = result.values() if isinstance(result, dict) else result
    return peak - sum(array.nbytes for array in arrays)


def save_models(folder: Path, work: Work) -> None:
    """Save a fitted estimator, and a Keras model of the same network."""
    classifier = make_classifier(work, epochs=1).fit(*work.make_table())
    (folder / "sk_mtl.pickle").write_bytes(pickle.dumps(classifier))
    make_keras_model(work).save(folder / "model.keras")


def time_first_call(who: str, folder: Path, work: Work) -> tuple[float, float]:
    """Seconds that reading takes, and the first call with one row after it."""
    import keras

    from sk_mtl import MultiTaskClassifier  # noqa: F401 - imports are apart

    x = work.make_features()[:1]
    start = time.perf_counter()
    if who == "sk_mtl":
        predict = pickle.loads((folder / "sk_mtl.pickle").read_bytes()).predict_proba
    else:
        model = keras.models.load_model(folder / "model.keras", compile=False)
        predict = partial(model.predict, verbose=0)
    reading = time.perf_counter() - start
    return reading, clock(predict, x)


def tabulate_first_call(work: Work, options: Any) -> tuple[Sequence[str], list]:
    """Time the first call after reading."""
    names = ("sk_mtl", "`keras.Model.predict`")
    seconds: dict[str, list[tuple[float, float]]] = {who: [] for who in names}
    with TemporaryDirectory() as folder:
        save_models(Path(folder), work)
        for _ in range(options.repeats):
            for who, values in seconds.items():
                arguments = (who, Path(folder), work)
                values.append(in_fresh_process(time_first_call, *arguments, quick=options.quick))
    rows = []
    ours = np.array(seconds["sk_mtl"])
    for who, values in seconds.items():
        reading, first = np.array(values).T
        ratio = times(reading + first, ours.sum(axis=1))
        rows.append((who, milliseconds(reading), milliseconds(first), ratio))
    return ("fresh process", "ms to read", "ms, first call", "both ÷ sk_mtl's"), rows


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=5)
    work, many = WORK, replace(WORK, n_rows=MANY_ROWS)
    if options.quick:
        work, many = replace(work, n_rows=150), replace(work, n_rows=9_000)
    predictors = {
        who: make(work)
        for who, make in PREDICTORS.items()
        if has_torch() or not who.startswith("PyTorch")
    }
    tables = [
        tabulate_one_row(predictors, work, options),
        tabulate_many_rows(predictors, many, options),
        tabulate_first_call(work, options),
    ]
    report(__file__, options, tables)


if __name__ == "__main__":
    main()
