"""Tests of `calibrate` and sk_mtl._fit.temperature_scaling."""

import copy
import io
import pickle
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from sk_mtl import MultiTaskClassifier, load_model, save_model
from sk_mtl._codec.container import pack
from sk_mtl._fit.temperature_scaling import fit_temperatures
from sk_mtl._model_file import _describe
from sk_mtl.metrics import multitask_score


def draw_cells(n_rows, n_classes, seed=0):
    """Return logits, and classes drawn from their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n_rows, n_classes))
    shares = np.exp(log_softmax(logits, axis=1)).cumsum(axis=1)
    return logits, (rng.random((n_rows, 1)) > shares).sum(axis=1).clip(max=n_classes - 1)


def log_loss_at(temperature, logits, codes, weight):
    cell = -log_softmax(logits / temperature, axis=1)[np.arange(len(codes)), codes]
    return weight @ cell / weight.sum()


def find_one(logits, codes, weight=None):
    """Return the temperature of a task that is the only one."""
    weight = np.ones(len(codes)) if weight is None else weight
    return fit_temperatures(logits, codes[:, None], weight[:, None], (logits.shape[1],))[0]


# -- One task ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_temperature_undoes_a_factor_on_calibrated_logits(n_classes, factor):
    logits, codes = draw_cells(50_000, n_classes)
    assert find_one(factor * logits, codes) == pytest.approx(factor, rel=0.05)


def test_temperature_has_the_lowest_sum_of_weighted_log_loss_and_pull():
    logits, codes = draw_cells(2_000, 3)
    weight = np.random.default_rng(1).uniform(0.1, 4, size=len(codes))
    tried = np.geomspace(0.5, 8, 2001)
    loss = np.array([log_loss_at(t, 2 * logits, codes, weight) for t in tried])
    best = tried[np.argmin(2_000 * loss + 100 * (1 / tried - 1 + np.log(tried)))]
    assert find_one(2 * logits, codes, weight) == pytest.approx(best, rel=2e-3)


def test_temperature_does_not_depend_on_the_scale_of_the_weights():
    logits, codes = draw_cells(100, 3)
    weight = np.random.default_rng(1).uniform(0.1, 4, size=len(codes))
    found = [find_one(logits, codes, weight * factor) for factor in (1e-6, 1, 1e6)]
    np.testing.assert_allclose(found, found[1], rtol=1e-6)


def test_temperature_does_not_depend_on_a_constant_of_a_row():
    logits, codes = draw_cells(100, 3)
    shifted = logits + np.arange(100)[:, None]
    found = [find_one(z, codes) for z in (logits, shifted)]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize(("n_rows", "lowest"), [(20, 0.8), (20_000, 0.1)])
def test_temperature_stays_positive_when_all_cells_are_right(n_rows, lowest):
    codes = np.arange(n_rows) % 2
    logits = np.stack([-1.5 + 3 * (1 - codes), 1.5 - 3 * (1 - codes)], axis=1)
    assert lowest < find_one(logits, codes) < 1


def test_temperature_is_high_when_all_cells_are_wrong():
    codes = np.arange(4_000) % 2
    logits = np.stack([3.0 * codes, 3.0 * (1 - codes)], axis=1)
    assert find_one(logits, codes) > 20


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e30, np.inf])
def test_temperatures_are_numbers_whatever_the_size_of_logits(size):
    codes = np.arange(40) % 3
    logits = np.full((40, 3), -size)
    logits[np.arange(40), codes] = size
    logits[::7] = -logits[::7]
    with np.errstate(all="raise", under="ignore"):
        alone = find_one(logits, codes)
        pair = fit_temperatures(
            np.hstack([logits, draw_cells(40, 3)[0]]),
            np.stack([codes, codes], axis=1),
            np.ones((40, 2)),
            (3, 3),
        )
    assert ((np.r_[alone, pair] > 0) & np.isfinite(np.r_[alone, pair])).all()


# -- Several tasks -------------------------------------------------------------------------------


def draw_tasks(factors, n_rows):
    """Return logits of binary tasks, too large by these factors, and codes drawn by the true."""
    rng = np.random.default_rng(0)
    log_odds = rng.normal(scale=2, size=(n_rows, len(factors)))
    codes = (rng.random(log_odds.shape) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return log_odds * factors, codes


@pytest.mark.slow
def test_tasks_with_many_labels_have_temperatures_of_their_own():
    factors = np.array([0.7, 1.0, 2.5])
    logits, codes = draw_tasks(factors, 20_000)
    found = fit_temperatures(logits, codes, np.ones(codes.shape), (1, 1, 1))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, factors, rtol=0.1)


def test_tasks_of_few_labels_are_helped_by_the_others():
    logits, codes = draw_tasks(np.full(20, 2.0), 200)
    together = fit_temperatures(logits, codes, np.ones(codes.shape), (1,) * 20)
    alone = [
        fit_temperatures(z[:, None], c[:, None], np.ones((200, 1)), (1,))[0]
        for z, c in zip(logits.T, codes.T, strict=True)
    ]
    errors = [np.sqrt(np.mean(np.log(np.divide(found, 2)) ** 2)) for found in (together, alone)]
    assert errors[0] < 0.4 * errors[1]


@pytest.mark.parametrize("n_cells", [0, 1, 5])
def test_task_of_few_cells_has_about_the_temperature_of_the_others(n_cells):
    logits, codes = draw_tasks(np.array([2.0, 2.2, 1.0]), 3_000)
    weight = np.ones(codes.shape)
    weight[n_cells:, 2] = 0
    found = fit_temperatures(logits, codes, weight, (1, 1, 1))
    assert found[2] == pytest.approx(np.sqrt(found[0] * found[1]), rel=0.1)
    if not n_cells:
        assert found[:2].min() <= found[2] <= found[:2].max()


def test_one_task_gone_wrong_leaves_the_others_nearly_alone():
    factors = np.array([4.0, 1.0, 1.0, 1.0])
    logits, codes = draw_tasks(factors, 5_000)
    found = fit_temperatures(logits, codes, np.ones(codes.shape), (1,) * 4)
    np.testing.assert_allclose(found, factors, rtol=0.1)


def test_task_of_few_cells_that_is_far_off_is_not_outvoted_by_many_that_are_not():
    logits, codes = draw_tasks(np.array([0.9, 0.9, 1.0, 1.1, 4.0]), 5_000)
    weight = np.ones(codes.shape)
    weight[100:, 4] = 0
    found = fit_temperatures(logits, codes, weight, (1,) * 5)
    assert found[4] > 2.5


@pytest.mark.slow
def test_tasks_may_have_any_number_of_classes():
    (two, two_codes), (four, four_codes) = draw_cells(20_000, 2), draw_cells(20_000, 4, seed=1)
    logits = np.hstack([3 * (two[:, 1:] - two[:, :1]), four])
    codes = np.stack([two_codes, four_codes], axis=1)
    found = fit_temperatures(logits, codes, np.ones(codes.shape), (1, 4))
    np.testing.assert_allclose(found, [3, 1], rtol=0.05)


def test_weights_scatter_slopes_and_are_no_difference_between_tasks():
    logits, codes = draw_tasks(np.ones(12), 400)
    weight = np.random.default_rng(1).exponential(size=codes.shape) ** 4
    found = fit_temperatures(logits, codes, weight, (1,) * 12)
    assert np.ptp(found) < 0.05


def test_masked_cells_do_not_matter():
    logits, codes = draw_cells(60, 3)
    logits, codes = np.hstack([logits, 2 * logits]), np.stack([codes, codes], axis=1)
    weight = np.ones((60, 2))
    weight[40:] = 0
    expected = fit_temperatures(logits, codes, weight, (3, 3))
    logits[40:], codes[40:] = np.nan, 7
    np.testing.assert_array_equal(fit_temperatures(logits, codes, weight, (3, 3)), expected)


def test_without_any_label_all_are_1():
    found = fit_temperatures(np.ones((5, 2)), np.zeros((5, 2), int), np.zeros((5, 2)), (1, 1))
    np.testing.assert_array_equal(found, 1)


# -- The estimator -------------------------------------------------------------------------------


def make_data(n_rows=400, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 5)).astype(np.float32)
    noise = rng.normal(size=(n_rows, 2))
    Y = pd.DataFrame(
        {
            "sign": np.where(X[:, 0] + noise[:, 0] > 0, "plus", "minus"),
            "grade": np.digitize(X[:, 1] + noise[:, 1], [-0.5, 0.5]).astype(float),
            "same": "s",
        }
    )
    Y.loc[::3, "grade"] = np.nan
    return X, Y


X, Y = make_data()
X_NEW, Y_NEW = make_data(3_000, seed=1)


def make_tiny(**settings):
    # Without early stopping and dropout it is overconfident.
    defaults = {"early_stopping": False, "calibrate": True, "random_state": 0}
    network = {"hidden_layer_sizes": (32,), "epochs": 60, "optimizer__learning_rate": 0.02}
    network |= {"dropout": 0.0}
    return MultiTaskClassifier(**{**network, **defaults, **settings})


def fit_quietly(clf, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*one class")
        return clf.fit(*args, **kwargs)


@pytest.fixture(scope="module")
def plain():
    validation = (X_NEW[:200], Y_NEW[:200])
    return fit_quietly(make_tiny(calibrate=False), X, Y, validation_data=validation)


@pytest.fixture(scope="module")
def calibrated():
    return fit_quietly(make_tiny(), X, Y, validation_data=(X_NEW[:200], Y_NEW[:200]))


@pytest.mark.slow
def test_temperatures_are_above_1_after_overfitting(calibrated):
    assert calibrated.temperatures_.dtype == np.float32
    assert (calibrated.temperatures_[:2] > 1.5).all()
    assert calibrated.temperatures_[2] == 1


@pytest.mark.slow
def test_temperatures_are_1_without_calibration(plain):
    np.testing.assert_array_equal(plain.temperatures_, np.ones(3, np.float32))


@pytest.mark.parametrize(("metric", "share"), [("log_loss", 0.9), ("calibration_error", 0.7)])
def test_calibration_is_better_on_new_rows(plain, calibrated, metric, share):
    before, after = (
        multitask_score(metric, Y_NEW.iloc[200:, :2], clf.predict_proba(X_NEW[200:])[:2])
        for clf in (plain, calibrated)
    )
    assert after < share * before


def test_predictions_are_those_without_calibration(plain, calibrated):
    pd.testing.assert_frame_equal(calibrated.predict(X_NEW), plain.predict(X_NEW))
    assert calibrated.score(X_NEW, Y_NEW) == plain.score(X_NEW, Y_NEW)


def test_log_probabilities_and_views_are_calibrated_too(calibrated):
    expected = calibrated.predict_proba(X_NEW)["grade"]
    found = calibrated.predict_log_proba(X_NEW)["grade"]
    np.testing.assert_allclose(np.exp(found), expected, rtol=1e-5)
    found = calibrated.task_view("grade").predict_proba(X_NEW)
    np.testing.assert_allclose(found, expected, rtol=2e-7)


def test_probabilities_are_the_softmax_of_logits_over_temperature(plain, calibrated):
    logits = np.asarray(plain.model_(X_NEW))[:, 1:] / calibrated.temperatures_[1]
    expected = np.exp(log_softmax(logits.astype(float), axis=1))
    np.testing.assert_allclose(calibrated.predict_proba(X_NEW)["grade"], expected, atol=1e-6)


def test_model_gives_the_calibrated_logits_wherever_it_is_loaded(calibrated, tmp_path):
    calibrated.model_.save(tmp_path / "network.keras")
    logits = np.asarray(keras.models.load_model(tmp_path / "network.keras")(X_NEW))
    proba = calibrated.predict_proba(X_NEW)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[:, 0])), proba["sign"][:, 1], atol=1e-6)
    np.testing.assert_allclose(
        np.exp(log_softmax(logits[:, 1:], axis=1)), proba["grade"], atol=1e-6
    )


@pytest.mark.slow
def test_rows_held_out_by_early_stopping_are_used():
    clf = fit_quietly(make_tiny(early_stopping=True, validation_fraction=0.3, epochs=2), X, Y)
    assert (clf.temperatures_[:2] != 1).all()


def test_weights_of_validation_rows_matter():
    found = []
    for weight in (np.ones(200), np.r_[np.ones(100), np.full(100, 9.0)]):
        validation = (X_NEW[:200], Y_NEW[:200], weight)
        clf = fit_quietly(make_tiny(epochs=3), X, Y, validation_data=validation)
        found.append(clf.temperatures_)
    assert (found[0][:2] != found[1][:2]).all()


@pytest.mark.parametrize(
    "settings",
    [{}, {"early_stopping": "auto"}, {"early_stopping": True, "validation_fraction": None}],
    ids=["no stopping", "few rows", "training loss"],
)
def test_calibration_without_rows_to_watch_is_refused(settings):
    clf = make_tiny(**settings)
    with pytest.raises(ValueError, match="calibrate=True needs validation rows"):
        fit_quietly(clf, X[:90], Y[:90])
    assert not hasattr(clf, "classes_")
    assert not hasattr(clf, "temperatures_")


def test_task_with_few_labels_has_the_temperature_of_the_other():
    y = Y_NEW[["sign", "grade"]].copy()
    y.loc[30:, "grade"] = np.nan
    clf = make_tiny(early_stopping=True, validation_fraction=0.5, n_iter_no_change=60).fit(X_NEW, y)
    assert clf.temperatures_[0] != 1
    assert clf.temperatures_[1] == pytest.approx(clf.temperatures_[0], rel=0.05)


@pytest.mark.parametrize(
    ("settings", "n_rows", "is_calibrated"),
    [
        ({"early_stopping": True}, 400, True),
        ({"early_stopping": True, "refit": True}, 400, False),
        ({"early_stopping": "cv"}, 50, False),
        ({"early_stopping": False}, 400, False),
        ({"early_stopping": "auto"}, 90, False),
    ],
    ids=["held out", "refitted", "folds", "no stopping", "few rows"],
)
def test_auto_calibrates_by_rows_that_are_never_trained_on(settings, n_rows, is_calibrated):
    clf = make_tiny(calibrate="auto", epochs=2, **settings).fit(X[:n_rows], Y[["sign"]][:n_rows])
    assert (clf.temperatures_[0] != 1) == is_calibrated


@pytest.mark.slow
def test_auto_lets_a_stream_begin():
    clf = make_tiny(calibrate="auto").partial_fit(X, Y["sign"], classes=["minus", "plus"])
    np.testing.assert_array_equal(clf.temperatures_, 1)


def test_task_of_a_1d_y_is_calibrated():
    clf = make_tiny(early_stopping=True, epochs=2).fit(X, Y["sign"])
    assert clf.temperatures_.shape == (1,)
    assert clf.temperatures_[0] != 1


def test_no_task_to_learn_is_nothing_to_calibrate():
    clf = fit_quietly(make_tiny(), X, Y[["same"]])
    np.testing.assert_array_equal(clf.temperatures_, 1)


# -- Going on, keeping ---------------------------------------------------------------------------


def test_first_partial_fit_is_refused():
    with pytest.raises(ValueError, match="partial_fit has neither"):
        make_tiny().partial_fit(X, Y, classes={"sign": ["minus", "plus"]})


def test_partial_fit_keeps_the_temperatures(calibrated):
    clf = copy.deepcopy(calibrated).partial_fit(X, Y)
    np.testing.assert_array_equal(clf.temperatures_, calibrated.temperatures_)


def test_warm_start_finds_them_anew_or_takes_them_away(calibrated):
    clf = copy.deepcopy(calibrated).set_params(warm_start=True, epochs=2)
    clf.fit(X, Y, validation_data=(X_NEW[200:500], Y_NEW[200:500]))
    assert (clf.temperatures_[:2] != calibrated.temperatures_[:2]).all()
    clf.set_params(calibrate=False).fit(X, Y)
    np.testing.assert_array_equal(clf.temperatures_, 1)


def save_and_load(clf):
    file = io.BytesIO()
    save_model(clf, file)
    return load_model(io.BytesIO(file.getvalue()))


COPIES = {"pickle": lambda clf: pickle.loads(pickle.dumps(clf)), "file": save_and_load}


@pytest.mark.parametrize("way", COPIES)
def test_saved_model_is_calibrated(calibrated, way):
    again = COPIES[way](calibrated)
    np.testing.assert_array_equal(again.temperatures_, calibrated.temperatures_)
    for found, expected in zip(
        again.predict_proba(X_NEW), calibrated.predict_proba(X_NEW), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("values", [[0, 1], [-1, 1], [np.nan, 1], [np.inf, 1], [1], [1, 1, 1]])
def test_forged_temperatures_are_refused(calibrated, values):
    clf = copy.deepcopy(calibrated)
    clf._fitted.network.temperatures = np.array(values, dtype=np.float32)
    description, arrays = _describe(clf)
    with pytest.raises(ValueError, match=r"does not describe a model: .*temperature"):
        load_model(io.BytesIO(pack(description, arrays)))


def test_summary_shows_temperatures_only_where_there_are_any(plain, calibrated):
    summary = calibrated.summary()
    np.testing.assert_array_equal(summary.tasks["temperature"], calibrated.temperatures_)
    assert "temperature" in str(summary)
    assert "temperature" not in str(plain.summary())


@pytest.mark.slow
def test_custom_networks_are_calibrated():
    def build(n_outputs=2):
        inputs = keras.Input((5,))
        hidden = keras.layers.Dense(8, "relu")(inputs)
        outputs = [
            keras.layers.Dense(1, "sigmoid", name="sign")(hidden),
            keras.layers.Dense(3, "softmax", name="grade")(hidden),
        ]
        return keras.Model(inputs, outputs)

    clf = make_tiny(
        hidden_layer_sizes=(256,),
        dropout="auto",
        model=build,
        early_stopping=True,
        validation_fraction=0.3,
        epochs=2,
    )
    clf.fit(X, Y[["sign", "grade"]])
    assert (clf.temperatures_ != 1).all()
    logits = np.log(np.asarray(clf.model_(X_NEW)[1], dtype=float)) / clf.temperatures_[1]
    expected = np.exp(log_softmax(logits, axis=1))
    np.testing.assert_allclose(clf.predict_proba(X_NEW)["grade"], expected, atol=1e-5)
