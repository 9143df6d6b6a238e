"""The state of a pickled estimator: plain values and arrays, and no name of a private module."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

from sk_mtl._codec.values import AnyObjects
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._quoting import quote
from sk_mtl._save.fitted_model import decode_fitted, encode_fitted

__all__ = ["FORMAT_VERSION", "check_protocol", "pickle_fitted", "unpickle_fitted"]

FORMAT_VERSION = 1  # since release 0.2.0


def pickle_fitted(fitted: FittedModel) -> dict[str, Any]:
    """Return a fitted model as plain values; labels of unusual types stand among its arrays."""
    arrays = AnyObjects()
    description = encode_fitted(fitted, arrays)
    return {"format_version": FORMAT_VERSION, "model": description, "arrays": dict(arrays)}


def unpickle_fitted(state: dict[str, Any], n_features: int, name: str) -> FittedModel:
    """Return the fitted model of a state; ValueError if a newer version has written it."""
    version = state.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ValueError(
            f"This pickle of {name} has format version {quote(version)}; this release of sk_mtl "
            f"reads versions up to {FORMAT_VERSION}. Load it with the release that wrote it, or a "
            "newer one."
        )
    return decode_fitted(state["model"], AnyObjects(state["arrays"]), n_features)


def check_protocol(protocol: int, parameters: Mapping[str, Any]) -> None:
    """Refuse, by name, a parameter that an old protocol cannot pickle."""
    if protocol >= 2:
        return
    for name, value in parameters.items():
        try:  # optimizers and models of Keras give pickle a BytesIO, which knows newer ones only
            pickle.dumps(value, protocol)
        except TypeError as error:
            raise TypeError(
                f"The parameter {name!r}, an object of {type(value).__name__}, cannot be pickled "
                f"by protocol {protocol}: {error}. Use protocol 2 or a newer one; the default is "
                f"{pickle.DEFAULT_PROTOCOL}."
            ) from error
