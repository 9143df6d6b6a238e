"""How much memory does fitting take beyond the table?

Dense: 1,000,000 × 100 float32, three tasks, trunk 128-64, batch 256. Sparse: a CSR matrix of
100,000 × 20,000 with 40 cells a row, trunk 128-64. Each in a fresh process with its libraries
imported and the table made; the peak of resident memory from there on, so that building, tracing
and what the libraries allot once count.

Usage: python docs/benchmarks/speed/memory.py [--repeats 1] [--against FOLDER]
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _networks import Work, import_sk_mtl, keras_fit, make_classifier, mlp_fit
from _timing import clock, in_fresh_process, parse_options, peak_memory, report, times

DENSE = Work(1_000_000, 100, (128, 64), 256)
SPARSE = Work(100_000, 20_000, (128, 64), 256)
CELLS_A_ROW = 40
EPOCHS = 2


def measure_dense(who: str, work: Work, epochs: int) -> tuple[float, float]:
    """Return peak memory beyond X and Y ÷ the size of X, and the seconds that the fit took."""
    X, Y = work.make_table()
    if who.startswith("sk_mtl"):
        import_sk_mtl()
        settings = {"early_stopping": "auto"} if "held out" in who else {}
        classifier = make_classifier(work, epochs, **settings)
        peak, seconds = peak_memory(lambda: clock(classifier.fit, X, Y))
    else:
        fit = keras_fit(work, X, Y) if who.startswith("Keras") else mlp_fit(work, X, Y)
        peak, seconds = peak_memory(lambda: clock(fit, epochs))
    return peak / X.nbytes, float(seconds)  # type: ignore[arg-type]


def make_sparse_features(work: Work) -> Any:
    """Return a CSR matrix of float32."""
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    n_cells = work.n_rows * CELLS_A_ROW
    columns = rng.integers(0, work.n_features, n_cells, dtype=np.int32)
    starts = np.arange(0, n_cells + 1, CELLS_A_ROW, dtype=np.int32)
    shape = (work.n_rows, work.n_features)
    X = sp.csr_matrix((np.ones(n_cells, np.float32), columns, starts), shape)
    X.sum_duplicates()
    return X


def measure_sparse(held_out: bool, work: Work, epochs: int) -> tuple[float, float]:
    """Return peak memory beyond the table in bytes, of fitting and of predicting."""
    import_sk_mtl()
    X = make_sparse_features(work)
    Y = replace(work, n_features=10).make_table()[1]
    settings = {"early_stopping": "auto"} if held_out else {}
    classifier = make_classifier(work, epochs, **settings)
    fitting, _ = peak_memory(lambda: classifier.fit(X, Y))
    predicting, _ = peak_memory(lambda: classifier.predict_proba(X))
    return fitting, predicting


def tabulate_dense(
    work: Work, epochs: int, contenders: list[str], ours: dict[str, Path | None], options: Any
) -> tuple[Sequence[str], list]:
    """Measure fits of a dense table."""
    measured: dict[str, list[tuple[float, float]]] = {who: [] for who in contenders}
    for _ in range(options.repeats):
        for who, values in measured.items():
            where = {"folder": ours.get(who), "quick": options.quick}
            values.append(in_fresh_process(measure_dense, who, work, epochs, **where))
    of_sk_mtl = np.array(measured["sk_mtl"]).T[1]
    rows = []
    for who, values in measured.items():
        shares, seconds = np.array(values).T
        is_new = who.partition(",")[0] == "sk_mtl"
        asked = "≤ 1.3" if is_new else "", "≥ 1" if who in ours and not is_new else ""
        share, ratio = f"{np.median(shares):.2f}", times(seconds, of_sk_mtl)
        rows.append((who, share, asked[0], f"{np.median(seconds):.1f}", ratio, asked[1]))
    header = (
        f"dense, {work.n_rows:,} × {work.n_features}",
        "peak beyond X and Y ÷ size of X",
        "asked",
        f"s, {epochs} epochs",
        "time ÷ sk_mtl's",
        "asked",
    )
    return header, rows


def tabulate_sparse(
    work: Work, epochs: int, ours: dict[str, Path | None], options: Any
) -> tuple[Sequence[str], list]:
    """Measure fits and predictions of a sparse table."""
    whole = work.n_rows * work.n_features * 4
    rows = []
    for who, folder in ours.items():
        where = {"folder": folder, "quick": options.quick}
        measured = [
            in_fresh_process(measure_sparse, "held out" in who, work, epochs, **where)
            for _ in range(options.repeats)
        ]
        for stage, peak in zip(("fit", "predict_proba"), np.median(measured, axis=0), strict=True):
            asked = "< 1, never whole" if who.partition(",")[0] == "sk_mtl" else ""
            rows.append((who, stage, f"{peak / 1e6:,.0f}", f"{peak / whole:.2f}", asked))
    header = (
        f"sparse, {work.n_rows:,} × {work.n_features:,}",
        "call",
        "peak MB beyond X and Y",
        f"÷ dense X ({whole / 1e9:.1f} GB)",
        "asked",
    )
    return header, rows


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=1, has_versions=True)
    dense, sparse, epochs, ours = DENSE, SPARSE, EPOCHS, {}
    for version, folder in options.versions.items():
        ours |= {version: folder, f"{version}, a tenth held out": folder}
    contenders = [*ours, "Keras `fit`", "MLPClassifier, three of them"]
    if options.quick:
        dense = replace(dense, n_rows=1_200)
        sparse = replace(sparse, n_rows=1_200, n_features=500)
        epochs, contenders = 1, list(options.versions)
    tables = [
        tabulate_dense(dense, epochs, contenders, ours, options),
        tabulate_sparse(sparse, epochs, ours, options),
    ]
    report(__file__, options, tables)


if __name__ == "__main__":
    main()
