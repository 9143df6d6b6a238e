"""What the tests of bad input share: data, a fitted estimator, and that it is as it was afterwards.

Every mistake is tried on an estimator that is not fitted and on a fitted one, where both make
sense. A message is the whole text, or a pattern of the whole text where Keras or NumPy has a part
in it, or an address.
"""

import copy
import re
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny

N = 20
A = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
X = pd.DataFrame(A, columns=["u", "v", "w"])
Y = pd.DataFrame({"flag": np.arange(N) % 2, "colour": ["blue", None, "red", "green"] * 5})
W = np.ones(N)

ENCODE = (
    "Encode them, for instance with OneHotEncoder in a ColumnTransformer, or mark them as "
    "categorical, by a categorical dtype or categorical_features."
)

BOTH = pytest.mark.parametrize("state", ["new", "fitted"])

make = partial(make_tiny, hidden_layer_sizes=(2,), epochs=1)


@cache
def fitted():
    """Return the one fitted estimator, and its probabilities."""
    clf = make().fit(X, Y)
    return clf, np.hstack(clf.predict_proba(X))


def assert_refused(act, error, message, state, params=None):
    """Assert that an act fails with a message, on a new estimator or a fitted one, unchanged."""
    clf = copy.copy(fitted()[0]) if state == "fitted" else make()
    clf.set_params(**(params or {}))
    before = dict(vars(clf))
    with pytest.raises(error) as caught:
        act(clf)
    found = str(caught.value)
    if isinstance(message, re.Pattern):
        assert message.fullmatch(found), found
    else:
        assert found == message
    assert vars(clf).keys() == before.keys()
    assert [name for name in before if vars(clf)[name] is not before[name]] == []
    if state == "fitted":
        np.testing.assert_array_equal(np.hstack(clf.predict_proba(X)), fitted()[1])
