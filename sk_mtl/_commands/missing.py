"""Words that mean missing: as labels of the type of their columns, and those that no cell holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from sk_mtl._commands.statistical import StatisticalTable, write_value
from sk_mtl._data.labels import equals_any

__all__ = ["find_unmatched", "read_missing_labels", "words_of"]


def read_missing_labels(words: Sequence[str], Y: pd.DataFrame) -> list[Any]:
    """Return `missing_label` of an estimator: words as numbers, and as text if a task is text."""
    has_text = any(not pd.api.types.is_numeric_dtype(Y[name].dtype) for name in Y)
    labels: list[Any] = []
    for word in words:
        number = _read_number(word)
        labels += [word] if number is None else [number]
        labels += [word] if number is not None and has_text else []
    return labels


def words_of(labels: Iterable[Any]) -> list[str]:
    """Return missing labels as text, as tables with labels of values compare them."""
    words = []
    for label in labels:
        number = _read_number(label) if isinstance(label, str) else label
        words += [str(label)] if number is None else [str(label), write_value(number)]
    return list(dict.fromkeys(words))


def find_unmatched(
    words: Sequence[str],
    columns: pd.DataFrame,
    statistical: StatisticalTable | None = None,
    *,
    reads_numbers: bool = False,
) -> list[str]:
    """Return the words that no cell of some columns holds, which may be numbers as text."""
    found: set[str] = set()
    if not words:
        return []
    for name in columns.columns:
        left = [word for word in words if word not in found]
        if not left:
            break
        if statistical is not None and name in statistical.stored:
            called = _find_words(statistical, name)
            found |= {word for word in left if not called.isdisjoint(words_of([word]))}
        else:
            cells = columns[name].dropna().astype(object)
            held = [cells.to_numpy()]
            if reads_numbers:
                held.append(pd.to_numeric(cells, errors="coerce").to_numpy())
            found |= {w for w in left if any(equals_any(h, _values_of(w)).any() for h in held)}
    return [word for word in words if word not in found]


def _find_words(table: StatisticalTable, name: str) -> set[str]:
    """Return what cells of a column may be called: their values, codes and labels."""
    values, codes = table.values_of(name).dropna(), table.codes_of(name).dropna()
    labels, cells = table.labels_of(name), [*values.unique(), *codes.unique()]
    words = {table.write_code(value) for value in cells}
    words |= {write_value(value) for value in cells}
    return words | {labels[value] for value in cells if value in labels}


def _values_of(word: str) -> tuple[Any, ...]:
    number = _read_number(word)
    return (word,) if number is None else (word, number)


def _read_number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return None
