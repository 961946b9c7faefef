"""A step on a large batch in pieces: time and memory of gradient caching.

`python -m tests.benchmarks.gradient_cache --variant=nn4_small2 --cases=360/1,360/4,360/12,1800/45`
Each case, batch/chunks, has a process of its own; its memory is the peak over that before the model
was made, its time the median of the steps behind the first, beside one chunk of the same batch.
"""

import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

_VARIANT = flags.DEFINE_string("variant", "nn4_small2", "Network.")
_CASES = flags.DEFINE_list("cases", ["360/1", "360/4", "360/12", "1800/45"], "batch/chunks.")
_STEPS = flags.DEFINE_integer("steps", 3, "Steps that are timed.")
_CASE = flags.DEFINE_string("case", None, "Used by the processes that this one starts.")
_PER_IDENTITY = 40


def measure(variant: str, batch: int, num_chunks: int, steps: int) -> dict[str, float]:
    """Trains with triplets and returns median seconds per step and MiB."""
    import facezoo
    from facezoo.training import Distribution, Schedule, Stage
    from facezoo.training.stage import compile_stage
    from facezoo.training.steps import make_steps

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = facezoo.create_model(variant)
    loss = facezoo.TripletSemiHardLoss(0.2, "squared-L2")
    compile_stage(Stage("triplet", loss, Schedule(1, 0.01), model), steps)
    step = make_steps(model, Distribution(), num_chunks)
    shape = model.preprocessing.image_shape
    image = np.random.default_rng(0).normal(size=(batch, *shape)).astype(np.float32)
    label = np.arange(batch, dtype=np.int32) // _PER_IDENTITY
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        step((image, label))
        seconds.append(time.perf_counter() - start)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": statistics.median(seconds[1:]), "mib": used / 1024}


def main(_: list[str]) -> None:
    """Prints the table."""
    if _CASE.value:
        batch, chunks = map(int, _CASE.value.split("/"))
        print(json.dumps(measure(_VARIANT.value, batch, chunks, _STEPS.value)))
        return
    whole: dict[str, dict[str, float]] = {}
    print(f"{_VARIANT.value}: batch/chunks  seconds per step  (ratio)  MiB  (ratio)")
    for case in _CASES.value:
        command = [sys.executable, "-m", "tests.benchmarks.gradient_cache", f"--case={case}"]
        command += [f"--variant={_VARIANT.value}", f"--steps={_STEPS.value}"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = json.loads(output.splitlines()[-1])
        first = whole.setdefault(case.split("/")[0], found)
        ratios = (found["seconds"] / first["seconds"], found["mib"] / first["mib"])
        print(
            f"{case:>12}  {found['seconds']:10.2f}  ({ratios[0]:.2f})  "
            f"{found['mib']:8.0f}  ({ratios[1]:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
