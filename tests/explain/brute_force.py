"""Shapley values by their definition, over all subsets of the features, for any table."""

import itertools
from math import factorial

import numpy as np
import pandas as pd


def mixtures_of(x, background, is_of_row):
    """Return rows of a background in which some features are those of a single row."""
    if not isinstance(background, pd.DataFrame):
        return np.where(is_of_row, x, background)
    both = pd.concat([x, background], ignore_index=True)  # keeps categories
    of_row, others = np.zeros(len(background), int), np.arange(1, len(both))
    columns = {
        name: both[name].take(of_row if is_in else others).reset_index(drop=True)
        for name, is_in in zip(both, is_of_row, strict=True)
    }
    return pd.DataFrame(columns)


def brute_force(predict, x, background, features=None):
    """Return the values of a row, (n_features, ...), of functions that give (n_rows, ...).

    Only `features` may differ between the row and the background; None means all.
    """
    n_features = x.shape[1]
    features = list(range(n_features)) if features is None else features
    n = len(features)
    subsets = list(itertools.product([False, True], repeat=n))
    rows = []
    for subset in subsets:
        is_of_row = np.zeros(n_features, bool)
        is_of_row[[j for j, is_in in zip(features, subset, strict=True) if is_in]] = True
        rows.append(mixtures_of(x, background, is_of_row))
    is_frame = isinstance(background, pd.DataFrame)
    whole = pd.concat(rows, ignore_index=True) if is_frame else np.concatenate(rows)
    outputs = np.asarray(predict(whole), np.float64)
    means = outputs.reshape(len(subsets), len(background), *outputs.shape[1:]).mean(axis=1)
    of_subset = dict(zip(subsets, means, strict=True))
    values = np.zeros((n_features, *means.shape[1:]))
    for position, j in enumerate(features):
        for subset, mean in of_subset.items():
            if subset[position]:
                continue
            size = sum(subset)
            share = factorial(size) * factorial(n - 1 - size) / factorial(n)
            larger = (*subset[:position], True, *subset[position + 1 :])
            values[j] += share * (of_subset[larger] - mean)
    return values


def log_odds(proba):
    """Return log-odds of classes; of more than two, log-probabilities less their mean."""
    logs = np.log(np.asarray(proba, np.float64))
    if logs.shape[1] == 2:
        return logs - logs[:, ::-1]
    return logs - logs.mean(axis=1, keepdims=True)
