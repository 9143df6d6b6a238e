"""Tables of text, CSV and TSV: read by pandas, after a look for lines that are none of a table."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from sk_mtl._quoting import quote
from sk_mtl._tasks import enumerate_some

__all__ = ["TextTable", "read_text_table"]

_N_SHOWN = 10  # bad lines that a message lists


@dataclass(frozen=True)
class TextTable:
    """The lines of a table of text that can be read, and where they stand."""

    text: str
    separator: str
    names: list[str]  # of the columns
    places: list[int]  # the first line of each row, counted from 1
    notes: list[str]

    def parse(self, *, missing: Sequence[str], text_columns: Sequence[str], decimal: str) -> Any:
        """Return the table as pandas reads it."""
        return pd.read_csv(
            io.StringIO(self.text),
            sep=self.separator,
            header=0,
            names=self.names,
            index_col=False,
            na_values=list(missing),
            dtype=dict.fromkeys(text_columns, str),
            decimal=decimal,
            low_memory=False,  # a column has one type
        )

    def as_written(self) -> pd.DataFrame:
        """Return the table with its cells as they stand in the file."""
        return pd.read_csv(
            io.StringIO(self.text),
            sep=self.separator,
            header=0,
            names=self.names,
            index_col=False,
            dtype=str,
            keep_default_na=False,
            na_filter=False,
        )


def read_text_table(path: Path, separator: str, encoding: str, *, skips_bad: bool) -> TextTable:
    """Read a table of text; refuse lines that cannot be parsed, or leave them out."""
    text = _decode(path, encoding)
    lines = list(io.StringIO(text, newline=""))
    scan = _scan(lines, separator)
    if scan.header is None:
        raise ValueError(f"{path} is empty, or its first line cannot be read.")
    names = _name_columns(scan.header, path, separator)
    notes = [
        f"Column {i + 1} of {path.name} has no name, and is called 'Unnamed: {i}'. If it numbers "
        f"the rows, add --drop 'Unnamed: {i}'."
        for i, name in enumerate(scan.header)
        if not name.strip()
    ]
    blank = [name for name in scan.header if name.strip() and name != name.strip()]
    if blank:
        notes.append(
            f"{len(blank)} name(s) in the first line of {path.name} have blanks around them, which "
            f"are left out: {enumerate_some(map(quote, blank))}."
        )
    if scan.bad:
        told = _describe_bad(scan.bad)
        if not skips_bad:
            raise ValueError(
                f"{path} has {len(scan.bad)} line(s) that cannot be parsed: {told}. Correct them, "
                "or leave them out by --skip-bad-lines."
            )
        notes.append(f"{len(scan.bad)} line(s) of {path.name} are left out: {told}.")
        text = "".join(line for a, b in scan.spans for line in lines[a:b])
    return TextTable(text, separator, names, scan.places, notes)


@dataclass
class _Scan:
    """What the lines of a table of text are."""

    header: list[str] | None = None
    spans: list[tuple[int, int]] = field(default_factory=list)  # lines, of header and rows
    places: list[int] = field(default_factory=list)  # first line of each row, counted from 1
    bad: list[tuple[int, str]] = field(default_factory=list)  # line, counted from 1, and reason


def _scan(lines: list[str], separator: str) -> _Scan:
    """Find the rows, and the lines that are none; after one of these, go on with the next line."""
    found = _Scan()
    position = 0
    while position < len(lines):
        position = _scan_from(lines, position, separator, found)
    return found


def _scan_from(lines: list[str], begin: int, separator: str, found: _Scan) -> int:
    """Scan up to a record of several lines that is none; return where to go on."""
    reader = csv.reader(islice(lines, begin, None), delimiter=separator, strict=True)
    start = begin
    try:
        for record in reader:
            stop = begin + reader.line_num
            if not record or (len(record) == 1 and not record[0].strip() and stop - start == 1):
                start = stop  # a blank line
                continue
            if found.header is None:
                found.header = record
                found.spans.append((start, stop))
            elif len(record) == len(found.header):
                found.spans.append((start, stop))
                found.places.append(start + 1)
            elif stop - start > 1:
                found.bad.append((start + 1, "a quote that is not closed"))
                return start + 1
            else:
                n_names = len(found.header)
                found.bad.append((start + 1, f"{len(record)} field(s) in place of {n_names}"))
            start = stop
    except csv.Error as error:
        if found.header is None:
            return len(lines)
        found.bad.append((start + 1, _describe_error(error)))
        return start + 1
    return len(lines)


def _describe_error(error: csv.Error) -> str:
    """Return what is wrong with a line, in words of this package."""
    text = str(error)
    if "end of data" in text or "field limit" in text:
        return "a quote that is not closed"
    if "expected after" in text:
        return "a quote within a quoted field"
    return text


def _describe_bad(bad: list[tuple[int, str]]) -> str:
    """Return the first lines that cannot be parsed, with what is wrong, by reason."""
    reasons: dict[str, list[int]] = {}
    for line, reason in bad[:_N_SHOWN]:
        reasons.setdefault(reason, []).append(line)
    phrases = [
        f"line{'s' * (len(at) > 1)} {', '.join(map(str, at))} ({reason})"
        for reason, at in reasons.items()
    ]
    rest = f" and {len(bad) - _N_SHOWN} more" if len(bad) > _N_SHOWN else ""
    return "; ".join(phrases) + rest


def _name_columns(header: list[str], path: Path, separator: str) -> list[str]:
    """Return names without blanks around them; refuse equal ones, and another separator."""
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(header)]
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise ValueError(
            f"The first line of {path} names {len(twice)} column(s) more than once: "
            f"{enumerate_some(map(quote, twice))}. Rename them."
        )
    others = [c for c in (";", "\t", "|", ",") if c != separator and c in header[0]]
    if len(header) == 1 and others:
        name = "'\\t'" if others[0] == "\t" else quote(others[0])
        raise ValueError(
            f"The first line of {path} has one column, {quote(header[0])}. If {name} separates "
            f"columns, add --delimiter {name}."
        )
    return names


def _decode(path: Path, encoding: str) -> str:
    """Return the text of a file."""
    content = path.read_bytes()
    try:
        # A byte order mark, which Excel writes, belongs to no name.
        return content.decode("utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not {encoding}: line {line} has the byte {content[error.start]:#04x}. Name "
            "its encoding, such as --encoding cp1252 for files of Windows programs."
        ) from error
    except LookupError as error:
        raise ValueError(f"There is no encoding {quote(encoding)}.") from error
