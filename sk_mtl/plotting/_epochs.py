"""Axes of epochs: the epoch that was kept, and names at the ends of lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.isotonic import isotonic_regression

from sk_mtl.plotting._figures import import_pyplot


class End(NamedTuple):
    """The end of a line, and what to write beside it."""

    name: str
    x: float
    y: float
    color: Any


def name_ends(ax: Any, ends: Sequence[End]) -> None:
    """Write names beside the ends of lines, moved apart if they would overlap."""
    if not ends:
        return
    ends = sorted(ends, key=lambda end: end.y)
    ax.autoscale_view()
    low, high = (ax.transScale.transform((1, y))[1] for y in ax.get_ylim())
    places = [(ax.transScale.transform((1, end.y))[1] - low) / (high - low) for end in ends]
    for end, place in zip(ends, move_apart(places, 0.075), strict=True):
        # From the end of the line, in data, to the name, in shares of the axes.
        ax.annotate(
            end.name,
            (end.x, end.y),
            (1.04, place),
            textcoords="axes fraction",
            color=end.color,
            fontsize="small",
            va="center",
            arrowprops={"arrowstyle": "-", "color": end.color, "lw": 0.5, "shrinkA": 1},
        )


def move_apart(places: Sequence[float], least: float) -> list[float]:
    """Return increasing places as near to the given ones as a minimum distance allows."""
    offsets = least * np.arange(len(places))
    return (isotonic_regression(np.asarray(places) - offsets) + offsets).tolist()


def mark_epoch(ax: Any, best_epoch: int | None, *, on_image: bool = False) -> list[Any]:
    """Mark the epoch whose weights were kept; return the line for the legend, if there is one."""
    if not best_epoch:
        return []
    rc = import_pyplot().rcParams
    # No single colour is visible everywhere on an image.
    ground = {"color": rc["axes.facecolor"], "lw": 3, "alpha": 0.6}
    if on_image:
        ax.axvline(best_epoch, **ground)
    line = ax.axvline(best_epoch, color=rc["text.color"], linestyle="--", lw=1, zorder=1.5)
    line.set_label(f"weights kept: epoch {best_epoch}")
    return [line]


def explain_above(ax: Any, handles: Sequence[Any]) -> None:
    """Write a legend of one line above axes, if there is anything to explain."""
    if handles:
        ax.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=len(handles),
            frameon=False,
            fontsize="small",
            borderaxespad=0.2,
        )
