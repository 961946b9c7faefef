"""Made-up reports with the pairs behind them, for the tests of what shows them."""

import numpy as np

from facezoo import metrics
from facezoo.evaluation.scored_pairs import ScoredPairs
from tests.photographs import encoded, photograph

SYSTEMS = {"model": ("facenet", 0.9), "pixels": ("raw pixels", 0.2)}


def scored_pairs(num_pairs=600, systems=SYSTEMS, seed=0):
    """Normal distances around 1.4, genuine ones nearer by as much as `systems` says."""
    generator = np.random.default_rng(seed)
    same = generator.permutation(num_pairs) < num_pairs // 3
    person = np.full((num_pairs, 2), -1)
    scored = {}
    for key, (_, nearer) in systems.items():
        distance = generator.normal(1.4 - nearer * same, 0.25).clip(0, 4).astype(np.float32)
        scored[key] = ScoredPairs(distance, same, person)
    return scored


def system_report(name, pairs, targets=(0.1, 0.01)):
    """What `report.json` says of a system."""
    genuine, impostor = pairs.genuine, pairs.impostor
    threshold = metrics.best_threshold(genuine, impostor)
    points = [(target, metrics.val_at_far(genuine, impostor, target, True)) for target in targets]
    return {
        **{"name": name, "model": None, "fingerprint": None, "preprocessing": None},
        **{"embedding_dim": 128, "fisher_ratio": 3.25},
        **{"auc": metrics.auc(genuine, impostor), "auc_interval": (0.91, 0.93)},
        **{"eer": metrics.eer(genuine, impostor)[0], "eer_interval": (0.05, 0.08)},
        **{"accuracy": metrics.accuracy(genuine, impostor, threshold)},
        **{"accuracy_interval": (0.93, 0.96), "accuracy_standard_error": None},
        **{"accuracy_threshold": threshold, "accuracy_rule": "threshold of 10 other people"},
        "val_at_far": [
            {"target": target, "threshold": point.threshold, "val": point.val, "far": point.far}
            | {"val_interval": (0.7, 0.9), "far_interval": (0.0, 2 * target)}
            for target, point in points
        ]
        + [{"target": 1e-6, "refused": "too few impostor pairs"}],
        "slices": [],
    }


def make_report(scored, names=SYSTEMS, **parts):
    """A whole `report.json`; `parts` replace or add what stands at its top."""
    same = next(iter(scored.values())).same
    protocol = {"name": "lfw_view1_test", "num_images": 1549, "num_templates": 1200}
    protocol |= {"num_people": 963, "num_genuine": int(same.sum()), "num_folds": 0}
    protocol |= {"num_impostor": int((~same).sum()), "set_rule": "single", "digest": "abc123"}
    report = {
        **{"format": 1, "title": "LFW View 1", "contaminated": None, "protocol": protocol},
        "options": {"flip": "concat", "scales": [1.0], "crop": 0.6, "confidence": 0.95},
        "systems": {key: system_report(names[key][0], scored[key]) for key in scored},
        "thresholds": None,
    }
    return report | parts


def pictures_of(pair):
    """Two made-up images of a pair, named after it."""
    return tuple(
        (f"person_{pair}/{side}.png", encoded(photograph(2 * pair + side, 200, 160), "PNG"))
        for side in range(2)
    )


SLICE = {"slice": "pose", "value": "profile", "num_genuine": 40, "num_impostor": 0}
SLICE |= {"auc": None, "auc_interval": None, "val": 0.75, "far": None}
ROBUSTNESS = {"name": "JPEG quality", "unit": "", "far_target": 0.01}
ROBUSTNESS["rows"] = [
    {"value": 10, "val": 0.5, "val_interval": (0.4, 0.6), "auc": 0.8, "accuracy": 0.7},
    {"value": 90, "val": None, "val_interval": None, "auc": 0.9, "accuracy": None},
    {"value": None, "val": 0.875, "val_interval": (0.8, 0.9), "auc": 0.95, "accuracy": 0.9},
]
QUANTIZATION = [
    {"bytes": 128, "auc_float": 0.9912, "val": [{"target": 0.01, "val_bytes": 0.625}]},
]
THRESHOLDS = {"distance": "squared_l2", "calibration": {"slope": -5.5}}
THRESHOLDS["operating_points"] = [
    {"name": "far_1e-2", "threshold": 1.0625, "val": 0.9, "val_interval": (0.85, 0.95)},
]
PARTS = {"thresholds": THRESHOLDS, "robustness": [ROBUSTNESS], "quantization": QUANTIZATION}
PARTS |= {"overlap": {"people_by_name": 3}}
