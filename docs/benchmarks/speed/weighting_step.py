"""What does a step cost with a method that sees the gradients of the tasks?

Two networks: 617 binary tasks, 12 % of the labels known, 2,048 features, a trunk of 1024-512 and
linear heads; and three tasks of 2, 2 and 7 classes, 64 features, a trunk of 64 and heads with a
hidden layer of 32. Steady steps of a fit, on one thread, with the method and with equal weights in
turn, by the clock and by the seconds of the processor. XLA compiles what it compiles in a fit of at
least 400 steps (`jit_compile="auto"`).

With --torch, methods of TorchJD on the same networks in PyTorch, beside the sum of losses there.

Usage: python docs/benchmarks/speed/weighting_step.py [--repeats 3] [--torch]
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from _networks import Work, import_sk_mtl, make_classifier, make_torch_network
from _timing import Interpreter, milliseconds, parse_options, report, times

MANY = Work(4_096, 2_048, (1024, 512), 256, n_classes=(2,) * 617, labelled=(0.12,) * 617)
THREE = Work(8_192, 64, (64,), 64, (32,), n_classes=(2, 2, 7), labelled=(1.0, 1.0, 0.12))
# Methods, and the setting `every` that is measured beside 1 for many tasks; 0 for none.
METHODS = {
    "gradnorm": 0,
    "graddrop": 0,
    "pcgrad": 16,
    "gradvac": 16,
    "mgda": 16,
    "cagrad": 16,
    "imtl_g": 16,
    "nash_mtl": 16,
    "fairgrad": 16,
    "aligned_mtl": 16,
    "upgrad": 128,
}
OF_TORCHJD = ("PCGrad", "MGDA", "UPGrad")
Seconds = tuple[float, float]  # by the clock, and of the processor


# ------------------------------------------------------------------------------------------------
# sk_mtl
# ------------------------------------------------------------------------------------------------


class SkMtl:
    """The fits of one work, in a process with one thread."""

    def __init__(self, work: Work, epochs: int, *, is_alone: bool):
        if is_alone:
            from _harness import use_one_thread

            use_one_thread()
        import_sk_mtl()
        self.work, self.epochs = work, epochs
        self.X, self.Y = work.make_features(), make_labels(work)

    def step(self, method: str, every: int) -> Seconds:
        """Return the seconds of a step."""
        from sk_mtl.weighting import make_weighting

        weighting = method
        if every > 1:
            of_task = np.ones(len(self.work.n_classes), bool)
            kind = type(make_weighting(method, tuple(self.Y), of_task))
            weighting = kind(every=every)
        # What is measured is a number of whole rounds of steps, each with one solution.
        n_epochs = self.epochs * max(1, every // self.work.n_steps)
        # XLA compiles as in a longer fit.
        with patch("sk_mtl._train.plan._MIN_XLA_STEPS", 0), _EpochClock() as clock:
            make_classifier(self.work, 1 + n_epochs, task_weighting=weighting).fit(self.X, self.Y)
        return clock.per_epoch(self.work.n_steps)


class _EpochClock:
    """Notes when the epochs of a training begin."""

    def __enter__(self) -> _EpochClock:
        from sk_mtl._train import loop

        self._run, self._begin = loop.TrainingRun, loop.TrainingRun.begin_epoch
        self._begins: list[Seconds] = []

        def begin_and_note(run: Any) -> Any:
            self._begins.append(now())
            return self._begin(run)

        self._run.begin_epoch = begin_and_note
        return self

    def __exit__(self, *exception: object) -> None:
        self._run.begin_epoch = self._begin
        self._end = now()

    def per_epoch(self, n_steps: int) -> Seconds:
        """Return the seconds of a step, without those of the first epoch, which compiles."""
        first, last = np.array(self._begins[1]), np.array(self._begins[-1])
        elapsed = (last - first) / (len(self._begins) - 2) / n_steps
        return float(elapsed[0]), float(elapsed[1])


def now() -> Seconds:
    """Return the time by the clock and of the processor."""
    return time.perf_counter(), time.process_time()


def make_labels(work: Work) -> pd.DataFrame:
    """Return labels by chance, missing to the share that is said, each class there."""
    rng = np.random.default_rng(1)
    columns = {}
    for t, (n, share) in enumerate(zip(work.n_classes, work.labelled, strict=True)):
        y = rng.integers(0, n, work.n_rows).astype(float)
        y[rng.random(work.n_rows) >= share] = np.nan
        y[:n] = np.arange(n)
        columns[f"task{t}"] = y
    return pd.DataFrame(columns)


# ------------------------------------------------------------------------------------------------
# PyTorch
# ------------------------------------------------------------------------------------------------


class Torch:
    """Steps of one work in PyTorch, on one thread, by TorchJD or with the sum of the losses."""

    def __init__(self, work: Work):
        import torch

        torch.set_num_threads(1)
        self.work = work
        self.network = make_torch_network(work)
        self.optimizer = torch.optim.Adam(self.network.parameters(), fused=True)
        self.inputs = torch.from_numpy(work.make_features())
        labels = make_labels(work)
        self.labels = torch.from_numpy(labels.fillna(-1).to_numpy(np.int64, copy=True))

    def step(self, method: str, n_steps: int) -> Seconds:
        """Return the seconds of a step, as the median of some after a first one."""
        taken = []
        for number in range(1 + n_steps):
            start = np.array(now())
            self._make_step(method, number)
            taken.append(np.array(now()) - start)
        found = np.median(taken[1:], axis=0)
        return float(found[0]), float(found[1])

    def _make_step(self, method: str, number: int) -> None:
        import torch

        first = number * self.work.batch_size % (self.work.n_rows - self.work.batch_size + 1)
        rows = slice(first, first + self.work.batch_size)
        self.optimizer.zero_grad()
        shared = self.network.trunk(self.inputs[rows])
        if method == "equal":
            torch.stack(self._losses(shared, rows)).sum().backward()
        elif method.startswith("Gramian, "):
            self._step_at_the_representation(method.removeprefix("Gramian, "), shared, rows)
        else:
            self._step_by_mtl_backward(method, shared, rows)
        self.optimizer.step()

    def _losses(self, shared: Any, rows: slice) -> list[Any]:
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        losses = []
        for t, (head, width) in enumerate(zip(self.network.heads, self.work.outputs, strict=True)):
            logits, y = head(shared), self.labels[rows, t]
            known = y >= 0
            if width > 1:
                total = cross_entropy(logits, y, ignore_index=-1, reduction="sum")
            else:
                total = binary_cross_entropy_with_logits(
                    logits[:, 0], y.float(), known.float(), reduction="sum"
                )
            losses.append(total / known.sum().clamp(min=1))
        return losses

    def _step_by_mtl_backward(self, method: str, shared: Any, rows: slice) -> None:
        """Fill gradients in as TorchJD's pages do, from the Jacobian of the shared weights."""
        from torchjd import aggregation
        from torchjd.autojac import jac_to_grad, mtl_backward

        mtl_backward(self._losses(shared, rows), features=shared)
        jac_to_grad(self.network.trunk.parameters(), getattr(aggregation, method)())

    def _step_at_the_representation(self, method: str, shared: Any, rows: slice) -> None:
        """Fill gradients in from the Gram matrix at the representation, as sk_mtl does."""
        import torch
        from torchjd import aggregation

        read = shared.detach().requires_grad_()
        losses = self._losses(read, rows)
        by_task = [torch.autograd.grad(loss, read, retain_graph=True)[0] for loss in losses]
        jacobian = torch.stack([g.flatten() for g in by_task])
        weights = getattr(aggregation, f"{method}Weighting")()(jacobian @ jacobian.T)
        of_shared = torch.zeros_like(read)
        for weight, gradient in zip(weights, by_task, strict=True):
            of_shared += weight * gradient
        torch.stack(losses).sum().backward(inputs=list(self.network.heads.parameters()))
        shared.backward(of_shared)


# ------------------------------------------------------------------------------------------------
# In turn
# ------------------------------------------------------------------------------------------------


_PREPARED: dict[str, Any] = {}


def prepare(kind: str, work: Work, *more: Any) -> None:
    """Make what measures a work, in this process."""
    _PREPARED[kind] = Torch(work) if kind == "torch" else SkMtl(work, more[0], is_alone=more[1])


def measure(kind: str, *arguments: Any) -> Seconds:
    """Return the seconds of a step, by what was prepared in this process."""
    return _PREPARED[kind].step(*arguments)


def compare(
    plain: Callable[[], Seconds], other: Callable[[], Seconds], repeats: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the seconds of both, (repeats, 2) each, measured in turn."""
    found: list[list[Seconds]] = [[], []]
    for repeat in range(repeats):
        for number in (0, 1) if repeat % 2 == 0 else (1, 0):
            found[number].append((plain, other)[number]())
    return np.array(found[0]), np.array(found[1])


def of_torchjd(work: Work) -> list[str]:
    """Return the methods of TorchJD, by the Jacobian of the trunk or the Gram matrix in front."""
    gramian = [f"Gramian, {method}" for method in OF_TORCHJD]
    # For 617 tasks, the Jacobian of 2.6 million weights would take 6.5 GB; and UPGrad solves 617
    # problems one after the other.
    return gramian[:2] if len(work.n_classes) > 100 else [*OF_TORCHJD, *gramian]


def make_row(name: str, every: str, both: tuple[np.ndarray, np.ndarray], asked: str) -> list[str]:
    """Return a row of the table."""
    plain, other = both
    return [
        name,
        every,
        milliseconds(plain[:, 1]),
        milliseconds(other[:, 1]),
        times(other[:, 0], plain[:, 0]),
        times(other[:, 1], plain[:, 1]),
        asked,
    ]


def measure_work(name: str, work: Work, options: Any, epochs: int) -> list[list[str]]:
    """Return the rows of a work."""
    rows = []
    is_many = len(work.n_classes) > 3
    asked = "≤ 1.15" if is_many else "≤ 1.5"
    with ExitStack() as stack:
        sk_mtl = stack.enter_context(Interpreter(quick=options.quick))
        sk_mtl.call(prepare, "sk_mtl", work, epochs, not options.quick)
        methods = ["pcgrad"] if options.quick else METHODS
        for method in methods:
            for every in (1, METHODS[method]) if is_many and METHODS[method] else (1,):
                both = compare(
                    lambda: sk_mtl.call(measure, "sk_mtl", "equal", 1),
                    lambda m=method, e=every: sk_mtl.call(measure, "sk_mtl", m, e),
                    options.repeats,
                )
                rows.append(make_row(f"sk_mtl, {method}", str(every), both, asked))
                print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
        if options.torch:
            torch = stack.enter_context(Interpreter(quick=options.quick))
            torch.call(prepare, "torch", work)
            n_steps = 1 if is_many else 50
            for method in of_torchjd(work):
                both = compare(
                    lambda: torch.call(measure, "torch", "equal", n_steps),
                    lambda m=method: torch.call(measure, "torch", m, n_steps),
                    options.repeats,
                )
                rows.append(make_row(f"TorchJD, {method}", "1", both, ""))
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options: Any = parse_options(__doc__, argv, 3, torch="TorchJD in PyTorch, too")
    works = {
        "617 tasks": (MANY, 2),
        "3 tasks": (replace(THREE, n_rows=64_000), 5),
    }
    if options.quick:
        few = replace(MANY, n_rows=64, n_features=8, hidden=(8, 4), batch_size=32)
        few = replace(few, n_classes=(2,) * 5, labelled=(0.5,) * 5)
        works = {"617 tasks": (few, 2), "3 tasks": (replace(THREE, n_rows=128), 2)}
    parts: list[Any] = []
    for name, (work, epochs) in works.items():
        rows = measure_work(name, work, options, epochs)
        header = [name, "every", "without, ms", "with, ms", "by the clock", "by the processor"]
        parts.append(([*header, "asked"], rows))
    if options.torch:
        parts.append(f"TorchJD {importlib.metadata.version('torchjd')}.")
    report(__file__, options, parts)


if __name__ == "__main__":
    main()
