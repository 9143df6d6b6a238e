"""Tables of text: columns aligned by the width of their characters, and rows of HTML cells."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

__all__ = [
    "align_column",
    "html_cells",
    "join_columns",
    "measure",
    "shorten",
    "write_share",
]


def align_column(texts: Sequence[str], *, left: bool = False) -> list[str]:
    """Return texts padded to the same width in a terminal."""
    width = max(map(measure, texts))
    blanks = [" " * (width - measure(text)) for text in texts]
    return [t + b if left else b + t for t, b in zip(texts, blanks, strict=True)]


def join_columns(columns: Sequence[Sequence[str]], gap: int = 2) -> list[str]:
    """Return the lines of columns that stand side by side."""
    return [(" " * gap).join(line).rstrip() for line in zip(*columns, strict=True)]


def measure(text: str) -> int:
    """Return the number of columns that a text takes in a terminal."""
    # Combining characters take none, wide East Asian ones take two.
    return sum(
        (unicodedata.category(c) not in ("Mn", "Me", "Cf"))
        * (1 + (unicodedata.east_asian_width(c) in "WF"))
        for c in text
    )


def shorten(text: str, width: int) -> str:
    """Return a text that fits; two thirds of what is kept are its start, one third its end."""
    if measure(text) <= width:
        return text
    head, tail = "", ""
    while True:
        at_head = measure(head) <= 2 * measure(tail)
        c = text[len(head)] if at_head else text[-len(tail) - 1]
        if measure(head + tail + c) > width - 1:
            return f"{head}…{tail}"
        head, tail = (head + c, tail) if at_head else (head, c + tail)


def write_share(share: float, unit: str = "%") -> str:
    """Return a share in percent that is never 0 for some and never 100 for less than all."""
    if 0 < share < 0.01:
        return f"<1{unit}"
    return f">99{unit}" if 0.99 < share < 1 else f"{100 * share:.0f}{unit}"


def html_cells(tag: str, texts: Sequence[str], attributes: Sequence[str]) -> str:
    """Return texts as cells of one row of an HTML table, each with its attributes."""
    return "".join(
        f"<{tag}{f' {a}' if a else ''}>{escape(text)}</{tag}>"
        for text, a in zip(texts, attributes, strict=True)
    )
