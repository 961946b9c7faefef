"""Plants noise in clean data: how much of it each rule of curation finds, and what else it finds.

    python -m tests.benchmarks.curation_noise --model=PRESET [--data=synthetic,orl,DIR] [--crop=0.6]

Duplicate people are people with ten pictures or more, split in random halves; flipped labels go to
anybody else; outliers are pictures of a fifth of the people, who are held out for that, given to
the others; blurred pictures are embedded anew. Every line adds up all seeds; brackets are Wilson's
intervals at 95 %, too narrow where seeds draw the same pictures. What a rule finds in data that
were taken for clean counts as wrong, so that precision is a lower bound; `nothing` says how much
that is. `all rules` is `curate` with its defaults: duplicate people are merged before labels are
judged.
"""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path

# Before TensorFlow is imported: its notes would stand in the table.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from absl import app, flags

from facezoo import metrics
from facezoo.cli import model_loading
from facezoo.cli.people import make_witness
from facezoo.curation import Faces
from facezoo.curation.curate import curate
from facezoo.curation.duplicate_people import DuplicatePeople, find_duplicate_people
from facezoo.curation.low_norms import LowNorms, find_low_norms
from facezoo.curation.noise import (
    PlantedNoise,
    add_outliers,
    choose_pictures,
    flip_labels,
    plant_noise,
    split_people,
)
from facezoo.curation.noise_scores import (
    DetectionScores,
    couples_of,
    dropped_rows,
    merged_couples,
    precision_recall,
)
from facezoo.curation.plan import DROP
from facezoo.curation.wrong_labels import WRONG_LABEL, WrongLabels, cast_votes, find_wrong_labels
from facezoo.data.manifest_file import SUFFIX, load_manifest
from facezoo.data.people_manifest import Picture, Witness, manifest_of
from facezoo.data.sources import list_input
from facezoo.data.synthetic import SyntheticFaces
from facezoo.data.test_time import TestTime
from facezoo.evaluation.perturbations import blur

_DATA = flags.DEFINE_list(
    "data", ["synthetic", "orl"], f"synthetic, orl, folders, or manifests ({SUFFIX})."
)
_MODEL = flags.DEFINE_string("model", None, "The witness; manifests bring the answers of theirs.")
_CROP = flags.DEFINE_float("crop", 1.0, "Share of the sides that the witness sees.")
_MIN_IMAGES = flags.DEFINE_integer("min_images", 10, "People with fewer pictures are left out.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "Times that each noise is planted.")
_FLIPS = flags.DEFINE_list("flips", ["0.1", "0.2", "0.3", "0.4"], "Shares of wrong labels.")
_BLUR = flags.DEFINE_list("blur", ["2", "4", "8"], "Percent of the side; empty for none.")
_PEOPLE = flags.DEFINE_integer("people", 60, "Made-up people, of 20 pictures each.")

# Of the pictures, outliers and blurred ones; of the people, those held out.
_SHARE, _HELD_OUT = 0.1, 5

Found = dict[str, Iterable]


def _pictures(source: str, folder: Path) -> list[Picture]:
    """Pictures of the people with enough of them."""
    if source == "synthetic":
        source = str(SyntheticFaces(_PEOPLE.value, 20).write(folder / "made_up"))
    images = list_input(source, folder / "spool").images
    people, counts = np.unique([one.identity for one in images], return_counts=True)
    enough = set(people[counts >= _MIN_IMAGES.value])
    return [Picture(one.key, one.identity, one.read) for one in images if one.identity in enough]


def _embed(pictures: list[Picture], witness: Witness) -> Faces:
    return Faces.of_manifests([manifest_of("data", pictures, witness)])


def _blurring(witness: Witness, percent: float) -> Witness:
    def embed(images):
        return witness.embed([blur(image, percent) for image in images])

    return witness._replace(embed=embed)


def duplicates(faces: Faces) -> Iterator[tuple[set, Found]]:
    """Yields what was planted and what each rule finds, for each seed."""
    for seed in range(_SEEDS.value):
        noise = split_people(faces.label, _MIN_IMAGES.value // 2, seed=seed)
        noisy = plant_noise(faces, noise)
        alone = DuplicatePeople(nearness=None, agreement=1e-6)
        yield (
            _couples(noisy, noise),
            {
                "cosine of 0.5 alone": merged_couples(find_duplicate_people(noisy, alone)),
                "duplicate people": merged_couples(find_duplicate_people(noisy)),
                "all rules": _merged(noisy),
            },
        )


def _couples(noisy: Faces, noise: PlantedNoise) -> set:
    return {frozenset(noisy.people[one] for one in couple) for couple in noise.couples}


def _merged(noisy: Faces) -> set:
    members = curate(noisy).cleaned.members
    return couples_of(couple for group in members for couple in combinations(group, 2))


def flips(faces: Faces, share: float) -> Iterator[tuple[set, Found]]:
    """The same for wrong labels."""
    for seed in range(_SEEDS.value):
        noise = flip_labels(faces.label, share, seed)
        yield set(noise.rows.tolist()), _label_rules(plant_noise(faces, noise))


def outliers(faces: Faces) -> Iterator[tuple[set, Found]]:
    """The same for pictures of people who are held out."""
    for seed in range(_SEEDS.value):
        people = np.random.default_rng(seed).permutation(faces.num_people)
        is_out = np.isin(faces.label, people[: faces.num_people // _HELD_OUT])
        inside, outside = faces.select(~is_out), np.flatnonzero(is_out)
        count = min(round(_SHARE * inside.num_images), len(outside))
        rows = np.random.default_rng(seed).choice(outside, count, replace=False)
        noise = add_outliers(inside.label, count, seed)
        noisy = plant_noise(inside, noise, faces.select(rows))
        yield set(noise.rows.tolist()), _label_rules(noisy)


def both(faces: Faces) -> Iterator[tuple[set, Found]]:
    """The same for wrong labels among people of whom each is there twice."""
    for seed in range(_SEEDS.value):
        halves = split_people(faces.label, _MIN_IMAGES.value // 2, seed=seed)
        twice = plant_noise(faces, halves)
        noise = flip_labels(twice.label, _SHARE, seed)
        # Given to the other half, a picture is still one of the person's.
        whole = {new: old for old, new in halves.couples.tolist()}
        person = [[whole.get(one, one) for one in labels] for labels in (noise.label, twice.label)]
        wrong = np.flatnonzero(np.not_equal(*person))
        noisy = plant_noise(twice, noise)
        yield (
            set(wrong.tolist()),
            {
                "labels alone": dropped_rows(noisy, find_wrong_labels(noisy)),
                "all rules": _dropped(noisy),
            },
        )


def _label_rules(noisy: Faces) -> Found:
    votes = cast_votes(noisy, WrongLabels(num_folds=5))
    found = {name: np.flatnonzero(vote.is_wrong).tolist() for name, vote in votes.items()}
    number = sum(vote.is_wrong.astype(int) for name, vote in votes.items() if "fold" not in name)
    for least in (2, 3):
        found[f"{least} of 3"] = np.flatnonzero(number >= least).tolist()
    found["wrong labels"] = dropped_rows(noisy, find_wrong_labels(noisy))
    return {**found, "all rules": _dropped(noisy)}


def _dropped(noisy: Faces) -> set[int]:
    """Rows whose label is found wrong after people were merged."""
    row = {file: place for place, file in enumerate(noisy.file)}
    return {
        row[one.subject.file]
        for one in curate(noisy).decisions
        if one.action == DROP and WRONG_LABEL in one.evidence
    }


def blurred(faces: Faces, spoiled: Faces) -> Iterator[tuple[set, Found]]:
    """The same for pictures of which a blurred version stands in their place."""
    for seed in range(_SEEDS.value):
        rows = choose_pictures(faces.label, _SHARE, seed).rows
        embedding, norm = faces.embedding.copy(), faces.norm.copy()
        embedding[rows], norm[rows] = spoiled.embedding[rows], spoiled.norm[rows]
        noisy = dataclasses.replace(faces, embedding=embedding, norm=norm, hashes=None)
        percent = 100 * _SHARE
        options = {
            "low norms": LowNorms(),
            f"lowest {percent:g} %": LowNorms(percentile=percent),
            f"lowest {percent:g} % of each": LowNorms(percentile=percent, per_identity=True),
        }
        row = {file: place for place, file in enumerate(noisy.file)}
        found = {
            name: [row[one.subject.file] for one in find_low_norms(noisy, rule)]
            for name, rule in options.items()
        }
        found["wrong labels"] = dropped_rows(noisy, find_wrong_labels(noisy))
        yield set(rows.tolist()), found


def report(noise: str, experiments: Iterable[tuple[set, Found]]) -> None:
    """Prints one line for each rule."""
    total: dict[str, DetectionScores] = {}
    for planted, found in experiments:
        for name, things in found.items():
            scores = precision_recall(things, planted)
            total[name] = total[name] + scores if name in total else scores
    for name, scores in total.items():
        precision = _cell(scores.precision, scores.precision_interval)
        recall = _cell(scores.recall, scores.recall_interval)
        counts = f"{scores.num_found:6} found {scores.num_planted:6} planted"
        print(f"{noise:16} {name:20} {precision:22} {recall:22} {counts}", flush=True)


def _cell(share: float | None, interval: tuple[float, float] | None) -> str:
    if share is None:
        return "-"
    return f"{share:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def table(source: str, faces: Faces, spoil: Callable[[float], Faces] | None) -> None:
    """Prints the lines of one data set."""
    print(f"\n{source}: {faces.num_images} pictures of {faces.num_people} people")
    print(f"{'noise':16} {'rule':20} {'precision':22} recall")
    nothing = {**_label_rules(faces), "duplicate people": _merged(faces)}
    report("nothing", [(set(), nothing)])
    report("duplicates", duplicates(faces))
    for share in map(float, _FLIPS.value):
        report(f"flips {share:.0%}", flips(faces, share))
    report("outliers 10 %", outliers(faces))
    report("both", both(faces))
    for percent in map(float, _BLUR.value if spoil else ()):
        spoiled = spoil(percent)
        auc = metrics.auc(spoiled.norm, faces.norm)
        print(f"blur {percent:g} %: {auc:.3f} of couples (blurred, sharp) have norms in that order")
        report(f"blur {percent:g} %", blurred(faces, spoiled))


def main(arguments: list[str]) -> None:
    """Prints one table for each data set."""
    del arguments
    witness = None
    if _MODEL.value:
        witness = make_witness(model_loading.load(_MODEL.value), TestTime(crop=_CROP.value))
    for source in _DATA.value:
        if source.endswith(SUFFIX):
            faces = Faces.of_manifests([load_manifest(source)])
            enough = faces.num_images_of()[faces.label] >= _MIN_IMAGES.value
            table(source, faces.select(enough), None)
            continue
        if witness is None:
            raise app.UsageError(f"--model is needed for {source}: only manifests go without it.")
        with tempfile.TemporaryDirectory() as folder:
            pictures = _pictures(source, Path(folder))
            faces = _embed(pictures, witness)
            table(source, faces, lambda by, rest=pictures: _embed(rest, _blurring(witness, by)))


if __name__ == "__main__":
    app.run(main)
