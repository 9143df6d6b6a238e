"""The page about SHAP runs, and what it promises holds."""

import numpy as np
import pytest

PAGE = "shap"
pytestmark = pytest.mark.neighbours


def total(explanation):
    return explanation.values.sum(axis=1) + explanation.base_values


def test_shap_gets_values_with_names_of_features_and_classes(page):
    found = page.explanation.to_shap()

    np.testing.assert_array_equal(found.values, page.explanation.values)
    assert list(found.feature_names) == list(page.X)
    assert list(found[..., 2].feature_names) == list(page.X)
    assert found.shape == (20, 5, 3)


def test_explain_agrees_with_the_exact_explainer_of_shap(page):
    rows, background = page.numbers[50:55], page.numbers[:20]
    exact = page.shap.ExactExplainer(page.clf.task_view("y1").predict_proba, background)(rows)

    found = page.clf.explain(rows, "y1", background=background)

    np.testing.assert_allclose(found.values, exact.values, atol=1e-5)
    np.testing.assert_allclose(found.base_values, exact.base_values, atol=1e-5)


def test_values_of_a_view_add_up_to_its_probabilities(page):
    expected = page.clf.task_view("y1").predict_proba(page.numbers[50:70])

    np.testing.assert_allclose(total(page.of_task), expected, atol=1e-6)


def test_values_of_all_tasks_add_up_to_the_probabilities(page):
    expected = page.clf.predict_proba_frame(page.numbers[50:70])

    np.testing.assert_allclose(total(page.of_all), expected, atol=1e-6)
    assert list(page.of_all.output_names) == ["y0=0", "y0=1", "y1=0", "y1=1", "y1=2"]


def test_explainers_of_shap_fail_on_categories(page):
    clf = page.MultiTaskClassifier((4,), epochs=1, random_state=0).fit(page.X, page.Y)
    explainer = page.shap.Explainer(clf.task_view("y1").predict_proba, page.X[:20])

    with pytest.raises(TypeError, match="unsupported operand"):
        explainer(page.X[20:22])


# shap (0.54.1) calls a model of one input with a list of it, which Keras (3.15) remarks.
@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match:UserWarning")
def test_gradient_explainer_explains_logits(page):
    X = page.numbers.fillna(0).to_numpy(np.float32)

    values = page.shap.GradientExplainer(page.clf.model_, X[:50]).shap_values(X[50:53])

    assert values.shape == (3, 4, 4)  # rows, features, logits: one of two classes, three of three
