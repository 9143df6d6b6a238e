"""Tables of the quality benchmark: features as networks take them, labels, fixed splits.

Owns where the rows of a table come from and which are trained on, watched, chosen by and reported.
The real tables are read from a folder of the user's; the others are generated.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import import_loader
from _registry import ADULT, KEPT_APART, REGISTRY, read_adult, read_registry

from sk_mtl.datasets import make_multitask_classification

__all__ = ["Table", "as_frame", "load_table", "prepare", "scale", "table_names", "take_rows"]

REAL = ("tox21", "census", "nhanes", "emotions", "bridges", "fashion1k")
FRESH = "fresh"  # how splits are called that nothing was chosen on
_N_SCORED = 4000  # rows on which fits on a generated table are compared, and as many for reporting


@dataclass(frozen=True)
class Table:
    """A table with holes in its labels.

    Attributes
    ----------
    X : ndarray or DataFrame
        Features as the table has them.
    Y : DataFrame
        Labels to learn from, NaN where missing.
    truth : DataFrame
        Labels to score by: those of Y, and others where more is known.
    splits : dict of str to tuple of ndarray
        Rows to train on, to choose by (validation), and to report (test).
    watched : bool
        Whether the validation rows are given to `fit` for early stopping. Without, a fit keeps to
        the training rows, as one of a user who has no other.
    """

    X: Any
    Y: pd.DataFrame
    truth: pd.DataFrame
    splits: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    watched: bool = True


@lru_cache(maxsize=2)
def load_table(name: str, folder: str | None) -> Table:
    """Read a real table from its folder, or generate one."""
    if name in GENERATED:
        return GENERATED[name]()
    if name == ADULT:
        X, Y, splits = read_adult()
        return Table(X, Y, Y, splits)
    if name in REGISTRY or name in KEPT_APART:
        X, Y, truth = read_registry(name)
        return Table(X, Y, truth, _random_splits(len(Y), 3, (0.6, 0.8), 31))
    if folder is None:
        raise SystemExit(f"Give the folder of the tables to read {name!r}.")
    loader = import_loader(folder)
    X, Y = loader.load(name, folder)
    if name == "nhanes":
        Y = Y.replace("None", "none")  # an answer, whose text stands for a missing label elsewhere
    if name == "fashion1k":
        X = _bag_words(X)
    truth = loader.load(name, folder, masked=False)[1] if name == "census" else Y
    has_splits = name not in ("bridges", "fashion1k")
    found = loader.splits(name, folder) if has_splits else _random_splits(len(Y), 5, (0.6, 0.8), 17)
    if has_splits:
        fresh = _random_splits(len(Y), 3, (0.8, 0.9), 23)
        found = found | {split.replace("rand", FRESH): parts for split, parts in fresh.items()}
    return Table(X, Y, truth, found, watched=name in ("tox21", "census", "nhanes"))


def table_names() -> list[str]:
    """Names of all tables."""
    return [*REAL, ADULT, *REGISTRY, *KEPT_APART, *GENERATED]


def _bag_words(X: pd.DataFrame) -> np.ndarray:
    """Return the year, and a bit for each word that three titles have."""
    words = CountVectorizer(binary=True, min_df=3).fit_transform(X["title"])
    return np.column_stack([X["year"], words.toarray()]).astype(np.float32)


def _random_splits(
    n_rows: int, n_splits: int, shares: tuple[float, float], seed: int
) -> dict[str, Any]:
    splits = {}
    for number in range(n_splits):
        order = np.random.default_rng([seed, number]).permutation(n_rows)
        splits[f"rand{number}"] = tuple(np.split(order, [round(s * n_rows) for s in shares]))
    return splits


# ------------------------------------------------------------------------------------------------
# Features
# ------------------------------------------------------------------------------------------------


def as_frame(X: Any) -> Any:
    """Return features as they are, text as categories; an array as float32."""
    if isinstance(X, np.ndarray):
        return X.astype(np.float32)
    return X.astype({c: "category" for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])})


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Return some rows of an array or a frame."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def prepare(X: Any, train: np.ndarray) -> np.ndarray:
    """Return features as numbers: one-hot categories, imputed numbers and where they were missing.

    Numbers are not scaled; an array is returned as it is.
    """
    if isinstance(X, np.ndarray):
        return X
    numeric = make_column_selector(dtype_include="number")
    columns = make_column_transformer(
        (SimpleImputer(add_indicator=True), numeric),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="missing"),
                OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10),
            ),
            make_column_selector(dtype_exclude="number"),
        ),
        sparse_threshold=0,
    )
    X = X.astype({c: object for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])})
    X = X.where(X.notna(), np.nan)
    return columns.fit(X.iloc[train]).transform(X).astype(np.float64)


def scale(X: np.ndarray, train: np.ndarray, how: str) -> np.ndarray:
    """Return scaled features: z-scores of numbers, and what `how` says of columns of 0 and 1.

    "numbers" leaves those as they are; "centred" subtracts the mean; "fourth root", "bits" and
    "all" then divide by the deviation to the power of 1/4, 1/2 and 1. "none" leaves numbers, too.
    """
    if how == "none":
        return X.astype(np.float32)
    X = X.astype(np.float64)
    is_bit = ((X[train] == 0) | (X[train] == 1)).all(axis=0)
    mean, std = X[train].mean(axis=0), X[train].std(axis=0)
    divisor = np.where(std > 0, std, 1)
    if how == "numbers":
        mean, divisor = np.where(is_bit, 0, mean), np.where(is_bit, 1, divisor)
    elif how == "centred":
        divisor = np.where(is_bit, 1, divisor)
    elif how == "fourth root":
        divisor = np.where(is_bit, np.maximum(std, 0.01) ** 0.25, divisor)
    elif how == "bits":
        divisor = np.where(is_bit, np.sqrt(np.maximum(std, 0.01)), divisor)
    elif how != "all":
        raise ValueError(f"No scaling is called {how!r}.")
    return ((X - mean) / divisor).astype(np.float32)


# ------------------------------------------------------------------------------------------------
# Generated tables
# ------------------------------------------------------------------------------------------------


def _waves(n_rows: int, n_features: int, missing: Any, seed: int = 0, **settings: Any) -> Table:
    """Labels from waves along some directions: `sk_mtl.datasets.make_multitask_classification`."""
    X, Y, truth = make_multitask_classification(
        n_rows + 2 * _N_SCORED,
        n_features,
        missing_rate=missing,
        return_complete=True,
        as_frame=True,
        random_state=seed,
        **settings,
    )
    return _generated(X.to_numpy(), Y, truth, n_rows)


def _boxes(
    n_rows: int,
    n_features: int,
    n_tasks: int,
    missing: float,
    shares: tuple[float, float] = (0.05, 0.5),
    seed: int = 0,
) -> Table:
    """Labels from boxes in skewed and binary features, which suit trees.

    The second class of a task has a share of the rows between `shares`.
    """
    rng = np.random.default_rng(seed)
    n = n_rows + 2 * _N_SCORED
    X = np.exp(rng.standard_normal((n, n_features)))
    X[:, ::3] = X[:, ::3] > rng.uniform(0.5, 4, size=X[:, ::3].shape[1])
    n_boxes = 12
    inside = np.ones((n, n_boxes), dtype=bool)
    for box in range(n_boxes):
        for column in rng.choice(n_features, size=3, replace=False):
            cut = np.quantile(X[:, column], rng.uniform(0.3, 0.7))
            inside[:, box] &= (X[:, column] > cut) == (rng.random() < 0.5)
    scores = inside @ rng.normal(size=(n_boxes, n_tasks)) + 0.3 * rng.standard_normal((n, n_tasks))
    second = rng.uniform(*shares, size=n_tasks)
    truth = pd.DataFrame(
        (scores > _quantiles(scores, 1 - second)).astype(float),
        columns=[f"y{t}" for t in range(n_tasks)],
    )
    Y = truth.mask(rng.random(truth.shape) < missing)
    return _generated(X, Y, truth, n_rows)


def _bits(n_rows: int, n_features: int, n_tasks: int, missing: float, seed: int = 0) -> Table:
    """Labels from a two-layer network over rare bits."""
    rng = np.random.default_rng(seed)
    n = n_rows + 2 * _N_SCORED
    frequency = rng.beta(0.4, 6, size=n_features)
    X = (rng.random((n, n_features)) < frequency).astype(float)
    hidden = np.tanh(2 * X @ rng.normal(size=(n_features, 16)) / np.sqrt((X.sum(axis=1)).mean()))
    scores = hidden @ rng.normal(size=(16, n_tasks)) + 1.5 * rng.standard_normal((n, n_tasks))
    shares = rng.uniform(0.03, 0.3, size=n_tasks)
    truth = pd.DataFrame(
        (scores > _quantiles(scores, 1 - shares)).astype(float),
        columns=[f"y{t}" for t in range(n_tasks)],
    )
    Y = truth.mask(rng.random(truth.shape) < missing)
    return _generated(X, Y, truth, n_rows)


def _quantiles(scores: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the quantile of each column, at a share of its own."""
    return np.array([np.quantile(v, q) for v, q in zip(scores.T, shares, strict=True)])


def _generated(X: np.ndarray, Y: pd.DataFrame, truth: pd.DataFrame, n_rows: int) -> Table:
    rows = np.split(np.arange(len(X)), [n_rows, n_rows + _N_SCORED])
    return Table(X, Y, truth, {"rand0": (rows[0], rows[1], rows[2])}, watched=False)


GENERATED: dict[str, Callable[[], Table]] = {
    "waves 300x5": lambda: _waves(300, 5, 0.5, n_tasks=2),
    "waves 1000x20": lambda: _waves(1000, 20, (0, 0, 0.88), n_classes=(2, 2, 5)),
    "waves 5000x20": lambda: _waves(5000, 20, 0.5, n_tasks=10, class_sep=2.0),
    "waves 20000x50": lambda: _waves(20_000, 50, 0.95, n_tasks=20, class_sep=2.0),
    "waves 100000x20": lambda: _waves(100_000, 20, 0.01, n_classes=(2, 3, 4, 5, 6), class_sep=2.0),
    "boxes 500x10": lambda: _boxes(500, 10, 4, 0.3),
    "boxes 10000x30": lambda: _boxes(10_000, 30, 8, 0.6),
    "boxes 10000x30, rare": lambda: _boxes(10_000, 30, 8, 0.6, shares=(0.002, 0.01)),
    "bits 2000x2000": lambda: _bits(2000, 2000, 60, 0.7),
    "bits 500x200": lambda: _bits(500, 200, 6, 0.2),
}
