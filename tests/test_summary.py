"""Tests of how a fitted estimator looks: its summary, and scikit-learn's HTML of it."""

import io
import json
import pickle
import re
import warnings
from html.parser import HTMLParser

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

import sk_mtl._train.program
import sk_mtl._train.together
from sk_mtl import MultiTaskClassifier, load_model, save_model

N_ROWS = 40


def make_tiny(**params):
    settings = {"hidden_layer_sizes": (4,), "epochs": 2, "batch_size": 64, "random_state": 0}
    return MultiTaskClassifier(**{**settings, "numeric_embedding": None, **params})


def build_trunk(width=3):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(width, "relu")])


def make_table():
    """Return X, and Y with a task of each kind: learned, learned, one class, no label."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 3))
    Y = pd.DataFrame(
        {
            "colour": np.where(X[:, 0] > 0, "red", "blue"),
            ("size", 2): rng.integers(0, 3, N_ROWS) * 1.0,
            "constant": 1.0,
            "unknown": np.nan,
        }
    )
    Y = Y.set_axis(
        pd.Index(["colour", ("size", 2), "constant", "unknown"], tupleize_cols=False), axis=1
    )
    Y.iloc[10:, 1] = np.nan
    Y.iloc[:30, 2] = np.nan
    return X, Y


X, Y = make_table()


def fit_quietly(clf, X=X, Y=Y, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of tasks without two classes
        return clf.fit(X, Y, **arguments)


def pickle_copy(clf):
    return pickle.loads(pickle.dumps(clf))


@pytest.fixture(scope="module")
def fitted():
    return fit_quietly(make_tiny())


@pytest.fixture(scope="module")
def stopped():
    """Return an estimator that early stopping has stopped, with its summary."""
    clf = make_tiny(
        epochs=50, early_stopping=True, n_iter_no_change=2, optimizer__learning_rate=0.5
    )
    clf.fit(X, Y[["colour"]])
    assert clf.best_iter_ < clf.n_iter_ < 50
    return clf


class TextOfTables(HTMLParser):
    """Collects the text of the cells of each row, and the tags that are not known here."""

    def __init__(self):
        super().__init__()
        self.rows, self.unknown, self._open = [], set(), False

    def handle_starttag(self, tag, attrs):
        self._open = tag in ("th", "td")
        if tag == "tr":
            self.rows.append([])
        elif self._open:
            self.rows[-1].append("")
        elif tag not in ("div", "p", "b", "table", "thead", "tbody", "style"):
            self.unknown.add(tag)

    def handle_endtag(self, tag):
        self._open = self._open and tag not in ("th", "td")

    def handle_data(self, data):
        if self._open:
            self.rows[-1][-1] += data


def read_html(summary):
    reader = TextOfTables()
    reader.feed(summary._repr_html_())
    assert reader.unknown == set()
    return reader.rows


# ------------------------------------------------------------------------------------------------
# Numbers
# ------------------------------------------------------------------------------------------------


def test_summary_of_an_unfitted_estimator_is_refused():
    with pytest.raises(NotFittedError):
        make_tiny().summary()


@pytest.mark.slow
def test_tasks_have_their_classes_cells_and_state(fitted):
    tasks = fitted.summary().tasks

    assert tasks.index.tolist() == ["colour", ("size", 2), "constant", "unknown"]
    assert tasks["classes"].tolist() == [("blue", "red"), (0, 1, 2), (1,), ()]
    assert tasks["n_classes"].tolist() == [2, 3, 1, 0]
    assert tasks["n_labelled"].tolist() == [40, 10, 10, 0]
    assert tasks["coverage"].tolist() == [1, 0.25, 0.25, 0]
    assert tasks["state"].tolist() == ["learned", "learned", "one class", "no label"]
    assert tasks["weight"].tolist() == [1, 1, 0, 0]


def test_summary_counts_rows_features_and_epochs(fitted):
    summary = fitted.summary()
    assert (summary.n_samples, summary.n_features) == (N_ROWS, 3)
    assert (summary.n_epochs, summary.best_epoch) == (2, 2)
    assert summary.estimator == "MultiTaskClassifier"


def test_losses_of_tasks_are_those_of_the_history(fitted):
    tasks = fitted.summary().tasks
    assert tasks["loss"].iloc[0] == fitted.history_["colour_loss"][-1]
    assert tasks["loss"].iloc[1] == fitted.history_["('size', 2)_loss"][-1]
    assert tasks["loss"].iloc[2:].isna().all()
    assert tasks["val_loss"].isna().all()


@pytest.mark.slow
def test_losses_are_those_of_the_epoch_that_was_kept(stopped):
    summary, best = stopped.summary(), stopped.best_iter_ - 1
    assert summary.losses.index.tolist() == ["loss", "objective", "val_loss"]
    for name, values in summary.losses.iterrows():
        assert values["best"] == stopped.history_[name][best]
        assert values["last"] == stopped.history_[name][-1]
    assert summary.tasks.loc["colour", "val_loss"] == stopped.history_["val_colour_loss"][best]


@pytest.mark.slow
def test_names_that_would_clash_in_the_history_have_their_own_losses():
    clf = make_tiny(early_stopping=True).fit(
        X, Y[["colour", "colour"]].set_axis(["val", "a"], axis=1)
    )
    tasks = clf.summary().tasks
    assert tasks.loc["val", "loss"] == clf.history_["task0:val_loss"][clf.best_iter_ - 1]
    assert tasks.loc["a", "loss"] == clf.history_["a_loss"][clf.best_iter_ - 1]


@pytest.mark.slow_except("default")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": ()},
        {"head_hidden_layer_sizes": {"colour": (3, 2)}, "normalization": "batch", "dropout": 0.2},
        {"model": build_trunk, "hidden_layer_sizes": (256,)},
    ],
    ids=["default", "no hidden layer", "all kinds", "custom trunk"],
)
def test_layers_and_parameters_are_those_of_the_keras_model(params):
    clf = fit_quietly(make_tiny(**params))
    summary = clf.summary()
    assert summary.layers["name"].tolist() == [layer.name for layer in clf.model_.layers]
    assert summary.layers["n_parameters"].sum() == summary.n_parameters
    assert summary.n_parameters == clf.model_.count_params()


@pytest.mark.slow
def test_layers_of_a_whole_custom_network_have_their_shapes():
    def build():
        inputs = keras.Input((3,), name="X")
        hidden = keras.layers.Reshape((3, 1), name="columns")(inputs)
        hidden = keras.layers.Conv1D(2, 2, name="pairs")(hidden)
        shared = keras.layers.Flatten(name="flat")(hidden)
        return keras.Model(
            inputs,
            [
                keras.layers.Dense(1, "sigmoid", name="colour")(shared),
                keras.layers.Dense(3, "softmax", name="size")(shared),
            ],
        )

    y = Y.iloc[:, :2].set_axis(["colour", "size"], axis=1)
    summary = make_tiny(hidden_layer_sizes=(256,), model=build).fit(X, y).summary()
    shapes = dict(zip(summary.layers["name"], summary.layers["output"], strict=True))
    assert shapes == {
        "X": "3",
        "columns": "3×1",
        "pairs": "2×2",
        "flat": "4",
        "colour": "1",
        "size": "3",
    }
    assert summary.n_parameters == 6 + 5 + 15


@pytest.mark.slow
def test_layer_that_is_called_twice_has_no_one_output():
    def build():
        inputs = keras.Input((3,))
        dense = keras.layers.Dense(3, "relu", name="twice")
        return keras.Model(inputs, dense(dense(inputs)))

    layers = make_tiny(hidden_layer_sizes=(256,), model=build).fit(X, Y["colour"]).summary().layers
    assert layers["n_parameters"].sum() == 12 + 4


def test_summary_without_a_network_has_no_layers_and_no_losses():
    summary = fit_quietly(make_tiny(), Y=Y[["constant", "unknown"]]).summary()
    assert summary.layers.empty
    assert summary.losses.empty
    assert (summary.n_parameters, summary.n_epochs, summary.best_epoch) == (0, 0, 0)
    assert "2, not learned: constant (one class); unknown (no label)" in str(summary)


def test_one_dimensional_y_is_one_task():
    tasks = make_tiny().fit(X, Y["colour"].to_numpy()).summary().tasks
    assert tasks["classes"].tolist() == [("blue", "red")]


def test_partial_fit_adds_up_rows_and_epochs():
    clf = make_tiny(classes=[["blue", "red"], [0, 1, 2]])
    y = Y.iloc[:, :2].to_numpy()
    for rows in (slice(0, 20), slice(20, 40)):
        clf.partial_fit(X[rows], y[rows])
    summary = clf.summary()
    assert (summary.n_samples, summary.n_epochs, summary.best_epoch) == (40, 2, 2)
    assert summary.tasks["n_labelled"].tolist() == [40, 10]
    assert summary.stopping is None


def test_partial_fit_of_rows_without_labels_has_no_losses():
    clf = make_tiny(classes=[["blue", "red"]]).partial_fit(X, np.full((N_ROWS, 1), None))
    summary = clf.summary()
    assert summary.losses.empty
    assert summary.tasks["state"].tolist() == ["no label"]
    assert "0 of 40 (0%)" in str(summary)


@pytest.mark.slow
def test_uncertainty_shows_the_weights_it_has_learned():
    clf = make_tiny(task_weighting="uncertainty", epochs=5).fit(X, Y.iloc[:, :2])
    np.testing.assert_array_equal(clf.summary().tasks["weight"], clf.task_weights_)


# ------------------------------------------------------------------------------------------------
# Early stopping
# ------------------------------------------------------------------------------------------------


def test_stop_is_told_with_what_was_watched(stopped):
    summary = stopped.summary()
    best = stopped.history_["val_loss"][stopped.best_iter_ - 1]
    assert summary.stopping == {
        "watched": "val_loss",
        "n_iter_no_change": 2,
        "stopped": True,
        "best": best,
        "n_folds": 0,
    }
    assert "stopped, 2 epochs without a lower val_loss" in str(summary)
    assert f"{stopped.n_iter_}, weights of epoch {stopped.best_iter_} kept" in str(summary)


def test_parameters_set_after_fit_change_nothing(stopped):
    before = str(stopped.summary())
    changed = pickle_copy(stopped).set_params(early_stopping=False, n_iter_no_change=9, epochs=1)
    assert str(changed.summary()) == before


@pytest.mark.parametrize(
    ("params", "watched"),
    [
        ({"validation_fraction": None}, "loss"),
        ({"validation_fraction": None, "monitor": "colour"}, "colour_loss"),
        ({"monitor": "colour", "validation_fraction": 0.3}, "val_colour_loss"),
    ],
)
def test_watched_series_is_one_of_the_history(params, watched):
    clf = make_tiny(early_stopping=True, **params).fit(X, Y.iloc[:, :2])
    outcome = clf.summary().stopping
    assert outcome["watched"] == watched
    assert outcome["best"] == min(clf.history_[watched])
    assert not outcome["stopped"]
    assert f"did not stop, monitored {watched}" in str(clf.summary())


def test_without_early_stopping_nothing_was_watched(fitted):
    assert fitted.summary().stopping is None
    assert "early stopping   off" in str(fitted.summary())


@pytest.mark.slow_except("0.1-None", "0.0-None", "auto-None")
@pytest.mark.parametrize("unlabelled", [None, "pseudo_labels"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, "auto"])
def test_label_smoothing_and_unlabelled_are_told_if_they_act(unlabelled, label_smoothing):
    clf = make_tiny(epochs=1, unlabelled=unlabelled, label_smoothing=label_smoothing)
    summary = clf.fit(X, Y.iloc[:, :2]).summary()
    lines = str(summary).splitlines()
    assert (summary.unlabelled, summary.label_smoothing) == (unlabelled, label_smoothing)
    facts = dict(line.split("   ", 1) for line in lines[1 : lines.index("")])
    facts = {name.strip(): text.strip() for name, text in facts.items()}
    assert facts.get("unlabelled") == unlabelled
    assert facts.get("label smoothing") == (str(label_smoothing) if label_smoothing else None)


def save_and_load(clf):
    file = io.BytesIO()
    save_model(clf, file)
    return load_model(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("way", [lambda clf: clf, pickle_copy, save_and_load])
@pytest.mark.parametrize("smoothing", [0.1, "auto", np.float32(0.25)])
def test_what_was_fitted_is_told_after_parameters_have_changed(smoothing, way):
    clf = make_tiny(epochs=1, unlabelled="consistency", label_smoothing=smoothing)
    clf = way(clf.fit(X, Y.iloc[:, :2]))
    clf.set_params(unlabelled=None, label_smoothing=0.5, loss="focal", ensemble_size=3)
    summary = clf.summary()
    assert (summary.unlabelled, summary.label_smoothing) == ("consistency", smoothing)
    assert summary.ensemble == (1, "shared")
    plain = way(make_tiny(epochs=1).fit(X, Y["colour"])).set_params(label_smoothing=0.5)
    assert plain.summary().label_smoothing == 0.0


@pytest.mark.slow
def test_label_smoothing_is_not_told_of_the_focal_loss():
    clf = make_tiny(epochs=1, loss="focal", label_smoothing="auto")
    assert "label smoothing" not in str(clf.fit(X, Y["colour"]).summary())


# ------------------------------------------------------------------------------------------------
# Cost
# ------------------------------------------------------------------------------------------------


def test_summary_compiles_and_trains_nothing(fitted, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the training program was asked for")

    monkeypatch.setattr(sk_mtl._train.together, "acquire_program", refuse)
    monkeypatch.setattr(sk_mtl._train.program.TrainingProgram, "__init__", refuse)
    copied = pickle_copy(fitted)
    before = dict(vars(copied))
    str(copied.summary())
    copied.summary()._repr_html_()
    assert vars(copied) == before


# ------------------------------------------------------------------------------------------------
# Text and HTML
# ------------------------------------------------------------------------------------------------


def test_text_of_a_small_summary():
    clf = make_tiny(hidden_layer_sizes=(2,), epochs=1).fit(X, Y.iloc[:, :2])
    text = re.sub(r"\d\.\d{4}", "0.1234", str(clf.summary()))
    assert text.splitlines() == [
        "MultiTaskClassifier, fitted to 40 rows with 3 features",
        "tasks            2, all learned",
        "labelled cells   50 of 80 (62%), from 25% of ('size', 2) to 100% of colour",
        "parameters       26",
        "epochs           1",
        "early stopping   off",
        "loss             0.1234 in epoch 1",
        "objective        0.1234 in epoch 1",
        "",
        "task         classes       labelled        weight    loss",
        "colour       2: blue, red        40  100%       1  0.1234",
        "('size', 2)  3: 0, 1, 2          10   25%       1  0.1234",
        "",
        "layer           kind         output  parameters",
        "standardize     Standardize  3                6",
        "trunk_0         Dense        2                8",
        "heads_0_logits  Dense        4               12",
    ]
    assert repr(clf.summary()) == str(clf.summary())


@pytest.mark.slow_except("1-1")
@pytest.mark.parametrize(("n_tasks", "n_lines"), [(1, 1), (12, 12), (13, 12), (60, 12), (617, 12)])
def test_text_leaves_out_the_middle_of_many_tasks(n_tasks, n_lines):
    summary = summary_of_many(n_tasks)
    table = str(summary).split("\n\n")[1].splitlines()[1:]

    assert len(table) == n_lines
    assert table[0].startswith("y0 ")
    assert table[-1].startswith(f"y{n_tasks - 1} ")
    assert (f"… {n_tasks - 11} more" in table) is (n_tasks > 12)
    assert len(summary.tasks) == n_tasks
    assert max(map(len, str(summary).splitlines())) < 100


@pytest.mark.parametrize(("n_tasks", "n_lines"), [(1, 1), (60, 60), (617, 60)])
def test_html_leaves_out_the_middle_of_many_tasks(n_tasks, n_lines):
    rows = read_html(summary_of_many(n_tasks))
    head = next(i for i, row in enumerate(rows) if row[0] == "task")
    end = next(i for i, row in enumerate(rows) if row[0] == "layer")
    assert end - head - 1 == n_lines
    assert {len(row) for row in rows[head:end]} == {6}


def summary_of_many(n_tasks):
    y = np.random.default_rng(0).integers(0, 2, size=(N_ROWS, n_tasks)).astype(float)
    y[: N_ROWS // 2, 0] = np.nan
    return make_tiny(epochs=1).fit(X, y).summary()


def test_html_has_the_numbers_of_the_text(stopped):
    summary = stopped.summary()
    cells = [cell for row in read_html(summary) for cell in row if cell]
    text = " ".join(str(summary).split())
    assert [cell for cell in cells if cell not in text] == []
    assert len(cells) > 30


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("two\nlines\tand  more", "two lines and more"),
        ("&amp; \"quotes\" 'too'", "&amp; \"quotes\" 'too'"),
        ("n" * 33, "n" * 31 + "…"),
        ("größe 📏", "größe 📏"),
        ("{}%s", "{}%s"),
        (7, "7"),
        (None, "None"),
    ],
)
def test_names_and_labels_are_shown_as_they_are_on_one_line(name, shown):
    y = pd.DataFrame({"a": np.where(X[:, 0] > 0, f"{name}", "b")})
    y.columns = pd.Index([name], dtype=object)
    summary = make_tiny(epochs=1, classes=[[f"{name}", "b"]]).fit(X, y).summary()
    rows = read_html(summary)
    assert shown in [row[0] for row in rows]
    assert any(line.startswith(f"{shown} ") for line in str(summary).splitlines())


def test_many_classes_are_abbreviated():
    y = pd.Series(np.arange(N_ROWS) % 12, name="y")
    assert "12: 0, 1, 2 and 9 more" in str(make_tiny(epochs=1).fit(X, y).summary())


@pytest.mark.parametrize(("n_labelled", "shown"), [(1, "<1%"), (299, ">99%"), (150, "50%")])
def test_share_is_never_none_of_some_nor_all_of_less(n_labelled, shown):
    X = np.random.default_rng(0).normal(size=(300, 2))
    y = pd.DataFrame({"a": (X[:, 0] > 0) * 1.0, "b": np.nan})
    y.loc[: n_labelled - 1, "b"] = 1.0
    summary = fit_quietly(make_tiny(epochs=1), X, y).summary()
    assert f" {shown} " in next(x for x in str(summary).splitlines() if x.startswith("b "))


# ------------------------------------------------------------------------------------------------
# scikit-learn's HTML
# ------------------------------------------------------------------------------------------------


PARAMS = {
    "default": {},
    "dicts": {
        "head_hidden_layer_sizes": {"colour": (3,)},
        "task_weighting": {"colour": 2.0},
        "class_weight": {"colour": {"red": 2.0, "blue": 1.0}},
        "classes": {"colour": ["blue", "red"]},
    },
    "objects": {
        "activation": keras.activations.gelu,
        "optimizer": keras.optimizers.SGD(0.1),
        "callbacks": [keras.callbacks.TerminateOnNaN()],
        "random_state": np.random.RandomState(0),
    },
    "classes": {"callbacks": keras.callbacks.TerminateOnNaN, "optimizer": keras.optimizers.SGD},
    "routed": {
        "hidden_layer_sizes": (256,),
        "model": build_trunk,
        "model__width": 2,
        "optimizer__learning_rate": 0.1,
    },
    "markup": {"missing_label": "<none>", "monitor": "colour"},
}
WRAPPED = {
    "alone": lambda clf: clf,
    "pipeline": lambda clf: make_pipeline(
        ColumnTransformer([("scale", StandardScaler(), [0, 1, 2])]), clf
    ),
    "search": lambda clf: GridSearchCV(make_pipeline(StandardScaler(), clf), {}, cv=2),
    "frozen": FrozenEstimator,
}


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("params", PARAMS)
def test_html_of_an_estimator_names_it_and_its_parameters(params, wrap):
    html = WRAPPED[wrap](make_tiny(**PARAMS[params]))._repr_html_()
    assert "MultiTaskClassifier" in html
    assert "<none>" not in html
    assert not [link for link in links_of(html) if "MultiTask" in link or "sk_mtl" in link]


@pytest.mark.slow_except("default-*", "markup-alone")
@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("params", PARAMS)
def test_html_of_a_fitted_estimator_says_so(params, wrap):
    clf = WRAPPED[wrap](make_tiny(**PARAMS[params]))
    if wrap == "frozen":
        clf.estimator.fit(X, Y[["colour"]])
    clf.fit(X, Y[["colour"]])
    html = clf._repr_html_()
    assert "MultiTaskClassifier" in html
    assert "Not fitted" not in html
    assert not [link for link in links_of(html) if "MultiTask" in link or "sk_mtl" in link]


def test_columns_of_known_labels_are_listed_among_the_layers():
    text = str(fit_quietly(make_tiny(known_labels=True), Y=Y[["colour"]]).summary())
    n_classes = Y["colour"].dropna().nunique()
    assert re.search(rf"known_labels +Slice +{n_classes} +0\n", text)


def test_html_of_an_estimator_without_a_network_is_drawn():
    html = fit_quietly(make_tiny(), Y=Y[["constant"]])._repr_html_()
    assert "Not fitted" not in html


def links_of(html):
    return re.findall(r'href="([^"]+)"', html)


@pytest.mark.slow
def test_html_of_a_view_and_of_a_clone_are_drawn(fitted):
    assert "TaskView" in estimator_html_repr(fitted.task_view("colour"))
    assert "Not fitted" in estimator_html_repr(clone(fitted))


def test_notebook_gets_html_and_text(fitted):
    bundle = fitted._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    json.dumps(bundle)
