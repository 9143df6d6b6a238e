"""Tests of what X may be, through the estimator: what the network does with it first."""

import io
import pickle

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sk_mtl import MultiTaskClassifier, load_model, save_model

N = 24


@pytest.fixture(scope="module")
def X():
    X = np.random.default_rng(0).normal(size=(N, 4))
    X[:, 3] = X[:, 3] > 0.5
    return X.astype(np.float32)


@pytest.fixture(scope="module")
def Y(X):
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1).astype(float)
    Y[::3, 1] = np.nan
    return Y


CLASSES = [[0, 1], [0, 1, 2]]


def make(**params):
    """Return an estimator that is fitted in no time."""
    settings = {"hidden_layer_sizes": (4,), "epochs": 2, "batch_size": 12, "random_state": 0}
    return MultiTaskClassifier(**{**settings, "jit_compile": False, **params})


def proba(clf, X):
    return np.hstack(clf.predict_proba(X))


def statistics_of(clf):
    return np.stack(clf.model_.get_layer("standardize").non_trainable_variables)


# ------------------------------------------------------------------------------ standardising


@pytest.mark.slow
def test_unit_of_a_feature_changes_no_bit(X, Y):
    # By powers of two, which float32 multiplies by exactly.
    units = np.float32([2**20, 2**-20, 1, 8])
    expected = proba(make().fit(X, Y), X)
    np.testing.assert_array_equal(proba(make().fit(X * units, Y), X * units), expected)


def test_features_that_are_standardised_already_give_the_same_model(X, Y):
    units, offset = np.float32([3, 0.1, 1e5, 7]), np.float32([5, -2, 1e4, 1])
    moved = X * units + offset
    scaled = (moved - moved.mean(axis=0)) / moved.std(axis=0)
    first, second = make().fit(moved, Y), make().fit(scaled, Y)
    np.testing.assert_allclose(proba(first, moved), proba(second, scaled), rtol=1e-4)


@pytest.mark.slow
def test_constant_feature_has_no_influence(X, Y):
    with_constant = np.hstack([X, np.full((N, 1), 1e30, np.float32)])
    clf = make().fit(with_constant, Y)
    other = with_constant.copy()
    other[:, 4] = -3e38
    np.testing.assert_array_equal(proba(clf, other), proba(clf, with_constant))


@pytest.mark.slow
@pytest.mark.parametrize(("size", "jit_compile"), [(1e-30, False), (1e30, True)])
def test_features_of_any_size_train(X, Y, size, jit_compile):
    # Without dropout, whose draws are others where the program is compiled.
    clf, sized = make(dropout=0.0).fit(X, Y), X * np.float32(size)
    other = make(dropout=0.0, jit_compile=jit_compile).fit(sized, Y)
    np.testing.assert_allclose(proba(other, sized), proba(clf, X), rtol=1e-4)


def test_row_without_labels_changes_no_bit_whatever_it_holds(X, Y):
    more_X = np.vstack([X, np.full((2, 4), 3e38, np.float32)])
    more_Y = np.vstack([Y, np.full((2, 2), np.nan)])
    expected = proba(make().fit(X, Y), X)
    np.testing.assert_array_equal(proba(make().fit(more_X, more_Y), X), expected)
    sparse = make().fit(sp.csr_matrix(more_X), more_Y)
    np.testing.assert_array_equal(proba(sparse, X), expected)


def test_rows_that_are_watched_or_of_weight_zero_do_not_count(X, Y):
    expected = statistics_of(make().fit(X, Y))
    watched = (X * 5, Y)
    np.testing.assert_array_equal(
        statistics_of(make().fit(X, Y, validation_data=watched)), expected
    )
    weight = np.repeat([1, 0], N)
    both = make().fit(np.vstack([X, X + 5]), np.vstack([Y, Y]), weight)
    np.testing.assert_array_equal(statistics_of(both), expected)
    held_out = statistics_of(make(early_stopping=True, validation_fraction=0.5).fit(X, Y))
    assert (held_out != expected).any()


def test_stream_keeps_the_statistics_of_its_first_rows_with_labels(X, Y):
    nothing = np.full((N, 2), np.nan)
    stream = make(epochs=1).partial_fit(X + 7, nothing, classes=CLASSES)
    stream.partial_fit(X, Y)
    expected = statistics_of(make().fit(X, Y))
    np.testing.assert_array_equal(statistics_of(stream), expected)
    stream.partial_fit(X * 3, Y)
    np.testing.assert_array_equal(statistics_of(stream), expected)
    assert stream.n_iter_ == 2


def test_warm_start_keeps_the_statistics(X, Y):
    clf = make(warm_start=True).fit(X, Y)
    expected = statistics_of(clf)
    np.testing.assert_array_equal(statistics_of(clf.fit(X * 3, Y)), expected)
    with pytest.raises(ValueError, match="parameters have changed since"):
        clf.set_params(standardize=False).fit(X, Y)


@pytest.mark.slow
def test_features_are_left_as_they_are_when_asked_or_for_a_network_of_ones_own(X, Y):
    trunk = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    plain = make(standardize=False).fit(X, Y)
    for clf in (plain, make(hidden_layer_sizes=(256,), model=trunk).fit(X, Y)):
        assert "standardize" not in [layer.name for layer in clf.model_.layers]
    assert (proba(make(standardize=False).fit(X * 2, Y), X * 2) != proba(plain, X)).any()


def build_trunk(meta):
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = keras.layers.BatchNormalization(name="standardize")(inputs)  # a name like ours
    return keras.Model(inputs, keras.layers.Dense(3, "relu")(hidden))


def build_whole(meta):
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = keras.layers.Dense(3, "relu")(inputs)
    outputs = [keras.layers.Dense(1, "sigmoid"), keras.layers.Dense(3, "softmax")]
    return keras.Model(inputs, [output(hidden) for output in outputs])


@pytest.mark.slow
@pytest.mark.parametrize("build", [build_trunk, build_whole])
def test_network_of_ones_own_gets_standardised_features_when_asked(X, Y, build):
    clf = make(hidden_layer_sizes=(256,), model=build, standardize=True).fit(X, Y)
    shift, scale = statistics_of(clf)
    ready = (X - shift) * scale
    expected = make(hidden_layer_sizes=(256,), model=build).fit(ready, Y)
    np.testing.assert_allclose(proba(clf, X), proba(expected, ready), rtol=1e-4)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(proba(again, X), proba(clf, X))


@pytest.mark.slow_except("False")
@pytest.mark.parametrize("has_holes", [False, True])
def test_saved_model_standardises(X, Y, has_holes):
    X = with_holes(X) if has_holes else X
    clf = make().fit(X, Y)
    file = io.BytesIO()
    save_model(clf, file)
    for again in (load_model(io.BytesIO(file.getvalue())), pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(proba(again, X), proba(clf, X))
        np.testing.assert_array_equal(statistics_of(again), statistics_of(clf))


@pytest.mark.parametrize("value", ["yes", None, 2])
def test_other_values_of_standardize_are_refused(X, Y, value):
    with pytest.raises(ValueError, match="'standardize' parameter"):
        make(standardize=value).fit(X, Y)


# ------------------------------------------------------------------------------ missing cells


def with_holes(X):
    X = X.copy()
    X[::2, 0] = X[1::5, 3] = np.nan
    return X


@pytest.mark.slow
def test_features_with_missing_cells_have_a_column_each_for_that(X, Y):
    clf = make(numeric_embedding=None).fit(with_holes(X), Y)
    assert clf.model_.get_layer("trunk_0").kernel.shape == (4 + 2, 4)
    shares = np.isnan(with_holes(X)).mean(axis=0)[[0, 3]]
    np.testing.assert_array_equal(statistics_of(clf)[0, 4:], shares.astype(np.float32))
    assert np.isfinite(proba(clf, with_holes(X))).all()


def test_missing_cell_is_the_mean_where_training_had_none(X, Y):
    clf = make().fit(X, Y)
    filled = np.where(np.isnan(with_holes(X)), statistics_of(clf)[0], X)
    np.testing.assert_array_equal(proba(clf, with_holes(X)), proba(clf, filled))


def test_missing_cell_of_a_sparse_matrix_is_one_that_is_written(X, Y):
    holes = with_holes(X)
    holes[holes < 0] = 0
    dense, sparse = make().fit(holes, Y), make().fit(sp.csr_matrix(holes), Y)
    np.testing.assert_array_equal(proba(sparse, sp.csr_matrix(holes)), proba(dense, holes))


def test_missing_cells_of_rows_without_labels_change_no_bit(X, Y):
    more_X, more_Y = np.vstack([X, X * np.nan]), np.vstack([Y, np.full(Y.shape, np.nan)])
    expected = proba(make().fit(X, Y), X)
    np.testing.assert_array_equal(proba(make().fit(more_X, more_Y), X), expected)


def test_stream_takes_later_missing_cells_for_the_mean(X, Y):
    stream = make(classes=CLASSES).partial_fit(X, Y)
    before = statistics_of(stream)
    stream.partial_fit(with_holes(X), Y)
    np.testing.assert_array_equal(statistics_of(stream), before)
    assert np.isfinite(proba(stream, with_holes(X))).all()


@pytest.mark.slow
def test_that_a_cell_is_missing_can_tell_the_label():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 2)), rng.integers(0, 2, size=200)
    X[y == 1, 0] = np.nan
    clf = make(epochs=60, optimizer__learning_rate=0.05, batch_size=200).fit(X, y)
    assert clf.score(X, y) > 0.9


@pytest.mark.slow
def test_missing_cells_come_from_frames_of_any_kind(X, Y):
    frame = pd.DataFrame(with_holes(X).astype(float), columns=list("abcd"))
    frame["c"] = np.arange(N)
    frame.loc[::2, "c"] = np.nan
    expected = proba(make().fit(frame.to_numpy(), Y), frame.to_numpy())
    for form in (frame, frame.convert_dtypes(), pl.from_pandas(frame), frame.astype(object)):
        np.testing.assert_array_equal(proba(make().fit(form, Y), form), expected)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_refused(X, Y, bad):
    X_bad = X.copy()
    X_bad[3, 1] = bad
    clf = make().fit(X, Y)
    for use in (lambda: make().fit(X_bad, Y), lambda: clf.predict(X_bad)):
        with pytest.raises(ValueError, match="Input X contains infinity"):
            use()


def test_missing_cells_are_refused_where_features_are_left_as_they_are(X, Y):
    trunk = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    for clf in (make(standardize=False), make(hidden_layer_sizes=(256,), model=trunk)):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            clf.fit(with_holes(X), Y)
        clf.fit(X, Y)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            clf.predict(with_holes(X))


def test_number_too_large_for_the_network_is_named_beside_missing_cells(X, Y):
    clf = make().fit(X, Y)
    huge = with_holes(X).astype(np.float64)
    huge[1, 1] = 1e39
    with pytest.raises(ValueError, match=r"too large for dtype\('float32'\).*1e\+39"):
        clf.predict(huge)


# ------------------------------------------------------------------------------ categories


def make_frame(n_jobs=3):
    """Return numbers and two categorical columns, of which one has missing cells."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"age": rng.normal(size=N), "rooms": rng.integers(0, 4, size=N)})
    frame.insert(1, "job", pd.Categorical([f"job {i % n_jobs:02d}" for i in range(N)]))
    frame["town"] = pd.Categorical(rng.choice(["x", "y"], size=N))
    frame.loc[::6, "town"] = None
    return frame


def one_hot_by_hand(frame):
    """Return the columns that the network makes of `make_frame`."""
    columns = [frame["age"], frame["rooms"]]
    columns += [frame["job"] == job for job in sorted(frame["job"].unique())]
    columns += [frame["town"] == "x", frame["town"] == "y", frame["town"].isna()]
    return np.column_stack(columns).astype(float)


@pytest.mark.slow
def test_categories_are_what_columns_made_by_hand_are(Y):
    frame = make_frame()
    by_hand = one_hot_by_hand(frame)
    first, second = make().fit(frame, Y), make().fit(by_hand, Y)
    np.testing.assert_allclose(proba(first, frame), proba(second, by_hand), rtol=1e-5)


@pytest.mark.parametrize(
    "convert",
    [
        pl.from_pandas,
        lambda X: X.astype({"job": object, "town": object}),
        lambda X: X.assign(job=X["job"].cat.codes, town=X["town"].astype("string")),
        lambda X: X.to_numpy(dtype=object),
        lambda X: X.to_numpy(dtype=object).tolist(),
    ],
    ids=["polars", "text", "codes", "array", "lists"],
)
def test_form_of_a_table_changes_no_bit(Y, convert):
    frame = make_frame()
    expected = proba(make().fit(frame, Y), frame)
    other = convert(frame)
    clf = make(categorical_features=[1, 3]).fit(other, Y)
    np.testing.assert_array_equal(proba(clf, other), expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No category of feature:UserWarning")
def test_many_categories_of_a_feature_are_vectors():
    frame = pd.DataFrame({"job": pd.Categorical(np.arange(200) % 65), "b": np.arange(200.0)})
    clf = make(epochs=1, numeric_embedding=None).fit(frame, (np.arange(200) % 2))
    assert clf.model_.get_layer("categories").embeddings.shape == (66, 16)
    assert clf.model_.get_layer("trunk_0").kernel.shape == (1 + 16, 4)
    unknown = frame.assign(job=99)
    assert len(np.unique(clf.predict_proba(unknown.assign(b=0.0))[:, 0])) == 1
    missing = frame.assign(job=None)
    np.testing.assert_array_equal(clf.predict_proba(missing), clf.predict_proba(unknown))


@pytest.mark.filterwarnings("ignore:No category of feature:UserWarning")
def test_unknown_category_is_a_missing_one(Y):
    frame = make_frame()
    clf = make().fit(frame, Y)
    unknown, missing = frame.assign(town="z"), frame.assign(town=None)
    np.testing.assert_array_equal(proba(clf, unknown), proba(clf, missing))


@pytest.mark.slow
def test_unknown_category_is_the_mean_of_all_where_none_was_missing(Y):
    frame = make_frame()
    linear = make(hidden_layer_sizes=()).fit(frame, Y)
    logits = {
        job: linear._fitted.network.logits(np.float32([[0, job, 0, 0]]))
        for job in (0, 1, 2, np.nan)
    }
    mean = np.mean([logits[job] for job in (0, 1, 2)], axis=0)  # they are equally frequent
    np.testing.assert_allclose(logits[np.nan], mean, rtol=1e-5)


def test_category_of_rows_without_labels_changes_no_bit(Y):
    frame = make_frame()
    more = pd.concat([frame, frame.head(3).assign(job="new", town="new", age=1e9)])
    more = more.astype({"job": "category", "town": "category"})
    more_Y = np.vstack([Y, np.full((3, 2), np.nan)])
    first, second = make().fit(frame, Y), make().fit(more, more_Y)
    np.testing.assert_array_equal(proba(first, frame), proba(second, frame))
    np.testing.assert_array_equal(proba(first, more), proba(second, more))


@pytest.mark.filterwarnings("ignore:No category of feature:UserWarning")
def test_category_that_only_watched_rows_have_is_unknown(Y):
    frame = make_frame()
    watched = (frame.assign(job="new"), Y)
    clf = make().fit(frame, Y, validation_data=watched)
    logits = clf.history_["val_loss"]
    unknown = make().fit(frame, Y, validation_data=(frame.assign(job=None), Y))
    assert logits == unknown.history_["val_loss"]


def test_names_of_categories_change_no_bit(Y):
    frame = make_frame()
    renamed = frame.assign(job=frame["job"].cat.rename_categories(lambda job: f"~{job}"))
    expected = proba(make().fit(frame, Y), frame)
    np.testing.assert_array_equal(proba(make().fit(renamed, Y), renamed), expected)


def test_X_is_left_as_it_was(Y):
    frame = make_frame()
    array = frame.to_numpy(dtype=object)
    make(early_stopping=True).fit(frame, Y).predict(frame)
    make(categorical_features=[1, 3], early_stopping=True).fit(array, Y).predict(array)
    pd.testing.assert_frame_equal(frame, make_frame())
    assert all(a is b or a == b for a, b in zip(array[:, 0], make_frame()["age"], strict=True))


@pytest.mark.slow
def test_estimator_with_categories_is_kept_in_every_way(Y):
    frame = make_frame(n_jobs=N)
    clf = make().fit(frame, Y)
    file = io.BytesIO()
    save_model(clf, file)
    for again in (load_model(io.BytesIO(file.getvalue())), pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(proba(again, frame), proba(clf, frame))
        assert again.feature_names_in_.tolist() == ["age", "job", "rooms", "town"]
        with pytest.raises(ValueError, match="feature names should match"):
            again.predict(frame[["job", "age", "rooms", "town"]])


@pytest.mark.slow
def test_searches_and_pipelines_take_raw_frames(Y):
    frame = make_frame()
    grid = {"categorical_features": ["from_dtype", ["job", "rooms", "town"]]}
    search = GridSearchCV(make(), grid, cv=KFold(2)).fit(frame, Y)
    assert search.predict(frame).shape == Y.shape
    codes = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["job", "town"]), remainder="passthrough"
    )
    last = make(numeric_embedding=None)
    model = make_pipeline(codes.set_output(transform="pandas"), last).fit(frame, Y)
    assert model[-1].model_.get_layer("trunk_0").kernel.shape[0] == 2 + 3 + 3
    assert clone(model).fit(frame, Y).predict(frame).shape == Y.shape


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:No category of feature:UserWarning")
def test_training_goes_on_with_the_categories_it_began_with(Y):
    frame = make_frame()
    stream = make(classes=CLASSES, numeric_embedding=None).partial_fit(frame, Y)
    stream.partial_fit(frame.assign(job="new"), Y)
    assert stream.model_.get_layer("trunk_0").kernel.shape[0] == 2 + 3 + 3
    warm = make(warm_start=True).fit(frame, Y)
    warm.fit(frame.assign(town="new"), Y)
    assert np.isfinite(proba(warm, frame)).all()


@pytest.mark.slow
def test_numbers_beside_categories_may_be_left_as_they_are(Y):
    frame = make_frame()
    clf = make(standardize=False).fit(frame, Y)
    shift, scale = statistics_of(clf)
    assert shift[:2].tolist() == [0, 0]
    assert scale[:2].tolist() == [1, 1]
    with pytest.raises(ValueError, match="contains NaN"):
        clf.predict(frame.assign(age=np.nan))
    assert np.isfinite(proba(clf, frame.assign(town=None))).all()


@pytest.mark.slow
def test_table_of_categories_alone_is_learned(Y):
    frame = make_frame()[["job", "town"]]
    assert np.isfinite(proba(make().fit(frame, Y), frame)).all()
    nothing = frame.assign(job=pd.Categorical([None] * N))
    with pytest.warns(UserWarning, match="No category of feature 'job' is known"):
        assert np.isfinite(proba(make().fit(nothing, Y), frame)).all()


def test_text_that_is_no_category_is_refused_and_named(Y):
    frame = make_frame().assign(note="a", other="b")
    for form in (frame, pl.from_pandas(frame), frame.astype({"note": object})):
        with pytest.raises(ValueError, match=r"'note' .*, 'other' .*categorical_features"):
            make().fit(form, Y)
    with pytest.raises(ValueError, match="could not convert string to float"):
        make().fit(frame[["note", "age"]].to_numpy(), Y)


def test_categories_are_refused_by_a_network_of_ones_own(Y):
    with pytest.raises(ValueError, match=r"X has 2 categorical feature\(s\), and a `model`"):
        make(hidden_layer_sizes=(256,), model=build_trunk).fit(make_frame(), Y)


# ------------------------------------------------------------------------------ embedded numbers


def names_of_layers(clf):
    return [layer.name for layer in clf.model_.layers]


def test_numbers_have_bins_as_it_comes(X, Y):
    auto, named = make().fit(X, Y), make(numeric_embedding="piecewise_linear").fit(X, Y)
    assert "piecewise_linear" in names_of_layers(auto)
    np.testing.assert_array_equal(proba(auto, X), proba(named, X))
    frame = make_frame()
    assert "piecewise_linear" in names_of_layers(make().fit(frame, Y))


@pytest.mark.slow
def test_wide_tables_of_numbers_have_no_bins_as_they_come():
    X = np.random.default_rng(0).normal(size=(24, 257)).astype(np.float32)
    y = np.arange(24) % 2
    assert "piecewise_linear" in names_of_layers(make(epochs=1).fit(X[:, 1:], y))
    assert "piecewise_linear" not in names_of_layers(make(epochs=1).fit(X, y))
    # Columns of two values have no bins, and do not count.
    X[:, 0] = X[:, 0] > 0
    assert "piecewise_linear" in names_of_layers(make(epochs=1).fit(X, y))


@pytest.mark.slow
def test_features_are_taken_as_they_are_where_nothing_is_standardised(X, Y):
    assert "piecewise_linear" not in names_of_layers(make(standardize=False).fit(X, Y))
    settings = {"hidden_layer_sizes": (256,), "model": build_trunk, "standardize": True}
    with_model = make(**settings).fit(X, Y)
    assert "piecewise_linear" not in [v.path.split("/")[0] for v in with_model.model_.variables]


def test_training_goes_on_with_the_bins_it_began_with(X, Y):
    clf = make(warm_start=True).fit(X, Y)
    clf.fit(X, Y)
    clf.set_params(numeric_embedding="piecewise_linear").fit(X, Y)
    with pytest.raises(ValueError, match="numeric_embedding"):
        clf.set_params(numeric_embedding=None).fit(X, Y)
    bits = make(warm_start=True).fit(X > 0, Y)
    bits.fit(X > 0, Y)  # none of them has bins


EMBEDDINGS = ["piecewise_linear", "periodic"]


def wavy(n_rows=200):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 3)).astype(np.float32)
    X[:, 2] = X[:, 2] > 0
    X[::9, 0] = np.nan
    return X, (np.sin(6 * X[:, 1]) > 0).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_embedded_numbers_tell_what_a_linear_model_cannot(embedding):
    X, y = wavy()
    settings = {"hidden_layer_sizes": (), "epochs": 60, "optimizer__learning_rate": 0.05}
    assert make(**settings, numeric_embedding=None).fit(X, y).score(X, y) < 0.7
    assert make(**settings, numeric_embedding=embedding).fit(X, y).score(X, y) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_numbers_of_two_values_are_not_embedded(embedding):
    X, y = wavy()
    clf = make(numeric_embedding=embedding, embedding_size=5).fit(X, y)
    # Three numbers, a column for missing cells, and five of each of two numbers.
    assert clf.model_.get_layer("trunk_0").kernel.shape[0] == 3 + 1 + 2 * 5
    bits = make(numeric_embedding=embedding).fit(X[:, [2]], y)
    assert bits.model_.get_layer("trunk_0").kernel.shape[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_unit_of_an_embedded_number_changes_no_bit(X, Y, embedding):
    units = np.float32([2**20, 2**-20, 1, 8])
    params = {"numeric_embedding": embedding}
    expected = proba(make(**params).fit(X, Y), X)
    np.testing.assert_array_equal(proba(make(**params).fit(X * units, Y), X * units), expected)


@pytest.mark.slow
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_embeddings_from_sparse_features_are_those_from_dense_ones(X, Y, embedding):
    X = np.where(X < 0, 0, X)
    params = {"numeric_embedding": embedding}
    first, second = make(**params).fit(X, Y), make(**params).fit(sp.csr_matrix(X), Y)
    np.testing.assert_array_equal(proba(first, X), proba(second, sp.csr_matrix(X)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("embedding", "standardize"), [("piecewise_linear", False), ("periodic", True)]
)
def test_estimator_with_embeddings_is_kept_in_every_way(Y, embedding, standardize):
    frame = make_frame()
    params = {"numeric_embedding": embedding, "standardize": standardize, "l2": 1e-3}
    clf = make(**params, warm_start=True).fit(frame, Y)
    file = io.BytesIO()
    save_model(clf, file)
    for again in (load_model(io.BytesIO(file.getvalue())), pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(proba(again, frame), proba(clf, frame))
    assert clf.fit(frame, Y).n_iter_ == 4
    for changes in ({"numeric_embedding": None}, {"embedding_size": 3}):
        with pytest.raises(ValueError, match="parameters have changed since"):
            pickle.loads(pickle.dumps(clf)).set_params(**changes).fit(frame, Y)


def test_embeddings_are_refused_beside_a_network_of_ones_own(X, Y):
    with pytest.raises(ValueError, match="numeric_embedding belongs to the built-in network"):
        make(hidden_layer_sizes=(256,), model=build_trunk, numeric_embedding="periodic").fit(X, Y)


@pytest.mark.parametrize("params", [{"numeric_embedding": "linear"}, {"embedding_size": 0}])
def test_other_values_of_embedding_parameters_are_refused(X, Y, params):
    with pytest.raises(ValueError, match=f"{next(iter(params))!r} parameter"):
        make(**params).fit(X, Y)


# ------------------------------------------------------------------------------------------ XLA


@pytest.mark.slow
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_steps_compiled_by_xla_are_those_without_but_for_rounding(embedding):
    rng = np.random.default_rng(0)
    many = pd.Categorical(rng.integers(0, 70, size=300))
    frame = pd.DataFrame({"many": many, "few": many.codes % 3, "age": rng.normal(size=300)})
    frame.loc[::5, "age"] = np.nan
    frame["few"] = frame["few"].astype("category")
    settings = {"numeric_embedding": embedding, "optimizer": "adamw", "batch_size": 50}
    settings |= {"dropout": 0.0}  # whose draws are others under XLA
    y = many.codes % 2
    first, second = (make(jit_compile=jit, **settings).fit(frame, y) for jit in (True, False))
    for one, other in zip(first.model_.get_weights(), second.model_.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_many_categories_are_learned():
    jobs = pd.Categorical(np.random.default_rng(0).integers(0, 70, size=300))
    frame, y = pd.DataFrame({"job": jobs}), jobs.codes % 2
    settings = {"batch_size": 30, "optimizer__learning_rate": 0.03, "epochs": 15}
    assert make(**settings).fit(frame, y).score(frame, y) > 0.95


def test_stream_learns_categories_of_the_first_rows_with_labels(Y):
    frame, nothing = make_frame(), np.full(Y.shape, np.nan)
    stream = make(classes=CLASSES, epochs=2).partial_fit(
        frame.assign(job=pd.Categorical(["other"] * N)), nothing
    )
    for _ in range(2):
        stream.partial_fit(frame, Y)
    np.testing.assert_array_equal(proba(stream, frame), proba(make().fit(frame, Y), frame))


@pytest.mark.slow
def test_fit_afresh_learns_other_categories(Y):
    frame = make_frame()
    clf = make().fit(frame.assign(job=pd.Categorical(["other"] * N)), Y).fit(frame, Y)
    np.testing.assert_array_equal(proba(clf, frame), proba(make().fit(frame, Y), frame))


@pytest.mark.slow
def test_embedding_of_bits_alone_is_none_and_training_goes_on(X, Y):
    bits = (X > 0).astype(float)
    clf = make(numeric_embedding="piecewise_linear", warm_start=True).fit(bits, Y)
    assert clf.fit(bits, Y).n_iter_ == 4
    assert "piecewise_linear" not in [layer.name for layer in clf.model_.layers]
