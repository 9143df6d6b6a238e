"""Records of fits: one JSON object a line, appended as soon as a fit is done."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import as_markdown, make_parser  # noqa: F401 - the scripts take both from here

Record = dict[str, Any]


def make_results_parser(
    docstring: str | None, seeds: Sequence[int], *, can_show: bool = False
) -> argparse.ArgumentParser:
    """Return a parser with the file of results, the folder of the real tables, and the seeds."""
    parser = make_parser(docstring)
    parser.add_argument("results", type=Path, help="file of JSON lines, appended to")
    parser.add_argument("--folder", help="the folder of the real tables")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(seeds))
    if can_show:
        parser.add_argument("--show", action="store_true", help="only show what is there")
    return parser


def is_in_table(path: Path, keys: Sequence[str], fit: Sequence[Any]) -> bool:
    """Return whether a CSV file has a line with these values in some columns."""
    if not path.exists():
        return False
    known = pd.read_csv(path)
    return bool((known[list(keys)] == list(fit)).all(axis=1).any())


def add_missing(
    path: Path,
    jobs: Iterable[Record],
    run: Callable[[Record], Record],
    describe: Callable[[Record], object] = lambda record: record,
) -> None:
    """Run the jobs that have no record yet, append what each one finds, and print it."""
    records = read_records(path)
    for job in jobs:
        known = json.loads(json.dumps(job))
        if not any(known == {key: record[key] for key in known} for record in records):
            record = job | run(job)
            append_record(path, record)
            print(describe(record), flush=True)


def iterate_fits(
    options: argparse.Namespace,
    settings: dict[str, Any],
    splits_of: Callable[[str], Iterable[str]],
) -> Iterator[Record]:
    """Yield a job for each seed, table, split and setting (by name) that the options ask for."""
    for seed in options.seeds:
        for table in options.tables:
            for split in sorted(splits_of(table)):
                if options.splits and split not in options.splits:
                    continue
                for name, setting in settings.items():
                    yield {
                        "name": name,
                        "settings": setting,
                        "table": table,
                        "split": split,
                        "seed": seed,
                    }


def read_records(path: Path) -> list[Record]:
    """Read all records; a last line that was cut off is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def append_record(path: Path, record: Record) -> None:
    """Write one record to the end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
