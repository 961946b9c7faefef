"""Images per second of the backbones, beside PyTorch on the same machine in the same run.

    python -m tests.benchmarks.backbones --variants=inception_resnet_v1,nn4 --batches=1,8,32

Needs the extra `backends`; `facenet-pytorch` (install it with `--no-deps`) is the peer of
inception_resnet_v1 where it is installed, and the same layers in PyTorch are everywhere else. Both
sides take turns; a figure is the median of `--repeats` turns, and a ratio above 1 is in our favour.
PyTorch runs in its default layout and with channels last; the better one counts.
"""

import functools
import importlib
import importlib.util
import os
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

# Before TensorFlow is imported: its notes would stand in the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import torch
from absl import app, flags

import facezoo
from tests.benchmarks.torch_graph import TorchGraph

_VARIANTS = flags.DEFINE_list("variants", ["inception_resnet_v1"], "Backbones.")
_BATCHES = flags.DEFINE_list("batches", ["1", "8", "32"], "Images in a batch.")
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each side.")
_STEP = flags.DEFINE_boolean("step", True, "Measure training steps too.")

Work = Callable[[], Any]


def main(arguments: list[str]) -> None:
    """Prints one line per variant, kind of work and batch."""
    del arguments
    torch.set_num_threads(os.cpu_count())
    for variant in _VARIANTS.value:
        for batch in (int(size) for size in _BATCHES.value):
            _report(variant, "forward", batch, dict(_forwards(variant, batch)))
        for batch in (int(size) for size in _BATCHES.value):
            if _STEP.value and batch > 1:
                _report(variant, "step", batch, dict(_steps(variant, batch)))


def _report(variant: str, kind: str, batch: int, works: dict[str, Work]) -> None:
    seconds = _take_turns(works)
    speed = {name: batch / taken for name, taken in seconds.items()}
    peer = max(value for name, value in speed.items() if name.startswith("torch"))
    cells = "  ".join(f"{name} {value:7.1f} ({value / peer:.2f})" for name, value in speed.items())
    print(f"{variant:20} {kind:8} {batch:3}  {cells}", flush=True)


def _take_turns(works: dict[str, Work]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()  # Traces, compiles, allocates.
        work()
    for _ in range(_REPEATS.value):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _image(variant_shape: tuple[int, int, int], batch: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(batch, *variant_shape)).astype(np.float32)


def _forwards(variant: str, batch: int) -> Iterator[tuple[str, Work]]:
    model = facezoo.create_model(variant)
    array = _image(model.backbone.image_shape, batch)
    image = tf.constant(array)

    def embed(image: tf.Tensor) -> tf.Tensor:
        return model(image, training=False)["embedding"]

    graph = tf.function(embed, autograph=False)
    yield "graph", lambda: graph(image).numpy()
    xla = tf.function(embed, autograph=False, jit_compile=True)
    yield "xla", lambda: xla(image).numpy()
    frozen = _frozen(embed, image)
    yield "frozen", lambda: frozen(image)[0].numpy()
    half = _in_bfloat16(variant)
    yield "bfloat16", lambda: half(image).numpy()
    peer = _peer(variant, model).eval()
    for name, layout in _layouts():
        network = peer.to(memory_format=layout)
        picture = _to_torch(array).contiguous(memory_format=layout)
        yield name, lambda network=network, picture=picture: _infer(network, picture)


def _frozen(embed: Callable, image: tf.Tensor) -> Callable:
    """The graph with its weights as constants, into which batch normalisation is folded."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    concrete = tf.function(embed, autograph=False).get_concrete_function(image)
    return convert_variables_to_constants_v2(concrete)


def _in_bfloat16(variant: str) -> Callable:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = facezoo.create_model(variant)
    keras.config.set_dtype_policy(before)
    return tf.function(lambda image: model(image, training=False)["embedding"], autograph=False)


def _infer(network: torch.nn.Module, picture: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return network(picture).numpy()


def _steps(variant: str, batch: int) -> Iterator[tuple[str, Work]]:
    """Forward, backward and SGD on the squared distance to fixed embeddings."""
    for name, compiled in (("graph", False), ("xla", True)):
        model = facezoo.create_model(variant)
        array = _image(model.backbone.image_shape, batch)
        target = _image((model.embedding.embedding_dim, 1, 1), batch)[..., 0, 0]
        step = _our_step(model, compiled)
        ours = (tf.constant(array), tf.constant(target))
        yield name, lambda step=step, ours=ours: step(*ours).numpy()
    for name, layout in _layouts():
        peer = _peer(variant, model).train().to(memory_format=layout)
        optimizer = torch.optim.SGD(peer.parameters(), 0.01)
        picture = _to_torch(array).contiguous(memory_format=layout)
        theirs = (peer, optimizer, picture, torch.tensor(target))
        yield name, lambda theirs=theirs: _their_step(*theirs)


def _our_step(model: facezoo.FaceModel, compiled: bool) -> Callable:
    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function(autograph=False, jit_compile=compiled)
    def step(image: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            embedding = model(image, training=True)["embedding"]
            loss = tf.reduce_mean(tf.square(embedding - target))
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [one.value for one in weights]), weights)
        return loss

    return step


def _their_step(
    peer: torch.nn.Module, optimizer: Any, picture: torch.Tensor, target: torch.Tensor
) -> float:
    optimizer.zero_grad()
    loss = torch.mean(torch.square(peer(picture) - target))
    loss.backward()
    optimizer.step()
    return loss.item()


def _layouts() -> list[tuple[str, torch.memory_format]]:
    return [("torch", torch.contiguous_format), ("torch-last", torch.channels_last)]


def _to_torch(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array.transpose(0, 3, 1, 2).copy())


def _peer(variant: str, model: facezoo.FaceModel) -> torch.nn.Module:
    published = _facenet_pytorch() if variant == "inception_resnet_v1" else None
    if published is not None:
        return published(pretrained=None)
    return TorchGraph(model.backbone, model.embedding.embedding_dim)


@functools.cache
def _facenet_pytorch() -> type | None:
    spec = importlib.util.find_spec("facenet_pytorch")
    if spec is None:
        return None
    # Not by its __init__, which also imports the detector and with it torchvision.
    package = types.ModuleType("facenet_pytorch")
    package.__path__ = spec.submodule_search_locations
    sys.modules["facenet_pytorch"] = package
    return importlib.import_module("facenet_pytorch.models.inception_resnet_v1").InceptionResnetV1


if __name__ == "__main__":
    app.run(main)
