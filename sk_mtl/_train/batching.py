"""Batching: the order of the rows of an epoch, which the training loop cuts into batches.

Owns the shuffle. Every row comes once per epoch, whatever the order. Knows no labels, only where
there are any.
"""

from __future__ import annotations

import numpy as np

__all__ = ["LabelAwareOrder", "RandomOrder", "draw_endlessly"]


class RandomOrder:
    """Shuffles rows."""

    def __init__(self, n_rows: int):
        self.n_rows = n_rows

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return a permutation of the rows for an epoch."""
        return rng.permutation(self.n_rows)


class LabelAwareOrder:
    """Shuffles rows so that those with labels of rare tasks are spread evenly over the batches."""

    # A row belongs to the rarest of the tasks that it has a label of. The rows are shuffled within
    # their group and dealt out to the batches like cards, the group of the rarest task first; the
    # order of the batches is drawn anew for every epoch. The numbers of rows of a group in two
    # whole batches differ by one at most.

    def __init__(self, is_labelled: np.ndarray, batch_size: int):
        rarest_first = np.argsort(is_labelled.sum(axis=0), kind="stable")
        self.group = is_labelled[:, rarest_first].argmax(axis=1).astype(np.uint16)
        n_rows = len(is_labelled)
        self.batch_size = batch_size
        self.n_whole = n_rows // batch_size
        batch, level = np.divmod(np.arange(n_rows), batch_size)
        room = np.where(batch < self.n_whole, batch_size, max(n_rows % batch_size, 1))
        # A last batch that is smaller has its places spread over the whole deal.
        dealt = np.lexsort((batch, (level + 0.5) / room))
        self.batch, self.level = batch[dealt], level[dealt]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return a permutation of the rows for an epoch."""
        shuffled = rng.permutation(len(self.group))
        cards = shuffled[np.argsort(self.group[shuffled], kind="stable")]
        place_of_batch = np.arange(self.n_whole + 1)
        place_of_batch[: self.n_whole] = rng.permutation(self.n_whole)
        order = np.empty_like(cards)
        order[place_of_batch[self.batch] * self.batch_size + self.level] = cards
        return order


def draw_endlessly(rng: np.random.Generator, n_rows: int, n_drawn: int) -> np.ndarray:
    """Return `n_drawn` rows: permutations of all rows, one after another, the last one cut off."""
    n_whole = -(-n_drawn // n_rows)
    return np.concatenate([rng.permutation(n_rows) for _ in range(n_whole)])[:n_drawn]
