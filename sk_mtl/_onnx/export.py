"""`to_onnx`: a fitted estimator as an ONNX file. Imports onnx when it is called."""

from __future__ import annotations

import os
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._codec.files import replace_file
from sk_mtl._ensemble.estimator import MultiTaskEnsemble
from sk_mtl._quoting import quote
from sk_mtl._wrappers import unwrap

__all__ = ["to_onnx"]


def to_onnx(
    estimator: Any,
    path: Any = None,
    *,
    X: Any = None,
    labels: bool = False,
    inputs: str = "auto",
    known_labels: bool = False,
) -> Any:
    """Write a fitted estimator as an ONNX model.

    The model takes the features as they are, reads categories, standardises, and gives the class
    probabilities of each task, as `predict_proba` does. It is written from the network's own
    description: TensorFlow is not needed, neither here nor where the model runs.

    Parameters
    ----------
    estimator : MultiTaskClassifier, MultiTaskEnsemble, Pipeline or search
        A fitted estimator; of a search, its best one. The steps of a Pipeline before the classifier
        are converted by skl2onnx.
    path : path-like, default=None
        Where to write the model; None writes nothing. An existing file is replaced in one step.
    X : DataFrame or array-like of shape (n_samples, n_features), default=None
        A few rows, for a Pipeline: the steps take inputs of the types of these columns. Not used
        for a classifier alone.
    labels : bool, default=False
        Whether to add the predicted labels, as `predict` gives them.
    inputs : {"auto", "columns", "matrix"}, default="auto"
        "columns" has an input for each feature, of shape (n, 1) and of the name that it had in
        training, or "x0", "x1" and so on: float32 for a number; text, int64 or double for a
        categorical feature, by its categories. "matrix" has one input "X" of shape
        (n, n_features), float32. "auto" takes columns if the classifier was fitted to a DataFrame
        or has categorical features. Not for a Pipeline, whose steps decide.
    known_labels : bool, default=False
        Whether to add an input "known_labels", int64 of shape (n, n_tasks), for a classifier that
        was fitted with ``known_labels``: class indices, -1 where a label is not known, and -2 where
        it is not to count as missing either. A known label has probability 1, as in
        `complete_proba`.

    Returns
    -------
    model : onnx.ModelProto
        Outputs "probabilities_<task>", float32 of shape (n, n_classes_t), and "label_<task>" of
        shape (n,); "probabilities" and "label" for a 1-D y. A task without labels in training has
        no output. The metadata "sk_mtl.tasks" lists tasks and classes, as JSON, "sk_mtl.features"
        the features in their order with a value that stands for a missing category, and
        "sk_mtl.version" the version of this package.

    Raises
    ------
    ImportError
        If onnx is not installed, or skl2onnx for a Pipeline: ``pip install "sk_mtl[onnx]"``.
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is something else.
    ValueError
        If it cannot be written: a network with a custom `model`, a step that skl2onnx does not
        know, categories or labels that are neither text nor numbers. The message names it.

    Notes
    -----
    In an input of text or integers, any value that is no category of the training rows counts as
    missing, the empty text for instance; in one of numbers, NaN. The model has the operator sets
    ai.onnx 17 and ai.onnx.ml 3 [1]_.

    References
    ----------
    .. [1] Open Neural Network Exchange: operators, https://onnx.ai/onnx/operators/.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier, to_onnx
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=80, as_frame=True, random_state=0)
    >>> clf = MultiTaskClassifier((8,), epochs=2, random_state=0).fit(X, Y)
    >>> model = to_onnx(clf)
    >>> [output.name for output in model.graph.output]
    ['probabilities_y0', 'probabilities_y1', 'probabilities_y2']
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be that of a file. Got {type(path).__name__}. Pass rows as X=.")
    if inputs not in ("auto", "columns", "matrix"):
        raise ValueError(f'inputs must be "auto", "columns" or "matrix". Got {quote(inputs)}.')
    steps, estimator = _open_pipeline(estimator)
    if steps and inputs != "auto":
        raise ValueError(
            f'inputs must be "auto" for a Pipeline: its steps take the columns of X, if X is a '
            f"DataFrame, or a matrix. Got {quote(inputs)}."
        )
    networks = _networks_of(estimator)
    try:
        from sk_mtl._onnx.model import Choices, make_model
    except ImportError as error:
        raise ImportError('to_onnx needs onnx: pip install "sk_mtl[onnx]".') from error
    names = getattr(estimator, "feature_names_in_", None)
    has_categories = any(fitted.encoder.categories is not None for _, fitted in networks)
    is_matrix = inputs == "matrix" or (inputs == "auto" and names is None and not has_categories)
    matrix = "X" if is_matrix else None
    if steps:
        matrix = "network/X"  # what the steps give
    choices = Choices(labels, matrix, known_labels)
    model = make_model(networks, estimator.n_features_in_, names, choices)
    if steps:
        from sk_mtl._onnx.pipeline import convert_steps, join_models

        if X is None:
            raise ValueError(
                "to_onnx needs a few rows of X for a Pipeline, whose steps take inputs of the "
                "types of its columns: to_onnx(pipeline, path, X=X[:5])."
            )
        model = join_models(convert_steps(Pipeline(steps), X), model)
    if path is not None:
        replace_file(str(os.fspath(path)), model.SerializeToString())
    return model


def _open_pipeline(estimator: Any) -> tuple[list[tuple[str, Any]], Any]:
    """Return the steps before the classifier that transform, by name, and the classifier."""
    steps: list[tuple[str, Any]] = []
    path = ""
    while not isinstance(estimator, (MultiTaskClassifier, MultiTaskEnsemble)):
        if (inner := unwrap(estimator)) is None:
            if hasattr(estimator, "cv") and getattr(estimator, "refit", True):
                check_is_fitted(estimator)
            raise TypeError(
                "to_onnx takes a MultiTaskClassifier, a MultiTaskEnsemble, or a Pipeline or "
                f"refitted search of one. Got {type(estimator).__name__}."
            )
        if hasattr(estimator, "steps") and not hasattr(estimator, "best_estimator_"):
            check_is_fitted(estimator)
            *before, (name, _) = estimator.steps
            steps += [(path + n, s) for n, s in before if s not in (None, "passthrough")]
            path += f"{name}: "
        estimator = inner
    estimator = estimator._snapshot()
    check_is_fitted(estimator)
    return steps, estimator


def _networks_of(estimator: Any) -> list[tuple[float, Any]]:
    """Return the fitted models that an estimator predicts with, and their weights."""
    if isinstance(estimator, MultiTaskClassifier):
        return [(1.0, estimator._fitted)]
    members = zip(estimator.estimator_weights_, estimator.estimators_, strict=True)
    return [(float(weight), member._fitted) for weight, member in members]


# The public path, for documentation; doctest skips objects of another module.
to_onnx.__module__ = "sk_mtl"
__test__ = {"to_onnx": to_onnx}
