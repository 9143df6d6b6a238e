"""The estimator: parameters, fit, predict, score, tags. No mathematics and no TensorFlow.

Owns the surface that users see and the order of the stages; each stage is a module of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sk_mtl._custom_model import classify_outputs, serialize_model
from sk_mtl._early_stopping import EarlyStopping
from sk_mtl._labels import (
    LabelTable,
    PerTask,
    enumerate_some,
    has_missing_labels,
    read_cell_weight,
    read_labels,
    resolve_task,
)
from sk_mtl._network import NetworkSpec, canonical_activation, network_variables
from sk_mtl._persistence import FORMAT_VERSION, FittedNetwork, check_format_version
from sk_mtl._prediction import task_probabilities
from sk_mtl._progress import ProgressBar
from sk_mtl._routing import RoutedParamsMixin, make_callbacks, make_optimizer
from sk_mtl._targets import EncodedTargets, TargetSchema, class_frequencies, weigh_classes
from sk_mtl._task_view import TaskView
from sk_mtl._training import (
    LabelledRows,
    TrainingOutcome,
    TrainingPlan,
    TrainingState,
    draw_start,
    train,
)
from sk_mtl._validation import (
    check_features,
    check_parameters,
    refuse_encoding_of_missing_labels,
)
from sk_mtl.model_selection import stratified_holdout
from sk_mtl.weighting import TaskWeighting, make_weighting

__all__ = ["MultiTaskClassifier"]

# With early_stopping="auto", fewer labelled rows than this are all trained on.
_MIN_ROWS_TO_HOLD_OUT = 1000


@dataclass(frozen=True)
class _FitInputs:
    """X and y of one call of fit, validated and encoded."""

    X: Any
    targets: EncodedTargets
    schema: TargetSchema
    is_active: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """Rows with a labelled cell of a task that the network learns."""
        return np.flatnonzero(self.targets.label_mask[:, self.is_active].any(axis=1))


class MultiTaskClassifier(RoutedParamsMixin, BaseEstimator):
    r"""Classify several tasks with one network, from labels of which some are missing.

    The network has layers shared by all tasks, then a head per task. Each task is binary or
    multi-class on its own. The loss of a task is the weighted mean of the cross-entropy over its
    labelled cells in the batch,
    :math:`L_t = \sum_i m_{it} w_{it} \ell_{it} / \sum_i m_{it} w_{it}`, and the objective is
    :math:`\sum_t \lambda_t L_t`. A missing label counts as exactly nothing; a batch without any
    label of a task gives that task a loss and a gradient of 0.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 64)
        Widths of the shared hidden layers; ``()`` for none.
    head_hidden_layer_sizes : int, array-like of int, or dict, default=()
        Widths of the hidden layers of each task's own head. A dict gives them by task; tasks that
        it leaves out have none.
    activation : str or callable, default="relu"
        Activation of the hidden layers, one that Keras knows, or scikit-learn's names
        "identity" and "logistic".
    dropout : float, default=0.0
        Share of the activations of each hidden layer that is dropped while training, in [0, 1).
    normalization : {None, "batch", "layer"}, default=None
        Normalisation between the product and the activation of each hidden layer.
    l2 : float, default=0.0
        Factor of the sum of squared kernel weights that is added to the objective, as Keras's
        `keras.regularizers.L2`.
    task_weighting : {"equal", "uncertainty"}, dict or TaskWeighting, default="equal"
        The weights :math:`\lambda_t` of the tasks: all 1; learned, as in [1]_; factors by task,
        with 1 for tasks left out; or a strategy of `sk_mtl.weighting`.
    loss_normalization : {"tasks", "cells"}, default="tasks"
        "tasks" divides a task's loss in a batch by the weight of its own labelled cells, so that a
        task with few labels counts as much as one with many; "cells" divides by the weight of
        all labelled cells of the batch together, so that frequency counts.
    class_weight : {None, "balanced"} or dict, default=None
        "balanced" weighs each task's classes inversely to their frequency among its labelled
        cells. A dict gives per task "balanced" or ``{label: weight}``; for a 1-D y it may be
        ``{label: weight}`` itself. It multiplies the sample weights, in validation too.
    optimizer : str, class or instance of keras.Optimizer, default="adam"
        Its settings are routed: ``optimizer__learning_rate=1e-3``. An instance is copied.
    epochs : int, default=100
        Passes over the training rows, at most.
    batch_size : "auto" or int, default="auto"
        Rows per step. "auto" is 32 for up to 2,000 training rows, 128 for up to 10,000, and 256
        beyond.
    early_stopping : "auto" or bool, default="auto"
        Whether to watch the loss, stop when it no longer improves, and keep the weights of the
        best epoch. "auto" does so if `fit` is given validation data, or there are at least 1,000
        rows with labels.
    validation_fraction : float or None, default=0.1
        Share of the rows held out to be watched, in (0, 1), drawn so that every task keeps
        labelled cells in both parts. None watches the training loss. Not used if `fit` is given
        validation data.
    monitor : hashable, default=None
        The task whose loss is watched; None watches the mean over tasks.
    n_iter_no_change : int, default=10
        Epochs without an improvement after which training stops early.
    tol : float, default=1e-4
        How much lower the watched loss must be to count as an improvement.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    callbacks : keras.callbacks.Callback, class, list or dict of these, default=None
        Called as by `keras.Model.fit`; the settings of classes are routed:
        ``callbacks__patience=3``, ``callbacks__0__patience=3``.
    model : callable or keras.Model, default=None
        A builder of a Keras model, as scikeras takes it, or a model, which is copied. Its output
        is the trunk, on which the heads are put, or it is the whole network, with an output per
        task. Parameters of the builder are routed: ``model__width=64``; it is given ``meta`` and
        ``compile_kwargs`` if it asks for them.
    classes : array-like, list of array-like or dict, default=None
        The classes of the tasks: of a 1-D y itself, one array-like per task, or by task. Tasks
        left out have the categories of a categorical column, or else the labels found.
    missing_label : scalar, default=None
        A label that means "missing", such as -1, besides NaN, None, NaT and NA.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the rows, dropout and the rows held out.
    verbose : int or bool, default=0
        1 shows a progress bar with the losses; 2 prints a line per epoch.
    **routed : dict
        Settings of the optimizer, the callbacks and the builder: ``optimizer__…``,
        ``callbacks__…``, ``model__…``.

    Attributes
    ----------
    classes_ : PerTask of ndarray of shape (n_classes_t,), or ndarray
        The sorted classes, by task; a plain array for a 1-D y.
    n_classes_ : PerTask of int, or int
        The number of classes, by task.
    task_names_ : ndarray of object of shape (n_tasks,)
        The columns of y; "y0", "y1" and so on for an array.
    n_tasks_ : int
        The number of tasks.
    label_coverage_ : ndarray of float of shape (n_tasks,)
        The share of labelled cells, by task.
    history_ : dict of list of float
        Per epoch: "loss" and "val_loss" (means over tasks), "objective" (what the optimizer
        minimised), per task "<task>_loss" and "val_<task>_loss", and "<task>_weight" if the
        weights of the tasks are learned.
    n_iter_ : int
        Epochs trained, those of earlier fits with a warm start included.
    best_iter_ : int
        The epoch whose weights were kept, counted from 1.
    task_weights_ : ndarray of float32 of shape (n_tasks,)
        The weights :math:`\lambda_t`; 0 for a task that the network does not learn.
    model_ : keras.Model
        The network as a Keras model, from X to the logits in task order (a binary task has one).
        Built from the fitted weights at the first access; changing it does not change the
        estimator.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of object of shape (n_features_in_,)
        The names of the features, if X had string column names.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : A network for one task with all labels known.

    Notes
    -----
    scikit-learn's tag for the type of estimator is None here, and `sklearn.base.is_classifier`
    says False: with the tag "classifier", everything that is given ``cv=5`` refuses a y with
    missing labels before it comes to `fit`. With None, plain `KFold` is taken; use the splitters of
    `sk_mtl.model_selection` where strata matter. `task_view` gives an ordinary classifier.

    A task with one class is predicted as that class, and a task without any label as missing,
    both with a warning.

    References
    ----------
    .. [1] A. Kendall, Y. Gal, R. Cipolla. "Multi-Task Learning Using Uncertainty to Weigh Losses
       for Scene Geometry and Semantics". CVPR 2018, arXiv 1705.07115.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_mtl import MultiTaskClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 4))
    >>> Y = pd.DataFrame({"positive": np.where(X[:, 0] > 0, "yes", "no"), "grade": X[:, 1] // 1 % 3})
    >>> Y.loc[20:, "grade"] = np.nan  # known for one row in ten
    >>> clf = MultiTaskClassifier(epochs=30, random_state=0).fit(X, Y)
    >>> clf.predict(X[:2]).columns.tolist()
    ['positive', 'grade']
    >>> clf.predict_proba(X)["grade"].shape
    (200, 3)
    >>> clf.score(X, Y) > 0.9
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (128, 64),
        head_hidden_layer_sizes: Any = (),
        activation: Any = "relu",
        *,
        dropout: float = 0.0,
        normalization: str | None = None,
        l2: float = 0.0,
        task_weighting: Any = "equal",
        loss_normalization: str = "tasks",
        class_weight: Any = None,
        optimizer: Any = "adam",
        epochs: int = 100,
        batch_size: Any = "auto",
        early_stopping: Any = "auto",
        validation_fraction: float | None = 0.1,
        monitor: Hashable | None = None,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        callbacks: Any = None,
        model: Any = None,
        classes: Any = None,
        missing_label: Any = None,
        random_state: Any = None,
        verbose: int = 0,
        **routed: Any,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.head_hidden_layer_sizes = head_hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.l2 = l2
        self.task_weighting = task_weighting
        self.loss_normalization = loss_normalization
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.monitor = monitor
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.model = model
        self.classes = classes
        self.missing_label = missing_label
        self.random_state = random_state
        self.verbose = verbose
        self._set_routed(routed)

    # --------------------------------------------------------------------------------------------
    # Fitting
    # --------------------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None
    ) -> MultiTaskClassifier:
        """Fit the network.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features, finite numbers.
        y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Class labels, one column per task, NaN, None or NA where a label is missing.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of rows or of cells. A row of weight 2 counts as the row twice.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Rows to watch for early stopping, in place of a part of the training rows.

        Returns
        -------
        self : MultiTaskClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; the estimator is left as it was.

        Warns
        -----
        UserWarning
            If a task has no label, or one class.
        """
        check_parameters(self)
        going_on = self.warm_start and hasattr(self, "_schema")
        before = dict(vars(self))
        try:
            inputs = self._read_inputs(X, y, sample_weight, self._schema if going_on else None)
            if going_on:
                seed = self._seed
            else:
                seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            self._warn_of_degenerate_tasks(inputs)
            training, validation = self._split_rows(inputs, validation_data, seed)
            start = None
            if going_on and self._network is not None:
                start = replace(self._network.state, optimizer=None)
            outcome = self._train(inputs, training, validation, seed, start, going_on)
        except BaseException:
            # `check_features` notes X on the estimator before the rest is known to be good.
            vars(self).clear()
            vars(self).update(before)
            raise
        return self._keep(inputs, outcome, seed, going_on)

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> MultiTaskClassifier:
        """Train for one epoch, on these rows, going on from where training stands.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features, finite numbers.
        y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Class labels, NaN, None or NA where missing.
        classes : array-like, list of array-like or dict, default=None
            All classes that any call will hold, as the parameter `classes`. Needed at the first
            call for tasks whose classes neither that parameter nor a categorical column gives.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of rows or of cells.

        Returns
        -------
        self : MultiTaskClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; the estimator is left as it was.
        """
        check_parameters(self)
        going_on = hasattr(self, "_schema")
        before = dict(vars(self))
        try:
            if going_on:
                self._check_same_classes(classes)
                schema, seed = self._schema, self._seed
            else:
                schema = self._declared_schema(y, self.classes if classes is None else classes)
                seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            inputs = self._read_inputs(X, y, sample_weight, schema, reset=not going_on)
            start = self._network.state if going_on and self._network is not None else None
            training = self._labelled_rows(inputs, inputs.rows)
            outcome = self._train(inputs, training, None, seed, start, going_on, epochs=1)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        return self._keep(inputs, outcome, seed, going_on, adds_labels=True)

    def _read_inputs(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        schema: TargetSchema | None,
        *,
        reset: bool | None = None,
    ) -> _FitInputs:
        """Validate X, read y, and encode it by a schema, its own if none is given."""
        table = read_labels(y, missing_label=self.missing_label)
        X = check_features(self, X, reset=schema is None if reset is None else reset)
        check_consistent_length(X, np.empty(table.n_samples))
        if schema is None:
            if not table.label_mask.any():
                raise ValueError(
                    f"y has no label at all: every cell of {table.n_tasks} task(s) and "
                    f"{table.n_samples} row(s) is missing. Supply labels for at least one task."
                )
            schema = TargetSchema.from_table(table, self.classes)
        table = schema.align(table)
        weight = read_cell_weight(sample_weight, table)
        is_active = np.array([n >= 2 for n in schema.n_classes])
        return _FitInputs(X, schema.encode(table, weight), schema, is_active)

    def _declared_schema(self, y: Any, classes: Any) -> TargetSchema:
        """Return a schema whose classes are all declared, as a stream needs it."""
        table = read_labels(y, missing_label=self.missing_label)
        schema = TargetSchema.from_table(table, classes)
        given = classes
        if isinstance(classes, Mapping):
            given = {resolve_task(k, table.task_names) for k in classes}
        undeclared = [
            repr(name)
            for t, name in enumerate(table.task_names)
            if table.form.categories[t] is None
            and (given is None or (isinstance(given, set) and t not in given))
        ]
        if undeclared:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: the classes of "
                f"{enumerate_some(undeclared)} are not known. Pass {{task: labels}}, or make the "
                "columns categorical."
            )
        return schema

    def _check_same_classes(self, classes: Any) -> None:
        """Refuse classes other than those of the first call of partial_fit."""
        if classes is None:
            return
        empty = np.zeros((0, len(self._schema.task_names)), dtype=bool)
        columns = tuple(np.empty(0, dtype=c.dtype) for c in self._schema.classes)
        table = LabelTable(columns, empty, self._schema.task_names, self._schema.form)
        now = TargetSchema.from_table(table, classes).classes
        for name, old, new in zip(self._schema.task_names, self._schema.classes, now, strict=True):
            if len(new) and not np.array_equal(old, new):
                raise ValueError(
                    f"classes of task {name!r} must be those of the first call to partial_fit, "
                    f"{enumerate_some([repr(c) for c in old.tolist()])}. "
                    f"Got {enumerate_some([repr(c) for c in new.tolist()])}."
                )

    def _warn_of_degenerate_tasks(self, inputs: _FitInputs) -> None:
        """Warn of tasks without any label, and of tasks with one class."""
        names, counts = inputs.schema.task_names, inputs.targets.label_mask.sum(axis=0)
        empty = [repr(n) for n, count in zip(names, counts, strict=True) if count == 0]
        if empty:
            warnings.warn(
                f"{len(empty)} task(s) have no label among {len(inputs.targets.codes)} rows: "
                f"{enumerate_some(empty)}. They are left untrained and predicted as missing.",
                UserWarning,
                stacklevel=3,
            )
        single = [
            f"{n!r} (only {classes[0]!r}, {count} labels)"
            for n, classes, count in zip(
                names, (c.tolist() for c in inputs.schema.classes), counts, strict=True
            )
            if len(classes) == 1 and count > 0
        ]
        if single:
            warnings.warn(
                f"{len(single)} task(s) have one class: {enumerate_some(single)}. That class is "
                "predicted for every row. Name all classes in `classes` if there are others.",
                UserWarning,
                stacklevel=3,
            )

    def _split_rows(
        self, inputs: _FitInputs, validation_data: Any, seed: int
    ) -> tuple[LabelledRows, LabelledRows | None]:
        """Return the rows to train on and those to watch."""
        rows = inputs.rows
        if validation_data is not None:
            return self._labelled_rows(inputs, rows), self._read_validation(validation_data, inputs)
        if not self._stops_early(len(rows), False) or self.validation_fraction is None:
            return self._labelled_rows(inputs, rows), None
        train_part, held_out = stratified_holdout(
            inputs.targets.codes[rows][:, inputs.is_active],
            inputs.targets.label_mask[rows][:, inputs.is_active],
            holdout_fraction=self.validation_fraction,
            random_state=np.random.default_rng([seed, 2]).integers(2**31),
        )
        if len(train_part) == 0 or len(held_out) == 0:
            raise ValueError(
                f"Early stopping with validation_fraction={self.validation_fraction} leaves "
                f"{len(train_part)} rows to train on and {len(held_out)} to watch, of {len(rows)} "
                "with labels. Change the fraction, or set early_stopping=False."
            )
        training = self._labelled_rows(inputs, rows[train_part])
        return training, replace(training, rows=rows[held_out])

    def _stops_early(self, n_rows: int, has_validation_data: bool) -> bool:
        if self.early_stopping == "auto":
            return has_validation_data or n_rows >= _MIN_ROWS_TO_HOLD_OUT
        return bool(self.early_stopping)

    def _labelled_rows(self, inputs: _FitInputs, rows: np.ndarray) -> LabelledRows:
        """Return training arrays of the tasks that the network learns."""
        weight = weigh_classes(self.class_weight, inputs.schema, inputs.targets, rows)
        active = inputs.is_active
        # Class weights of zero may leave a row without any cell that counts.
        rows = rows[weight[rows][:, active].any(axis=1)]
        return LabelledRows(inputs.X, inputs.targets.codes[:, active], weight[:, active], rows)

    def _read_validation(self, validation_data: Any, inputs: _FitInputs) -> LabelledRows:
        """Read validation data as the training data were read."""
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            raise ValueError(
                "validation_data must be a tuple (X, y) or (X, y, sample_weight). "
                f"Got {type(validation_data).__name__}."
            )
        weight = validation_data[2] if len(validation_data) == 3 else None
        X, y = validation_data[:2]
        watched = self._read_inputs(X, y, weight, inputs.schema, reset=False)
        if len(watched.rows) == 0:
            raise ValueError("validation_data has no label of a task that the network learns.")
        return self._labelled_rows(watched, watched.rows)

    def _train(
        self,
        inputs: _FitInputs,
        training: LabelledRows,
        validation: LabelledRows | None,
        seed: int,
        start: TrainingState | None,
        going_on: bool,
        epochs: int | None = None,
    ) -> tuple[NetworkSpec, TaskWeighting, TrainingOutcome] | None:
        """Train the network; None if no task has two classes."""
        if not inputs.is_active.any():
            return None
        spec, optimizer, values = self._make_network(inputs, seed)
        if start is not None and self._network is not None and self._network.spec != spec:
            raise ValueError(
                "warm_start and partial_fit go on with the network that was fitted, but its "
                "parameters have changed since. Clone the estimator to start afresh."
            )
        names = self._active_names(inputs)
        weighting = make_weighting(self.task_weighting, inputs.schema.task_names, inputs.is_active)
        widths = [n for n, a in zip(inputs.schema.n_classes, inputs.is_active, strict=True) if a]
        if start is None:
            frequencies = class_frequencies(
                training.codes[training.rows], training.weight[training.rows], widths
            )
            start = draw_start(spec, weighting, frequencies, seed, values)
        plan = TrainingPlan(
            spec=spec,
            task_names=names,
            optimizer=optimizer,
            weighting=weighting,
            loss_normalization=self.loss_normalization,
            epochs=self.epochs if epochs is None else epochs,
            batch_size=self._resolve_batch_size(len(training.rows)),
            seed=seed,
            first_epoch=self.n_iter_ if going_on else 0,
            stopping=self._make_stopping(training, validation) if epochs is None else None,
            monitored_task=self._monitored_task(inputs),
            callbacks=make_callbacks(self.callbacks, self._routed("callbacks")),
            progress=ProgressBar(names, self.verbose > 1) if self.verbose else None,
        )
        if len(training.rows) == 0:  # a stream may bring a batch without any label
            outcome = TrainingOutcome(start, {}, 0, 0)
        else:
            outcome = train(plan, start, training, validation)
        return spec, weighting, outcome

    def _make_stopping(
        self, training: LabelledRows, validation: LabelledRows | None
    ) -> EarlyStopping | None:
        n_rows = len(training.rows) + (0 if validation is None else len(validation.rows))
        if not self._stops_early(n_rows, validation is not None):
            return None
        return EarlyStopping(self.n_iter_no_change, self.tol)

    def _monitored_task(self, inputs: _FitInputs) -> int | None:
        """Return the position of the watched task among those that the network learns."""
        if self.monitor is None:
            return None
        position = resolve_task(self.monitor, inputs.schema.task_names)
        if not inputs.is_active[position] or not inputs.targets.label_mask[:, position].any():
            warnings.warn(
                f"monitor names task {self.monitor!r}, which has fewer than two classes or no "
                "label here. The mean over tasks is watched instead.",
                UserWarning,
                stacklevel=4,
            )
            return None
        return int(inputs.is_active[:position].sum())

    def _resolve_batch_size(self, n_rows: int) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        return 32 if n_rows <= 2_000 else 128 if n_rows <= 10_000 else 256

    def _active_names(self, inputs: _FitInputs) -> tuple[Hashable, ...]:
        names = zip(inputs.schema.task_names, inputs.is_active, strict=True)
        return tuple(name for name, active in names if active)

    def _make_network(
        self, inputs: _FitInputs, seed: int
    ) -> tuple[NetworkSpec, Any, list[np.ndarray] | None]:
        """Return the network's specification, its optimizer, and the values of a custom model."""
        optimizer = make_optimizer(self.optimizer, self._routed("optimizer"))
        names = self._active_names(inputs)
        n_classes = [n for n in inputs.schema.n_classes if n >= 2]
        spec = NetworkSpec(
            n_features=inputs.X.shape[1],
            n_outputs=tuple(1 if n == 2 else n for n in n_classes),
            hidden_layer_sizes=_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            head_hidden_layer_sizes=self._head_sizes(inputs.schema.task_names, names),
            activation=canonical_activation(self.activation),
            dropout=float(self.dropout),
            normalization=self.normalization,
            l2=float(self.l2),
        )
        if self.model is None:
            return spec, optimizer, None
        # scikeras is imported for custom models only.
        from sk_mtl._scikeras import build_custom_model, describe_for_builder

        classes = [c for c in inputs.schema.classes if len(c) >= 2]
        custom = build_custom_model(
            self.model,
            meta=describe_for_builder(
                inputs.X.shape, classes, names, is_1d=inputs.schema.is_1d
            ),
            seed=seed,
            model_params=self._routed("model"),
            optimizer=self.optimizer,
            optimizer_params=self._routed("optimizer"),
        )
        if custom.compiled and custom.optimizer is not None:
            optimizer = make_optimizer(custom.optimizer)
        spec = replace(
            spec,
            hidden_layer_sizes=(),
            custom_model=serialize_model(custom),
            custom_outputs=classify_outputs(custom, names, n_classes),
        )
        return spec, optimizer, [np.array(v.numpy()) for v in network_variables(custom)]

    def _head_sizes(
        self, all_names: tuple[Hashable, ...], names: tuple[Hashable, ...]
    ) -> tuple[tuple[int, ...], ...]:
        """Return the hidden layer sizes of each active head."""
        given = self.head_hidden_layer_sizes
        if not isinstance(given, Mapping):
            return (_layer_sizes(given, "head_hidden_layer_sizes"),) * len(names)
        by_name = {
            all_names[resolve_task(k, all_names)]: _layer_sizes(v, "head_hidden_layer_sizes")
            for k, v in given.items()
        }
        return tuple(by_name.get(name, ()) for name in names)

    def _keep(
        self,
        inputs: _FitInputs,
        trained: tuple[NetworkSpec, TaskWeighting, TrainingOutcome] | None,
        seed: int,
        going_on: bool,
        adds_labels: bool = False,
    ) -> MultiTaskClassifier:
        """Set all fitted attributes."""
        schema, mask = inputs.schema, inputs.targets.label_mask
        labelled, n_rows = mask.sum(axis=0), len(mask)
        if adds_labels and going_on:
            labelled, n_rows = labelled + self._labelled_cells, n_rows + self._n_rows
        before = (self.history_, self.n_iter_) if going_on else ({}, 0)
        history, n_epochs, best, network = {}, 0, 0, None
        weights = np.zeros(len(schema.task_names), dtype=np.float32)
        if trained is not None:
            spec, weighting, outcome = trained
            history, n_epochs, best = outcome.history, outcome.n_epochs, outcome.best_epoch
            network = FittedNetwork(spec, outcome.state)
            active = int(inputs.is_active.sum())
            weights[inputs.is_active] = weighting.weights(outcome.state.weighting, active)
        self._schema, self._seed, self._network = schema, seed, network
        self._is_active = inputs.is_active
        self._labelled_cells, self._n_rows = labelled, n_rows
        self._is_trained = (labelled > 0) & (np.array(schema.n_classes) > 0)
        self.task_names_ = _object_array(schema.task_names)
        self.n_tasks_ = len(schema.task_names)
        self.classes_ = self._by_task(list(schema.classes))
        self.n_classes_ = self._by_task(list(schema.n_classes))
        self.label_coverage_ = labelled / n_rows
        self.task_weights_ = weights
        self.history_ = {k: before[0].get(k, []) + history.get(k, []) for k in {**before[0], **history}}
        self.n_iter_ = before[1] + n_epochs
        self.best_iter_ = before[1] + best
        return self

    def _by_task(self, items: list[Any]) -> Any:
        return items[0] if self._schema.is_1d else PerTask(items, self._schema.task_names)

    # --------------------------------------------------------------------------------------------
    # Predicting
    # --------------------------------------------------------------------------------------------

    def _probabilities(self, X: Any) -> list[np.ndarray]:
        """Return class probabilities of each task; NaN for a task that is not trained."""
        check_is_fitted(self)
        X = check_features(self, X, reset=False)
        learned = iter(())
        if self._network is not None:
            spec = self._network.spec
            learned = iter(task_probabilities(self._network.logits(X), spec.n_outputs))
        probabilities = []
        for t, n in enumerate(self._schema.n_classes):
            p = next(learned) if self._is_active[t] else np.ones((X.shape[0], n), np.float32)
            if not self._is_trained[t]:
                p = np.full_like(p, np.nan)
            probabilities.append(p)
        return probabilities

    def _predicted_codes(self, X: Any) -> np.ndarray:
        """Return the index of the most probable class of each cell, 0 where not trained."""
        probabilities = self._probabilities(X)
        codes = np.zeros((len(probabilities[0]), len(probabilities)), dtype=np.int64)
        for t in np.flatnonzero(self._is_trained):
            codes[:, t] = probabilities[t].argmax(axis=1)
        return codes

    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        labels : DataFrame, or ndarray of shape (n_samples,) or (n_samples, n_tasks)
            What y was: a frame with y's columns and their dtypes (and the index of a pandas X),
            or an array. Labels of a task that had none in training are missing.
        """
        codes = self._predicted_codes(X)
        return self._schema.decode(codes, self._is_trained, like=X)

    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : PerTask of ndarray of float32 of shape (n_samples, n_classes_t), or ndarray
            By task, columns in the order of `classes_`: a list that also answers to task names. A
            plain array for a 1-D y. NaN for a task that had no label in training.
        """
        return self._by_task(self._probabilities(X))

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        log_probabilities : PerTask of ndarray of float32 of shape (n_samples, n_classes_t), or ndarray
            As `predict_proba` gives them.
        """
        with np.errstate(divide="ignore"):
            return self._by_task([np.log(p) for p in self._probabilities(X)])

    def predict_proba_frame(self, X: Any) -> pd.DataFrame:
        """Predict class probabilities as one frame.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : pandas.DataFrame of shape (n_samples, sum of n_classes_t)
            With (task, class) columns, and the index of a pandas X.
        """
        probabilities = self._probabilities(X)
        columns = [
            (name, label)
            for name, classes in zip(self._schema.task_names, self._schema.classes, strict=True)
            for label in classes.tolist()
        ]
        index = X.index if isinstance(X, pd.DataFrame) else None
        names = pd.MultiIndex.from_tuples(columns, names=["task", "class"])
        return pd.DataFrame(np.hstack(probabilities), index=index, columns=names)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean over tasks of the accuracy over labelled cells.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Labels; missing ones do not count. A label that training did not see is an error of
            the prediction.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of rows or of cells.

        Returns
        -------
        score : float
            In [0, 1]. Tasks without labelled cells, here or in training, are left out; NaN if all
            are.
        """
        codes = self._predicted_codes(X)
        table = self._schema.align(read_labels(y, missing_label=self.missing_label))
        check_consistent_length(codes, np.empty(table.n_samples))
        weight = read_cell_weight(sample_weight, table)
        truth = self._schema.encode(table, weight, unknown="keep")
        hits = (codes == truth.codes) * truth.cell_weight.astype(np.float64)
        totals = truth.cell_weight.sum(axis=0, dtype=np.float64)
        counted = (totals > 0) & self._is_trained
        if not counted.any():
            return float("nan")
        return float(np.mean(hits.sum(axis=0)[counted] / totals[counted]))

    def task_view(self, task: Hashable) -> TaskView:
        """Return one task as an ordinary scikit-learn classifier.

        Parameters
        ----------
        task : hashable
            The name of the task, or its position.

        Returns
        -------
        view : TaskView
            A fitted classifier for tools that know one task only.
        """
        check_is_fitted(self)
        return TaskView(self, self._schema.task_names[resolve_task(task, self._schema.task_names)])

    # --------------------------------------------------------------------------------------------
    # scikit-learn
    # --------------------------------------------------------------------------------------------

    @property
    def model_(self) -> Any:
        """The network as a Keras model."""
        network = vars(self).get("_network")
        if network is None:
            raise AttributeError(
                f"{type(self).__name__} has no model_: it is not fitted, or no task has two classes."
            )
        return network.model

    def __sklearn_tags__(self) -> Any:
        refuse_encoding_of_missing_labels(
            lambda y: has_missing_labels(y, missing_label=self.missing_label)
        )
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.target_tags.one_d_labels = True
        tags.target_tags.two_d_labels = True
        tags.classifier_tags = _classifier_tags()
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "format_version": FORMAT_VERSION}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_format_version(state, type(self).__name__)
        super().__setstate__({k: v for k, v in state.items() if k != "format_version"})


def _classifier_tags() -> Any:
    from sklearn.utils import ClassifierTags

    return ClassifierTags(multi_class=True, multi_label=True)


def _layer_sizes(sizes: Any, name: str) -> tuple[int, ...]:
    """Return layer widths as a tuple of int."""
    listed = np.atleast_1d(np.asarray(sizes))
    if listed.ndim != 1 or (listed.size and (listed.dtype.kind not in "iu" or (listed < 1).any())):
        raise ValueError(f"{name} must hold integers of at least 1. Got {sizes!r}.")
    return tuple(int(n) for n in listed)


def _object_array(items: tuple[Hashable, ...]) -> np.ndarray:
    """Return a 1-D object array, also of tuples."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
