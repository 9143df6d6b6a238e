"""What all displays share: the import of matplotlib, new figures, and names of tasks that fit."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from sk_mtl._text_table import shorten

MAX_CHARACTERS = 28
# Names have the default size for up to so many tasks, and are small for up to so many.
_FEW_TASKS, _MANY_TASKS = 15, 30


class SingleAxes:
    """A display that is drawn on one axes."""

    figure_: Any
    axes_: np.ndarray
    ax_: Any

    def _use_axes(self, ax: Any, size: tuple[float, float]) -> Any:
        """Return the given axes, or those of a new figure, and keep them as attributes."""
        ax = new_axes(size) if ax is None else ax
        self.ax_, self.axes_, self.figure_ = ax, np.array([ax], dtype=object), ax.figure
        return ax


def import_pyplot() -> Any:
    """Import `matplotlib.pyplot`, or raise ImportError with the command that installs it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "sk_mtl.plotting draws with matplotlib, which is not installed. Install it with: "
            'pip install "sk_mtl[plot]"'
        ) from error
    return plt


def new_axes(size: tuple[float, float]) -> Any:
    """Return the axes of a new figure."""
    return import_pyplot().figure(figsize=size, layout="constrained").subplots()


def hide_frame(ax: Any) -> None:
    """Hide the frame above and to the right of axes."""
    ax.spines[["top", "right"]].set_visible(False)


def shorten_name(name: Hashable, width: int = MAX_CHARACTERS) -> str:
    """Return the name of a task on one line that fits, without formulas."""
    return shorten(" ".join(str(name).split()), width).replace("$", r"\$")


def name_size(n_tasks: int) -> str:
    """Return the font size of task names, which decreases with the number of tasks."""
    if n_tasks <= _FEW_TASKS:
        return "medium"
    return "small" if n_tasks <= _MANY_TASKS else "x-small"


def row_height(n_tasks: int) -> float:
    """Return the height of the row of a task in inches."""
    return {"medium": 0.32, "small": 0.22, "x-small": 0.17}[name_size(n_tasks)]


def name_rows(ax: Any, names: Sequence[Hashable]) -> None:
    """Write the names of tasks beside the rows of axes."""
    texts = [shorten_name(name) for name in names]
    ax.set_yticks(np.arange(len(names)), texts, fontsize=name_size(len(names)))


def line_settings(given: Mapping[str, Any] | None, **defaults: Any) -> dict[str, Any]:
    """Return the settings of a line; those of the user override the defaults."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return defaults | normalize_kwargs(dict(given or {}), Line2D)
