"""The extensions of the documentation: lists of other manuals, formulas, groups of parameters."""

import ast
import importlib
import re
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("numpydoc")

DOCS = Path(__file__).parents[1] / "docs"
FORMULA = re.compile(r"\$\$(?P<block>[^$]+)\$\$|(?<![\w\\`$])\$(?P<inline>[^$`]+)\$")
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]+`", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def extensions(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_extensions"))
    yield
    for name in ("formulas", "manuals", "parameter_groups"):
        sys.modules.pop(name, None)


def find_formulas():
    """Return (TeX, whether it is displayed) of each formula in the Markdown pages."""
    found = []
    for page in [
        DOCS.parent / "README.md",
        *sorted(DOCS.glob("*.md")),
        *sorted(DOCS.glob("*/*.md")),
    ]:
        for match in FORMULA.finditer(CODE.sub("", page.read_text(encoding="utf-8"))):
            block = match["block"] is not None
            found.append((" ".join((match["block"] or match["inline"]).split()), block))
    return sorted(set(found))


def test_every_formula_of_the_pages_is_drawn():
    from formulas import draw

    formulas = find_formulas()
    for tex, block in formulas:
        ET.fromstring(draw(tex, block))  # ValueError: matplotlib does not know a sign

    assert len(formulas) > 50


def test_a_formula_keeps_its_mathml_and_its_source_for_screen_readers():
    from docutils import nodes
    from formulas import render

    html = render(nodes.math("", r"L_t < \lambda"), as_block=False)
    drawing, source = html.split('<span class="formula-source">')

    assert 'aria-hidden="true"' in drawing
    mathml = ET.fromstring(source.removesuffix("</span>"))
    assert mathml.find(".//{*}annotation").text == r"L_t < \lambda"


def test_a_formula_that_matplotlib_cannot_draw_is_shown_as_mathml():
    from docutils import nodes
    from formulas import render

    html = render(nodes.math("", r"\underbrace{x}"), as_block=False)

    assert "<math" in html
    assert "<svg" not in html
    assert "formula-source" not in html


def test_inventories_come_from_the_lists_and_nothing_is_fetched(tmp_path):
    from manuals import LISTS, write_inventories

    config = SimpleNamespace()
    write_inventories(SimpleNamespace(doctreedir=tmp_path), config)

    assert set(config.intersphinx_mapping) == {path.stem for path in LISTS.glob("*.txt")}
    for name, (address, inventory) in config.intersphinx_mapping.items():
        assert address.startswith("https://"), name
        # intersphinx opens a path without "://" as a file, and fetches anything else.
        assert Path(inventory).is_relative_to(tmp_path)
    packed = (tmp_path / "inventories" / "sklearn.inv").read_bytes()
    line = "sklearn.pipeline.Pipeline py:class 1 modules/generated/sklearn.pipeline.Pipeline.html"
    assert line in zlib.decompress(packed.split(b"zlib.\n")[1]).decode()


def test_lists_name_nothing_twice():
    from manuals import LISTS, read_list

    names = [name for path in LISTS.glob("*.txt") for _, name, _ in read_list(path)[1]]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "line", ["sklearn.base.clone page.html", "klass keras.Model page/", "class keras.Model a b"]
)
def test_a_malformed_line_of_a_list_is_refused_with_its_place(line, tmp_path):
    from manuals import read_list

    (tmp_path / "keras.txt").write_text(f"https://keras.io/api/\n{line}\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"keras\.txt, line 2: "):
        read_list(tmp_path / "keras.txt")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("sklearn.model_selection.GridSearchCV", ["GridSearchCV"]),
        ("keras.Model.fit", ["Model.fit"]),
        ("sklearn.model_selection.cross_val_score", ["cross_val_score"]),
        ("keras.ops", []),  # `ops` is as likely a variable
        ("sk_mtl.MultiTaskClassifier.fit", ["MultiTaskClassifier.fit"]),
    ],
)
def test_short_names_are_those_that_are_hardly_meant_otherwise(name, short):
    from manuals import short_names

    assert list(short_names(name)) == short


def exists(name):
    """Return whether a library has an object; True if it is too old to have its module."""
    module, _, attribute = name.rpartition(".")
    try:
        return not module or hasattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError:  # the attribute of a class, or a module of a later version
        return True


@pytest.mark.parametrize("manual", ["joblib", "matplotlib", "numpy", "pandas", "sklearn"])
def test_names_in_a_list_exist_in_the_installed_library(manual):
    from manuals import LISTS, read_list

    if manual == "sklearn":
        import sklearn.experimental.enable_halving_search_cv
        import sklearn.experimental.enable_iterative_imputer  # noqa: F401

    missing = [name for _, name, _ in read_list(LISTS / f"{manual}.txt")[1] if not exists(name)]

    assert missing == []


def read_all(module):
    """Return the `__all__` of a module from its source: importing Keras would take seconds."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    raise AssertionError(f"{module} has no __all__")


@pytest.mark.parametrize(
    "module",
    ["", "callbacks", "datasets", "losses", "metrics", "model_selection", "plotting", "weighting"],
)
def test_api_page_lists_every_public_name(module):
    public = read_all(DOCS.parent / "sk_mtl" / module / "__init__.py")
    listed = set((DOCS / "api.md").read_text(encoding="utf-8").split())

    assert {name for name in public if f"sk_mtl.{name}" not in listed} <= listed


def test_parameters_are_divided_by_the_groups_in_front_of_their_descriptions():
    from docutils import nodes
    from parameter_groups import gather_groups, make_divided

    def item(name, text):
        term = nodes.term("", "", nodes.strong("", name))
        return nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", text)))

    items = [
        item("a", "Network: widths."),
        item("b", "Early stopping: whether to stop."),
        item("c", "Settings of all."),
    ]
    groups = gather_groups(items)
    divided = make_divided(groups, "estimator")

    assert list(groups) == ["Network", "Early stopping"]
    assert divided[0].astext() == "Network · Early stopping"
    assert [node.astext() for node in divided if isinstance(node, nodes.rubric)] == list(groups)
    assert items[1].astext().endswith("Whether to stop.")


def test_a_list_without_groups_stays_as_it_is():
    from docutils import nodes
    from parameter_groups import gather_groups

    term = nodes.term("", "", nodes.strong("", "n_bins"))
    definition = nodes.definition("", nodes.paragraph("", "Number of bins."))

    assert gather_groups([nodes.definition_list_item("", term, definition)]) == {}
