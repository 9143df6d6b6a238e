"""Successive halving: rounds with fewer and fewer candidates, and more resources.

The resources are epochs or rows. The rounds are those of scikit-learn's HalvingGridSearchCV, except
that powers are counted exactly, and that the last round always reaches the resources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import resample

from sk_mtl._compat.arguments import check_integer
from sk_mtl._quoting import quote
from sk_mtl._search.candidates import Params
from sk_mtl._search.evaluation import Evaluation
from sk_mtl._search.folds import Split
from sk_mtl._search.results import collect_means
from sk_mtl._search.scoring import Row

__all__ = ["Halving", "Schedule", "Tried", "plan_rounds"]


class Tried(NamedTuple):
    """Candidates, the result of each on each fold, and further columns of `cv_results_`."""

    candidates: list[Params]
    rows: list[Row]
    columns: dict[str, list[int]]


@dataclass(frozen=True)
class Schedule:
    """How many candidates are evaluated with how many resources, by round."""

    n_candidates: list[int]
    n_resources: list[int]
    n_remaining: int  # candidates that a further round would have
    n_required: int  # rounds until fewer than `factor` candidates are left
    n_possible: int  # rounds until the resources are reached
    max_resources: int

    def attributes(self, n_rounds: int) -> dict[str, Any]:
        """Return the attributes by which scikit-learn's searches show the rounds that were run."""
        return {
            "n_candidates_": self.n_candidates[:n_rounds],
            "n_resources_": self.n_resources[:n_rounds],
            "n_remaining_candidates_": self.count_left(n_rounds - 1),
            "n_iterations_": n_rounds,
            "n_required_iterations_": self.n_required,
            "n_possible_iterations_": self.n_possible,
            "min_resources_": self.n_resources[0],
            "max_resources_": self.max_resources,
        }

    def count_left(self, number: int) -> int:
        """Return how many candidates are left after a round."""
        return [*self.n_candidates, self.n_remaining][number + 1]


@dataclass(frozen=True)
class Halving:
    """The rounds of a search.

    Parameters
    ----------
    schedule : Schedule
        The rounds.
    parameter : str or None
        The parameter of candidates that is the resource; None for rows.
    n_samples : int
        The number of all rows.
    random_state : int, RandomState instance or None
        Seed of the rows that a round takes.
    """

    schedule: Schedule
    parameter: str | None
    n_samples: int
    random_state: Any

    def run(
        self,
        evaluation: Evaluation,
        candidates: Sequence[Params],
        splits: Sequence[Split],
        metric: Any,
    ) -> Tried:
        """Evaluate round by round; the best by the mean of a score go on."""
        tried = Tried([], [], {"iter": [], "n_resources": []})
        for number, amount in enumerate(self.schedule.n_resources):
            candidates, parts = self._limit(candidates, splits, amount)
            rows = evaluation.run(candidates, parts)
            tried.candidates.extend(candidates)
            tried.rows.extend(rows)
            tried.columns["iter"] += [number] * len(candidates)
            tried.columns["n_resources"] += [amount] * len(candidates)
            if evaluation.is_out_of_time:
                break
            best = _find_best(rows, metric, self.schedule.count_left(number))
            candidates = [candidates[i] for i in best]
        return tried

    def _limit(
        self, candidates: Sequence[Params], splits: Sequence[Split], amount: int
    ) -> tuple[list[Params], Sequence[Split]]:
        """Return candidates and splits with the resources of a round."""
        if self.parameter is not None:
            return [{**params, self.parameter: amount} for params in candidates], splits
        share = amount / self.n_samples
        parts = [
            Split(number, self._draw(train, share), self._draw(test, share))
            for number, train, test in splits
        ]
        return list(candidates), parts

    def _draw(self, rows: np.ndarray, share: float) -> np.ndarray:
        n_drawn = int(share * len(rows))
        if n_drawn == 0:
            raise ValueError(
                f"A round of successive halving takes {share:.3g} of the rows, which leaves none "
                f"of a part of {len(rows)} rows. Set a larger min_resources, or fewer folds."
            )
        return resample(rows, replace=False, n_samples=n_drawn, random_state=self.random_state)


def plan_rounds(
    n_candidates: int, factor: float, min_resources: Any, max_resources: int, smallest: int
) -> Schedule:
    """Plan rounds until fewer than `factor` candidates are left, or the resources are reached."""
    n_required = 1 + _count_factors(n_candidates, factor)
    least = smallest
    if not isinstance(min_resources, str):
        least = check_integer("MultiTaskSearchCV", "min_resources", min_resources, 1)
    elif min_resources == "exhaust":
        # scikit-learn takes all required rounds here, also where there are fewer.
        n_rounds = min(n_required, 1 + _count_factors(max_resources // smallest, factor))
        least = max(smallest, int(max_resources // factor ** (n_rounds - 1)))
    if least > max_resources:
        raise ValueError(
            f"The first round of successive halving would have {least} resources, and the last one "
            f"may have {max_resources}. Set a smaller min_resources, or a larger max_resources."
        )
    n_possible = 1 + _count_factors(max_resources // least, factor)
    counts, resources = [n_candidates], []
    for number in range(min(n_required, n_possible)):
        resources.append(min(int(factor**number * least), max_resources))
        counts.append(ceil(counts[-1] / factor))
    return Schedule(counts[:-1], resources, counts[-1], n_required, n_possible, max_resources)


def _count_factors(number: int, factor: float) -> int:
    """Return how often a number can be divided by a factor before it falls below 1."""
    # A logarithm would be rounded: math.log(243, 3) is less than 5.
    count, product = 0, factor
    while product <= number:
        count, product = count + 1, product * factor
    return count


def _find_best(rows: Sequence[Row], metric: Any, n_best: int) -> list[int]:
    """Return the best candidates, in their order; those without a score are the worst."""
    means = collect_means(rows)
    if metric not in means:
        raise ValueError(
            "With several scores, successive halving needs the name of the one that decides: set "
            f"refit to one of {quote(list(means))}."
        )
    worst_last = np.where(np.isnan(means[metric]), -np.inf, means[metric])
    return sorted(np.argsort(-worst_last, kind="stable")[:n_best].tolist())
