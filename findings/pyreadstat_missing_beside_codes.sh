#!/usr/bin/env bash
# pyreadstat 1.3.7 and 1.2.8 (with pandas 2.3.3 and NumPy 2.3.5).
#
# read_dta(user_missing=True) keeps Stata's codes .a to .z as the letters "a" to "z", and one would
# expect a cell with the ordinary missing value "." to stay missing. In a column of integers that
# also has codes, it comes back as a number: 9221120237041090560 where this was run, 0 and others
# elsewhere. Without user_missing, in columns of doubles, and by pandas, the same cell is missing. So
# the file is right, and the number was never in it.
# Concerns surveys in which "not asked" is "." and "refused" is ".a".
# Way out: read the table a second time with user_missing=False; what is missing there, and has no
# letter here, is missing.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env

for version in 1.3.7 1.2.8; do
    env/bin/pip install --quiet --disable-pip-version-check \
        "pyreadstat==$version" pandas==2.3.3 numpy==2.3.5
    env/bin/python - <<'PY'
import pandas as pd
import pyreadstat

print("pyreadstat", pyreadstat.__version__)
cells = [1, "a", None, 2]
table = pd.DataFrame(
    {
        "asked": pd.Series(cells, dtype=object),
        "income": pd.Series([1.0, "a", None, 2.0], dtype=object),
    }
)
pyreadstat.write_dta(table, "survey.dta", missing_user_values={name: ["a"] for name in table})

by_pandas = pd.read_stata("survey.dta")
assert by_pandas["asked"].isna().tolist() == [False, True, True, False]
without, _ = pyreadstat.read_dta("survey.dta")
assert without["asked"].isna().tolist() == [False, True, True, False]

with_codes, _ = pyreadstat.read_dta("survey.dta", user_missing=True)
print(with_codes)
assert with_codes["asked"].tolist()[1] == with_codes["income"].tolist()[1] == "a"
assert pd.isna(with_codes["income"][2])
assert not pd.isna(with_codes["asked"][2])
PY
done
echo "as described"
