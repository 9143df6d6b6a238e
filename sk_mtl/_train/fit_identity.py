"""The identity of a fit: digests of all that its result depends on.

Owns by what two fits are told apart, and the names by which a user knows it. Does not train.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import fields
from typing import Any

import numpy as np

from sk_mtl._codec.values import encode_value
from sk_mtl._data.dataset import Subset, UnlabelledSubset
from sk_mtl._train.config import ProgramConfig
from sk_mtl._train.plan import TrainingPlan
from sk_mtl._train.state import TrainingState
from sk_mtl.weighting import TaskWeighting

__all__ = ["digest", "identify_fit"]

# Fields of the configurations that a user knows by another name.
_NAMES = {
    "first_epoch": "epochs",
    "focal_gamma": "loss",
    "label_smoothing": "loss",
    "learning_rate": "optimizer",
    "logit_offsets": "loss",
    "monitored_task": "early stopping",
    "product_dtype": "dtype",
    "seed": "random_state",
    "spec": "layers",
    "stopping": "early stopping",
    "task_names": "task names",
    "unlabelled_batch_size": "unlabelled",
    "unlabelled_weight": "unlabelled",
    "weight_decay": "optimizer",
    "weighting": "task_weighting",
    "xla_batch_size": "jit_compile",
    "xla_unlabelled_batch_size": "jit_compile",
}

# Fields that `Rates` tells of, or that hold them.
_IN_RATES = {"averages_weights", "decays_weights", "has_logit_offsets", "rates", "smooths_labels"}


def identify_fit(
    plan: TrainingPlan,
    start: TrainingState,
    training: Subset,
    validation: Subset | None,
    unlabelled: UnlabelledSubset | None,
) -> dict[str, str]:
    """Return digests of all that the result of a fit depends on, by names that a user knows."""
    _require_known_settings(plan)
    parts: dict[str, list[Any]] = defaultdict(list)
    for config in (plan.program, plan.run):
        for field in fields(config):
            if field.name not in _IN_RATES:
                parts[_NAMES.get(field.name, field.name)].append(getattr(config, field.name))
    for name, value in plan.run.rates._asdict().items():
        parts[_NAMES.get(name, name)].append(value)
    parts["task_weighting"] += _describe_weighting(plan.program, plan.parts.weighting)
    parts["initial weights"] = [*start.network, *sorted(start.weighting), *start.weighting.values()]
    parts |= training.content()
    if unlabelled is not None:
        parts["unlabelled"] += [unlabelled.weight, unlabelled.rows]
    parts["validation data"] = []
    if validation is not None:
        content = validation.content(with_X=not validation.shares_X(training))
        parts["validation data"] = [value for values in content.values() for value in values]
    return {name: digest(*values) for name, values in parts.items()}


def _require_known_settings(plan: TrainingPlan) -> None:
    if "{" not in plan.program.optimizer:
        raise ValueError(
            "checkpoint needs an optimizer whose settings are known, but Keras cannot write those "
            f"of {type(plan.parts.optimizer).__name__}, or of its schedule. Give them a "
            "get_config, or set checkpoint=None."
        )


def _describe_weighting(config: ProgramConfig, weighting: TaskWeighting) -> list[Any]:
    """Return what the configuration does not tell of a task weighting."""
    arrays: dict[str, np.ndarray] = {}
    settings = None
    if config.weighting[1] is None:
        try:
            settings = encode_value(vars(weighting), "task_weighting", arrays)
        except TypeError as error:
            raise ValueError(
                f"checkpoint needs a task_weighting whose settings are known, but {error}. Keep "
                "them as numbers and arrays, give it a program_key, or set checkpoint=None."
            ) from error
    initial = weighting.initial_state(len(config.spec.n_outputs))
    return [settings, *sorted(initial), *initial.values(), *arrays.values()]


def digest(*values: Any) -> str:
    """Return a digest of arrays, by dtype, shape and content, and of plain values, by repr."""
    hashed = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            hashed.update(f"{value.dtype.str}{value.shape}".encode())
            hashed.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        else:
            hashed.update(f"{value!r};".encode())
    return hashed.hexdigest()
