"""Similarity of tasks by their labels or by their logits."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

BATCH_ROWS = 4096


def count_pairs(label_mask: np.ndarray) -> np.ndarray:
    """Return the number of rows (n_tasks, n_tasks) that have the labels of both tasks."""
    mask = label_mask.astype(np.float64)  # a matrix product that BLAS knows
    return np.rint(mask.T @ mask).astype(np.int64)


def associate_labels(
    codes: np.ndarray, label_mask: np.ndarray, n_classes: Sequence[int], *, signed: bool
) -> np.ndarray:
    """Return phi, or Cramér's V without signs, (n_tasks, n_tasks) over rows with both labels."""
    ends = np.cumsum([0, *n_classes])
    joint = np.zeros((ends[-1], ends[-1]))
    for start in range(0, len(codes), BATCH_ROWS):
        some = slice(start, start + BATCH_ROWS)
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
    """Return phi, Pearson's correlation of two binary tasks, from their table of counts."""
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
    """Return the linear CKA (n_tasks, n_tasks) of logits, NaN for tasks that are not learned."""
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
    """Return log-probabilities, centred by row and by column; None for a task not learned."""
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape[1] < 2 or np.isnan(p).any():
        return None
    logits = np.log(np.maximum(p, np.finfo(np.float32).tiny))
    logits -= logits.mean(axis=1, keepdims=True)
    return logits - logits.mean(axis=0)


def check_two_tasks(names: Sequence[Hashable]) -> None:
    """Raise ValueError if there is nothing to compare."""
    if len(names) < 2:
        raise ValueError(f"There must be at least two tasks to compare. Got {len(names)}.")


def order_by_likeness(similarity: np.ndarray) -> list[int]:
    """Return the leaf order of an average-linkage clustering; NaN counts as 0."""
    if len(similarity) < 3:
        return list(range(len(similarity)))
    distance = 1 - np.nan_to_num(similarity)
    distance = np.maximum((distance + distance.T) / 2, 0)
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, "average"), condensed)
    return leaves_list(tree).tolist()
