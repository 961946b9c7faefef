"""The clients: what they send and read is what TensorFlow Serving's two interfaces say.

The servers here are stand-ins: they answer with the exported model, in the documented form of REST
and with the real messages of gRPC. The server's own binary is asked in test_model_server.py.
"""

import contextlib
import socket
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from facezoo.serving.client import GrpcClient, RestClient, ServerError
from tests import served
from tests.rest_answers import answer_rest

NO_PICTURE = b"no picture"
ERRORS = {
    "REST": "refuses: Servable not found for request: Latest(nobody)",
    "gRPC": "does not answer embed_bytes: Servable not found for request: Latest(nobody)",
}


@pytest.fixture(scope="module")
def requests_and_signatures(tmp_path_factory):
    requests, folder = served.exported(tmp_path_factory)
    return requests, tf.saved_model.load(str(folder)).signatures


class Http(BaseHTTPRequestHandler):
    """Hands every POST to the server's `answer`, which returns a status and a body."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, content = self.server.answer(self.path, body)
        self.send_response(status)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(content)

    def log_message(self, *_):
        """Silence."""


@contextlib.contextmanager
def http_server(answer):
    """Runs a server whose POSTs `answer` answers; yields its address."""
    server = ThreadingHTTPServer(("localhost", 0), Http)
    server.answer = answer
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers with the exported model's signatures; keeps the requests."""

    def __init__(self, signatures):
        self.signatures, self.asked = signatures, []

    def Predict(self, request, context):
        self.asked.append(request)
        if request.model_spec.name != "facezoo":
            context.abort(grpc.StatusCode.NOT_FOUND, ERRORS["gRPC"].partition(": ")[2])
        inputs = {name: tf.constant(tf.make_ndarray(p)) for name, p in request.inputs.items()}
        try:
            answer = self.signatures[request.model_spec.signature_name](**inputs)
        except tf.errors.OpError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        outputs = {name: tf.make_tensor_proto(value) for name, value in answer.items()}
        return predict_pb2.PredictResponse(outputs=outputs)


@contextlib.contextmanager
def grpc_server(servicer):
    """Runs a server; yields its address."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None)


class Door:
    """A running stand-in: makes clients, and says what was asked."""

    def __init__(self, client_class, address, asked):
        self.client_class, self.address, self.asked = client_class, address, asked

    def client(self, **options):
        return self.client_class(self.address, **options)


@pytest.fixture(scope="module", params=["REST", "gRPC"])
def door(request, requests_and_signatures):
    _, signatures = requests_and_signatures
    if request.param == "REST":
        asked = []

        def answer(path, body):
            asked.append((path, body))
            return answer_rest(signatures, path, body)

        with http_server(answer) as address:
            yield Door(RestClient, address, asked)
    else:
        servicer = Predictions(signatures)
        with grpc_server(servicer) as address:
            yield Door(GrpcClient, address, servicer.asked)


@pytest.fixture
def requests(requests_and_signatures):
    return {request.signature: request for request in requests_and_signatures[0]}


def check_equal(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype, name
        if values.dtype == object:
            assert found[name].tolist() == values.tolist(), name
        else:
            np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)


class TestBothClients:
    def test_embeds_and_tells_what_is_no_picture(self, door, requests):
        pictures = [*served.make_photographs(), NO_PICTURE]
        check_equal(door.client().embed(pictures), requests["embed_bytes"].outputs)

    def test_verifies(self, door, requests):
        first, second = served.make_photographs(), served.make_photographs()[1:] + [NO_PICTURE]
        found = door.client().verify(first, second)
        assert found["valid"].tolist() == [True, True, False]
        expected = requests["verify_pair"].outputs
        for name in ("distance", "same", "probability"):
            np.testing.assert_allclose(found[name][:2], expected[name][:2], atol=1e-5)

    def test_says_what_the_model_is(self, door, requests):
        info, expected = door.client().info(), requests["info"].outputs
        assert info["model"] == expected["model"][0].decode()
        assert info["thresholds"] == served.make_thresholds(served.make_model())
        assert info["byte_scale"] == pytest.approx(float(expected["byte_scale"][0]))
        assert set(info) == set(expected)

    @pytest.mark.parametrize(
        "signature",
        [
            "embed_128",
            "embed",
            pytest.param("embed_landmarks", marks=pytest.mark.slow),
            pytest.param("embed_image", marks=pytest.mark.slow),
        ],
    )
    def test_calls_every_other_signature(self, door, requests, signature):
        request = requests[signature]
        check_equal(door.client().call(signature, request.inputs), request.outputs)

    def test_large_batches_are_cut(self, door, requests):
        pictures = [*served.make_photographs(), NO_PICTURE]
        before = len(door.asked)
        found = door.client(batch_size=3).embed(pictures)
        assert len(door.asked) - before == 2
        check_equal(found, requests["embed_bytes"].outputs)

    def test_the_servers_words_in_one_line(self, door):
        with pytest.raises(ServerError) as error:
            door.client(model="nobody").embed([NO_PICTURE])
        assert any(words in str(error.value) for words in ERRORS.values())
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("pictures", "received"), [([], "none"), (["a.jpg"], "str"), ([None], "NoneType")]
    )
    def test_refuses_what_are_no_pictures(self, door, pictures, received):
        with pytest.raises(ValueError, match=rf"contents as bytes.*Received: {received}"):
            door.client().embed(pictures)

    def test_refuses_pairs_that_are_none(self, door):
        with pytest.raises(ValueError, match="Received: 1 and 2"):
            door.client().verify([b"a"], [b"b", b"c"])


@pytest.mark.parametrize(
    ("client_class", "address"), [(RestClient, "http://localhost:1"), (GrpcClient, "localhost:1")]
)
class TestOptions:
    def test_version_and_label(self, client_class, address):
        with pytest.raises(ValueError, match="not both"):
            client_class(address, version=1, label="stable")

    @pytest.mark.parametrize("option", ["timeout", "batch_size"])
    def test_out_of_range(self, client_class, address, option):
        with pytest.raises(ValueError, match=f"{option} must be above 0"):
            client_class(address, **{option: 0})

    def test_nobody_there(self, client_class, address):
        with pytest.raises(ServerError, match="Is the server running"):
            client_class(address).embed([b"a"])


@pytest.mark.parametrize(
    ("client_class", "address"),
    [
        (RestClient, "localhost:8501"),
        (RestClient, "file:///etc/passwd"),
        (RestClient, "http://"),
        (GrpcClient, "http://localhost:8500"),
        (GrpcClient, "localhost"),
        (GrpcClient, ""),
    ],
)
def test_what_is_no_address(client_class, address):
    with pytest.raises(ValueError, match="address must be"):
        client_class(address)


def test_rest_asks_for_a_version_or_label():
    assert (
        RestClient("http://a:1/", version=3).url
        == "http://a:1/v1/models/facezoo/versions/3:predict"
    )
    assert RestClient("http://a:1", "b c").url == "http://a:1/v1/models/b%20c:predict"
    assert RestClient("http://a:1", label="canary").url.endswith("/labels/canary:predict")


def test_grpc_asks_for_a_version_or_label(requests_and_signatures):
    servicer = Predictions(requests_and_signatures[1])
    with grpc_server(servicer) as address:
        for options in ({"version": 3}, {"label": "canary"}, {}):
            with GrpcClient(address, **options) as client:
                client.info()
    with_version, with_label, plain = [one.model_spec for one in servicer.asked]
    assert with_version.version.value == 3
    assert with_label.version_label == "canary"
    assert plain.WhichOneof("version_choice") is None


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"outputs": [1]}', b"\xff"])
def test_another_server_at_that_port(content):
    with http_server(lambda path, body: (200, content)) as address:
        with pytest.raises(ServerError, match="Is another server there"):
            RestClient(address).embed([b"a"])


@pytest.mark.parametrize("content", [b"<html>", b'{"error": "no\\nsuch model"}'])
def test_a_refusal_by_rest(content):
    with http_server(lambda path, body: (404, content)) as address:
        with pytest.raises(ServerError, match="refuses: (404 Not Found|no such model)$"):
            RestClient(address).embed([b"a"])


def test_a_slow_server_by_rest():
    waiting = threading.Event()
    with http_server(lambda path, body: (200, b"") if waiting.wait(5) else (500, b"")) as address:
        with pytest.raises(ServerError, match=r"no answer within 0\.05 seconds"):
            RestClient(address, timeout=0.05).embed([b"a"])
        waiting.set()


def test_a_slow_server_by_grpc(requests_and_signatures):
    servicer, waiting = Predictions({}), threading.Event()
    servicer.Predict = lambda request, context: waiting.wait(5)
    with grpc_server(servicer) as address:
        with pytest.raises(ServerError, match="Deadline Exceeded.*Allow more by timeout"):
            GrpcClient(address, timeout=0.05).embed([b"a"])
        waiting.set()


def test_a_connection_that_breaks_off():
    with socket.create_server(("localhost", 0)) as listener:
        port = listener.getsockname()[1]

        def hang_up():
            connection, _ = listener.accept()
            time.sleep(0.01)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ServerError, match="cannot be reached"):
            RestClient(f"http://localhost:{port}").embed([b"a"])
        thread.join()
