"""Training on several data sets: from shards to batches, heads and losses, through whole jobs."""

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import facezoo
from facezoo import presets
from facezoo.backbones import MobileFaceNet
from facezoo.data.augment import Augmentation
from facezoo.data.batches import TrainingBatches
from facezoo.data.concat_batches import ConcatBatches
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.record_index import RecordIndex
from facezoo.heads import ConcatHead, CosFace, Softmax
from facezoo.losses import WithinSets
from facezoo.models import FaceModel
from facezoo.models.description import make_parts
from facezoo.training import Distribution, MarginStage, OfflineStage, Recipe, TripletStage, job
from facezoo.training.duplicates import read_duplicates
from facezoo.training.job import Job, open_batches, run_job
from facezoo.training.recipe import SoftmaxStage, make_model, make_stages
from facezoo.training.stage import hand_centers_on
from facezoo.training.training_sets import TrainingSet, check_division, make_batches
from pipelines.component import Channel, ComponentError, Context
from pipelines.components.trainer import Trainer
from tests.shards import write_shards
from tests.small_model import SHAPE
from tests.small_training import use_small_network

HEIGHT, WIDTH = SHAPE[:2]
# Three and four people; with gaps, as where the others are in another split.
FIRST, SECOND = np.repeat([0, 2, 5], 4), np.repeat([1, 2, 3, 9], 3)
RECIPE = Recipe(
    batch_size=4,
    images_per_identity=2,
    augmentation=Augmentation(flip=False, brightness=0.02),
    margin=MarginStage(2, 0.05, scale=8.0),
    triplet=TripletStage(1, 0.01),
    checkpoint_every=2,
)


def changed(**values):
    return dataclasses.replace(RECIPE, **values)


def training_set(folder, labels, dataset):
    shards = write_shards(folder, labels, height=HEIGHT, width=WIDTH, dataset=dataset)
    return TrainingSet(folder.name, tuple(map(str, shards)), str(folder / "no-index"))


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return training_set(folder / "one", FIRST, "fiw"), training_set(
        folder / "two", SECOND, "celeba"
    )


@pytest.fixture(scope="module")
def made(sets, tmp_path_factory):
    aside = tmp_path_factory.mktemp("work") / "index"

    def make(recipe=RECIPE, chosen=sets):
        return make_batches(recipe, chosen, aside)

    return make


@pytest.fixture
def small_network(monkeypatch):
    use_small_network(monkeypatch)


class TestBatches:
    def test_of_one_set_are_those_of_its_shards(self, made, sets):
        found = made(RECIPE, sets[:1])
        index = RecordIndex.open(found.index._folder, found.index._paths)
        expected = TrainingBatches(
            index,
            Preprocessing(HEIGHT, WIDTH, "per_image"),
            RECIPE.augmentation,
            seed=RECIPE.seed,
            num_identities=2,
            images_per_identity=2,
        )
        assert type(found) is TrainingBatches and found.preprocessing == expected.preprocessing
        assert found.num_classes == 6
        for one, other in zip(found.read(3)[:3], expected.read(3)[:3], strict=True):
            np.testing.assert_array_equal(one, other)

    def test_of_several_are_each_of_its_size_and_weight(self, made):
        found = made(changed(loss_weights="0.7,0.3"))
        assert isinstance(found, ConcatBatches) and found.names == ["fiw", "celeba"]
        assert [one.batch_size for one in found.batches] == [4, 4]
        assert found.classes_per_set == [3, 4] and found.num_classes == 7
        np.testing.assert_allclose(found.read(0).weight, np.repeat([1.4, 0.6], 4))

    def test_of_the_first_of_several_are_as_alone_and_the_next_draw_by_another_seed(
        self, made, sets
    ):
        several, alone = made().read(5), made(RECIPE, sets[:1]).read(5)
        np.testing.assert_array_equal(several.image[:4], alone.image)
        np.testing.assert_array_equal(several.draw[:4], alone.draw)
        assert not np.array_equal(several.draw[:4], several.draw[4:])

    def test_all_images_get_the_size_of_the_first_set(self, made, sets, tmp_path):
        shards = write_shards(tmp_path / "large", SECOND, height=6, width=8, dataset="large")
        large = TrainingSet("large", tuple(map(str, shards)), "")
        assert made(RECIPE, (sets[0], large)).read(0).image.shape == (8, HEIGHT, WIDTH, 3)

    def test_data_sets_in_one_folder_are_one_unless_told_apart(self, made, tmp_path):
        together = [write_shards(tmp_path / "all" / name, FIRST, dataset=name) for name in "ab"]
        one = TrainingSet("all", tuple(str(path) for paths in together for path in paths), "")
        assert type(made(RECIPE, [one])) is TrainingBatches
        found = made(changed(concat=True), [one])
        assert found.names == ["a", "b"] and found.classes_per_set == [3, 3]

    def test_an_index_that_fits_is_used_and_that_of_another_set_is_not(self, made, sets, tmp_path):
        own = RecordIndex.build([*map(Path, sets[0].shards)], tmp_path / "index")
        for one, fits in zip(sets, (True, False), strict=True):
            batches = made(RECIPE, [dataclasses.replace(one, index_dir=str(tmp_path / "index"))])
            assert (batches.index._folder == own._folder) is fits
            assert batches.index.datasets == [("celeba", "fiw")[fits]]

    def test_names_come_from_the_folders_where_the_records_have_one(self, made, sets, tmp_path):
        twin = training_set(tmp_path / "twin", FIRST, "fiw")
        assert made(RECIPE, (sets[0], twin)).names == ["one", "twin"]
        twin = dataclasses.replace(twin, name="one")
        with pytest.raises(ValueError, match=r"need different names.*\['fiw', 'fiw'\] in the rec"):
            made(RECIPE, (sets[0], twin))

    def test_empty_shards_are_refused(self, made, tmp_path):
        with pytest.raises(ValueError, match="shards of 'void' hold no images"):
            made(RECIPE, [training_set(tmp_path / "void", [], "void")])


@pytest.mark.parametrize("text", ["a,b", "0.5,", "0.5;0.5"])
def test_loss_weights_must_be_numbers(text):
    with pytest.raises(ValueError, match="one number for each data set, such as '0.7,0.3'. Rec"):
        changed(loss_weights=text)


@pytest.mark.parametrize(
    ("change", "num_sets", "message"),
    [
        ({"loss_weights": "1.0"}, 2, "must be one for each data set"),
        ({"loss_weights": "1,0"}, 2, "must be above 0"),
        ({"offline": OfflineStage(1, 0.1)}, 2, "offline mines triplets in one data set"),
        ({"loss_weights": "1.0", "duplicates": "x"}, 1, "loss_weights, duplicates needs several"),
        ({"cross_set_negatives": True}, 1, "cross_set_negatives needs several data sets"),
        ({"batch_size": 16}, 2, "needs that many different people"),
    ],
)
def test_a_recipe_that_does_not_fit_the_sets_is_refused(made, sets, change, num_sets, message):
    with pytest.raises(ValueError, match=message):
        made(changed(**change), sets[:num_sets])


def test_every_set_must_be_dealt_out_evenly(made, sets):
    check_division(made(), 2, 2)
    check_division(made(RECIPE, sets[:1]), 3, 1)
    with pytest.raises(ValueError, match=r"divisible by 2 .* x 4 .*\{'fiw': 4, 'celeba': 4\}"):
        check_division(made(), 2, 4)


@pytest.fixture(scope="module")
def blanks_and_slashes(tmp_path_factory):
    """Two sets, one of whose names begins with the other's, of people with blanks in theirs."""
    folder = tmp_path_factory.mktemp("named")
    sets = [
        training_set(folder / "one", FIRST, "tfds:a"),
        training_set(folder / "two", SECOND, "tfds:a/b"),
    ]
    return make_batches(RECIPE, sets, folder / "index")


def test_the_probe_shows_people_of_every_set(made, monkeypatch):
    monkeypatch.setattr(job, "_PROBE_IMAGES", 6)
    labels = job._probe(made(changed(batch_size=6))).label
    assert [int(np.sum(labels < 3)), int(np.sum(labels >= 3))] == [3, 3]


class TestDuplicates:
    @pytest.fixture
    def read(self, blanks_and_slashes, tmp_path):
        def read(text):
            path = tmp_path / "duplicates.txt"
            path.write_text(text, encoding="utf-8")
            return read_duplicates(path, blanks_and_slashes)

        return read

    def test_names_become_labels_of_all_sets_together(self, read):
        text = (
            "# who\n\ntfds:a/person 5\ttfds:a/b/person 9\t0.93\ntfds:a/person 0\ttfds:a/person 2\n"
        )
        assert read(text) == [(2, 6), (0, 1)]

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("tfds:a/person", "line 1: Expected two people as set/name"),
            ("tfds:a/person 0\ttfds:a/person 2\thigh", "Expected two people as set/name"),
            ("a/x tfds:a/y", "the set one of tfds:a, tfds:a/b. Received: 'a/x'"),
            ("tfds:a/person 7\ttfds:a/person 2", "'tfds:a' is called 'person 7'. Did you mean"),
            ("tfds:a/b/person 5\ttfds:a/person 2", "in the data set 'tfds:a/b' is called"),
        ],
    )
    def test_a_line_that_says_nothing_is_refused(self, read, line, message):
        with pytest.raises(ValueError, match=message):
            read(line)


def test_the_pipeline_looks_whether_the_list_has_changed(tmp_path):
    path = tmp_path / "duplicates.txt"

    def fingerprint(**values):
        trainer = Trainer(changed(**values), transformed_examples=Channel(None, "examples"))
        return trainer.external_fingerprint(Context(serving_dir=tmp_path))

    assert fingerprint() == ""
    with pytest.raises(ComponentError, match="list of duplicates is not there: .*duplicates.txt"):
        fingerprint(duplicates=str(path))
    path.write_text("a")
    before = fingerprint(duplicates=str(path))
    path.write_text("b")
    assert fingerprint(duplicates=str(path)) != before


@pytest.mark.usefixtures("small_network")
class TestStages:
    def test_one_set_has_one_head_and_looks_at_all_pairs(self, made, sets):
        model = make_model(RECIPE, made(RECIPE, sets[:1]))
        assert isinstance(model.head, CosFace) and model.head.num_classes == 6
        losses = {stage.name: stage.loss for stage in make_stages(RECIPE, model, None)}
        assert isinstance(losses["triplet"], facezoo.TripletSemiHardLoss)

    def test_several_have_one_each_and_nobody_is_compared_across(self, made):
        recipe = changed(softmax=SoftmaxStage(1, 0.1))
        model = make_model(recipe, made(recipe), [(0, 5)])
        stages = {stage.name: stage for stage in make_stages(recipe, model, None)}
        plain = stages["softmax"].model.head
        for head, kind in ((model.head, CosFace), (plain, Softmax)):
            assert isinstance(head, ConcatHead) and {*map(type, head.heads)} == {kind}
            assert head.names == ["fiw", "celeba"]
        loss = stages["triplet"].loss
        assert isinstance(loss, WithinSets) and loss.loss.margin == RECIPE.triplet.margin
        sets = {"num_classes": [3, 4], "cross_set_negatives": False, "duplicates": [[0, 5]]}
        for one in (model.head, plain, loss):
            assert one.sets.get_config() == sets

    def test_pairs_across_sets_are_taken_if_asked_for(self, made):
        recipe = changed(cross_set_negatives=True)
        model = make_model(recipe, made(recipe))
        triplet = make_stages(recipe, model, None)[1].loss
        assert model.head.sets.cross_set_negatives and triplet.sets.cross_set_negatives

    def test_each_margin_head_begins_with_the_plain_centres_of_its_set(self, made):
        recipe = changed(softmax=SoftmaxStage(1, 0.1))
        model = make_model(recipe, made(recipe))
        plain = make_stages(recipe, model, None)[0].model
        hand_centers_on(plain, model)
        for one, other in zip(plain.head.heads, model.head.heads, strict=True):
            np.testing.assert_array_equal(one.centers, other.centers)
        assert not np.array_equal(*(head.centers[:, :3] for head in model.head.heads))


def assert_same_weights(expected, found, **tolerance):
    for one, other in zip(expected.weights, found.weights, strict=True):
        check = np.testing.assert_allclose if tolerance else np.testing.assert_array_equal
        check(one, other, **tolerance, err_msg=one.path)


class Crash(keras.callbacks.Callback):
    """Ends the training as a crash would."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 8:
            raise KeyboardInterrupt


def trained(folder, sets, **changes):
    recipe = changed(softmax=SoftmaxStage(1, 0.05), loss_weights="0.6,0.4", **changes)
    one = Job(recipe, tuple(sets), str(folder / "work"), str(folder / "log"))
    return run_job(one, open_batches(one), Distribution())


@pytest.fixture(scope="module")
def outcome(sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    with pytest.MonkeyPatch.context() as patch:
        use_small_network(patch)
        return *trained(folder, sets), folder


@pytest.mark.slow
@pytest.mark.usefixtures("small_network")
class TestJob:
    def test_each_set_has_an_accuracy_in_history_and_tensorboard(self, outcome):
        _, history, folder = outcome
        assert [entry["stage"] for entry in history] == ["softmax", "margin", "margin", "triplet"]
        names = {"class_accuracy", "class_accuracy/fiw", "class_accuracy/celeba"}
        for entry in history[:3]:
            shares = [entry[name] for name in sorted(names)]
            # Both sets have equally many rows.
            assert shares[0] == pytest.approx(np.mean(shares[1:]))
        events = EventAccumulator(str(folder / "log")).Reload()
        found = {tag for tags in events.Tags().values() if isinstance(tags, list) for tag in tags}
        assert {f"epoch/{name}" for name in names} <= found

    def test_after_a_crash_it_ends_with_the_same_weights(self, outcome, sets, tmp_path):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(job, "Progress", lambda *_: Crash())
            with pytest.raises(KeyboardInterrupt):
                trained(tmp_path, sets)
        again = trained(tmp_path, sets)
        assert again.history == outcome[1]
        assert_same_weights(outcome[0], again.model)

    def test_in_two_chunks_it_learns_the_same(self, outcome, sets, tmp_path):
        model, history = trained(tmp_path, sets, num_chunks=2)
        assert_same_weights(outcome[0], model, rtol=1e-4, atol=1e-5)
        wanted = [entry["loss"] for entry in outcome[1]]
        assert [entry["loss"] for entry in history] == pytest.approx(wanted, rel=1e-4)

    def test_rows_that_cannot_be_dealt_out_are_refused_before_training(self, sets, tmp_path):
        with pytest.raises(ValueError, match="divisible by 1 .replicas. x 3 .num_chunks."):
            trained(tmp_path, sets, num_chunks=3)

    def test_the_preset_is_loaded_with_all_heads(self, outcome, tmp_path):
        outcome[0].save_preset(tmp_path)
        model = FaceModel.from_preset(tmp_path)
        assert model.head.names == ["fiw", "celeba"]
        assert_same_weights(outcome[0], model)


@pytest.mark.usefixtures("small_network")
def test_a_preset_describes_the_heads_of_all_sets(made, tmp_path):
    head = make_model(RECIPE, made(), [(0, 5)]).head
    model = facezoo.create_model(MobileFaceNet(**MobileFaceNet.TINY), 4, head)
    model.save_preset(tmp_path)
    head = make_parts(presets.load(tmp_path))["head"]
    assert [type(one) for one in head.heads] == [CosFace, CosFace]
    assert [(one.num_classes, one.scale) for one in head.heads] == [(3, 8.0), (4, 8.0)]
    assert head.names == ["fiw", "celeba"] and head.sets.duplicates == [[0, 5]]


class TestJobFile:
    def test_it_is_read_as_it_was_written(self, sets, tmp_path):
        written = Job(changed(loss_weights="0.6,0.4"), sets, "work", "log")
        written.save(tmp_path / "job.json")
        assert Job.load(tmp_path / "job.json") == written

    @pytest.mark.parametrize("key", ["recipe", "sets", "work_dir"])
    def test_one_that_lacks_something_is_refused(self, sets, tmp_path, key):
        path = tmp_path / "job.json"
        Job(RECIPE, sets, "work", "log").save(path)
        content = json.loads(path.read_text())
        del content[key]
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match="is no job that the Trainer or `facezoo train` wrote"):
            Job.load(path)
