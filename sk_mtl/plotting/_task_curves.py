"""What ROC and precision-recall curves share: a panel per task, a curve per class.

Owns the reading of predictions and the drawing; the curves are those of the two displays.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_mtl.metrics._predictions import ScoredTask, gather_tasks
from sk_mtl.metrics._score import score_tasks, warn_of_left_out
from sk_mtl.metrics._task_metrics import TaskCells, find_metric
from sk_mtl.plotting._colors import class_colors
from sk_mtl.plotting._figures import (
    FEW_PANELS,
    choose_tasks,
    import_pyplot,
    label_panels,
    line_settings,
    make_panels,
    say_what_is_left_out,
    shorten,
    shorten_title,
    text_sizes,
    write_in_panel,
)
from sk_mtl.plotting._learners import read_missing_label

# Curves, or points, of the classes of each task.
ByClass = Mapping[Hashable, Mapping[Any, np.ndarray]]

# More classes than this are drawn without a legend.
_MAX_CLASSES_IN_A_LEGEND = 8


class TaskCurves:
    """What the two displays share: reading predictions, panels, colours."""

    _metric: str
    _score_name: str
    _axis_names: tuple[str, str]

    figure_: Any
    axes_: np.ndarray
    lines_: dict[Hashable, dict[Any, Any]]
    chance_levels_: dict[Hashable, list[Any]]

    _curves: tuple[ByClass, ByClass]
    _scores: dict[Hashable, float]
    problems: dict[Hashable, str]

    @property
    def task_names(self) -> list[Hashable]:
        """The names of the tasks."""
        return list(self._scores)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        missing_label: Any = None,
        drop_intermediate: bool = True,
        tasks: Any = None,
        ax: Any = None,
        plot_chance_level: bool = True,
        curve_kwargs: Mapping[str, Any] | None = None,
        chance_level_kw: Mapping[str, Any] | None = None,
    ) -> Any:
        """Predict probabilities with a fitted estimator and draw the curves.

        Parameters
        ----------
        estimator : estimator
            A fitted `MultiTaskClassifier`, or a fitted Pipeline or search that ends in one, or
            another with `predict_proba` and `classes_` for several tasks.
        X : array-like of shape (n_samples, n_features)
            Samples to judge on.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, default=None
            One more value that means "missing"; None is the estimator's own.
        drop_intermediate : bool, default=True
            Whether to leave out points that lie on the line between others.
        tasks : sequence of hashable, default=None
            As in `plot`.
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            As in `plot`.
        plot_chance_level : bool, default=True
            As in `plot`.
        curve_kwargs : dict, default=None
            As in `plot`.
        chance_level_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : object
            The display, drawn.
        """
        check_is_fitted(estimator)
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            sample_weight=sample_weight,
            missing_label=read_missing_label(estimator, missing_label),
            classes=getattr(estimator, "classes_", None),
            drop_intermediate=drop_intermediate,
            tasks=tasks,
            ax=ax,
            plot_chance_level=plot_chance_level,
            curve_kwargs=curve_kwargs,
            chance_level_kw=chance_level_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        *,
        sample_weight: Any = None,
        missing_label: Any = None,
        classes: Any = None,
        drop_intermediate: bool = True,
        tasks: Any = None,
        ax: Any = None,
        plot_chance_level: bool = True,
        curve_kwargs: Mapping[str, Any] | None = None,
        chance_level_kw: Mapping[str, Any] | None = None,
    ) -> Any:
        """Draw the curves of predicted probabilities.

        Parameters
        ----------
        y_true : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            True labels; NaN, None, NaT or NA where missing.
        y_proba : PerTask, list, mapping, DataFrame or array-like
            Probabilities in any form that `sk_mtl.metrics.multitask_score` takes.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, default=None
            One more value that means "missing".
        classes : PerTask, sequence of arrays, mapping of {task: labels} or array, default=None
            The classes of each task in the order of the columns of its probabilities.
        drop_intermediate : bool, default=True
            Whether to leave out points that lie on the line between others.
        tasks : sequence of hashable, default=None
            As in `plot`.
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            As in `plot`.
        plot_chance_level : bool, default=True
            As in `plot`.
        curve_kwargs : dict, default=None
            As in `plot`.
        chance_level_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : object
            The display, drawn.

        Warns
        -----
        UndefinedMetricWarning
            If labelled cells are left out because they have no prediction.
        """
        cells = gather_tasks(
            y_true,
            y_proba,
            response_method="predict_proba",
            sample_weight=sample_weight,
            missing_label=missing_label,
            classes=classes,
        )
        metric = find_metric(cls._metric)
        scores, problems = score_tasks(metric, cells, {})
        # The picture itself says which tasks have no curve.
        warn_of_left_out(metric, cells, {}, None)
        display = cls._from_cells(cells, scores, problems, drop_intermediate)
        return display.plot(
            ax,
            tasks=tasks,
            plot_chance_level=plot_chance_level,
            curve_kwargs=curve_kwargs,
            chance_level_kw=chance_level_kw,
        )

    @classmethod
    def _from_cells(
        cls,
        cells: Mapping[Any, ScoredTask],
        scores: dict[Any, float],
        problems: dict[Any, str],
        drop_intermediate: bool,
    ) -> Any:
        raise NotImplementedError

    def plot(
        self,
        ax: Any = None,
        *,
        tasks: Any = None,
        plot_chance_level: bool = True,
        curve_kwargs: Mapping[str, Any] | None = None,
        chance_level_kw: Mapping[str, Any] | None = None,
    ) -> Any:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            Axes whose place is divided into panels, or one per panel. None makes a new figure.
        tasks : sequence of hashable, default=None
            The tasks to draw, by name or position. None draws them all, up to the first 64.
        plot_chance_level : bool, default=True
            Whether to draw what a prediction that knows nothing of X gives.
        curve_kwargs : dict, default=None
            For matplotlib's `plot`, for the curves.
        chance_level_kw : dict, default=None
            For matplotlib's `plot`, for the chance level.

        Returns
        -------
        display : object
            The display itself.

        Raises
        ------
        ValueError
            If there is no such task, or there are not as many axes as panels.
        """
        names = self.task_names
        chosen = [names[i] for i in choose_tasks(tasks, names)]
        axes = make_panels(ax, len(chosen))
        self.axes_, self.figure_ = axes, axes[0].figure
        self.lines_, self.chance_levels_ = {}, {}
        for panel, name in zip(axes, chosen, strict=True):
            self.lines_[name] = self._plot_curves(panel, name, len(chosen), curve_kwargs)
            self.chance_levels_[name] = (
                self._plot_chance_levels(panel, name, chance_level_kw) if plot_chance_level else []
            )
            self._finish_panel(panel, name, len(chosen))
        xlabel, ylabel = self._axis_names
        xlabel = say_what_is_left_out(xlabel, tasks, len(names))
        label_panels(axes, xlabel, ylabel, given=ax is not None, same_scale=True)
        return self

    def _plot_curves(
        self, ax: Any, name: Hashable, n_panels: int, kwargs: Mapping[str, Any] | None
    ) -> dict[Any, Any]:
        """Draw the curve of each class of a task."""
        x, y = self._curves
        labels = list(x.get(name, {}))
        colors = ["C0"] if len(labels) == 1 else class_colors(len(labels))
        width = 1.0 if n_panels > FEW_PANELS or len(labels) > 1 else 1.5
        lines = {}
        for label, color in zip(labels, colors, strict=True):
            settings = line_settings(
                kwargs, color=color, linewidth=width, label=str(label), drawstyle=self._drawstyle
            )
            (lines[label],) = ax.plot(x[name][label], y[name][label], **settings)
        return lines

    _drawstyle = "default"

    def _plot_chance_levels(
        self, ax: Any, name: Hashable, kwargs: Mapping[str, Any] | None
    ) -> list[Any]:
        """Draw the chance level of each class of a task."""
        rc = import_pyplot().rcParams
        lines = []
        lines_of_classes = self.lines_[name]
        for height, line in self._chance_levels(name, lines_of_classes):
            color = rc["text.color"] if line is None else line.get_color()
            settings = line_settings(
                kwargs, color=color, alpha=0.6, linestyle="--", linewidth=0.8, zorder=1
            )
            lines += ax.plot([0, 1], height, **settings)
        return lines

    def _chance_levels(
        self, name: Hashable, lines: Mapping[Any, Any]
    ) -> list[tuple[tuple[float, float], Any]]:
        """Return the ends of each chance level, and the curve that it belongs to, if to one."""
        raise NotImplementedError

    def _finish_panel(self, ax: Any, name: Hashable, n_panels: int) -> None:
        """Write the title, the legend and the scale of a panel."""
        title_size, text_size = text_sizes(n_panels)
        labels = list(self.lines_[name])
        few = n_panels <= FEW_PANELS
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.tick_params(labelsize=text_size)
        ax.spines[["top", "right"]].set_visible(False)
        title = shorten_title(name, n_panels) + "\n"
        if labels:
            title += f"{self._score_name} {self._scores[name]:.2f}" + _say_classes(labels, few)
        else:
            write_in_panel(ax, f"no curve: {self.problems.get(name, 'no points')}", text_size)
        ax.set_title(title, fontsize=title_size, loc="left")
        if few and 1 < len(labels) <= _MAX_CLASSES_IN_A_LEGEND:
            ax.legend(
                loc=self._legend_place(name),
                fontsize="x-small",
                framealpha=0.7,
                handlelength=1,
                borderpad=0.3,
                labelspacing=0.2,
            )

    def _legend_place(self, name: Hashable) -> str:
        return "lower right"


def _say_classes(labels: list[Any], few: bool) -> str:
    """Return which class the score of a task is for, as the end of a title."""
    if len(labels) > 1:
        return f", mean of {len(labels)} classes" if few else f", {len(labels)} classes"
    label = labels[0]
    # 1 and True go without saying.
    return "" if not few or str(label) in ("1", "1.0", "True") else f" for {shorten(label, 14)}"


def classes_to_draw(cells: TaskCells) -> list[int]:
    """Return the codes of the classes that have a curve: the second of two, or all with labels."""
    return [1] if cells.n_classes == 2 else np.unique(cells.true).tolist()
