"""Training steps on an accelerator: images per second and share of its peak, in bfloat16, on JAX.

    KERAS_BACKEND=jax python -m tests.benchmarks.gpu_training --batches=128,256,512

A step is forward, backward and update of a whole model under a CosFace head, on made-up images
that lie on the device already: reading and decoding are measured elsewhere. It needs Keras, JAX
and NumPy, no TensorFlow. The share of the peak counts 2 FLOPs per multiply-add, and the backward
pass as twice the forward one; what is not a convolution or a dense layer counts as nothing.

On a CPU, whose peak must be given by `--peak_tflops`, the program can be tried with
`--variants=mobilefacenet --batches=4 --steps=2 --num_classes=100`.
"""

import functools
import math
import os
import statistics
import time
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import keras
import numpy as np
from absl import app, flags

import facezoo
from facezoo.models import count_macs

_VARIANTS = flags.DEFINE_list(
    "variants", ["inception_resnet_v1", "iresnet50", "mobilefacenet"], "Backbones."
)
_BATCHES = flags.DEFINE_list("batches", ["128", "256", "512"], "Images in a batch.")
_STEPS = flags.DEFINE_integer("steps", 30, "Steps in a turn.", lower_bound=1)
_TURNS = flags.DEFINE_integer("turns", 3, "Turns; the median counts.", lower_bound=1)
_NUM_CLASSES = flags.DEFINE_integer("num_classes", 10_000, "Classes of the head.", lower_bound=2)
_POLICY = flags.DEFINE_string("policy", "mixed_bfloat16", "Keras' dtype policy.")
_PEAK = flags.DEFINE_float("peak_tflops", None, "The device's peak, if it is not known here.")

# Dense bfloat16 with float32 sums, in TFLOP/s, by a part of the device's name; the first one fits.
_PEAKS: Mapping[str, float] = {
    "B200": 2250.0,
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
}
# A multiply-add is two operations; the gradients of input and kernel cost as much as the output.
_FLOPS_PER_MAC = 2 * 3

State = tuple[list[jax.Array], ...]


def main(arguments: list[str]) -> None:
    """Prints one line per variant and batch."""
    del arguments
    if keras.backend.backend() != "jax":
        raise app.UsageError(f"Needs KERAS_BACKEND=jax. Received: {keras.backend.backend()}.")
    device = jax.devices()[0]
    peak = _peak(device.device_kind)
    print(
        f"{device.platform}: {device.device_kind}; JAX {jax.__version__}, Keras "
        f"{keras.__version__}; {_POLICY.value}; {_NUM_CLASSES.value} classes; peak "
        + (f"{peak:g} TFLOP/s" if peak else "not known (--peak_tflops)")
    )
    print("variant               batch  compile s  ms/step  images/s  TFLOP/s  of peak  memory GB")
    keras.config.set_dtype_policy(_POLICY.value)
    for variant in _VARIANTS.value:
        model = _model(variant)
        flops = _FLOPS_PER_MAC * (count_macs(model) + math.prod(model.head.centers.shape))
        for batch in (int(size) for size in _BATCHES.value):
            print(f"{variant:20} {batch:6}  {_measure(model, batch, flops, peak)}", flush=True)


def _peak(name: str) -> float | None:
    known = (peak for part, peak in _PEAKS.items() if part in name)
    return _PEAK.value or next(known, None)


def _model(variant: str) -> facezoo.FaceModel:
    keras.utils.set_random_seed(0)
    head = facezoo.create_head("cosface", num_classes=_NUM_CLASSES.value)
    model = facezoo.create_model(variant, head=head)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    optimizer.build(model.trainable_variables)
    return model


def _measure(model: facezoo.FaceModel, batch: int, flops: int, peak: float | None) -> str:
    """Returns the figures of one line; `flops` are those of one image."""
    state, data = _state(model), _data(model.backbone.image_shape, batch)
    start = time.perf_counter()
    try:
        # The old weights' memory is used for the new ones.
        step = jax.jit(model.train_step, donate_argnums=0).lower(state, data).compile()
        compiling = time.perf_counter() - start
        seconds = _seconds_per_step(step, state, data)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return "out of memory"
    speed = flops * batch / seconds / 1e12
    share = f"{speed / peak:8.1%}" if peak else " unknown"
    return (
        f"{compiling:8.1f} {seconds * 1e3:9.2f} {batch / seconds:9.1f} {speed:8.2f} {share} "
        f"{_gigabytes(step):10.2f}"
    )


def _state(model: facezoo.FaceModel) -> State:
    """A copy: a step consumes what it is given."""
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    return tuple([jax.numpy.array(one.value, copy=True) for one in group] for group in variables)


def _data(image_shape: tuple[int, int, int], batch: int) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(batch, *image_shape)).astype(np.float32)
    label = rng.integers(0, _NUM_CLASSES.value, batch, dtype=np.int32)
    return jax.device_put(image), jax.device_put(label)


def _seconds_per_step(step: Any, state: State, data: tuple[jax.Array, jax.Array]) -> float:
    run = functools.partial(_run, step, data=data)
    state, _ = run(state, 2)
    seconds = []
    for _ in range(_TURNS.value):
        start = time.perf_counter()
        state, loss = run(state, _STEPS.value)
        seconds.append((time.perf_counter() - start) / _STEPS.value)
    if not math.isfinite(loss):
        raise RuntimeError(f"The loss is no longer a number: {loss}. The figures would be of NaNs.")
    return statistics.median(seconds)


def _run(step: Any, state: State, count: int, data: Any) -> tuple[State, float]:
    """Steps that follow each other on the device; the host looks at the last one only."""
    for _ in range(count):
        logs, state = step(state, data)
    return state, float(jax.block_until_ready((logs, state))[0]["loss"])


def _gigabytes(step: Any) -> float:
    """What the step needs at once; what is given up counts as argument and not as result."""
    memory = step.memory_analysis()
    needed = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return (needed + memory.temp_size_in_bytes - memory.alias_size_in_bytes) / 1e9


if __name__ == "__main__":
    app.run(main)
