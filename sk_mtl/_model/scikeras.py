"""Custom Keras models, built by scikeras from the user's builder function.

Owns the one use of scikeras: its public `BaseWrapper` calls the builder with the settings routed to
it, and with ``meta`` and ``compile_kwargs`` if the builder asks for them [1]_. Imported for
``model=`` only. scikeras itself is imported while a model is built and leaves the process as it
found it: importing it replaces how Keras models, losses, metrics and optimizers are pickled and
copied, for everybody, which is undone here. Does not read the model it gets (`_custom_model` does)
and does not train.

References
----------
.. [1] scikeras, "Advanced Usage", https://adriangb.com/scikeras/stable/advanced.html
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from sk_mtl._model.custom_model import as_functional, copy_model, fixed_randomness
from sk_mtl._model.keras_objects import make_optimizer
from sk_mtl._names import suggest_name

__all__ = ["build_custom_model", "describe_for_builder"]

_IMPORT_LOCK = threading.RLock()
_ABSENT = object()
# What scikeras gives to a builder that asks for it.
_GIVEN_BY_SCIKERAS = ("meta", "compile_kwargs", "params")


def build_custom_model(
    builder: Callable[..., keras.Model] | keras.Model,
    *,
    meta: Mapping[str, Any],
    seed: int,
    model_params: Mapping[str, Any] | None = None,
    optimizer: Any = "adam",
    optimizer_params: Mapping[str, Any] | None = None,
    loss: Any = None,
    metrics: Any = None,
) -> keras.Model:
    """Build the user's own Keras model.

    Parameters
    ----------
    builder : callable or keras.Model
        A function as scikeras takes it (or a partial, a class, an object that can be called) that
        returns a Keras model, compiled or not; or a model, which is copied with the weights it has
        and is not changed.
    meta : mapping of str to object
        What `describe_for_builder` returned; given to a builder with a parameter ``meta``.
    seed : int
        Fixes the initial weights that the builder leaves to chance. Random states of the process
        are as before afterwards.
    model_params : mapping of str to object, default=None
        The builder's own keyword arguments: ``{"width": 64}``.
    optimizer : str, class or instance of keras.optimizers.Optimizer, default="adam"
        The optimizer in ``compile_kwargs``, as `make_optimizer` takes it.
    optimizer_params : mapping of str to object, default=None
        The settings routed to it.
    loss : str, callable or keras.losses.Loss, or a list of these, default=None
        The loss in ``compile_kwargs``. None means Keras's cross-entropy by name, one per task. It
        serves builders that compile; training uses the masked loss.
    metrics : list, default=None
        The metrics in ``compile_kwargs``.

    Returns
    -------
    model : keras.Model
        With known inputs and outputs and its weights created. If it is compiled, `optimizer` is
        the one it is to be trained with, as with scikeras.

    Raises
    ------
    TypeError
        If the builder does not take these settings or does not return a Keras model.
    ValueError
        If the model does not take one input of the width of X.

    Warns
    -----
    UserWarning
        If optimizer settings are routed, but the builder compiles with another optimizer.

    Examples
    --------
    >>> import keras
    >>> from sk_mtl._model.scikeras import build_custom_model, describe_for_builder
    >>> def build(meta, width=8):
    ...     inputs = keras.Input((meta["n_features_in_"],))
    ...     return keras.Model(inputs, keras.layers.Dense(width, "relu")(inputs))
    >>> meta = describe_for_builder((100, 5), [[0, 1], [0, 1, 2]], ["a", "b"])
    >>> build_custom_model(build, meta=meta, seed=0, model_params={"width": 16}).output_shape
    (None, 16)
    """
    settings = dict(model_params or {})
    n_features = int(meta["n_features_in_"])
    chosen = make_optimizer(optimizer, optimizer_params)
    with fixed_randomness(seed):
        if isinstance(builder, keras.Model):
            _refuse_settings_of_model(settings)
            model = copy_model(builder)
        else:
            _check_builder(builder, settings)
            model = _call_builder(
                builder,
                settings,
                meta,
                {"optimizer": chosen, "loss": loss or _default_loss(meta), "metrics": metrics},
            )
        _warn_if_settings_are_lost(model, chosen, optimizer_params)
        return as_functional(model, n_features)


def describe_for_builder(
    X_shape: tuple[int, int],
    classes: Sequence[Any],
    task_names: Sequence[Hashable],
    *,
    is_1d: bool = False,
) -> dict[str, Any]:
    """Describe data and tasks for a builder that asks for ``meta``.

    Parameters
    ----------
    X_shape : tuple of int
        Shape of X.
    classes : sequence of array-like
        The classes of each task.
    task_names : sequence of hashable
        The names of the tasks.
    is_1d : bool, default=False
        Whether y was one task in 1-D form.

    Returns
    -------
    meta : dict
        For one task, scikeras's keys as its KerasClassifier sets them: ``n_features_in_``,
        ``X_shape_``, ``X_dtype_``, ``classes_``, ``n_classes_``, ``target_type_`` ("binary" or
        "multiclass"), ``n_outputs_``, ``n_outputs_expected_``, ``y_dtype_``, ``y_ndim_``. For
        several tasks, ``classes_`` and ``n_classes_`` are lists, ``n_outputs_expected_`` is the
        number of tasks and ``target_type_`` is "multilabel-indicator" where all tasks have two
        classes, else "multiclass-multioutput". In both cases also ``task_names_``, ``n_tasks_``.
        ``n_classes_`` is at least 2: a task of fewer classes is to have a head, which is not read.

    Examples
    --------
    >>> from sk_mtl._model.scikeras import describe_for_builder
    >>> meta = describe_for_builder((100, 5), [[0, 1], [0, 1, 2]], ["a", "b"])
    >>> meta["n_classes_"], meta["target_type_"]
    ([2, 3], 'multiclass-multioutput')
    """
    arrays = [np.asarray(task_classes) for task_classes in classes]
    # A head of no columns cannot be built, and the form of `meta` must not change with the rows.
    n_classes = [max(len(task_classes), 2) for task_classes in arrays]
    n_tasks = len(arrays)
    all_binary = max(n_classes) <= 2
    meta: dict[str, Any] = {
        "n_features_in_": int(X_shape[1]),
        "X_shape_": (int(X_shape[0]), int(X_shape[1])),
        "X_dtype_": np.dtype(np.float32),
        "y_dtype_": np.result_type(*arrays) if _share_kind(arrays) else np.dtype(object),
        "y_ndim_": 1 if is_1d else 2,
        "n_outputs_": n_tasks,
        "n_outputs_expected_": n_tasks,
        "n_tasks_": n_tasks,
        "task_names_": list(task_names),
    }
    if n_tasks == 1:
        target_type = "binary" if all_binary else "multiclass"
        return {
            **meta,
            "classes_": arrays[0],
            "n_classes_": n_classes[0],
            "target_type_": target_type,
        }
    target_type = "multilabel-indicator" if all_binary else "multiclass-multioutput"
    return {**meta, "classes_": arrays, "n_classes_": n_classes, "target_type_": target_type}


def _share_kind(arrays: Sequence[np.ndarray]) -> bool:
    return len({array.dtype.kind for array in arrays}) == 1


def _default_loss(meta: Mapping[str, Any]) -> Any:
    """Return Keras's cross-entropy by name, one per task."""
    n_classes = meta["n_classes_"]
    by_task = [
        "binary_crossentropy" if n <= 2 else "sparse_categorical_crossentropy"
        for n in (n_classes if isinstance(n_classes, list) else [n_classes])
    ]
    return by_task if len(by_task) > 1 else by_task[0]


# ------------------------------------------------------------------------------------------------
# The builder
# ------------------------------------------------------------------------------------------------


def _refuse_settings_of_model(settings: Mapping[str, Any]) -> None:
    """Refuse settings routed to a ready model."""
    if settings:
        raise TypeError(
            f"model__{next(iter(settings))} is set, but model= is a ready Keras model, which takes "
            "no settings. Pass a function that builds it."
        )


def _check_builder(builder: Any, settings: Mapping[str, Any]) -> None:
    """Refuse what cannot be called, and settings that the builder does not take."""
    if not callable(builder):
        raise TypeError(
            "model must be a function that returns a keras.Model, or a keras.Model. "
            f"Got {builder!r}."
        )
    name = getattr(builder, "__name__", type(builder).__name__)
    for setting in settings:
        if "__" in setting:
            raise TypeError(
                f"model__{setting} cannot be routed: a parameter of the builder {name} holds no "
                "double underscore."
            )
    parameters = list(inspect.signature(builder).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    takes = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    own = [setting for setting in takes if setting not in _GIVEN_BY_SCIKERAS]
    for setting in settings:
        if setting not in own:
            nearest = suggest_name(setting, own)
            hint = f" Did you mean 'model__{nearest}'?" if nearest else ""
            raise TypeError(
                f"The builder {name} takes no {setting!r} (from model__{setting}).{hint} "
                f"It takes: {', '.join(own) or 'none'}."
            )
    missing = [
        p.name
        for p in parameters
        if p.name in own and p.default is p.empty and p.name not in settings
    ]
    if missing:
        raise TypeError(
            f"The builder {name} needs {', '.join(missing)}: set model__{missing[0]}=…, or give "
            "the parameter a default."
        )


def _call_builder(
    builder: Any,
    settings: Mapping[str, Any],
    meta: Mapping[str, Any],
    compile_kwargs: Mapping[str, Any],
) -> keras.Model:
    """Have scikeras call the builder."""
    # BaseWrapper takes functions and partials only, and hands `meta` to whatever has **kwargs,
    # which a Keras model's constructor refuses.
    if inspect.isclass(builder):
        function, routed = _without_parameters(builder, settings), {}
    else:
        function = builder if inspect.isfunction(builder) else functools.partial(builder)
        routed = {f"model__{name}": value for name, value in settings.items()}
    with _scikeras_wrapper() as wrapper_class:
        wrapper = wrapper_class(model=function, **compile_kwargs, **routed)
        # `meta` is what the wrapper has of attributes that end in an underscore. Without y,
        # `initialize` sets only those of X, for which a view of a single zero serves.
        vars(wrapper).update({k: v for k, v in meta.items() if k != "X_dtype_"})
        X = np.broadcast_to(np.zeros((), dtype=meta["X_dtype_"]), meta["X_shape_"])
        wrapper.initialize(X)
    model = wrapper.model_
    if not isinstance(model, keras.Model):
        raise TypeError(
            "The builder given as model= must return a keras.Model. Got an instance of "
            f"{type(model).__name__}."
        )
    return model


def _without_parameters(cls: Any, settings: Mapping[str, Any]) -> Callable[[], Any]:
    """Return a function without parameters that makes an instance of a class."""

    def build() -> Any:
        return cls(**settings)

    return build


def _warn_if_settings_are_lost(
    model: keras.Model, chosen: Any, optimizer_params: Mapping[str, Any] | None
) -> None:
    """Warn if the builder compiled with an optimizer that does not have the routed settings."""
    if not optimizer_params or not getattr(model, "compiled", False) or model.optimizer is chosen:
        return
    warnings.warn(
        f"optimizer__{next(iter(optimizer_params))} has no effect: the model given as model= is "
        f"compiled with its own {type(model.optimizer).__name__}. Let the builder ask for "
        "compile_kwargs and use compile_kwargs['optimizer'], or return the model uncompiled.",
        UserWarning,
        stacklevel=3,
    )


# ------------------------------------------------------------------------------------------------
# Importing scikeras without a trace
# ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _scikeras_wrapper() -> Iterator[Any]:
    """Lend scikeras's BaseWrapper; afterwards Keras and the loaded modules are as before."""
    with _IMPORT_LOCK:
        if "scikeras" in sys.modules:  # the user's own import; its changes are theirs
            from scikeras.wrappers import BaseWrapper

            yield BaseWrapper
            return
        replaced = [
            (keras.Model, "__reduce__"),
            (keras.Model, "__deepcopy__"),
            (keras.losses.Loss, "__reduce__"),
            (keras.metrics.Metric, "__reduce__"),
            (keras.optimizers.Optimizer, "__reduce__"),
        ]
        before = [vars(cls).get(name, _ABSENT) for cls, name in replaced]
        try:
            from scikeras.wrappers import BaseWrapper
        finally:
            for (cls, name), method in zip(replaced, before, strict=True):
                if method is not _ABSENT:
                    setattr(cls, name, method)
                elif name in vars(cls):
                    delattr(cls, name)
            # A later import by the user then does what it always does.
            for module in [m for m in sys.modules if m.partition(".")[0] == "scikeras"]:
                del sys.modules[module]
        yield BaseWrapper
