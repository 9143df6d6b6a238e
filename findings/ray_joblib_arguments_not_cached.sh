#!/usr/bin/env bash
# Ray 2.60.0 with joblib 1.6.0, Python 3.11 or later.
#
# Ray's backend for joblib has a cache for the arguments of a call: what takes more than 100 bytes is
# put into the object store once, and later calls get a reference. One would expect an object that
# is an argument of all calls, such as the X of a search, to be pickled once. It is pickled again
# for every batch of calls that joblib sends: 24 calls with the same object pickle it more than ten
# times. The cache is only used for joblib's BatchedCalls, and joblib hands these over
# inside a wrapper. Affects who searches on a cluster with a large table: ray.put, or a file that
# all workers map, sends it once.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check 'ray[default]==2.60.0' joblib==1.6.0

cat > calls.py <<'EOF2'
import joblib
import ray
from ray.util.joblib import register_ray


class Table:
    """Notes in a file whenever it is pickled."""

    def __sizeof__(self):
        return 1_000_000

    def __reduce__(self):
        with open("pickled", "a") as file:
            file.write(".")
        return Table, ()


def call(table, number):
    return number


ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
register_ray()
table = Table()
with joblib.parallel_backend("ray", n_jobs=2):
    joblib.Parallel()(joblib.delayed(call)(table, number) for number in range(24))
EOF2
env/bin/python calls.py 2> log.txt || { cat log.txt; exit 1; }
count=$(wc -c < pickled)
echo "one object as an argument of 24 calls: pickled $count times"
test "$count" -gt 5 || { echo "no longer as described"; exit 1; }
