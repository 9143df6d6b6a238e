"""Similarity of tasks by the gradients of their losses; imports TensorFlow when it is computed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, softmax
from sklearn.utils import check_consistent_length

from sk_mtl._data.labels import LabelTable
from sk_mtl._data.sample_weight import read_cell_weight
from sk_mtl._data.schema import EncodedTargets, TargetSchema
from sk_mtl._model.spec import NetworkSpec
from sk_mtl.plotting._learners import enter_learner
from sk_mtl.plotting._similarity import BATCH_ROWS, check_two_tasks, count_pairs

# Numbers in the gradients of a batch, which limits the memory.
_BATCH_SIZE = 2**24


class _Rows(NamedTuple):
    """Rows for a fitted network: what it reads, and the cells of its learned tasks."""

    spec: NetworkSpec
    X: Any
    codes: np.ndarray  # (n_rows, n_learned)
    weight: np.ndarray  # the same shape, 0 where a label is missing or unknown
    learned: np.ndarray  # the positions of the learned tasks


def compare_heads(
    estimator: Any, X: Any, table: LabelTable, sample_weight: Any
) -> tuple[list[Hashable], np.ndarray, np.ndarray]:
    """Return the tasks, the cosines of their loss gradients, and their numbers of common rows."""
    learner, X = enter_learner(estimator, X)
    names, counts, rows = _read(learner, X, table, sample_weight)
    similarity = np.full((len(names), len(names)), np.nan)
    if rows is not None:
        if learner.model_.name == "multitask_networks":
            raise ValueError(
                "measure='gradients' needs layers that all tasks share, but with "
                "restore_best='per_task' each task has its own weights. Use measure='logits', or "
                "fit with restore_best='common'."
            )
        _require_shared(rows.spec, "measure='gradients'", "use measure='logits', or ")
        similarity[np.ix_(rows.learned, rows.learned)] = _compare_gradients(
            *_split(learner.model_), rows
        )
    return names, similarity, counts


def compare_heads_by_epoch(
    estimator: Any,
    X: Any,
    table: LabelTable,
    sample_weight: Any,
    networks: Sequence[Sequence[np.ndarray]],
) -> tuple[list[Hashable], np.ndarray, np.ndarray]:
    """Return what `compare_heads` does, with the cosines for each of several weights."""
    learner, X = enter_learner(estimator, X)
    names, counts, rows = _read(learner, X, table, sample_weight)
    similarity = np.full((len(networks), len(names), len(names)), np.nan)
    if rows is not None:
        from sk_mtl._model.build import build_network, network_variables

        _require_shared(rows.spec, "GradientCosinesDisplay")
        model = build_network(rows.spec)
        variables = network_variables(model)
        shapes, parts = [tuple(v.shape) for v in variables], _split(model)
        for cosines, values in zip(similarity, networks, strict=True):
            if [value.shape for value in values] != shapes:
                raise ValueError(
                    "The weights that EpochWeights has kept must be those of the estimator's "
                    "network, but have other shapes: another estimator was trained with the same "
                    "EpochWeights since. Use one for each estimator."
                )
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            cosines[np.ix_(rows.learned, rows.learned)] = _compare_gradients(*parts, rows)
    return names, similarity, counts


def _read(
    learner: Any, X: Any, table: LabelTable, sample_weight: Any
) -> tuple[list[Hashable], np.ndarray, _Rows | None]:
    """Return the tasks, their numbers of common rows, and the rows, None if no task is learned."""
    names = learner.task_names_.tolist()
    check_two_tasks(names)
    fitted, X = learner._checked(X)
    check_consistent_length(X, table.label_mask)
    targets = _encode(learner, table, sample_weight)
    # A label that was not seen in training has no logit and no gradient.
    weight = np.where(targets.codes < 0, 0, targets.cell_weight).astype(np.float64)
    counts = count_pairs(weight > 0)
    learned = np.flatnonzero([n > 1 for n in learner.n_classes_])
    if not len(learned):
        return names, counts, None
    codes = targets.codes[:, learned]
    return names, counts, _Rows(fitted.network.spec, X, codes, weight[:, learned], learned)


def _require_shared(spec: NetworkSpec, what: str, instead: str = "") -> None:
    """Refuse networks without a layer that all heads read."""
    if spec.custom_outputs is not None:
        needed = "the input of the heads, which is unknown in a whole network given by model="
        advice = "pass only the shared layers as model="
    elif spec.sharing != "hard":
        needed = "layers that all tasks share, but each head reads a mixture of its own"
        advice = "fit with sharing='hard'"
    else:
        return
    advice = instead + advice
    raise ValueError(f"{what} needs {needed}. {advice[0].upper()}{advice[1:]}.")


def _encode(learner: Any, table: LabelTable, sample_weight: Any) -> EncodedTargets:
    """Return labels as codes of the estimator's classes, in the order of its tasks."""
    names = tuple(learner.task_names_.tolist())
    schema = TargetSchema(names, tuple(learner.classes_), table.form)
    if names != tuple(f"y{t}" for t in range(len(names))) or table.n_tasks != len(names):
        table = schema.align(table)
    return schema.encode(table, read_cell_weight(sample_weight, table), unknown="keep")


def _split(model: Any) -> tuple[Any, Any]:
    """Return the layers that all tasks share, and the heads, as two models."""
    import keras

    shared = next(layer for layer in model.layers if layer.name.startswith("heads_")).input
    return keras.Model(model.input, shared), keras.Model(shared, model.output)


def _compare_gradients(trunk: Any, heads: Any, rows: _Rows) -> np.ndarray:
    """Return the cosine (n_tasks, n_tasks) of loss gradients by the input of the heads."""
    import tensorflow as tf

    X, codes, cell_weight, n_outputs = rows.X, rows.codes, rows.weight, rows.spec.n_outputs
    n_tasks = len(n_outputs)
    products, norms = np.zeros((n_tasks, n_tasks)), np.zeros((n_tasks, n_tasks))
    n_rows = min(BATCH_ROWS, max(1, _BATCH_SIZE // (n_tasks * heads.input.shape[-1])))
    for start in range(0, len(codes), n_rows):
        some = slice(start, start + n_rows)
        dense = X[some].toarray() if sp.issparse(X) else X[some]
        # Where a row's other labels are inputs, zeros say that none is known.
        dense = np.pad(dense, ((0, 0), (0, rows.spec.n_inputs - dense.shape[1])))
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
