"""Plans: the settings of a training, and the live objects that take part in it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import keras

from sk_mtl._compat.keras_internals import get_learning_rate
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._train.config import ProgramConfig, Rates, RunConfig
from sk_mtl._train.devices import computes_on_cpu
from sk_mtl._train.optimizer import (
    fed_settings,
    is_plain_adam,
    optimizer_and_inner,
    optimizer_settings,
)
from sk_mtl._train.replicas import current_replicas
from sk_mtl.weighting import GradientWeighting, SignWeighting, TaskWeighting

__all__ = ["TrainingParts", "TrainingPlan", "can_share_program", "make_plan", "resolve_jit_compile"]

# Steps that pay for what XLA takes to compile; measured in docs/benchmarks/speed.md.
_MIN_XLA_STEPS = 400
# Tasks whose Gram matrix XLA may factorize. Of 617 tasks, its Cholesky decomposition takes 100 to
# 200 ms, TensorFlow's 7 ms.
_MOST_TASKS_SOLVED_BY_XLA = 32


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

    spec: NetworkSpec  # the network
    program: ProgramConfig  # what shapes the compiled program
    run: RunConfig  # what this training needs besides the program
    parts: TrainingParts  # the live objects


def make_plan(
    spec: NetworkSpec,
    parts: TrainingParts,
    *,
    jit_compile: bool = False,
    **settings: Any,
) -> TrainingPlan:
    """Return a plan; `settings` are other fields of `ProgramConfig`, `RunConfig` and `Rates`."""
    of_program = {of.name for of in fields(ProgramConfig)} & settings.keys()
    program_settings = {name: settings.pop(name) for name in of_program}
    _check_meeting(spec, parts.weighting)
    description, learning_rate = optimizer_settings(parts.optimizer)
    description, weight_decay = fed_settings(parts.optimizer, description)
    of_rates = {name: settings.pop(name) for name in Rates._fields if name in settings}
    rates = Rates(dropout=spec.dropout, l2=spec.l2, weight_decay=weight_decay, **of_rates)
    run = RunConfig(learning_rate=learning_rate, rates=rates, **settings)
    program = ProgramConfig(
        # A user's callbacks, and a model of the user's own, see the settings of their layers.
        spec=spec if parts.callbacks or spec.custom_model else _without_rates(spec),
        optimizer=description,
        weighting=(type(parts.weighting), parts.weighting.program_key()),
        has_logit_offsets=rates.logit_offsets is not None,
        smooths_labels=rates.label_smoothing is not None,
        decays_weights=bool(weight_decay),
        averages_weights=rates.averages_weights,
        xla_batch_size=run.batch_size if jit_compile else 0,
        xla_unlabelled_batch_size=run.unlabelled_batch_size if jit_compile else 0,
        replicas=current_replicas(),
        **program_settings,
    )
    _check_replicas(program, parts)
    return TrainingPlan(spec, program, run, parts)


def _check_meeting(spec: NetworkSpec, weighting: TaskWeighting) -> None:
    """Refuse strategies that see gradients, if the heads do not read the same shared layers."""
    if not isinstance(weighting, (GradientWeighting, SignWeighting)):
        return
    found = None
    if spec.ensemble_size > 1:
        found = f"ensemble_size={spec.ensemble_size}; MultiTaskEnsemble trains separate networks"
    elif spec.sharing != "hard":
        found = f"sharing={spec.sharing!r}, in which each head reads a mixture of its own"
    elif spec.custom_outputs is not None:
        found = "a `model` that is the whole network; return the shared layers from it"
    if found is not None:
        raise ValueError(
            f"task_weighting={type(weighting).__name__} weighs the gradients of the tasks where "
            f"their heads read shared layers, of one network. Got {found}."
        )


def _check_replicas(program: ProgramConfig, parts: TrainingParts) -> None:
    """Refuse what several replicas do not compute as one would."""
    if program.replicas.number == 1:
        return
    spec, weighting = program.spec, parts.weighting
    found = None
    if spec.normalization == "batch":
        found = "normalization='batch', whose means are of the rows of one replica; 'layer' works"
    elif spec.custom_model is not None:
        found = "a `model`, of which it is not known what its layers compute over rows"
    elif program.unlabelled is not None:
        found = "unlabelled=..., which several replicas do not share"
    elif isinstance(weighting, (GradientWeighting, SignWeighting)) or weighting.reads_losses_after:
        found = f"task_weighting={type(weighting).__name__}, which reads more than the losses"
    elif program.replicas.n_devices > 1 and not is_plain_adam(parts.optimizer):
        found = (
            f"{type(parts.optimizer).__name__}, which updates variables of its own; Adam and AdamW "
            "work, and so do several workers with one device each"
        )
    if found is not None:
        raise ValueError(
            "A fit over several replicas (tf.distribute) must give what one would. Found "
            f"{program.replicas.number} replicas and {found}. Change it, or fit outside of the "
            "strategy's scope."
        )


def _without_rates(spec: NetworkSpec) -> NetworkSpec:
    """Return a specification in which what is fed into a program has one value, or is 0."""
    return replace(spec, dropout=0.5 if spec.dropout else 0.0, l2=1.0 if spec.l2 else 0.0)


def can_share_program(plan: TrainingPlan) -> bool:
    """Return whether networks of such plans may be trained side by side in one program."""
    # Their batches are filled up, and what is not ours may do what cannot be vectorised.
    return (
        plan.program.xla_batch_size > 0
        and _is_known(plan.parts.optimizer, plan.parts.weighting)
        and is_plain_adam(plan.parts.optimizer)
        and not plan.parts.callbacks
        and _can_pack(plan.program.spec, plan.parts.weighting)
    )


def _can_pack(spec: NetworkSpec, weighting: TaskWeighting) -> bool:
    """Return whether one program may train several networks with a strategy."""
    if not isinstance(weighting, GradientWeighting):
        return True
    # Side by side, weights that are needed in some steps only are computed in all of them.
    return weighting.can_pack and len(spec.n_outputs) <= _MOST_TASKS_SOLVED_BY_XLA


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
    if jit_compile is True and not weighting.can_compile:
        raise ValueError(
            f"jit_compile=True needs a task_weighting that XLA compiles. Got "
            f"{type(weighting).__name__}, which it does not; set jit_compile=False or 'auto'."
        )
    if current_replicas().number > 1:
        if jit_compile is True:
            raise ValueError(
                "jit_compile=True compiles a step as one piece, and the replicas of a strategy add "
                f"up their sums within it. Found {current_replicas().number} replicas; set "
                "jit_compile=False or 'auto'."
            )
        return False
    if jit_compile is True:
        if not is_safe:
            raise ValueError(
                "jit_compile=True needs a network in which a row does not depend on the others of "
                "its batch, since the last batch is filled up. Got normalization='batch' or a "
                "`model`; set jit_compile=False or 'auto'."
            )
        return True
    is_known = _is_known(optimizer, weighting) and weighting.can_compile
    if isinstance(weighting, GradientWeighting) and weighting.factorizes:
        is_known &= len(spec.n_outputs) <= _MOST_TASKS_SOLVED_BY_XLA
    return is_safe and is_known and computes_on_cpu() and n_steps >= _MIN_XLA_STEPS


def _is_known(optimizer: keras.optimizers.Optimizer, weighting: TaskWeighting) -> bool:
    """Return whether optimizer, learning rate and weighting are Keras's and ours."""
    # What is neither may do what XLA cannot compile.
    optimizers = optimizer_and_inner(optimizer)
    is_known = _are_from((*optimizers, weighting), ("keras.", "sk_mtl."))
    return is_known and _are_from(map(get_learning_rate, optimizers), ("keras.", "builtins"))


def _are_from(objects: Any, prefixes: tuple[str, ...]) -> bool:
    return all(type(part).__module__.startswith(prefixes) for part in objects)
