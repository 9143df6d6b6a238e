"""The summary of a fitted estimator: data, training and network, as text and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._tasks import enumerate_some, name_series
from sk_mtl._text_table import align_column, html_cells, join_columns, write_share

__all__ = ["FitSummary", "summarize_fit"]

_MAX_TEXT_ROWS = 12
_MAX_HTML_ROWS = 60
_MAX_NAME = 32


@dataclass(frozen=True, eq=False)
class FitSummary:
    """Summary of a fitted estimator: its data, training and network.

    `MultiTaskClassifier.summary` returns it. It is printed as text and displayed as tables in a
    notebook. Both leave out the middle of long tables; the attributes have all rows.

    Parameters
    ----------
    estimator : str
        The name of the estimator's class.
    n_samples : int
        Rows of y, including those without labels.
    n_features : int
        The number of features.
    n_parameters : int
        Weights of the network; 0 if no task has two classes.
    n_epochs : int
        Epochs trained.
    best_epoch : int
        The epoch whose weights were kept, counted from 1; 0 if callbacks set others.
    stopping : dict or None
        The result of early stopping: "watched" (the name of the monitored series),
        "n_iter_no_change", "stopped", "best" (the lowest loss) and "n_folds" (the number of folds
        over which the loss was averaged, or 0). None without early stopping.
    losses : pandas.DataFrame
        The recorded series among "loss", "objective" and "val_loss": their values in the "best"
        and in the "last" epoch.
    tasks : pandas.DataFrame
        By task: "classes" (a tuple), "n_classes", "n_labelled" and "coverage" (number and share of
        labelled cells), "state" ("learned", "one class" or "no label"), "weight", "temperature" (1
        without `calibrate`), "best_epoch" (the epoch whose weights predict the task, 0 if it is
        not learned or callbacks set the weights), and "loss" and "val_loss" in that epoch, NaN if
        not recorded.
    layers : pandas.DataFrame
        By layer of the Keras model: "name", "kind", "output" (its shape without the batch axis)
        and "n_parameters".
    ensemble : tuple (int, str), default=(1, "shared")
        The number of members of the network and `ensemble_method`.
    sharing : tuple (str, int, int), default=("hard", 0, 0)
        How the tasks share the hidden layers, and the numbers of experts: those that all tasks
        share, and those of each task.
    label_smoothing : "auto" or float, default=0.0
        The parameter of the fit; 0 without a network or with the focal loss.
    unlabelled : str or None, default=None
        The parameter of the fit; None without a network.
    dtype : str, default="float32"
        The parameter of the fit: in which precision it was trained.

    Examples
    --------
    >>> from sk_mtl import MultiTaskClassifier
    >>> from sk_mtl.datasets import make_multitask_classification
    >>> X, Y = make_multitask_classification(n_samples=80, random_state=0)
    >>> clf = MultiTaskClassifier((8,), epochs=2, numeric_embedding=None, random_state=0)
    >>> summary = clf.fit(X, Y).summary()
    >>> summary.n_epochs, summary.n_parameters
    (2, 235)
    >>> summary.tasks["state"].tolist()
    ['learned', 'learned', 'learned']
    """

    __module__ = "sk_mtl"  # the public path, which pickles name

    estimator: str
    n_samples: int
    n_features: int
    n_parameters: int
    n_epochs: int
    best_epoch: int
    stopping: dict[str, Any] | None
    losses: pd.DataFrame
    tasks: pd.DataFrame
    layers: pd.DataFrame
    ensemble: tuple[int, str] = (1, "shared")
    sharing: tuple[str, int, int] = ("hard", 0, 0)
    label_smoothing: str | float = 0.0
    unlabelled: str | None = None
    dtype: str = "float32"

    def __str__(self) -> str:
        blocks = [f"{self._title()}\n{_align(self._facts(), 'll', gap=3)}"]
        for head, rows, sides in self._tables():
            blocks.append(_align([head, *_shorten(rows, _MAX_TEXT_ROWS)], sides))
        return "\n\n".join(blocks)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        facts = "".join(
            f"<tr>{_cells('th', [k], 'l')}{_cells('td', [v], 'l')}</tr>" for k, v in self._facts()
        )
        parts = [f"<p><b>{escape(self._title())}</b></p><table>{facts}</table>"]
        for head, rows, sides in self._tables():
            body = "".join(
                f"<tr>{_cells('td', row, sides)}</tr>" for row in _shorten(rows, _MAX_HTML_ROWS)
            )
            parts.append(
                f"<table><thead><tr>{_cells('th', head, sides)}</tr></thead>"
                f"<tbody>{body}</tbody></table>"
            )
        return f'<div class="sk-mtl-summary">{_STYLE}{"".join(parts)}</div>'

    def _title(self) -> str:
        return f"{self.estimator}, fitted to {_count(self.n_samples, 'row')} with " + _count(
            self.n_features, "feature"
        )

    def _facts(self) -> list[tuple[str, str]]:
        """Return the lines of the first table."""
        facts = [("tasks", self._describe_tasks()), ("labelled cells", self._describe_cells())]
        if self.unlabelled is not None:
            facts.append(("unlabelled", self.unlabelled))
        if self.label_smoothing:
            facts.append(("label smoothing", str(self.label_smoothing)))
        if self.dtype != "float32":
            facts.append(("trained in", self.dtype))
        n_members, method = self.ensemble
        if n_members > 1:
            kernels = "shared kernels" if method == "shared" else "independent kernels"
            facts.append(("ensemble", f"{_count(n_members, 'member')} with {kernels}"))
        sharing, n_shared, n_own = self.sharing
        if sharing != "hard":
            experts = f", {_count(n_shared, 'shared expert')}" if n_shared else ""
            experts += f", {n_own:,} of each task" if n_own else ""
            facts.append(("sharing", f"{sharing}{experts}"))
        facts.append(("parameters", f"{self.n_parameters:,}"))
        kept_last = self.best_epoch == self.n_epochs
        kept = "" if kept_last else f", weights of epoch {self.best_epoch:,} kept"
        if self.n_epochs and not self.best_epoch:
            kept = ", weights set by a callback"
        if self._has_task_epochs():
            epochs = self.tasks.loc[self.tasks["best_epoch"] > 0, "best_epoch"]
            kept = f", weights of epochs {epochs.min():,} to {epochs.max():,} kept, by task"
        facts.append(("epochs", f"{self.n_epochs:,}{kept}"))
        facts.append(("early stopping", self._describe_stopping()))
        for name, values in self.losses.iterrows():
            texts = [f"{_number(values['best'])} in epoch {self.best_epoch:,}"]
            if not kept_last:
                texts.append(f"{_number(values['last'])} in the last")
            text = ", ".join(texts[not self.best_epoch :])
            facts.append((str(name), text))
        return facts

    def _has_task_epochs(self) -> bool:
        return not self.tasks["best_epoch"].isin([0, self.best_epoch]).all()

    def _describe_tasks(self) -> str:
        states = self.tasks["state"]
        others = [
            f"{enumerate_some([_short(n) for n in names])} ({state})"
            for state in ("one class", "no label")
            if (names := states.index[states == state].tolist())
        ]
        learned = f"{len(states):,}, all learned"
        return learned if not others else f"{len(states):,}, not learned: {'; '.join(others)}"

    def _describe_cells(self) -> str:
        coverage, n_labelled = self.tasks["coverage"], int(self.tasks["n_labelled"].sum())
        n_cells = self.n_samples * len(self.tasks)
        text = f"{n_labelled:,} of {n_cells:,} ({write_share(n_labelled / n_cells)})"
        if len(coverage) == 1 or coverage.min() == coverage.max():
            return text
        # By position, since idxmin does not work for every kind of name.
        low, high = (coverage.index[i] for i in (coverage.argmin(), coverage.argmax()))
        return (
            f"{text}, from {write_share(coverage.min())} of {_short(low)} "
            f"to {write_share(coverage.max())} of {_short(high)}"
        )

    def _describe_stopping(self) -> str:
        if self.stopping is None:
            return "off"
        series, patience = self.stopping["watched"], self.stopping["n_iter_no_change"]
        if self.stopping["n_folds"]:
            folds = _count(self.stopping["n_folds"], "fold")
            return f"lowest mean {series} of {folds}, then trained on all rows"
        if self.stopping["stopped"]:
            return f"stopped, {_count(patience, 'epoch')} without a lower {series}"
        return f"did not stop, monitored {series}"

    def _tables(self) -> list[tuple[list[str], list[list[str]], str]]:
        """Return head, rows and sides ("l", "r") of the tables of tasks and of layers."""
        # Columns without information are left out.
        shown = {
            "temperature": bool((self.tasks["temperature"] != 1).any()),
            "epoch": self._has_task_epochs(),
            "val_loss": "val_loss" in self.losses.index,
        }
        head = ["task", "classes", "labelled", "", "weight", "temperature", "epoch"]
        head += ["loss", "val_loss"]
        rows = [
            [
                _short(name),
                _short(": ".join([str(task.n_classes), *_first_few(task.classes)])),
                f"{task.n_labelled:,}",
                write_share(task.coverage),
                f"{task.weight:.3g}",
                f"{task.temperature:.3g}",
                f"{task.best_epoch:,}",
                _number(task.loss),
                _number(task.val_loss),
            ]
            for name, task in zip(self.tasks.index, self.tasks.itertuples(), strict=True)
        ]
        kept = [k for k, title in enumerate(head) if shown.get(title, True)]
        sides = "ll" + "r" * (len(kept) - 2)
        tables = [([head[k] for k in kept], [[row[k] for k in kept] for row in rows], sides)]
        layers = [
            [_short(layer.name), layer.kind, layer.output, f"{layer.n_parameters:,}"]
            for layer in self.layers.itertuples(index=False)
            # Known labels are inputs of the first layer with parameters.
            if layer.n_parameters or layer.name == "known_labels"
        ]
        if layers:
            tables.append((["layer", "kind", "output", "parameters"], layers, "lllr"))
        return tables


def summarize_fit(estimator: Any) -> FitSummary:
    """Return the summary of a fitted estimator."""
    history, best = estimator.history_, estimator.best_iter_
    shown = best or estimator.n_iter_  # a callback may leave weights of no epoch
    has_validation = bool(np.isfinite(_value_at(history, "val_loss", shown)))
    recorded = ["loss", "objective"] + (["val_loss"] if has_validation else [])
    losses = pd.DataFrame(
        [
            [_value_at(history, name, epoch) for epoch in (best, estimator.n_iter_)]
            for name in recorded
        ],
        index=recorded,
        columns=["best", "last"],
    )
    result = estimator._fitted.stopping
    stopping = None
    if result is not None:
        names = ("val" if has_validation else "", result["task"], "loss")
        stopping = {
            "watched": "_".join(name for name in names if name),
            **{key: result[key] for key in ("n_iter_no_change", "stopped", "best", "n_folds")},
        }
    layers = _table_of_layers(estimator)
    spec = None if estimator._fitted.network is None else estimator._fitted.network.spec
    return FitSummary(
        estimator=type(estimator).__name__,
        n_samples=int(estimator._fitted.n_rows),
        n_features=int(estimator.n_features_in_),
        n_parameters=0 if layers.empty else int(estimator.model_.count_params()),
        n_epochs=int(estimator.n_iter_),
        best_epoch=int(best),
        stopping=stopping,
        losses=losses.loc[np.isfinite(losses["best" if best else "last"])],
        tasks=_table_of_tasks(estimator),
        layers=layers,
        ensemble=(1, "shared") if spec is None else (spec.ensemble_size, spec.ensemble_method),
        sharing=("hard", 0, 0)
        if spec is None
        else (spec.sharing, spec.n_experts, spec.n_task_experts),
        label_smoothing=estimator._fitted.label_smoothing,
        unlabelled=estimator._fitted.unlabelled,
        dtype=estimator._fitted.dtype,
    )


def _table_of_tasks(estimator: Any) -> pd.DataFrame:
    """Return a row for each task."""
    names, history = tuple(estimator.task_names_), estimator.history_
    classes = estimator.classes_ if isinstance(estimator.classes_, list) else [estimator.classes_]
    states = [
        "no label" if not trained else "one class" if len(c) == 1 else "learned"
        for c, trained in zip(classes, estimator._fitted.has_labels, strict=True)
    ]
    series, epochs = name_series(names), estimator.best_iters_.tolist()
    columns = {
        "classes": [tuple(c.tolist()) for c in classes],
        "n_classes": [len(c) for c in classes],
        "n_labelled": np.asarray(estimator._fitted.labelled_cells, dtype=np.int64),
        "coverage": estimator.label_coverage_,
        "state": states,
        "weight": estimator.task_weights_,
        "temperature": estimator.temperatures_,
        "best_epoch": estimator.best_iters_,
        "loss": [
            _value_at(history, f"{s}_loss", epoch) for s, epoch in zip(series, epochs, strict=True)
        ],
        "val_loss": [
            _value_at(history, f"val_{s}_loss", epoch)
            for s, epoch in zip(series, epochs, strict=True)
        ],
    }
    index = pd.Index(names, name="task", dtype=object, tupleize_cols=False)
    return pd.DataFrame(columns, index=index)


def _table_of_layers(estimator: Any) -> pd.DataFrame:
    """Return a row for each layer of the Keras model."""
    layers = [] if estimator._fitted.network is None else estimator.model_.layers
    rows = [(x.name, type(x).__name__, _output_of(x), int(x.count_params())) for x in layers]
    return pd.DataFrame(rows, columns=["name", "kind", "output", "n_parameters"])


def _output_of(layer: Any) -> str:
    """Return the shape of a layer's output, or of several outputs, without the batch axis."""
    import keras

    try:
        outputs = keras.tree.flatten(layer.output)
    except (AttributeError, ValueError):  # a layer that was called more than once
        return ""
    return ", ".join("×".join(str(n or "?") for n in output.shape[1:]) for output in outputs)


def _value_at(history: dict[str, list[float]], name: str, epoch: int) -> float:
    """Return the value of a series in an epoch, counted from 1; NaN if there is none."""
    values = history.get(name, [])
    return float(values[epoch - 1]) if 0 < epoch <= len(values) else float("nan")


# ------------------------------------------------------------------------------------------------
# Text
# ------------------------------------------------------------------------------------------------

# Colours and fonts are those of the page, for light and dark themes.
_STYLE = (
    "<style>.sk-mtl-summary {overflow-x: auto}"
    ".sk-mtl-summary table {border-collapse: collapse; margin: 0 0 1em 0; font-size: inherit}"
    ".sk-mtl-summary th, .sk-mtl-summary td {padding: 0.15em 0.8em 0.15em 0; text-align: left}"
    ".sk-mtl-summary th, .sk-mtl-summary thead ~ tbody td {white-space: nowrap}"
    ".sk-mtl-summary th.r, .sk-mtl-summary td.r {text-align: right}"
    ".sk-mtl-summary thead th {border-bottom: 1px solid currentColor}</style>"
)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _first_few(classes: tuple[Any, ...]) -> list[str]:
    return [enumerate_some([_short(label) for label in classes], 3)] if classes else []


def _number(value: float) -> str:
    return f"{value:.4f}" if np.isfinite(value) else "-"


def _short(name: object) -> str:
    """Return a name on one line, shortened to 32 characters."""
    text = " ".join(str(name).split())
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def _shorten(rows: list[list[str]], limit: int) -> list[list[str]]:
    """Return the first and the last rows if there are more than the limit."""
    if len(rows) <= limit:
        return rows
    n_last = limit // 3
    n_first = limit - n_last - 1
    left_out = f"… {len(rows) - n_first - n_last:,} more"
    return [*rows[:n_first], [left_out] + [""] * (len(rows[0]) - 1), *rows[-n_last:]]


def _align(rows: Sequence[Sequence[str]], sides: str, gap: int = 2) -> str:
    """Return rows as text, each column aligned to its side."""
    columns = zip(*rows, strict=True)
    aligned = [align_column(c, left=side == "l") for c, side in zip(columns, sides, strict=True)]
    return "\n".join(join_columns(aligned, gap))


def _cells(tag: str, texts: Sequence[str], sides: str) -> str:
    """Return texts as the cells of a row of HTML, each column aligned to its side."""
    return html_cells(tag, texts, [f'class="{side}"' for side in sides])


# Doctest passes over classes of another module than this.
__test__ = {"FitSummary": FitSummary}
