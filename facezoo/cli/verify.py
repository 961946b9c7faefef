"""Are two photographs of the same person? Prints the distance, the threshold and the verdict."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from absl import app, flags

from facezoo import shapes, thresholds
from facezoo.cli import model_loading, threshold_flags, views
from facezoo.cli.embedded import tell_untypical
from facezoo.cli.pictures import read_picture

USAGE = "verify A.jpg B.jpg --model=PATH [--far=1e-2 | --threshold=T] [--json]"
HELP = """Prints the squared L2 distance of the two embeddings (0 equal, 4 opposite), the threshold
with its source, and the verdict: same if the distance is at most the threshold. If a calibration
is stored with the model, also how probable that is, if of all pairs asked about half are genuine.
The pictures must be cropped to the face as those that the model was trained on. Thresholds that
were measured with --crop, --flip, --scales or --fit hold with the same ones only.

Exit codes, for scripts: 0 same, 1 different, 2 error, 3 no verdict, because no measured threshold
is stored with the model."""
SAME, DIFFERENT, NO_VERDICT = 0, 1, 3
_SURE = 0.999


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--model`, `--far`, `--threshold`, and what is done to the pictures."""
    model_loading.define_flag(flag_values)
    views.define_flags(flag_values)
    threshold_flags.define_flags(flag_values)


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Compares two photographs.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read.
        ValueError: A picture, the model or its thresholds cannot be used.
    """
    if len(arguments) != 2:
        raise app.UsageError(f"verify takes two photographs. Received: {len(arguments)}.")
    threshold = threshold_flags.given(options)
    view = views.test_time(options)
    pictures = [read_picture(path) for path in arguments]
    model = model_loading.load(options["model"].value)
    # Who gives a threshold need not care what is stored.
    table = model.bound_thresholds(view) if threshold is None else None
    if table is not None:
        threshold = thresholds.stored(table, options["far"].value)
    typical = model.are_typical(pictures, view)
    untypical = [path for path, fits in zip(arguments, typical, strict=True) if fits is False]
    tell_untypical(untypical, len(pictures), "verify")
    one, other = model.embed_views(pictures, view).astype(np.float64)
    # Rounded as the distances that the thresholds were chosen from.
    distance = float(np.float32(np.sum(np.square(one - other))))
    same = None if threshold is None else distance <= threshold.value
    report = {
        "images": list(arguments),
        "distance": distance,
        "distance_name": shapes.DISTANCE,
        "threshold": None if threshold is None else asdict(threshold),
        "same": same,
        "typical": typical,
        "probability": None if table is None else thresholds.probability(table, distance),
    }
    print(json.dumps(report, indent=2) if options["json"].value else _words(report))
    return {True: SAME, False: DIFFERENT, None: NO_VERDICT}[same]


def _words(report: Mapping[str, Any]) -> str:
    distance = f"distance   {report['distance']:.5g}  (squared L2: 0 equal, 4 opposite)"
    threshold = report["threshold"]
    if threshold is None:
        return (
            f"{distance}\n"
            "threshold  none: no measured threshold is stored with this model. Give the preset "
            "folder\n           that the pipeline's ModelCardGen wrote, or --threshold.\n"
            "verdict    none"
        )
    point = threshold["operating_point"]
    source = threshold["source"]
    if point is not None:
        source = f"operating point {point!r}, chosen on {source}"
    verdict = "same person" if report["same"] else "different people"
    if report["probability"] is not None:
        verdict += (
            f"  (same: {_percent(report['probability'])}, if half of all pairs asked about are)"
        )
    return f"{distance}\nthreshold  {threshold['value']:.5g}  ({source})\nverdict    {verdict}"


def _percent(probability: float) -> str:
    # Nothing that a curve was fitted to is certain.
    if probability > _SURE:
        return f"above {_SURE:.1%}"
    if probability < 1.0 - _SURE:
        return f"below {1.0 - _SURE:.1%}"
    return f"{probability:.1%}"
