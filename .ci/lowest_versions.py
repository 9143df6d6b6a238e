"""Print the lowest version of each dependency that pyproject.toml allows, as constraints for pip.

Usage: python lowest_versions.py PYPROJECT [EXTRA ...]
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[(?P<extras>[\w,-]+)\])?(>=(?P<version>[\w.]+))?")


def iterate_requirements(project: dict[str, Any], extras: Sequence[str]) -> Iterator[str]:
    """Yield the requirements of a project and of its extras, and of the extras that those name."""
    lists = [project["dependencies"], *(project["optional-dependencies"][name] for name in extras)]
    for requirement in [line for lines in lists for line in lines]:
        match = REQUIREMENT.fullmatch(requirement)
        if match is not None and match["name"] == project["name"]:
            inner = project | {"dependencies": []}
            yield from iterate_requirements(inner, match["extras"].split(","))
        else:
            yield requirement


def read_constraints(project: dict[str, Any], extras: Sequence[str]) -> list[str]:
    """Return a line "name==version" for each requirement.

    Raises
    ------
    ValueError
        If a requirement says something else than "name>=version".
    """
    constraints = []
    for requirement in iterate_requirements(project, extras):
        match = REQUIREMENT.fullmatch(requirement)
        if match is None or not match["version"]:
            raise ValueError(f"A requirement must be 'name>=version', not {requirement!r}.")
        constraints.append(f"{match['name']}=={match['version']}")
    return constraints


if __name__ == "__main__":
    path, *names = sys.argv[1:]
    project = tomllib.loads(Path(path).read_text(encoding="utf-8"))["project"]
    sys.stdout.write("\n".join(read_constraints(project, names)) + "\n")
