"""Rows that belong together: the groups that `fit` keeps on one side of its own splits."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import assert_same_fits, make_tiny
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sk_mtl._train.together
from sk_mtl.metrics import multitask_score
from sk_mtl.model_selection import stratified_holdout

N_PEOPLE, N_VISITS = 40, 5
GROUPS = np.repeat(np.arange(N_PEOPLE), N_VISITS)
PEOPLE = [f"person {number}" for number in GROUPS]
rng = np.random.default_rng(0)
X = rng.normal(size=(N_PEOPLE, 4))[GROUPS] + 0.1 * rng.normal(size=(len(GROUPS), 4))
Y = pd.DataFrame({"a": X[:, 0] > 0, "b": np.digitize(X[:, 1], [-0.5, 0.5]).astype(float)})
Y.loc[::3, "b"] = np.nan

HELD_OUT = {"early_stopping": True, "validation_fraction": 0.25}
MODES = {"held out": HELD_OUT, "folds": {"early_stopping": "cv", "n_iter_no_change": 1}}


def watch_trainings(monkeypatch, note):
    """Let a function be told of each training before it begins."""
    train_together = sk_mtl._train.together.train_together

    def note_all(jobs):
        for job in jobs:
            note(job)
        return train_together(jobs)

    monkeypatch.setattr(sk_mtl._train.together, "train_together", note_all)


def groups_of(*parts):
    return [set(GROUPS[part.rows].tolist()) for part in parts]


@pytest.fixture
def splits(monkeypatch):
    """Return the groups of training and validation rows of each training, as they come."""
    seen = []

    def note(job):
        if job.validation is not None:
            seen.append(groups_of(job.training, job.validation))

    watch_trainings(monkeypatch, note)
    return seen


@pytest.mark.slow_except("folds")
@pytest.mark.parametrize("mode", MODES)
def test_no_group_is_on_both_sides(mode, splits):
    make_tiny(**MODES[mode]).fit(X, Y, groups=GROUPS)
    assert len(splits) == {"held out": 1, "folds": 5}[mode]
    assert not any(training & validation for training, validation in splits)
    share = len(splits[0][1]) / N_PEOPLE
    assert share == pytest.approx({"held out": 0.25, "folds": 0.2}[mode], abs=0.05)


def test_without_groups_they_are_on_both_sides(splits):
    make_tiny(**HELD_OUT).fit(X, Y)
    assert splits[0][0] & splits[0][1]


@pytest.mark.slow_except("settings0")
@pytest.mark.parametrize("settings", [{"refit": True, "calibrate": True}, {"ensemble_size": 2}])
def test_all_that_validates_keeps_groups(settings, splits):
    make_tiny(**HELD_OUT, **settings).fit(X, Y, groups=GROUPS)
    assert not any(training & validation for training, validation in splits)


@pytest.mark.parametrize(
    "groups",
    [GROUPS.tolist(), PEOPLE, pd.Series(PEOPLE, dtype="category"), np.array(PEOPLE), GROUPS + 0.5],
    ids=["list", "text", "categories", "text array", "floats"],
)
def test_form_of_groups_changes_no_bit(groups):
    expected = make_tiny(**HELD_OUT).fit(X, Y, groups=GROUPS)
    assert_same_fits(make_tiny(**HELD_OUT).fit(X, Y, groups=groups), expected, X)


def test_number_in_text_is_another_group(splits):
    groups = [str(g) if number % 2 else int(g) for number, g in enumerate(GROUPS)]
    make_tiny(**HELD_OUT).fit(X, Y, groups=groups)
    assert splits[0][0] & splits[0][1]


def test_groups_without_a_split_change_no_bit():
    plain, grouped = (
        make_tiny(early_stopping=False).fit(X, Y, groups=groups) for groups in (None, GROUPS)
    )
    assert_same_fits(grouped, plain, X)


@pytest.mark.slow
def test_unlabelled_rows_of_validation_groups_are_not_learned_from(monkeypatch):
    seen = []
    watch_trainings(monkeypatch, lambda job: seen.append(groups_of(job.unlabelled, job.validation)))
    holes = Y.astype(object)
    holes[::N_VISITS] = np.nan
    make_tiny(**HELD_OUT, unlabelled="consistency").fit(X, holes, groups=GROUPS)
    [(unlabelled, validation)] = seen
    assert not unlabelled & validation


@pytest.mark.slow
def test_other_people_are_predicted_better():
    def draw(n, visits):
        Z = generator.normal(size=(n, 10))
        labels = (Z[:, :2] + generator.normal(size=(n, 2)) > 0).astype(int)
        group = np.repeat(np.arange(n), visits)
        return Z[group] + 0.1 * generator.normal(size=(len(group), 10)), labels[group], group

    generator = np.random.default_rng(0)
    X, Y, group = draw(40, 8)
    X_new, Y_new, _ = draw(1_000, 1)
    settings = {"hidden_layer_sizes": (64,), "epochs": 60, "optimizer__learning_rate": 0.02}
    settings["numeric_embedding"] = None
    losses, epochs = {}, {}
    for name, groups in {"rows": None, "people": group}.items():
        clf = make_tiny(**settings, early_stopping=True).fit(X, Y, groups=groups)
        losses[name] = multitask_score("log_loss", Y_new, clf.predict_proba(X_new))
        epochs[name] = clf.best_iter_
    # A classifier that knows nothing has a log loss of .69.
    assert losses["people"] < 0.65 < 1 < losses["rows"]
    assert epochs["people"] < 20 < 50 < epochs["rows"]


# -- The split itself ------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.1, 0.4, 0.75])
def test_share_of_rows_in_whole_groups_is_about_the_one_asked_for(fraction):
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), generator.integers(1, 9, 200))
    codes = generator.integers(0, 3, (len(groups), 4))
    mask = generator.random(codes.shape) < 0.6
    train, held = stratified_holdout(
        codes, mask, holdout_fraction=fraction, groups=groups, random_state=0
    )
    assert not set(groups[train]) & set(groups[held])
    assert len(held) / len(groups) == pytest.approx(fraction, abs=0.02)
    for task in range(4):
        for code in range(3):
            is_one = mask[:, task] & (codes[:, task] == code)
            assert is_one[held].sum() / is_one.sum() == pytest.approx(fraction, abs=0.06)


@pytest.mark.parametrize("sizes", [[10, 10], [90, 5, 5], [1, 1, 98], [30, 30, 30]])
def test_both_parts_have_rows_however_few_groups_there_are(sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    codes = np.arange(len(groups))[:, None] % 2
    parts = stratified_holdout(
        codes, codes >= 0, holdout_fraction=0.1, groups=groups, random_state=0
    )
    assert all(len(part) for part in parts)


# -- Through scikit-learn --------------------------------------------------------------------------


def fit_in_a_search(clf, **params):
    search = GridSearchCV(clf, {}, cv=GroupKFold(3), error_score="raise")
    search.fit(X, Y, **params)
    return search.best_estimator_[-1]


def test_groups_come_through_a_pipeline_and_a_search_by_name(splits):
    clf = make_pipeline(StandardScaler(), make_tiny(**HELD_OUT))
    fitted = fit_in_a_search(clf, groups=GROUPS, multitaskclassifier__groups=GROUPS)
    expected = make_tiny(**HELD_OUT).fit(StandardScaler().fit_transform(X), Y, groups=GROUPS)
    assert_same_fits(fitted, expected, X)
    assert not splits[-1][0] & splits[-1][1]


def test_groups_are_routed(splits):
    with config_context(enable_metadata_routing=True):
        last = make_tiny(**HELD_OUT).set_fit_request(groups=True)
        clf = make_pipeline(StandardScaler(), last)
        fitted = fit_in_a_search(clf, groups=GROUPS)
        cross_validate(clf, X, Y, cv=GroupKFold(3), params={"groups": GROUPS}, error_score="raise")
    expected = make_tiny(**HELD_OUT).fit(StandardScaler().fit_transform(X), Y, groups=GROUPS)
    assert_same_fits(fitted, expected, X)


# -- Rows that are the same ------------------------------------------------------------------------


COPIED = X[np.repeat(np.arange(100), 2)], Y.iloc[np.repeat(np.arange(100), 2)]
MESSAGE = r"^200 of the 200 rows of X with labels are the same as another row\. .*groups= to fit"


@pytest.mark.parametrize("mode", MODES)
def test_copies_on_both_sides_are_told(mode):
    with pytest.warns(UserWarning, match=MESSAGE):
        make_tiny(**MODES[mode]).fit(*COPIED)


def test_copies_of_a_sparse_table_are_told():
    with pytest.warns(UserWarning, match=MESSAGE):
        make_tiny(**HELD_OUT).fit(sp.csr_matrix(COPIED[0]), COPIED[1])


@pytest.mark.parametrize(
    "arguments",
    [
        {"groups": np.repeat(np.arange(100), 2)},
        {"validation_data": (X, Y)},
    ],
    ids=["in groups", "beside validation data"],
)
def test_copies_that_are_kept_together_are_not_told(arguments):
    make_tiny(early_stopping=True).fit(*COPIED, **arguments)


def draw_equal_rows():
    generator = np.random.default_rng(0)
    survey = generator.integers(1, 6, (1_000, 4))
    ages = np.column_stack(
        [generator.integers(18, 90, (1_000, 1)), generator.integers(0, 2, (1_000, 3))]
    )
    text = pd.DataFrame(survey).astype(str).astype("category").rename(columns=str)
    return {
        "answers": survey,
        "bits": generator.integers(0, 2, (1_000, 8)),
        "categories": text,
        "a number and bits": ages,
        "one number": generator.integers(0, 500, (1_000, 1)),
        "one row many times": np.vstack([np.zeros((400, 4)), generator.normal(size=(600, 4))]),
        "few copies": np.vstack([generator.normal(size=(960, 4))] * 2)[:1_000],
    }


@pytest.mark.slow_except("few copies", "one row many times", "bits")
@pytest.mark.parametrize("name", draw_equal_rows())
def test_rows_that_are_the_same_by_nature_are_not_told(name):
    X = draw_equal_rows()[name]
    y = np.arange(1_000) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_tiny(**HELD_OUT, epochs=1).fit(X, y)


# -- Few groups ------------------------------------------------------------------------------------


def test_too_few_groups_for_folds_by_auto_are_told():
    groups = GROUPS // 10  # four groups
    message = (
        r"^early_stopping='auto' needs 5 groups for folds, and .* are of 4: it validates nothing"
    )
    with pytest.warns(UserWarning, match=message):
        clf = make_tiny(epochs=12).fit(X, Y, groups=groups)
    assert clf.summary().stopping is None


def test_five_groups_are_enough_for_folds_by_auto():
    clf = make_tiny(epochs=12).fit(X, Y, groups=GROUPS // 8)
    assert clf.summary().stopping["n_folds"] == 5
