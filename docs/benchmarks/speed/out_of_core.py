"""What does a table cost that is larger than memory, and what does shuffling by blocks?

A Parquet table of 12,000,000 × 250 numbers and three tasks: 12 GB as float32, and eight times the
memory that a process may use, 1.5 GB, which a cgroup of Linux limits, with the pages of files that
it reads. It is fitted by `fit_table`, trunk 64, and scored by `predict_table`. Beside it, `fit` in
memory on the part that fits there. Where no cgroup can be made, nothing is limited, and the peak of
resident memory is shown alone.

Then 1,000,000 rows sorted by a label: windows of a tenth of them against a full shuffle.

Usage: python docs/benchmarks/speed/out_of_core.py [--repeats 1]
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _networks import Work, import_sk_mtl
from _timing import in_fresh_process, parse_options, report

WHOLE = Work(12_000_000, 250, (64,), 1024)
SORTED = Work(1_000_000, 20, (64,), 256)
LIMIT = 1_500_000_000
EPOCHS = 2  # the last of which is measured
PART = 24  # the share of the rows that fits into memory with all that fit makes of it
ROWS_OF_A_FILE, ROWS_OF_A_GROUP = 500_000, 50_000
CGROUPS = Path("/sys/fs/cgroup/memory")


def make_files(work: Work, folder: Path) -> None:
    """Write the table, file by file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_rows = min(ROWS_OF_A_FILE, work.n_rows)
    part = replace(work, n_rows=n_rows)
    X, Y = part.make_table()
    for number in range(work.n_rows // n_rows):
        rows = np.roll(np.arange(n_rows), 7919 * number)  # other neighbours, and as random as these
        columns = {f"x{j}": X[rows, j] for j in range(work.n_features)}
        columns |= {name: Y[name].to_numpy(np.float32)[rows] for name in Y}
        columns["x0"] = columns["x0"] + np.float32(1e-3 * number)
        path = folder / f"part-{number:03}.parquet"
        options = {"compression": "none", "use_dictionary": False}
        pq.write_table(pa.table(columns), path, row_group_size=ROWS_OF_A_GROUP, **options)


def enter_cgroup(limit: int) -> Path | None:
    """Limit the memory of this process; return its cgroup, or None if none can be made."""
    group = CGROUPS / f"sk_mtl-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit))
        (group / "tasks").write_text(str(os.getpid()))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        return None
    return group


def leave_cgroup(group: Path | None) -> int:
    """Return the peak of a cgroup, of which this process is no longer part; 0 without one."""
    if group is None:
        return 0
    peak = int((group / "memory.max_usage_in_bytes").read_text())
    (CGROUPS / "cgroup.procs").write_text(str(os.getpid()))
    group.rmdir()
    return peak


@contextmanager
def noting_epochs() -> Iterator[list[float]]:
    """Let a list get the times at which epochs begin and end, in a `with` block."""
    from sk_mtl._train.loop import TrainingRun

    times: list[float] = []
    begin, end = TrainingRun.begin_epoch, TrainingRun.end_epoch

    def begin_epoch(self: Any) -> None:
        times.append(time.perf_counter())
        begin(self)

    def end_epoch(self: Any, *arguments: Any) -> Any:
        times.append(time.perf_counter())
        return end(self, *arguments)

    TrainingRun.begin_epoch, TrainingRun.end_epoch = begin_epoch, end_epoch  # type: ignore[method-assign]
    yield times
    TrainingRun.begin_epoch, TrainingRun.end_epoch = begin, end  # type: ignore[method-assign]


def make_network(work: Work, epochs: int) -> Any:
    """Return the estimator; both train the same network for the same epochs."""
    from sk_mtl import MultiTaskClassifier

    return MultiTaskClassifier(
        work.hidden,
        numeric_embedding=None,
        batch_size=work.batch_size,
        epochs=epochs,
        early_stopping=False,
        jit_compile=True,
        random_state=0,
    )


def measure_out_of_core(work: Work, epochs: int, folder: Path, limit: int) -> dict[str, float]:
    """Return seconds and peaks of fitting to the table, and of scoring it."""
    group = enter_cgroup(limit) if limit else None
    import_sk_mtl()
    from sk_mtl import fit_table, predict_table

    classifier = make_network(work, epochs)
    tasks = [f"task{t}" for t in range(len(work.n_classes))]
    start = time.perf_counter()
    with noting_epochs() as times:
        fit_table(classifier, folder, tasks, folder=folder.parent, batch_size=16_384)
    fitted = time.perf_counter()
    n_rows = predict_table(classifier, folder, folder.parent / "out.parquet", batch_size=16_384)
    scored = time.perf_counter()
    assert n_rows == work.n_rows
    peak = _peak_resident()
    return {
        "read": times[0] - start,
        "epoch": times[-1] - times[-2],  # the last one: in the first, the steps are compiled
        "fit": fitted - start,
        "score": scored - fitted,
        "resident": peak,
        "cgroup": leave_cgroup(group),
    }


def measure_in_memory(work: Work, epochs: int, folder: Path, n_rows: int) -> dict[str, float]:
    """Return the seconds of `fit` on the first rows, and of reading them."""
    import_sk_mtl()
    import pandas as pd

    classifier = make_network(work, epochs)
    start = time.perf_counter()
    table = pd.read_parquet(sorted(folder.iterdir())[0])[:n_rows]
    tasks = [f"task{t}" for t in range(len(work.n_classes))]
    with noting_epochs() as times:
        classifier.fit(table.drop(columns=tasks), table[tasks])
    fitted = time.perf_counter()
    return {
        "read": times[0] - start,
        "epoch": times[-1] - times[-2],  # the last one: in the first, the steps are compiled
        "fit": fitted - start,
    }


def _peak_resident() -> float:
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def tabulate_limits(work: Work, options: Any, place: Path) -> tuple[Sequence[str], list]:
    """Measure the whole table, and a part of it in memory before and after."""
    folder = place / "table"
    folder.mkdir()
    make_files(work, folder)
    n_part = max(work.n_rows // PART, 1)
    limit = 0 if options.quick else LIMIT
    epochs = 1 if options.quick else EPOCHS
    here = {"quick": options.quick}
    in_memory, out_of_core = [], []
    for _ in range(options.repeats):
        for _ in range(2):
            found = in_fresh_process(measure_in_memory, work, epochs, folder, n_part, **here)
            in_memory.append(found)
        out_of_core.append(
            in_fresh_process(measure_out_of_core, work, epochs, folder, limit, **here)
        )
        found = in_fresh_process(measure_in_memory, work, epochs, folder, n_part, **here)
        in_memory.append(found)

    def median(measured: list[dict[str, float]], name: str) -> float:
        return float(np.median([one[name] for one in measured]))

    rates = [n_part / median(in_memory, "epoch"), work.n_rows / median(out_of_core, "epoch")]
    whole = [n_part / median(in_memory, "fit"), work.n_rows / median(out_of_core, "fit")]
    gigabytes = work.n_rows * work.n_features * 4 / 1e9
    limits = f"{median(out_of_core, 'cgroup') / 1e9:.2f}" if limit else "no limit"
    rows = [
        (
            f"sk_mtl `fit`, {n_part:,} rows",
            f"{rates[0]:,.0f}",
            "",
            f"{whole[0]:,.0f}",
            "",
            "",
            "",
        ),
        (
            f"sk_mtl `fit_table`, {work.n_rows:,} rows ({gigabytes:.1f} GB)",
            f"{rates[1]:,.0f}",
            f"{rates[1] / rates[0]:.2f} (≥ .7)",
            f"{whole[1]:,.0f}",
            f"{whole[1] / whole[0]:.2f}",
            f"{median(out_of_core, 'resident') / 1e9:.2f}",
            limits,
        ),
        (
            f"sk_mtl `predict_table`, {work.n_rows:,} rows",
            "",
            "",
            f"{work.n_rows / median(out_of_core, 'score'):,.0f}",
            "",
            "",
            "",
        ),
    ]
    header = (
        f"{work.n_features} numbers, {epochs} epochs",
        "rows/s, an epoch",
        "÷ in memory",
        "rows/s, with reading",
        "÷ in memory",
        "peak resident GB",
        f"peak of the cgroup, of {limit / 1e9:.1f} GB",
    )
    return header, rows


def measure_sorted(work: Work, epochs: int, share: float, place: Path) -> tuple[float, ...]:
    """Return the training loss, and the log loss and AUC on other rows; rows sorted by a label."""
    import_sk_mtl()
    import pandas as pd
    from sklearn.metrics import log_loss, roc_auc_score

    from sk_mtl import fit_table

    X, Y = work.make_table()
    table = Y.join(pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]))
    is_test = np.arange(len(table)) % 5 == 0
    test = table[is_test]
    path = place / "sorted.parquet"
    table[~is_test].sort_values("task0", kind="stable").to_parquet(path)
    classifier = make_network(work, epochs)
    n_rows = int(share * (~is_test).sum()) + 1
    fit_table(classifier, path, list(Y), shuffle_rows=n_rows)
    predicted = classifier.predict_proba(test[[f"x{j}" for j in range(X.shape[1])]])["task0"][:, 1]
    loss = classifier.history_["loss"][-1]
    return loss, log_loss(test["task0"], predicted), roc_auc_score(test["task0"], predicted)


def tabulate_sorted(work: Work, options: Any, place: Path) -> tuple[Sequence[str], list]:
    """Measure what shuffling by blocks costs on a sorted table."""
    epochs, rows = (1 if options.quick else 5), []
    for name, share in (("a full shuffle", 1), ("windows of 1/10", 0.1), ("windows of 1/50", 0.02)):
        loss, test_loss, auc = in_fresh_process(
            measure_sorted, work, epochs, share, place, quick=options.quick
        )
        rows.append((f"sk_mtl, {name}", f"{loss:.5f}", f"{test_loss:.5f}", f"{auc:.5f}"))
    header = (
        f"{work.n_rows:,} rows sorted by a label, {epochs} epochs",
        "training loss",
        "log loss of other rows",
        "AUC of other rows",
    )
    return header, rows


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=1)
    whole, in_order = WHOLE, SORTED
    if options.quick:
        whole = replace(whole, n_rows=2_400, n_features=20)
        in_order = replace(in_order, n_rows=2_000)
    with tempfile.TemporaryDirectory() as place:
        tables = [
            tabulate_limits(whole, options, Path(place)),
            tabulate_sorted(in_order, options, Path(place)),
        ]
    report(__file__, options, tables)


if __name__ == "__main__":
    main()
