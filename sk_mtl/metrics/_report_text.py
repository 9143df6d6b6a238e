"""How a report looks: as aligned text, and as HTML.

Owns the tables that are read by people. Does not compute anything.
"""

from __future__ import annotations

import html
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from sk_mtl._tasks import enumerate_some
from sk_mtl.metrics._report_request import LABELS

_GAP = "  "
_MAX_NAME_WIDTH, _MAX_LABEL_WIDTH = 40, 24
# Tasks up to which HTML shows the counts of the classes without a click, and classes of a task.
_MAX_OPEN_TASKS, _MAX_CLASSES = 12, 50


# ------------------------------------------------------------------------------------------------
# Texts of cells
# ------------------------------------------------------------------------------------------------


def _write_number(value: float, digits: int) -> str:
    return "NaN" if np.isnan(value) else f"{value:.{digits}f}"


def _write_share(share: float) -> str:
    """Return a share as text that tells few from none, and most from all."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def _write_count(count: Any) -> str:
    return "" if pd.isna(count) else f"{count:,}"


def _write_name(name: Any) -> str:
    """Return a name or a label on one line, with escapes for what cannot be printed."""
    # A joiner of emoji, or of letters, is no blank that would hide something.
    return "".join(
        c if c.isprintable() or c in "\u200c\u200d" else c.encode("unicode_escape").decode("ascii")
        for c in str(name)
    )


def split_class_counts(
    frame: pd.DataFrame, class_counts: pd.DataFrame
) -> Iterator[list[tuple[Any, int]]]:
    """Split the counts of the classes by task.

    Parameters
    ----------
    frame : DataFrame
        The numbers.
    class_counts : DataFrame
        The counts of the classes.

    Yields
    ------
    counts : list of (label, int)
        For each row of the frame; for the mean an empty one.
    """
    counts = class_counts["count"].items()
    # By position, since an index does not keep every name as it is.
    for n_classes in frame[LABELS, "n_classes"].fillna(0):
        yield [(label, count) for (_, label), count in islice(counts, n_classes)]


def _write_class_counts(frame: pd.DataFrame, class_counts: pd.DataFrame) -> list[list[str]]:
    """Return texts "class: count" for each row of the frame."""
    return [
        [f"{_shorten(_write_name(label), _MAX_LABEL_WIDTH)}: {n:,}" for label, n in counts]
        for counts in split_class_counts(frame, class_counts)
    ]


def _write_scores(frame: pd.DataFrame, metric: str, digits: int) -> dict[str, list[str]]:
    """Return the columns of a metric."""
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
    """Return the frame without the mean over one task."""
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
    """Write a report as text.

    Parameters
    ----------
    frame : DataFrame
        The numbers.
    class_counts : DataFrame
        The counts of the classes.
    notes : sequence of str
        Sentences below the tables.
    digits : int
        Digits after the point.
    line_width : int
        Columns of the terminal; what does not fit goes into tables below.

    Returns
    -------
    text : str
        Aligned by the width that characters have in a terminal.
    """
    frame = _rows_to_show(frame)
    names = ["", "task"] + [_shorten(_write_name(n), _MAX_NAME_WIDTH) for n in frame.index]
    stub = _align(names, left=True)
    labels = _align_labels(frame, class_counts, line_width - _measure(stub[0]))
    blocks, width = [[stub, labels]], line_width  # the metrics begin a table of their own
    for metric in _list_metrics(frame):
        column = _align_metric(metric, _write_scores(frame, metric, digits))
        needed = _measure(column[0]) + len(_GAP)
        if width + needed > line_width:
            blocks.append([stub])
            width = _measure(stub[0])
        blocks[-1].append(column)
        width += needed
    tables = ["\n".join(_join(line) for line in zip(*block, strict=True)) for block in blocks]
    # The table of the labels has one line of heads only.
    tables[0] = tables[0].partition("\n")[2]
    return "\n\n".join([*tables, "\n".join(textwrap.fill(n, line_width) for n in notes)])


def _align_labels(frame: pd.DataFrame, class_counts: pd.DataFrame, room: int) -> list[str]:
    """Return the columns of the labels side by side."""
    counts = ["", "labelled", *map(_write_count, frame[LABELS, "n_labelled"])]
    shares = ["", "coverage", *map(_write_share, frame[LABELS, "coverage"])]
    numbers = [_join(line) for line in zip(_align(counts), _align(shares), strict=True)]
    room -= 2 * len(_GAP) + max(map(_measure, numbers))
    words = [_fit(w, room) for w in _write_class_counts(frame, class_counts)]
    numbers = _align(numbers, left=True)
    return [_join(line) for line in zip(numbers, ["", "classes", *words], strict=True)]


def _align_metric(metric: str, columns: dict[str, list[str]]) -> list[str]:
    """Return the columns of a metric side by side, under its name."""
    aligned = [_align([head, *texts]) for head, texts in columns.items()]
    # One more blank in front, so that metrics stand apart from each other.
    lines = [" " + _GAP.join(line) for line in zip(*aligned, strict=True)]
    return _align([_write_name(metric), *lines])


def _join(texts: Sequence[str]) -> str:
    return _GAP.join(texts).rstrip()


def _fit(words: list[str], room: int) -> str:
    """Return as many words as fit, and the number of the rest."""
    for limit in range(len(words), 1, -1):
        phrase = enumerate_some(words, limit)
        if _measure(phrase) <= room:
            return phrase
    return enumerate_some(words, 1)


def _align(texts: Sequence[str], left: bool = False) -> list[str]:
    """Return texts of equal width."""
    width = max(map(_measure, texts))
    blanks = [" " * (width - _measure(text)) for text in texts]
    return [t + b if left else b + t for t, b in zip(texts, blanks, strict=True)]


def _measure(text: str) -> int:
    """Return the columns that a text takes in a terminal."""
    return sum(_measure_character(c) for c in text)


def _measure_character(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shorten(text: str, width: int) -> str:
    """Return a text that fits, without its middle: names in a table often begin alike."""
    if _measure(text) <= width:
        return text
    head, tail = "", ""
    while True:
        c = text[len(head)] if _measure(head) <= _measure(tail) else text[-len(tail) - 1]
        if _measure(head + tail) + _measure_character(c) > width - 1:
            return f"{head}…{tail}"
        if _measure(head) <= _measure(tail):
            head += c
        else:
            tail = c + tail


# ------------------------------------------------------------------------------------------------
# HTML
# ------------------------------------------------------------------------------------------------

# No colour but the page's own and shades of its text, so that light and dark themes both serve.
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
    """Write a report as HTML.

    Parameters
    ----------
    frame : DataFrame
        The numbers.
    class_counts : DataFrame
        The counts of the classes.
    notes : sequence of str
        Sentences below the tables.
    digits : int
        Digits after the point.

    Returns
    -------
    text : str
        One element.
    """
    frame = _rows_to_show(frame)
    scores = {m: _write_scores(frame, m, digits) for m in _list_metrics(frame)}
    paragraphs = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return (
        f'<div class="sk-mtl-report"><style>{_STYLE}</style>{_write_main_table(frame, scores)}'
        f"{_write_class_table(frame, class_counts)}{paragraphs}</div>"
    )


def _write_main_table(frame: pd.DataFrame, scores: dict[str, dict[str, list[str]]]) -> str:
    """Return the table of the tasks: what is labelled, and the scores."""
    columns = [
        ("", list(map(_write_count, frame[LABELS, "n_labelled"]))),
        ("", list(map(_write_share, frame[LABELS, "coverage"]))),
        ("", list(map(_write_count, frame[LABELS, "n_classes"]))),
    ]
    groups = "".join(
        f'<th class="first" scope="colgroup" colspan="{len(part)}">'
        f"{html.escape(_write_name(metric))}</th>"
        for metric, part in scores.items()
    )
    heads = ["labelled", "coverage", "classes"]
    head_cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
    for part in scores.values():
        for what, texts in part.items():
            kind = f"{what} first" if what == "score" else what
            columns.append((kind, texts))
            head_cells += f'<th class="{kind}" scope="col">{what}</th>'
    rows = []
    for i, name in enumerate(frame.index):
        kind = ' class="mean"' if i and i == len(frame) - 1 else ""
        cells = "".join(f'<td class="{k}">{html.escape(texts[i])}</td>' for k, texts in columns)
        rows.append(f"<tr{kind}>{_write_row_head(name)}{cells}</tr>")
    return (
        f'<table><thead><tr><th colspan="{len(heads) + 1}"></th>{groups}</tr>'
        f'<tr><th class="text" scope="col">task</th>{head_cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _write_class_table(frame: pd.DataFrame, class_counts: pd.DataFrame) -> str:
    """Return the table of the classes, to be opened where the tasks are many."""
    words = _write_class_counts(frame, class_counts)
    rows = "".join(
        f'<tr>{_write_row_head(name)}<td class="text">'
        f"{html.escape(enumerate_some(words_of_task, _MAX_CLASSES))}</td></tr>"
        for name, words_of_task in zip(frame.index, words, strict=True)
        if words_of_task
    )
    is_open = " open" if len(frame) <= _MAX_OPEN_TASKS + 1 else ""
    return (
        f"<details{is_open}><summary>Labelled cells of each class</summary>"
        f"<table><tbody>{rows}</tbody></table></details>"
    )


def _write_row_head(name: Any) -> str:
    """Return the head of a row, of which long names show their ends and, on hovering, the rest."""
    text = _write_name(name)
    short = _shorten(text, _MAX_NAME_WIDTH)
    title = "" if short == text else f' title="{html.escape(text)}"'
    return f'<th scope="row" dir="auto"{title}>{html.escape(short)}</th>'
