"""Tests of what the estimator does for rare classes and tasks: focal loss, adjustment, batches."""

from functools import partial

import helpers
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import assert_same_predictions, predict_differently

from sk_mtl import clear_program_cache
from sk_mtl._train import program_cache as _program_cache
from sk_mtl._train.loop import TrainingRun
from sk_mtl.metrics import multitask_score


def make_data(n_rows=300, seed=0):
    """Return a rare class, three classes of which one is rare, and a task of few labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    noise = rng.normal(size=(n_rows, 3))
    Y = pd.DataFrame(
        {
            "rare": (X[:, 0] + noise[:, 0] > 2).astype(float),
            "three": np.digitize(X[:, 1] + noise[:, 1], [0.5, 2]).astype(float),
            "few": (X[:, 2] + noise[:, 2] > 0).astype(float),
        }
    )
    Y.loc[rng.random(n_rows) < 0.9, "few"] = np.nan
    Y.loc[rng.random(n_rows) < 0.3, "rare"] = np.nan
    return X, Y


X, Y = make_data()
X_NEW, Y_NEW = make_data(2_000, seed=1)


make_tiny = partial(
    helpers.make_tiny, hidden_layer_sizes=(8,), epochs=4, optimizer__learning_rate=0.02
)
assert_same = partial(assert_same_predictions, X=X_NEW)
differs = partial(predict_differently, X=X_NEW)

RARE = {
    "focal": {"loss": "focal"},
    "adjusted": {"logit_adjustment": 1.0},
    "label-aware": {"batching": "label_aware"},
    "all": {"loss": "focal", "logit_adjustment": 0.5, "batching": "label_aware"},
}


@pytest.fixture(scope="module")
def plain():
    return make_tiny().fit(X, Y)


@pytest.mark.slow
@pytest.mark.parametrize("settings", RARE.values(), ids=RARE)
def test_setting_changes_the_network_and_is_deterministic(plain, settings):
    clf = make_tiny(**settings).fit(X, Y)
    assert differs(clf, plain)
    assert_same(clf, make_tiny(**settings).fit(X, Y))


@pytest.mark.slow_except("adjusted")
@pytest.mark.parametrize("settings", RARE.values(), ids=RARE)
def test_rows_without_labels_and_what_is_masked_change_nothing(settings):
    settings = {**settings, "missing_label": -1, "early_stopping": True}
    clf = make_tiny(**settings).fit(X, Y)
    more = np.vstack([X, X + 1])
    labels = pd.concat([Y.fillna(-1), Y.fillna(-1) * 0 - 1], ignore_index=True)
    assert_same(clf, make_tiny(**settings).fit(more, labels))


@pytest.mark.slow
def test_sparse_X_gives_the_same_up_to_rounding():
    clf = make_tiny(**RARE["all"]).fit(X, Y)
    sparse = make_tiny(**RARE["all"]).fit(sp.csr_matrix(X), Y)
    for p, q in zip(clf.predict_proba(X_NEW), sparse.predict_proba(X_NEW), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-5)


@pytest.mark.slow
def test_xla_gives_the_same_up_to_rounding():
    settings = {**RARE["all"], "dropout": 0.0}  # whose draws are others under XLA
    clf, compiled = (make_tiny(**settings, jit_compile=jit).fit(X, Y) for jit in (False, True))
    for p, q in zip(clf.predict_proba(X_NEW), compiled.predict_proba(X_NEW), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-4)


# -- Focal loss ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_focal_loss_of_exponent_0_is_the_cross_entropy(plain):
    clf = make_tiny(loss="focal", focal_gamma=0.0).fit(X, Y)
    for p, q in zip(clf.predict_proba(X_NEW), plain.predict_proba(X_NEW), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-5)


@pytest.mark.slow
def test_focal_loss_is_what_history_shows():
    clf = make_tiny(loss="focal", focal_gamma=1.5, epochs=1)
    clf.fit(X, Y, validation_data=(X_NEW, Y_NEW))
    p = clf.predict_proba(X_NEW)["three"].astype(float)
    of_true = p[np.arange(len(p)), Y_NEW["three"].astype(int)]
    expected = np.mean(-((1 - of_true) ** 1.5) * np.log(of_true))
    assert clf.history_["val_three_loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_focal_loss_is_less_sure_of_itself():
    settings = {"epochs": 30, "hidden_layer_sizes": (32,)}
    plain, focal = (make_tiny(loss=loss, **settings) for loss in ("cross_entropy", "focal"))
    surer, other = (
        clf.fit(X, Y).predict_proba(X_NEW)["three"].max(axis=1) for clf in (plain, focal)
    )
    assert other.mean() < surer.mean() - 0.02


# -- Logit adjustment ----------------------------------------------------------------------------


@pytest.mark.slow
def test_adjusted_network_finds_more_of_the_rare_classes():
    plain, adjusted = (make_tiny(logit_adjustment=tau, epochs=30).fit(X, Y) for tau in (0, 1))
    scores = [
        multitask_score("balanced_accuracy", Y_NEW, clf.predict(X_NEW)) for clf in (plain, adjusted)
    ]
    assert scores[1] > scores[0] + 0.05
    for task in ("rare", "three"):
        rarest = Y_NEW[task].max()
        found = [(clf.predict(X_NEW)[task] == rarest).sum() for clf in (plain, adjusted)]
        assert found[1] > 1.5 * found[0]


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_adjusted_odds_are_the_plain_ones_over_the_frequencies(plain, tau):
    adjusted = make_tiny(logit_adjustment=tau).fit(X, Y).predict_proba(X_NEW)
    for t, task in enumerate(Y.columns):
        frequencies = Y[task].value_counts(normalize=True).sort_index().to_numpy()
        odds = plain.predict_proba(X_NEW)[t] / frequencies**tau
        np.testing.assert_allclose(adjusted[t], odds / odds.sum(axis=1, keepdims=True), atol=2e-3)


def test_watched_loss_is_that_of_the_adjusted_logits():
    clf = make_tiny(logit_adjustment=1.0, epochs=1)
    clf.fit(X, Y, validation_data=(X_NEW, Y_NEW))
    frequencies = Y["three"].value_counts(normalize=True).sort_index().to_numpy()
    odds = clf.predict_proba(X_NEW)["three"] * frequencies
    p = odds / odds.sum(axis=1, keepdims=True)
    expected = -np.log(p[np.arange(len(p)), Y_NEW["three"].astype(int)]).mean()
    assert clf.history_["val_three_loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_untrained_adjusted_network_predicts_equal_frequencies():
    # The mean of the rows is 0 to the network without bins.
    settings = {"numeric_embedding": None, "epochs": 1, "optimizer__learning_rate": 1e-9}
    clf = make_tiny(logit_adjustment=1.0, **settings)
    p = clf.fit(X, Y).predict_proba(X.mean(axis=0, keepdims=True))
    np.testing.assert_allclose(p["three"], 1 / 3, atol=1e-5)
    np.testing.assert_allclose(p["rare"], 0.5, atol=1e-5)


def test_balanced_class_weights_leave_nothing_to_adjust():
    plain, adjusted = (
        make_tiny(class_weight="balanced", logit_adjustment=tau).fit(X, Y) for tau in (0, 1)
    )
    for p, q in zip(plain.predict_proba(X_NEW), adjusted.predict_proba(X_NEW), strict=True):
        np.testing.assert_allclose(p, q, atol=1e-3)


@pytest.mark.slow
def test_temperature_takes_the_adjustment_into_account():
    settings = {"hidden_layer_sizes": (), "epochs": 40, "logit_adjustment": 1.0}
    validation = (X_NEW, Y_NEW)
    clf = make_tiny(**settings, calibrate=True).fit(X_NEW, Y_NEW, validation_data=validation)
    # A linear model of this size does not overfit; without the frequencies it would be far off.
    np.testing.assert_allclose(clf.temperatures_[:2], 1, atol=0.1)


@pytest.mark.slow
def test_other_frequencies_take_no_other_program(monkeypatch):
    clear_program_cache()
    built = []

    class Counted(_program_cache.TrainingProgram):
        def __init__(self, *args):
            built.append(args)
            super().__init__(*args)

    monkeypatch.setattr(_program_cache, "TrainingProgram", Counted)
    first = make_tiny(logit_adjustment=1.0).fit(X, Y)
    second = make_tiny(logit_adjustment=1.0).fit(X[:200], Y[:200])
    assert len(built) == 1
    clear_program_cache()
    assert_same(make_tiny(logit_adjustment=1.0).fit(X[:200], Y[:200]), second)
    assert differs(first, second)
    make_tiny().fit(X, Y)
    make_tiny(loss="focal").fit(X, Y)
    assert len(built) == 4


@pytest.mark.slow
def test_streams_take_the_frequencies_of_the_call():
    clf = make_tiny(**RARE["all"]).partial_fit(X, Y, classes={t: [0, 1, 2] for t in Y.columns})
    clf.partial_fit(X[:50], Y[:50]).partial_fit(X[:3], Y[:3])
    assert np.isfinite(np.hstack(clf.predict_proba(X_NEW))).all()


# -- Label-aware batches -------------------------------------------------------------------------


def test_few_labels_are_in_every_batch(monkeypatch):
    orders = []
    original = TrainingRun.begin_epoch

    def note(run):
        changed = original(run)
        orders.append(run.rows)
        return changed

    monkeypatch.setattr(TrainingRun, "begin_epoch", note)
    make_tiny(batching="label_aware", batch_size=30, epochs=2).fit(X, Y)
    has_label = Y["few"].notna().to_numpy()
    assert has_label.sum() >= 20
    for order in orders:
        batches = np.array_split(order, len(order) // 30)
        assert min(has_label[batch].sum() for batch in batches) >= 2


def test_1d_y_and_one_batch_of_all_rows():
    clf = make_tiny(**RARE["all"], batch_size=10_000, epochs=2).fit(X, Y["rare"])
    assert clf.predict_proba(X_NEW).shape == (2_000, 2)
