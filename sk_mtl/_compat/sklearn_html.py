"""scikit-learn's HTML representation: links to the documentation, and the attributes shown."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

__all__ = ["DocLinkMixin", "HtmlMixin"]


class DocLinkMixin:
    """Links to the page of a class, and from there to its parameters, where pages are published."""

    _doc_link_module = "sk_mtl"

    @property
    def _doc_link_template(self) -> str:
        url = _documentation_url()
        return f"{url}/api/{{estimator_module}}.{{estimator_name}}.html" if url else ""


class HtmlMixin(DocLinkMixin):
    """Leaves the Keras model out of the attributes: reading `model_` would build it."""

    def __dir__(self) -> list[str]:
        # That of scikit-learn reads every attribute.
        names = set(object.__dir__(self))
        return sorted(names - {"model_"} if "_hides_model" in vars(self) else names)

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """Return the HTML of the fitted attributes, which are read for all that `dir` lists."""
        now = self._snapshot()  # type: ignore[attr-defined]
        now._hides_model = True
        return super(HtmlMixin, now)._get_fitted_attr_html(doc_link)  # type: ignore[misc]


def _documentation_url() -> str:
    """Return the URL "Documentation" of the installed package's metadata; empty if it has none."""
    try:
        urls = metadata("sk_mtl").get_all("Project-URL") or []
    except PackageNotFoundError:  # a source tree that is not installed
        return ""
    found = dict(url.split(", ", 1) for url in urls)
    return found.get("Documentation", "").rstrip("/")
