"""Every strategy trains as far with tasks that most batches lack as with all of them."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss

from sk_mtl import MultiTaskClassifier
from sk_mtl._train.batching import RandomOrder
from sk_mtl.weighting import GradientWeighting
from sk_mtl.weighting._make import WEIGHTING_NAMES

N_BATCHES, N_COPIES = 10, 8


def make_batch():
    """Return the rows of a batch: 16 points, each eight times, and labels that differ in one."""
    # The least loss of each task is 0.3768, the entropy of one in eight; that of a constant is
    # log 2. A linear function of the points is no better than a constant.
    values = np.array([-1.5, -0.5, 0.5, 1.5])
    points = np.stack(np.meshgrid(values, values), axis=-1).reshape(-1, 2)
    first, second = points.T
    is_outer = np.abs(first) > 1, np.abs(second) > 1
    labels = np.stack([first * second > 0, *is_outer, is_outer[0] != is_outer[1]], axis=1)
    X, Y = (np.repeat(part, N_COPIES, axis=0) for part in (points, labels))
    Y[::N_COPIES] = ~Y[::N_COPIES]
    return X, Y.astype(float)


X, Y = make_batch()
ROWS = np.arange(N_BATCHES * len(X)).reshape(N_BATCHES, len(X))
# The batches in which the last two of the four tasks have labels.
LABELLED = {"all": (range(N_BATCHES), range(N_BATCHES)), "same": ([0], [0]), "apart": ([0], [1])}


def loss_of(strategy, labelled):
    """Return the mean loss of all tasks, on the full rows, after a training on batches."""
    labels = np.tile(Y, (N_BATCHES, 1))
    for task, batches in enumerate(LABELLED[labelled], start=2):
        lacking = np.setdiff1d(np.arange(N_BATCHES), batches)
        labels[ROWS[lacking], task] = np.nan
    clf = MultiTaskClassifier(
        (16, 16), task_weighting=strategy, loss_normalization="tasks", epochs=300,
        batch_size=len(X), optimizer__learning_rate=0.03, early_stopping=False,
        numeric_embedding=None, jit_compile=False, random_state=0,
    ).fit(np.tile(X, (N_BATCHES, 1)), labels)  # fmt: skip
    return np.mean([log_loss(Y[:, t], p) for t, p in enumerate(clf.predict_proba(X))])


@functools.cache
def loss_with_all(name):
    return loss_of(name, "all")


@pytest.fixture(autouse=True)
def order_of_batches(monkeypatch):
    """Shuffle the batches and leave their rows together."""
    monkeypatch.setattr(RandomOrder, "draw", lambda order, rng: rng.permutation(ROWS).ravel())


@pytest.mark.slow
@pytest.mark.release_except("apart-pcgrad", "apart-mgda", "same-gls")
@pytest.mark.parametrize("name", WEIGHTING_NAMES)
@pytest.mark.parametrize("labelled", ["same", "apart"])
def test_half_of_the_tasks_absent_in_nine_of_ten_batches_cost_five_percent_at_most(labelled, name):
    """All batches have the same rows; half of the tasks have labels in one of ten.

    The rows of the batch that has the labels are as informative as those of all ten, and their
    gradient vanishes where that of all does. What is compared is thus the absence alone: a tenth of
    the steps for the absent tasks, and what a strategy does in the others. Both trainings make
    equally many steps. In "same", the labels of both tasks are in one batch, so that nine of ten
    batches lack both of them. In "apart", they are in two, so that no batch at all has all tasks.
    """
    assert loss_with_all(name) < 0.39
    assert loss_of(name, labelled) < 1.05 * loss_with_all(name)


class StopsForAbsentTasks(GradientWeighting):
    """Gives all weight to gradients of zero, as the shortest mean of gradients does."""

    def weigh(self, batch, state):
        return tf.fill(tf.shape(batch.means), tf.cast(tf.reduce_all(batch.present), tf.float32)), {}

    def weights(self, state, n_tasks):
        return np.ones(n_tasks, np.float32)


@pytest.mark.slow
def test_shared_layers_that_stand_still_for_absent_tasks_would_be_found():
    assert loss_of(StopsForAbsentTasks(), "apart") > 1.1 * loss_with_all("equal")
