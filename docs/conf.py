"""Sphinx's configuration: Markdown pages, API pages from the docstrings, a gallery of scripts.

The build needs no network, and the pages need none to be read: equations become MathML while
building, the theme's files are copied.
"""

import inspect
import os
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import sk_mtl

# -- Project -------------------------------------------------------------------------------------

project = "sk_mtl"
author = "the sk_mtl developers"
project_copyright = f"2026, {author}"
version = release = sk_mtl.__version__

# -- Sources -------------------------------------------------------------------------------------

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "examples", "sg_execution_times.rst", "**/sg_execution_times.rst"]
default_role = "literal"  # in docstrings a single backtick means code
smartquotes = False  # strings in the docstrings keep the quotes of the code

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Every unresolved reference is a warning, and in CI a warning is an error. References to other
# libraries have nowhere to go, since the build downloads none of their inventories.
nitpicky = True
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(joblib|keras|matplotlib|narwhals|numpy|np|pandas|pd|scikeras|scipy|sklearn|tensorflow|tf)\..*",
    ),
]

# -- API pages: one per name in a public module's __all__ ----------------------------------------

autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"  # the docstrings give types together with shapes
numpydoc_show_class_members = False  # the class template lists them


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out what scikit-learn and Keras document: members that they define or generate."""
    if isinstance(obj, property):
        obj = obj.fget
    module = getattr(inspect.unwrap(obj) if callable(obj) else obj, "__module__", None)
    return True if isinstance(module, str) and module.split(".")[0] != "sk_mtl" else None


# -- Gallery: docs/examples/*.py, run at build time ----------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "copyfile_regex": r".*\.md$",
    "download_all_examples": False,
    "reset_modules": ("matplotlib",),
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
}

# -- HTML ----------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"


def visit_math(translator, node):
    """Write an inline formula as MathML."""
    translator.body.append(_mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(translator, node):
    """Write a displayed formula as MathML, with its number if it has a label."""
    number = f'<span class="eqno">({node["number"]})</span>' if node["number"] else ""
    anchor = f' id="{node["ids"][0]}"' if node["ids"] else ""
    translator.body.append(
        f'<div class="math"{anchor}>{number}{_mathml(node, as_block=True)}</div>'
    )
    raise nodes.SkipNode


def _mathml(node, as_block):
    try:
        return tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("formula: %s", error, location=node)
        return f"<code>{nodes.unescape(node.astext())}</code>"


def setup(app):
    """Connect the pieces defined above."""
    app.connect("autodoc-skip-member", skip_foreign_members)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
