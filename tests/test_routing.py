"""Tests of `sk_mtl._routing` and `_model.keras_objects`: parameters, optimizers and callbacks."""

import copy
import pickle

import keras
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
)

from sk_mtl._model.keras_objects import make_callbacks, make_optimizer
from sk_mtl._names import suggest_name
from sk_mtl._routing import RoutedParamsMixin

EarlyStopping = keras.callbacks.EarlyStopping


class Estimator(RoutedParamsMixin, BaseEstimator):
    """Scores what is routed to the optimizer."""

    def __init__(self, optimizer="adam", *, callbacks=None, model=None, epochs=10, **routed):
        self.optimizer = optimizer
        self.callbacks = callbacks
        self.model = model
        self.epochs = epochs
        self._set_routed(routed)

    def fit(self, X, y=None):
        self.rate_ = self._routed("optimizer").get("learning_rate", 0.0)
        return self

    def score(self, X, y=None):
        return self.rate_


# ---------------------------------------------------------------------------------- the mixin


def test_routed_parameter_is_held_when_given_to_init():
    estimator = Estimator(optimizer__learning_rate=0.5, callbacks__0__patience=3, model__width=4)
    assert estimator.get_params()["optimizer__learning_rate"] == 0.5
    assert estimator._routed("optimizer") == {"learning_rate": 0.5}
    assert estimator._routed("callbacks") == {"0__patience": 3}
    assert estimator._routed("model") == {"width": 4}


def test_routed_parameter_is_held_when_first_set_later():
    estimator = Estimator().set_params(optimizer__learning_rate=0.5, epochs=3)
    assert estimator._routed("optimizer") == {"learning_rate": 0.5}
    assert estimator.epochs == 3


@pytest.mark.parametrize(
    "transport", [clone, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_routed_parameter_survives_when_copied(transport):
    estimator = Estimator(optimizer__learning_rate=0.5).set_params(model__width=4)
    assert transport(estimator).get_params() == estimator.get_params()


def test_routed_parameter_is_searched_when_never_declared():
    search = GridSearchCV(Estimator(), {"optimizer__learning_rate": [0.1, 0.3, 0.2]}, cv=2)
    search.fit(np.zeros((4, 1)), np.zeros(4))
    assert search.best_params_ == {"optimizer__learning_rate": 0.3}


def test_routed_parameter_passes_through_a_pipeline():
    pipeline = make_pipeline(Estimator()).set_params(estimator__optimizer__learning_rate=0.5)
    assert pipeline[-1]._routed("optimizer") == {"learning_rate": 0.5}


def test_repr_shows_routed_parameters():
    estimator = Estimator(optimizer__learning_rate=0.5, epochs=3)
    assert repr(estimator) == "Estimator(epochs=3, optimizer__learning_rate=0.5)"
    assert "optimizer__learning_rate" in estimator._repr_html_()


@pytest.mark.parametrize(
    "check",
    [check_get_params_invariance, check_no_attributes_set_in_init, check_set_params],
)
def test_common_check_of_parameters_passes(check):
    check("Estimator", Estimator())


def test_common_check_of_construction_passes():
    check_parameters_default_constructible("Estimator", Estimator())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("epoch", "Did you mean 'epochs'"),
        ("optimzer__learning_rate", "Did you mean 'optimizer__learning_rate'"),
        ("max_iter", "Did you mean 'epochs'"),
        ("learning_rate", "Did you mean 'optimizer__learning_rate'"),
        ("fit__epochs", "Use 'epochs'"),
        ("loss__from_logits", "masked cross-entropy"),
        ("optimizer__", "optimizer__<setting>"),
        ("width", "model__width"),
    ],
)
def test_unknown_parameter_is_refused_with_what_was_meant(name, said):
    with pytest.raises(TypeError, match=f"Estimator has no parameter '{name}'.*{said}"):
        Estimator(**{name: 1})
    with pytest.raises(ValueError, match=f"Estimator has no parameter '{name}'.*{said}"):
        Estimator().set_params(**{name: 1})


def test_set_params_sets_nothing_when_a_name_is_unknown():
    estimator = Estimator()
    with pytest.raises(ValueError, match="has no parameter 'epoch'"):
        estimator.set_params(optimizer__learning_rate=0.5, epochs=3, epoch=4)
    assert estimator.get_params() == Estimator().get_params()


@pytest.mark.parametrize("name", ["learing_rate", "learning_raet", "lr"])
def test_suggest_name_finds_a_near_name(name):
    assert suggest_name(name, ["learning_rate", "clipnorm"]) == "learning_rate"


def test_suggest_name_is_none_when_nothing_is_near():
    assert suggest_name("zzz", ["learning_rate", "clipnorm"]) is None


# ---------------------------------------------------------------------------------- optimizers


@pytest.mark.parametrize("optimizer", ["adam", "Adam", "ADAM", keras.optimizers.Adam])
def test_optimizer_is_made_when_given_by_name_or_class(optimizer):
    made = make_optimizer(optimizer, {"learning_rate": 0.25})
    assert type(made) is keras.optimizers.Adam
    assert float(made.learning_rate) == 0.25


@pytest.mark.parametrize("rate", [1, np.float32(1.0), np.float64(1.0), np.int64(1)])
def test_learning_rate_is_any_real_number(rate):
    assert float(make_optimizer("sgd", {"learning_rate": rate}).learning_rate) == 1.0


def test_nested_class_is_instantiated_with_its_settings():
    made = make_optimizer(
        "sgd",
        {
            "learning_rate": keras.optimizers.schedules.ExponentialDecay,
            "learning_rate__initial_learning_rate": 0.5,
            "learning_rate__decay_steps": 10,
            "learning_rate__decay_rate": 0.9,
        },
    )
    assert float(made.learning_rate) == 0.5
    assert made.get_config()["learning_rate"]["config"]["decay_steps"] == 10


def test_optimizer_instance_is_copied_and_left_alone():
    given = keras.optimizers.SGD(0.25, momentum=0.5, clipnorm=1.0)
    before = given.get_config()
    made = make_optimizer(given, {"learning_rate": 0.125})
    made.build([keras.Variable(np.zeros(2))])
    assert made is not given
    assert not given.built
    assert given.get_config() == before
    assert made.get_config() == {**before, "learning_rate": 0.125}


def test_optimizer_instance_has_no_state_when_it_was_used():
    given = keras.optimizers.Adam(0.5)
    variable = keras.Variable(np.ones(2))
    given.apply([np.ones(2, "float32")], [variable])
    made = make_optimizer(given)
    assert int(made.iterations) == 0
    assert not made.built


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Lamb", "RMSprop", "SGD", "Adafactor"])
def test_optimizer_instance_of_keras_can_be_copied(name):
    given = getattr(keras.optimizers, name)(learning_rate=0.5)
    assert make_optimizer(given).get_config() == given.get_config()


def test_optimizer_is_refused_when_its_name_is_mistyped():
    with pytest.raises(ValueError, match=r"no optimizer named 'adma'. Did you mean 'Adam'\?"):
        make_optimizer("adma")


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.Adam, keras.optimizers.Adam()])
def test_setting_is_refused_when_the_optimizer_does_not_take_it(optimizer):
    said = r"Adam takes no setting 'lr' .*Did you mean 'learning_rate'\? It takes: .*beta_1"
    with pytest.raises(ValueError, match=said):
        make_optimizer(optimizer, {"lr": 0.1})


def test_optimizer_is_refused_when_it_is_neither_name_class_nor_instance():
    with pytest.raises(TypeError, match=r"optimizer must be the name .* Got 3"):
        make_optimizer(3)


def test_nested_setting_is_refused_without_what_it_belongs_to():
    with pytest.raises(ValueError, match="optimizer__learning_rate is not"):
        make_optimizer("adam", {"learning_rate__decay_steps": 1})
    with pytest.raises(TypeError, match="optimizer__learning_rate is an instance of float"):
        make_optimizer("adam", {"learning_rate": 0.1, "learning_rate__decay_steps": 1})


class Forgetful(keras.optimizers.SGD):
    """Leaves a setting out of its config."""

    def __init__(self, charm=1.0, **kwargs):
        super().__init__(**kwargs)
        self.charm = charm


def test_optimizer_instance_is_refused_when_its_config_is_incomplete():
    with pytest.raises(ValueError, match="Forgetful cannot be copied: its get_config leaves out"):
        make_optimizer(Forgetful(charm=2.0))
    assert make_optimizer(Forgetful, {"charm": 2.0, "learning_rate": 0.5}).charm == 2.0


# ----------------------------------------------------------------------------------- callbacks


def test_no_callbacks_are_made_of_none():
    assert make_callbacks(None) == []


def test_callback_instances_are_used_as_they_are():
    one, two = EarlyStopping(), keras.callbacks.TerminateOnNaN()
    assert make_callbacks(one) == [one]
    assert make_callbacks((one, [two])) == [one, two]
    assert make_callbacks({"stop": one, "nan": two}) == [one, two]


def test_common_setting_goes_to_all_classes():
    made = make_callbacks([EarlyStopping, keras.callbacks.ReduceLROnPlateau], {"patience": 7})
    assert [callback.patience for callback in made] == [7, 7]


@pytest.mark.parametrize(
    ("callbacks", "settings"),
    [
        ([EarlyStopping, EarlyStopping], {"patience": 7, "1__patience": 3}),
        ({"a": EarlyStopping, "b": EarlyStopping}, {"patience": 7, "b__patience": 3}),
        ({"a": [EarlyStopping, EarlyStopping]}, {"a__patience": 7, "a__1__patience": 3}),
    ],
)
def test_setting_goes_to_one_callback_when_addressed(callbacks, settings):
    assert [callback.patience for callback in make_callbacks(callbacks, settings)] == [7, 3]


def test_setting_is_refused_when_routed_to_a_callback_instance():
    with pytest.raises(TypeError, match="callbacks__1 is an instance of EarlyStopping"):
        make_callbacks([EarlyStopping, EarlyStopping()], {"patience": 7})


@pytest.mark.parametrize(
    ("callbacks", "settings", "said"),
    [
        (None, {"patience": 1}, "callbacks is None"),
        ([EarlyStopping], {"1__patience": 1}, "callbacks holds 0"),
        ({"stop": EarlyStopping}, {"stob__patience": 1}, "Did you mean 'stop'"),
        (EarlyStopping, {"patienc": 1}, "Did you mean 'patience'"),
    ],
)
def test_setting_is_refused_when_no_callback_takes_it(callbacks, settings, said):
    with pytest.raises(ValueError, match=said):
        make_callbacks(callbacks, settings)


def test_callback_is_refused_when_it_is_none():
    with pytest.raises(TypeError, match=r"Pass the class: keras.callbacks.EarlyStopping"):
        make_callbacks("EarlyStoping")
    with pytest.raises(TypeError, match=r"callbacks__0 must be a keras\.callbacks\.Callback"):
        make_callbacks([3])
