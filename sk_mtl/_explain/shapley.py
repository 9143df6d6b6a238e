r"""Shapley values of features, against the rows of a background.

The value of feature :math:`j` for row :math:`x` is its mean over the background rows :math:`b` and
over all orders of the features [1]_: how much the output changes when :math:`x_j` takes the place
of :math:`b_j` after the features before it. Few differing features are treated exactly, by all
their subsets; more by random orders, each with its reverse [2]_, which need as many evaluations as
there are features that differ. Either way, values add up to the output less its mean over the
background.

References
----------
.. [1] S. M. Lundberg, S.-I. Lee (2017). A Unified Approach to Interpreting Model Predictions.
   NeurIPS 2017.
.. [2] R. Mitchell, J. Cooper, E. Frank, G. Holmes (2022). Sampling Permutations for Shapley Value
   Estimation. Journal of Machine Learning Research 23(43).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from math import factorial
from typing import NamedTuple

import numpy as np

from sk_mtl._compat.threads import compute_thread_limit
from sk_mtl._explain.games import Game, Pair
from sk_mtl._predict.tiles import TILE_ROWS, Workspace

__all__ = ["ShapleyValues", "shapley_values"]

# With so many differing features, all 256 subsets are evaluated.
_MOST_EXACT = 8
# Numbers of a batch of mixtures: 4 MiB, which stay in a processor's cache.
_BATCH_CELLS = 2**20


class ShapleyValues(NamedTuple):
    """The values of features, and what they start from."""

    values: np.ndarray  # (n_rows, n_features, n_outputs)
    base: np.ndarray  # (n_outputs,), the mean over the background
    is_exact: bool


def shapley_values(
    game: Game, n_features: int, n_permutations: int, seed: int, *, is_additive: bool
) -> ShapleyValues:
    """Return the values of all rows; in an additive game, any one order gives them."""
    of_rows, of_background = game.of_rows(), game.of_background()
    n_outputs = of_rows.shape[1]
    values = np.zeros((len(of_rows), n_features, n_outputs))
    is_exact = np.ones(len(of_rows), dtype=bool)
    local = threading.local()

    def plan(pair: Pair, rng: np.random.Generator) -> _Plan:
        n = len(pair.features)
        if is_additive:
            return _Orders(pair, [np.arange(n)])
        if n <= _MOST_EXACT:
            return _Subsets(pair)
        orders = [rng.permutation(n) for _ in range(n_permutations)]
        return _Orders(pair, [*orders, *(order[::-1] for order in orders)])

    def explain(row: int) -> None:
        workspace = vars(local).setdefault("workspace", Workspace())
        rng = np.random.default_rng([seed, row])  # whatever thread comes to it
        plans: list[tuple[int, _Plan]] = []

        def evaluate() -> None:
            outputs = _evaluate(game, [p for _, p in plans], n_outputs, workspace)
            for (b, planned), part in zip(plans, outputs, strict=True):
                planned.add_to(values[row], of_background[b], part, of_rows[row])
            plans.clear()

        n_tiles = 0
        for b, pair in enumerate(game.pairs(row)):
            if not len(pair.features):
                continue
            planned = plan(pair, rng)
            is_exact[row] &= is_additive or isinstance(planned, _Subsets)
            plans.append((b, planned))
            n_tiles += planned.n_tiles
            if n_tiles * TILE_ROWS * game.n_units >= _BATCH_CELLS:
                evaluate()
                n_tiles = 0
        if plans:
            evaluate()
        values[row] /= len(of_background)

    def explain_silently(row: int) -> None:
        with np.errstate(all="ignore"):  # as in predictions; it holds for one thread
            explain(row)

    with ThreadPoolExecutor(compute_thread_limit()) as pool:
        for _ in pool.map(explain_silently, range(len(of_rows))):
            pass
    return ShapleyValues(values, of_background.mean(axis=0, dtype=np.float64), bool(is_exact.all()))


def _evaluate(
    game: Game, plans: Sequence[_Plan], n_outputs: int, workspace: Workspace
) -> list[np.ndarray]:
    """Return the outputs of the mixtures of each plan, (16 * n_tiles, n_outputs)."""
    stops = np.cumsum([plan.n_tiles for plan in plans])
    if not stops[-1]:  # between two rows that differ in one feature, there is no mixture
        return [np.empty((0, n_outputs), np.float32)] * len(plans)
    tiles = workspace.take("mixtures", int(stops[-1]), game.n_units, TILE_ROWS)
    for plan, part in zip(plans, np.split(tiles, stops[:-1]), strict=True):
        plan.write(part)
    return np.split(game.outputs(tiles, workspace), stops[:-1] * TILE_ROWS)


class _Plan(ABC):
    """What to evaluate of a pair, and what follows for the values."""

    features: np.ndarray
    n_tiles: int

    @abstractmethod
    def write(self, out: np.ndarray) -> None:
        """Write the mixtures to evaluate, (n_tiles, n_units, 16)."""

    @abstractmethod
    def add_to(
        self, values: np.ndarray, start: np.ndarray, outputs: np.ndarray, end: np.ndarray
    ) -> None:
        """Add to values, (n_features, n_outputs); start and end are those of the two rows."""


class _Orders(_Plan):
    """Some orders of the features."""

    def __init__(self, pair: Pair, orders: Sequence[np.ndarray]):
        self.features = pair.features
        self._n_steps = len(pair.features) - 1
        self._each = -(-self._n_steps // TILE_ROWS)
        self.n_tiles = self._each * len(orders)
        self._pair = pair
        self._orders = orders

    def write(self, out: np.ndarray) -> None:
        for k, order in enumerate(self._orders):
            self._pair.write_along(order, out[k * self._each : (k + 1) * self._each])

    def add_to(
        self, values: np.ndarray, start: np.ndarray, outputs: np.ndarray, end: np.ndarray
    ) -> None:
        each = self._each * TILE_ROWS
        for k, order in enumerate(self._orders):
            along = outputs[k * each : k * each + self._n_steps]
            steps = np.diff(np.concatenate([start[None], along, end[None]]), axis=0)
            values[self.features[order]] += steps / np.float32(len(self._orders))


class _Subsets(_Plan):
    """All subsets of the features, but none and all."""

    def __init__(self, pair: Pair):
        self.features = pair.features
        self._tiles, self._weights = _all_subsets(len(pair.features))
        self.n_tiles = len(self._tiles)
        self._pair = pair

    def write(self, out: np.ndarray) -> None:
        self._pair.write_subsets(self._tiles, out)

    def add_to(
        self, values: np.ndarray, start: np.ndarray, outputs: np.ndarray, end: np.ndarray
    ) -> None:
        n_subsets = self._weights.shape[1]
        of_subsets = np.concatenate([start[None], outputs[: n_subsets - 2], end[None]])
        # A product for each output, whose bits do not depend on what else is explained.
        parts = np.matmul(self._weights, of_subsets.T[:, :, None].astype(np.float64))
        values[self.features] += parts[:, :, 0].T


@lru_cache(maxsize=_MOST_EXACT + 1)
def _all_subsets(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return subsets but none and all, (n_tiles, n, 16), and weights of all, (n, 2**n)."""
    # The weights are those in the value of each feature.
    is_in = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    sizes = is_in.sum(axis=1)
    share = np.array([factorial(s) * factorial(n - 1 - s) / factorial(n) for s in range(n)] + [0])
    # Of a subset with the feature, its weight is that of the subset without it.
    weights = np.where(is_in, share[sizes - 1][:, None], -share[sizes][:, None]).T
    n_tiles = -(-(2**n - 2) // TILE_ROWS)
    padded = np.zeros((n_tiles * TILE_ROWS, n), np.float32)
    padded[: 2**n - 2] = is_in[1:-1]
    tiles = padded.reshape(n_tiles, TILE_ROWS, n).transpose(0, 2, 1)
    return np.ascontiguousarray(tiles), np.ascontiguousarray(weights)
