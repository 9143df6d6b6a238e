"""Tests of `to_onnx` for one classifier: each kind of fit, names, labels, metadata, the file."""

import json
from functools import cache, partial

import keras
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from helpers import make_tiny
from onnx.reference import ReferenceEvaluator
from onnx_runs import TOLERANCE, assert_same_as, feed_of, open_session, run
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

import sk_mtl
from sk_mtl import MultiTaskClassifier, to_onnx

N_ROWS = 90
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, 3)).astype(np.float32)
FRAME = pd.DataFrame(X, columns=["u", "v", "w"])
MIXED = FRAME[["u", "v"]].assign(
    kind=pd.Categorical(RNG.choice(["a", "b", "c"], N_ROWS)),
    place=pd.Categorical(np.arange(N_ROWS) % 70 + 1000),
)
MIXED.loc[::7, "v"] = np.nan
MIXED.loc[::9, "kind"] = np.nan
Y = pd.DataFrame(
    {
        "sold": np.where(RNG.random(N_ROWS) < 0.3, np.nan, RNG.integers(0, 2, N_ROWS)),
        "size": RNG.choice(np.array(["S", "M", "L", None], object), N_ROWS),
        "rooms": RNG.integers(1, 5, N_ROWS),
    }
)
STOPS = {"early_stopping": True, "validation_fraction": 0.3, "epochs": 8}
fit = partial(make_tiny, early_stopping=False)
degenerate = pytest.mark.filterwarnings(r"ignore:\d task\(s\) have (one class|no label)")

# A way to fit: parameters, and X.
WAYS = {
    "mixed": ({}, MIXED),
    "array": ({}, X),
    "sparse": ({}, sp.csr_matrix(X * (X > 0))),
    "polars": ({}, pl.from_pandas(FRAME)),
    "heads": ({"head_hidden_layer_sizes": {"size": (5,), "rooms": (4, 3)}}, MIXED),
    "shared trunk and heads": (
        {"ensemble_size": 3, "hidden_layer_sizes": (6, 5), "head_hidden_layer_sizes": (4,)},
        MIXED,
    ),
    "independent trunk and heads": (
        {
            "ensemble_size": 3,
            "ensemble_method": "independent",
            "hidden_layer_sizes": (6, 5),
            "head_hidden_layer_sizes": {"rooms": (4,)},
        },
        MIXED,
    ),
    "no hidden layers": ({"hidden_layer_sizes": ()}, MIXED),
    "numbers as they are": ({"standardize": False}, X),
    "no embedding": ({"numeric_embedding": None}, MIXED),
    "waves": ({"numeric_embedding": "periodic"}, MIXED),
    "batch normalisation": (
        {"normalization": "batch", "head_hidden_layer_sizes": (4,), "ensemble_size": 2},
        MIXED,
    ),
    "layer normalisation": (
        {"normalization": "layer", "head_hidden_layer_sizes": (4,), "ensemble_size": 2},
        MIXED,
    ),
    "calibrated": ({**STOPS, "calibrate": True}, X),
    "best epochs by task": ({**STOPS, "restore_best": "per_task", "calibrate": True}, X),
    "folds": ({"early_stopping": "cv"}, X),
    "averaged weights": ({"ema_momentum": 0.9}, X),
    "known labels": ({"known_labels": True}, X),
    "known labels with indicator": ({"known_labels": "with_indicator", "ensemble_size": 2}, X),
}


@pytest.mark.slow_except("mixed", "known labels", "polars", "sparse")
@pytest.mark.parametrize("way", WAYS)
def test_probabilities_and_labels_are_those_of_the_classifier(way):
    params, features = WAYS[way]
    clf = fit(**params).fit(features, Y)
    rows = features.toarray() if sp.issparse(features) else features
    rows = rows.to_pandas() if isinstance(rows, pl.DataFrame) else rows
    assert_same_as(clf, rows)
    if isinstance(rows, pd.DataFrame):
        assert_same_as(clf, rows.iloc[:, :0].reindex(columns=rows.columns))  # all missing
    elif params.get("standardize", True):
        assert_same_as(clf, np.full_like(rows, np.nan))


@cache
def classifier(**params):
    """Return a classifier of the mixed table."""
    return fit(**params).fit(MIXED, Y)


@cache
def session(**params):
    """Return a session for the classifier of the mixed table."""
    return open_session(to_onnx(classifier(), **params))


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
def test_any_number_of_rows(n_rows):
    rows = MIXED.iloc[np.arange(n_rows) % N_ROWS]
    found = run(session(labels=True), rows)
    assert found["probabilities_size"].shape == (n_rows, 3)
    assert found["label_size"].shape == (n_rows,)
    if n_rows:
        expected = classifier().predict_proba(rows)["size"]
        np.testing.assert_allclose(found["probabilities_size"], expected, rtol=0, atol=TOLERANCE)


def test_the_reference_runtime_of_onnx_agrees():
    model = to_onnx(classifier(), labels=True)
    names = [output.name for output in model.graph.output]
    found = ReferenceEvaluator(model).run(None, feed_of(session(), MIXED))
    expected = run(session(labels=True), MIXED)
    for name, values in zip(names, found, strict=True):
        if name.startswith("label"):
            assert values.tolist() == expected[name].tolist()
        else:
            np.testing.assert_allclose(values, expected[name], rtol=0, atol=TOLERANCE)


def test_rows_of_a_call_have_the_probabilities_that_they_have_alone():
    whole = run(session(), MIXED)["probabilities_rooms"]
    alone = [run(session(), MIXED.iloc[[i]])["probabilities_rooms"][0] for i in range(5)]
    np.testing.assert_allclose(whole[:5], alone, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("value", [1e30, -1e30, 3.4e38, 1e-42])
def test_extreme_numbers_give_the_same_probabilities(value):
    rows = MIXED.copy()
    rows["u"] = np.float32(value)
    # Standardised and clipped to 1000, they make logits of some hundred, whose last bits differ.
    assert_same_as(classifier(), rows, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "int8", "uint8", "bool", "Int64", "Float32"])
def test_numbers_of_any_dtype_are_inputs_of_float32(dtype):
    rows = (FRAME > 0).astype(dtype)
    found = open_session(to_onnx(fit().fit(rows, Y)))
    assert {given.type for given in found.get_inputs()} == {"tensor(float)"}
    assert_same_as(fit().fit(rows, Y), rows)


# ------------------------------------------------------------------------------------------------
# Inputs and outputs
# ------------------------------------------------------------------------------------------------


def test_inputs_are_the_columns_by_name_and_type():
    given = [(i.name, i.type, i.shape) for i in session().get_inputs()]
    assert given == [
        ("u", "tensor(float)", ["n", 1]),
        ("v", "tensor(float)", ["n", 1]),
        ("kind", "tensor(string)", ["n", 1]),
        ("place", "tensor(int64)", ["n", 1]),
    ]


def test_outputs_are_named_by_task():
    outputs = [(o.name, o.type, o.shape) for o in session(labels=True).get_outputs()]
    assert outputs == [
        ("probabilities_sold", "tensor(float)", ["n", 2]),
        ("label_sold", "tensor(int64)", ["n"]),
        ("probabilities_size", "tensor(float)", ["n", 3]),
        ("label_size", "tensor(string)", ["n"]),
        ("probabilities_rooms", "tensor(float)", ["n", 4]),
        ("label_rooms", "tensor(int64)", ["n"]),
    ]
    assert [o.name for o in session().get_outputs()] == [o[0] for o in outputs[::2]]


@pytest.mark.parametrize(
    ("features", "inputs", "names"),
    [
        (X, "auto", ["X"]),
        (FRAME, "auto", ["u", "v", "w"]),
        (X, "columns", ["x0", "x1", "x2"]),
        (FRAME, "matrix", ["X"]),
    ],
    ids=["array", "frame", "columns of an array", "matrix of a frame"],
)
def test_inputs_are_columns_or_a_matrix(features, inputs, names):
    clf = fit().fit(features, Y)
    model = to_onnx(clf, inputs=inputs)
    assert [given.name for given in model.graph.input] == names
    assert_same_as(clf, features, inputs=inputs)


def test_columns_without_text_names_are_numbered():
    model = to_onnx(fit().fit(FRAME.set_axis([5, 6, 7], axis=1), Y))
    assert [given.name for given in model.graph.input] == ["X"]


@pytest.mark.slow_except("one column")
@pytest.mark.parametrize(
    ("y", "names"),
    [
        (Y["size"].fillna("S").to_numpy(), ["probabilities", "label"]),
        (Y["rooms"], ["probabilities", "label"]),
        (Y[["rooms"]], ["probabilities_rooms", "label_rooms"]),
    ],
    ids=["1-D array", "Series", "one column"],
)
def test_one_task(y, names):
    clf = fit().fit(X, y)
    assert [o.name for o in to_onnx(clf, labels=True).graph.output] == names
    assert_same_as(clf, X)


@pytest.mark.parametrize(
    "names",
    [
        ["marital status/x", "é日本", "a\nb"],
        ["", " ", "."],
        [0, 1, None],
        ["X", "label_X", "probabilities_X"],
        ["u", "v", "w"],
        ["n", "identity_1", "a" * 300],
    ],
    ids=["signs", "blank", "no text", "outputs", "features", "others"],
)
def test_tasks_may_have_any_names(names):
    table = pd.DataFrame(Y.to_numpy(), columns=pd.Index(names, dtype=object))
    clf = fit().fit(FRAME, table)
    outputs = [o.name for o in to_onnx(clf).graph.output]
    assert outputs == [f"probabilities_{name}" for name in clf.task_names_]
    assert_same_as(clf, FRAME)


def test_tasks_that_are_tuples_have_their_text_as_names():
    table = Y.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), axis=1)
    outputs = [o.name for o in to_onnx(fit().fit(FRAME, table)).graph.output]
    assert outputs == [f"probabilities_{t}" for t in [("a", 1), ("a", 2), ("b", 1)]]


def test_two_tasks_with_the_same_text_are_refused():
    table = pd.DataFrame(Y.to_numpy(), columns=pd.Index(["1", 1, "b"], dtype=object))
    with pytest.raises(ValueError, match="Two tasks are called '1' as text"):
        to_onnx(fit().fit(FRAME, table))


@pytest.mark.parametrize(
    "names",
    [
        ["marital status/x", "é日本", "a\nb"],
        ["x1", "x0", "x2"],
        ["X", "n", "known_labels"],
        ["constant_0", "sub_2", "reshape_9"],
        ["0", " ", "."],
    ],
    ids=["signs", "numbers", "inputs", "inner names", "others"],
)
def test_features_may_have_any_names(names):
    rows = FRAME.set_axis(names, axis=1)
    clf = fit().fit(rows, Y)
    assert [given.name for given in to_onnx(clf).graph.input] == names
    assert_same_as(clf, rows)
    assert_same_as(clf, rows, inputs="matrix")


@pytest.mark.parametrize("name", ["probabilities_size", "label_size", "known_labels"])
def test_a_feature_with_the_name_of_an_output_or_of_known_labels_is_refused(name):
    clf = fit(known_labels=True).fit(FRAME.rename(columns={"v": name}), Y)
    with pytest.raises(ValueError, match=f"'{name}'.*Rename"):
        to_onnx(clf, labels=True, known_labels=True)


def test_a_feature_without_a_name_is_refused():
    with pytest.raises(ValueError, match="name"):
        to_onnx(fit().fit(FRAME.rename(columns={"v": ""}), Y))


def test_other_inputs_are_refused():
    with pytest.raises(ValueError, match=r'"auto", "columns" or "matrix"\. Got \'rows\''):
        to_onnx(classifier(), inputs="rows")


# ------------------------------------------------------------------------------------------------
# Labels
# ------------------------------------------------------------------------------------------------

CODES = RNG.integers(0, 2, N_ROWS)
LABELS = {
    "int8": (CODES.astype(np.int8), "int64"),
    "uint64": (CODES.astype(np.uint64), "int64"),
    "negative": (-5 * CODES, "int64"),
    "nullable int": (pd.array(CODES, dtype="Int64"), "int64"),
    "arrow int": (pd.array(CODES, dtype="int32[pyarrow]"), "int64"),
    "int objects": (pd.Series(CODES).astype(object), "int64"),
    "bool": (CODES > 0, "bool"),
    "nullable bool": (pd.array(CODES > 0), "bool"),
    "float32": (CODES.astype(np.float32), "double"),
    "float with NaN": (np.where(np.arange(N_ROWS) % 5 == 0, np.nan, CODES), "int64"),
    "text": (np.array(["é", "日本 "])[CODES], "string"),
    "text dtype": (pd.array(np.array(["no", "yes"])[CODES], dtype="string"), "string"),
    "arrow text": (pd.array(np.array(["no", "yes"])[CODES], dtype="string[pyarrow]"), "string"),
    "categorical": (pd.Categorical(np.array(["no", "yes"])[CODES]), "string"),
    "categorical of int": (pd.Categorical(CODES + 7), "int64"),
    "one class": (np.full(N_ROWS, "only"), "string"),
}


@degenerate
@pytest.mark.parametrize("name", LABELS)
def test_labels_have_the_type_of_the_classes(name):
    values, kind = LABELS[name]
    clf = fit().fit(X, pd.DataFrame({"a": values, "b": Y["rooms"]}))
    found = open_session(to_onnx(clf, labels=True))
    assert found.get_outputs()[1].type == f"tensor({kind})"
    assert_same_as(clf, X)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (pd.to_datetime(np.array(["2020-01-01", "2021-01-01"])[CODES]), "2020-01-01"),
        (pd.Series(np.array([b"no", b"yes"])[CODES].astype(object)), "b'no'"),
        (CODES.astype(np.uint64) + np.uint64(2**63), "9223372036854775808"),
    ],
    ids=["dates", "bytes", "beyond int64"],
)
def test_labels_without_a_type_in_onnx_are_refused_and_probabilities_are_not(values, shown):
    clf = fit().fit(X, pd.DataFrame({"a": values, "b": Y["rooms"]}))
    with pytest.raises(ValueError, match=rf"no type for the labels of task 'a'.*{shown}"):
        to_onnx(clf, labels=True)
    assert_same_as(clf, X, labels=False)


@degenerate
def test_tasks_with_one_class_and_without_labels():
    table = Y.assign(one="only", none=np.nan)
    clf = fit().fit(X, table)
    found = assert_same_as(clf, X)
    assert (found["probabilities_one"] == 1).all()
    assert found["probabilities_one"].shape == (N_ROWS, 1)
    assert "probabilities_none" not in found


@degenerate
def test_no_task_that_the_network_learns():
    clf = fit().fit(MIXED, pd.DataFrame({"a": ["x"] * N_ROWS, "b": [1] * N_ROWS}))
    assert_same_as(clf, MIXED)
    assert_same_as(fit().fit(X, np.zeros(N_ROWS, int)), X)


# ------------------------------------------------------------------------------------------------
# Known labels
# ------------------------------------------------------------------------------------------------


def codes_of(clf, table):
    """Return class indices of labels, -1 where one is missing."""
    pairs = zip(table.items(), clf.classes_, strict=True)
    codes = [pd.Categorical(column, list(c)).codes for (_, column), c in pairs]
    return np.column_stack(codes).astype(np.int64)


HOLES = Y.mask(np.random.default_rng(1).random(Y.shape) < 0.4)
HOLES.iloc[::8] = None
HIDDEN = np.random.default_rng(2).random(Y.shape) < 0.2


@pytest.mark.slow_except("some hidden-True", "some hidden-with_indicator")
@pytest.mark.parametrize("known_labels", [True, "with_indicator"])
@pytest.mark.parametrize("hidden", [None, HIDDEN], ids=["all shown", "some hidden"])
def test_known_labels_give_what_complete_gives(known_labels, hidden):
    clf = classifier(known_labels=known_labels)
    codes = codes_of(clf, HOLES)
    if hidden is not None:
        codes[hidden & (codes >= 0)] = -2
    found = run(open_session(to_onnx(clf, known_labels=True)), MIXED, codes)
    for name, p in clf.complete_proba(MIXED, HOLES, hidden=hidden).items():
        np.testing.assert_allclose(found[f"probabilities_{name}"], p, rtol=0, atol=TOLERANCE)


def test_labels_of_known_ones_are_these():
    clf = classifier(known_labels=True)
    codes = codes_of(clf, HOLES)
    found = run(open_session(to_onnx(clf, known_labels=True, labels=True)), MIXED, codes)
    completed = clf.complete(MIXED, HOLES)
    assert all(found[f"label_{task}"].tolist() == completed[task].tolist() for task in Y)


def test_without_any_known_label_the_numbers_are_those_of_predict_proba():
    clf = classifier(known_labels="with_indicator")
    nothing = np.full(Y.shape, -1, np.int64)
    found = run(open_session(to_onnx(clf, known_labels=True)), MIXED, nothing)
    expected = run(open_session(to_onnx(clf)), MIXED)
    for name, p in expected.items():
        np.testing.assert_array_equal(found[name], p)


@degenerate
def test_known_labels_of_a_task_that_is_not_learned_do_no_harm():
    table = HOLES.assign(one=np.where(np.arange(N_ROWS) % 2, "only", None), none=np.nan)
    clf = fit(known_labels=True).fit(X, table)
    codes = codes_of(clf, table)
    found = run(open_session(to_onnx(clf, known_labels=True)), X, codes)
    for name, p in clf.complete_proba(X, table).items():
        if name != "none":
            np.testing.assert_allclose(found[f"probabilities_{name}"], p, rtol=0, atol=TOLERANCE)


def test_known_labels_of_a_classifier_that_reads_none_are_refused():
    with pytest.raises(ValueError, match="fitted with known_labels=True"):
        to_onnx(classifier(), known_labels=True)


# ------------------------------------------------------------------------------------------------
# Fits of other kinds
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_incremental_fits():
    clf = fit().partial_fit(X, Y, classes={"sold": [0, 1], "size": list("LMS"), "rooms": range(5)})
    assert_same_as(clf.partial_fit(X, Y), X)


def test_later_parameters_change_nothing():
    clf = fit().fit(FRAME, Y)
    clf.set_params(hidden_layer_sizes=(9, 9), activation="tanh", ensemble_size=3, model=None)
    assert_same_as(clf, FRAME)


class Subclass(MultiTaskClassifier):
    """An estimator of the user."""


def test_subclasses():
    assert_same_as(Subclass((4,), epochs=1, random_state=0).fit(FRAME, Y), FRAME)


def build_trunk(meta):
    return keras.Sequential([keras.layers.Dense(4, "relu")])


def test_a_custom_model_is_refused_with_the_way_that_keras_has():
    clf = fit(model=build_trunk).fit(X, Y)
    with pytest.raises(ValueError, match=r"custom `model`.*to_keras\(\)\.export"):
        to_onnx(clf)


@pytest.mark.parametrize("estimator", [LogisticRegression(), 3, None, MultiTaskClassifier])
def test_other_estimators_are_refused(estimator):
    with pytest.raises(TypeError, match="to_onnx takes a MultiTaskClassifier"):
        to_onnx(estimator)


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        to_onnx(MultiTaskClassifier())


# ------------------------------------------------------------------------------------------------
# The file
# ------------------------------------------------------------------------------------------------


def test_versions_are_old_enough_for_runtimes_of_2022():
    model = to_onnx(classifier(), labels=True)
    versions = {opset.domain: opset.version for opset in model.opset_import}
    assert versions == {"": 17, "ai.onnx.ml": 3}
    assert len(model.opset_import) == 2
    assert model.ir_version == 8
    assert (model.producer_name, model.producer_version) == ("sk_mtl", sk_mtl.__version__)


@degenerate
def test_metadata_names_tasks_classes_and_features():
    table = Y.assign(one="only", none=np.nan, day=pd.Timestamp("2020-01-01"))
    table.loc[::2, "day"] = pd.Timestamp("2021-01-01")
    model = to_onnx(fit().fit(MIXED, table[["sold", "size", "one", "none", "day"]]))
    found = open_session(model).get_modelmeta().custom_metadata_map
    assert found.keys() == {"sk_mtl.version", "sk_mtl.tasks", "sk_mtl.features"}
    assert found["sk_mtl.version"] == sk_mtl.__version__
    assert json.loads(found["sk_mtl.tasks"]) == [
        {"name": "sold", "classes": [0.0, 1.0], "probabilities": "probabilities_sold"},
        {"name": "size", "classes": ["L", "M", "S"], "probabilities": "probabilities_size"},
        {"name": "one", "classes": ["only"], "probabilities": "probabilities_one"},
        {"name": "none", "classes": []},
        {
            "name": "day",
            "classes": ["2020-01-01 00:00:00", "2021-01-01 00:00:00"],
            "probabilities": "probabilities_day",
        },
    ]
    assert json.loads(found["sk_mtl.features"]) == [
        {"name": "u", "kind": "number"},
        {"name": "v", "kind": "number"},
        {"name": "kind", "kind": "text category", "missing": ""},
        {"name": "place", "kind": "integer category", "missing": -1},
    ]


@pytest.mark.slow
@degenerate
def test_metadata_has_a_value_that_is_no_category():
    X = pd.DataFrame({"text": ["", "?", "a"] * 20, "number": [-1, -2, 0] * 20}).astype("category")
    model = to_onnx(fit().fit(X, np.arange(60) % 2))
    meta = open_session(model).get_modelmeta().custom_metadata_map
    assert [f["missing"] for f in json.loads(meta["sk_mtl.features"])] == ["??", -3]


def test_metadata_names_the_outputs_of_labels():
    meta = session(labels=True).get_modelmeta().custom_metadata_map
    assert [t["label"] for t in json.loads(meta["sk_mtl.tasks"])] == [f"label_{t}" for t in Y]


def test_file_holds_the_model(tmp_path):
    path = tmp_path / "model.onnx"
    model = to_onnx(classifier(), path)
    assert onnx.load(path) == model
    found = run(onnxruntime.InferenceSession(path), MIXED)
    expected = classifier().predict_proba(MIXED)["size"]
    np.testing.assert_allclose(found["probabilities_size"], expected, rtol=0, atol=TOLERANCE)


def test_file_is_replaced(tmp_path):
    path = str(tmp_path / "model.onnx")
    to_onnx(classifier(), path)
    to_onnx(classifier(), path, labels=True)
    assert len(onnx.load(path).graph.output) == 6
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("stage", ["model", "disk"])
def test_an_error_leaves_the_old_file(stage, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    if stage == "disk":
        monkeypatch.setattr("os.replace", _fail)
        with pytest.raises(OSError, match="disk"):
            to_onnx(classifier(), path)
    else:
        with pytest.raises(ValueError, match="known_labels"):
            to_onnx(classifier(), path, known_labels=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def _fail(*args, **kwargs):
    raise OSError("disk")


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        to_onnx(classifier(), tmp_path / "missing" / "model.onnx")


def test_the_same_fit_gives_the_same_bytes():
    first, second = (to_onnx(classifier(), labels=True).SerializeToString() for _ in range(2))
    assert first == second
