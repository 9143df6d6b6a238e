#!/usr/bin/env bash
# skops 0.16.0 (with scikit-learn 1.9.1 and numpy 2.4.6).
#
# skops.io keeps the attributes of an object, so one would expect those of an instance of a
# subclass of list to be kept too, or dump to refuse it. dumps() takes it without a word and
# writes the items only. loads() then calls the class with the items: with a constructor that
# takes them alone, the instance comes back without its attribute; with a constructor that needs
# more, loads() raises TypeError, long after the model was saved. pickle keeps the attribute in
# both cases. Affects estimators that keep results in a list with names (a value per task or per
# output), as fitted attributes or parameters.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check skops==0.16.0 scikit-learn==1.9.1 numpy==2.4.6

cat > named.py <<'PY'
class Named(list):
    def __init__(self, items, names=()):
        super().__init__(items)
        self.names = tuple(names)

class NamedByAll(list):
    def __init__(self, items, names):
        super().__init__(items)
        self.names = tuple(names)
PY

env/bin/python - <<'PY'
import importlib.metadata
import pickle
import skops.io as sio
from named import Named, NamedByAll

print("skops", importlib.metadata.version("skops"))
outcomes = {}
for cls in (Named, NamedByAll):
    value = cls([2, 5], names=("a", "b"))
    again = pickle.loads(pickle.dumps(value))
    assert (list(again), again.names) == ([2, 5], ("a", "b"))
    content = sio.dumps(value)
    types = sio.get_untrusted_types(data=content)
    try:
        found = sio.loads(content, trusted=types)
        outcomes[cls.__name__] = (type(found).__name__, list(found), found.names)
    except TypeError as error:
        outcomes[cls.__name__] = f"TypeError: {error}"
    print(cls.__name__, types, outcomes[cls.__name__])
assert outcomes["Named"] == ("Named", [2, 5], ())
assert outcomes["NamedByAll"].startswith("TypeError") and "names" in outcomes["NamedByAll"]
print("as described")
PY
