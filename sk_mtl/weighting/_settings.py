"""What the strategies of this package share: their settings, checked, and their random numbers.

Owns how a setting is checked and how a strategy draws. Does not know any strategy.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from sk_mtl._quoting import quote

__all__ = [
    "Named",
    "advance_draws",
    "check_choice",
    "check_integer",
    "check_number",
    "draw_uniform_of",
    "initial_averages",
    "initial_draws",
]

# A step is counted in float32, which holds integers up to 2^24.
_STEPS = 2.0**23


class Named:
    """A strategy with a name in `task_weighting=`, whose settings shape what it computes."""

    _name: str
    # What is in the state shapes no program.
    _in_state: tuple[str, ...] = ("random_state",)

    def check_settings(self) -> None:
        """Raise an error that names the first setting that cannot be used."""

    def program_key(self) -> Hashable:
        self.check_settings()
        settings = {key: v for key, v in vars(self).items() if key not in self._in_state}
        return (self._name, *sorted(settings.items()))


def check_number(
    owner: object,
    setting: str,
    low: float,
    high: float = np.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> None:
    """Refuse a setting that is not a number from `low`, or above it, to `high`, or below it."""
    value: Any = getattr(owner, setting)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if (
        not is_number
        or not np.isfinite(float(value))
        or not low <= float(value) <= high
        or (above and float(value) == low)
        or (below and float(value) == high)
    ):
        least = f"above {low:g}" if above else f"at least {low:g}"
        most = f" and {'below' if below else 'at most'} {high:g}"
        _refuse(owner, setting, f"a finite number {least}{'' if np.isinf(high) else most}")


def check_integer(owner: object, setting: str, low: int, high: int | None = None) -> None:
    """Refuse a setting that is not an integer from `low` to `high`."""
    value = getattr(owner, setting)
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_integer or value < low or (high is not None and value > high):
        most = "" if high is None else f" and at most {high}"
        _refuse(owner, setting, f"an integer of at least {low}{most}")


def check_choice(owner: object, setting: str, choices: Collection[Any]) -> None:
    """Refuse a setting that is none of the choices."""
    value = getattr(owner, setting)
    is_one = any(type(value) is type(choice) and value == choice for choice in choices)
    if not is_one:
        _refuse(owner, setting, "one of " + ", ".join(map(repr, choices)))


def _refuse(owner: object, setting: str, what: str) -> None:
    value = quote(getattr(owner, setting))
    raise ValueError(f"{setting} of {type(owner).__name__} must be {what}. Got {value}.")


def initial_averages(n_tasks: int, momentum: float) -> dict[str, np.ndarray]:
    """Return the state of the moving averages of the losses; empty without `momentum`."""
    names = () if momentum == 0 else ("loss_sum", "cell_sum")
    return {name: np.zeros(n_tasks, dtype=np.float32) for name in names}


def initial_draws(random_state: int) -> dict[str, np.ndarray]:
    """Return the state of random numbers: a seed of 32 bits in two halves, and a count of steps."""
    high, low = divmod(int(random_state), 2**16)
    return {
        name: np.array(value, dtype=np.float32)
        for name, value in (("seed_high", high), ("seed_low", low), ("step", 0))
    }


def draw_uniform_of(state: Mapping[str, Any], like: Any) -> Any:
    """Return numbers in (0, 1) of the shape of a tensor, one for each place in it and step."""
    import tensorflow as tf

    from sk_mtl._model.layers import draw_uniform

    high, low, step = (tf.cast(state[n], tf.int64) for n in ("seed_high", "seed_low", "step"))
    key = tf.stack([high * 2**16 + low, step])
    return draw_uniform(key, like) + np.float32(2**-25)


def advance_draws(state: Mapping[str, Any], present: Any) -> dict[str, Any]:
    """Return the count of steps after a batch; a batch without labels counts for nothing."""
    import tensorflow as tf

    step = state["step"]
    return {"step": tf.where(tf.reduce_any(present), tf.math.floormod(step + 1, _STEPS), step)}
