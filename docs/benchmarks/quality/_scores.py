"""Scores of predicted probabilities: means over tasks, over labelled cells."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

__all__ = ["score_part"]


def score_part(
    Y: pd.DataFrame, probabilities: Sequence[np.ndarray], classes: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Return the ROC-AUC (one-vs-rest) and the log loss, means over tasks and by task.

    Cells of a class that training did not know are left out; the AUC is the mean over the classes
    that the part has.
    """
    aucs, losses = [], []
    for (_, y), p, known in zip(Y.items(), probabilities, classes, strict=True):
        is_scored = y.notna().to_numpy() & y.isin(known).to_numpy()
        truth = y.to_numpy()[is_scored]
        p = np.clip(p[is_scored].astype(np.float64), 1e-7, None)
        p /= p.sum(axis=1, keepdims=True)
        aucs.append(_mean_auc(truth, p, known))
        losses.append(log_loss(truth, p, labels=known) if len(truth) else np.nan)
    return {
        "auc": float(np.nanmean(aucs)),
        "log_loss": float(np.nanmean(losses)),
        "aucs": [round(float(a), 5) for a in aucs],
        "log_losses": [round(float(v), 5) for v in losses],
    }


def _mean_auc(truth: np.ndarray, p: np.ndarray, classes: np.ndarray) -> float:
    columns = [1] if len(classes) == 2 else range(len(classes))
    aucs = []
    for column in columns:
        is_class = truth == classes[column]
        if is_class.any() and not is_class.all():
            aucs.append(roc_auc_score(is_class, p[:, column]))
    return float(np.mean(aucs)) if aucs else float("nan")
