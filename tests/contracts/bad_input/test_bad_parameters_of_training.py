"""Values of parameters of the training that are refused, with their messages."""

import re

import keras
import numpy as np
import pytest
from bad_input import BOTH, X, Y, assert_refused
from helpers import make_tiny

# parameter, its value, the error and its message
PARAMETERS = [
    # optimisation
    (
        "optimizer",
        "adamm",
        ValueError,
        re.compile(
            r"Keras has no optimizer named 'adamm'\. Did you mean 'Adam'\? It has: [\w, ]+\."
        ),
    ),
    (
        "optimizer",
        3,
        TypeError,
        "optimizer must be the name of a Keras optimizer, a subclass of "
        "keras.optimizers.Optimizer or an instance of one. Got 3.",
    ),
    (
        "optimizer",
        None,
        TypeError,
        "optimizer must be the name of a Keras optimizer, a subclass of "
        "keras.optimizers.Optimizer or an instance of one. Got None.",
    ),
    (
        "optimizer",
        [0.1],
        TypeError,
        "optimizer must be the name of a Keras optimizer, a subclass of "
        "keras.optimizers.Optimizer or an instance of one. Got [0.1].",
    ),
    (
        "optimizer__learning_rate",
        -1,
        ValueError,
        "A learning_rate must be finite and not negative. Got -1.",
    ),
    (
        "optimizer__learning_rate",
        np.nan,
        ValueError,
        "A learning_rate must be finite and not negative. Got nan.",
    ),
    (
        "optimizer__learning_rate",
        np.inf,
        ValueError,
        "A learning_rate must be finite and not negative. Got inf.",
    ),
    (
        "optimizer__learning_rate",
        "fast",
        ValueError,
        re.compile(r"Argument `learning_rate` should be float, .* learning_rate=fast"),
    ),
    (
        "optimizer__learing_rate",
        0.1,
        ValueError,
        re.compile(
            r"Adam takes no setting 'learing_rate' \(from optimizer__learing_rate\)\. Did you "
            r"mean 'learning_rate'\? It takes: [\w, ]+\."
        ),
    ),
    (
        "epochs",
        0,
        ValueError,
        "The 'epochs' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got 0 instead.",
    ),
    (
        "epochs",
        1.5,
        ValueError,
        "The 'epochs' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got 1.5 instead.",
    ),
    (
        "epochs",
        "10",
        ValueError,
        "The 'epochs' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got '10' instead.",
    ),
    (
        "epochs",
        None,
        ValueError,
        "The 'epochs' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got None instead.",
    ),
    (
        "batch_size",
        0,
        ValueError,
        "The 'batch_size' parameter of MultiTaskClassifier must be a str among {'auto'} or "
        "an int in the range [1, inf). Got 0 instead.",
    ),
    (
        "batch_size",
        "all",
        ValueError,
        "The 'batch_size' parameter of MultiTaskClassifier must be a str among {'auto'} or "
        "an int in the range [1, inf). Got 'all' instead.",
    ),
    (
        "batch_size",
        None,
        ValueError,
        "The 'batch_size' parameter of MultiTaskClassifier must be a str among {'auto'} or "
        "an int in the range [1, inf). Got None instead.",
    ),
    (
        "batching",
        "label_awre",
        ValueError,
        "The 'batching' parameter of MultiTaskClassifier must be a str among {'label_aware', "
        "'random'}. Got 'label_awre' instead. Did you mean 'label_aware'?",
    ),
    # stopping
    (
        "early_stopping",
        "yes",
        ValueError,
        re.compile(
            r"The 'early_stopping' parameter of MultiTaskClassifier must be a str among "
            r"\{'auto', 'cv'\} or an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got "
            r"'yes' instead\."
        ),
    ),
    (
        "early_stopping",
        None,
        ValueError,
        re.compile(
            r"The 'early_stopping' parameter of MultiTaskClassifier must be a str among "
            r"\{'auto', 'cv'\} or an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got "
            r"None instead\."
        ),
    ),
    (
        "validation_fraction",
        0,
        ValueError,
        "The 'validation_fraction' parameter of MultiTaskClassifier must be a float in the "
        "range (0.0, 1.0) or None. Got 0 instead.",
    ),
    (
        "validation_fraction",
        1.0,
        ValueError,
        "The 'validation_fraction' parameter of MultiTaskClassifier must be a float in the "
        "range (0.0, 1.0) or None. Got 1.0 instead.",
    ),
    (
        "validation_fraction",
        "a",
        ValueError,
        "The 'validation_fraction' parameter of MultiTaskClassifier must be a float in the "
        "range (0.0, 1.0) or None. Got 'a' instead.",
    ),
    (
        "monitor",
        "color",
        ValueError,
        "There is no task 'color', named in monitor. Did you mean 'colour'? The tasks are "
        "'flag', 'colour'.",
    ),
    (
        "monitor",
        7,
        ValueError,
        "There is no task 7, named in monitor. The tasks are 'flag', 'colour'.",
    ),
    (
        "monitor",
        ["flag"],
        ValueError,
        "There is no task ['flag'], named in monitor. The tasks are 'flag', 'colour'.",
    ),
    (
        "n_iter_no_change",
        0,
        ValueError,
        "The 'n_iter_no_change' parameter of MultiTaskClassifier must be an int in the range "
        "[1, inf). Got 0 instead.",
    ),
    (
        "tol",
        -1,
        ValueError,
        "The 'tol' parameter of MultiTaskClassifier must be a float in the range [0.0, inf). "
        "Got -1 instead.",
    ),
    (
        "tol",
        None,
        ValueError,
        "The 'tol' parameter of MultiTaskClassifier must be a float in the range [0.0, inf). "
        "Got None instead.",
    ),
    (
        "restore_best",
        "task",
        ValueError,
        "The 'restore_best' parameter of MultiTaskClassifier must be a str among {'common', "
        "'per_task'}. Got 'task' instead. Did you mean 'per_task'?",
    ),
    # unlabelled
    (
        "unlabelled",
        "pseudo_label",
        ValueError,
        "The 'unlabelled' parameter of MultiTaskClassifier must be a str among {'consistency', "
        "'pseudo_labels'} or None. Got 'pseudo_label' instead. Did you mean 'pseudo_labels'?",
    ),
    (
        "unlabelled",
        True,
        ValueError,
        "The 'unlabelled' parameter of MultiTaskClassifier must be a str among {'consistency', "
        "'pseudo_labels'} or None. Got True instead.",
    ),
    (
        "unlabelled_weight",
        0.0,
        ValueError,
        "The 'unlabelled_weight' parameter of MultiTaskClassifier must be a float in the range "
        "(0.0, inf). Got 0.0 instead.",
    ),
    (
        "pseudo_label_threshold",
        0.4,
        ValueError,
        "The 'pseudo_label_threshold' parameter of MultiTaskClassifier must be a float in the "
        "range [0.5, 1.0) or None. Got 0.4 instead.",
    ),
    (
        "teacher_momentum",
        1.0,
        ValueError,
        "The 'teacher_momentum' parameter of MultiTaskClassifier must be a float in the range "
        "[0.0, 1.0). Got 1.0 instead.",
    ),
    (
        "input_noise",
        -0.1,
        ValueError,
        "The 'input_noise' parameter of MultiTaskClassifier must be a float in the range [0.0, "
        "1.0). Got -0.1 instead.",
    ),
    # running
    (
        "warm_start",
        "yes",
        ValueError,
        re.compile(
            r"The 'warm_start' parameter of MultiTaskClassifier must be an instance of 'bool' or "
            r"an instance of 'numpy\.bool_?'\. Got 'yes' instead\."
        ),
    ),
    (
        "warm_start",
        None,
        ValueError,
        re.compile(
            r"The 'warm_start' parameter of MultiTaskClassifier must be an instance of 'bool' or "
            r"an instance of 'numpy\.bool_?'\. Got None instead\."
        ),
    ),
    (
        "callbacks",
        "EarlyStopping",
        TypeError,
        "callbacks must be a keras.callbacks.Callback, a subclass of it, or a list, tuple or "
        "dict of these. Got 'EarlyStopping'. Keras has no names for callbacks. Pass the "
        "class: keras.callbacks.EarlyStopping.",
    ),
    (
        "callbacks",
        3,
        TypeError,
        "callbacks must be a keras.callbacks.Callback, a subclass of it, or a list, tuple or "
        "dict of these. Got 3.",
    ),
    (
        "callbacks",
        [3],
        TypeError,
        "callbacks__0 must be a keras.callbacks.Callback, a subclass of it, or a list, tuple "
        "or dict of these. Got 3.",
    ),
    (
        "callbacks",
        {"stop": 3},
        TypeError,
        "callbacks__stop must be a keras.callbacks.Callback, a subclass of it, or a list, "
        "tuple or dict of these. Got 3.",
    ),
    (
        "callbacks__patience",
        3,
        ValueError,
        "callbacks__patience is set, but callbacks is None. Pass the class it belongs to as "
        "callbacks.",
    ),
    (
        "checkpoint",
        3,
        ValueError,
        "The 'checkpoint' parameter of MultiTaskClassifier must be an instance of 'str', an "
        "instance of 'os.PathLike' or None. Got 3 instead.",
    ),
    (
        "jit_compile",
        "yes",
        ValueError,
        re.compile(
            r"The 'jit_compile' parameter of MultiTaskClassifier must be a str among \{'auto'\} "
            r"or an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got 'yes' instead\."
        ),
    ),
    (
        "jit_compile",
        None,
        ValueError,
        re.compile(
            r"The 'jit_compile' parameter of MultiTaskClassifier must be a str among \{'auto'\} "
            r"or an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got None instead\."
        ),
    ),
    (
        "dtype",
        "mixed_float16",
        ValueError,
        "The 'dtype' parameter of MultiTaskClassifier must be a str among {'float32', "
        "'mixed_bfloat16'} or None. Got 'mixed_float16' instead. float16 ends at 65,504, and "
        "gradients vanish below 6e-8, so that it needs the loss scaled; bfloat16 has the range of "
        "float32.",
    ),
    (
        "dtype",
        "mixed_bfloat",
        ValueError,
        "The 'dtype' parameter of MultiTaskClassifier must be a str among {'float32', "
        "'mixed_bfloat16'} or None. Got 'mixed_bfloat' instead. Did you mean 'mixed_bfloat16'?",
    ),
    (
        "random_state",
        "seed",
        ValueError,
        "The 'random_state' parameter of MultiTaskClassifier must be an int in the range [0, "
        "4294967295], an instance of 'numpy.random.mtrand.RandomState' or None. Got 'seed' "
        "instead.",
    ),
    (
        "random_state",
        -1,
        ValueError,
        "The 'random_state' parameter of MultiTaskClassifier must be an int in the range [0, "
        "4294967295], an instance of 'numpy.random.mtrand.RandomState' or None. Got -1 "
        "instead.",
    ),
    (
        "random_state",
        np.random.default_rng(0),
        ValueError,
        re.compile(
            r"The 'random_state' parameter of MultiTaskClassifier must be an int in the range "
            r"\[0, 4294967295\], an instance of 'numpy\.random\.mtrand\.RandomState' or None\. "
            r"Got Generator\(PCG64\) at 0x[0-9A-F]+ instead\."
        ),
    ),
    (
        "verbose",
        -1,
        ValueError,
        re.compile(
            r"The 'verbose' parameter of MultiTaskClassifier must be an int in the range \[0, "
            r"inf\), an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got \-1 instead\."
        ),
    ),
    (
        "verbose",
        "yes",
        ValueError,
        re.compile(
            r"The 'verbose' parameter of MultiTaskClassifier must be an int in the range \[0, "
            r"inf\), an instance of 'bool' or an instance of 'numpy\.bool_?'\. Got 'yes' instead\."
        ),
    ),
]


@BOTH
@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    PARAMETERS,
    ids=[f"{name}-{number}" for number, (name, *_) in enumerate(PARAMETERS)],
)
def test_unusable_parameters_are_refused(name, value, error, message, state):
    assert_refused(lambda clf: clf.fit(X, Y), error, message, state, {name: value})


@pytest.mark.skipif(not hasattr(keras.optimizers, "Muon"), reason="Keras has no Muon")
@pytest.mark.parametrize(
    "settings",
    [
        {"ensemble_size": 2},
        {"ensemble_size": 2, "ensemble_method": "independent"},
        {"head_hidden_layer_sizes": (2,)},
        {"sharing": "mmoe"},
    ],
    ids=["shared", "independent", "heads", "experts"],
)
def test_muon_is_refused_where_one_array_holds_several_kernels(settings):
    two_alike = np.tile(np.arange(len(X))[:, None] % 2, 2)
    clf = make_tiny(optimizer="muon", **settings)
    with pytest.raises(ValueError, match="Muon updates kernels that are matrices"):
        clf.fit(X, two_alike)
    assert not hasattr(clf, "classes_")
    make_tiny(optimizer="muon", epochs=1).fit(X, two_alike)
