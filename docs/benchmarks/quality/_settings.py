"""Settings of MultiTaskClassifier that are compared, by name.

`scaling` is how the benchmark scales the features beforehand (see `_tables.scale`); the rest are
parameters of the estimator.
"""

import json
import os
from typing import Any

__all__ = ["SETTINGS", "study_of"]

WIDE: dict[str, Any] = {
    "hidden_layer_sizes": (512,),
    "dropout": 0.5,
    "optimizer": "adamw",
    "optimizer__weight_decay": 0.1,
    "optimizer__global_clipnorm": 1.0,
    "loss_normalization": "cells",
    "scaling": "bits",
}
RECIPE = {**WIDE, "dropout": 0.6, "optimizer__weight_decay": 0.5, "batch_size": 128}
SETTINGS: dict[str, dict[str, Any]] = {
    "today": {"scaling": "numbers"},
    "today, bits": {"scaling": "bits"},
    "recipe glorot": RECIPE,
    "recipe he": {**RECIPE, "initialization": "he/glorot"},
    "recipe torch": {**RECIPE, "initialization": "torch/torch"},
    "recipe torch tasks": {**RECIPE, "initialization": "torch/torch", "loss_normalization": "tasks"},
    "recipe torch all": {**RECIPE, "initialization": "torch/torch", "scaling": "all"},
}
if os.path.exists("/tmp/study/settings.json"):
    SETTINGS |= json.load(open("/tmp/study/settings.json"))


def study_of(name: str) -> dict[str, dict[str, Any]]:
    return {k: v for k, v in SETTINGS.items() if k.startswith(name)}
