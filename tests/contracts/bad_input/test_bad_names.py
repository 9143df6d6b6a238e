"""Names of parameters that do not exist are refused with what was meant."""

import pytest
from bad_input import assert_refused, make

# parameter: the message
NAMES = {
    "hidden_layer_size": (
        "MultiTaskClassifier has no parameter 'hidden_layer_size'. Did you mean "
        "'hidden_layer_sizes'? Settings of the optimizer, the callbacks and a custom model "
        "are routed: optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "randomstate": (
        "MultiTaskClassifier has no parameter 'randomstate'. Did you mean 'random_state'? "
        "Settings of the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "learning_rate": (
        "MultiTaskClassifier has no parameter 'learning_rate'. Did you mean "
        "'optimizer__learning_rate'? Settings of the optimizer, the callbacks and a custom "
        "model are routed: optimizer__learning_rate=0.01, callbacks__patience=3, "
        "model__width=64."
    ),
    "lr": (
        "MultiTaskClassifier has no parameter 'lr'. Did you mean 'optimizer__learning_rate'? "
        "Settings of the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "max_iter": (
        "MultiTaskClassifier has no parameter 'max_iter'. Did you mean 'epochs'? Settings of "
        "the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "solver": (
        "MultiTaskClassifier has no parameter 'solver'. Did you mean 'optimizer'? Settings "
        "of the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "patience": (
        "MultiTaskClassifier has no parameter 'patience'. Did you mean 'n_iter_no_change'? "
        "Settings of the optimizer, the callbacks and a custom model are routed: "
        "optimizer__learning_rate=0.01, callbacks__patience=3, model__width=64."
    ),
    "metrics": (
        "MultiTaskClassifier has no parameter 'metrics'. Settings of the optimizer, the "
        "callbacks and a custom model are routed: optimizer__learning_rate=0.01, "
        "callbacks__patience=3, model__width=64."
    ),
    "metrics__f1": (
        "MultiTaskClassifier has no parameter 'metrics__f1'. Score with the scorers of "
        "sk_mtl.metrics; history_ holds the losses per task."
    ),
    "compile__optimizer": (
        "MultiTaskClassifier has no parameter 'compile__optimizer'. Use 'optimizer'."
    ),
    "fit__epochs": ("MultiTaskClassifier has no parameter 'fit__epochs'. Use 'epochs'."),
    "optimiser__learning_rate": (
        "MultiTaskClassifier has no parameter 'optimiser__learning_rate'. Did you mean "
        "'optimizer__learning_rate'? Settings of the optimizer, the callbacks and a custom "
        "model are routed: optimizer__learning_rate=0.01, callbacks__patience=3, "
        "model__width=64."
    ),
    "optimizer__": (
        "MultiTaskClassifier has no parameter 'optimizer__'. Name the setting behind the "
        "underscores: optimizer__<setting>."
    ),
    "foo": (
        "MultiTaskClassifier has no parameter 'foo'. Settings of the optimizer, the "
        "callbacks and a custom model are routed: optimizer__learning_rate=0.01, "
        "callbacks__patience=3, model__width=64."
    ),
}


@pytest.mark.parametrize(("name", "message"), NAMES.items(), ids=NAMES)
def test_unknown_parameters_are_refused_with_what_was_meant(name, message):
    for state in ("new", "fitted"):
        assert_refused(lambda clf: clf.set_params(**{name: 1}), ValueError, message, state)
    assert_refused(lambda clf: make(**{name: 1}), TypeError, message, "new")
