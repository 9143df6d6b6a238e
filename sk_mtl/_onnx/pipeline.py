"""The steps of a Pipeline before the classifier, by skl2onnx, and their union with its graph."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import onnx
import onnx.compose
import pandas as pd
import scipy.sparse as sp
from onnx import helper
from onnx.reference import ReferenceEvaluator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from sk_mtl._onnx.graph import BOOL, FLOAT, INT64, IR_VERSION, OPSETS, STRING
from sk_mtl._quoting import quote

__all__ = ["convert_steps", "join_models"]

# Rows of X by which the converted steps are compared with the steps themselves.
_N_COMPARED = 100
_WORDS: dict[int, str] = {FLOAT: "number", INT64: "integer", BOOL: "boolean", STRING: "text"}
_DTYPES: dict[int, Any] = {FLOAT: np.float32, INT64: np.int64, BOOL: bool}
_ADVICE = (
    "Export the classifier alone (the last step of the Pipeline), and transform X where it is "
    "served."
)


def convert_steps(steps: Any, X: Any) -> onnx.ModelProto:
    """Convert a fitted Pipeline of transformers; X has rows of the types that it takes."""
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common import data_types
    except ImportError as error:
        raise ImportError(
            "to_onnx needs skl2onnx for the steps of a Pipeline before the classifier: "
            'pip install "sk_mtl[onnx]".'
        ) from error
    X = _as_frame(X)
    transformed = steps.transform(X[:_N_COMPARED])  # which checks names and number of columns
    inputs = _input_types(X)
    is_frame = isinstance(X, pd.DataFrame)
    # Most transformers take a matrix; of several inputs, skl2onnx would read the first.
    kinds = {kind for _, kind, _ in inputs}
    is_joined = is_frame and len(inputs) > 1 and STRING not in kinds and not _selects(steps)
    if is_joined:
        declared = [("matrix", data_types.FloatTensorType([None, len(inputs)]))]
    else:
        types: dict[int, Any] = {
            FLOAT: data_types.FloatTensorType,
            INT64: data_types.Int64TensorType,
            BOOL: data_types.BooleanTensorType,
            STRING: data_types.StringTensorType,
        }
        declared = [(name, types[kind]([None, width])) for name, kind, width in inputs]

    def convert(part: Any) -> onnx.ModelProto:
        return convert_sklearn(part, "steps", declared, target_opset=dict(OPSETS))

    try:
        model = convert(steps)
    except Exception as error:
        # Any error of skl2onnx: it has no common class of them.
        for position, (name, step) in enumerate(steps.steps):
            try:
                convert(steps[: position + 1])
            except Exception as of_step:
                raise ValueError(
                    f"to_onnx converts the steps before the classifier by skl2onnx, which cannot "
                    f"convert step {quote(name)} ({type(step).__name__}): {_first_line(of_step)} "
                    f"{_ADVICE}"
                ) from of_step
        raise error
    model = _finish(model, inputs, is_joined)
    _compare(model, X[:_N_COMPARED], transformed)
    return model


def join_models(steps: onnx.ModelProto, classifier: onnx.ModelProto) -> onnx.ModelProto:
    """Join the steps and the classifier, whose input is the output of the steps."""
    (output,) = steps.graph.output
    name = classifier.graph.input[0].name
    inputs = [given.name for given in steps.graph.input]
    others = {given.name for given in (*classifier.graph.input[1:], *classifier.graph.output)}
    for taken in inputs:
        if taken in others:
            raise ValueError(
                f"A column of X has the name of another input or of an output: {quote(taken)}. "
                "Rename the column before fit."
            )
    joined = onnx.compose.merge_models(
        steps, classifier, io_map=[(output.name, name)], name="multitask_pipeline"
    )
    del joined.opset_import[:]  # they were joined, too
    joined.opset_import.extend(classifier.opset_import)
    joined.doc_string = classifier.doc_string
    joined.producer_name = classifier.producer_name
    joined.producer_version = classifier.producer_version
    features = [
        {"name": given.name, "kind": _WORDS[given.type.tensor_type.elem_type]}
        for given in steps.graph.input
    ]
    properties = {pair.key: pair.value for pair in classifier.metadata_props}
    helper.set_model_props(joined, {**properties, "sk_mtl.features": json.dumps(features)})
    return joined


def _as_frame(X: Any) -> Any:
    """Return a pandas frame for any other frame, and an array for what is none."""
    if isinstance(X, pd.DataFrame) or sp.issparse(X):
        return X
    if nw.dependencies.is_into_dataframe(X):
        return nw.from_native(X, eager_only=True).to_pandas()
    return np.asarray(X)


def _input_types(X: Any) -> list[tuple[str, int, int]]:
    """Return name, type and width of the inputs: one for each column of a frame, or a matrix."""
    if not isinstance(X, pd.DataFrame):
        return [("X", FLOAT if sp.issparse(X) or X.dtype.kind in "fiub" else STRING, X.shape[1])]
    types: list[tuple[str, int, int]] = []
    for name, column in X.items():
        dtype = column.dtype
        if isinstance(dtype, pd.CategoricalDtype):
            dtype = dtype.categories.dtype
        if pd.api.types.is_bool_dtype(dtype):
            kind = BOOL
        elif pd.api.types.is_integer_dtype(dtype):
            kind = INT64
        elif pd.api.types.is_numeric_dtype(dtype):
            kind = FLOAT
        else:
            kind = STRING
        if not str(name):
            raise ValueError("ONNX has no inputs without a name. Name the columns of X before fit.")
        types.append((str(name), kind, 1))
    return types


def _selects(step: Any) -> bool:
    """Return whether a transformer begins by selecting columns, which have to be inputs then."""
    if isinstance(step, Pipeline):
        return _selects(step.steps[0][1])
    if isinstance(step, FeatureUnion):
        return any(_selects(part) for _, part in step.transformer_list)
    return isinstance(step, ColumnTransformer)


def _finish(
    model: onnx.ModelProto, inputs: Sequence[tuple[str, int, int]], is_joined: bool
) -> onnx.ModelProto:
    """Give the model one input for each column, by its name, and an output of float32."""
    prefix = "steps/"
    while any(name.startswith(prefix) for name, _, _ in inputs):
        prefix = f"steps{prefix}"
    model = onnx.compose.add_prefix(model, prefix)
    graph = model.graph
    nodes = []
    if is_joined:
        columns = [f"{prefix}column_{number}" for number in range(len(inputs))]
        nodes += [
            helper.make_node("Cast", [name], [column], to=FLOAT)
            for (name, _, _), column in zip(inputs, columns, strict=True)
        ]
        nodes.append(helper.make_node("Concat", columns, [graph.input[0].name], axis=1))
    else:
        nodes += [
            helper.make_node("Identity", [name], [value.name])
            for (name, _, _), value in zip(inputs, graph.input, strict=True)
        ]
    result = f"{prefix}result"
    nodes += [*graph.node, helper.make_node("Cast", [graph.output[0].name], [result], to=FLOAT)]
    given = [
        helper.make_tensor_value_info(name, kind, ["n", width]) for name, kind, width in inputs
    ]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.extend(given)
    graph.output.append(helper.make_tensor_value_info(result, FLOAT, ["n", None]))
    model.ir_version = IR_VERSION
    del model.opset_import[:]
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    model.opset_import.extend(opsets)
    return model


def _compare(model: onnx.ModelProto, X: Any, expected: Any) -> None:
    """Refuse converted steps that give other numbers than the steps themselves."""
    expected = expected.toarray() if sp.issparse(expected) else np.asarray(expected, np.float32)
    feed: dict[str, np.ndarray] = {}
    usable = np.ones(len(expected), bool)
    for position, given in enumerate(model.graph.input):
        kind = given.type.tensor_type.elem_type
        if isinstance(X, pd.DataFrame):
            cells = X.iloc[:, position].to_numpy(object)[:, None]
        else:
            cells = X.toarray() if sp.issparse(X) else X
        is_missing = pd.isna(cells)
        if kind != FLOAT:  # what stands for a missing cell is up to the caller
            usable &= ~is_missing.any(axis=1)
        if kind == STRING:
            feed[given.name] = np.where(is_missing, "", cells).astype(str).astype(object)
        else:
            filler = np.nan if kind == FLOAT else 0
            feed[given.name] = np.where(is_missing, filler, cells).astype(_DTYPES[kind])
    if not usable.any():
        raise ValueError(
            "to_onnx compares the converted steps with the steps themselves, and each row of X has "
            "a missing cell in a column of text, integers or booleans. Pass rows without."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.asarray(next(iter(ReferenceEvaluator(model).run(None, feed))))
    if found.shape == expected.shape:
        pairs = found[usable], expected[usable]
        if np.allclose(*pairs, rtol=1e-3, atol=1e-4, equal_nan=True):
            return
    raise ValueError(
        "skl2onnx converts the steps before the classifier to a model that gives other numbers "
        f"than they do, for the rows of X. {_ADVICE}"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".") + "."
