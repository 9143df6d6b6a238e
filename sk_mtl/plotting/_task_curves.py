"""What ROC and precision-recall curves share: how they are made, and their chance levels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from sk_mtl.plotting._colors import class_colors
from sk_mtl.plotting._figures import import_pyplot, line_settings
from sk_mtl.plotting._panels import FEW_PANELS
from sk_mtl.plotting._task_panels import TaskPanels, name_class, predict_probabilities

# Curves, or points, of the classes of each task.
ByClass = Mapping[Hashable, Mapping[Any, np.ndarray]]


class TaskCurves(TaskPanels):
    """The base of the ROC and precision-recall displays."""

    _score_name: str
    _drawstyle = "default"

    chance_levels_: dict[Hashable, list[Any]]

    _curves: tuple[ByClass, ByClass]

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
            Samples to predict.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing"; None means those of the estimator.
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
        return cls.from_predictions(
            y,
            **predict_probabilities(estimator, X, y, missing_label),
            sample_weight=sample_weight,
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
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing".
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
        scored, scores, reasons = cls._score(
            y_true,
            y_proba,
            {},
            sample_weight=sample_weight,
            missing_label=missing_label,
            classes=classes,
        )
        curves: dict[Any, dict[Any, Any]] = {name: {} for name in scored}
        for name, task in scored.items():
            if task.cells is None or name in reasons:
                continue
            cells = task.cells
            # The second of two classes, or all classes with labels.
            for code in [1] if cells.n_classes == 2 else np.unique(cells.true):
                curves[name][cells.labels.tolist()[code]] = cls._compute_curve(
                    cells.true == code,
                    cells.predicted[:, code],
                    cells.weight,
                    drop_intermediate=drop_intermediate,
                )
        display = cls._from_curves(curves, scores, reasons)
        return display.plot(
            ax,
            tasks=tasks,
            plot_chance_level=plot_chance_level,
            curve_kwargs=curve_kwargs,
            chance_level_kw=chance_level_kw,
        )

    @classmethod
    def _compute_curve(
        cls, is_class: np.ndarray, proba: np.ndarray, weight: np.ndarray | None, **options: Any
    ) -> tuple[Any, ...]:
        """Return what the display stores of one class: coordinates and the like."""
        raise NotImplementedError

    @classmethod
    def _from_curves(
        cls, curves: Mapping[Any, Mapping[Any, Any]], scores: Any, reasons: Any
    ) -> Any:
        """Return the display of ``{task: {class: result of _compute_curve}}``."""
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
            Whether to draw the chance level, that of predictions that ignore X.
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
        self.chance_levels_ = {}

        def plot_task(panel: Any, name: Hashable, n_panels: int) -> None:
            self.lines_[name] = self._plot_curves(panel, name, n_panels, curve_kwargs)
            self.chance_levels_[name] = (
                self._plot_chance_levels(panel, name, chance_level_kw) if plot_chance_level else []
            )

        self._plot_panels(ax, tasks, plot_task)
        return self

    def _plot_curves(
        self, ax: Any, name: Hashable, n_panels: int, kwargs: Mapping[str, Any] | None
    ) -> dict[Any, Any]:
        """Draw the curve of each class of a task."""
        x, y = self._curves
        labels = list(x.get(name, {}))
        width = 1.0 if n_panels > FEW_PANELS or len(labels) > 1 else 1.5
        lines = {}
        for label, color in zip(labels, class_colors(len(labels)), strict=True):
            settings = line_settings(
                kwargs, color=color, linewidth=width, label=str(label), drawstyle=self._drawstyle
            )
            (lines[label],) = ax.plot(x[name][label], y[name][label], **settings)
        return lines

    def _plot_chance_levels(
        self, ax: Any, name: Hashable, kwargs: Mapping[str, Any] | None
    ) -> list[Any]:
        """Draw the chance levels of a task."""
        text_color = import_pyplot().rcParams["text.color"]
        lines = []
        for height, line in self._chance_levels(name, self.lines_[name]):
            color = text_color if line is None else line.get_color()
            settings = line_settings(
                kwargs, color=color, alpha=0.6, linestyle="--", linewidth=0.8, zorder=1
            )
            lines += ax.plot([0, 1], height, **settings)
        return lines

    def _chance_levels(
        self, name: Hashable, lines: Mapping[Any, Any]
    ) -> list[tuple[tuple[float, float], Any]]:
        """Return the ends of each chance level, and its curve unless it is for all curves."""
        raise NotImplementedError

    def _describe(self, name: Hashable, labels: list[Any], *, few: bool) -> str:
        score = f"{self._score_name} {self._scores[name]:.2f}"
        if len(labels) > 1:
            return f"{score}, {'mean of ' if few else ''}{len(labels)} classes"
        label = name_class(labels[0]) if few else ""
        return f"{score} for {label}" if label else score

    def _legend_place(self, name: Hashable) -> str:
        return "lower right"


def pick(curves: Mapping[Any, Mapping[Any, Any]], position: int) -> dict[Any, dict[Any, Any]]:
    """Return one element of the result of each curve, by task and class."""
    return {
        name: {label: curve[position] for label, curve in of_task.items()}
        for name, of_task in curves.items()
    }
