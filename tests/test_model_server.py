"""TensorFlow Serving's own binary serves what is exported, by REST and by gRPC, as Keras answers.

Skipped where there is no `tensorflow_model_server`; then nothing here has been tried.
"""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from google.protobuf import text_format

from facezoo.serving import model_config
from facezoo.serving.client import GrpcClient, RestClient, ServerError
from pipelines.components import pusher
from tests import served

SERVER = shutil.which("tensorflow_model_server")
PATIENCE = 120.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        SERVER is None,
        reason="tensorflow_model_server is not on the PATH: TensorFlow Serving was not run",
    ),
]


def free_port():
    with socket.create_server(("localhost", 0)) as listener:
        return listener.getsockname()[1]


def wait_until(is_so, process):
    """Asks again and again, as long as the server lives."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert process.poll() is None, "The server has ended; see its log."
        assert time.monotonic() < end, "The server is not ready in time; see its log."
        time.sleep(0.2)


class Server:
    """A running server on a serving folder with one model."""

    def __init__(self, serving_dir, *flags):
        self.serving_dir, self.grpc_port, self.rest_port = serving_dir, free_port(), free_port()
        # As documented, but for the port numbers and a shorter wait for a new config.
        documented = model_config.server_flags(str(serving_dir))
        documented[1] = "--model_config_file_poll_wait_seconds=1"
        ports = [f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}"]
        self.log = (serving_dir.parent / "server.log").open("w")
        self.process = subprocess.Popen(
            [SERVER, *ports, *documented, *flags], stdout=self.log, stderr=subprocess.STDOUT
        )

    def clients(self, **options):
        yield RestClient(f"http://localhost:{self.rest_port}", **options)
        with GrpcClient(f"localhost:{self.grpc_port}", **options) as client:
            yield client

    def versions(self):
        """Those that are ready to answer."""
        try:
            url = f"http://localhost:{self.rest_port}/v1/models/facezoo"
            with urllib.request.urlopen(url, timeout=10) as response:
                found = json.load(response)["model_version_status"]
        except (urllib.error.URLError, ConnectionError):
            return set()
        return {int(one["version"]) for one in found if one["state"] == "AVAILABLE"}

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A SavedModel with warm-up requests, and these."""
    requests, folder = served.exported(tmp_path_factory)
    return folder, requests


@pytest.fixture(scope="module", params=[[], ["--enable_batching=true"]], ids=["plain", "batching"])
def server(request, exported, tmp_path_factory):
    serving_dir = tmp_path_factory.mktemp("served") / "models"
    serving_dir.mkdir()
    pusher.push(exported[0], serving_dir / "facezoo")
    model_config.update_config(serving_dir, "facezoo", models_dir=str(serving_dir))
    server = Server(serving_dir, *request.param)
    try:
        wait_until(lambda: server.versions() == {1}, server.process)
        yield server
    finally:
        server.stop()


def check_equal(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        if name == "embedding_bytes":
            codes = [
                np.frombuffer(b"".join(one), np.int8).astype(int) for one in (found[name], values)
            ]
            # The last bit of an embedding decides which way the middle is rounded.
            assert np.abs(codes[0] - codes[1]).max() <= 1
        elif values.dtype == object:
            assert found[name].tolist() == values.tolist(), name
        else:
            np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("signature", sorted(served.SIGNATURES))
def test_every_signature_answers_as_keras(server, exported, signature):
    for request in exported[1]:
        if request.signature == signature:
            for client in server.clients():
                check_equal(client.call(signature, request.inputs), request.outputs)


@pytest.mark.parametrize("choice", [{"version": 1}, {"label": "stable"}, {"label": "canary"}])
def test_by_version_and_by_label(server, choice):
    for client in server.clients(**choice):
        assert client.info()["name"] == "facezoo"


def test_what_is_no_picture_harms_nobody(server):
    good, *_ = served.make_photographs()
    for client in server.clients():
        found = client.embed([b"/etc/passwd", good, b"", b"no picture", good[:200]])
        assert found["valid"].tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("choice", [{"model": "nobody"}, {"version": 7}, {"label": "nobody"}])
def test_a_refusal_is_one_sentence(server, choice):
    for client in server.clients(**choice):
        with pytest.raises(ServerError) as error:
            client.info()
        assert "\n" not in str(error.value)


def test_a_new_version_and_a_roll_back(exported, tmp_path):
    serving_dir = tmp_path / "models"
    serving_dir.mkdir()
    pusher.push(exported[0], serving_dir / "facezoo")
    model_config.update_config(serving_dir, "facezoo", models_dir=str(serving_dir))
    server = Server(serving_dir)
    try:
        wait_until(lambda: server.versions() == {1}, server.process)
        shutil.copytree(exported[0], tmp_path / "second")
        (tmp_path / "second" / "assets.extra" / "note").write_text("Another version.")
        assert pusher.publish(tmp_path / "second", serving_dir, "facezoo") == 2
        wait_until(lambda: server.versions() == {1, 2}, server.process)
        pin(serving_dir, 1)
        wait_until(lambda: server.versions() == {1}, server.process)
        for label in ("stable", "canary"):
            for client in server.clients(label=label):
                assert client.info()["name"] == "facezoo"
    finally:
        server.stop()


def pin(serving_dir, version):
    """Chooses a version by number, as somebody does who rolls back."""
    config = model_config.read_config(serving_dir)
    entry = model_config.find_entry(config, "facezoo")
    entry.model_version_policy.specific.versions.append(version)
    entry.version_labels.update({label: version for label in entry.version_labels})
    (serving_dir / "models.config").write_text(text_format.MessageToString(config))
