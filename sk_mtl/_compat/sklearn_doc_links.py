"""Links from scikit-learn's HTML representation to the documentation of this package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["DocLinkMixin"]


class DocLinkMixin:
    """Links to the page of a class, and from there to its parameters, where pages are published."""

    _doc_link_module = "sk_mtl"

    @property
    def _doc_link_template(self) -> str:
        url = _documentation_url()
        return f"{url}/api/{{estimator_module}}.{{estimator_name}}.html" if url else ""


def _documentation_url() -> str:
    """Return the URL "Documentation" of the installed package's metadata; empty if it has none."""
    try:
        urls = metadata("sk_mtl").get_all("Project-URL") or []
    except PackageNotFoundError:  # a source tree that is not installed
        return ""
    found = dict(url.split(", ", 1) for url in urls)
    return found.get("Documentation", "").rstrip("/")
