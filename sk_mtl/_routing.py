"""Routed settings: from what the user wrote to Keras optimizers and callbacks.

Owns the convention by which ``optimizer__learning_rate=0.01`` or ``callbacks__patience=3`` reaches
the object it belongs to, declared in the estimator's signature or not. The convention is scikeras's
[1]_; the code is not, and scikeras is never imported here. Does not know the network, the loss or
the training loop, and does not build custom models: ``model__…`` is only carried.

References
----------
.. [1] scikeras, "Advanced Usage: Routed parameters",
   https://adriangb.com/scikeras/stable/advanced.html#routed-parameters
"""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from sk_mtl._names import did_you_mean, suggest_name

__all__ = ["RoutedParamsMixin", "make_callbacks", "make_optimizer"]

# Why a prefix that scikeras routes is not routed here, and what to use instead.
_REFUSED_PREFIXES = {
    "loss": (
        "The loss is the masked cross-entropy; loss_normalization, class_weight and "
        "task_weighting are its settings."
    ),
    "metrics": "Score with the scorers of sk_mtl.metrics; history_ holds the losses per task.",
    "compile": "Pass the optimizer as optimizer= and its settings as optimizer__…=.",
    "fit": "Training is set by the estimator's own parameters, such as epochs and batch_size.",
    "predict": "Prediction has no settings.",
    "score": "Score with the scorers of sk_mtl.metrics.",
}

# Names that users of scikit-learn's MLP, Keras and scikeras bring along.
_FOREIGN_NAMES = {
    "learning_rate": "optimizer__learning_rate",
    "learning_rate_init": "optimizer__learning_rate",
    "lr": "optimizer__learning_rate",
    "solver": "optimizer",
    "max_iter": "epochs",
    "n_epochs": "epochs",
    "max_epochs": "epochs",
    "patience": "n_iter_no_change",
    "validation_split": "validation_fraction",
    "seed": "random_state",
    "build_fn": "model",
}


# ------------------------------------------------------------------------------------------------
# Names
# ------------------------------------------------------------------------------------------------


class RoutedParamsMixin:
    """Parameters of the form ``optimizer__learning_rate`` for a scikit-learn estimator.

    Put before :class:`sklearn.base.BaseEstimator` among the bases. The estimator's ``__init__``
    has its explicit parameters and ``**routed``, and ends with ``self._set_routed(routed)``. Routed
    parameters are held as attributes of their full name; they appear in ``get_params`` as soon as
    they are set, whether in ``__init__`` or for the first time by a grid search, and so survive
    ``clone``, ``repr`` and pickle.

    Notes
    -----
    The routed prefixes are ``optimizer``, ``callbacks`` and ``model``. scikeras's other prefixes
    (``loss``, ``metrics``, ``compile``, ``fit``, ``predict``, ``score``) are refused with a
    sentence that says what to use instead.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from sk_mtl._routing import RoutedParamsMixin
    >>> class Estimator(RoutedParamsMixin, BaseEstimator):
    ...     def __init__(self, optimizer="adam", **routed):
    ...         self.optimizer = optimizer
    ...         self._set_routed(routed)
    >>> Estimator(optimizer__learning_rate=0.01).set_params(optimizer__clipnorm=1.0)
    Estimator(optimizer__clipnorm=1.0, optimizer__learning_rate=0.01)
    """

    _routed_prefixes: tuple[str, ...] = ("optimizer", "callbacks", "model")

    def _set_routed(self, routed: Mapping[str, Any]) -> None:
        """Hold the keyword arguments that ``__init__`` did not name; refuse what is not routed."""
        for name in routed:
            if not self._is_routed(name):
                raise TypeError(self._describe_unknown(name))
        vars(self).update(routed)

    def _is_routed(self, name: str) -> bool:
        """Return whether a name is a prefix of ours with a setting behind it."""
        prefix, _, setting = name.partition("__")
        return prefix in self._routed_prefixes and bool(setting)

    def _routed(self, prefix: str) -> dict[str, Any]:
        """Return the settings routed to a prefix, without it.

        Parameters
        ----------
        prefix : {"optimizer", "callbacks", "model"}
            Where the settings belong.

        Returns
        -------
        settings : dict
            Setting to value; nested settings keep their ``__``.
        """
        start = f"{prefix}__"
        return {
            name[len(start) :]: value
            for name, value in sorted(vars(self).items())
            if name.startswith(start) and len(name) > len(start)
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator, the routed ones included.

        Parameters
        ----------
        deep : bool, default=True
            If True, the parameters of contained estimators too.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        params = super().get_params(deep=deep)  # type: ignore[misc]
        for name in sorted(vars(self)):
            if self._is_routed(name):
                params[name] = getattr(self, name)
        return params

    def set_params(self, **params: Any) -> Any:
        """Set the parameters of this estimator, routed ones too, declared before or not.

        Parameters
        ----------
        **params : dict
            Estimator parameters; ``optimizer__…``, ``callbacks__…`` and ``model__…`` are held for
            the object they belong to.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            If a name is neither a parameter nor routed; nothing is set then.
        """
        known = self.get_params(deep=True)
        own, routed = {}, {}
        for name, value in params.items():
            if self._is_routed(name):
                routed[name] = value
                continue
            prefix = name.partition("__")[0]
            is_nested = prefix != name and hasattr(
                params.get(prefix, known.get(prefix)), "set_params"
            )
            if name not in known and not is_nested:
                raise ValueError(self._describe_unknown(name))
            own[name] = value
        super().set_params(**own)  # type: ignore[misc]
        vars(self).update(routed)
        return self

    def _describe_unknown(self, name: str) -> str:
        """Return the sentence for a name that is neither a parameter nor routed."""
        own = list(self._get_param_names())  # type: ignore[attr-defined]
        head = f"{type(self).__name__} has no parameter {name!r}."
        prefix, delimiter, setting = name.partition("__")
        if delimiter and prefix in self._routed_prefixes:
            return f"{head} Name the setting behind the underscores: {prefix}__<setting>."
        if delimiter and prefix in _REFUSED_PREFIXES:
            meant = setting if setting in own else _FOREIGN_NAMES.get(setting)
            if meant in own:
                return f"{head} Use {meant!r}."
            return f"{head} {_REFUSED_PREFIXES[prefix]}"
        if delimiter:
            nearest = suggest_name(prefix, self._routed_prefixes)
            meant = f"{nearest}__{setting}" if nearest else None
        else:
            meant = _FOREIGN_NAMES.get(name)
            if meant is None or meant.partition("__")[0] not in own:
                meant = suggest_name(name, own)
        hint = f" Did you mean {meant!r}?" if meant else ""
        if "model" not in own:
            return head + hint
        return (
            f"{head}{hint} Settings of the optimizer, the callbacks and a custom model are routed: "
            "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
        )


# ------------------------------------------------------------------------------------------------
# Classes with routed settings
# ------------------------------------------------------------------------------------------------


def _split_nested(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Split settings into those of the object itself and those of what it holds, by name."""
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
    """Refuse settings that a class does not take, naming the nearest that it does."""
    for name in settings:
        if name not in accepted:
            raise ValueError(
                f"{cls.__name__} takes no setting {name!r} (from {label}__{name})."
                f"{did_you_mean(name, accepted)} It takes: {', '.join(accepted) or 'none'}."
            )


def _instantiate(cls: type, settings: Mapping[str, Any], label: str) -> Any:
    """Return an instance of a class built with its settings, nested ones included."""
    values = _resolve_values(settings, label)
    accepted, is_open = _accepted_settings(cls)
    positional = sorted((int(name), value) for name, value in values.items() if name.isdigit())
    keywords = {name: value for name, value in values.items() if not name.isdigit()}
    if not is_open:
        _refuse_unknown(cls, keywords, label, accepted)
    if issubclass(cls, keras.optimizers.Optimizer) and "name" in accepted:
        # Keras would count the optimizers, and TensorFlow keeps some 36 kB for every name of a
        # variable that it has seen.
        keywords.setdefault("name", cls.__name__.lower())
    return cls(*(value for _, value in positional), **keywords)


def _resolve_values(settings: Mapping[str, Any], label: str) -> dict[str, Any]:
    """Return the values of an object's own settings, classes among them instantiated."""
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
    """Return a NumPy scalar as a Python one, and a learning rate as a float: Keras insists."""
    if isinstance(value, np.generic):
        value = value.item()
    if name == "learning_rate" and isinstance(value, numbers.Real) and not isinstance(value, bool):
        if not 0 <= float(value) < float("inf"):
            raise ValueError(f"A learning_rate must be finite and not negative. Got {value!r}.")
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
    """Make a fresh Keras optimizer from a name, a class or an instance.

    Parameters
    ----------
    optimizer : str, class or instance of keras.optimizers.Optimizer
        A name in any case ("adam", "Adam", "RMSprop"), a class, or an instance. An instance is
        never used itself: a copy is made from its config, so that one instance can be given to
        many fits and is neither built nor changed by them.
    routed : mapping of str to object, default=None
        Settings: ``{"learning_rate": 0.01}``. A class as a value is instantiated, with the settings
        routed to it: ``{"learning_rate": CosineDecay, "learning_rate__decay_steps": 100}``. Beside
        an instance they replace the settings it has.

    Returns
    -------
    optimizer : keras.optimizers.Optimizer
        A new optimizer without any state.

    Raises
    ------
    TypeError
        If `optimizer` is none of these.
    ValueError
        If no optimizer has that name, it takes no such setting, or an instance cannot be copied.

    Examples
    --------
    >>> from sk_mtl._routing import make_optimizer
    >>> adam = make_optimizer("adam", {"learning_rate": 0.5})
    >>> type(adam).__name__, float(adam.learning_rate)
    ('Adam', 0.5)
    """
    settings = dict(routed or {})
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return _copy_optimizer(optimizer, settings)
    if isinstance(optimizer, str):
        optimizer = _find_optimizer_class(optimizer)
    if not (inspect.isclass(optimizer) and issubclass(optimizer, keras.optimizers.Optimizer)):
        raise TypeError(
            "optimizer must be the name of a Keras optimizer, a subclass of "
            f"keras.optimizers.Optimizer or an instance of one. Got {optimizer!r}."
        )
    return _instantiate(optimizer, settings, "optimizer")


def _optimizer_classes() -> dict[str, type[keras.optimizers.Optimizer]]:
    """Return the Keras optimizers that can be had by their name alone, by their class name."""
    base = keras.optimizers.Optimizer
    classes = [cls for cls in vars(keras.optimizers).values() if inspect.isclass(cls)]
    return {
        cls.__name__: cls
        for cls in classes
        if issubclass(cls, base) and cls is not base
        # Those that wrap other optimizers have to be told which.
        if all(
            p.default is not p.empty or p.kind is p.VAR_KEYWORD
            for p in inspect.signature(cls).parameters.values()
        )
    }


def _find_optimizer_class(name: str) -> type[keras.optimizers.Optimizer]:
    """Return the optimizer class of a name, in any case, or registered with Keras."""
    classes = _optimizer_classes()
    by_lower = {known.lower(): cls for known, cls in classes.items()}
    found = by_lower.get(name.lower()) or keras.saving.get_registered_object(name)
    if found is None:
        raise ValueError(
            f"Keras has no optimizer named {name!r}.{did_you_mean(name, classes)} "
            f"It has: {', '.join(sorted(classes))}."
        )
    return found


def _copy_optimizer(
    optimizer: keras.optimizers.Optimizer, settings: Mapping[str, Any]
) -> keras.optimizers.Optimizer:
    """Return a new optimizer of an instance's config, with some settings replaced."""
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
        return cls.from_config({**config, **values})
    except (TypeError, ValueError) as error:
        if values:
            raise
        raise ValueError(
            f"The instance of {cls.__name__} cannot be copied from its config ({error}). {advice}"
        ) from error


# ------------------------------------------------------------------------------------------------
# Callbacks
# ------------------------------------------------------------------------------------------------


def make_callbacks(
    callbacks: Any, routed: Mapping[str, Any] | None = None
) -> list[keras.callbacks.Callback]:
    """Make the list of Keras callbacks from what the user gave.

    Parameters
    ----------
    callbacks : None, class or instance of keras.callbacks.Callback, list, tuple or dict of these
        Instances are used as they are, classes are instantiated. Lists may hold lists.
    routed : mapping of str to object, default=None
        Settings for the classes: ``{"patience": 3}`` goes to all of them, ``{"0__patience": 3}`` to
        the first of a list, ``{"stop__patience": 3}`` to the one a dict holds under "stop".

    Returns
    -------
    callbacks : list of keras.callbacks.Callback
        In the order given.

    Raises
    ------
    TypeError
        If something is not a callback, or a setting is routed to an instance.
    ValueError
        If a setting has nothing it belongs to, or its class does not take it.

    Examples
    --------
    >>> import keras
    >>> from sk_mtl._routing import make_callbacks
    >>> [stop] = make_callbacks([keras.callbacks.EarlyStopping], {"patience": 3})
    >>> stop.patience
    3
    """
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
    """Return the callbacks that an item stands for; `common` is what its container was given."""
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
        f"of these. Got {item!r}."
    )
    if not isinstance(item, str):
        return expected
    classes = [name for name, value in vars(keras.callbacks).items() if inspect.isclass(value)]
    nearest = suggest_name(item, classes)
    hint = f" Pass the class: keras.callbacks.{nearest}." if nearest else ""
    return f"{expected} Keras has no names for callbacks.{hint}"
