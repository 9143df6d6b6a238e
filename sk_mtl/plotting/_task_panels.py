"""What curves of predicted probabilities share: a panel per task, a curve per class."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sk_mtl._data.row_order import warn_of_other_order
from sk_mtl.metrics._predictions import ScoredTask, gather_tasks
from sk_mtl.metrics._score import score_tasks, warn_of_left_out
from sk_mtl.metrics._task_metrics import find_metric
from sk_mtl.plotting._figures import hide_frame, shorten_name
from sk_mtl.plotting._learners import read_missing_label
from sk_mtl.plotting._panels import (
    FEW_PANELS,
    choose_tasks,
    label_panels,
    make_panels,
    note_left_out,
    shorten_title,
    text_sizes,
    write_in_panel,
)

# More classes than this are drawn without a legend.
_MAX_CLASSES_IN_A_LEGEND = 8


class TaskPanels:
    """A display with a panel per task, a score in its title and a curve per class."""

    _metric: str
    _axis_names: tuple[str, str]
    _panel_height = 1.0

    figure_: Any
    axes_: np.ndarray
    lines_: dict[Hashable, dict[Any, Any]]

    _scores: dict[Hashable, float]
    problems: dict[Hashable, str]

    @property
    def task_names(self) -> list[Hashable]:
        """The names of the tasks."""
        return list(self._scores)

    @classmethod
    def _score(
        cls, y_true: Any, y_proba: Any, params: Mapping[str, Any], **reading: Any
    ) -> tuple[dict[Any, ScoredTask], dict[Any, float], dict[Any, str]]:
        """Return, by task, the cells, the scores and the reasons why scores are undefined."""
        sample_weight = reading.get("sample_weight")
        warn_of_other_order({"y_true": y_true, "y_proba": y_proba, "sample_weight": sample_weight})
        cells = gather_tasks(y_true, y_proba, response_method="predict_proba", **reading)
        metric = find_metric(cls._metric)
        scores, reasons = score_tasks(metric, cells, params)
        # The panels themselves show which tasks have no curve.
        warn_of_left_out(metric, cells, {}, None, stacklevel=4)
        return cells, scores, reasons

    def _plot_panels(
        self, ax: Any, tasks: Any, plot_task: Callable[[Any, Hashable, int], None]
    ) -> list[Hashable]:
        """Draw panels by ``plot_task(ax, name, n_panels)`` and return the tasks drawn."""
        names = self.task_names
        chosen = [names[i] for i in choose_tasks(tasks, names)]
        axes = make_panels(ax, len(chosen), height=self._panel_height)
        self.axes_, self.figure_, self.lines_ = axes, axes[0].figure, {}
        for panel, name in zip(axes, chosen, strict=True):
            panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), box_aspect=1)
            panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
            panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
            panel.tick_params(labelsize=text_sizes(len(chosen))[1])
            hide_frame(panel)
            plot_task(panel, name, len(chosen))
            self._finish_panel(panel, name, len(chosen))
        xlabel, ylabel = self._axis_names
        xlabel = note_left_out(xlabel, tasks, len(names))
        label_panels(axes, xlabel, ylabel, given=ax is not None, same_scale=True)
        return chosen

    def _finish_panel(self, ax: Any, name: Hashable, n_panels: int) -> None:
        """Write the title, and the legend or the reason why there are no curves."""
        title_size, text_size = text_sizes(n_panels)
        title = shorten_title(name, n_panels) + "\n"
        labels = list(self.lines_[name])
        if labels:
            title += self._describe(name, labels, few=n_panels <= FEW_PANELS)
        else:
            reason = self.problems.get(name, "no points")
            write_in_panel(ax, f"no curve: {reason}", text_size)
        ax.set_title(title, fontsize=title_size, loc="left")
        if n_panels <= FEW_PANELS and 1 < len(labels) <= _MAX_CLASSES_IN_A_LEGEND:
            ax.legend(
                loc=self._legend_place(name),
                fontsize="x-small",
                framealpha=0.7,
                handlelength=1,
                borderpad=0.3,
                labelspacing=0.2,
            )

    def _describe(self, name: Hashable, labels: list[Any], *, few: bool) -> str:
        """Return the second line of a title: the score, and the classes if there is room."""
        raise NotImplementedError

    def _legend_place(self, name: Hashable) -> str:
        return "best"


def predict_probabilities(estimator: Any, X: Any, y: Any, missing_label: Any) -> dict[str, Any]:
    """Return the arguments of `from_predictions` that are read from a fitted estimator."""
    check_is_fitted(estimator)
    warn_of_other_order({"X": X, "y": y})
    return {
        "y_proba": estimator.predict_proba(X),
        "missing_label": read_missing_label(estimator, missing_label),
        "classes": getattr(estimator, "classes_", None),
    }


def name_class(label: Any) -> str:
    """Return the name of a class as text, nothing for the positive class 1 or True."""
    return "" if str(label) in ("1", "1.0", "True") else shorten_name(label, 14)
