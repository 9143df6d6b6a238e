"""The tables of mistakes stay as long as they are."""

import runpy
from pathlib import Path

TABLES = {"FEATURES", "LABELS", "WEIGHTS", "PARAMETERS", "NAMES", "CALLS", "SEARCHES"}


def test_mistakes_are_three_hundred_at_least():
    files = Path(__file__).parent.glob("test_bad_*.py")
    found = [(name, rows) for file in files for name, rows in runpy.run_path(file).items()]
    assert sum(len(rows) for name, rows in found if name in TABLES) >= 300
