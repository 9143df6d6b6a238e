"""The scores of a model on a table, with intervals from resampled rows or groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl.metrics import MultiTaskReport, multitask_report
from sk_mtl.metrics._report.request import LABELS
from sk_mtl.metrics._scorers import MEAN

__all__ = ["as_long_table", "score_predictions"]


def score_predictions(
    Y: pd.DataFrame,
    predicted: pd.DataFrame,
    probabilities: Mapping[str, np.ndarray],
    *,
    classes: Mapping[str, np.ndarray],
    missing_label: Any,
    weights: pd.Series | None,
    groups: pd.Series | None,
    n_bootstraps: int,
    random_state: int,
) -> MultiTaskReport:
    """Return the scores of predictions; whole groups are resampled if there are groups."""
    tasks = list(Y.columns)
    return multitask_report(
        Y,
        predicted[tasks],
        {task: probabilities[task] for task in tasks},
        sample_weight=weights,
        missing_label=missing_label,
        classes={task: classes[task] for task in tasks},
        n_bootstraps=n_bootstraps or None,
        groups=groups,
        random_state=random_state,
    )


def as_long_table(report: MultiTaskReport) -> pd.DataFrame:
    """Return a row for each task and metric, for a file."""
    frame = report.frame
    metrics = [m for m in frame.columns.get_level_values(0).unique() if m != LABELS]
    ends = [e for e in ("lower", "upper") if (metrics[0], e) in frame.columns]
    rows: list[dict[str, Any]] = []
    for place, task in enumerate(frame.index):
        row = frame.iloc[place]
        n_labelled = np.nan if task == MEAN else float(row[LABELS, "n_labelled"])
        rows += [
            {
                "task": str(task),
                "metric": metric,
                "score": row[metric, "score"],
                **{end: row[metric, end] for end in ends},
                "constant": row[metric, "constant"],
                "n_labelled": n_labelled,
                "coverage": row[LABELS, "coverage"],
            }
            for metric in metrics
        ]
    return pd.DataFrame(rows)
