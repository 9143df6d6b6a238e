"""What y was, as plain values and back: tasks, classes and dtypes, checked as they are read."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._codec.dtypes import decode_dtype, encode_dtype
from sk_mtl._codec.values import (
    AnyObjects,
    decode_value,
    encode_value,
    require,
    what_is_held,
)
from sk_mtl._data.labels import TargetForm
from sk_mtl._data.schema import TargetSchema
from sk_mtl._quoting import quote

__all__ = ["decode_targets", "encode_targets", "is_column"]

_BACKENDS = ("pandas", "polars", "pyarrow")


def encode_targets(schema: TargetSchema, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return tasks, classes and the form of y for JSON; put arrays aside."""
    form, holds_objects = schema.form, isinstance(arrays, AnyObjects)
    if form.backend not in (None, *_BACKENDS) and not holds_objects:
        raise TypeError(
            f"save_model cannot write that y was a frame of {form.backend}. Pickle the estimator."
        )
    names = [repr(name) for name in schema.task_names]
    try:
        return {
            "task_names": _encode(schema.task_names, "task_names", arrays),
            "classes": _encode(schema.classes, "classes", arrays, names),
            "kind": form.kind,
            "backend": form.backend,
            "dtypes": [
                _encode_dtype(dtype, f"task {quote(name)} of y", arrays)
                for name, dtype in zip(schema.task_names, form.dtypes, strict=True)
            ],
            "categories": _encode(form.categories, "categories", arrays, names),
            "level_names": encode_value(form.level_names, "level_names", arrays),
        }
    except TypeError as error:
        raise TypeError(
            f"save_model cannot write what y was without pickle: {error}. Pickle the estimator."
        ) from error


def _encode(
    values: tuple[Any, ...], what: str, arrays: dict[str, Any], tasks: list[str] | None = None
) -> Any:
    """Encode task names, or the classes or categories of tasks, which an error names."""
    nodes = []
    for t, value in enumerate(values):
        try:
            nodes.append(encode_value(value, f"{what}/{t}", arrays))
        except TypeError as error:
            where = what.replace("_", " ") + (f" of task {tasks[t]}" if tasks else "")
            raise TypeError(f"the {where} hold {what_is_held(error)}") from error
    return {"tuple": nodes}


def _encode_dtype(dtype: Any, name: str, arrays: dict[str, Any]) -> Any:
    try:
        return encode_dtype(dtype, name)
    except TypeError:
        if not isinstance(arrays, AnyObjects):
            raise
        return encode_value(dtype, name, arrays)


def _decode_dtype(node: Any, categories: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(arrays, AnyObjects) and isinstance(node, dict) and "object" in node:
        return decode_value(node, arrays)
    return decode_dtype(node, categories)


def decode_targets(nodes: dict[str, Any], arrays: dict[str, Any]) -> TargetSchema:
    """Return what `encode_targets` was given; ValueError if the nodes stand for no targets."""
    kind, backend = nodes["kind"], nodes["backend"]
    names, classes, categories, levels = (
        decode_value(nodes[part], arrays)
        for part in ("task_names", "classes", "categories", "level_names")
    )
    require(len(nodes) == 7, "unexpected keys in the targets")
    require(
        all(type(part) is tuple for part in (names, classes, categories, levels)),
        "the targets are not tuples",
    )
    require(
        len(names) == len(classes) == len(categories) == len(nodes["dtypes"]) > 0,
        "the targets differ in their numbers of tasks",
    )
    require(len(set(names)) == len(names), "two tasks have the same name")
    require(kind in ("frame", "array_1d", "array_2d"), f"unknown kind of y: {quote(str(kind))}")
    is_known = backend in (_BACKENDS if kind == "frame" else (None,))
    require(is_known or isinstance(arrays, AnyObjects), "unknown dataframe library of y")
    require(kind != "array_1d" or len(names) == 1, "a 1-D y has one task")
    for known in classes:
        require(_is_sorted(known, arrays), "the classes of a task are not sorted labels")
    for known in categories:
        if known is not None:
            require(type(known) is tuple and len(known) == 2, "the categories are invalid")
            labels, is_ordered = known
            require(type(is_ordered) is bool, "the categories are invalid")
            require(is_column(labels) and pd.Index(labels).is_unique, "categories are repeated")
    pairs = zip(nodes["dtypes"], categories, strict=True)
    dtypes = tuple(_decode_dtype(node, known, arrays) for node, known in pairs)
    # Not by equality: NumPy's float64 equals None.
    require(
        all((dtype is None) == (kind != "frame") for dtype in dtypes),
        "tasks must have dtypes if y was a frame, and only then",
    )
    for level in levels:
        hash(level)
    return TargetSchema(names, classes, TargetForm(kind, backend, dtypes, categories, levels))


def is_column(labels: Any) -> bool:
    """Return whether it is an array of labels, none of them missing."""
    if not isinstance(labels, np.ndarray) or labels.ndim != 1 or pd.isna(labels).any():
        return False
    return labels.dtype.kind != "O" or all(pd.api.types.is_scalar(label) for label in labels)


def _is_sorted(labels: Any, arrays: dict[str, Any]) -> bool:
    # Labels of any type, from a pickle, need not be scalars of pandas; `fit` has sorted them.
    if isinstance(arrays, AnyObjects):
        return isinstance(labels, np.ndarray) and labels.ndim == 1
    if not is_column(labels) or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        return False
    return bool(all(a < b for a, b in itertools.pairwise(labels.tolist())))
