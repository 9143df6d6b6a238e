"""Learning curves: the losses of each task by epoch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from sk_mtl._tasks import name_series
from sk_mtl.plotting._figures import hide_frame
from sk_mtl.plotting._learners import find_learner
from sk_mtl.plotting._panels import (
    FEW_PANELS,
    choose_tasks,
    label_panels,
    make_panels,
    note_left_out,
    shorten_title,
    text_sizes,
)

_TRAINING, _VALIDATION = "training", "validation"


class LearningCurvesDisplay:
    """Training and validation loss of each task by epoch.

    Made by `from_estimator`. The first panel is for the mean over tasks, the others are for the
    tasks that the network learned. The epoch whose weights were kept is marked. Training losses
    are computed with dropout and while the weights change, so they may be higher than validation
    losses.

    Parameters
    ----------
    history : dict of list of float
        Losses per epoch, as `MultiTaskClassifier.history_`.
    task_names : sequence of hashable
        The names of the tasks; those without losses in `history` are left out.
    best_epoch : int, default=None
        The epoch to mark, counted from 1; None marks none.

    Attributes
    ----------
    panel_names : list of str
        The titles of the panels: "mean over tasks", then the tasks.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_panels,)
        The panels.
    lines_ : list of dict of {str: matplotlib.lines.Line2D}
        By panel the curves "training" and "validation", and "best" if an epoch is marked.

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
        """The titles of the panels."""
        return [title for title, _ in self._panels()]

    @classmethod
    def from_estimator(cls, estimator: Any, *, tasks: Any = None, ax: Any = None) -> Any:
        """Draw the losses of a fitted estimator.

        Parameters
        ----------
        estimator : MultiTaskClassifier, Pipeline or search
            A fitted estimator. The last step of a Pipeline and the `best_estimator_` of a search
            are used.
        tasks : sequence of hashable, default=None
            As in `plot`.
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
        learner = find_learner(estimator)
        return cls(learner.history_, learner.task_names_, learner.best_iter_).plot(ax, tasks=tasks)

    def plot(self, ax: Any = None, *, tasks: Any = None) -> LearningCurvesDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            Axes whose place is divided into panels, or one per panel. None makes a new figure.
        tasks : sequence of hashable, default=None
            The tasks to draw besides the mean, by name or position; tasks without losses are left
            out. None draws all tasks, at most the first 64.

        Returns
        -------
        display : LearningCurvesDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are no losses to draw, or not as many axes as panels.
        """
        curves = self._panels(tasks)
        if not curves:
            raise ValueError("There is no loss to draw: no task was learned by a network.")
        axes = make_panels(ax, len(curves), height=0.85)
        self.axes_, self.figure_ = axes, axes[0].figure
        self.lines_ = [
            self._plot_panel(panel, *curve, n_panels=len(curves))
            for panel, curve in zip(axes, curves, strict=True)
        ]
        xlabel = note_left_out("epoch", tasks, len(self._learned()))
        label_panels(axes, xlabel, "loss", given=ax is not None)
        handles = list(self.lines_[0].values())
        if ax is None:
            self.figure_.legend(
                handles=handles, loc="outside upper left", ncols=len(handles), frameon=False
            )
        else:
            axes[0].legend(handles=handles, fontsize="small")
        return self

    def _learned(self) -> list[tuple[Hashable, str]]:
        """Return (name, key of the training loss) of each task that has losses."""
        keys = [f"{name}_loss" for name in name_series(self.task_names)]
        named = zip(self.task_names, keys, strict=True)
        return [(name, key) for name, key in named if key in self.history]

    def _panels(self, tasks: Any = None) -> list[tuple[str, str]]:
        """Return (title, key of the training loss) of each panel."""
        learned = self._learned()
        if tasks is None:
            chosen = [learned[i] for i in choose_tasks(None, learned)]
        else:
            wanted = [self.task_names[i] for i in choose_tasks(tasks, self.task_names)]
            chosen = [(name, key) for name in wanted for n, key in learned if n == name]
        n_panels = len(chosen) + (len(learned) > 1)
        panels = [(shorten_title(name, n_panels), key) for name, key in chosen]
        return [("mean over tasks", "loss"), *panels] if len(learned) > 1 else panels

    def _plot_panel(self, ax: Any, title: str, key: str, *, n_panels: int) -> dict[str, Any]:
        """Draw the curves of one panel."""
        title_size, tick_size = text_sizes(n_panels)
        many = n_panels > FEW_PANELS
        lines = {}
        for name, color, losses in [
            (_TRAINING, "C0", self.history[key]),
            (_VALIDATION, "C1", self.history.get(f"val_{key}", [])),
        ]:
            if len(losses):
                epochs = np.arange(1, len(losses) + 1)
                (lines[name],) = ax.plot(epochs, losses, color=color, label=name)
        if self.best_epoch:
            lines["best"] = ax.axvline(
                self.best_epoch,
                color="C2",
                linestyle="--",
                label=f"weights kept: epoch {self.best_epoch}",
            )
            curve = lines.get(_VALIDATION, lines[_TRAINING])
            if self.best_epoch <= len(curve.get_ydata()):
                best_loss = curve.get_ydata()[self.best_epoch - 1]
                ax.plot(
                    self.best_epoch,
                    best_loss,
                    "o",
                    color=curve.get_color(),
                    markersize=4 if many else None,
                )
        weight = "bold" if key == "loss" else "normal"
        ax.set_title(title, fontsize=title_size, fontweight=weight, loc="left")
        ax.locator_params(axis="x", integer=True, nbins=4)
        ax.locator_params(axis="y", nbins=3 if many else 5)
        ax.tick_params(labelsize=tick_size)
        hide_frame(ax)
        return lines
