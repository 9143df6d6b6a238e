"""Pages, their index and the extra of pyproject.toml name the same packages and versions."""

import re
import tomllib

import pytest
from neighbour_pages import INDEX, find_page, read_pins
from test_readme import ROOT, read_blocks

PAGES = sorted(path.stem for path in (INDEX.parent / "neighbours").glob("*.md"))


def test_index_lists_every_page():
    text = INDEX.read_text(encoding="utf-8")

    assert sorted(read_pins()) == PAGES
    assert sorted(re.findall(r"^neighbours/(\w+)$", text, re.MULTILINE)) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_page_starts_with_its_versions_and_has_code(page):
    path = find_page(page)
    first_line = path.read_text(encoding="utf-8").split("\n\n")[1]

    for name, version in read_pins()[page].items():
        assert re.search(rf"\b{name}\b {re.escape(version)}\b", first_line, re.IGNORECASE)
    assert read_blocks(path, "python")


def test_extra_pins_the_versions_of_the_pages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = project["optional-dependencies"]["neighbours"]

    expected = {
        f"{name}=={version}" for pins in read_pins().values() for name, version in pins.items()
    }
    assert expected == {pin.split(";")[0].strip() for pin in pinned}
