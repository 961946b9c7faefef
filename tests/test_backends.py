"""The same weights and images give the same answers on TensorFlow, JAX and PyTorch.

TensorFlow, which runs the tests, saves the models and answers first; then a process for each other
back end loads them. `make test-backends` installs what that takes.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import facezoo
from facezoo import registry
from tests.backend_outputs import answers

REPOSITORY = Path(__file__).parents[1]
BACKENDS = [
    pytest.param(
        backend,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(backend) is None,
            reason=f'{backend} is not installed: pip install -e ".[backends]"',
        ),
    )
    for backend in ("jax", "torch")
]
# JAX compiles each random initialiser of each shape, and then the weights are loaded over it.
COMPILE_FAST = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
FULL_SIZE = ("inception_resnet_v1", "iresnet18", "mobilefacenet", "nn1", "nn4_small2")
HEADS = list(registry.parts("head"))
# Every class, and every variant with an embedding of its own.
BACKBONES = {
    name: (cls, embedding)
    for file_name, cls in registry.parts("backbone").items()
    for name, embedding in {file_name: {}, **cls.VARIANT_EMBEDDING}.items()
}
LABEL = np.array([0, 0, 1, 1, 2, 2], "int32")
DIM = 8


def tiny(cls, head=None, **published):
    """Without dropout, which is another one on every back end, and with short hidden layers."""
    published = {**cls.EMBEDDING, **published}
    hidden_units = [6 for _ in published.get("hidden_units", ())]
    embedding = {**published, "hidden_units": hidden_units, "dropout": 0.0}
    return facezoo.create_model(cls(**cls.TINY), DIM, head, embedding=embedding)


def fill(model):
    """Gives weights and statistics values that are far from those at the start."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if weight.name == "kernel":
            fan_in = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])
            weight.assign(np.sqrt(2 / fan_in) * rng.standard_normal(shape, "float32"))
        else:
            weight.assign(weight + rng.uniform(-0.2, 0.2, shape))
    return model


def save(folder, name, model, **inputs):
    """Saves a model and its inputs, and returns TensorFlow's answers."""
    fill(model).save(folder / f"{name}.keras")
    shape = (len(LABEL), *model.backbone.image_shape)
    inputs["image"] = np.random.default_rng(1).standard_normal(shape, "float32")
    np.savez(folder / f"{name}.inputs.npz", **inputs)
    return answers(model, **inputs)


def run(backend, folder):
    """Returns the answers of a back end by model, as `answers` gives them."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.backend_outputs", str(folder)],
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": COMPILE_FAST},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    said = json.loads(process.stdout.splitlines()[-1])
    assert said == {"backend": backend, "imported_tensorflow": False}
    suffix = f".{backend}.npz"
    return {file.name.removesuffix(suffix): np.load(file) for file in folder.glob(f"*{suffix}")}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A folder with every small model, and TensorFlow's answers."""
    folder = tmp_path_factory.mktemp("tiny")
    target = np.random.default_rng(2).standard_normal((len(LABEL), DIM), "float32")
    expected = {
        name: save(folder, name, tiny(cls, **embedding), label=LABEL, target=target)
        for name, (cls, embedding) in BACKBONES.items()
    }
    for name in HEADS:
        cls, _ = registry.get("head", name)
        model = tiny(facezoo.backbones.NN1, cls(**cls.TINY))
        expected[name] = save(folder, name, model, label=LABEL)
    return folder, expected


@pytest.fixture(scope="module", params=BACKENDS)
def both(request, reference):
    """Answers by model of TensorFlow, and of another back end."""
    folder, expected = reference
    return expected, run(request.param, folder)


@pytest.fixture(scope="module", params=FULL_SIZE)
def full_size(request):
    """A folder with one published model, and TensorFlow's answer."""
    with tempfile.TemporaryDirectory() as folder:
        model = facezoo.create_model(request.param)
        yield Path(folder), request.param, save(Path(folder), request.param, model)


def assert_equal_embeddings(found, expected):
    assert np.max(np.ptp(expected["embedding"], axis=0)) > 0.01, "images are not told apart"
    np.testing.assert_allclose(found["embedding"], expected["embedding"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["norm"], expected["norm"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", BACKBONES)
def test_embeddings_are_equal(name, both):
    expected, found = (answer[name] for answer in both)
    assert_equal_embeddings(found, expected)


@pytest.mark.parametrize("name", BACKBONES)
def test_losses_are_equal(name, both):
    expected, found = (answer[name] for answer in both)
    for loss in registry.parts("loss"):
        value = expected[f"loss/{loss}"]
        np.testing.assert_allclose(found[f"loss/{loss}"], value, rtol=1e-4, atol=1e-4, err_msg=loss)


@pytest.mark.parametrize("name", HEADS)
def test_logits_are_equal(name, both):
    expected, found = (answer[name]["logits"] for answer in both)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_step_of_training_is_equal(name, both):
    expected, found = (answer[name] for answer in both)
    length = {key: np.linalg.norm(expected[key]) for key in expected if key.startswith("step/")}
    for key in length:
        # Rounding decides whether a ReLU is on at 1e-7, and so moves gradients by up to a percent.
        # A bias in front of batch normalisation has none but rounding.
        allowed = 0.05 * length[key] + 1e-4 * max(length.values())
        assert np.linalg.norm(found[key] - expected[key]) <= allowed, key


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_embeddings_of_published_models_are_equal(full_size, backend):
    folder, name, expected = full_size
    assert_equal_embeddings(run(backend, folder)[name], expected)
