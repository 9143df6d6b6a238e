"""Figures of a page: drawn by `sk_mtl.plotting`, as SVG that takes the colours of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

__all__ = ["Figure", "Figures", "require_matplotlib"]

# Drawn in this colour is what has the colour of the page's text.
_TEXT = "#0a0b0c"
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sk_mtl",
    "text.parse_math": False,  # names are no formulas
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.facecolor": "none",
    "legend.framealpha": 0.0,
    "legend.edgecolor": "none",
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _TEXT
    ),
}
# That can be told apart on light and on dark.
_COLORS = ["#2f7fc1", "#e0812b", "#3f9a4d", "#cf4a4a", "#8f6bbd", "#95705f", "#cf6fb4", "#8a8a8a"]
_PIXELS_PER_INCH = 80


@dataclass(frozen=True)
class Figure:
    """A figure as SVG, with its width in pixels of a page."""

    svg: str
    width: int


def require_matplotlib() -> None:
    """Refuse to go on without matplotlib."""
    try:
        import matplotlib  # noqa: F401, ICN001
    except ImportError as error:
        raise ImportError(
            "The page has figures, which need matplotlib. It is not installed. Install it with: "
            'pip install "sk_mtl[plot]"'
        ) from error


class Figures:
    """Draws figures, and counts them: what they refer to within themselves has names of its own."""

    def __init__(self) -> None:
        self._n_drawn = 0

    def draw(self, plot: Callable[[], Any], description: str) -> Figure:
        """Return the figure of a display as SVG."""
        import matplotlib as mpl
        import matplotlib.pyplot as plt
        from matplotlib.rcsetup import cycler

        settings: Any = {**_SETTINGS, "axes.prop_cycle": cycler(color=_COLORS)}
        buffer = io.StringIO()
        backend = mpl.get_backend()
        plt.switch_backend("svg")  # needs no window
        try:
            with mpl.rc_context(settings):
                figure = plot().figure_
                width = figure.get_size_inches()[0]
                figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
                plt.close(figure)
        finally:
            plt.switch_backend(backend)
        self._n_drawn += 1
        svg = _fit_for_page(buffer.getvalue(), f"f{self._n_drawn}", description)
        return Figure(svg, round(width * _PIXELS_PER_INCH))


def _fit_for_page(svg: str, prefix: str, description: str) -> str:
    """Return the element of an SVG file, for a page with others of its kind."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)  # of groups, to which nothing refers
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    svg = svg.replace(_TEXT, "currentColor").replace(r"\$", "$")
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    label = escape(description)
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
