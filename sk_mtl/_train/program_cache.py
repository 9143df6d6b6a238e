"""The cache of compiled programs: what makes two fits share one, and which are kept.

Does not know what a program does.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import keras

from sk_mtl._predict.keras_forward import clear_forward_programs
from sk_mtl._train.program import TrainingPlan, TrainingProgram, optimizer_and_inner

__all__ = [
    "acquire_program",
    "clear_program_cache",
    "optimizer_settings",
    "program_key",
    "release_program",
]

_MAX_IDLE_PROGRAMS = 16

_idle_programs: OrderedDict[int, tuple[Hashable, TrainingProgram]] = OrderedDict()
_lock = threading.Lock()


def optimizer_settings(optimizer: keras.optimizers.Optimizer) -> tuple[str, float | None]:
    """Return an optimizer's kind and configuration as text, and its learning rate apart."""
    kind = f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
    try:
        config = _without_names(keras.optimizers.serialize(optimizer)["config"])
        rate = config.get("learning_rate")
        rate = float(config.pop("learning_rate")) if isinstance(rate, (int, float)) else None
        return f"{kind} {json.dumps(config, sort_keys=True)}", rate
    except (TypeError, ValueError, NotImplementedError):
        return kind, None


def _without_names(config: Any) -> Any:
    """Return a configuration without the names that Keras gives by counting."""
    if isinstance(config, dict):
        return {k: _without_names(v) for k, v in config.items() if k != "name"}
    return config


def program_key(
    plan: TrainingPlan, settings: tuple[str, float | None], is_sparse: bool
) -> Hashable | None:
    """Return what shapes the program; None if it cannot be told, or may outlive the training."""
    # Classes of the user's own may do what their configuration does not tell.
    is_told = all(
        type(o).__module__.startswith("keras.") for o in optimizer_and_inner(plan.optimizer)
    )
    weighting_key = plan.weighting.program_key()
    # A callback may keep the model beyond the fit.
    if not is_told or weighting_key is None or plan.spec.custom_model or plan.callbacks:
        return None
    weighting = (type(plan.weighting), weighting_key)
    jit_batch_size = plan.batch_size if plan.jit_compile else 0
    return (
        plan.spec,
        settings[0],
        weighting,
        plan.loss_normalization,
        is_sparse,
        jit_batch_size,
        plan.focal_gamma,
        plan.logit_offsets is not None,
        plan.label_smoothing is not None,
        plan.unlabelled,
        plan.unlabelled_batch_size if plan.jit_compile else 0,
        plan.ema_momentum,
    )


def acquire_program(key: Hashable | None, plan: TrainingPlan, is_sparse: bool) -> TrainingProgram:
    """Take an idle program of this key out of the cache, or build one."""
    with _lock:
        for number in reversed(_idle_programs):
            if key is not None and _idle_programs[number][0] == key:
                return _idle_programs.pop(number)[1]
    return TrainingProgram(plan, is_sparse)


def release_program(key: Hashable | None, program: TrainingProgram) -> None:
    """Put a program back; the least recently used one leaves when there are too many."""
    leaving = [program]
    if key is not None:
        with _lock:
            _idle_programs[id(program)] = (key, program)
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
