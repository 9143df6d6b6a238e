"""Where the pages of the neighbours are, and what versions they were written for."""

import re

from test_readme import ROOT

INDEX = ROOT / "docs" / "neighbours.md"
ROW = re.compile(
    r"^\| \[.+?\]\(neighbours/(?P<page>\w+)\.md\) \|.*\| (?P<pins>.+?) \|$", re.MULTILINE
)


def find_page(name):
    """Return the path of a page."""
    return INDEX.parent / "neighbours" / f"{name}.md"


def read_pins():
    """Return {page: {distribution: version}} from the table of the index."""
    return {
        row["page"]: dict(pin.split(" ") for pin in row["pins"].split(", "))
        for row in ROW.finditer(INDEX.read_text(encoding="utf-8"))
    }
