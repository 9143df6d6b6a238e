"""How much the scores of tasks depend on the features: a panel per task."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._compat.arguments import check_integer
from sk_mtl.metrics._importances import COLUMNS, task_importances
from sk_mtl.plotting._figures import hide_frame, shorten_name
from sk_mtl.plotting._panels import (
    choose_tasks,
    label_panels,
    make_panels,
    note_left_out,
    shorten_title,
    text_sizes,
    write_in_panel,
)

_INCHES_PER_FEATURE = 0.24


class TaskImportancesDisplay:
    """The most important features of each task, with their intervals, a panel per task.

    Parameters
    ----------
    importances : pandas.DataFrame
        What `task_importances` returns: a row for each task and feature, with the columns ``task``,
        ``feature``, ``importance``, ``lower``, ``upper``, ``score`` and ``n_cells``.
    score_name : str, default="score"
        The name of the score that gets worse when a feature is shuffled.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_panels,)
        The panels.
    bars_ : dict of {task: BarContainer}
        The bars of each panel, the most important feature first.

    See Also
    --------
    sk_mtl.metrics.task_importances : Computes them.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.plotting import TaskImportancesDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> Y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0])
    >>> clf = MultiTaskClassifier((32,), epochs=3, random_state=0).fit(X[:150], Y[:150])
    >>> display = TaskImportancesDisplay.from_estimator(clf, X[150:], Y[150:], random_state=0)
    >>> display.task_names
    ['y0', 'y1']
    """

    figure_: Any
    axes_: np.ndarray
    bars_: dict[Hashable, Any]

    def __init__(self, importances: pd.DataFrame, score_name: str = "score"):
        if not isinstance(importances, pd.DataFrame):
            raise TypeError(
                "importances must be what task_importances returns, a DataFrame. Got "
                f"{type(importances).__name__}."
            )
        lacking = [name for name in COLUMNS if name not in importances.columns]
        if lacking:
            raise ValueError(
                f"importances must be what task_importances returns, and lacks {lacking[0]!r}."
            )
        if not len(importances):
            raise ValueError("importances must be what task_importances returns, and has no row.")
        self.importances = importances
        self.score_name = score_name

    @property
    def task_names(self) -> list[Hashable]:
        """The names of the tasks."""
        return self.importances["task"].drop_duplicates().tolist()

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        metric: Any = "log_loss",
        features: Any = None,
        n_repeats: int = 5,
        n_bootstraps: int | None = 200,
        groups: Any = None,
        confidence_level: float = 0.95,
        sample_weight: Any = None,
        missing_label: Any = None,
        random_state: Any = None,
        tasks: Any = None,
        max_features: int = 10,
        ax: Any = None,
    ) -> Any:
        """Compute the importances and draw them.

        Parameters
        ----------
        estimator : estimator
            A fitted estimator, as in `task_importances`.
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
            Samples, preferably not those of training.
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Their labels; NaN, None, NaT or NA where missing.
        metric : str or callable, default="log_loss"
            A metric of `sk_mtl.metrics.multitask_score`.
        features : list of names or of positions, default=None
            The features to shuffle; None means all.
        n_repeats : int, default=5
            How often each feature is shuffled.
        n_bootstraps : int or None, default=200
            Number of resamples for intervals; None draws none.
        groups : array-like of shape (n_samples,), default=None
            The group of each row: whole groups are resampled.
        confidence_level : float, default=0.95
            The share of the resamples within an interval.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight per row or per cell.
        missing_label : scalar, list-like of scalars or dict, default=None
            Further values that mean "missing"; None means those of the estimator.
        random_state : int, RandomState instance or None, default=None
            What is shuffled and resampled with.
        tasks : hashable or list of hashable, default=None
            As in `plot`.
        max_features : int, default=10
            As in `plot`.
        ax : matplotlib.axes.Axes or array of them, default=None
            As in `plot`.

        Returns
        -------
        display : TaskImportancesDisplay
            The display, drawn.
        """
        found = task_importances(
            estimator,
            X,
            y,
            metric=metric,
            features=features,
            n_repeats=n_repeats,
            n_bootstraps=n_bootstraps,
            groups=groups,
            confidence_level=confidence_level,
            sample_weight=sample_weight,
            missing_label=missing_label,
            random_state=random_state,
        )
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", "score")
        return cls(found, name).plot(ax, tasks=tasks, max_features=max_features)

    @classmethod
    def from_importances(
        cls,
        importances: pd.DataFrame,
        *,
        score_name: str = "score",
        tasks: Any = None,
        max_features: int = 10,
        ax: Any = None,
    ) -> Any:
        """Draw importances that are computed.

        Parameters
        ----------
        importances : pandas.DataFrame
            What `task_importances` returns.
        score_name : str, default="score"
            The name of the score.
        tasks : hashable or list of hashable, default=None
            As in `plot`.
        max_features : int, default=10
            As in `plot`.
        ax : matplotlib.axes.Axes or array of them, default=None
            As in `plot`.

        Returns
        -------
        display : TaskImportancesDisplay
            The display, drawn.
        """
        return cls(importances, score_name).plot(ax, tasks=tasks, max_features=max_features)

    def plot(
        self, ax: Any = None, *, tasks: Any = None, max_features: int = 10
    ) -> TaskImportancesDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of them, default=None
            Where to draw: one axes, whose place the panels take, or one for each panel. None makes
            a new figure.
        tasks : hashable or list of hashable, default=None
            The tasks to draw, by name or position; None draws the first 64.
        max_features : int, default=10
            The number of features of each task that are drawn at most.

        Returns
        -------
        display : TaskImportancesDisplay
            The display itself.
        """
        check_integer("plot", "max_features", max_features, 1)
        names = self.task_names
        chosen = [names[i] for i in choose_tasks(tasks, names)]
        rows = min(max_features, self.importances.groupby("task", sort=False).size().max())
        size = (4.6 if len(chosen) == 1 else 3.4, 0.6 + _INCHES_PER_FEATURE * max(rows, 3))
        axes = make_panels(ax, len(chosen), size=size)
        self.axes_, self.figure_, self.bars_ = axes, axes[0].figure, {}
        for panel, name in zip(axes, chosen, strict=True):
            self._plot_task(panel, name, max_features, len(chosen))
        label = note_left_out(
            f"how much worse {self.score_name} is when shuffled", tasks, len(names)
        )
        label_panels(axes, label, "", given=ax is not None)
        return self

    def _plot_task(self, ax: Any, name: Hashable, max_features: int, n_panels: int) -> None:
        title_size, text_size = text_sizes(n_panels)
        of_task = self.importances[self.importances["task"] == name]
        known = of_task[of_task["importance"].notna()]
        top = known.sort_values("importance", ascending=False, kind="stable")[:max_features]
        ax.set_title(shorten_title(name, n_panels), fontsize=title_size, loc="left")
        ax.tick_params(labelsize=text_size)
        hide_frame(ax)
        if not len(top):
            write_in_panel(ax, "no score", text_size)
            return
        places = np.arange(len(top))
        ends = [top["importance"] - top["lower"], top["upper"] - top["importance"]]
        has_interval = top["lower"].notna().any()
        self.bars_[name] = ax.barh(
            places,
            top["importance"],
            xerr=np.clip(ends, 0, None).tolist() if has_interval else None,
            error_kw={"lw": 1, "ecolor": ax.xaxis.label.get_color()},
            color="C0",
            alpha=0.6,
        )
        ax.axvline(0, lw=0.8, color=ax.xaxis.label.get_color())
        ax.set_yticks(places, [shorten_name(f) for f in top["feature"]], fontsize=text_size)
        ax.set_ylim(max(len(top), 3) - 0.5, -0.5)
        ax.locator_params(axis="x", nbins=4)
