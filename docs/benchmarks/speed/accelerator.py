"""Does a GPU pay, and bfloat16, and XLA?

`MultiTaskClassifier.best()` on 100,000 rows of 100 features and 20 binary tasks, half of whose
labels are missing: seconds of a steady epoch on each device that TensorFlow sees, in float32 and in
mixed precision, with XLA and without, and the mean ROC-AUC of other rows after two epochs. Then the
default network on two of the bundled tables, with the scores of rows that were set aside. Without
a GPU, the rows of a GPU are missing, and the output says so.

Usage: python docs/benchmarks/speed/accelerator.py [--repeats 1] [--tenth] [--fits-only]
"""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _networks import Work
from _timing import clock, milliseconds, parse_options, report, times
from pandas.api.types import is_numeric_dtype

WORK = Work(100_000, 100, (), 256, n_classes=(2,) * 20, labelled=(0.5,) * 20)
TEST_ROWS = 20_000
WARM_UP_ROWS = 2_000
EPOCHS = 15  # of the bundled tables, at most
DTYPES = ("float32", "mixed_bfloat16")
CPU, GPU = "CPU", "GPU"
HELPFUL = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # of the instructions of a processor


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(
        __doc__,
        argv,
        repeats=1,
        tenth="a tenth of the made-up rows, for a machine with few cores",
        fits_only="leave out the epochs of made-up rows",
    )
    import tensorflow as tf

    gpus = tf.config.list_logical_devices(GPU)
    parts: list[Any] = [describe_devices(gpus)]
    if not options.fits_only:
        parts.append(compare_epochs(options, [CPU, *[GPU] * bool(gpus)]))
    parts.append(compare_fits(options))
    report(__file__, options, parts)


def describe_devices(gpus: Sequence[Any]) -> str:
    """Say which GPU there is, if there is one, and what the processor can do."""
    import tensorflow as tf

    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    found = ", ".join(flag for flag in HELPFUL if flag in flags) or "none that are known here"
    text = f"Instructions of the processor among {', '.join(HELPFUL)}: {found}."
    if not gpus:
        return f"{text} TensorFlow sees no GPU, so that nothing of a GPU was measured."
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices(GPU)[0])
    return f"{text} GPU: {details.get('device_name', 'of unknown name')}."


# ------------------------------------------------------------------------------------------------
# Epochs of best()
# ------------------------------------------------------------------------------------------------


def compare_epochs(options: Any, devices: Sequence[str]) -> tuple[Sequence[str], list[Any]]:
    """Return a table of seconds an epoch and AUC, by device, precision and compilation."""
    work, n_test = WORK, TEST_ROWS
    if options.tenth:
        work = replace(WORK, n_rows=WORK.n_rows // 10)
    if options.quick:
        few = {"n_classes": (2,) * 2, "labelled": (0.5,) * 2}
        work, n_test = replace(WORK, n_rows=300, n_features=10, **few), 100
    X, Y = replace(work, n_rows=work.n_rows + n_test).make_table()
    contenders = [(d, dtype, jit) for d in devices for dtype in DTYPES for jit in (False, True)]
    for contender in contenders:  # what is built and compiled once
        fit_on(contender, X[:WARM_UP_ROWS], Y[:WARM_UP_ROWS], 1, options.quick)
        print("compiled:", *contender, file=sys.stderr, flush=True)
    seconds: dict[Any, list[float]] = {contender: [] for contender in contenders}
    auc = {}
    for _ in range(options.repeats):
        for contender in contenders:
            rows = slice(work.n_rows)
            one = clock(fit_on, contender, X[rows], Y[rows], 1, options.quick)
            start = time.perf_counter()
            clf = fit_on(contender, X[rows], Y[rows], 2, options.quick)
            seconds[contender].append(time.perf_counter() - start - one)
            auc[contender] = mean_auc(clf, X[work.n_rows :], Y[work.n_rows :])
            print("measured:", *contender, seconds[contender], file=sys.stderr, flush=True)
    measured = {who: np.array(values) for who, values in seconds.items()}
    usual = measured[CPU, "float32", True]
    rows_of_table = [
        (
            f"sk_mtl, {device}, {dtype}",
            "yes" if jit else "no",
            milliseconds(values),
            times(usual, values),
            f"{auc[device, dtype, jit]:.4f}",
        )
        for (device, dtype, jit), values in measured.items()
    ]
    header = ("`best()`", "XLA", "ms an epoch", "speed ÷ CPU, float32, XLA", "ROC-AUC")
    return header, rows_of_table


def fit_on(contender: tuple[str, str, bool], X: Any, Y: Any, epochs: int, quick: bool) -> Any:
    """Return an estimator fitted on a device for so many epochs."""
    import tensorflow as tf

    from sk_mtl import MultiTaskClassifier

    device, dtype, jit = contender
    settings: dict[str, Any] = {"hidden_layer_sizes": (4,), "ensemble_size": 2} if quick else {}
    clf = MultiTaskClassifier.best(
        epochs=epochs,
        batch_size=32 if quick else WORK.batch_size,
        # All rows for a fixed number of epochs, once.
        early_stopping=False,
        refit=False,
        dtype=dtype,
        jit_compile=jit,
        random_state=0,
        **settings,
    )
    with tf.device("/CPU:0") if device == CPU else nullcontext():
        return clf.fit(X, Y)


def mean_auc(clf: Any, X: Any, Y: Any) -> float:
    """Return the mean ROC-AUC over tasks."""
    from sk_mtl.metrics import get_multitask_scorer

    return float(get_multitask_scorer("roc_auc")(clf, X, Y))


# ------------------------------------------------------------------------------------------------
# Fits of bundled tables
# ------------------------------------------------------------------------------------------------


def compare_fits(options: Any) -> tuple[Sequence[str], list[Any]]:
    """Return a table of seconds of a fit, and scores, by table and precision."""
    from sk_mtl import MultiTaskClassifier
    from sk_mtl.datasets import load_census, load_tox21
    from sk_mtl.metrics import get_multitask_scorer
    from sk_mtl.model_selection import train_test_split

    tables = {"census": load_census, "tox21": load_tox21}
    rows_of_table = []
    for name, load in tables.items():
        X, Y = load(return_X_y=True)
        if name == "census":
            texts = X.columns[[not is_numeric_dtype(kind) for kind in X.dtypes]]
            X = X.astype(dict.fromkeys(texts, "category"))
        if options.quick:
            X, Y = X[:400], Y[:400]
        parts = train_test_split(X, Y, test_size=0.25, random_state=0)
        seconds: dict[str, list[float]] = {dtype: [] for dtype in DTYPES}
        scores: dict[str, list[Any]] = {dtype: [] for dtype in DTYPES}
        for seed in range(-1, 1 if options.quick else 3):
            for dtype in DTYPES:
                clf = MultiTaskClassifier(
                    epochs=1 if seed < 0 or options.quick else EPOCHS,
                    early_stopping=True,
                    jit_compile=True,
                    dtype=dtype,
                    random_state=max(seed, 0),
                )
                needed = clock(clf.fit, parts[0], parts[2])
                if seed >= 0:  # the first one compiles
                    loss = -get_multitask_scorer("neg_log_loss")(clf, parts[1], parts[3])
                    auc = mean_auc(clf, parts[1], parts[3])
                    seconds[dtype].append(needed / clf.n_iter_)
                    scores[dtype].append((auc, loss, clf.n_iter_))
                print("fitted:", name, dtype, needed, file=sys.stderr, flush=True)
        usual = np.array(seconds["float32"])
        for dtype in DTYPES:
            own = np.array(seconds[dtype])
            auc, loss, epochs = np.mean(scores[dtype], axis=0)
            spread = np.ptp([score[0] for score in scores[dtype]])
            rows_of_table.append(
                (
                    name,
                    f"sk_mtl, {dtype}",
                    milliseconds(own),
                    times(own, usual),
                    f"{epochs:.0f}",
                    f"{auc:.4f} ± {spread / 2:.4f}",
                    f"{loss:.4f}",
                )
            )
    header = ("table", "precision", "ms an epoch", "time ÷ float32's", "epochs", "ROC-AUC")
    return (*header, "log loss"), rows_of_table


if __name__ == "__main__":
    main()
