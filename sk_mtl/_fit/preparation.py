"""Preparation: from some rows of a fit to a training of them.

Owns where a training starts, and how data and settings become its plan. Does not train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from sk_mtl._compat.processes import refuse_fork
from sk_mtl._compat.sklearn_callbacks import FitTasks
from sk_mtl._data.dataset import Dataset, Subset, UnlabelledSubset
from sk_mtl._data.input_encoder import InputEncoder
from sk_mtl._data.table_dataset import StoredSubset
from sk_mtl._fit.assembly import Round, assemble_model
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.fitted_network import FittedNetwork
from sk_mtl._fit.settings import Settings
from sk_mtl._fit.unchanged import refuse_changes
from sk_mtl._train.early_stopping import PlannedEpochs, StoppingConfig
from sk_mtl._train.loop import EpochWatch, Job, TrainingResult, draw_start
from sk_mtl._train.plan import TrainingPlan, make_plan, resolve_jit_compile
from sk_mtl._train.replicas import outside_strategy
from sk_mtl._train.resume import ResumePoint, open_resume_point
from sk_mtl._train.state import TrainingState

__all__ = ["Preparation", "Prepared", "Start", "require_seed", "start_of"]


@dataclass(frozen=True)
class Start:
    """Where training continues: a fitted model, and the state of its network."""

    encoder: InputEncoder
    network: FittedNetwork
    state: TrainingState
    n_epochs: int


class Prepared(NamedTuple):
    """A training to do, and the encoder of its X."""

    encoder: InputEncoder
    job: Job


@dataclass(frozen=True)
class Preparation:
    """What all trainings of a fit have in common."""

    settings: Settings
    dataset: Dataset
    seed: int
    start: Start | None
    resume_points: list[ResumePoint] | None = field(repr=False)
    previous: FittedModel | None = field(default=None, repr=False)
    tasks: FitTasks | None = None  # what callbacks of scikit-learn are told

    def all_rows(self) -> Subset:
        """Return all rows with labels, to train on."""
        rows = self.dataset.rows
        return self.dataset.subset(rows, self.dataset.class_factors(rows))

    @outside_strategy()
    def prepare(
        self,
        training: Subset,
        validation: Subset | None,
        stopping: StoppingConfig | PlannedEpochs | None,
        *,
        title: str,
        epochs: int | None = None,
        search: TrainingPlan | None = None,
    ) -> Prepared | None:
        """Return a training, from the start or from its beginning; None if no task has classes."""
        # With `search`, batch sizes and compilation are those of the training that found the
        # epochs.
        settings, dataset, start = self.settings, self.dataset, self.start
        encoder, input_values = self._encoder_for(training)
        if not dataset.learnable_names:
            return None
        refuse_fork()
        training, validation = _encode(encoder, dataset, training, validation)
        spec, optimizer, custom_values = settings.make_network(dataset, encoder, self.seed)
        if start is not None:
            refuse_changes(vars(start.network.spec), vars(spec))
        frequencies = training.class_frequencies(tuple(map(len, dataset.learnable_classes)))
        unlabelled = dataset.unlabelled_subset(training, validation)
        parts = settings.make_parts(dataset, optimizer, title)
        if search is None:
            batch_size = settings.resolve_batch_size(len(training.rows))
            # By `epochs`, not by those of this call: partial_fit trains as fit does.
            n_steps = settings.epochs * -(-len(training.rows) // batch_size)
            jit_compile = resolve_jit_compile(
                settings.jit_compile, spec, optimizer, parts.weighting, n_steps
            )
            monitored = settings.monitored_task(dataset, validation or training)
        else:
            batch_size, monitored = search.run.batch_size, search.run.monitored_task
            jit_compile = search.program.xla_batch_size > 0
        plan = make_plan(
            spec,
            parts,
            jit_compile=jit_compile,
            task_names=dataset.series_labels,
            epochs=int(settings.epochs if epochs is None else epochs),
            batch_size=batch_size,
            seed=self.seed,
            first_epoch=0 if start is None else start.n_epochs,
            stopping=stopping,
            monitored_task=monitored,
            unlabelled_batch_size=settings.unlabelled_batch_size(unlabelled),
            **settings.of_plan(optimizer, frequencies),
        )
        _check_replicas(plan, training)
        state = (
            start.state
            if start is not None
            else draw_start(
                spec,
                parts.weighting,
                settings.initial_frequencies(frequencies),
                self.seed,
                custom_values,
                input_values,
            )
        )
        resume_point = None
        if len(training.rows):
            resume_point = self._open_resume_point(plan, state, training, validation, unlabelled)
        watch = None if self.tasks is None else self._watch(self.tasks, plan, encoder)
        job = Job(plan, state, training, validation, resume_point, unlabelled, watch)
        return Prepared(encoder, job)

    def _watch(self, tasks: FitTasks, plan: TrainingPlan, encoder: InputEncoder) -> EpochWatch:
        """Return what tells callbacks of scikit-learn about the epochs of a training."""

        def end(result_so_far: Callable[[], TrainingResult]) -> bool:
            def fit_so_far() -> FittedModel:
                last = Round(plan, encoder, result_so_far())
                return assemble_model(
                    self.settings, self.dataset, last, self.seed, self.previous, None
                )

            return tasks.end_epoch(fit_so_far)

        return EpochWatch(tasks.begin_epoch, end)

    def _encoder_for(self, training: Subset) -> tuple[InputEncoder, dict[str, np.ndarray]]:
        """Return the encoder of a round, and the values of new input layers."""
        if self.start is None:
            return self.settings.fit_encoder(self.dataset, training)
        refuse_changes(*self.settings.compare_input(self.start.encoder.spec))
        return self.start.encoder, {}

    def _open_resume_point(
        self,
        plan: TrainingPlan,
        state: TrainingState,
        training: Subset,
        validation: Subset | None,
        unlabelled: UnlabelledSubset | None,
    ) -> ResumePoint | None:
        """Return the resume point of a round, and note it among those of this fit."""
        if self.settings.checkpoint is None or self.resume_points is None:
            return None
        require_seed(self.settings.checkpoint, self.settings.random_state)
        resume_point = open_resume_point(
            self.settings.checkpoint, plan, state, training, validation, unlabelled
        )
        self.resume_points.append(resume_point)
        return resume_point


def require_seed(checkpoint: Any, random_state: Any) -> None:
    """Refuse checkpoints of a fit that draws other numbers each time."""
    if checkpoint is not None and random_state is None:
        # Nor could it be told from another fit of the same table that runs at this moment.
        raise ValueError(
            "checkpoint needs a random_state: with None, a fit that is started again draws "
            "other weights, and is another fit. Set random_state to an integer."
        )


def _check_replicas(plan: TrainingPlan, training: Subset) -> None:
    """Refuse rows in files if several replicas would share them."""
    replicas = plan.program.replicas
    if replicas.number > 1 and isinstance(training, StoredSubset):
        raise ValueError(
            "A fit over several replicas (tf.distribute) needs its table in memory, or X as a "
            f"numpy.memmap. Found {replicas.number} replicas and a table in files. Call fit, or "
            "fit_table outside of the strategy's scope."
        )


def start_of(previous: FittedModel | None, *, keeps_optimizer: bool) -> Start | None:
    """Return where training continues; None where it begins."""
    # A stream may have brought no label yet.
    if previous is None or previous.network is None or previous.n_iter == 0:
        return None
    network, state = previous.network, previous.network.state
    if not keeps_optimizer:
        state = replace(state, optimizer=None, teacher=None, averaging=None)
    return Start(previous.encoder, network, state, previous.n_iter)


def _encode(
    encoder: InputEncoder, dataset: Dataset, training: Subset, validation: Subset | None
) -> tuple[Subset, Subset | None]:
    """Return both subsets with the encoder's codes; a shared X stays shared."""
    encoded = training.encoded(encoder, dataset.categories)
    if validation is None:
        return encoded, None
    if validation.shares_X(training):
        return encoded, replace(validation, X=encoded.X)
    return encoded, validation.encoded(encoder, dataset.categories)
