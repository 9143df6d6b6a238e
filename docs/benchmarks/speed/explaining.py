"""What does explaining 100 rows cost, for all tasks and for one?

Shapley values of 100 rows against 100 rows of the background, by one random order and its reverse
for each pair: of the bundled fingerprints (2,048 bits, 12 tasks), and of 50 numbers with three
tasks. The network has the default settings and is fitted to 2,000 rows for ten epochs. Beside it,
shap's PermutationExplainer with one order and its reverse for each row, on the view of one task,
which predicts in NumPy as well; it explains only a few of the rows.

Usage: python docs/benchmarks/speed/explaining.py [--repeats 3]
"""

import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from _timing import measure_in_turn, parse_options, report

N_TRAINING, N_EXPLAINED, N_BACKGROUND = 2_000, 100, 100


class Work(NamedTuple):
    """A table to explain, and how many of its rows shap gets."""

    name: str
    n_rows_of_shap: int
    asked: str
    make_table: Callable[[], tuple[Any, Any]]


class Explained(NamedTuple):
    """Values of rows, their sums with the base value, and the probabilities, of one task."""

    values: np.ndarray
    totals: np.ndarray
    proba: np.ndarray


Explain = Callable[[int], list[Explained]]  # by a seed


def make_bits() -> tuple[np.ndarray, Any]:
    """Return fingerprints of molecules in an order of chance, and 12 assays."""
    from sk_mtl.datasets import load_tox21

    X, Y = load_tox21(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))[: N_TRAINING + N_EXPLAINED]
    return X[rows], Y.iloc[rows]


def make_numbers() -> tuple[np.ndarray, np.ndarray]:
    """Return numbers, and three tasks that depend on some of them and on their products."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_TRAINING + N_EXPLAINED, 50), dtype=np.float32)
    signals = [X[:, 8 * t : 8 * t + 6].sum(axis=1) + 2 * X[:, t] * X[:, t + 1] for t in range(3)]
    return X, np.column_stack([s + rng.normal(size=len(s)) > 0 for s in signals]).astype(int)


WORKS = (
    Work("2,048 bits, 12 tasks", 2, "≤ 10 s", make_bits),
    Work("50 numbers, 3 tasks", 20, "", make_numbers),
)


class Contender:
    """Explains, and keeps the seconds of the processor and the last results."""

    def __init__(self, explain: Explain, n_rows: int, n_tasks: int):
        self.n_rows, self.n_tasks = n_rows, n_tasks
        self.cpu_seconds: list[float] = []
        self.results: dict[int, list[Explained]] = {}
        self._explain = explain

    def __call__(self) -> float:
        """Return the seconds of a call; calls take turns with two seeds."""
        seed = len(self.cpu_seconds) % 2
        start, cpu_start = time.perf_counter(), time.process_time()
        self.results[seed] = self._explain(seed)
        self.cpu_seconds.append(time.process_time() - cpu_start)
        return time.perf_counter() - start

    def error_of_sums(self) -> float:
        """Return the largest difference of a sum from the probability."""
        return max(float(np.abs(e.totals - e.proba).max()) for e in self.results[0])

    def correlation_of_seeds(self) -> float:
        """Return the correlation of the values of two seeds, the mean over tasks."""
        if 1 not in self.results:
            self.results[1] = self._explain(1)
        pairs = zip(self.results[0], self.results[1], strict=True)
        found = [np.corrcoef(a.values.ravel(), b.values.ravel())[0, 1] for a, b in pairs]
        return float(np.mean(found))


def make_contenders(work: Work, *, quick: bool) -> dict[str, Contender]:
    """Return the contenders for a fitted network, by name."""
    from sk_mtl import MultiTaskClassifier

    X, Y = work.make_table()
    n_explained = 4 if quick else N_EXPLAINED
    background, rows = X[:N_BACKGROUND], X[N_TRAINING : N_TRAINING + n_explained]
    epochs = 1 if quick else 10
    clf = MultiTaskClassifier(epochs=epochs, early_stopping=False, random_state=0)
    clf.fit(X[:N_TRAINING], Y[:N_TRAINING])
    task = clf.task_names_[0]

    def explain_all(seed: int) -> list[Explained]:
        found = clf.explain(rows, background=background, random_state=seed)
        return [_second_class(e, p) for e, p in zip(found, clf.predict_proba(rows), strict=True)]

    def explain_one(seed: int) -> list[Explained]:
        found = clf.explain(rows, task, background=background, random_state=seed)
        return [_second_class(found, clf.predict_proba(rows)[task])]

    contenders = {
        "sk_mtl, all tasks": Contender(explain_all, len(rows), clf.n_tasks_),
        "sk_mtl, one task": Contender(explain_one, len(rows), 1),
    }
    if importlib.util.find_spec("shap") is not None and not quick:
        few = rows[: work.n_rows_of_shap].astype(np.float64)
        predict = partial(_predict_second_class, clf.task_view(task))
        contenders["shap, PermutationExplainer, one task"] = Contender(
            partial(_explain_by_shap, predict, few, background.astype(np.float64)), len(few), 1
        )
    return contenders


def _second_class(explanation: Any, proba: np.ndarray) -> Explained:
    values = explanation.values[..., 1]
    return Explained(values, values.sum(axis=1) + explanation.base_values[:, 1], proba[:, 1])


def _predict_second_class(view: Any, X: np.ndarray) -> np.ndarray:
    return view.predict_proba(X)[:, 1]


def _explain_by_shap(
    predict: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, background: np.ndarray, seed: int
) -> list[Explained]:
    import shap

    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.PermutationExplainer(predict, masker, seed=seed)
    # So many evaluations are one order and its reverse.
    found = explainer(rows, max_evals=2 * rows.shape[1] + 1, silent=True)
    totals = found.values.sum(axis=1) + found.base_values
    return [Explained(found.values, totals, predict(rows))]


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, repeats=3)
    rows = []
    for work in WORKS[1:] if options.quick else WORKS:
        contenders = make_contenders(work, quick=options.quick)
        seconds = measure_in_turn(contenders, options)
        for who, contender in contenders.items():
            wall, cpu = (
                np.median(seconds[who]),
                np.median(contender.cpu_seconds[-options.repeats :]),
            )
            rows.append(
                (
                    work.name,
                    who,
                    f"{contender.n_rows}",
                    f"{wall:.2f}",
                    f"{cpu:.2f}",
                    work.asked if who == "sk_mtl, all tasks" else "",
                    f"{1000 * wall / contender.n_rows / contender.n_tasks:.2f}",
                    f"{contender.error_of_sums():.0e}",
                    f"{contender.correlation_of_seeds():.3f}",
                )
            )
    header = (
        "work",
        "contender",
        "rows",
        "s",
        "s of the processor",
        "asked",
        "ms ÷ row and task",
        "largest error of a sum",
        "correlation of two seeds",
    )
    parts: list[Any] = [(header, rows)]
    if importlib.util.find_spec("shap") is not None:
        parts.insert(0, f"shap {importlib.metadata.version('shap')}.")
    report(__file__, options, parts)


if __name__ == "__main__":
    main()
