"""TensorBoard: what a training leaves there, each point once, and no trace of it in the model."""

import importlib.util
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
from tensorboard.util import tensor_util

import facezoo
from facezoo.event_file import EVENT_FILE, write_event_file
from facezoo.training.hard_triplets import draw_triplets, hardest_triplets
from facezoo.training.probe import Probe, distance_matrix, embed
from facezoo.training.tensorboard import TrainingBoard
from tests.small_model import SHAPE, OneByOne, images, small_model

EPOCHS, STEPS, BATCH = 3, 4, 8
LABEL = np.repeat(np.arange(4), 3)
GRAPH = "__run_graph__"
HPARAMS = {"backbone": "nn4", "margin": {"epochs": 3, "flip": True, "head": None}}


WITHOUT_TENSORFLOW = """
import json, sys
sys.modules["tensorflow"] = None
from tests import test_training_board as board
model = board.small_model(board.facezoo.create_head("cosface", num_classes=4))
board.drive(board.board_of(sys.argv[1]), model)
found = board.points(board.read(sys.argv[1]))
print(json.dumps({tag: len(values) for tag, values in found.items()}))
print(json.dumps(found["probe/genuine_distance"]))
"""


@pytest.fixture(scope="module")
def model():
    return small_model(facezoo.create_head("cosface", num_classes=4))


def probe(**changes):
    pixels = np.random.default_rng(3).integers(0, 256, (12, *SHAPE)).astype(np.float32)
    return Probe(**{"image": pixels, "label": LABEL, "batch_size": 5, **changes})


def drive(board, model, first_step=0, killed_after=None, checkpoint_every=None):
    """A training's calls, without the training: the losses depend on the step alone."""
    board.set_model(model)
    board.set_params(
        {"steps": EPOCHS * STEPS, "epochs": EPOCHS, "batch_size": BATCH, "first_step": first_step}
    )
    board.on_train_begin()
    for step in range(first_step, EPOCHS * STEPS):
        if step == first_step or step % STEPS == 0:
            board.on_epoch_begin(step // STEPS)
        board.on_train_batch_end(step, {"loss": 1.0 / (step + 1), "active_fraction": 0.25})
        done = step + 1
        if done % STEPS == 0:
            board.on_epoch_end(step // STEPS, {"loss": 2.0 / done, "learning_rate": 0.125})
        if done == killed_after:
            return
        if checkpoint_every and done % checkpoint_every == 0:
            board.on_checkpoint(done)
    board.on_train_end()


def board_of(folder, **changes):
    return TrainingBoard(
        folder, **{"probe": probe(), "hparams": HPARAMS, "every_steps": 3} | changes
    )


def read(folder):
    return EventAccumulator(str(folder), {"tensors": 0}).Reload()


def points(log):
    """Every point of a run, by tag: [(step, value)]."""
    return {
        tag: [(one.step, tensor_util.make_ndarray(one.tensor_proto).tolist()) for one in found]
        for tag, found in ((tag, log.Tensors(tag)) for tag in log.Tags()["tensors"])
        if "_hparams_" not in tag
    }


def repeatable(log):
    """The points without what depends on the clock, and without TensorFlow's numbers of nodes."""
    kept = {tag: found for tag, found in points(log).items() if "per_second" not in tag}
    return kept | {GRAPH: [step for step, _ in kept.get(GRAPH, [])]}


def began_with(folder):
    """The steps in the names of a run's event files."""
    return sorted(int(path.name.split(".")[3]) for path in folder.glob("*tfevents.0000*"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("run")
    drive(board_of(folder), model)
    return folder, read(folder)


def test_scalars_stand_at_the_number_of_steps_done(run):
    found = points(run[1])
    assert found["epoch/loss"] == [(4, 0.5), (8, 0.25), (12, pytest.approx(1 / 6))]
    assert found["epoch/learning_rate"] == [(4, 0.125), (8, 0.125), (12, 0.125)]
    assert found["step/loss"] == [(n, pytest.approx(1 / n)) for n in (3, 6, 9, 12)]
    assert found["step/active_fraction"] == [(n, 0.25) for n in (3, 6, 9, 12)]


def test_images_per_second_count_the_steps_since_the_point_before(tmp_path, model, monkeypatch):
    clock = itertools.count(0.0)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    drive(board_of(tmp_path, probe=None, graph=False), model)
    found = points(read(tmp_path))
    # The clock ticks whenever it is read: twice when an epoch begins, at a point and after it.
    assert [rate for _, rate in found["step/images_per_second"]] == [24, 16, 8, 24]
    assert [rate for _, rate in found["epoch/images_per_second"]] == [8, 8, pytest.approx(16 / 3)]


def test_images_per_second_of_a_training_resumed_in_mid_epoch(tmp_path, model, monkeypatch):
    clock = itertools.count(0.0)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    board = board_of(tmp_path, probe=None)
    # What the checkpoint's reading takes.
    next(itertools.islice(clock, 50, None))
    board.set_params({"steps": 12, "epochs": 3, "batch_size": BATCH, "first_step": 5})
    board.on_train_begin()
    board.on_train_batch_end(5, {})
    assert points(read(tmp_path))["step/images_per_second"] == [(6, 8.0)]


def test_histograms_of_norms_and_distances(run, model):
    output = model(model.preprocessing.standardize(probe().image), training=False)
    embedding, norm = np.array(output["embedding"], np.float64), np.array(output["norm"])
    first, second = np.triu_indices(12, k=1)
    distance = np.sum((embedding[first] - embedding[second]) ** 2, axis=1)
    same = LABEL[first] == LABEL[second]
    expected = {
        "norm": norm,
        "genuine_distance": distance[same],
        "impostor_distance": distance[~same],
    }
    assert [len(values) for values in expected.values()] == [12, 12, 54]
    for name, values in expected.items():
        found = points(run[1])[f"probe/{name}"]
        assert [step for step, _ in found] == [0, 4, 8, 12]
        left, right, count = np.transpose(found[-1][1])
        counted, _ = np.histogram(values, len(count), (left[0], right[-1]))
        np.testing.assert_allclose([left[0], right[-1]], [values.min(), values.max()], atol=1e-5)
        # A value at a bucket's edge may fall to either side.
        assert np.abs(np.cumsum(count) - np.cumsum(counted)).max() <= 1
        assert count.sum() == len(values)


def test_the_hardest_triplets_are_shown(run, model):
    distances = distance_matrix(embed(model, probe()).embedding)
    drawn = draw_triplets(hardest_triplets(distances, LABEL, 8), probe())
    found = points(run[1])["probe/hardest_triplets"]
    assert [step for step, _ in found] == [0, 4, 8, 12]
    # The width, the height and then the pictures.
    assert found[-1][1][2] == drawn


def test_hparams_and_the_end_of_the_session(run):
    log = run[1]
    start = log.SummaryMetadata(hparams.SESSION_START_INFO_TAG).plugin_data.content
    values = hparams.parse_session_start_info_plugin_data(start).hparams
    assert values["backbone"].string_value == "nn4" and values["margin.head"].string_value == "None"
    assert values["margin.epochs"].number_value == 3 and values["margin.flip"].bool_value is True
    end = log.SummaryMetadata(hparams.SESSION_END_INFO_TAG).plugin_data.content
    assert hparams.parse_session_end_info_plugin_data(end).status == STATUS_SUCCESS


def test_the_graph_leads_from_the_image_to_embedding_and_norm(run):
    nodes = {node.name: node for node in run[1].Graph().node}
    shape = [dim.size for dim in nodes["image"].attr["shape"].shape.dim]
    assert shape == [-1, *SHAPE]
    assert any("convolution" in name for name in nodes)
    assert {"Identity", "Identity_1"} <= set(nodes)
    # No weights' values: they may be gigabytes.
    assert run[1].Graph().ByteSize() < 100_000


def test_what_is_switched_off_is_not_written(tmp_path, model):
    drive(board_of(tmp_path, probe=None, hparams=None, graph=False), model)
    log = read(tmp_path)
    assert set(repeatable(log)) == {
        "epoch/loss",
        "epoch/learning_rate",
        "step/loss",
        "step/active_fraction",
        GRAPH,
    }
    assert not log.Tags()["graph"] and len(list(tmp_path.iterdir())) == 1
    assert not any("_hparams_" in tag for tag in log.Tags()["tensors"])
    drive(board_of(tmp_path / "few", num_triplets=0, every_epochs=2, graph=False), model)
    found = points(read(tmp_path / "few"))
    assert [step for step, _ in found["probe/norm"]] == [0, 8]
    assert "probe/hardest_triplets" not in found


@pytest.mark.parametrize(
    ("killed_after", "resumed_from"), [(3, 0), (7, 5), (8, 5), (11, 10), (11, 5)]
)
def test_killed_and_resumed_it_shows_every_point_once(
    run, model, tmp_path, killed_after, resumed_from
):
    write_event_file(tmp_path, {}, {})
    drive(board_of(tmp_path), model, killed_after=killed_after, checkpoint_every=5)
    # A TensorBoard that looked on sees the same as one that is started afterwards.
    looked_on = read(tmp_path)
    drive(board_of(tmp_path), model, first_step=resumed_from, checkpoint_every=5)
    for log in (read(tmp_path), looked_on.Reload()):
        assert repeatable(log) == repeatable(run[1])
    assert (tmp_path / EVENT_FILE).exists()
    assert began_with(tmp_path) == [0, 5, 10]


def test_event_files_are_named_by_the_step_they_began_with(tmp_path, model):
    drive(board_of(tmp_path, probe=None), model, checkpoint_every=5)
    assert began_with(tmp_path) == [0, 5, 10]


def test_a_board_leaves_no_trace_in_the_training(tmp_path):
    def trained(*boards):
        keras.utils.set_random_seed(5)
        # Batch normalisation and dropout would show it.
        embedding = {"batch_norm": True, "dropout": 0.5}
        model = facezoo.create_model(OneByOne(), embedding=embedding)
        model.compile(keras.optimizers.SGD(0.1), facezoo.TripletSemiHardLoss())
        model.fit(images(12), LABEL, batch_size=6, epochs=2, verbose=0, callbacks=[*boards])
        numbers = [np.array(one) for one in (*model.variables, *model.metrics_variables)]
        return numbers, random.random(), float(keras.random.uniform(()))

    plain = trained()
    watched = trained(board_of(tmp_path))
    assert [step for step, _ in points(read(tmp_path))["probe/norm"]] == [0, 2, 4]
    for expected, found in zip(plain[0], watched[0], strict=True):
        np.testing.assert_array_equal(expected, found)
    assert plain[1:] == watched[1:]


@pytest.mark.parametrize("change", [{"every_steps": 0}, {"every_epochs": 0}, {"num_triplets": -1}])
def test_impossible_arguments_are_refused(tmp_path, change):
    with pytest.raises(ValueError, match="must be at least .* Received: "):
        TrainingBoard(tmp_path, **change)


def test_a_probe_of_another_size_is_refused_before_the_first_step(tmp_path, model):
    large = probe(image=np.zeros((12, 4, 4, 3)))
    with pytest.raises(ValueError, match="must be float"):
        drive(board_of(tmp_path, probe=large), model)


@pytest.mark.slow
def test_jax_writes_the_same_without_tensorflow(run, tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip('jax is not installed: pip install -e ".[backends]"')
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    counts, distances = map(json.loads, process.stdout.splitlines()[-2:])
    expected = points(run[1])
    assert counts == {tag: len(found) for tag, found in expected.items() if tag != GRAPH}
    for (step, found), (wanted_step, wanted) in zip(
        distances, expected["probe/genuine_distance"], strict=True
    ):
        assert step == wanted_step
        np.testing.assert_allclose(found, wanted, atol=1e-5)
