"""Reports as text and as HTML."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._tasks import enumerate_some
from sk_mtl._text_table import align_column, html_cells, join_columns, measure, shorten, write_share
from sk_mtl.metrics._report.request import LABELS

_GAP = 2
_MAX_NAME_WIDTH, _MAX_LABEL_WIDTH = 40, 24
# HTML shows the class counts without a click for up to so many tasks, and so many classes each.
_MAX_OPEN_TASKS, _MAX_CLASSES = 12, 50


# ------------------------------------------------------------------------------------------------
# Texts of cells
# ------------------------------------------------------------------------------------------------


def _write_number(value: float, digits: int) -> str:
    return "NaN" if np.isnan(value) else f"{value:.{digits}f}"


def _write_share(share: float) -> str:
    return write_share(share, " %")


def _write_count(count: Any) -> str:
    return "" if pd.isna(count) else f"{count:,}"


def _write_name(name: Any) -> str:
    """Return a name or a label on one line, with unprintable characters escaped."""
    # Zero-width joiners are part of emoji and of some scripts.
    return "".join(
        c if c.isprintable() or c in "\u200c\u200d" else c.encode("unicode_escape").decode("ascii")
        for c in str(name)
    )


def split_class_counts(
    frame: pd.DataFrame, class_counts: pd.DataFrame
) -> Iterator[list[tuple[Any, int]]]:
    """Yield the (label, count) pairs of each row of the frame, none for the mean."""
    counts = class_counts["count"].items()
    # By position, since looking up a name in an index does not work for every name.
    for n_classes in frame[LABELS, "n_classes"].fillna(0):
        yield [(label, count) for (_, label), count in islice(counts, n_classes)]


def _write_class_counts(frame: pd.DataFrame, class_counts: pd.DataFrame) -> list[list[str]]:
    """Return texts "class: count" for each row of the frame."""
    return [
        [f"{shorten(_write_name(label), _MAX_LABEL_WIDTH)}: {n:,}" for label, n in counts]
        for counts in split_class_counts(frame, class_counts)
    ]


def _write_scores(frame: pd.DataFrame, metric: str, digits: int) -> dict[str, list[str]]:
    """Return the columns of a metric as text."""
    part = frame[metric]
    columns = {"score": [_write_number(v, digits) for v in part["score"]]}
    if "lower" in part:
        columns["interval"] = [
            "" if np.isnan(low) else f"[{low:.{digits}f}, {high:.{digits}f}]"
            for low, high in zip(part["lower"], part["upper"], strict=True)
        ]
    columns["constant"] = [_write_number(v, digits) for v in part["constant"]]
    return columns


def _list_metrics(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame.columns.get_level_values(0).unique() if name != LABELS]


def _rows_to_show(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame, without the mean if there is one task."""
    return frame.iloc[:1] if len(frame) == 2 else frame


# ------------------------------------------------------------------------------------------------
# Text
# ------------------------------------------------------------------------------------------------


def write_text(
    frame: pd.DataFrame,
    class_counts: pd.DataFrame,
    notes: Sequence[str],
    *,
    digits: int,
    line_width: int,
) -> str:
    """Return a report as text; metrics beyond `line_width` are put in further tables."""
    frame = _rows_to_show(frame)
    names = ["", "task"] + [shorten(_write_name(n), _MAX_NAME_WIDTH) for n in frame.index]
    stub = align_column(names, left=True)
    labels = _align_labels(frame, class_counts, line_width - measure(stub[0]))
    blocks, width = [[stub, labels]], line_width  # the metrics begin in a new table
    for metric in _list_metrics(frame):
        column = _align_metric(metric, _write_scores(frame, metric, digits))
        needed = measure(column[0]) + _GAP
        if width + needed > line_width:
            blocks.append([stub])
            width = measure(stub[0])
        blocks[-1].append(column)
        width += needed
    tables = ["\n".join(join_columns(block, _GAP)) for block in blocks]
    # The table of labels has only one header line.
    tables[0] = tables[0].partition("\n")[2]
    return "\n\n".join([*tables, "\n".join(textwrap.fill(n, line_width) for n in notes)])


def _align_labels(frame: pd.DataFrame, class_counts: pd.DataFrame, room: int) -> list[str]:
    """Return the columns of the labels side by side."""
    counts = ["", "labelled", *map(_write_count, frame[LABELS, "n_labelled"])]
    shares = ["", "coverage", *map(_write_share, frame[LABELS, "coverage"])]
    numbers = join_columns([align_column(counts), align_column(shares)], _GAP)
    room -= 2 * _GAP + max(map(measure, numbers))
    words = [_fit(w, room) for w in _write_class_counts(frame, class_counts)]
    return join_columns([align_column(numbers, left=True), ["", "classes", *words]], _GAP)


def _align_metric(metric: str, columns: dict[str, list[str]]) -> list[str]:
    """Return the columns of a metric side by side, under its name."""
    aligned = [align_column([head, *texts]) for head, texts in columns.items()]
    # An additional blank separates the metrics.
    lines = [" " + (" " * _GAP).join(line) for line in zip(*aligned, strict=True)]
    return align_column([_write_name(metric), *lines])


def _fit(words: list[str], room: int) -> str:
    """Return as many words as fit, and the number of the others."""
    for limit in range(len(words), 1, -1):
        phrase = enumerate_some(words, limit)
        if measure(phrase) <= room:
            return phrase
    return enumerate_some(words, 1)


# ------------------------------------------------------------------------------------------------
# HTML
# ------------------------------------------------------------------------------------------------

# The colours are those of the page and shades of its text, for light and dark themes.
_STYLE = """
.sk-mtl-report { overflow-x: auto; }
.sk-mtl-report table { border-collapse: collapse; margin: 0.3em 0; font-size: 0.9em;
  font-variant-numeric: tabular-nums; }
.sk-mtl-report th, .sk-mtl-report td { padding: 0.2em 0.5em; text-align: right; border: 0;
  white-space: nowrap; font-weight: normal; }
.sk-mtl-report thead th { font-weight: bold; vertical-align: bottom; }
.sk-mtl-report thead tr:last-child th { border-bottom: 1px solid rgba(128, 128, 128, 0.6); }
.sk-mtl-report thead th[colspan] { text-align: center; }
.sk-mtl-report tbody tr:hover { background: rgba(128, 128, 128, 0.18); }
.sk-mtl-report tbody tr.mean th, .sk-mtl-report tbody tr.mean td { font-weight: bold;
  border-top: 1px solid rgba(128, 128, 128, 0.6); }
.sk-mtl-report tbody th, .sk-mtl-report .text { text-align: left; }
.sk-mtl-report td.text { white-space: normal; }
.sk-mtl-report .first { border-left: 1px solid rgba(128, 128, 128, 0.35); }
.sk-mtl-report .constant, .sk-mtl-report .interval { opacity: 0.7; }
.sk-mtl-report p, .sk-mtl-report summary { margin: 0.2em 0; font-size: 0.85em; }
"""


def write_html(
    frame: pd.DataFrame, class_counts: pd.DataFrame, notes: Sequence[str], *, digits: int
) -> str:
    """Return a report as one HTML element."""
    frame = _rows_to_show(frame)
    scores = {m: _write_scores(frame, m, digits) for m in _list_metrics(frame)}
    paragraphs = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return (
        f'<div class="sk-mtl-report"><style>{_STYLE}</style>{_write_main_table(frame, scores)}'
        f"{_write_class_table(frame, class_counts)}{paragraphs}</div>"
    )


def _write_main_table(frame: pd.DataFrame, scores: dict[str, dict[str, list[str]]]) -> str:
    """Return the table of tasks with the numbers of labels and the scores."""
    columns = [
        ("labelled", "", list(map(_write_count, frame[LABELS, "n_labelled"]))),
        ("coverage", "", list(map(_write_share, frame[LABELS, "coverage"]))),
        ("classes", "", list(map(_write_count, frame[LABELS, "n_classes"]))),
    ]
    spans = [f'class="first" scope="colgroup" colspan="{len(part)}"' for part in scores.values()]
    groups = html_cells("th", [_write_name(metric) for metric in scores], spans)
    n_label_columns = len(columns) + 1
    for part in scores.values():
        columns += [(k, f"{k} first" if k == "score" else k, t) for k, t in part.items()]
    kinds = [f'class="{kind}"' if kind else "" for _, kind, _ in columns]
    heads = html_cells(
        "th", [head for head, _, _ in columns], [f'{k} scope="col"'.strip() for k in kinds]
    )
    rows = []
    for i, name in enumerate(frame.index):
        kind = ' class="mean"' if i and i == len(frame) - 1 else ""
        cells = html_cells("td", [texts[i] for _, _, texts in columns], kinds)
        rows.append(f"<tr{kind}>{_write_row_head(name)}{cells}</tr>")
    return (
        f'<table><thead><tr><th colspan="{n_label_columns}"></th>{groups}</tr>'
        f'<tr><th class="text" scope="col">task</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _write_class_table(frame: pd.DataFrame, class_counts: pd.DataFrame) -> str:
    """Return the table of classes, closed at first if there are many tasks."""
    words = [enumerate_some(w, _MAX_CLASSES) for w in _write_class_counts(frame, class_counts)]
    rows = "".join(
        f'<tr>{_write_row_head(name)}<td class="text">{html.escape(text)}</td></tr>'
        for name, text in zip(frame.index, words, strict=True)
        if text
    )
    is_open = " open" if len(frame) <= _MAX_OPEN_TASKS + 1 else ""
    return (
        f"<details{is_open}><summary>Labelled cells of each class</summary>"
        f"<table><tbody>{rows}</tbody></table></details>"
    )


def _write_row_head(name: Any) -> str:
    """Return the header of a row; a name that was shortened is shown whole on hovering."""
    text = _write_name(name)
    short = shorten(text, _MAX_NAME_WIDTH)
    title = "" if short == text else f' title="{html.escape(text)}"'
    return f'<th scope="row" dir="auto"{title}>{html.escape(short)}</th>'
