"""Images per second and latency of an exported SavedModel, beside onnxruntime on the same network.

    python -m tests.benchmarks.serving_speed --model=PRESET_DIR_OR_NAME --threads=2
    python -m tests.benchmarks.serving_speed --model=PRESET_DIR_OR_NAME --threads=1 --callers=2

`tensorflow` calls the signature `embed` of the SavedModel, `onnxruntime` the ONNX file; both are
written from the same frozen graph. A preset without weights gets random ones, also in all batch
normalisation, so that nothing folds away. They take turns of `--seconds`; the median turn counts.
Needs the extra `export`.
"""

import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import app, flags

import facezoo
from facezoo import presets
from facezoo.models.description import describe
from facezoo.serving.formats import FORMS, Embed, TrainedModel

_MODEL = flags.DEFINE_string("model", "mobilefacenet", "Preset: a folder, or a built-in name.")
_THREADS = flags.DEFINE_integer("threads", 2, "Threads that one call may use.")
_CALLERS = flags.DEFINE_integer("callers", 1, "Calls at a time.")
_TURNS = flags.DEFINE_integer("turns", 7, "Of each, per batch size.")
_SECONDS = flags.DEFINE_float("seconds", 1.0, "Of a turn.")
_BATCH_SIZES = (1, 8, 32)
# Ranges of random weights by the end of their path.
_RANGES = {
    "moving_variance": (0.5, 1.5),
    "gamma": (0.5, 1.5),
    "moving_mean": (-0.2, 0.2),
    "beta": (-0.2, 0.2),
    "bias": (-0.2, 0.2),
    "alpha": (0.0, 0.5),
}


def _make_model() -> facezoo.FaceModel:
    model = facezoo.FaceModel.from_preset(_MODEL.value)
    if presets.load(_MODEL.value)["weights"] is None:
        random = np.random.default_rng(0)
        for variable in model.variables:
            if (found := _RANGES.get(variable.path.split("/")[-1])) is not None:
                variable.assign(random.uniform(*found, variable.shape))
    return model


def _open_onnx(path: Path) -> Embed:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _THREADS.value
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return lambda image: dict(zip(names, session.run(names, {"image": image}), strict=True))


def _turn(embed: Embed, image: np.ndarray) -> tuple[float, list[float]]:
    """Returns images per second, and the seconds of every call."""
    start, seconds = time.perf_counter(), []

    def call() -> None:
        while time.perf_counter() - start < _SECONDS.value:
            begin = time.perf_counter()
            embed(image)
            seconds.append(time.perf_counter() - begin)

    callers = [threading.Thread(target=call) for _ in range(_CALLERS.value)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return len(seconds) * len(image) / (time.perf_counter() - start), seconds


def _measure(embeds: dict[str, Embed], image: np.ndarray) -> None:
    rates = {name: [] for name in embeds}
    latency = {name: [] for name in embeds}
    for embed in embeds.values():
        _turn(embed, image)
    for turn in range(_TURNS.value):
        for name in list(embeds)[:: -1 if turn % 2 else 1]:
            rate, seconds = _turn(embeds[name], image)
            rates[name].append(rate)
            latency[name] += seconds
    median = {name: statistics.median(values) for name, values in rates.items()}
    words = [f"{name} {rate:.1f} images/s" for name, rate in median.items()]
    if len(image) == 1:
        for name, seconds in latency.items():
            p50, p99 = 1e3 * np.percentile(seconds, (50, 99))
            words.append(f"{name} p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    ratio = median["tensorflow"] / median["onnxruntime"]
    print(f"batch {len(image)}: ratio {ratio:.2f}  " + "; ".join(words), flush=True)


def main(arguments: list[str]) -> None:
    """Prints one line per batch size."""
    del arguments
    tf.config.threading.set_intra_op_parallelism_threads(_THREADS.value)
    model = _make_model()
    trained = TrainedModel(model, describe(model))
    print(f"{_MODEL.value}: {_CALLERS.value} callers, {_THREADS.value} threads each")
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, FORMS[name].path) for name in ("saved_model", "onnx")}
        for name, path in paths.items():
            FORMS[name].write(trained, path)
        embeds = {
            "tensorflow": FORMS["saved_model"].open(paths["saved_model"]),
            "onnxruntime": _open_onnx(paths["onnx"]),
        }
        random = np.random.default_rng(0)
        for size in _BATCH_SIZES:
            shape = (size, *model.preprocessing.image_shape)
            _measure(embeds, random.uniform(-1, 1, shape).astype(np.float32))


if __name__ == "__main__":
    app.run(main)
