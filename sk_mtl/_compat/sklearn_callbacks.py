"""scikit-learn's callbacks, new in its version 1.9: set on the estimator, called in a fit.

Owns the tree of tasks that they see: a fit, its trainings if there are several, and their epochs.
`sklearn.callback` is imported only if callbacks are set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from sklearn.utils.metaestimators import available_if

__all__ = ["CallbackSupportMixin", "FitTasks", "calling_callbacks"]

_HAS_CALLBACKS = find_spec("sklearn.callback") is not None


class CallbackSupportMixin:
    """`sklearn.callback.CallbackSupportMixin`, imported at the first use."""

    @available_if(lambda self: _HAS_CALLBACKS)
    def set_callbacks(self, *callbacks: Any) -> Any:
        """Set callbacks of scikit-learn, such as `sklearn.callback.ProgressBar`.

        They are called at the beginning and the end of `fit` and of each of its epochs. This
        requires scikit-learn 1.9 or newer. Callbacks of Keras are passed as the parameter
        `callbacks`.

        Parameters
        ----------
        *callbacks : callback instances
            Callbacks, which replace those set before. Without any, those are removed.

        Returns
        -------
        self : object
            The estimator itself.
        """
        from sklearn.callback import CallbackSupportMixin

        return CallbackSupportMixin.set_callbacks(self, *callbacks)


class FitTasks:
    """The tasks of one fit: its trainings, if there are several, and their epochs."""

    def __init__(
        self,
        estimator: Any,
        data: Mapping[str, Any],
        attributes_of: Callable[[Any], dict[str, Any]],
    ):
        self._given = {"estimator": estimator, **data}
        self._attributes_of = attributes_of  # what a fitted model sets on the estimator
        self._root: Any = None
        self._training: Any = None
        self._epoch: Any = None

    def begin(self, n_trainings: int, n_epochs: int) -> None:
        """Begin the fit; the epochs of a single training are its own tasks."""
        from sklearn.callback import CallbackSupportMixin

        n_tasks = n_trainings if n_trainings > 1 else n_epochs
        self._root = CallbackSupportMixin._init_callback_context(
            self._given["estimator"], max_subtasks=n_tasks
        )
        self._root.call_on_fit_task_begin(**self._given)
        self._is_single = n_trainings == 1

    @contextmanager
    def training(self, n_epochs: int) -> Iterator[None]:
        """Run one training of at most so many epochs."""
        if self._is_single:
            self._training = self._root
            yield
            return
        self._training = self._root.subcontext(task_name="training", max_subtasks=n_epochs)
        self._training.call_on_fit_task_begin(**self._given)
        yield
        self._training.call_on_fit_task_end(**self._given)

    def begin_epoch(self) -> None:
        """Begin an epoch."""
        self._epoch = self._training.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._given)

    def end_epoch(self, fit_so_far: Callable[[], Any]) -> bool:
        """End an epoch, and return whether a callback wants the training to stop."""
        # The fitted model is made only for callbacks that ask for a fitted estimator.
        return self._epoch.call_on_fit_task_end(
            **self._given, reconstruction_attributes=lambda: self._attributes_of(fit_so_far())
        )

    def end(self) -> None:
        """End the fit; the estimator is fitted."""
        if self._root is not None:
            self._root.call_on_fit_task_end(**self._given, reconstruction_attributes={})


@contextmanager
def calling_callbacks(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    attributes_of: Callable[[Any], dict[str, Any]],
) -> Iterator[FitTasks | None]:
    """Call the callbacks around a fit, in a `with` block; its value is None if there are none."""
    # The second: within a search or Pipeline, whose tree of tasks this fit is part of.
    if not {"_skl_callbacks", "_parent_callback_ctx"} & vars(estimator).keys():
        yield None
        return
    from sklearn.callback._callback_support import callback_management_context

    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    tasks = FitTasks(estimator, {"X": X, "y": y, "metadata": metadata}, attributes_of)
    with callback_management_context(estimator):
        yield tasks
        tasks.end()
