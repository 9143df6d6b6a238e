"""A matrix of tasks by tasks: its size, its image, the names beside it and its colour bar."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from sk_mtl.plotting._figures import name_rows, name_size, row_height

# Numbers in the matrix of more tasks are illegible.
_MAX_TASKS_WITH_NUMBERS = 12


def has_numbers(n_tasks: int) -> bool:
    """Return whether the cells of a matrix have room for numbers."""
    return n_tasks <= _MAX_TASKS_WITH_NUMBERS


def number_size(n_tasks: int) -> str:
    """Return the font size of the numbers."""
    return "small" if n_tasks <= 6 else "x-small"


def matrix_size(n_tasks: int) -> tuple[float, float]:
    """Return the size of a figure in inches."""
    side = max(2.4, n_tasks * max(row_height(n_tasks), 0.42 if has_numbers(n_tasks) else 0))
    return side + 3.2, side + 2.0


def draw_matrix(
    ax: Any,
    values: np.ma.MaskedArray,
    names: Sequence[Hashable],
    settings: Mapping[str, Any],
    im_kw: Mapping[str, Any] | None,
) -> Any:
    """Draw values, (n_tasks, n_tasks), with names on both sides; return the image."""
    image = ax.imshow(values, **{"aspect": "equal", **settings, **(im_kw or {})})
    name_rows(ax, names)
    texts = [label.get_text() for label in ax.get_yticklabels()]
    ax.set_xticks(np.arange(len(names)), texts, fontsize=name_size(len(names)), rotation=90)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def draw_bar(ax: Any, image: Any, label: str, extend: str = "neither") -> None:
    """Draw the colour bar of an image."""
    bar = ax.figure.colorbar(image, ax=ax, label=label, shrink=0.8, extend=extend)
    bar.outline.set_visible(False)
