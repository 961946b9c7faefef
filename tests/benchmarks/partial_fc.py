"""Partial FC beside the full softmax: `python -m tests.benchmarks.partial_fc [CLASSES ..]`.

CosFace on 128 embeddings of 128 numbers, loss and gradients. Time: the median of steps after the
first. Memory: the peak during the steps over what the process had before them, which includes the
centres (Linux only). Every row is a process of its own. PyTorch's rows need torch; its gradient of
sampled rows is sparse too.
"""

import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

BATCH_SIZE, DIM, STEPS = 128, 128, 5
MARGIN, SCALE = 0.35, 64.0
# label: (kind, share of the classes)
CASES = {
    "full softmax, `CosFace`": ("cosface", 1.0),
    "`PartialFC`, rate 1": ("partial_fc", 1.0),
    "`PartialFC`, rate 0.1": ("partial_fc", 0.1),
    "full softmax, PyTorch": ("torch", 1.0),
    "sampled softmax, PyTorch, rate 0.1": ("torch", 0.1),
}


def keras_step(kind: str, rate: float, num_classes: int) -> Callable[[], None]:
    """Returns a training step of a head without the optimizer."""
    import keras
    import tensorflow as tf

    from facezoo import create_head

    options = {"sample_rate": rate} if kind == "partial_fc" else {}
    head = create_head(kind, num_classes=num_classes, margin=MARGIN, scale=SCALE, **options)
    # TensorFlow keeps the memory of the temporary copies that random centres need; steps reuse it.
    with mock.patch("keras.initializers.RandomNormal", lambda stddev: "ones"):
        head.build((None, DIM))
    embedding, label = batch(num_classes)
    embedding, norm, label = tf.constant(embedding), tf.ones(BATCH_SIZE), tf.constant(label)

    @tf.function
    def step() -> list[tf.Tensor | tf.IndexedSlices]:
        with tf.GradientTape() as tape:
            tape.watch(embedding)
            logits = head(embedding, norm, label, training=True)
            column = head.columns(label, training=True)
            loss = keras.losses.sparse_categorical_crossentropy(column, logits, from_logits=True)
            loss = tf.reduce_mean(loss)
        return tape.gradient(loss, [embedding, head.centers.value])

    return step


def torch_step(rate: float, num_classes: int) -> Callable[[], None]:
    """Returns the same step in PyTorch, with its own uniform sampling."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(2)
    weight = torch.nn.Embedding(num_classes, DIM, sparse=rate < 1)
    torch.nn.init.normal_(weight.weight, std=0.01)
    embedding, label = (torch.from_numpy(one) for one in batch(num_classes))
    embedding.requires_grad_()
    row = torch.arange(BATCH_SIZE)

    def step() -> None:
        weight.weight.grad, column = None, label.long()
        rows = weight.weight
        if rate < 1:
            score = torch.rand(num_classes)
            score[column] = 2.0
            index = torch.topk(score, int(rate * num_classes))[1].sort()[0]
            rows, column = weight(index), torch.searchsorted(index, column)
        cosine = functional.linear(embedding, functional.normalize(rows)).clamp(-1, 1)
        margin = torch.zeros_like(cosine)
        margin[row, column] = MARGIN
        functional.cross_entropy(SCALE * (cosine - margin), column).backward()

    return step


def batch(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns unit embeddings and labels."""
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(BATCH_SIZE, DIM)).astype("float32")
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding, rng.integers(0, num_classes, BATCH_SIZE).astype("int32")


def megabytes(which: str) -> float:
    """Returns the memory of this process: `"VmRSS"` now, `"VmHWM"` at its peak."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{which}:\s+(\d+) kB", status)[1]) / 1e3


def forget_peak() -> None:
    """Makes the present memory the peak."""
    Path("/proc/self/clear_refs").write_text("5")


def measure(name: str, num_classes: int) -> dict[str, float]:
    """Returns the median seconds of a step and the memory, megabytes."""
    kind, rate = CASES[name]
    make = torch_step if kind == "torch" else keras_step
    arguments = (rate,) if kind == "torch" else (kind, rate)
    # A step on few classes first: what the libraries need by themselves is not the head's.
    make(*arguments, 10 * BATCH_SIZE)()
    step = make(*arguments, num_classes)
    before = megabytes("VmRSS")
    forget_peak()
    step()
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return {"seconds": float(np.median(seconds)), "megabytes": megabytes("VmHWM") - before}


def main(sizes: list[int]) -> None:
    """Prints a table for every number of classes, ratios to its first row."""
    for num_classes in sizes:
        print(f"\n{num_classes:,} classes | seconds | ratio | MB | ratio\n---|---|---|---|---")
        first = None
        for name, (kind, _) in CASES.items():
            if kind == "torch" and importlib.util.find_spec("torch") is None:
                continue
            command = [sys.executable, "-m", "tests.benchmarks.partial_fc", name, str(num_classes)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found = json.loads(output.splitlines()[-1])
            first = first or found
            cells = [
                f"{found[key]:.{digits}f} | {found[key] / first[key]:.2f}"
                for key, digits in (("seconds", 3), ("megabytes", 0))
            ]
            print(" | ".join([name, *cells]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in CASES:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main([int(size) for size in sys.argv[1:]] or [100_000, 1_000_000])
