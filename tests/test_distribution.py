"""Devices and machines: rows of a batch, names of strategies, TF_CONFIG, losses that scale."""

import json
import socket
import types

import keras
import pytest

import facezoo
from facezoo.models.replica_safe import refuse_inexact
from facezoo.training import cluster, create_distribution
from tests.small_model import images, small_model

tf = pytest.importorskip("tensorflow")


def test_one_device_reads_the_whole_batch():
    distribution = create_distribution("single")
    assert distribution.rows(5).tolist() == [0, 1, 2, 3, 4]
    assert distribution.is_chief and distribution.num_replicas == 1


def test_without_gpus_and_machines_auto_is_one_device(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert create_distribution("auto").num_replicas == 1


def test_an_unknown_strategy_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="auto, single, mirrored, multi_worker. Received: 'tpu'"):
        create_distribution("tpu")


def test_replicas_take_turns_through_the_batch():
    mirrored = create_distribution("mirrored")
    mirrored.num_replicas, mirrored._own = 3, [0, 2]
    assert mirrored.rows(6).tolist() == [0, 3, 2, 5]
    with pytest.raises(ValueError, match=r"divisible by 3 \(replicas\). Received: 7"):
        mirrored.rows(7)


@pytest.mark.parametrize("text", ["no json", "[1]", '{"cluster": 3}'])
def test_a_broken_tf_config_is_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG cannot be read"):
        cluster.has_cluster()


@pytest.mark.parametrize("text", ["{}", '{"cluster": {"worker": ["a:1"]}}'])
def test_several_machines_must_be_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    assert not cluster.has_cluster()
    with pytest.raises(ValueError, match="TF_CONFIG with two machines or more"):
        create_distribution("multi_worker")


@pytest.mark.parametrize("task", [None, {"type": "worker", "index": 2}, {"type": "x", "index": 0}])
def test_a_machine_must_know_which_it_is(monkeypatch, task):
    config = {"cluster": {"worker": ["a:1", "b:2"]}, **({"task": task} if task else {})}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(ValueError, match="which of its machines this is"):
        create_distribution("multi_worker")


def test_a_machine_that_does_not_answer_is_named(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = f"127.0.0.1:{free.getsockname()[1]}"
    config = {"cluster": {"worker": [own, "127.0.0.1:9"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(TimeoutError, match=r"127.0.0.1:9 of TF_CONFIG did not answer within 0.1 s"):
        cluster.join_cluster(timeout_s=0.1)


def test_machines_have_names(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"task": {"type": "worker", "index": 1}}')
    assert cluster.machine_name() == "worker-1"
    monkeypatch.delenv("TF_CONFIG")
    assert cluster.machine_name() == "worker-0"


class OneNumber(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean(y_pred)


@pytest.mark.parametrize("loss", [OneNumber(), lambda y, p: keras.ops.mean(p)])
def test_a_loss_of_one_number_is_refused_on_replicas_only(loss):
    refuse_inexact(loss, num_replicas=1, steps_per_execution=1)
    with pytest.raises(ValueError, match=r"returns one number.*2 such losses.*gather_batch"):
        refuse_inexact(loss, num_replicas=2, steps_per_execution=1)


@pytest.mark.parametrize(
    "loss",
    [
        None,
        "sparse_categorical_crossentropy",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        facezoo.TripletSemiHardLoss(),
    ],
)
def test_losses_with_a_value_per_sample_pass(loss):
    refuse_inexact(loss, num_replicas=4, steps_per_execution=1)


def test_a_loss_may_say_that_it_returns_a_share():
    loss = OneNumber()
    loss.returns_share = True
    refuse_inexact(loss, num_replicas=2, steps_per_execution=1)


def test_several_steps_per_execution_are_refused_on_replicas():
    with pytest.raises(ValueError, match="steps_per_execution must be 1 on 2 replicas"):
        refuse_inexact(None, num_replicas=2, steps_per_execution=8)
    refuse_inexact(None, num_replicas=1, steps_per_execution=8)


@pytest.mark.parametrize("settings", [{"loss": OneNumber()}, {"steps_per_execution": 2}])
def test_a_model_checks_before_it_trains(monkeypatch, settings):
    model = small_model(head=None)
    strategy = types.SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(type(model), "distribute_strategy", strategy)
    model.compile("sgd", **{"loss": "mse", **settings})
    with pytest.raises(ValueError, match="returns one number|steps_per_execution must be 1"):
        model.train_on_batch(images(2), [0, 1])


def test_the_mean_is_over_replicas_and_names_stay():
    mirrored = create_distribution("mirrored")
    found = mirrored.mean({"loss": tf.constant(2.0), "accuracy": tf.constant(0.5)})
    assert found == {"loss": 2.0, "accuracy": 0.5}
