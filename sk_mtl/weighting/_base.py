"""The base class of task weighting strategies."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

__all__ = ["TaskWeighting"]


class TaskWeighting:
    """Base class of task weighting strategies; subclass it to write your own.

    A strategy holds settings only. What changes while training is the state, a dict of arrays
    that the training loop carries.

    Attributes
    ----------
    learned_state : tuple of str
        Names of the state's entries that are learned by gradient, together with the network.
        Weight decay never touches them.

    Examples
    --------
    Random loss weighting (Lin et al. 2022, arXiv 2111.10603), over the tasks present:

    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from sk_mtl.weighting import TaskWeighting
    >>> class RandomWeighting(TaskWeighting):
    ...     def initial_state(self, n_tasks):
    ...         return {"step": np.zeros((), dtype=np.float32)}
    ...
    ...     def combine(self, task_losses, present, state):
    ...         seed = tf.stack([tf.cast(state["step"], tf.int32), 0])
    ...         draw = tf.random.stateless_normal(tf.shape(task_losses), seed)
    ...         weights = tf.nn.softmax(tf.where(present, draw, -1e9))
    ...         n_present = tf.reduce_sum(tf.cast(present, tf.float32))
    ...         objective = n_present * tf.reduce_sum(weights * task_losses)
    ...         return objective, {"step": state["step"] + 1}
    ...
    ...     def weights(self, state, n_tasks):
    ...         return np.ones(n_tasks, dtype=np.float32)
    """

    learned_state: tuple[str, ...] = ()

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        """Return the state before the first step.

        Parameters
        ----------
        n_tasks : int
            Number of tasks.

        Returns
        -------
        state : dict of ndarray
            Float32 arrays; may be empty.
        """
        return {}

    def combine(
        self, task_losses: Any, present: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Combine the task losses of a batch into the objective.

        Parameters
        ----------
        task_losses : tensor of shape (n_tasks,)
            Weighted means over the labelled cells; 0 for an absent task. Under
            ``loss_normalization="cells"`` their denominators are common to all tasks.
        present : tensor of bool of shape (n_tasks,)
            Whether a task has a labelled cell in the batch.
        state : dict of tensor
            The current state.

        Returns
        -------
        objective : scalar tensor
            What the optimizer minimises.
        state : dict of tensor
            New values of entries that are not learned by gradient; others may be left out.
        """
        raise NotImplementedError

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        """Return the task weights that a state stands for.

        Parameters
        ----------
        state : dict of ndarray
            A state.
        n_tasks : int
            Number of tasks.

        Returns
        -------
        weights : ndarray of float32 of shape (n_tasks,)
            The factor on each task's loss.
        """
        raise NotImplementedError

    def program_key(self) -> Hashable | None:
        """Return what shapes the compiled program, or None if it must not be shared.

        Returns
        -------
        key : hashable or None
            Equal keys promise equal `combine` functions.
        """
        return None
