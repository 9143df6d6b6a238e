"""Links from the HTML representation to the documentation."""

import re
from pathlib import Path

import pytest

from sk_mtl import MultiTaskClassifier, TaskView
from sk_mtl._compat import sklearn_html

API = Path(__file__).parents[2] / "docs" / "api.md"
URL = "https://docs.example.org/sk_mtl"


@pytest.fixture
def published(monkeypatch):
    monkeypatch.setattr(sklearn_html, "_documentation_url", lambda: URL)


def test_there_are_no_links_where_no_pages_are_published():
    # pyproject.toml states no URL of documentation, and no links to scikit-learn's pages appear.
    assert "href" not in MultiTaskClassifier()._repr_html_()


def test_url_is_that_of_the_metadata(monkeypatch):
    class Metadata:
        def get_all(self, name):
            return ["Source, https://example.org/source", f"Documentation, {URL}/"]

    monkeypatch.setattr(sklearn_html, "metadata", lambda name: Metadata())
    assert sklearn_html._documentation_url() == URL


@pytest.mark.parametrize("estimator", [MultiTaskClassifier(), TaskView(None, 0)], ids=repr)
def test_link_is_to_the_page_that_the_documentation_has(published, estimator):
    name = type(estimator).__name__
    assert estimator._get_doc_link() == f"{URL}/api/sk_mtl.{name}.html"
    # `autosummary` makes a page api/<module>.<name> for each class that it lists.
    assert re.search(rf"^ +{name}$", API.read_text(encoding="utf-8"), re.MULTILINE)


def test_links_of_parameters_have_their_description(published):
    html = MultiTaskClassifier()._repr_html_()
    if "param-doc-link" not in html:
        pytest.skip("this scikit-learn has no links of parameters")
    assert f"{URL}/api/sk_mtl.MultiTaskClassifier.html#:~:text=epochs,-int" in html
    assert "maximum number of passes over the training rows" in html


def test_subclass_of_another_package_has_no_link(published):
    class Own(MultiTaskClassifier):
        pass

    assert Own()._get_doc_link() == ""
