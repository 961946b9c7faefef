"""Trains one small network on noisy, on cleaned and on clean data: what cleaning is worth.

    python -m tests.benchmarks.curation_gain --witness=PRESET [--data=DIR --crop=0.6]

A third of the people are held out, and their pictures are verified against each other. The others'
labels are flipped, or each of them is split in two; then the network is trained on what is there
(`noisy`), on what `curate` with its defaults makes of it, by the embeddings of a witness that never
saw these labels or of the noisy network itself, and on what is left if all that is wrong is known
(`by the truth`), in about equally many steps. VAL is at a FAR of 1e-2; brackets are bootstrap
intervals over people at 95 %, and do not cover that another seed would train another network:
small differences mean nothing. Every training takes a few minutes of two cores.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

# Before TensorFlow is imported: its notes would stand in the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags

from facezoo import metrics, shapes
from facezoo.cli import model_loading
from facezoo.cli.people import make_witness
from facezoo.curation import DROPPED, Faces, Person
from facezoo.curation.curate import curate
from facezoo.curation.noise import PlantedNoise, flip_labels, plant_noise, split_people
from facezoo.curation.noise_scores import DetectionScores, couples_of, precision_recall
from facezoo.data.augment import Augmentation
from facezoo.data.images import decode_rgb, encode_png, resize
from facezoo.data.schema import FaceRecord
from facezoo.data.sources import list_input
from facezoo.data.synthetic import SyntheticFaces
from facezoo.data.test_time import TestTime, center
from facezoo.models import FaceModel
from facezoo.training import MarginStage, Recipe, TripletStage, create_distribution
from facezoo.training.job import Job, open_batches, run_job
from facezoo.training.training_sets import TrainingSet
from tests.shards import write_shard

_DATA = flags.DEFINE_string("data", "synthetic", "synthetic, or a folder of people.")
_WITNESS = flags.DEFINE_string("witness", None, "A preset with weights.", required=True)
_CROP = flags.DEFINE_float("crop", 1.0, "Share of the sides that is looked at.")
_MIN_IMAGES = flags.DEFINE_integer("min_images", 10, "People with fewer pictures are left out.")
_PEOPLE = flags.DEFINE_integer("people", 150, "Made-up people, of 12 pictures each.")
_NOISE = flags.DEFINE_list("noise", ["0.2", "0.4", "duplicates"], "Shares of flips, or duplicates.")
_SIDE = flags.DEFINE_integer("side", 40, "Of the pictures that are trained on, pixels.")
_EPOCHS = flags.DEFINE_integer("epochs", 15, "Of all pictures; of fewer there are more.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the noise, and of the training.")

_FAR, _IMPOSTORS, _BATCH = 1e-2, 50_000, 64


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of people, and whom they truly show.

    Args:
        image: uint8 [H, W, 3] each.
        label: int [N].
    """

    image: list[np.ndarray]
    label: np.ndarray

    def select(self, rows: np.ndarray) -> "Pictures":
        """Some of them; labels are numbered anew."""
        _, label = np.unique(self.label[rows], return_inverse=True)
        return Pictures([self.image[row] for row in rows], label)

    def small(self) -> list[np.ndarray]:
        """As the network sees them."""
        return [resize(one, _SIDE.value, _SIDE.value) for one in self.image]


def read(folder: Path) -> tuple[Pictures, Pictures]:
    """Returns the pictures to train on and those of the people who are held out."""
    source = _DATA.value
    if source == "synthetic":
        source = str(SyntheticFaces(_PEOPLE.value, 12, seed=_SEED.value).write(folder / "made_up"))
    images = list_input(source, folder / "spool").images
    people, person = np.unique([one.identity for one in images], return_inverse=True)
    enough = np.flatnonzero(np.bincount(person) >= _MIN_IMAGES.value)
    held_out = np.random.default_rng(0).choice(enough, len(enough) // 3, replace=False)
    wanted = np.flatnonzero(np.isin(person, enough))
    pixels = [center(decode_rgb(images[row].read()), _CROP.value) for row in wanted]
    everybody = Pictures(pixels, person[wanted])
    is_out = np.isin(everybody.label, held_out)
    return tuple(everybody.select(np.flatnonzero(rows)) for rows in (~is_out, is_out))


def train(small: list[np.ndarray], label: np.ndarray, epochs: int) -> FaceModel:
    """Trains the network from scratch."""
    recipe = Recipe(
        backbone="mobilefacenet",
        embedding_dim=64,
        standardization="fixed",
        batch_size=_BATCH,
        augmentation=Augmentation(rotation=0.1, zoom=0.1, shift=0.05),
        margin=MarginStage(epochs, 2e-3, ema=0.98),
        triplet=TripletStage(0, 1e-4),
        checkpoint_every=0,
        seed=_SEED.value,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = (
            FaceRecord(
                encode_png(image), "png", *image.shape[:2], f"{row}", f"{one}", int(one), "x"
            )
            for row, (image, one) in enumerate(zip(small, label, strict=True))
        )
        shard = write_shard(folder / "tfrecord", records)
        one_set = TrainingSet("x", (str(shard),), str(folder / "index"))
        job = Job(recipe, (one_set,), str(folder / "work"), str(folder / "log"))
        return run_job(job, open_batches(job), create_distribution("single")).model


def embed(model: FaceModel, small: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Embeds pictures by the network."""
    parts = []
    for start in range(0, len(small), _BATCH):
        image = np.stack(small[start : start + _BATCH]).astype(np.float32)
        parts.append(model(model.preprocessing.standardize(image), training=False))
    return {key: np.concatenate([np.asarray(one[key]) for one in parts]) for key in parts[0]}


def verify(model: FaceModel, test: Pictures) -> str:
    """AUC and VAL of the people who are held out, with their intervals."""
    embedding = embed(model, test.small())[shapes.EMBEDDING]
    one, other = np.triu_indices(len(test.label), 1)
    same = test.label[one] == test.label[other]
    drawn = np.random.default_rng(0).choice(np.flatnonzero(~same), _IMPOSTORS, replace=False)
    pairs = np.concatenate([np.flatnonzero(same), drawn])
    one, other, same = one[pairs], other[pairs], same[pairs]
    distance = 2 - 2 * np.sum(embedding[one] * embedding[other], axis=1)
    person = np.stack([test.label[one], test.label[other]], axis=1)
    interval = metrics.bootstrap_verification(distance, same, person, (_FAR,), num_resamples=300)
    auc = metrics.auc(distance[same], distance[~same])
    val = metrics.val_at_far(distance[same], distance[~same], _FAR).val
    (low, high), ends = interval["auc_interval"], interval["val_at_far_intervals"][_FAR]
    return f"{auc:.3f} [{low:.3f}, {high:.3f}]   {val:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"


def faces_of(answer: dict[str, np.ndarray], label: np.ndarray) -> Faces:
    """What a witness makes of the pictures."""
    people = [Person("data", f"{number:05d}") for number in range(label.max() + 1)]
    files = [f"{row}" for row in range(len(label))]
    return Faces(people, label, files, answer[shapes.EMBEDDING], answer[shapes.NORM])


def make_noise(label: np.ndarray) -> dict[str, PlantedNoise]:
    """The noises by their names."""
    return {
        name: split_people(label, _MIN_IMAGES.value // 2, seed=_SEED.value)
        if name == "duplicates"
        else flip_labels(label, float(name), _SEED.value)
        for name in _NOISE.value
    }


def clean(answer: dict, label: np.ndarray, noise: PlantedNoise) -> tuple[np.ndarray, str]:
    """Curates by the answers of a witness; returns the labels, and how right that was."""
    noisy = plant_noise(faces_of(answer, label), noise)
    cleaned = curate(noisy).cleaned
    dropped = precision_recall(np.flatnonzero(cleaned.label == DROPPED), noise.rows)
    merged = couples_of(couple for group in cleaned.members for couple in combinations(group, 2))
    planted = {frozenset(noisy.people[one] for one in couple) for couple in noise.couples}
    scores = {"dropped": dropped, "merged": precision_recall(merged, planted)}
    return cleaned.label, ", ".join(f"{name} {_short(one)}" for name, one in scores.items())


def _short(scores: DetectionScores) -> str:
    return f"{scores.num_right} of {scores.num_planted} right, {scores.num_found} found"


def by_the_truth(label: np.ndarray, noise: PlantedNoise) -> np.ndarray:
    """The labels without what is wrong."""
    known = label.copy()
    known[noise.rows] = DROPPED
    return known


def main(arguments: list[str]) -> None:
    """Prints one line per training."""
    del arguments
    with tempfile.TemporaryDirectory() as folder:
        learn, test = read(Path(folder))
    small, loaded = learn.small(), model_loading.load(_WITNESS.value)
    witness = make_witness(loaded, TestTime())
    batches = range(0, len(learn.image), _BATCH)
    parts = [witness.embed(learn.image[start : start + _BATCH]) for start in batches]
    seen = {key: np.concatenate([one[key] for one in parts]) for key in parts[0]}

    def line(noise: str, data: str, label: np.ndarray, remark: str = "") -> FaceModel:
        start, rows = time.perf_counter(), np.flatnonzero(label != DROPPED)
        _, left = np.unique(label[rows], return_inverse=True)
        epochs = round(_EPOCHS.value * len(small) / len(rows))
        model = train([small[row] for row in rows], left, epochs)
        seconds = time.perf_counter() - start
        size = f"{len(rows):5} of {left.max() + 1:3}"
        scores = verify(model, test)
        print(f"{noise:11} {data:16} {size} {scores} {seconds:4.0f} s  {remark}", flush=True)
        return model

    print(
        f"{len(learn.label)} pictures to train on, {len(test.label)} of {test.label.max() + 1}",
        flush=True,
    )
    line("none", "clean", learn.label)
    for name, noise in make_noise(learn.label).items():
        model = line(name, "noisy", noise.label)
        for who, answer in (("witness", seen), ("itself", embed(model, small))):
            label, remark = clean(answer, learn.label, noise)
            line(name, f"by {who}", label, remark)
        if noise.rows.size:
            line(name, "by the truth", by_the_truth(learn.label, noise))


if __name__ == "__main__":
    app.run(main)
