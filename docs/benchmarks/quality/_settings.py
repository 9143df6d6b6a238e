"""Settings of MultiTaskClassifier that are compared, by name.

`scaling` is how the benchmark scales the features beforehand (see `_tables.scale`),
`initialization` how the kernels start, `watched` which rows the fit gets (see
`fit.fit_and_score`), and `schedule` the epochs over which the learning rate grows and falls; the
rest are parameters of the estimator.
"""

import math
from typing import Any

import keras

import sk_mtl._model.initial_values
import sk_mtl._train.loop
from sk_mtl._fit.best import choose_best

__all__ = ["SETTINGS", "STUDIES", "make_schedule", "start_kernels_by"]

# As it was when the first studies were made: Keras's Adam, no averages of the weights, no bins.
AS_KERAS = {"ema_momentum": 0, "optimizer__epsilon": 1e-7, "numeric_embedding": None}
BEFORE: dict[str, Any] = AS_KERAS | {
    "hidden_layer_sizes": [128, 64],
    "dropout": 0.0,
    "loss_normalization": "tasks",
    "initialization": "glorot",
    "scaling": "numbers",
}
# What the first study arrived at.
NOW: dict[str, Any] = AS_KERAS | {
    "hidden_layer_sizes": [256],
    "dropout": 0.4,
    "loss_normalization": "cells",
    "initialization": "torch",
    "scaling": "centred",
}
# A network of others, tuned by hand on Tox21.
RECIPE: dict[str, Any] = AS_KERAS | {
    "hidden_layer_sizes": [512],
    "dropout": 0.6,
    "optimizer": "adamw",
    "optimizer__weight_decay": 0.5,
    "optimizer__global_clipnorm": 1.0,
    "loss_normalization": "cells",
    "batch_size": 128,
    "initialization": "torch",
    "scaling": "bits",
}
DECAY = {"optimizer": "adamw", "optimizer__weight_decay": 0.1}
AVERAGE = {"ema_momentum": 0.99}

SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "one training": {"early_stopping": True, "watched": "all rows"},
    "best": choose_best({}) | {"watched": "all rows"},
    "best, validation watched": choose_best({"refit": False}),
    "before": BEFORE,
    "now": NOW,
    "now, weight decay 0.1": NOW | DECAY,
    "recipe": RECIPE,
}


def _vary(centre: dict[str, Any], **changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a centre and its neighbours, each with one thing changed."""
    return {"centre": centre} | {name: centre | change for name, change in changes.items()}


STUDIES: dict[str, dict[str, dict[str, Any]]] = {
    "chosen": {name: SETTINGS[name] for name in ("before", "now", "now, weight decay 0.1")},
    "factors": _vary(
        NOW,
        **{
            "start glorot": {"initialization": "glorot"},
            "start he": {"initialization": "he"},
            "start small": {"initialization": "small"},
            "scaling none": {"scaling": "none"},
            "scaling numbers": {"scaling": "numbers"},
            "scaling fourth root": {"scaling": "fourth root"},
            "scaling bits": {"scaling": "bits"},
            "scaling all": {"scaling": "all"},
            "hidden 128": {"hidden_layer_sizes": [128]},
            "hidden 512": {"hidden_layer_sizes": [512]},
            "hidden 256-128": {"hidden_layer_sizes": [256, 128]},
            "hidden 128-64": {"hidden_layer_sizes": [128, 64]},
            "dropout 0": {"dropout": 0.0},
            "dropout .2": {"dropout": 0.2},
            "dropout .6": {"dropout": 0.6},
            "weight decay .1": DECAY,
            "weight decay .5": DECAY | {"optimizer__weight_decay": 0.5},
            "loss by tasks": {"loss_normalization": "tasks"},
            "rate 3e-4": {"optimizer__learning_rate": 3e-4},
            "rate 2e-3": {"optimizer__learning_rate": 2e-3},
            "batch 64": {"batch_size": 64},
            "batch 256": {"batch_size": 256},
            "clipped": {"optimizer__global_clipnorm": 1.0},
            "averaged": AVERAGE,
            "layer normalisation": {"normalization": "layer"},
            "gelu": {"activation": "gelu"},
        },
    ),
}

EMBEDDED = {"numeric_embedding": "piecewise_linear", "embedding_size": 16}
STEADY = AVERAGE | {"optimizer__epsilon": 1e-4, "optimizer__learning_rate": 2e-3}
SGD = AVERAGE | {
    "optimizer": "sgd",
    "optimizer__learning_rate": 0.3,
    "optimizer__momentum": 0.9,
    "optimizer__nesterov": True,
}
SHARED = {"ensemble_size": 8}
INDEPENDENT = SHARED | {"ensemble_method": "independent"}

STUDIES["best"] = _vary(
    AS_KERAS,
    **{
        "averaged, rate 3e-4": AVERAGE | {"optimizer__learning_rate": 3e-4},
        "averaged, epsilon 1e-4": AVERAGE | {"optimizer__epsilon": 1e-4},
        "averaged, epsilon 1e-3, rate 3e-3": STEADY
        | {"optimizer__epsilon": 1e-3, "optimizer__learning_rate": 3e-3},
        "averaged, SGD": SGD,
        "8 shared": SHARED,
        "8 shared, averaged": SHARED | AVERAGE,
        "8 shared, decay .5": SHARED | DECAY | {"optimizer__weight_decay": 0.5},
        "8 shared, dropout .2": SHARED | {"dropout": 0.2},
        "8 shared, 16 bins": SHARED | EMBEDDED,
        "8 shared, 48 bins": SHARED | EMBEDDED | {"embedding_size": 48},
        "8 independent": INDEPENDENT,
        "8 independent, 48 bins, epsilon 1e-4": INDEPENDENT
        | AVERAGE
        | EMBEDDED
        | {"embedding_size": 48, "optimizer__epsilon": 1e-4},
        "8 shared, 16 bins, steady": SHARED | EMBEDDED | STEADY,
        "8 shared, 32 bins, steady": SHARED | EMBEDDED | STEADY | {"embedding_size": 32},
        "8 shared, 48 bins, steady": SHARED | EMBEDDED | STEADY | {"embedding_size": 48},
        "steady, held out": STEADY | {"watched": "held out"},
        "steady, held out, refit": STEADY | {"watched": "held out", "refit": True},
    },
)

BINS = {f"{k} bins": EMBEDDED | {"embedding_size": k} for k in (4, 8, 16)}
FINAL = {"optimizer__learning_rate": 2e-3}
STUDIES["averages"] = _vary(
    AS_KERAS,
    **{
        "epsilon 1e-4": {"optimizer__epsilon": 1e-4},
        "averaged": AVERAGE,
        "averaged, epsilon 1e-5": AVERAGE | {"optimizer__epsilon": 1e-5},
        "averaged, epsilon 1e-4": AVERAGE | {"optimizer__epsilon": 1e-4},
        "averaged, epsilon 1e-3": AVERAGE | {"optimizer__epsilon": 1e-3},
        "16 bins": BINS["16 bins"],
        "8 bins": BINS["8 bins"],
    },
)
STUDIES["bins"] = _vary(
    {},
    **BINS,
    **{
        "16 bins, hidden 512": BINS["16 bins"] | {"hidden_layer_sizes": [512]},
        "16 bins, hidden 256-256": BINS["16 bins"] | {"hidden_layer_sizes": [256, 256]},
        "16 bins, rate 2e-3": BINS["16 bins"] | FINAL,
        "16 bins, dropout .2": BINS["16 bins"] | {"dropout": 0.2},
        "8 shared, 8 bins, rate 2e-3": SHARED | BINS["8 bins"] | FINAL,
        "8 shared, 16 bins, rate 2e-3": SHARED | BINS["16 bins"] | FINAL,
        "16 shared, 8 bins, rate 2e-3": {"ensemble_size": 16} | BINS["8 bins"] | FINAL,
        "32 shared, 8 bins, rate 2e-3": {"ensemble_size": 32} | BINS["8 bins"] | FINAL,
    },
)

SMOOTHED = {f"label smoothing {s}": {"label_smoothing": s} for s in (0.01, 0.02, 0.05, "auto")}
STUDIES["smoothing"] = _vary({}, **SMOOTHED)
BEST = SHARED | BINS["8 bins"] | FINAL
STUDIES["best, smoothed"] = _vary(
    BEST,
    **{name: BEST | change for name, change in SMOOTHED.items()},
    **{
        f"label smoothing auto, {k} members": BEST | {"label_smoothing": "auto", "ensemble_size": k}
        for k in (16, 32)
    },
)
STUDIES["rates"] = _vary(
    {},
    **{
        "warm-up over 2 epochs": {"schedule": [2, None]},
        "cosine over 30 epochs": {"schedule": [0, 30]},
        "warm-up over 2, cosine over 30 epochs": {"schedule": [2, 30]},
        "cosine over 100 epochs": {"schedule": [0, 100]},
        "patience 5": {"n_iter_no_change": 5},
        "patience 20": {"n_iter_no_change": 20},
        "batch 32": {"batch_size": 32},
        "batch 1024": {"batch_size": 1024},
    },
)

_draw_as_released = sk_mtl._model.initial_values.draw_initial_values


def start_kernels_by(law: str) -> None:
    """Have kernels drawn by another law than the package's: "glorot", "he", "small" or "torch".

    This replaces a private function; the package has no parameter for it.
    """

    def draw(spec: Any, *arguments: Any) -> list[Any]:
        values = _draw_as_released(spec, *arguments)
        n_hidden = len(spec.hidden_layer_sizes)
        kernels = [i for i, value in enumerate(values) if value.ndim == 2]
        for number, i in enumerate(kernels):
            n_in, n_out = values[i].shape
            is_output = number >= n_hidden
            if is_output:  # of one task
                n_out = spec.n_outputs[0]
            values[i] = values[i] * (_limit(law, n_in, n_out, is_output) * math.sqrt(n_in))
        return values

    drawn_by = _draw_as_released if law == "default" else draw
    sk_mtl._train.loop.draw_initial_values = drawn_by


def _limit(law: str, n_in: int, n_out: int, is_output: bool) -> float:
    """Return the limit of the uniform law; the outputs start as in PyTorch, but for Glorot's."""
    if law == "glorot":
        return math.sqrt(6 / (n_in + n_out))
    if law == "torch" or is_output:
        return 1 / math.sqrt(n_in)
    return math.sqrt({"he": 6, "small": 0.3}[law] / n_in)


def make_schedule(
    warm_up: int, end: int | None, steps_per_epoch: int, rate: float = 1e-3
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a rate that grows linearly at first, then falls as a cosine to 0, or stays.

    Both times are epochs: the first `warm_up` ones, and the one at whose end the rate is 0.
    """
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warm_up else rate,
        decay_steps=(end - warm_up) * steps_per_epoch if end else 1,
        alpha=0.0 if end else 1.0,
        warmup_target=rate if warm_up else None,
        warmup_steps=warm_up * steps_per_epoch,
    )
