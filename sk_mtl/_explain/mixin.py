"""The method of the estimator that explains predictions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Self

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse as sp
from sklearn import get_config

from sk_mtl._compat.arguments import as_random_state, check_choice, check_integer
from sk_mtl._data.label_values import as_objects
from sk_mtl._explain.explanation import Explanation
from sk_mtl._explain.games import Game, RowGame, UnitGame
from sk_mtl._explain.shapley import ShapleyValues, shapley_values
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.fitted_network import FittedNetwork
from sk_mtl._fit.shown import by_task
from sk_mtl._predict.cut_forward import CutForward
from sk_mtl._predict.forward import make_forward
from sk_mtl._predict.probabilities import log_odds_by_column, probabilities_by_column
from sk_mtl._predict.tiles import as_float32
from sk_mtl._tasks import resolve_task

__all__ = ["ExplainMixin"]


class ExplainMixin:
    """The method that explains predictions by the features."""

    def _snapshot(self) -> Self:
        """Return the estimator as it is now: another thread may fit it at any moment."""
        raise NotImplementedError

    def _read_by_model(self, X: Any) -> list[tuple[float, FittedModel, Any]]:
        """Return each fitted model that predicts, its weight, and X as numbers for it."""
        raise NotImplementedError

    def explain(
        self,
        X: Any,
        task: Hashable | None = None,
        *,
        background: Any = None,
        output: str = "probability",
        n_background: int = 100,
        n_permutations: int = 1,
        random_state: Any = None,
    ) -> Any:
        r"""Explain predictions by what each feature adds to them.

        Shapley values [1]_ of the features: the mean change of the output when a feature takes its
        value in the row that is explained, in place of its value in a row of the background, over
        all orders of the features and all rows of the background. For each row, the values add up
        to the output less its mean over the background.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows to explain.
        task : hashable, default=None
            The name of the task, or its position. None explains all tasks, which takes hardly
            longer than one.
        background : array-like or sparse matrix of shape (n_rows, n_features), default=None
            The rows to compare with, such as training rows. None means the rows of X, of which
            there must then be two or more.
        output : {"probability", "log_odds"}, default="probability"
            What to explain: the probabilities of `predict_proba`, or their log-odds; for more than
            two classes, the log-probabilities less their mean over the classes.
        n_background : int, default=100
            Number of rows of the background that are used at most, drawn at random from more.
        n_permutations : int, default=1
            Number of random orders for each pair of a row and a row of the background that differ
            in more than eight features; each is used in reverse, too [2]_. The error of the orders
            falls with the root of ``n_permutations * n_background``, that of the rows that are
            drawn with the root of `n_background`.
        random_state : int, RandomState instance or None, default=None
            What rows of the background and orders are drawn with.

        Returns
        -------
        explanation : Explanation, or PerTask of Explanation
            The values, of shape (n_samples, n_features, n_classes), the base values and the data,
            under the names that shap gives them. By task if `task` is None. NaN for a task that had
            no label in training.

        Raises
        ------
        ValueError
            If a parameter is invalid, or there is nothing to compare with.

        See Also
        --------
        sk_mtl.metrics.task_importances : How much the scores of tasks depend on each feature.

        Notes
        -----
        Pairs that differ in at most eight features are treated exactly, by all subsets, and so is a
        network without hidden layers for ``output="log_odds"``, to which features add
        independently. Of a fingerprint, only bits that differ between two rows count. A feature of
        several columns inside the network, such as a category or a number with bins, is one
        feature. Features are replaced whether or not such rows occur (the interventional values of
        [1]_): if features depend on one another, mixtures may be unlike any row.

        References
        ----------
        .. [1] S. M. Lundberg, S.-I. Lee (2017). A Unified Approach to Interpreting Model
           Predictions. NeurIPS 2017.
        .. [2] R. Mitchell, J. Cooper, E. Frank, G. Holmes (2022). Sampling Permutations for Shapley
           Value Estimation. Journal of Machine Learning Research 23(43).

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mtl import MultiTaskClassifier
        >>> from sk_mtl.datasets import make_multitask_classification
        >>> X, Y = make_multitask_classification(n_samples=80, random_state=0)
        >>> clf = MultiTaskClassifier((8,), epochs=2, random_state=0).fit(X, Y)
        >>> explanation = clf.explain(X[:5], "y0", background=X, random_state=0)
        >>> explanation.values.shape
        (5, 20, 2)
        >>> total = explanation.values.sum(axis=1) + explanation.base_values
        >>> bool(np.allclose(total, clf.predict_proba(X[:5])["y0"], atol=1e-4))
        True
        """
        check_choice("explain", "output", output, ("probability", "log_odds"))
        check_integer("explain", "n_background", n_background, 1)
        check_integer("explain", "n_permutations", n_permutations, 1)
        asked: Any = task
        if isinstance(asked, list) or hasattr(asked, "shape"):
            raise TypeError(
                "task must be the name of one task, or None for all. Got "
                f"{type(asked).__name__}. Pass the rows to compare with as background=."
            )
        rng = as_random_state(random_state)
        now = self._snapshot()
        models = now._read_by_model(X)
        if len(models) > 1 and output != "probability":
            raise ValueError(
                "An ensemble predicts the mean of the probabilities of its networks, which is what "
                'can be explained: output="probability". Got "log_odds".'
            )
        compared = models if background is None else now._read_by_model(background)
        numbers, n_others = _as_dense(models[0][2]), compared[0][2].shape[0]
        if background is None and n_others < 2:
            raise ValueError(
                "explain compares rows with those of a background, and X is a single row. Pass "
                "training rows, for instance: background=X_train."
            )
        kept = np.arange(n_others)
        if n_others > n_background:
            kept = np.sort(rng.permutation(n_others)[:n_background])
        schema = models[0][1].schema
        tasks = list(range(len(schema.task_names)))
        if task is not None:
            tasks = [resolve_task(task, schema.task_names)]
        seed = int(rng.randint(np.iinfo(np.int32).max))
        by_model = [
            (weight, _explain(fitted, rows, others[kept], tasks, output, n_permutations, seed))
            for (weight, fitted, rows), (_, _, others) in zip(models, compared, strict=True)
        ]
        found = _average(by_model)
        names = getattr(now, "feature_names_in_", None)
        names = [f"x{j}" for j in range(numbers.shape[1])] if names is None else list(names)
        shown = _as_shown(X, numbers)
        explanations = [
            Explanation(
                values=of_task.values,
                base_values=np.repeat(of_task.base[None], len(numbers), axis=0),
                data=numbers,
                display_data=shown,
                feature_names=names,
                output_names=[str(label) for label in as_objects(schema.classes[t])],
                method="exact" if of_task.is_exact else "permutation",
            )
            for t, of_task in zip(tasks, found, strict=True)
        ]
        return by_task(explanations, schema) if task is None else explanations[0]


def _average(by_model: Sequence[tuple[float, list[ShapleyValues]]]) -> list[ShapleyValues]:
    """Return the weighted mean over models of the values of each task."""
    averaged = []
    for of_task in zip(*(found for _, found in by_model), strict=True):
        # A fold may lack all labels of a task: its networks then tell nothing of it.
        known = [k for k, part in enumerate(of_task) if not np.isnan(part.base).any()]
        if len(known) < 2:
            averaged.append(of_task[known[0] if known else 0])
            continue
        weights = np.array([by_model[k][0] for k in known])
        weights /= weights.sum()
        parts = [of_task[k] for k in known]
        averaged.append(
            ShapleyValues(
                sum(w * part.values for w, part in zip(weights, parts, strict=True)),
                sum(w * part.base for w, part in zip(weights, parts, strict=True)),
                all(part.is_exact for part in parts),
            )
        )
    return averaged


def _explain(
    fitted: FittedModel,
    X: Any,
    others: Any,
    tasks: Sequence[int],
    output: str,
    n_permutations: int,
    seed: int,
) -> list[ShapleyValues]:
    """Return the values of each of some tasks, from rows and rows to compare with."""
    rows, background = _as_dense(X), _as_dense(others)
    found: dict[int, ShapleyValues] = {}
    shape = (len(rows), rows.shape[1])
    for t in tasks:
        # A task with declared classes is learnable without any label, and then predicted as NaN.
        if not (fitted.is_learnable[t] and fitted.has_labels[t]):
            n_classes = fitted.schema.n_classes[t]
            base = np.full(n_classes, 1.0 if output == "probability" else 0.0)
            nothing = np.zeros((*shape, n_classes))
            if not fitted.has_labels[t]:
                base, nothing = np.full_like(base, np.nan), np.full_like(nothing, np.nan)
            found[t] = ShapleyValues(nothing, base, True)
    network = fitted.network
    if network is not None:
        positions = np.cumsum(fitted.is_learnable) - 1
        learned = [t for t in tasks if t not in found]
        for values, of_network in _by_network(network, learned, positions):
            wanted = [int(positions[t]) for t in of_network]
            outputs = _Outputs(network, wanted, output)
            game, is_additive = _make_game(network, values, rows, background, outputs)
            whole = shapley_values(
                game,
                rows.shape[1],
                n_permutations,
                seed,
                is_additive=is_additive and output == "log_odds",
            )
            found |= zip(of_network, outputs.split(whole), strict=True)
    return [found[t] for t in tasks]


def _by_network(
    network: FittedNetwork, tasks: Sequence[int], positions: np.ndarray
) -> list[tuple[list[np.ndarray], list[int]]]:
    """Return the values of each network that predicts some of the tasks, and these tasks."""
    best = network.best_weights
    if best is None:
        return [(network.state.network, list(tasks))] if tasks else []
    of_task = {t: best.of_task[positions[t]] for t in tasks}
    return [
        (best.values[number], [t for t in tasks if of_task[t] == number])
        for number in sorted(set(of_task.values()))
    ]


def _make_game(
    network: FittedNetwork,
    values: list[np.ndarray],
    rows: np.ndarray,
    background: np.ndarray,
    outputs: _Outputs,
) -> tuple[Game, bool]:
    """Return the game of a network, and whether features add independently to its logits."""
    spec = network.spec
    forward: Any = make_forward(spec, values, CutForward)
    if not isinstance(forward, CutForward):
        return RowGame(forward.logits, rows, background, outputs), False
    is_additive = not spec.hidden_layer_sizes and not any(spec.head_hidden_layer_sizes)
    game = UnitGame(forward, rows, background, outputs)
    return game, is_additive and spec.ensemble_size == 1


class _Outputs:
    """From logits, (n_columns, m), to what is explained of some tasks, (n_outputs, m)."""

    # Of two classes it is that of the second, from which that of the first follows.

    def __init__(self, network: FittedNetwork, tasks: Sequence[int], output: str):
        n_outputs = network.spec.n_outputs
        self._widths = [n_outputs[t] for t in tasks]
        self._total = 1.0 if output == "probability" else 0.0  # of two classes
        self._tasks = tasks
        self._n_outputs = n_outputs
        self._compute = probabilities_by_column if output == "probability" else log_odds_by_column
        self._divisors = None
        if network.temperatures is not None:
            self._divisors = np.repeat(network.temperatures, n_outputs)[:, None]

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        if self._divisors is not None:
            logits = logits / self._divisors
        by_task = self._compute(logits, self._n_outputs)
        return np.concatenate([by_task[t][-self._n_outputs[t] :] for t in self._tasks])

    def split(self, whole: ShapleyValues) -> list[ShapleyValues]:
        """Return the values of each task, for all of its classes."""
        stops = np.cumsum(self._widths)[:-1]
        parts = []
        for values, base in zip(
            np.split(whole.values, stops, axis=2), np.split(whole.base, stops), strict=True
        ):
            if len(base) == 1:
                values = np.concatenate([-values, values], axis=2)
                base = np.concatenate([self._total - base, base])
            parts.append(ShapleyValues(values, base, whole.is_exact))
        return parts


def _as_dense(X: Any) -> np.ndarray:
    """Return rows as a dense array of float32, and refuse numbers that are too large for it."""
    X = X.toarray() if sp.issparse(X) else np.asarray(X)
    return as_float32(X, not get_config()["assume_finite"])


def _as_shown(X: Any, numbers: np.ndarray) -> np.ndarray:
    """Return the features as they were passed, as objects."""
    if sp.issparse(X):
        return numbers.astype(object)
    if nw.dependencies.is_into_dataframe(X):
        frame = nw.from_native(X, eager_only=True)
        shown = np.empty(numbers.shape, dtype=object)
        for j, column in enumerate(frame.iter_columns()):
            shown[:, j] = column.to_list()
        return shown
    return np.array(X, dtype=object)
