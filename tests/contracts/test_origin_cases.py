"""The two questions that this package comes from, to the letter.

(a) Three heads, the third labelled for 12 % of the rows, batches of eight: a mean over the labelled
rows of a batch that has none is 0/0. (b) A Keras model with labels of -1 where they are unknown,
sample weights and a validation split.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sk_mtl import MultiTaskClassifier
from sk_mtl.losses import (
    MaskedBinaryAccuracy,
    MaskedBinaryCrossentropy,
    MaskedCategoricalAccuracy,
    MaskedCategoricalCrossentropy,
    MaskedSparseCategoricalAccuracy,
    MaskedSparseCategoricalCrossentropy,
)
from sk_mtl.weighting import TaskWeighting

# --------------------------------------------------------------------------- (a) three heads

N_ROWS, BATCH_SIZE, COVERAGE = 400, 8, 0.12
SEED_OF_ORDER = 9  # one whose first batches have labels


@pytest.fixture(scope="module")
def three_tasks():
    """Return X, and labels of a binary, a binary and a task of seven classes, which is rare."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, 6)).astype(np.float32)
    score = X[:, 0] + X[:, 1]
    seven = np.searchsorted(np.quantile(score, np.arange(1, 7) / 7), score)
    Y = np.stack([score > 0, X[:, 0] > X[:, 1], seven], axis=1).astype(float)
    Y[rng.permutation(N_ROWS)[round(COVERAGE * N_ROWS) :], 2] = np.nan
    return X, Y


def train_as_the_question_had_it(X, Y, learns_weights):
    """Train one epoch with `boolean_mask` and `reduce_mean` for the third task.

    Returned are the objective of each step, which steps had a label of the third task, the weights
    of the network and the log-variances of the tasks.
    """

    def dense(units, seed, activation=None):
        init = keras.initializers.GlorotUniform(seed=seed)
        return keras.layers.Dense(units, activation=activation, kernel_initializer=init)

    inputs = keras.Input((X.shape[1],))
    trunk = dense(16, 0, "tanh")(inputs)
    model = keras.Model(inputs, [dense(1, 1)(trunk), dense(1, 2)(trunk), dense(7, 3)(trunk)])
    log_variance = keras.Variable(np.zeros(3, np.float32))
    variables = [*model.trainable_variables, *([log_variance] if learns_weights else [])]
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            losses = [
                tf.reduce_mean(
                    keras.ops.binary_crossentropy(y[:, t : t + 1], outputs[t], from_logits=True)
                )
                for t in (0, 1)
            ]
            labelled = ~tf.math.is_nan(y[:, 2])
            codes = tf.cast(tf.boolean_mask(y[:, 2], labelled), tf.int32)
            logits = tf.boolean_mask(outputs[2], labelled)
            losses.append(
                tf.reduce_mean(
                    tf.nn.sparse_softmax_cross_entropy_with_logits(labels=codes, logits=logits)
                )
            )
            s = log_variance.value
            objective = tf.reduce_sum(tf.exp(-s) * tf.stack(losses) + 0.5 * s)
        optimizer.apply(tape.gradient(objective, [v.value for v in variables]), variables)
        return objective

    order = np.random.default_rng(SEED_OF_ORDER).permutation(len(X)).reshape(-1, BATCH_SIZE)
    objectives = [float(step(X[rows], Y[rows].astype(np.float32))) for rows in order]
    has_label = ~np.isnan(Y[order, 2]).all(axis=1)
    return np.array(objectives), has_label, model.get_weights(), log_variance.numpy()


def test_objective_as_the_question_had_it_is_nan_at_every_batch_without_labels(three_tasks):
    objectives, has_label, weights, _ = train_as_the_question_had_it(
        *three_tasks, learns_weights=False
    )
    assert 0.25 < np.mean(~has_label) < 0.45  # (1 - 0.12)^8 = 0.36 of the batches
    np.testing.assert_array_equal(np.isnan(objectives), ~has_label)
    # The gradient of a mean of nothing reaches nothing, so that only what is reported is NaN;
    assert all(np.isfinite(w).all() for w in weights)
    assert np.isnan(objectives.mean())


def test_network_as_the_question_had_it_becomes_nan_with_learned_task_weights(three_tasks):
    # until something multiplies the NaN: the task weight is lost, and the network with it.
    objectives, has_label, weights, log_variance = train_as_the_question_had_it(
        *three_tasks, learns_weights=True
    )
    first_empty = int(np.argmin(has_label))
    assert first_empty > 0
    assert np.isfinite(objectives[:first_empty]).all()
    assert np.isnan(objectives[first_empty:]).all()
    assert np.isnan(log_variance[2])
    assert all(np.isnan(w).any() for w in weights)


def make_three_heads(**params):
    settings = {"hidden_layer_sizes": (16,), "batch_size": BATCH_SIZE, "random_state": 0}
    return MultiTaskClassifier(**settings, optimizer__learning_rate=1e-2, **params)


@pytest.mark.slow_except("uncertainty")
@pytest.mark.parametrize("task_weighting", ["equal", "uncertainty"])
def test_estimator_trains_without_nan_through_batches_without_labels(three_tasks, task_weighting):
    X, Y = three_tasks
    clf = make_three_heads(epochs=15, task_weighting=task_weighting).fit(X, Y)
    assert all(np.isfinite(values).all() for values in clf.history_.values())
    assert all(np.isfinite(w).all() for w in clf.model_.get_weights())
    assert [p.shape for p in clf.predict_proba(X)] == [(400, 2), (400, 2), (400, 7)]
    hits = clf.predict(X) == Y
    labelled = ~np.isnan(Y)
    accuracy = hits.sum(axis=0) / labelled.sum(axis=0)
    assert (accuracy > [0.9, 0.9, 0.6]).all()  # the constant predictors have 0.5, 0.5, 0.2
    assert ((clf.task_weights_ > 0.1) & (clf.task_weights_ < 100)).all()
    assert (clf.task_weights_ == 1).all() == (task_weighting == "equal")


def test_a_third_of_the_batches_of_the_estimator_have_no_label_of_the_third_task(three_tasks):
    class CountAbsences(TaskWeighting):
        def initial_state(self, n_tasks):
            return {"absences": np.zeros(n_tasks, np.float32)}

        def combine(self, task_losses, present, state):
            absent = keras.ops.cast(~present, "float32")
            return keras.ops.sum(task_losses), {"absences": state["absences"] + absent}

        def weights(self, state, n_tasks):
            return state["absences"]

    clf = make_three_heads(epochs=4, task_weighting=CountAbsences()).fit(*three_tasks)
    shares = clf.task_weights_ / (4 * N_ROWS / BATCH_SIZE)
    assert shares[:2].tolist() == [0, 0]
    assert 0.25 < shares[2] < 0.45


# ------------------------------------------------------------------- (b) labels of -1 in Keras

N_CLASSES, N_TRAINING = 4, 80  # of 100 rows, validation_split=0.2 takes the last 20
EPOCHS = 10


@pytest.fixture(scope="module")
def four_classes():
    """Return X, labels of which a third is -1, and a weight per row."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 5)).astype(np.float32)
    y = 2 * (X[:, 0] > 0) + (X[:, 1] > 0)
    y = np.where(rng.random(100) < 0.35, -1, y)
    return X, y, rng.uniform(0.5, 2, size=100).astype(np.float32)


def make_functional_model(n_outputs, activation):
    inputs = keras.Input((5,))
    draws = (keras.initializers.GlorotUniform(seed=seed) for seed in (0, 1))
    hidden = keras.layers.Dense(8, activation="tanh", kernel_initializer=next(draws))(inputs)
    outputs = keras.layers.Dense(n_outputs, activation=activation, kernel_initializer=next(draws))
    return keras.Model(inputs, outputs(hidden))


# Per form: labels from codes with -1, the losses with and without a mask, and the accuracies.
KERAS_MEAN = {"reduction": "mean_with_sample_weight"}
FORMS = {
    "sparse": (
        lambda codes: codes,
        lambda: MaskedSparseCategoricalCrossentropy(ignore_class=-1),
        lambda: MaskedSparseCategoricalAccuracy(ignore_class=-1),
        lambda: keras.losses.SparseCategoricalCrossentropy(**KERAS_MEAN),
        lambda: keras.metrics.SparseCategoricalAccuracy(name="accuracy"),
    ),
    "one_hot": (
        lambda codes: np.eye(N_CLASSES + 1, dtype=int)[codes][:, :N_CLASSES],  # -1: all zero
        MaskedCategoricalCrossentropy,
        MaskedCategoricalAccuracy,
        lambda: keras.losses.CategoricalCrossentropy(**KERAS_MEAN),
        lambda: keras.metrics.CategoricalAccuracy(name="accuracy"),
    ),
    "binary": (
        lambda codes: np.where(codes < 0, -1, codes // 2)[:, None],
        lambda: MaskedBinaryCrossentropy(ignore_class=-1),
        lambda: MaskedBinaryAccuracy(ignore_class=-1),
        lambda: keras.losses.BinaryCrossentropy(**KERAS_MEAN),
        lambda: keras.metrics.BinaryAccuracy(name="accuracy"),
    ),
}
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.5),
    "adam": lambda: keras.optimizers.Adam(0.02),
}
# Both trainings take the same sums over the same numbers in another order, since the batches hold
# other rows beside them. A sum of 80 float32 terms rounds within some 1e-6 of itself, and ten steps
# pass that on: measured, at most 1e-6 of a weight for SGD and for Adam, which divides by the size
# of a gradient and so enlarges the roundings of a small one. Ten times that is allowed.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.mark.slow_except("sparse-adam")
@pytest.mark.parametrize(
    ("form", "optimizer"),
    [("sparse", "sgd"), ("sparse", "adam"), ("one_hot", "sgd"), ("binary", "adam")],
)
def test_keras_model_equals_training_with_the_unlabelled_rows_removed(
    four_classes, form, optimizer
):
    X, codes, weight = four_classes
    to_labels, masked_loss, masked_accuracy, keras_loss, keras_accuracy = FORMS[form]
    y = to_labels(codes)
    shape = (1, "sigmoid") if form == "binary" else (N_CLASSES, "softmax")
    settings = {"epochs": EPOCHS, "batch_size": N_TRAINING, "verbose": 0}

    masked = make_functional_model(*shape)
    masked.compile(OPTIMIZERS[optimizer](), loss=masked_loss(), metrics=[masked_accuracy()])
    history = masked.fit(X, y, sample_weight=weight, validation_split=0.2, **settings).history

    kept = np.flatnonzero(codes >= 0)
    first, last = kept[kept < N_TRAINING], kept[kept >= N_TRAINING]
    removed = make_functional_model(*shape)
    start = removed.get_weights()
    removed.compile(OPTIMIZERS[optimizer](), loss=keras_loss(), metrics=[keras_accuracy()])
    expected = removed.fit(
        X[first],
        y[first],
        sample_weight=weight[first],
        validation_data=(X[last], y[last], weight[last]),
        **settings,
    ).history

    for found, wanted, before in zip(
        masked.get_weights(), removed.get_weights(), start, strict=True
    ):
        np.testing.assert_allclose(found, wanted, **CLOSE)
        assert np.abs(wanted - before).max() > 1e-2  # there was something to agree on
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, err_msg=name, **CLOSE)


def make_estimator(optimizer, learning_rate, **params):
    settings = {
        "hidden_layer_sizes": (8,),
        "activation": "tanh",
        "dropout": 0.0,
        "missing_label": -1,
        "random_state": 0,
        "epochs": EPOCHS,
        "batch_size": 100,
        "optimizer": optimizer,
        "optimizer__learning_rate": learning_rate,
        "standardize": False,
        "ema_momentum": 0,
    }
    return MultiTaskClassifier(**{**settings, **params})


@pytest.mark.parametrize("batch_size", [100, 16])
def test_estimator_equals_training_with_the_unlabelled_rows_removed_bit_for_bit(
    four_classes, batch_size
):
    # Rows without a label never enter a batch here, so this holds for batches of any size.
    X, y, weight = four_classes
    kept = y >= 0
    masked, removed = (
        make_estimator("adam", 0.02, batch_size=batch_size).fit(X[rows], y[rows], weight[rows])
        for rows in (slice(None), kept)
    )
    assert masked.history_ == removed.history_
    for a, b in zip(masked.model_.get_weights(), removed.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow_except("sgd-0.5")
@pytest.mark.parametrize(("name", "learning_rate"), [("sgd", 0.5), ("adam", 0.02)])
def test_estimator_equals_the_keras_model_from_the_same_start(four_classes, name, learning_rate):
    X, y, weight = four_classes
    start = make_estimator("sgd", 0.0, epochs=1).fit(X, y, weight).model_.get_weights()
    clf = make_estimator(OPTIMIZERS[name](), learning_rate).fit(X, y, weight)

    model = make_functional_model(N_CLASSES, "softmax")
    model.set_weights(start)
    loss = MaskedSparseCategoricalCrossentropy()
    model.compile(OPTIMIZERS[name](), loss=loss, metrics=[MaskedSparseCategoricalAccuracy()])
    history = model.fit(
        X, y, sample_weight=weight, epochs=EPOCHS, batch_size=100, verbose=0
    ).history

    for found, wanted in zip(clf.model_.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(found, wanted, **CLOSE)
    np.testing.assert_allclose(clf.history_["loss"], history["loss"], **CLOSE)
    np.testing.assert_allclose(clf.predict_proba(X), model.predict(X, verbose=0), **CLOSE)
    assert clf.predict(X).shape == (100,)
    assert set(clf.predict(X)) <= {0, 1, 2, 3}
    labelled = y >= 0
    accuracy = model.evaluate(X, y, verbose=0, batch_size=100)[1]
    assert clf.score(X, y) == pytest.approx(accuracy, abs=1e-6)
    assert clf.score(X, y) == pytest.approx(np.mean(clf.predict(X)[labelled] == y[labelled]))
