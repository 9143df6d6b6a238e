"""Sphinx's configuration: Markdown pages, API pages from the docstrings, a gallery of scripts.

The build needs no network, and the pages need none to be read: equations are drawn while building,
links to other manuals come from lists in docs/inventories, the theme's files are copied. What goes
beyond configuration is in docs/_extensions.
"""

import inspect
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_extensions")]
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
    "sphinx.ext.intersphinx",
    "sphinx_gallery.gen_gallery",
    # docs/_extensions
    "formulas",
    "manuals",
    "parameter_groups",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "_extensions",
    "inventories",
    "examples",
    "sg_execution_times.rst",
    "**/sg_execution_times.rst",
]
default_role = "literal"  # in docstrings a single backtick means code
smartquotes = False  # strings in the docstrings keep the quotes of the code

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nitpicky = True  # every unresolved reference is a warning, and in CI a warning is an error

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
    "backreferences_dir": "auto_examples/backreferences",  # for the examples on API pages
    "capture_repr": ("_repr_html_", "__repr__"),
    "copyfile_regex": r".*\.md$",
    "doc_module": ("sk_mtl",),
    "download_all_examples": False,
    "remove_config_comments": True,
    "reset_modules": ("matplotlib",),
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "gallery.LearningOrder",
}

# -- HTML ----------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "drawn"  # docs/_extensions/formulas.py


def setup(app):
    """Connect what is defined above."""
    app.connect("autodoc-skip-member", skip_foreign_members)
