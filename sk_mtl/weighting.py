"""Task weighting: how the losses of the tasks become one objective.

Owns the weights of tasks, as pure functions of task losses, presence and state. Does not know the
network or the optimizer: state named in `TaskWeighting.learned_state` is learned by whatever
optimizer trains the network, other state is replaced by what `combine` returns.

A task without a labelled cell in the batch is absent, and an absent task moves no state.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from keras import ops

from sk_mtl._tasks import resolve_task

__all__ = ["FixedWeighting", "TaskWeighting", "UncertaintyWeighting"]


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


class FixedWeighting(TaskWeighting):
    r"""Constant task weights: the objective is :math:`\sum_t \lambda_t L_t`.

    Parameters
    ----------
    factors : array-like of shape (n_tasks,), default=None
        The weights :math:`\lambda_t \ge 0`; None means 1 for every task.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.weighting import FixedWeighting
    >>> clf = MultiTaskClassifier(task_weighting=FixedWeighting([1.0, 0.5]))

    By the names of the tasks, which is the same:

    >>> clf = MultiTaskClassifier(task_weighting={"second": 0.5})
    """

    def __init__(self, factors: Sequence[float] | None = None):
        self.factors = factors

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        """Return the factors: state, so that programs that differ in them alone are one.

        Parameters
        ----------
        n_tasks : int
            Number of tasks.

        Returns
        -------
        state : dict of ndarray
            The factors.
        """
        factors = np.ones(n_tasks) if self.factors is None else np.asarray(self.factors)
        return {"factor": factors.astype(np.float32)}

    def combine(
        self, task_losses: Any, present: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Return the weighted sum of the task losses.

        Parameters
        ----------
        task_losses : tensor of shape (n_tasks,)
            Losses; 0 for an absent task.
        present : tensor of bool of shape (n_tasks,)
            Whether a task has a labelled cell in the batch.
        state : dict of tensor
            The current state.

        Returns
        -------
        objective : scalar tensor
            What the optimizer minimises.
        state : dict of tensor
            Nothing new.
        """
        return ops.sum(state["factor"] * task_losses), {}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        """Return the factors.

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
        return np.asarray(state["factor"], dtype=np.float32)

    def program_key(self) -> Hashable:
        """Return the key of the compiled program.

        Returns
        -------
        key : str
            The same for all factors.
        """
        return "fixed"


class UncertaintyWeighting(TaskWeighting):
    r"""Weights learned as homoscedastic uncertainties, masked where a task is absent.

    With :math:`s_t = \log \sigma_t^2` and :math:`p_t = 1` if task :math:`t` has a labelled cell in
    the batch, else 0, the objective is

    .. math:: \sum_t p_t \left( e^{-s_t} L_t + \tfrac{1}{2} s_t \right),

    equation 10 of [1]_ for classification, with the log-variance term masked along with the loss.
    Unmasked, that term would pull :math:`s_t` down on each batch without labels of the task, and
    its weight :math:`e^{-s_t}` up without bound.

    Parameters
    ----------
    initial_log_variance : float, default=0.0
        The start of every :math:`s_t`; 0 means weight 1.

    References
    ----------
    .. [1] A. Kendall, Y. Gal, R. Cipolla. "Multi-Task Learning Using Uncertainty to Weigh Losses
       for Scene Geometry and Semantics". CVPR 2018, arXiv 1705.07115.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> clf = MultiTaskClassifier(task_weighting="uncertainty")

    The same with another start:

    >>> from sk_mtl.weighting import UncertaintyWeighting
    >>> clf = MultiTaskClassifier(task_weighting=UncertaintyWeighting(initial_log_variance=-1.0))
    """

    learned_state = ("log_variance",)

    def __init__(self, initial_log_variance: float = 0.0):
        self.initial_log_variance = initial_log_variance

    def initial_state(self, n_tasks: int) -> dict[str, np.ndarray]:
        """Return the initial log-variances.

        Parameters
        ----------
        n_tasks : int
            Number of tasks.

        Returns
        -------
        state : dict of ndarray
            ``{"log_variance": (n_tasks,)}``.
        """
        return {"log_variance": np.full(n_tasks, self.initial_log_variance, dtype=np.float32)}

    def combine(
        self, task_losses: Any, present: Any, state: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Return the objective; its gradient moves the log-variances of the tasks present.

        Parameters
        ----------
        task_losses : tensor of shape (n_tasks,)
            Losses; 0 for an absent task.
        present : tensor of bool of shape (n_tasks,)
            Whether a task has a labelled cell in the batch.
        state : dict of tensor
            The current state.

        Returns
        -------
        objective : scalar tensor
            What the optimizer minimises.
        state : dict of tensor
            Nothing new: the log-variances are learned by gradient.
        """
        # Masked before the exponential too: it may overflow for a task that is long absent.
        log_variance = ops.where(present, state["log_variance"], 0.0)
        terms = ops.exp(-log_variance) * task_losses + 0.5 * log_variance
        return ops.sum(ops.where(present, terms, ops.zeros_like(terms))), {}

    def weights(self, state: Mapping[str, np.ndarray], n_tasks: int) -> np.ndarray:
        """Return the weights exp(-s).

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
        with np.errstate(over="ignore"):  # training says what diverged
            return np.exp(-np.asarray(state["log_variance"], dtype=np.float32))

    def program_key(self) -> Hashable:
        """Return the key of the compiled program.

        Returns
        -------
        key : str
            The same for all initial values.
        """
        return "uncertainty"


def make_weighting(
    task_weighting: Any, task_names: Sequence[Hashable], is_learnable: np.ndarray
) -> TaskWeighting:
    """Return the strategy that a parameter names.

    Parameters
    ----------
    task_weighting : {"equal", "uncertainty"}, mapping, or TaskWeighting
        A mapping gives factors by task; a task that it leaves out has factor 1.
    task_names : sequence of hashable
        All tasks of y.
    is_learnable : ndarray of bool of shape (n_tasks,)
        The tasks that the network learns.

    Returns
    -------
    weighting : TaskWeighting
        A strategy over the active tasks.

    Raises
    ------
    ValueError
        If factors are not finite and non-negative, one per task, and one of them positive.
    TypeError
        If it is none of these; a class of strategies is not an instance.
    """
    if isinstance(task_weighting, Mapping):
        positions = {
            resolve_task(task, task_names, parameter="task_weighting"): factor
            for task, factor in task_weighting.items()
        }
        return _check_factors(
            [positions.get(t, 1) for t in range(len(task_names))], task_names, is_learnable
        )
    if type(task_weighting) is FixedWeighting and task_weighting.factors is not None:
        return _check_factors(list(task_weighting.factors), task_names, is_learnable)
    if isinstance(task_weighting, TaskWeighting):
        return task_weighting
    if task_weighting == "uncertainty":
        return UncertaintyWeighting()
    if task_weighting == "equal":
        return FixedWeighting()
    raise TypeError(
        "task_weighting must be 'equal', 'uncertainty', factors by task, or an instance of a "
        f"subclass of sk_mtl.weighting.TaskWeighting. Got {task_weighting!r}."
    )


def _check_factors(
    factors: Sequence[Any], task_names: Sequence[Hashable], is_learnable: np.ndarray
) -> FixedWeighting:
    """Return fixed weights of the active tasks from a factor per task."""
    if len(factors) != len(task_names):
        raise ValueError(
            f"task_weighting must give a factor per task: {len(task_names)}. Got {len(factors)}."
        )
    for name, factor in zip(task_names, factors, strict=True):
        if not isinstance(factor, Real) or not 0 <= float(factor) < np.inf:
            raise ValueError(
                "task_weighting must give finite, non-negative factors. "
                f"Got {factor!r} for {name!r}."
            )
    active = np.asarray(factors, dtype=np.float64)[is_learnable]
    if not active.any():
        raise ValueError("task_weighting gives every task the factor zero: one must be positive.")
    return FixedWeighting(active)
