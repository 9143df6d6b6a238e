"""A pack: trainings of one shape, side by side in one compiled program.

Owns how the values and rows of several trainings become those of one call. A training that ends
leaves its place to the next one that waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from sk_mtl._compat.interrupts import interrupts_deferred
from sk_mtl._train.callbacks import release_callbacks, wants_batches
from sk_mtl._train.feeding import Feed, count
from sk_mtl._train.logs import training_logs, validation_logs
from sk_mtl._train.loop import Job, NonFiniteLossError, TrainingResult, TrainingRun
from sk_mtl._train.program import Snapshot, TrainingProgram
from sk_mtl._train.replicas import naming_lost_workers
from sk_mtl._train.validation import Validation
from sk_mtl._train.values import Values, member_of, stack

__all__ = ["Pack"]

_CELLS = 2**20  # of X of the steps of a call that XLA does not compile


class Pack:
    """Trainings that take turns on the places of one call."""

    def __init__(self, program: TrainingProgram, waiting: deque[tuple[int, Job]], n_members: int):
        self.program = program
        self.n_members = n_members
        self.validates = any(job.validation is not None for _, job in waiting)
        self._waiting = waiting
        config = program.config
        self._shape = (config.spec.n_inputs, len(config.spec.n_outputs))
        self._is_filled = bool(config.xla_batch_size)
        self._runs: dict[int, TrainingRun] = {}  # by place
        self._numbers: dict[int, int] = {}
        # Of all places, as the program takes them.
        self._values: tuple[Any, ...] = ()
        self._rates: tuple[Any, ...] = ()
        self._feed: Feed | None = None
        self._validation: Validation | None = None

    def results(
        self, must_stop: threading.Event | None = None
    ) -> Iterator[tuple[int, TrainingResult | Exception]]:
        """Train until nothing waits; yield each training's number and result."""
        try:
            with naming_lost_workers(self.program.config.replicas, self._last_epoch):
                while must_stop is None or not must_stop.is_set():
                    yield from self._take_places()
                    if not self._runs:
                        return
                    self._make_steps()
                    yield from self._end_epochs()
        finally:
            for run in self._runs.values():
                run.close()

    # --------------------------------------------------------------------------------------------
    # Places
    # --------------------------------------------------------------------------------------------

    def _take_places(self) -> Iterator[tuple[int, TrainingResult | Exception]]:
        """Give the free places to trainings that wait; yield those that had no epoch left."""
        members = None
        for place in range(self.n_members):
            while place not in self._runs:
                try:
                    number, job = self._waiting.popleft()
                except IndexError:
                    break
                run = self._begin(job)
                if run.is_done:
                    last = Snapshot(self.program, stack([run.values]), 0, None)
                    yield number, self._finish(run, last)
                    continue
                if members is None:
                    members = self._members()
                members[place] = (run.values, run.rates)
                self._runs[place], self._numbers[place] = run, number
        if members is not None:
            self._place(members)

    def _last_epoch(self) -> int:
        return max((run.epoch_number for run in self._runs.values()), default=0)

    def _begin(self, job: Job) -> TrainingRun:
        try:
            return TrainingRun(job, self.program)
        except BaseException:  # of a callback, which must not keep the model
            release_callbacks(job.plan.parts)
            raise

    def _members(self) -> list[Any]:
        """Return the values and rates of each place, as arrays; None for one never taken."""
        if not self._values:
            return [None] * self.n_members
        return [
            (member_of(self._values, k), member_of(self._rates, k)) for k in range(self.n_members)
        ]

    @interrupts_deferred()
    def _place(self, members: list[Any]) -> None:
        # A place that nobody needs has anybody's values, which stay as they are.
        anybody = next(member for member in members if member is not None)
        members = [anybody if member is None else member for member in members]
        self._values, self._rates = (stack(parts) for parts in zip(*members, strict=True))
        subsets = {place: run.job.validation for place, run in self._runs.items()}
        in_places = [subsets.get(place) for place in range(self.n_members)]
        self._validation = Validation(self.program, in_places)

    def _finish(self, run: TrainingRun, last: Snapshot) -> TrainingResult | Exception:
        try:
            return run.result(last)
        except NonFiniteLossError as error:
            return error
        finally:
            run.close()

    # --------------------------------------------------------------------------------------------
    # Steps and epochs
    # --------------------------------------------------------------------------------------------

    def _end_epochs(self) -> Iterator[tuple[int, TrainingResult | Exception]]:
        """End the epoch of each training that has made its steps; yield those that end with it."""
        ended = [(place, run) for place, run in self._runs.items() if run.is_epoch_over]
        values = self._values
        losses: list[np.ndarray] = []
        if self._validation and any(run.job.validation is not None for _, run in ended):
            losses = self._validation.sum_losses(values, self._rates)
        for place, run in ended:
            plan, logs = run.job.plan, self._training_logs(run, place)
            if run.job.validation is not None:
                logs |= validation_logs(plan.run, [part[place] for part in losses])
            logs = self.program.config.replicas.agree(logs)
            rate = plan.run.learning_rate
            snapshot = Snapshot(self.program, values, place, rate)
            try:
                of_callbacks = run.end_epoch(snapshot, logs)
            except NonFiniteLossError as error:
                run.close()
                del self._runs[place]
                yield self._numbers[place], error
                continue
            if of_callbacks is not None:
                self._values = stack([self.program.values.join(of_callbacks)])
                snapshot = Snapshot(self.program, self._values, 0, rate)
            run.is_done = self.program.config.replicas.share(run.is_done)
            if run.is_done:
                del self._runs[place]
                yield self._numbers[place], self._finish(run, snapshot)

    def _make_steps(self) -> None:
        """Make the next steps of each training: as many as one call takes."""
        runs = list(self._runs.values())
        for run in runs:
            if run.is_epoch_over and run.has_callbacks:
                with self._shown_weights():
                    run.begin_epoch()
            elif run.is_epoch_over:
                run.begin_epoch()
        if wants_batches(runs[0].job.plan.parts.callbacks):
            self._make_watched_step(runs[0])
        else:
            self._call(runs[0].job.plan.run.batch_size)

    def _make_watched_step(self, run: TrainingRun) -> None:
        """Make a step of the only training, between the callbacks of a batch."""
        program, number = self.program, run.position // run.job.plan.run.batch_size
        with self._shown_weights():
            run.callbacks.on_train_batch_begin(number)
        self._call(run.job.plan.run.batch_size, is_single=True)
        with self._shown_weights():
            run.callbacks.on_train_batch_end(number, self._training_logs(run, 0))
        if program.config.replicas.share(program.model.stop_training):
            run.position = len(run.rows)

    @contextmanager
    def _shown_weights(self) -> Iterator[None]:
        """Let the model hold the only training's weights in a `with` block, and take them back."""
        program = self.program
        values = self._values_of(0)
        program.show(values, predicts=False)
        yield
        changed = program.take_back(values, predicts=False)
        self._values = stack([program.values.join(changed)])

    def _values_of(self, place: int) -> Values:
        """Return a copy of the values of a place."""
        return self.program.values.split(member_of(self._values, place))

    def _call(self, batch_size: int, *, is_single: bool = False) -> None:
        """Make steps in one call of the program, or a single one."""
        runs = list(self._runs.values())
        left = max(len(run.rows) - run.position for run in runs)
        n_rows = batch_size
        if self._is_filled:
            n_steps = self.program.steps_per_call(self.n_members)
        else:
            # A last batch that is smaller has a call of its own.
            n_steps = min(max(_CELLS // (batch_size * self._shape[0]), 1), left // batch_size)
            if not n_steps:
                n_steps, n_rows = 1, left
            n_steps = 1 if is_single else n_steps
        if self.program.config.replicas.number > 1:
            self._call_parts(runs[0], n_steps, n_rows)
            return
        feed = self._feed_for(n_steps, n_rows, runs[0].job.plan.run.unlabelled_batch_size)
        n_wanted, n_made = (1 if is_single else n_steps) * n_rows, 0
        for place in range(self.n_members):
            run = self._runs.get(place)
            if run is None:
                feed.skip(place)
                continue
            training = run.job.training
            rows = run.rows[run.position : run.position + n_wanted]
            feed.fill(place, *training.take(rows))
            if run.shows_labels:
                feed.show(place, run.draw_shown(rows), self.program.config.spec)
            if self.program.weighting.reads_epoch:
                feed.tell_epoch(place, run.epoch_number)
            n_used = -(-len(rows) // n_rows)
            if run.unlabelled is not None:
                first = run.position // batch_size
                feed.fill_unlabelled(place, training.X, run.unlabelled, first, n_used)
            n_made = max(n_made, n_used)
        self._values, sums = self.program.run(self.n_members)(
            self._values, self._rates, feed.place(), count(n_made)
        )
        by_member = [part.numpy() for part in sums]
        for place, run in self._runs.items():
            run.note_steps([part[place] for part in by_member], n_wanted)

    def _call_parts(self, run: TrainingRun, n_steps: int, n_rows: int) -> None:
        """Make steps of the only training, of whose rows this worker has a part."""
        replicas, parts = self.program.config.replicas, []
        rows = run.rows[run.position : run.position + n_steps * n_rows]
        shown = run.draw_shown(rows) if run.shows_labels else None
        numbers = np.arange(len(rows)).reshape(n_steps, n_rows)
        for device in range(replicas.n_devices):
            part = replicas.part(n_rows, device)
            own = numbers[:, part].ravel()
            # A part without rows has one that counts nowhere.
            feed = self._feed_for(n_steps, max(part.stop - part.start, 1), 0)
            if len(own):
                feed.fill(0, *run.job.training.take(rows[own]))
            else:
                feed.skip(0)
            if shown is not None and len(own):
                feed.show(0, shown.take(own), self.program.config.spec)
            if self.program.weighting.reads_epoch:
                feed.tell_epoch(0, run.epoch_number)
            first_row = tf.fill((1, n_steps), part.start)
            parts.append(feed.place()._replace(first_row=first_row))
        self._values, sums = self.program.run(1)(self._values, self._rates, parts, count(n_steps))
        run.note_steps([part.numpy()[0] for part in sums], n_steps * n_rows)

    def _feed_for(self, n_steps: int, n_rows: int, n_unlabelled: int) -> Feed:
        """Return arrays of a shape, again those of the last call if they have it."""
        has_epoch = self.program.weighting.reads_epoch
        shape = (self.n_members, n_steps, n_rows, *self._shape, n_unlabelled, has_epoch)
        if self._feed is None or self._feed.shape != shape:
            self._feed = Feed(*shape)
        return self._feed

    def _training_logs(self, run: TrainingRun, place: int) -> dict[str, float]:
        """Return the training losses of the epoch so far."""
        plan = run.job.plan
        is_fixed = plan.parts.weighting.program_key() == "fixed"
        state = {} if is_fixed else self.program.read_weighting(self._values_of(place))
        n_steps = -(-run.position // plan.run.batch_size)
        return training_logs(plan, state, run.sums, n_steps)
