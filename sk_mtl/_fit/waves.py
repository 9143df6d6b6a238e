"""Waves: the trainings that fits ask for, done together.

A fit is a generator: it asks for some trainings at a time, is given their results, and returns what
it has fitted. So several fits, and the folds of one, are trained side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from sk_mtl._train.config import ProgramConfig
    from sk_mtl._train.loop import Job, TrainingResult

__all__ = ["Counts", "Steps", "Wave", "run_steps", "run_together"]

T = TypeVar("T")


class Wave(NamedTuple):
    """Trainings that a fit asks for."""

    jobs: list[Job]
    # Told the number and result of each training when it is done.
    note: Callable[[int, TrainingResult], None] | None = None


Steps = Generator[Wave, "list[TrainingResult]", T]


class Counts(NamedTuple):
    """How many trainings have a program, those of other processes included."""

    first: Mapping[ProgramConfig, int]  # in the first wave
    later: Mapping[ProgramConfig, int]  # in each further one


class _Open(NamedTuple):
    """A wave of which some results are missing."""

    number: int  # of the fit
    wave: Wave
    results: dict[int, Any]


def run_steps(steps: Steps[T]) -> T:
    """Do the trainings that a fit asks for, and return what it returns."""
    ((_, result),) = run_together([steps])
    if isinstance(result, Exception):
        raise result
    return result


def run_together(
    fits: Sequence[Steps[T]], counts: Counts | None = None
) -> Generator[tuple[int, T | Exception], None, None]:
    """Do the trainings of fits; yield, as each ends, its number and what it returns or raises."""
    of_wave = () if counts is None else (counts.first,)
    try:
        waiting: list[_Open] = []
        for number in range(len(fits)):
            yield from _continue(fits, number, None, waiting)
        while waiting:
            # Imported here, as it imports TensorFlow.
            from sk_mtl._train.together import train_together

            waves, waiting = waiting, []
            owners = [(wave, k) for wave in waves for k in range(len(wave.wave.jobs))]
            jobs = [w.wave.jobs[k] for w, k in owners]
            for position, result in train_together(jobs, *of_wave):
                (number, wave, results), k = owners[position]
                results[k] = result
                if wave.note is not None and not isinstance(result, Exception):
                    wave.note(k, result)
                if len(results) == len(wave.jobs):
                    yield from _continue(fits, number, results, waiting)
            of_wave = () if counts is None else (counts.later,)
    finally:
        for steps in fits:
            steps.close()


def _continue(
    fits: Sequence[Steps[T]], number: int, results: dict[int, Any] | None, waiting: list[_Open]
) -> Iterator[tuple[int, T | Exception]]:
    """Give a fit its results; note what it asks for next, or yield what it returns or raises."""
    steps = fits[number]
    try:
        if results is None:
            wave = next(steps)
        else:
            in_order = [results[k] for k in range(len(results))]
            errors = [result for result in in_order if isinstance(result, Exception)]
            wave = steps.throw(errors[0]) if errors else steps.send(in_order)
    except StopIteration as ended:
        yield number, ended.value
    except Exception as error:
        yield number, error
    else:
        waiting.append(_Open(number, wave, {}))
