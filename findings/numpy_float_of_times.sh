#!/usr/bin/env bash
# NumPy 2.4.6.
#
# An object array of datetime64 becomes an array of floats without a word: each cell the number
# of its own unit, so that the same day is 18262, 1.577e15 or 1.577e18, side by side. float() of
# the same cell raises TypeError for "us" and "D", and gives the number for "ns", whose item()
# is an int. (datetime objects and pandas' Timestamp raise TypeError in both.)
# Whoever converts objects to numbers, as scikit-learn's check_array does, fits such numbers.
# Seen here: [1.57783680e+18 1.57783680e+15 1.82620000e+04].
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6

cat > times.py <<'EOF'
import numpy as np

units = ["ns", "us", "D"]
cells = np.empty(len(units), dtype=object)
cells[:] = [np.datetime64("2020-01-01", unit) for unit in units]
assert cells[0] == cells[1] == cells[2]
found = cells.astype(float)
print("NumPy", np.__version__, found)
seconds = 1577836800
assert found.tolist() == [seconds * 1e9, seconds * 1e6, seconds / 86400]
for cell, is_taken in zip(cells, [True, False, False]):
    try:
        number = float(cell)
    except TypeError:
        number = None
    assert number == (seconds * 1e9 if is_taken else None)
assert type(np.ones(1, "M8[ns]").astype(object)[0]) is int
EOF
env/bin/python times.py
echo "as described"
