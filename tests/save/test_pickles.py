"""Tests of sk_mtl._save.pickles: what a pickle holds, and gives back; old and torn ones."""

import copy
import enum
import importlib
import io
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import SKOPS_TYPES, MultiTaskClassifier, MultiTaskEnsemble, TaskView, load_model
from sk_mtl._fit.fitted_network import FittedNetwork
from sk_mtl._model.build import network_variables
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._save.pickles import FORMAT_VERSION
from sk_mtl._train.loop import draw_start
from sk_mtl.metrics import (
    calibration_error,
    get_multitask_scorer,
    make_multitask_scorer,
    multitask_score,
    per_task_scorers,
)
from sk_mtl.model_selection import (
    MultiTaskSearchCV,
    MultiTaskStratifiedGroupKFold,
    MultiTaskStratifiedKFold,
    MultiTaskStratifiedShuffleSplit,
    RepeatedMultiTaskStratifiedKFold,
)
from sk_mtl.weighting import FixedWeighting, UncertaintyWeighting

FIXTURES = Path(__file__).parents[1] / "fixtures"
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


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 0, None, "1"])
def test_pickled_state_of_another_format_is_refused(fitted, version):
    state = fitted.__getstate__()
    state["_fitted"]["format_version"] = version
    message = rf"MultiTaskClassifier has format version {version!r};.*versions up to"
    with pytest.raises(ValueError, match=message):
        MultiTaskClassifier().__setstate__(state)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_gives_the_same_bits(fitted, X, protocol):
    again = pickle.loads(pickle.dumps(fitted, protocol=protocol))
    for a, b in zip(again.predict_proba(X), fitted.predict_proba(X), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("is_in_a_pipeline", [False, True])
def test_optimizer_is_pickled_or_the_protocol_is_refused_by_name(protocol, is_in_a_pipeline):
    clf = MultiTaskClassifier(optimizer=keras.optimizers.SGD(0.5))
    model = make_pipeline(clf) if is_in_a_pipeline else clf
    if protocol < 2:
        message = rf"'optimizer', an object of SGD, cannot be .* protocol {protocol}: .*protocol 2"
        with pytest.raises(TypeError, match=message):
            pickle.dumps(model, protocol)
    else:
        again = pickle.loads(pickle.dumps(model, protocol))
        again = again[-1] if is_in_a_pipeline else again
        assert float(again.optimizer.learning_rate.numpy()) == 0.5


def test_copied_estimator_goes_on_training_to_the_same_bits(fitted, X):
    again = pickle.loads(pickle.dumps(fitted))
    Y = np.column_stack([X[:, 0] > 0, np.zeros(len(X))]).astype(float)
    first, second = (copy.deepcopy(clf).partial_fit(X, Y) for clf in (fitted, again))
    for a, b in zip(first.model_.get_weights(), second.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_estimator_saved_by_joblib_is_loaded_memory_mapped(fitted, X, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert all(isinstance(v, np.memmap) for v in again._fitted.network.state.network)
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


def names_in(content):
    """Return the names of classes and functions that a pickle asks for."""
    strings, names = [], set()
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name == "GLOBAL":
            names.add(argument.replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":
            names.add(".".join(strings[-2:]))
        if isinstance(argument, str):
            strings.append(argument)
    return names


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_names_the_estimator_and_numpy_only(fitted, protocol):
    names = names_in(pickle.dumps(fitted, protocol))
    own = {name for name in names if name.startswith(("sk_mtl", "keras", "tensorflow", "pandas"))}
    assert own == {"sk_mtl.MultiTaskClassifier"}


@pytest.mark.slow
def test_pickle_names_no_module_of_pandas_but_for_dtypes_without_a_plain_form(fitted_on_frame, X):
    names = names_in(pickle.dumps(fitted_on_frame))
    assert not [name for name in names if name.startswith("sk_mtl._")]
    without_periods = MultiTaskClassifier((2,), epochs=1).fit(
        X, pd.concat([pd.DataFrame(COLUMNS).drop(columns="month")] * 10)
    )
    assert not [n for n in names_in(pickle.dumps(without_periods)) if n.startswith("pandas")]


def test_pickle_leaves_out_what_follows_from_the_rest(fitted):
    state = fitted.__getstate__()
    assert state["_fitted"]["format_version"] == FORMAT_VERSION
    assert not {"classes_", "n_classes_", "task_names_", "history_"} & state.keys()
    assert b"PerTask" not in pickle.dumps(fitted)


def test_what_users_add_to_the_history_comes_back(fitted):
    clf = copy.deepcopy(fitted)
    clf.history_["auc"] = [np.float64(0.9)]
    clf.history_["note"] = "tuned by hand"
    again = pickle.loads(pickle.dumps(clf))
    assert again.history_ == clf.history_
    assert type(again.history_["auc"][0]) is np.float64


FRESH = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    clf, X, expected = pickle.load(file)
from sk_mtl import MultiTaskClassifier
assert all((p == q).all() for p, q in zip(clf.predict_proba(X), expected, strict=True))
clf.predict(X), clf.predict_log_proba(X), clf.predict_proba_frame(X), clf.score(X, clf.predict(X))
clf.task_view(0).predict_proba(X), clf.temperatures_, clf.best_iters_
repr(clf), dir(clf), clf._repr_html_()
print(sorted({"keras", "tensorflow", "scikeras"} & sys.modules.keys()))
"""


def test_loading_and_predicting_import_neither_keras_nor_tensorflow(fitted, X, tmp_path):
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((fitted, X, list(fitted.predict_proba(X)))))
    done = subprocess.run(
        [sys.executable, "-c", FRESH, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr[-2000:]


class Label(enum.Enum):
    """Labels of a type that only pickle knows."""

    LOW = 1
    HIGH = 2

    def __lt__(self, other):
        return self.value < other.value


@pytest.mark.slow
def test_labels_of_any_type_are_pickled(X):
    y = np.array([Label.HIGH if x > 0 else Label.LOW for x in X[:, 0]], dtype=object)
    clf = MultiTaskClassifier((2,), epochs=1, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    assert again.classes_.tolist() == [Label.LOW, Label.HIGH]
    np.testing.assert_array_equal(again.predict(X), clf.predict(X))


def test_estimator_that_is_not_fitted_is_copied():
    clf = MultiTaskClassifier((3,), optimizer__learning_rate=0.1)
    for again in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf), clone(clf)):
        assert vars(again) == vars(clf)


def test_parameter_that_came_later_takes_its_default(fitted):
    state = fitted.__getstate__()
    del state["dropout"]
    again = MultiTaskClassifier()
    again.__setstate__(state)
    assert again.dropout == "auto"
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
    monkeypatch.setattr("sk_mtl._save.pickles.FORMAT_VERSION", FORMAT_VERSION + 1)
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


def find_types(value):
    """Return a value that skops has saved and loaded, and the types of ours that it asked for."""
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(value)
    types = skops.get_untrusted_types(data=content)
    return skops.loads(content, trusted=types), [t for t in types if t.startswith("sk_mtl")]


def make_search(cv, scoring, **settings):
    clf = MultiTaskClassifier((2,), epochs=1, random_state=0)
    model = make_pipeline(StandardScaler(), clf)
    grid = {"multitaskclassifier__dropout": [0.0, 0.5]}
    return GridSearchCV(model, grid, cv=cv, scoring=scoring, **settings)


ACCURACY = get_multitask_scorer("accuracy")
FITS = {
    "defaults": {},
    "learned weights": {"task_weighting": UncertaintyWeighting()},
    "fixed weights": {"task_weighting": FixedWeighting([1.0, 2.0])},
    "ensemble": {"ensemble_size": 2, "ensemble_method": "independent"},
    "pseudo-labels": {"unlabelled": "pseudo_labels", "pseudo_label_threshold": 0.9},
    "consistency": {"unlabelled": "consistency"},
    "best epochs by task": {"early_stopping": True, "restore_best": "per_task", "calibrate": True},
    "folds": {"early_stopping": "cv", "epochs": 3, "n_iter_no_change": 1},
    "layers": {"normalization": "batch", "numeric_embedding": "periodic", "l2": 0.1},
    "lists": {"classes": [[0, 1], np.arange(2)], "class_weight": {"y0": "balanced"}},
}
FOLDS = (
    *(MultiTaskStratifiedKFold(2), MultiTaskStratifiedShuffleSplit(2)),
    *(MultiTaskStratifiedGroupKFold(2), RepeatedMultiTaskStratifiedKFold(n_splits=2, n_repeats=1)),
)


@pytest.mark.slow
def test_types_for_skops_are_those_that_it_finds(X):
    Y = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(float)
    Y[::5, 1] = np.nan
    found = set()
    for settings in FITS.values():
        clf = MultiTaskClassifier((4,), **{"epochs": 1, "random_state": 0, **settings}).fit(X, Y)
        again, types = find_types(clf)
        np.testing.assert_array_equal(again.predict_proba(X)[1], clf.predict_proba(X)[1])
        found |= set(types)
    found |= set(find_types(TaskView(make_pipeline(clf).fit(X, Y), "y1"))[1])
    for cv in FOLDS:
        groups = np.arange(len(X)) if "Group" in type(cv).__name__ else None
        search = make_search(cv, ACCURACY).fit(X, Y, groups=groups)
        again, types = find_types(search)
        np.testing.assert_array_equal(again.predict(X), search.predict(X))
        found |= set(types)
    ours = MultiTaskSearchCV(clf, {"epochs": [1]}, cv=2, keep_predictions="best").fit(X, Y)
    again, types = find_types(ours)
    pd.testing.assert_frame_equal(again.leaderboard_, ours.leaderboard_)
    found |= set(types)
    ensemble = MultiTaskEnsemble(clf, {"l2": [0.0, 1e-4]}, n_candidates=2, cv=2).fit(X, Y)
    again, types = find_types(ensemble)
    np.testing.assert_array_equal(again.predict_proba(X)[1], ensemble.predict_proba(X)[1])
    pd.testing.assert_frame_equal(again.leaderboard_, ensemble.leaderboard_)
    found |= set(types)
    for scoring in (make_multitask_scorer(f1_score, average="macro"), make_scorer(multitask_score)):
        found |= set(find_types(scoring)[1])
    by_task = {"y0": ACCURACY, **per_task_scorers("roc_auc", ["y0"])}
    found |= set(find_types(make_search(2, by_task, refit=False).fit(X, Y))[1])
    found |= set(find_types(make_scorer(calibration_error))[1])
    assert sorted(found) == sorted(SKOPS_TYPES)


def test_types_for_skops_are_public_names():
    for name in SKOPS_TYPES:
        module, _, attribute = name.rpartition(".")
        value = getattr(importlib.import_module(module), attribute)
        assert f"{value.__module__}.{value.__qualname__}" == name


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
    assert skops.get_untrusted_types(data=content) == ["sk_mtl.MultiTaskClassifier"]
    again = skops.loads(content, trusted=SKOPS_TYPES)
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
