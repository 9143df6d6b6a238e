"""What all displays share: matplotlib when it is needed, names that fit, panels in a grid."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np

_MAX_CHARACTERS = 28
# Tasks up to which names have the style's own size, and up to which they are small.
_FEW_TASKS, _MANY_TASKS = 15, 30


def import_pyplot() -> Any:
    """Import matplotlib's pyplot.

    Returns
    -------
    pyplot : module
        `matplotlib.pyplot`.

    Raises
    ------
    ImportError
        If matplotlib is not installed; says how to install it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "sk_mtl.plotting draws with matplotlib, which is not installed. Install it with: "
            'pip install "sk_mtl[plot]"'
        ) from error
    return plt


def shorten(name: Hashable) -> str:
    """Return the name of a task as text that fits beside an axis.

    Parameters
    ----------
    name : hashable
        The name of the task.

    Returns
    -------
    text : str
        At most 28 characters.
    """
    text = str(name)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"


def name_size(n_tasks: int) -> str:
    """Return the font size of task names, the smaller the more there are.

    Parameters
    ----------
    n_tasks : int
        The number of tasks in the picture.

    Returns
    -------
    size : str
        One of matplotlib's relative sizes.
    """
    if n_tasks <= _FEW_TASKS:
        return "medium"
    return "small" if n_tasks <= _MANY_TASKS else "x-small"


def row_height(n_tasks: int) -> float:
    """Return the height in inches that a task takes where each has a row of its own.

    Parameters
    ----------
    n_tasks : int
        The number of tasks in the picture.

    Returns
    -------
    height : float
        Enough for a name in the size of `name_size`.
    """
    return {"medium": 0.32, "small": 0.22, "x-small": 0.17}[name_size(n_tasks)]


def grid_shape(n_panels: int) -> tuple[int, int]:
    """Return rows and columns of a grid with few places left over, wider rather than higher.

    Parameters
    ----------
    n_panels : int
        The number of panels.

    Returns
    -------
    n_rows, n_columns : int
        ``n_rows * n_columns >= n_panels``.
    """
    if n_panels <= 4:
        return 1, n_panels
    least = math.ceil(math.sqrt(n_panels))
    # Up to half as wide again, if that fills the last row better.
    n_columns = min(range(least, least + least // 2 + 1), key=lambda n: (-n_panels % n, n))
    return math.ceil(n_panels / n_columns), n_columns


def panels(ax: Any, n_rows: int, n_columns: int, **grid_options: Any) -> np.ndarray:
    """Return a grid of axes in the place of one.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Gives up its place; it stays, empty, so that its owner can still name it.
    n_rows : int
        Rows of the grid.
    n_columns : int
        Columns of the grid.
    **grid_options : dict
        For `matplotlib.gridspec.GridSpec`, such as ``width_ratios``.

    Returns
    -------
    axes : ndarray of Axes of shape (n_rows, n_columns)
        New axes.
    """
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
