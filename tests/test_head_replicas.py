"""Heads under `tf.distribute`: N replicas train as one device, statistics and draws included."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.checks.head_replicas import BATCH_SIZE, NUM_CLASSES

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize("num_replicas", [2, 4])
def test_replicas_train_every_head_as_one_device(num_replicas):
    command = [sys.executable, "-m", "tests.checks.head_replicas", str(num_replicas)]
    process = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout.splitlines()[-1])
    assert BATCH_SIZE % num_replicas == 0 and len(found) >= 12 and NUM_CLASSES > BATCH_SIZE
    for name, (single, several) in found.items():
        assert several["loss"] == pytest.approx(single["loss"], rel=1e-5), name
        np.testing.assert_allclose(
            several["weights"], single["weights"], rtol=1e-5, atol=1e-6, err_msg=name
        )
