"""A fitted estimator as an ONNX model: inputs, networks, named outputs, metadata."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper

from sk_mtl._data.label_values import as_objects
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._onnx.features import Features
from sk_mtl._onnx.graph import BOOL, DOUBLE, FLOAT, INT64, STRING, Graph
from sk_mtl._onnx.network import add_logits, add_probabilities, has_description
from sk_mtl._quoting import quote

__all__ = ["Choices", "make_model"]

_KNOWN = "known_labels"


class Choices(NamedTuple):
    """What the caller wants of the model."""

    labels: bool
    matrix: str | None  # the name of the only input; None for one for each column
    known_labels: bool


def make_model(
    networks: Sequence[tuple[float, FittedModel]],
    n_features: int,
    names: Sequence[str] | None,
    choices: Choices,
) -> onnx.ModelProto:
    """Return the model of the weighted mean of fitted models, which share their tasks."""
    for _, fitted in networks:
        _check_network(fitted, choices)
    schema = networks[0][1].schema
    graph = Graph()
    features = Features(
        graph,
        n_features,
        names,
        [fitted.encoder.categories for _, fitted in networks],
        matrix=choices.matrix,
    )
    known = graph.add_input(_KNOWN, INT64, len(schema.classes)) if choices.known_labels else None
    tasks = _Tasks(graph, features, known, networks)
    outputs = _name_outputs([str(n) for n in schema.task_names], schema.is_1d)
    described = []
    for t, (probabilities, label) in enumerate(outputs):
        classes = schema.classes[t]
        entry = {"name": _plain(schema.task_names[t]), "classes": _as_json(classes)}
        described.append(entry)
        if not tasks.has_labels[t]:
            continue  # nothing is known of it; the metadata lists it
        entry["probabilities"] = probabilities
        shares = tasks.probabilities[t]
        graph.add_output(shares, probabilities, FLOAT, len(classes))
        if choices.labels:
            entry["label"] = label
            code = tasks.add_code(t)
            table, kind = _label_table(graph, classes, schema.task_names[t])
            graph.add_output(graph.add("Gather", table, code, axis=0), label, kind)
    if not any(tasks.has_labels):
        raise ValueError("There is nothing to export: no task had a label in training.")
    model = graph.to_model("Class probabilities by task, of a network for several tasks.")
    version = sys.modules["sk_mtl"].__version__
    model.producer_name, model.producer_version = "sk_mtl", version
    helper.set_model_props(
        model,
        {
            "sk_mtl.version": version,
            "sk_mtl.tasks": json.dumps(described),
            "sk_mtl.features": json.dumps(features.describe()),
        },
    )
    return model


def _check_network(fitted: FittedModel, choices: Choices) -> None:
    """Refuse networks with layers of the user, and labels for a network that reads none."""
    network = fitted.network
    if network is not None and not has_description(network.spec):
        what = "a custom `model`" if network.spec.custom_model else "an activation of your own"
        raise ValueError(
            f"to_onnx writes the layers that this package knows, and the network has {what}. "
            'Keras exports it: clf.to_keras().export("model.onnx", format="onnx"), which needs '
            "tf2onnx."
        )
    if choices.known_labels and not fitted.knows_labels:
        raise ValueError(
            "known_labels=True is for a classifier that was fitted with known_labels=True: its "
            "network reads the labels that a row has."
        )


class _Tasks:
    """The probabilities of each task, (n, n_classes_t), and class indices from them."""

    def __init__(
        self,
        graph: Graph,
        features: Features,
        known: str | None,
        networks: Sequence[tuple[float, FittedModel]],
    ):
        self._graph = graph
        self._widths = networks[0][1].schema.n_classes
        self.has_labels = np.any([fitted.has_labels for _, fitted in networks], axis=0)
        self._of_known = None
        if known is not None:
            self._of_known = self._split(known, [1] * len(self._widths))
        # Uncalibrated ones tell the label: a temperature could round two of them to one number.
        self.probabilities: list[str] = []
        self._raw: list[str] = []
        found = [self._add_network(features, known, fitted) for _, fitted in networks]
        for t, width in enumerate(self._widths):
            parts = [
                (weight, of_network[t])
                for (weight, fitted), of_network in zip(networks, found, strict=True)
                if fitted.has_labels[t]
            ]
            calibrated, raw = "", ""
            if parts:
                calibrated = self._add_mean([(weight, pair[0]) for weight, pair in parts])
                raw = calibrated
                if len(parts) == 1:
                    raw = parts[0][1][1]
                if self._of_known is not None:
                    calibrated = raw = self._set_known(t, width, calibrated)
            self.probabilities.append(calibrated)
            self._raw.append(raw)

    def add_code(self, task: int) -> str:
        """Add the most probable class index of a task, (n,)."""
        return self._graph.add("ArgMax", self._raw[task], axis=1, keepdims=0)

    def _add_network(
        self, features: Features, known: str | None, fitted: FittedModel
    ) -> list[tuple[str, str]]:
        """Add a network; return the probabilities by task, calibrated and as they are."""
        graph, network = self._graph, fitted.network
        x = features.add_table(fitted.encoder.categories)
        learned: list[tuple[str, str]] = []
        if network is not None:
            n_outputs = network.spec.n_outputs
            if known is not None:
                tasks = np.flatnonzero(fitted.is_learnable)
                known = graph.take(known, tasks, len(self._widths))
            logits = add_logits(graph, x, known, network)
            widths = [max(n, 2) for n in n_outputs]
            raw = self._split(add_probabilities(graph, logits, n_outputs, None), widths)
            calibrated = raw
            if network.temperatures is not None:
                whole = add_probabilities(graph, logits, n_outputs, network.temperatures)
                calibrated = self._split(whole, widths)
            learned = list(zip(calibrated, raw, strict=True))
        remaining = iter(learned)
        return [
            next(remaining) if is_learned else (single := self._add_single(x, width), single)
            for is_learned, width in zip(fitted.is_learnable, self._widths, strict=True)
        ]

    def _split(self, x: str, widths: Sequence[int]) -> list[str]:
        """Cut a matrix into columns of these widths."""
        if len(widths) == 1:
            return [x]
        sizes = self._graph.constant(widths, np.int64)
        return self._graph.add_split("Split", x, sizes, n_outputs=len(widths), axis=1)

    def _add_single(self, x: str, width: int) -> str:
        """Add the probability 1 of the only class of a task, (n, 1)."""
        graph = self._graph
        n_rows = graph.add("Shape", x, start=0, end=1)
        shape = graph.add("Concat", n_rows, graph.constant([width], np.int64), axis=0)
        return graph.add("Expand", graph.constant(1), shape)

    def _add_mean(self, parts: Sequence[tuple[float, str]]) -> str:
        """Add the weighted mean of probabilities."""
        if len(parts) == 1:
            return parts[0][1]
        graph, total = self._graph, sum(weight for weight, _ in parts)
        scaled = [graph.add("Mul", p, graph.constant(weight)) for weight, p in parts]
        return graph.add("Div", graph.add("Sum", *scaled), graph.constant(total))

    def _set_known(self, task: int, width: int, probabilities: str) -> str:
        """Set the probability of a known label to 1."""
        graph = self._graph
        assert self._of_known is not None
        code = self._of_known[task]
        classes = graph.constant(np.arange(width), np.int64)
        is_class = graph.add("Cast", graph.add("Equal", code, classes), to=FLOAT)
        is_known = graph.add("GreaterOrEqual", code, graph.constant(0, np.int64))
        return graph.add("Where", is_known, is_class, probabilities)


def _name_outputs(tasks: Sequence[str], is_1d: bool) -> list[tuple[str, str]]:
    """Return the names of the outputs of each task: probabilities and label."""
    if is_1d:
        return [("probabilities", "label")]
    twice = [task for task in tasks if tasks.count(task) > 1]
    if twice:
        raise ValueError(f"Two tasks are called {quote(twice[0])} as text. Rename one before fit.")
    return [(f"probabilities_{task}", f"label_{task}") for task in tasks]


def _label_table(graph: Graph, classes: np.ndarray, task: Any) -> tuple[str, int]:
    """Add the labels of a task as a constant; return its name and type."""
    values = as_objects(classes).tolist()
    if all(isinstance(value, str) for value in values):
        return graph.constant(np.array(values, object), object), STRING
    if classes.dtype.kind == "b":
        return graph.constant(classes, bool), BOOL
    if classes.dtype.kind in "iu" and classes.max() <= np.iinfo(np.int64).max:
        return graph.constant(classes, np.int64), INT64
    if classes.dtype.kind == "f":
        return graph.constant(classes, np.float64), DOUBLE
    other = next((value for value in values if not isinstance(value, str)), values[0])
    raise ValueError(
        f"ONNX has no type for the labels of task {quote(task)}: {quote(other)}. Export "
        "probabilities only (labels=False), or make text of the labels before fit."
    )


def _as_json(classes: np.ndarray) -> list[Any]:
    return [_plain(label) for label in as_objects(classes).tolist()]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, or as text."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (str, int, float, bool)) else str(value)
