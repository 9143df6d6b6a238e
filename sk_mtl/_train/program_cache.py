"""The cache of compiled programs: what makes two fits share one, and which are kept.

Does not know what a program does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from sk_mtl._model.custom_serialization import consists_of_keras
from sk_mtl._predict.keras_forward import clear_forward_programs
from sk_mtl._train.callbacks import may_keep_the_model
from sk_mtl._train.config import ProgramConfig
from sk_mtl._train.optimizer import optimizer_and_inner
from sk_mtl._train.plan import TrainingPlan
from sk_mtl._train.program import TrainingProgram

__all__ = ["acquire_program", "clear_program_cache", "is_reusable", "release_program"]

_MAX_IDLE_PROGRAMS = 16

_idle_programs: OrderedDict[int, tuple[ProgramConfig, TrainingProgram]] = OrderedDict()
_lock = threading.Lock()


def is_reusable(plan: TrainingPlan) -> bool:
    """Return whether the configuration says all about the program, which nobody else keeps."""
    # Classes of the user's own may do what their configuration does not tell.
    optimizers = optimizer_and_inner(plan.parts.optimizer)
    is_told = all(type(optimizer).__module__.startswith("keras.") for optimizer in optimizers)
    _, weighting_key = plan.program.weighting
    custom_model = plan.program.spec.custom_model
    is_told &= weighting_key is not None
    is_told &= custom_model is None or consists_of_keras(custom_model)
    return is_told and not may_keep_the_model(plan.parts.callbacks)


def acquire_program(plan: TrainingPlan) -> TrainingProgram:
    """Take an idle program of this configuration out of the cache, or build one."""
    if is_reusable(plan):
        with _lock:
            for number in reversed(_idle_programs):
                if _idle_programs[number][0] == plan.program:
                    return _idle_programs.pop(number)[1]
    return TrainingProgram(plan.program, plan.parts.optimizer, plan.parts.weighting)


def release_program(plan: TrainingPlan, program: TrainingProgram) -> None:
    """Put a program back; the least recently used one leaves when there are too many."""
    leaving = [program]
    if is_reusable(plan):
        with _lock:
            _idle_programs[id(program)] = (program.config, program)
            n_leaving = max(len(_idle_programs) - _MAX_IDLE_PROGRAMS, 0)
            leaving = [_idle_programs.popitem(last=False)[1][1] for _ in range(n_leaving)]
    for old in leaving:
        old.dismantle()


def clear_program_cache() -> None:
    """Forget all compiled programs, of training and of prediction, and the memory they hold.

    A fit takes the compiled program of an earlier fit of the same shape (network, optimizer,
    task weighting), which changes no result; at most 16 idle ones are kept.

    Examples
    --------
    >>> from sk_mtl import clear_program_cache
    >>> clear_program_cache()
    """
    with _lock:
        leaving = [program for _, program in _idle_programs.values()]
        _idle_programs.clear()
    for program in leaving:
        program.dismantle()
    clear_forward_programs()


# Pickles refer to a function by its public path, and doctest skips objects of another module.
clear_program_cache.__module__ = "sk_mtl"
__test__ = {"clear_program_cache": clear_program_cache}
