"""Panels: a grid of axes with one task each."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from sk_mtl._tasks import resolve_task
from sk_mtl.plotting._figures import MAX_CHARACTERS, new_axes, shorten_name

# Up to so many panels have room for a legend each. More than the second number are not drawn by
# default, since that would take minutes and be illegible.
FEW_PANELS, _MAX_PANELS = 16, 64


def grid_shape(n_panels: int) -> tuple[int, int]:
    """Return the rows and columns of a grid with few empty places, wider than high."""
    if n_panels <= 4:
        return 1, n_panels
    least = math.ceil(math.sqrt(n_panels))
    # Up to 1.5 times as wide, if that fills the last row better.
    n_columns = min(range(least, least + least // 2 + 1), key=lambda n: (-n_panels % n, n))
    return math.ceil(n_panels / n_columns), n_columns


def choose_tasks(tasks: Any, task_names: Sequence[Hashable]) -> list[int]:
    """Return the positions of the tasks that get a panel."""
    if tasks is None:
        return list(range(len(task_names)))[:_MAX_PANELS]
    if isinstance(tasks, (str, bytes)) or not np.iterable(tasks):
        tasks = [tasks]
    positions = [resolve_task(task, task_names) for task in tasks]
    if not positions:
        raise ValueError("tasks must name at least one task, or be None. Got none.")
    return positions


def note_left_out(label: str, tasks: Any, n_tasks: int) -> str:
    """Return the label of an axis, with a second line if tasks are left out by default."""
    if tasks is not None or n_tasks <= _MAX_PANELS:
        return label
    return f"{label}\n(the first {_MAX_PANELS} of {n_tasks} tasks; choose others by tasks=)"


def shorten_title(name: Hashable, n_panels: int) -> str:
    """Return the name of a task as text that fits above a panel."""
    return shorten_name(name, 22 if n_panels > FEW_PANELS else MAX_CHARACTERS)


def text_sizes(n_panels: int) -> tuple[str, str]:
    """Return the font sizes of the titles and of the other text in panels."""
    return ("small", "x-small") if n_panels > FEW_PANELS else ("medium", "small")


def make_panels(
    ax: Any, n_panels: int, *, height: float = 1.0, size: tuple[float, float] | None = None
) -> np.ndarray:
    """Return the axes (n_panels,) to draw on, of a height in widths, or of a size in inches."""
    if ax is not None and not hasattr(ax, "get_subplotspec"):
        axes = np.asarray(ax, dtype=object).ravel()
        if len(axes) != n_panels:
            raise ValueError(
                f"ax must be one Axes or as many as there are panels, {n_panels}. Got {len(axes)}."
            )
        return axes
    n_rows, n_columns = grid_shape(n_panels)
    if ax is None:
        width = 3.0 if n_panels <= 6 else 2.5 if n_panels <= FEW_PANELS else 1.8
        whole = (max(5.4, width * n_columns), height * width * n_rows + 0.5)
        if size is not None:
            whole = (size[0] * n_columns, size[1] * n_rows + 0.4)
        elif n_panels == 1:
            whole = (4.6, 4.6 * height + 0.2)
        ax = new_axes(whole)
    if n_panels == 1:
        return np.array([ax], dtype=object)
    axes = divide(ax, n_rows, n_columns).ravel()
    for unused in axes[n_panels:]:
        unused.remove()
    return axes[:n_panels]


def label_panels(
    axes: np.ndarray, xlabel: str, ylabel: str, *, given: bool, same_scale: bool = False
) -> None:
    """Label the axes of panels, once per figure unless the axes were given by the user."""
    at_left, at_bottom = _edges(axes)
    if given:
        for i, ax in enumerate(axes):
            ax.set(xlabel=xlabel if at_bottom[i] else "", ylabel=ylabel if at_left[i] else "")
    else:
        axes[0].figure.supxlabel(xlabel, fontsize="medium")
        axes[0].figure.supylabel(ylabel, fontsize="medium")
    if same_scale:
        for i, ax in enumerate(axes):
            ax.tick_params(labelleft=at_left[i], labelbottom=at_bottom[i])


def _edges(axes: np.ndarray) -> tuple[list[bool], list[bool]]:
    """Return which axes are at the left and which are at the bottom of their grid."""
    specs = [ax.get_subplotspec() for ax in axes]
    if any(s is None or s.get_gridspec() is not specs[0].get_gridspec() for s in specs):
        return [True] * len(axes), [True] * len(axes)
    places = [(s.rowspan.stop, s.colspan.start) for s in specs]
    at_left = [not any(r == row and c < column for r, c in places) for row, column in places]
    at_bottom = [not any(c == column and r > row for r, c in places) for row, column in places]
    return at_left, at_bottom


def write_in_panel(ax: Any, text: str, size: str) -> None:
    """Write the reason why a panel is empty into it."""
    lines = textwrap.fill(text, 18).replace("$", r"\$")
    ax.text(0.5, 0.5, lines, transform=ax.transAxes, ha="center", va="center", fontsize=size)
    ax.tick_params(left=False, bottom=False)


def divide(ax: Any, n_rows: int, n_columns: int, **grid_options: Any) -> np.ndarray:
    """Return a grid (n_rows, n_columns) of new axes in the place of others."""
    if ax.get_subplotspec() is None:
        raise ValueError(
            "This display draws several panels and needs an ax that was made by plt.subplots or "
            "add_subplot, whose place it can divide. Pass one panel each as a list of axes, or "
            "ax=None."
        )
    ax.set_axis_off()
    grid = ax.get_subplotspec().subgridspec(n_rows, n_columns, **grid_options)
    axes = np.empty((n_rows, n_columns), dtype=object)
    for place in np.ndindex(n_rows, n_columns):
        axes[place] = ax.figure.add_subplot(grid[place])
    return axes
