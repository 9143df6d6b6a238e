"""How alike tasks are: by their labels, by their heads' logits, by the gradients of their losses.

Owns the numbers; `_task_similarity` draws them. TensorFlow is imported for gradients only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform
from scipy.special import expit, softmax

_BATCH_ROWS = 4096
# Numbers in the gradients of a batch, which bounds the memory.
_BATCH_SIZE = 2**24


def count_pairs(label_mask: np.ndarray) -> np.ndarray:
    """Count the rows that have the labels of both tasks."""
    mask = label_mask.astype(np.float64)  # a matrix product that BLAS knows
    return np.rint(mask.T @ mask).astype(np.int64)


def associate_labels(
    codes: np.ndarray, label_mask: np.ndarray, n_classes: Sequence[int], *, signed: bool
) -> np.ndarray:
    """Return the association of the labels of each two tasks over the rows that have both."""
    ends = np.cumsum([0, *n_classes])
    joint = np.zeros((ends[-1], ends[-1]))
    for start in range(0, len(codes), _BATCH_ROWS):
        some = slice(start, start + _BATCH_ROWS)
        rows, tasks = np.nonzero(label_mask[some])
        one_hot = np.zeros((len(codes[some]), ends[-1]), dtype=np.float32)
        one_hot[rows, ends[tasks] + codes[some][rows, tasks]] = 1
        joint += one_hot.T @ one_hot  # counts up to the batch's rows are exact in float32
    n_tasks = len(n_classes)
    association = np.full((n_tasks, n_tasks), np.nan)
    measure = _phi if signed else _cramers_v
    for a in range(n_tasks):
        for b in range(a, n_tasks):
            table = joint[ends[a] : ends[a + 1], ends[b] : ends[b + 1]]
            association[a, b] = association[b, a] = measure(table)
    return association


def _phi(table: np.ndarray) -> float:
    """Return phi, Pearson's correlation of two binary tasks, of their table of counts."""
    if table.shape != (2, 2):
        return np.nan
    margins = table.sum(axis=0).prod() * table.sum(axis=1).prod()
    if margins == 0:
        return np.nan
    return float((table[0, 0] * table[1, 1] - table[0, 1] * table[1, 0]) / np.sqrt(margins))


def _cramers_v(table: np.ndarray) -> float:
    """Return Cramér's V with the correction of Bergsma (2013), equations 4 to 6."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n, (n_rows, n_columns) = table.sum(), table.shape
    if n_rows < 2 or n_columns < 2 or n < 2:
        return np.nan
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    phi2 = ((table - expected) ** 2 / expected).sum() / n
    corrected = max(0.0, phi2 - (n_rows - 1) * (n_columns - 1) / (n - 1))
    r = n_rows - (n_rows - 1) ** 2 / (n - 1)
    c = n_columns - (n_columns - 1) ** 2 / (n - 1)
    least = min(r, c) - 1
    return float(np.sqrt(min(corrected / least, 1.0))) if least > 0 else np.nan


def align_logits(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Return the linear CKA of the logits of each two tasks, over all rows."""
    logits = [_centred_logits(p) for p in probabilities]
    n_tasks = len(logits)
    norms = [np.linalg.norm(z.T @ z) if z is not None else 0.0 for z in logits]
    cka = np.full((n_tasks, n_tasks), np.nan)
    for a in range(n_tasks):
        for b in range(a, n_tasks):
            if norms[a] > 0 and norms[b] > 0:
                cross = np.linalg.norm(logits[a].T @ logits[b]) ** 2  # type: ignore[union-attr]
                cka[a, b] = cka[b, a] = min(cross / (norms[a] * norms[b]), 1.0)
    return cka


def _centred_logits(probabilities: np.ndarray) -> np.ndarray | None:
    """Return log-probabilities without what softmax does not see, and without their means."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape[1] < 2 or np.isnan(p).any():
        return None
    logits = np.log(np.maximum(p, np.finfo(np.float32).tiny))
    logits -= logits.mean(axis=1, keepdims=True)
    return logits - logits.mean(axis=0)


def compare_gradients(
    model: Any,
    X: Any,
    codes: np.ndarray,
    cell_weight: np.ndarray,
    n_outputs: Sequence[int],
) -> np.ndarray:
    """Return the cosine of the gradients of each two tasks' losses by what their heads read."""
    import keras
    import tensorflow as tf

    shared = next(layer for layer in model.layers if layer.name.startswith("heads_")).input
    trunk, heads = keras.Model(model.input, shared), keras.Model(shared, model.output)
    n_tasks = len(n_outputs)
    products, norms = np.zeros((n_tasks, n_tasks)), np.zeros((n_tasks, n_tasks))
    n_rows = min(_BATCH_ROWS, max(1, _BATCH_SIZE // (n_tasks * shared.shape[-1])))
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
        # A row without one of the labels adds nothing here, and must add nothing to the norm.
        products += flat @ flat.T
        norms += np.square(gradients).sum(axis=2) @ (cell_weight[some] > 0)
    scale = np.sqrt(norms * norms.T)
    return np.divide(products, scale, out=np.full_like(products, np.nan), where=scale > 0)


def _errors_of_logits(
    logits: np.ndarray, codes: np.ndarray, weight: np.ndarray, n_outputs: Sequence[int]
) -> list[np.ndarray]:
    """Return the gradient of each task's summed cross-entropy by all logits."""
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


def order_by_likeness(similarity: np.ndarray) -> list[int]:
    """Return an order of the tasks in which those that are alike stand together."""
    if len(similarity) < 3:
        return list(range(len(similarity)))
    distance = 1 - np.nan_to_num(similarity)
    distance = np.maximum((distance + distance.T) / 2, 0)
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, "average"), condensed)
    return leaves_list(tree).tolist()
