"""Splitting rows, and predicting across splits, with missing labels in y.

Owns the splitters that scikit-learn takes as ``cv=``, `train_test_split`, `cross_val_predict`, and
the validation split of early stopping. Works with any estimator of scikit-learn's interface. The
search, which fits `MultiTaskClassifier`, is made in `_search` and has its public name here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sk_mtl.model_selection._cross_val_predict import cross_val_predict as cross_val_predict
from sk_mtl.model_selection._k_fold import (
    MultiTaskStratifiedGroupKFold as MultiTaskStratifiedGroupKFold,
)
from sk_mtl.model_selection._k_fold import MultiTaskStratifiedKFold as MultiTaskStratifiedKFold
from sk_mtl.model_selection._k_fold import (
    RepeatedMultiTaskStratifiedKFold as RepeatedMultiTaskStratifiedKFold,
)
from sk_mtl.model_selection._shuffle_split import (
    MultiTaskStratifiedShuffleSplit as MultiTaskStratifiedShuffleSplit,
)
from sk_mtl.model_selection._train_test_split import train_test_split as train_test_split
from sk_mtl.model_selection._validation_split import stratified_holdout as stratified_holdout

if TYPE_CHECKING:
    from sk_mtl._search.search import MultiTaskSearchCV as MultiTaskSearchCV

__all__ = [
    "MultiTaskSearchCV",
    "MultiTaskStratifiedGroupKFold",
    "MultiTaskStratifiedKFold",
    "MultiTaskStratifiedShuffleSplit",
    "RepeatedMultiTaskStratifiedKFold",
    "cross_val_predict",
    "stratified_holdout",
    "train_test_split",
]

# Pickles refer to a class or function by its public path.
for _name in __all__:
    if _name in globals():
        globals()[_name].__module__ = __name__


def __getattr__(name: str) -> Any:
    # It stands above the estimator, which imports this package.
    if name == "MultiTaskSearchCV":
        value = globals()[name] = import_module("sk_mtl._search.search").MultiTaskSearchCV
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
