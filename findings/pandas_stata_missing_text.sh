#!/usr/bin/env bash
# pandas 3.1.1 and 2.3.3.
#
# A table with a missing text and a missing number is written by to_stata and read by read_stata.
# The number comes back as missing, the text as "": Stata's format has no other missing text, and
# read_stata does not turn it back. CSV, and Parquet and Feather, give both back as missing.
# Affects whoever reads a survey with text labels from a .dta file: a label that was not given is
# one more class, "", which isna() and dropna() pass over.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

for version in 2.3.3 3.1.1; do
    python3 -m venv "env-$version"
    "env-$version/bin/pip" install --quiet --disable-pip-version-check "pandas==$version" \
        numpy==2.4.6
    "env-$version/bin/python" - <<'EOF'
import pandas as pd

table = pd.DataFrame({"answer": ["yes", None, "no"], "age": [40.0, None, 20.0]})
table.to_stata("table.dta", write_index=False)
table.to_csv("table.csv", index=False)
stata, csv = pd.read_stata("table.dta"), pd.read_csv("table.csv")
missing = {name: frame.isna().sum().to_dict() for name, frame in [("stata", stata), ("csv", csv)]}
print("pandas", pd.__version__, "missing", missing, "labels", stata["answer"].tolist())
assert missing == {"stata": {"answer": 0, "age": 1}, "csv": {"answer": 1, "age": 1}}
assert stata["answer"].tolist() == ["yes", "", "no"]
EOF
done

# Seen here:
# pandas 2.3.3 missing {stata: {answer: 0, age: 1}, csv: {answer: 1, age: 1}} labels [yes, "", no]
# pandas 3.1.1, the same
