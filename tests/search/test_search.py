"""MultiTaskSearchCV beside scikit-learn's searches: the same results, parameters and methods."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from scipy.stats import loguniform
from searches import FOLDS, GRID, X, Y, assert_same_results
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_mtl import MissingLabelsError, TaskView
from sk_mtl._search import evaluation
from sk_mtl._train import together
from sk_mtl.metrics import make_multitask_scorer, multitask_score, per_task_scorers
from sk_mtl.model_selection import (
    MultiTaskSearchCV,
    MultiTaskStratifiedGroupKFold,
    MultiTaskStratifiedKFold,
)

PIPELINE_GRID = {
    "standardscaler__with_mean": [True, False],
    "multitaskclassifier__optimizer__learning_rate": [1e-4, 1e-1],
}
SEVERAL = {**per_task_scorers("accuracy", Y.columns), "auc": make_multitask_scorer("roc_auc")}
BY_TASK = make_multitask_scorer("neg_log_loss", average=None)


def make_pipe():
    return make_pipeline(StandardScaler(), make_tiny())


class Counting(TransformerMixin, BaseEstimator):
    """Adds a number to X in place, and counts the fits and transformed rows of all its copies."""

    counts: tuple[list, list] = ([], [])

    def __init__(self, number=0.0):
        self.number = number

    def fit(self, X, y=None):
        self.counts[0].append(self.number)
        return self

    def transform(self, X):
        self.counts[1].append(len(X))
        X += self.number
        return X


@pytest.fixture
def counts(monkeypatch):
    monkeypatch.setattr(Counting, "counts", ([], []))
    return Counting.counts


class Failing(TransformerMixin, BaseEstimator):
    """Fails on request."""

    def __init__(self, fails=False):
        self.fails = fails

    def fit(self, X, y=None):
        if self.fails:
            raise ZeroDivisionError("this step fails")
        return self

    def transform(self, X):
        return X


# -- The same results ----------------------------------------------------------------------------


def test_seeds_are_compared_in_one_program(monkeypatch):
    programs = []
    train_together = together.train_together

    def note_programs(jobs):
        programs.append({job.plan.program for job in jobs})
        return train_together(jobs)

    monkeypatch.setattr(together, "train_together", note_programs)
    clf, seeds = make_tiny(epochs=3, jit_compile=True), {"random_state": [3, 1, 2]}
    cv = ShuffleSplit(1, random_state=0)
    search = MultiTaskSearchCV(clf, seeds, cv=cv, refit=False).fit(X, Y)
    assert [len(of_call) for of_call in programs] == [1]
    expected = GridSearchCV(clf, seeds, cv=cv, refit=False).fit(X, Y)
    assert_same_results(search.cv_results_, expected.cv_results_)
    assert len(set(search.cv_results_["mean_test_score"])) > 1


@pytest.mark.slow_except("pipeline", "weighted")
@pytest.mark.parametrize(
    ("estimator", "grid", "options"),
    [
        (make_tiny(), GRID, {}),
        (make_pipe(), PIPELINE_GRID, {"return_train_score": True}),
        (make_tiny(), GRID, {"scoring": make_multitask_scorer("roc_auc", average="weighted")}),
        (make_tiny(), GRID, {"scoring": BY_TASK, "refit": "mean"}),
        (make_tiny(), GRID, {"scoring": SEVERAL, "refit": "auc", "return_train_score": True}),
    ],
    ids=["grids", "pipeline", "weighted", "several from one scorer", "several scorers"],
)
def test_results_are_those_of_grid_search(estimator, grid, options):
    theirs = GridSearchCV(estimator, grid, cv=FOLDS, **options).fit(X, Y)

    ours = MultiTaskSearchCV(estimator, grid, cv=FOLDS, **options).fit(X, Y)

    assert_same_results(ours.cv_results_, theirs.cv_results_)
    for name in ("best_params_", "best_index_", "n_splits_", "multimetric_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.best_score_ == pytest.approx(theirs.best_score_, abs=1e-6)
    assert type(ours.scorer_) is type(theirs.scorer_)
    assert ours.score(X, Y) == pytest.approx(theirs.score(X, Y), abs=1e-6)
    pd.testing.assert_frame_equal(ours.predict(X), theirs.predict(X))
    assert ours.classes_.task_names == ("sign", "grade")
    assert ours.refit_time_ > 0


@pytest.mark.slow
def test_results_of_drawn_candidates_are_those_of_randomized_search():
    drawn = {"optimizer__learning_rate": loguniform(1e-4, 1e-1), "dropout": [0.0, 0.5]}
    options = {"n_iter": 3, "cv": FOLDS, "random_state": 3}
    theirs = RandomizedSearchCV(make_tiny(), drawn, **options).fit(X, Y)

    ours = MultiTaskSearchCV(make_tiny(), param_distributions=drawn, **options).fit(X, Y)

    assert_same_results(ours.cv_results_, theirs.cv_results_)


def test_ten_candidates_are_drawn_by_default():
    drawn = {"optimizer__learning_rate": loguniform(1e-4, 1e-1)}
    search = MultiTaskSearchCV(make_tiny(epochs=1), param_distributions=drawn, cv=2, refit=False)

    assert len(search.fit(X, Y).cv_results_["params"]) == 10


def test_folds_are_stratified_by_default():
    stratified = MultiTaskSearchCV(make_tiny(), GRID, cv=MultiTaskStratifiedKFold(3)).fit(X, Y)

    search = MultiTaskSearchCV(make_tiny(), GRID, cv=3).fit(X, Y)

    assert_same_results(search.cv_results_, stratified.cv_results_)
    assert MultiTaskSearchCV(make_tiny(epochs=1), {}, cv=None).fit(X, Y).n_splits_ == 5


@pytest.mark.slow
def test_folds_know_the_missing_label_of_the_estimator():
    marked = Y.fillna({"grade": -1})
    pipe = make_pipeline(StandardScaler(), make_tiny(missing_label=-1))

    search = MultiTaskSearchCV(pipe, PIPELINE_GRID, cv=3).fit(X, marked)

    holed = MultiTaskSearchCV(make_pipe(), PIPELINE_GRID, cv=3).fit(X, Y)
    assert_same_results(search.cv_results_, holed.cv_results_)


@pytest.mark.slow_except("1-D", "frame of polars", "list")
@pytest.mark.parametrize("kind", ["array", "1-D", "frame of polars", "list"])
def test_tables_of_other_types_are_searched(kind):
    numbers = Y[["grade"]].assign(size=np.arange(60) % 2)
    tables = {
        "array": lambda: (X, numbers.to_numpy()),
        "1-D": lambda: (X, np.arange(60) % 2),
        "frame of polars": lambda: [
            pytest.importorskip("polars").from_pandas(table)
            for table in (pd.DataFrame(X).set_axis(list("abc"), axis=1), numbers)
        ],
        "list": lambda: (X.tolist(), numbers.to_numpy().tolist()),
    }[kind]()

    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS).fit(*tables)

    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.predict(tables[0])) == 60


# -- refit ---------------------------------------------------------------------------------------


def test_refit_false_chooses_without_fitting():
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, refit=False).fit(X, Y)

    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "predict")


def test_refit_by_a_callable_takes_the_index_it_returns():
    search = MultiTaskSearchCV(
        make_tiny(), GRID, cv=FOLDS, refit=lambda results: results["mean_test_score"].argmin()
    ).fit(X, Y)

    assert search.best_index_ == search.cv_results_["mean_test_score"].argmin()
    assert not hasattr(search, "best_score_")
    assert len(search.predict(X)) == 60


@pytest.mark.slow
def test_second_fit_leaves_nothing_of_the_first():
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, keep_predictions="best").fit(X, Y)

    search.set_params(refit=False, keep_predictions=None).fit(X, Y)

    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "cv_predictions_")


def test_refit_that_names_no_score_fails_after_the_first_fit(monkeypatch):
    scored = []

    def score(estimator, X, y):
        scored.append(estimator)
        return {"a": 0.0, "b": 0.0}

    with pytest.raises(ValueError, match="refit must be set"):
        MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, scoring=score).fit(X, Y)

    assert len(scored) == 1


# -- Pipelines -----------------------------------------------------------------------------------


def test_candidates_share_the_steps_before_the_last(counts):
    pipe = make_pipeline(Counting(), make_tiny())
    grid = {
        "counting__number": [0.0, 1.0],
        "multitaskclassifier__optimizer__learning_rate": [1e-4, 1e-2, 1e-1],
    }

    MultiTaskSearchCV(pipe, grid, cv=FOLDS, refit=False).fit(X.copy(), Y)

    fits, transformed = counts
    assert sorted(fits) == [0.0] * 3 + [1.0] * 3  # once per fold
    assert sorted(transformed) == [20] * 6 + [40] * 6


@pytest.mark.parametrize("make", [make_tiny, make_pipe])
def test_fits_of_a_round_are_handed_over_at_once_and_share_the_tables_of_a_fold(monkeypatch, make):
    handed, together = [], evaluation.fit_together

    def fit_together(fits):
        handed.append(list(fits))
        return together(fits)

    monkeypatch.setattr(evaluation, "fit_together", fit_together)
    prefix = "" if make is make_tiny else "multitaskclassifier__"
    grid = {f"{prefix}dropout": [0.0, 0.1], f"{prefix}epochs": [1, 2]}

    MultiTaskSearchCV(make(), grid, cv=FOLDS, refit=False).fit(X, Y)

    ((*fits,),) = handed
    assert len(fits) == 12
    assert len({id(fit.X) for fit in fits}) == len({id(fit.y) for fit in fits}) == 3
    assert [(fit.estimator.dropout, fit.estimator.epochs) for fit in fits[::3]] == [
        (0.0, 1),
        (0.0, 2),
        (0.1, 1),
        (0.1, 2),
    ]


@pytest.mark.slow
def test_steps_that_change_rows_in_place_change_those_of_no_other_candidate():
    pipe = make_pipeline(Counting(), make_tiny(standardize=False))
    grid = {"counting__number": [5.0, 0.0, 3.0]}
    theirs = GridSearchCV(pipe, grid, cv=FOLDS, refit=False).fit(X.copy(), Y)

    ours = MultiTaskSearchCV(pipe, grid, cv=FOLDS, refit=False).fit(X.copy(), Y)

    assert_same_results(ours.cv_results_, theirs.cv_results_)


@pytest.mark.slow
def test_whole_steps_are_searched():
    grid = {
        "standardscaler": ["passthrough", StandardScaler(with_mean=False)],
        "multitaskclassifier": [make_tiny(epochs=1), make_tiny(hidden_layer_sizes=(3,))],
    }
    theirs = GridSearchCV(make_pipe(), grid, cv=FOLDS).fit(X, Y)

    ours = MultiTaskSearchCV(make_pipe(), grid, cv=FOLDS).fit(X, Y)

    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-6
    )


def test_pipeline_of_one_step_is_searched():
    pipe = make_pipeline(make_tiny())
    grid = {"multitaskclassifier__epochs": [1, 2]}

    search = MultiTaskSearchCV(pipe, grid, cv=FOLDS, return_train_score=True).fit(X, Y)

    theirs = GridSearchCV(pipe, grid, cv=FOLDS, return_train_score=True).fit(X, Y)
    assert_same_results(search.cv_results_, theirs.cv_results_)


# -- Fit parameters ------------------------------------------------------------------------------


@pytest.mark.slow
def test_weights_and_groups_are_passed_as_by_grid_search():
    weight, groups = np.linspace(0.1, 3, 60), np.arange(60) // 2
    options = {"cv": MultiTaskStratifiedGroupKFold(3), "scoring": make_multitask_scorer("accuracy")}
    params = {"sample_weight": weight, "groups": groups}
    theirs = GridSearchCV(make_tiny(), GRID, **options).fit(X, Y, **params)

    ours = MultiTaskSearchCV(make_tiny(), GRID, **options).fit(X, Y, **params)

    assert_same_results(ours.cv_results_, theirs.cv_results_)
    unweighted = MultiTaskSearchCV(make_tiny(), GRID, **options).fit(X, Y, groups=groups)
    scores = [search.cv_results_["mean_test_score"] for search in (ours, unweighted)]
    assert (scores[0] != scores[1]).any()


@pytest.mark.slow
def test_weights_reach_the_last_step_of_a_pipeline_by_name():
    params = {"multitaskclassifier__sample_weight": Y.notna() * np.linspace(0.1, 3, 60)[:, None]}
    theirs = GridSearchCV(make_pipe(), PIPELINE_GRID, cv=FOLDS).fit(X, Y, **params)

    ours = MultiTaskSearchCV(make_pipe(), PIPELINE_GRID, cv=FOLDS).fit(X, Y, **params)

    assert_same_results(ours.cv_results_, theirs.cv_results_)


@pytest.mark.slow
def test_metadata_is_routed(enable_metadata_routing):
    pipe = make_pipeline(
        StandardScaler().set_fit_request(sample_weight=True),
        make_tiny().set_fit_request(sample_weight=True, groups=True),
    )
    scorer = make_multitask_scorer("accuracy").set_score_request(sample_weight=True)
    options = {"cv": MultiTaskStratifiedGroupKFold(3), "scoring": scorer}
    params = {"sample_weight": np.linspace(0.1, 3, 60), "groups": np.arange(60) // 2}
    theirs = GridSearchCV(pipe, PIPELINE_GRID, **options).fit(X, Y, **params)

    ours = MultiTaskSearchCV(pipe, PIPELINE_GRID, **options).fit(X, Y, **params)

    assert_same_results(ours.cv_results_, theirs.cv_results_)


@pytest.fixture
def enable_metadata_routing():
    from sklearn import config_context

    with config_context(enable_metadata_routing=True):
        yield


# -- Errors in fits and scores -------------------------------------------------------------------


def test_fit_that_fails_gets_the_error_score():
    pipe = make_pipeline(Failing(), make_tiny())
    grid = {"failing__fails": [True, False]}

    with pytest.warns() as caught:
        search = MultiTaskSearchCV(pipe, grid, cv=FOLDS, scoring=BY_TASK, refit="mean").fit(X, Y)

    messages = [str(warning.message) for warning in caught]
    assert caught[0].category is FitFailedWarning
    assert messages[0].startswith(
        "3 of 6 fits of the search failed; their scores are set to error_score, nan.\n3 with this"
    )
    assert "ZeroDivisionError: this step fails" in messages[0]
    assert messages[1:] == [
        f"The mean test score {name!r} is not finite for 1 of 2 candidates, which are ranked last."
        for name in ("sign", "grade", "mean")
    ]
    assert {warning.filename for warning in caught} == {__file__}
    assert search.best_params_ == {"failing__fails": False}
    assert search.cv_results_["rank_test_mean"].tolist() == [2, 1]


def test_network_that_cannot_be_fitted_gets_the_error_score():
    grid = {"dropout": [2.0, 0.0]}

    with pytest.warns(FitFailedWarning, match="'dropout' parameter"):
        search = MultiTaskSearchCV(make_tiny(), grid, cv=FOLDS, error_score=-1).fit(X, Y)

    assert search.cv_results_["mean_test_score"][0] == -1
    assert search.best_index_ == 1


def test_search_fails_if_all_fits_do():
    with pytest.raises(ValueError, match=r"All 3 fits of the search failed\. error_score='raise'"):
        MultiTaskSearchCV(make_tiny(), {"dropout": [2.0]}, cv=FOLDS).fit(X, Y)


@pytest.mark.parametrize("grid", [{"failing__fails": [True]}, {"multitaskclassifier__tol": ["x"]}])
def test_error_score_raise_raises_the_error(grid):
    pipe = make_pipeline(Failing(), make_tiny())
    search = MultiTaskSearchCV(pipe, grid, cv=FOLDS, error_score="raise")

    with pytest.raises((ZeroDivisionError, ValueError), match=r"this step fails|'tol' parameter"):
        search.fit(X, Y)

    assert vars(search).keys() == search.get_params(deep=False).keys()


def test_score_that_fails_is_the_error_score():
    def score(estimator, X, y):
        raise ZeroDivisionError("this score fails")

    with pytest.warns(UserWarning, match="this score fails"):
        search = MultiTaskSearchCV(
            make_tiny(), {}, cv=FOLDS, scoring=score, error_score=0.0, refit=False
        ).fit(X, Y)

    assert search.cv_results_["mean_test_score"].tolist() == [0.0]


def test_steps_that_cannot_transform_the_test_rows_make_the_score_fail():
    def refuse_few(X):
        if len(X) < 30:
            raise ZeroDivisionError("too few rows")
        return X

    pipe = make_pipeline(FunctionTransformer(refuse_few), make_tiny())
    search = MultiTaskSearchCV(pipe, {}, cv=FOLDS, keep_predictions="all")

    with pytest.warns(match="too few rows|is not finite for 1 of 1"):
        search.fit(X, Y)

    assert search.cv_predictions_ == {}


def test_splitter_that_fails_on_missing_labels_is_refused_with_the_one_to_use():
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=StratifiedKFold(3))

    with pytest.raises(MissingLabelsError, match=r"Use sk_mtl\.model_selection\.MultiTaskStrat"):
        search.fit(X, Y)


# -- Predictions and leaderboard -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frame", "1-D"])
def test_kept_predictions_are_those_of_cross_val_predict(kind):
    from sk_mtl.model_selection import cross_val_predict

    labels = Y if kind == "frame" else Y["sign"]
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, keep_predictions="all").fit(X, labels)

    assert list(search.cv_predictions_) == [0, 1, 2, 3]
    for number, params in enumerate(search.cv_results_["params"]):
        clf = make_tiny().set_params(**params)
        expected = cross_val_predict(clf, X, labels, cv=FOLDS, method="predict_proba")
        found = search.cv_predictions_[number]
        assert type(found) is type(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_predictions_of_the_best_candidate_alone_are_kept():
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, keep_predictions="best").fit(X, Y)

    assert list(search.cv_predictions_) == [search.best_index_]


def test_leaderboard_has_scores_by_task():
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, keep_predictions="all").fit(X, Y)
    results, board = search.cv_results_, search.leaderboard_

    order = np.argsort(results["rank_test_score"], kind="stable")
    assert board.index.tolist() == order.tolist()
    assert board.index.name == "candidate"
    assert board["rank_test_score"].tolist() == results["rank_test_score"][order].tolist()
    assert board["param_hidden_layer_sizes"].isna().sum() == 2
    best = board.loc[search.best_index_]
    assert best["mean_test_score"] == search.best_score_
    accuracies = []
    for _, test in FOLDS.split(X):
        rows = [p[test] for p in search.cv_predictions_[search.best_index_]]
        labels = [c[p.argmax(axis=1)] for c, p in zip(search.classes_, rows, strict=True)]
        predicted = pd.DataFrame(dict(zip(Y.columns, labels, strict=True)))
        accuracies.append(multitask_score("accuracy", Y.iloc[test], predicted, average=None))
    for task in Y.columns:
        by_fold = [scores[task] for scores in accuracies]
        assert best[f"mean_test_score_{task}"] == pytest.approx(np.mean(by_fold))
        assert best[f"std_test_score_{task}"] == pytest.approx(np.std(by_fold))
    assert best["mean_fit_time"] == results["mean_fit_time"][search.best_index_]


@pytest.mark.slow
def test_leaderboard_of_several_scores_is_ordered_by_the_one_that_decides():
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, scoring=SEVERAL, refit="auc").fit(X, Y)

    board = search.leaderboard_

    assert board["rank_test_auc"].tolist() == sorted(search.cv_results_["rank_test_auc"])
    means = [name.removeprefix("mean_test_") for name in board if name.startswith("mean_test_")]
    of_mean = ["mean", "mean_sign", "mean_grade"]
    assert means == ["sign", "grade", *of_mean, "auc", "auc_sign", "auc_grade"]


# -- An estimator among others -------------------------------------------------------------------


def test_search_is_cloned_and_pickled():
    search = MultiTaskSearchCV(make_pipe(), PIPELINE_GRID, cv=FOLDS, max_time=60)
    again = clone(search)

    assert again.get_params().keys() == search.get_params().keys()
    assert again.get_params()["estimator__multitaskclassifier__epochs"] == 2
    fitted = search.fit(X, Y)
    loaded = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(loaded.predict(X), fitted.predict(X))
    pd.testing.assert_frame_equal(loaded.leaderboard_, fitted.leaderboard_)


def test_search_is_represented_as_html():
    search = MultiTaskSearchCV(make_pipe(), PIPELINE_GRID, cv=FOLDS)

    assert "MultiTaskSearchCV" in estimator_html_repr(search)
    assert "best_estimator_" in estimator_html_repr(search.fit(X, Y))


def test_tags_are_those_of_the_estimator():
    assert get_tags(MultiTaskSearchCV(make_tiny(), GRID)).estimator_type is None


def test_task_view_looks_through_a_search():
    search = MultiTaskSearchCV(make_pipe(), PIPELINE_GRID, cv=FOLDS).fit(X, Y)

    assert TaskView(search, "sign").predict(X).tolist() == search.predict(X)["sign"].tolist()


@pytest.mark.slow
def test_search_is_searched_and_nested():
    inner = MultiTaskSearchCV(make_tiny(), {"dropout": [0.0, 0.5]}, cv=2)
    scaled = make_pipeline(StandardScaler(), inner).fit(X, Y)

    assert scaled[-1].best_params_["dropout"] in (0.0, 0.5)
    outer = GridSearchCV(inner, {"estimator__epochs": [1, 2]}, cv=2).fit(X, Y)
    assert outer.best_estimator_.estimator.epochs == outer.best_params_["estimator__epochs"]


@pytest.mark.slow
@parametrize_with_checks(
    [
        MultiTaskSearchCV(
            make_tiny(hidden_layer_sizes=(64,), epochs=60, batch_size=512, dropout=0.0),
            {"l2": [0.0, 1e-4]},
            cv=2,
        )
    ],
    expected_failed_checks=lambda _: {
        "check_fit2d_1sample": "the splitter says that there are fewer rows than folds"
    },
)
def test_search_passes_the_common_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_unfitted_search_says_so():
    with pytest.raises(NotFittedError):
        MultiTaskSearchCV(make_tiny(), GRID).predict(X)
    assert not hasattr(MultiTaskSearchCV(make_tiny(), GRID), "n_features_in_")


def test_one_progress_bar_counts_all_fits(capfd):
    MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS, verbose=1).fit(X, Y)

    shown = capfd.readouterr().err
    assert shown.count("\n") == 1
    assert "12/12" in shown


def test_steps_and_callbacks_of_scikit_learn_are_refused():
    search = MultiTaskSearchCV(make_tiny(), GRID, cv=FOLDS)
    if not hasattr(search, "set_callbacks"):
        pytest.skip("needs scikit-learn 1.9")
    from sklearn.callback import ProgressBar

    with pytest.raises(ValueError, match=r"calls no callbacks .* set_callbacks\(\), and set verb"):
        search.set_callbacks(ProgressBar()).fit(X, Y)
