"""Requests: what `fit_table` was asked for, checked before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sk_mtl._classifier import MultiTaskClassifier
from sk_mtl._compat.parameters import check_parameters
from sk_mtl._fit.temperature_scaling import require_validation
from sk_mtl._names import did_you_mean
from sk_mtl._quoting import quote
from sk_mtl._table.encoding import Columns
from sk_mtl._tasks import enumerate_some

__all__ = ["Request", "names_of", "require_columns"]

# The parameters that decide what is stored of a table.
_SHAPING = (
    "missing_label",
    "classes",
    "categorical_features",
    "class_weight",
    "validation_fraction",
)


def names_of(names: Any, argument: str) -> tuple[str, ...]:
    """Return names of columns; refuse text, which is a sequence of letters."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"{argument} must be a list of columns, such as ['a', 'b']. Got {names!r}.")
    listed = tuple(names)
    if not listed or len(set(listed)) < len(listed):
        raise ValueError(f"{argument} must name columns, each once. Got {quote(list(listed))}.")
    return listed


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    targets: tuple[str, ...]
    features: tuple[str, ...] | None
    sample_weight: str | Mapping[str, str] | None
    groups: str | None
    key: str | None
    has_validation: bool
    shuffle_rows: int | str
    batch_size: int

    def check(self, snapshots: Sequence[MultiTaskClassifier]) -> None:
        """Refuse what cannot work, before anything is read."""
        if self.groups is not None and self.key is not None:
            raise ValueError(
                "groups and key both say by what rows are held out for validation. Pass one."
            )
        if self.has_validation and (self.groups is not None or self.key is not None):
            name = "groups" if self.key is None else "key"
            raise ValueError(
                f"{name} says which rows fit_table holds out for early stopping, and with "
                "validation data it holds none out. Pass one of the two."
            )
        if not (self.sample_weight is None or isinstance(self.sample_weight, (str, Mapping))):
            raise TypeError(
                "sample_weight must be the name of a column, or {task: column}. Got "
                f"{type(self.sample_weight).__name__}."
            )
        if isinstance(self.sample_weight, Mapping):
            for task in self.sample_weight:
                if task not in self.targets:
                    raise ValueError(
                        f"sample_weight names task {quote(task)}, which is not among targets."
                        f"{did_you_mean(task, self.targets)}"
                    )
        for now in snapshots:
            self._check_parameters(now)
        _require_equal(snapshots)

    def _check_parameters(self, now: MultiTaskClassifier) -> None:
        # Imported here, as it imports TensorFlow.
        from sk_mtl._fit.preparation import require_seed

        check_parameters(now)
        if now.warm_start and "_fitted" in vars(now):
            raise ValueError(
                "fit_table does not continue a fit: warm_start=True, and the estimator is fitted. "
                "Clone it, or set warm_start=False. partial_fit continues batch by batch."
            )
        if now.early_stopping == "cv":
            raise ValueError(
                "early_stopping='cv' trains on folds of a table in memory. For fit_table set "
                "early_stopping=True, which holds rows out, or False."
            )
        if now.unlabelled is not None:
            raise ValueError(
                f"unlabelled={now.unlabelled!r} learns from the rows without labels, which "
                "fit_table does not store. Set unlabelled=None."
            )
        if now.refit and self.has_validation:
            raise ValueError(
                "refit=True trains again on all rows, the validation rows among them, but "
                "validation data is never trained on. Put these rows into the table, or set "
                "refit=False."
            )
        may_validate = now.early_stopping and now.validation_fraction is not None
        if now.calibrate and now.calibrate != "auto" and not (self.has_validation or may_validate):
            require_validation(None)
        require_seed(now.checkpoint, now.random_state)

    def columns(self, names: Sequence[str], index: Sequence[str]) -> Columns:
        """Return what the columns of a table are; refuse a table that lacks some."""
        columns = Columns(
            self.targets,
            self.features or (),
            self.sample_weight,
            self.key if self.groups is None else self.groups,
        )
        if self.features is None:
            others = {*columns.others, *index}
            features = tuple(name for name in names if name not in others)
            columns = replace(columns, features=features)
        twice = [name for name in columns.features if name in self.targets]
        if twice:
            raise ValueError(
                f"{len(twice)} column(s) are both features and targets: "
                f"{enumerate_some(map(repr, twice))}. A label must not predict itself."
            )
        if not columns.features:
            raise ValueError("The table has no feature: all its columns are labels and others.")
        require_columns(columns.all, names)
        return columns


def _require_equal(snapshots: Sequence[MultiTaskClassifier]) -> None:
    """Refuse estimators whose parameters ask for different stored tables."""
    first = snapshots[0]
    shaping: dict[str, Callable[[MultiTaskClassifier], Any]] = {
        name: lambda now, name=name: getattr(now, name)  # type: ignore[misc]
        for name in _SHAPING
    }
    shaping["early_stopping"] = lambda now: now.early_stopping
    shaping["standardize"] = lambda now: now._allows_nan()
    shaping["model"] = lambda now: now.model is None
    for now in snapshots[1:]:
        for name, read in shaping.items():
            if repr(_as_plain(read(now))) != repr(_as_plain(read(first))):
                raise ValueError(
                    f"Estimators that are fitted together read one stored table, so that {name} "
                    f"must be equal among them. Got {quote(getattr(first, name))} and "
                    f"{quote(getattr(now, name))}. Call fit_table for each."
                )


def _as_plain(value: Any) -> Any:
    """Return a parameter as a value whose text tells all of it."""
    if isinstance(value, Mapping):
        return {key: _as_plain(values) for key, values in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_plain(values) for values in value]
    return value.tolist() if hasattr(value, "tolist") else value


def require_columns(wanted: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a table that lacks columns."""
    lacking = [name for name in wanted if name not in names]
    if lacking:
        raise ValueError(
            f"The table lacks {len(lacking)} column(s): {enumerate_some(map(repr, lacking))}."
            f"{did_you_mean(lacking[0], names)}"
        )
