"""Kept results and the time budget: what a later search need not fit, and when a search ends."""

import copy
import functools
import json
import os
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from searches import FOLDS, GRID, X, Y, assert_same_results
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sk_mtl._codec.container import pack
from sk_mtl._search import budget, checkpoint, evaluation
from sk_mtl.metrics import make_multitask_scorer
from sk_mtl.model_selection import MultiTaskSearchCV
from sk_mtl.weighting import UncertaintyWeighting

BY_TASK = make_multitask_scorer("neg_log_loss", average=None)


@pytest.fixture
def fitted(monkeypatch):
    """The parameters of the estimators that are fitted to folds, in order."""
    together, params = evaluation.fit_together, []

    def fit_together(fits):
        for number, error, seconds in together(fits):
            params.append(fits[number].estimator.get_params())
            yield number, error, seconds

    monkeypatch.setattr(evaluation, "fit_together", fit_together)
    return params


@pytest.fixture
def clock(monkeypatch):
    """A clock by which a fit takes ten seconds."""
    together, now = evaluation.fit_together, [100.0]

    def fit_together(fits):
        for number, error, _ in together(fits):
            now[0] += 10.0
            yield number, error, 10.0

    monkeypatch.setattr(evaluation, "fit_together", fit_together)
    monkeypatch.setattr(budget, "monotonic", lambda: now[0])
    return now


def make_search(folder, **options):
    settings = {"cv": FOLDS, "keep_predictions": "all", "return_train_score": True} | options
    return MultiTaskSearchCV(make_tiny(), GRID, checkpoint=folder, **settings)


# -- Kept results --------------------------------------------------------------------------------


def test_search_takes_up_what_an_earlier_one_has_kept(tmp_path, fitted):
    first = make_search(tmp_path / "new" / "folder").fit(X, Y)
    assert len(fitted) == 12

    second = make_search(tmp_path / "new" / "folder").fit(X.copy(), Y.copy())

    assert len(fitted) == 12
    assert second.cv_results_.keys() == first.cv_results_.keys()
    for key, values in first.cv_results_.items():
        assert np.array_equal(second.cv_results_[key], values), key
    pd.testing.assert_frame_equal(second.leaderboard_, first.leaderboard_)
    for number, kept in first.cv_predictions_.items():
        assert kept.task_names == second.cv_predictions_[number].task_names
        for one, other in zip(kept, second.cv_predictions_[number], strict=True):
            np.testing.assert_array_equal(one, other)


def test_new_candidates_only_are_fitted(tmp_path, fitted):
    folder = str(tmp_path)
    grid = {"optimizer__learning_rate": [1e-3]}
    MultiTaskSearchCV(make_tiny(), grid, cv=FOLDS, checkpoint=folder).fit(X, Y)
    wider = {"optimizer__learning_rate": [1e-1, 1e-3]}

    MultiTaskSearchCV(make_tiny(), wider, cv=FOLDS, checkpoint=folder).fit(X, Y)

    assert [params["optimizer__learning_rate"] for params in fitted] == [1e-3] * 3 + [1e-1] * 3


@pytest.mark.slow_except("<lambda>4")
@pytest.mark.parametrize(
    "change",
    [
        lambda search: search.set_params(estimator__dropout=0.1),
        lambda search: search.set_params(estimator__random_state=1),
        lambda search: search.set_params(scoring=make_multitask_scorer("roc_auc")),
        lambda search: search.set_params(return_train_score=False),
        lambda search: search.set_params(keep_predictions=None),
        lambda search: search.set_params(cv=3),
        "X",
        "y",
        "sample_weight",
    ],
)
def test_results_of_anything_else_are_not_taken_up(tmp_path, fitted, change):
    make_search(tmp_path).fit(X, Y)
    search, data = make_search(tmp_path), {"X": X.copy(), "y": Y.copy()}
    if callable(change):
        change(search)
    elif change == "X":
        data["X"][3, 1] += 1e-9
    elif change == "y":
        data["y"].loc[3, "sign"] = "minus" if Y.loc[3, "sign"] == "plus" else "plus"
    else:
        data["sample_weight"] = np.linspace(1, 2, 60)

    search.fit(**data)

    assert len(fitted) == 24


def test_verbosity_and_order_do_not_matter(tmp_path, fitted):
    make_search(tmp_path).fit(X, Y)

    make_search(tmp_path, verbose=1).set_params(estimator__verbose=0, param_grid=GRID[::-1]).fit(
        X, Y
    )

    assert len(fitted) == 12


def test_results_of_a_pipeline_and_of_several_scores_are_kept(tmp_path, fitted):
    pipe = make_pipeline(FunctionTransformer(np.tanh), StandardScaler(), make_tiny())
    grid = {"standardscaler__with_std": [True, False]}
    options = {"cv": FOLDS, "scoring": BY_TASK, "refit": "mean", "checkpoint": tmp_path}
    first = MultiTaskSearchCV(pipe, grid, **options).fit(X, Y)

    second = MultiTaskSearchCV(pipe, grid, **options).fit(X, Y)

    assert len(fitted) == 6
    assert_same_results(second.cv_results_, first.cv_results_)


@pytest.mark.slow
def test_rounds_of_successive_halving_are_kept(tmp_path, fitted):
    options = {"factor": 2, "keep_predictions": None}
    first = make_search(tmp_path, **options).fit(X, Y)
    n_fits = len(fitted)

    second = make_search(tmp_path, **options).fit(X, Y)

    assert len(fitted) == n_fits
    assert_same_results(second.cv_results_, first.cv_results_)


@pytest.mark.slow
def test_interrupted_search_continues(tmp_path, monkeypatch, fitted):
    together = evaluation.fit_together

    def interrupted(fits):
        for number, done in enumerate(together(fits)):
            yield done
            if number == 4:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "fit_together", interrupted)
        search = make_search(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            search.fit(X, Y)
    assert vars(search).keys() == search.get_params(deep=False).keys()

    search.fit(X, Y)

    assert len(fitted) == 12
    theirs = GridSearchCV(make_tiny(), GRID, cv=FOLDS, return_train_score=True).fit(X, Y)
    assert_same_results(search.cv_results_, theirs.cv_results_)


@pytest.mark.slow
def test_fits_that_failed_are_tried_again(tmp_path, fitted):
    grid = {"dropout": [2.0, 0.0]}
    for _ in range(2):
        with pytest.warns(match="3 of 6 fits|is not finite"):
            MultiTaskSearchCV(make_tiny(), grid, cv=FOLDS, checkpoint=tmp_path).fit(X, Y)

    assert [params["dropout"] for params in fitted] == [2.0] * 3 + [0.0] * 3 + [2.0] * 3


@pytest.mark.parametrize("form", ["numbers for names", "lists"])
def test_cells_of_tables_are_compared(tmp_path, fitted, form):
    labels = Y.set_axis([7, 3], axis=1)
    search = MultiTaskSearchCV(make_tiny(), {}, cv=FOLDS, checkpoint=tmp_path)
    for number, n_fits in ((0, 3), (0, 3), (1, 6)):
        y = labels.copy()
        y.loc[0, 3] = number
        if form == "lists":
            search.fit(X.tolist(), y.to_numpy().tolist())
        else:
            search.fit(pd.DataFrame(X), y)
        assert len(fitted) == n_fits


@pytest.mark.slow
def test_text_and_holes_of_x_are_told_apart(tmp_path, fitted):
    frame = pd.DataFrame(X, columns=list("abc")).assign(shop=pd.Categorical(["u", "v", None] * 20))
    search = MultiTaskSearchCV(make_tiny(), {}, cv=FOLDS, checkpoint=tmp_path)
    search.fit(frame, Y)
    search.fit(frame, Y)
    assert len(fitted) == 3

    search.fit(frame.assign(shop=pd.Categorical(["u", "v", "v"] * 20)), Y)

    assert len(fitted) == 6


@pytest.mark.slow
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_categories_that_do_not_occur_are_told_apart(tmp_path, fitted, library):
    search = MultiTaskSearchCV(make_tiny(), {}, cv=FOLDS, checkpoint=tmp_path)
    for names, n_fits in (
        (["minus", "plus"], 3),
        (["minus", "plus"], 3),
        (["-", "minus", "plus"], 6),
    ):
        if library == "pandas":
            y = Y.assign(sign=pd.Categorical(Y["sign"], names))
        else:
            polars = pytest.importorskip("polars")
            sign = polars.Series("sign", Y["sign"].tolist(), dtype=polars.Enum(names))
            y = polars.DataFrame({"sign": sign, "grade": Y["grade"].to_numpy()})
            y = y.with_columns(polars.col("grade").fill_nan(None))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the category without a label
            search.fit(X, y)
        assert len(fitted) == n_fits


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"nothing", "not a file that sk_mtl"), (pack(json.dumps([1]), {}), "not a result")],
)
def test_damaged_file_is_refused(tmp_path, content, reason):
    make_search(tmp_path).fit(X, Y)
    path = sorted(tmp_path.iterdir())[0]
    path.write_bytes(content)

    with pytest.raises(ValueError, match=rf"cannot be read: .*{reason}.* Delete the file; that"):
        make_search(tmp_path).fit(X, Y)


def test_files_are_not_pickles(tmp_path):
    make_search(tmp_path).fit(X, Y)

    for path in tmp_path.iterdir():
        assert path.suffix == ".safetensors"
        assert path.read_bytes()[8:].startswith(b'{"__metadata__"')


def test_full_disk_does_not_end_the_search(tmp_path, monkeypatch):
    def fail(path, content):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(checkpoint, "replace_file", fail)
    with pytest.warns(UserWarning, match="could not be written .* The search goes on") as caught:
        search = make_search(tmp_path).fit(X, Y)

    assert len(caught) == 1
    assert len(search.predict(X)) == 60


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        ([1, [2]], [[1], 2]),
        (functools.partial(double, 1), functools.partial(double, 2)),
        (np.random.RandomState(0), np.random.RandomState(1)),
        (keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.2)),
        (UncertaintyWeighting(), UncertaintyWeighting(initial_log_variance=2.0)),
        (make_scorer(accuracy_score), make_scorer(accuracy_score, normalize=False)),
        (np.arange(3), np.arange(3.0)),
        (StandardScaler, StandardScaler()),
        (np.exp, np.expm1),
    ],
)
def test_values_are_told_apart_by_what_they_are(one, other):
    describe = checkpoint.describe

    assert str(describe(one, "one")) == str(describe(copy.deepcopy(one), "one"))
    assert str(describe(one, "one")) != str(describe(other, "other"))


# -- The time budget -----------------------------------------------------------------------------


@pytest.mark.parametrize(("max_time", "n_fits"), [(104, 9), (106, 10), (64, 5), (1000, 12)])
def test_search_ends_on_time_with_the_last_fit(clock, max_time, n_fits):
    # Ten seconds are left for the last fit; a fit that would end five seconds late is begun.
    start = clock[0]
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, max_time=max_time)
    if n_fits < 12:
        with pytest.warns(UserWarning, match="max_time ended the search") as caught:
            search.fit(X, Y)
        assert [str(warning.message) for warning in caught] == [
            f"max_time ended the search: {4 - n_fits // 3} of 4 candidates were not evaluated on "
            "all folds. Set a larger max_time; with a checkpoint, a search continues where this "
            "one has stopped."
        ]
        assert abs(clock[0] + 10 - start - max_time) <= 5
    else:
        search.fit(X, Y)

    assert clock[0] - start == 10 * n_fits
    results = search.cv_results_
    assert results["is_evaluated"].tolist() == [n_fits >= 3 * (i + 1) for i in range(4)]
    assert np.isnan(results["mean_test_score"]).tolist() == (~results["is_evaluated"]).tolist()
    assert results["is_evaluated"][search.best_index_]
    assert search.leaderboard_["mean_test_score"].isna().sum() == (~results["is_evaluated"]).sum()


@pytest.mark.parametrize("refit", [False, lambda results: len(results["params"]) - 1])
def test_one_candidate_is_evaluated_however_short_the_time(clock, refit):
    with pytest.warns(UserWarning, match="3 of 4 candidates"):
        search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, max_time=0, refit=refit).fit(X, Y)

    assert search.best_index_ == 0


@pytest.mark.slow
def test_search_continues_after_its_time(tmp_path, clock, fitted):
    options = {"max_time": 64, "checkpoint": tmp_path, "cv": FOLDS}
    search = MultiTaskSearchCV(make_tiny(), GRID, **options)
    for n_fits in (5, 10):
        with pytest.warns(UserWarning, match="the same search continues where this one has stop"):
            search.fit(X, Y)
        assert len(fitted) == n_fits

    search.fit(X, Y)

    assert len(fitted) == 12
    theirs = GridSearchCV(make_tiny(), GRID, cv=FOLDS).fit(X, Y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-6
    )
    assert search.best_params_ == theirs.best_params_


def test_best_of_an_earlier_round_is_taken_if_the_next_one_has_no_time(clock):
    with pytest.warns(UserWarning, match="2 of 6 candidates"):
        search = MultiTaskSearchCV(
            make_tiny(), GRID, cv=FOLDS, factor=2, max_time=135, refit=True
        ).fit(X, Y)

    assert search.cv_results_["iter"].tolist() == [0, 0, 0, 0, 1, 1]
    assert search.cv_results_["iter"][search.best_index_] == 0
    assert search.n_iterations_ == 2


def test_work_is_stopped_where_the_search_ends(monkeypatch, clock):
    together, closed = evaluation.fit_together, []

    def fit_together(fits):
        try:
            yield from together(fits)
        except GeneratorExit:
            closed.append(True)
            raise

    monkeypatch.setattr(evaluation, "fit_together", fit_together)
    with pytest.warns(UserWarning, match="max_time"):
        MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, max_time=50).fit(X, Y)

    assert closed == [True]


@pytest.mark.slow
def test_folder_of_the_checkpoint_may_be_a_str_or_bytes(tmp_path, fitted):
    for folder in (str(tmp_path), os.fsencode(tmp_path), tmp_path):
        make_search(folder).fit(X, Y)

    assert len(fitted) == 12
