"""Colours for light and dark styles that colour-blind readers can tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from sk_mtl.plotting._figures import import_pyplot

# Blue and orange differ for nearly all readers; the lighter ones are for dark backgrounds.
_ON_LIGHT, _ON_DARK = ("#2166ac", "#c44e00"), ("#6ab0ff", "#ff9a4d")


def is_dark(color: Any) -> bool:
    """Return whether light text is legible on a colour."""
    return _luminance(color) < 0.4


def class_colors(n_classes: int) -> list[Any]:
    """Return a colour per class, from viridis without the colours near the background."""
    if n_classes == 1:
        return ["C0"]
    plt = import_pyplot()
    ends = (0.3, 1.0) if is_dark(plt.rcParams["axes.facecolor"]) else (0.0, 0.85)
    return [plt.get_cmap("viridis")(v) for v in np.linspace(*ends, n_classes)]


def diverging_colormap() -> Any:
    """Return a colour map for values of both signs, with the background colour at 0."""
    from matplotlib.colors import LinearSegmentedColormap

    background = import_pyplot().rcParams["axes.facecolor"]
    low, high = _ON_DARK if is_dark(background) else _ON_LIGHT
    return LinearSegmentedColormap.from_list("signs", [low, background, high])


def text_color_on(color: Any) -> Any:
    """Return the colour of the style, of text or background, that is legible on a colour."""
    rc = import_pyplot().rcParams
    return max(
        (rc["text.color"], rc["axes.facecolor"]),
        key=lambda c: abs(_luminance(c) ** 0.5 - _luminance(color) ** 0.5),
    )


def _luminance(color: Any) -> float:
    """Return the luminance of a colour, 0 to 1 (Y of sRGB)."""
    from matplotlib.colors import to_rgb

    values = np.array(to_rgb(color))
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
