"""The README and the guide are manuals that run."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "index.md",
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
]
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def read_blocks(page, language):
    """Return (line number, text) of each fenced block of a language."""
    markdown = page.read_text(encoding="utf-8")
    return [
        (markdown.count("\n", 0, block.start("text")) + 1, block["text"])
        for block in FENCE.finditer(markdown)
        if block["language"] == language
    ]


@pytest.mark.slow_except("README.md")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A module of its own, so that what a block defines can be pickled.
    module = ModuleType(f"blocks_of_{page.stem.lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for line, text in read_blocks(page, "python"):
        # Empty lines in front make tracebacks point into the page.
        exec(compile("\n" * (line - 1) + text, str(page), "exec"), module.__dict__)


@pytest.mark.parametrize("program", ["-m sk_mtl", "-m pytest"])
def test_readme_gives_one_command_on_one_line(program):
    commands = [text for _, text in read_blocks(PAGES[0], "sh") if program in text]

    assert len(commands) == 1, f"README.md has {len(commands)} sh blocks with {program!r}, not 1"
    assert commands[0].count("\n") == 1, f"more than one line: {commands[0]!r}"


def test_readme_has_python_blocks():
    assert read_blocks(PAGES[0], "python")
