#!/usr/bin/env bash
# TorchJD 0.18.0 (with PyTorch 2.13.0).
#
# The geometric mean of the losses of several tasks is meant to bring these to one scale, so one
# would expect tasks that share no weights to end where they end with the plain mean. With batches of
# 32 rows and a class of 4 %, they do not: the probability that three models of an intercept learn is
# .012 where the rate is .037, and .20 where it is .21; with batches of 256 it is .036 and .21. The
# mean of the logarithms of the batches' losses is not the logarithm of their mean, and a batch
# without the rare class lowers it without bound. So it is with every method that takes logarithms of
# the losses of batches; TorchJD's code does what the papers say.
# Way out: large batches, or weights from a moving average of the losses.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check torchjd==0.18.0 torch==2.13.0 numpy==2.4.6

env/bin/python -W ignore - <<'PY'
import importlib.metadata

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchjd.scalarization import GeometricMean, Mean

torch.set_num_threads(1)
N_ROWS = 8_000
y = torch.rand(N_ROWS, 3, generator=torch.Generator().manual_seed(0))
y = (y < torch.tensor([0.04, 0.2, 0.5])).float()


def learn(scalarizer, batch_size):
    """Return the probabilities of three models of an intercept, after 3,000 steps of Adam."""
    order = torch.Generator().manual_seed(1)
    intercepts = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([intercepts], lr=0.01)
    for _ in range(-(-3_000 * batch_size // N_ROWS)):
        for rows in torch.randperm(N_ROWS, generator=order).split(batch_size):
            logits = intercepts.expand(len(rows), 3)
            losses = binary_cross_entropy_with_logits(logits, y[rows], reduction="none").mean(0)
            optimizer.zero_grad()
            scalarizer(losses).backward()
            optimizer.step()
    return intercepts.sigmoid().detach()


print("TorchJD", importlib.metadata.version("torchjd"))
rates = y.mean(0)
print("rates", rates)
found = {}
for scalarizer in (Mean(), GeometricMean()):
    for batch_size in (32, 256):
        name = f"{type(scalarizer).__name__}, {batch_size}"
        found[name] = learn(scalarizer, batch_size) / rates
        print(name, "learned / rate", found[name])
assert (abs(found["Mean, 32"] - 1) < 0.1).all()
assert (abs(found["Mean, 256"] - 1) < 0.1).all()
assert found["GeometricMean, 32"][0] < 0.5
assert found["GeometricMean, 256"][0] > 0.85
PY
echo "as described"
