"""Trainings together: which share a program, and on which threads they run.

What one training gives does not depend on the others: they share no number.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from sk_mtl._compat.threads import compute_thread_limit
from sk_mtl._compat.user_warnings import handing_over_warnings, warn_user
from sk_mtl._train.config import ProgramConfig
from sk_mtl._train.devices import computing_on, current_device
from sk_mtl._train.loop import Job, TrainingResult
from sk_mtl._train.pack import Pack
from sk_mtl._train.plan import can_share_program
from sk_mtl._train.program import TrainingProgram
from sk_mtl._train.program_cache import acquire_program, release_program
from sk_mtl._train.replicas import outside_strategy, training_together

__all__ = ["train_together"]

Result = TrainingResult | Exception


class _Warning(NamedTuple):
    """A warning of a thread, with the arguments of `warn_user`."""

    message: str
    category: type[Warning]


# Trainings in one call: more gain little, and the weights of all should stay in the cache. Where
# few trainings share a program, as in a single fit, threads alone are faster: a call of several
# takes longer to compile, and its places are idle while the last trainings end.
_MAX_MEMBERS = 8
_MIN_JOBS = 16
_MAX_WEIGHTS = 2**18
# Rows whose labels are compared between workers.
_MARKED = 4096


def train_together(
    jobs: Sequence[Job], counts: Mapping[ProgramConfig, int] | None = None
) -> Iterator[tuple[int, Result]]:
    """Train networks; yield, as each is done, its number and the result, or how it failed."""
    # With `counts`, other processes train as well: so many trainings have a program in all.
    shared: dict[ProgramConfig, list[tuple[int, Job]]] = defaultdict(list)
    for number, job in enumerate(jobs):
        if can_share_program(job.plan) and job.watch is None:
            shared[job.plan.program].append((number, job))
    yield from _train_shared(list(shared.values()), counts or {})
    in_groups = {number for group in shared.values() for number, _ in group}
    for number, job in enumerate(jobs):
        if number not in in_groups:
            is_alone = job.plan.program.replicas.number == 1
            yield number, _train_alone(job) if is_alone else _train_over_replicas(job)


def _train_alone(job: Job) -> Result:
    """Train a network that shares its program with no other."""
    program = acquire_program(job.plan)
    try:
        ((_, result),) = Pack(program, deque([(0, job)]), 1).results()
    except Exception as error:  # of a callback, or of a model of the user's own
        return error
    # A program that was interrupted, or has failed, is not released: its state is unknown.
    release_program(job.plan, program)
    return result


def _train_over_replicas(job: Job) -> Result:
    """Train a network together with the other replicas, which do the same at this moment."""
    # One training after another: replicas meet in the order of their sums.
    replicas = job.plan.program.replicas
    try:
        with outside_strategy(), training_together(replicas):
            replicas.require_same(_marks_of(job))
            result = _train_alone(job)
            if isinstance(result, Exception):
                raise result
            return replicas.agree(result)
    except Exception as error:
        return error


def _marks_of(job: Job) -> dict[str, bytes]:
    """Return by what the same training is known, by names that a user knows."""
    plan, training = job.plan, job.training
    some = np.linspace(0, len(training.rows) - 1, min(len(training.rows), _MARKED)).astype(int)
    rows = training.rows[some]
    return {
        "parameters": f"{plan.program} {vars(plan.run)}".encode(),
        "initial weights": b"".join(value.tobytes() for value in job.start.network),
        "the rows to train on": training.rows.tobytes(),
        "y": training.codes[rows].tobytes(),
        "weights": training.weight[rows].tobytes(),
        "validation rows": b"" if job.validation is None else job.validation.rows.tobytes(),
    }


def _train_shared(
    groups: Sequence[list[tuple[int, Job]]], counts: Mapping[ProgramConfig, int]
) -> Iterator[tuple[int, Result]]:
    """Train networks, those of a group in one program."""
    # One place of work for each group first: while a program is compiled, others train.
    first, more, n_all = [], [], 0
    n_threads = compute_thread_limit()
    for group in groups:
        plan = group[0][1].plan
        program, waiting = acquire_program(plan), deque(group)
        n_members = _count_members(program, max(len(group), counts.get(plan.program, 0)))
        n_packs = min(n_threads, -(-len(group) // n_members))
        packs = [Pack(program, waiting, n_members) for _ in range(n_packs)]
        first.append(packs[0])
        more += packs[1:]
        n_all += n_packs
    if min(n_all, n_threads) == 1:
        for pack in first:
            yield from pack.results()
    elif n_all:
        yield from _run_in_threads([*first, *more], min(n_all, n_threads))
    for group, pack in zip(groups, first, strict=True):
        release_program(group[0][1].plan, pack.program)


def _run_in_threads(packs: Sequence[Pack], n_threads: int) -> Iterator[tuple[int, Result]]:
    """Yield what packs yield, so many at a time, each in a thread of its own."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()
    must_stop = threading.Event()
    device = current_device()

    def run(pack: Pack) -> None:
        try:
            hand_over = handing_over_warnings(lambda *warning: found.put(_Warning(*warning)))
            with hand_over, computing_on(device):
                for result in pack.results(must_stop):
                    found.put(result)
            found.put(None)
        except BaseException as error:
            found.put(error)

    with ThreadPoolExecutor(n_threads, thread_name_prefix="sk_mtl") as pool:
        try:
            for pack in packs:
                # Traced here, by one thread after another; XLA compiles in the pack's own.
                pack.program.run(pack.n_members)
                pool.submit(run, pack)
            for pack in packs:
                if pack.validates:
                    pack.program.evaluate(pack.n_members)
            n_running = len(packs)
            while n_running:
                result = found.get()
                if isinstance(result, BaseException):
                    raise result
                if result is None:
                    n_running -= 1
                elif isinstance(result, _Warning):
                    warn_user(*result)
                else:
                    yield result
        finally:
            must_stop.set()  # after the steps that run


def _count_members(program: TrainingProgram, n_jobs: int) -> int:
    """Return how many of some trainings share a call."""
    # It depends on nothing but the trainings: bits may depend on it.
    if n_jobs < _MIN_JOBS:
        return 1
    n_weights = sum(int(np.prod(v.shape)) for v in program.model.trainable_variables)
    return max(min(_MAX_MEMBERS, _MAX_WEIGHTS // max(n_weights, 1)), 1)
