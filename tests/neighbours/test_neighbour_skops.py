"""The page about skops runs, and what it promises holds."""

import keras
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sk_mtl import SKOPS_TYPES, MultiTaskClassifier

PAGE = "skops"
pytestmark = pytest.mark.neighbours


def test_loaded_search_predicts_the_same_bits(page):
    for found, expected in zip(
        page.loaded.predict_proba(page.X), page.search.predict_proba(page.X), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_search_adds_no_types_of_others(page):
    assert set(page.untrusted) <= set(SKOPS_TYPES)
    assert {name.split(".")[0] for name in page.untrusted} == {"sk_mtl"}


def test_splitters_and_scorers_of_scikit_learn_have_to_be_reviewed(page):
    search = GridSearchCV(page.search.best_estimator_, {}, cv=2).fit(page.X, page.Y)

    types = page.skops.io.get_untrusted_types(data=page.skops.io.dumps(search))

    assert set(types) - set(SKOPS_TYPES) == {
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.model_selection._split.KFold",
    }


@pytest.mark.parametrize("name", ["optimizer", "model"])
def test_objects_of_keras_are_refused(page, name):
    trunk = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")])
    value = {"optimizer": keras.optimizers.Adam(), "model": trunk}[name]
    clf = MultiTaskClassifier(epochs=1, random_state=0).set_params(**{name: value})
    clf.fit(page.X.drop(columns="shop").fillna(0), page.Y)

    with pytest.raises(
        (TypeError, RecursionError)
    ):  # it names neither the object nor the parameter
        page.skops.io.dumps(clf)
