"""Training: learns, repeats itself to the bit, and stops where the loss is no number."""

import keras
import numpy as np
import pytest

import facezoo
from facezoo import training
from facezoo.contracts import Backbone
from facezoo.training import Schedule, Stage

PEOPLE, EACH = 3, 4
SHAPE = (6, 5, 3)


class OneConvolution(Backbone):
    """The smallest thing that learns; a real backbone would spend the time on tracing."""

    def __init__(self):
        image = keras.Input(SHAPE)
        super().__init__(inputs=image, outputs=keras.layers.Conv2D(8, 3, name="conv")(image))
        self.image_shape = SHAPE


class FewImages:
    """Stands for `TrainingBatches`: three easy people, always the same batch."""

    batch_size = PEOPLE * EACH
    label = np.repeat(np.arange(PEOPLE, dtype=np.int32), EACH)

    def __init__(self):
        rng = np.random.default_rng(0)
        faces = rng.normal(size=(PEOPLE, *SHAPE))[self.label]
        self.image = (faces + 0.3 * rng.normal(size=faces.shape)).astype(np.float32)
        self.first_steps = []

    def dataset(self, first_step=0):
        import tensorflow as tf

        self.first_steps.append(first_step)
        return tf.data.Dataset.from_tensors((self.image, self.label)).repeat()


def trained(tmp_path, stages=None):
    training.make_deterministic(3)
    head = facezoo.create_head("cosface", num_classes=PEOPLE, scale=8.0)
    model = facezoo.create_model(OneConvolution(), 4, head, embedding={"pooling": "depthwise"})
    batches = FewImages()
    if stages is None:
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        triplet = facezoo.TripletSemiHardLoss(0.2, "squared-L2")
        stages = [
            Stage("margin", cross_entropy, Schedule(8, 0.01)),
            Stage("left out", cross_entropy, Schedule(0, 0.01)),
            Stage("triplet", triplet, Schedule(2, 0.001)),
        ]
    done = []
    history = training.train(model, batches, stages, str(tmp_path), done.append)
    return model, history, sum(done), batches.first_steps


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("logs"))


def test_it_learns_through_both_stages(outcome):
    _, history, steps, first_steps = outcome
    assert steps == 10 and first_steps == [0, 8]
    assert [entry["stage"] for entry in history] == ["margin"] * 8 + ["triplet"] * 2
    assert [entry["step"] for entry in history] == list(range(1, 11))
    assert history[7]["loss"] < 0.7 * history[0]["loss"]


def test_the_head_is_left_ready_for_more_training(outcome):
    model, *_ = outcome
    assert model.head.trainable


def test_the_same_seed_gives_the_same_weights(outcome, tmp_path):
    again, history, *_ = trained(tmp_path)
    assert history == outcome[1]
    for expected, weight in zip(outcome[0].weights, again.weights, strict=True):
        np.testing.assert_array_equal(expected, weight, err_msg=weight.path)


def test_scalars_reach_tensorboard(tmp_path):
    trained(tmp_path)
    assert [path for path in tmp_path.iterdir() if "tfevents" in path.name]


def test_a_loss_that_is_no_number_stops_the_training(tmp_path):
    class Broken(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.sum(y_pred, axis=1) * float("nan")

    with pytest.raises(ValueError, match="no longer a number at step 1 of stage 'bad'"):
        trained(tmp_path, [Stage("bad", Broken(), Schedule(1, 0.1))])


def test_the_learning_rate_rises_and_falls():
    rate = Schedule(1, 0.1, warmup=0.2).optimizer(steps=10)._learning_rate
    values = [float(rate(step)) for step in range(11)]
    assert np.argmax(values) == 2 and values[2] == pytest.approx(0.1)
    assert values[0] < values[1] and values[-1] == pytest.approx(0.002)


def test_the_average_of_the_weights_takes_their_place(outcome, tmp_path):
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain, *_ = trained(tmp_path, [Stage("one", cross_entropy, Schedule(6, 0.01))])
    slow, *_ = trained(tmp_path, [Stage("one", cross_entropy, Schedule(6, 0.01, ema=0.999))])
    start, *_ = trained(tmp_path, [])

    def moved(model):
        pairs = zip(start.trainable_weights, model.trainable_weights, strict=True)
        return sum(float(np.abs(old - new).sum()) for old, new in pairs)

    # Keras starts the average at the weights after the first step, which has the full rate here.
    assert 0 < moved(slow) < 0.6 * moved(plain)


@pytest.mark.parametrize(
    "change", [{"epochs": -1}, {"learning_rate": 0.0}, {"warmup": 1.0}, {"ema": -0.1}]
)
def test_impossible_schedules_are_refused(change):
    with pytest.raises(ValueError, match="Received: "):
        Schedule(**{"epochs": 1, "learning_rate": 0.1, **change})
