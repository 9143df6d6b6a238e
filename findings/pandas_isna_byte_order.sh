#!/usr/bin/env bash
# pandas 3.1.1, NumPy 2.4.6.
#
# pandas.isna() of a NumPy array of times that is not in the byte order of the machine finds no
# NaT: the result is False everywhere, without a warning. numpy.isnat() and pandas.isna() of a
# Series of the same array find it, and so does isna() of floats in that byte order. Such arrays
# come from structured binary files, such as those of FITS and SAS. Affects whoever masks missing
# values of an array with isna(); a missing time then counts as a time.
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
for kind in ("M8[s]", "M8[ns]", "m8[s]"):
    native = np.array(["NaT", 5], dtype=kind)
    other = native.astype(native.dtype.newbyteorder("S"))
    answers = {
        "isna(native)": pd.isna(native).tolist(),
        "isna(other)": pd.isna(other).tolist(),
        "isnat(other)": np.isnat(other).tolist(),
        "Series(other).isna()": pd.Series(other).isna().tolist(),
    }
    print(other.dtype.str, answers)
    assert answers.pop("isna(other)") == [False, False]
    assert all(answer == [True, False] for answer in answers.values())
floats = np.array([np.nan, 5.0])
assert pd.isna(floats.astype(floats.dtype.newbyteorder("S"))).tolist() == [True, False]
print("as described")
EOF
