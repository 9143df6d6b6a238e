"""Bundled real tables with missing labels, and a generator of synthetic ones."""

from sk_mtl.datasets._census import load_census
from sk_mtl.datasets._synthetic import make_multitask_classification
from sk_mtl.datasets._tox21 import load_tox21

__all__ = ["load_census", "load_tox21", "make_multitask_classification"]

# Pickles refer to a class or function by its public path.
for _name in __all__:
    globals()[_name].__module__ = __name__
