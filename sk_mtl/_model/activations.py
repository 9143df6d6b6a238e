"""Names of activations. Keras is imported only when one is looked up."""

from __future__ import annotations

from typing import Any

from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote

__all__ = ["canonical_activation"]

_SCIKIT_LEARN_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}


def canonical_activation(activation: Any) -> str:
    """Return Keras's name of an activation given by name (also scikit-learn's) or as a function."""
    import keras

    known = _SCIKIT_LEARN_ACTIVATIONS.get(activation, activation)
    try:
        function = keras.activations.get(known)
        # Keras warns of a lambda before it can be refused.
        is_lambda = getattr(function, "__name__", None) == "<lambda>"
        name = None if is_lambda else keras.activations.serialize(function)
        # Keras goes by the name, also of a function of the user's own.
        if callable(activation) and not function.__module__.startswith(("keras.", "tensorflow.")):
            name = None
    except (ValueError, TypeError, AttributeError) as error:
        if callable(activation):
            raise ValueError(_describe_function(activation)) from error
        names = [*_SCIKIT_LEARN_ACTIVATIONS, *vars(keras.activations)]
        raise ValueError(
            f"activation must be one that Keras knows. Got {quote(activation)}."
            f"{did_you_mean(activation, names)}"
        ) from error
    if not isinstance(name, str):
        raise ValueError(_describe_function(activation))
    if name == "glu":
        raise ValueError(
            "activation must keep the width of a layer; 'glu' halves it. Take another, such as "
            "'silu', or give layers of your own by `model=`."
        )
    return name


def _describe_function(activation: Any) -> str:
    """Return why a function or a layer is no activation, and what to write."""
    import keras

    name = getattr(activation, "__name__", None)
    is_known = isinstance(name, str) and callable(getattr(keras.activations, name, None))
    advice = f"write activation={name!r} for Keras's, or " if is_known else ""
    return (
        "activation must be the name of a Keras activation, or one of its functions. "
        f"Got {quote(activation)}; {advice}give layers of your own by `model=`."
    )
