#!/usr/bin/env bash
# pandas 3.1.1 and 3.0.0 (pandas 2.3.3 for comparison).
#
# On a categorical column, replace(-1, nan) makes the values missing. In pandas 2 the category -1
# went with them; in pandas 3 it stays, without a warning, and every tool that takes the
# categories for the classes sees one class more: get_dummies gives it a column, value_counts a
# row of 0. pandas 2.3.3 has a FutureWarning, which speaks of cases that do not preserve the
# categories, and does not say that a replaced one stays.
# Affects whoever marks survey codes as missing in columns that are categorical already.
# remove_unused_categories() gives the result of pandas 2 in both.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

for version in 2.3.3 3.0.0 3.1.1; do
    python3 -m venv "env-$version"
    "env-$version/bin/pip" install --quiet --disable-pip-version-check "pandas==$version" \
        numpy==2.4.6
    "env-$version/bin/python" -W ignore - <<'EOF'
import numpy as np
import pandas as pd

labels = pd.Series([1, 0, -1, 1]).astype("category").replace(-1, np.nan)
assert labels.isna().tolist() == [False, False, True, False]
kept = labels.cat.categories.tolist()
counts = labels.value_counts().sort_index().to_dict()
dummies = pd.get_dummies(labels).columns.tolist()
print("pandas", pd.__version__, "categories", kept, "counts", counts, "dummies", dummies)
expected = [0, 1] if pd.__version__.startswith("2.") else [-1, 0, 1]
assert kept == list(counts) == dummies == expected
assert labels.cat.remove_unused_categories().cat.categories.tolist() == [0, 1]
EOF
done

# Seen here:
# pandas 2.3.3 categories [0, 1] counts {0: 1, 1: 2} dummies [0, 1]
# pandas 3.0.0 categories [-1, 0, 1] counts {-1: 0, 0: 1, 1: 2} dummies [-1, 0, 1]
# pandas 3.1.1 categories [-1, 0, 1] counts {-1: 0, 0: 1, 1: 2} dummies [-1, 0, 1]
