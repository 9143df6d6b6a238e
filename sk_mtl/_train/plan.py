"""Plans: the settings of a training, and the live objects that take part in it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import keras
import tensorflow as tf

from sk_mtl._compat.keras_internals import get_learning_rate
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.config import ProgramConfig, RunConfig
from sk_mtl._train.optimizer import optimizer_and_inner, optimizer_settings
from sk_mtl.weighting import TaskWeighting

__all__ = ["TrainingParts", "TrainingPlan", "make_plan", "resolve_jit_compile"]

# Steps that pay for what XLA takes to compile; measured in docs/benchmarks/speed.md.
_MIN_XLA_STEPS = 400


@dataclass(frozen=True, eq=False)
class TrainingParts:
    """The live objects of one training."""

    optimizer: keras.optimizers.Optimizer  # used by this training only, not built yet
    weighting: TaskWeighting  # how task losses are combined
    # The user's, called as by `keras.Model.fit`.
    callbacks: list[keras.callbacks.Callback] = field(default_factory=list)
    progress: keras.callbacks.Callback | None = None  # shows the progress; keeps nothing


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What to train and how; see `make_plan`."""

    program: ProgramConfig  # what shapes the compiled program
    run: RunConfig  # what this training needs besides the program
    parts: TrainingParts  # the live objects


def make_plan(
    spec: NetworkSpec,
    parts: TrainingParts,
    *,
    is_sparse: bool,
    jit_compile: bool = False,
    **settings: Any,
) -> TrainingPlan:
    """Return a plan; `settings` are the other fields of `ProgramConfig` and `RunConfig`."""
    of_program = {of.name for of in fields(ProgramConfig)} & settings.keys()
    program_settings = {name: settings.pop(name) for name in of_program}
    description, learning_rate = optimizer_settings(parts.optimizer)
    run = RunConfig(learning_rate=learning_rate, **settings)
    program = ProgramConfig(
        spec=spec,
        optimizer=description,
        weighting=(type(parts.weighting), parts.weighting.program_key()),
        has_logit_offsets=run.logit_offsets is not None,
        smooths_labels=run.label_smoothing is not None,
        xla_batch_size=run.batch_size if jit_compile else 0,
        xla_unlabelled_batch_size=run.unlabelled_batch_size if jit_compile else 0,
        is_sparse=is_sparse,
        **program_settings,
    )
    return TrainingPlan(program, run, parts)


def resolve_jit_compile(
    jit_compile: bool | str,
    spec: NetworkSpec,
    optimizer: keras.optimizers.Optimizer,
    weighting: TaskWeighting,
    n_steps: int,
) -> bool:
    """Return whether XLA compiles the steps, of which there are at most `n_steps`."""
    # The decision depends on no other fit, so that a result does not.
    if jit_compile is False:
        return False
    is_safe = spec.normalization != "batch" and spec.custom_model is None
    if jit_compile is True:
        if not is_safe:
            raise ValueError(
                "jit_compile=True needs a network in which a row does not depend on the others of "
                "its batch, since the last batch is filled up. Got normalization='batch' or a "
                "`model`; set jit_compile=False or 'auto'."
            )
        return True
    # What is neither Keras's nor ours may do what XLA cannot compile.
    optimizers = optimizer_and_inner(optimizer)
    is_known = _are_from((*optimizers, weighting), ("keras.", "sk_mtl."))
    is_known &= _are_from(map(get_learning_rate, optimizers), ("keras.", "builtins"))
    on_cpu = not tf.config.list_physical_devices("GPU")
    return is_safe and is_known and on_cpu and n_steps >= _MIN_XLA_STEPS


def _are_from(objects: Any, prefixes: tuple[str, ...]) -> bool:
    return all(type(part).__module__.startswith(prefixes) for part in objects)
