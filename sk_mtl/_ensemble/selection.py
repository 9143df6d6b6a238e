"""Which candidates an ensemble consists of: chosen greedily on held-out cells.

Does not know networks; sees only the probabilities that candidates gave the true classes.
"""

from __future__ import annotations

import numpy as np

__all__ = ["mean_log_loss", "select_members", "weigh_cells"]

_N_ROUNDS = 25
_SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)  # as for the scorers


def weigh_cells(weight: np.ndarray) -> np.ndarray:
    """Return cell weights, (n_rows, n_tasks), whose sum is the same for all tasks with cells."""
    weight = np.asarray(weight, dtype=np.float64)
    totals = weight.sum(axis=0)
    n_tasks = (totals > 0).sum()
    return weight / (np.where(totals > 0, totals, 1.0) * max(n_tasks, 1))


def mean_log_loss(p_true: np.ndarray, cell_weight: np.ndarray) -> np.ndarray:
    """Return the log loss, weighted by `cell_weight`, from probabilities, (..., n_cells)."""
    return -np.log(np.maximum(p_true, _SMALLEST_PROBABILITY)) @ cell_weight


def select_members(p_true: np.ndarray, cell_weight: np.ndarray) -> np.ndarray:
    """Return the weights of candidates from their probabilities, (n_candidates, n_cells)."""
    # One candidate after another is added, with replacement: each time the one with which the mean
    # has the lowest loss. The best of these ensembles counts (Caruana, Niculescu-Mizil, Crew &
    # Ksikes 2004, Ensemble Selection from Libraries of Models, ICML, section 2).
    counts = np.zeros(len(p_true))
    total = np.zeros(p_true.shape[1])
    best_loss, best_counts = np.inf, np.eye(len(p_true))[0]
    for n_members in range(1, _N_ROUNDS + 1):
        losses = mean_log_loss((total + p_true) / n_members, cell_weight)
        added = int(np.argmin(losses))
        counts[added] += 1
        total += p_true[added]
        if losses[added] < best_loss:
            best_loss, best_counts = losses[added], counts.copy()
    return best_counts / best_counts.sum()
