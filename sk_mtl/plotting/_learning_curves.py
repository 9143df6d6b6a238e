"""Learning curves: the losses of each task by epoch, and the epoch that was kept."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_mtl._tasks import name_series
from sk_mtl.plotting._figures import grid_shape, import_pyplot, panels, shorten

_TRAINING, _VALIDATION = "training", "validation"


class LearningCurvesDisplay:
    """Shows the loss by epoch of each task, in training and in validation.

    `from_estimator` makes one from a fitted estimator. A panel for the mean over tasks, then one
    per task that the network learned; the epoch whose weights were kept is marked in each.
    Training losses are taken while the weights change and with dropout on, so they may lie above
    those of validation.

    Parameters
    ----------
    history : dict of list of float
        Losses per epoch, as `MultiTaskClassifier.history_`.
    task_names : sequence of hashable
        The names of the tasks; those without losses in `history` are left out.
    best_epoch : int, default=None
        The epoch that was kept, from 1; None marks none.

    Attributes
    ----------
    panel_names : list of str
        What each panel shows: "mean over tasks", then the tasks.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_panels,)
        The panels.
    lines_ : list of dict of {str: matplotlib.lines.Line2D}
        By panel the curves "training" and "validation", and "best" where an epoch is marked.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> from sk_mtl.plotting import LearningCurvesDisplay
    >>> X, Y = make_multitask_classification(n_samples=80, n_tasks=2, random_state=0)
    >>> clf = MultiTaskClassifier(epochs=3, early_stopping=True, random_state=0).fit(X, Y)
    >>> display = LearningCurvesDisplay.from_estimator(clf)
    >>> len(display.axes_), sorted(display.lines_[0])
    (3, ['best', 'training', 'validation'])
    """

    figure_: Any
    axes_: np.ndarray
    lines_: list[dict[str, Any]]

    def __init__(
        self,
        history: Mapping[str, Sequence[float]],
        task_names: Sequence[Hashable],
        best_epoch: int | None = None,
    ):
        self.history = dict(history)
        self.task_names = list(task_names)
        self.best_epoch = best_epoch

    @property
    def panel_names(self) -> list[str]:
        """What each panel shows."""
        return [title for title, _ in self._panels()]

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Any:
        """Make the display from a fitted estimator and draw it.

        Parameters
        ----------
        estimator : MultiTaskClassifier, Pipeline or search
            Fitted. Of a Pipeline the last step counts, of a search its `best_estimator_`.
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            As in `plot`.

        Returns
        -------
        display : LearningCurvesDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If there is no network in it, or it learned nothing.
        """
        check_is_fitted(estimator)
        learner = estimator
        while not hasattr(learner, "history_"):
            if hasattr(learner, "best_estimator_"):
                learner = learner.best_estimator_
            elif hasattr(learner, "steps"):
                learner = learner.steps[-1][1]
            else:
                raise ValueError(
                    "estimator must be a MultiTaskClassifier, or a Pipeline or search that ends "
                    f"in one, for its history_. Got {type(learner).__name__}."
                )
        return cls(learner.history_, learner.task_names_, learner.best_iter_).plot(ax)

    def plot(self, ax: Any = None) -> LearningCurvesDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            Axes whose place is divided into panels, or one per panel. None makes a new figure.

        Returns
        -------
        display : LearningCurvesDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are no losses to draw, or not as many axes as panels.
        """
        curves = self._panels()
        if not curves:
            raise ValueError("There is no loss to draw: no task was learned by a network.")
        shape = grid_shape(len(curves))
        axes = self._make_axes(ax, shape, len(curves))
        self.axes_, self.figure_ = axes, axes[0].figure
        self.lines_ = [
            self._plot_panel(panel, *curve, many=len(curves) > 16)
            for panel, curve in zip(axes, curves, strict=True)
        ]
        self._label(axes, shape, given=ax is not None)
        return self

    def _panels(self) -> list[tuple[str, str]]:
        """Return (title, key of the training loss) of each panel."""
        series = name_series(self.task_names)
        titles = map(shorten, self.task_names)
        tasks = [(title, f"{name}_loss") for title, name in zip(titles, series, strict=True)]
        tasks = [(title, key) for title, key in tasks if key in self.history]
        return [("mean over tasks", "loss"), *tasks] if len(tasks) > 1 else tasks

    def _make_axes(self, ax: Any, shape: tuple[int, int], n_panels: int) -> np.ndarray:
        """Return the axes to draw on, one per panel."""
        if ax is not None and not hasattr(ax, "get_subplotspec"):
            axes = np.asarray(ax, dtype=object).ravel()
            if len(axes) != n_panels:
                raise ValueError(
                    f"ax must be one Axes or as many as there are panels, {n_panels}. "
                    f"Got {len(axes)}."
                )
            return axes
        if ax is None:
            width, height = (3.0, 2.6) if n_panels <= 16 else (1.8, 1.5)
            size = (max(5.4, width * shape[1]), height * shape[0] + 0.5)
            ax = import_pyplot().figure(figsize=size, layout="constrained").subplots()
        if n_panels == 1:
            return np.array([ax], dtype=object)
        axes = panels(ax, *shape).ravel()
        for unused in axes[n_panels:]:
            unused.remove()
        return axes[:n_panels]

    def _plot_panel(self, ax: Any, title: str, key: str, *, many: bool) -> dict[str, Any]:
        """Draw the curves of one panel."""
        size = "small" if many else "medium"
        lines = {}
        for name, color, curve in [
            (_TRAINING, "C0", self.history[key]),
            (_VALIDATION, "C1", self.history.get(f"val_{key}", [])),
        ]:
            if len(curve):
                epochs = np.arange(1, len(curve) + 1)
                (lines[name],) = ax.plot(epochs, curve, color=color, label=name)
        if self.best_epoch:
            lines["best"] = ax.axvline(
                self.best_epoch,
                color="C2",
                linestyle="--",
                label=f"weights kept: epoch {self.best_epoch}",
            )
            watched = lines.get(_VALIDATION, lines[_TRAINING])
            if self.best_epoch <= len(watched.get_ydata()):
                best_loss = watched.get_ydata()[self.best_epoch - 1]
                ax.plot(
                    self.best_epoch,
                    best_loss,
                    "o",
                    color=watched.get_color(),
                    markersize=4 if many else None,
                )
        weight = "bold" if key == "loss" else "normal"
        ax.set_title(title, fontsize=size, fontweight=weight, loc="left")
        ax.locator_params(axis="x", integer=True, nbins=4)
        ax.locator_params(axis="y", nbins=3 if many else 5)
        ax.tick_params(labelsize="x-small" if many else "small")
        ax.spines[["top", "right"]].set_visible(False)
        return lines

    def _label(self, axes: np.ndarray, shape: tuple[int, int], *, given: bool) -> None:
        """Name the axes and the curves, once for a figure of the display's own."""
        handles = list(self.lines_[0].values())
        if not given:
            self.figure_.supxlabel("epoch", fontsize="medium")
            self.figure_.supylabel("loss", fontsize="medium")
            self.figure_.legend(
                handles=handles, loc="outside upper left", ncols=len(handles), frameon=False
            )
            return
        for ax in axes[:: shape[1]]:
            ax.set_ylabel("loss")
        for ax in axes[-shape[1] :]:
            ax.set_xlabel("epoch")
        axes[0].legend(handles=handles, fontsize="small")
