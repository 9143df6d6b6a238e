"""The base class of task weighting strategies."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = ["GradientWeighting", "SignWeighting", "TaskBatch", "TaskWeighting"]


class TaskBatch(NamedTuple):
    """What a batch says about its tasks; an absent task has no labelled cell in it.

    Parameters
    ----------
    losses : tensor of float32 of shape (n_tasks,)
        The task losses as they count in the objective, see `loss_normalization`; 0 for an absent
        task.
    means : tensor of float32 of shape (n_tasks,)
        Weighted means of the loss over the labelled cells of each task; 0 for an absent task.
    present : tensor of bool of shape (n_tasks,)
        Whether a task has a labelled cell.
    labelled : tensor of float32 of shape (n_tasks,)
        Sums of the weights of the labelled cells.
    epoch : scalar tensor of int32, default=None
        Number of the epoch, from 1, for a strategy with `reads_epoch`.
    gram : tensor of float32 of shape (n_tasks, n_tasks), default=None
        Inner products of the gradients of the task losses with respect to what the heads read, for
        a `GradientWeighting`; 0 in the rows and columns of absent tasks.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mtl.weighting import TaskBatch
    >>> losses, labelled = np.float32([0.7, 0.0]), np.float32([12, 0])
    >>> TaskBatch(losses, losses, labelled > 0, labelled).present
    array([ True, False])
    """

    losses: Any
    means: Any
    present: Any
    labelled: Any
    epoch: Any = None
    gram: Any = None


class TaskWeighting:
    """Base class of task weighting strategies; subclass it to write your own.

    A strategy holds settings only. What changes while training is the state, a dict of arrays
    that the training loop carries.

    Attributes
    ----------
    learned_state : tuple of str
        Names of the state's entries that are learned by gradient, together with the network.
        Weight decay never touches them.
    can_compile : bool
        Whether XLA compiles what the strategy computes.
    reads_epoch : bool
        Whether `combine_batch` is told the number of the epoch.
    reads_losses_after : bool
        Whether `note_losses_after` is called after each step, for which the losses of the batch are
        computed once more.

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
    can_compile: bool = True
    reads_epoch: bool = False
    reads_losses_after: bool = False

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

    def combine_batch(
        self, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Combine the task losses of a batch, knowing more about it; calls `combine`.

        Parameters
        ----------
        batch : TaskBatch
            Losses, presence, labelled cells and epoch.
        state : dict of tensor
            The current state.

        Returns
        -------
        objective : scalar tensor
            What the optimizer minimises.
        state : dict of tensor
            As in `combine`.
        """
        return self.combine(batch.losses, batch.present, state)

    def note_losses_after(
        self, batch: TaskBatch, means: Any, state: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the state after a step, from the losses of its batch before and after it.

        Parameters
        ----------
        batch : TaskBatch
            What was known before the step.
        means : tensor of float32 of shape (n_tasks,)
            The means of the same rows after the step.
        state : dict of tensor
            The state after `combine_batch`.

        Returns
        -------
        state : dict of tensor
            New values of entries; others may be left out.
        """
        return {}

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


class GradientWeighting(TaskWeighting):
    """Base class of strategies that weigh the gradients of the tasks where these meet.

    The heads learn from the sum of the task losses. What the heads read, the output of the shared
    layers, gets the weighted sum of the gradients of the tasks, and so do all layers before it.

    Attributes
    ----------
    reads_norms_only : bool
        Whether nothing but the diagonal of the Gram matrix is read. It is 0 elsewhere then, which
        saves most of its cost.
    factorizes : bool
        Whether the Gram matrix is factorized, or its eigenvalues are computed. XLA does this slowly
        for many tasks, and ``jit_compile="auto"`` leaves it out then.
    can_pack : bool
        Whether one program may train several networks with it side by side. Not if a loop goes on
        until a condition is met, which XLA cannot compile for several networks.

    Examples
    --------
    Gradients of one length, from the diagonal of the Gram matrix:

    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from sk_mtl.weighting import GradientWeighting
    >>> class EqualNorms(GradientWeighting):
    ...     reads_norms_only = True
    ...
    ...     def weigh(self, batch, state):
    ...         norms = tf.sqrt(tf.linalg.diag_part(batch.gram))
    ...         return tf.math.divide_no_nan(tf.reduce_max(norms), norms), {}
    ...
    ...     def weights(self, state, n_tasks):
    ...         return np.ones(n_tasks, dtype=np.float32)
    """

    reads_norms_only: bool = False
    factorizes: bool = True
    can_pack: bool = True

    def weigh(self, batch: TaskBatch, state: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the weights of the gradients of the tasks.

        Parameters
        ----------
        batch : TaskBatch
            What is known of the tasks, with `gram`.
        state : dict of tensor
            The current state.

        Returns
        -------
        weights : tensor of float32 of shape (n_tasks,)
            Those of absent tasks have no effect, as their gradients are 0.
        state : dict of tensor
            New values of entries; others may be left out.
        """
        raise NotImplementedError

    def weigh_batch(
        self, batch: TaskBatch, make_gram: Callable[[], Any], state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Return the weights of the gradients, from a Gram matrix yet to be computed.

        Calls `weigh`. A strategy that does not need the matrix in each step has a method of its own
        here.

        Parameters
        ----------
        batch : TaskBatch
            What is known of the tasks, without `gram`.
        make_gram : callable
            Returns the Gram matrix.
        state : dict of tensor
            The current state.

        Returns
        -------
        weights : tensor of float32 of shape (n_tasks,)
            As in `weigh`.
        state : dict of tensor
            As in `weigh`.
        """
        return self.weigh(batch._replace(gram=make_gram()), state)

    def combine(
        self, task_losses: Any, present: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        from keras import ops

        return ops.sum(task_losses), {}


class SignWeighting(TaskWeighting):
    """Base class of strategies that weigh the gradients of the tasks unit by unit, by their signs.

    As with `GradientWeighting`, the heads learn from the sum of the task losses. What the heads
    read gets, in each of its units, the weighted sum of the gradients of the tasks.

    Examples
    --------
    In each unit, the gradients whose sign is that of their sum:

    >>> import numpy as np
    >>> import tensorflow as tf
    >>> from sk_mtl.weighting import SignWeighting
    >>> class Majority(SignWeighting):
    ...     def weigh_units(self, sums, batch, state):
    ...         is_kept = tf.sign(sums) == tf.sign(tf.reduce_sum(sums, axis=0))
    ...         return tf.cast(is_kept, tf.float32), {}
    ...
    ...     def weights(self, state, n_tasks):
    ...         return np.ones(n_tasks, dtype=np.float32)
    """

    def weigh_units(
        self, sums: Any, batch: TaskBatch, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Return the weights of the gradients of the tasks in each unit that the heads read.

        Parameters
        ----------
        sums : tensor of float32 of shape (n_tasks, n_units)
            The gradients of the tasks with respect to the outputs of the units, times the signs of
            these outputs, summed over the rows of the batch; 0 for an absent task.
        batch : TaskBatch
            What is known of the tasks.
        state : dict of tensor
            The current state.

        Returns
        -------
        weights : tensor of float32 of shape (n_tasks, n_units)
            Factors on the gradients of all rows.
        state : dict of tensor
            New values of entries; others may be left out.
        """
        raise NotImplementedError

    def combine(
        self, task_losses: Any, present: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        from keras import ops

        return ops.sum(task_losses), {}
