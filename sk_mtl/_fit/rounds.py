"""Rounds: the trainings that make up a fit.

A fit is one round; with `refit`, a second one on all rows; with early stopping by folds, one per
fold and one on all rows. Owns which rows each round trains on, and where it starts. Does not know
parameters but by their settings, nor the estimator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from operator import itemgetter

import numpy as np

from sk_mtl._compat.sklearn_callbacks import FitTasks
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.dataset import Dataset, Subset
from sk_mtl._fit.assembly import Round, assemble_model
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.fitted_network import FittedNetwork
from sk_mtl._fit.preparation import Preparation, Prepared, start_of
from sk_mtl._fit.settings import Settings
from sk_mtl._fit.splits import N_FOLDS, split_folds, split_validation
from sk_mtl._fit.temperature_scaling import fit_temperatures, require_validation
from sk_mtl._fit.waves import Steps, Wave
from sk_mtl._quoting import quote
from sk_mtl._train.early_stopping import (
    PlannedEpochs,
    StoppingConfig,
    compute_best_epochs,
    mean_history,
)
from sk_mtl._train.loop import NonFiniteLossError, TrainingResult, keep_planned
from sk_mtl._train.plan import TrainingPlan, can_share_program
from sk_mtl._train.replicas import common_seed
from sk_mtl._train.resume import ResumePoint

__all__ = ["fit_model", "train_one_epoch"]

# Of a training beside a search, all epochs are kept until the search tells which is best.
_MAX_KEPT_NUMBERS = 2**24
_NUMBERS_PER_WEIGHT = 4  # with those of optimizer and average
_MOST_CALIBRATED = 2**17  # validation rows, where these are in files


def fit_model(
    settings: Settings,
    dataset: Dataset,
    validation: Subset | None,
    seed: int,
    previous: FittedModel | None,
    tasks: FitTasks | None = None,
) -> Steps[FittedModel]:
    """Fit, by early stopping on `validation`, on held-out rows, by folds, or without."""
    seed, start = common_seed(seed), start_of(previous, keeps_optimizer=False)
    if settings.early_stopping == "cv":
        _check_folds(dataset, validation)
    with _removed_at_the_end() as resume_points:
        of_all = Preparation(settings, dataset, seed, start, resume_points, previous, tasks)
        fit = _Fit(of_all)
        by_folds = settings.stops_by_folds(dataset, validation is not None, start is not None)
        rounds = fit.by_folds() if by_folds else fit.once(validation)
        last, temperatures = yield from rounds
    n_folds = N_FOLDS if by_folds else 0
    return assemble_model(settings, dataset, last, seed, previous, temperatures, n_folds=n_folds)


def train_one_epoch(
    settings: Settings, dataset: Dataset, seed: int, previous: FittedModel | None
) -> Steps[FittedModel]:
    """Train for one more epoch, with all rows and the optimizer as it stands."""
    seed, start = common_seed(seed), start_of(previous, keeps_optimizer=True)
    of_all = Preparation(settings, dataset, seed, start, None)
    last = yield from _Fit(of_all).train(
        of_all.all_rows(), None, None, epochs=1, title="partial_fit"
    )
    network = None if previous is None else previous.network
    temperatures = None if network is None else network.temperatures
    adds_labels = previous is not None
    return assemble_model(
        settings, dataset, last, seed, previous, temperatures, adds_labels=adds_labels
    )


class _Fit:
    """The rounds of a fit."""

    def __init__(self, preparation: Preparation):
        self.preparation = preparation
        self.settings = preparation.settings
        self.dataset = preparation.dataset
        self.seed = preparation.seed
        self.tasks = preparation.tasks

    def once(self, validation: Subset | None) -> Steps[tuple[Round | None, np.ndarray | None]]:
        """Train with or without validation rows, and again on all rows if asked to."""
        settings, dataset = self.settings, self.dataset
        was_passed = validation is not None
        stops_early = settings.stops_early(dataset, was_passed)
        if not stops_early:
            self._warn_of_few_groups()
        if (
            not was_passed
            and stops_early
            and settings.validation_fraction is not None
            and len(dataset.rows)
        ):
            training, validation = split_validation(
                dataset, settings.validation_fraction, self.seed
            )
        else:
            training = self.preparation.all_rows()
        if settings.must_calibrate and dataset.learnable_names:
            require_validation(validation)
        if settings.refit and was_passed:
            raise ValueError(
                "refit=True trains again on all rows, the validation rows among them, but "
                "validation data is never trained on. Put these rows into X and y, or set "
                "refit=False."
            )
        self._warn_of_monitor([validation or training])
        self.begin_tasks(2 if settings.refit and validation is not None else 1)
        stopping = settings.stopping() if stops_early else None
        title = "all rows" if was_passed or validation is None else "training rows"
        prepared = self.preparation.prepare(training, validation, stopping, title=title)
        if prepared is None:
            return None, None
        beside: Round | None = None
        if settings.refit and validation is not None and self.tasks is None:
            (first,), beside = yield from self._train_side_by_side([prepared], itemgetter(0))
        else:
            first = yield from self._train_prepared(prepared)
        if validation is None:
            return first, None
        temperatures = None
        if settings.must_calibrate or (settings.calibrate == "auto" and not settings.refit):
            temperatures = _fit_temperatures(first, [self._logits_and_labels(first, validation)])
        if settings.refit:
            return (yield from self.train_on_all(first, beside)), temperatures
        return first, temperatures

    def _warn_of_few_groups(self) -> None:
        """Warn if "auto" validates nothing for want of groups."""
        settings, dataset = self.settings, self.dataset
        if settings.early_stopping != "auto" or dataset.groups is None:
            return
        without, continues = replace(dataset, groups=None), self.preparation.start is not None
        if settings.stops_early(without, False) or settings.stops_by_folds(
            without, False, continues
        ):
            enough = dataset.n_groups > 1
            advice = "early_stopping=True, for which two groups are enough, or " if enough else ""
            warn_user(
                f"early_stopping='auto' needs {N_FOLDS} groups for folds, and the rows with labels "
                f"are of {dataset.n_groups}: it validates nothing, and trains all "
                f"{settings.epochs} epochs. Set {advice}early_stopping=False with a suitable "
                "number of epochs."
            )

    def _warn_of_monitor(self, validated: list[Subset]) -> None:
        """Warn, once for all folds, if the loss of the task to monitor is not known."""
        settings, dataset = self.settings, self.dataset
        if settings.monitor is None or not dataset.learnable_names:
            return
        if any(settings.monitored_task(dataset, subset) is None for subset in validated):
            warn_user(
                f"monitor names task {quote(settings.monitor)}, which has fewer than two classes, "
                "or no label in the validation rows. The mean over tasks is monitored instead."
            )

    def by_folds(self) -> Steps[tuple[Round | None, np.ndarray | None]]:
        """Train on all rows for the epochs that were best in the mean over validation folds."""
        settings, dataset = self.settings, self.dataset
        splits = list(split_folds(dataset, self.seed))
        self._warn_of_monitor([validation for _, validation in splits])
        self.begin_tasks(N_FOLDS + 1)
        prepared = []
        for number, (training, validation) in enumerate(splits, start=1):
            title = f"fold {number} of {N_FOLDS}"
            of_fold = self.preparation.prepare(
                training, validation, settings.stopping(), title=title
            )
            assert of_fold is not None  # there is a task to learn
            prepared.append(of_fold)
        beside: Round | None = None
        if self.tasks is None:
            folds, beside = yield from self._train_side_by_side(prepared, _mean_over_folds)
        else:  # callbacks of scikit-learn are told of one training after another
            folds = []
            for of_fold in prepared:
                folds.append((yield from self._train_prepared(of_fold)))
        found = _mean_over_folds(folds)
        temperatures = None
        if settings.must_calibrate:
            pairs = zip(folds, splits, strict=True)
            validated = [self._logits_and_labels(fold, part) for fold, (_, part) in pairs]
            temperatures = _fit_temperatures(found, validated)
        return (yield from self.train_on_all(found, beside)), temperatures

    def _train_side_by_side(
        self, searches: list[Prepared], summarize: Callable[[list[Round]], Round]
    ) -> Steps[tuple[list[Round], Round | None]]:
        """Search for epochs, and train on all rows beside this if all epochs can be kept."""
        prepared, n_searches = list(searches), len(searches)
        last_epoch = [0]  # the last one that is needed, once the searches tell
        if beside := self._prepare_beside(searches[-1].job.plan):
            job = replace(beside.job, is_enough=partial(_has_come_to, last_epoch))
            prepared.append(Prepared(beside.encoder, job))
        rounds: dict[int, Round] = {}

        def note(number: int, result: TrainingResult) -> None:
            encoder, job = prepared[number]
            rounds[number] = Round(job.plan, encoder, result)
            if not last_epoch[0] and all(k in rounds for k in range(n_searches)):
                found = summarize([rounds[k] for k in range(n_searches)])
                last_epoch[0] = _planned(found).last_epoch

        yield Wave([job for _, job in prepared], note)
        return [rounds[k] for k in range(n_searches)], rounds.get(n_searches)

    def _prepare_beside(self, search: TrainingPlan) -> Prepared | None:
        """Return the training on all rows, if it may run beside the search; None if it follows."""
        n_epochs = int(self.settings.epochs)
        if self.settings.checkpoint is not None or not can_share_program(search):
            return None
        prepared = self.preparation.prepare(
            self.preparation.all_rows(), None, None, title="all rows", search=search
        )
        assert prepared is not None  # as the search was
        job = prepared.job
        n_numbers = sum(value.size for value in job.start.network) * _NUMBERS_PER_WEIGHT * n_epochs
        is_beside = job.plan.program == search.program and n_numbers <= _MAX_KEPT_NUMBERS
        return prepared if is_beside else None

    def begin_tasks(self, n_trainings: int) -> None:
        """Tell callbacks of scikit-learn that the fit begins."""
        if self.tasks is not None:
            self.tasks.begin(n_trainings, int(self.settings.epochs))

    def train_on_all(self, found: Round, beside: Round | None = None) -> Steps[Round]:
        """Train afresh on all rows for the epochs found; the history stays that of the search."""
        planned = _planned(found)
        kept = None if beside is None else keep_planned(beside.result, planned)
        if beside is not None and kept is not None:
            last = replace(beside, result=kept)
        else:
            trained = yield from self.train(
                self.preparation.all_rows(),
                None,
                planned,
                title="all rows",
                epochs=planned.last_epoch,
                search=found.plan,
            )
            assert trained is not None  # as a search was
            last = trained
        result = replace(
            found.result,
            state=last.result.state,
            best_epoch=last.result.best_epoch,
            best_weights=last.result.best_weights,
        )
        # The offsets that the temperatures were fitted with stay those of the search.
        return Round(replace(found.plan, spec=last.plan.spec), last.encoder, result)

    def train(
        self,
        training: Subset,
        validation: Subset | None,
        stopping: StoppingConfig | PlannedEpochs | None,
        *,
        title: str,
        epochs: int | None = None,
        search: TrainingPlan | None = None,
    ) -> Steps[Round | None]:
        """Train the network, from the start or from its beginning; None if no task has classes."""
        prepared = self.preparation.prepare(
            training, validation, stopping, title=title, epochs=epochs, search=search
        )
        return None if prepared is None else (yield from self._train_prepared(prepared))

    def _train_prepared(self, prepared: Prepared) -> Steps[Round]:
        """Train what was prepared."""
        encoder, job = prepared
        plan = job.plan
        if not len(job.training.rows):  # a stream may bring a batch without any label
            return Round(plan, encoder, TrainingResult.untrained(job.start, plan.run))
        with nullcontext() if self.tasks is None else self.tasks.training(plan.run.epochs):
            (result,) = yield Wave([job])
        return Round(plan, encoder, result)

    def _logits_and_labels(
        self, fold: Round, validation: Subset
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return logits, class indices and cell weights of validation rows."""
        validation = validation.some(_MOST_CALIBRATED)
        rows = validation.rows
        X = fold.encoder.transform(validation.X[rows], self.dataset.categories)
        network = FittedNetwork(fold.plan.spec, fold.result.state, None, fold.result.best_weights)
        return network.logits(X), validation.codes[rows], validation.weight[rows]


def _mean_over_folds(folds: list[Round]) -> Round:
    """Return what folds have found together, as the round of a search."""
    last, history = folds[-1], mean_history([fold.result.history for fold in folds])
    best = compute_best_epochs(last.plan.run.make_monitor(), history)
    result = TrainingResult(
        last.result.state,
        history,
        len(history["loss"]),
        best.best_epoch,
        stopping=best.stopping,
        task_epochs=best.task_epochs,
    )
    return replace(last, result=result)


def _has_come_to(last_epoch: list[int], epoch: int) -> bool:
    """Return whether an epoch is the last that is needed, if that is known, or a later one."""
    return 0 < last_epoch[0] <= epoch


def _planned(found: Round) -> PlannedEpochs:
    """Return the epochs that a search has found, for all tasks and for each."""
    result = found.result
    # Of weights that a callback made, no training has a number of epochs.
    best_epoch = result.best_epoch or result.n_epochs
    epochs = result.task_epochs or (best_epoch,) * len(found.plan.run.task_names)
    if result.best_weights is not None:
        epochs = result.best_weights.task_epochs
    return PlannedEpochs(best_epoch, tuple(epochs))


def _check_folds(dataset: Dataset, validation: Subset | None) -> None:
    """Refuse folds beside validation data, and of too few rows."""
    if validation is not None:
        raise ValueError(
            "early_stopping='cv' validates on folds of X and y, and validation data was given. "
            "Put these rows into X and y, or set early_stopping=True to validate on them."
        )
    if dataset.learnable_names and dataset.n_groups < N_FOLDS:
        what = "rows" if dataset.groups is None else "groups of rows"
        raise ValueError(
            f"early_stopping='cv' needs at least {N_FOLDS} {what} with labels. Found "
            f"{dataset.n_groups}. Set early_stopping=False."
        )


def _fit_temperatures(
    found: Round, validated: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return the temperatures of the learnable tasks, from logits and labels of rows."""
    logits, codes, weight = (np.concatenate(parts) for parts in zip(*validated, strict=True))
    return fit_temperatures(
        logits, codes, weight, found.plan.spec.n_outputs, found.plan.run.rates.logit_offsets
    )


@contextmanager
def _removed_at_the_end() -> Iterator[list[ResumePoint]]:
    """Collect resume points; remove them when a fit ends or diverges, not if it is interrupted."""
    resume_points: list[ResumePoint] = []
    try:
        yield resume_points
    except NonFiniteLossError:  # it would diverge again from there
        for resume_point in resume_points:
            resume_point.remove()
        raise
    for resume_point in resume_points:
        resume_point.remove()
