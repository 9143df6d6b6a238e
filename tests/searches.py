"""What the tests of the search share: data, a grid, folds, and the comparison of results."""

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(60, 3))
_GRADE = np.digitize(X[:, 1], [-0.5, 0.5])
Y = pd.DataFrame(
    {
        "sign": np.where(X[:, 0] > 0, "plus", "minus"),
        "grade": np.where(_RNG.random(60) < 0.4, np.nan, _GRADE),
    }
)
FOLDS = KFold(3)
GRID = [{"optimizer__learning_rate": [1e-4, 1e-1]}, {"hidden_layer_sizes": [(4,), (4, 2)]}]


def assert_same_results(ours, theirs):
    """Assert that two `cv_results_` agree in everything but the times."""
    assert list(ours) == list(theirs)
    for key, values in theirs.items():
        if key == "params":
            assert ours[key] == values
        elif key.startswith("param_"):
            assert isinstance(ours[key], np.ma.MaskedArray)
            assert ours[key].dtype == values.dtype
            assert ours[key].tolist() == values.tolist()
        elif "_time" in key:
            assert ours[key].shape == values.shape
        else:
            assert ours[key].dtype == values.dtype
            np.testing.assert_allclose(ours[key], values, atol=1e-6)
