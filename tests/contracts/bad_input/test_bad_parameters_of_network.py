"""Values of parameters of the data and the network that are refused, with their messages."""

import numpy as np
import pytest
from bad_input import BOTH, X, Y, assert_refused

# parameter, its value, the error and its message
PARAMETERS = [
    # data
    (
        "classes",
        3,
        ValueError,
        "The 'classes' parameter of MultiTaskClassifier must be an array-like, an instance "
        "of 'dict' or None. Got 3 instead.",
    ),
    (
        "classes",
        "abc",
        ValueError,
        "The 'classes' parameter of MultiTaskClassifier must be an array-like, an instance "
        "of 'dict' or None. Got 'abc' instead.",
    ),
    (
        "classes",
        [0, 1],
        ValueError,
        "classes must be {task: labels} or one sequence of labels per task, for 2 task(s). "
        "Got [0, 1].",
    ),
    (
        "classes",
        [[0, 1]],
        ValueError,
        "classes must be {task: labels} or one sequence of labels per task, for 2 task(s). "
        "Got [[0, 1]].",
    ),
    (
        "classes",
        {"flg": [0, 1]},
        ValueError,
        "There is no task 'flg', named in classes. Did you mean 'flag'? The tasks are "
        "'flag', 'colour'.",
    ),
    (
        "classes",
        {"flag": [0]},
        ValueError,
        "Task 'flag' has 10 label(s) outside its classes (0): 1. Correct them, or list every "
        "class in `classes`.",
    ),
    (
        "classes",
        {"flag": []},
        ValueError,
        "classes of task 'flag' must be a non-empty 1-D sequence of labels without missing "
        "ones. Got [].",
    ),
    (
        "classes",
        {"flag": [0, None]},
        ValueError,
        "classes of task 'flag' must be a non-empty 1-D sequence of labels without missing "
        "ones. Got [0, None].",
    ),
    (
        "classes",
        {"flag": [0, "a"]},
        ValueError,
        "Unknown label type: unknown. The labels of a task must be of one type; task 'flag' "
        "mixes int, str. Convert the column to one type.",
    ),
    (
        "classes",
        {"flag": 3},
        ValueError,
        "classes of task 'flag' must be a sequence of labels. Got 3.",
    ),
    (
        "classes",
        {"flag": [[0, 1]]},
        ValueError,
        "classes of task 'flag' must be a non-empty 1-D sequence of labels without missing "
        "ones. Got [[0, 1]].",
    ),
    ("classes", {"flag": [0, 1], 0: [0, 1]}, ValueError, "classes names task 'flag' twice."),
    (
        "missing_label",
        [[0]],
        TypeError,
        "missing_label must be a scalar, a list of scalars, or {task: scalar or list}; NaN, None, "
        "NaT and NA are always missing. Got [[0]].",
    ),
    (
        "missing_label",
        {"flag": {"colour": 0}},
        TypeError,
        "missing_label must be a scalar, a list of scalars, or {task: scalar or list}; NaN, None, "
        "NaT and NA are always missing. Got {'flag': {'colour': 0}}.",
    ),
    (
        "missing_label",
        {"flags": 0},
        ValueError,
        "There is no task 'flags', named in missing_label. Did you mean 'flag'? The tasks are "
        "'flag', 'colour'.",
    ),
    (
        "missing_label",
        {"flag": 8, 0: 9},
        ValueError,
        "missing_label names task 'flag' twice.",
    ),
    # network
    (
        "hidden_layer_sizes",
        "abc",
        ValueError,
        "The 'hidden_layer_sizes' parameter of MultiTaskClassifier must be an array-like or "
        "an int in the range [1, inf). Got 'abc' instead.",
    ),
    (
        "hidden_layer_sizes",
        None,
        ValueError,
        "The 'hidden_layer_sizes' parameter of MultiTaskClassifier must be an array-like or "
        "an int in the range [1, inf). Got None instead.",
    ),
    (
        "hidden_layer_sizes",
        0,
        ValueError,
        "The 'hidden_layer_sizes' parameter of MultiTaskClassifier must be an array-like or "
        "an int in the range [1, inf). Got 0 instead.",
    ),
    (
        "hidden_layer_sizes",
        4.5,
        ValueError,
        "The 'hidden_layer_sizes' parameter of MultiTaskClassifier must be an array-like or "
        "an int in the range [1, inf). Got 4.5 instead.",
    ),
    (
        "hidden_layer_sizes",
        (4, 0),
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got (4, 0).",
    ),
    (
        "hidden_layer_sizes",
        (4.0,),
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got (4.0,).",
    ),
    (
        "hidden_layer_sizes",
        [[1, 2]],
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got [[1, 2]].",
    ),
    (
        "hidden_layer_sizes",
        (True,),
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got (True,).",
    ),
    (
        "hidden_layer_sizes",
        {"a": 3},
        ValueError,
        "hidden_layer_sizes must hold integers of at least 1. Got {'a': 3}.",
    ),
    (
        "hidden_layer_sizes",
        10**12,
        ValueError,
        "hidden_layer_sizes must hold integers of at most 1,000,000: the weights of a wider "
        "layer would not fit into memory. Got 1000000000000.",
    ),
    (
        "head_hidden_layer_sizes",
        "abc",
        ValueError,
        "The 'head_hidden_layer_sizes' parameter of MultiTaskClassifier must be an "
        "array-like, an int in the range [1, inf) or an instance of 'dict'. Got 'abc' "
        "instead.",
    ),
    (
        "head_hidden_layer_sizes",
        None,
        ValueError,
        "The 'head_hidden_layer_sizes' parameter of MultiTaskClassifier must be an "
        "array-like, an int in the range [1, inf) or an instance of 'dict'. Got None instead.",
    ),
    (
        "head_hidden_layer_sizes",
        (0,),
        ValueError,
        "head_hidden_layer_sizes must hold integers of at least 1. Got (0,).",
    ),
    (
        "head_hidden_layer_sizes",
        {"flagg": 3},
        ValueError,
        "There is no task 'flagg', named in head_hidden_layer_sizes. Did you mean 'flag'? "
        "The tasks are 'flag', 'colour'.",
    ),
    (
        "head_hidden_layer_sizes",
        {9: 3},
        ValueError,
        "There is no task 9, named in head_hidden_layer_sizes. The tasks are 'flag', 'colour'.",
    ),
    (
        "head_hidden_layer_sizes",
        {"flag": 0},
        ValueError,
        "head_hidden_layer_sizes must hold integers of at least 1. Got 0.",
    ),
    (
        "head_hidden_layer_sizes",
        {"flag": "a"},
        ValueError,
        "head_hidden_layer_sizes must hold integers of at least 1. Got 'a'.",
    ),
    (
        "activation",
        None,
        ValueError,
        "The 'activation' parameter of MultiTaskClassifier must be an instance of 'str' or a "
        "callable. Got None instead.",
    ),
    (
        "activation",
        3,
        ValueError,
        "The 'activation' parameter of MultiTaskClassifier must be an instance of 'str' or a "
        "callable. Got 3 instead.",
    ),
    (
        "activation",
        "rely",
        ValueError,
        "activation must be one that Keras knows. Got 'rely'. Did you mean 'relu'?",
    ),
    (
        "activation",
        "RELU",
        ValueError,
        "activation must be one that Keras knows. Got 'RELU'. Did you mean 'relu'?",
    ),
    (
        "activation",
        np.tanh,
        ValueError,
        "activation must be the name of a Keras activation, or one of its functions. Got "
        "<ufunc 'tanh'>; write activation='tanh' for Keras's, or give layers of your own by "
        "`model=`.",
    ),
    (
        "activation",
        "glu",
        ValueError,
        "activation must keep the width of a layer; 'glu' halves it. Take another, such as "
        "'silu', or give layers of your own by `model=`.",
    ),
    (
        "dropout",
        1.0,
        ValueError,
        "The 'dropout' parameter of MultiTaskClassifier must be a str among {'auto'} or "
        "a float in the range [0.0, 1.0). Got 1.0 instead.",
    ),
    (
        "dropout",
        -0.1,
        ValueError,
        "The 'dropout' parameter of MultiTaskClassifier must be a str among {'auto'} or a float in "
        "the range [0.0, 1.0). Got -0.1 instead.",
    ),
    (
        "dropout",
        None,
        ValueError,
        "The 'dropout' parameter of MultiTaskClassifier must be a str among {'auto'} or a float in "
        "the range [0.0, 1.0). Got None instead.",
    ),
    (
        "normalization",
        "instance",
        ValueError,
        "The 'normalization' parameter of MultiTaskClassifier must be a str among {'batch', "
        "'layer'} or None. Got 'instance' instead.",
    ),
    (
        "normalization",
        "Batch",
        ValueError,
        "The 'normalization' parameter of MultiTaskClassifier must be a str among {'batch', "
        "'layer'} or None. Got 'Batch' instead. Did you mean 'batch'?",
    ),
    (
        "normalization",
        False,
        ValueError,
        "The 'normalization' parameter of MultiTaskClassifier must be a str among {'batch', "
        "'layer'} or None. Got False instead.",
    ),
    (
        "l2",
        -1,
        ValueError,
        "The 'l2' parameter of MultiTaskClassifier must be a float in the range [0.0, inf). "
        "Got -1 instead.",
    ),
    (
        "l2",
        np.nan,
        ValueError,
        "The 'l2' parameter of MultiTaskClassifier must be a float in the range [0.0, inf). "
        "Got nan instead.",
    ),
    (
        "sharing",
        "moe",
        ValueError,
        "The 'sharing' parameter of MultiTaskClassifier must be a str among {'cgc', "
        "'cross_stitch', 'hard', 'mmoe', 'ple'}. Got 'moe' instead. Did you mean 'mmoe'?",
    ),
    (
        "sharing",
        "mmoe",
        ValueError,
        "sharing='mmoe' needs hidden layers, of which its experts consist. Got "
        "hidden_layer_sizes=(). Give it a layer or more, or set sharing='hard'.",
        {"hidden_layer_sizes": ()},
    ),
    (
        "sharing",
        "ple",
        ValueError,
        "ensemble_size=2 needs sharing='hard': the members of an ensemble have one trunk each, "
        "without experts. Got sharing='ple'. Set ensemble_size=1 (a MultiTaskEnsemble may have "
        "several such networks), or sharing='hard'.",
        {"ensemble_size": 2},
    ),
    (
        "sharing",
        "cgc",
        ValueError,
        "sharing='cgc' needs a trunk built from hidden_layer_sizes, and `model` is a network of "
        "your own. Set sharing='hard' and build the experts in `model`, or leave model=None.",
        {"hidden_layer_sizes": (256,), "model": lambda: None},
    ),
    (
        "n_experts",
        0,
        ValueError,
        "The 'n_experts' parameter of MultiTaskClassifier must be an int in the range [1, inf). "
        "Got 0 instead.",
        {"sharing": "mmoe"},
    ),
    (
        "n_experts",
        3,
        ValueError,
        "n_experts=3 has no effect: it acts only if sharing is 'mmoe', 'cgc' or 'ple'. Leave it "
        "at its default, 4, or change the other parameter.",
        {"sharing": "cross_stitch"},
    ),
    (
        "n_task_experts",
        2,
        ValueError,
        "n_task_experts=2 has no effect: it acts only if sharing is 'cgc' or 'ple'. Leave it at "
        "its default, 1, or change the other parameter.",
        {"sharing": "mmoe"},
    ),
    (
        "ensemble_size",
        0,
        ValueError,
        "The 'ensemble_size' parameter of MultiTaskClassifier must be an int in the range "
        "[1, inf). Got 0 instead.",
    ),
    (
        "ensemble_method",
        "share",
        ValueError,
        "The 'ensemble_method' parameter of MultiTaskClassifier must be a str among "
        "{'independent', 'shared'}. Got 'share' instead. Did you mean 'shared'?",
    ),
    (
        "model",
        "mlp",
        TypeError,
        "model must be a function that returns a keras.Model, or a keras.Model. Got 'mlp'.",
        {"hidden_layer_sizes": (256,)},
    ),
    (
        "model__width",
        3,
        ValueError,
        "model__width is set, but model is None: there is no builder to pass it to.",
    ),
]


@BOTH
@pytest.mark.parametrize(
    ("name", "value", "error", "message", "others"),
    [(*row, {})[:5] for row in PARAMETERS],
    ids=[f"{name}-{number}" for number, (name, *_) in enumerate(PARAMETERS)],
)
def test_unusable_parameters_are_refused(name, value, error, message, others, state):
    assert_refused(lambda clf: clf.fit(X, Y), error, message, state, {name: value, **others})
