"""Time and memory of the semi-hard triplet loss with its gradient, beside its peers.

    python -m tests.benchmarks.triplet_semi_hard --batches=180,360,720,1800 --addons_python=PYTHON

P x 40 embeddings of 128 numbers, margin 0.2. PYTHON is an interpreter with tensorflow-addons (see
`tests/oracles/addons.py`), which is left out without it; pytorch-metric-learning (install it with
`--no-deps` beside the extra `backends`) with its semi-hard miner is left out where it is missing.
Every figure is from a process of its own: least and median seconds of `--repeats` calls, least
seconds of processor time, and the peak of memory over that before the first call with this batch.
"""

import functools
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before TensorFlow is imported: its notes would stand in the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags

_BATCHES = flags.DEFINE_list("batches", ["180", "360", "720", "1800"], "Embeddings in a batch.")
_METRICS = flags.DEFINE_list("metrics", ["L2", "squared-L2", "angular"], "Our distances.")
_IMAGES = flags.DEFINE_integer("images", 40, "Images per identity.")
_REPEATS = flags.DEFINE_integer("repeats", 7, "Calls that are timed.")
_ADDONS_PYTHON = flags.DEFINE_string("addons_python", None, "Interpreter with tensorflow-addons.")
_ADDONS_LARGEST = flags.DEFINE_integer(
    "addons_largest", 720, "Largest batch for tensorflow-addons, whose memory grows as B^3."
)
_SIDE = flags.DEFINE_enum(
    "side", None, ["facezoo", "addons", "metric_learning"], "Measure one side, in this process."
)

_DIM, _MARGIN, _SMALL = 128, 0.2, 80
Step = Callable[[np.ndarray, np.ndarray], Any]


def main(arguments: list[str]) -> None:
    """Prints one line per batch, side and distance."""
    del arguments
    if _SIDE.value:
        print(_measure(_SIDES[_SIDE.value](_METRICS.value[0]), int(_BATCHES.value[0])))
        return
    print(f"{'batch':>5}  {'side':15}  {'distance':10}  least s  median s  cpu s  MB over")
    for batch in (int(size) for size in _BATCHES.value):
        for side, metric in _lines(batch):
            print(f"{batch:5}  {side:15}  {metric:10}  {_in_a_process(side, metric, batch)}")


def _lines(batch: int) -> list[tuple[str, str]]:
    lines = [("facezoo", metric) for metric in _METRICS.value]
    if _ADDONS_PYTHON.value and batch <= _ADDONS_LARGEST.value:
        lines.append(("addons", "L2"))
    if importlib.util.find_spec("pytorch_metric_learning") is not None:
        lines.append(("metric_learning", "L2"))
    return lines


def _in_a_process(side: str, metric: str, batch: int) -> str:
    python = _ADDONS_PYTHON.value if side == "addons" else sys.executable
    command = [python, "-m", "tests.benchmarks.triplet_semi_hard", f"--side={side}"]
    command += [f"--batches={batch}", f"--metrics={metric}"]
    command += [f"--images={_IMAGES.value}", f"--repeats={_REPEATS.value}"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return "failed: " + (process.stderr.strip().splitlines() or ["killed"])[-1]
    return process.stdout.splitlines()[-1]


def _measure(step: Step, batch: int) -> str:
    for _ in range(2):
        step(*_batch(_SMALL))  # Traces, compiles, fills the pools.
    label, embedding = _batch(batch)
    before = _resident()
    wall, cpu = [], []
    for _ in range(_REPEATS.value):
        start, start_cpu = time.perf_counter(), time.process_time()
        step(label, embedding)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{min(wall):7.3f}  {statistics.median(wall):8.3f}  {min(cpu):5.2f}  {peak - before:7.0f}"
    )


def _resident() -> float:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("This system does not tell the resident memory in /proc/self/status.")


def _batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(0).normal(size=(size, _DIM)).astype("float32")
    label = np.arange(size) // _IMAGES.value
    return label.astype("int32"), points / np.linalg.norm(points, axis=1, keepdims=True)


def _tensorflow_step(loss: Callable[..., Any]) -> Step:
    import tensorflow as tf

    @functools.partial(
        tf.function,
        autograph=False,
        input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, _DIM])],
    )
    def step(label: Any, embedding: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            value = loss(label, embedding)
        return value, tape.gradient(value, embedding)

    return lambda *arguments: step(*map(tf.constant, arguments))


def _facezoo(metric: str) -> Step:
    from facezoo.losses import TripletSemiHardLoss

    return _tensorflow_step(TripletSemiHardLoss(_MARGIN, metric))


def _addons(metric: str) -> Step:
    import tensorflow_addons as tfa

    return _tensorflow_step(tfa.losses.TripletSemiHardLoss(_MARGIN, metric))


def _metric_learning(metric: str) -> Step:
    import torch
    from pytorch_metric_learning import distances, losses, miners, reducers

    torch.set_num_threads(os.cpu_count())
    kind = {"distance": distances.LpDistance(power=1 if metric == "L2" else 2)}
    miner = miners.TripletMarginMiner(_MARGIN, type_of_triplets="semihard", **kind)
    loss = losses.TripletMarginLoss(_MARGIN, reducer=reducers.MeanReducer(), **kind)

    def step(label: np.ndarray, embedding: np.ndarray) -> Any:
        points = torch.tensor(embedding, requires_grad=True)
        identity = torch.tensor(label)
        loss(points, identity, miner(points, identity)).backward()
        return points.grad

    return step


_SIDES = {"facezoo": _facezoo, "addons": _addons, "metric_learning": _metric_learning}

if __name__ == "__main__":
    app.run(main)
