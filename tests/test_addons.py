"""Random batches: our losses and tensorflow-addons', which has an environment of its own.

`FACEZOO_ORACLE_PYTHON` names the interpreter of that environment (see `tests/oracles/addons.py`).
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from facezoo import registry
from facezoo.losses import ContrastiveLoss

ORACLE_PYTHON = os.environ.get("FACEZOO_ORACLE_PYTHON")
pytestmark = pytest.mark.skipif(
    not ORACLE_PYTHON,
    reason="tensorflow-addons: FACEZOO_ORACLE_PYTHON names no interpreter that has it",
)
RULES = {"triplet_semi_hard": [{}], "triplet_hard": [{}, {"soft": True}]}


def triplet_cases(rng):
    """Batches of some triples and pairs, at times with single images or one identity alone."""
    for loss, rules in RULES.items():
        for rule in rules:
            for metric in ("L2", "squared-L2", "angular"):
                for num_identities in (1, 3, 8, 8):
                    label = rng.integers(0, num_identities, rng.integers(9, 40))
                    arguments = {
                        **rule,
                        "margin": rng.uniform(0.1, 1.5),
                        "distance_metric": metric,
                    }
                    embedding = rng.normal(size=(len(label), 5))
                    yield loss, arguments, label, embedding


def contrastive_cases(rng):
    for _ in range(4):
        arguments = {"margin": rng.uniform(0.1, 1.5)}
        yield "contrastive", arguments, rng.integers(0, 2, 20), rng.uniform(0.0, 2.0, 20)


@pytest.fixture(scope="module")
def cases():
    rng = np.random.default_rng(0)
    made = [*triplet_cases(rng), *contrastive_cases(rng)]
    names = ("loss", "arguments", "label", "points")
    return [dict(zip(names, case, strict=True)) for case in made]


@pytest.fixture(scope="module")
def answers(cases):
    process = subprocess.run(
        [ORACLE_PYTHON, "-m", "tests.oracles.addons"],
        input=json.dumps(cases, default=np.ndarray.tolist),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout.splitlines()[-1])


def test_values_and_gradients_are_equal(cases, answers):
    for case, expected in zip(cases, answers, strict=True):
        is_contrastive = case["loss"] == "contrastive"
        cls = ContrastiveLoss if is_contrastive else registry.get("loss", case["loss"])[0]
        points = tf.constant(case["points"], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(points)
            value = cls(**case["arguments"])(case["label"], points)
        assert float(value) == pytest.approx(expected["value"], abs=1e-6, rel=1e-6), case
        np.testing.assert_allclose(
            tape.gradient(value, points), expected["gradient"], atol=1e-5, err_msg=str(case)
        )
