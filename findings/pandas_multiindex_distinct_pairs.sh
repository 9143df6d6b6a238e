#!/usr/bin/env bash
# pandas 3.1.1, NumPy 2.4.6.
#
# MultiIndex.from_tuples() refuses pairs that are all different, with "Categorical categories must
# be unique", where integers above 2**53 stand beside a float: the second level becomes float64,
# which rounds two of them to one number. With one such integer there is no error, and the level
# holds another number. A boolean among the values, or dtype=object, keeps all of them. Affects
# tables whose columns are (target, class) pairs, such as one column per class of several
# classifiers, if one has identifiers as classes and another 0.0 and 1.0.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pandas==3.1.1 numpy==2.4.6

env/bin/python - <<'EOF'
import numpy as np
import pandas as pd

print("pandas", pd.__version__, "numpy", np.__version__)
ids = [2**60 + 1, 2**60 + 2]
pairs = [("sold", 0.0), ("sold", 1.0), ("shop", ids[0]), ("shop", ids[1])]
assert len(set(pairs)) == 4
try:
    pd.MultiIndex.from_tuples(pairs)
except ValueError as error:
    print("from_tuples:", error)
    assert "must be unique" in str(error)
else:
    raise AssertionError("no error")

one = pd.MultiIndex.from_tuples(pairs[:3])
print("with one identifier:", list(one))
assert list(one) != pairs[:3]

names, classes = zip(*pairs)
kept = pd.MultiIndex.from_arrays([names, pd.Index(classes, dtype=object)])
assert list(kept) == pairs
print("as described")
EOF
