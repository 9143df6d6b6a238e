#!/usr/bin/env bash
# scikit-learn 1.9.1 with SciPy 1.17.1 and pandas 3.1.1.
#
# sklearn.base holds BaseEstimator and the mixins, so one would expect importing it to be
# light. It imports scipy.stats (sklearn/utils/fixes.py, for one helper around the mode),
# scipy.special and, where it is installed, pandas, of which that module uses nothing.
# Seen here: some 1100 modules without pandas, 1400 with it, 0.5 to 1.2 seconds on two
# cores; scipy and pandas are more than half of the modules.
# This is the least start time of every scikit-learn-compatible estimator, and of each
# worker process that unpickles one, whatever it imports lazily itself.
# Known: scikit-learn pull request 34265 (merged in June 2026) defers these; 1.9.1 lacks it.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
install() { env/bin/pip install --quiet --disable-pip-version-check "$@"; }

cat > count.py <<'EOF'
import sys
import time

before = len(sys.modules)
start = time.perf_counter()
import sklearn.base
seconds = time.perf_counter() - start

packages = [name.partition(".")[0] for name in sys.modules]
share = {name: packages.count(name) for name in ("scipy", "pandas", "numpy", "sklearn")}
print("scikit-learn", sklearn.__version__, f"{seconds:.2f} s", before, "modules before,",
      len(packages), "after:", share)
assert "scipy.stats" in sys.modules and "scipy.special" in sys.modules
assert ("pandas" in sys.modules) == (sys.argv[1] == "pandas")
if sys.argv[1] == "pandas":
    assert share["scipy"] + share["pandas"] > len(packages) / 2
EOF

install scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
env/bin/python count.py none        # compiles and caches the files, too
env/bin/python count.py none
install pandas==3.1.1
env/bin/python count.py pandas
env/bin/python count.py pandas
echo "as described"
