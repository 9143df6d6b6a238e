"""The page about MLflow runs, and what it promises holds."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mtl import MultiTaskClassifier
from sk_mtl.model_selection import MultiTaskSearchCV

PAGE = "mlflow"
pytestmark = [
    pytest.mark.neighbours,
    # MLflow (3.17.2) loads its tables in a way that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    # It reads type hints of its own with a function that warns of some of them.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    # It would like rows beside the schema.
    pytest.mark.filterwarnings("ignore:.*An input example was not provided:UserWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def autolog_off_at_the_end(page):
    yield
    page.mlflow.sklearn.autolog(disable=True)


def make_search(clf):
    return MultiTaskSearchCV(clf, {"epochs": [1, 2]}, cv=2)


def test_logged_pipeline_predicts_the_same_bits(page):
    loaded = page.mlflow.sklearn.load_model(page.saved_pipeline.model_uri)

    for found, expected in zip(
        loaded.predict_proba(page.X), page.model.predict_proba(page.X), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_pyfunc_of_the_pipeline_predicts_labels(page):
    loaded = page.mlflow.pyfunc.load_model(page.saved_pipeline.model_uri)

    assert loaded.predict(page.X).equals(page.model.predict(page.X))


def test_autolog_wrote_parameters_and_score_of_the_pipeline(page):
    run = page.mlflow.get_run(page.saved_pipeline.run_id)

    assert run.data.params["multitaskclassifier__hidden_layer_sizes"] == "(16,)"
    score = run.data.metrics["training_score"]
    assert score == pytest.approx(page.model.score(page.X, page.Y))


@pytest.mark.parametrize("make", [clone, make_search], ids=["classifier", "MultiTaskSearchCV"])
def test_autolog_writes_nothing_without_a_class_of_scikit_learn(page, make):
    with page.mlflow.start_run() as run:
        make(page.clf).fit(page.X, page.Y)

    data = page.mlflow.get_run(run.info.run_id).data
    assert (data.params, data.metrics) == ({}, {})


def test_autolog_takes_a_fold_of_multitasksearchcv_for_the_pipeline(page):
    pipeline = make_pipeline(StandardScaler(), MultiTaskClassifier((4,), random_state=0))
    search = MultiTaskSearchCV(pipeline, {"multitaskclassifier__epochs": [1, 2]}, cv=2)
    with page.mlflow.start_run() as run:
        search.fit(page.X[["age"]], page.Y)

    logged = page.mlflow.get_run(run.info.run_id).data.params
    assert "standardscaler__with_mean" in logged
    assert not [name for name in logged if name.startswith("best_")]


@pytest.mark.parametrize("method", ["predict", "predict_proba_frame"])
def test_pyfunc_of_the_class_predicts_from_x_alone(page, method):
    expected = getattr(page.clf, method)(page.X)

    assert page.loaded.predict(page.rows, params={"method": method}).equals(expected)


@pytest.mark.parametrize("method", ["complete", "complete_proba_frame"])
def test_pyfunc_of_the_class_completes_rows(page, method):
    known = page.rows[list(page.clf.task_names_)]
    expected = getattr(page.clf, method)(page.X, known)

    assert page.loaded.predict(page.rows, params={"method": method}).equals(expected)


def test_pyfunc_of_the_class_predicts_labels_by_default(page):
    assert page.loaded.predict(page.rows).equals(page.clf.predict(page.X))


def test_completed_rows_keep_their_known_labels(page):
    completed = page.loaded.predict(page.rows, params={"method": "complete"})
    known = page.rows[list(completed)].notna()

    assert completed.notna().all(axis=None)
    assert (completed[known] == page.rows[list(completed)][known]).sum().sum() == known.sum().sum()


def test_schema_rejects_the_categories_it_was_made_from(page):
    categories = page.X.astype({"sex": "category"})
    signature = page.infer_signature(categories, page.model.predict(page.X))
    with page.mlflow.start_run():
        saved = page.mlflow.sklearn.log_model(
            page.model,
            name="categories",
            signature=signature,
            skops_trusted_types=list(page.SKOPS_TYPES),
            **page.needs,
        )

    with pytest.raises(page.mlflow.MlflowException, match="sex"):
        page.mlflow.pyfunc.load_model(saved.model_uri).predict(categories)
