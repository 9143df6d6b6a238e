"""Calibration (reliability) curves, a panel per task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from sk_mtl._compat.arguments import check_choice
from sk_mtl.plotting._colors import class_colors
from sk_mtl.plotting._figures import hide_frame, import_pyplot, line_settings
from sk_mtl.plotting._panels import FEW_PANELS, text_sizes
from sk_mtl.plotting._reliability import CONFIDENCE, ReliabilityCurve, reliability_curves
from sk_mtl.plotting._task_panels import TaskPanels, name_class, predict_probabilities

# The histogram below a panel: its top and its height, in heights of the panel.
_HISTOGRAM_TOP, _HISTOGRAM_HEIGHT = -0.06, 0.2


class TaskCalibrationDisplay(TaskPanels):
    r"""Calibration curves of each task, in a panel each.

    Made by `from_estimator` and `from_predictions`. The labelled cells of a task are binned by a
    predicted probability. A point per bin shows the mean of that probability and the share of
    cells that have the class, with the 95 % interval of the share [2]_. Calibrated probabilities
    lie on the dashed line. The histogram of the predicted probabilities is below.

    `kind` selects the probability: "one_vs_rest" is that of the second of two classes, or of each
    of more; "confidence" is that of the predicted class, as in [1]_; "auto" is "one_vs_rest" for
    two classes and "confidence" for more.

    The calibration error in the titles is `sk_mtl.metrics.calibration_error` with the same number
    of bins. It is always that of the predicted class in bins of equal width.

    Parameters
    ----------
    curves : dict of {task: {class: ReliabilityCurve}}
        The curves of each task; "confidence" stands for the predicted class.
    calibration_error : dict of {task: float}
        The error of each task; NaN where undefined.
    problems : dict of {task: str}, default=None
        The reasons why tasks have no curve.

    Attributes
    ----------
    task_names : list of hashable
        The names of the tasks.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_panels,)
        The panels.
    histogram_axes_ : dict of {task: matplotlib.axes.Axes}
        The histogram below each panel.
    lines_ : dict of {task: {class: matplotlib.lines.Line2D}}
        The points drawn.

    See Also
    --------
    sk_mtl.metrics.calibration_error : The error in the titles.
    sklearn.calibration.CalibrationDisplay : For one task; see `MultiTaskClassifier.task_view`.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017). On Calibration of Modern Neural
       Networks. ICML 2017.

    .. [2] E. B. Wilson (1927). Probable Inference, the Law of Succession, and Statistical
       Inference. Journal of the American Statistical Association 22(158).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_mtl.plotting import TaskCalibrationDisplay
    >>> Y = pd.DataFrame({"a": [0, 1, 0, 1], "b": ["x", None, "y", "y"]})
    >>> p = np.array([[0.2, 0.3], [0.8, 0.6], [0.2, 0.7], [0.8, 0.9]])
    >>> display = TaskCalibrationDisplay.from_predictions(Y, p, n_bins=5)
    >>> curve = display.curves["a"][1]
    >>> curve.prob_pred, curve.prob_true
    (array([0.2, 0.8]), array([0., 1.]))
    >>> round(display.calibration_error["a"], 2)
    0.2
    """

    _metric, _panel_height = "calibration_error", 1.25
    _axis_names = ("predicted probability", "observed share")

    histogram_axes_: dict[Hashable, Any]

    def __init__(
        self,
        curves: Mapping[Hashable, Mapping[Any, ReliabilityCurve]],
        calibration_error: Mapping[Hashable, float],
        problems: Mapping[Hashable, str] | None = None,
    ):
        self.curves = curves
        self.calibration_error = self._scores = dict(calibration_error)
        self.problems = dict(problems or {})

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        kind: str = "auto",
        n_bins: int = 15,
        strategy: str = "uniform",
        sample_weight: Any = None,
        missing_label: Any = None,
        tasks: Any = None,
        ax: Any = None,
        ref_line: bool = True,
        curve_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Predict probabilities with a fitted estimator and draw their calibration.

        Parameters
        ----------
        estimator : estimator
            A fitted `MultiTaskClassifier`, or a fitted Pipeline or search that ends in one, or
            another with `predict_proba` and `classes_` for several tasks.
        X : array-like of shape (n_samples, n_features)
            Samples to predict.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        kind : {"auto", "confidence", "one_vs_rest"}, default="auto"
            The probability to show.
        n_bins : int, default=15
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether the bins have equal width or equal numbers of cells.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing"; None means those of the estimator.
        tasks : sequence of hashable, default=None
            As in `plot`.
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            As in `plot`.
        ref_line : bool, default=True
            As in `plot`.
        curve_kwargs : dict, default=None
            As in `plot`.

        Returns
        -------
        display : TaskCalibrationDisplay
            The display, drawn.
        """
        return cls.from_predictions(
            y,
            **predict_probabilities(estimator, X, y, missing_label),
            kind=kind,
            n_bins=n_bins,
            strategy=strategy,
            sample_weight=sample_weight,
            tasks=tasks,
            ax=ax,
            ref_line=ref_line,
            curve_kwargs=curve_kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        *,
        kind: str = "auto",
        n_bins: int = 15,
        strategy: str = "uniform",
        sample_weight: Any = None,
        missing_label: Any = None,
        classes: Any = None,
        tasks: Any = None,
        ax: Any = None,
        ref_line: bool = True,
        curve_kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Draw the calibration of predicted probabilities.

        Parameters
        ----------
        y_true : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            True labels; NaN, None, NaT or NA where missing.
        y_proba : PerTask, list, mapping, DataFrame or array-like
            Probabilities in any form that `sk_mtl.metrics.multitask_score` takes.
        kind : {"auto", "confidence", "one_vs_rest"}, default="auto"
            The probability to show.
        n_bins : int, default=15
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether the bins have equal width or equal numbers of cells.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing".
        classes : PerTask, sequence of arrays, mapping of {task: labels} or array, default=None
            The classes of each task in the order of the columns of its probabilities.
        tasks : sequence of hashable, default=None
            As in `plot`.
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            As in `plot`.
        ref_line : bool, default=True
            As in `plot`.
        curve_kwargs : dict, default=None
            As in `plot`.

        Returns
        -------
        display : TaskCalibrationDisplay
            The display, drawn.

        Warns
        -----
        UndefinedMetricWarning
            If labelled cells are left out because they have no prediction.
        """
        check_choice("TaskCalibrationDisplay", "kind", kind, ("auto", "confidence", "one_vs_rest"))
        check_choice("TaskCalibrationDisplay", "strategy", strategy, ("uniform", "quantile"))
        cells, errors, reasons = cls._score(
            y_true,
            y_proba,
            {"n_bins": n_bins},
            sample_weight=sample_weight,
            missing_label=missing_label,
            classes=classes,
        )
        curves = {
            name: {}
            if task.cells is None
            else reliability_curves(task.cells, kind, n_bins, strategy)
            for name, task in cells.items()
        }
        display = cls(curves, errors, reasons)
        return display.plot(ax, tasks=tasks, ref_line=ref_line, curve_kwargs=curve_kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        tasks: Any = None,
        ref_line: bool = True,
        curve_kwargs: Mapping[str, Any] | None = None,
    ) -> TaskCalibrationDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array-like of Axes, default=None
            Axes whose place is divided into panels, or one per panel. None makes a new figure.
        tasks : sequence of hashable, default=None
            The tasks to draw, by name or position. None draws them all, up to the first 64.
        ref_line : bool, default=True
            Whether to draw the line of perfect calibration.
        curve_kwargs : dict, default=None
            For matplotlib's `plot`, for the points.

        Returns
        -------
        display : TaskCalibrationDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is no such task, or there are not as many axes as panels.
        """
        self.histogram_axes_ = {}

        def plot_task(panel: Any, name: Hashable, n_panels: int) -> None:
            self.lines_[name] = {}
            if self.curves[name]:
                if ref_line:
                    color = import_pyplot().rcParams["text.color"]
                    panel.plot([0, 1], [0, 1], "--", color=color, alpha=0.6, lw=0.8, zorder=1)
                self._plot_curves(panel, name, n_panels, curve_kwargs)

        names = self._plot_panels(ax, tasks, plot_task)
        self._move_ticks_to_histograms(names)
        return self

    def _plot_curves(
        self, ax: Any, name: Hashable, n_panels: int, kwargs: Mapping[str, Any] | None
    ) -> None:
        """Draw the curves of a task, and the histogram below."""
        few, curves = n_panels <= FEW_PANELS, self.curves[name]
        histogram = ax.inset_axes(
            [0, _HISTOGRAM_TOP - _HISTOGRAM_HEIGHT, 1, _HISTOGRAM_HEIGHT], sharex=ax
        )
        self.histogram_axes_[name] = histogram
        for (label, curve), color in zip(curves.items(), class_colors(len(curves)), strict=True):
            settings = line_settings(
                kwargs,
                color=color,
                marker="o",
                markersize=4 if few else 2.5,
                linewidth=1 if few else 0.8,
                label=str(label),
            )
            (line,) = ax.plot(curve.prob_pred, curve.prob_true, **settings)
            self.lines_[name][label] = line
            if len(curves) == 1:
                ax.vlines(curve.prob_pred, *curve.interval, color=line.get_color(), alpha=0.5)
            # Bars of one curve, outlines of several.
            histogram.stairs(
                curve.histogram,
                np.linspace(0, 1, len(curve.histogram) + 1),
                fill=len(curves) == 1,
                color=line.get_color(),
            )
        # The histogram is upside down, and its only tick is the count of its highest bar.
        highest = max(int(curve.histogram.max()) for curve in curves.values())
        histogram.set_ylim(1.1 * max(highest, 1), 0)
        histogram.set_yticks([highest], [f"{highest:,}"])
        histogram.tick_params(labelsize=text_sizes(n_panels)[1], labelbottom=False)
        hide_frame(histogram)

    def _describe(self, name: Hashable, labels: list[Any], *, few: bool) -> str:
        text = f"ECE {self.calibration_error[name]:.3f}"
        if not few:
            return text
        if len(labels) > 1:
            return f"{text}, {len(labels)} classes"
        label = "predicted class" if labels[0] == CONFIDENCE else name_class(labels[0])
        return f"{text}, {label}" if label else text

    def _move_ticks_to_histograms(self, names: list[Hashable]) -> None:
        """Show the ticks of the probability below the histogram instead of the panel."""
        for ax, name in zip(self.axes_, names, strict=True):
            if name in self.histogram_axes_:
                shown = ax.xaxis.get_tick_params().get("labelbottom", True)
                self.histogram_axes_[name].tick_params(labelbottom=shown)
                ax.tick_params(labelbottom=False)
