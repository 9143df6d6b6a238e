"""Custom Keras models, built by scikeras from the user's builder function.

Its public `BaseWrapper` calls the builder with the settings routed to it, and with ``meta`` and
``compile_kwargs`` if the builder asks for them [1]_. scikeras is imported only while a model is
built. Importing it replaces how Keras models, losses, metrics and optimizers are pickled and copied
in the whole process, which is undone here.

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

from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._model.custom_outputs import changes_as_text, with_plain_outputs
from sk_mtl._model.keras_objects import make_optimizer
from sk_mtl._model.randomness import fixed_randomness
from sk_mtl._names import suggest_name
from sk_mtl._quoting import quote, shorten
from sk_mtl._tasks import enumerate_some

__all__ = ["as_functional", "build_custom_model", "copy_model", "describe_for_builder"]

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
    """Return the user's own Keras model, built or copied, with known inputs and outputs."""
    # A compiled model is trained with its own optimizer, as in scikeras. The seed fixes initial
    # weights that the builder does not seed. The loss, by default Keras's cross-entropy per task,
    # is for builders that compile; training uses the masked loss.
    settings = dict(model_params or {})
    n_features = int(meta["n_features_in_"])
    chosen = make_optimizer(optimizer, optimizer_params)
    with fixed_randomness(seed):
        if isinstance(builder, keras.Model):
            _refuse_settings_of_model(settings)
            _warn_if_copies_differ(builder)
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
    """Return the ``meta`` of data and tasks for a builder."""
    # For one task the keys are those of scikeras's KerasClassifier. For several, classes_ and
    # n_classes_ are lists, n_outputs_expected_ is the number of tasks and target_type_ is
    # "multilabel-indicator" if all tasks have two classes, else "multiclass-multioutput".
    # task_names_ and n_tasks_ are there in both cases.
    arrays = [np.asarray(task_classes) for task_classes in classes]
    # A head needs a column, and the form of `meta` must not depend on the rows.
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
            f"Got {quote(builder)}."
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
                f"The builder {name} takes no {quote(setting)} (from "
                f"model__{shorten(setting)}).{hint} It takes: {', '.join(own) or 'none'}."
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
    """Warn if the builder compiled with an optimizer without the routed settings."""
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
# Ready models
# ------------------------------------------------------------------------------------------------


def as_functional(model: keras.Model, n_features: int) -> keras.Model:
    """Return the model, or a functional one around it if its inputs are not known."""
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, n_features))
    if not getattr(model, "inputs", None):
        inputs = keras.Input((n_features,), dtype="float32", name="X")
        wrapped = keras.Model(inputs, model(inputs), name="custom_network")
        _compile_like(wrapped, model)
        model = wrapped
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] not in (None, n_features):
        raise ValueError(
            f"model= must take one input of shape (n_samples, {n_features}), which X has. Got "
            f"{len(shapes)} input(s) of shape {enumerate_some(shapes)}. A builder that asks for "
            "`meta` finds the width in meta['n_features_in_']."
        )
    return with_plain_outputs(model)


def _warn_if_copies_differ(model: keras.Model) -> None:
    """Warn of a model whose heads change places when the estimator is cloned or pickled."""
    if changes_as_text(model):
        warn_user(
            "This fit matches the outputs of model= by their keys. Copies that Keras makes of the "
            "model (when the estimator is cloned or pickled, as in cross-validation) give the head "
            "of one key to another, since the outputs are not in a plain dict whose keys are "
            "strings. Pass keras.Model(model.input, {str(key): output for key, output in "
            "model.output.items()}), or a function that builds the model."
        )


def copy_model(model: keras.Model) -> keras.Model:
    """Return an independent copy of a model and its weights."""
    try:
        copied = keras.models.clone_model(model)
        if model.weights and len(copied.weights) == len(model.weights):
            copied.set_weights(model.get_weights())
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"The model given as model= cannot be copied ({error}). Pass a function that builds it."
        ) from error
    if len(copied.weights) != len(model.weights):
        raise ValueError(
            f"The model given as model= cannot be copied: the copy has {len(copied.weights)} "
            f"weight(s), the model {len(model.weights)}. Pass a function that builds it."
        )
    _compile_like(copied, model)
    return copied


def _compile_like(model: keras.Model, other: keras.Model) -> None:
    """Compile a model like another one, if that is compiled."""
    if getattr(other, "compiled", False) and other.optimizer is not None:
        config = keras.optimizers.serialize(other.optimizer)
        model.compile(optimizer=keras.optimizers.deserialize(config), loss=other.loss)


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
