"""The norm gate: what passes, thresholds that run, and a mean over what was kept."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from facezoo import FaceModel, HardExampleModel, create_head
from facezoo.layers import NormGate
from facezoo.losses import SupConLoss
from facezoo.ops import l2_normalize
from tests.small_model import images, small_model

REPOSITORY = Path(__file__).parents[1]
LABEL = np.array([0, 1, 2, 3, 0, 1], "int32")


def of_lengths(*lengths):
    """Features along the first axis."""
    return np.float32(lengths)[:, None] * np.eye(1, 4, dtype="float32")


def kept(gate, *lengths, training=False):
    return gate(of_lengths(*lengths), training=training)["is_kept"].numpy().tolist()


def test_a_zero_vector_costs_the_logarithm_of_the_number_of_classes():
    """The published order: gate, unit length, classifier of 20,000 classes."""
    head = create_head("normface", num_classes=20_000)
    head.build((None, 4))
    features, label = tf.constant(of_lengths(0.0, 4.9, 6.0)), np.array([0, 7, 9])
    with tf.GradientTape() as tape:
        tape.watch(features)
        embedding, norm = l2_normalize(NormGate(5.0)(features)["features"])
        logits = head(embedding, norm, label)
        values = keras.losses.sparse_categorical_crossentropy(label, logits, from_logits=True)
    np.testing.assert_allclose(values[:2], 9.9034876, rtol=1e-6)
    gradient = tape.gradient(values, features).numpy()
    assert np.all(gradient[:2] == 0.0) and np.any(gradient[2] != 0.0)


def test_long_features_are_unchanged_and_so_is_their_gradient():
    features = tf.constant(of_lengths(6.0, 3.0))
    with tf.GradientTape() as tape:
        tape.watch(features)
        gated = NormGate(5.0)(features)
    np.testing.assert_array_equal(gated["features"], of_lengths(6.0, 0.0))
    gradient = tape.gradient(gated["features"], features)
    np.testing.assert_array_equal(gradient, [[1.0] * 4, [0.0] * 4])


def test_the_length_has_its_epsilon_and_the_threshold_passes():
    assert kept(NormGate(1e-3), 0.0) == [1.0]
    assert kept(NormGate(2e-3), 0.0) == [0.0]
    assert kept(NormGate(0.0), 0.0) == [1.0]


def test_the_running_mean_goes_half_way_in_training_only():
    gate = NormGate("running_mean")
    assert kept(gate, 0.5, 0.0) == [1.0, 1.0]
    # (0 + 8) / 2, then (4 + 6) / 2: moved before it is used.
    assert kept(gate, 3.0, 5.0, 16.0, training=True) == [0.0, 1.0, 1.0]
    assert kept(gate, 4.5, 7.5, training=True) == [0.0, 1.0]
    assert kept(gate, 4.9, 5.1) == [0.0, 1.0]
    assert float(gate.running_threshold) == pytest.approx(5.0)


def test_the_percentile_runs_too():
    gate = NormGate("percentile", percentile=25.0)
    lengths = np.arange(1.0, 6.0)
    assert kept(gate, *lengths, training=True) == [1.0] * 5
    assert float(gate.running_threshold) == pytest.approx(1.0)
    kept(gate, *(10.0 * lengths), training=True)
    assert float(gate.running_threshold) == pytest.approx(10.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": -1.0}, r"threshold must be a length.*'running_mean'.*Received: .*-1.0"),
        ({"threshold": float("nan")}, "threshold must be a length"),
        ({"threshold": "mean"}, "threshold must be a length"),
        ({"percentile": 101.0}, r"percentile must be in \[0, 100\]"),
    ],
)
def test_bad_arguments_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        NormGate(**arguments)


def gated_model(gate, head="magface"):
    base = small_model(create_head(head, num_classes=4, scale=8.0))
    model = FaceModel(base.backbone, base.embedding, base.head, gate=gate)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    return base, model


def between(model, image):
    """A threshold that lies between the norms of a model."""
    norm = np.sort(model(image)["norm"].numpy())
    return float(norm[2:4].mean())


class TestModel:
    def test_short_samples_are_left_out_of_the_mean(self):
        image, weight = images(6), np.linspace(0.5, 2.0, 6).astype("float32")
        base, model = gated_model(NormGate(0.0))
        model.gate.threshold = between(model, image)
        is_kept = base(image)["norm"].numpy() >= model.gate.threshold
        assert is_kept.sum() == 3
        found = model.evaluate(image, LABEL, sample_weight=weight, verbose=0, return_dict=True)
        base.compile(loss=model.loss)
        wanted = base.evaluate(
            image[is_kept],
            LABEL[is_kept],
            sample_weight=weight[is_kept],
            verbose=0,
            return_dict=True,
        )
        assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)

    def test_short_samples_have_no_gradient(self):
        image = tf.constant(images(6))
        _, model = gated_model(NormGate(0.0))
        model.gate.threshold = between(model, image)
        is_kept = model(image)["norm"].numpy() >= model.gate.threshold
        with tf.GradientTape() as tape:
            tape.watch(image)
            loss = model.compute_loss(image, LABEL, model(image))
        gradient = tape.gradient(loss, image).numpy()
        np.testing.assert_array_equal(np.any(gradient != 0.0, axis=(1, 2, 3)), is_kept)

    def test_nothing_kept_is_a_loss_of_0(self):
        _, model = gated_model(NormGate(1e6))
        assert model.evaluate(images(6), LABEL, verbose=0, return_dict=True)["loss"] == 0.0

    def test_embeddings_are_those_without_a_gate(self):
        base, model = gated_model(NormGate(1e6))
        np.testing.assert_array_equal(model(images(6))["embedding"], base(images(6))["embedding"])

    def test_the_threshold_is_trained_saved_and_loaded(self, tmp_path):
        _, model = gated_model(NormGate("running_mean"))
        model.fit(images(6), LABEL, verbose=0)
        assert float(model.gate.running_threshold) > 0.0
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        assert float(again.gate.running_threshold) == float(model.gate.running_threshold)
        assert HardExampleModel.of(again, num_hard=2).gate is again.gate

    def test_a_loss_on_pairs_is_refused(self):
        _, model = gated_model(NormGate(5.0))
        model.compile("sgd", SupConLoss())
        with pytest.raises(ValueError, match="A gate needs a loss .* Received: SupConLoss"):
            model.evaluate(images(6), LABEL, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("num_replicas", [2, 4])
def test_replicas_train_as_one_device(num_replicas):
    command = [sys.executable, "-m", "tests.checks.gate_replicas", str(num_replicas)]
    process = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    single, several = json.loads(process.stdout.splitlines()[-1])
    for name, wanted in single.items():
        assert several[name]["loss"] == pytest.approx(wanted["loss"], rel=1e-5), name
        np.testing.assert_allclose(
            several[name]["weights"], wanted["weights"], rtol=1e-5, atol=1e-6, err_msg=name
        )
