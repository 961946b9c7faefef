"""A program: tensorflow-addons' own answers, in the environment of the group `oracle`.

It needs TensorFlow 2.15.1 and tensorflow-addons 0.23.0 (`pip install --group oracle`, Python 3.11),
which do not go together with Keras 3. From the repository:

    ORACLE_PYTHON -m tests.oracles.addons --golden      writes its golden values anew
    ORACLE_PYTHON -m tests.oracles.addons < CASES       answers a JSON list of cases

A case is {"loss", "arguments", "label", "points"}, its answer {"value", "gradient"}.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

from tests.oracles import points

_LOSSES = {
    "triplet_semi_hard": tfa.losses.TripletSemiHardLoss,
    "triplet_hard": tfa.losses.TripletHardLoss,
    "contrastive": tfa.losses.ContrastiveLoss,
}
_METRICS = ("L2", "squared-L2", "angular")
_GOLDEN_DIR = Path(__file__).parents[1] / "golden"
_SOURCE = "tensorflow-addons 0.23.0 on TensorFlow 2.15.1; points of tests/oracles/points.py"


def answer(case):
    prediction = tf.constant(case["points"], tf.float32)
    loss = _LOSSES[case["loss"]](**case["arguments"])
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        value = loss(tf.constant(case["label"]), prediction)
    gradient = tape.gradient(value, prediction).numpy()
    return {"value": float(value), "gradient": gradient.astype(float).tolist()}


def _golden_case(loss, name, arguments):
    case = {"loss": loss, "arguments": arguments, "label": points.LABEL}
    found = answer({**case, "points": getattr(points, name)()})
    gradient = np.array(found["gradient"])
    return {
        "points": name,
        "arguments": arguments,
        "value": round(found["value"], 7),
        "gradient_l1": round(float(np.abs(gradient).sum()), 7),
        "gradient_first": round(gradient[0, 0], 7),
    }


def write_golden():
    margins = [{"margin": 0.2}, {"margin": 1.0}]
    for loss, rules in (
        ("triplet_semi_hard", margins),
        ("triplet_hard", [*margins, {"soft": True}]),
    ):
        cases = [
            _golden_case(loss, name, {**rule, "distance_metric": metric})
            for name, rule, metric in itertools.product(("s1", "s2"), rules, _METRICS)
        ]
        lines = ",\n    ".join(json.dumps(case) for case in cases)
        text = f'{{\n  "source": {json.dumps(_SOURCE)},\n  "cases": [\n    {lines}\n  ]\n}}\n'
        (_GOLDEN_DIR / f"{loss}.json").write_text(text, "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["--golden"]:
        write_golden()
    else:
        print(json.dumps([answer(case) for case in json.load(sys.stdin)]))
