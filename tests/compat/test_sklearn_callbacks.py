"""Callbacks of scikit-learn: what they see of a fit, alone and in searches and Pipelines."""

import importlib.util
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl.metrics import make_multitask_scorer

HAS_CALLBACKS = importlib.util.find_spec("sklearn.callback") is not None
needs_callbacks = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn has no callbacks")


def make_table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    Y = pd.DataFrame({"a": (X[:, 0] > 0) * 1.0, "b": np.digitize(X[:, 1], [-0.5, 0.5]) * 1.0})
    return X, Y.mask(rng.random(Y.shape) < 0.2)


X, Y = make_table()


def make_tiny(**params):
    settings = {"hidden_layer_sizes": (4,), "epochs": 3, "batch_size": 32, "random_state": 0}
    return MultiTaskClassifier(**{**settings, **params})


class Recorder:
    """A callback that records what it is called with, and may stop a training."""

    def __init__(self, stop_in=None):
        self.stop_in = stop_in
        self.events = []
        self.scores = []
        self.given = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"{context.task_name} {context.task_id} of {context.max_subtasks}")

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.events.append(f"end of {context.task_name}")
        self.given.append((X, y, metadata))
        if fitted_estimator is not None:
            self.scores.append((fitted_estimator.n_iter_, fitted_estimator.score(X, y)))
        return context.task_name == "epoch" and context.task_id == self.stop_in


def events_of_epochs(n_epochs):
    pairs = [(f"epoch {number} of 0", "end of epoch") for number in range(n_epochs)]
    return [event for pair in pairs for event in pair]


@needs_callbacks
def test_callback_sees_the_fit_and_its_epochs():
    recorder = Recorder()
    make_tiny(early_stopping=False).set_callbacks(recorder).fit(X, Y)
    assert recorder.events == [
        "setup",
        "fit 0 of 3",
        *events_of_epochs(3),
        "end of fit",
        "teardown",
    ]
    assert all(x is X and y is Y and weight is None for x, y, weight in recorder.given)


@needs_callbacks
def test_callback_gets_the_estimator_as_it_is_after_each_epoch():
    recorder = Recorder()
    clf = make_tiny(early_stopping=False).set_callbacks(recorder).fit(X, Y)
    shorter = [make_tiny(early_stopping=False, epochs=n).fit(X, Y).score(X, Y) for n in (1, 2, 3)]
    expected = [*zip((1, 2, 3), shorter, strict=True), (3, clf.score(X, Y))]
    assert recorder.scores == expected


@needs_callbacks
def test_callback_gets_the_weights_of_the_rows():
    recorder, weight = Recorder(), np.arange(60.0)
    make_tiny(early_stopping=False).set_callbacks(recorder).fit(X, Y, sample_weight=weight)
    assert all(metadata["sample_weight"] is weight for _, _, metadata in recorder.given)


@needs_callbacks
@pytest.mark.parametrize(
    ("params", "n_trainings"),
    [
        ({"early_stopping": True}, 1),
        ({"early_stopping": True, "refit": True}, 2),
        pytest.param({"early_stopping": "cv", "n_iter_no_change": 2}, 6, marks=pytest.mark.slow),
    ],
)
def test_callback_sees_a_level_of_trainings_if_there_are_several(params, n_trainings):
    recorder = Recorder()
    make_tiny(**params).set_callbacks(recorder).fit(X, Y)
    begun = [event for event in recorder.events if event.startswith("training")]
    assert len(begun) == (n_trainings if n_trainings > 1 else 0)
    assert recorder.events[1] == f"fit 0 of {n_trainings if n_trainings > 1 else 3}"
    assert recorder.events.count("end of training") == len(begun)


@needs_callbacks
def test_callbacks_change_no_bit_of_a_fit():
    plain, watched = make_tiny().fit(X, Y), make_tiny().set_callbacks(Recorder()).fit(X, Y)
    assert watched.history_ == plain.history_
    for p, q in zip(watched.predict_proba(X), plain.predict_proba(X), strict=True):
        np.testing.assert_array_equal(p, q)


@needs_callbacks
def test_callback_can_stop_a_training():
    clf = make_tiny(early_stopping=False).set_callbacks(Recorder(stop_in=1)).fit(X, Y)
    shorter = make_tiny(early_stopping=False, epochs=2).fit(X, Y)
    assert clf.n_iter_ == 2
    np.testing.assert_array_equal(clf.predict_proba(X)["a"], shorter.predict_proba(X)["a"])


@needs_callbacks
def test_callback_ends_if_a_fit_fails():
    recorder = Recorder()
    clf = make_tiny(optimizer__learning_rate=1e38, early_stopping=False).set_callbacks(recorder)
    with pytest.raises(ValueError, match="Training diverged"):
        clf.fit(X, Y)
    assert recorder.events[-1] == "teardown"
    clf.set_params(optimizer__learning_rate=1e-3).fit(X, Y)
    assert recorder.events[-2:] == ["end of fit", "teardown"]


@needs_callbacks
def test_callback_survives_a_table_without_a_task_to_learn():
    recorder = Recorder()
    with pytest.warns(UserWarning, match="one class"):
        make_tiny().set_callbacks(recorder).fit(X, np.ones(60))
    assert recorder.events == ["setup", "fit 0 of 3", "end of fit", "teardown"]


@pytest.mark.slow_except("pipeline")
@needs_callbacks
@pytest.mark.parametrize("wrap", ["pipeline", "search"])
def test_scoring_monitor_scores_epochs_within_other_estimators(wrap):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring={"accuracy": make_multitask_scorer("accuracy")})
    clf = make_tiny(early_stopping=False).set_callbacks(monitor)
    if wrap == "pipeline":
        make_pipeline(StandardScaler(), clf).fit(X, Y)
        n_fits = 1
    else:
        GridSearchCV(clf, {"dropout": [0.0, 0.4]}, cv=2).fit(X, Y)
        n_fits = 5
    logs = monitor.get_logs().data_as_pandas
    assert (logs["task_name"] == "epoch").sum() == 3 * n_fits
    assert logs["accuracy"].between(0, 1).all()


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_progress_bar_of_a_search_counts_epochs(n_jobs, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    search = GridSearchCV(
        make_pipeline(StandardScaler(), make_tiny()),
        {"multitaskclassifier__dropout": [0.0, 0.4]},
        cv=2,
        n_jobs=n_jobs,
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, Y)  # and no warning
    assert "GridSearchCV" in capsys.readouterr().out


@needs_callbacks
def test_callbacks_are_kept_by_clones_and_removed_by_none():
    recorder = Recorder()
    clf = clone(make_tiny().set_callbacks(recorder)).fit(X, Y)
    assert recorder.events[-1] == "teardown"
    n_events = len(recorder.events)
    assert pickle.loads(pickle.dumps(clf)).n_iter_ == clf.n_iter_
    clf.set_callbacks().fit(X, Y)
    assert len(recorder.events) == n_events


@needs_callbacks
def test_callback_of_keras_is_refused_by_set_callbacks():
    import keras

    with pytest.raises(TypeError, match="FitCallback"):
        make_tiny().set_callbacks(keras.callbacks.TerminateOnNaN())


def test_callback_of_scikit_learn_is_refused_as_one_of_keras():
    with pytest.raises(TypeError, match="are set by the method set_callbacks"):
        make_tiny(callbacks=[Recorder()]).fit(X, Y)


@pytest.mark.skipif(HAS_CALLBACKS, reason="scikit-learn has callbacks")
def test_there_is_no_set_callbacks_before_scikit_learn_has_them():
    assert not hasattr(make_tiny(), "set_callbacks")
    assert make_tiny().fit(X, Y).n_iter_ > 0
