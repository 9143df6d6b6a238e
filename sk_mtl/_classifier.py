"""The estimator: parameters, public methods, tags. No stage of a fit runs here."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted

from sk_mtl._compat.locks import lock_of
from sk_mtl._compat.parameters import check_parameters, find_changed_layers
from sk_mtl._compat.sklearn_callbacks import CallbackSupportMixin, calling_callbacks
from sk_mtl._compat.sklearn_guard import check_asker, is_fitting_fold
from sk_mtl._compat.sklearn_html import HtmlMixin
from sk_mtl._completion import CompletionMixin
from sk_mtl._data.categories import Categories, find_categorical, learn_categories
from sk_mtl._data.containers import open_table
from sk_mtl._data.dataset import (
    Dataset,
    check_class_weight,
    check_same_classes,
    declare_schema,
    encode_dataset,
    gather_validation,
    read_validation,
    require_labels,
    warn_of_degenerate_tasks,
    warn_of_suspect_classes,
)
from sk_mtl._data.features import check_features
from sk_mtl._data.labels import LabelTable, read_labels
from sk_mtl._data.row_order import row_labels, warn_of_other_order
from sk_mtl._data.schema import TargetSchema, has_missing_labels
from sk_mtl._explain.mixin import ExplainMixin
from sk_mtl._export import ExportMixin
from sk_mtl._fit.best import choose_best
from sk_mtl._fit.failures import telling_workers
from sk_mtl._fit.fitted import FittedModel
from sk_mtl._fit.shown import FEATURE_ATTRIBUTES, SHOWN_ATTRIBUTES, by_task, show_fitted
from sk_mtl._fit.temperature_scaling import require_validation
from sk_mtl._fit.unchanged import check_unchanged, draw_seed
from sk_mtl._fit.waves import Steps, run_steps
from sk_mtl._routing import RoutedParamsMixin
from sk_mtl._save.pickles import check_protocol, pickle_fitted, unpickle_fitted
from sk_mtl._summary import FitSummary, summarize_fit
from sk_mtl._task_scores import tell_task_scores
from sk_mtl._task_view import TaskView
from sk_mtl._tasks import resolve_task

if TYPE_CHECKING:
    from sk_mtl._fit.settings import Settings

__all__ = ["MultiTaskClassifier"]


class MultiTaskClassifier(
    CompletionMixin,
    ExplainMixin,
    ExportMixin,
    CallbackSupportMixin,
    HtmlMixin,
    RoutedParamsMixin,
    BaseEstimator,
):
    r"""Classify several tasks with one network, from labels of which some are missing.

    The network has layers shared by all tasks, then a head for each task. Each task is binary or
    multi-class on its own. The objective is the weighted mean of the cross-entropy over the
    labelled cells of the batch, :math:`\sum_t \lambda_t L_t` with
    :math:`L_t = \sum_i m_{it} w_{it} \ell_{it} / \sum_{i,u} m_{iu} w_{iu}`. A missing label
    contributes nothing; a batch without any label of a task gives that task a loss and a gradient
    of 0.

    The parameters are listed by group: network, data, ensemble, loss, optimisation, early stopping,
    unlabelled cells, and running.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(256,)
        Network: widths of the shared hidden layers; ``()`` for none. See `sharing`.
    head_hidden_layer_sizes : int, array-like of int, or dict, default=()
        Network: widths of the hidden layers of each head. A dict gives them by task; tasks that are
        not in it have none.
    activation : str or callable, default="relu"
        Network: activation of the hidden layers, by Keras's name or one of scikit-learn's names
        "identity" and "logistic", or a function of `keras.activations`.
    dropout : "auto" or float, default="auto"
        Network: fraction of the activations of each hidden layer that is dropped in training, in
        [0, 1). "auto" depends on the width of the layer: 0 up to 8 units, and 0.08 more for each
        doubling, up to 0.4 from 256 units on.
    normalization : {None, "batch", "layer"}, default=None
        Network: normalisation between the product and the activation of each hidden layer.
    l2 : float, default=0.0
        Network: factor of the sum of squared kernel weights that is added to the objective, as in
        Keras's `keras.regularizers.L2`.
    sharing : {"hard", "mmoe", "cgc", "ple", "cross_stitch"}, default="hard"
        Network: how the tasks share the hidden layers. "hard": all heads read the same ones.
        "mmoe": there are `n_experts` stacks of hidden layers, the experts, and each head reads a
        mixture of their outputs, with weights that depend on X by a softmax layer, the gate of the
        task [16]_. "cgc": each task has `n_task_experts` experts of its own besides [17]_. "ple":
        the same after each hidden layer, whose experts and gates read the mixtures before it; the
        shared experts read a mixture of all [17]_. "cross_stitch": each task has its own hidden
        layers, and goes on after each one with a learned linear combination of those of all tasks,
        at first 0.9 of its own and 0.1 of the mean of the others [18]_. Gates start with equal
        weights. All but "hard" take a multiple of its time and memory, and "cgc", "ple" and
        "cross_stitch" a multiple that grows with the number of tasks. Not available with
        `ensemble_size` above 1 or a custom `model`.
    n_experts : int, default=4
        Network: number of experts that all tasks share, with "mmoe", "cgc" and "ple".
    n_task_experts : int, default=1
        Network: number of experts of each task, with "cgc" and "ple".
    model : callable or keras.Model, default=None
        Network: a builder of a Keras model, as in scikeras, or a model, which is copied. Its output
        is either a trunk, which takes the place of `hidden_layer_sizes` and gets the heads on top,
        or there is one output per task: then it is the whole network, and the parameters of layers
        must keep their defaults. Parameters of the builder are routed: ``model__width=64``; it
        receives ``meta`` and ``compile_kwargs`` if it has such arguments.
    standardize : "auto" or bool, default="auto"
        Data: whether the network first standardises X, by the means and standard deviations of the
        rows that it is trained on; see Notes. Cells of X may then be missing (NaN). "auto" does so
        unless there is a custom `model`.
    categorical_features : "from_dtype", None or array-like, default="from_dtype"
        Data: the features that are categories, by name, by position, or as a boolean mask.
        "from_dtype" takes the columns of a DataFrame that have a categorical dtype; None takes
        none. Categories that do not occur in the training rows count as missing; if no category of
        a column is known, a warning says so. Categories of another type than in training, such as
        text for numbers, are refused.
    numeric_embedding : {"auto", None, "piecewise_linear", "periodic"}, default="auto"
        Data: additional inputs for each number with more than two values [8]_: its position in each
        of `embedding_size` bins between quantiles (a value that many rows share counts as one bin
        at most), or learned functions of `embedding_size` waves with learned frequencies. Not
        available with a custom `model`. "auto" is "piecewise_linear" if X is standardised and at
        most 256 numbers have more than two values, and None otherwise.
    embedding_size : int, default=8
        Data: number of bins, or of frequencies and functions, for each number.
    known_labels : bool or "with_indicator", default=False
        Data: whether the network learns to read the known labels of a row beside X, for `complete`
        and its siblings. In each step, a random part of the labels of each row is shown to it, as a
        column for each class, and the loss counts the others only [15]_: of a quarter of the rows
        none is shown, of the others any share up to all but one, larger ones more often. A label
        never reaches its own output. "with_indicator" adds a column for each task that tells
        missing labels from hidden ones, for tables in which holes lie as they will in the rows to
        complete. Validation sees each row twice, so that each label counts once; losses are not
        comparable to those of False. Not available with a custom `model`.
    classes : array-like, list of array-like or dict, default=None
        Data: the classes of the tasks: of a 1-D y itself, one array-like per task, or by task.
        Other tasks have the categories of a categorical column, or else the labels found; more than
        1,000 of these, with hardly two labels each, are refused as identifiers of the rows.
    missing_label : scalar, list-like of scalars or dict, default=None
        Data: the labels that mean "missing", such as -1 or ``[8, 9]``, besides NaN, None, NaT and
        NA. A dict gives them by task; other tasks have none. Within estimators that encode y
        themselves (stacking, bagging), mark missing labels with NaN: they would treat any other
        value as a class.
    ensemble_size : int, default=1
        Ensemble: number of members :math:`K` that are trained together in one network. Each learns
        from every row, with its own dropout; the objective is the mean of the members' objectives,
        and probabilities are means over members. The time grows almost proportionally. Not
        available with a custom `model`.
    ensemble_method : {"shared", "independent"}, default="shared"
        Ensemble: "shared" gives a hidden layer of member :math:`k` the form
        :math:`s_k \circ (W^\top (r_k \circ x)) + b_k`, with one kernel :math:`W` for all members
        (BatchEnsemble [6]_). The scalings :math:`r_k` of the features are initialised at random to
        -1 or 1 and all others to 1, and the layers of logits have their own kernels, as in TabM
        [7]_. "independent" trains networks that share nothing, as if each was trained alone.
    task_weighting : str, dict or TaskWeighting, default="equal"
        Loss: the weights :math:`\lambda_t` of the tasks: "equal" for 1; "uncertainty" for learned
        ones, as in [1]_; factors by task, with 1 for the others; or another strategy of
        `sk_mtl.weighting`, by its name, such as "dwa", "pcgrad" or "mgda", or as an instance.
    loss_normalization : {"cells", "tasks"}, default="cells"
        Loss: "cells" divides the summed losses of a batch by the weight of all its labelled cells,
        so that every cell counts the same; "tasks" divides each task's loss by the weight of its
        own labelled cells, so that a task with few labels counts as much as one with many.
    class_weight : {None, "balanced"} or dict, default=None
        Loss: "balanced" weights each task's classes inversely to their frequency among its labelled
        cells. A dict gives "balanced" or ``{label: weight}`` by task; for a 1-D y it may be
        ``{label: weight}`` itself. Class weights multiply the sample weights, in validation too. A
        label that no row has causes a warning; it is an error if the classes of the task are
        declared (`classes`, a categorical column, `partial_fit`) and do not include it.
    loss : {"cross_entropy", "focal"}, default="cross_entropy"
        Loss: the loss :math:`\ell_{it}` of a cell with the probability :math:`p` of its true class:
        :math:`-\log p`, or :math:`-(1 - p)^\gamma \log p`, which reduces the weight of
        well-predicted cells (equation 4 of [3]_, without its class weights: see `class_weight`).
    focal_gamma : float, default=2.0
        Loss: the exponent :math:`\gamma` of the focal loss.
    label_smoothing : "auto" or float, default=0.0
        Loss: the share of each label, in [0, 1), that is spread evenly over the classes of its
        task, so that no probability is driven to 0 or 1 [14]_. Probabilities are drawn towards
        :math:`1 / K` by as much: those of rare classes come out too high. "auto" is 0.02, but at
        most the frequency of the task's rarest class, and 0 with the focal loss. It acts in
        training only: validation losses, and the losses in `history_`, are those of the labels as
        they are; "objective" includes it.
    logit_adjustment : float, default=0.0
        Loss: add this many times :math:`\log \pi_k` to the logits inside the loss, with the
        frequencies :math:`\pi_k` of the task's classes in the training rows, weights included
        (equation 10 of [4]_). At 1, predictions are those for equally frequent classes: rare ones
        are predicted more often, and `predict_proba` applies to such a population, not to yours.
        Since the heads have biases, it mainly shifts the odds of the classes.
    optimizer : str, class or instance of keras.Optimizer, default="adam"
        Optimisation: its settings are routed: ``optimizer__learning_rate=1e-3``. An instance is
        copied. Without a custom `model`, "adam" and "adamw" have ``epsilon=1e-4`` unless it is set;
        Keras's default is 1e-7. A ``weight_decay`` acts on kernels, not on biases, normalisation or
        the scalings of members; on all weights of a custom model.
    epochs : int, default=100
        Optimisation: maximum number of passes over the training rows.
    batch_size : "auto" or int, default="auto"
        Optimisation: rows per step. "auto" is 32 for up to 2,000 training rows, 128 for up to
        10,000, and 256 beyond.
    batching : {"random", "label_aware"}, default="random"
        Optimisation: "random" shuffles the rows before each epoch. "label_aware" shuffles them so
        that the rows with a label of a rare task are spread evenly over the batches; each row still
        occurs once.
    ema_momentum : "auto" or float, default="auto"
        Optimisation: share of the running average of the weights that a step keeps, in [0, 1); less
        at the beginning, :math:`n / (9 + n)` in step :math:`n`. The averages are validated, kept,
        shown to callbacks at the end of an epoch, and used for prediction; training continues from
        the weights themselves [13]_. 0 averages nothing. "auto" is 0.99, and 0 with a custom
        `model` or an optimizer that averages weights itself (``use_ema``).
    jit_compile : "auto" or bool, default="auto"
        Optimisation: whether XLA compiles the training steps. This makes the steps of small
        networks several times faster, but takes half a second to two seconds before the first
        epoch. "auto" does so on a CPU if `epochs` times the steps of an epoch are at least 400. The
        last bits of the weights then differ from those without it, and dropout draws different
        numbers. Not available with batch normalisation or a custom `model`, whose result may depend
        on the rows that fill up the last batch.
    dtype : {None, "float32", "mixed_bfloat16"}, default=None
        Optimisation: the precision of the training steps, by Keras's name of the policy. With
        "mixed_bfloat16", the products of dense layers and those of their gradients are computed in
        bfloat16: 8 bits of precision with the range of float32. Weights, biases, normalisation,
        embeddings, logits, losses and the optimizer stay float32, and so do validation and
        prediction. It pays only where the processor multiplies bfloat16 faster, as GPUs since 2020
        do. None is "float32". Not available with a custom `model`, whose layers have dtypes of
        their own.
    early_stopping : "auto", "cv" or bool, default="auto"
        Early stopping: whether to stop when the loss of validation rows no longer improves, and to
        keep the weights of the best epoch. "cv" finds the number of epochs by five folds: it is the
        one with the lowest mean validation loss, and the network is then trained on all rows for as
        many epochs; six trainings, for tables of which no tenth can be spared. "auto" is True if
        `fit` is given validation data. Otherwise it is "cv" if there are 100 to 20,000 labelled
        rows, and a task with fewer than 2,000 labels; but not if a warm start continues,
        `validation_fraction` is None, `epochs` does not exceed `n_iter_no_change`, or there are
        `callbacks` or a custom `model`. Otherwise it is True from 2,000 labelled rows, and False
        below.
    validation_fraction : float or None, default=0.1
        Early stopping: fraction of the rows that is set aside for validation, in (0, 1), such that
        every task keeps labelled cells in both parts. None monitors the training loss. Not used if
        `fit` is given validation data.
    monitor : hashable, default=None
        Early stopping: the task whose loss is monitored; None monitors the mean over tasks.
    n_iter_no_change : int, default=10
        Early stopping: number of epochs without an improvement after which training stops.
    tol : float, default=1e-4
        Early stopping: by how much the monitored loss must decrease to count as an improvement.
    restore_best : {"common", "per_task"}, default="common"
        Early stopping: whose best epoch's weights are kept. "common" keeps those of one epoch, the
        best for the monitored loss. "per_task" predicts each task with all weights of its own best
        epoch, as in [5]_, and stops when no task has improved for `n_iter_no_change` epochs;
        prediction takes as many passes, and the model as much memory, as there are different such
        epochs.
    refit : bool, default=False
        Early stopping: whether to train again on all rows, the validation rows among them, for the
        best number of epochs, with the same seed and batch size. Not available with validation
        data. Callbacks are called in both trainings. ``early_stopping="cv"`` always does so.
    calibrate : bool or "auto", default=False
        Early stopping: whether to divide the logits of each task by a temperature [2]_, fitted to
        the log loss of its labelled validation cells; tasks with few such cells share about the
        same one. It needs validation rows. `predict` is not affected. With `refit`, the
        temperatures are those of the first network. "auto" calibrates if there are validation rows
        that the final network is not trained on.
    unlabelled : {None, "pseudo_labels", "consistency"}, default=None
        Unlabelled cells: what is learned from cells without a label, of rows with other labels or
        none. None: nothing. Otherwise a teacher, the network with a running average of its weights
        [9]_, predicts their class probabilities, and these are the targets: for the rows as they
        are ("pseudo_labels" [10]_), or for rows in which some features are replaced, so that the
        network becomes insensitive to this ("consistency", as in [11]_); see Notes.
    unlabelled_weight : float, default=1.0
        Unlabelled cells: weight of their mean loss relative to that of the labelled ones, from the
        tenth epoch on.
    pseudo_label_threshold : float or None, default=None
        Unlabelled cells: with "pseudo_labels", use the predicted class instead of probabilities,
        and only for cells in which the teacher's probability reaches this value, in [0.5, 1).
    teacher_momentum : float, default=0.99
        Unlabelled cells: share of the teacher's weights that a step keeps, in [0, 1).
    input_noise : float, default=0.2
        Unlabelled cells: with "consistency", the fraction of the features of a row that are
        replaced by those of another row, in [0, 1).
    warm_start : bool, default=False
        Running: whether `fit` continues from the weights of the previous fit.
    callbacks : keras.callbacks.Callback, class, list or dict of these, default=None
        Running: called as in `keras.Model.fit`; the settings of classes are routed:
        ``callbacks__patience=3``, ``callbacks__0__patience=3``. scikit-learn's own callbacks
        (1.9 and newer) are set with `set_callbacks`.
    checkpoint : path-like, default=None
        Running: a folder in which `fit` records its progress. If it is killed and called again with
        the same data and parameters, it continues from there and ends with the same bits. Needs a
        `random_state` and no `callbacks`. Not used by `partial_fit`.
    random_state : int, RandomState instance or None, default=None
        Running: seed of the initial weights, the order of the rows, dropout and the validation
        rows.
    verbose : int or bool, default=0
        Running: 1 shows a progress bar with the losses; 2 prints a line per epoch.
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
        weights of the tasks are learned. For an ensemble, "loss" is the mean of the members'
        losses, and "val_loss" the loss of their mean probabilities. With
        ``early_stopping="cv"`` these are means over folds; a fold that has stopped counts with its
        last value. With `unlabelled`, "unlabelled_objective" is the unweighted contribution of
        unlabelled cells to the objective. If the name of a task would give two series the same
        name, the task is called "task0:<name>" in them, by its position. Numbers that `callbacks`
        add to the logs, such as "learning_rate", have series of their own, with NaN in epochs
        without a value.
    n_iter_ : int
        Number of epochs trained, including those of earlier fits with a warm start.
    best_iter_ : int
        The epoch whose weights were kept, counted from 1. If a callback replaced the weights at
        the end, as ``keras.callbacks.EarlyStopping(restore_best_weights=True)`` does, the epoch
        that they come from, or 0 if they are those of no epoch of this fit.
    best_iters_ : ndarray of int of shape (n_tasks,)
        The same by task: they differ with ``restore_best="per_task"``. 0 for a task that the
        network does not learn.
    task_weights_ : ndarray of float32 of shape (n_tasks,)
        The weights :math:`\lambda_t`; 0 for a task that the network does not learn.
    temperatures_ : ndarray of float32 of shape (n_tasks,)
        What the logits of each task are divided by for its probabilities; 1 without `calibrate`.
    model_ : keras.Model
        The network as a Keras model, from X to the logits in task order (one for a binary task),
        divided by the temperatures; for an ensemble, the logits of the mean probabilities. With
        `known_labels`, X is followed by a column for each class of the learned tasks, 1 for a known
        label (and by one for each task, 1 for a missing label, of rows that have others). With
        ``restore_best="per_task"`` it contains the networks of several epochs. A custom whole
        network has the weights of epoch `best_iter_` and its own outputs. It is built from the
        fitted weights at the first access; changing it does not change the estimator. `to_keras`
        returns one with probabilities by task.
    categories_ : dict of {feature: ndarray}
        The categories of each categorical feature that the training rows have, in the order of
        their codes, by the feature's name, or its position if X had no names. Others are missing
        to the network.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of object of shape (n_features,)
        The names of the features, if X had string column names.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : A network for one task with all labels known.

    Notes
    -----
    The estimator-type tag of scikit-learn is None, and `sklearn.base.is_classifier` returns False:
    with the tag "classifier", every tool that is given ``cv=5`` refuses a y with missing labels
    before it calls `fit`. With None, plain `KFold` is used; use the splitters of
    `sk_mtl.model_selection` to stratify. `task_view` returns an ordinary classifier.

    Standardising turns a feature into :math:`(x - \mu) / \sigma`, with its mean and its standard
    deviation over the training rows (those with labels, without validation rows, by weight). A
    feature with two values, :math:`d` apart, becomes :math:`(x - \mu) / d`, so that rare bits of
    fingerprints do not become large; a constant feature becomes 0. Results beyond ±1000 are clipped
    to it. The network computes in float32, so that differences of less than :math:`10^{-7}` of a
    feature's size are lost. With `partial_fit`, the first rows with labels determine the
    statistics.

    A missing cell becomes 0, the mean. If a feature had missing cells in training, a further column
    indicates them.

    A category becomes a centred indicator column; a feature with more than 64 categories has
    learned vectors of 16 numbers instead. A missing category has its own column or vector if there
    were missing ones in training; otherwise, like an unknown one, it has the mean of all columns.

    A task with one class is predicted as that class, and a task without any label as missing,
    both with a warning.

    With `unlabelled`, a step has a second batch, drawn from all rows with unlabelled cells except
    validation rows; `batch_size` applies to both, each by its number of rows. For such a cell the
    teacher predicts probabilities :math:`q`, and the network, with dropout, :math:`p`. The
    objective has the additional term :math:`w \sum_t \lambda_t U_t`, where :math:`U_t` is
    :math:`L_t` with :math:`-\sum_k q_k \log p_k` in place of the loss of a labelled cell, and
    :math:`w` grows to `unlabelled_weight` over ten epochs, by the factor
    :math:`e^{-5 (1 - n / 10)^2}` in epoch :math:`n`, as in [12]_. Sample weights apply to
    unlabelled cells, too: they must be given for them, and a weight of 0 excludes a cell. Class
    weights, focal loss, label smoothing and logit adjustment do not apply to them. Early stopping
    and predictions use the network, not the teacher.

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
    .. [15] J. Lanchantin, T. Wang, V. Ordonez, Y. Qi. "General Multi-label Image Classification
       with Transformers" (label mask training). CVPR 2021, arXiv 2011.14027.
    .. [16] J. Ma, Z. Zhao, X. Yi, J. Chen, L. Hong, E. H. Chi. "Modeling Task Relationships in
       Multi-task Learning with Multi-gate Mixture-of-Experts". KDD 2018.
    .. [17] H. Tang, J. Liu, M. Zhao, X. Gong. "Progressive Layered Extraction (PLE): A Novel
       Multi-Task Learning (MTL) Model for Personalized Recommendations". RecSys 2020.
    .. [18] I. Misra, A. Shrivastava, A. Gupta, M. Hebert. "Cross-stitch Networks for Multi-task
       Learning". CVPR 2016, arXiv 1604.03539.

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

    __module__ = "sk_mtl"  # the public path, which pickles name

    _fitted: FittedModel
    history_: dict[str, list[float]]
    n_iter_: int

    def __init__(
        self,
        hidden_layer_sizes: Any = (256,),
        head_hidden_layer_sizes: Any = (),
        activation: Any = "relu",
        *,
        dropout: float | str = "auto",
        normalization: str | None = None,
        l2: float = 0.0,
        sharing: str = "hard",
        n_experts: int = 4,
        n_task_experts: int = 1,
        model: Any = None,
        standardize: Any = "auto",
        categorical_features: Any = "from_dtype",
        numeric_embedding: str | None = "auto",
        embedding_size: int = 8,
        known_labels: bool | str = False,
        classes: Any = None,
        missing_label: Any = None,
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
        batch_size: Any = "auto",
        batching: str = "random",
        ema_momentum: Any = "auto",
        jit_compile: Any = "auto",
        dtype: str | None = None,
        early_stopping: Any = "auto",
        validation_fraction: float | None = 0.1,
        monitor: Hashable | None = None,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        restore_best: str = "common",
        refit: bool = False,
        calibrate: bool | str = False,
        unlabelled: str | None = None,
        unlabelled_weight: float = 1.0,
        pseudo_label_threshold: float | None = None,
        teacher_momentum: float = 0.99,
        input_noise: float = 0.2,
        warm_start: bool = False,
        callbacks: Any = None,
        checkpoint: Any = None,
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
        self.sharing = sharing
        self.n_experts = n_experts
        self.n_task_experts = n_task_experts
        self.model = model
        self.standardize = standardize
        self.categorical_features = categorical_features
        self.numeric_embedding = numeric_embedding
        self.embedding_size = embedding_size
        self.known_labels = known_labels
        self.classes = classes
        self.missing_label = missing_label
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
        self.batch_size = batch_size
        self.batching = batching
        self.ema_momentum = ema_momentum
        self.jit_compile = jit_compile
        self.dtype = dtype
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.monitor = monitor
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.restore_best = restore_best
        self.refit = refit
        self.calibrate = calibrate
        self.unlabelled = unlabelled
        self.unlabelled_weight = unlabelled_weight
        self.pseudo_label_threshold = pseudo_label_threshold
        self.teacher_momentum = teacher_momentum
        self.input_noise = input_noise
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose
        self._set_routed(routed)

    @classmethod
    def best(cls, **params: Any) -> Self:
        """Return an estimator with settings for quality rather than speed.

        It has ``ensemble_size=16``, a learning rate of 2e-3 for Adam, ``label_smoothing="auto"``,
        ``calibrate="auto"`` and ``refit=True``: after early stopping it is trained again on all
        rows. The values were chosen on validation rows of a few tables
        (docs/benchmarks/quality.md), and may change between versions.

        Parameters
        ----------
        **params : dict
            Parameters of the estimator, which take precedence over those above. With another
            `optimizer` the learning rate is left out, with a custom `model` the settings of the
            network, and the number of members with a `sharing` other than "hard" or a
            `task_weighting` that sees gradients. With `validation_data`, set ``refit=False``.

        Returns
        -------
        clf : MultiTaskClassifier
            An unfitted estimator, with these parameters.

        Examples
        --------
        >>> from sk_mtl import MultiTaskClassifier
        >>> clf = MultiTaskClassifier.best(ensemble_size=4, random_state=0)
        >>> clf.ensemble_size, clf.refit
        (4, True)
        """
        return cls(**choose_best(params))

    # --------------------------------------------------------------------------------------------
    # Fitting
    # --------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        validation_data: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
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
        groups : array-like of shape (n_samples,), default=None
            The group of each row, such as a person or a plate. Groups stay whole when rows are set
            aside for early stopping, by one split or by folds. If a group were both trained on and
            validated on, the validation loss would be too low.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Validation rows for early stopping, in place of a part of the training rows.
        X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
            Validation rows in separate arguments, in place of `validation_data`. With metadata
            routing, a Pipeline transforms them: ``Pipeline(..., transform_input=["X_val"])``.
        y_val : array-like of shape (n_val,) or (n_val, n_tasks), default=None
            Labels of `X_val`.
        sample_weight_val : array-like of shape (n_val,) or (n_val, n_tasks), default=None
            Weights of `X_val`.

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
            If a task has no label or only one class; if labels may stand for missing ones; if
            `class_weight` names a label that y lacks; if the pandas indexes of X, y,
            `sample_weight` and `groups` hold the same labels in different orders, since rows are
            matched by position; if many rows of X are identical and no `groups` are given; if most
            validation rows lie far from the training rows.
        """
        validation = (validation_data, X_val, y_val, sample_weight_val)
        return run_steps(self._fit_steps(X, y, sample_weight, groups, *validation))

    def _fit_steps(
        self, X: Any, y: Any, sample_weight: Any, groups: Any, *validation: Any
    ) -> Steps[MultiTaskClassifier]:
        """Fit, asking for trainings that may be done beside those of other fits."""
        with lock_of(self), telling_workers():
            given = gather_validation(groups, *validation)
            now = self._snapshot()
            check_parameters(now)
            previous = vars(now).get("_fitted") if now.warm_start else None
            if previous is not None:
                check_unchanged(previous, now.get_params(deep=False), X)
            with calling_callbacks(self, X, y, sample_weight, now._attributes_of) as tasks:
                table = now._read_labels(y, previous)
                warn_of_other_order(
                    {"X": X, "y": y, "sample_weight": sample_weight, "groups": groups}
                )
                X, categories = now._read_features(X, previous)
                require_labels(table)
                schema = None if previous is None else previous.schema
                dataset = now._encode(X, table, sample_weight, schema, categories, groups)
                check_class_weight(dataset, now.classes)
                if previous is None:
                    warn_of_degenerate_tasks(dataset)
                    is_part = is_fitting_fold()
                    warn_of_suspect_classes(dataset.schema, table, now.classes, is_part=is_part)
                watched = None
                if given is not None and dataset.learnable_names:
                    check_X = partial(now._check_X, fitted=previous, categories=categories)
                    watched = read_validation(given, dataset, check_X, now.missing_label)
                # Imported here, as it imports TensorFlow.
                from sk_mtl._fit.rounds import fit_model

                seed = draw_seed(now.random_state) if previous is None else previous.seed
                steps = fit_model(now._settings(), dataset, watched, seed, previous, tasks)
                fitted = yield from steps
                self._set_fitted(fitted, now)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> MultiTaskClassifier:
        """Train for one epoch on these rows, continuing from the current state.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features: finite numbers, NaN where missing.
        y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Class labels, NaN, None or NA where missing.
        classes : array-like, list of array-like or dict, default=None
            All classes that occur in any call, as the parameter `classes`. Needed at the first call
            for tasks whose classes are given neither by that parameter nor by a categorical column.
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
        with lock_of(self), telling_workers():
            now = self._snapshot()
            check_parameters(now)
            previous = vars(now).get("_fitted")
            if previous is not None:
                check_unchanged(previous, now.get_params(deep=False), X, keeps_temperatures=True)
            table = now._read_labels(y, previous)
            warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight})
            X, categories = now._read_features(X, previous)
            if previous is None:
                if now.calibrate and now.calibrate != "auto":
                    require_validation(None)
                listed = now.classes if classes is None else classes
                schema = declare_schema(table, listed)
                warn_of_suspect_classes(schema, table, listed, is_part=True)
            else:
                schema = previous.schema
                check_same_classes(schema, classes)
            dataset = now._encode(X, table, sample_weight, schema, categories)
            check_class_weight(dataset, is_stream=True)
            # Imported here, as it imports TensorFlow.
            from sk_mtl._fit.rounds import train_one_epoch

            seed = draw_seed(now.random_state) if previous is None else previous.seed
            fitted = run_steps(train_one_epoch(now._settings(), dataset, seed, previous))
            return self._set_fitted(fitted, now)

    # --------------------------------------------------------------------------------------------
    # Reading what was passed
    # --------------------------------------------------------------------------------------------

    def _read_labels(self, y: Any, fitted: FittedModel | None) -> LabelTable:
        """Return y as read, its tasks known by the names seen before."""
        names = None if fitted is None else fitted.schema.task_names
        return read_labels(y, missing_label=self.missing_label, task_names=names)

    def _read_features(self, X: Any, previous: FittedModel | None) -> tuple[Any, Categories | None]:
        """Return X to train on as numbers, and the categories that its codes stand for."""
        X = open_table(X, "X")
        # A stream that has brought no label yet has learned nothing of X.
        if previous is not None and previous.n_iter > 0:
            categories = previous.encoder.categories
            return self._check_X(X, previous, categories), categories
        categories, is_categorical = None, self._find_categorical(X)
        if is_categorical is not None:
            categories = learn_categories(X, is_categorical)
        allow_nan, reset = self._allows_nan(), previous is None
        X = check_features(self, X, reset=reset, allow_nan=allow_nan, categories=categories)
        return X, categories

    def _find_categorical(self, X: Any) -> np.ndarray | None:
        """Return which features are categorical, of shape (n_features,); None if none is."""
        is_categorical = find_categorical(X, self.categorical_features)
        if is_categorical is not None and self.model is not None:
            raise ValueError(
                f"X has {is_categorical.sum()} categorical feature(s), and a `model` of your "
                "own takes numbers. Encode them (OneHotEncoder), or set "
                "categorical_features=None if they are numbers."
            )
        return is_categorical

    def _check_X(
        self,
        X: Any,
        fitted: FittedModel | None,
        categories: Categories | None,
        *,
        keep_float64: bool = False,
    ) -> Any:
        """Return further rows as numbers, compared with the features seen before."""
        allow_nan = self._allows_nan()
        if fitted is not None and fitted.network is not None:
            allow_nan = fitted.allows_nan
        return check_features(
            self,
            open_table(X, "X"),
            reset=False,
            allow_nan=allow_nan,
            keep_float64=keep_float64,
            categories=categories,
        )

    def _encode(
        self,
        X: Any,
        table: LabelTable,
        sample_weight: Any,
        schema: TargetSchema | None,
        categories: Categories | None,
        groups: Any = None,
    ) -> Dataset:
        """Return X and y as a dataset."""
        return encode_dataset(
            X,
            table,
            sample_weight,
            self.class_weight,
            schema,
            self.classes,
            learns_unlabelled=self.unlabelled is not None,
            categories=categories,
            groups=groups,
        )

    def _allows_nan(self) -> bool:
        return self.model is None if self.standardize == "auto" else bool(self.standardize)

    def _settings(self) -> Settings:
        from sk_mtl._fit.settings import Settings

        # Those of this class: a subclass may have others, and set some of these itself.
        names = MultiTaskClassifier._get_param_names()
        routed = {k: v for k, v in vars(self).items() if self._is_routed(k)}
        parameters = {name: getattr(self, name) for name in names} | routed
        return Settings(parameters, find_changed_layers(type(self), parameters))

    # --------------------------------------------------------------------------------------------
    # The fitted model
    # --------------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in vars(self)

    def _snapshot(self) -> Self:
        """Return the estimator as it is now: another thread may fit it at any moment."""
        now = object.__new__(type(self))
        now.__dict__.update(vars(self))
        return now

    def _attributes_of(self, fitted: FittedModel) -> dict[str, Any]:
        """Return what a fit sets: the features seen by this snapshot, and the fitted model."""
        features = {k: v for k, v in vars(self).items() if k in FEATURE_ATTRIBUTES}
        return {**features, **show_fitted(fitted), "_fitted": fitted}

    def _set_fitted(self, fitted: FittedModel, now: Self | None = None) -> Self:
        """Take a fitted model with the attributes that show it, and the features of a snapshot."""
        seen = self if now is None else now
        kept = {k: v for k, v in vars(self).items() if k not in FEATURE_ATTRIBUTES}
        # In one step: whoever reads this estimator sees all of one fit, and Ctrl-C breaks nothing.
        self.__dict__ = {**kept, **seen._attributes_of(fitted)}
        return self

    def _read_by_model(self, X: Any) -> list[tuple[float, FittedModel, Any]]:
        """Return the fitted model, its weight, and X as numbers for it."""
        return [(1.0, *self._checked(X))]

    def _checked(self, X: Any) -> tuple[FittedModel, Any]:
        """Return the fitted model, and X as numbers for it to predict."""
        now = self._snapshot()
        check_is_fitted(now)
        fitted = now._fitted
        return fitted, now._check_X(X, fitted, fitted.encoder.categories, keep_float64=True)

    # --------------------------------------------------------------------------------------------
    # Predicting
    # --------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.

        Returns
        -------
        labels : DataFrame, or ndarray of shape (n_samples,) or (n_samples, n_tasks)
            In the form of y: a frame with y's columns and their dtypes (and the index of a pandas
            X), or an array. Labels of a task that had none in training are missing.
        """
        fitted, numbers = self._checked(X)
        return fitted.schema.decode(fitted.codes(numbers), fitted.has_labels, like=X)

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
        fitted, X = self._checked(X)
        return by_task(fitted.probabilities(X), fitted.schema)

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
        fitted, X = self._checked(X)
        with np.errstate(divide="ignore"):
            return by_task([np.log(p) for p in fitted.probabilities(X)], fitted.schema)

    def predict_std(self, X: Any) -> Any:
        r"""Predict the disagreement between the members of the ensemble.

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
        fitted, X = self._checked(X)
        if fitted.n_members == 1 and (fitted.network or self.ensemble_size == 1):
            raise ValueError(
                "predict_std is the spread over the members of an ensemble, and this estimator "
                "was fitted with ensemble_size=1. Fit it with ensemble_size=8, for instance."
            )
        return by_task(fitted.spread(X), fitted.schema)

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
        index = row_labels(X)
        fitted, X = self._checked(X)
        probabilities = fitted.probabilities(X)
        names = fitted.schema.class_index()
        return pd.DataFrame(np.hstack(probabilities), index=index, columns=names)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean over tasks of the accuracy over labelled cells.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Features.
        y : DataFrame, Series, or array-like of shape (n_samples,) or (n_samples, n_tasks)
            Labels; missing ones do not count. A label that did not occur in training counts as a
            wrong prediction.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of rows or of cells.

        Returns
        -------
        score : float
            In [0, 1]. Tasks without labelled cells, here or in training, are left out; NaN if all
            are.
        """
        warn_of_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        fitted, X = self._checked(X)
        scores = fitted.accuracies(X, self._read_labels(y, fitted), sample_weight)
        tell_task_scores(self, scores)
        return float(np.mean(list(scores.values()))) if scores else float("nan")

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
        names = self._fitted.schema.task_names
        return TaskView(self, names[resolve_task(task, names)])

    def summary(self) -> FitSummary:
        """Return a summary of the data, the training and the fitted network.

        Returns
        -------
        summary : FitSummary
            Tasks, labelled cells, layers, epochs and losses, as tables; ``print`` it, or display it
            in a notebook.
        """
        now = self._snapshot()
        check_is_fitted(now)
        return summarize_fit(now)

    # --------------------------------------------------------------------------------------------
    # scikit-learn
    # --------------------------------------------------------------------------------------------

    @property
    def temperatures_(self) -> np.ndarray:
        """The temperature of each task."""
        check_is_fitted(self)
        return self._fitted.temperatures

    @property
    def best_iters_(self) -> np.ndarray:
        """The epoch whose weights each task is predicted with."""
        check_is_fitted(self)
        return self._fitted.best_iters

    @property
    def model_(self) -> Any:
        """The network as a Keras model."""
        fitted = vars(self).get("_fitted")
        network = None if fitted is None else fitted.network
        if network is None:
            raise AttributeError(
                f"{type(self).__name__} has no model_: it is not fitted, or no task has two "
                "classes."
            )
        return network.model

    def __sklearn_tags__(self) -> Any:
        read = {"missing_label": self.missing_label, "classes": self.classes}
        check_asker(lambda y: has_missing_labels(y, **read))
        tags = super().__sklearn_tags__()
        tags.estimator_type = None
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._allows_nan()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.target_tags.one_d_labels = True
        tags.target_tags.two_d_labels = True
        tags.classifier_tags = ClassifierTags(multi_class=True, multi_label=True)
        return tags

    def __reduce_ex__(self, protocol: Any) -> Any:
        check_protocol(protocol, self.get_params(deep=False))
        return super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_fitted" not in state:
            return state
        state = {name: value for name, value in state.items() if name not in SHOWN_ATTRIBUTES}
        return {**state, "_fitted": pickle_fitted(state["_fitted"])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A parameter that the version which wrote the pickle did not have takes its default.
        super().__setstate__({**vars(MultiTaskClassifier()), **state})
        if "_fitted" in state:
            name = type(self).__name__
            self._set_fitted(unpickle_fitted(state["_fitted"], self.n_features_in_, name))


# Doctest passes over classes of another module than this.
__test__ = {"MultiTaskClassifier": MultiTaskClassifier}
