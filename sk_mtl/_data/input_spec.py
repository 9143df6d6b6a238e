"""The specification of the input layers: hashable, a part of the network's specification.

Owns which layers stand between X and the first weights. Does not know Keras.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATEGORY_VECTOR_SIZE", "FARTHEST", "InputSpec"]

# Standardised values are clipped to this distance from the mean: no cell of a million rows lies
# farther, and what lies beyond tells nothing more.
FARTHEST = 1e3
# More categories than these get an embedding: a column each would take memory and time.
_MOST_ONE_HOT = 64
CATEGORY_VECTOR_SIZE = 16  # length of the vector of a category in an embedding


@dataclass(frozen=True)
class InputSpec:
    """The layers between X and the first weights."""

    standardize: bool = True  # numbers; other columns are always centred
    missing: tuple[int, ...] = ()  # features with missing cells in training, and a learned value
    categories: tuple[
        int, ...
    ] = ()  # their numbers by feature, 0 for a number; () for no categories
    embedding: str | None = None  # of numbers: "piecewise_linear" or "periodic"
    embedding_size: int = 0  # bins, or frequencies and outputs, of each
    embedded: tuple[int, ...] = ()  # positions among the numbers, of those with over two values

    def numeric(self, n_features: int) -> list[int]:
        """Return the features that are numbers."""
        return [j for j in range(n_features) if not self.categories or self.categories[j] == 0]

    @property
    def looked_up(self) -> list[int]:
        """The categorical features with an embedding."""
        return [j for j, n in enumerate(self.categories) if n > _MOST_ONE_HOT]

    @property
    def indicators(self) -> list[tuple[int, int | None]]:
        """The feature and code of each column of zeros and ones; None for a missing cell."""
        columns: list[tuple[int, int | None]] = [
            (j, k) for j, n in enumerate(self.categories) if n <= _MOST_ONE_HOT for k in range(n)
        ]
        looked_up = self.looked_up
        return columns + [(j, None) for j in self.missing if j not in looked_up]
