"""Splitters, train_test_split, cross_val_predict and validation splits, with missing labels."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl._data.labels import read_labels
from sk_mtl._data.schema import TargetSchema
from sk_mtl._tasks import PerTask
from sk_mtl.model_selection import (
    MultiTaskStratifiedGroupKFold,
    MultiTaskStratifiedKFold,
    MultiTaskStratifiedShuffleSplit,
    RepeatedMultiTaskStratifiedKFold,
    cross_val_predict,
    stratified_holdout,
    train_test_split,
)

SPLITTERS = [
    MultiTaskStratifiedKFold(3),
    MultiTaskStratifiedKFold(3, shuffle=True, random_state=1),
    MultiTaskStratifiedGroupKFold(3),
    MultiTaskStratifiedGroupKFold(3, shuffle=True, random_state=1),
    RepeatedMultiTaskStratifiedKFold(n_splits=3, n_repeats=2, random_state=1),
    MultiTaskStratifiedShuffleSplit(3, test_size=0.3, random_state=1),
]
pytestmark = pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
by_name = {"ids": lambda cv: type(cv).__name__}


def make_labels(n_samples=60, share_missing=0.25, seed=0):
    """Three tasks: two classes in text, three in numbers, two of which one is rare."""
    rng = np.random.RandomState(seed)
    Y = pd.DataFrame(
        {
            "colour": rng.choice(["blue", "red"], n_samples),
            "size": rng.choice([1, 2, 3], n_samples, p=[0.5, 0.3, 0.2]),
            "sold": rng.rand(n_samples) < 0.25,
        }
    ).astype(object)
    return Y.mask(rng.rand(n_samples, 3) < share_missing)


def make_X(y):
    return np.arange(2.0 * len(y)).reshape(-1, 2)


def count_by_fold(Y, folds):
    """Labelled cells of each class of each task in each test part."""
    return pd.DataFrame(
        [
            {
                (task, label): count
                for task in Y
                for label, count in Y.iloc[test][task].value_counts().items()
            }
            for _, test in folds
        ]
    ).fillna(0)


class MostFrequent(BaseEstimator):
    """Predicts the most frequent class, and its frequencies, of each task; y as the user has it."""

    def fit(self, X, y, sample_weight=None):
        table = read_labels(y)
        schema = TargetSchema.from_table(table)
        targets = schema.encode(table)
        weight = np.ones(len(targets.codes)) if sample_weight is None else np.asarray(sample_weight)
        self.schema_, self.n_rows_ = schema, len(targets.codes)
        self.frequencies_ = []
        for t, classes in enumerate(schema.classes):
            rows = targets.label_mask[:, t]
            counts = np.bincount(
                targets.codes[rows, t], weights=weight[rows], minlength=len(classes)
            )
            self.frequencies_.append(counts / counts.sum() if rows.any() else counts * np.nan)
        named = PerTask(schema.classes, schema.task_names)
        self.classes_ = schema.classes[0] if schema.is_1d else named
        return self

    def predict(self, X):
        trained = np.array([len(f) > 0 for f in self.frequencies_])
        codes = [int(np.argmax(f)) if len(f) else 0 for f in self.frequencies_]
        return self.schema_.decode(np.tile(codes, (len(X), 1)), trained, like=X)

    def predict_proba(self, X):
        arrays = [np.tile(f, (len(X), 1)) for f in self.frequencies_]
        return arrays[0] if self.schema_.is_1d else PerTask(arrays, self.schema_.task_names)

    def score(self, X, y):
        return float(self.n_rows_)


# -- Folds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cv", SPLITTERS, **by_name)
def test_split_gives_disjoint_parts_and_as_many_as_promised(cv):
    Y = make_labels()
    folds = list(cv.split(make_X(Y), Y, np.arange(len(Y)) // 2))

    assert len(folds) == cv.get_n_splits()
    for train, test in folds:
        assert len(np.union1d(train, test)) == len(train) + len(test) == len(Y)


@pytest.mark.parametrize("cv", SPLITTERS, **by_name)
def test_split_repeats_for_a_fixed_seed(cv):
    Y = make_labels()
    groups = np.arange(len(Y)) // 2

    for one, other in zip(
        cv.split(make_X(Y), Y, groups), cv.split(make_X(Y), Y, groups), strict=True
    ):
        assert_array_equal(one[0], other[0])
        assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("n_samples", [60, 61, 64])
def test_k_fold_has_the_sizes_of_plain_k_fold(n_samples):
    Y = make_labels(n_samples)
    sizes = [len(test) for _, test in MultiTaskStratifiedKFold(5).split(None, Y)]

    assert sizes == [len(test) for _, test in KFold(5).split(Y)]


def test_k_fold_gives_every_fold_its_share_of_each_class():
    Y = make_labels(600)
    counts = count_by_fold(Y, MultiTaskStratifiedKFold(5).split(None, Y))

    assert (counts.max() - counts.min()).max() <= 2


def test_k_fold_spreads_missing_labels_evenly():
    Y = make_labels(600)
    missing = [Y.iloc[test].isna().sum() for _, test in MultiTaskStratifiedKFold(5).split(None, Y)]

    assert (np.ptp(missing, axis=0) <= 3).all()


def test_k_fold_keeps_combinations_of_labels_together_with_their_shares():
    Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 10)
    for _, test in MultiTaskStratifiedKFold(5).split(None, Y):
        combinations = np.unique(Y[test], axis=0, return_counts=True)[1]
        assert combinations.tolist() == [2, 2, 2, 2]


def test_k_fold_puts_the_rarest_class_into_every_fold_when_rows_of_rare_classes_overlap():
    Y = np.zeros((40, 3))
    for task, start in enumerate((0, 3, 6)):
        Y[start : start + 5, task] = 1  # five rows each, some of them shared

    for _, test in MultiTaskStratifiedKFold(5).split(None, Y):
        assert (Y[test].sum(axis=0) >= 1).all()


@pytest.mark.parametrize("seed", [0, 2])
@pytest.mark.filterwarnings("ignore:.*are not in each:UserWarning")
def test_k_fold_swaps_rows_when_a_fold_would_go_without_a_class_that_has_enough(seed):
    # Without the swaps, two (fold, class) pairs are empty for either seed.
    rng = np.random.RandomState(seed)
    Y = pd.DataFrame((rng.rand(300, 30) < 0.1).astype(float))
    Y = Y.where(rng.rand(300, 30) > 0.8)
    counts = count_by_fold(Y, MultiTaskStratifiedKFold(5).split(None, Y))

    assert (counts.loc[:, counts.sum() >= 5] > 0).to_numpy().all()


def test_k_fold_is_that_of_one_task_when_y_is_1d():
    y = pd.Series(["a"] * 10 + ["b"] * 5 + [None] * 5)
    for _, test in MultiTaskStratifiedKFold(5).split(None, y):
        assert y.iloc[test].value_counts().to_dict() == {"a": 2, "b": 1}


def test_k_fold_shuffles_when_asked():
    Y = make_labels()
    plain, shuffled, other = (
        np.concatenate([test for _, test in cv.split(None, Y)])
        for cv in (
            MultiTaskStratifiedKFold(3),
            MultiTaskStratifiedKFold(3, shuffle=True, random_state=0),
            MultiTaskStratifiedKFold(3, shuffle=True, random_state=1),
        )
    )

    assert not np.array_equal(plain, shuffled)
    assert not np.array_equal(shuffled, other)


def test_k_fold_leaves_numpys_global_random_state_alone():
    Y = make_labels()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    list(MultiTaskStratifiedKFold(3, shuffle=True).split(None, Y))

    assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_repeated_k_fold_partitions_anew_each_time():
    Y = make_labels()
    cv = RepeatedMultiTaskStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    tests = [test for _, test in cv.split(None, Y)]

    assert len(np.unique(np.concatenate(tests[:3]))) == len(Y)
    assert len(np.unique(np.concatenate(tests[3:]))) == len(Y)
    assert not np.array_equal(tests[0], tests[3])


@pytest.mark.parametrize(
    "convert",
    [pd.DataFrame, lambda Y: pl.DataFrame(Y.astype("string")), lambda Y: Y.to_numpy()],
    ids=["pandas", "polars", "array"],
)
def test_k_fold_depends_on_the_labels_and_not_on_their_container(convert):
    Y = make_labels().astype("string")
    folds = list(MultiTaskStratifiedKFold(3).split(None, convert(Y)))

    for fold, expected in zip(folds, MultiTaskStratifiedKFold(3).split(None, Y), strict=True):
        assert_array_equal(fold[1], expected[1])


def test_k_fold_takes_a_sentinel_for_a_missing_label():
    Y = np.where(make_labels().isna(), -1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = list(MultiTaskStratifiedKFold(3, missing_label=-1).split(None, Y))
    expected = MultiTaskStratifiedKFold(3).split(None, np.where(Y == -1, np.nan, 1.0))

    for fold, (_, test) in zip(folds, expected, strict=True):
        assert_array_equal(fold[1], test)


# -- Warnings ------------------------------------------------------------------------------------


def test_k_fold_names_task_class_and_count_when_a_class_is_too_rare():
    Y = pd.DataFrame({"a": [0] * 17 + [1] * 3, "b": ["x", "y"] * 10})

    with pytest.warns(UserWarning, match=r"1 class.*task 'a' class 1 \(3 labelled cell") as caught:
        list(MultiTaskStratifiedKFold(5).split(None, Y))
    assert len(caught) == 1
    assert "in 3 of 5 test folds" in str(caught[0].message)


def test_k_fold_names_five_rare_classes_at_most():
    Y = pd.DataFrame({"a": list("bcdefgh") + ["a"] * 13})

    with pytest.warns(UserWarning, match="7 class.*and 2 more"):
        list(MultiTaskStratifiedKFold(5).split(None, Y))


def test_k_fold_is_silent_when_every_class_has_enough_rows():
    list(MultiTaskStratifiedKFold(3).split(None, make_labels()))


def test_groups_are_ignored_with_a_warning_by_splitters_without_groups():
    Y = make_labels()
    with pytest.warns(UserWarning, match="groups parameter is ignored by MultiTaskStratifiedKFold"):
        list(MultiTaskStratifiedKFold(3).split(None, Y, groups=np.arange(len(Y))))


# -- Groups --------------------------------------------------------------------------------------


def test_group_k_fold_keeps_groups_together():
    Y = make_labels(200)
    groups = np.random.RandomState(0).randint(0, 40, 200).astype(str)
    folds = list(MultiTaskStratifiedGroupKFold(4).split(None, Y, groups))

    assert len(np.concatenate([test for _, test in folds])) == 200
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])


def test_group_k_fold_is_closer_to_the_whole_than_groups_at_random():
    Y = make_labels(2000)
    groups = np.random.RandomState(0).randint(0, 200, 2000)
    share = count_by_fold(Y, [(None, np.arange(2000))]).iloc[0] / 4

    def deviation(folds):
        return ((count_by_fold(Y, folds) - share).abs() / share).to_numpy().mean()

    random_folds = [(None, np.flatnonzero(groups % 4 == j)) for j in range(4)]
    ours = deviation(MultiTaskStratifiedGroupKFold(4).split(None, Y, groups))
    assert ours < deviation(random_folds) / 3


def test_group_k_fold_puts_a_class_into_every_fold_when_enough_groups_have_it():
    Y = np.zeros((40, 2))
    Y[[0, 1, 8, 16, 24], 0] = 1  # rows 0 and 1 are of one group
    groups = np.arange(40) // 4

    for _, test in MultiTaskStratifiedGroupKFold(4).split(None, Y, groups):
        assert Y[test, 0].any()


def test_group_k_fold_warns_when_too_few_groups_have_a_class():
    Y = np.zeros((40, 1))
    Y[:8] = 1
    with pytest.warns(UserWarning, match=r"class 1(.0)? \(8 labelled cell.*in 2 of 4 test folds"):
        list(MultiTaskStratifiedGroupKFold(4).split(None, Y, np.arange(40) // 4))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (None, "'groups' parameter should not be None"),
        (["a", "b"] * 30, "must not exceed the number of groups, 2"),
        ([None, "a", "b"] * 20, "20 of 60 are missing"),
    ],
)
def test_group_k_fold_refuses_groups_that_cannot_be_used(groups, message):
    with pytest.raises(ValueError, match=message):
        list(MultiTaskStratifiedGroupKFold(3).split(None, make_labels(), groups))


# -- Shuffle split and train_test_split ----------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({}, (54, 6)),
        ({"test_size": 0.25}, (45, 15)),
        ({"train_size": 0.5}, (30, 30)),
        ({"train_size": 20, "test_size": 10}, (20, 10)),
    ],
)
def test_shuffle_split_meets_the_sizes(sizes, expected):
    Y = make_labels(share_missing=0.1)
    cv = MultiTaskStratifiedShuffleSplit(1, random_state=0, **sizes)
    train, test = next(cv.split(None, Y))

    assert (len(train), len(test)) == expected
    assert not set(train) & set(test)


def test_shuffle_split_draws_another_split_each_time():
    Y = make_labels()
    cv = MultiTaskStratifiedShuffleSplit(2, test_size=0.3, random_state=0)
    (_, first), (_, second) = cv.split(None, Y)

    assert set(first) != set(second)


def test_shuffle_split_puts_a_class_with_two_rows_into_both_parts():
    Y = np.zeros((100, 2))
    Y[[3, 50], 0] = 1
    for train, test in MultiTaskStratifiedShuffleSplit(10, random_state=0).split(None, Y):
        assert Y[train, 0].sum() == Y[test, 0].sum() == 1


def test_shuffle_split_warns_when_a_class_has_one_row():
    Y = np.zeros((20, 2))
    Y[3, 0] = 1
    with pytest.warns(UserWarning, match=r"task 'y0' class 1.*\(1 labelled cell.*in 1 of 2 parts"):
        next(MultiTaskStratifiedShuffleSplit(1, test_size=0.3, random_state=0).split(None, Y))


def test_train_test_split_stratifies_by_y():
    Y = make_labels(400)
    _, _, Y_train, Y_test = train_test_split(make_X(Y), Y, random_state=0)
    counts = count_by_fold(Y, [(None, Y_train.index), (None, Y_test.index)])

    assert len(Y_test) == 100
    assert (counts.iloc[0] / 3 - counts.iloc[1]).abs().max() <= 2


def test_train_test_split_keeps_the_type_of_every_array():
    Y = make_labels(20, share_missing=0.1)
    X = make_X(Y)
    arrays = [
        pd.DataFrame(X, index=np.arange(20) + 100),
        Y,
        X,
        sp.csr_matrix(X),
        pl.DataFrame({"a": X[:, 0]}),
        X[:, 0].tolist(),
        pd.Series(X[:, 0]),
    ]
    parts = train_test_split(*arrays, test_size=0.5, random_state=0)

    assert [type(part) for part in parts] == [type(a) for a in arrays for _ in range(2)]
    expected = parts[5]
    assert_array_equal(parts[1].to_numpy(), expected)
    assert_array_equal(parts[7].toarray(), expected)
    assert_array_equal(parts[9]["a"].to_numpy(), expected[:, 0])
    assert_array_equal(parts[11], expected[:, 0])
    assert_array_equal(parts[13], expected[:, 0])


def test_train_test_split_repeats_for_a_fixed_seed_only():
    Y = make_labels()
    first, again, other = (
        train_test_split(np.arange(60), Y, random_state=seed)[1].tolist() for seed in (0, 0, 1)
    )

    assert first == again
    assert first != other


def test_train_test_split_keeps_the_order_of_rows_when_not_shuffled():
    _, test, *_ = train_test_split(np.arange(60), make_labels(), shuffle=False)

    assert_array_equal(test, np.sort(test))


@pytest.mark.parametrize("stratify", [None, False])
def test_train_test_split_does_not_look_at_y_when_not_stratified(stratify):
    continuous = np.linspace(0, 1, 20)
    train, test = train_test_split(continuous, random_state=0, stratify=stratify)

    assert sorted([*train, *test]) == continuous.tolist()


def test_train_test_split_stratifies_by_another_table():
    y = np.repeat([0, 1], 10)
    train, _ = train_test_split(np.arange(20), stratify=y, test_size=0.5, random_state=0)

    assert (train < 10).sum() == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda Y: train_test_split(), "At least one array"),
        (train_test_split, "only one was passed"),
        (lambda Y: train_test_split(np.zeros(3), Y), "inconsistent numbers of samples"),
        (lambda Y: train_test_split(Y, stratify=[0, 1]), "inconsistent numbers of samples"),
        (lambda Y: train_test_split(Y, Y, test_size=1.5), "test_size=1.5"),
        (lambda Y: train_test_split(np.zeros(3), [0.5, 0.1, 0.2]), "continuous"),
    ],
)
def test_train_test_split_refuses_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call(make_labels())


# -- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("cv", SPLITTERS, **by_name)
def test_split_refuses_to_go_without_y(cv):
    with pytest.raises(ValueError, match="'y' parameter should not be None"):
        list(cv.split(np.zeros((10, 1)), None, np.arange(10)))


@pytest.mark.parametrize("cv", SPLITTERS, **by_name)
def test_split_refuses_x_of_another_length(cv):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        list(cv.split(np.zeros((10, 1)), make_labels(), np.arange(60)))


def test_k_fold_refuses_more_folds_than_rows():
    with pytest.raises(ValueError, match="must not exceed the number of samples, 3"):
        list(MultiTaskStratifiedKFold(5).split(None, [0, 1, 0]))


@pytest.mark.parametrize("n_splits", [1, 0, 2.5, "3", True])
def test_splitters_refuse_a_bad_number_of_splits(n_splits):
    with pytest.raises(ValueError, match=r"'n_splits' parameter of .* must be an integer >= 2"):
        MultiTaskStratifiedKFold(n_splits)


def test_k_fold_refuses_a_seed_without_shuffling():
    with pytest.raises(ValueError, match="random_state has no effect since shuffle is False"):
        MultiTaskStratifiedKFold(3, random_state=0)


def test_k_fold_refuses_a_shuffle_that_is_no_bool():
    with pytest.raises(TypeError, match=r"'shuffle' parameter of .* must be True or False"):
        MultiTaskStratifiedKFold(3, shuffle="yes")


# -- In scikit-learn -----------------------------------------------------------------------------


def test_splitter_has_a_repr_of_its_parameters():
    assert " ".join(repr(MultiTaskStratifiedKFold(4)).split()) == (
        "MultiTaskStratifiedKFold(missing_label=None, n_splits=4, random_state=None, shuffle=False)"
    )


@pytest.mark.parametrize("cv", SPLITTERS, **by_name)
def test_splitter_survives_clone_and_pickle(cv):
    Y = make_labels()
    copy = pickle.loads(pickle.dumps(clone(cv, safe=False)))
    groups = np.arange(60) // 2

    assert_array_equal(next(copy.split(None, Y, groups))[1], next(cv.split(None, Y, groups))[1])


@pytest.mark.parametrize("cv", SPLITTERS, **by_name)
def test_splitter_serves_as_cv_of_a_search_in_a_pipeline(cv):
    Y = make_labels()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MostFrequent()), {"standardscaler": [None]}, cv=cv
    )
    search.fit(make_X(Y), Y, groups=np.arange(60) // 2)

    assert search.n_splits_ == cv.get_n_splits()


def test_splitter_serves_cross_validate_and_learning_curve():
    Y = make_labels()
    cv = MultiTaskStratifiedKFold(3, shuffle=True, random_state=0)

    scores = cross_validate(MostFrequent(), make_X(Y), Y, cv=cv)["test_score"]
    assert scores.tolist() == [40.0] * 3
    sizes, *_ = learning_curve(MostFrequent(), make_X(Y), Y, cv=cv, train_sizes=[0.5, 1.0])
    assert sizes.tolist() == [20, 40]


@pytest.mark.filterwarnings("ignore:.*class.*are not in each:UserWarning")
def test_splitter_serves_halving_search():
    Y = make_labels(120)
    search = HalvingGridSearchCV(
        make_pipeline(StandardScaler(), MostFrequent()),
        {"standardscaler__with_mean": [True, False]},
        cv=MultiTaskStratifiedKFold(3),
        min_resources=60,
    )

    assert search.fit(make_X(Y), Y).n_splits_ == 3


def test_groups_are_routed_to_the_group_splitter():
    Y = make_labels()
    groups = np.arange(60) // 2
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(
            MostFrequent(),
            make_X(Y),
            Y,
            cv=MultiTaskStratifiedGroupKFold(3),
            params={"groups": groups},
        )

    assert len(scores) == 3


# -- cross_val_predict ---------------------------------------------------------------------------


def test_cross_val_predict_returns_the_frame_that_the_estimator_returns():
    Y = make_labels()
    X = pd.DataFrame(make_X(Y), index=np.arange(60)[::-1])
    predicted = cross_val_predict(MostFrequent(), X, Y.set_axis(X.index))

    assert isinstance(predicted, pd.DataFrame)
    assert_array_equal(predicted.columns, Y.columns)
    assert_array_equal(predicted.index, X.index)


def test_cross_val_predict_returns_a_polars_frame_where_y_is_one():
    Y = pl.DataFrame(make_labels().astype("string"))

    predicted = cross_val_predict(MostFrequent(), make_X(Y), Y, cv=3)
    assert isinstance(predicted, pl.DataFrame)
    assert predicted.schema == Y.schema


def test_cross_val_predict_joins_polars_columns_that_are_integers_in_some_folds_only():
    Y = pl.DataFrame({"a": [0.0, 1.0] * 4, "b": [None, None, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]})
    predicted = cross_val_predict(MostFrequent(), make_X(Y), Y, cv=KFold(4))

    assert predicted["b"].to_list()[:2] == [1.0, 1.0]


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_cross_val_predict_puts_rows_in_the_order_of_x(method):
    rng = np.random.RandomState(0)
    X, y = rng.randn(40, 2), np.repeat(["a", "b"], 20)
    cv = KFold(4, shuffle=True, random_state=0)
    predicted = cross_val_predict(GaussianNB(), X, y, cv=cv, method=method)

    for train, test in cv.split(X):
        expected = getattr(GaussianNB().fit(X[train], y[train]), method)(X[test])
        assert_array_equal(predicted[test], expected)


def test_cross_val_predict_makes_no_class_of_a_missing_label():
    Y = make_labels()
    proba = cross_val_predict(MostFrequent(), make_X(Y), Y, method="predict_proba")

    assert isinstance(proba, PerTask)
    assert proba.task_names == ("colour", "size", "sold")
    assert [p.shape for p in proba] == [(60, 2), (60, 3), (60, 2)]
    for p in proba:
        np.testing.assert_allclose(p.sum(axis=1), 1)


@pytest.mark.filterwarnings("ignore:divide by zero encountered in log:RuntimeWarning")
@pytest.mark.parametrize(
    ("method", "of_unknown"), [("predict_proba", 0.0), ("predict_log_proba", -np.inf)]
)
def test_cross_val_predict_keeps_the_columns_when_a_class_is_absent_from_a_fold(method, of_unknown):
    X = np.random.RandomState(0).randn(12, 2)
    Y = np.column_stack([[0, 1, 2] * 4, [0] * 4 + [1] * 4 + [2] * 4])
    forest = RandomForestClassifier(n_estimators=20, random_state=0)
    proba = cross_val_predict(forest, X, Y, cv=KFold(3), method=method)

    assert type(proba) is list
    assert [p.shape for p in proba] == [(12, 3), (12, 3)]
    for j in range(3):  # class j of the second task is all of fold j
        assert (proba[1][4 * j : 4 * j + 4, j] == of_unknown).all()


def test_cross_val_predict_gives_missing_predictions_for_a_task_that_a_fold_cannot_train():
    Y = pd.DataFrame({"a": [0, 1] * 4, "b": [np.nan] * 6 + [0, 1]})
    labels, proba = (
        cross_val_predict(MostFrequent(), make_X(Y), Y, cv=KFold(4), method=method)
        for method in ("predict", "predict_proba")
    )

    assert labels["b"].isna().tolist() == [False] * 6 + [True] * 2
    assert labels["a"].notna().all()
    assert_array_equal(np.isnan(proba["b"]).all(axis=1), labels["b"].isna())


def test_cross_val_predict_returns_plain_arrays_for_1d_y():
    y = pd.Series(["a", "b", None] * 10)

    assert cross_val_predict(MostFrequent(), make_X(y), y).shape == (30,)
    proba = cross_val_predict(MostFrequent(), make_X(y), y, method="predict_proba")
    assert proba.shape == (30, 2)


def test_cross_val_predict_takes_weights_by_row():
    Y = np.array([[0], [1]] * 10)
    weight = np.tile([1.0, 3.0], 10)
    proba = cross_val_predict(
        MostFrequent(),
        make_X(Y),
        Y,
        cv=5,
        params={"sample_weight": weight},
        method="predict_proba",
    )

    np.testing.assert_allclose(proba, np.tile([0.25, 0.75], (20, 1)))


def test_cross_val_predict_hands_groups_to_the_splitter():
    Y = make_labels()
    groups = np.arange(60) // 2
    cv = MultiTaskStratifiedGroupKFold(3)
    expected = cross_val_predict(MostFrequent(), make_X(Y), Y, cv=list(cv.split(None, Y, groups)))

    direct = cross_val_predict(MostFrequent(), make_X(Y), Y, cv=cv, groups=groups)
    pd.testing.assert_frame_equal(direct, expected)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_val_predict(MostFrequent(), make_X(Y), Y, cv=cv, params={"groups": groups})
    pd.testing.assert_frame_equal(routed, expected)


def test_cross_val_predict_gives_the_same_in_parallel():
    Y = make_labels()
    serial = cross_val_predict(MostFrequent(), make_X(Y), Y)
    with joblib.parallel_backend("threading"):
        parallel = cross_val_predict(MostFrequent(), make_X(Y), Y, n_jobs=2)

    pd.testing.assert_frame_equal(serial, parallel)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "decision_function"}, "method must be 'predict', 'predict_proba'"),
        ({"cv": MultiTaskStratifiedShuffleSplit(2, test_size=0.3)}, "hold every row once"),
    ],
)
def test_cross_val_predict_refuses_what_it_cannot_do(arguments, message):
    Y = make_labels()
    with pytest.raises(ValueError, match=message):
        cross_val_predict(MostFrequent(), make_X(Y), Y, **arguments)


# -- The validation split of early stopping ------------------------------------------------------


def test_holdout_parts_are_a_partition_in_sorted_order_with_the_size_asked_for():
    codes, mask = np.zeros((25, 1), int), np.ones((25, 1), bool)
    train, held = stratified_holdout(codes, mask, holdout_fraction=0.1, random_state=0)

    assert_array_equal(np.union1d(train, held), np.arange(25))
    assert (len(train), len(held)) == (22, 3)
    assert_array_equal(train, np.sort(train))
    assert_array_equal(held, np.sort(held))


def test_holdout_takes_more_rows_when_there_are_more_tasks_than_rows_to_hold_out():
    mask = np.repeat(np.eye(20, dtype=bool), 2, axis=0)  # two rows for each of 20 tasks
    train, held = stratified_holdout(
        np.zeros((40, 20), int), mask, holdout_fraction=0.1, random_state=0
    )

    assert mask[train].any(axis=0).all()
    assert mask[held].any(axis=0).all()


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.25, 0.5, 0.9])
def test_holdout_has_the_share_of_each_class_when_most_combinations_of_labels_are_rare(fraction):
    rng = np.random.default_rng(0)
    # 256 combinations in 2,000 rows: most have too few rows to be dealt out in proportion.
    codes = (rng.random((2000, 8)) < np.r_[0.03, np.full(7, 0.3)]).astype(int)
    mask = np.ones(codes.shape, dtype=bool)
    _, held = stratified_holdout(codes, mask, holdout_fraction=fraction, random_state=0)

    np.testing.assert_allclose(codes[held].sum(axis=0), fraction * codes.sum(axis=0), atol=5)


def test_holdout_repeats_for_a_fixed_seed_only():
    codes, mask = np.random.RandomState(0).randint(0, 2, (50, 2)), np.ones((50, 2), bool)
    first, again, other = (
        stratified_holdout(codes, mask, holdout_fraction=0.2, random_state=seed)[1].tolist()
        for seed in (0, 0, 1)
    )

    assert first == again
    assert first != other


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_holdout_refuses_a_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="holdout_fraction must be"):
        stratified_holdout(np.zeros((5, 1), int), np.ones((5, 1), bool), holdout_fraction=fraction)


def test_holdout_refuses_a_single_row():
    with pytest.raises(ValueError, match="At least two rows"):
        stratified_holdout(np.zeros((1, 1), int), np.ones((1, 1), bool), holdout_fraction=0.5)


# -- Laws ----------------------------------------------------------------------------------------


@st.composite
def coded_labels(draw, max_tasks=4):
    n_samples = draw(st.integers(10, 40))
    n_tasks = draw(st.integers(1, max_tasks))
    rng = np.random.RandomState(draw(st.integers(0, 10_000)))
    codes = rng.randint(0, draw(st.integers(1, 4)), (n_samples, n_tasks))
    return codes, rng.rand(n_samples, n_tasks) < draw(st.floats(0.1, 1))


def as_y(codes, mask, under_mask=np.nan):
    return np.where(mask, codes.astype(float), under_mask)


@settings(max_examples=30)
@given(coded_labels(), st.sampled_from([2, 3, 5]), st.booleans())
@pytest.mark.filterwarnings("ignore:.*are not in each:UserWarning")
def test_k_fold_counts_differ_little_between_folds(labels, n_splits, shuffle):
    codes, mask = labels
    cv = MultiTaskStratifiedKFold(n_splits, shuffle=shuffle, random_state=0 if shuffle else None)
    folds = [test for _, test in cv.split(None, as_y(codes, mask))]

    assert_array_equal(np.sort(np.concatenate(folds)), np.arange(len(codes)))
    for t in range(codes.shape[1]):
        for code in np.unique(codes[mask[:, t], t]):
            counts = [(mask[test, t] & (codes[test, t] == code)).sum() for test in folds]
            assert np.ptp(counts) <= 3


@pytest.mark.slow
@settings(max_examples=30)
@given(coded_labels())
@pytest.mark.filterwarnings("ignore:.*are not in each:UserWarning")
def test_splits_do_not_depend_on_what_is_under_the_mask(labels):
    codes, mask = labels
    other = np.where(mask, codes, 99 - codes)

    one, another = (
        stratified_holdout(c, mask, holdout_fraction=0.2, random_state=0) for c in (codes, other)
    )
    assert_array_equal(one[0], another[0])


@settings(max_examples=50)
@given(coded_labels(), st.floats(0.05, 0.5))
def test_holdout_keeps_labelled_cells_of_every_task_in_both_parts(labels, fraction):
    codes, mask = labels
    train, held = stratified_holdout(codes, mask, holdout_fraction=fraction, random_state=0)

    enough = mask.sum(axis=0) >= 4  # with fewer, one row may be needed in both parts
    assert mask[train][:, enough].any(axis=0).all()
    assert mask[held][:, enough].any(axis=0).all()
