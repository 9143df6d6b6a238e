"""Keras optimizers and callbacks from names, classes or instances and their routed settings.

Owns how settings such as ``optimizer__learning_rate`` reach the object they belong to. Does not
know the network, the loss or the training loop.
"""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from sk_mtl._compat.keras_internals import get_learning_rate, hold_learning_rate
from sk_mtl._names import did_you_mean, suggest_name
from sk_mtl._quoting import quote, shorten

__all__ = ["make_callbacks", "make_optimizer"]


def _split_nested(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Split settings into those of the object itself and those of the objects it holds, by name."""
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in settings.items():
        first, delimiter, rest = name.partition("__")
        if delimiter:
            nested.setdefault(first, {})[rest] = value
        else:
            own[name] = value
    return own, nested


def _accepted_settings(cls: type) -> tuple[list[str], bool]:
    """Return the keyword arguments a class takes, and whether it takes any others too."""
    names: dict[str, None] = {}
    is_open = True
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names.update({p.name: None for p in parameters if p.kind in kinds})
        # Keras's own base classes take **kwargs only to refuse them.
        is_open = any(p.kind is p.VAR_KEYWORD for p in parameters)
        if not is_open:
            break
        is_open = not base.__module__.startswith("keras.")
    return list(names), is_open


def _refuse_unknown(cls: type, settings: Iterable[str], label: str, accepted: list[str]) -> None:
    """Refuse settings that a class does not take, and suggest the nearest it does."""
    for name in settings:
        if name not in accepted:
            raise ValueError(
                f"{cls.__name__} takes no setting {quote(name)} (from {label}__{shorten(name)})."
                f"{did_you_mean(name, accepted)} It takes: {', '.join(accepted) or 'none'}."
            )


def _instantiate(cls: type, settings: Mapping[str, Any], label: str) -> Any:
    """Return an instance of a class with its settings, nested ones included."""
    values = _resolve_values(settings, label)
    accepted, is_open = _accepted_settings(cls)
    positional = sorted((int(name), value) for name, value in values.items() if name.isdigit())
    keywords = {name: value for name, value in values.items() if not name.isdigit()}
    if not is_open:
        _refuse_unknown(cls, keywords, label, accepted)
    if issubclass(cls, keras.optimizers.Optimizer) and "name" in accepted:
        # Keras numbers its optimizers, and TensorFlow keeps some 36 kB for each variable name.
        keywords.setdefault("name", cls.__name__.lower())
    made = cls(*(value for _, value in positional), **keywords)
    if isinstance(made, keras.optimizers.Optimizer):
        hold_learning_rate(made, _learning_rate_of(cls, keywords, made))
    return made


def _learning_rate_of(cls: type, keywords: Mapping[str, Any], made: Any) -> Any:
    """Return the learning rate that an optimizer was made with, before Keras rounds it."""
    parameter = inspect.signature(cls).parameters.get("learning_rate")
    default = None if parameter is None else parameter.default
    rate = keywords.get("learning_rate", default)
    return rate if isinstance(rate, float) else get_learning_rate(made)


def _resolve_values(settings: Mapping[str, Any], label: str) -> dict[str, Any]:
    """Return the values of an object's own settings, with classes instantiated."""
    own, nested = _split_nested(settings)
    orphans = [name for name in nested if name not in own]
    if orphans:
        held = f"{label}__{orphans[0]}"
        raise ValueError(
            f"{held}__{next(iter(nested[orphans[0]]))} is set, but {held} is not. Pass the class "
            f"it belongs to as {held}."
        )
    values = {}
    for name, value in own.items():
        inner = nested.get(name, {})
        if inspect.isclass(value) and (inner or _is_keras_class(value)):
            value = _instantiate(value, inner, f"{label}__{name}")
        elif inner:
            raise TypeError(_describe_not_a_class(value, inner, f"{label}__{name}"))
        values[name] = _to_python_scalar(value, name)
    return values


def _is_keras_class(value: type) -> bool:
    """Return whether a class given as a setting stands for an instance of itself."""
    bases = (
        keras.callbacks.Callback,
        keras.optimizers.Optimizer,
        keras.optimizers.schedules.LearningRateSchedule,
    )
    return issubclass(value, bases)


def _to_python_scalar(value: Any, name: str) -> Any:
    """Return a NumPy scalar as a Python one, and a learning rate as a float, as Keras requires."""
    if isinstance(value, np.generic):
        value = value.item()
    if name == "learning_rate" and isinstance(value, numbers.Real) and not isinstance(value, bool):
        if not 0 <= float(value) < float("inf"):
            raise ValueError(
                f"A learning_rate must be finite and not negative. Got {quote(value)}."
            )
        return float(value)
    return value


def _describe_not_a_class(item: Any, settings: Mapping[str, Any], label: str) -> str:
    """Return the sentence for settings routed to something that is not a class."""
    named = ", ".join(f"{label}__{name}" for name in settings)
    return (
        f"{named} can only be routed to a class, but {label} is an instance of "
        f"{type(item).__name__}. Pass the class itself, or set this on the instance."
    )


# ------------------------------------------------------------------------------------------------
# Optimizers
# ------------------------------------------------------------------------------------------------


def make_optimizer(
    optimizer: str | type[keras.optimizers.Optimizer] | keras.optimizers.Optimizer,
    routed: Mapping[str, Any] | None = None,
) -> keras.optimizers.Optimizer:
    """Make a new Keras optimizer from a name in any case, a class, or a copied instance."""
    settings = dict(routed or {})
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return _copy_optimizer(optimizer, settings)
    if isinstance(optimizer, str):
        optimizer = _find_optimizer_class(optimizer)
    if not (inspect.isclass(optimizer) and issubclass(optimizer, keras.optimizers.Optimizer)):
        raise TypeError(
            "optimizer must be the name of a Keras optimizer, a subclass of "
            f"keras.optimizers.Optimizer or an instance of one. Got {quote(optimizer)}."
        )
    return _instantiate(optimizer, settings, "optimizer")


@lru_cache(maxsize=1)
def _optimizer_classes() -> dict[str, type[keras.optimizers.Optimizer]]:
    """Return the Keras optimizers that need no arguments, by class name."""
    base = keras.optimizers.Optimizer
    classes = [cls for cls in vars(keras.optimizers).values() if inspect.isclass(cls)]
    return {
        cls.__name__: cls
        for cls in classes
        if issubclass(cls, base) and cls is not base
        # Wrappers of other optimizers need to know which.
        if all(
            p.default is not p.empty or p.kind is p.VAR_KEYWORD
            for p in inspect.signature(cls).parameters.values()
        )
    }


def _find_optimizer_class(name: str) -> type[keras.optimizers.Optimizer]:
    """Return the optimizer class of a name in any case, or one registered with Keras."""
    classes = _optimizer_classes()
    by_lower = {known.lower(): cls for known, cls in classes.items()}
    found = by_lower.get(name.lower()) or keras.saving.get_registered_object(name)
    if found is None:
        raise ValueError(
            f"Keras has no optimizer named {quote(name)}.{did_you_mean(name, classes)} "
            f"It has: {', '.join(sorted(classes))}."
        )
    return found


def _copy_optimizer(
    optimizer: keras.optimizers.Optimizer, settings: Mapping[str, Any]
) -> keras.optimizers.Optimizer:
    """Return a new optimizer with an instance's config, with some settings replaced."""
    cls = type(optimizer)
    config = dict(optimizer.get_config())
    own = inspect.signature(cls).parameters.values()
    lost = [p.name for p in own if p.name not in config and p.kind is not p.VAR_KEYWORD]
    advice = (
        f"Pass the class instead of the instance (optimizer={cls.__name__}, "
        "optimizer__learning_rate=…), or give it a complete get_config."
    )
    if lost:
        raise ValueError(
            f"The instance of {cls.__name__} cannot be copied: its get_config leaves out "
            f"{', '.join(lost)}. {advice}"
        )
    values = _resolve_values(settings, "optimizer")
    _refuse_unknown(cls, values, "optimizer", list(config))
    try:
        copied = cls.from_config({**config, **values})
    except (TypeError, ValueError) as error:
        if values:
            raise
        raise ValueError(
            f"The instance of {cls.__name__} cannot be copied from its config ({error}). {advice}"
        ) from error
    hold_learning_rate(copied, values.get("learning_rate", get_learning_rate(optimizer)))
    if hasattr(copied, "inner_optimizer"):
        rate = get_learning_rate(optimizer.inner_optimizer)
        hold_learning_rate(copied.inner_optimizer, rate)
    return copied


# ------------------------------------------------------------------------------------------------
# Callbacks
# ------------------------------------------------------------------------------------------------


def make_callbacks(
    callbacks: Any, routed: Mapping[str, Any] | None = None
) -> list[keras.callbacks.Callback]:
    """Make the list of Keras callbacks from None, callbacks, classes, or nested lists and dicts."""
    # A setting goes to all classes (patience), to one in a list (0__patience), or to one in a dict
    # (stop__patience).
    settings = dict(routed or {})
    if callbacks is None:
        if settings:
            raise ValueError(
                f"callbacks__{next(iter(settings))} is set, but callbacks is None. Pass the "
                "class it belongs to as callbacks."
            )
        return []
    return _collect_callbacks(callbacks, settings, {}, "callbacks")


def _collect_callbacks(
    item: Any, settings: Mapping[str, Any], common: Mapping[str, Any], label: str
) -> list[keras.callbacks.Callback]:
    """Return the callbacks of an item; `common` are settings of its container."""
    if isinstance(item, (Mapping, list, tuple)):
        items = dict(item) if isinstance(item, Mapping) else dict(enumerate(item))
        own, nested = _split_nested(settings)
        keys = [str(key) for key in items]
        for key in nested:
            if key not in keys:
                raise ValueError(
                    f"{label}__{key}__{next(iter(nested[key]))} belongs to no callback: {label} "
                    f"holds {', '.join(keys) or 'none'}.{did_you_mean(key, keys)}"
                )
        for_all = {**common, **own}
        return [
            callback
            for key, value in items.items()
            for callback in _collect_callbacks(
                value, nested.get(str(key), {}), for_all, f"{label}__{key}"
            )
        ]
    if inspect.isclass(item) and issubclass(item, keras.callbacks.Callback):
        return [_instantiate(item, {**common, **settings}, label)]
    if isinstance(item, keras.callbacks.Callback):
        if common or settings:
            raise TypeError(_describe_not_a_class(item, {**common, **settings}, label))
        return [item]
    raise TypeError(_describe_no_callback(item, label))


def _describe_no_callback(item: Any, label: str) -> str:
    """Return the sentence for something that is not a callback."""
    expected = (
        f"{label} must be a keras.callbacks.Callback, a subclass of it, or a list, tuple or dict "
        f"of these. Got {quote(item)}."
    )
    if hasattr(item, "on_fit_task_begin"):
        return f"{expected} Callbacks of scikit-learn are set by the method set_callbacks."
    if not isinstance(item, str):
        return expected
    classes = [name for name, value in vars(keras.callbacks).items() if inspect.isclass(value)]
    nearest = suggest_name(item, classes)
    hint = f" Pass the class: keras.callbacks.{nearest}." if nearest else ""
    return f"{expected} Keras has no names for callbacks.{hint}"
