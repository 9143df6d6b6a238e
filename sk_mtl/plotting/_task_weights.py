"""Task weights by epoch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from sk_mtl._compat.arguments import check_choice
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some, name_series
from sk_mtl.plotting._epochs import End, explain_above, mark_epoch, name_ends
from sk_mtl.plotting._figures import (
    SingleAxes,
    hide_frame,
    import_pyplot,
    line_settings,
    name_rows,
    row_height,
    shorten_name,
)
from sk_mtl.plotting._learners import find_learner

# The number of colours of the default style; more lines are hard to follow.
_MAX_LINES = 10
# From this ratio of the largest weight to the smallest, a linear scale hides small weights.
_RATIO_FOR_LOG = 10


class TaskWeightsDisplay(SingleAxes):
    r"""Weight :math:`\lambda_t` of each task by epoch, for weights that are learned.

    Made by `from_estimator`. Up to ten tasks are drawn as lines with their names at the ends, more
    tasks as rows of an image. The epoch whose weights were kept is marked. The scale is
    logarithmic if the task weights differ by more than a factor of ten.

    Parameters
    ----------
    weights : dict of {task: array-like of float of shape (n_epochs,)}
        The weights after each epoch; NaN where unknown.
    best_epoch : int, default=None
        The epoch to mark, counted from 1; None marks none.

    Attributes
    ----------
    task_names : list of hashable
        The names of the tasks.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (1,)
        The axes.
    ax_ : matplotlib.axes.Axes
        The same axes.
    lines_ : dict of {task: matplotlib.lines.Line2D}
        The lines; empty for an image.
    image_ : matplotlib.image.AxesImage or None
        The image.

    See Also
    --------
    LearningCurvesDisplay : The losses by epoch.
    sk_mtl.weighting.UncertaintyWeighting : Learned weights.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> from sk_mtl.plotting import TaskWeightsDisplay
    >>> X, Y = make_multitask_classification(n_samples=80, n_tasks=2, random_state=0)
    >>> clf = MultiTaskClassifier(epochs=3, task_weighting="uncertainty", random_state=0)
    >>> display = TaskWeightsDisplay.from_estimator(clf.fit(X, Y))
    >>> {task: len(weights) for task, weights in display.weights.items()}
    {'y0': 3, 'y1': 3}
    """

    lines_: dict[Hashable, Any]
    image_: Any

    def __init__(self, weights: Mapping[Hashable, Any], best_epoch: int | None = None):
        self.weights = {name: np.asarray(w, dtype=np.float64) for name, w in weights.items()}
        self.best_epoch = best_epoch

    @property
    def task_names(self) -> list[Hashable]:
        """The names of the tasks."""
        return list(self.weights)

    @classmethod
    def from_estimator(cls, estimator: Any, *, kind: str = "auto", ax: Any = None) -> Any:
        """Draw the task weights of a fitted estimator.

        Parameters
        ----------
        estimator : MultiTaskClassifier, Pipeline or search
            A fitted estimator. The last step of a Pipeline and the `best_estimator_` of a search
            are used.
        kind : {"auto", "lines", "image"}, default="auto"
            As in `plot`.
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : TaskWeightsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If there is no network in it, or its task weights were not learned.
        """
        learner = find_learner(estimator)
        series = name_series(learner.task_names_)
        keys = zip(learner.task_names_.tolist(), (f"{name}_weight" for name in series), strict=True)
        weights = {name: learner.history_[key] for name, key in keys if key in learner.history_}
        if not weights:
            fixed = zip(learner.task_names_.tolist(), learner.task_weights_, strict=True)
            found = enumerate_some([f"{quote(name)}: {weight:g}" for name, weight in fixed])
            raise ValueError(
                "The task weights must change from epoch to epoch to be drawn by epoch, as with "
                "task_weighting='uncertainty' or a custom strategy: history_ has no "
                f"'<task>_weight'. Those of this estimator are fixed: {found}. They are in its "
                "task_weights_."
            )
        return cls(weights, learner.best_iter_).plot(ax, kind=kind)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "auto",
        line_kw: Mapping[str, Any] | None = None,
        cmap: Any = "viridis",
    ) -> TaskWeightsDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw. None makes a new figure.
        kind : {"auto", "lines", "image"}, default="auto"
            A line per task, or an image with a row per task; "auto" takes lines for up to ten.
        line_kw : dict, default=None
            For matplotlib's `plot`, for the lines.
        cmap : str or Colormap, default="viridis"
            Colour map of the image.

        Returns
        -------
        display : TaskWeightsDisplay
            The display itself.
        """
        check_choice("TaskWeightsDisplay", "kind", kind, ("auto", "lines", "image"))
        if not self.weights:
            raise ValueError("There is no task weight to draw: weights is empty.")
        plt, n_tasks = import_pyplot(), len(self.weights)
        as_lines = kind == "lines" or (kind == "auto" and n_tasks <= _MAX_LINES)
        ax = self._use_axes(ax, (7.0, 3.8 if as_lines else 1.4 + n_tasks * row_height(n_tasks)))
        self.lines_, self.image_ = {}, None
        if as_lines:
            self._plot_lines(ax, line_kw)
        else:
            self._plot_image(ax, plt.get_cmap(cmap))
        ax.set_xlabel("epoch")
        ax.locator_params(axis="x", integer=True)
        return self

    def _plot_lines(self, ax: Any, kwargs: Mapping[str, Any] | None) -> None:
        """Draw a line per task, its name at its end."""
        for i, (name, weights) in enumerate(self.weights.items()):
            epochs = np.arange(1, len(weights) + 1)
            # A single value is drawn as a point.
            marker = "o" if np.isfinite(weights).sum() == 1 else None
            settings = line_settings(kwargs, color=f"C{i % 10}", marker=marker)
            (self.lines_[name],) = ax.plot(epochs, weights, **settings)
        if self._needs_log():
            ax.set_yscale("log")
            ax.yaxis.set_minor_formatter("")
            ax.yaxis.set_major_formatter("{x:g}")
        ax.set_ylabel("task weight")
        hide_frame(ax)
        explain_above(ax, mark_epoch(ax, self.best_epoch))
        last = max(len(w) for w in self.weights.values())
        known = {name: w[np.isfinite(w)] for name, w in self.weights.items()}
        ends = [
            End(shorten_name(name), last, w[-1], self.lines_[name].get_color())
            for name, w in known.items()
            if len(w)
        ]
        name_ends(ax, ends)

    def _plot_image(self, ax: Any, cmap: Any) -> None:
        """Draw a row per task."""
        from matplotlib.colors import LogNorm, Normalize

        n_tasks, n_epochs = len(self.weights), max(len(w) for w in self.weights.values())
        values = np.full((n_tasks, n_epochs), np.nan)
        for row, weights in zip(values, self.weights.values(), strict=True):
            row[: len(weights)] = weights
        self.image_ = ax.imshow(
            values,
            aspect="auto",
            interpolation="nearest",
            cmap=cmap,
            norm=LogNorm() if self._needs_log() else Normalize(),
            extent=(0.5, n_epochs + 0.5, n_tasks - 0.5, -0.5),
        )
        name_rows(ax, self.task_names)
        bar = ax.figure.colorbar(self.image_, ax=ax, label="task weight", aspect=30)
        bar.outline.set_visible(False)
        if self._needs_log():
            bar.ax.yaxis.set_major_formatter("{x:g}")
        explain_above(ax, mark_epoch(ax, self.best_epoch, on_image=True))

    def _needs_log(self) -> bool:
        """Return whether the weights differ so much that the scale should be logarithmic."""
        every = np.concatenate(list(self.weights.values()))
        every = every[np.isfinite(every)]
        return bool(len(every) and every.min() > 0 and every.max() > _RATIO_FOR_LOG * every.min())
