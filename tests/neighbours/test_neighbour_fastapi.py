"""The page about FastAPI runs, and what it promises holds."""

import numpy as np
import pandas as pd
import pytest

PAGE = "fastapi"
pytestmark = pytest.mark.neighbours


def make_rows(X):
    """Return rows as a client sends them: null where a cell is missing."""
    return X.astype(object).where(X.notna(), None).to_dict("records")


def test_answers_are_the_probabilities_by_task(page):
    X = page.X[:20].astype({"age": float})
    X.loc[::3, "age"] = np.nan
    X.loc[::4, "hisp_origin"] = None

    answer = page.client.post("/predict", json=make_rows(X)).json()

    expected = page.clf.predict_proba_frame(X)
    assert list(answer) == list(page.clf.task_names_)
    for task, rows in answer.items():
        found = pd.DataFrame(rows)
        assert list(found) == [str(label) for label in expected[task].columns]
        np.testing.assert_allclose(found, expected[task], rtol=0, atol=1e-7)


@pytest.mark.parametrize("missing", ["age", "weeks_worked", "sex", "hisp_origin"])
def test_null_in_the_only_row_is_a_missing_cell(page, missing):
    row = page.row | {"age": 40, missing: None}

    response = page.client.post("/predict", json=[row])

    assert response.status_code == 200


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"age": 40}],
        [{"age": "old", "weeks_worked": 1, "sex": "Male", "hisp_origin": None}],
        [{"age": 40, "weeks_worked": 1, "sex": 1, "hisp_origin": None}],
    ],
    ids=["no rows", "keys are missing", "text for a number", "a number for text"],
)
def test_other_rows_are_refused(page, rows):
    assert page.client.post("/predict", json=rows).status_code == 422


def test_infinity_is_refused(page):
    text = '[{"age": Infinity, "weeks_worked": 1, "sex": "Male", "hisp_origin": null}]'

    response = page.client.post("/predict", content=text)

    assert response.status_code == 422


def test_not_ready_with_a_model_that_predicts_otherwise(page):
    right = np.load("known_probabilities.npy")
    np.save("known_probabilities.npy", right[::-1])
    try:
        assert page.client.get("/ready").status_code == 503
    finally:
        np.save("known_probabilities.npy", right)
    assert page.client.get("/ready").json() == "ready"


def test_unseen_category_counts_as_missing(page):
    unseen, missing = (
        page.client.post("/predict", json=[page.row | {"sex": sex}]).json()
        for sex in ("not in training", None)
    )

    assert unseen == missing
