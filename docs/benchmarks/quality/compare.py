"""Tabulate recorded scores: those of the validation parts, and with --test those of the test parts.

The test parts must not be looked at while settings are being chosen.

Usage: python docs/benchmarks/quality/compare.py RESULTS [RESULTS ...] [--test] [--by-split]
"""

from pathlib import Path

import pandas as pd
from _records import make_parser, read_records

pd.set_option("display.width", 250, "display.max_rows", 1000, "display.max_columns", 50)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--test", action="store_true", help="show the test parts")
    parser.add_argument("--by-split", action="store_true", help="a row per split")
    parser.add_argument("--tables", nargs="+")
    options = parser.parse_args()
    records = [record for path in options.results for record in read_records(path)]
    part = "test" if options.test else "valid"
    rows = pd.DataFrame(
        [
            {
                "table": r["table"],
                "split": r["split"] if options.by_split else r["split"].rstrip("0123456789"),
                "settings": r["name"],
                "auc": r[part]["auc"],
                "log_loss": r[part]["log_loss"],
                "seconds": r["seconds"],
                "epochs": r.get("epochs"),
            }
            for r in records
            if not options.tables or r["table"] in options.tables
        ]
    )
    groups = rows.groupby(["table", "split", "settings"])
    table = groups[["auc", "log_loss"]].mean().round(4)
    table["sd"] = groups["auc"].std().round(4)
    table["fits"] = groups.size()
    table["seconds"] = groups["seconds"].median().round(1)
    table["epochs"] = groups["epochs"].median()
    print(f"{part} part, means over tasks, splits and seeds")
    print(table.to_string())


if __name__ == "__main__":
    main()
