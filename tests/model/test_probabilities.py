"""Tests of `to_keras`: the network with a named output of class probabilities per task."""

import subprocess
import sys
from functools import cache

import keras
import numpy as np
import pandas as pd
import pytest
from helpers import make_tiny
from keras import layers
from sklearn.exceptions import NotFittedError

from sk_mtl import MultiTaskClassifier

N_ROWS = 80
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N_ROWS, 3)).astype(np.float32)
MIXED = pd.DataFrame(X[:, :2].copy(), columns=["u", "v"])
MIXED.loc[::6, "v"] = np.nan
MIXED["kind"] = pd.Categorical(RNG.choice(np.array(["a", "b", "c", None], object), N_ROWS))
MIXED["place"] = pd.Categorical(np.arange(N_ROWS) % 70 + 1000)
Y = pd.DataFrame(
    {
        "sold": np.where(RNG.random(N_ROWS) < 0.3, np.nan, RNG.integers(0, 2, N_ROWS)),
        "size": RNG.choice(["S", "M", "L"], N_ROWS),
        "rooms": RNG.integers(1, 5, N_ROWS),
    }
)
TOLERANCE = 1e-6
STOPS = {"early_stopping": True, "validation_fraction": 0.3, "epochs": 8}
degenerate = pytest.mark.filterwarnings(r"ignore:\d task\(s\) have (one class|no label)")


def build_trunk(meta):
    return keras.Sequential([layers.Dense(4, "relu")])


def build_heads(meta):
    """A whole network: probabilities of one class, logits, and probabilities of all classes."""
    inputs = keras.Input((3,))
    hidden = layers.Dense(5, "tanh")(inputs)
    outputs = [layers.Dense(1, "sigmoid"), layers.Dense(3), layers.Dense(4, "softmax")]
    return keras.Model(inputs, [layer(hidden) for layer in outputs])


def build_compiled(meta):
    """The same with other kinds of outputs, by name, and compiled with the losses for them."""
    inputs = keras.Input((3,))
    outputs = {
        "rooms": layers.Dense(4, "softmax", name="rooms")(inputs),
        "size": layers.Dense(3, "softmax", name="size")(inputs),
        "sold": layers.Dense(1, name="sold")(inputs),
    }
    model = keras.Model(inputs, outputs)
    losses = {name: keras.losses.SparseCategoricalCrossentropy() for name in ("rooms", "size")}
    losses["sold"] = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("adam", losses)
    return model


def build_stack(meta):
    """A whole network that ends with an activation as a layer of its own."""
    inputs = keras.Input((3,))
    outputs = [
        layers.Activation(activation)(layers.Dense(width)(inputs))
        for width, activation in ((2, "softmax"), (3, "softmax"), (4, "softmax"))
    ]
    return keras.Model(inputs, outputs)


SETTINGS = {
    "default": {},
    "shared ensemble": {"ensemble_size": 2, "head_hidden_layer_sizes": (4,)},
    "independent ensemble": {"ensemble_size": 2, "ensemble_method": "independent"},
    "waves": {"numeric_embedding": "periodic", "normalization": "layer"},
    "numbers as they are": {"standardize": False, "normalization": "batch"},
    "calibrated": {**STOPS, "calibrate": True},
    "best epochs by task": {**STOPS, "restore_best": "per_task"},
    "both": {**STOPS, "restore_best": "per_task", "calibrate": True},
    "trunk": {"model": build_trunk},
    "trunk, calibrated": {"model": build_trunk, **STOPS, "calibrate": True},
    "whole": {"model": build_heads},
    "whole, calibrated": {"model": build_heads, **STOPS, "calibrate": True},
    "whole, both": {"model": build_heads, **STOPS, "restore_best": "per_task", "calibrate": True},
    "compiled": {"model": build_compiled},
    "compiled, both": {
        "model": build_compiled,
        **STOPS,
        "restore_best": "per_task",
        "calibrate": True,
    },
    "last activations": {"model": build_stack},
}


@cache
def fit(settings="default"):
    """Return a classifier of the array."""
    return make_tiny(**{"early_stopping": False} | SETTINGS[settings]).fit(X, Y)


def encode(clf, frame):
    """Return a frame as the array that the Keras model takes, as the guide shows."""
    columns = []
    for name in frame:
        column = frame[name]
        if name in clf.categories_:
            codes = pd.Index(clf.categories_[name]).get_indexer(column.astype(object))
            column = np.where(codes < 0, np.nan, codes)
        columns.append(np.asarray(column, np.float32))
    return np.column_stack(columns)


def assert_same_probabilities(model, clf, rows):
    """Assert that a model gives the probabilities of a classifier, called and by predict."""
    numbers = encode(clf, rows) if isinstance(rows, pd.DataFrame) else rows
    expected = clf.predict_proba(rows)
    for found in (model(numbers), model.predict(numbers, verbose=0)):
        assert list(found) == [str(task) for task in clf.task_names_]
        for task, p in expected.items():
            np.testing.assert_allclose(
                found[str(task)], p, rtol=0, atol=TOLERANCE, err_msg=str(task)
            )


@pytest.mark.slow_except("default")
@pytest.mark.parametrize("settings", SETTINGS)
def test_outputs_are_the_probabilities_of_the_tasks(settings):
    clf = fit(settings)
    assert_same_probabilities(clf.to_keras(), clf, X)


@cache
def fit_mixed():
    """Return a classifier of the mixed table."""
    return make_tiny(early_stopping=False).fit(MIXED, Y)


@pytest.mark.slow
def test_categories_are_their_positions_and_missing_cells_are_nan():
    clf = fit_mixed()
    model = clf.to_keras()
    assert_same_probabilities(model, clf, MIXED)
    rows = MIXED.assign(v=np.nan, kind=["a"] + ["unknown"] * (N_ROWS - 1))
    rows["kind"] = rows["kind"].astype("category")
    assert_same_probabilities(model, clf, rows)


def test_input_and_outputs_have_names_and_shapes():
    model = fit().to_keras()
    assert [(i.name, i.shape, i.dtype) for i in model.inputs] == [("X", (None, 3), "float32")]
    assert {name: p.shape for name, p in model.output.items()} == {
        "sold": (None, 2),
        "size": (None, 3),
        "rooms": (None, 4),
    }


def test_a_1d_y_has_one_output():
    clf = make_tiny().fit(X, Y["rooms"])
    found = clf.to_keras()(X)
    assert list(found) == ["probabilities"]
    expected = clf.predict_proba(X)
    np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("known_labels", [True, "with_indicator"])
def test_columns_of_labels_follow_the_features(known_labels):
    clf = make_tiny(known_labels=known_labels).fit(X, Y)
    n_columns = 9 + 3 * (known_labels != True)  # noqa: E712 - of the classes, and of the tasks
    model = clf.to_keras()
    assert model.input_shape == (None, 3 + n_columns)
    nothing = np.hstack([X, np.zeros((N_ROWS, n_columns), np.float32)])
    known = nothing.copy()
    known[:, 3 + 1] = 1  # sold
    if known_labels == "with_indicator":
        known[:, -2:] = 1
    table = pd.DataFrame({"sold": np.ones(N_ROWS), "size": None, "rooms": np.nan})
    for rows, expected in ((nothing, clf.predict_proba(X)), (known, clf.complete_proba(X, table))):
        found = model.predict(rows, verbose=0)
        for task in ("size", "rooms"):
            np.testing.assert_allclose(found[task], expected[task], rtol=0, atol=TOLERANCE)


@degenerate
def test_tasks_with_one_class_and_without_labels():
    clf = make_tiny(early_stopping=False).fit(X, Y.assign(one="only", none=np.nan))
    found = clf.to_keras().predict(X, verbose=0)
    assert list(found) == ["sold", "size", "rooms", "one"]
    np.testing.assert_array_equal(found["one"], np.ones((N_ROWS, 1)))
    expected = clf.predict_proba(X)["rooms"]
    np.testing.assert_allclose(found["rooms"], expected, rtol=0, atol=TOLERANCE)


@degenerate
def test_without_a_task_of_two_classes_there_is_no_network():
    clf = make_tiny().fit(X, pd.DataFrame({"a": [1] * N_ROWS, "b": ["x"] * N_ROWS}))
    with pytest.raises(ValueError, match="no task has two classes"):
        clf.to_keras()


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        ["marital status/x", "é日本", "a b"],
        ["X", "network", "network_0"],
        ["", " ", "a\nb"],
        [0, 1.5, None],
        ["a/b", "a_b", "a b"],
        ["probabilities_0", "", "task_probabilities"],
    ],
    ids=["signs", "layers", "blank", "no text", "alike", "defaults"],
)
def test_tasks_may_have_any_names(names, tmp_path):
    table = pd.DataFrame(Y.to_numpy(), columns=pd.Index(names, dtype=object))
    clf = make_tiny(early_stopping=False).fit(X, table)
    model = clf.to_keras()
    assert_same_probabilities(model, clf, X)
    model.save(tmp_path / "model.keras")
    assert_same_probabilities(keras.models.load_model(tmp_path / "model.keras"), clf, X)


def test_two_tasks_with_the_same_text_are_refused():
    table = pd.DataFrame(Y.to_numpy(), columns=pd.Index(["1", 1, "b"], dtype=object))
    with pytest.raises(ValueError, match="Two tasks are called '1' as text"):
        make_tiny(early_stopping=False).fit(X, table).to_keras()


def test_each_call_builds_another_model():
    clf = fit()
    before = clf.predict_proba(X)["rooms"]
    first, second = clf.to_keras(), clf.to_keras()
    for variable in first.variables:
        variable.assign(np.zeros(variable.shape))
    np.testing.assert_array_equal(clf.predict_proba(X)["rooms"], before)
    assert_same_probabilities(second, clf, X)


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        MultiTaskClassifier().to_keras()
    with pytest.raises(NotFittedError):
        MultiTaskClassifier().categories_  # noqa: B018


def test_any_number_of_rows_has_its_probabilities():
    model = fit().to_keras()
    assert {name: p.shape[0] for name, p in model(X[:1]).items()} == dict.fromkeys(Y, 1)
    assert {name: p.shape[0] for name, p in model(X[:0]).items()} == dict.fromkeys(Y, 0)


# ------------------------------------------------------------------------------------------------
# Files
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow_except("default", "whole")
@pytest.mark.parametrize("settings", SETTINGS)
def test_saved_and_loaded_the_model_gives_the_same(settings, tmp_path):
    clf = fit(settings)
    model = clf.to_keras()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for name, p in model(X).items():
        np.testing.assert_array_equal(loaded(X)[name], p)


@degenerate
def test_saved_and_loaded_with_a_task_of_one_class(tmp_path):
    clf = make_tiny(early_stopping=False).fit(X, Y.assign(one="only"))
    clf.to_keras().save(tmp_path / "model.keras")
    assert_same_probabilities(keras.models.load_model(tmp_path / "model.keras"), clf, X)


FRESH = """
import sys
import keras
import numpy as np
import sk_mtl.losses  # registers the layers
model = keras.models.load_model(sys.argv[1])
found = model(np.load(sys.argv[2]))
np.testing.assert_array_equal(found["rooms"], np.load(sys.argv[3]))
print("the same")
"""


@pytest.mark.slow
@pytest.mark.parametrize("settings", ["default", "both", "whole, both"])
def test_another_process_loads_the_file_after_importing_the_layers(settings, tmp_path):
    model = fit(settings).to_keras()
    paths = [tmp_path / name for name in ("model.keras", "X.npy", "rooms.npy")]
    model.save(paths[0])
    np.save(paths[1], X)
    np.save(paths[2], model(X)["rooms"])
    done = subprocess.run(
        [sys.executable, "-c", FRESH, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "the same", done.stderr[-2000:]
