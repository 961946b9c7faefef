"""Seconds of BulkInferrer on DirectRunner beside a bare loop over the same pictures.

    python -m tests.benchmarks.bulk_inference --images=3000 --turns=3

The loop loads the exported model, hands it the encoded pictures, which lie in memory, in batches of
the same size, and keeps the answers. `infer` loads the same model, reads the pictures from shards,
embeds them, writes the file of every shard, and reads back and counts what it wrote. Both decode
inside the model. They take turns in one process; a figure is the median of all turns, and the ratio
is that of each turn's two. Memory is the highest of a process of its own that embedded as many
pictures, or four times as many.
"""

import logging as python_logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Before TensorFlow is imported: its notes would stand in the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags, logging

import facezoo
from facezoo import serving
from facezoo.data import images
from facezoo.data.examples import encode_example
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord
from pipelines.component import Context
from pipelines.inference import InferenceOptions, infer
from pipelines.inference_files import SINKS
from pipelines.inference_input import list_pieces

_IMAGES = flags.DEFINE_integer("images", 3000, "Pictures.")
_TURNS = flags.DEFINE_integer("turns", 3, "Measurements of each figure.")
_BATCH = flags.DEFINE_integer("batch", 64, "Images embedded at once.")
_SIDE = flags.DEFINE_integer("side", 250, "Height and width of a picture.")
_NETWORK = flags.DEFINE_string("network", "mobilefacenet", "Variant.")
_RUNNER = flags.DEFINE_string("runner", "FnApiRunner", "Beam's; DirectRunner means this one.")
_CHILD = flags.DEFINE_list("child", None, "Work of one process; set by the program itself.")

_PER_SHARD = 1000
_QUALITY = 90
_DIFFERENT = 200


def make_pictures(num_images: int, side: int) -> list[bytes]:
    """Returns JPEGs of smooth noise, which are about as long as those of faces."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (_DIFFERENT, side // 8, side // 8, 3), np.uint8)
    found = [images.encode_jpeg(images.resize(one, side, side), _QUALITY) for one in coarse]
    return [found[number % _DIFFERENT] for number in range(num_images)]


def make_shards(folder: Path, pictures: list[bytes], side: int) -> None:
    """Writes them as records."""
    folder.mkdir()
    for first in range(0, len(pictures), _PER_SHARD):
        with RecordWriter(folder / f"data_tfrecord-{first:08d}") as writer:
            for number, encoded in enumerate(pictures[first : first + _PER_SHARD], first):
                name = f"{number}.jpg"
                record = FaceRecord(encoded, "jpeg", side, side, name, "nobody", 0, "noise")
                writer.write(encode_example(record))


def _loop(pictures: list[bytes], model: Path) -> float:
    start, batch = time.perf_counter(), _BATCH.value
    served = serving.load(model)
    firsts = range(0, len(pictures), batch)
    answers = [served.embed_bytes(pictures[first : first + batch]) for first in firsts]
    assert sum(answer["valid"].sum() for answer in answers) == len(pictures)
    return time.perf_counter() - start


def _infer(shards: Path, model: Path, kind: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        work = list_pieces(str(shards), Path(folder, "spool"))
        context = Context(Path(folder), [f"--runner={_RUNNER.value}"])
        infer(work, model, Path(folder), InferenceOptions(kind, _BATCH.value), context)
        return time.perf_counter() - start


def _report_speed(pictures: list[bytes], shards: Path, model: Path) -> None:
    # TensorFlow's first steps in a process belong to nobody.
    _loop(pictures[: _BATCH.value], model)
    turns = [
        {
            "loop": _loop(pictures, model),
            **{kind: _infer(shards, model, kind) for kind in SINKS},
        }
        for _ in range(_TURNS.value)
    ]
    for name in turns[0]:
        seconds = statistics.median(turn[name] for turn in turns)
        ratio = statistics.median(turn[name] / turn["loop"] for turn in turns)
        speed = len(pictures) / seconds
        print(f"{name:10} {seconds:6.1f} s  {speed:5.0f} images/s  ratio {ratio:.2f}", flush=True)


def _highest_memory() -> float:
    """MiB; getrusage would count what the parent held when it made this process."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes["VmHWM"].split()[0]) / 1024


def _peak_memory(shards: Path, model: Path) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.bulk_inference", *sys.argv[1:]]
    command.append(f"--child={shards},{model}")
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(process.stderr)
    return float(process.stdout.splitlines()[-1])


def main(arguments: list[str]) -> None:
    """Prints the seconds of the loop and of both kinds of files, then the memory."""
    del arguments
    logging.set_verbosity(logging.ERROR)
    python_logging.getLogger("apache_beam").setLevel(python_logging.ERROR)
    if _CHILD.value:
        shards, model = map(Path, _CHILD.value)
        _infer(shards, model, "parquet")
        print(_highest_memory())
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model" / "1"
        serving.export_saved_model(facezoo.create_model(_NETWORK.value), model)
        pictures = make_pictures(_IMAGES.value, _SIDE.value)
        make_shards(folder / "1", pictures, _SIDE.value)
        _report_speed(pictures, folder / "1", model)
        make_shards(folder / "4", pictures * 4, _SIDE.value)
        for factor in (1, 4):
            memory = _peak_memory(folder / str(factor), model)
            print(f"{factor * len(pictures)} images: {memory:.0f} MiB at the highest", flush=True)


if __name__ == "__main__":
    app.run(main)
