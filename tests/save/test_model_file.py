"""Tests of save_model and load_model: an equal estimator, or an error, whatever the file.

Files that were damaged at random are in test_container.py; here are whole models, and
descriptions that somebody has forged, under the right checksum. ``HYPOTHESIS_PROFILE=long`` tries
many times more of them.
"""

import copy
import datetime as dt
import gc
import io
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import tracemalloc
import warnings
from decimal import Decimal

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sk_mtl import MultiTaskClassifier, load_model, save_model
from sk_mtl._codec.container import pack, unpack
from sk_mtl.weighting import FixedWeighting, UncertaintyWeighting

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
N_DAMAGED = 100_000 if IS_LONG else 1_000
N_FORGED = 5_000 if IS_LONG else 100


def make_X(n=40):
    return np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)


def make_Y(X):
    Y = pd.DataFrame(
        {
            "sign": np.where(X[:, 0] > 0, "plus", "minus"),
            "grade": pd.array(np.digitize(X[:, 1], [-0.5, 0.5]), dtype="Int64"),
            "kind": pd.Categorical(np.where(X[:, 2] > 0, "u", "v"), ["v", "u"], ordered=True),
        }
    )
    Y.loc[::3, "grade"] = pd.NA
    return Y


X = make_X()
Y = make_Y(X)
B = X[:, 0] > 0


def make_tiny(**settings):
    return MultiTaskClassifier(**{"hidden_layer_sizes": (4,), "epochs": 2, **settings})


def fit_tiny(X=X, Y=Y, **settings):
    return make_tiny(**{"random_state": 0, **settings}).fit(X, Y)


def save_bytes(clf):
    file = io.BytesIO()
    save_model(clf, file)
    return file.getvalue()


def load_bytes(content):
    return load_model(io.BytesIO(content))


def show(value):
    """Return a representation without addresses in memory."""
    return re.sub(r" at 0x\w+", "", repr(value))


def assert_equal_models(clf, other):
    """Assert that two estimators hold the same, to every bit."""
    assert type(other) is type(clf)
    assert show(other) == show(clf)
    assert show(other.get_params()) == show(clf.get_params())
    assert vars(other).keys() == vars(clf).keys()
    for name in vars(clf).keys() - {"_network", "_metadata_request"}:
        assert show(getattr(other, name)) == show(getattr(clf, name))
    if clf._fitted.network is None:
        assert other._fitted.network is None
        return
    assert other._fitted.network.spec == clf._fitted.network.spec
    state, expected = other._fitted.network.state, clf._fitted.network.state
    assert state.optimizer_settings == expected.optimizer_settings
    assert state.weighting.keys() == expected.weighting.keys()
    for name in ("network", "optimizer", "weighting"):
        found, wanted = getattr(state, name), getattr(expected, name)
        if isinstance(found, dict):
            found, wanted = list(found.values()), list(wanted.values())
        for array, other_array in zip(found, wanted, strict=True):
            assert array.dtype == other_array.dtype
            np.testing.assert_array_equal(array, other_array)


def assert_equal_predictions(clf, other, X=X):
    expected, found = clf.predict(X), other.predict(X)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        assert found.schema == expected.schema
        assert found.equals(expected)
    for p, q in zip(other.predict_proba(X), clf.predict_proba(X), strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.fixture(scope="module")
def fitted():
    settings = {"dropout": 0.2, "normalization": "batch", "head_hidden_layer_sizes": {"sign": (2,)}}
    return fit_tiny(**settings, task_weighting="uncertainty", early_stopping=True)


@pytest.fixture(scope="module")
def content(fitted):
    return save_bytes(fitted)


# -- An equal estimator --------------------------------------------------------------------------


def test_loaded_model_is_the_saved_one(fitted, content):
    again = load_bytes(content)
    assert_equal_models(fitted, again)
    assert_equal_predictions(fitted, again)
    assert again.score(X, Y) == fitted.score(X, Y)
    assert str(again.summary()) == str(fitted.summary())


def test_loaded_model_goes_on_training_to_the_same_bits(fitted, content):
    first, second = copy.deepcopy(fitted), load_bytes(content)
    for clf in (first, second):
        clf.partial_fit(X, Y)
        clf.set_params(warm_start=True).fit(X, Y)
    assert_equal_models(first, second)
    assert_equal_predictions(first, second)


def test_loaded_model_is_cloned_and_pickled_as_the_saved_one(fitted, content):
    again = load_bytes(content)
    assert repr(clone(again).get_params()) == repr(clone(fitted).get_params())
    assert_equal_predictions(fitted, pickle.loads(pickle.dumps(again)))
    assert_equal_predictions(fitted, copy.deepcopy(again))
    assert_equal_predictions(clone(fitted).fit(X, Y), clone(again).fit(X, Y))


def test_content_depends_on_the_model_only(fitted, content):
    fitted.predict(X)
    assert fitted.model_ is not None
    assert save_bytes(fitted) == content == save_bytes(copy.deepcopy(fitted))


def test_loaded_arrays_belong_to_the_model(content):
    again = load_bytes(content)
    state = again._fitted.network.state
    for array in [*state.network, *state.optimizer, *state.weighting.values()]:
        assert array.flags.owndata
        assert array.flags.writeable


def test_process_with_other_floats_loads_the_same_model(fitted, content):
    before = keras.config.floatx()
    try:
        keras.config.set_floatx("float64")
        again = load_bytes(content)
    finally:
        keras.config.set_floatx(before)
    assert_equal_models(fitted, again)


@pytest.mark.slow
def test_another_process_loads_the_same_model(fitted, content, tmp_path):
    (tmp_path / "model").write_bytes(content)
    np.save(tmp_path / "X.npy", X)
    code = (
        "import numpy, sk_mtl\n"
        "clf = sk_mtl.load_model('model')\n"
        "numpy.save('p.npy', numpy.hstack(clf.predict_proba(numpy.load('X.npy'))))\n"
        "sk_mtl.save_model(clf, 'again')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), np.hstack(fitted.predict_proba(X)))
    assert (tmp_path / "again").read_bytes() == content


PARAMETERS = {
    "defaults": {},
    "sizes": {"hidden_layer_sizes": [4, 3], "head_hidden_layer_sizes": {"sign": [2], "grade": 3}},
    "numpy": {
        "hidden_layer_sizes": np.array([4]),
        "dropout": np.float32(0.1),
        "epochs": np.int64(2),
        "l2": np.float64(1e-3),
        "warm_start": np.bool_(False),
        "random_state": np.uint32(3),
        "optimizer__learning_rate": np.float32(0.01),
    },
    "optimizer": {
        "optimizer": "AdamW",
        "optimizer__weight_decay": 0.1,
        "optimizer__learning_rate": 0.02,
        "optimizer__use_ema": True,
    },
    "factored optimizer": {"optimizer": "adafactor", "jit_compile": False},
    "weights of tasks": {"task_weighting": {"sign": 2, "kind": np.float32(0.5)}},
    "fixed weighting": {"task_weighting": FixedWeighting([1.0, 0.5, 2.0])},
    "fixed weighting by array": {"task_weighting": FixedWeighting(np.array([1.0, 0.5, 2.0]))},
    "uncertainty weighting": {
        "task_weighting": UncertaintyWeighting(-1.0),
        "optimizer": "sgd",
        "hidden_layer_sizes": (),
    },
    "class weights": {"class_weight": {"sign": {"plus": 2.0, "minus": 1}, "grade": "balanced"}},
    "classes": {"classes": {"grade": np.arange(4), "sign": ["minus", "plus", "zero"]}},
    "sentinel": {"missing_label": pd.NA, "monitor": "grade", "early_stopping": True},
    "layers": {"normalization": "layer", "activation": "logistic", "head_hidden_layer_sizes": (3,)},
    "no seed": {"random_state": None},
}


@pytest.mark.slow
@pytest.mark.parametrize("settings", PARAMETERS.values(), ids=PARAMETERS)
def test_model_of_any_plain_parameters_comes_back(settings):
    clf = fit_tiny(**settings)
    again = load_bytes(save_bytes(clf))
    assert_equal_models(clf, again)
    assert_equal_predictions(clf, again)
    for name, value in clf.get_params().items():
        assert type(getattr(again, name)) is type(value)
    assert_equal_predictions(clf.partial_fit(X, Y), again.partial_fit(X, Y))


DATES = pd.to_datetime(np.where(B, "2020-01-01", "2021-01-01"))
TARGETS = {
    "1-D bool": B,
    "1-D text": np.where(B, "yes", "no"),
    "1-D bytes": np.where(B, b"yes", b"no"),
    "1-D objects": np.where(B, "yes", "no").astype(object),
    "small integers": np.column_stack([B, ~B]).astype(np.int8),
    "floats": np.column_stack([B, ~B]).astype(np.float32),
    "lists": [["a", 1] if b else ["b", None] for b in B],
    "datetime64": np.where(B, "2020", "2021").astype("M8[D]"),
    "series": pd.Series(B, name="only"),
    "categorical series": pd.Series(pd.Categorical(np.where(B, "a", "b"), ["c", "b", "a"])),
    "frame": pd.DataFrame({"a": B, "b": B.astype(float), "c": np.where(B, "x", "y")}),
    "nullable": pd.DataFrame(
        {
            "a": pd.array(B, dtype="boolean"),
            "b": pd.array(B.astype(int), dtype="UInt8"),
            "c": pd.array(np.where(B, "x", "y"), dtype="string"),
        }
    ),
    "times": pd.DataFrame(
        {"a": DATES, "b": DATES.tz_localize("Europe/Berlin"), "c": DATES - DATES[0]}
    ),
    "dates": pd.DataFrame({"a": DATES.date}),
    "times of day": pd.DataFrame({"a": np.where(B, dt.time(1), dt.time(2, microsecond=3))}),
    "durations in an array": np.where(B, dt.timedelta(1), dt.timedelta(2, 3, 4)),
    "interval dtype": pd.DataFrame(
        {"a": pd.arrays.IntervalArray.from_breaks(range(41)).take(B * 1)}
    ),
    "intervals": pd.DataFrame({"a": pd.cut(X[:, 0], 3), "b": pd.Categorical(B.astype(int))}),
    "names of all kinds": pd.DataFrame(
        {0: B, None: B, ("a", 1): B, pd.Timestamp("2020"): B, 1.5: B, b"b": B}
    ),
    "levels": pd.DataFrame({("a", 1): B, ("a", 2): ~B}).rename_axis(["x", None], axis=1),
    "tasks that teach nothing": pd.DataFrame({"a": B, "one": 1, "none": np.nan}),
    "nothing to learn": np.ones(len(B)),
}


@pytest.mark.slow_except(
    "frame",
    "nullable",
    "times",
    "dates",
    "levels",
    "1-D *",
    "series",
    "floats",
    "datetime64",
    "lists",
    "small integers",
    "categorical series",
    "interval dtype",
    "nothing to learn",
    "durations in an array",
    "times of day",
    "tasks that teach nothing",
    "names of all kinds",
)
@pytest.mark.parametrize("Y", TARGETS.values(), ids=TARGETS)
def test_model_of_any_targets_comes_back(Y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of tasks that teach nothing
        clf = fit_tiny(Y=Y)
    again = load_bytes(save_bytes(clf))
    assert_equal_models(clf, again)
    assert_equal_predictions(clf, again)


@pytest.mark.slow_except("pyarrow")
@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_model_of_another_library_comes_back(library):
    pytest.importorskip(library)
    frame = pd.DataFrame({"a": B, "b": B.astype(int), "c": np.where(B, "x", "y"), "d": DATES})
    if library == "pyarrow":
        import pyarrow as pa

        frame = pa.Table.from_pandas(frame)
    else:
        import polars as pl

        frame = pl.DataFrame({name: frame[name].tolist() for name in frame}).with_columns(
            pl.col("c").cast(pl.Categorical).alias("e"),
            pl.col("c").cast(pl.Enum(["y", "x", "z"])).alias("f"),
        )
    clf = fit_tiny(Y=frame)
    again = load_bytes(save_bytes(clf))
    assert_equal_models(clf, again)
    assert_equal_predictions(clf, again)


TIMES = [dt.datetime(2020, 1, 2, 3) if b else dt.datetime(2021, 5, 6) for b in B]
TEXTS = ["u" if b else "v" for b in B]
BYTES = [b"u" if b else b"v" for b in B]
# By the name of the type in pyarrow: what it is made of, and labels.
ARROW_TYPES = {
    "dictionary": (lambda pa: pa.dictionary(pa.int8(), pa.string(), ordered=True), TEXTS),
    "decimal128": (lambda pa: pa.decimal128(5, 2), [Decimal(7) if b else Decimal(8) for b in B]),
    "decimal256": (lambda pa: pa.decimal256(40), [Decimal(7) if b else Decimal(8) for b in B]),
    "binary": (lambda pa: pa.binary(), BYTES),
    "large_binary": (lambda pa: pa.large_binary(), BYTES),
    "fixed_size_binary": (lambda pa: pa.binary(1), BYTES),
    "timestamp": (lambda pa: pa.timestamp("us"), TIMES),
    "timestamp of a zone": (
        lambda pa: pa.timestamp("ns", "Europe/Berlin"),
        [pd.Timestamp(time, tz="Europe/Berlin") for time in TIMES],
    ),
    "duration": (lambda pa: pa.duration("ms"), [dt.timedelta(hours=1 + b) for b in B.tolist()]),
    "time32": (lambda pa: pa.time32("s"), [dt.time(1 + b, 30) for b in B.tolist()]),
    "time64": (lambda pa: pa.time64("us"), [dt.time(1 + b, 30) for b in B.tolist()]),
}


@pytest.mark.parametrize("name", ARROW_TYPES)
@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_model_of_any_type_of_arrow_comes_back(library, name):
    pa = pytest.importorskip("pyarrow")
    make, labels = ARROW_TYPES[name]
    if library == "pandas":
        frame = pd.DataFrame({"a": pd.array(labels, dtype=pd.ArrowDtype(make(pa)))})
    else:
        frame = pa.table({"a": pa.array(labels, make(pa))})
    clf = fit_tiny(Y=frame)
    again = load_bytes(save_bytes(clf))
    assert_equal_models(clf, again)
    found, expected = again.predict(X), clf.predict(X)
    if library == "pandas":
        pd.testing.assert_frame_equal(found, expected)
        assert found.dtypes["a"] == frame.dtypes["a"]
    else:
        assert found.schema == expected.schema
        assert found.equals(expected)


def test_names_of_features_come_back(fitted):
    frame = pd.DataFrame(X, columns=["a", "b", "ç"])
    clf = fit_tiny(X=frame)
    again = load_bytes(save_bytes(clf))
    assert again.feature_names_in_.tolist() == ["a", "b", "ç"]
    assert again.feature_names_in_.dtype == object
    assert_equal_predictions(clf, again, frame)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(frame[["ç", "b", "a"]])
    assert not hasattr(load_bytes(save_bytes(fitted)), "feature_names_in_")


def test_stream_goes_on_where_it_was():
    clf = make_tiny(random_state=0, classes=[[0, 1], [0, 1, 2]])
    parts = [
        (X[i::4], np.column_stack([B, np.arange(40) % 3])[i::4].astype(float)) for i in range(4)
    ]
    for X_part, Y_part in parts[:2]:
        clf.partial_fit(X_part, Y_part)
    again = load_bytes(save_bytes(clf))
    for X_part, Y_part in parts[2:]:
        clf.partial_fit(X_part, Y_part)
        again.partial_fit(X_part, Y_part)
    assert_equal_models(clf, again)


def test_sparse_X_is_no_matter(fitted):
    import scipy.sparse as sp

    again = load_bytes(save_bytes(fit_tiny(X=sp.csr_matrix(X))))
    assert again.predict(sp.csr_matrix(X)).shape == (40, 3)


def test_metadata_requests_come_back():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make_tiny().set_fit_request(sample_weight=True, validation_data=False)
        clf.set_score_request(sample_weight="weight")
        clf.fit(X, Y)
        again = load_bytes(save_bytes(clf))
        assert repr(again.get_metadata_routing()) == repr(clf.get_metadata_routing())
        assert repr(clone(again).get_metadata_routing()) == repr(clf.get_metadata_routing())


@pytest.mark.slow
def test_parameters_changed_since_the_fit_come_back(fitted):
    clf = copy.deepcopy(fitted).set_params(optimizer="sgd", task_weighting="equal", epochs=7)
    again = load_bytes(save_bytes(clf))
    assert again.get_params() == clf.get_params()
    assert_equal_predictions(clf, again)
    assert_equal_predictions(clf.partial_fit(X, Y), again.partial_fit(X, Y))


def test_safetensors_finds_the_weights(fitted, content):
    safetensors = pytest.importorskip("safetensors.numpy")
    found = safetensors.load(content)
    assert "network/0/trunk_0/kernel" in found
    for number, value in enumerate(fitted._fitted.network.state.network):
        (name,) = (n for n in found if n.startswith(f"network/{number}/"))
        np.testing.assert_array_equal(found[name], value)


# -- What is not saved ---------------------------------------------------------------------------


class OwnWeighting(FixedWeighting):
    """A strategy of the user's own."""


class OwnClassifier(MultiTaskClassifier):
    """A subclass of the user's own."""


def build_trunk(meta):
    inputs = keras.Input((meta["n_features_in_"],))
    return keras.Model(inputs, keras.layers.Dense(3)(inputs))


REFUSED = {
    "optimizer": (keras.optimizers.Adam(0.1), r"'optimizer'.*\.Adam\..*by a string"),
    "optimizer__learning_rate": (
        keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9),
        r"'optimizer__learning_rate'.*ExponentialDecay\. Name",
    ),
    "callbacks": (
        [keras.callbacks.TerminateOnNaN()],
        r"'callbacks' without pickle: it holds .*TerminateOnNaN\..*set_params",
    ),
    "activation": (keras.activations.gelu, r"'activation'.*function\. Name the activation"),
    "random_state": (np.random.RandomState(0), r"'random_state'.*RandomState\. Give an int"),
    "task_weighting": (OwnWeighting([1, 2, 3]), r"'task_weighting'.*OwnWeighting\. A strategy of"),
    "classes": (pd.Series([["minus", "plus"], [0, 1, 2], ["u", "v"]]), r"'classes'.*as lists"),
    "model": (build_trunk, r"a network of your own \(model=\).*to load it is to run code"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_parameter_that_is_code_is_refused_by_its_name(name, fitted, tmp_path):
    value, message = REFUSED[name]
    if name in ("activation", "model"):  # in which the network differs
        clf = fit_tiny(**{"hidden_layer_sizes": (256,), name: value})
    else:
        clf = copy.deepcopy(fitted).set_params(**{name: value})
    with pytest.raises(TypeError, match=message):
        save_model(clf, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_model_is_saved_once_what_is_not_needed_is_taken_away():
    clf = fit_tiny(callbacks=[keras.callbacks.TerminateOnNaN()])
    clf.set_params(callbacks=None)
    assert_equal_predictions(clf, load_bytes(save_bytes(clf)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_pipeline(StandardScaler(), make_tiny()).fit(X, Y), r"Pipeline.*model\[-1\]"),
        (lambda: OwnClassifier((2,), epochs=1).fit(X, Y), "OwnClassifier"),
        (lambda: fit_tiny().task_view("sign"), "TaskView"),
        (lambda: MultiTaskClassifier, "type"),
        (lambda: None, "NoneType"),
    ],
    ids=["pipeline", "subclass", "view", "class", "none"],
)
def test_what_is_no_classifier_is_refused(make, message):
    with pytest.raises(TypeError, match=rf"takes a MultiTaskClassifier itself.*{message}"):
        save_model(make(), io.BytesIO())


def test_classifier_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        save_model(make_tiny(), io.BytesIO())


def test_attribute_of_the_users_own_is_not_lost_silently(fitted):
    clf = copy.deepcopy(fitted)
    clf.note = "trained on Monday"
    with pytest.raises(TypeError, match=r"attribute.* note, and would lose"):
        save_model(clf, io.BytesIO())


def test_periods_are_refused():
    clf = fit_tiny(Y=pd.DataFrame({"month": DATES.to_period("M")}))
    message = r"what y was without pickle: the classes of task 'month' hold .*Period\. Pickle"
    with pytest.raises(TypeError, match=message):
        save_model(clf, io.BytesIO())


def test_categories_of_X_that_cannot_be_written_are_named():
    months = pd.Categorical(DATES.to_period("M"))
    clf = fit_tiny(X=pd.DataFrame(X).assign(month=months).rename(columns=str))
    with pytest.raises(TypeError, match=r"the categories of X without pickle: .*Period\. Pickle"):
        save_model(clf, io.BytesIO())


def test_parameter_that_fit_would_refuse_is_refused(fitted):
    clf = copy.deepcopy(fitted).set_params(dropout=2.0)
    with pytest.raises(ValueError, match=r"load_model would refuse .*'dropout' parameter"):
        save_model(clf, io.BytesIO())


def test_parameter_that_holds_itself_is_refused(fitted):
    circle = []
    circle.append(circle)
    clf = copy.deepcopy(fitted).set_params(hidden_layer_sizes=circle)
    with pytest.raises(ValueError, match="holds itself"):
        save_model(clf, io.BytesIO())


def test_too_much_text_is_refused(fitted, monkeypatch, tmp_path):
    monkeypatch.setattr("sk_mtl._codec.container._MAX_HEADER_BYTES", 2000)
    with pytest.raises(ValueError, match="must not take more than 2000"):
        save_model(fitted, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# -- Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path, os.fsencode])
def test_path_of_any_kind_is_taken(fitted, content, tmp_path, kind):
    path = tmp_path / "a model"
    assert save_model(fitted, kind(path)) is None
    assert path.read_bytes() == content
    assert_equal_predictions(fitted, load_model(kind(path)))
    assert list(tmp_path.iterdir()) == [path]


def test_open_files_are_taken(fitted, content, tmp_path):
    with open(tmp_path / "model", "wb") as file:
        file.write(b"before")
        save_model(fitted, file)
    with open(tmp_path / "model", "rb") as file:
        file.seek(len(b"before"))
        assert_equal_predictions(fitted, load_model(file))
    assert (tmp_path / "model").read_bytes() == b"before" + content


def test_open_text_files_are_refused(fitted, tmp_path):
    with open(tmp_path / "model", "w") as file, pytest.raises(TypeError):
        save_model(fitted, file)
    with open(tmp_path / "model") as file, pytest.raises(TypeError, match="binary mode"):
        load_model(file)


def test_file_keeps_its_place_its_mode_and_its_links(fitted, content, tmp_path):
    path, link = tmp_path / "model", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o600)
    link.symlink_to(path)
    save_model(fitted, link)
    assert link.is_symlink()
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_old_file_stays_when_writing_fails(fitted, tmp_path, monkeypatch, step):
    def fail(*args):
        raise OSError("no space left")

    path = tmp_path / "model"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="no space left"):
        save_model(fitted, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_name_may_be_as_long_as_the_file_system_allows(fitted, content, tmp_path):
    path = tmp_path / (
        "n" * (os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 200)
    )
    save_model(fitted, path)
    save_model(fitted, path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_file_that_is_open_keeps_its_content(fitted, content, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"old" * 10_000)
    with open(path, "rb") as opened:
        mapped = np.memmap(path, mode="r")
        save_model(fitted, path)
        assert mapped.tobytes() == opened.read() == b"old" * 10_000
    assert path.read_bytes() == content


def test_folder_is_refused(fitted, tmp_path):
    for act in (lambda: save_model(fitted, tmp_path), lambda: load_model(tmp_path)):
        with pytest.raises(ValueError, match="is a folder or a device, not a file"):
            act()


def test_missing_file_and_folder_are_said(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError) as caught:
        save_model(fitted, tmp_path / "nowhere" / "model")
    assert caught.value.filename == os.path.realpath(tmp_path / "nowhere" / "model")
    assert ".tmp" not in str(caught.value)


@pytest.mark.parametrize("path", [None, 3, ["model"]])
def test_what_is_no_path_is_refused(fitted, path):
    for act in (lambda: save_model(fitted, path), lambda: load_model(path)):
        with pytest.raises(TypeError):
            act()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_and_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match="is a folder or a device"):
            load_model(path)


@pytest.mark.parametrize(
    "kind", ["empty", "pickle", "npz", "png", "keras", "text", "safetensors", "huge"]
)
def test_foreign_file_is_refused(fitted, tmp_path, kind):
    path = tmp_path / "file"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(fitted))
    elif kind == "npz":
        np.savez(tmp_path / "file.npz", a=np.zeros(3))
        path = tmp_path / "file.npz"
    elif kind == "keras":
        path = tmp_path / "file.keras"
        fitted.model_.save(path)
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(2**40)  # takes no room on disk, but would in memory
    else:
        header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
        path.write_bytes(
            {
                "empty": b"",
                "png": b"\x89PNG\r\n\x1a\n" + bytes(1000),
                "text": b"a model, honestly",
                "safetensors": len(header).to_bytes(8, "little") + header + b"\0",
            }[kind]
        )
    with pytest.raises(ValueError, match=r"not a file that sk_mtl has written"):
        load_model(path)


def test_newer_file_is_refused(content, tmp_path):
    (tmp_path / "model").write_bytes(content.replace(b'"version":"1"', b'"version":"2"', 1))
    with pytest.raises(ValueError, match=r"has format version 2; this release.*up to 1"):
        load_model(tmp_path / "model")


# -- Damaged files -------------------------------------------------------------------------------


def test_model_with_a_flipped_bit_is_refused(content):
    rng = np.random.default_rng(0)
    everywhere = np.arange(8 * len(content))
    for position in everywhere if IS_LONG else rng.choice(everywhere, 2_000, replace=False):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(ValueError, match=r"damaged|not a file|newer"):
            load_bytes(bytes(damaged))


def test_model_cut_short_is_refused(content):
    rng = np.random.default_rng(0)
    lengths = np.arange(len(content))
    for length in lengths if IS_LONG else [*range(300), *rng.choice(lengths, 700)]:
        with pytest.raises(ValueError, match=r"damaged|not a file"):
            load_bytes(content[:length])


def test_model_with_bytes_put_in_taken_out_or_swapped_is_refused(content):
    rng = np.random.default_rng(0)
    for _ in range(N_DAMAGED):
        a, b, c = np.sort(rng.choice(len(content) + 1, 3, replace=False))
        kind = rng.integers(4)
        noise = rng.bytes(b - a) if kind == 0 else b""
        damaged = [
            content[:a] + noise + content[b:],  # overwritten
            content[:a] + rng.bytes(rng.integers(1, 9)) + content[a:],  # put in
            content[:a] + content[b:],  # taken out
            content[:a] + content[b:c] + content[a:b] + content[c:],  # swapped
        ][kind]
        if damaged == content:
            continue
        with pytest.raises(ValueError, match=r"damaged|not a file|newer"):
            load_bytes(damaged)


# -- Forged files --------------------------------------------------------------------------------


def forge(content, change):
    """Return a file whose description and arrays somebody has changed, with the right checksum."""
    text, arrays = unpack(content)
    description = json.loads(text)
    change(description, arrays)
    return pack(json.dumps(description), arrays)


def at(path, value):
    """Return a change of one node of a description."""

    def change(description, arrays):
        *parents, last = path
        for key in parents:
            description = description[key]
        if value is GONE:
            del description[last]
        else:
            description[last] = value

    return change


def of_array(name, make):
    """Return a change of one array."""

    def change(description, arrays):
        arrays[name] = make(arrays[name])

    return change


GONE = object()
DEEP = json.loads("[" * 400 + "]" * 400)
SPEC, FIT, PAR, TAR = (
    ("model", "network", "spec"),
    ("model", "fitted"),
    ("parameters",),
    ("model", "targets"),
)
STATE = ("model", "network", "state")
KERNEL = "network/0/trunk_0/kernel"


def nan_at_first(array):
    array = array.copy()
    array.flat[0] = np.nan
    return array


FORGERIES = {
    **{f"no {part}": at((part,), GONE) for part in ("estimator", "features", "model")},
    **{f"no {part}": at(("model", part), GONE) for part in ("fitted", "network", "targets")},
    "no versions": at(("versions",), GONE),
    "more": at(("code",), "import os"),
    "of another estimator": at(("estimator",), "sklearn.svm.SVC"),
    "not an object": lambda description, arrays: description.clear(),
    # Parameters
    "unknown parameter": at((*PAR, "shell"), "true"),
    "unknown routed parameter": at((*PAR, "loss__x"), 1),
    "dunder parameter": at((*PAR, "__class__"), 1),
    "text for a number": at((*PAR, "dropout"), "0.1"),
    "negative epochs": at((*PAR, "epochs"), -1),
    "NaN for a number": at((*PAR, "l2"), {"float": "nan"}),
    "deep parameter": at((*PAR, "classes"), DEEP),
    "model": at((*PAR, "model"), "keras.models.load_model"),
    "model by configuration": at((*PAR, "model"), {"dict": [["class_name", "Lambda"]]}),
    "unknown strategy": at((*PAR, "task_weighting"), {"strategy": ["TaskWeighting", {"dict": []}]}),
    "strategy by import": at(
        (*PAR, "task_weighting"), {"strategy": ["os.system", {"dict": [["command", "true"]]}]}
    ),
    "strategy with other settings": at(
        (*PAR, "task_weighting"), {"strategy": ["FixedWeighting", {"dict": [["a", 1]]}]}
    ),
    "optimizer by configuration": at((*PAR, "optimizer"), {"dict": [["class_name", "Adam"]]}),
    # Targets
    "no task": at((*TAR, "task_names"), {"tuple": []}),
    "one task less": at((*TAR, "task_names"), {"tuple": ["sign", "grade"]}),
    "tasks of one name": at((*TAR, "task_names"), {"tuple": ["a", "a", "b"]}),
    "names in a list": at((*TAR, "task_names"), ["a", "b", "c"]),
    "name that is a list": at((*TAR, "task_names"), {"tuple": [["a"], "b", "c"]}),
    "classes in disorder": at((*TAR, "classes", "tuple", 0, "objects"), ["plus", "minus"]),
    "classes twice": at((*TAR, "classes", "tuple", 0, "objects"), ["plus", "plus"]),
    "one class more": at((*TAR, "classes", "tuple", 0, "objects"), ["minus", "plus", "zero"]),
    "classes of mixed types": at((*TAR, "classes", "tuple", 0, "objects"), [1, "plus"]),
    "missing class": at((*TAR, "classes", "tuple", 0, "objects"), [None, "plus"]),
    "classes in lists": at((*TAR, "classes", "tuple", 0, "objects"), [["a"], ["b"]]),
    "classes that are none": at((*TAR, "classes", "tuple", 0), 5),
    "no classes": at((*TAR, "classes", "tuple", 0, "objects"), []),
    "unknown kind": at((*TAR, "kind"), "sparse"),
    "another kind": at((*TAR, "kind"), "array_1d"),
    "unknown library": at((*TAR, "backend"), "os"),
    "unknown dtype": at((*TAR, "dtypes", 0), {"pandas": "os.system"}),
    "no dtype": at((*TAR, "dtypes", 0), None),
    "categories twice": at(
        (*TAR, "categories", "tuple", 2, "tuple", 0, "objects"), ["u", "u"]
    ),
    "categories that are none": at((*TAR, "categories", "tuple", 2), "u"),
    "levels that do not fit": at((*TAR, "level_names"), {"tuple": ["a", "b"]}),
    "targets with more": at((*TAR, "more"), 1),
    # What fit counted
    "no seed": at((*FIT, "seed"), GONE),
    "text for the seed": at((*FIT, "seed"), "0"),
    "boolean for a count": at((*FIT, "n_rows"), True),
    "negative count": at((*FIT, "n_rows"), -1),
    "fewer rows than labels": at((*FIT, "n_rows"), 1),
    "best epoch beyond the last": at((*FIT, "best_iter"), 10**6),
    "huge count": at((*FIT, "n_iter"), 10**400),
    "more features": at(("features", "n_features_in_"), 4),
    "huge number of features": at(("features", "n_features_in_"), 2**61),
    "names for other features": at(("features", "feature_names_in_"), {"objects": ["a"]}),
    "names that are numbers": at(("features", "feature_names_in_"), {"objects": [1, 2, 3]}),
    "history that is a list": at((*FIT, "history"), []),
    "history of text": at((*FIT, "history"), {"dict": [["loss", ["0.1"]]]}),
    "outcome that is none": at((*FIT, "stopping"), {"dict": [["best", 1.0]]}),
    "outcome that is a list": at((*FIT, "stopping"), [1]),
    "more fitted": at((*FIT, "predict"), 1),
    "flag of another dtype": of_array("has_labels", lambda a: a.astype(np.uint8)),
    "flags of other tasks": of_array("has_labels", lambda a: a[:2].copy()),
    "negative labels": of_array("labelled_cells", lambda a: -a),
    "counts in floats": of_array("labelled_cells", lambda a: a.astype(np.float64)),
    "weights of tasks that are none": of_array("task_weights", nan_at_first),
    # The network
    "network that is text": at(("model", "network"), "keras"),
    "no network": at(("model", "network"), None),
    "no spec": at(SPEC, {}),
    "spec with more": at((*SPEC, "custom_model"), '{"model": {"class_name": "Lambda"}}'),
    "spec without": at((*SPEC, "l2"), GONE),
    "negative width": at((*SPEC, "hidden_layer_sizes"), {"tuple": [-4]}),
    "width of zero": at((*SPEC, "hidden_layer_sizes"), {"tuple": [0]}),
    "width in floats": at((*SPEC, "hidden_layer_sizes"), {"tuple": [4.0]}),
    "huge width": at((*SPEC, "hidden_layer_sizes"), {"tuple": [2**30]}),
    "beyond any width": at((*SPEC, "hidden_layer_sizes"), {"tuple": [2**70]}),
    "many layers": at((*SPEC, "hidden_layer_sizes"), {"tuple": [1] * 10_000}),
    "another width": at((*SPEC, "hidden_layer_sizes"), {"tuple": [3]}),
    "one head less": at((*SPEC, "head_hidden_layer_sizes"), {"tuple": [{"tuple": []}] * 2}),
    "huge heads": at((*SPEC, "head_hidden_layer_sizes"), {"tuple": [{"tuple": [2**30]}] * 3}),
    "other outputs": at((*SPEC, "n_outputs"), {"tuple": [1, 1, 3]}),
    "other features": at((*SPEC, "n_features"), 2),
    "unknown activation": at((*SPEC, "activation"), "os.system"),
    "activation by configuration": at(
        (*SPEC, "activation"), {"dict": [["class_name", "Lambda"], ["config", {"dict": []}]]}
    ),
    "dropout of one": at((*SPEC, "dropout"), 1.0),
    "dropout that is none": at((*SPEC, "dropout"), {"float": "nan"}),
    "other dropout": at((*SPEC, "dropout"), 0.0),
    "unknown normalization": at((*SPEC, "normalization"), "group"),
    "other normalization": at((*SPEC, "normalization"), None),
    "infinite l2": at((*SPEC, "l2"), {"float": "inf"}),
    "NaN in a weight": of_array(KERNEL, nan_at_first),
    "infinite weights": of_array(KERNEL, lambda a: a * np.inf),
    "weights in float64": of_array(KERNEL, lambda a: a.astype(np.float64)),
    "weights transposed": of_array(KERNEL, lambda a: a.T.copy()),
    "weights cut": of_array(KERNEL, lambda a: a[:, :1].copy()),
    "values in a dict": at((*STATE, "network"), {"dict": []}),
    "no values": at((*STATE, "network"), []),
    "unused array": lambda description, arrays: arrays.update(more=np.zeros(3)),
    "missing array": lambda description, arrays: arrays.pop(KERNEL),
    "weighting of other tasks": of_array("task_weighting/log_variance", lambda a: a[:2].copy()),
    "weighting in float64": of_array(
        "task_weighting/log_variance", lambda a: a.astype(np.float64)
    ),
    "weighting that is a list": at((*STATE, "weighting"), []),
    "optimizer cut": at((*STATE, "optimizer"), []),
    "optimizer of other shapes": of_array("optimizer/2", lambda a: a[:1].copy()),
    "optimizer of another dtype": of_array("optimizer/2", lambda a: a.astype(np.float64)),
    "optimizer without settings": at((*STATE, "optimizer_settings"), None),
    "settings without optimizer": at((*STATE, "optimizer"), None),
    "settings of another kind": at((*STATE, "optimizer_settings"), {"tuple": [1, "a"]}),
    # Requests
    "requests of another method": at(("requests",), {"predict": {"X": True}}),
    "request that is none": at(
        ("requests",), {"fit": {"sample_weight": 1}, "partial_fit": {}, "score": {}}
    ),
    "request of nothing": at(
        ("requests",), {"fit": {"shell": True}, "partial_fit": {}, "score": {}}
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_forged_file_is_refused(content, change):
    forged = forge(content, change)
    with pytest.raises(ValueError, match="does not describe a model: "):
        load_bytes(forged)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (at((*PAR, "optimizer"), "os.system"), "Keras has no optimizer named 'os.system'"),
        (at((*PAR, "optimizer__shell"), "true"), "takes no setting 'shell'"),
    ],
    ids=["name", "setting"],
)
def test_forged_optimizer_is_refused_once_it_would_train(content, change, message):
    # Loading does not import Keras, which knows the optimizers.
    clf = load_bytes(forge(content, change))
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(X, Y)


def test_forging_nothing_gives_the_model(fitted, content):
    assert_equal_models(fitted, load_bytes(forge(content, lambda description, arrays: None)))


def test_text_with_a_repeated_key_is_refused(content):
    text, arrays = unpack(content)
    with pytest.raises(ValueError, match="repeats a key"):
        load_bytes(pack(text[:-1] + ',"estimator":"MultiTaskClassifier"}', arrays))


@pytest.mark.parametrize("text", ["", "null", "[]", "5", '"a"', "[" * 10**6, '{"a":' * 10**5])
def test_text_that_is_no_description_is_refused(content, text):
    with pytest.raises(ValueError, match="does not describe a model"):
        load_bytes(pack(text, unpack(content)[1]))


HOSTILE = [
    *(None, True, False, 0, -1, 1, 2, 2**31, 2**63, 10**30, 0.5, -1.5, 1e308),
    *("", "a", "<f8", "|O", "network/0/trunk_0/kernel", "\0", "__class__", "x" * 1000),
    *([], {}, [[]], [None], {"tuple": []}, {"tuple": [1]}, {"dict": []}, {"float": "nan"}),
    *({"objects": ["a", "b"]}, {"floats": "history/loss"}, {"array": ["has_labels", "|b1", [3]]}),
    *({"missing": "NA"}, {"bytes": "00"}, {"scalar": ["<f4", "0000c07f"]}, {"objects": []}, DEEP),
    {"timestamp": ["<M8[ns]", 0, None]},
]


def walk(node, path=()):
    """Yield the path of every node of a description."""
    if path:
        yield path
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, child in children:
        yield from walk(child, (*path, key))


@pytest.mark.slow
def test_description_with_any_node_replaced_gives_an_error_or_a_model(content):
    # Some replacements are models too: another seed, verbose=1, a task of another name.
    text, _ = unpack(content)
    paths = list(walk(json.loads(text)))
    rng = np.random.default_rng(0)
    n_models = 0
    for number in range(N_FORGED):
        value = GONE if number % 8 == 0 else HOSTILE[rng.integers(len(HOSTILE))]
        forged = forge(content, at(paths[rng.integers(len(paths))], value))
        try:
            clf = load_bytes(forged)
        except ValueError:
            continue
        n_models += 1
        check_is_fitted(clf)
        assert all(np.isfinite(p).all() for p in clf.predict_proba(X))
        assert len(clf.predict(X)) == len(X)
    assert 0 < n_models < N_FORGED / 4


def test_array_with_any_change_gives_an_error_or_a_model(content):
    _, arrays = unpack(content)
    rng = np.random.default_rng(0)
    changes = [
        lambda a: a.astype(rng.choice(["f2", "f4", "f8", "i1", "i8", "u1", "?"])),
        lambda a: a.reshape(-1),
        lambda a: a[..., None],
        lambda a: a[:1] if a.ndim else a[None],
        lambda a: np.repeat(a, 2),
        lambda a: np.zeros((0, *a.shape[1:]), a.dtype),
        lambda a: a * 0 - 1,
        lambda a: rng.integers(0, 256, a.shape).astype(a.dtype),
    ]
    for _ in range(N_FORGED // 4):
        name = rng.choice(list(arrays))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                make = changes[rng.integers(len(changes))]
                forged = forge(content, of_array(name, lambda a, make=make: np.asarray(make(a))))
            except (TypeError, ValueError):  # NumPy's own: no minus for booleans
                continue
        try:
            clf = load_bytes(forged)
        except ValueError:
            continue
        assert clf.predict_proba(X)["sign"].shape == (len(X), 2)


@pytest.mark.slow
def test_loading_a_large_forgery_takes_memory_by_its_size(content):
    def change(description, arrays):
        description["parameters"]["classes"] = [[]] * 30_000

    forged = forge(content, change)
    gc.collect()
    tracemalloc.start()
    load_bytes(forged)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * len(forged)


@pytest.mark.parametrize("name", ["pickle", "_pickle", "marshal", "shelve", "subprocess"])
def test_loading_runs_nothing_that_runs_code(content, monkeypatch, name):
    import importlib

    def fail(*args, **kwargs):
        raise AssertionError("code was about to be run")

    module = importlib.import_module(name)
    for function in ("loads", "load", "Unpickler", "Popen", "open"):
        if hasattr(module, function) and name != "_pickle":
            monkeypatch.setattr(module, function, fail)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", fail)
    monkeypatch.setattr("builtins.eval", fail)
    assert_equal_predictions(load_bytes(content), load_bytes(content))
