"""Saving and loading without pickle: one file with a fitted classifier.

Owns the two public functions, and what a file holds beside the fitted model: the parameters and the
metadata requests. Does not know bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from importlib.metadata import version
from typing import Any

import numpy as np
import sklearn
from sklearn.utils.validation import check_is_fitted

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._codec.container import check_start, pack, read_json, unpack
from sk_mtl._codec.files import replace_file
from sk_mtl._codec.values import decode_value, encode_value, require
from sk_mtl._compat.parameters import check_parameters
from sk_mtl._fit.shown import FEATURE_ATTRIBUTES, SHOWN_ATTRIBUTES
from sk_mtl._save.fitted_model import decode_fitted, encode_fitted
from sk_mtl._save.parameters import decode_parameter, encode_parameter
from sk_mtl._tasks import enumerate_some

__all__ = ["load_model", "save_model"]

_PARTS = {"estimator", "features", "model", "parameters", "requests", "versions"}
_REQUESTED = ("fit", "partial_fit", "score")
_LIBRARIES = ("sk_mtl", "keras", "numpy", "pandas", "scikit-learn", "tensorflow")


def save_model(estimator: MultiTaskClassifier, file: Any) -> None:
    """Save a fitted classifier in one file, without pickle.

    Parameters
    ----------
    estimator : MultiTaskClassifier
        A fitted classifier with plain parameters: numbers, strings, lists, dicts and the like.
    file : path-like or file object
        Where to write: a path, or an object with ``write`` that takes bytes. A path is replaced in
        one step, when all is written.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    TypeError
        If it is something else, or a parameter cannot be written: an instance of an optimizer or a
        callback, a function, a `model` of your own. Nothing is written then.
    ValueError
        If it could not be loaded again, because of what it was given since `fit`. Nothing is
        written then.

    See Also
    --------
    load_model : Load it.

    Notes
    -----
    The file holds the parameters, what `fit` learned of X and y, the weights of the network, the
    history, and the values of the optimizer, from which `partial_fit` continues. Its layout is that
    of safetensors: other tools can read the weights.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sk_mtl import MultiTaskClassifier, load_model, save_model
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=80, random_state=0)
    >>> clf = MultiTaskClassifier(epochs=2, random_state=0).fit(X, Y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(clf, Path(folder) / "model.safetensors")
    ...     again = load_model(Path(folder) / "model.safetensors")
    >>> bool((again.predict_proba(X)["y0"] == clf.predict_proba(X)["y0"]).all())
    True
    """
    if type(estimator) is not MultiTaskClassifier:
        raise TypeError(
            "save_model takes a MultiTaskClassifier itself. Got an object of "
            f"{type(estimator).__name__}. Take the classifier out of a Pipeline (model[-1]) or a "
            "search (search.best_estimator_); skops.io and pickle save those whole."
        )
    estimator = estimator._snapshot()
    check_is_fitted(estimator)
    content = pack(*_describe(estimator))
    try:
        again = pack(*_describe(_load(content)))
    except ValueError as error:
        raise ValueError(f"load_model would refuse what was to be saved. {error}") from error
    if again != content:
        raise ValueError("load_model would not give back the same model. Pickle it.")
    if hasattr(file, "write"):
        file.write(content)
    else:
        replace_file(os.path.realpath(os.fsdecode(file)), content)


def load_model(file: Any) -> MultiTaskClassifier:
    """Load a classifier that `save_model` has saved; runs no code of the file.

    Parameters
    ----------
    file : path-like or file object
        A path, or an object with ``read`` that returns bytes.

    Returns
    -------
    estimator : MultiTaskClassifier
        The fitted classifier. It predicts, and continues training, as the one that was saved.

    Raises
    ------
    ValueError
        If the file is no such file, is damaged, was written by a newer version of the format, or
        does not describe a model.
    OSError
        If it cannot be read; FileNotFoundError, for one.

    See Also
    --------
    save_model : Save it.

    Notes
    -----
    The checksum protects against damage, not against forgery: anyone who can write a file can write
    a model that predicts what they like. A file cannot run code, nor take much more memory than its
    own size. The optimizer's name and settings are checked when training continues, since only
    Keras knows them; loading imports neither Keras nor TensorFlow.

    Examples
    --------
    >>> import io
    >>> from sk_mtl import load_model
    >>> load_model(io.BytesIO(b"something else"))
    Traceback (most recent call last):
        ...
    ValueError: This is not a file that sk_mtl has written.
    """
    if hasattr(file, "read"):
        content = file.read()
        if not isinstance(content, bytes):
            raise TypeError(f"file must be opened in binary mode. Got {type(content).__name__}.")
        return _load(content)
    path = os.fspath(file)
    # To open a pipe is to wait for somebody who writes, and a device may have no end.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{os.fsdecode(path)!r} is a folder or a device, not a file.")
    with open(path, "rb") as opened:
        check_start(opened.read(200))
        opened.seek(0)
        return _load(opened.read())


def _load(content: bytes) -> MultiTaskClassifier:
    """Return the estimator that a content describes."""
    text, arrays = unpack(content)
    try:
        return _restore(text, arrays)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # the libraries that read its parts raise what they like
        raise ValueError(f"This file does not describe a model: {str(error)[:500]}") from error


def _describe(estimator: MultiTaskClassifier) -> tuple[str, dict[str, np.ndarray]]:
    """Return what is stored of a fitted estimator, as JSON and arrays."""
    fitted, arrays = estimator._fitted, dict[str, np.ndarray]()
    network = fitted.network
    if estimator.model is not None or (network and network.spec.custom_model is not None):
        raise TypeError(
            "save_model does not take a network of your own (model=): the configuration of a Keras "
            "model names classes and functions, so that to load it is to run code. Pickle the "
            "estimator, or save the network alone by clf.model_.save('network.keras'), for those "
            "who trust you."
        )
    parameters = estimator.get_params(deep=False)
    known = {*parameters, *SHOWN_ATTRIBUTES, *FEATURE_ATTRIBUTES, "_fitted", "_metadata_request"}
    if unknown := sorted(vars(estimator).keys() - known):
        advice = "Delete them, or pickle the estimator."
        if unknown == ["_skl_callbacks"]:
            advice = "They are callbacks of scikit-learn: remove them by set_callbacks()."
        raise TypeError(
            f"save_model does not know the attribute(s) {enumerate_some(unknown)}, and would lose "
            f"them. {advice}"
        )
    try:
        description = {
            "estimator": "MultiTaskClassifier",
            "versions": {library: version(library) for library in _LIBRARIES},
            "parameters": {
                name: encode_parameter(name, value, arrays) for name, value in parameters.items()
            },
            "requests": _describe_requests(estimator),
            "features": {
                name: encode_value(vars(estimator).get(name), name, arrays)
                for name in FEATURE_ATTRIBUTES
            },
            "model": encode_fitted(fitted, arrays),
        }
        return json.dumps(description, allow_nan=False, separators=(",", ":")), arrays
    except RecursionError as error:
        raise ValueError("A value holds itself, or is nested too deep.") from error


def _restore(text: str, arrays: dict[str, np.ndarray]) -> MultiTaskClassifier:
    """Return the estimator of a description that may come from anybody."""
    nodes = read_json(text)
    require(nodes.keys() == _PARTS, "the parts are not those of a model")
    require(nodes["estimator"] == "MultiTaskClassifier", "it describes another estimator")
    # A parameter that the version which wrote the file did not have takes its default.
    parameters = {k: decode_parameter(v, arrays) for k, v in nodes["parameters"].items()}
    estimator = MultiTaskClassifier(**parameters)
    require(estimator.model is None, "it has a custom model")
    require(type(estimator.optimizer) is str, "the optimizer is not named by a string")
    check_parameters(estimator)
    features = {name: decode_value(node, arrays) for name, node in nodes["features"].items()}
    require(features.keys() == set(FEATURE_ATTRIBUTES), "unexpected keys in the features")
    n_features, names = (features[name] for name in FEATURE_ATTRIBUTES)
    is_count = type(n_features) is int and 1 <= n_features < 2**62
    require(is_count, "the number of features is out of range")
    if names is None:
        del features["feature_names_in_"]
    else:
        is_array = type(names) is np.ndarray and names.shape == (n_features,)
        require(is_array and all(type(name) is str for name in names), "features lack names")
    fitted = decode_fitted(nodes["model"], arrays, n_features)
    # Other libraries have their say here: a prediction of the first class, and of the last.
    codes = np.maximum(np.array([[0], [1]]) * (np.array(fitted.schema.n_classes) - 1), 0)
    with contextlib.suppress(ImportError):  # of the library that y's frame was from
        fitted.schema.decode(codes, fitted.has_labels)
    estimator.__dict__.update(features)
    estimator._set_fitted(fitted)
    _restore_requests(nodes["requests"], estimator)
    require(not arrays, f"nothing uses the arrays {enumerate_some(arrays)}")
    return estimator


def _describe_requests(estimator: MultiTaskClassifier) -> dict[str, dict[str, Any]]:
    """Return what was set by `set_fit_request` and its kin."""
    if "_metadata_request" not in vars(estimator):
        return {}
    routing = estimator.get_metadata_routing()
    return {name: dict(getattr(routing, name).requests) for name in _REQUESTED}


def _restore_requests(requests: dict[str, Any], estimator: MultiTaskClassifier) -> None:
    if not requests:
        return
    require(requests.keys() == set(_REQUESTED), "metadata requests of other methods")
    with sklearn.config_context(enable_metadata_routing=True):
        for method, asked in requests.items():
            require(
                all(value is None or type(value) in (bool, str) for value in asked.values()),
                "a metadata request is invalid",
            )
            getattr(estimator, f"set_{method}_request")(**asked)


# Pickles refer to a function by its public path, and doctest skips objects of another module.
save_model.__module__ = load_model.__module__ = "sk_mtl"
__test__ = {"load_model": load_model, "save_model": save_model}
