"""Label coverage: how much of each task is labelled, and which tasks are labelled together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from sk_mtl._labels import read_labels
from sk_mtl.plotting._figures import import_pyplot, name_size, panels, row_height, shorten

# More cells than this cannot be read as numbers.
_MAX_TASKS_WITH_NUMBERS = 12
# Longer names do not fit below the matrix unless they are turned.
_MAX_CHARACTERS_IN_A_ROW = 26


class LabelCoverageDisplay:
    """Shows the share of labelled rows of each task, and which tasks are labelled together.

    `from_labels` makes one from y. Left, a bar per task: the share of the rows that have its
    label. Right, a row per task: of the rows that have its label, the share that have the label
    of the task in the column, too; tasks that share no row are learned from different rows.

    Parameters
    ----------
    pair_counts : ndarray of int of shape (n_tasks, n_tasks)
        Rows that have the labels of both tasks; on the diagonal, that have the label.
    n_samples : int
        The number of rows.
    task_names : sequence of hashable
        The names of the tasks.

    Attributes
    ----------
    coverage : ndarray of float of shape (n_tasks,)
        Share of the rows that have the label.
    co_coverage : ndarray of float of shape (n_tasks, n_tasks)
        Share of the rows labelled for the first task that are labelled for the second; NaN where
        the first has no label.
    figure_ : matplotlib.figure.Figure
        The figure, once drawn.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_axes,)
        The bars and, with two tasks or more, the matrix.

    See Also
    --------
    TaskScoresDisplay : Scores, task by task.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.plotting import LabelCoverageDisplay
    >>> y = np.array([[0, 1], [1, np.nan], [0, np.nan], [1, 0]])
    >>> display = LabelCoverageDisplay.from_labels(y)
    >>> display.coverage
    array([1. , 0.5])
    >>> display.co_coverage
    array([[1. , 0.5],
           [1. , 1. ]])
    """

    figure_: Any
    axes_: np.ndarray

    def __init__(self, pair_counts: np.ndarray, n_samples: int, task_names: Sequence[Hashable]):
        self.pair_counts = np.asarray(pair_counts)
        self.n_samples = n_samples
        self.task_names = list(task_names)

    @property
    def coverage(self) -> np.ndarray:
        """Share of the rows that have the label, by task."""
        return np.diag(self.pair_counts) / self.n_samples

    @property
    def co_coverage(self) -> np.ndarray:
        """Share of the rows labelled for one task that are labelled for another."""
        labelled = np.diag(self.pair_counts)[:, np.newaxis]
        return np.where(labelled > 0, self.pair_counts / np.maximum(labelled, 1), np.nan)

    @classmethod
    def from_labels(cls, y: Any, *, missing_label: Any = None, ax: Any = None) -> Any:
        """Make the display from y and draw it.

        Parameters
        ----------
        y : DataFrame, Series, array-like of shape (n_samples,) or (n_samples, n_tasks)
            Class labels; NaN, None, NaT or NA where missing.
        missing_label : scalar, default=None
            One more value that means "missing".
        ax : matplotlib.axes.Axes, default=None
            As in `plot`.

        Returns
        -------
        display : LabelCoverageDisplay
            The display, drawn.
        """
        table = read_labels(y, missing_label=missing_label)
        mask = table.label_mask.astype(np.float64)  # a matrix product that BLAS knows
        pair_counts = np.rint(mask.T @ mask).astype(np.int64)
        return cls(pair_counts, table.n_samples, table.task_names).plot(ax)

    def plot(self, ax: Any = None, *, cmap: str = "viridis") -> LabelCoverageDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Its place is divided between the bars and the matrix. None makes a new figure.
        cmap : str, default="viridis"
            Colour map of the matrix.

        Returns
        -------
        display : LabelCoverageDisplay
            The display itself.
        """
        plt = import_pyplot()
        n_tasks = len(self.task_names)
        if ax is None:
            side = max(1.5, 0.2 + n_tasks * row_height(n_tasks))
            size = (4.5, side + 1.0)
            if n_tasks > 1:
                size = (6.0 + side, side + 1.0 + (0 if self._fits_in_a_row() else 1.0))
            ax = plt.figure(figsize=size, layout="constrained").subplots()
        self.figure_ = ax.figure
        if n_tasks == 1:
            self.axes_ = np.array([ax])
        else:
            self.axes_ = panels(ax, 1, 2, width_ratios=[1, 1])[0]
            self._plot_matrix(self.axes_[1], plt.get_cmap(cmap))
        self._plot_bars(self.axes_[0])
        return self

    def _plot_bars(self, ax: Any) -> None:
        """Draw the share of labelled rows of each task."""
        n_tasks, size = len(self.task_names), name_size(len(self.task_names))
        places = np.arange(n_tasks)
        bars = ax.barh(places, self.coverage, height=0.7)
        texts = [_as_percentage(share) for share in self.coverage]
        ax.bar_label(bars, texts, padding=3, fontsize=size)
        ax.set_yticks(places, [shorten(n) for n in self.task_names], fontsize=size)
        ax.set_ylim(n_tasks - 0.5, -0.5)
        # Room for the numbers at the ends of the bars.
        ax.set_xlim(0, 1.22)
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "50 %", "", "100 %"])
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("labelled")
        ax.set_title(f"Label coverage of {self.n_samples:,} rows", fontsize="medium", loc="left")

    def _plot_matrix(self, ax: Any, cmap: Any) -> None:
        """Draw the share of each task's labelled rows that have the other labels, too."""
        n_tasks, size = len(self.task_names), name_size(len(self.task_names))
        shares = self.co_coverage
        image = ax.imshow(shares, vmin=0, vmax=1, cmap=cmap, aspect="auto")
        places, names = np.arange(n_tasks), [shorten(n) for n in self.task_names]
        # The rows are those of the bars, whose names stand to the left.
        ax.set_yticks(places, [])
        ax.set_xticks(places, names, fontsize=size, rotation=0 if self._fits_in_a_row() else 90)
        if n_tasks <= _MAX_TASKS_WITH_NUMBERS:
            self._write_numbers(ax, shares, cmap)
        ax.set_xlabel("… also labelled for")
        ax.set_title("Of the rows labelled for …", fontsize="medium", loc="left")
        bar = ax.figure.colorbar(image, ax=ax, ticks=[0, 0.5, 1])
        bar.ax.set_yticklabels(["0", "50 %", "100 %"])
        bar.outline.set_visible(False)

    def _fits_in_a_row(self) -> bool:
        """Return whether the names fit below the matrix side by side."""
        longest = max(len(shorten(name)) for name in self.task_names)
        return len(self.task_names) * longest <= _MAX_CHARACTERS_IN_A_ROW

    def _write_numbers(self, ax: Any, shares: np.ndarray, cmap: Any) -> None:
        """Write the shares into the matrix, as percentages."""
        size = "medium" if len(shares) <= 6 else "x-small"
        for i, j in np.argwhere(np.isfinite(shares)):
            # The other end of the colour map, so that the number stands out.
            color = cmap(0.0 if shares[i, j] > 0.5 else 1.0)
            text = f"{100 * shares[i, j]:.0f}"
            ax.text(j, i, text, color=color, fontsize=size, ha="center", va="center")


def _as_percentage(share: float) -> str:
    """Return a share as text that tells a few labels from none."""
    if 0 < share < 0.01:
        return f"{100 * share:.1g} %"
    return f"{100 * share:.0f} %"
