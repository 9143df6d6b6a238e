"""Values of parameters of the loss that are refused, with their messages."""

import numpy as np
import pytest
from bad_input import BOTH, X, Y, assert_refused, make

WEIGHTING_MUST_BE = (
    "The 'task_weighting' parameter of MultiTaskClassifier must be a str among "
    "{'aligned_mtl', 'cagrad', 'dwa', 'equal', 'fairgrad', 'famo', 'gls', 'graddrop',"
    " 'gradnorm', 'gradvac', 'imtl_g', 'log', 'mgda', 'nash_mtl', 'pcgrad', 'rlw', "
    "'stch', 'uncertainty', 'upgrad'}"
)

# parameter, its value, the error and its message
PARAMETERS = [
    # loss
    (
        "task_weighting",
        "uncertanty",
        ValueError,
        f"{WEIGHTING_MUST_BE}, an instance of 'dict' or an object implementing 'initial_state', "
        "'combine' and 'weights'. Got 'uncertanty' instead. Did you mean 'uncertainty'?",
    ),
    (
        "task_weighting",
        None,
        ValueError,
        f"{WEIGHTING_MUST_BE}, an instance of 'dict' or an object implementing 'initial_state', "
        "'combine' and 'weights'. Got None instead.",
    ),
    (
        "task_weighting",
        5,
        ValueError,
        f"{WEIGHTING_MUST_BE}, an instance of 'dict' or an object implementing 'initial_state', "
        "'combine' and 'weights'. Got 5 instead.",
    ),
    (
        "task_weighting",
        [1, 2],
        ValueError,
        f"{WEIGHTING_MUST_BE}, an instance of 'dict' or an object implementing 'initial_state', "
        "'combine' and 'weights'. Got [1, 2] instead.",
    ),
    (
        "task_weighting",
        {"flg": 1},
        ValueError,
        "There is no task 'flg', named in task_weighting. Did you mean 'flag'? The tasks "
        "are 'flag', 'colour'.",
    ),
    (
        "task_weighting",
        {"flag": -1},
        ValueError,
        "task_weighting must give finite, non-negative factors. Got -1 for 'flag'.",
    ),
    (
        "task_weighting",
        {"flag": np.nan},
        ValueError,
        "task_weighting must give finite, non-negative factors. Got nan for 'flag'.",
    ),
    (
        "task_weighting",
        {"flag": "x"},
        ValueError,
        "task_weighting must give finite, non-negative factors. Got 'x' for 'flag'.",
    ),
    (
        "task_weighting",
        {"flag": 0, "colour": 0},
        ValueError,
        "task_weighting gives every task the factor zero: one must be positive.",
    ),
    (
        "loss_normalization",
        "task",
        ValueError,
        "The 'loss_normalization' parameter of MultiTaskClassifier must be a str among "
        "{'cells', 'tasks'}. Got 'task' instead. Did you mean 'tasks'?",
    ),
    (
        "loss_normalization",
        None,
        ValueError,
        "The 'loss_normalization' parameter of MultiTaskClassifier must be a str among "
        "{'cells', 'tasks'}. Got None instead.",
    ),
    (
        "class_weight",
        "balance",
        ValueError,
        "The 'class_weight' parameter of MultiTaskClassifier must be a str among "
        "{'balanced'}, an instance of 'dict' or None. Got 'balance' instead. Did you mean "
        "'balanced'?",
    ),
    (
        "class_weight",
        "auto",
        ValueError,
        "The 'class_weight' parameter of MultiTaskClassifier must be a str among "
        "{'balanced'}, an instance of 'dict' or None. Got 'auto' instead.",
    ),
    (
        "class_weight",
        [{0: 1}],
        ValueError,
        "The 'class_weight' parameter of MultiTaskClassifier must be a str among "
        "{'balanced'}, an instance of 'dict' or None. Got [{0: 1}] instead. Several tasks take "
        "a dict by task: dict(zip(Y.columns, class_weight)).",
    ),
    (
        "class_weight",
        {"fla": "balanced"},
        ValueError,
        "There is no task 'fla', named in class_weight. Did you mean 'flag'? The tasks "
        "are 'flag', 'colour'.",
    ),
    (
        "class_weight",
        {"flag": "balance"},
        ValueError,
        "class_weight of task 'flag' must be 'balanced', None or {label: weight}. Got "
        "'balance'. Did you mean 'balanced'?",
    ),
    (
        "class_weight",
        {"flag": 3},
        ValueError,
        "class_weight of task 'flag' must be 'balanced', None or {label: weight}. Got 3.",
    ),
    (
        "class_weight",
        {0: 1, 1: 2},
        ValueError,
        "class_weight must be given by task, since each task of a table has classes of its own: "
        "write {'flag': {0: 1, 1: 2}} for task 'flag'. Got {0: 1, 1: 2}.",
    ),
    (
        "class_weight",
        {"flag": {"0": 1}},
        ValueError,
        "class_weight of task 'flag' names '0', not among its classes (0, 1).",
    ),
    (
        "class_weight",
        {"colour": {1: 2}},
        ValueError,
        "class_weight of task 'colour' names 1, not among its classes ('blue', 'green', 'red').",
    ),
    (
        "class_weight",
        {"flag": {0: -1}},
        ValueError,
        "class_weight of task 'flag' must be finite and not negative, and 0 or between 1e-9 "
        "and 1e9. Got {0: -1}.",
    ),
    (
        "class_weight",
        {"flag": {0: np.nan}},
        ValueError,
        "class_weight of task 'flag' must be finite and not negative, and 0 or between 1e-9 "
        "and 1e9. Got {0: nan}.",
    ),
    (
        "class_weight",
        {"flag": {0: 1e38}},
        ValueError,
        "class_weight of task 'flag' must be finite and not negative, and 0 or between 1e-9 "
        "and 1e9. Got {0: 1e+38}.",
    ),
    (
        "class_weight",
        {"flag": {0: "a"}},
        ValueError,
        "class_weight of task 'flag' must be numbers. Got {0: 'a'}.",
    ),
    (
        "class_weight",
        {"flag": {0: 0, 1: 0}},
        ValueError,
        "class_weight makes the weight of every labelled cell of task 'flag' zero: a class "
        "that has labels must keep a positive weight.",
    ),
    (
        "loss",
        "focl",
        ValueError,
        "The 'loss' parameter of MultiTaskClassifier must be a str among {'cross_entropy', "
        "'focal'}. Got 'focl' instead. Did you mean 'focal'?",
    ),
    (
        "focal_gamma",
        -1,
        ValueError,
        "The 'focal_gamma' parameter of MultiTaskClassifier must be a float in the range "
        "[0.0, inf). Got -1 instead.",
    ),
    (
        "focal_gamma",
        1.0,
        ValueError,
        "focal_gamma=1.0 has no effect: it acts only if loss='focal'. Leave it at its default, "
        "2.0, or change the other parameter.",
    ),
    (
        "logit_adjustment",
        "x",
        ValueError,
        "The 'logit_adjustment' parameter of MultiTaskClassifier must be a float in the range "
        "[0.0, inf). Got 'x' instead.",
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


OUTSIDE = (
    {"colour": {"rde": 2}},
    "class_weight of task 'colour' names 'rde', not among its classes ('blue', 'green', 'red'). "
    "Did you mean 'red'?",
)


def test_weights_of_labels_outside_the_declared_classes_are_refused():
    class_weight, message = OUTSIDE
    declared = {"class_weight": class_weight, "classes": {"colour": ["red", "green", "blue"]}}
    assert_refused(lambda clf: clf.fit(X, Y), ValueError, message, "new", declared)
    categorical = Y.astype({"colour": "category"})
    params = {"class_weight": class_weight}
    assert_refused(lambda clf: clf.fit(X, categorical), ValueError, message, "new", params)
    classes = {"flag": [0, 1], "colour": ["red", "green", "blue"]}

    def stream(clf):
        clf.partial_fit(X, Y, classes=classes)

    assert_refused(stream, ValueError, message, "new", params)


def test_weights_of_labels_that_no_row_has_are_warned_of():
    class_weight = {"flag": {7: 1, 0: 2}, "colour": {"rde": 2}}
    with pytest.warns(UserWarning, match="class_weight") as caught:
        make(class_weight=class_weight).fit(X, Y)
    assert [str(w.message) for w in caught] == [
        "class_weight names 2 class(es) that no label of y has, so that their weights have no "
        "effect: 7 of task 'flag', 'rde' of task 'colour'. Did you mean 'red'? Correct them if "
        "they are misspelt. If only these rows lack them, list all classes in `classes`."
    ]
