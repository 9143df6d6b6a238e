"""What does a worker process of a search cost, beside its parent?

scikit-learn's GridSearchCV with ``n_jobs=2``: 2 candidates × 2 folds and the refit, 300 rows of 10
features, three tasks, 3 epochs. Memory is resident memory, in MB; CPU seconds are those of the
whole process. "At the start" is the process that has imported scikit-learn and sk_mtl and unpickled
the estimator, "after a fit" the same process when it has fitted: TensorFlow is imported and a
network compiled by then.

Usage: python docs/benchmarks/speed/workers.py [--repeats 5] [--against FOLDER]
"""

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from _networks import Work, make_classifier
from _timing import in_fresh_process, parse_options, report, resident_memory, times

WORK = Work(300, 10, (8,), 64)
EPOCHS = 3


def measure(epochs: int) -> tuple[list[float], list[float], float]:
    """Return memory and CPU seconds of the parent and of a worker, and seconds of it all."""
    start = time.perf_counter()
    from joblib import Parallel, delayed
    from joblib.externals.loky import get_reusable_executor
    from sklearn.model_selection import GridSearchCV

    # Within this function, so that it is pickled by value.
    def look_at_worker(estimator: Any, X: Any, Y: Any, is_fitting: bool) -> tuple[float, float]:
        if is_fitting:
            estimator.fit(X, Y)
        time.sleep(0.2)  # so that the other worker takes the other task
        return resident_memory() / 1e6, time.process_time()

    def look_at_workers(*, are_fitting: bool) -> list[float]:
        task = delayed(look_at_worker)(estimator, X, Y, are_fitting)
        return list(np.mean(Parallel(n_jobs=2)([task, task]), axis=0))

    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # for the workers
    X, Y = WORK.make_table()
    estimator = make_classifier(WORK, epochs)
    parent = [resident_memory() / 1e6, time.process_time()]
    worker = look_at_workers(are_fitting=False)
    search = GridSearchCV(estimator, {"hidden_layer_sizes": [(8,), (16,)]}, cv=2, n_jobs=2)
    search.fit(X, Y)
    seconds = time.perf_counter() - start
    worker += look_at_workers(are_fitting=True)
    parent += [resident_memory() / 1e6, time.process_time()]
    get_reusable_executor().shutdown()  # or the workers would wait for more for five minutes
    return parent, worker, seconds


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=5, has_versions=True)
    epochs = 1 if options.quick else EPOCHS
    found: dict[str, list[Any]] = {who: [] for who in options.versions}
    for _ in range(options.repeats):
        for who, folder in options.versions.items():
            where = {"folder": folder, "quick": options.quick}
            found[who].append(in_fresh_process(measure, epochs, **where))
    rows, searches = [], {}
    for who, repeats in found.items():
        searches[who] = np.array([seconds for _, _, seconds in repeats])
        for process, position in (("parent", 0), ("worker", 1)):
            medians = np.median([repeat[position] for repeat in repeats], axis=0)
            memory, cpu, memory_after, cpu_after = medians
            rows.append(
                (
                    process,
                    who,
                    f"{memory:.0f}",
                    f"{cpu:.2f}",
                    f"{memory_after:.0f}",
                    f"{cpu_after:.2f}",
                )
            )
    rows.sort(key=lambda row: row[0])
    header = (
        "process",
        "version",
        "MB at the start",
        "CPU s at the start",
        "MB after a fit",
        "CPU s after a fit",
    )
    ours = searches["sk_mtl"]
    searched = [
        (who, f"{np.median(seconds):.1f}", times(seconds, ours))
        for who, seconds in searches.items()
    ]
    report(
        __file__,
        options,
        [(header, rows), (("imports and search", "s", "time ÷ sk_mtl's"), searched)],
    )


if __name__ == "__main__":
    main()
