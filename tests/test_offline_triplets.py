"""Offline triplets: of the right images, written whole, trained on, taken up after a kill."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import facezoo
from facezoo.data.augment import Augmentation
from facezoo.data.batches import TrainingBatches
from facezoo.data.draws import NUM_DRAWS
from facezoo.data.images import encode_png
from facezoo.data.records import index_records
from facezoo.losses import GivenTripletsLoss
from facezoo.mining import mine_triplets
from facezoo.training import (
    Execution,
    OfflineMining,
    OfflineStage,
    OfflineTriplets,
    Recipe,
    Schedule,
    Stage,
    create_distribution,
    make_deterministic,
    offline_mining,
    steps_per_epoch,
    train,
)
from facezoo.training.mined_batches import MinedBatches
from facezoo.training.recipe import make_stages
from facezoo.training.triplet_records import read_triplets
from tests.shards import record, write_shard
from tests.small_model import SHAPE, small_model

HEIGHT, WIDTH = SHAPE[:2]
# The last person has no second image, and can only be a negative.
LABELS = np.repeat([0, 1, 2, 3, 7], [6, 6, 6, 5, 1])
EVERYTHING = OfflineMining(steps_per_round=5, triplets_per_batch=4, num_people=9)
CHECKPOINT = "checkpoint-000000040"
# One pass over as many images as there are takes two steps of either kind of batch.
EPOCH, EPOCHS = 2, 8


def picture(number, label):
    face = np.random.default_rng(label).normal(size=SHAPE)
    noise = np.random.default_rng(100 + number).normal(size=SHAPE)
    return encode_png(np.clip(127.5 + 40.0 * (face + 0.5 * noise), 0, 255).astype(np.uint8))


def make_batches(folder, labels=LABELS, name="test"):
    folder.mkdir(parents=True)
    records = [
        record(number, int(one), HEIGHT, WIDTH, encoded=picture(number, one), dataset=name)
        for number, one in enumerate(labels)
    ]
    shards = [write_shard(folder / f"data_tfrecord-{i}", records[i::2]) for i in range(2)]
    sampling = {"seed": 5, "num_identities": 4, "images_per_identity": 3}
    light = Augmentation(flip=False, brightness=0.02)
    return TrainingBatches(shards, facezoo.Preprocessing(HEIGHT, WIDTH), light, **sampling)


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    return make_batches(tmp_path_factory.mktemp("data") / "shards")


@pytest.fixture(scope="module")
def model():
    return small_model(None, batch_norm=True)


@pytest.fixture(scope="module")
def mined(batches, model, tmp_path_factory):
    triplets = OfflineTriplets(batches, tmp_path_factory.mktemp("triplets"), EVERYTHING)
    triplets.mine(0, 40, model, CHECKPOINT)
    triplets.open_round(0)
    return triplets


def the_file(triplets):
    (path,) = triplets._folder.iterdir()
    return path


def embed(model, batches):
    """Embeds every image, in the index's order, by itself."""
    images = []
    for position in range(batches.num_images):
        image = tf.io.decode_png(batches.index.read(position).encoded)
        images.append(model.preprocessing.standardize(image[None]))
    outputs = [model(image, training=False) for image in images]
    return np.concatenate([output["embedding"] for output in outputs])


class TestTheFile:
    def test_holds_the_triplets_of_all_images_in_random_order(self, mined, model, batches):
        position = read_triplets(the_file(mined)).position
        wanted = mine_triplets(embed(model, batches), batches.label)
        by_anchor = np.argsort(position[:, 0])
        np.testing.assert_array_equal(position[by_anchor], wanted)
        assert not np.array_equal(by_anchor, np.arange(len(position)))
        # One anchor for every image but that of the person who has no other.
        assert len(position) == len(LABELS) - 1

    @pytest.mark.parametrize("at_once", [5, 8])
    def test_does_not_depend_on_how_many_are_embedded_at_once(
        self, mined, model, batches, tmp_path, monkeypatch, at_once
    ):
        monkeypatch.setattr(offline_mining, "_AT_ONCE", at_once)
        OfflineTriplets(batches, tmp_path, EVERYTHING).mine(0, 40, model, CHECKPOINT)
        found, wanted = (read_triplets(path) for path in (*tmp_path.iterdir(), the_file(mined)))
        np.testing.assert_array_equal(found.position, wanted.position)
        np.testing.assert_allclose(found.distance, wanted.distance, rtol=1e-5)

    def test_is_read_by_tensorflow(self, mined, model, batches):
        records = list(tf.data.TFRecordDataset(str(the_file(mined))).as_numpy_iterator())
        feature = tf.train.Example.FromString(records[3]).features.feature
        position = list(feature["image/position"].int64_list.value)
        faces = [batches.index.read(one) for one in position]
        names = [name.decode() for name in feature["image/filename"].bytes_list.value]
        assert names == [face.filename for face in faces]
        labels = list(feature["identity/label"].int64_list.value)
        assert labels == [face.label for face in faces] and labels[0] == labels[1] != labels[2]
        anchor, positive, negative = embed(model, batches)[position]
        wanted = [np.sum((anchor - other) ** 2) for other in (positive, negative)]
        found = feature["triplet/distance"].float_list.value
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        assert feature["checkpoint/name"].bytes_list.value[0].decode() == CHECKPOINT
        assert list(feature["checkpoint/step"].int64_list.value) == [40]

    def test_rounds_that_no_checkpoint_needs_are_removed(self, batches, model, tmp_path):
        triplets = OfflineTriplets(batches, tmp_path, EVERYTHING)
        left_over = tmp_path / "round-000009.tfrecord"
        left_over.touch()
        for number in range(3):
            triplets.mine(number, 3 * number, model, "")
        assert {path.name[9:12] for path in tmp_path.iterdir()} == {"001", "002"}
        assert read_triplets(tmp_path / "round-000002.tfrecord").step == 6


def test_a_subset_is_bounded_and_drawn_by_seed_and_round(batches, model, tmp_path):
    mining = OfflineMining(num_people=3, images_per_identity=2)
    triplets = OfflineTriplets(batches, tmp_path, mining)
    subsets = []
    for number in (0, 1, 2, 0):
        triplets.mine(number, 0, model, "")
        triplets.open_round(number)
        subsets.append(set(triplets._rounds[-1].position.ravel().tolist()))
    for subset in subsets:
        _, counts = np.unique(batches.label[list(subset)], return_counts=True)
        assert len(counts) <= 3 and counts.max() == 2
    assert subsets[0] == subsets[3] and len(set(map(frozenset, subsets))) == 3


def test_mining_leaves_no_trace(batches, model, tmp_path):
    def state():
        variables = (*model.variables, *model.triplet_telemetry.variables)
        return [*map(np.array, variables), np.array(keras.random.normal((2,)))]

    model.compile("sgd", GivenTripletsLoss())
    keras.utils.set_random_seed(4)
    before = state()
    keras.utils.set_random_seed(4)
    OfflineTriplets(batches, tmp_path, EVERYTHING).mine(0, 0, model, "")
    for one, other in zip(before, state(), strict=True):
        np.testing.assert_array_equal(one, other)


class TestBatches:
    def test_are_anchors_then_positives_then_negatives(self, mined, batches):
        assert isinstance(mined, MinedBatches)
        image, label, draw, weight = mined.read(41)
        assert image.shape == (12, *SHAPE) and image.dtype == np.uint8 and weight is None
        assert label.dtype == np.int32 and draw.shape == (12, NUM_DRAWS)
        assert len(np.unique(draw, axis=0)) == 12
        triplets = read_triplets(the_file(mined)).position[4:8]
        np.testing.assert_array_equal(mined.positions(41), triplets.T.ravel())
        np.testing.assert_array_equal(label, batches.label[triplets.T.ravel()])
        for row, position in enumerate(mined.positions(41)):
            wanted = tf.io.decode_png(batches.index.read(position).encoded)
            np.testing.assert_array_equal(image[row], wanted)

    @pytest.mark.parametrize("num_replicas", [2, 4])
    def test_replicas_get_whole_triplets(self, mined, num_replicas):
        found = []
        for replica in range(num_replicas):
            rows = np.arange(mined.batch_size)[replica::num_replicas]
            anchor, positive, negative = np.split(mined.positions(40)[rows], 3)
            found += list(zip(anchor, positive, negative, strict=True))
            np.testing.assert_array_equal(mined.read(40, rows).label, mined.read(40).label[rows])
        wanted = read_triplets(the_file(mined)).position[:4]
        assert set(found) == set(map(tuple, wanted.tolist()))

    def test_begin_again_when_the_file_is_used_up(self, mined):
        position = read_triplets(the_file(mined)).position
        assert len(position) == 23
        np.testing.assert_array_equal(mined.positions(45)[:4], position[[20, 21, 22, 0], 0])
        again = mined.read(45).draw, mined.read(45 + 23).draw
        assert not np.array_equal(*again)

    def test_of_the_round_before_can_still_be_read(self, batches, model, tmp_path):
        triplets = OfflineTriplets(batches, tmp_path, EVERYTHING)
        for number in range(2):
            triplets.mine(number, 5 * number, model, "")
            triplets.open_round(number)
            if number == 0:
                last = triplets.positions(4)
        np.testing.assert_array_equal(triplets.positions(4), last)
        np.testing.assert_array_equal(
            triplets.positions(5), triplets._rounds[1].position[:4].T.ravel()
        )

    def test_know_their_age_and_hardness(self, mined):
        distance = read_triplets(the_file(mined)).distance
        assert mined.logs(42) == {
            "staleness": 2.0,
            "mined_triplets": 23.0,
            "mined_violation": pytest.approx(np.mean(distance[:, 0] - distance[:, 1])),
        }
        assert mined.round == 0
        for step in (39, 45):
            with pytest.raises(ValueError, match="a round of another training.*mined at step 40"):
                mined.logs(step)


class TestBadFiles:
    @pytest.fixture
    def triplets(self, mined, batches, tmp_path):
        (tmp_path / "round-000000.tfrecord").write_bytes(the_file(mined).read_bytes())
        return OfflineTriplets(batches, tmp_path, EVERYTHING)

    def test_missing(self, triplets):
        with pytest.raises(ValueError, match="round-000001.tfrecord are missing"):
            triplets.open_round(1)

    def test_damaged(self, triplets):
        content = bytearray(the_file(triplets).read_bytes())
        content[200] ^= 1
        the_file(triplets).write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read"):
            triplets.open_round(0)

    def test_cut_off_between_two_records(self, triplets):
        end = index_records(the_file(triplets))[5]
        the_file(triplets).write_bytes(the_file(triplets).read_bytes()[:end])
        with pytest.raises(ValueError, match="cut off. Expected: 23 triplets. Received: 5"):
            triplets.open_round(0)

    @pytest.mark.parametrize("records", [[], [record(0, 0)]])
    def test_of_another_kind(self, triplets, records):
        write_shard(the_file(triplets), records)
        with pytest.raises(ValueError, match="holds no triplets"):
            triplets.open_round(0)

    @pytest.mark.parametrize(
        ("labels", "name"), [(LABELS[:20], "test"), (LABELS[::-1], "test"), (LABELS, "other")]
    )
    def test_of_other_data(self, triplets, labels, name, tmp_path):
        others = make_batches(tmp_path / "others", labels, name)
        with pytest.raises(ValueError, match=f"other images than these {len(labels)}"):
            OfflineTriplets(others, tmp_path, EVERYTHING).open_round(0)


def test_a_subset_without_a_triplet_is_refused(model, tmp_path):
    lonely = make_batches(tmp_path / "lonely", np.arange(12))
    with pytest.raises(ValueError, match="12 images of 12 people, no triplet among them"):
        OfflineTriplets(lonely, tmp_path, OfflineMining()).mine(0, 0, model, "")


@pytest.mark.parametrize(
    "change",
    [
        {"steps_per_round": 0},
        {"triplets_per_batch": 0},
        {"num_people": 1},
        {"images_per_identity": 1},
        {"keep_rounds": 1},
        {"negatives": "easy"},
    ],
)
def test_impossible_settings_are_refused(change):
    for kind, more in ((OfflineMining, {}), (OfflineStage, {"epochs": 1, "learning_rate": 0.1})):
        with pytest.raises(ValueError, match=f"{next(iter(change))} must be .*Received: "):
            kind(**more, **change)
    with pytest.raises(ValueError, match="epochs must be 0 or more"):
        OfflineStage(-1, 0.1)


class Watch(keras.callbacks.Callback):
    """Keeps the logs of every step, and may end the training as a crash would."""

    def __init__(self, crash_at=-1):
        super().__init__()
        self.logs, self.crash_at = [], crash_at

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(logs)
        if batch == self.crash_at:
            raise KeyboardInterrupt


class Counted(OfflineTriplets):
    """Remembers which rounds were mined."""

    def mine(self, number, step, model, checkpoint):
        self.rounds = [*getattr(self, "rounds", []), number]
        super().mine(number, step, model, checkpoint)


def trained(work_dir, batches, watch):
    """One epoch of another loss, so that the first round does not begin at step 0."""
    make_deterministic(3)
    model = small_model(None, batch_norm=True)
    triplets = Counted(batches, work_dir / "triplets", EVERYTHING)
    stages = [
        Stage("online", facezoo.TripletSemiHardLoss(0.2, "squared-L2"), Schedule(1, 0.01)),
        Stage("offline", GivenTripletsLoss(), Schedule(EPOCHS, 0.03), batches=triplets),
    ]
    execution = Execution(work_dir=work_dir, checkpoint_every=2)
    history = train(model, batches, stages, execution, [watch])
    return model, history, triplets.rounds


@pytest.fixture(scope="module")
def outcome(batches, tmp_path_factory):
    watch = Watch()
    work_dir = tmp_path_factory.mktemp("work")
    return *trained(work_dir, batches, watch), watch.logs, work_dir


@pytest.mark.slow
class TestTraining:
    def test_the_loss_goes_down(self, outcome):
        _, history, _, logs, _ = outcome
        assert [one["stage"] for one in history] == ["online"] + ["offline"] * EPOCHS
        assert history[-1]["loss"] < 0.7 * history[1]["loss"]
        assert logs[-1]["mined_violation"] < logs[EPOCH]["mined_violation"]

    def test_a_round_begins_every_so_many_steps(self, outcome):
        _, _, rounds, logs, work_dir = outcome
        steps = EPOCH * EPOCHS
        assert rounds == list(range(4))
        ages = [one.get("staleness") for one in logs]
        assert ages == [None] * EPOCH + [float(step % 5) for step in range(steps)]
        last = read_triplets(work_dir / "triplets" / "round-000003.tfrecord")
        assert (last.step, last.checkpoint) == (EPOCH + 15, f"checkpoint-{EPOCH + 15:09d}")

    def test_after_a_crash_it_goes_on_with_the_round_that_was_mined(
        self, outcome, batches, tmp_path
    ):
        # The newest checkpoint is that of 8 steps in the stage: in the middle of round 1.
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path, batches, Watch(crash_at=EPOCH + 8))
        watch = Watch()
        model, history, rounds = trained(tmp_path, batches, watch)
        assert rounds == [2, 3] and watch.logs[0]["staleness"] == 3.0
        assert history == outcome[1]
        for expected, weight in zip(outcome[0].weights, model.weights, strict=True):
            np.testing.assert_array_equal(expected, weight, err_msg=weight.path)


def test_replicas_that_would_not_share_the_thirds_are_refused(model, mined, monkeypatch):
    mirrored = create_distribution("mirrored")
    # Twelve rows divide by three, but four anchors do not.
    mirrored.num_replicas = 3
    monkeypatch.setattr(mined, "part_size", 4)
    stages = [Stage("offline", GivenTripletsLoss(), Schedule(1, 0.1), model)]
    with pytest.raises(ValueError, match=r"divisible by 3 \(replicas\). Received: 4"):
        train(model, mined, stages, Execution(mirrored))


class TestRecipe:
    RECIPE = Recipe(
        backbone="mobilefacenet",
        embedding_dim=4,
        offline=OfflineStage(3, 0.01, margin=0.3, distance_metric="L2", triplets_per_batch=2),
    )

    def test_the_stage_comes_last_with_its_own_batches(self, model, mined):
        *_, stage = make_stages(self.RECIPE, model, mined)
        assert stage.name == "offline" and stage.batches is mined
        assert isinstance(stage.loss, GivenTripletsLoss)
        assert (stage.loss.margin, stage.loss.distance_metric) == (0.3, "L2")

    def test_an_epoch_is_counted_by_its_own_batches(self, batches, tmp_path):
        single = dataclasses.replace(EVERYTHING, triplets_per_batch=1)
        triplets = OfflineTriplets(batches, tmp_path, single)
        assert steps_per_epoch(triplets) == batches.num_images // 3 > steps_per_epoch(batches)

    def test_it_is_left_out_by_default(self):
        assert Recipe().offline.epochs == 0
