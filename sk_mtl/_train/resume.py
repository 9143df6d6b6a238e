"""Resume points: how far a fit has come, in a file from which the same fit continues.

Owns what the file holds, and when it is written. Its name is a digest of all that the result of the
fit depends on: fits of other data or other parameters share a folder and never meet. Does not
train, and knows no estimator.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from sk_mtl._codec.container import pack, read_json, unpack
from sk_mtl._codec.files import open_folder, remove_file, replace_file
from sk_mtl._codec.values import decode_value, encode_value, require
from sk_mtl._compat.user_warnings import warn_user
from sk_mtl._data.dataset import Subset, UnlabelledSubset
from sk_mtl._tasks import enumerate_some
from sk_mtl._train.best_weights import BestWeightsKeeper, decode_keeper, encode_keeper
from sk_mtl._train.config import RunConfig
from sk_mtl._train.early_stopping import Monitor
from sk_mtl._train.fit_identity import digest, identify_fit
from sk_mtl._train.plan import TrainingPlan
from sk_mtl._train.replicas import ALONE, Replicas
from sk_mtl._train.state import (
    TrainingState,
    check_state,
    decode_state,
    encode_state,
    require_alike,
)

__all__ = ["Progress", "ResumePoint", "open_resume_point"]

_FORMAT_VERSION = 2
# Pause between two writes, in multiples of what the last one took: at most 5 % of a fit.
_PAUSE = 19


@dataclass
class Progress:
    """How far a training has come, at the end of an epoch."""

    monitor: Monitor  # follows the losses, for early stopping
    epoch: int = 0  # epochs trained
    history: dict[str, list[float]] = field(default_factory=dict)  # one entry per epoch
    # Reads the values of the best epoch, with early stopping.
    best: Callable[[], TrainingState] | None = None
    best_epoch: int = 0  # that epoch, from 1; 0 for none
    # The values of the best epochs of the tasks, if each has its own.
    keeper: BestWeightsKeeper = field(default_factory=BestWeightsKeeper)


class ResumePoint:
    """The file of one fit.

    Parameters
    ----------
    folder : str
        Its folder.
    fit : dict of str to str
        Digests of what the result of the fit depends on, by names that a user knows.
    replicas : Replicas
        Those of the fit: only their chief reads and writes, and tells the others.
    """

    def __init__(self, folder: str, fit: dict[str, str], replicas: Replicas = ALONE):
        name = f"checkpoint-{digest(*fit.values())[:32]}.safetensors"
        self.path = os.path.join(folder, name)
        self._fit = fit
        self._replicas = replicas
        self._due = -float("inf")
        self._has_warned = False

    def resume(self, like: TrainingState, run: RunConfig) -> tuple[Progress, TrainingState | None]:
        """Return how far the fit has come, and its values, which are like those of its start."""
        content = self._replicas.share_bytes(self._read())
        if content is None:
            return Progress(run.make_monitor()), None
        try:
            text, arrays = unpack(content)
            nodes = read_json(text)
            require("epoch" in nodes, "it is not a checkpoint")
            refusal = self._refuse(nodes)
            if refusal is None:
                return _decode(nodes, arrays, run, like)
        except MemoryError:
            raise
        except Exception as error:  # what reads its parts raises what it likes
            refusal = f"cannot be read: {str(error)[:500].rstrip('.')}."
        raise ValueError(
            f"The checkpoint {self.path!r} {refusal} Delete the file to train from the first epoch."
        )

    def _read(self) -> bytes | None:
        if not self._replicas.is_chief:
            return None
        try:
            with open(self.path, "rb") as opened:
                return opened.read()
        except FileNotFoundError:
            return None

    def _refuse(self, nodes: dict[str, Any]) -> str | None:
        """Return why this fit cannot continue from a checkpoint; None if it can."""
        here, there = _versions(), nodes["versions"]
        others = [
            f"{name} {str(there.get(name))[:20]} in place of {version}"
            for name, version in here.items()
            if there.get(name) != version
        ]
        if others:
            return (
                f"was written by {enumerate_some(others)}, which may compute other bits. Continue "
                "with the versions that wrote it."
            )
        # Other workers than the chief have no marks: what they are given is compared elsewhere.
        others = [name for name, mark in self._fit.items() if nodes["fit"].get(name) != mark]
        if others:
            return f"is of another fit, with other {enumerate_some(others)}."
        return None

    def save_if_due(self, read: Callable[[], TrainingState], progress: Progress) -> None:
        """Write the file at the end of an epoch, if the last time is long enough ago."""
        begun = time.monotonic()
        if begun < self._due or not self._replicas.is_chief:
            return
        try:
            nodes, arrays = _encode(progress, read())
            described = {"versions": _versions(), "fit": self._fit, **nodes}
            replace_file(self.path, pack(json.dumps(described, allow_nan=False), arrays))
        except OSError as error:
            # The same fit may run twice; the one that ends removes also what the other is writing.
            folder = os.path.dirname(self.path)
            is_removed = isinstance(error, FileNotFoundError) and os.path.isdir(folder)
            if not (is_removed or self._has_warned):
                warn_user(
                    f"The checkpoint {self.path!r} could not be written after epoch "
                    f"{progress.epoch} ({error}). Training continues, and tries again."
                )
            self._has_warned |= not is_removed
        ended = time.monotonic()
        self._due = ended + _PAUSE * (ended - begun)

    def remove(self) -> None:
        """Remove the file: the fit has ended."""
        if self._replicas.is_chief:
            remove_file(self.path)


def open_resume_point(
    folder: Any,
    plan: TrainingPlan,
    start: TrainingState,
    training: Subset,
    validation: Subset | None,
    unlabelled: UnlabelledSubset | None = None,
) -> ResumePoint:
    """Return the resume point of a fit, in a folder that is created if necessary."""
    if plan.parts.callbacks:
        names = enumerate_some(type(callback).__name__ for callback in plan.parts.callbacks)
        raise ValueError(
            f"checkpoint and callbacks exclude each other: what {names} would remember of the "
            "epochs so far cannot be kept. Set one of the two to None; early_stopping=True and a "
            "schedule, optimizer__learning_rate=keras.optimizers.schedules.…, can be kept."
        )
    replicas = plan.program.replicas
    if not replicas.is_chief:
        return ResumePoint(str(folder), {}, replicas)
    path = open_folder(folder)
    return ResumePoint(path, identify_fit(plan, start, training, validation, unlabelled), replicas)


def _versions() -> dict[str, str]:
    """Return the versions on which the bits of a training depend."""
    libraries = ("sk_mtl", "keras", "numpy", "tensorflow")
    versions = {library: str(sys.modules[library].__version__) for library in libraries}
    return {"checkpoint format": str(_FORMAT_VERSION), **versions}


def _encode(
    progress: Progress, last: TrainingState
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what is stored, for JSON, and its arrays."""
    arrays: dict[str, np.ndarray] = {}
    nodes = {
        "epoch": progress.epoch,
        "history": encode_value(progress.history, "history", arrays),
        "stopping": encode_value(progress.monitor.state(), "stopping", arrays),
        "best_epoch": progress.best_epoch,
        "last": encode_state(last, "last", arrays),
        "best": None,
        "tasks": encode_keeper(progress.keeper, arrays),
    }
    # The values of an epoch that is the best so far are stored once.
    if progress.best is not None and progress.best_epoch != progress.epoch:
        nodes["best"] = encode_state(progress.best(), "best", arrays)
    return nodes, arrays


def _decode(
    nodes: dict[str, Any], arrays: dict[str, np.ndarray], run: RunConfig, like: TrainingState
) -> tuple[Progress, TrainingState]:
    """Return what is stored, and the values of the last epoch."""
    history, stopping = (decode_value(nodes[part], arrays) for part in ("history", "stopping"))
    epoch, best_epoch = nodes["epoch"], nodes["best_epoch"]
    require(type(epoch) is int and epoch > 0, "it has no epoch")
    require(type(best_epoch) is int and 0 <= best_epoch <= epoch, "it has no best epoch")
    lengths = {len(series) for series in history.values()}
    require(lengths == {epoch}, "its history has other epochs")
    last = _decode_alike(nodes["last"], arrays, like)
    best = last if best_epoch == epoch else None
    if nodes["best"] is not None:
        best = _decode_alike(nodes["best"], arrays, like)
    require((best is None) == (best_epoch == 0), "it has no values of its best epoch")
    keeper = decode_keeper(nodes["tasks"], len(run.task_names), arrays)
    for _, values in keeper.kept.values():
        require_alike(values, like.network)
    monitor = run.make_monitor()
    monitor.restore(stopping)
    read = None if best is None else partial(_itself, best)
    return Progress(monitor, epoch, history, read, best_epoch, keeper), last


def _itself(state: TrainingState) -> TrainingState:
    return state


def _decode_alike(node: Any, arrays: dict[str, np.ndarray], like: TrainingState) -> TrainingState:
    state = decode_state(node, arrays)
    check_state(state, like)
    return state
