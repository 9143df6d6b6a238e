"""Tests of sk_mtl._fit.fitted: a network as settings and arrays, and back; old, torn pickles."""

import copy
import io
import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier, load_model
from sk_mtl._fit.fitted import (
    FORMAT_VERSION,
    FittedNetwork,
    check_format_version,
    with_dtypes,
    with_plain_dtypes,
)
from sk_mtl._model.network import network_variables
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.loop import draw_start
from sk_mtl._train.state import TrainingState
from sk_mtl.weighting import FixedWeighting

FIXTURES = Path(__file__).parent / "fixtures"
SPEC = NetworkSpec(4, (1, 3, 1), (5,), ((3,), (), (3,)), dropout=0.5, normalization="batch")


@pytest.fixture
def network():
    frequencies = [np.array([0.5, 0.5]), np.ones(3) / 3, np.array([0.2, 0.8])]
    return FittedNetwork(SPEC, draw_start(SPEC, FixedWeighting(), frequencies, seed=0))


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(X):
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])], axis=1).astype(float)
    Y[::3, 1] = np.nan
    settings = {"hidden_layer_sizes": (4,), "dropout": 0.2, "normalization": "batch"}
    return MultiTaskClassifier(**settings, epochs=2, random_state=0).fit(X, Y)


COPIES = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
def test_copy_of_a_network_gives_the_same_bits(network, X, way):
    expected = network.logits(X)
    again = COPIES[way](network)
    np.testing.assert_array_equal(again.logits(X), expected)
    assert again.spec == network.spec


def test_copy_of_a_network_does_not_depend_on_what_was_asked_of_it_before(network, X):
    before = pickle.dumps(network)
    network.logits(X)
    assert network.model is network.model
    assert pickle.dumps(network) == before


def test_pickle_of_a_network_holds_arrays_and_settings_only(network):
    state = network.__getstate__()
    assert set(state) == {"format_version", "spec", "state"}
    assert state["format_version"] == FORMAT_VERSION
    assert all(type(v) is np.ndarray for v in state["state"].network)
    text = pickle.dumps(network)
    assert b"tensorflow" not in text
    assert b"keras" not in text


def test_model_has_the_values_and_is_a_copy_of_them(network, X):
    expected = network.logits(X)
    for variable, value in zip(
        network_variables(network.model), network.state.network, strict=True
    ):
        np.testing.assert_array_equal(variable.numpy(), value)
    np.testing.assert_allclose(np.asarray(network.model(X)), expected, rtol=1e-5, atol=1e-6)
    for variable in network.model.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    np.testing.assert_array_equal(network.logits(X), expected)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, None, "1"])
def test_state_of_another_format_is_refused(version):
    with pytest.raises(ValueError, match=rf"of a thing has format version {version};.*up to"):
        check_format_version({"format_version": version}, "a thing")


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION + 1))
def test_state_of_this_and_earlier_formats_is_taken(version):
    check_format_version({"format_version": version}, "a thing")


def test_network_of_a_newer_format_is_refused(network):
    state = {**network.__getstate__(), "format_version": FORMAT_VERSION + 1}
    with pytest.raises(ValueError, match="newer one"):
        FittedNetwork.__new__(FittedNetwork).__setstate__(state)


def test_estimator_of_a_newer_format_is_refused(fitted):
    state = {**fitted.__getstate__(), "format_version": FORMAT_VERSION + 1}
    with pytest.raises(ValueError, match="MultiTaskClassifier has format version"):
        MultiTaskClassifier().__setstate__(state)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_gives_the_same_bits(fitted, X, protocol):
    again = pickle.loads(pickle.dumps(fitted, protocol=protocol))
    for a, b in zip(again.predict_proba(X), fitted.predict_proba(X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_copied_estimator_goes_on_training_to_the_same_bits(fitted, X):
    again = pickle.loads(pickle.dumps(fitted))
    Y = np.column_stack([X[:, 0] > 0, np.zeros(len(X))]).astype(float)
    first, second = (copy.deepcopy(clf).partial_fit(X, Y) for clf in (fitted, again))
    for a, b in zip(first.model_.get_weights(), second.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_estimator_saved_by_joblib_is_loaded_memory_mapped(fitted, X, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert all(isinstance(v, np.memmap) for v in again._network.state.network)
    for a, b in zip(again.predict_proba(X), fitted.predict_proba(X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_memory_mapped_estimator_goes_on_training_and_leaves_the_file(fitted, X, tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump(fitted, path)
    before = path.read_bytes()
    Y = np.column_stack([X[:, 0] > 0, np.zeros(len(X))]).astype(float)
    again = joblib.load(path, mmap_mode="r").partial_fit(X, Y)
    expected = copy.deepcopy(fitted).partial_fit(X, Y)
    for a, b in zip(again.predict_proba(X), expected.predict_proba(X), strict=True):
        np.testing.assert_array_equal(a, b)
    assert path.read_bytes() == before


# -- What a pickle holds -------------------------------------------------------------------------

COLUMNS = {
    "text": pd.Series(["a", "b"], dtype="string"),
    "count": pd.Series([1, 2], dtype="Int64"),
    "kind": pd.Series(pd.Categorical(["u", "v"], ["v", "u"], ordered=True)),
    "time": pd.to_datetime(pd.Series(["2020", "2021"])).dt.tz_localize("UTC"),
    "flag": pd.Series([True, False]),
    "month": pd.Series(pd.PeriodIndex(["2020-01", "2021-01"], freq="M")),
}


@pytest.fixture(scope="module")
def fitted_on_frame(X):
    Y = pd.concat([pd.DataFrame(COLUMNS)] * 10, ignore_index=True)
    return MultiTaskClassifier((2,), epochs=1, random_state=0).fit(X, Y)


@pytest.mark.parametrize("way", [*COPIES, "copy"])
def test_copy_of_an_estimator_predicts_every_dtype(fitted_on_frame, X, way):
    again = {**COPIES, "copy": copy.copy}[way](fitted_on_frame)
    pd.testing.assert_frame_equal(again.predict(X), fitted_on_frame.predict(X))
    assert vars(again).keys() == vars(fitted_on_frame).keys()
    for name in ("classes_", "n_classes_", "task_names_", "n_tasks_", "label_coverage_"):
        assert repr(getattr(again, name)) == repr(getattr(fitted_on_frame, name))


def test_dtypes_of_y_are_pickled_as_plain_values(fitted_on_frame):
    schema = fitted_on_frame._schema
    plain = with_plain_dtypes(schema)
    assert [type(dtype) for dtype in plain.form.dtypes] == [dict] * 5 + [pd.PeriodDtype]
    assert with_dtypes(plain).form.dtypes == schema.form.dtypes
    assert with_dtypes(schema).form.dtypes == schema.form.dtypes
    state = fitted_on_frame.__getstate__()
    assert state["_schema"].form.dtypes == plain.form.dtypes
    assert fitted_on_frame._schema is schema


def test_pickle_leaves_out_what_follows_from_the_rest(fitted):
    state = fitted.__getstate__()
    assert state["format_version"] == FORMAT_VERSION
    assert not {"classes_", "n_classes_", "task_names_"} & state.keys()
    assert b"PerTask" not in pickle.dumps(fitted)


def test_estimator_that_is_not_fitted_is_copied():
    clf = MultiTaskClassifier((3,), optimizer__learning_rate=0.1)
    for again in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), clone(clf)):
        assert vars(again) == vars(clf)


def test_parameter_that_came_later_takes_its_default(fitted):
    state = fitted.__getstate__()
    del state["dropout"]
    again = MultiTaskClassifier()
    again.__setstate__(state)
    assert again.dropout == 0.4
    assert again.normalization == "batch"


class OwnClassifier(MultiTaskClassifier):
    """A subclass with a parameter of its own."""

    def __init__(self, width=3, **settings):
        super().__init__((width,), **settings)
        self.width = width


def test_subclass_is_copied(X):
    clf = OwnClassifier(5, epochs=1, random_state=0).fit(X, X[:, 0] > 0)
    again = pickle.loads(pickle.dumps(clf))
    assert again.width == 5
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


# -- Torn and newer pickles ----------------------------------------------------------------------


def test_pickle_cut_short_is_refused_at_any_length(fitted):
    content = pickle.dumps(fitted)
    for length in range(len(content)):
        with pytest.raises((EOFError, pickle.UnpicklingError), match=r"truncated|out of input"):
            pickle.loads(content[:length])


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
def test_joblib_file_cut_short_gives_no_other_model(fitted, X, compress):
    whole = io.BytesIO()
    joblib.dump(fitted, whole, compress=compress)
    content, n_refused = whole.getvalue(), 0
    lengths = [*range(0, len(content) - 20, 97), *range(len(content) - 20, len(content))]
    for length in lengths:
        try:
            again = joblib.load(io.BytesIO(content[:length]))
        except Exception:  # each compressor has errors of its own
            n_refused += 1
            continue
        # All that is missing is the compressor's own checksum.
        np.testing.assert_array_equal(again.predict_proba(X)[1], fitted.predict_proba(X)[1])
    assert n_refused >= len(lengths) - 10


@pytest.mark.parametrize("way", [pickle.dumps, lambda clf: pickle.dumps(make_pipeline(clf))])
def test_pickle_of_a_newer_format_is_refused(fitted, way, monkeypatch):
    monkeypatch.setattr("sk_mtl._classifier.FORMAT_VERSION", FORMAT_VERSION + 1)
    content = way(fitted)
    monkeypatch.undo()
    message = f"MultiTaskClassifier has format version {FORMAT_VERSION + 1}.*reads versions up to"
    with pytest.raises(ValueError, match=message):
        pickle.loads(content)


# -- Models of earlier releases ------------------------------------------------------------------


def libraries_are_older(name):
    """Return whether NumPy here cannot read arrays that a newer NumPy has pickled."""
    return name.endswith("newest") and np.__version__.startswith("1.")


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.*[es]")), ids=lambda path: path.name)
def test_model_of_an_earlier_release_predicts_what_it_did(path):
    if path.suffix == ".pickle" and libraries_are_older(path.stem):
        pytest.skip("NumPy 1 does not read pickles of NumPy 2")
    stored = np.load(path.with_suffix(".npz"))
    clf = pickle.loads(path.read_bytes()) if path.suffix == ".pickle" else load_model(path)
    X = stored["X"]
    np.testing.assert_allclose(
        np.hstack(clf.predict_proba(X)), stored["probabilities"], rtol=1e-5, atol=1e-6
    )
    labels = clf.predict(X)
    assert labels.columns.tolist() == ["text", "count", "kind", "flag"]
    assert [str(dtype) for dtype in labels.dtypes] == ["object", "Int64", "category", "bool"]
    assert labels["kind"].cat.categories.tolist() == ["w", "v", "u"]
    np.testing.assert_array_equal(labels.astype(str).to_numpy(dtype="U8"), stored["labels"])
    assert clf.n_iter_ == 3
    assert clf.partial_fit(X, labels).n_iter_ == 4
    assert clone(clf).get_params() == clf.get_params()
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(
        np.hstack(again.predict_proba(X)), np.hstack(clf.predict_proba(X))
    )


def test_there_is_a_model_of_every_format():
    found = {path.name for path in FIXTURES.glob("*.pickle")}
    assert found == {
        f"format-{version}-{libraries}.pickle"
        for version in range(1, FORMAT_VERSION + 1)
        for libraries in ("oldest", "newest")
    }


# -- skops ---------------------------------------------------------------------------------------

# What docs/guide/saving.md names.
TRUSTED = [
    "sk_mtl._classifier.MultiTaskClassifier",
    "sk_mtl._data.input_encoder.InputSpec",
    "sk_mtl._data.labels.TargetForm",
    "sk_mtl._data.schema.TargetSchema",
    "sk_mtl._fit.fitted.FittedNetwork",
    "sk_mtl._model.spec.NetworkSpec",
    "sk_mtl._train.state.AveragingState",
    "sk_mtl._train.state.TrainingState",
]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["frame", "array", "1-D"])
def test_skops_saves_and_loads_a_pipeline(form, X):
    skops = pytest.importorskip("skops.io")
    frame = pd.concat([pd.DataFrame(COLUMNS).drop(columns="month")] * 10, ignore_index=True)
    array = np.column_stack([X[:, 0] > 0, X[:, 1] > 0]).astype(float)
    Y = {"frame": frame, "array": array, "1-D": array[:, 0]}[form]
    settings = {"normalization": "batch", "dropout": 0.1, "task_weighting": "uncertainty"}
    clf = MultiTaskClassifier((4,), epochs=2, random_state=0, **settings)
    model = make_pipeline(StandardScaler(), clf).fit(X, Y)
    content = skops.dumps(model)
    assert skops.get_untrusted_types(data=content) == TRUSTED
    again = skops.loads(content, trusted=TRUSTED)
    assert repr(again) == repr(model)
    for twin in (again, again[-1]):
        assert twin.n_features_in_ == 4
    expected, found = model.predict(X), again.predict(X)
    if form == "frame":
        pd.testing.assert_frame_equal(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)
    for a, b in zip(again.predict_proba(X), model.predict_proba(X), strict=True):
        np.testing.assert_array_equal(a, b)
    Z = model[:-1].transform(X)
    first, second = model[-1].partial_fit(Z, Y), again[-1].partial_fit(Z, Y)
    for a, b in zip(first.predict_proba(Z), second.predict_proba(Z), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_state_has_the_fields_that_files_hold():
    # A field more has to be written by sk_mtl._save.stored_network too.
    assert list(TrainingState.__dataclass_fields__) == [
        "network",
        "weighting",
        "optimizer",
        "optimizer_settings",
        "teacher",
        "averaging",
    ]
