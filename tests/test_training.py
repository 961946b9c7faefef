"""Training: learns, repeats itself to the bit, and stops where the loss is no number."""

import keras
import numpy as np
import pytest

import facezoo
from facezoo import training
from facezoo.contracts import Backbone
from facezoo.data.batches import Batch
from facezoo.data.preprocessing import Preprocessing
from facezoo.training import Execution, Schedule, Stage

PEOPLE, EACH = 3, 4
SHAPE = (6, 5, 3)


class OneConvolution(Backbone):
    """The smallest thing that learns; a real backbone would spend the time on tracing."""

    def __init__(self):
        image = keras.Input(SHAPE)
        super().__init__(inputs=image, outputs=keras.layers.Conv2D(8, 3, name="conv")(image))
        self.image_shape = SHAPE


class FewImages:
    """Stands for `TrainingBatches`: three easy people, always the same images, shuffled anew."""

    batch_size = num_images = PEOPLE * EACH
    preprocessing = Preprocessing(*SHAPE[:2])
    label = np.repeat(np.arange(PEOPLE, dtype=np.int32), EACH)

    def __init__(self):
        rng = np.random.default_rng(0)
        faces = rng.normal(size=(PEOPLE, *SHAPE))[self.label]
        noisy = faces + 0.3 * rng.normal(size=faces.shape)
        self.image = (127.5 + 128.0 * noisy).astype(np.float32)
        self.steps = []

    @staticmethod
    def augmentation(image, draw):
        return image

    def read(self, step, rows=None):
        self.steps.append(step)
        order = np.random.default_rng(step).permutation(self.batch_size)
        order = order if rows is None else order[rows]
        return Batch(self.image[order], self.label[order], np.zeros((len(order), 1), np.float32))


CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
FAST = Schedule(1, 0.1)


def make_model(embedding_dim=4):
    head = facezoo.create_head("cosface", num_classes=PEOPLE, scale=8.0)
    embedding = {"pooling": "flatten"}
    return facezoo.create_model(OneConvolution(), embedding_dim, head, embedding=embedding)


def make_stages():
    return [
        Stage("margin", CROSS_ENTROPY, Schedule(8, 0.01)),
        Stage("left out", CROSS_ENTROPY, Schedule(0, 0.01)),
        Stage("triplet", facezoo.TripletSemiHardLoss(0.2, "squared-L2"), Schedule(2, 0.001)),
    ]


def trained(stages=None, execution=None, callbacks=()):
    training.make_deterministic(3)
    model = make_model()
    stages = make_stages() if stages is None else stages
    return model, training.train(model, FewImages(), stages, execution, callbacks)


@pytest.fixture(scope="module")
def outcome():
    return trained()


def test_it_learns_through_both_stages(outcome):
    _, history = outcome
    assert [entry["stage"] for entry in history] == ["margin"] * 8 + ["triplet"] * 2
    assert [entry["step"] for entry in history] == list(range(1, 11))
    assert history[7]["loss"] < 0.7 * history[0]["loss"]


def test_the_head_is_left_ready_for_more_training(outcome):
    model, _ = outcome
    assert model.head.trainable


def test_the_same_seed_gives_the_same_weights(outcome):
    again, history = trained()
    assert history == outcome[1]
    for expected, weight in zip(outcome[0].weights, again.weights, strict=True):
        np.testing.assert_array_equal(expected, weight, err_msg=weight.path)


class Broken(keras.losses.Loss):
    """No number from the third call on."""

    def call(self, y_true, y_pred):
        return keras.ops.sum(y_pred, axis=1) * float("nan")


def test_a_loss_that_is_no_number_stops_the_training_and_leaves_the_batches(tmp_path):
    stages = [Stage("good", CROSS_ENTROPY, Schedule(2, 0.01)), Stage("bad", Broken(), FAST)]
    with pytest.raises(ValueError, match="no longer a number at step 2: .*non-finite-000000002"):
        trained(stages, Execution(work_dir=tmp_path))
    with np.load(tmp_path / "non-finite-000000002.npz") as file:
        expected, before = FewImages().read(2), FewImages().read(1)
        np.testing.assert_array_equal(file["image"], expected.image)
        np.testing.assert_array_equal(file["label"], expected.label)
        np.testing.assert_array_equal(file["image_before"], before.image)


def test_a_loss_that_is_no_number_is_told_without_a_folder_too():
    with pytest.raises(ValueError, match="no longer a number at step 0: .*Lower the learning rate"):
        trained([Stage("bad", Broken(), FAST)])


@pytest.mark.slow
def test_the_average_of_the_weights_takes_their_place():
    plain, _ = trained([Stage("one", CROSS_ENTROPY, Schedule(6, 0.01))])
    slow, _ = trained([Stage("one", CROSS_ENTROPY, Schedule(6, 0.01, ema=0.999))])
    start, _ = trained([])

    def moved(model):
        pairs = zip(start.trainable_weights, model.trainable_weights, strict=True)
        return sum(float(np.abs(old - new).sum()) for old, new in pairs)

    # Keras starts the average at the weights after the first step.
    assert 0 < moved(slow) < 0.6 * moved(plain)


class Stop(keras.callbacks.Callback):
    """Ends the training after a step, as Ctrl-C does."""

    def __init__(self, step):
        super().__init__()
        self.at = step

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.at:
            raise KeyboardInterrupt


class Counter(keras.callbacks.Callback):
    """Has a state, and notes what it is told."""

    def __init__(self):
        super().__init__()
        self.steps, self.checkpoints, self.epochs = [], [], []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((epoch, logs["loss"]))

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(batch)

    def on_checkpoint(self, step):
        self.checkpoints.append(step)

    def get_state(self):
        return {"steps": self.steps, "epochs": self.epochs}

    def set_state(self, state):
        self.steps, self.epochs = state["steps"], [tuple(one) for one in state["epochs"]]


@pytest.mark.parametrize(
    "stop", [7, *(pytest.param(step, marks=pytest.mark.slow) for step in (0, 6, 8))]
)
def test_an_interrupted_training_goes_on_where_it_was_saved(outcome, tmp_path, stop):
    execution = Execution(work_dir=tmp_path, checkpoint_every=3)
    with pytest.raises(KeyboardInterrupt):
        trained(execution=execution, callbacks=[Counter(), Stop(stop)])
    counter = Counter()
    model, history = trained(execution=execution, callbacks=[counter])
    assert history == outcome[1] and counter.steps == list(range(10))
    assert counter.epochs == [(number, entry["loss"]) for number, entry in enumerate(history)]
    assert set(counter.checkpoints) <= {3, 6, 8, 10}
    for expected, weight in zip(outcome[0].weights, model.weights, strict=True):
        np.testing.assert_array_equal(expected, weight, err_msg=weight.path)


def test_a_finished_training_is_not_done_again(outcome, tmp_path):
    execution = Execution(work_dir=tmp_path)
    trained(execution=execution)
    counter = Counter()
    model, history = trained(execution=execution, callbacks=[counter])
    assert history == outcome[1] and counter.checkpoints == []
    np.testing.assert_array_equal(model.head.centers, outcome[0].head.centers)


def test_another_trainings_checkpoint_is_refused(tmp_path):
    execution = Execution(work_dir=tmp_path)
    trained(execution=execution)
    with pytest.raises(ValueError, match="is of another training: its model does not fit"):
        training.train(make_model(embedding_dim=5), FewImages(), make_stages(), execution)


def test_the_next_head_begins_with_the_centres_of_the_one_before():
    training.make_deterministic(3)
    model = make_model()
    plain = facezoo.FaceModel(
        model.backbone, model.embedding, facezoo.create_head("softmax", num_classes=PEOPLE)
    )
    stages = [
        Stage("softmax", CROSS_ENTROPY, Schedule(3, 0.01), model=plain),
        Stage("margin", CROSS_ENTROPY, Schedule(1, 1e-12)),
    ]
    history = training.train(model, FewImages(), stages)
    assert [entry["stage"] for entry in history] == ["softmax"] * 3 + ["margin"]
    np.testing.assert_allclose(model.head.centers, plain.head.centers, atol=1e-6)


def test_labels_beyond_the_heads_classes_are_refused():
    batches = FewImages()
    batches.num_classes = PEOPLE + 2
    with pytest.raises(ValueError, match=r"labels below 3. Received: labels up to 4"):
        training.train(make_model(), batches, make_stages())


@pytest.mark.slow
@pytest.mark.parametrize("num_chunks", [2, 4])
def test_chunks_learn_what_the_whole_batch_does(outcome, num_chunks):
    _, history = trained(execution=Execution(num_chunks=num_chunks))
    for entry, expected in zip(history, outcome[1], strict=True):
        assert entry["loss"] == pytest.approx(expected["loss"], rel=1e-3, abs=1e-4)


def test_chunks_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ValueError, match="multiple of num_chunks=5. Received: 12 rows"):
        trained(execution=Execution(num_chunks=5))


def test_chunks_need_a_model_without_a_step_of_its_own():
    model = facezoo.HardExampleModel.of(make_model(), num_hard=2)
    with pytest.raises(ValueError, match="HardExampleModel has one of its own"):
        training.train(model, FewImages(), make_stages(), Execution(num_chunks=2))


@pytest.mark.parametrize("change", [{"checkpoint_every": -1}, {"num_chunks": 0}])
def test_impossible_executions_are_refused(change):
    with pytest.raises(ValueError, match="Received: "):
        Execution(**change)
