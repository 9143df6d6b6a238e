"""Records of fits: one JSON object a line, appended as soon as a fit is done."""

import json
from pathlib import Path
from typing import Any

__all__ = ["append_record", "read_records", "record_key"]


def record_key(record: dict[str, Any]) -> tuple[Any, ...]:
    """What tells one fit from another: the settings themselves too, not only their name."""
    settings = json.dumps(record["settings"], sort_keys=True)
    return record["name"], settings, record["table"], record["split"], record["seed"]


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read all records; a last line that was cut off is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Write one record to the end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
