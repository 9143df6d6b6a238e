"""Checkpoints: how far a fit has come, in a file from which the same fit goes on.

Owns what a checkpoint holds, by what it is known whose it is, and when one is due. A fit is known
by a digest of all that its result depends on, which is the name of its file: fits of other data or
other parameters share a folder and never meet. Does not train, and knows no estimator.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from sk_mtl._codec.container import pack, read_json, unpack
from sk_mtl._codec.files import remove_file, replace_file
from sk_mtl._codec.values import decode_value, encode_value, require
from sk_mtl._data.dataset import Subset, UnlabelledSubset
from sk_mtl._tasks import enumerate_some
from sk_mtl._train.best_weights import BestWeightsKeeper
from sk_mtl._train.program import TrainingPlan, TrainingProgram
from sk_mtl._train.program_cache import optimizer_settings
from sk_mtl._train.state import AveragingState, TeacherState, TrainingState

__all__ = ["Progress", "ResumePoint", "open_resume_point"]

_FORMAT_VERSION = 1
# Pause between two checkpoints, in times of what the last one took: they take 5 % of a fit at most.
_PAUSE = 19


@dataclass
class Progress:
    """How far a training has come, at the end of an epoch.

    Attributes
    ----------
    epoch : int
        Epochs trained.
    history : dict of list of float
        One entry per epoch.
    best : TrainingState or None
        The values of the best epoch, with early stopping.
    best_epoch : int
        That epoch, from 1; 0 without one.
    keeper : BestWeightsKeeper
        The values of the best epochs of the tasks, where each has its own.
    """

    epoch: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    best: TrainingState | None = None
    best_epoch: int = 0
    keeper: BestWeightsKeeper = field(default_factory=BestWeightsKeeper)


class ResumePoint:
    """The file of one fit.

    Parameters
    ----------
    folder : str
        Where it lies.
    fit : dict of str to str
        Digests of what the result of the fit depends on, by names that a user knows.
    """

    def __init__(self, folder: str, fit: dict[str, str]):
        name = f"checkpoint-{_digest(*fit.values())[:32]}.safetensors"
        self.path = os.path.join(folder, name)
        self._fit = fit
        self._due = -float("inf")
        self._has_warned = False

    def resume(self, program: TrainingProgram, plan: TrainingPlan) -> Progress:
        """Return how far the fit has come, and set all values to what they were then.

        Parameters
        ----------
        program : TrainingProgram
            With the values that the fit starts from; left so if there is no checkpoint.
        plan : TrainingPlan
            As at the start of the fit; its early stopping is set, too.

        Returns
        -------
        progress : Progress
            At the beginning if there is no checkpoint.

        Raises
        ------
        ValueError
            If there is a file that is damaged, was written by other versions of the libraries, or
            is of another fit.
        """
        try:
            with open(self.path, "rb") as opened:
                content = opened.read()
        except FileNotFoundError:
            return Progress()
        try:
            text, arrays = unpack(content)
            nodes = read_json(text)
            require("epoch" in nodes, "it is no checkpoint")
            refusal = self._refuse(nodes)
            if refusal is None:
                return _restore(nodes, arrays, program, plan)
        except MemoryError:
            raise
        except Exception as error:  # what reads its parts raises what it likes
            refusal = f"cannot be read: {str(error)[:500].rstrip('.')}."
        raise ValueError(
            f"The checkpoint {self.path!r} {refusal} Delete the file to train from the first epoch."
        )

    def _refuse(self, nodes: dict[str, Any]) -> str | None:
        """Return what keeps this fit from going on from a checkpoint; None if nothing does."""
        here, there = _versions(), nodes["versions"]
        others = [
            f"{name} {str(there.get(name))[:20]} in place of {version}"
            for name, version in here.items()
            if there.get(name) != version
        ]
        if others:
            return (
                f"was written by {enumerate_some(others)}, which may compute other bits. Go on "
                "with the versions that wrote it."
            )
        others = [name for name, digest in self._fit.items() if nodes["fit"].get(name) != digest]
        if others:
            return f"is of another fit, with other {enumerate_some(others)}."
        return None

    def save_if_due(self, program: TrainingProgram, plan: TrainingPlan, progress: Progress) -> None:
        """Write the checkpoint if the last one is long enough ago.

        Parameters
        ----------
        program : TrainingProgram
            With the values at the end of the epoch.
        plan : TrainingPlan
            With the early stopping that has watched the epochs so far.
        progress : Progress
            How far the fit has come.

        Warns
        -----
        UserWarning
            If it cannot be written, once; training goes on.
        """
        begun = time.monotonic()
        if begun < self._due:
            return
        try:
            text, arrays = _describe(program, plan, progress)
            described = {"versions": _versions(), "fit": self._fit, **text}
            replace_file(self.path, pack(json.dumps(described, allow_nan=False), arrays))
        except OSError as error:
            # The same fit may run twice; the one that ends removes also what the other is writing.
            folder = os.path.dirname(self.path)
            is_removed = isinstance(error, FileNotFoundError) and os.path.isdir(folder)
            if not (is_removed or self._has_warned):
                warnings.warn(
                    f"The checkpoint {self.path!r} could not be written after epoch "
                    f"{progress.epoch} ({error}). Training goes on, and tries again.",
                    UserWarning,
                    stacklevel=6,
                )
            self._has_warned |= not is_removed
        ended = time.monotonic()
        self._due = ended + _PAUSE * (ended - begun)

    def remove(self) -> None:
        """Remove the file: the fit has ended."""
        remove_file(self.path)


def open_resume_point(
    folder: Any,
    plan: TrainingPlan,
    start: TrainingState,
    training: Subset,
    watched: Subset | None,
    unlabelled: UnlabelledSubset | None = None,
) -> ResumePoint:
    """Return the checkpoint of a fit.

    Parameters
    ----------
    folder : path-like
        Made if it is not there.
    plan : TrainingPlan
        What to train and how.
    start : TrainingState
        The values to start from.
    training : Subset
        Rows to train on.
    watched : Subset or None
        Rows to watch.
    unlabelled : UnlabelledSubset or None, default=None
        Rows with cells without a label to learn from.

    Returns
    -------
    checkpoint : ResumePoint
        The file of this fit, be it there or not.

    Raises
    ------
    ValueError
        If the folder cannot be written to, or the fit could not go on to the same result.
    """
    if plan.callbacks:
        names = enumerate_some(type(callback).__name__ for callback in plan.callbacks)
        raise ValueError(
            f"checkpoint and callbacks exclude each other: what {names} would remember of the "
            "epochs so far cannot be kept. Set one of the two to None; early_stopping=True and a "
            "schedule, optimizer__learning_rate=keras.optimizers.schedules.…, can be kept."
        )
    path = os.path.abspath(os.fsdecode(folder))
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            f"checkpoint must be a folder that can be written to. {path!r} is none: {error}."
        ) from error
    return ResumePoint(path, _identify(plan, start, training, watched, unlabelled))


# ------------------------------------------------------------------------------------------------
# Whose it is
# ------------------------------------------------------------------------------------------------


def _identify(
    plan: TrainingPlan,
    start: TrainingState,
    training: Subset,
    watched: Subset | None,
    unlabelled: UnlabelledSubset | None,
) -> dict[str, str]:
    """Return digests of all that the result of a training depends on."""
    parts: dict[str, list[Any]] = {
        "layers": [plan.spec],
        "task names": [plan.task_names],
        "optimizer": _tell_optimizer(plan),
        "task_weighting": _tell_weighting(plan),
        "loss_normalization": [plan.loss_normalization],
        "epochs": [int(plan.epochs), plan.first_epoch],
        "batch_size": [plan.batch_size],
        "jit_compile": [plan.jit_compile],
        "random_state": [plan.seed],
        "early stopping": [
            *(sorted(vars(stopping).items()) for stopping in _stoppings(plan)),
            plan.stopping is not None,
            plan.monitored_task,
        ],
        "loss": [plan.focal_gamma, plan.logit_offsets, plan.label_smoothing],
        "batching": [plan.batching],
        "ema_momentum": [plan.ema_momentum],
        "initial weights": [*start.network, *sorted(start.weighting), *start.weighting.values()],
        "X": _arrays_of(training.X),
        "y": [training.codes],
        "weights": [training.weight],
        "rows": [training.rows],
        "validation data": [],
        "unlabelled": [plan.unlabelled],
    }
    if unlabelled is not None:
        settings = [plan.unlabelled_weight, plan.unlabelled_batch_size]
        parts["unlabelled"] += [*settings, unlabelled.weight, unlabelled.rows]
    if watched is not None:
        X = [] if watched.X is training.X else _arrays_of(watched.X)
        parts["validation data"] = [*X, watched.codes, watched.weight, watched.rows]
    return {name: _digest(*values) for name, values in parts.items()}


def _tell_optimizer(plan: TrainingPlan) -> list[Any]:
    text, rate = optimizer_settings(plan.optimizer)
    if "{" not in text:
        raise ValueError(
            "checkpoint needs an optimizer whose settings are known, but Keras cannot write those "
            f"of {type(plan.optimizer).__name__}, or of its schedule. Give them a get_config, or "
            "set checkpoint=None."
        )
    return [text, rate]


def _tell_weighting(plan: TrainingPlan) -> list[Any]:
    weighting = plan.weighting
    arrays: dict[str, np.ndarray] = {}
    initial = weighting.initial_state(len(plan.task_names))
    kind = f"{type(weighting).__module__}.{type(weighting).__qualname__}"
    settings: Any = weighting.program_key()
    if settings is None:
        try:
            settings = encode_value(vars(weighting), "task_weighting", arrays)
        except TypeError as error:
            raise ValueError(
                f"checkpoint needs a task_weighting whose settings are known, but {error}. Keep "
                "them as numbers and arrays, give it a program_key, or set checkpoint=None."
            ) from error
    return [kind, settings, *sorted(initial), *initial.values(), *arrays.values()]


def _arrays_of(X: Any) -> list[Any]:
    return [X.shape, X.data, X.indices, X.indptr] if sp.issparse(X) else [X]


def _digest(*values: Any) -> str:
    """Return a digest of arrays, by dtype, shape and content, and of plain values, by repr."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        else:
            digest.update(f"{value!r};".encode())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    """Return the versions on which the bits of a training depend."""
    libraries = ("sk_mtl", "keras", "numpy", "tensorflow")
    versions = {library: str(sys.modules[library].__version__) for library in libraries}
    return {"checkpoint format": str(_FORMAT_VERSION), **versions}


# ------------------------------------------------------------------------------------------------
# What it holds
# ------------------------------------------------------------------------------------------------


def _describe(
    program: TrainingProgram, plan: TrainingPlan, progress: Progress
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what is stored, for JSON, and its arrays."""
    arrays: dict[str, np.ndarray] = {}
    # The values of an epoch that is the best so far are stored once.
    is_best = progress.best is not None and progress.best_epoch == progress.epoch
    kept = progress.keeper.kept
    networks = dict(list(kept.values()))
    nodes = {
        "epoch": progress.epoch,
        "history": encode_value(progress.history, "history", arrays),
        "stopping": encode_value([vars(s) for s in _stoppings(plan)], "stopping", arrays),
        "best_epoch": progress.best_epoch,
        "last": _describe_state(program.read(), "last", arrays),
        "best": None,
        "epochs_of_tasks": [[task, epoch] for task, (epoch, _) in kept.items()],
        "networks": encode_value(list(networks.items()), "networks", arrays),
    }
    if progress.best is not None and not is_best:
        nodes["best"] = _describe_state(progress.best, "best", arrays)
    return nodes, arrays


def _stoppings(plan: TrainingPlan) -> list[Any]:
    """Return what watches losses: that of all tasks together, and those of each."""
    common = [] if plan.stopping is None else [plan.stopping]
    return [*common, *(() if plan.task_stopping is None else plan.task_stopping.tasks)]


def _describe_state(state: TrainingState, name: str, arrays: dict[str, np.ndarray]) -> Any:
    values: list[Any] = [state.network, state.weighting, state.optimizer]
    if state.teacher is not None:
        values += [state.teacher.network, state.teacher.n_steps]
    if state.averaging is not None:
        values += [state.averaging.weights, state.averaging.n_steps]
    return encode_value(values, name, arrays)


def _restore(
    nodes: dict[str, Any],
    arrays: dict[str, np.ndarray],
    program: TrainingProgram,
    plan: TrainingPlan,
) -> Progress:
    """Return what is stored, and set the values of the program and of early stopping by it."""
    history, watched = (decode_value(nodes[part], arrays) for part in ("history", "stopping"))
    fresh, epoch, best_epoch = program.read(), nodes["epoch"], nodes["best_epoch"]
    require(type(epoch) is int and epoch > 0, "it has no epoch")
    require(type(best_epoch) is int and 0 <= best_epoch <= epoch, "it has no best epoch")
    lengths = {len(series) for series in history.values()}
    require(lengths == {epoch}, "its history has other epochs")
    last = _restore_state(nodes["last"], arrays, fresh)
    best = last if best_epoch == epoch else None
    if nodes["best"] is not None:
        best = _restore_state(nodes["best"], arrays, fresh)
    require((best is None) == (best_epoch == 0), "it has no values of its best epoch")
    keeper = _restore_keeper(nodes, arrays, fresh, plan)
    stoppings = _stoppings(plan)
    require(len(watched) == len(stoppings), "it is of another early stopping")
    for stopping, found in zip(stoppings, watched, strict=True):
        kinds = {name: type(value) for name, value in vars(stopping).items()}
        require(
            {name: type(value) for name, value in found.items()} == kinds,
            "its early stopping has other values",
        )
    for stopping, found in zip(stoppings, watched, strict=True):
        vars(stopping).update(found)
    program.load(last, program.settings)
    return Progress(epoch, history, best, best_epoch, keeper)


def _restore_keeper(
    nodes: dict[str, Any],
    arrays: dict[str, np.ndarray],
    fresh: TrainingState,
    plan: TrainingPlan,
) -> BestWeightsKeeper:
    """Return the values of the best epochs of the tasks."""
    networks = dict(decode_value(nodes["networks"], arrays))
    epochs = dict(nodes["epochs_of_tasks"])
    require(epochs.keys() <= set(range(len(plan.task_names))), "it is of other tasks")
    require(networks.keys() == set(epochs.values()), "it lacks the best epoch of a task")
    for values in networks.values():
        _require_alike(zip(values, fresh.network, strict=True))
    return BestWeightsKeeper({task: (e, networks[e]) for task, e in epochs.items()})


def _restore_state(
    nodes: Any, arrays: dict[str, np.ndarray], fresh: TrainingState
) -> TrainingState:
    network, weighting, optimizer, *more = decode_value(nodes, arrays)
    n_more = 2 * sum(part is not None for part in (fresh.teacher, fresh.averaging))
    require(len(more) == n_more, "it is of another teacher, or of weights averaged otherwise")
    require(weighting.keys() == fresh.weighting.keys(), "its task weighting has other values")
    pairs = [
        *zip(network, fresh.network, strict=True),
        *((weighting[name], value) for name, value in fresh.weighting.items()),
        *zip(optimizer, fresh.optimizer or [], strict=True),
    ]
    teacher = averaging = None
    if fresh.teacher is not None:
        teacher = TeacherState(*more[:2])
        pairs += zip(teacher.network, fresh.teacher.network, strict=True)
    if fresh.averaging is not None:
        averaging = AveragingState(*more[-2:])
        pairs += zip(averaging.weights, fresh.averaging.weights, strict=True)
    require(all(type(n) is int for n in more[1::2]), "it has no number of steps")
    _require_alike(pairs)
    settings = fresh.optimizer_settings
    return TrainingState(network, weighting, optimizer, settings, teacher, averaging)


def _require_alike(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    """Refuse arrays that could not take the place of others."""
    for value, like in pairs:
        fits = value.shape == like.shape and value.dtype == like.dtype
        require(fits, "its arrays have other shapes or dtypes")
