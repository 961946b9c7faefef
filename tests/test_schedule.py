"""Schedules: each learning rate's course, each optimizer, the paper's recipe, refusals."""

import keras
import numpy as np
import pytest

from facezoo.training import Schedule
from facezoo.training.learning_rate import learning_rate


def rates(num_steps=20, **settings):
    optimizer = Schedule(1, 0.1, **settings).make_optimizer(num_steps)
    return [float(optimizer._learning_rate(step)) for step in range(num_steps + 1)]


def test_the_warm_up_rises_in_a_line_to_the_peak():
    values = rates(warmup=0.2)
    np.testing.assert_allclose(values[:4], [0.025, 0.05, 0.075, 0.1], rtol=1e-6)
    assert values[4] == pytest.approx(0.1) and np.argmax(values) in (3, 4)


@pytest.mark.parametrize(
    ("settings", "step", "expected"),
    [
        ({"decay": "cosine"}, 10, 0.1 * (0.02 + 0.98 * 0.5)),
        ({"decay": "cosine"}, 20, 0.002),
        ({"decay": "polynomial", "final": 0.0}, 10, 0.1 * 0.25),
        ({"decay": "polynomial", "final": 0.1, "power": 1.0}, 20, 0.01),
        ({"decay": "step", "drops": "0.5,0.75"}, 9, 0.1),
        ({"decay": "step", "drops": "0.5,0.75"}, 10, 0.01),
        ({"decay": "step", "drops": "0.5,0.75"}, 15, 0.001),
        ({"decay": "constant"}, 20, 0.1),
    ],
)
def test_the_rate_falls_as_its_name_says(settings, step, expected):
    assert rates(warmup=0.0, **settings)[step] == pytest.approx(expected, rel=1e-5)


def test_drops_count_from_the_beginning_of_the_stage():
    values = rates(decay="step", drops="0.5", warmup=0.25)
    assert values[9] == pytest.approx(0.1) and values[10] == pytest.approx(0.01)


@pytest.mark.parametrize("name", ["adamw", "sgd", "adagrad"])
def test_each_optimizer_goes_down(name):
    optimizer = Schedule(1, 0.1, optimizer=name, warmup=0.0).make_optimizer(10)
    variable = keras.Variable([1.0, -2.0])
    optimizer.build([variable])
    before = np.abs(np.array(variable))
    optimizer.apply([2.0 * variable])
    assert type(optimizer).__name__.lower() == name
    assert (np.abs(np.array(variable)) < before).all()


def test_weight_decay_spares_biases_and_batch_normalisation():
    optimizer = Schedule(1, 0.1, weight_decay=0.5, warmup=0.0).make_optimizer(10)
    kernel = keras.Variable([1.0], name="kernel")
    bias = keras.Variable([1.0], name="bias")
    optimizer.build([kernel, bias])
    optimizer.apply([keras.ops.zeros(1), keras.ops.zeros(1)])
    assert float(kernel[0]) == pytest.approx(0.95) and float(bias[0]) == 1.0


def test_the_papers_recipe_is_adagrad_at_005_with_accumulators_of_01():
    schedule = Schedule.facenet(epochs=3)
    optimizer = schedule.make_optimizer(100)
    assert isinstance(optimizer, keras.optimizers.Adagrad)
    variable = keras.Variable([0.0])
    optimizer.build([variable])
    optimizer.apply([keras.ops.ones(1)])
    # The first step divides by the root of 0.1 and the gradient's square.
    assert float(variable[0]) == pytest.approx(-0.05 / np.sqrt(1.1), rel=1e-4)


def test_the_schedule_survives_a_round_trip():
    rate = learning_rate("polynomial", 0.1, 50, warmup_steps=5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
    assert [float(again(step)) for step in (0, 4, 30)] == [float(rate(one)) for one in (0, 4, 30)]


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": -1},
        {"learning_rate": 0.0},
        {"optimizer": "lion"},
        {"decay": "linear"},
        {"drops": "0.5,0.2"},
        {"drops": "half"},
        {"power": 0.0},
        {"final": 2.0},
        {"momentum": 1.0},
        {"warmup": 1.0},
        {"ema": -0.1},
        {"weight_decay": -1.0},
    ],
)
def test_impossible_schedules_are_refused(change):
    with pytest.raises(ValueError, match="Received: "):
        Schedule(**{"epochs": 1, "learning_rate": 0.1, **change})


def test_an_unknown_decay_is_refused():
    with pytest.raises(ValueError, match="decay must be one of cosine"):
        learning_rate("linear", 0.1, 10)
