"""Custom Keras models as text, without weights, loss and optimizer."""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from sk_mtl._model.randomness import fixed_randomness
from sk_mtl._tasks import enumerate_some

__all__ = ["consists_of_keras", "deserialize_model", "serialize_model"]

# Layers of Keras that run what their configuration only refers to.
_FOREIGN_LAYERS = {"FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"}

_REGISTER_ADVICE = (
    "Decorate every class and function of your own in the model with "
    "@keras.saving.register_keras_serializable(), give layers a get_config that returns their "
    "constructor's arguments, and use no lambda; in another process, import the module that "
    "defines them first."
)


def serialize_model(model: keras.Model) -> str:
    """Return a model's architecture as JSON, which is equal for two builds of one architecture."""
    # Layers with automatic names are numbered anew: Keras counts layers over the whole process, so
    # that two builds would differ in their text, and in the order of ``dense_9`` and ``dense_10``.
    with fixed_randomness(0), warnings.catch_warnings():
        # Keras warns about a lambda, which is refused below.
        warnings.simplefilter("ignore")
        try:
            config = keras.saving.serialize_keras_object(model)
            text = json.dumps(_without_compilation(config))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ValueError(
                f"The custom model cannot be saved as text: {_first_line(error)} {_REGISTER_ADVICE}"
            ) from error
    if '"__lambda__"' in text:
        raise ValueError(f"The custom model holds a lambda. {_REGISTER_ADVICE}")
    config = json.loads(text)
    return json.dumps(
        {
            "model": _rename(config, _canonical_names(config)),
            "imports": sorted(_custom_modules(config)),
            "weight_shapes": _weight_shapes(model),
        }
    )


def deserialize_model(text: str) -> keras.Model:
    """Return the model, not compiled and with arbitrary weights, that `serialize_model` wrote."""
    stored = json.loads(text)
    for module in stored["imports"]:
        if module not in sys.modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
    with fixed_randomness(0):
        try:
            model = keras.saving.deserialize_keras_object(stored["model"])
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"The custom model cannot be built from its text: {_first_line(error)} "
                f"{_REGISTER_ADVICE}"
            ) from error
    # The configuration that Keras gives a subclass of keras.Model may lack arguments.
    if _weight_shapes(model) != stored["weight_shapes"]:
        raise ValueError(
            "The custom model cannot be built from its text: the configuration of its parts gives "
            f"weights of the shapes {enumerate_some(_weight_shapes(model))}, but it had "
            f"{enumerate_some(stored['weight_shapes'])}. {_REGISTER_ADVICE}"
        )
    return model


def consists_of_keras(text: str) -> bool:
    """Return whether a model is built from Keras's own parts, so that its text tells all of it."""
    model = json.loads(text)["model"]
    modules = {str(part["module"] or "keras") for part in _walk(model) if "module" in part}
    # A name may be that of a class or function of the user's own, even where Keras has one.
    names = set(re.findall(r'"((?:[^"\\]|\\.)*)"', text))
    return (
        all(module.partition(".")[0] in ("keras", "builtins") for module in modules)
        and not names & _FOREIGN_LAYERS
        and not any(keras.saving.get_registered_object(name) for name in names)
    )


def _weight_shapes(model: keras.Model) -> list[list[int]]:
    """Return the shapes of a model's weights, in their order."""
    return [list(weight.shape) for weight in model.weights]


def _first_line(error: Exception) -> str:
    """Return an error message of Keras without the configuration that it appends."""
    text = str(error)
    found = re.search(r"Could not locate (class|function) '[^']*'", text)
    return f"{found.group(0)}." if found else text.strip().split("\n")[0][:300]


def _without_compilation(config: Any) -> Any:
    """Return a configuration without the optimizer and loss of the model and its parts."""
    if isinstance(config, dict):
        return {k: _without_compilation(v) for k, v in config.items() if k != "compile_config"}
    if isinstance(config, (list, tuple)):
        return [_without_compilation(item) for item in config]
    return config


def _walk(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every dict of a configuration, outer ones first."""
    if isinstance(config, dict):
        yield config
        for value in config.values():
            yield from _walk(value)
    elif isinstance(config, list):
        for item in config:
            yield from _walk(item)


def _custom_modules(config: Any) -> set[str]:
    """Return the modules that define the classes and functions registered with Keras."""
    modules = set()
    for part in _walk(config):
        registered = part.get("registered_name")
        found = keras.saving.get_registered_object(registered) if registered else None
        module = getattr(found, "__module__", None)
        if module not in (None, "__main__"):
            modules.add(str(module))
    return modules


def _canonical_names(config: Any) -> dict[str, str]:
    """Return a new name for every layer with an automatic one, counted within the model."""
    automatic: dict[str, str] = {}
    taken = set()
    for part in _walk(config):
        inner = part.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        if not isinstance(name, str) or "class_name" not in part:
            continue
        stem = _snake_case(str(part["class_name"]))
        # Keras names the inputs of a cloned model after their tensors.
        stems = f"{re.escape(stem)}|keras_tensor" if stem == "input_layer" else re.escape(stem)
        if re.fullmatch(rf"({stems})(_\d+)?", name):
            automatic.setdefault(name, stem)
        else:
            taken.add(name)
    canonical: dict[str, str] = {}
    for name, stem in automatic.items():
        number, fresh = 0, stem
        while fresh in taken:
            number += 1
            fresh = f"{stem}_{number}"
        taken.add(fresh)
        canonical[name] = fresh
    return canonical


def _rename(config: Any, names: dict[str, str]) -> Any:
    """Return a configuration with layers renamed, in definitions and references."""
    if isinstance(config, dict):
        return {
            key: names.get(value, value)
            if key == "name" and isinstance(value, str)
            else _rename(value, names)
            for key, value in config.items()
        }
    if isinstance(config, list):
        # A reference to a layer's output: [name, node index, tensor index].
        if len(config) == 3 and isinstance(config[0], str) and isinstance(config[1], int):
            return [names.get(config[0], config[0]), *config[1:]]
        return [_rename(item, names) for item in config]
    return config


def _snake_case(class_name: str) -> str:
    """Return the stem of Keras's automatic layer names for a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
