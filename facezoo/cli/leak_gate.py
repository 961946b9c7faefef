"""Looks for the people of a benchmark in what the model was trained on, before it is scored."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from absl import flags

from facezoo.cli import model_loading
from facezoo.cli.model_loading import LoadedModel
from facezoo.cli.people import make_witness, read_people
from facezoo.data.people_manifest import Picture, manifest_of
from facezoo.data.test_time import CUT, TestTime
from facezoo.evaluation.benchmark import Benchmark
from facezoo.evaluation.overlap import check_overlap, find_overlap, overlap_table
from facezoo.evaluation.reviews import read_reviews, without_reviewed

_NO_MODEL = "none: nothing was trained"
_UNKNOWN = "not looked for: --train was not given"


def look(
    model: LoadedModel | None, name: str, pictures: Sequence[Picture], options: flags.FlagValues
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """Compares the people of a benchmark with those of `--train`.

    Args:
        model: What is scored; None for baselines alone, which have seen nobody.
        name: Of the benchmark.
        pictures: Of its people.
        options: `--train`, `--train_crop`, `--crop`, `--witness` (the model itself, if there is
            none), `--different` and `--allow_overlap`.

    Returns:
        The table for the report, and its stamp: None if nobody was found.

    Raises:
        OSError: A set cannot be read.
        ValueError: People of the benchmark are in a training set, and that is not allowed.
    """
    sources = options["train"].value
    if model is None or not sources:
        return {"people_in_training": _NO_MODEL if model is None else _UNKNOWN}, None
    reviews = options["different"].value
    reviewed = read_reviews(reviews) if reviews else frozenset()
    if options["witness"].value:
        model = model_loading.load(options["witness"].value)
    # Sets are cut to different proportions: stretched faces would not fit each other.
    train_view = TestTime(options["train_crop"].value, fit=CUT)
    train = [read_people(source, model, train_view) for source in sources]
    witness = make_witness(model, TestTime(options["crop"].value, fit=CUT))
    overlap = find_overlap(train, manifest_of(name, pictures, witness))
    overlap = without_reviewed(overlap, reviewed)
    stamp = check_overlap(overlap, options["allow_overlap"].value)
    return overlap_table(overlap), stamp


def people_of(tested: Benchmark) -> list[Picture]:
    """Takes the folders of a benchmark's images for its people; one in no folder is a person."""
    return [
        Picture(name, _person(name), lambda name=name: tested.images.read(name))
        for name in tested.protocol.image
    ]


def _person(name: str) -> str:
    folder = str(PurePosixPath(name).parent)
    return name if folder == "." else folder
