"""Made-up statistics and scores, as a model card's reports hold them; and how a card is read."""

import json
import re

import numpy as np
import yaml

from facezoo import evaluation
from facezoo.data.examples import encode_example
from facezoo.data.records import RecordWriter
from facezoo.data.schema import FaceRecord
from facezoo.models import model_fingerprint
from pipelines.counting import count_shard
from pipelines.evaluation_breakdown import break_down
from pipelines.statistics import statistics_proto

PEOPLE = {"train": {"Ann": 5, "Bo": 3}, "eval": {"Cy": 4, "Di": 4, "Ed": 3, "Flo": 2}}
HISTORY = [
    {"stage": "margin", "step": 10, "loss": 3.25, "class_accuracy": 0.125, "learning_rate": 1e-3},
    {"stage": "margin", "step": 20, "loss": 1.5, "class_accuracy": 0.75, "learning_rate": 1e-4},
    {"stage": "later", "step": 25, "loss": 0.0625, "learning_rate": 1e-4},
]


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
    measured = np.random.default_rng(3).uniform(size=(len(label), 3))
    details = break_down(embeddings["model"].astype(np.float32), label, measured, scores["model"])
    write_json(
        folder / "metrics.json",
        {**scores, "baseline_model": baseline and scores[baseline], **counts, **verdict, **details},
    )
    write_json(folder / "thresholds.json", table)
    for name in ("roc.png", "distances.png"):
        (folder / name).write_bytes(name.encode())


def write_inputs(folder, inputs, model):
    """Writes the artifacts of a run, of the types by key that are given."""
    made = {}
    for key, artifact_type in inputs.items():
        (folder / key).mkdir()
        made[key] = artifact_type(folder / key)
    model.save_preset(made["model"].uri)
    serving = made["model"].uri / "Format-Serving" / "variables"
    serving.mkdir(parents=True)
    (serving.parent / "saved_model.pb").write_bytes(b"x" * 123_456)
    (serving / "variables.index").write_bytes(b"x" * 1_000_000)
    write_json(made["model_run"].uri / "history.json", HISTORY)
    write_evaluation(made["evaluation"].uri, model)
    made["model_blessing"].properties = {"blessed": 1}
    made["pushed_model"].properties = {"pushed": 1, "pushed_version": "3"}
    examples = made["transformed_examples"].uri
    write_json(examples / "counts.json", {"found": 21, "train": 7, "eval": 13, "quarantined": 1})
    write_json(examples / "dataset_info.json", {"name": "orl", "version": "1.0.0"})
    write_statistics(made["statistics"])
    for artifact in made.values():
        artifact.write_sidecar()
    return made


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def table(text, header):
    """The rows of the table under a header, cells stripped."""
    lines = iter(text.splitlines())
    assert any(line == header for line in lines), f"no table {header}"
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def front_matter(card):
    text = (card / "README.md").read_text()
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n")[1])


def numbers(text):
    return re.findall(r"\d+(?:[.,]\d+)*(?:e-?\d+)?", text)


def written(value):
    """The ways in which a card may write a value."""
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, int | float):
        forms = [str(value), f"{value:.4f}", f"{value:.5g}", f"{value:.0f}", f"{value / 1e6:.1f}"]
        return set(numbers(" ".join([*forms, f"{value:,}"])))
    return set(numbers(json.dumps(value)))
