"""Engines: Dask and Ray as carriers of functions and their arguments to worker processes.

Owns that data is sent once, that work whose worker is lost is done again, and that it is told. An
engine is imported only if joblib's active backend is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sk_mtl._compat.joblib_backends import Cluster, find_cluster
from sk_mtl._compat.user_warnings import warn_user

__all__ = ["Workers", "open_workers"]

_MAX_LOSSES = 3  # of the workers that do the same work; as Dask's allowed-failures
_PATIENCE = 5.0  # seconds after which it is looked for new workers


class Workers(Protocol):
    """Worker processes, which are sent one piece of work at a time."""

    def count(self) -> int:
        """Return how many there are, at least 1."""

    def place(self, value: Any) -> Any:
        """Send a value to all workers; return what stands for it among the arguments of work."""

    def find_idle(self) -> Sequence[Hashable]:
        """Return the workers that have nothing to do."""

    def send(self, worker: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Let a worker call a function."""

    def is_busy(self) -> bool:
        """Return whether there are results to come."""

    def receive(self) -> list[Any]:
        """Wait for results; none if it is time to look for idle workers again."""

    def cancel(self) -> None:
        """Forget what was sent."""

    def close(self) -> None:
        """Leave the workers to others."""


@contextmanager
def open_workers() -> Iterator[Workers | None]:
    """Open the workers of joblib's active backend; None if it has none on other machines."""
    cluster = find_cluster()
    if cluster is None:
        yield None
        return
    workers: Workers = _Dask(cluster) if cluster.engine == "dask" else _Ray(cluster)
    with closing(workers):
        yield workers


class _Work(NamedTuple):
    """What a worker was sent."""

    worker: Hashable
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    n_losses: int = 0


def _tell_loss(engine: str, work: _Work, cause: str) -> None:
    """Warn that a worker is lost; refuse to go on if the work seems to be the reason."""
    if work.n_losses >= _MAX_LOSSES:
        raise RuntimeError(
            f"{work.n_losses} workers of {engine} were lost one after another while they did the "
            f"same fits of a search; the last one: {cause}. Look at their logs: a worker that "
            "needs more memory than it may have is killed. Give the workers more memory, or make "
            "the networks or the table smaller."
        )
    warn_user(
        f"A worker of {engine} was lost ({cause}). Its fits are done again; no result is lost."
    )


# ------------------------------------------------------------------------------------------------
# Dask
# ------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Scattered:
    """A value on the workers of Dask, and here, should all workers that hold it be lost."""

    value: Any
    future: Any


class _Dask:
    """The workers of a Dask cluster."""

    def __init__(self, cluster: Cluster):
        self._client = cluster.backend.client
        # Of `parallel_config("dask", ...)`: resources, priority and others.
        self._options = dict(getattr(cluster.backend, "submit_kwargs", {}))
        self._works: dict[Any, _Work] = {}  # by future
        self._told: set[Hashable] = set()

    def count(self) -> int:
        return max(len(self._client.nthreads()), 1)

    def place(self, value: Any) -> _Scattered:
        return _Scattered(value, self._scatter(value))

    def _scatter(self, value: Any) -> Any:
        # All workers at once: one that dies would take along what no other has.
        (future,) = self._client.scatter([value], broadcast=True, hash=False)
        return future

    def find_idle(self) -> Sequence[Hashable]:
        busy = {work.worker for work in self._works.values()}
        alive = list(self._client.nthreads())
        if not alive and not busy:
            return [None]  # work lets an adaptive cluster start workers
        return [worker for worker in alive if worker not in busy]

    def send(self, worker: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        self._submit(_Work(worker, function, arguments))

    def _submit(self, work: _Work) -> None:
        given = [a.future if isinstance(a, _Scattered) else a for a in work.arguments]
        # Wished for, not demanded: should the worker be lost, Dask lets another do it.
        wish = {} if work.worker is None else {"workers": work.worker, "allow_other_workers": True}
        options = wish | self._options
        future = self._client.submit(work.function, *given, pure=False, **options)
        self._works[future] = work

    def is_busy(self) -> bool:
        return bool(self._works)

    def receive(self) -> list[Any]:
        from distributed import CancelledError, KilledWorker, wait

        if not self._works:
            return []
        try:
            done = wait(list(self._works), timeout=_PATIENCE, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            done = set()
        except CancelledError:  # what was scattered is lost
            done = {future for future in self._works if future.cancelled()}
        self._tell_losses()
        results = []
        for future in done:
            work = self._works.pop(future)
            try:
                results.append(future.result())
            except CancelledError:
                self._send_again(work)
            except KilledWorker as error:
                _tell_loss("Dask", work._replace(n_losses=_MAX_LOSSES), str(error))
        return results

    def _tell_losses(self) -> None:
        """Warn of workers that are lost; Dask lets others do what they did."""
        known = {None, *self._client.nthreads(), *self._told}
        for work in self._works.values():
            if work.worker not in known:
                self._told.add(work.worker)
                _tell_loss("Dask", work, str(work.worker))

    def _send_again(self, work: _Work) -> None:
        """Send work again, with its data."""
        work = work._replace(worker=None, n_losses=work.n_losses + 1)
        if work.n_losses >= _MAX_LOSSES:
            _tell_loss("Dask", work, "all that held the data")
        for placed in work.arguments:
            if isinstance(placed, _Scattered) and placed.future.cancelled():
                placed.future = self._scatter(placed.value)
        self._submit(work)

    def cancel(self) -> None:
        if self._works:
            self._client.cancel(list(self._works))
            self._works.clear()

    def close(self) -> None:
        self.cancel()


# ------------------------------------------------------------------------------------------------
# Ray
# ------------------------------------------------------------------------------------------------


class _Caller:
    """What becomes an actor of Ray: a process that keeps its compiled programs."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns."""
        return function(*arguments)

    def is_up(self) -> bool:
        """Return True, as soon as there is a process that can."""
        return True


class _Ray:
    """Actors of a Ray cluster."""

    def __init__(self, cluster: Cluster):
        import ray

        if not ray.is_initialized():  # as joblib's backend does
            ray.init()
        self._ray = ray
        self._n_actors = cluster.backend.effective_n_jobs(cluster.n_jobs)
        # Of `parallel_config("ray", ray_remote_args=...)`. With a CPU each, they go where CPUs are.
        options = {"num_cpus": 1} | (getattr(cluster.backend, "ray_remote_args", None) or {})
        self._actor = ray.remote(_Caller).options(**options)
        self._actors: dict[Hashable, Any] = {}
        self._starting: dict[Any, int] = {}  # actors whose process may have to wait for a CPU
        self._works: dict[Any, _Work] = {}  # by the reference of the result
        self._n_started = 0
        for _ in range(self._n_actors):
            self._start()

    def _start(self) -> int:
        number, self._n_started = self._n_started, self._n_started + 1
        self._actors[number] = self._actor.remote()
        self._starting[self._actors[number].is_up.remote()] = number
        return number

    def count(self) -> int:
        return self._n_actors

    def place(self, value: Any) -> Any:
        return self._ray.put(value)

    def find_idle(self) -> Sequence[Hashable]:
        busy = {work.worker for work in self._works.values()} | set(self._starting.values())
        return [number for number in self._actors if number not in busy]

    def send(self, worker: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        self._submit(_Work(worker, function, arguments))

    def _submit(self, work: _Work) -> None:
        actor = self._actors[work.worker]
        self._works[actor.call.remote(work.function, *work.arguments)] = work

    def is_busy(self) -> bool:
        return bool(self._works)

    def receive(self) -> list[Any]:
        awaited = [*self._works, *self._starting]
        done, _ = self._ray.wait(awaited, num_returns=1, timeout=_PATIENCE) if awaited else ([], [])
        results = []
        for reference in done:
            number = self._starting.pop(reference, None)
            if number is not None:
                self._ray.get(reference)  # or why its process cannot start
                continue
            work = self._works.pop(reference)
            try:
                results.append(self._ray.get(reference))
            except self._ray.exceptions.RayActorError as error:
                self._send_again(work, error)
        return results

    def _send_again(self, work: _Work, error: Exception) -> None:
        """Send work to a new actor."""
        del self._actors[work.worker]
        work = work._replace(worker=self._start(), n_losses=work.n_losses + 1)
        _tell_loss("Ray", work, str(error).partition("\n")[0])
        self._submit(work)

    def cancel(self) -> None:
        for work in self._works.values():
            self._ray.kill(self._actors.pop(work.worker))
        self._works.clear()

    def close(self) -> None:
        self.cancel()
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
