"""Trainings together: which share a program, and on which threads they run.

What one training gives does not depend on the others: they share no number.
"""

from __future__ import annotations

import queue
import threading
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from sk_mtl._compat.threads import compute_thread_limit
from sk_mtl._train.loop import Job, NonFiniteLossError, TrainingResult
from sk_mtl._train.pack import Pack
from sk_mtl._train.plan import can_share_program
from sk_mtl._train.program import TrainingProgram
from sk_mtl._train.program_cache import acquire_program, release_program

__all__ = ["train", "train_together"]

# Trainings in one call: more gain little, and the weights of all should stay in the cache.
_MAX_MEMBERS = 4
_MAX_WEIGHTS = 2**18


def train(job: Job) -> TrainingResult:
    """Train one network."""
    ((_, result),) = train_together([job])
    if isinstance(result, Exception):
        raise result
    return result


def train_together(
    jobs: Sequence[Job],
) -> Iterator[tuple[int, TrainingResult | NonFiniteLossError]]:
    """Train networks; yield, as each is done, its number and the result, or how it diverged."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for number, job in enumerate(jobs):
        is_shared = can_share_program(job.plan) and job.watch is None
        groups[job.plan.program if is_shared else number].append(number)
    for numbers in groups.values():
        yield from _train_group([(number, jobs[number]) for number in numbers])


def _train_group(
    jobs: list[tuple[int, Job]],
) -> Iterator[tuple[int, TrainingResult | NonFiniteLossError]]:
    """Train networks that share a program."""
    plan = jobs[0][1].plan
    program = acquire_program(plan)
    n_members = _count_members(program, len(jobs))
    n_threads = min(compute_thread_limit(), -(-len(jobs) // n_members))
    waiting = deque(jobs)
    if n_threads == 1:
        yield from Pack(program, waiting, n_members).results()
    else:
        packs = [Pack(program, waiting, n_members) for _ in range(n_threads)]
        packs[0].compile()
        yield from _run_in_threads(packs)
    # A program that was interrupted is not released: its state is unknown.
    release_program(plan, program)


def _count_members(program: TrainingProgram, n_jobs: int) -> int:
    """Return how many of some trainings share a call."""
    # It depends on nothing but the trainings: bits may depend on it.
    n_weights = sum(int(np.prod(v.shape)) for v in program.model.trainable_variables)
    return max(min(-(-n_jobs // 2), _MAX_MEMBERS, _MAX_WEIGHTS // max(n_weights, 1)), 1)


def _run_in_threads(packs: Sequence[Pack]) -> Iterator[tuple[int, Any]]:
    """Yield what packs yield, each in a thread of its own."""
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()
    must_stop = threading.Event()

    def run(pack: Pack) -> None:
        try:
            for result in pack.results(must_stop):
                found.put(result)
            found.put(None)
        except BaseException as error:
            found.put(error)

    with ThreadPoolExecutor(len(packs), thread_name_prefix="sk_mtl") as pool:
        try:
            for pack in packs:
                pool.submit(run, pack)
            n_running = len(packs)
            while n_running:
                result = found.get()
                if isinstance(result, BaseException):
                    raise result
                if result is None:
                    n_running -= 1
                else:
                    yield result
        finally:
            must_stop.set()  # after the epoch that runs
