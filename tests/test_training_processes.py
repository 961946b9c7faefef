"""Training in processes of its own: replicas, chunks, precision, kills, machines."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
TIMEOUT_S = 300
# What is to have the gradient of one device.
WAYS = {
    "two replicas": {"strategy": "mirrored", "num_devices": 2},
    "four replicas": {"strategy": "mirrored", "num_devices": 4},
    "four chunks": {"num_chunks": 4},
    "two replicas with three chunks": {"strategy": "mirrored", "num_devices": 2, "num_chunks": 3},
}


def start(log, *runs, tf_config=None, patience=60):
    """Starts the program."""
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "FACEZOO_CLUSTER_TIMEOUT": str(patience),
    }
    if tf_config is not None:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    command = [sys.executable, "-m", "tests.checks.training_program", json.dumps(runs)]
    with open(log, "w") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)


def run(folder, *runs):
    """Runs the program to its end and returns its exit status."""
    log = folder / "log"
    code = start(log, *[{**one, "out": str(folder / one["out"])} for one in runs]).wait(TIMEOUT_S)
    assert code in (0, -9), log.read_text()[-3000:]
    return code


def weights(out):
    with np.load(out / "weights.npz") as file:
        return [file[name] for name in file.files]


def history(out):
    return json.loads((out / "history.json").read_text())


def largest_difference(out, expected):
    """Relative to the largest number of each weight."""
    pairs = zip(weights(out), weights(expected), strict=True)
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)


@pytest.fixture(scope="module")
def one_step(tmp_path_factory):
    """One plain step at rate 1, by every way and loss; and the weights before it."""
    folder = tmp_path_factory.mktemp("one-step")
    runs = [
        {"out": f"{loss}, {name}", "loss": loss, "gradient": True, **way}
        for loss in ("margin", "triplet")
        for name, way in {"one device": {}, **WAYS}.items()
    ]
    run(folder, {"out": "initial", "loss": "none"}, *runs)
    return folder


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", ["margin", "triplet"])
def test_replicas_and_chunks_have_the_gradient_of_one_device(one_step, loss, way):
    first = weights(one_step / "initial")
    expected = weights(one_step / f"{loss}, one device")
    moved = 0
    for start_value, value, wanted in zip(
        first, weights(one_step / f"{loss}, {way}"), expected, strict=True
    ):
        gradient = start_value - wanted
        moved += np.abs(gradient).max() > 1e-4
        error = np.abs(start_value - value - gradient)
        # A weight near 1 that moves by little has lost digits before.
        assert (error <= 1e-5 * np.abs(gradient).max() + 1.2e-7 * np.abs(start_value)).all()
    assert moved >= (4 if loss == "margin" else 3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", ["margin", "triplet"])
def test_replicas_and_chunks_log_what_one_device_does(one_step, loss, way):
    (expected,), (found,) = (history(one_step / f"{loss}, {name}") for name in ("one device", way))
    for name in expected.keys() - {"stage"}:
        assert found[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-6), name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Whole trainings on one device and on replicas."""
    folder = tmp_path_factory.mktemp("trained")
    two = {"strategy": "mirrored", "num_devices": 2}
    runs = [
        {"out": "undisturbed", "work_dir": str(folder / "work")},
        {"out": "mirrored 1", "strategy": "mirrored"},
        {"out": "mirrored 2", **two},
    ]
    for precision in ("mixed_bfloat16", "mixed_float16"):
        low = {"strategy": "mirrored", "precision": precision, "loss": "margin"}
        runs += [{"out": f"{precision} {n}", "num_devices": n, **low} for n in (1, 2)]
    run(folder, *runs)
    return folder


def test_synchronised_batch_norm_makes_replicas_train_as_one(trained):
    assert largest_difference(trained / "mirrored 2", trained / "mirrored 1") < 1e-3


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_low_precision_learns_alike(trained, precision, number):
    expected = history(trained / "mirrored 1")
    for entry, wanted in zip(history(trained / f"{precision} {number}"), expected, strict=False):
        assert entry["loss"] == pytest.approx(wanted["loss"], rel=0.02)
        assert entry["loss"] != wanted["loss"]


@pytest.mark.parametrize("kill_at", [1, 4])
def test_a_killed_training_ends_as_an_undisturbed_one(trained, tmp_path, kill_at):
    settings = {"out": "resumed", "work_dir": str(tmp_path / "work")}
    assert run(tmp_path, {**settings, "kill_at": kill_at}) == -9
    run(tmp_path, settings)
    assert history(tmp_path / "resumed") == history(trained / "undisturbed")
    assert largest_difference(tmp_path / "resumed", trained / "undisturbed") == 0.0


def cluster():
    """Returns TF_CONFIG for each of two machines, which are this one."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    workers = {"worker": addresses}
    return [{"cluster": workers, "task": {"type": "worker", "index": i}} for i in range(2)]


def run_machines(folder, kill_at=(-1, -1)):
    """Runs two machines, which share a work_dir, to their ends; returns their exit statuses."""
    machines = [
        start(
            folder / f"log-{index}",
            {
                "out": str(folder / f"machine {index}"),
                "strategy": "multi_worker",
                "work_dir": str(folder / "work"),
                "kill_at": kill_at[index],
            },
            tf_config=config,
        )
        for index, config in enumerate(cluster())
    ]
    return [machine.wait(TIMEOUT_S) for machine in machines]


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machines")
    assert run_machines(folder) == [0, 0], (folder / "log-0").read_text()[-3000:]
    return folder


@pytest.mark.parametrize("index", [0, 1])
def test_two_machines_train_as_one(machines, trained, index):
    out = machines / f"machine {index}"
    assert largest_difference(out, trained / "mirrored 1") < 1e-3
    losses, expected = (
        [entry["loss"] for entry in history(one)] for one in (out, trained / "mirrored 1")
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-3)


def test_the_loss_of_a_machine_ends_the_others_and_can_be_made_up_for(machines, tmp_path):
    survivor, victim = run_machines(tmp_path, kill_at=(-1, 4))
    assert victim == -9 and survivor not in (0, -9)
    assert "was lost at step" in (tmp_path / "log-0").read_text()
    assert run_machines(tmp_path) == [0, 0]
    assert history(tmp_path / "machine 0") == history(machines / "machine 0")
    assert largest_difference(tmp_path / "machine 1", machines / "machine 0") == 0.0


def test_a_machine_that_does_not_come_is_named(tmp_path):
    config = cluster()[0]
    settings = {"out": str(tmp_path / "alone"), "strategy": "multi_worker"}
    log = Path(tmp_path / "log")
    assert start(log, settings, tf_config=config, patience=2).wait(TIMEOUT_S) == 1
    missing = config["cluster"]["worker"][1]
    assert f"{missing} of TF_CONFIG did not answer within 2 s" in log.read_text()
