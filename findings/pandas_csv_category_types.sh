#!/usr/bin/env bash
# pandas 3.0.6 and 3.1.1.
#
# read_csv(dtype="category") made text of every column up to pandas 3.0. Since 3.1 the
# categories get the type that the values of this file suggest (pandas pull request 64659, a
# "notable bug fix" of 3.1.0). So the same line on the same file gives other categories after an
# upgrade; "010" and "10" become one category; and in 3.1 the type depends on the rows: a file
# in which one row holds "x" has the category "10", and the next one without it has 10.
# Whatever remembers categories by value (an encoder, a model) knows none of them any more, and
# scikit-learn's OrdinalEncoder and HistGradientBoosting, for instance, take unknown categories
# for missing ones if asked to.
# Seen here: 3.0.6 ['10', '20'], ['010', '10'], ['10', 'x'];
#            3.1.1 [10, 20], [10], ['10', 'x'].
# Right in both: read_csv(dtype={"region": str}), then astype("category").
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

cat > read.py <<'EOF'
import io
import sys

import pandas as pd


def categories(values, dtype):
    text = io.StringIO("\n".join(["region", *values, ""]))
    column = pd.read_csv(text, dtype={"region": dtype})["region"].astype("category")
    return column.cat.categories.tolist()


tables = [["10", "20"], ["010", "10"], ["10", "x"]]
found = [categories(values, "category") for values in tables]
print("pandas", pd.__version__, found)
expected = {
    "3.0.6": [["10", "20"], ["010", "10"], ["10", "x"]],
    "3.1.1": [[10, 20], [10], ["10", "x"]],
}
assert found == expected[pd.__version__]
assert [categories(values, str) for values in tables] == tables
EOF

for version in 3.0.6 3.1.1; do
    python3 -m venv "env-$version"
    "env-$version/bin/pip" install --quiet --disable-pip-version-check "pandas==$version"
    "env-$version/bin/python" read.py
done
echo "as described"
