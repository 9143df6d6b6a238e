"""Run the page of a file once for its tests, if the packages are here that it was written for."""

import sys
from importlib import metadata
from types import ModuleType, SimpleNamespace

import pytest
from neighbour_pages import find_page, read_pins
from test_readme import read_blocks


def skip_unless_installed(pins):
    """Skip if a package is missing or has another version than the page was written for."""
    for name, version in pins.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "none"
        if found != version:
            pytest.skip(f"needs {name}=={version} of '.[neighbours]', found {found}")


@pytest.fixture(scope="module")
def page(request, tmp_path_factory):
    """What the blocks of the file's page define; ``folder`` is where they ran."""
    name = request.module.PAGE
    skip_unless_installed(read_pins()[name])
    folder = tmp_path_factory.mktemp(name)
    # A module of its own, so that what a block defines can be pickled.
    module = ModuleType(f"blocks_of_{name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(sys.modules, module.__name__, module)
        for line, text in read_blocks(find_page(name), "python"):
            # Empty lines in front make tracebacks point into the page.
            code = compile("\n" * (line - 1) + text, str(find_page(name)), "exec")
            exec(code, module.__dict__)
        # Files that a page has written have relative names.
        yield SimpleNamespace(**vars(module), folder=folder)
