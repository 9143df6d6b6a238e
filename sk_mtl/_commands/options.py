"""Options that commands share."""

from __future__ import annotations

import argparse
import ast
import csv
from pathlib import Path
from typing import Any

from sk_mtl._commands.formats import ENDINGS, FORMATS
from sk_mtl._commands.tables import Reading

__all__ = [
    "add_bootstraps",
    "add_fit_options",
    "add_quiet",
    "add_reading",
    "add_table",
    "make_parser",
    "read_names",
    "reading_of",
]


def make_parser(name: str, description: str, *, has_tables: bool = True) -> argparse.ArgumentParser:
    """Return the parser of a command."""
    endings = f" Tables end with {FORMATS}." if has_tables else ""
    return argparse.ArgumentParser(
        prog=f"python -m sk_mtl {name}",
        description=f"{description}{endings}",
        allow_abbrev=False,  # an option to come must not make a script ambiguous
    )


def add_table(parser: argparse.ArgumentParser) -> None:
    """Add the table to read."""
    parser.add_argument("table", type=Path, metavar="TABLE", help="the table to read")


def add_reading(parser: argparse.ArgumentParser, *, is_fit: bool) -> None:
    """Add how a table is read."""
    group = parser.add_argument_group("reading the table")
    group.add_argument(
        "--missing-values",
        type=read_names,
        default=[],
        metavar="X,Y",
        help="cells that mean missing in any column, besides empty ones and NA, NaN, null, None",
    )
    if is_fit:
        group.add_argument(
            "--categorical",
            type=read_names,
            default=[],
            metavar="A,B",
            help="columns of codes: categories, although they look like numbers",
        )
        group.add_argument(
            "--keep-codes",
            nargs="?",
            type=_read_kept,
            const=None,
            default=[],
            metavar="A,B",
            help="keep apart the kinds of missing of Stata, SPSS and SAS, in these columns or all: "
            "as categories of features, and classes of tasks. Write TABLE first",
        )
    group.add_argument(
        "--skip-bad-lines",
        action="store_true",
        help="leave out lines of a .csv or .tsv that cannot be parsed",
    )
    group.add_argument("--delimiter", metavar="C", help="what separates columns of a .csv or .tsv")
    group.add_argument("--decimal", default=".", metavar="C", help="the decimal sign there")
    group.add_argument("--encoding", default="utf-8", metavar="NAME", help="the encoding there")


def reading_of(options: argparse.Namespace) -> Reading:
    """Return how a table is read."""
    if options.delimiter is not None and len(options.delimiter) != 1:
        raise ValueError(f"--delimiter takes one character. Got {options.delimiter!r}.")
    if len(options.decimal) != 1:
        raise ValueError(f"--decimal takes one character. Got {options.decimal!r}.")
    return Reading(
        missing_values=options.missing_values,
        missing_labels=getattr(options, "missing", []),
        keep_codes=getattr(options, "keep_codes", []),
        skip_bad_lines=options.skip_bad_lines,
        delimiter=options.delimiter,
        decimal=options.decimal,
        encoding=options.encoding,
    )


def add_fit_options(parser: argparse.ArgumentParser) -> None:
    """Add what a network is fitted to, and how."""
    group = parser.add_argument_group("fitting")
    group.add_argument(
        "--drop", type=read_names, default=[], metavar="C,D", help="columns that are no features"
    )
    group.add_argument(
        "--missing",
        type=read_names,
        default=[],
        metavar="98,99",
        help="labels that mean missing, besides empty cells; in columns of text, as they are "
        "written",
    )
    group.add_argument(
        "--group", metavar="NAME", help="a column of groups, such as people, that stay together"
    )
    group.add_argument("--weight", metavar="NAME", help="a column of weights of the rows")
    group.add_argument(
        "--indicator",
        action="store_true",
        help="let the network see which labels are missing (known_labels='with_indicator')",
    )
    group.add_argument("--best", action="store_true", help="better and slower settings")
    group.add_argument(
        "--param",
        type=_read_param,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of MultiTaskClassifier, such as epochs=20 or hidden_layer_sizes=[64]; "
        "may be repeated",
    )
    group.add_argument("--random-state", type=int, default=0, metavar="N", help="seed of the fit")


def add_bootstraps(parser: argparse.ArgumentParser) -> None:
    """Add how scores are computed."""
    parser.add_argument(
        "--group",
        metavar="NAME",
        help="a column of groups, such as people: intervals are from resampled groups",
    )
    parser.add_argument("--weight", metavar="NAME", help="a column of weights of the rows")
    parser.add_argument(
        "--bootstraps",
        type=_read_count,
        default=1000,
        metavar="N",
        help="resamples for the intervals (1000); 0 for none",
    )
    parser.add_argument(
        "--random-state", type=int, default=0, metavar="N", help="seed of the resamples"
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add how much is printed."""
    parser.add_argument(
        "--quiet", action="store_true", help="print scores, warnings and errors only"
    )


def read_names(text: str) -> list[str]:
    """Return names that are separated by commas; quotes protect a comma."""
    rows = list(csv.reader([text], skipinitialspace=True))
    return [name.strip() for row in rows for name in row if name.strip()]


def _read_kept(text: str) -> list[str]:
    """Return names of columns; refuse the table, which the option takes for them."""
    if text.lower().endswith(ENDINGS):
        raise argparse.ArgumentTypeError(f"write TABLE first: {text!r} is read as names of columns")
    return read_names(text)


def _read_count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {value}")
    return value


def _read_param(text: str) -> tuple[str, Any]:
    """Return the name and the value of a parameter; what is no literal of Python is text."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text!r}")
    try:
        return name.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return name.strip(), value.strip()
