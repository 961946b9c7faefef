"""Images per second read from shards, beside plain tf.data and beside the networks' training.

    python -m tests.benchmarks.reading --turns=3

`read` is `TrainingBatches.read`, NumPy arrays; `stream` adds augmentation, standardisation and the
way into TensorFlow; `tf.data` is TFRecordDataset, parse, decode, standardise and batch, in file
order and without augmentation. Shards are made here, of one noisy picture per image. A step is one
of training with a CosFace head, at the network's own size, for which the shards are made too.
Every figure is measured in a process of its own, in turns, and is the median of all turns. Memory
is that of a process which has read all images of a small and of a ten times larger set of shards:
its own, and the parts of files that it has mapped, which the system takes back when it needs them.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# Before TensorFlow is imported: its notes would stand in the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import facezoo
from facezoo.data import images, schema
from facezoo.data.augment import Augmentation
from facezoo.data.batches import TrainingBatches
from facezoo.data.decode import decode_and_resize
from facezoo.data.examples import encode_example
from facezoo.data.preprocessing import Preprocessing
from facezoo.data.record_index import RecordIndex
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord
from facezoo.data.stream import stream

_NETWORKS = flags.DEFINE_list("networks", ["nns2", "nn4_small2", "mobilefacenet"], "Variants.")
_SIZES = flags.DEFINE_list("sizes", ["112x112", "160x160"], "Pictures that are read as well.")
_IMAGES = flags.DEFINE_integer("images", 1000, "Pictures in the shards.")
_BATCH = flags.DEFINE_integer("batch", 32, "Images of a step; a multiple of 4.")
_SECONDS = flags.DEFINE_float("seconds", 3.0, "Length of one measurement.")
_TURNS = flags.DEFINE_integer("turns", 3, "Measurements of each figure.")
_CHILD = flags.DEFINE_string("child", None, "Work of one process; set by the program itself.")

_IMAGES_PER_PERSON = 20
_IMAGES_PER_SHARD = 500
_QUALITY = 95
_STRONG = Augmentation(rotation=0.2, zoom=0.1, shift=0.05, brightness=0.1, contrast=0.1, erase=0.3)


def make_shards(folder: Path, height: int, width: int, num_images: int) -> None:
    """Writes JPEGs of smooth noise, which are about as long as those of faces."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for first in range(0, num_images, _IMAGES_PER_SHARD):
        with RecordWriter(folder / f"data-{first:08d}") as writer:
            for number in range(first, min(first + _IMAGES_PER_SHARD, num_images)):
                coarse = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
                encoded = images.encode_jpeg(images.resize(coarse, height, width), _QUALITY)
                label = number // _IMAGES_PER_PERSON
                record = FaceRecord(
                    encoded, "jpeg", height, width, f"{number}.jpg", f"{label}", label, "noise"
                )
                writer.write(encode_example(record))


def _batches(folder: Path, height: int, width: int, num_threads: int) -> TrainingBatches:
    return TrainingBatches(
        RecordIndex.open_or_build(sorted(folder.glob("data-*")), folder / "index"),
        Preprocessing(height, width),
        _STRONG,
        num_identities=_BATCH.value // 4,
        images_per_identity=4,
        seed=0,
        num_threads=num_threads,
    )


def _read(folder: Path, height: int, width: int, num_threads: int) -> float:
    batches, steps = _batches(folder, height, width, num_threads), itertools.count()
    return _per_second(lambda: batches.read(next(steps)))


def _stream(folder: Path, height: int, width: int, num_threads: int) -> float:
    iterator = stream(_batches(folder, height, width, num_threads))
    return _per_second(lambda: next(iterator))


def _tf_data(folder: Path, height: int, width: int, num_threads: int) -> float:
    preprocessing = Preprocessing(height, width)
    features = {
        schema.IMAGE_ENCODED: tf.io.FixedLenFeature((), tf.string),
        schema.IDENTITY_LABEL: tf.io.FixedLenFeature((), tf.int64),
    }

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.io.parse_single_example(serialized, features)
        image = decode_and_resize(found[schema.IMAGE_ENCODED], preprocessing)
        return preprocessing.standardize(image), found[schema.IDENTITY_LABEL]

    shards = tf.data.TFRecordDataset([str(path) for path in sorted(folder.glob("data-*"))])
    parsed = shards.repeat().map(parse, num_parallel_calls=num_threads)
    iterator = iter(parsed.batch(_BATCH.value).prefetch(2))
    return _per_second(lambda: next(iterator))


def _step(network: str) -> float:
    head = facezoo.create_head("cosface", num_classes=1000)
    model = facezoo.create_model(network, head=head)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), cross_entropy, jit_compile=False)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(_BATCH.value, *model.backbone.image_shape)).astype("float32")
    batch = tf.constant(image), tf.constant(rng.integers(0, 1000, _BATCH.value), tf.int32)
    return _per_second(lambda: model.train_on_batch(*batch))


def _per_second(work: Callable[[], object]) -> float:
    """Images per second, after what is done only once."""
    for _ in range(3):
        work()
    start, count = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < _SECONDS.value:
        work()
        count += 1
    return count * _BATCH.value / taken


def _memory(folder: Path, height: int, width: int, num_threads: int) -> list[float]:
    """MiB of the process's own and of mapped files, once every image has been read."""
    batches = _batches(folder, height, width, num_threads)
    for step in range(batches.num_images // _BATCH.value):
        batches.read(step)
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return [int(sizes[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile")]


_WORKS = {"read": _read, "stream": _stream, "tf.data": _tf_data, "memory": _memory}


def _in_a_process(kind: str, *arguments: object) -> list[float]:
    work = json.dumps([kind, *map(str, arguments)])
    command = [sys.executable, "-m", "tests.benchmarks.reading", *sys.argv[1:], f"--child={work}"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(process.stderr)
    return json.loads(process.stdout.splitlines()[-1])


def _as_child(kind: str, *arguments: str) -> list[float]:
    if kind == "step":
        return [_step(*arguments)]
    folder, *numbers = arguments
    found = _WORKS[kind](Path(folder), *map(int, numbers))
    return found if kind == "memory" else [found]


def _medians(works: dict[str, tuple[object, ...]]) -> dict[str, float]:
    turns = [
        {name: _in_a_process(*work)[0] for name, work in works.items()} for _ in range(_TURNS.value)
    ]
    return {name: statistics.median(turn[name] for turn in turns) for name in works}


def _report(title: str, speeds: dict[str, float], peer: str) -> None:
    cells = (f"{name} {speed:.0f} ({speed / speeds[peer]:.1f})" for name, speed in speeds.items())
    print(f"{title:24} " + "  ".join(cells), flush=True)


def _report_size(folder: Path, title: str, size: tuple[int, int], network: str | None) -> None:
    shards = folder / title
    make_shards(shards, *size, _IMAGES.value)
    works: dict[str, tuple[object, ...]] = {
        f"{kind} {threads}": (kind, shards, *size, threads)
        for threads in (1, 2)
        for kind in ("read", "stream", "tf.data")
    }
    if network:
        works["step"] = ("step", network)
    _report(title, _medians(works), "step" if network else "tf.data 2")


def _report_memory(folder: Path) -> None:
    for factor in (1, 10):
        shards = folder / f"memory-{factor}"
        make_shards(shards, 112, 112, factor * _IMAGES.value)
        own, mapped = _in_a_process("memory", shards, 112, 112, 2)
        print(f"{factor * _IMAGES.value} images read: {own:.0f} MiB, mapped files {mapped:.0f} MiB")


def main(arguments: list[str]) -> None:
    """Prints one line per network and size, then the memory."""
    del arguments
    if _CHILD.value:
        print(json.dumps(_as_child(*json.loads(_CHILD.value))))
        return
    print("images per second, threads, and in brackets the ratio to the step (or tf.data 2)")
    with tempfile.TemporaryDirectory() as folder:
        for network in _NETWORKS.value:
            size = facezoo.create_backbone(network).image_shape[:2]
            _report_size(Path(folder), f"{network} {size[0]}x{size[1]}", size, network)
        for text in _SIZES.value:
            height, width = map(int, text.split("x"))
            _report_size(Path(folder), text, (height, width), None)
        _report_memory(Path(folder))


if __name__ == "__main__":
    app.run(main)
