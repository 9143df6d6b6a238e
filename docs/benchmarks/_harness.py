"""What the benchmarks share: arguments, a clock, one thread, tables of features, and of results.

Import it before TensorFlow, which it keeps quiet.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

# ------------------------------------------------------------------------------------------------
# Running
# ------------------------------------------------------------------------------------------------


def make_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Return a parser that describes itself by the first line of a script's docstring."""
    return argparse.ArgumentParser(description=(docstring or "").partition("\n")[0])


def make_folder_parser(
    docstring: str | None, tables: Sequence[str], seeds: Sequence[int]
) -> argparse.ArgumentParser:
    """Return a parser with the folder of the real tables, and the tables and seeds to use."""
    parser = make_parser(docstring)
    parser.add_argument("folder", help="holds the tables and load.py")
    parser.add_argument("--tables", nargs="+", default=list(tables))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(seeds))
    return parser


def clock(call: Callable[..., object], *arguments: Any) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def use_one_thread() -> None:
    """Let TensorFlow compute on one thread; to be called before it computes anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


# ------------------------------------------------------------------------------------------------
# Tables of features
# ------------------------------------------------------------------------------------------------


def import_loader(folder: str | Path) -> ModuleType:
    """Import load.py of a folder: ``load(name, folder) -> (X, Y)`` and ``splits(name, folder)``."""
    spec = importlib.util.spec_from_file_location("load", Path(folder) / "load.py")
    assert spec is not None, folder
    assert spec.loader is not None, folder
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    return loader


def standardise(X: Any, train: np.ndarray, strategy: str) -> np.ndarray:
    """Return features standardised by the training rows, one column per category.

    Columns of an array are divided by the root of their deviation, as suits bits. `strategy` fills
    missing numbers.
    """
    if isinstance(X, np.ndarray):
        mean, std = X[train].mean(axis=0), X[train].std(axis=0)
        return (X - mean) / np.sqrt(np.maximum(std, 0.01))
    texts = [c for c in X.columns if not pd.api.types.is_numeric_dtype(X[c])]
    X = X.fillna(dict.fromkeys(texts, "missing"))
    columns = make_column_transformer(
        (
            make_pipeline(SimpleImputer(strategy=strategy, add_indicator=True), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=10),
            make_column_selector(dtype_exclude="number"),
        ),
        sparse_threshold=0,
    )
    return columns.fit(X.iloc[train]).transform(X).astype(np.float32)


# ------------------------------------------------------------------------------------------------
# Tables of results
# ------------------------------------------------------------------------------------------------


def show_scores(scores: dict[str, float]) -> str:
    """Return scores as one line of names and numbers."""
    return " ".join(f"{name} {value:.4f}" for name, value in scores.items())


def as_markdown(
    header: Sequence[str], rows: Iterable[Sequence[str]], rule: Sequence[str] | None = None
) -> str:
    """Return a Markdown table; `rule` aligns its columns, such as ``["---", "---:"]``."""
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(rule or ['---'] * len(header))}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
