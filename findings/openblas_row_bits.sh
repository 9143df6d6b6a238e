#!/usr/bin/env bash
# NumPy 2.4.6 wheel (OpenBLAS 0.3.31, Haswell kernels), float32.
#
# One would expect row i of X @ W to depend on row i of X alone. Its last bits also depend on
# how many rows X has, on the row's place and, for larger products, on OPENBLAS_NUM_THREADS.
# Seen here: all of 256 rows differ between alone and in a batch of 4096, 49 of 97 copies of
# one row differ from the first, and 1 and 2 threads give different bits. Affects whoever
# compares predictions bit for bit. OpenBLAS: rounding, expected (its issue 4947).
# Tiles of a fixed width escape it: W.T @ x with x of shape (n_tiles, K, 16) gives a row the
# same bits in every place and, while 16 * N * K <= 262144 (where OpenBLAS stays with one
# thread), for any number of threads. Skipped where the system or the CPU cannot run it.
set -euo pipefail

if [[ $(uname -s) != Linux || $(uname -m) != x86_64 ]] ||
    ! grep -qw avx2 /proc/cpuinfo || ! grep -qw fma /proc/cpuinfo; then
    echo "skipped: needs Linux on x86-64 with AVX2 and FMA"
    exit 0
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6

cat > rows.py <<'EOF'
import hashlib
import os
import numpy as np

def digest(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:12]

one_thread = os.environ["OPENBLAS_NUM_THREADS"] == "1"
blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
if one_thread:
    print("numpy", np.__version__, blas["name"], blas["version"])
    assert blas["name"] == "scipy-openblas" and blas["version"].startswith("0.3.31")

rng = np.random.default_rng(0)
def normal(*shape):
    return rng.standard_normal(shape, dtype=np.float32)

# 1. Rows of X @ W.
W, X = normal(50, 300), normal(4096, 50)
batch = X @ W
if one_thread:
    alone = np.concatenate([X[i : i + 1] @ W for i in range(256)])
    differ = (alone != batch[:256]).any(axis=1).sum()
    print(differ, "of 256 rows differ between alone and in the batch, by at most",
          np.abs(alone - batch[:256]).max())
    np.testing.assert_allclose(alone, batch[:256], atol=1e-4)
    copies = np.repeat(X[:1], 97, axis=0) @ W
    placed = (copies != copies[0]).any(axis=1).sum()
    print(placed, "of 97 copies of one row differ from the first copy")
    assert differ > 0 and placed > 0

# 2. Tiles of 16 rows, W.T on the left.
tiles = []
for K in (1, 3, 14, 50, 64, 100, 128, 256, 512, 1024):
    for N in (1, 2, 3, 5, 16, 31, 48, 64, 100, 256, 300):
        if 16 * N * K > 262144:
            continue
        W, x = normal(K, N), normal(K)
        equal = W.T @ np.tile(x[:, None], (3, 1, 16))
        assert (equal == equal[:1, :, :1]).all(), (K, N)
        for place in range(16):     # the same row among others, and padded with zeros
            crowd, lonely = normal(2, K, 16), np.zeros((1, K, 16), np.float32)
            crowd[1, :, place] = lonely[0, :, place] = x
            assert ((W.T @ crowd)[1, :, place] == equal[0, :, 0]).all(), (K, N, place)
            assert ((W.T @ lonely)[0, :, place] == equal[0, :, 0]).all(), (K, N, place)
        tiles.append(equal[0, :, 0])
print("threads", os.environ["OPENBLAS_NUM_THREADS"], "batch", digest(batch),
      "tiles", digest(np.concatenate(tiles)))
EOF

run() { OPENBLAS_CORETYPE=Haswell OPENBLAS_NUM_THREADS=$1 env/bin/python rows.py; }
run 1 | tee one
run 2 | tee two
field() { sed -n "s/^threads .*$1 \([0-9a-f]*\).*/\1/p" "$2"; }
[[ -n $(field tiles one) && $(field tiles one) == "$(field tiles two)" ]]
if [[ $(nproc) -ge 2 ]]; then       # OpenBLAS starts no more threads than there are CPUs
    [[ $(field batch one) != "$(field batch two)" ]]
fi
echo "as described"
