"""The ensemble: its parameters, the course of its `fit`, and its predictions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import closing
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags, indexable
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._compat.arguments import as_random_state, check_integer
from sk_mtl._compat.sklearn_guard import check_asker
from sk_mtl._compat.sklearn_html import DocLinkMixin
from sk_mtl._data.dataset import gather_validation
from sk_mtl._data.labels import read_labels
from sk_mtl._data.row_order import row_labels, warn_of_other_order
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._data.schema import TargetSchema, has_missing_labels
from sk_mtl._ensemble.candidates import draw_candidates
from sk_mtl._ensemble.held_out import HeldOutCells, Part, split_parts
from sk_mtl._ensemble.selection import mean_log_loss, select_members, weigh_cells
from sk_mtl._explain.mixin import ExplainMixin
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.shown import FEATURE_ATTRIBUTES, by_task
from sk_mtl._fit_together import Fit, fit_together
from sk_mtl._task_view import TaskView
from sk_mtl._tasks import resolve_task
from sk_mtl.metrics import multitask_score

__all__ = ["MultiTaskEnsemble"]

_CALLER = "MultiTaskEnsemble"
_SEEDS = 2**31
_OF_NETWORKS = ("classes_", "n_classes_", "n_tasks_", "task_names_")


class MultiTaskEnsemble(ExplainMixin, DocLinkMixin, BaseEstimator):
    r"""Mean of MultiTaskClassifiers with different parameters, chosen on held-out cells.

    Candidates are the estimator as it is, and others whose parameters are drawn. Each is fitted to
    the training rows of every fold, and stops by the other rows. Their probabilities for these rows
    choose the members: one candidate after another is added, with replacement, such that the mean
    of their probabilities has the lowest log loss (ensemble selection [1]_). Predictions are the
    mean over the members, and over the networks of their folds. Nothing is trained again: each
    network lacks a part of the rows, and together they have seen all.

    Random parameters with a selection reach, on single-task tables, what tuned ensembles of
    networks of one kind do [2]_.

    Parameters
    ----------
    estimator : MultiTaskClassifier, default=None
        The first candidate, whose parameters the others have, too, as far as they are not drawn.
        None is ``MultiTaskClassifier()``. Its `random_state` and `refit` are not used, and
        ``early_stopping="cv"`` is "auto": each network stops by the rows that it is not fitted to.
    param_distributions : dict or list of dict, default=None
        What the parameters of the other candidates are drawn from, as by
        :class:`sklearn.model_selection.ParameterSampler`: lists of values, or distributions with a
        method ``rvs``. None draws widths, depth, dropout, embedding of numbers, learning rate,
        weight decay and label smoothing. Each network then has two members, or four if there is one
        for each candidate; one with a `sharing` other than "hard" or a `task_weighting` that sees
        gradients.
    n_candidates : int, default=8
        Number of candidates; fewer if lists of values have fewer combinations.
    cv : int, splitter or iterable of (train, test), default=5
        The folds. An int is :class:`~sk_mtl.model_selection.MultiTaskStratifiedKFold` with as many
        shuffled folds, or :class:`~sk_mtl.model_selection.MultiTaskStratifiedGroupKFold` if `fit`
        is given groups. Not used if `fit` is given validation data.
    verbose : int, default=0
        1 or more shows a progress bar over all fits.
    random_state : int, RandomState instance or None, default=None
        Seed of the parameters that are drawn, of the folds, and of the networks.

    Attributes
    ----------
    estimators_ : list of MultiTaskClassifier
        The fitted members: those of a candidate, one for each fold, are next to each other.
    estimator_weights_ : ndarray of float64 of shape (n_estimators,)
        Their weights in the mean; the sum is 1.
    leaderboard_ : pandas.DataFrame
        The candidates from the best to the worst, by number: "weight" (0 if it was not chosen),
        "log_loss" (the mean over tasks on the held-out cells), and "params".
    validation_loss_ : float
        The mean over tasks of the log loss of the ensemble on the held-out cells. It has been
        selected on these, so that it is a little too low.
    task_names_ : ndarray of object of shape (n_tasks,)
        The names of the tasks.
    n_tasks_ : int
        The number of tasks.
    classes_ : PerTask of ndarray of shape (n_classes_t,), or ndarray
        The sorted classes of each task; of the one of a 1-D y.
    n_classes_ : PerTask of int, or int
        The number of classes of each task; of the one of a 1-D y.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of object of shape (n_features,)
        The names of the features, if X had string column names.

    See Also
    --------
    MultiTaskClassifier.best : One network with shared members and the settings for quality.
    sk_mtl.model_selection.MultiTaskSearchCV : Choose one candidate, fitted to all rows.

    References
    ----------
    .. [1] R. Caruana, A. Niculescu-Mizil, G. Crew, A. Ksikes. "Ensemble Selection from Libraries of
       Models". ICML 2004.
    .. [2] "TabPack", arXiv 2607.05380.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier, MultiTaskEnsemble
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=90, missing_rate=0.3, random_state=0)
    >>> small = MultiTaskClassifier((8,), epochs=5)
    >>> rates = {"optimizer__learning_rate": [1e-3, 1e-2]}
    >>> ensemble = MultiTaskEnsemble(small, rates, n_candidates=3, cv=2, random_state=0).fit(X, Y)
    >>> ensemble.predict_proba(X)[0].shape
    (90, 2)
    >>> float(ensemble.leaderboard_["weight"].sum())
    1.0
    """

    __module__ = "sk_mtl"  # the public path, which pickles name

    def __init__(
        self,
        estimator: Any = None,
        param_distributions: Any = None,
        *,
        n_candidates: int = 8,
        cv: Any = 5,
        verbose: int = 0,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.param_distributions = param_distributions
        self.n_candidates = n_candidates
        self.cv = cv
        self.verbose = verbose
        self.random_state = random_state

    @property
    def missing_label(self) -> Any:
        """The labels that mean "missing", as the estimator has them."""
        return None if self.estimator is None else self.estimator.missing_label

    # --------------------------------------------------------------------------------------------
    # Fitting
    # --------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        validation_data: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit all candidates, and choose the members.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features, as `MultiTaskClassifier` takes them.
        y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Class labels, one column per task, NaN, None or NA where a label is missing.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of rows or of cells.
        groups : array-like of shape (n_samples,), default=None
            The group of each row; the folds keep groups whole.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Rows to stop and to choose by, in place of folds: each candidate is fitted once.
        X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
            Such rows in separate arguments, as `MultiTaskClassifier.fit` takes them.
        y_val : array-like of shape (n_val,) or (n_val, n_tasks), default=None
            Labels of `X_val`.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_tasks), default=None
            Weights of `X_val`.

        Returns
        -------
        self : MultiTaskEnsemble
            The fitted ensemble.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; the ensemble is left as it was.
        TypeError
            If `estimator` is no MultiTaskClassifier.
        """
        n_candidates = check_integer(_CALLER, "n_candidates", self.n_candidates, 1)
        base = self._base()
        given = gather_validation(groups, validation_data, X_val, y_val, sample_weight_val)
        warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight, "groups": groups})
        rng = as_random_state(self.random_state)
        X, y, sample_weight, groups = indexable(X, y, sample_weight, groups)
        labels = read_labels(y, missing_label=base.missing_label)
        read_cell_weight(sample_weight, labels)  # refuses what has another shape
        schema = TargetSchema.from_table(labels, base.classes)
        probe = clone(base)
        probe._read_features(X, None)  # counts the features, and refuses what no fit can read
        seed = int(rng.randint(_SEEDS))
        if given is None:
            parts = split_parts(self.cv, X, y, sample_weight, groups, base.missing_label, seed)
        else:
            parts = [Part(X, y, sample_weight, (given.X, given.y, given.sample_weight))]
        params = draw_candidates(
            base, self.param_distributions, n_candidates, probe.n_features_in_, len(parts), rng
        )
        candidates = [[_make_network(base, own, schema, rng) for _ in parts] for own in params]
        self._fit_all(candidates, parts)
        features = {k: v for k, v in vars(probe).items() if k in FEATURE_ATTRIBUTES}
        fitted = features | self._choose(candidates, params, parts, schema)
        kept = {name: value for name, value in vars(self).items() if not name.endswith("_")}
        self.__dict__ = {**kept, **fitted}  # in one step: an error or Ctrl-C leaves all as it was
        return self

    def _base(self) -> MultiTaskClassifier:
        """Return the estimator that the candidates are made from."""
        base = MultiTaskClassifier() if self.estimator is None else self.estimator
        if not isinstance(base, MultiTaskClassifier):
            is_class = isinstance(base, type)
            got = f"the class {base.__name__}" if is_class else type(base).__name__
            raise TypeError(
                f"{_CALLER} fits copies of a MultiTaskClassifier. Got {got}. Pass an instance, and "
                "in a Pipeline make the ensemble the last step."
            )
        return base

    def _fit_all(
        self, candidates: Sequence[Sequence[MultiTaskClassifier]], parts: Sequence[Part]
    ) -> None:
        """Fit the networks of all candidates, side by side."""
        fits = [
            Fit(network, part.X, part.y, part.fit_params)
            for networks in candidates
            for network, part in zip(networks, parts, strict=True)
        ]
        bar = tqdm(total=len(fits), desc="ensemble", unit="fit", disable=not self.verbose)
        with bar, closing(fit_together(fits)) as done:
            for _, error, _ in done:
                if error is not None:
                    raise error
                bar.update()

    def _choose(
        self,
        candidates: Sequence[Sequence[MultiTaskClassifier]],
        params: Sequence[dict[str, Any]],
        parts: Sequence[Part],
        schema: TargetSchema,
    ) -> dict[str, Any]:
        """Return the attributes of the ensemble of the candidates that are best together."""
        cells = HeldOutCells(parts, schema, self.missing_label)
        p_true = np.array(
            [
                np.concatenate(
                    [
                        cells.true_probabilities(
                            k, _probabilities(network, part.validation_data[0])
                        )
                        for k, (network, part) in enumerate(zip(networks, parts, strict=True))
                    ]
                )
                for networks in candidates
            ]
        )
        is_known = ~np.isnan(p_true).any(axis=0)
        weight = weigh_cells(np.concatenate(cells.weights) * is_known)[is_known]
        p_true = p_true[:, is_known]
        if not weight.any():
            raise ValueError(
                f"{_CALLER} chooses by the labels of held-out rows, and there is none that the "
                "training rows let it predict. Give validation rows with labels, or another cv."
            )
        weights = select_members(p_true, weight)
        chosen = np.flatnonzero(weights).tolist()
        return {
            "estimators_": [network for k in chosen for network in candidates[k]],
            "estimator_weights_": np.repeat(weights[chosen] / len(parts), len(parts)),
            "validation_loss_": float(mean_log_loss(weights @ p_true, weight)),
            "_candidates_": {
                "weight": weights,
                "log_loss": mean_log_loss(p_true, weight),
                "params": list(params),
            },
        }

    @property
    def leaderboard_(self) -> pd.DataFrame:
        """The candidates as a frame, from the best to the worst."""
        check_is_fitted(self)
        return pd.DataFrame(self._candidates_).sort_values("log_loss", kind="stable")

    def __getattr__(self, name: str) -> Any:
        # Fitted attributes that all networks have in common.
        if name in _OF_NETWORKS and "estimators_" in vars(self):
            return getattr(self.estimators_[0], name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def _schema(self) -> TargetSchema:
        # Every network has all classes, in the form of y.
        return self.estimators_[0]._fitted.schema

    # --------------------------------------------------------------------------------------------
    # Predicting
    # --------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        labels : DataFrame, or ndarray of shape (n_samples,) or (n_samples, n_tasks)
            In the form of y, as `MultiTaskClassifier.predict` returns them.
        """
        schema, probabilities = self._predict(X)
        has_labels = np.array([not np.isnan(p).any() and p.shape[1] > 0 for p in probabilities])
        codes = np.column_stack(
            [
                p.argmax(axis=1) if known else np.zeros(len(p), np.int64)
                for p, known in zip(probabilities, has_labels, strict=True)
            ]
        )
        return schema.decode(codes, has_labels, like=X)

    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : PerTask of ndarray of float32, or ndarray
            By task, of shape (n_samples, n_classes_t), columns in the order of `classes_`: a list
            that also answers to task names. A plain array for a 1-D y. NaN for a task that had no
            label in training.
        """
        schema, probabilities = self._predict(X)
        return by_task(probabilities, schema)

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_probabilities : PerTask of ndarray of float32, or ndarray
            By task, of shape (n_samples, n_classes_t), as `predict_proba` gives probabilities.
        """
        schema, probabilities = self._predict(X)
        with np.errstate(divide="ignore"):
            return by_task([np.log(p) for p in probabilities], schema)

    def predict_std(self, X: Any) -> Any:
        r"""Predict the disagreement between the networks.

        The standard deviation of each class's probability over the networks,
        :math:`\sqrt{\sum_k w_k (p_k - \bar p)^2}`, with their weights :math:`w_k` and the mean
        :math:`\bar p` that `predict_proba` gives.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        spread : PerTask of ndarray of float32, or ndarray
            By task, of shape (n_samples, n_classes_t), in the form of `predict_proba`.
        """
        schema, means = self._predict(X)
        squares = [np.zeros(p.shape, np.float64) for p in means]
        for weight, network in zip(self.estimator_weights_, self.estimators_, strict=True):
            for square, p, mean in zip(squares, _probabilities(network, X), means, strict=True):
                square += weight * np.nan_to_num((p.astype(np.float64) - mean) ** 2)
        spread = [
            np.where(np.isnan(mean), np.nan, np.sqrt(square)).astype(np.float32)
            for square, mean in zip(squares, means, strict=True)
        ]
        return by_task(spread, schema)

    def predict_proba_frame(self, X: Any) -> pd.DataFrame:
        """Predict class probabilities as one frame.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : pandas.DataFrame of shape (n_samples, sum of n_classes_t)
            With (task, class) columns, and the index of a pandas X.
        """
        schema, probabilities = self._predict(X)
        columns = schema.class_index()
        return pd.DataFrame(np.hstack(probabilities), index=row_labels(X), columns=columns)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean over tasks of the accuracy over labelled cells.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Labels; missing ones do not count.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of rows or of cells.

        Returns
        -------
        score : float
            In [0, 1].
        """
        given = {"sample_weight": sample_weight, "missing_label": self.missing_label}
        return multitask_score("accuracy", y, self.predict(X), **given)  # type: ignore[return-value]

    def task_view(self, task: Hashable) -> TaskView:
        """Return one task as an ordinary scikit-learn classifier.

        Parameters
        ----------
        task : hashable
            The name of the task, or its position.

        Returns
        -------
        view : TaskView
            A fitted classifier for tools that know one task only.
        """
        check_is_fitted(self)
        names = self._schema.task_names
        return TaskView(self, names[resolve_task(task, names)])

    def __sklearn_tags__(self) -> Any:
        base = self._base()
        check_asker(
            lambda y: has_missing_labels(y, missing_label=base.missing_label, classes=base.classes)
        )
        tags, inner = super().__sklearn_tags__(), get_tags(base)
        for name in ("estimator_type", "input_tags", "target_tags", "classifier_tags"):
            setattr(tags, name, getattr(inner, name))
        return tags

    def _snapshot(self) -> Self:
        """Return the ensemble as it is now: another thread may fit it at any moment."""
        now = object.__new__(type(self))
        now.__dict__.update(vars(self))
        return now

    def _read_by_model(self, X: Any) -> list[tuple[float, FittedModel, Any]]:
        """Return the networks that predict, their weights, and X as numbers for each."""
        check_is_fitted(self)
        members = zip(self.estimator_weights_, self.estimators_, strict=True)
        return [(float(weight), *network._checked(X)) for weight, network in members]

    def _predict(self, X: Any) -> tuple[TargetSchema, list[np.ndarray]]:
        """Return the schema, and the mean of the networks' probabilities by task."""
        check_is_fitted(self)
        schema = self._schema
        sums: list[Any] = [0.0] * len(schema.classes)
        # A fold may lack all labels of a task: its networks then tell nothing of it.
        totals = np.zeros(len(sums))
        for weight, network in zip(self.estimator_weights_, self.estimators_, strict=True):
            for t, p in enumerate(_probabilities(network, X)):
                if np.isnan(p).any():
                    sums[t] = sums[t] + np.zeros_like(p)
                else:
                    sums[t] = sums[t] + np.float32(weight) * p
                    totals[t] += weight
        return schema, [
            (total / np.float32(weight) if weight else np.full_like(total, np.nan))
            for total, weight in zip(sums, totals, strict=True)
        ]


def _make_network(
    base: MultiTaskClassifier, params: dict[str, Any], schema: TargetSchema, rng: Any
) -> MultiTaskClassifier:
    """Return an unfitted clone with parameters, a seed, and the classes that all rows have."""
    classes = {
        name: of_task
        for name, of_task in zip(schema.task_names, schema.classes, strict=True)
        if len(of_task)
    }
    network = clone(base).set_params(**clone(params, safe=False))
    declared = schema.classes[0] if schema.is_1d else classes
    network.set_params(classes=declared, random_state=int(rng.randint(_SEEDS)), refit=False)
    if network.early_stopping == "cv":
        network.set_params(early_stopping="auto")
    return network


def _probabilities(network: MultiTaskClassifier, X: Any) -> list[np.ndarray]:
    """Return the probabilities of a network by task."""
    p = network.predict_proba(X)
    return list(p) if isinstance(p, list) else [p]
