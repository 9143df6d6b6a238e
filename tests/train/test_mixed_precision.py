"""Tests of training in mixed precision: what computes in bfloat16, and what stays float32."""

import pickle

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import tensorflow as tf
from helpers import assert_same_arrays, assert_same_fits, make_tiny, predict_differently
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from sk_mtl import (
    MultiTaskClassifier,
    MultiTaskEnsemble,
    clear_program_cache,
    load_model,
    save_model,
)
from sk_mtl._model.build import build_network, network_variables
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train import program_cache
from sk_mtl.model_selection import MultiTaskSearchCV, MultiTaskStratifiedKFold

# Keras hands variables to np.array, which NumPy 2 objects to.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

MIXED = "mixed_bfloat16"
CV = MultiTaskStratifiedKFold(2)


def make_table(n_rows=60, seed=0):
    """Return X and Y; the third task is labelled in one row of nine."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32)
    Y = np.stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5]), X[:, 2] > 0], axis=1)
    Y = Y.astype(float)
    Y[np.arange(n_rows) % 9 > 0, 2] = np.nan
    return X, Y


def make(**params):
    settings = {"hidden_layer_sizes": (6,), "epochs": 3, "batch_size": 16, "dtype": MIXED}
    return make_tiny(**{**settings, "jit_compile": False, **params})


X, Y = make_table()

# ------------------------------------------------------------------------------------------------
# The default
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [True, False])
def test_float32_is_the_default_by_another_name(jit_compile):
    clear_program_cache()
    default, named = (make(dtype=d, jit_compile=jit_compile).fit(X, Y) for d in (None, "float32"))
    assert_same_fits(default, named, X)
    assert len(program_cache._idle_programs) == 1
    (config, program), *_ = program_cache._idle_programs.values()
    assert config.product_dtype == "float32"
    assert program.step.trained is program.model
    assert "dtype" not in str(named.summary())


def test_layers_of_the_default_are_those_of_keras():
    model = build_network(NetworkSpec(4, (1,), (5,)))
    assert type(model.get_layer("trunk_0")) is keras.layers.Dense


# ------------------------------------------------------------------------------------------------
# What is trained
# ------------------------------------------------------------------------------------------------

NETWORKS = {
    "plain": {},
    "xla": {"jit_compile": True},
    "heads": {"head_hidden_layer_sizes": {0: (3,), 1: (3,)}},
    "shared": {"ensemble_size": 3, "head_hidden_layer_sizes": (3,)},
    "independent": {"ensemble_size": 3, "ensemble_method": "independent"},
    "batch": {"normalization": "batch"},
    "layer": {"normalization": "layer", "jit_compile": True},
    "known labels": {"known_labels": True},
    "unlabelled": {"unlabelled": "consistency", "dropout": 0.3},
    "bins": {"numeric_embedding": "piecewise_linear"},
    "waves": {"numeric_embedding": "periodic", "l2": 1e-3},
    "softmax": {"activation": "softmax", "ensemble_size": 2},
    "gelu": {"activation": "gelu"},
    "sgd": {"optimizer": "sgd", "optimizer__momentum": 0.9},
    "scaled loss": {"optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())},
    "uncertainty": {"task_weighting": "uncertainty", "optimizer__use_ema": True},
    "dropout": {"dropout": 0.4, "hidden_layer_sizes": (6, 5)},
}


@pytest.mark.slow_except("plain")
@pytest.mark.release_except("plain", "xla", "shared", "independent", "unlabelled", "scaled loss")
@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_losses_are_close_to_those_of_float32_and_weights_are_float32(params):
    mixed, single = (make(dtype=dtype, **params).fit(X, Y) for dtype in (MIXED, "float32"))
    for name, series in single.history_.items():
        np.testing.assert_allclose(mixed.history_[name], series, rtol=0.02, err_msg=name)
    state = mixed._fitted.network.state
    kinds = {str(value.dtype) for value in [*state.network, *state.optimizer]}
    assert kinds <= {"float32", "int32", "int64", "bool"}
    pairs = zip(state.network, single._fitted.network.state.network, strict=True)
    assert any((a != b).any() for a, b in pairs)


def operations(graph):
    """Return the operations of a graph, and of the functions in it."""
    found = list(graph.get_operations())
    for function in graph._functions.values():
        found += operations(function.graph)
    return found


def product_dtypes(program):
    """Return the dtypes of matrix products, by the compiled function that has them."""
    return {
        name: {op.outputs[0].dtype.name for op in operations(concrete.graph) if "MatMul" in op.type}
        for (name, _), concrete in program._compiled.items()
    }


@pytest.mark.slow_except("dense")
@pytest.mark.parametrize(
    "params",
    [{}, {"ensemble_size": 2, "head_hidden_layer_sizes": (3,)}, {"ensemble_method": "independent",
     "ensemble_size": 2}],
    ids=["dense", "shared", "independent"],
)  # fmt: skip
def test_products_of_a_step_are_bfloat16_and_those_of_validation_float32(params):
    clear_program_cache()
    make(numeric_embedding=None, **params).fit(X, Y, validation_data=(X, Y))
    (_, program), *_ = program_cache._idle_programs.values()
    assert product_dtypes(program) == {"_run": {"bfloat16"}, "_evaluate": {"float32"}}


def test_a_network_in_mixed_precision_gives_float32():
    spec = NetworkSpec(4, (1, 3), (5,), ((2,), ()), normalization="batch", dropout=0.2)
    single, mixed = build_network(spec), build_network(spec, "bfloat16")
    first, second = (
        [(v.name, v.shape, v.dtype) for v in network_variables(model)] for model in (single, mixed)
    )
    assert first == second
    assert {str(v.dtype) for v in mixed.trainable_variables} == {"float32"}
    for layer in mixed.layers:
        assert layer.compute_dtype == "float32"
    assert mixed(X, training=True).dtype == tf.float32


@pytest.mark.slow
def test_global_policy_of_keras_has_no_say():
    before = keras.config.dtype_policy()
    expected = make(activation="softmax", ensemble_size=2).fit(X, Y)
    try:
        keras.config.set_dtype_policy("mixed_float16")
        clear_program_cache()
        found = make(activation="softmax", ensemble_size=2).fit(X, Y)
        assert_same_arrays(
            found._fitted.network.state.network, expected._fitted.network.state.network
        )
    finally:
        keras.config.set_dtype_policy(before)


# ------------------------------------------------------------------------------------------------
# Validation and prediction
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_validation_losses_are_those_of_the_predictions():
    clf = make(hidden_layer_sizes=(64,), restore_best="common").fit(X, Y, validation_data=(X, Y))
    for task, probabilities in enumerate(clf.predict_proba(X)):
        known = ~np.isnan(Y[:, task])
        expected = log_loss(Y[known, task], probabilities[known])
        found = clf.history_[f"val_y{task}_loss"][clf.best_iter_ - 1]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.slow
def test_predictions_are_those_of_its_keras_model_in_float32():
    clf = make(head_hidden_layer_sizes=(3,)).fit(X, Y)
    assert all(layer.compute_dtype == "float32" for layer in clf.model_.layers)
    outputs = clf.to_keras()(X)
    for task, probabilities in enumerate(clf.predict_proba(X)):
        np.testing.assert_allclose(outputs[f"y{task}"], probabilities, atol=1e-6)


# ------------------------------------------------------------------------------------------------
# The mask, and large numbers
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow_except("plain")
@pytest.mark.release_except("plain", "xla", "shared")
@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_what_lies_under_the_mask_changes_no_bit(params):
    if "known_labels" in params or "unlabelled" in params:
        pytest.skip("y is hidden in the same way")
    anything = np.where(np.isnan(Y), 7, Y)
    hidden = np.ma.array(anything, mask=np.isnan(Y))
    plain, masked = (make(**params).fit(X, y) for y in (Y, hidden))
    assert_same_fits(plain, masked, X)


@pytest.mark.slow
def test_a_task_that_is_absent_from_all_batches_changes_no_bit_of_the_others():
    alone = make(numeric_embedding=None).fit(X, Y[:, :2])
    with pytest.warns(UserWarning, match="no label"):
        beside = make(numeric_embedding=None).fit(X, np.c_[Y[:, :2], np.full(len(Y), np.nan)])
    assert_same_arrays(alone._fitted.network.state.network, beside._fitted.network.state.network)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [True, False])
def test_rows_without_a_label_of_weight_zero_and_large_numbers_stay_finite(jit_compile):
    largest = np.finfo(np.float32).max
    rows = np.array([[largest] * 4, [-largest] * 4, [1e30, 0, 0, 0]], np.float32)
    clf = make(jit_compile=jit_compile, optimizer__learning_rate=0.1, numeric_embedding=None)
    clf.fit(np.vstack([X, rows]), np.vstack([Y, Y[:3]]))
    assert np.isfinite(np.hstack(clf.predict_proba(rows))).all()
    assert np.isfinite(list(clf.history_.values())).all()


@pytest.mark.slow
def test_numbers_beyond_float16_are_no_matter_without_standardization():
    clf = make(standardize=False, optimizer__learning_rate=1e-9).fit(1e6 * X, Y)
    assert np.isfinite(list(clf.history_.values())).all()


# ------------------------------------------------------------------------------------------------
# Keeping, continuing, searching
# ------------------------------------------------------------------------------------------------


def test_pickles_and_files_keep_it(tmp_path):
    clf = make().fit(X, Y)
    path = tmp_path / "model.safetensors"
    save_model(clf, path)
    for copied in (pickle.loads(pickle.dumps(clf)), load_model(path)):
        assert copied.dtype == copied.summary().dtype == MIXED
        assert "trained in" in str(copied.summary())
        assert_same_fits(clf, copied, X)


@pytest.mark.slow
def test_another_dtype_continues_with_the_weights():
    clf = make(warm_start=True, dtype="float32").fit(X, Y)
    clf.set_params(dtype=MIXED).fit(X, Y)
    assert clf.n_iter_ == 6
    assert clf.summary().dtype == MIXED
    assert clf.partial_fit(X, Y).set_params(dtype=None).partial_fit(X, Y).n_iter_ == 8
    assert clf.summary().dtype == "float32"


@pytest.mark.slow
def test_compiled_programs_of_both_dtypes_are_kept_apart():
    clear_program_cache()
    first = make().fit(X, Y)
    single = make(dtype=None).fit(X, Y)
    assert_same_fits(make().fit(X, Y), first, X)
    assert predict_differently(first, single, X)


@pytest.mark.slow
def test_searches_try_it():
    grid = {"dtype": [None, MIXED]}
    together = MultiTaskSearchCV(make(), grid, cv=CV).fit(X, Y)
    serial = GridSearchCV(make(), grid, cv=CV).fit(X, Y)
    for name in ("mean_test_score", "split0_test_score"):
        np.testing.assert_array_equal(together.cv_results_[name], serial.cv_results_[name])


@pytest.mark.slow
def test_packs_of_a_search_train_as_alone():
    params = {"jit_compile": True, "epochs": 2}
    rates = [1e-3 * (k + 1) for k in range(9)]
    search = MultiTaskSearchCV(
        make(**params), {"optimizer__learning_rate": rates}, cv=CV, refit=False
    ).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    scores = GridSearchCV(
        make(**params), {"optimizer__learning_rate": rates}, cv=CV, refit=False
    ).fit(X, Y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], scores.cv_results_["mean_test_score"], atol=0.02
    )


@pytest.mark.slow
def test_categories_and_sparse_features_are_read():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=pd.Categorical(list("abcdef") * 10))
    assert np.isfinite(make().fit(frame, Y).history_["loss"]).all()
    positive = np.maximum(X, 0)
    dense, sparse = (make().fit(rows, Y) for rows in (positive, sp.csr_matrix(positive)))
    assert_same_fits(dense, sparse, positive)


@pytest.mark.slow
def test_ensembles_of_estimators_pass_it_on():
    ensemble = MultiTaskEnsemble(make(epochs=1), n_candidates=2, cv=2, random_state=0).fit(X, Y)
    assert {clf.dtype for clf in ensemble.estimators_} == {MIXED}


@pytest.mark.slow_except("float32")
@pytest.mark.parametrize("dtype", ["float32", MIXED])
def test_a_model_of_your_own_has_dtypes_of_its_own(dtype):
    inputs = keras.Input((4,))
    trunk = keras.Model(inputs, keras.layers.Dense(5, dtype=MIXED)(inputs))
    message = f"^dtype='{dtype}' belongs to the built-in network, .*Set dtype=None, and give"
    with pytest.raises(ValueError, match=message):
        make_tiny(model=trunk, dtype=dtype).fit(X, Y)
    clf = make_tiny(model=trunk).fit(X, Y)
    assert np.isfinite(np.hstack(clf.predict_proba(X))).all()


def test_best_takes_it():
    assert MultiTaskClassifier.best(dtype=MIXED).dtype == MIXED
