"""What do two workers of Dask or Ray gain for a search, and does a cluster on one machine pay?

24 candidates × 3 folds, without a refit: 4 learning rates × 3 rates of dropout × 2 of l2. 10,000
rows of 50 features, three tasks, trunk 128-64, batch 128, 20 epochs. Each search runs in a fresh
process with a cluster of its own. Each worker has one thread: TF_NUM_INTRAOP_THREADS=1 and
TF_NUM_INTEROP_THREADS=1 for TensorFlow; for BLAS, both engines set OMP_NUM_THREADS=1 themselves.
Without a cluster the search has all cores. Every cluster has done a small search before, which
imports TensorFlow and compiles; Dask's workers keep this, and Ray's are started anew for a search.

Usage: python docs/benchmarks/speed/search_on_clusters.py [--repeats 2]
"""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from _networks import Work, import_sk_mtl, make_classifier
from _timing import clock, in_fresh_process, parse_options, report, times

WORK = Work(10_000, 50, (128, 64), 128)
EPOCHS = 20
FOLDS = 3
GRID = {
    "optimizer__learning_rate": [3e-4, 1e-3, 3e-3, 1e-2],
    "dropout": [0.1, 0.2, 0.4],
    "l2": [1e-6, 1e-5],
}
QUICK_GRID = {"optimizer__learning_rate": [1e-3, 1e-2]}
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
SEARCHES = ("GridSearchCV", "MultiTaskSearchCV")
NO_CLUSTER = "no cluster, all cores"


@contextmanager
def open_cluster(engine: str | None, n_workers: int) -> Iterator[None]:
    """Start workers, and make them joblib's."""
    import joblib

    if engine is None:
        yield
    elif engine == "Dask":
        from dask.distributed import Client, LocalCluster

        options = {"n_workers": n_workers, "threads_per_worker": 1, "env": ONE_THREAD}
        with (
            LocalCluster(**options, dashboard_address=None) as cluster,
            Client(cluster),
            joblib.parallel_config("dask"),
        ):
            yield
    else:
        import ray
        from ray.util.joblib import register_ray

        register_ray()
        environment = {"env_vars": ONE_THREAD}
        options = {"include_dashboard": False, "log_to_driver": False, "runtime_env": environment}
        ray.init(num_cpus=n_workers, **options)
        with joblib.parallel_config("ray", n_jobs=-1):
            yield
        ray.shutdown()


def run_search(
    name: str, engine: str | None, n_workers: int, quick: bool
) -> tuple[float, np.ndarray]:
    """Return the seconds of a search, and the mean scores of its candidates."""
    from sklearn.model_selection import GridSearchCV, KFold

    from sk_mtl.model_selection import MultiTaskSearchCV

    import_sk_mtl()
    X, Y = WORK.make_table()
    kind = {"GridSearchCV": GridSearchCV, "MultiTaskSearchCV": MultiTaskSearchCV}[name]

    def make(epochs: int) -> Callable[[], Any]:
        classifier = make_classifier(WORK, epochs, jit_compile=not quick)
        grid = QUICK_GRID if quick else GRID
        search = kind(classifier, grid, cv=KFold(FOLDS), refit=False)
        return lambda: search.fit(X, Y).cv_results_["mean_test_score"]

    if quick:
        X, Y = X[:60], Y[:60]
    found: list[np.ndarray] = []
    with open_cluster(engine, n_workers):
        if not quick:
            make(1)()
        seconds = clock(lambda: found.append(make(1 if quick else EPOCHS)()))
    return seconds, found[0]


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=2)
    installed = {
        "Dask": importlib.util.find_spec("distributed") is not None,
        "Ray": importlib.util.find_spec("ray") is not None,
    }
    engines = [] if options.quick else [name for name, is_here in installed.items() if is_here]
    places = [(None, 0)] + [(engine, n) for engine in engines for n in (1, 2)]
    seconds: dict[Any, list[float]] = {}
    scores: dict[str, np.ndarray] = {}
    for _ in range(options.repeats):
        for name in SEARCHES:
            for engine, n_workers in places:
                arguments = (name, engine, n_workers, options.quick)
                taken, found = in_fresh_process(run_search, *arguments, quick=options.quick)
                print(name, engine, n_workers, round(taken, 2), flush=True)
                seconds.setdefault((name, engine, n_workers), []).append(taken)
                assert np.array_equal(found, scores.setdefault(name, found)), arguments
    rows = []
    for (name, engine, n_workers), values in seconds.items():
        taken = np.array(values)
        alone = np.array(seconds[name, None, 0])
        one = np.array(seconds[name, engine, 1]) if engine is not None else None
        where = NO_CLUSTER if engine is None else f"{engine}, {n_workers} worker(s)"
        rows.append(
            (
                f"sk_mtl, {name}",
                where,
                f"{np.median(taken):.1f}",
                "" if one is None else times(one, taken),
                times(taken, alone),
            )
        )
    header = ("search", "where", "s", "times as fast as 1 worker", "time ÷ no cluster's")
    missing = [name for name, is_here in installed.items() if not is_here]
    parts: list[Any] = [(header, rows)]
    if not options.quick:
        parts.append("All searches of a kind had the same mean scores, to the bit.")
    parts += [f"{name} is not installed." for name in missing]
    report(__file__, options, parts)


if __name__ == "__main__":
    main()
