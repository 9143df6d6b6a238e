"""Calibration (reliability) of the probabilities, a panel per task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_mtl.metrics._predictions import gather_tasks
from sk_mtl.metrics._score import score_tasks, warn_of_left_out
from sk_mtl.metrics._task_metrics import find_metric
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
from sk_mtl.plotting._reliability import CONFIDENCE, ReliabilityCurve, reliability_curves

_KINDS = ("auto", "confidence", "one_vs_rest")
_STRATEGIES = ("uniform", "quantile")
# More classes than this are drawn without a legend.
_MAX_CLASSES_IN_A_LEGEND = 8
# The histogram below a panel: its top and its height, in heights of the panel.
_HISTOGRAM_TOP, _HISTOGRAM_HEIGHT = -0.06, 0.2


class TaskCalibrationDisplay:
    r"""Shows how far the probabilities of each task can be believed, a panel each.

    `from_estimator` and `from_predictions` make one. The labelled cells of a task are sorted into
    bins by a predicted probability; a point per bin shows the mean of that probability and the
    share of cells for which it came true, with the 95 % interval of the share [2]_. Calibrated
    probabilities lie on the dashed line. Below is the histogram of the predicted probabilities.

    Which probability is shown is said by `kind`: "one_vs_rest" is that of the second of two
    classes, or of each of more; "confidence" is that of the class predicted, as in [1]_; "auto"
    takes the first for two classes and the second for more.

    The calibration error in the titles is that of `sk_mtl.metrics.calibration_error` with as many
    bins: of the class predicted, in bins of equal width, whatever is drawn.

    Parameters
    ----------
    curves : dict of {task: {class: ReliabilityCurve}}
        The curves of each task; the class is "confidence" for that of the class predicted.
    calibration_error : dict of {task: float}
        The error of each task; NaN where undefined.
    problems : dict of {task: str}, default=None
        Why tasks have no curve.

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

    figure_: Any
    axes_: np.ndarray
    histogram_axes_: dict[Hashable, Any]
    lines_: dict[Hashable, dict[Any, Any]]

    def __init__(
        self,
        curves: Mapping[Hashable, Mapping[Any, ReliabilityCurve]],
        calibration_error: Mapping[Hashable, float],
        problems: Mapping[Hashable, str] | None = None,
    ):
        self.curves = curves
        self.calibration_error = dict(calibration_error)
        self.problems = dict(problems or {})

    @property
    def task_names(self) -> list[Hashable]:
        """The names of the tasks."""
        return list(self.calibration_error)

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
            Samples to judge on.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        kind : {"auto", "confidence", "one_vs_rest"}, default="auto"
            Which probability is shown.
        n_bins : int, default=15
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether the points are of bins of equal width, or of equally many cells.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, default=None
            One more value that means "missing"; None is the estimator's own.
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
        check_is_fitted(estimator)
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            kind=kind,
            n_bins=n_bins,
            strategy=strategy,
            sample_weight=sample_weight,
            missing_label=read_missing_label(estimator, missing_label),
            classes=getattr(estimator, "classes_", None),
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
            Which probability is shown.
        n_bins : int, default=15
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether the points are of bins of equal width, or of equally many cells.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, default=None
            One more value that means "missing".
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
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {_KINDS}. Got {kind!r}.")
        if strategy not in _STRATEGIES:
            raise ValueError(f"strategy must be one of {_STRATEGIES}. Got {strategy!r}.")
        cells = gather_tasks(
            y_true,
            y_proba,
            response_method="predict_proba",
            sample_weight=sample_weight,
            missing_label=missing_label,
            classes=classes,
        )
        metric = find_metric("calibration_error")
        errors, problems = score_tasks(metric, cells, {"n_bins": n_bins})
        # The picture itself says which tasks have no curve.
        warn_of_left_out(metric, cells, {}, None)
        curves = {
            name: {}
            if task.cells is None
            else reliability_curves(task.cells, kind, n_bins, strategy)
            for name, task in cells.items()
        }
        display = cls(curves, errors, problems)
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
            Whether to draw the line on which calibrated probabilities lie.
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
        names = self.task_names
        chosen = [names[i] for i in choose_tasks(tasks, names)]
        axes = make_panels(ax, len(chosen), height=1.25)
        self.axes_, self.figure_ = axes, axes[0].figure
        self.lines_, self.histogram_axes_ = {}, {}
        color = import_pyplot().rcParams["text.color"]
        for panel, name in zip(axes, chosen, strict=True):
            if ref_line and self.curves[name]:
                panel.plot([0, 1], [0, 1], "--", color=color, alpha=0.6, linewidth=0.8, zorder=1)
            self._plot_task(panel, name, len(chosen), curve_kwargs)
        xlabel = say_what_is_left_out("predicted probability", tasks, len(names))
        label_panels(axes, xlabel, "share that came true", given=ax is not None, same_scale=True)
        self._hand_down_ticks(axes, chosen)
        return self

    def _plot_task(
        self, ax: Any, name: Hashable, n_panels: int, kwargs: Mapping[str, Any] | None
    ) -> None:
        """Draw the curves of a task, and the histogram below."""
        title_size, text_size = text_sizes(n_panels)
        few, curves = n_panels <= FEW_PANELS, self.curves[name]
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.tick_params(labelsize=text_size)
        ax.spines[["top", "right"]].set_visible(False)
        title = shorten_title(name, n_panels)
        self.lines_[name] = {}
        if not curves:
            ax.set_title(title + "\n", fontsize=title_size, loc="left")
            write_in_panel(ax, self.problems.get(name, "no curve"), text_size)
            return
        title += f"\nECE {self.calibration_error[name]:.3f}"
        if few:
            title += _say_what_is_shown(list(curves))
        ax.set_title(title, fontsize=title_size, loc="left")
        histogram = ax.inset_axes(
            [0, _HISTOGRAM_TOP - _HISTOGRAM_HEIGHT, 1, _HISTOGRAM_HEIGHT], sharex=ax
        )
        self.histogram_axes_[name] = histogram
        colors = ["C0"] if len(curves) == 1 else class_colors(len(curves))
        for (label, curve), color in zip(curves.items(), colors, strict=True):
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
        self._finish_histogram(histogram, name, text_size)
        if few and 1 < len(curves) <= _MAX_CLASSES_IN_A_LEGEND:
            ax.legend(
                loc="best",
                fontsize="x-small",
                framealpha=0.7,
                handlelength=1,
                borderpad=0.3,
                labelspacing=0.2,
            )

    def _finish_histogram(self, ax: Any, name: Hashable, text_size: str) -> None:
        """Write the scale of a histogram: the count of its highest bar, read downwards."""
        highest = max(int(curve.histogram.max()) for curve in self.curves[name].values())
        ax.set_ylim(1.1 * max(highest, 1), 0)
        ax.set_yticks([highest], [f"{highest:,}"])
        ax.tick_params(labelsize=text_size, labelbottom=False)
        ax.spines[["top", "right"]].set_visible(False)

    def _hand_down_ticks(self, axes: np.ndarray, names: list[Hashable]) -> None:
        """Show the scale of the probability below the histogram, not between it and the panel."""
        for ax, name in zip(axes, names, strict=True):
            histogram = self.histogram_axes_.get(name)
            if histogram is not None:
                shown = ax.xaxis.get_tick_params().get("labelbottom", True)
                histogram.tick_params(labelbottom=shown)
                ax.tick_params(labelbottom=False)


def _say_what_is_shown(labels: list[Any]) -> str:
    """Return whose probabilities are shown, as the end of a title."""
    if len(labels) > 1:
        return f", {len(labels)} classes"
    label = labels[0]
    if label == CONFIDENCE:
        return ", class predicted"
    # 1 and True go without saying.
    return "" if str(label) in ("1", "1.0", "True") else f", {shorten(label, 14)}"
