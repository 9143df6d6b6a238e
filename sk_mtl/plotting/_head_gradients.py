"""Similarity of tasks by the gradients of their losses; imports TensorFlow when it is computed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, softmax
from sklearn.utils import check_consistent_length

from sk_mtl._data.labels import LabelTable
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._data.schema import EncodedTargets, TargetSchema
from sk_mtl._model.task_layout import TaskLayout
from sk_mtl.plotting._learners import enter_learner
from sk_mtl.plotting._similarity import BATCH_ROWS, check_two_tasks, count_pairs

# Numbers in the gradients of a batch, which limits the memory.
_BATCH_SIZE = 2**24


def compare_heads(
    estimator: Any, X: Any, table: LabelTable, sample_weight: Any
) -> tuple[list[Hashable], np.ndarray, np.ndarray]:
    """Return the tasks, the cosines of their loss gradients, and their numbers of common rows."""
    learner, X = enter_learner(estimator, X)
    names = learner.task_names_.tolist()
    check_two_tasks(names)
    X = learner._checked(X)[1]
    check_consistent_length(X, table.label_mask)
    targets = _encode(learner, table, sample_weight)
    # A label that was not seen in training has no logit and no gradient.
    weight = np.where(targets.codes < 0, 0, targets.cell_weight).astype(np.float64)
    counts = count_pairs(weight > 0)
    similarity = np.full((len(names), len(names)), np.nan)
    learned = np.flatnonzero([n > 1 for n in learner.n_classes_])
    if len(learned):
        if learner.model_.name == "multitask_networks":
            raise ValueError(
                "measure='gradients' needs layers that all tasks share, but with "
                "restore_best='per_task' each task has its own weights. Use measure='logits', or "
                "fit with restore_best='common'."
            )
        if learner.model_.name != "multitask_network":
            raise ValueError(
                "measure='gradients' needs the input of the heads, which is unknown in a whole "
                "network given by model=. Use measure='logits', or pass only the shared layers as "
                "model=."
            )
        if any(layer.name.startswith(("mix_", "stitch_")) for layer in learner.model_.layers):
            raise ValueError(
                "measure='gradients' needs layers that all tasks share, but each head reads a "
                "mixture of its own. Use measure='logits', or fit with sharing='hard'."
            )
        n_outputs = TaskLayout.of_classes(n for n in learner.n_classes_ if n > 1).n_outputs
        similarity[np.ix_(learned, learned)] = _compare_gradients(
            learner.model_, X, targets.codes[:, learned], weight[:, learned], n_outputs
        )
    return names, similarity, counts


def _encode(learner: Any, table: LabelTable, sample_weight: Any) -> EncodedTargets:
    """Return labels as codes of the estimator's classes, in the order of its tasks."""
    names = tuple(learner.task_names_.tolist())
    schema = TargetSchema(names, tuple(learner.classes_), table.form)
    if names != tuple(f"y{t}" for t in range(len(names))) or table.n_tasks != len(names):
        table = schema.align(table)
    return schema.encode(table, read_cell_weight(sample_weight, table), unknown="keep")


def _compare_gradients(
    model: Any,
    X: Any,
    codes: np.ndarray,
    cell_weight: np.ndarray,
    n_outputs: Sequence[int],
) -> np.ndarray:
    """Return the cosine (n_tasks, n_tasks) of loss gradients by the input of the heads."""
    import keras
    import tensorflow as tf

    shared = next(layer for layer in model.layers if layer.name.startswith("heads_")).input
    trunk, heads = keras.Model(model.input, shared), keras.Model(shared, model.output)
    n_tasks = len(n_outputs)
    products, norms = np.zeros((n_tasks, n_tasks)), np.zeros((n_tasks, n_tasks))
    n_rows = min(BATCH_ROWS, max(1, _BATCH_SIZE // (n_tasks * shared.shape[-1])))
    for start in range(0, len(codes), n_rows):
        some = slice(start, start + n_rows)
        dense = X[some].toarray() if sp.issparse(X) else X[some]
        representation = tf.convert_to_tensor(trunk(tf.constant(dense), training=False))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(representation)
            logits = heads(representation, training=False)
        errors = _errors_of_logits(
            np.asarray(logits, dtype=np.float64), codes[some], cell_weight[some], n_outputs
        )
        gradients = np.stack(
            [
                np.asarray(
                    tape.gradient(logits, representation, tf.constant(e, logits.dtype)), np.float64
                ).reshape(len(dense), -1)
                for e in errors
            ]
        )
        del tape
        flat = gradients.reshape(n_tasks, -1)
        # A row without one of the labels adds nothing here and must add nothing to the norm.
        products += flat @ flat.T
        norms += np.square(gradients).sum(axis=2) @ (cell_weight[some] > 0)
    scale = np.sqrt(norms * norms.T)
    return np.divide(products, scale, out=np.full_like(products, np.nan), where=scale > 0)


def _errors_of_logits(
    logits: np.ndarray, codes: np.ndarray, weight: np.ndarray, n_outputs: Sequence[int]
) -> list[np.ndarray]:
    """Return the gradient of each task's summed cross-entropy with respect to all logits."""
    errors, start = [], 0
    for task, width in enumerate(n_outputs):
        columns = slice(start, start + width)
        start += width
        if width == 1:
            wrong = expit(logits[:, columns]) - codes[:, [task]]
        else:
            wrong = softmax(logits[:, columns], axis=1) - np.eye(width)[codes[:, task]]
        error = np.zeros_like(logits)
        error[:, columns] = wrong * weight[:, [task]]
        errors.append(error)
    return errors
