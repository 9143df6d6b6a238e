"""The labels of y as codes, for the splitters, and the warning about classes missing in a part.

Does not know how rows are assigned to parts.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from sk_mtl._data.labels import read_labels
from sk_mtl._data.schema import TargetSchema
from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some


@dataclass(frozen=True)
class CodedLabels:
    """The labels of y as codes, as the splitters take them."""

    schema: TargetSchema
    codes: np.ndarray  # int32 class indices, of shape (n_samples, n_tasks)
    label_mask: np.ndarray  # whether a label is present, of the same shape

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return self.label_mask.shape[0]

    def warn_of_rare_classes(
        self, part: np.ndarray, n_parts: int, parts: str, remedy: str, *, stacklevel: int
    ) -> None:
        """Warn of classes that are not in each of the parts 0 to n_parts - 1."""
        rare: list[tuple[int, int, int, int]] = []
        in_a_part = (part >= 0) & (part < n_parts)
        for t, classes in enumerate(self.schema.classes):
            counts = np.bincount(self.codes[self.label_mask[:, t], t], minlength=len(classes))
            rows = np.flatnonzero(self.label_mask[:, t] & in_a_part)
            cells = self.codes[rows, t].astype(np.intp) * n_parts + part[rows]
            by_part = np.bincount(cells, minlength=len(classes) * n_parts)
            n_found = (by_part.reshape(len(classes), n_parts) > 0).sum(axis=1)
            codes = np.flatnonzero((counts > 0) & (n_found < n_parts))
            rare.extend((int(counts[c]), t, int(c), int(n_found[c])) for c in codes)
        if rare:
            rare.sort()
            names = self.schema.task_names
            phrases = [
                f"task {quote(names[t])} class {quote(self.schema.classes[t].tolist()[code])} "
                f"({count} labelled cell(s), in {n_found} of {n_parts} {parts})"
                for count, t, code, n_found in rare
            ]
            warnings.warn(
                f"{len(rare)} class(es) are not in each of the {n_parts} {parts}: "
                f"{enumerate_some(phrases)}. {remedy}",
                UserWarning,
                stacklevel=stacklevel + 1,
            )


def read_codes(y: Any, missing_label: Any) -> CodedLabels:
    """Read the labels that a split is stratified by."""
    if y is None:
        raise ValueError(
            "The 'y' parameter should not be None: the rows are stratified by its labels."
        )
    table = read_labels(y, missing_label=missing_label)
    schema = TargetSchema.from_table(table)
    targets = schema.encode(table)
    return CodedLabels(schema, targets.codes, targets.label_mask)
