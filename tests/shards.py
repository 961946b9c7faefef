"""Small TFRecord shards of pictures of noise, for tests of what reads them."""

import numpy as np

from facezoo.data.examples import encode_example
from facezoo.data.images import encode_jpeg, encode_png
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord

HEIGHT, WIDTH = 12, 10


def noise(seed, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def record(number, label, height=HEIGHT, width=WIDTH, **changes):
    """The record of picture `number`."""
    name = changes.get("dataset", "test")
    values = {
        "encoded": encode_png(noise(number, height, width)),
        "format": "png",
        "height": height,
        "width": width,
        "filename": f"{name}/{number}.png",
        "identity": f"person {label}",
        "label": label,
        "dataset": name,
    }
    return FaceRecord(**{**values, **changes})


def write_shard(path, records):
    with RecordWriter(path) as writer:
        for one in records:
            writer.write(encode_example(one))
    return path


def write_shards(folder, labels, num_shards=2, **changes):
    """Writes picture i with label `labels[i]` into shard i % num_shards; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    records = [record(number, label, **changes) for number, label in enumerate(labels)]
    return [
        write_shard(folder / f"data_tfrecord-{shard:05d}", records[shard::num_shards])
        for shard in range(num_shards)
    ]


def in_file_order(labels, num_shards=2):
    """Numbers of the pictures in the order in which `write_shards` has laid them down."""
    return np.concatenate(
        [np.arange(len(labels))[shard::num_shards] for shard in range(num_shards)]
    )


def jpeg(number, height=HEIGHT, width=WIDTH):
    return encode_jpeg(noise(number, height, width), 90)
