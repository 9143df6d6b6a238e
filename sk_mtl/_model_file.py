"""Saving and loading without pickle: files, and what may go wrong with them.

Owns the two public functions and how files are read. Does not know bytes (`_archive`) nor what is
stored of an estimator (`_model_description`).
"""

from __future__ import annotations

import os
import stat
from typing import Any

from sklearn.utils.validation import check_is_fitted

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._codec.container import check_start, pack, unpack
from sk_mtl._codec.files import replace_file
from sk_mtl._compat.processes import refuse_fork
from sk_mtl._save.model_description import describe_model, restore_model

__all__ = ["load_model", "save_model"]


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
    history, and the values of the optimizer, from which `partial_fit` goes on. Its layout is that
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
    check_is_fitted(estimator)
    refuse_fork()
    content = pack(*describe_model(estimator))
    try:
        again = pack(*describe_model(_load(content)))
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
        The fitted classifier. It predicts, and goes on training, as the one that was saved.

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
    The checksum guards against damage, not against forgery: whoever can write a file can write a
    model that predicts what they like. What a file cannot do is to run code, or to take much more
    memory than its own size.

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
    refuse_fork()
    try:
        return restore_model(text, arrays)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # the libraries that read its parts raise what they like
        raise ValueError(f"This file does not describe a model: {str(error)[:500]}") from error
