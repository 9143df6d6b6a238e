"""Successive halving: how many candidates are evaluated with how many resources, round by round.

The resources of a round are epochs or rows. The rule is that of scikit-learn's HalvingGridSearchCV,
by Karnin, Koren and Somekh ("Almost Optimal Exploration in Multi-Armed Bandits", ICML 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from sklearn.utils import resample

from sk_mtl._compat.arguments import check_integer
from sk_mtl._quoting import quote

__all__ = ["Schedule", "best_rows", "plan_rounds", "take_share"]


@dataclass(frozen=True)
class Schedule:
    """The rounds of a search."""

    n_candidates: list[int]
    n_resources: list[int]
    min_resources: int
    max_resources: int
    n_required_rounds: int
    n_possible_rounds: int

    def attributes(self, n_remaining: int) -> dict[str, Any]:
        """Return the attributes of scikit-learn's searches that show it."""
        return {
            "n_candidates_": self.n_candidates,
            "n_resources_": self.n_resources,
            "min_resources_": self.min_resources,
            "max_resources_": self.max_resources,
            "n_iterations_": len(self.n_resources),
            "n_required_iterations_": self.n_required_rounds,
            "n_possible_iterations_": self.n_possible_rounds,
            "n_remaining_candidates_": n_remaining,
        }


def plan_rounds(
    n_candidates: int, factor: float, min_resources: Any, max_resources: int, smallest: int
) -> Schedule:
    """Plan rounds until less than `factor` candidates are left, or the resources are reached."""
    n_required = 1 + _count_factors(n_candidates, factor)
    least = smallest
    if not isinstance(min_resources, str):
        least = check_integer("MultiTaskSearchCV", "min_resources", min_resources, 1)
    elif min_resources == "exhaust":
        least = max(smallest, int(max_resources // factor ** (n_required - 1)))
    if least > max_resources:
        raise ValueError(
            f"Successive halving would start with {least} resources, and max_resources allows "
            f"{max_resources}. Set a smaller min_resources, or a larger max_resources."
        )
    n_possible = 1 + _count_factors(max_resources // least, factor)
    counts, resources, left = [], [], n_candidates
    for number in range(min(n_required, n_possible)):
        counts.append(left)
        resources.append(min(int(factor**number * least), max_resources))
        left = ceil(left / factor)
    return Schedule(counts, resources, least, max_resources, n_required, n_possible)


def _count_factors(number: int, factor: float) -> int:
    """Return how often a number can be divided by a factor before it falls below 1."""
    # Logarithms would be rounded: math.log(243, 3) is less than 5.
    count, product = 0, factor
    while product <= number:
        count, product = count + 1, product * factor
    return count


def best_rows(means: np.ndarray, factor: float) -> list[int]:
    """Return the candidates that go on, in their order; those without a score are the worst."""
    ranking = np.argsort(-np.where(np.isnan(means), -np.inf, means), kind="stable")
    return sorted(ranking[: ceil(len(means) / factor)].tolist())


def take_share(
    splits: list[tuple[np.ndarray, np.ndarray]], share: float, random_state: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return splits with a random share of their training rows and of their test rows."""
    taken = []
    for split in splits:
        sizes = [int(share * len(rows)) for rows in split]
        if 0 in sizes:
            raise ValueError(
                f"A share of {share:.3g} of the rows leaves none in a fold. Set a larger "
                f"min_resources, or less folds. The folds have {quote(len(split[0]))} and "
                f"{len(split[1])} rows."
            )
        train, test = (
            resample(rows, replace=False, n_samples=size, random_state=random_state)
            for rows, size in zip(split, sizes, strict=True)
        )
        taken.append((train, test))
    return taken
