"""Tests of sk_mtl._compat.processes, and of one estimator in many threads and processes."""

import io
import os
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest

from sk_mtl import MultiTaskClassifier, clear_program_cache, load_model, save_model

N_THREADS = 8


def make_table(n=60):
    X = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    Y = np.column_stack([X[:, 0] > 0, np.digitize(X[:, 1], [-0.5, 0.5])]).astype(float)
    Y[::3, 1] = np.nan
    return X, Y


X, Y = make_table()


def make_tiny(**settings):
    return MultiTaskClassifier((4,), **{"epochs": 2, "random_state": 0, **settings})


def probabilities_of(clf, X=X):
    return np.hstack(clf.predict_proba(X))


def at_once(function, n=N_THREADS):
    """Return what a function gives in each of many threads, which begin together."""
    barrier = threading.Barrier(n)

    def begin(number):
        barrier.wait()
        return function(number)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(begin, range(n)))


# -- Threads -------------------------------------------------------------------------------------


@pytest.mark.slow_except("warm")
@pytest.mark.parametrize("is_compiled", [False, True], ids=["cold", "warm"])
def test_threads_predict_from_one_estimator(is_compiled):
    clf = make_tiny(dropout=0.2, normalization="batch").fit(X, Y)
    expected = probabilities_of(clf)
    clf = pickle.loads(pickle.dumps(clf))  # nothing placed, nothing built
    if not is_compiled:
        clear_program_cache()
    for found in at_once(lambda number: probabilities_of(clf)):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
def test_threads_ask_one_estimator_for_different_things():
    clf = make_tiny().fit(X, Y)
    expected = pickle.loads(pickle.dumps(clf))
    ask = [
        lambda clf: clf.predict(X),
        lambda clf: clf.predict_proba(X)[1],
        lambda clf: clf.score(X, Y),
        lambda clf: clf.task_view("y0").predict(X),
        lambda clf: clf.model_.count_params(),
        lambda clf: pickle.loads(pickle.dumps(clf)).predict(X),
        lambda clf: clf.predict(X[:7]),
        lambda clf: probabilities_of(clf, X[::-1]),
    ]
    found = at_once(lambda number: ask[number](clf))
    for question, answer in zip(ask, found, strict=True):
        np.testing.assert_array_equal(answer, question(expected))


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"dropout": 0.2, "normalization": "batch"}])
def test_threads_fit_estimators_to_the_bits_of_one_after_another(settings):
    seeds = [0, 1, 0, 1]
    expected = [probabilities_of(make_tiny(**settings, random_state=s).fit(X, Y)) for s in seeds]
    clear_program_cache()

    def fit(number):
        return probabilities_of(make_tiny(**settings, random_state=seeds[number]).fit(X, Y))

    for found, wanted in zip(at_once(fit, len(seeds)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow
def test_thread_predicts_while_others_fit_and_load():
    clf = make_tiny().fit(X, Y)
    expected = probabilities_of(clf)
    file = io.BytesIO()
    save_model(clf, file)

    def work(number):
        if number % 3 == 0:
            return probabilities_of(make_tiny().fit(X, Y))
        if number % 3 == 1:
            return probabilities_of(load_model(io.BytesIO(file.getvalue())))
        return probabilities_of(clf)

    for found in at_once(work):
        np.testing.assert_array_equal(found, expected)


# -- Processes -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_another_process_reads_the_keras_file_of_a_network_once_it_imports_the_losses(tmp_path):
    clf = make_tiny(numeric_embedding="periodic", ensemble_size=2).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras (3.15) and NumPy 2
        clf.model_.save(tmp_path / "network.keras")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import keras, numpy, sk_mtl.losses\n"
        "network = keras.models.load_model('network.keras')\n"
        "numpy.save('logits.npy', network(numpy.load('X.npy')).numpy())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
    expected = clf.model_(X).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), expected, rtol=1e-5, atol=1e-6)


def fit_and_predict(X, Y, mapped):
    """Fit on arrays that must not be written to, and predict from a memory-mapped estimator."""
    assert isinstance(X, np.memmap)
    assert not X.flags.writeable
    assert all(isinstance(v, np.memmap) for v in mapped._fitted.network.state.network)
    return probabilities_of(make_tiny().fit(X, Y), X), probabilities_of(mapped, X)


@pytest.mark.slow
def test_loky_workers_read_memory_mapped_rows_and_estimators(tmp_path):
    clf = make_tiny().fit(X, Y)
    joblib.dump(clf, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    parallel = joblib.Parallel(n_jobs=2, backend="loky", max_nbytes=1)
    for found in parallel(joblib.delayed(fit_and_predict)(X, Y, mapped) for _ in range(2)):
        for probabilities in found:
            np.testing.assert_array_equal(probabilities, probabilities_of(clf))


FORKS = """
import io, os, pickle, signal, sys, warnings
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["MPLBACKEND"] = "Agg"
import numpy as np
import sk_mtl
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forks among threads

def fit(**settings):
    settings = {"epochs": 1, "random_state": 0, **settings}
    sizes = {} if "model" in settings else {"hidden_layer_sizes": (4,)}
    return sk_mtl.MultiTaskClassifier(**sizes, **settings).fit(X, Y)

def fork(name, act):
    if child := os.fork():
        os.waitpid(child, 0)
        return
    signal.alarm(60)  # a child that hangs dies, and has said nothing
    try:
        act()
        print(f"{name}: done", flush=True)
    except BaseException as error:
        print(f"{name}: {error!r}", flush=True)
    os._exit(0)

def read(name):
    with open(name + ".pickle", "rb") as file:
        return pickle.load(file)

def show(name, *data):
    from sk_mtl import plotting
    getattr(plotting, name).from_estimator(clf, *data)

X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
Y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0])
many = np.resize(X, (300_000, 3))  # several batches, and so threads
"""

FORKS_AFTER_A_FIT = (
    FORKS
    + """
import keras
fork("early", lambda: fit().predict(X))
clf, file = fit(), io.BytesIO()
members = fit(ensemble_size=2)
trunk = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
custom = fit(model=trunk)
adam = keras.optimizers.Adam()
sk_mtl.save_model(clf, file)
sk_mtl.save_model(clf, "clf.safetensors")
for name, value in {"clf": clf, "members": members, "custom": custom}.items():
    with open(name + ".pickle", "wb") as opened:
        pickle.dump(value, opened)
fork("fit", fit)
fork("fit with an optimizer", lambda: fit(optimizer=adam))
fork("partial_fit", lambda: clf.partial_fit(X, Y))
fork("predict", lambda: clf.predict(X))
expected = np.hstack(clf.predict_proba(many))
again = lambda: np.hstack(clf.predict_proba(many))
fork("threads", lambda: np.testing.assert_array_equal(again(), expected))
fork("spread", lambda: members.predict_std(X))
fork("custom model", lambda: custom.predict(X))
fork("model_", lambda: clf.model_)
fork("save_model", lambda: sk_mtl.save_model(clf, io.BytesIO()))
fork("load_model", lambda: sk_mtl.load_model(io.BytesIO(file.getvalue())))
fork("pickle", lambda: pickle.loads(pickle.dumps(clf)).get_params())
"""
)

# What the parent of a server may do before it forks.
PARENTS = {
    "loads": "read('clf')",
    "predicts": "clf.predict(X)",
    "imports Keras": "import keras",
    "summary": "str(clf.summary())",
    "model_": "clf.model_",
    "custom model": "read('custom')",
    "masked loss": """
from sk_mtl.losses import MaskedSparseCategoricalCrossentropy
MaskedSparseCategoricalCrossentropy()(np.array([0, -1]), np.array([[0.5, 0.5], [0.1, 0.9]]))
""",
    "Keras": "import keras; keras.ops.zeros(3)",
}
WITHOUT_TENSORFLOW = ("loads", "predicts", "imports Keras")

FORKS_AFTER_A_LOAD = """
clf, members = sk_mtl.load_model("clf.safetensors"), read("members")
{parent}
fork("predict", lambda: clf.predict(X))
fork("threads", lambda: clf.predict_proba(many))
fork("spread", lambda: members.predict_std(X))
fork("task_view", lambda: clf.task_view(0).predict_proba(X))
fork("curves", lambda: show("TaskRocCurveDisplay", X, Y))
fork("fit", fit)
fork("partial_fit", lambda: clf.partial_fit(X, Y))
fork("model_", lambda: clf.model_)
fork("summary", lambda: str(clf.summary()))
fork("similarity", lambda: show("TaskSimilarityDisplay", X, Y))
fork("custom model", lambda: read("custom").predict(X))
"""
PREDICTIONS = ("predict", "threads", "spread", "task_view", "curves")
REFUSAL = "was forked from one that had used TensorFlow"


def run_forks(code, folder):
    """Return what forked children of one process said, by what they did; none hangs."""
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder, in which `forks` saves its estimators."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def forks(folder):
    return run_forks(FORKS_AFTER_A_FIT, folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["fit", "fit with an optimizer", "partial_fit", "model_", "custom model"]
)
def test_fork_after_a_fit_is_refused_and_does_not_hang(forks, name):
    said = forks[name]
    assert said.startswith("RuntimeError"), said
    assert REFUSAL in said
    assert "'loky'" in said


@pytest.mark.slow
def test_fork_before_the_first_fit_is_safe(forks):
    assert forks["early"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["predict", "threads", "spread", "save_model", "load_model", "pickle"]
)
def test_fork_after_a_fit_may_do_what_needs_no_tensorflow(forks, name):
    assert forks[name] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("parent", PARENTS)
def test_fork_of_a_server_predicts_and_is_refused_the_rest_once_tensorflow_was_used(
    forks, folder, parent
):
    code = FORKS + FORKS_AFTER_A_LOAD.replace("{parent}", PARENTS[parent])
    said = run_forks(code, folder)
    assert [name for name in PREDICTIONS if said[name] != "done"] == []
    others = {name: text for name, text in said.items() if name not in PREDICTIONS}
    assert len(others) == 6
    if parent in WITHOUT_TENSORFLOW:
        assert {name: text for name, text in others.items() if text != "done"} == {}
    else:
        assert {name: text for name, text in others.items() if REFUSAL not in text} == {}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_joblibs_multiprocessing_backend_predicts_after_a_fit_and_does_not_fit():
    clf = make_tiny().fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of forks among threads
        parallel = joblib.Parallel(n_jobs=2, backend="multiprocessing", timeout=60)
        for found in parallel(joblib.delayed(probabilities_of)(clf) for _ in range(2)):
            np.testing.assert_array_equal(found, probabilities_of(clf))
        with pytest.raises(RuntimeError, match="use joblib's backend 'loky'"):
            parallel(joblib.delayed(clf.fit)(X, Y) for _ in range(2))
