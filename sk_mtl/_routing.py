"""Routed parameters: ``optimizer__learning_rate=0.01`` as a parameter of the estimator.

Owns the names of routed parameters, declared in the estimator's signature or not. The convention is
scikeras's [1]_; the code is not. Does not know Keras: `_model.keras_objects` uses the settings.

References
----------
.. [1] scikeras, "Advanced Usage: Routed parameters",
   https://adriangb.com/scikeras/stable/advanced.html#routed-parameters
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sk_mtl._names import suggest_name
from sk_mtl._quoting import quote

__all__ = ["RoutedParamsMixin"]

# Prefixes that scikeras routes and this package does not, with what to use instead.
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

# Names in scikit-learn's MLP, Keras and scikeras.
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


class RoutedParamsMixin:
    """Parameters of the form ``optimizer__learning_rate`` for a scikit-learn estimator.

    The estimator's ``__init__`` has its explicit parameters and ``**routed``, and ends with
    ``self._set_routed(routed)``. Routed parameters are attributes with their full name;
    ``get_params`` lists them once they are set, so they survive ``clone``, ``repr`` and pickle.

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
        """Set the keyword arguments that ``__init__`` did not name; refuse unknown ones."""
        for name in routed:
            if not self._is_routed(name):
                raise TypeError(self._describe_unknown(name))
        vars(self).update(routed)

    def _is_routed(self, name: str) -> bool:
        """Return whether a name is a routed prefix followed by a setting."""
        prefix, _, setting = name.partition("__")
        return prefix in self._routed_prefixes and bool(setting)

    def _routed(self, prefix: str) -> dict[str, Any]:
        """Return the settings routed to a prefix, without the prefix."""
        start = f"{prefix}__"
        return {
            name[len(start) :]: value
            for name, value in sorted(vars(self).items())
            if name.startswith(start) and len(name) > len(start)
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator, including the routed ones.

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
        """Set the parameters of this estimator, including routed ones.

        Parameters
        ----------
        **params : dict
            Estimator parameters; ``optimizer__…``, ``callbacks__…`` and ``model__…`` are kept for
            the object they belong to.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            If a name is neither a parameter nor routed; then nothing is set.
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
        head = f"{type(self).__name__} has no parameter {quote(name)}."
        prefix, delimiter, setting = name.partition("__")
        if delimiter and prefix in self._routed_prefixes:
            return f"{head} Name the setting behind the underscores: {prefix}__<setting>."
        if delimiter and prefix in _REFUSED_PREFIXES:
            meant = setting if setting in own else _FOREIGN_NAMES.get(setting)
            if meant in own:
                return f"{head} Use {quote(meant)}."
            return f"{head} {_REFUSED_PREFIXES[prefix]}"
        if delimiter:
            nearest = suggest_name(prefix, self._routed_prefixes)
            meant = f"{nearest}__{setting}" if nearest else None
        else:
            meant = _FOREIGN_NAMES.get(name)
            if meant is None or meant.partition("__")[0] not in own:
                meant = suggest_name(name, own)
        hint = f" Did you mean {quote(meant)}?" if meant else ""
        if "model" not in own:
            return head + hint
        return (
            f"{head}{hint} Settings of the optimizer, the callbacks and a custom model are routed: "
            "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
        )
