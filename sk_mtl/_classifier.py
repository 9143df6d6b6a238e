"""The estimator: parameters, fit, predict, score, tags. No mathematics and no TensorFlow.

Owns the surface that users see and the order of the stages; each stage is a module of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sk_mtl._custom_model import classify_outputs, serialize_model
from sk_mtl._early_stopping import EarlyStopping
from sk_mtl._labels import has_missing_labels, read_cell_weight, read_labels
from sk_mtl._network import NetworkSpec, canonical_activation, network_variables
from sk_mtl._persistence import (
    FORMAT_VERSION,
    FittedNetwork,
    check_format_version,
    with_dtypes,
    with_plain_dtypes,
)
from sk_mtl._problem import (
    LabelledRows,
    Problem,
    check_same_classes,
    declare_schema,
    hold_out,
    pose_problem,
    read_validation,
    require_labels,
    warn_of_degenerate_tasks,
)
from sk_mtl._processes import refuse_fork
from sk_mtl._program import TrainingPlan, TrainingState, resolve_jit_compile
from sk_mtl._progress import ProgressBar
from sk_mtl._routing import RoutedParamsMixin, make_callbacks, make_optimizer
from sk_mtl._summary import FitSummary, note_stopping, summarize_fit
from sk_mtl._targets import TargetSchema
from sk_mtl._task_view import TaskView
from sk_mtl._tasks import PerTask, resolve_task
from sk_mtl._training import TrainingOutcome, draw_start, train
from sk_mtl._validation import check_asker, check_features, check_parameters
from sk_mtl.weighting import make_weighting

__all__ = ["DERIVED_ATTRIBUTES", "MultiTaskClassifier"]

# Fitted attributes that follow from others: `_describe_targets` sets them.
DERIVED_ATTRIBUTES = ("classes_", "label_coverage_", "n_classes_", "n_tasks_", "task_names_")

# With early_stopping="auto", fewer labelled rows than this are all trained on.
_MIN_ROWS_TO_HOLD_OUT = 1000


class MultiTaskClassifier(RoutedParamsMixin, BaseEstimator):
    r"""Classify several tasks with one network, from labels of which some are missing.

    The network has layers shared by all tasks, then a head per task. Each task is binary or
    multi-class on its own. The objective is the weighted mean of the cross-entropy over the
    labelled cells of the batch, :math:`\sum_t \lambda_t L_t` with
    :math:`L_t = \sum_i m_{it} w_{it} \ell_{it} / \sum_{i,u} m_{iu} w_{iu}`. A missing label counts
    as exactly nothing; a batch without any label of a task gives that task a loss and a gradient
    of 0.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(256,)
        Widths of the shared hidden layers; ``()`` for none.
    head_hidden_layer_sizes : int, array-like of int, or dict, default=()
        Widths of the hidden layers of each task's own head. A dict gives them by task; tasks that
        it leaves out have none.
    activation : str or callable, default="relu"
        Activation of the hidden layers, one that Keras knows, or scikit-learn's names
        "identity" and "logistic".
    dropout : float, default=0.4
        Share of the activations of each hidden layer that is dropped while training, in [0, 1).
    normalization : {None, "batch", "layer"}, default=None
        Normalisation between the product and the activation of each hidden layer.
    l2 : float, default=0.0
        Factor of the sum of squared kernel weights that is added to the objective, as Keras's
        `keras.regularizers.L2`.
    task_weighting : {"equal", "uncertainty"}, dict or TaskWeighting, default="equal"
        The weights :math:`\lambda_t` of the tasks: all 1; learned, as in [1]_; factors by task,
        with 1 for tasks left out; or a strategy of `sk_mtl.weighting`.
    loss_normalization : {"cells", "tasks"}, default="cells"
        "cells" divides the summed losses of a batch by the weight of all its labelled cells
        together, so that every cell counts the same; "tasks" divides each task's loss by the weight
        of its own labelled cells, so that a task with few labels counts as much as one with many.
    class_weight : {None, "balanced"} or dict, default=None
        "balanced" weighs each task's classes inversely to their frequency among its labelled
        cells. A dict gives per task "balanced" or ``{label: weight}``; for a 1-D y it may be
        ``{label: weight}`` itself. It multiplies the sample weights, in validation too.
    optimizer : str, class or instance of keras.Optimizer, default="adam"
        Its settings are routed: ``optimizer__learning_rate=1e-3``. An instance is copied.
        A ``weight_decay`` acts on kernels, not on biases or normalisation; on all weights of a
        custom model.
    epochs : int, default=100
        Passes over the training rows, at most.
    batch_size : "auto" or int, default="auto"
        Rows per step. "auto" is 32 for up to 2,000 training rows, 128 for up to 10,000, and 256
        beyond.
    jit_compile : "auto" or bool, default="auto"
        Whether XLA compiles the training steps, which makes those of small networks several times
        faster, for half a second to two more before the first epoch. "auto" does so on a CPU if
        `epochs` times the steps of an epoch are at least 400. Weights then differ in the last
        bits from those without. Not with batch normalisation or a `model` of your own, whose
        result may depend on the rows that fill up the last batch.
    early_stopping : "auto" or bool, default="auto"
        Whether to watch the loss, stop when it no longer improves, and keep the weights of the
        best epoch. "auto" does so if `fit` is given validation data, or there are at least 1,000
        rows with labels. With an optimizer that averages weights (``use_ema``) the averages are
        watched and kept.
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
        task. A trunk takes the place of `hidden_layer_sizes`; a whole network takes that of all
        parameters of layers. Parameters of the builder are routed: ``model__width=64``; it is
        given ``meta`` and ``compile_kwargs`` if it asks for them.
    classes : array-like, list of array-like or dict, default=None
        The classes of the tasks: of a 1-D y itself, one array-like per task, or by task. Tasks
        left out have the categories of a categorical column, or else the labels found.
    missing_label : scalar, default=None
        A label that means "missing", such as -1, besides NaN, None, NaT and NA. Inside other
        estimators that encode y themselves (stacking, bagging) mark missing labels with NaN: they
        would take the sentinel for a class.
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
        weights of the tasks are learned. Where the name of a task would give two series one name,
        the task is called "task0:<name>" in them, by its position.
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
    feature_names_in_ : ndarray of object of shape (n_features,)
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
    >>> sign, grade = np.where(X[:, 0] > 0, "plus", "minus"), np.digitize(X[:, 1], [-1, 1])
    >>> Y = pd.DataFrame({"sign": sign, "grade": grade.astype(float)})
    >>> Y.loc[20:, "grade"] = np.nan  # known for one row in ten
    >>> clf = MultiTaskClassifier(epochs=30, random_state=0).fit(X, Y)
    >>> clf.predict(X[:2]).columns.tolist()
    ['sign', 'grade']
    >>> clf.predict_proba(X)["grade"].shape
    (200, 3)
    >>> clf.score(X, Y) > 0.9
    True
    """

    # Set by `_keep`.
    _schema: TargetSchema
    _seed: int
    _network: FittedNetwork | None
    _is_active: np.ndarray
    _is_trained: np.ndarray
    _labelled_cells: np.ndarray
    _n_rows: int
    _stopping: dict[str, Any] | None
    history_: dict[str, list[float]]
    n_iter_: int

    def __init__(
        self,
        hidden_layer_sizes: Any = (256,),
        head_hidden_layer_sizes: Any = (),
        activation: Any = "relu",
        *,
        dropout: float = 0.4,
        normalization: str | None = None,
        l2: float = 0.0,
        task_weighting: Any = "equal",
        loss_normalization: str = "cells",
        class_weight: Any = None,
        optimizer: Any = "adam",
        epochs: int = 100,
        batch_size: Any = "auto",
        jit_compile: Any = "auto",
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
        self.jit_compile = jit_compile
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
        with _unchanged_on_error(self):
            table = read_labels(y, missing_label=self.missing_label)
            X = check_features(self, X, reset=not going_on)
            require_labels(table)
            schema = self._schema if going_on else None
            problem = pose_problem(X, table, sample_weight, self.class_weight, schema, self.classes)
            if not going_on:
                warn_of_degenerate_tasks(problem, stacklevel=2)
            seed = self._seed if going_on else self._draw_seed()
            training, watched = self._split_rows(problem, validation_data, seed)
            stopping = None
            if self._stops_early(problem, watched is not None):
                stopping = EarlyStopping(self.n_iter_no_change, self.tol)
            start = None
            if going_on and self._network is not None:
                start = replace(self._network.state, optimizer=None)
            trained = self._train(problem, training, watched, seed, start, stopping)
            return self._keep(problem, trained, seed, going_on)

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
        with _unchanged_on_error(self):
            table = read_labels(y, missing_label=self.missing_label)
            X = check_features(self, X, reset=not going_on)
            if going_on:
                schema, seed = self._schema, self._seed
                if classes is not None:
                    check_same_classes(schema, classes)
            else:
                declared = self.classes if classes is None else classes
                schema, seed = declare_schema(table, declared), self._draw_seed()
            problem = pose_problem(X, table, sample_weight, self.class_weight, schema)
            training = problem.labelled_rows(problem.rows, problem.class_factors(problem.rows))
            start = self._network.state if going_on and self._network is not None else None
            trained = self._train(problem, training, None, seed, start, None, epochs=1)
            return self._keep(problem, trained, seed, going_on, adds_labels=going_on)

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _stops_early(self, problem: Problem, has_validation_data: bool) -> bool:
        if self.early_stopping == "auto":
            return has_validation_data or len(problem.rows) >= _MIN_ROWS_TO_HOLD_OUT
        return bool(self.early_stopping)

    def _split_rows(
        self, problem: Problem, validation_data: Any, seed: int
    ) -> tuple[LabelledRows, LabelledRows | None]:
        """Return the rows to train on and those to watch."""
        holds_out = validation_data is None and self._stops_early(problem, False)
        if holds_out and self.validation_fraction is not None and len(problem.rows):
            return hold_out(problem, self.validation_fraction, seed)
        training = problem.labelled_rows(problem.rows, problem.class_factors(problem.rows))
        if validation_data is None or not problem.active_names:
            return training, None

        def check_X(X: Any) -> Any:
            return check_features(self, X, reset=False)

        return training, read_validation(validation_data, problem, check_X, self.missing_label)

    def _train(
        self,
        problem: Problem,
        training: LabelledRows,
        watched: LabelledRows | None,
        seed: int,
        start: TrainingState | None,
        stopping: EarlyStopping | None,
        epochs: int | None = None,
    ) -> tuple[TrainingPlan, TrainingOutcome] | None:
        """Train the network, from a state or from the beginning; None if there is none to train."""
        if not problem.active_names:
            return None
        refuse_fork()
        spec, optimizer, custom_values = self._specify_network(problem, seed)
        if start is not None and self._network is not None and self._network.spec != spec:
            raise ValueError(
                "warm_start and partial_fit go on with the network that was fitted, but its "
                "parameters have changed since. Clone the estimator to start afresh."
            )
        plan = TrainingPlan(
            spec=spec,
            task_names=problem.series_labels,
            optimizer=optimizer,
            weighting=make_weighting(
                self.task_weighting, problem.schema.task_names, problem.is_active
            ),
            loss_normalization=self.loss_normalization,
            epochs=self.epochs if epochs is None else epochs,
            batch_size=self._resolve_batch_size(len(training.rows)),
            seed=seed,
            first_epoch=0 if start is None else self.n_iter_,
            stopping=stopping,
            monitored_task=self._monitored_task(problem, watched or training),
            callbacks=make_callbacks(self.callbacks, self._routed("callbacks")),
            progress=ProgressBar(problem.series_labels, self.verbose > 1) if self.verbose else None,
        )
        # By `epochs`, not by those of this call: partial_fit trains as fit does.
        steps = self.epochs * -(-len(training.rows) // plan.batch_size)
        plan = replace(plan, jit_compile=resolve_jit_compile(self.jit_compile, plan, steps))
        if start is None:
            n_classes = tuple(len(c) for c in problem.active_classes)
            frequencies = training.class_frequencies(n_classes)
            start = draw_start(spec, plan.weighting, frequencies, seed, custom_values)
        if not len(training.rows):  # a stream may bring a batch without any label
            return plan, TrainingOutcome(start, {}, 0, 0)
        return plan, train(plan, start, training, watched)

    def _monitored_task(self, problem: Problem, watched: LabelledRows) -> int | None:
        """Return the position of the watched task among those that the network learns."""
        if self.monitor is None:
            return None
        task = resolve_task(self.monitor, problem.schema.task_names)
        position = int(problem.is_active[:task].sum())
        if problem.is_active[task] and watched.weight[watched.rows, position].any():
            return position
        warnings.warn(
            f"monitor names task {self.monitor!r}, which has fewer than two classes, or no label "
            "in the rows that are watched. The mean over tasks is watched instead.",
            UserWarning,
            stacklevel=4,
        )
        return None

    def _resolve_batch_size(self, n_rows: int) -> int:
        if self.batch_size != "auto":
            return min(int(self.batch_size), max(n_rows, 1))
        return 32 if n_rows <= 2_000 else 128 if n_rows <= 10_000 else 256

    def _specify_network(
        self, problem: Problem, seed: int
    ) -> tuple[NetworkSpec, Any, list[np.ndarray] | None]:
        """Return the network's specification, its optimizer, and the values of a custom model."""
        optimizer = make_optimizer(self.optimizer, self._routed("optimizer"))
        n_classes = [len(c) for c in problem.active_classes]
        spec = NetworkSpec(
            n_features=problem.X.shape[1],
            n_outputs=tuple(1 if n == 2 else n for n in n_classes),
            hidden_layer_sizes=_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            head_hidden_layer_sizes=self._head_sizes(problem),
            activation=canonical_activation(self.activation),
            dropout=float(self.dropout),
            normalization=self.normalization,
            l2=float(self.l2),
        )
        if self.model is None:
            if self._routed("model"):
                raise ValueError(
                    f"model__{next(iter(self._routed('model')))} is set, but model is None: there "
                    "is no builder that it belongs to."
                )
            return spec, optimizer, None
        # scikeras is imported for custom models only.
        from sk_mtl._scikeras import build_custom_model, describe_for_builder

        schema = problem.schema
        custom = build_custom_model(
            self.model,
            # All tasks, whether this y can teach them or not: the builder's heads are fixed.
            meta=describe_for_builder(
                problem.X.shape, schema.classes, schema.task_names, is_1d=schema.is_1d
            ),
            seed=seed,
            model_params=self._routed("model"),
            optimizer=self.optimizer,
            optimizer_params=self._routed("optimizer"),
        )
        if custom.compiled and custom.optimizer is not None:
            optimizer = make_optimizer(custom.optimizer)
        outputs = classify_outputs(custom, schema.task_names, schema.n_classes)
        spec = replace(
            spec,
            hidden_layer_sizes=(),
            custom_model=serialize_model(custom),
            custom_outputs=None if outputs is None else outputs.select(problem.is_active.tolist()),
        )
        return spec, optimizer, [np.array(v.numpy()) for v in network_variables(custom)]

    def _head_sizes(self, problem: Problem) -> tuple[tuple[int, ...], ...]:
        """Return the hidden layer sizes of each active head."""
        given, names = self.head_hidden_layer_sizes, problem.schema.task_names
        if not isinstance(given, Mapping):
            sizes = _layer_sizes(given, "head_hidden_layer_sizes")
            return (sizes,) * len(problem.active_names)
        by_name = {
            names[resolve_task(task, names)]: _layer_sizes(sizes, "head_hidden_layer_sizes")
            for task, sizes in given.items()
        }
        return tuple(by_name.get(name, ()) for name in problem.active_names)

    def _keep(
        self,
        problem: Problem,
        trained: tuple[TrainingPlan, TrainingOutcome] | None,
        seed: int,
        going_on: bool,
        adds_labels: bool = False,
    ) -> MultiTaskClassifier:
        """Set all fitted attributes."""
        schema, labelled = problem.schema, problem.targets.label_mask.sum(axis=0)
        n_rows = len(problem.targets.codes)
        if adds_labels:
            labelled, n_rows = labelled + self._labelled_cells, n_rows + self._n_rows
        history: dict[str, list[float]] = self.history_ if going_on else {}
        n_iter, best_iter, network = self.n_iter_ if going_on else 0, 0, None
        weights = np.zeros(len(schema.task_names), dtype=np.float32)
        if trained is not None:
            plan, outcome = trained
            history = _continue_history(history, outcome.history, n_iter, outcome.n_epochs)
            best_iter, n_iter = n_iter + outcome.best_epoch, n_iter + outcome.n_epochs
            network = FittedNetwork(plan.spec, outcome.state)
            state, n_active = outcome.state.weighting, len(problem.active_names)
            weights[problem.is_active] = plan.weighting.weights(state, n_active)
        self._schema, self._seed, self._network = schema, seed, network
        self._is_active = problem.is_active
        self._stopping = None if trained is None else note_stopping(trained[0])
        self._labelled_cells, self._n_rows = labelled, n_rows
        was_trained = self._is_trained if going_on else np.zeros(len(labelled), dtype=bool)
        self._is_trained = was_trained | ((labelled > 0) & (np.array(schema.n_classes) > 0))
        self._describe_targets()
        self.task_weights_ = weights
        self.history_ = history
        self.n_iter_ = n_iter
        self.best_iter_ = best_iter
        return self

    def _describe_targets(self) -> None:
        """Set the attributes that follow from the schema and the counts of labels."""
        schema = self._schema
        self.task_names_ = _object_array(schema.task_names)
        self.n_tasks_ = len(schema.task_names)
        self.classes_ = self._by_task(list(schema.classes))
        self.n_classes_ = self._by_task(list(schema.n_classes))
        self.label_coverage_ = self._labelled_cells / self._n_rows

    def _by_task(self, items: list[Any]) -> Any:
        return items[0] if self._schema.is_1d else PerTask(items, self._schema.task_names)

    # --------------------------------------------------------------------------------------------
    # Predicting
    # --------------------------------------------------------------------------------------------

    def _probabilities(self, X: Any) -> list[np.ndarray]:
        """Return class probabilities of each task; NaN for a task that is not trained."""
        check_is_fitted(self)
        X = check_features(self, X, reset=False, keep_float64=True)
        learned = iter([] if self._network is None else self._network.probabilities(X))
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
        probabilities : PerTask of ndarray of float32, or ndarray
            By task, of shape (n_samples, n_classes_t), columns in the order of `classes_`: a list
            that also answers to task names. A plain array for a 1-D y. NaN for a task that had no
            label in training.
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
        log_probabilities : PerTask of ndarray of float32, or ndarray
            By task, of shape (n_samples, n_classes_t), as `predict_proba` gives probabilities.
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

    def summary(self) -> FitSummary:
        """Return what was learned from, how training went, and what came out.

        Returns
        -------
        summary : FitSummary
            Tasks, labelled cells, layers, epochs and losses, as tables; ``print`` it, or end a
            notebook's cell with it.
        """
        check_is_fitted(self)
        return summarize_fit(self)

    # --------------------------------------------------------------------------------------------
    # scikit-learn
    # --------------------------------------------------------------------------------------------

    @property
    def model_(self) -> Any:
        """The network as a Keras model."""
        network = vars(self).get("_network")
        if network is None:
            raise AttributeError(
                f"{type(self).__name__} has no model_: it is not fitted, or no task has two "
                "classes."
            )
        return network.model

    def __sklearn_tags__(self) -> Any:
        check_asker(lambda y: has_missing_labels(y, missing_label=self.missing_label))
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.target_tags.one_d_labels = True
        tags.target_tags.two_d_labels = True
        tags.classifier_tags = ClassifierTags(multi_class=True, multi_label=True)
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), "format_version": FORMAT_VERSION}
        if "_schema" in state:
            state["_schema"] = with_plain_dtypes(state["_schema"])
        return {name: value for name, value in state.items() if name not in DERIVED_ATTRIBUTES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        check_format_version(state, type(self).__name__)
        state = {k: v for k, v in state.items() if k != "format_version"}
        # Parameters that an earlier release did not have yet.
        super().__setstate__({**vars(MultiTaskClassifier()), **state})
        if "_schema" in state:
            self._schema = with_dtypes(self._schema)
            self._describe_targets()


@contextmanager
def _unchanged_on_error(estimator: MultiTaskClassifier) -> Iterator[None]:
    """Put an estimator's attributes back if fitting it fails, whatever was set by then."""
    before = dict(estimator.__dict__)
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def _continue_history(
    history: dict[str, list[float]], new: dict[str, list[float]], n_before: int, n_new: int
) -> dict[str, list[float]]:
    """Return a history with further epochs, NaN where a series was not recorded."""
    nothing_before, nothing_new = [float("nan")] * n_before, [float("nan")] * n_new
    return {
        name: history.get(name, nothing_before) + new.get(name, nothing_new)
        for name in {**history, **new}
    }


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
