"""What methods by logarithms of the losses learn of a class that most batches lack."""

import numpy as np
import pandas as pd
import pytest

from sk_mtl import MultiTaskClassifier
from sk_mtl.weighting import (
    FAMOWeighting,
    GeometricMeanWeighting,
    LogWeighting,
    SmoothTchebycheffWeighting,
)

RATE = 0.04


def learn_rate(weighting):
    """Return the probability that an intercept learns of a class of 4 %, beside one of 50 %."""
    rng = np.random.default_rng(0)
    y = rng.permuted(np.arange(2_000)[:, None] < 2_000 * np.array([RATE, 0.5]), axis=0)
    clf = MultiTaskClassifier(
        (),
        task_weighting=weighting,
        batch_size=32,
        epochs=15,
        optimizer__learning_rate=0.02,
        early_stopping=False,
        random_state=0,
    )
    X = np.zeros((2_000, 1))
    clf.fit(X, pd.DataFrame(y.astype(int), columns=["rare", "even"]))
    return clf.predict_proba(X[:1])[0][0, 1]


@pytest.mark.slow_except("LogWeighting")
@pytest.mark.parametrize(
    "kind", [GeometricMeanWeighting, LogWeighting, SmoothTchebycheffWeighting, FAMOWeighting]
)
def test_moving_averages_keep_the_rate_of_a_rare_class(kind):
    assert learn_rate(kind()) < 0.95 * RATE
    assert learn_rate(kind(momentum=0.99)) == pytest.approx(RATE, rel=0.05)
