"""Tests of label smoothing: what is added to the loss, which labels it reaches, and its shares."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from sk_mtl import MultiTaskClassifier
from sk_mtl._fit.class_priors import compute_label_smoothing
from sk_mtl.losses._tasks import member_margins, task_cross_entropy, task_margins

N_OUTPUTS = (3, 1, 4, 3)  # widths out of order, one of them binary
N_CLASSES = (3, 2, 4, 3)


def make_cells(n_rows=7, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, size=(n_rows, sum(N_OUTPUTS))).astype(np.float32)
    codes = np.column_stack([rng.integers(k, size=n_rows) for k in N_CLASSES]).astype(np.int32)
    weight = rng.random(codes.shape).astype(np.float32) + 0.5
    weight[rng.random(codes.shape) < 0.4] = 0
    weight[:, 2] = 0  # a task without any label
    return logits, codes, weight


def by_task(logits):
    """Return the log-probabilities of each task, (n_rows, n_classes_t)."""
    parts = np.split(logits.astype(np.float64), np.cumsum(N_OUTPUTS)[:-1], axis=1)
    scores = [np.hstack([np.zeros_like(p), p]) if p.shape[1] == 1 else p for p in parts]
    return [z - np.log(np.exp(z).sum(axis=1, keepdims=True)) for z in scores]


def smoothed_cross_entropy(logits, codes, weight, share):
    """Return the sum by task, from the labels as vectors."""
    sums = []
    for t, log_p in enumerate(by_task(logits)):
        k = log_p.shape[1]
        target = (1 - share) * np.eye(k)[codes[:, t]] + share / k
        sums.append(-(weight[:, t, None] * target * log_p).sum())
    return np.array(sums)


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_cross_entropy_and_margins_are_that_of_smoothed_labels(share):
    cells = make_cells()
    plain, _ = task_cross_entropy(*cells, N_OUTPUTS)
    found = plain.numpy() + share * task_margins(*cells, N_OUTPUTS).numpy()
    np.testing.assert_allclose(found, smoothed_cross_entropy(*cells, share), rtol=1e-5, atol=1e-6)


def test_margins_of_members_are_their_mean():
    logits, codes, weight = make_cells()
    others, *_ = make_cells(seed=1)
    members = np.stack([logits, others], axis=1)
    each = [task_margins(z, codes, weight, N_OUTPUTS).numpy() for z in (logits, others)]
    found = member_margins(members, codes, weight, N_OUTPUTS)
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf])
def test_what_stands_under_the_mask_reaches_neither_value_nor_gradient(junk):
    logits, codes, weight = make_cells()
    task_of = np.repeat(np.arange(len(N_OUTPUTS)), N_OUTPUTS)
    masked = np.where(weight[:, task_of] > 0, logits, junk).astype(np.float32)
    results = []
    for z in (logits, masked):
        z = tf.constant(z)
        with tf.GradientTape() as tape:
            tape.watch(z)
            margins = task_margins(z, codes, weight, N_OUTPUTS)
        results.append((margins.numpy(), tape.gradient(margins, z).numpy()))
    for plain, with_junk in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, with_junk)
    assert results[0][0][2] == 0


def test_auto_is_the_frequency_of_the_rarest_class_at_most():
    frequencies = [
        np.array(f) for f in ([0.5, 0.5], [0.99, 0.01], [0.6, 0.395, 0.005], [0.7, 0.3, 0])
    ]
    shares = compute_label_smoothing("auto", frequencies)
    np.testing.assert_allclose(shares, [0.02, 0.01, 0.005, 0.02], rtol=1e-6)


def test_number_is_the_share_of_all_tasks():
    frequencies = [np.array([0.99, 0.01])] * 2
    np.testing.assert_allclose(compute_label_smoothing(0.1, frequencies), [0.1, 0.1], rtol=1e-6)
    assert compute_label_smoothing(0.0, frequencies) is None


# -- The estimator -------------------------------------------------------------------------------


def make_data(n_rows=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    Y = pd.DataFrame(
        {
            "rare": (X[:, 0] > 1.3).astype(float),
            "three": np.digitize(X[:, 1], [-0.5, 0.5]).astype(float),
        }
    )
    return X, Y.mask(rng.random(Y.shape) < 0.3)


X, Y = make_data()


def make_tiny(**settings):
    defaults = {"hidden_layer_sizes": (6,), "epochs": 3, "random_state": 0}
    return MultiTaskClassifier(**{**defaults, "optimizer__learning_rate": 0.02, **settings})


def make_still(**settings):
    """Return an estimator whose network stays as it started, so that it can be asked again."""
    return make_tiny(optimizer__learning_rate=0.0, dropout=0.0, epochs=1, **settings)


def assert_same(first, second):
    for p, q in zip(first.predict_proba(X), second.predict_proba(X), strict=True):
        np.testing.assert_array_equal(p, q)


def expected_objective(clf, shares):
    """Return the mean over labelled cells of the cross-entropy of smoothed labels."""
    total, n_cells = 0.0, 0
    for (name, y), share in zip(Y.items(), shares, strict=True):
        known = y.notna().to_numpy()
        log_p = np.log(clf.predict_proba(X)[name][known].astype(float))
        of_true = log_p[np.arange(known.sum()), y[known].astype(int)]
        total -= ((1 - share) * of_true + share * log_p.mean(axis=1)).sum()
        n_cells += known.sum()
    return total / n_cells


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_objective_is_smoothed_and_the_losses_are_not(members, jit_compile):
    settings = {"ensemble_size": members, "jit_compile": jit_compile, "batch_size": len(X)}
    plain, smoothed = (make_still(label_smoothing=s, **settings).fit(X, Y) for s in (0, 0.3))
    assert_same(plain, smoothed)
    for series in ("loss", "rare_loss", "three_loss"):
        assert smoothed.history_[series] == pytest.approx(plain.history_[series], rel=1e-6)
    if members == 1:  # of more, the objective is not that of their mean probabilities
        expected = expected_objective(smoothed, [0.3, 0.3])
        assert smoothed.history_["objective"][0] == pytest.approx(expected, rel=1e-5)
    assert smoothed.history_["objective"][0] > plain.history_["objective"][0]


def test_auto_shares_are_those_of_the_rows_trained_on():
    clf = make_still(label_smoothing="auto", batch_size=len(X)).fit(X, Y)
    rarest = [min(0.02, y.value_counts(normalize=True).min()) for _, y in Y.items()]
    assert clf.history_["objective"][0] == pytest.approx(expected_objective(clf, rarest), rel=1e-5)


def test_objective_is_that_of_adjusted_logits():
    settings = {"label_smoothing": 0.3, "logit_adjustment": 1.0, "batch_size": len(X)}
    clf = make_still(**settings).fit(X, Y)
    total, n_cells = 0.0, 0
    for name, y in Y.items():
        known = y.notna().to_numpy()
        frequencies = y.value_counts(normalize=True).sort_index().to_numpy()
        odds = clf.predict_proba(X)[name][known].astype(float) * frequencies
        log_p = np.log(odds / odds.sum(axis=1, keepdims=True))
        of_true = log_p[np.arange(known.sum()), y[known].astype(int)]
        total -= (0.7 * of_true + 0.3 * log_p.mean(axis=1)).sum()
        n_cells += known.sum()
    assert clf.history_["objective"][0] == pytest.approx(total / n_cells, rel=1e-5)


@pytest.mark.slow
def test_watched_loss_is_that_of_the_labels():
    X_new, Y_new = make_data(200, seed=1)
    clf = make_tiny(label_smoothing=0.3, epochs=1).fit(X, Y, validation_data=(X_new, Y_new))
    y = Y_new["three"]
    p = clf.predict_proba(X_new)["three"][y.notna()].astype(float)
    expected = -np.log(p[np.arange(len(p)), y.dropna().astype(int)]).mean()
    assert clf.history_["val_three_loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_probabilities_stay_away_from_0_and_1():
    settings = {"epochs": 200, "early_stopping": False, "dropout": 0.0, "hidden_layer_sizes": (32,)}
    plain, smoothed = (make_tiny(label_smoothing=s, **settings).fit(X, Y) for s in (0, 0.3))
    known = Y["rare"].notna().to_numpy()
    assert plain.predict_proba(X)["rare"][known].max() > 0.999
    # What a network that fits every label predicts for it: 1 - .3 / 2.
    assert smoothed.predict_proba(X)["rare"][known].max(axis=1).mean() == pytest.approx(
        0.85, abs=0.01
    )


def test_other_share_does_not_come_from_the_fit_before():
    shares = (0.1, 0.4, 0.1)
    first, other, again = (make_tiny(label_smoothing=s).fit(X, Y) for s in shares)
    assert_same(first, again)
    assert (first.predict_proba(X)["rare"] != other.predict_proba(X)["rare"]).any()


def test_rows_without_labels_change_nothing():
    settings = {"label_smoothing": "auto", "early_stopping": True}
    clf = make_tiny(**settings).fit(X, Y)
    labels = pd.concat([Y, Y * np.nan], ignore_index=True)
    assert_same(clf, make_tiny(**settings).fit(np.vstack([X, X + 1]), labels))


def test_refit_smooths_too():
    clf = make_tiny(label_smoothing=0.3, early_stopping=True, refit=True).fit(X, Y)
    final = make_tiny(label_smoothing=0.3, early_stopping=False, epochs=clf.best_iter_).fit(X, Y)
    assert_same(clf, final)


@pytest.mark.slow
def test_focal_loss_takes_no_smoothing():
    with pytest.raises(
        ValueError, match=r"label_smoothing=0.1 applies to the cross-entropy.*'focal'"
    ):
        make_tiny(loss="focal", label_smoothing=0.1).fit(X, Y)
    focal = make_tiny(loss="focal").fit(X, Y)
    assert_same(focal, make_tiny(loss="focal", label_smoothing="auto").fit(X, Y))


@pytest.mark.parametrize("value", [1.0, -0.1, "automatic", None])
def test_bad_value_is_refused(value):
    with pytest.raises(ValueError, match="'label_smoothing' parameter"):
        make_tiny(label_smoothing=value).fit(X, Y)
