"""Tests of `to_onnx` for Pipelines: their steps by skl2onnx, joined with the classifier.

Steps compute in float32 in ONNX, and in float64 in scikit-learn; X has values near 1 here.
"""

import json

import numpy as np
import onnx
import pandas as pd
import polars as pl
import pytest
import skl2onnx
from helpers import make_tiny
from onnx_runs import TOLERANCE, assert_same_as, feed_of, open_session
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
)

from sk_mtl import MultiTaskEnsemble, to_onnx

N_ROWS = 100
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(N_ROWS, 3)).astype(np.float32), columns=["u", "v", "w"])
X = FRAME.to_numpy()
MIXED = FRAME.assign(
    rooms=RNG.integers(0, 5, N_ROWS),
    kind=RNG.choice(np.array(["a", "b", "c"], object), N_ROWS),
    new=RNG.random(N_ROWS) < 0.5,
)
MIXED.loc[::5, "u"] = np.nan
Y = pd.DataFrame({"a": RNG.integers(0, 2, N_ROWS), "b": RNG.choice(["S", "M", "L"], N_ROWS)})

NUMBERS = ["u", "v", "w", "rooms"]
numbers = make_pipeline(SimpleImputer(), StandardScaler())
one_hot = OneHotEncoder(handle_unknown="ignore")
dense_one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
unknown_is_minus_one = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)

# A Pipeline: its steps before the classifier, and X.
STEPS = {
    "scaler": ([StandardScaler()], X),
    "scaler of a frame": ([StandardScaler()], FRAME),
    "scaler that returns frames": ([StandardScaler().set_output(transform="pandas")], FRAME),
    "imputer and scaler": ([SimpleImputer(), StandardScaler()], MIXED[["u", "v", "w"]]),
    "imputer of integers": ([SimpleImputer()], MIXED[["rooms"]].assign(x=1)),
    "components of a frame": ([StandardScaler(), PCA(2)], FRAME),
    "components first": ([PCA(2)], FRAME),
    "power of a frame": ([PowerTransformer()], FRAME),
    "quantiles of a frame": ([QuantileTransformer(n_quantiles=10)], FRAME),
    "selection of a frame": ([VarianceThreshold()], FRAME),
    "union": ([FeatureUnion([("scaler", StandardScaler()), ("pca", PCA(2))])], FRAME),
    "nested transformers": ([make_pipeline(make_pipeline(MinMaxScaler()), PCA(2))], FRAME),
    "passthrough alone": (["passthrough"], FRAME),
    "passthrough first": (["passthrough", StandardScaler()], FRAME),
    "passthrough last": ([StandardScaler(), "passthrough"], FRAME),
    "None between": ([StandardScaler(), None, MinMaxScaler()], FRAME),
    "identity": ([FunctionTransformer()], FRAME),
    "mixed": (
        [
            make_column_transformer(
                (numbers, NUMBERS), (one_hot, ["kind"]), ("passthrough", ["new"])
            )
        ],
        MIXED,
    ),
    "mixed by dtype": (
        [
            make_column_transformer(
                (numbers, make_column_selector(dtype_include="number")),
                (one_hot, make_column_selector(dtype_exclude=["number", "bool"])),
            )
        ],
        MIXED,
    ),
    "mixed that returns frames": (
        [
            make_column_transformer(
                (numbers, NUMBERS), (dense_one_hot, ["kind"]), verbose_feature_names_out=False
            ).set_output(transform="pandas")
        ],
        MIXED,
    ),
    "columns are dropped": ([make_column_transformer((StandardScaler(), ["w", "v"]))], MIXED),
    "the rest passes": (
        [make_column_transformer((one_hot, ["kind"]), remainder="passthrough")],
        MIXED,
    ),
    "only integers": ([make_column_transformer(("passthrough", ["rooms"]))], MIXED),
    "only booleans": ([make_column_transformer(("passthrough", ["new"]))], MIXED),
    "ordinal": ([make_column_transformer((OrdinalEncoder(), ["kind"]), ("drop", ["u"]))], MIXED),
    "ordinal and numbers": (
        [make_column_transformer((unknown_is_minus_one, ["kind"]), ("passthrough", ["v", "w"]))],
        MIXED,
    ),
    "ordinal as integers": ([OrdinalEncoder(dtype=np.int64)], MIXED[["kind"]]),
    "one-hot": ([OneHotEncoder()], MIXED[["kind"]]),
    "one-hot of an array": ([OneHotEncoder()], MIXED[["kind"]].to_numpy()),
    "one-hot of a categorical column": (
        [make_column_transformer((OneHotEncoder(), ["kind", "rooms"]), ("passthrough", ["v"]))],
        MIXED.astype({"kind": "category", "rooms": "category"}),
    ),
}


# skl2onnx 1.18 does not convert them with NumPy 2, or not at all.
NEWER = {"power of a frame", "quantiles of a frame"}
is_old = tuple(map(int, skl2onnx.__version__.split(".")[:2])) < (1, 19)
newer = pytest.mark.skipif(is_old, reason="skl2onnx < 1.19")


# scikit-learn 1.6 announces what 1.7 has changed.
@pytest.mark.slow_except(
    "one-hot",
    "mixed",
    "imputer of integers",
    "union",
    "quantiles of a frame",
    "scaler*",
    "ordinal*",
    "mixed that*",
    "identity",
    "imputer and scaler",
    "None between",
    "one-hot of an array",
    "power of a frame",
    "nested transformers",
    "columns are dropped",
    "passthrough first",
)
@pytest.mark.filterwarnings(r"ignore:\s*The format of the columns of the 'remainder':FutureWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[newer] * (name in NEWER)) for name in STEPS]
)
def test_pipeline_gives_its_probabilities_and_labels(name):
    steps, features = STEPS[name]
    pipeline = make_pipeline(*steps, make_tiny()).fit(features, Y)
    assert_same_as(pipeline, features, X=features[:20])


def test_a_pipeline_has_the_inputs_of_its_frame():
    steps, _ = STEPS["mixed"]
    pipeline = make_pipeline(*steps, make_tiny()).fit(MIXED, Y)
    model = to_onnx(pipeline, X=MIXED[:5], labels=True)
    found = open_session(model)
    assert [(i.name, i.type, i.shape[1]) for i in found.get_inputs()] == [
        ("u", "tensor(float)", 1),
        ("v", "tensor(float)", 1),
        ("w", "tensor(float)", 1),
        ("rooms", "tensor(int64)", 1),
        ("kind", "tensor(string)", 1),
        ("new", "tensor(bool)", 1),
    ]
    outputs = [o.name for o in found.get_outputs()]
    assert outputs == ["probabilities_a", "label_a", "probabilities_b", "label_b"]
    meta = found.get_modelmeta().custom_metadata_map
    features = {f["name"]: f["kind"] for f in json.loads(meta["sk_mtl.features"])}
    assert list(features) == list(MIXED)
    assert features["u"] == "number"
    assert [t["classes"] for t in json.loads(meta["sk_mtl.tasks"])] == [[0, 1], ["L", "M", "S"]]


def test_a_pipeline_has_the_versions_of_a_classifier():
    pipeline = make_pipeline(StandardScaler(), make_tiny()).fit(FRAME, Y)
    model = to_onnx(pipeline, X=FRAME)
    assert sorted((o.domain, o.version) for o in model.opset_import) == [
        ("", 17),
        ("ai.onnx.ml", 3),
    ]
    assert model.ir_version == 8
    assert model.producer_name == "sk_mtl"


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
def test_any_number_of_rows(n_rows):
    steps, _ = STEPS["mixed"]
    pipeline = make_pipeline(*steps, make_tiny()).fit(MIXED, Y)
    found = open_session(to_onnx(pipeline, X=MIXED))
    rows = MIXED.iloc[np.arange(n_rows) % N_ROWS]
    (p,) = found.run(["probabilities_b"], feed_of(found, rows))
    expected = pipeline.predict_proba(rows)["b"] if n_rows else np.empty((0, 3))
    np.testing.assert_allclose(p, expected, rtol=0, atol=TOLERANCE)


def test_unknown_text_goes_as_the_encoder_has_it():
    steps, _ = STEPS["mixed"]
    pipeline = make_pipeline(*steps, make_tiny()).fit(MIXED, Y)
    rows = MIXED.assign(kind="unknown")
    assert_same_as(pipeline, rows, X=MIXED)


@pytest.mark.parametrize("form", ["polars", "list"])
def test_rows_of_other_forms(form):
    rows = {"polars": pl.from_pandas(FRAME), "list": X.tolist()}[form]
    pipeline = make_pipeline(StandardScaler(), make_tiny()).fit(rows, Y)
    found = open_session(to_onnx(pipeline, X=rows[:5]))
    names = [given.name for given in found.get_inputs()]
    assert names == (["u", "v", "w"] if form == "polars" else ["X"])
    (p,) = found.run(["probabilities_a"], feed_of(found, FRAME if form == "polars" else X))
    np.testing.assert_allclose(p, pipeline.predict_proba(rows)["a"], rtol=0, atol=TOLERANCE)


def test_columns_may_have_strange_names():
    names = ["marital status/x", "steps_variable", "constant_1"]
    rows = FRAME.set_axis(names, axis=1)
    pipeline = make_pipeline(StandardScaler(), make_tiny()).fit(rows, Y)
    assert [i.name for i in to_onnx(pipeline, X=rows).graph.input] == names
    assert_same_as(pipeline, rows, X=rows)


@pytest.mark.parametrize("name", ["probabilities_a", "known_labels", ""])
def test_columns_with_names_of_outputs_are_refused(name):
    rows = FRAME.rename(columns={"v": name})
    pipeline = make_pipeline(StandardScaler(), make_tiny(known_labels=True)).fit(rows, Y)
    with pytest.raises(ValueError, match=rf"{name or 'name'}.*[Rr]?[Nn]ame.* before fit"):
        to_onnx(pipeline, X=rows, known_labels=True)


def test_known_labels_are_an_input_beside_those_of_the_steps():
    pipeline = make_pipeline(StandardScaler(), make_tiny(known_labels=True)).fit(FRAME, Y)
    found = open_session(to_onnx(pipeline, X=FRAME, known_labels=True))
    codes = np.column_stack([Y["a"], pd.Categorical(Y["b"]).codes]).astype(np.int64)
    codes[::2, 0], codes[::3, 1] = -1, -1
    table = Y.astype(object).mask(codes < 0)
    feed = feed_of(found, FRAME, codes)
    expected = pipeline[-1].complete_proba(pipeline[:-1].transform(FRAME), table)
    for task, p in zip("ab", found.run(None, feed), strict=True):
        np.testing.assert_allclose(p, expected[task], rtol=0, atol=TOLERANCE)


def test_the_last_step_may_be_an_ensemble():
    ensemble = MultiTaskEnsemble(make_tiny(epochs=1), n_candidates=1, cv=2, random_state=0)
    pipeline = make_pipeline(StandardScaler(), ensemble).fit(FRAME, Y)
    assert_same_as(pipeline, FRAME, X=FRAME)


def test_pipelines_and_searches_inside_one_another():
    scaler, pca = StandardScaler(), PCA(2)
    grid = {"epochs": [1]}
    for model in (
        make_pipeline(scaler, make_pipeline(pca, make_tiny())),
        make_pipeline(make_pipeline(scaler, make_tiny())),
        make_pipeline(scaler, GridSearchCV(make_tiny(), grid, cv=2)),
        GridSearchCV(make_pipeline(scaler, make_tiny()), {"steps": [None]}, cv=2).set_params(
            param_grid={"multitaskclassifier__epochs": [1]}
        ),
        Pipeline([("a", scaler), ("b", Pipeline([("a", pca), ("b", make_tiny())]))]),
    ):
        assert_same_as(model.fit(FRAME, Y), FRAME, X=FRAME)


# ------------------------------------------------------------------------------------------------
# Errors
# ------------------------------------------------------------------------------------------------


def test_rows_are_needed_for_steps_and_not_without_them():
    pipeline = make_pipeline(StandardScaler(), make_tiny()).fit(FRAME, Y)
    with pytest.raises(ValueError, match=r"needs a few rows of X for a Pipeline.*X=X\[:5\]"):
        to_onnx(pipeline)
    to_onnx(make_pipeline("passthrough", make_tiny()).fit(FRAME, Y))


@pytest.mark.slow_except("function")
@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (FunctionTransformer(np.sign), "FunctionTransformer"),
        (SplineTransformer(), "SplineTransformer"),
        (make_column_transformer((SplineTransformer(), ["u"])), "ColumnTransformer"),
    ],
    ids=["function", "splines", "inside a ColumnTransformer"],
)
def test_a_step_that_skl2onnx_does_not_know_is_named(step, kind):
    steps = [("first", StandardScaler().set_output(transform="pandas")), ("odd", step)]
    pipeline = Pipeline([*steps, ("last", make_tiny())]).fit(FRAME, Y)
    with pytest.raises(ValueError, match=rf"cannot convert step 'odd' \({kind}\): .*\. Export the"):
        to_onnx(pipeline, X=FRAME)


def test_steps_that_skl2onnx_converts_to_something_else_are_refused():
    # skl2onnx (1.20) leaves out the columns that `add_indicator` adds.
    pipeline = make_pipeline(SimpleImputer(add_indicator=True), make_tiny())
    rows = MIXED[["u", "v"]]
    with pytest.raises(ValueError, match="other numbers than they do, for the rows of X"):
        to_onnx(pipeline.fit(rows, Y), X=rows)


@pytest.mark.parametrize("columns", [["w", "u", "v"], ["u", "v"], ["u", "v", "x"]])
def test_rows_with_other_columns_than_in_training_are_refused(columns):
    pipeline = make_pipeline(StandardScaler(), make_tiny()).fit(FRAME, Y)
    rows = FRAME.rename(columns={"w": "x"})[columns] if "x" in columns else FRAME[columns]
    with pytest.raises(ValueError, match="feature names should match"):
        to_onnx(pipeline, X=rows)


@pytest.mark.parametrize("inputs", ["columns", "matrix"])
def test_inputs_of_a_pipeline_are_those_of_its_steps(inputs):
    pipeline = make_pipeline(StandardScaler(), make_tiny()).fit(FRAME, Y)
    with pytest.raises(ValueError, match=r"inputs must be .*Pipeline"):
        to_onnx(pipeline, X=FRAME, inputs=inputs)


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.onnx"
    pipeline = make_pipeline(StandardScaler(), make_tiny()).fit(FRAME, Y)
    to_onnx(pipeline, path, X=FRAME)
    before = path.read_bytes()
    odd = make_pipeline(FunctionTransformer(np.sign), make_tiny()).fit(FRAME, Y)
    with pytest.raises(ValueError, match="functiontransformer"):
        to_onnx(odd, path, X=FRAME)
    assert path.read_bytes() == before
    onnx.checker.check_model(onnx.load(path), full_check=True)


def test_a_pipeline_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        to_onnx(make_pipeline(StandardScaler(), make_tiny()), X=FRAME)


def test_a_pipeline_of_another_estimator_is_refused():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, Y["a"])
    with pytest.raises(TypeError, match="Got LogisticRegression"):
        to_onnx(pipeline, X=FRAME)
