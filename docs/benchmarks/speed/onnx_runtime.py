"""What does a prediction cost in ONNX Runtime, for one row and for a thousand?

The default network, fitted for one epoch to 2,000 rows: of the census table, with 38 columns of
numbers and text; of 2,048 bits with 12 tasks; of 50 numbers with three tasks. The median of many
calls after the first, by ONNX Runtime with its default of a thread per core and with one, and by
`predict_proba`, which gets a DataFrame of the census and arrays otherwise. The inputs of ONNX
Runtime are prepared before.

Usage: python docs/benchmarks/speed/onnx_runtime.py [--repeats 5]
"""

import importlib.metadata
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from _timing import clock, measure_in_turn, milliseconds, parse_options, report, times

N_TRAINING = 2_000
CALLS = {1: 300, 1_000: 30}
OURS = "sk_mtl, `predict_proba`"


def make_census(n_rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the census with its text as categories."""
    from sk_mtl.datasets import load_census

    X, Y = load_census(return_X_y=True)
    text = X.select_dtypes(exclude="number").columns
    return X[:n_rows].astype(dict.fromkeys(text, "category")), Y[:n_rows]


def make_bits(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bits such as fingerprints of molecules, and 12 tasks."""
    rng = np.random.default_rng(0)
    X = (rng.random((n_rows, 2_048)) < 0.05).astype(np.float32)
    return X, rng.integers(0, 2, (n_rows, 12))


def make_numbers(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers, and three tasks."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 50), dtype=np.float32)
    return X, rng.integers(0, 2, (n_rows, 3))


WORKS: dict[str, Callable[[int], tuple[Any, Any]]] = {
    "census, 38 mixed columns, 3 tasks": make_census,
    "2,048 bits, 12 tasks": make_bits,
    "50 numbers, 3 tasks": make_numbers,
}


def make_feed(session: Any, X: Any) -> dict[str, np.ndarray]:
    """Return the inputs of a session: columns, with "" for missing text, or one matrix."""
    if isinstance(X, np.ndarray):
        return {"X": X}
    feed = {}
    for given in session.get_inputs():
        column = X[given.name]
        if given.type == "tensor(string)":
            values = column.astype(object).where(column.notna(), "").to_numpy(object)
        else:
            values = column.to_numpy(np.float32)
        feed[given.name] = values[:, None]
    return feed


def make_predictors(make_table: Callable[[int], tuple[Any, Any]]) -> tuple[dict[str, Any], Any]:
    """Return, by contender, what prepares a call with some rows; and the rows."""
    import onnxruntime

    from sk_mtl import MultiTaskClassifier, to_onnx

    X, Y = make_table(N_TRAINING)
    clf = MultiTaskClassifier(epochs=1, early_stopping=False, random_state=0).fit(X, Y)
    model = to_onnx(clf).SerializeToString()

    def prepare(n_threads: int) -> Callable[[Any], Callable[[], Any]]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads  # 0: a thread per core
        session = onnxruntime.InferenceSession(model, options)
        return lambda rows: partial(session.run, None, make_feed(session, rows))

    predictors = {
        "ONNX Runtime": prepare(0),
        "ONNX Runtime, 1 thread": prepare(1),
        OURS: lambda rows: partial(clf.predict_proba, rows),
    }
    return predictors, X


def median_call(call: Callable[[], Any], n_calls: int) -> float:
    """Median of the seconds of calls."""
    return float(np.median([clock(call) for _ in range(n_calls)]))


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=5)
    works = {"50 numbers, 3 tasks": make_numbers} if options.quick else WORKS
    rows = []
    for work, make_table in works.items():
        predictors, X = make_predictors(make_table)
        cells: dict[str, list[str]] = {who: [] for who in predictors}
        for n_rows, n_calls in CALLS.items():
            contenders = {}
            for who, prepare in predictors.items():
                call = prepare(X[:n_rows])
                call()
                contenders[who] = partial(median_call, call, 3 if options.quick else n_calls)
            seconds = measure_in_turn(contenders, options)
            for who, values in seconds.items():
                cells[who] += [milliseconds(values), times(values, seconds[OURS])]
        rows += [(work, who, *of_contender) for who, of_contender in cells.items()]
    header = ["work", "contender"]
    for n_rows in CALLS:
        header += [f"{n_rows:,} row{'s' * (n_rows > 1)}, ms", "time ÷ sk_mtl's"]
    versions = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("onnx", "onnxruntime"))
    report(__file__, options, [f"{versions}.", (header, rows)])


if __name__ == "__main__":
    main()
