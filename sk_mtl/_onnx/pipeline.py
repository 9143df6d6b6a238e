"""The steps of a Pipeline before the classifier, by skl2onnx, and their union with its graph."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import onnx
import onnx.compose
import pandas as pd

from sk_mtl._onnx.graph import IR_VERSION, OPSETS
from sk_mtl._quoting import quote

__all__ = ["convert_steps", "join_models"]


def convert_steps(steps: Any, X: Any) -> onnx.ModelProto:
    """Convert a fitted Pipeline of transformers; X has rows of the types that it takes."""
    try:
        from skl2onnx import convert_sklearn
    except ImportError as error:
        raise ImportError(
            "to_onnx needs skl2onnx for the steps of a Pipeline before the classifier: "
            'pip install "sk_mtl[onnx]".'
        ) from error
    types = _input_types(X)

    def convert(part: Any) -> onnx.ModelProto:
        return convert_sklearn(part, "steps", types, target_opset=dict(OPSETS))

    try:
        return convert(steps)
    except Exception as error:
        # Any error of skl2onnx: it has no common class of them.
        for position, (name, step) in enumerate(steps.steps):
            try:
                convert(steps[: position + 1])
            except Exception as of_step:
                raise ValueError(
                    f"to_onnx converts the steps before the classifier by skl2onnx, which cannot "
                    f"convert step {quote(name)} ({_describe(step)}): {_first_line(of_step)} "
                    "Export the classifier alone (the last step of the Pipeline), and transform X "
                    "where it is served."
                ) from of_step
        raise error


def join_models(steps: onnx.ModelProto, classifier: onnx.ModelProto) -> onnx.ModelProto:
    """Join the steps and the classifier, whose input is the output of the steps."""
    (output,) = steps.graph.output
    name = classifier.graph.input[0].name
    steps.ir_version = IR_VERSION
    del steps.opset_import[:]
    steps.opset_import.extend(classifier.opset_import)
    joined = onnx.compose.merge_models(
        steps, classifier, io_map=[(output.name, name)], name="multitask_pipeline"
    )
    joined.doc_string = classifier.doc_string
    return joined


def _input_types(X: Any) -> list[tuple[str, Any]]:
    """Return the names and types of the inputs: one for each column of a frame, or a matrix."""
    from skl2onnx.common import data_types

    if nw.dependencies.is_into_dataframe(X) and not isinstance(X, pd.DataFrame):
        X = nw.from_native(X, eager_only=True).to_pandas()
    if not isinstance(X, pd.DataFrame):
        return [("X", data_types.FloatTensorType([None, np.shape(X)[1]]))]
    types = []
    for name, column in X.items():
        if pd.api.types.is_bool_dtype(column.dtype):
            kind = data_types.BooleanTensorType
        elif pd.api.types.is_integer_dtype(column.dtype):
            kind = data_types.Int64TensorType
        elif pd.api.types.is_numeric_dtype(column.dtype):
            kind = data_types.FloatTensorType
        else:
            kind = data_types.StringTensorType
        types.append((str(name), kind([None, 1])))
    return types


def _describe(step: Any) -> str:
    return step if isinstance(step, str) else type(step).__name__


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".") + "."
