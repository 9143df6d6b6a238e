"""The estimator: parameters, fit, predict, score, tags. No mathematics and no TensorFlow.

Owns the surface that users see and the order of the stages; each stage is a module of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sk_mtl._compat.parameters import check_parameters
from sk_mtl._compat.processes import refuse_fork
from sk_mtl._compat.sklearn_guard import check_asker
from sk_mtl._data.categories import (
    Categories,
    change_codes,
    find_categorical,
    keep_used,
    learn_categories,
    split_columns,
)
from sk_mtl._data.dataset import (
    Dataset,
    Subset,
    UnlabelledSubset,
    check_same_classes,
    declare_schema,
    encode_dataset,
    read_validation,
    require_labels,
    warn_of_degenerate_tasks,
)
from sk_mtl._data.features import check_features
from sk_mtl._data.input_encoder import InputSpec, LearnedInput, learn_input
from sk_mtl._data.labels import has_missing_labels, read_cell_weight, read_labels
from sk_mtl._data.schema import TargetSchema
from sk_mtl._fit.best import choose_best
from sk_mtl._fit.fitted import (
    ADDED_PARAMETERS,
    FORMAT_VERSION,
    FittedNetwork,
    check_format_version,
    with_dtypes,
    with_plain_dtypes,
)
from sk_mtl._fit.label_smoothing import compute_label_smoothing
from sk_mtl._fit.logit_adjustment import compute_adjusted_frequencies, compute_logit_offsets
from sk_mtl._fit.splits import split_folds, split_validation
from sk_mtl._fit.temperature_scaling import fit_temperatures, require_validation
from sk_mtl._model.custom_model import classify_outputs, serialize_model
from sk_mtl._model.network import canonical_activation, network_variables
from sk_mtl._model.spec import NetworkSpec
from sk_mtl._routing import RoutedParamsMixin, make_callbacks, make_optimizer
from sk_mtl._summary import FitSummary, describe_stopping, summarize_fit
from sk_mtl._task_view import TaskView
from sk_mtl._tasks import PerTask, resolve_task
from sk_mtl._train.config import UnlabelledSpec
from sk_mtl._train.early_stopping import (
    PlannedEpochs,
    StoppingConfig,
    compute_best_epochs,
    mean_history,
)
from sk_mtl._train.loop import NonFiniteLossError, TrainingResult, draw_start, train
from sk_mtl._train.optimizer import optimizer_and_inner
from sk_mtl._train.plan import TrainingParts, TrainingPlan, make_plan, resolve_jit_compile
from sk_mtl._train.progress import ProgressBar
from sk_mtl._train.resume import ResumePoint, open_resume_point
from sk_mtl._train.state import TrainingState
from sk_mtl.weighting import TaskWeighting, make_weighting

__all__ = ["DERIVED_ATTRIBUTES", "MultiTaskClassifier"]

# Fitted attributes that follow from others: `_describe_targets` sets them.
DERIVED_ATTRIBUTES = ("classes_", "label_coverage_", "n_classes_", "n_tasks_", "task_names_")

# What Adam has without a `model`, chosen in docs/benchmarks/quality.md. Adam divides by the size of
# a weight's gradients; with Keras's 1e-7 weights that rare features alone move take steps as large
# as any.
_ADAM_EPSILON = 1e-4
_EMA_MOMENTUM = 0.99
# With early_stopping="auto": where a task has fewer labels, a tenth of them tells no good epoch.
# All rows are trained on then, for the epochs that were best for folds held out in turn (measured
# in docs/benchmarks/quality.md). With fewer rows with labels nothing is watched; with more, folds
# take too long.
_MIN_LABELS_TO_HOLD_OUT = 2_000
_ROWS_FOR_FOLDS = (100, 20_000)
_N_FOLDS = 5
_CHANGED = (
    "warm_start and partial_fit go on with the network that was fitted, but its parameters have "
    "changed since. Clone the estimator to start afresh."
)
_MAX_WIDTH = 1_000_000  # of a hidden layer


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
    standardize : "auto" or bool, default="auto"
        Whether the network standardises X before anything else, by the means and standard
        deviations of the rows that it is trained on; see Notes. Then cells of X may be missing
        (NaN), too. "auto" does so unless there is a `model` of your own.
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        The features that are categories, not numbers: by their names, their positions, or a mask.
        "from_dtype" takes the columns of a frame that are of a categorical dtype; None takes none.
        A category that the rows trained on do not have counts as missing.
    numeric_embedding : {None, "piecewise_linear", "periodic"}, default=None
        What numbers of more than two values become beside themselves [8]_: how far they have come
        through each of `embedding_size` bins between quantiles, or learned functions of
        `embedding_size` waves of learned frequencies. Not with a `model` of your own.
    embedding_size : int, default=8
        Bins, or frequencies and functions, of each number.
    dropout : float, default=0.4
        Share of the activations of each hidden layer that is dropped while training, in [0, 1).
    normalization : {None, "batch", "layer"}, default=None
        Normalisation between the product and the activation of each hidden layer.
    l2 : float, default=0.0
        Factor of the sum of squared kernel weights that is added to the objective, as Keras's
        `keras.regularizers.L2`.
    ensemble_size : int, default=1
        Members :math:`K` of an ensemble, trained together in one network. Each learns from every
        row, with dropout of its own; the objective is the mean of the members' objectives, and
        probabilities are the means of theirs. Time grows nearly with it. Not with a `model`.
    ensemble_method : {"shared", "independent"}, default="shared"
        "shared": a hidden layer of member :math:`k` is
        :math:`s_k \circ (W^\top (r_k \circ x)) + b_k`, with one kernel :math:`W` for all members
        (BatchEnsemble [6]_). The scalings :math:`r_k` of the features start from -1 or
        1 at random and all others from 1, and the layers of logits have their own kernels, as in
        TabM [7]_. "independent": networks that share nothing, as if each was trained
        alone. Not used with ``ensemble_size=1``.
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
    loss : {"cross_entropy", "focal"}, default="cross_entropy"
        The loss :math:`\ell_{it}` of a cell with the probability :math:`p` of its true class:
        :math:`-\log p`, or :math:`-(1 - p)^\gamma \log p`, which counts less what is predicted well
        (equation 4 of [3]_, without its class weights, which are `class_weight`).
    focal_gamma : float, default=2.0
        The exponent :math:`\gamma` of the focal loss.
    label_smoothing : "auto" or float, default=0.0
        The share of each label, in [0, 1), that is spread evenly over the classes of its task, so
        that no probability is driven to 0 or 1 [14]_. Probabilities are drawn towards
        :math:`1 / K` by as much: those of rare classes come out too high. "auto" is 0.02, but
        nowhere more than the frequency of the task's rarest class, and 0 with the focal loss. It
        acts on training alone: the losses that are watched, and those in `history_`, are those of
        the labels as they are; "objective" is with it.
    logit_adjustment : float, default=0.0
        Add this many times :math:`\log \pi_k` to the logits inside the loss, with the frequencies
        :math:`\pi_k` of the task's classes in the training rows, weights included (equation 10 of
        [4]_). At 1, predictions are those for classes that are equally frequent: rare ones are
        predicted more often, and `predict_proba` is for such a world, not for yours. As the heads
        have biases, it shifts the odds of the classes and changes little else.
    optimizer : str, class or instance of keras.Optimizer, default="adam"
        Its settings are routed: ``optimizer__learning_rate=1e-3``. An instance is copied. Where
        there is no `model`, "adam" and "adamw" have ``epsilon=1e-4``, unless it is set; Keras has
        1e-7.
        A ``weight_decay`` acts on kernels, not on biases, normalisation or the scalings of
        members; on all weights of a custom model.
    epochs : int, default=100
        Passes over the training rows, at most.
    ema_momentum : "auto" or float, default="auto"
        How much of the running average of the weights a step leaves, in [0, 1); fewer at the
        beginning, :math:`n / (9 + n)` in step :math:`n`. The averages are what is watched, kept,
        shown to callbacks at the end of an epoch, and predicted with; training goes on from the
        weights themselves [13]_. 0 averages nothing. "auto" is 0.99, and 0 with a `model` of your
        own or an optimizer that averages weights itself (``use_ema``).
    batch_size : "auto" or int, default="auto"
        Rows per step. "auto" is 32 for up to 2,000 training rows, 128 for up to 10,000, and 256
        beyond.
    batching : {"random", "label_aware"}, default="random"
        "random" shuffles the rows before each epoch. "label_aware" shuffles them so that the rows
        with a label of a rare task are spread evenly over the batches; each still comes once.
    unlabelled : {None, "pseudo_labels", "consistency"}, default=None
        What is learned from cells without a label, of rows with other labels or none at all. None:
        exactly nothing. Otherwise a teacher, which is the network with a running average of its
        weights [9]_, predicts their class probabilities, and these are learned: from the rows as
        they are ("pseudo_labels" [10]_), or from rows of which features were replaced, so that the
        network does not mind ("consistency", as in [11]_); see Notes.
    unlabelled_weight : float, default=1.0
        What the mean loss of cells without a label counts beside that of the labelled ones, from
        the tenth epoch on.
    pseudo_label_threshold : float or None, default=None
        With "pseudo_labels": learn, in place of the probabilities, the class of cells of which
        the teacher is as sure as this, in [0.5, 1), and nothing from others.
    teacher_momentum : float, default=0.99
        How much of the teacher's weights a step leaves, in [0, 1).
    input_noise : float, default=0.2
        With "consistency": the share of the features of a row that are replaced by those of
        another row, in [0, 1).
    jit_compile : "auto" or bool, default="auto"
        Whether XLA compiles the training steps, which makes those of small networks several times
        faster, for half a second to two more before the first epoch. "auto" does so on a CPU if
        `epochs` times the steps of an epoch are at least 400. Weights then differ in the last
        bits from those without, and dropout draws others. Not with batch normalisation or a
        `model` of your own, whose result may depend on the rows that fill up the last batch.
    early_stopping : "auto", "cv" or bool, default="auto"
        Whether to watch the loss of rows held out, stop when it no longer improves, and keep the
        weights of the best epoch. "cv" finds the epoch by five folds of the rows, held out in turn:
        it is the one with the lowest mean loss over folds, and the network is then trained on all
        rows for as many epochs; six trainings, for tables of which no tenth can be spared. "auto"
        is True if `fit` is given validation data. Else it is "cv" if there are 100 to 20,000 rows
        with labels, and a task with fewer than 2,000 of them; but not where a warm start goes on,
        `validation_fraction` is None, `epochs` is not above `n_iter_no_change`, or there are
        `callbacks` or a `model` of your own. Else it is True from 2,000 rows, and False below.
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
    restore_best : {"common", "per_task"}, default="common"
        Whose best epoch's weights early stopping keeps. "common" keeps those of one epoch, the best
        for the loss that is watched. "per_task" predicts each task with all weights of its own best
        epoch, as in [5]_, and stops when no task has improved for `n_iter_no_change` epochs;
        prediction takes as many passes, and the model as many times the memory, as there are
        different such epochs.
    refit : bool, default=False
        Whether to train afresh on all rows, those held out by early stopping among them, for as
        many epochs as were found to be best, with the same seed and batch size. Not with validation
        data. Callbacks are called in both trainings. ``early_stopping="cv"`` does so anyway.
    calibrate : bool or "auto", default=False
        Whether to divide the logits of each task by a temperature [2]_, found by the log loss over
        the labelled cells that were watched; tasks of few such cells have about the same one. It
        needs rows held out for early stopping, or validation data. `predict` stays as it is. With
        `refit` the temperatures are those found for the network before. "auto" calibrates where
        there are such rows and the network is not trained on them in the end.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    callbacks : keras.callbacks.Callback, class, list or dict of these, default=None
        Called as by `keras.Model.fit`; the settings of classes are routed:
        ``callbacks__patience=3``, ``callbacks__0__patience=3``.
    checkpoint : path-like, default=None
        A folder, in which `fit` notes how far it has come. Killed and called again with the same
        data and parameters, it goes on from there and ends with the same bits. Needs a
        `random_state` and no `callbacks`. Not used by `partial_fit`.
    model : callable or keras.Model, default=None
        A builder of a Keras model, as scikeras takes it, or a model, which is copied. Its output
        is the trunk, on which the heads are put, or it is the whole network, with an output per
        task. A trunk takes the place of `hidden_layer_sizes`; a whole network takes that of all
        parameters of layers. Parameters of the builder are routed: ``model__width=64``; it is
        given ``meta`` and ``compile_kwargs`` if it asks for them.
    classes : array-like, list of array-like or dict, default=None
        The classes of the tasks: of a 1-D y itself, one array-like per task, or by task. Tasks
        left out have the categories of a categorical column, or else the labels found; more than
        1,000 of these, with hardly two labels each, are refused as identifiers of the rows.
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
        weights of the tasks are learned. Of an ensemble, "loss" is the mean of the members'
        losses, and "val_loss" the loss of their mean probabilities. With
        ``early_stopping="cv"`` these are means over folds, where one that has stopped keeps its
        last. With `unlabelled`, "unlabelled_objective" is what cells without a label add to the
        objective, before it is weighted. Where the name of a task would give two series one name,
        the task is called "task0:<name>" in them, by its position.
    n_iter_ : int
        Epochs trained, those of earlier fits with a warm start included.
    best_iter_ : int
        The epoch whose weights were kept, counted from 1.
    best_iters_ : ndarray of int of shape (n_tasks,)
        The same by task: they differ with ``restore_best="per_task"``. 0 for a task that the
        network does not learn.
    task_weights_ : ndarray of float32 of shape (n_tasks,)
        The weights :math:`\lambda_t`; 0 for a task that the network does not learn.
    temperatures_ : ndarray of float32 of shape (n_tasks,)
        What the logits of each task are divided by for its probabilities; 1 without `calibrate`.
    model_ : keras.Model
        The network as a Keras model, from X to the logits in task order (a binary task has one),
        divided by the temperatures; those of an ensemble are of the mean probabilities. The
        networks of several epochs are parts of it. A whole network of your own has the weights of
        epoch `best_iter_`, and gives what it always gives. Built from the fitted weights at the
        first access; changing it does not change the estimator.
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

    Where X is standardised, a feature becomes :math:`(x - \mu) / \sigma`, with its mean and its
    standard deviation over the rows that are trained on (with labels, not held out, by their
    weight). A feature of two values, :math:`d` apart, becomes :math:`(x - \mu) / d`, so that rare
    bits of fingerprints do not become large; one with one value becomes 0. Numbers farther than
    1000 from 0 after this count as 1000. The network computes in float32: a feature whose values
    differ by less than :math:`10^{-7}` of their size has lost the difference before. With
    `partial_fit`, the first rows with labels fix the statistics.

    A missing cell becomes 0, the mean, and a further column tells where a feature is missing, if
    that happened in training; its weights are what is learned for it.

    A category becomes a column of zeros and ones, centred; more than 64 categories of a feature
    become vectors of 16 learned numbers. A missing category has its own column or vector, if it
    was missing in training; else it has the mean of all columns, as an unknown one has.

    A task with one class is predicted as that class, and a task without any label as missing,
    both with a warning.

    With `unlabelled`, a step has a second batch, drawn from all rows with cells without a label
    but those held out; `batch_size` is that of both, by the number of their rows. The teacher has
    probabilities :math:`q` of such a cell, and the network, with dropout, :math:`p`. The objective
    has the term :math:`w \sum_t \lambda_t U_t`, where :math:`U_t` is as :math:`L_t`, with
    :math:`-\sum_k q_k \log p_k` in place of the loss of a labelled cell, and :math:`w` grows to
    `unlabelled_weight` over ten epochs: it is that times :math:`e^{-5 (1 - n / 10)^2}` in epoch
    :math:`n`, as in [12]_. Sample weights are those of cells without a label, too: they must be
    given there, and a weight of 0 leaves a cell out. Class weights, focal loss, label smoothing and
    logit adjustment do not apply to them. What early stopping watches and keeps, and what predicts,
    is the network, not the teacher.

    References
    ----------
    .. [1] A. Kendall, Y. Gal, R. Cipolla. "Multi-Task Learning Using Uncertainty to Weigh Losses
       for Scene Geometry and Semantics". CVPR 2018, arXiv 1705.07115.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. "On Calibration of Modern Neural
       Networks". ICML 2017, arXiv 1706.04599.
    .. [3] T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár. "Focal Loss for Dense Object
       Detection". ICCV 2017, arXiv 1708.02002.
    .. [4] A. K. Menon, S. Jayasumana, A. S. Rawat, H. Jain, A. Veit, S. Kumar. "Long-tail Learning
       via Logit Adjustment". ICLR 2021, arXiv 2007.07314.
    .. [5] B. A. Eraqi, D. Khizbullin, S. S. Nagaraja, S. M. Sarathy. "Molecular Property
       Prediction in the Ultra-Low Data Regime" (adaptive checkpointing with specialization).
       Communications Chemistry 8, 201, 2025.
    .. [6] Y. Wen, D. Tran, J. Ba. "BatchEnsemble: An Alternative Approach to Efficient Ensemble
       and Lifelong Learning". ICLR 2020, arXiv 2002.06715.
    .. [7] Y. Gorishniy, A. Kotelnikov, A. Babenko. "TabM: Advancing Tabular Deep Learning with
       Parameter-Efficient Ensembling". ICLR 2025, arXiv 2410.24210.
    .. [8] Y. Gorishniy, I. Rubachev, A. Babenko. "On Embeddings for Numerical Features in Tabular
       Deep Learning". NeurIPS 2022, arXiv 2203.05556.
    .. [9] A. Tarvainen, H. Valpola. "Mean Teachers Are Better Role Models: Weight-Averaged
       Consistency Targets Improve Semi-Supervised Deep Learning Results". NeurIPS 2017, arXiv
       1703.01780.
    .. [10] D.-H. Lee. "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for
       Deep Neural Networks". ICML 2013 Workshop on Challenges in Representation Learning.
    .. [11] J. Yoon, Y. Zhang, J. Jordon, M. van der Schaar. "VIME: Extending the Success of Self-
       and Semi-supervised Learning to Tabular Domain". NeurIPS 2020.
    .. [12] S. Laine, T. Aila. "Temporal Ensembling for Semi-Supervised Learning". ICLR 2017, arXiv
       1610.02242.
    .. [13] B. T. Polyak, A. B. Juditsky. "Acceleration of Stochastic Approximation by Averaging".
       SIAM Journal on Control and Optimization 30(4), 1992.
    .. [14] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna. "Rethinking the Inception
       Architecture for Computer Vision" (section 7). CVPR 2016, arXiv 1512.00567.

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
    _categories: Categories | None
    _seed: int
    _network: FittedNetwork | None
    _is_learnable: np.ndarray
    _has_labels: np.ndarray
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
        standardize: Any = "auto",
        categorical_features: Any = "from_dtype",
        numeric_embedding: str | None = None,
        embedding_size: int = 8,
        dropout: float = 0.4,
        normalization: str | None = None,
        l2: float = 0.0,
        ensemble_size: int = 1,
        ensemble_method: str = "shared",
        task_weighting: Any = "equal",
        loss_normalization: str = "cells",
        class_weight: Any = None,
        loss: str = "cross_entropy",
        focal_gamma: float = 2.0,
        label_smoothing: str | float = 0.0,
        logit_adjustment: float = 0.0,
        optimizer: Any = "adam",
        epochs: int = 100,
        ema_momentum: Any = "auto",
        batch_size: Any = "auto",
        batching: str = "random",
        unlabelled: str | None = None,
        unlabelled_weight: float = 1.0,
        pseudo_label_threshold: float | None = None,
        teacher_momentum: float = 0.99,
        input_noise: float = 0.2,
        jit_compile: Any = "auto",
        early_stopping: Any = "auto",
        validation_fraction: float | None = 0.1,
        monitor: Hashable | None = None,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        restore_best: str = "common",
        refit: bool = False,
        calibrate: bool | str = False,
        warm_start: bool = False,
        callbacks: Any = None,
        checkpoint: Any = None,
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
        self.standardize = standardize
        self.categorical_features = categorical_features
        self.numeric_embedding = numeric_embedding
        self.embedding_size = embedding_size
        self.dropout = dropout
        self.normalization = normalization
        self.l2 = l2
        self.ensemble_size = ensemble_size
        self.ensemble_method = ensemble_method
        self.task_weighting = task_weighting
        self.loss_normalization = loss_normalization
        self.class_weight = class_weight
        self.loss = loss
        self.focal_gamma = focal_gamma
        self.label_smoothing = label_smoothing
        self.logit_adjustment = logit_adjustment
        self.optimizer = optimizer
        self.epochs = epochs
        self.ema_momentum = ema_momentum
        self.batch_size = batch_size
        self.batching = batching
        self.unlabelled = unlabelled
        self.unlabelled_weight = unlabelled_weight
        self.pseudo_label_threshold = pseudo_label_threshold
        self.teacher_momentum = teacher_momentum
        self.input_noise = input_noise
        self.jit_compile = jit_compile
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.monitor = monitor
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.restore_best = restore_best
        self.refit = refit
        self.calibrate = calibrate
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.model = model
        self.classes = classes
        self.missing_label = missing_label
        self.random_state = random_state
        self.verbose = verbose
        self._set_routed(routed)

    @classmethod
    def best(cls, **params: Any) -> Self:
        """Make an estimator for those to whom quality matters more than time.

        It has ``ensemble_size=16``, ``numeric_embedding="piecewise_linear"``, a learning rate of
        2e-3 for Adam, ``label_smoothing="auto"``, ``calibrate="auto"`` and ``refit=True``: after
        early stopping it trains afresh on all rows. The values were chosen on validation rows of a
        few tables (docs/benchmarks/quality.md), and may change from one version to the next.

        Parameters
        ----------
        **params : dict
            Parameters of the estimator, which win over those above. With another `optimizer` the
            learning rate is left out, and with a `model` what is of the network. With
            `validation_data`, set ``refit=False``.

        Returns
        -------
        clf : MultiTaskClassifier
            An estimator that is not fitted. All this is in its parameters.

        Examples
        --------
        >>> from sk_mtl import MultiTaskClassifier
        >>> clf = MultiTaskClassifier.best(ensemble_size=4, random_state=0)
        >>> clf.ensemble_size, clf.numeric_embedding
        (4, 'piecewise_linear')
        """
        return cls(**choose_best(params))

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
            Features: finite numbers, NaN where missing.
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
        with _unchanged_on_error(self), _removed_at_the_end() as checkpoints:
            table = read_labels(y, missing_label=self.missing_label)
            is_first = not (going_on and self._is_begun())
            X = self._check_features(X, reset=not going_on, is_first=is_first)
            require_labels(table)
            schema = self._schema if going_on else None
            dataset = encode_dataset(
                X,
                table,
                sample_weight,
                self.class_weight,
                schema,
                self.classes,
                learns_unlabelled=self.unlabelled is not None,
            )
            if not going_on:
                warn_of_degenerate_tasks(dataset, stacklevel=2)
            seed = self._seed if going_on else self._draw_seed()
            start = None
            if not is_first and self._network is not None:
                start = replace(self._network.state, optimizer=None, teacher=None, averaging=None)
            if self._stops_by_folds(dataset, validation_data, start):
                trained, temperatures = self._train_by_folds(dataset, seed, start, checkpoints)
                return self._keep(dataset, trained, seed, going_on, temperatures, n_folds=_N_FOLDS)
            training, watched = self._split_rows(dataset, validation_data, seed)
            if self._must_calibrate and dataset.learnable_names:
                require_validation(watched)
            if self.refit and validation_data is not None:
                raise ValueError(
                    "refit=True trains again on rows that were held out, but with validation_data "
                    "none are. Put these rows into X and y, or set refit=False."
                )
            stopping = None
            if self._stops_early(dataset, watched is not None):
                stopping = self._stopping_config()
            categories = self._categories
            training, watched, of_input = self._learn_input(dataset, training, watched, start)
            trained = self._train(
                dataset, training, watched, of_input, seed, start, stopping, checkpoints
            )
            temperatures = None
            calibrates = self._must_calibrate or (self.calibrate == "auto" and not self.refit)
            if calibrates and trained is not None and watched is not None:
                held_out = [(_logits_of(*trained, watched), watched)]
                temperatures = self._fit_temperatures(trained[0], held_out)
            if self.refit and trained is not None and watched is not None:
                self._categories = categories
                trained = self._train_on_all(dataset, trained, seed, start, checkpoints)
            return self._keep(dataset, trained, seed, going_on, temperatures)

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> MultiTaskClassifier:
        """Train for one epoch, on these rows, going on from where training stands.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features: finite numbers, NaN where missing.
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
            is_first = not (going_on and self._is_begun())
            X = self._check_features(X, reset=not going_on, is_first=is_first)
            if going_on:
                schema, seed = self._schema, self._seed
                if classes is not None:
                    check_same_classes(schema, classes)
            else:
                if self._must_calibrate:
                    require_validation(None)
                declared = self.classes if classes is None else classes
                schema, seed = declare_schema(table, declared), self._draw_seed()
            dataset = encode_dataset(
                X,
                table,
                sample_weight,
                self.class_weight,
                schema,
                learns_unlabelled=self.unlabelled is not None,
            )
            training = dataset.subset(dataset.rows, dataset.class_factors(dataset.rows))
            network = self._network if going_on else None
            start = None if network is None or is_first else network.state
            training, _, of_input = self._learn_input(dataset, training, None, start)
            trained = self._train(
                dataset, training, None, of_input, seed, start, None, None, epochs=1
            )
            temperatures = None if network is None else network.temperatures
            return self._keep(dataset, trained, seed, going_on, temperatures, adds_labels=going_on)

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _stops_early(self, dataset: Dataset, has_validation_data: bool) -> bool:
        if self.early_stopping == "auto":
            return has_validation_data or len(dataset.rows) >= _MIN_LABELS_TO_HOLD_OUT
        return bool(self.early_stopping)

    def _stops_by_folds(
        self, dataset: Dataset, validation_data: Any, start: TrainingState | None
    ) -> bool:
        if not dataset.learnable_names:
            return False
        if self.early_stopping == "cv":
            if validation_data is not None:
                raise ValueError(
                    "early_stopping='cv' watches folds of X and y, and validation_data was given. "
                    "Put these rows into X and y, or set early_stopping=True to watch them."
                )
            if len(dataset.rows) < _N_FOLDS:
                raise ValueError(
                    f"early_stopping='cv' needs at least {_N_FOLDS} rows with labels. Found "
                    f"{len(dataset.rows)}. Set early_stopping=False."
                )
            return True
        n_labels = dataset.targets.label_mask[dataset.rows][:, dataset.is_learnable].sum(axis=0)
        return (
            self.early_stopping == "auto"
            and _ROWS_FOR_FOLDS[0] <= len(dataset.rows) < _ROWS_FOR_FOLDS[1]
            and bool((n_labels < _MIN_LABELS_TO_HOLD_OUT).any())
            and self.validation_fraction is not None
            and validation_data is None
            # What goes on from an earlier fit may have seen any row before.
            and start is None
            # A model of one's own, and callbacks, are not trained and called six times unasked.
            and self.model is None
            and self.callbacks is None
            and self.epochs > self.n_iter_no_change
        )

    def _train_by_folds(
        self,
        dataset: Dataset,
        seed: int,
        start: TrainingState | None,
        checkpoints: list[ResumePoint],
    ) -> tuple[tuple[TrainingPlan, TrainingResult] | None, np.ndarray | None]:
        """Train on all rows for the epochs that were best in the mean over folds held out in turn.

        Returns what `_train` does, with the mean history of the folds, and the temperatures.
        """
        categories = self._categories
        histories: list[dict[str, list[float]]] = []
        held_out: list[tuple[np.ndarray, Subset]] = []
        for parts in split_folds(dataset, _N_FOLDS, seed):
            self._categories = categories
            training, watched, of_input = self._learn_input(dataset, *parts, start)
            stopping = self._stopping_config()
            trained = self._train(
                dataset, training, watched, of_input, seed, start, stopping, checkpoints
            )
            assert trained is not None  # there is a task to learn
            plan, outcome = trained
            histories.append(outcome.history)
            if self._must_calibrate and watched is not None:
                held_out.append((_logits_of(*trained, watched), watched))
        self._categories = categories
        history = mean_history(histories)
        best_epoch, task_epochs, stopped = compute_best_epochs(plan.run.make_monitor(), history)
        found = TrainingResult(
            outcome.state, history, len(history["loss"]), best_epoch, stopping=stopped
        )
        temperatures = self._fit_temperatures(plan, held_out) if held_out else None
        return (
            self._train_on_all(dataset, (plan, found), seed, start, checkpoints, task_epochs),
            temperatures,
        )

    def _split_rows(
        self, dataset: Dataset, validation_data: Any, seed: int
    ) -> tuple[Subset, Subset | None]:
        """Return the rows to train on and those to watch."""
        holds_out = validation_data is None and self._stops_early(dataset, False)
        if holds_out and self.validation_fraction is not None and len(dataset.rows):
            return split_validation(dataset, self.validation_fraction, seed)
        training = dataset.subset(dataset.rows, dataset.class_factors(dataset.rows))
        if validation_data is None or not dataset.learnable_names:
            return training, None

        def check_X(X: Any) -> Any:
            return self._check_features(X, reset=False)

        return training, read_validation(validation_data, dataset, check_X, self.missing_label)

    def _train(
        self,
        dataset: Dataset,
        training: Subset,
        watched: Subset | None,
        of_input: LearnedInput,
        seed: int,
        start: TrainingState | None,
        stopping: StoppingConfig | None,
        checkpoints: list[ResumePoint] | None,
        epochs: int | None = None,
    ) -> tuple[TrainingPlan, TrainingResult] | None:
        """Train the network, from a state or from the beginning; None if there is none to train."""
        if not dataset.learnable_names:
            return None
        refuse_fork()
        spec, optimizer, custom_values = self._specify_network(dataset, of_input, seed)
        if start is not None and self._network is not None and self._network.spec != spec:
            raise ValueError(_CHANGED)
        frequencies = training.class_frequencies(tuple(len(c) for c in dataset.learnable_classes))
        unlabelled = dataset.unlabelled_subset(training, watched)
        weighting = make_weighting(
            self.task_weighting, dataset.schema.task_names, dataset.is_learnable
        )
        batch_size = self._resolve_batch_size(len(training.rows))
        # By `epochs`, not by those of this call: partial_fit trains as fit does.
        steps = self.epochs * -(-len(training.rows) // batch_size)
        plan = self._make_plan(
            dataset,
            spec,
            self._make_parts(dataset, optimizer, weighting),
            frequencies,
            is_sparse=issparse(training.X),
            jit_compile=resolve_jit_compile(self.jit_compile, spec, optimizer, weighting, steps),
            epochs=int(self.epochs if epochs is None else epochs),
            batch_size=batch_size,
            seed=seed,
            first_epoch=0 if start is None else self.n_iter_,
            stopping=stopping,
            monitored_task=self._monitored_task(dataset, watched or training),
            unlabelled_batch_size=self._unlabelled_batch_size(unlabelled),
        )
        if start is None:
            start = self._draw_start(plan, frequencies, custom_values, of_input)
        if not len(training.rows):  # a stream may bring a batch without any label
            return plan, TrainingResult.untrained(start, plan.run)
        checkpoint = self._open_checkpoint(plan, start, training, watched, unlabelled, checkpoints)
        return plan, train(plan, start, training, watched, checkpoint, unlabelled)

    def _make_parts(
        self, dataset: Dataset, optimizer: Any, weighting: TaskWeighting
    ) -> TrainingParts:
        return TrainingParts(
            optimizer,
            weighting,
            make_callbacks(self.callbacks, self._routed("callbacks")),
            ProgressBar(dataset.series_labels, self.verbose > 1) if self.verbose else None,
        )

    def _make_plan(
        self,
        dataset: Dataset,
        spec: NetworkSpec,
        parts: TrainingParts,
        frequencies: list[np.ndarray],
        **settings: Any,
    ) -> TrainingPlan:
        tau = float(self.logit_adjustment)
        return make_plan(
            spec,
            parts,
            task_names=dataset.series_labels,
            loss_normalization=self.loss_normalization,
            focal_gamma=float(self.focal_gamma) if self.loss == "focal" else None,
            logit_offsets=compute_logit_offsets(frequencies, tau) if tau else None,
            label_smoothing=self._resolve_label_smoothing(frequencies),
            batching=self.batching,
            unlabelled=self._specify_unlabelled(),
            unlabelled_weight=float(self.unlabelled_weight),
            ema_momentum=self._resolve_ema_momentum(parts.optimizer),
            **settings,
        )

    def _unlabelled_batch_size(self, unlabelled: UnlabelledSubset | None) -> int:
        # Not that of the labelled rows, of which there may be a handful.
        return 0 if unlabelled is None else self._resolve_batch_size(len(unlabelled.rows))

    def _specify_unlabelled(self) -> UnlabelledSpec | None:
        if self.unlabelled is None:
            return None
        momentum = float(self.teacher_momentum)
        if self.unlabelled == "consistency":
            return UnlabelledSpec(momentum, input_noise=float(self.input_noise))
        threshold = self.pseudo_label_threshold
        return UnlabelledSpec(momentum, threshold if threshold is None else float(threshold))

    def _open_checkpoint(
        self,
        plan: TrainingPlan,
        start: TrainingState,
        training: Subset,
        watched: Subset | None,
        unlabelled: UnlabelledSubset | None,
        opened: list[ResumePoint] | None,
    ) -> ResumePoint | None:
        """Return the checkpoint of a training, and add it to those of this fit."""
        if self.checkpoint is None or opened is None:
            return None
        if self.random_state is None:
            # Nor could it be told from another fit of the same table that goes on at this moment.
            raise ValueError(
                "checkpoint needs a random_state: with None a fit that is started again draws "
                "other weights, and is another fit. Set random_state to an integer."
            )
        checkpoint = open_resume_point(self.checkpoint, plan, start, training, watched, unlabelled)
        opened.append(checkpoint)
        return checkpoint

    def _draw_start(
        self,
        plan: TrainingPlan,
        frequencies: list[np.ndarray],
        custom_values: Any,
        of_input: LearnedInput,
    ) -> TrainingState:
        tau = float(self.logit_adjustment)
        adjusted = compute_adjusted_frequencies(frequencies, tau) if tau else frequencies
        return draw_start(
            plan.program.spec,
            plan.parts.weighting,
            adjusted,
            plan.run.seed,
            custom_values,
            of_input.values,
        )

    def _stopping_config(self) -> StoppingConfig:
        return StoppingConfig(self.n_iter_no_change, self.tol, self.restore_best != "common")

    def _train_on_all(
        self,
        dataset: Dataset,
        trained: tuple[TrainingPlan, TrainingResult],
        seed: int,
        start: TrainingState | None,
        checkpoints: list[ResumePoint],
        task_epochs: tuple[int, ...] = (),
    ) -> tuple[TrainingPlan, TrainingResult]:
        """Train afresh on all rows for the epochs found; the history stays that of the search."""
        plan, found = trained
        training = dataset.subset(dataset.rows, dataset.class_factors(dataset.rows))
        training, _, of_input = self._learn_input(dataset, training, None, start)
        frequencies = training.class_frequencies(tuple(len(c) for c in dataset.learnable_classes))
        spec, optimizer, custom_values = self._specify_network(dataset, of_input, seed)
        epochs = task_epochs or (found.best_epoch,) * len(dataset.learnable_names)
        if found.best_weights is not None:
            epochs = found.best_weights.task_epochs
        unlabelled = dataset.unlabelled_subset(training, None)
        again = self._make_plan(
            dataset,
            spec,
            self._make_parts(dataset, optimizer, plan.parts.weighting),
            frequencies,
            is_sparse=issparse(training.X),
            jit_compile=plan.program.xla_batch_size > 0,
            epochs=max(*epochs, found.best_epoch),
            batch_size=plan.run.batch_size,
            seed=seed,
            first_epoch=plan.run.first_epoch,
            stopping=PlannedEpochs(found.best_epoch, tuple(epochs)),
            monitored_task=plan.run.monitored_task,
            unlabelled_batch_size=self._unlabelled_batch_size(unlabelled),
        )
        if start is None:
            start = self._draw_start(again, frequencies, custom_values, of_input)
        checkpoint = self._open_checkpoint(again, start, training, None, unlabelled, checkpoints)
        outcome = train(again, start, training, None, checkpoint, unlabelled)
        found = replace(found, state=outcome.state, best_weights=outcome.best_weights)
        return replace(plan, program=replace(plan.program, spec=spec)), found

    @property
    def _must_calibrate(self) -> bool:
        return bool(self.calibrate) and self.calibrate != "auto"

    def _fit_temperatures(
        self, plan: TrainingPlan, held_out: list[tuple[np.ndarray, Subset]]
    ) -> np.ndarray:
        """Return the temperatures of the tasks that the network learns, from logits of rows."""
        return fit_temperatures(
            np.concatenate([logits for logits, _ in held_out]),
            np.concatenate([watched.codes[watched.rows] for _, watched in held_out]),
            np.concatenate([watched.weight[watched.rows] for _, watched in held_out]),
            plan.program.spec.n_outputs,
            plan.run.logit_offsets,
        )

    def _monitored_task(self, dataset: Dataset, watched: Subset) -> int | None:
        """Return the position of the watched task among those that the network learns."""
        if self.monitor is None:
            return None
        task = resolve_task(self.monitor, dataset.schema.task_names, parameter="monitor")
        position = int(dataset.is_learnable[:task].sum())
        if dataset.is_learnable[task] and watched.weight[watched.rows, position].any():
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

    def _is_begun(self) -> bool:
        """Return whether training goes on; a stream may have brought no label yet."""
        return getattr(self, "n_iter_", 0) > 0

    def _standardizes(self) -> bool:
        return self.model is None if self.standardize == "auto" else bool(self.standardize)

    def _check_features(
        self, X: Any, *, reset: bool, keep_float64: bool = False, is_first: bool | None = None
    ) -> Any:
        """Return X as numbers; where it is the first one, learn which categories it has."""
        allow_nan = self._standardizes()
        if reset if is_first is None else is_first:
            self._categories = None
            is_categorical = find_categorical(X, self.categorical_features)
            if is_categorical is not None:
                self._refuse_categories_beside_model(is_categorical)
                self._categories = learn_categories(X, is_categorical)
        elif vars(self).get("_network") is not None:
            of_input = self._network.spec.input  # type: ignore[union-attr]
            allow_nan = of_input is not None and of_input.standardize
        categories, split = vars(self).get("_categories"), None
        if categories is not None:
            mask = np.array([of_feature is not None for of_feature in categories])

            def split(X: Any) -> tuple[Any, np.ndarray, np.ndarray]:
                return *split_columns(X, categories), mask

        return check_features(
            self,
            X,
            reset=reset,
            allow_nan=allow_nan,
            keep_float64=keep_float64,
            split=split,
        )

    def _refuse_categories_beside_model(self, is_categorical: np.ndarray) -> None:
        if self.model is not None:
            raise ValueError(
                f"X has {is_categorical.sum()} categorical feature(s), and a `model` of your own "
                "takes numbers. Encode them (OneHotEncoder), or set categorical_features=None if "
                "they are numbers."
            )

    def _learn_input(
        self,
        dataset: Dataset,
        training: Subset,
        watched: Subset | None,
        start: TrainingState | None,
    ) -> tuple[Subset, Subset | None, LearnedInput]:
        """Return the rows with the codes of the categories trained on, and the input layers."""
        standardize, categories = self._standardizes(), vars(self).get("_categories")
        if self.model is not None and self.numeric_embedding is not None:
            raise ValueError(
                "numeric_embedding is of the built-in network, and there is a `model` of your own: "
                "embed numbers there, or leave it None."
            )
        if start is not None and self._network is not None:
            return training, watched, LearnedInput(self._same_input(self._network.spec.input))
        is_plain = not standardize and categories is None and self.numeric_embedding is None
        if is_plain or not dataset.learnable_names:
            return training, watched, LearnedInput()
        rows = training.rows
        if categories is not None:
            self._categories, new_codes = keep_used(categories, training.X, rows)
            if new_codes:
                is_one = watched is not None and watched.X is training.X
                training = replace(training, X=change_codes(training.X, new_codes))
                if watched is not None:
                    X = training.X if is_one else change_codes(watched.X, new_codes)
                    watched = replace(watched, X=X)
        # By weight, so that a row of weight 2 counts as the row twice here, too.
        weight = training.weight[rows].max(axis=1)
        learned = learn_input(
            training.X,
            rows,
            weight,
            standardize=standardize,
            n_categories=tuple(0 if c is None else len(c) for c in self._categories or ()),
            embedding=self.numeric_embedding,
            embedding_size=self.embedding_size,
        )
        return training, watched, learned

    def _same_input(self, fitted: InputSpec | None) -> InputSpec | None:
        """Return the input layers of the fitted network, if parameters still ask for them."""
        now = fitted or InputSpec(standardize=False)
        is_other_size = now.embedding is not None and now.embedding_size != self.embedding_size
        is_other = (now.standardize, now.embedding) != (
            self._standardizes(),
            self.numeric_embedding,
        )
        if is_other or is_other_size:
            raise ValueError(_CHANGED)
        return fitted

    def _make_optimizer(self) -> keras.optimizers.Optimizer:
        settings = dict(self._routed("optimizer"))
        is_named = isinstance(self.optimizer, str) and self.optimizer.lower() in ("adam", "adamw")
        if is_named and self.model is None:
            settings = {"epsilon": _ADAM_EPSILON} | settings
        return make_optimizer(self.optimizer, settings)

    def _resolve_label_smoothing(self, frequencies: list[np.ndarray]) -> np.ndarray | None:
        if self.loss == "cross_entropy":
            return compute_label_smoothing(self.label_smoothing, frequencies)
        if self.label_smoothing != "auto" and self.label_smoothing:
            raise ValueError(
                f"label_smoothing={self.label_smoothing!r} is for the cross-entropy. Got "
                f"loss={self.loss!r}; set loss='cross_entropy', or label_smoothing=0."
            )
        return None

    def _resolve_ema_momentum(self, optimizer: keras.optimizers.Optimizer) -> float:
        has_own = optimizer_and_inner(optimizer)[1].use_ema
        if self.ema_momentum == "auto":
            return 0.0 if has_own or self.model is not None else _EMA_MOMENTUM
        if has_own and self.ema_momentum:
            raise ValueError(
                f"ema_momentum={self.ema_momentum!r} averages weights, and so does the optimizer, "
                "with use_ema=True. Set one of them: optimizer__use_ema=False, or ema_momentum=0."
            )
        return float(self.ema_momentum)

    def _specify_network(
        self, dataset: Dataset, of_input: LearnedInput, seed: int
    ) -> tuple[NetworkSpec, Any, list[np.ndarray] | None]:
        """Return the network's specification, its optimizer, and the values of a custom model."""
        optimizer = self._make_optimizer()
        n_classes = [len(c) for c in dataset.learnable_classes]
        spec = NetworkSpec(
            n_features=dataset.X.shape[1],
            n_outputs=tuple(1 if n == 2 else n for n in n_classes),
            hidden_layer_sizes=_layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            head_hidden_layer_sizes=self._head_sizes(dataset),
            activation=canonical_activation(self.activation),
            dropout=float(self.dropout),
            normalization=self.normalization,
            l2=float(self.l2),
            input=of_input.spec,
            ensemble_size=int(self.ensemble_size),
            # One member is one network, whatever it might share.
            ensemble_method=self.ensemble_method if self.ensemble_size > 1 else "shared",
        )
        if self.model is None:
            if self._routed("model"):
                raise ValueError(
                    f"model__{next(iter(self._routed('model')))} is set, but model is None: there "
                    "is no builder that it belongs to."
                )
            return spec, optimizer, None
        if self.ensemble_size > 1:
            raise ValueError(
                f"ensemble_size={self.ensemble_size} needs a network built from "
                "hidden_layer_sizes, and `model` gives one of your own. Set ensemble_size=1 and "
                "fit the estimator with several random_states, or leave model=None."
            )
        # scikeras is imported for custom models only.
        from sk_mtl._model.scikeras import build_custom_model, describe_for_builder

        schema = dataset.schema
        custom = build_custom_model(
            self.model,
            # All tasks, whether this y can teach them or not: the builder's heads are fixed.
            meta=describe_for_builder(
                dataset.X.shape, schema.classes, schema.task_names, is_1d=schema.is_1d
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
            custom_outputs=None
            if outputs is None
            else outputs.select(dataset.is_learnable.tolist()),
        )
        return spec, optimizer, [np.array(v.numpy()) for v in network_variables(custom)]

    def _head_sizes(self, dataset: Dataset) -> tuple[tuple[int, ...], ...]:
        """Return the hidden layer sizes of each active head."""
        given, names = self.head_hidden_layer_sizes, dataset.schema.task_names
        parameter = "head_hidden_layer_sizes"
        if not isinstance(given, Mapping):
            sizes = _layer_sizes(given, parameter)
            return (sizes,) * len(dataset.learnable_names)
        by_name = {
            names[resolve_task(task, names, parameter=parameter)]: _layer_sizes(sizes, parameter)
            for task, sizes in given.items()
        }
        return tuple(by_name.get(name, ()) for name in dataset.learnable_names)

    def _keep(
        self,
        dataset: Dataset,
        trained: tuple[TrainingPlan, TrainingResult] | None,
        seed: int,
        going_on: bool,
        temperatures: np.ndarray | None,
        adds_labels: bool = False,
        n_folds: int = 0,
    ) -> MultiTaskClassifier:
        """Set all fitted attributes."""
        schema, labelled = dataset.schema, dataset.targets.label_mask.sum(axis=0)
        n_rows = len(dataset.targets.codes)
        if adds_labels:
            labelled, n_rows = labelled + self._labelled_cells, n_rows + self._n_rows
        history: dict[str, list[float]] = self.history_ if going_on else {}
        n_iter, best_iter, network = self.n_iter_ if going_on else 0, 0, None
        weights = np.zeros(len(schema.task_names), dtype=np.float32)
        if trained is not None:
            plan, outcome = trained
            history = _continue_history(history, outcome.history, n_iter, outcome.n_epochs)
            best_iter, n_iter = n_iter + outcome.best_epoch, n_iter + outcome.n_epochs
            checkpoints = outcome.best_weights
            if checkpoints is not None:
                checkpoints = checkpoints.shift(n_iter - outcome.n_epochs)
            network = FittedNetwork(plan.program.spec, outcome.state, temperatures, checkpoints)
            state, n_active = outcome.state.weighting, len(dataset.learnable_names)
            weights[dataset.is_learnable] = plan.parts.weighting.weights(state, n_active)
        self._schema, self._seed, self._network = schema, seed, network
        self._is_learnable = dataset.is_learnable
        self._stopping = (
            None if trained is None else describe_stopping(trained[1].stopping, n_folds)
        )
        self._labelled_cells, self._n_rows = labelled, n_rows
        was_trained = self._has_labels if going_on else np.zeros(len(labelled), dtype=bool)
        self._has_labels = was_trained | ((labelled > 0) & (np.array(schema.n_classes) > 0))
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

    def _probabilities(self, X: Any, calibrated: bool = True) -> list[np.ndarray]:
        """Return class probabilities of each task; NaN for a task that is not trained."""
        check_is_fitted(self)
        X = self._check_features(X, reset=False, keep_float64=True)
        network = self._network
        learned = iter([] if network is None else network.probabilities(X, calibrated))
        return self._fill_in(learned, X.shape[0], 1.0)

    def _fill_in(
        self, learned: Iterator[np.ndarray], n_rows: int, of_one_class: float
    ) -> list[np.ndarray]:
        """Return numbers of each task: also of one with one class, NaN of one not trained."""
        by_task = []
        for t, n in enumerate(self._schema.n_classes):
            if self._is_learnable[t]:
                numbers = next(learned)
            else:
                numbers = np.full((n_rows, n), of_one_class, np.float32)
            by_task.append(numbers if self._has_labels[t] else np.full_like(numbers, np.nan))
        return by_task

    def _predicted_codes(self, X: Any) -> np.ndarray:
        """Return the index of the most probable class of each cell, 0 where not trained."""
        # A temperature changes no order, but could round two probabilities to the same number.
        probabilities = self._probabilities(X, calibrated=False)
        codes = np.zeros((len(probabilities[0]), len(probabilities)), dtype=np.int64)
        for t in np.flatnonzero(self._has_labels):
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
        return self._schema.decode(codes, self._has_labels, like=X)

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

    def predict_std(self, X: Any) -> Any:
        r"""Predict how far the members of the ensemble disagree.

        The standard deviation over the :math:`K` members of each class's probability,
        :math:`\sqrt{\tfrac1K \sum_k (p_k - \bar p)^2}`, where :math:`\bar p` is what
        `predict_proba` gives without `calibrate`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        spread : PerTask of ndarray of float32, or ndarray
            By task, of shape (n_samples, n_classes_t), in the form of `predict_proba`. NaN for a
            task that had no label in training.

        Raises
        ------
        ValueError
            If the estimator was fitted with ``ensemble_size=1``.
        """
        check_is_fitted(self)
        network = self._network
        if (self.ensemble_size if network is None else network.spec.ensemble_size) == 1:
            raise ValueError(
                "predict_std is the spread over the members of an ensemble, and this estimator "
                "was fitted with ensemble_size=1. Fit it with ensemble_size=8, for instance."
            )
        X = check_features(self, X, reset=False, keep_float64=True)
        learned = iter([] if network is None else network.spread(X))
        return self._by_task(self._fill_in(learned, X.shape[0], 0.0))

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
        counted = (totals > 0) & self._has_labels
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
    def temperatures_(self) -> np.ndarray:
        """The temperature of each task."""
        check_is_fitted(self)
        temperatures = np.ones(len(self._is_learnable), dtype=np.float32)
        if self._network is not None and self._network.temperatures is not None:
            temperatures[self._is_learnable] = self._network.temperatures
        return temperatures

    @property
    def best_iters_(self) -> np.ndarray:
        """The epoch whose weights each task is predicted with."""
        check_is_fitted(self)
        epochs = np.where(self._is_learnable, self.best_iter_, 0)
        if self._network is not None and self._network.checkpoints is not None:
            epochs[self._is_learnable] = self._network.checkpoints.task_epochs
        return epochs

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
        tags.input_tags.allow_nan = self._standardizes()
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
        super().__setstate__({**vars(MultiTaskClassifier()), **ADDED_PARAMETERS, **state})
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
        # In one step: a second Ctrl-C may come at once.
        estimator.__dict__ = before
        raise


@contextmanager
def _removed_at_the_end() -> Iterator[list[ResumePoint]]:
    """Give a list of checkpoints, removed when a fit ends or diverges; not if it is interrupted."""
    checkpoints: list[ResumePoint] = []
    try:
        yield checkpoints
    except NonFiniteLossError:  # from there training would diverge again
        _remove(checkpoints)
        raise
    _remove(checkpoints)


def _remove(checkpoints: list[ResumePoint]) -> None:
    for checkpoint in checkpoints:
        checkpoint.remove()


def _logits_of(plan: TrainingPlan, outcome: TrainingResult, rows: Subset) -> np.ndarray:
    """Return the logits of the rows that count, by what was trained."""
    network = FittedNetwork(plan.program.spec, outcome.state, None, outcome.best_weights)
    return network.logits(rows.X[rows.rows])


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
    listed = np.atleast_1d(np.asarray(sizes, dtype=object))
    are_widths = (type(n) is not bool and isinstance(n, Integral) for n in listed.ravel())
    if listed.ndim != 1 or not all(are_widths) or (listed < 1).any():
        raise ValueError(f"{name} must hold integers of at least 1. Got {sizes!r}.")
    if (listed > _MAX_WIDTH).any():
        raise ValueError(
            f"{name} must hold integers of at most {_MAX_WIDTH:,}: the weights of a wider layer "
            f"fit into no memory. Got {sizes!r}."
        )
    return tuple(int(n) for n in listed)


def _object_array(items: tuple[Hashable, ...]) -> np.ndarray:
    """Return a 1-D object array, also of tuples."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
