"""The same seed gives the same bits, wherever and whenever; and the process stays as it was."""

import hashlib
import json
import logging
import os
import pickle
import random
import subprocess
import sys
import warnings

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
import tensorflow as tf
from helpers import make_tiny
from sklearn.base import clone

from sk_mtl import clear_program_cache, load_model, save_model

N_ROWS = 40
rng = np.random.default_rng(0)
X = rng.normal(size=(N_ROWS, 3)).astype(np.float32)
GRADES = np.array(["high", "low", "mid"])[np.digitize(X[:, 1], [-0.5, 0.5])]
Y = pd.DataFrame({"sign": X[:, 0] > 0, "grade": GRADES, "rare": X[:, 2] > 0})
Y = Y.astype(object).mask(rng.random(Y.shape) < [0.0, 0.3, 0.8])

CASES = {
    "layers": {
        "normalization": "batch",
        "dropout": 0.3,
        "head_hidden_layer_sizes": {"rare": (3,), "grade": (2,)},
        "task_weighting": "uncertainty",
    },
    "held out": {"early_stopping": True, "validation_fraction": 0.3, "class_weight": "balanced"},
    "XLA": {"jit_compile": True, "dropout": 0.3, "optimizer": "sgd", "l2": 1e-3},
}


def fit(case, **settings):
    return make_tiny(**{"batch_size": 7, "random_state": 3, **CASES[case], **settings}).fit(X, Y)


def digest(clf):
    """Return a hash of all that a fit has learned, to the last bit."""
    state = clf._fitted.network.state
    arrays = [*state.network, *state.optimizer, *state.weighting.values()]
    arrays += [clf.task_weights_, *clf.predict_proba(X)]
    text = json.dumps([clf.history_, clf.n_iter_, clf.best_iter_]).encode()
    return hashlib.sha256(b"".join([text, *(a.tobytes() for a in arrays)])).hexdigest()


def fit_and_digest(case):
    return digest(fit(case))


class FirstFits(dict):
    """The hash of each case, of its first fit: made when it is asked for."""

    def __missing__(self, case):
        self[case] = fit_and_digest(case)
        return self[case]


@pytest.fixture(scope="module")
def expected():
    clear_program_cache()
    return FirstFits()


def all_of(expected):
    return {case: expected[case] for case in CASES}


# ------------------------------------------------------------------------------------------------
# The same bits
# ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_hash_tells_seeds_apart(expected):
    assert digest(fit("layers", random_state=4)) != expected["layers"]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_same_seed_gives_the_same_bits_with_a_warm_program_cache(case, expected):
    assert fit_and_digest(case) == expected[case]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_same_seed_gives_the_same_bits_with_a_cold_program_cache(case, expected):
    clear_program_cache()
    assert fit_and_digest(case) == expected[case]


@pytest.mark.slow
def test_same_seed_gives_the_same_bits_after_other_fits_and_draws(expected):
    before = all_of(expected)
    fit("layers", random_state=0, epochs=1)
    fit("held out", hidden_layer_sizes=(2,), optimizer="sgd")
    keras.layers.Dropout(0.5)(np.ones((2, 2), np.float32), training=True)
    tf.random.normal((2,))
    keras.layers.Dense(2)(np.ones((2, 2), np.float32))
    assert {case: fit_and_digest(case) for case in CASES} == before


def test_second_fit_of_an_estimator_gives_the_bits_of_the_first(expected):
    assert digest(fit("held out").fit(X, Y)) == expected["held out"]


@pytest.mark.slow
def test_random_state_that_is_drawn_from_gives_other_bits_each_time():
    one, other = np.random.RandomState(0), np.random.RandomState(0)
    first, second = (digest(fit("held out", random_state=one)) for _ in range(2))
    assert first != second
    assert [digest(fit("held out", random_state=other)) for _ in range(2)] == [first, second]


def test_form_of_the_features_changes_no_bit(expected):
    clf = fit("held out")
    for features in (X.astype(np.float64), np.asfortranarray(X), pd.DataFrame(X), X.tolist()):
        assert digest(clone(clf).fit(features, Y)) == expected["held out"]


@pytest.mark.slow
def test_same_seed_gives_the_same_bits_in_another_process(expected):
    script = (
        "import os, sys; sys.path[:0] = [sys.argv[1], os.path.dirname(sys.argv[1])]\n"
        "import json, test_determinism as t\n"
        # In another order, so that others have been fitted before.
        "print(json.dumps({case: t.fit_and_digest(case) for case in reversed(t.CASES)}))\n"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", script, os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        # Sets and dicts of text come in another order there.
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == all_of(expected)


@pytest.mark.slow
def test_same_seed_gives_the_same_bits_in_threads(expected):
    # In loky's processes: test_processes.py, test_sklearn_api.py.
    cases = [*CASES, *CASES]
    parallel = joblib.Parallel(n_jobs=2, backend="threading")
    found = parallel(joblib.delayed(fit_and_digest)(case) for case in cases)
    assert found == [expected[case] for case in cases]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("floatx", "policy"),
    [("float64", "float64"), ("float64", "mixed_bfloat16"), ("float16", "mixed_float16")],
)
def test_fit_does_not_depend_on_what_the_process_has_set(floatx, policy):
    before = keras.config.floatx(), keras.config.dtype_policy()
    try:
        clear_program_cache()
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        clf = fit("held out")
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
    assert (
        np.hstack(clf.predict_proba(X)).tobytes()
        == np.hstack(fit("held out").predict_proba(X)).tobytes()
    )
    # Keras's rate was of that type there. What is kept of it is what training elsewhere keeps.
    kept, expected = (e._fitted.network.state.optimizer for e in (clf, fit("held out")))
    assert [(v.dtype, v.tobytes()) for v in kept] == [(v.dtype, v.tobytes()) for v in expected]
    assert digest(clf.partial_fit(X, Y)) == digest(fit("held out").partial_fit(X, Y))


# ------------------------------------------------------------------------------------------------
# The process is left as it was
# ------------------------------------------------------------------------------------------------

# Keras numbers what has no name; those of layers and models are seen by users, these are not.
COUNTED = {"keras_tensor", "seed_generator", "variable", "sgd", "adam"}


def describe_process():
    """Return whatever of the process a fit could have changed."""
    from keras.src.backend.common import global_state
    from tensorflow.python.eager import context
    from tensorflow.python.framework import config
    from tensorflow.python.ops import stateful_random_ops

    counts = global_state.get_global_attribute("object_name_uids") or {}
    generator = stateful_random_ops.global_generator
    return {
        "numpy state": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "numpy errors": np.geterr(),
        "numpy printing": np.get_printoptions(),
        "random state": random.getstate(),
        "tensorflow seed": context.global_seed(),
        "tensorflow generator": None if generator is None else generator.state.numpy().tolist(),
        "op seeds": context.context()._rng.getstate() if context.global_seed() else None,
        "op determinism": config.is_op_determinism_enabled(),
        "eager functions": tf.config.functions_run_eagerly(),
        "eager": tf.executing_eagerly(),
        "threads": (
            tf.config.threading.get_inter_op_parallelism_threads(),
            tf.config.threading.get_intra_op_parallelism_threads(),
        ),
        "jit": tf.config.optimizer.get_jit(),
        "rewrites": tf.config.optimizer.get_experimental_options(),
        "device placement": tf.config.get_soft_device_placement(),
        "tensorflow log level": tf.get_logger().level,
        "float type": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "backend": keras.config.backend(),
        "image format": keras.config.image_data_format(),
        "dtype policy": keras.config.dtype_policy().name,
        "keras logging": keras.config.is_interactive_logging_enabled(),
        "traceback filtering": keras.config.is_traceback_filtering_enabled(),
        "keras seeds": str(global_state.get_global_attribute("global_seed_generator")),
        "names of layers": {name: n for name, n in counts.items() if name not in COUNTED},
        "custom objects": sorted(keras.saving.get_custom_objects()),
        "log level": logging.getLogger().level,
        "log handlers": list(logging.getLogger().handlers),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "scikit-learn": sklearn.get_config(),
        "path": list(sys.path),
        "directory": os.getcwd(),
        "pandas": pd.get_option("display.max_rows"),
        "pickled models": (keras.Model.__reduce__, keras.losses.Loss.__reduce__),
        "recursion": sys.getrecursionlimit(),
        "hooks": (sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile()),
    }


def use_everything(folder):
    """Do what users do, from a fit to a loaded copy."""
    clf = fit("layers", early_stopping=True, validation_fraction=0.3, jit_compile=False)
    clf.predict_proba(X)
    clf.predict(sp.csr_matrix(X))
    clf.partial_fit(X, Y)
    clf.score(X, Y)
    clf.task_view("sign").predict(X)
    str(clf.summary())
    clf.model_.count_params()
    pickle.loads(pickle.dumps(clf)).predict(X)
    save_model(clf, folder / "model.safetensors")
    load_model(folder / "model.safetensors").predict(X)
    with pytest.raises(ValueError, match="infinity"):
        clf.fit(X + np.inf, Y)


@pytest.mark.slow
@pytest.mark.parametrize("is_seeded", [False, True], ids=["as it was", "seeded"])
def test_process_is_left_as_it_was(is_seeded, tmp_path):
    seed = tf.random.set_seed if is_seeded else lambda seed: None
    try:
        seed(5)
        before = describe_process()
        use_everything(tmp_path)
        after = describe_process()
    finally:
        seed(None)
    assert {name: after[name] for name in after if after[name] != before[name]} == {}


@pytest.mark.slow
def test_draws_of_tensorflow_and_keras_are_those_without_a_fit():
    def draw():
        return [
            tf.random.normal((2,)).numpy().tolist(),
            np.asarray(keras.random.normal((2,))).tolist(),
            np.asarray(keras.layers.Dense(2)(np.ones((1, 2), np.float32))).tolist(),
        ]

    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        keras.utils.set_random_seed(1)
        expected = draw()
        keras.utils.set_random_seed(1)
        if draw() != expected:
            pytest.skip("this Keras draws on when it is seeded again")
        keras.utils.set_random_seed(1)
        fit("layers").predict(X)
        assert draw() == expected
    finally:
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
        tf.random.set_seed(None)
