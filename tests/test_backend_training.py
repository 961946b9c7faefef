"""The same shards train the same model on TensorFlow and on JAX, which needs no TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.shards import write_shards

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None,
        reason='jax is not installed: pip install -e ".[backends]"',
    ),
]
# Makes an import of TensorFlow an error, as on a machine that has none.
WITHOUT_TENSORFLOW = """
import runpy, sys
sys.modules["tensorflow"] = None
sys.argv = sys.argv[1:]
runpy.run_module("tests.backend_training", run_name="__main__", alter_sys=False)
"""


def train_on(backend, shards):
    way = ["-m", "tests.backend_training"]
    if backend == "jax":
        way = ["-c", WITHOUT_TENSORFLOW, "tests.backend_training"]
    process = subprocess.run(
        [sys.executable, *way, *map(str, shards)],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """By back end, what it saw and lost."""
    labels = np.random.default_rng(0).integers(0, 4, 90)
    shards = write_shards(tmp_path_factory.mktemp("shards"), labels)
    return {backend: train_on(backend, shards) for backend in ("tensorflow", "jax")}


def test_the_batches_are_the_same(found):
    assert found["jax"]["batches"] == found["tensorflow"]["batches"]
    for image, expected in zip(found["jax"]["images"], found["tensorflow"]["images"], strict=True):
        np.testing.assert_allclose(image, expected, atol=1e-4)


def test_the_losses_are_the_same_at_every_step(found):
    losses = found["jax"]["losses"]
    assert len(losses) == 21 and losses[13] < losses[0]
    np.testing.assert_allclose(losses, found["tensorflow"]["losses"], rtol=1e-4, atol=1e-4)
