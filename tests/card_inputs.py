"""Made-up statistics and scores, as a model card's reports hold them."""

import json

import numpy as np

from facezoo import evaluation
from facezoo.data.examples import encode_example
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord
from facezoo.models import model_fingerprint
from pipelines.counting import count_shard
from pipelines.statistics import statistics_proto

PEOPLE = {"train": {"Ann": 5, "Bo": 3}, "eval": {"Cy": 4, "Di": 4, "Ed": 3, "Flo": 2}}


def write_json(path, content):
    path.write_text(json.dumps(content))


def write_statistics(artifact):
    for split, people in PEOPLE.items():
        folder = artifact.split_dir(split)
        folder.mkdir()
        shard = folder / "shard"
        with RecordWriter(shard) as writer:
            for label, (name, num_images) in enumerate(people.items()):
                for i in range(num_images):
                    record = FaceRecord(
                        b"x", "png", 112 + i, 92 + 2 * i, f"{name}/{i}", name, label, "orl"
                    )
                    writer.write(encode_example(record))
        proto = statistics_proto(split, count_shard(str(shard)))
        shard.unlink()
        (folder / "FeatureStats.pb").write_bytes(proto.SerializeToString(deterministic=True))
    artifact.splits = list(PEOPLE)


def write_evaluation(folder, model, blessed=True, baseline=None):
    # Enough impostor pairs for a FAR of 1e-2 in each half, too few for 1e-3.
    label = np.repeat(np.arange(12), 9)
    scores, embeddings = {}, {}
    for spread, row in enumerate(("model", "untrained", "pixel")):
        noise = np.random.default_rng(spread).normal(scale=0.3 + spread, size=(len(label), 12))
        points = np.eye(12)[label] + noise
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        scores[row] = evaluation.evaluate_embedding(points.astype(np.float32), label)
        embeddings[row] = points
    bound_to = {
        "model": model_fingerprint(model),
        "preprocessing": model.preprocessing.fingerprint(),
    }
    table = evaluation.table_of_halves(embeddings["model"], label, bound_to, "half of orl")
    counts = {
        key: scores["model"][key]
        for key in ("num_identities", "num_images", "num_genuine", "num_impostor")
    }
    verdict = {"blessed": blessed, "reasons": ["AUC 0.99 is above 0.5 of the raw pixels"]}
    write_json(
        folder / "metrics.json",
        {**scores, "baseline_model": baseline and scores[baseline], **counts, **verdict},
    )
    write_json(folder / "thresholds.json", table)
    for name in ("roc.png", "distances.png"):
        (folder / name).write_bytes(name.encode())
