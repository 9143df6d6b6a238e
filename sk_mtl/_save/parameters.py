"""The parameters of an estimator as plain values, and back, without pickle.

Strategies of task weighting are looked up in a fixed list, and no other code is named.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from sk_mtl import weighting
from sk_mtl._codec.values import decode_value, encode_value, require, what_is_held
from sk_mtl._quoting import quote, shorten
from sk_mtl.weighting import TaskWeighting

__all__ = ["decode_parameter", "encode_parameter"]

_ADVICE = {
    "activation": "Name the activation by a string.",
    "callbacks": "A fitted model needs none: set_params(callbacks=None) takes them away.",
    "checkpoint": "Give the folder as a str, or None: a fitted model needs none.",
    "classes": "Give the classes as lists.",
    "optimizer": "Name the optimizer by a string, and give its settings as optimizer__…=.",
    "random_state": "Give an int.",
    "task_weighting": "A strategy of your own is code, which the file must not hold.",
}


def encode_parameter(name: str, value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return a parameter for JSON; TypeError with advice if it is code."""
    if type(value) in _strategies().values():
        settings = encode_value(vars(value), f"parameters/{name}", arrays)
        return {"strategy": [type(value).__name__, settings]}
    try:
        return encode_value(value, f"parameters/{name}", arrays)
    except TypeError as error:
        advice = _ADVICE.get(name.partition("__")[0], "Pickle the estimator.")
        raise TypeError(
            f"save_model cannot write the parameter {quote(name)} without pickle: it holds "
            f"{shorten(what_is_held(error))}. {advice}"
        ) from error


def decode_parameter(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return the parameter that `encode_parameter` was given."""
    if not isinstance(node, dict) or set(node) != {"strategy"}:
        return decode_value(node, arrays)
    name, settings = node["strategy"]
    strategy, settings = _strategies()[name], decode_value(settings, arrays)
    require(
        settings.keys() == inspect.signature(strategy).parameters.keys(),
        f"{name} has other settings",
    )
    return strategy(**settings)


def _strategies() -> dict[str, type]:
    """Return this package's own strategies of task weighting, by name."""
    classes = {name: getattr(weighting, name) for name in weighting.__all__}
    return {name: cls for name, cls in classes.items() if cls is not TaskWeighting}
