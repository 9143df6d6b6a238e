"""Colours that can be read on the ground of the current style, and by those who see few colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from sk_mtl.plotting._figures import import_pyplot

# From blue to orange, the pair that nearly all see as two; the lighter ones are for a dark ground.
_ON_LIGHT, _ON_DARK = ("#2166ac", "#c44e00"), ("#6ab0ff", "#ff9a4d")


def is_dark(color: Any) -> bool:
    """Return whether a colour is nearer to black than to white."""
    return _luminance(color) < 0.4


def class_colors(n_classes: int) -> list[Any]:
    """Return colours for the classes of a task, in the order of viridis."""
    plt = import_pyplot()
    ends = (0.3, 1.0) if is_dark(plt.rcParams["axes.facecolor"]) else (0.0, 0.85)
    return [plt.get_cmap("viridis")(v) for v in np.linspace(*ends, n_classes)]


def diverging_colormap() -> Any:
    """Return a colour map for values of both signs, in which 0 is the ground of the style."""
    from matplotlib.colors import LinearSegmentedColormap

    ground = import_pyplot().rcParams["axes.facecolor"]
    low, high = _ON_DARK if is_dark(ground) else _ON_LIGHT
    return LinearSegmentedColormap.from_list("signs", [low, ground, high])


def text_color_on(color: Any) -> Any:
    """Return the colour of text that can be read on another colour."""
    rc = import_pyplot().rcParams
    return max(
        (rc["text.color"], rc["axes.facecolor"]),
        key=lambda c: abs(_luminance(c) ** 0.5 - _luminance(color) ** 0.5),
    )


def _luminance(color: Any) -> float:
    """Return the brightness of a colour, 0 to 1 (the Y of sRGB)."""
    from matplotlib.colors import to_rgb

    values = np.array(to_rgb(color))
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
