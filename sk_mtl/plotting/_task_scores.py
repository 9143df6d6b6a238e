"""Scores task by task, beside those of the constant predictor."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl.metrics._report.cells import gather_predictions, read_true_labels
from sk_mtl.metrics._report.scores import score_constant
from sk_mtl.metrics._score import score_tasks, warn_of_left_out
from sk_mtl.metrics._task_metrics import find_metric
from sk_mtl.plotting._figures import (
    SingleAxes,
    hide_frame,
    import_pyplot,
    name_rows,
    row_height,
)
from sk_mtl.plotting._learners import read_missing_label

_CONSTANT = "constant predictor"


class TaskScoresDisplay(SingleAxes):
    """Score of each task, beside that of a constant predictor.

    Made by `from_estimator` and `from_predictions`. Each task has a row with a dot for the score
    of each model and a bar for the constant predictor, which knows the frequencies of the classes
    and ignores X. The distance between them is what was learned.

    Parameters
    ----------
    scores : dict of {str: array-like of float of shape (n_tasks,)}
        The scores of each task, by the name of the model; NaN where undefined.
    task_names : sequence of hashable
        The names of the tasks.
    score_name : str, default="score"
        The label of the axis.
    constant_scores : array-like of float of shape (n_tasks,), default=None
        The scores of the constant predictor; None draws none.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (1,)
        The axes.
    ax_ : matplotlib.axes.Axes
        The same axes.
    dots_ : dict of {str: matplotlib.lines.Line2D}
        The dots of each model, and those of the constant predictor as "constant predictor".

    See Also
    --------
    sk_mtl.metrics.multitask_score : The scores themselves.

    Examples
    --------
    >>> from sk_mtl.plotting import TaskScoresDisplay
    >>> scores = {"shared network": [0.91, 0.77], "one network each": [0.91, 0.74]}
    >>> display = TaskScoresDisplay(
    ...     scores, ["income", "education"], "ROC-AUC", constant_scores=[0.5, 0.5]
    ... ).plot()
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['income', 'education']
    """

    dots_: dict[str, Any]

    def __init__(
        self,
        scores: Mapping[str, Any],
        task_names: Sequence[Hashable],
        score_name: str = "score",
        constant_scores: Any = None,
    ):
        self.scores = {name: np.asarray(s, dtype=np.float64) for name, s in scores.items()}
        self.task_names = list(task_names)
        self.score_name = score_name
        self.constant_scores = (
            None if constant_scores is None else np.asarray(constant_scores, dtype=np.float64)
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        metric: str | Callable[..., float] = "roc_auc",
        sample_weight: Any = None,
        missing_label: Any = None,
        y_train: Any = None,
        name: str | None = None,
        ax: Any = None,
    ) -> Any:
        """Score a fitted estimator and draw the scores.

        Parameters
        ----------
        estimator : estimator
            A fitted `MultiTaskClassifier`, or a fitted Pipeline or search that ends in one.
        X : array-like of shape (n_samples, n_features)
            Samples to score on.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        metric : str or callable, default="roc_auc"
            A metric of `sk_mtl.metrics.multitask_score`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing"; None means those of the estimator.
        y_train : DataFrame, Series, array-like, default=None
            Labels from which the constant predictor takes its frequencies; None means `y`.
        name : str, default=None
            The name of the estimator in the legend; None means that of its class.
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : TaskScoresDisplay
            The display, drawn.
        """
        check_is_fitted(estimator)
        warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        method = find_metric(metric).response_method
        return cls.from_predictions(
            y,
            getattr(estimator, method)(X),
            metric=metric,
            sample_weight=sample_weight,
            missing_label=read_missing_label(estimator, missing_label),
            classes=getattr(estimator, "classes_", None),
            y_train=y_train,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        metric: str | Callable[..., float] = "roc_auc",
        sample_weight: Any = None,
        missing_label: Any = None,
        classes: Any = None,
        y_train: Any = None,
        name: str | None = None,
        ax: Any = None,
    ) -> Any:
        """Score predictions and draw the scores.

        Parameters
        ----------
        y_true : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            True labels; NaN, None, NaT or NA where missing.
        y_pred : DataFrame, Series, array-like, or PerTask
            The result of ``predict`` or ``predict_proba``, depending on the metric.
        metric : str or callable, default="roc_auc"
            A metric of `sk_mtl.metrics.multitask_score`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing".
        classes : PerTask, sequence of arrays, mapping of {task: labels} or array, default=None
            The classes of each task in the order of the columns of its probabilities.
        y_train : DataFrame, Series, array-like, default=None
            Labels from which the constant predictor takes its frequencies; None means `y_true`.
        name : str, default=None
            The name of the model in the legend; None means "model".
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : TaskScoresDisplay
            The display, drawn.
        """
        found = find_metric(metric)
        true = read_true_labels(y_true, sample_weight, missing_label, y_train, y_pred)
        predictions = gather_predictions(y_pred, found.response_method, true, classes)
        scores, reasons = score_tasks(found, predictions.tasks, {})
        warn_of_left_out(found, predictions.tasks, reasons, None)
        constant_scores = score_constant(found, predictions, {})
        return cls(
            {"model" if name is None else name: list(scores.values())},
            list(scores),
            found.name,
            list(constant_scores.values()),
        ).plot(ax)

    def plot(self, ax: Any = None) -> TaskScoresDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : TaskScoresDisplay
            The display itself.
        """
        n_tasks, color = len(self.task_names), import_pyplot().rcParams["text.color"]
        ax = self._use_axes(ax, (6.4, 1.6 + n_tasks * row_height(n_tasks)))
        places = np.arange(n_tasks)
        ax.hlines(places, *self._ends(), color=color, alpha=0.3, lw=1, zorder=1)
        self.dots_ = self._plot_dots(ax, places, color)
        for place in places[np.isnan(self._ends()[1])]:
            at_left = ax.get_yaxis_transform()
            ax.text(0.01, place, "no score", transform=at_left, va="center", fontsize="x-small")
        name_rows(ax, self.task_names)
        ax.set_ylim(n_tasks - 0.5, -0.5)
        ax.set_xlabel(self.score_name)
        hide_frame(ax)
        ax.legend(
            handles=[*self.dots_.values()],
            loc="lower left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            fontsize="small",
        )
        return self

    def _plot_dots(self, ax: Any, places: np.ndarray, constant_color: Any) -> dict[str, Any]:
        """Draw the scores of each model, and those of the constant predictor."""
        dots = {}
        for i, (name, scores) in enumerate(self.scores.items()):
            # The first model is filled and drawn above the others.
            (dots[name],) = ax.plot(
                scores,
                places,
                "o",
                color=f"C{i}",
                fillstyle="none" if i else "full",
                zorder=4 - i / len(self.scores),
                label=_labelled(name, scores),
            )
        if self.constant_scores is not None:
            (dots[_CONSTANT],) = ax.plot(
                self.constant_scores,
                places,
                "|",
                color=constant_color,
                markeredgewidth=2,
                label=_labelled(_CONSTANT, self.constant_scores),
            )
        return dots

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the greatest score of each task."""
        every = [*self.scores.values()]
        if self.constant_scores is not None:
            every.append(self.constant_scores)
        return np.fmin.reduce(every), np.fmax.reduce(every)


def _labelled(name: str, scores: np.ndarray) -> str:
    """Return the name of a model with the mean of its scores."""
    known = scores[np.isfinite(scores)]
    return f"{name} (mean {known.mean():.3f})" if len(known) else f"{name} (no score)"
