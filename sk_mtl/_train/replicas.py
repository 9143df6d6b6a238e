"""Replicas: one training over several devices, of one process or of several workers.

Owns how many replicas a strategy of `tf.distribute` has, which part of each batch is whose, and how
they add up their numbers. Every replica holds the whole network and makes the same update; they
share the rows of a batch. Does not know what a step computes.
"""

from __future__ import annotations

import hashlib
import pickle
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from sk_mtl._compat.keras_internals import outside_graphs, report_to_workers

__all__ = [
    "ALONE",
    "Replicas",
    "Share",
    "WorkerLostError",
    "common_seed",
    "current_replicas",
    "naming_lost_workers",
    "outside_strategy",
    "tell_failure",
    "training_together",
]

T = TypeVar("T")

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)
_MARK = 16  # bytes of a digest


class WorkerLostError(RuntimeError):
    """Another worker of a fit ended, has failed, or cannot be reached."""

    is_known_to_all = True


class _DifferentWorkersError(ValueError):
    """Workers were given different things."""

    is_known_to_all = True


@dataclass(frozen=True)
class Replicas:
    """The replicas of a training; equal for all workers but for their own number and devices."""

    n_workers: int = 1
    n_devices: int = 1  # of each worker
    worker: int = field(default=0, repr=False)  # this one; 0 is the chief
    devices: tuple[str, ...] = field(default=(), repr=False)

    @property
    def number(self) -> int:
        """The number of replicas."""
        return self.n_workers * self.n_devices

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes files, and decides where only one may."""
        return self.worker == 0

    def part(self, n_rows: int, device: int) -> slice:
        """Return which of the rows of a batch are those of a device of this worker."""
        return _nth_part(n_rows, self.worker * self.n_devices + device, self.number)

    def part_of_worker(self, n_rows: int) -> slice:
        """Return which of some rows are those of this worker."""
        return _nth_part(n_rows, self.worker, self.n_workers)

    # --------------------------------------------------------------------------------------------
    # Between workers, outside of compiled functions
    # --------------------------------------------------------------------------------------------

    def add_up(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the sums over workers of arrays of one shape and dtype."""
        if self.n_workers == 1:
            return list(arrays)
        return list(self._sum(np.stack(arrays)))

    def share_bytes(self, content: bytes | None) -> bytes | None:
        """Return the bytes of the chief, or its None; what the others give does not count."""
        if self.n_workers == 1:
            return content
        counts = content is not None and self.is_chief
        length = int(self._sum(np.array([1 + len(content or b"") if counts else 0]))[0])
        if not length:
            return None
        padded = np.zeros(-(-(length - 1) // 4) * 4, np.uint8)
        if content is not None and counts:
            padded[: len(content)] = np.frombuffer(content, np.uint8)
        # Bits of float32 would not survive a sum: -0.0 + 0.0 is 0.0.
        return self._sum(padded.view(np.int32)).view(np.uint8)[: length - 1].tobytes()

    def share(self, value: T) -> T:
        """Return the value of the chief, which is made of plain values and arrays."""
        if self.n_workers == 1:
            return value
        content = self.share_bytes(pickle.dumps(value) if self.is_chief else None)
        assert content is not None
        return value if self.is_chief else pickle.loads(content)

    def agree(self, value: T) -> T:
        """Return a value that all workers have computed: the chief's, should bits differ."""
        # Workers on processors of several kinds may round differently.
        if self.n_workers == 1:
            return value
        marks = self._marks({"": hashlib.sha256(pickle.dumps(value)).digest()})
        return value if (marks == marks[0]).all() else self.share(value)

    def meet(self) -> None:
        """Wait for all workers; raise `WorkerLostError` if some have failed before they came."""
        n_failed = self.count_failures(has_failed=False)
        if n_failed:
            raise WorkerLostError(
                f"{n_failed} of {self.n_workers} workers failed before they began to train, and "
                "the others cannot go on without: the error of each says why."
            )

    def count_failures(self, *, has_failed: bool) -> int:
        """Return how many of the workers, all of which call this, have failed."""
        if self.n_workers == 1:
            return 0
        return int(self._sum(np.array([int(has_failed)]))[0])

    def require_same(self, marks: Mapping[str, Any]) -> None:
        """Raise ValueError on all workers if one was given something else than the chief."""
        if self.n_workers == 1:
            return
        digests = {name: hashlib.sha256(value).digest() for name, value in marks.items()}
        of_workers = self._marks(digests)
        differs = (of_workers != of_workers[0]).any(axis=2)
        if differs.any():
            names = [name for name, bad in zip(marks, differs.any(axis=0), strict=True) if bad]
            workers = np.flatnonzero(differs.any(axis=1)).tolist()
            raise _DifferentWorkersError(
                "A fit over several workers needs the same call of fit on each. Worker "
                f"{', '.join(map(str, workers))} differs from worker 0 in: {', '.join(names)}. "
                "Give all the same X, y, weights and parameters, with an integer random_state."
            )

    def _marks(self, digests: Mapping[str, bytes]) -> np.ndarray:
        """Return the digests of all workers, (n_workers, n_digests, n_bytes)."""
        marks = np.zeros((self.n_workers, len(digests), _MARK), np.int32)
        for position, mark in enumerate(digests.values()):
            marks[self.worker, position] = np.frombuffer(mark, np.uint8)[:_MARK]
        return self._sum(marks)

    def _sum(self, array: np.ndarray) -> np.ndarray:
        with tf.device("CPU:0"):
            group = _key("workers", self.n_workers)
            # All calls of one shape follow one another.
            key = _key("between", array.dtype, array.shape)
            return _all_reduce(tf.constant(array), self.n_workers, group, key).numpy()


ALONE = Replicas()

_current: ContextVar[Replicas | None] = ContextVar("replicas", default=None)


@dataclass(frozen=True)
class Share:
    """The part of one replica in a training step, while the step is traced."""

    replicas: Replicas
    device: int  # of this worker
    program: str  # tells it from others

    @property
    def _is_first(self) -> bool:
        return self.replicas.is_chief and self.device == 0

    def add_up(self, *parts: Any) -> list[Any]:
        """Return the sums over replicas of vectors of one length; each gets its own gradient."""

        @tf.custom_gradient
        def add(vector: Any) -> Any:
            return self._sum(vector, "sums"), lambda gradient: gradient

        return tf.split(add(tf.concat(parts, axis=0)), len(parts))

    def once(self, tensor: Any) -> Any:
        """Return a tensor that all replicas compute alike; its gradient counts in the first."""
        return tensor if self._is_first else tf.stop_gradient(tensor)

    def add_up_gradients(self, gradients: Sequence[Any]) -> list[Any]:
        """Return the sums over replicas of gradients."""
        # In one piece: each collective costs a millisecond, and copying it less.
        shapes = [gradient.shape for gradient in gradients]
        vectors = [tf.reshape(gradient, (-1,)) for gradient in gradients]
        summed = self._sum(tf.concat(vectors, axis=0), "gradients")
        parts = tf.split(summed, [shape.num_elements() for shape in shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]

    def _sum(self, vector: Any, name: str) -> Any:
        replicas = self.replicas
        group = _key("replicas", replicas, replicas.devices if replicas.n_workers == 1 else ())
        # The names of all that shapes the program make the key, not a count of the programs that
        # this process has compiled: workers may have fitted other things before.
        key = _key(self.program, name, vector.shape)
        return _all_reduce(vector, replicas.number, group, key)


def _all_reduce(tensor: Any, n_parts: int, group: int, key: int) -> Any:
    """Return the sum of the tensors of a group, the same bits for each member."""
    # The operation itself: `ReplicaContext.all_reduce` needs a strategy's threads around a step,
    # and cannot stand in a loop. The iteration of the loop belongs to what members meet by.
    return tf.raw_ops.CollectiveReduceV2(
        input=tensor,
        group_size=n_parts,
        group_key=group,
        instance_key=key,
        merge_op="Add",
        final_op="Id",
        ordering_token=[],
        # A large vector is cut into parts that are sent while others are added.
        max_subdivs_per_device=0,
    )


def _key(*parts: Any) -> int:
    """Return a key, a positive int32, that is the same for all workers."""
    return zlib.crc32(repr(parts).encode()) >> 1 or 1


def _nth_part(n_rows: int, number: int, n_parts: int) -> slice:
    """Return one of the parts, which differ by one row at most, of rows in their order."""
    return slice(number * n_rows // n_parts, (number + 1) * n_rows // n_parts)


# ------------------------------------------------------------------------------------------------
# The strategy around a fit
# ------------------------------------------------------------------------------------------------


def current_replicas() -> Replicas:
    """Return the replicas of the strategy around this call."""
    found = _current.get()
    if found is not None:
        return found
    if not tf.distribute.has_strategy():
        return ALONE
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        return ALONE
    if not isinstance(strategy, (tf.distribute.MirroredStrategy, _MULTI_WORKER)):
        raise ValueError(
            "One fit over several replicas needs tf.distribute.MultiWorkerMirroredStrategy or "
            f"MirroredStrategy. Got {type(strategy).__name__} with "
            f"{strategy.num_replicas_in_sync} replicas. Fit inside one of these, or without."
        )
    devices = tuple(strategy.extended.worker_devices)
    n_workers = strategy.num_replicas_in_sync // len(devices)
    worker = _find_worker(strategy.cluster_resolver) if n_workers > 1 else 0
    return Replicas(n_workers, len(devices), worker, devices)


_MULTI_WORKER = tf.distribute.MultiWorkerMirroredStrategy


def _find_worker(resolver: Any) -> int:
    """Return the number of this worker, with a chief counted first."""
    jobs = resolver.cluster_spec().as_dict()
    before = len(jobs.get("chief", ())) if resolver.task_type != "chief" else 0
    return before + int(resolver.task_id)


@contextmanager
def outside_strategy() -> Iterator[Replicas]:
    """Step out of a strategy of several replicas in a `with` block, which is told of it."""
    # Within one, every variable would be one per device, and its creation a collective. What the
    # replicas add up is said by `Share`.
    replicas = current_replicas()
    with ExitStack() as stack:
        if replicas.number > 1 and tf.distribute.has_strategy():
            # A strategy stands in the default graph, together with its way to create variables.
            stack.enter_context(outside_graphs())
            stack.enter_context(tf.device(replicas.devices[0]))
            token = _current.set(replicas)
            stack.callback(_current.reset, token)
        yield replicas


def common_seed(seed: int) -> int:
    """Return the chief's seed: without a random_state, each worker has drawn another."""
    replicas = current_replicas()
    with naming_lost_workers(replicas):
        replicas.meet()
        return replicas.share(seed)


def tell_failure(error: Exception) -> None:
    """Tell the other workers, at their next meeting, that this one has failed."""
    try:
        replicas = current_replicas()
    except ValueError:  # another strategy, which was refused
        return
    if not getattr(error, "is_known_to_all", False):
        with suppress(*_LOST):  # there may be nobody to tell
            replicas.count_failures(has_failed=True)


@contextmanager
def training_together(replicas: Replicas) -> Iterator[None]:
    """Train with other workers in a `with` block; an error of one of them ends it for all."""
    with naming_lost_workers(replicas):
        replicas.meet()
        try:
            yield
        except Exception as error:
            is_known = isinstance(error, _LOST) or getattr(error, "is_known_to_all", False)
            if replicas.n_workers > 1 and not is_known:
                report_to_workers(f"Worker {replicas.worker} has failed: {str(error)[:200]}")
                error.is_known_to_all = True  # type: ignore[attr-defined]
            raise


@contextmanager
def naming_lost_workers(replicas: Replicas, epoch: Callable[[], int] = int) -> Iterator[None]:
    """Raise `WorkerLostError` in place of what TensorFlow raises when a worker has gone."""
    try:
        yield
    except _LOST as error:
        if replicas.n_workers == 1:
            raise
        raise WorkerLostError(_describe_loss(replicas, str(error), epoch())) from error


def _describe_loss(replicas: Replicas, told: str, epoch: int) -> str:
    when = f"in epoch {epoch}" if epoch else "before the first epoch"
    lines = [line for line in told.splitlines() if line.strip()]
    causes = ("ollective ops is aborted", "Connection", "Socket", "unhealthy", "heartbeat")
    telling = [line for line in lines if any(cause in line for cause in causes)]
    said = next(iter([*telling, *lines[-1:]]), "nothing")
    return (
        f"Worker {replicas.worker} of {replicas.n_workers} (counted from 0) has lost another "
        f"worker {when}, and a fit cannot go on with fewer. Start all workers again, in new "
        "processes: with checkpoint=, the fit continues from the last epoch that was saved. "
        "TensorFlow says: "
        f"{said[:300]}"
    )
