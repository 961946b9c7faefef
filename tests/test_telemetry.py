"""Telemetry of triplet losses: the numbers by hand, in `fit`, on replicas, and the alarm."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import facezoo
from facezoo.models import CollapseAlarm
from facezoo.observation import observe, observing
from tests.oracles import points
from tests.small_model import images, small_model

LABEL = np.array([0, 0, 1, 1])
# On a line: each anchor has one positive and two negatives.
LINE = np.array([[0.0], [2.0], [3.0], [7.0]])


def statistics(loss, label=LABEL, embedding=LINE):
    found = {}
    with observing(found.update):
        loss(label, embedding)
    return {name: float(value) for name, value in found.items()}


def test_semi_hard_pairs_by_hand():
    # d_ap and d_an: (2, 3), (2, 5), (4, 3), (4, 5).
    found = statistics(facezoo.TripletSemiHardLoss(1.5))
    assert found["mean_d_ap"] == 3.0
    assert found["mean_d_an"] == (3 + 5 + 3 + 5) / 4
    assert found["active_fraction"] == 3 / 4
    assert found["semi_hard_fraction"] == 2 / 4
    assert found["fallback_fraction"] == 1 / 4


def test_hardest_pairs_by_hand():
    # (2, 3), (2, 1), (4, 1), (4, 5).
    found = statistics(facezoo.losses.TripletHardLoss(1.5))
    assert found["mean_d_an"] == (3 + 1 + 1 + 5) / 4
    assert found["active_fraction"] == 4 / 4
    assert found["semi_hard_fraction"] == 2 / 4
    assert found["fallback_fraction"] == 2 / 4


def test_all_triplets_by_hand():
    # (2, 3), (2, 7), (2, 1), (2, 5), (4, 3), (4, 1), (4, 7), (4, 5).
    found = statistics(facezoo.losses.TripletAllLoss(1.5))
    assert found["mean_d_ap"] == 3.0
    assert found["mean_d_an"] == 32 / 8
    assert found["active_fraction"] == 5 / 8
    assert found["semi_hard_fraction"] == 2 / 8
    assert found["fallback_fraction"] == 3 / 8


@pytest.mark.parametrize("name", ["TripletAllLoss", "TripletHardLoss", "TripletLoss"])
def test_active_is_semi_hard_or_fallback(name):
    found = statistics(getattr(facezoo.losses, name)(0.2), points.LABEL, points.s1())
    assert 0 < found["active_fraction"] < 1
    assert found["active_fraction"] == pytest.approx(
        found["semi_hard_fraction"] + found["fallback_fraction"], abs=1e-6
    )


def test_variance_and_effective_rank():
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(50, 6)) * [3, 2, 1, 1, 0, 0]
    found = statistics(facezoo.TripletSemiHardLoss(), np.arange(50) % 5, embedding)
    eigenvalues = np.linalg.eigvalsh(np.cov(embedding.T, bias=True))
    assert found["embedding_variance"] == pytest.approx(eigenvalues.sum(), rel=1e-5)
    expected = eigenvalues.sum() ** 2 / np.sum(eigenvalues**2)
    assert found["effective_rank"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        facezoo.TripletSemiHardLoss(),
        facezoo.losses.TripletHardLoss(soft=True),
        facezoo.losses.TripletAllLoss(0.2),
        facezoo.losses.TripletLoss(),
    ],
    ids=lambda loss: loss.name,
)
def test_collapse_is_the_margin_without_variance(loss):
    assert statistics(loss, points.LABEL, np.ones((12, 3)))["is_collapsed"] == 1.0
    assert statistics(loss, points.LABEL, points.s1())["is_collapsed"] == 0.0
    # A tight cloud whose loss is not the margin: no positive pair.
    assert statistics(loss, np.arange(12), np.ones((12, 3)))["is_collapsed"] == 0.0


def test_the_margin_with_variance_is_no_collapse():
    # All points are equally far from each other: the loss is the margin here as well.
    assert statistics(facezoo.TripletSemiHardLoss(), LABEL, np.eye(4))["is_collapsed"] == 0.0


def test_nobody_observes_by_default():
    asked = []
    observe(lambda: asked.append(1))
    assert asked == []


def trained_logs(loss, head=None, **options):
    model = small_model(head)
    model.compile(keras.optimizers.SGD(0.0), loss, jit_compile=False)
    label = np.arange(12) % 3
    history = model.fit(images(12), label, 12, verbose=0, **options).history
    return model, {name: values[-1] for name, values in history.items()}


def test_fit_logs_the_telemetry_of_a_triplet_loss():
    loss = facezoo.TripletSemiHardLoss(0.2)
    model, logs = trained_logs(loss)
    output = model.predict(images(12), verbose=0)["embedding"]
    expected = statistics(loss, np.arange(12) % 3, output)
    expected["collapsed_steps"] = expected.pop("is_collapsed")
    assert set(logs) == {"loss", *expected}
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, abs=1e-5), name


def test_other_losses_have_no_telemetry():
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    _, logs = trained_logs(cross_entropy, facezoo.create_head("normface", num_classes=3))
    assert set(logs) == {"loss", "class_accuracy"}


def collapse(model):
    for weight in model.trainable_weights:
        weight.assign(np.zeros(weight.shape))
    model.embedding.dense.bias.assign(np.ones(model.embedding.embedding_dim))


def collapsed_fit(batch_size, epochs, patience):
    model = small_model(None)
    collapse(model)
    model.compile(keras.optimizers.SGD(0.0), facezoo.TripletSemiHardLoss(0.2), jit_compile=False)
    return model.fit(
        images(12),
        np.zeros(12, int) + np.arange(12) % 2,
        batch_size,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[CollapseAlarm(patience)],
    ).history


def test_the_alarm_counts_on_over_epochs_and_names_the_remedy():
    assert collapsed_fit(4, epochs=2, patience=7)["collapsed_steps"] == [3.0, 6.0]
    with pytest.raises(RuntimeError, match="for 6 steps.*semi-hard instead of hardest"):
        collapsed_fit(4, epochs=2, patience=6)


def test_impossible_patience_is_refused():
    with pytest.raises(ValueError, match="patience must be at least 1"):
        CollapseAlarm(0)


def test_telemetry_is_no_part_of_a_saved_model(tmp_path):
    model, _ = trained_logs(facezoo.TripletSemiHardLoss(0.2))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert float(again.triplet_telemetry.num_steps) == 0.0
    np.testing.assert_array_equal(again(images(2))["norm"], model(images(2))["norm"])


@pytest.mark.slow
def test_replicas_report_what_one_device_reports():
    command = [sys.executable, "-m", "tests.checks.telemetry_replicas"]
    repository = Path(__file__).parents[1]
    process = subprocess.run(command, capture_output=True, text=True, cwd=repository, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    single, several = json.loads(process.stdout.splitlines()[-1])
    assert several == pytest.approx(single, rel=1e-4)
    assert "effective_rank" in single
