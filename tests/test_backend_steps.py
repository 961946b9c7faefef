"""Heads, auxiliary losses and hard examples train alike on TensorFlow, JAX and PyTorch."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.backend_steps import weights_after_two_steps


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_same_weights_after_two_steps(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f'{backend} is not installed: pip install -e ".[backends]"')
    process = subprocess.run(
        [sys.executable, "-m", "tests.backend_steps"],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    found = json.loads(process.stdout.splitlines()[-1])
    for name, wanted in weights_after_two_steps().items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-5, err_msg=name)
