"""Writes the forms of a model one after the other, and measures each from its file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from facezoo import presets
from facezoo.cli.evaluation_files import write_json
from facezoo.cli.export_measures import (
    Image,
    images_per_second,
    likeness,
    standardized,
    verification,
)
from facezoo.cli.pictures import read_picture
from facezoo.data.synthetic import SyntheticFaces
from facezoo.data.test_time import TestTime
from facezoo.evaluation.benchmark import Benchmark, unchanged
from facezoo.evaluation.system import Picture, read_pictures
from facezoo.models import FaceModel, model_fingerprint
from facezoo.models.description import describe
from facezoo.serving.formats import (
    KERAS,
    Embed,
    Form,
    TrainedModel,
    keras_embed,
    served_thresholds,
)

FACTS: Final = "export.json"
NUM_CALIBRATION: Final = 128
# Beyond it an embedding is another one, and not a matter of rounding.
MAX_DIFFERENCE: Final = 1e-4
_FORMAT: Final = 1
_NUM_CHECKED: Final = 32
_NUM_PAINTED: Final = 8


@dataclass(frozen=True, eq=False)
class Export:
    """A model that is written, and what is measured of it.

    Args:
        model: Built.
        preset: Content of the preset.json that was saved with it; None if there is none.
        view: What is done to a picture beside the model's own preprocessing.
        calibration: Photographs for 8-bit integers; empty for none.
        benchmark: Pairs to score; None for none.
        far_targets: FARs at which VAL is reported.
    """

    model: FaceModel
    preset: Mapping[str, Any] | None
    view: TestTime
    calibration: Sequence[str]
    benchmark: Benchmark | None
    far_targets: Sequence[float]

    def write(self, folder: Path, forms: Sequence[Form]) -> dict[str, Any]:
        """Writes everything.

        Args:
            folder: Empty.
            forms: Which.

        Returns:
            The content of export.json.

        Raises:
            OSError: A file cannot be read or written.
            ValueError: A picture cannot be used, or a form does not embed as Keras does.
        """
        preset = {**describe(self.model), **self._kept()}
        weights = KERAS.path if KERAS in forms else None
        presets.save(folder, {**preset, "weights": weights})
        trained = TrainedModel(self.model, preset, self._calibration_image())
        reference = keras_embed(self.model)
        image, words = self._check_image()
        embeds, rows = {}, []
        for form in forms:
            form.write(trained, folder / form.path)
            embeds[form.name] = form.open(folder / form.path)
            found = likeness(embeds[form.name](image), reference(image))
            if form.exact:
                _check(form, found)
            rows.append({"form": form.name, "path": form.path, **found})
        self._measure(rows, folder, embeds, reference, image)
        report = {
            "format": _FORMAT,
            "name": preset["name"],
            "model": model_fingerprint(self.model),
            "preprocessing": self.model.preprocessing.fingerprint(),
            "checked_on": words,
            "num_calibration": 0 if trained.calibration is None else len(trained.calibration),
            "pairs": self.benchmark and self.benchmark.facts(),
            "thresholds_served": served_thresholds(trained) is not None,
            "forms": rows,
        }
        write_json(folder / FACTS, report)
        return report

    def _kept(self) -> dict[str, Any]:
        kept = ("name", "thresholds", "crop_statistics")
        return {} if self.preset is None else {field: self.preset[field] for field in kept}

    def _calibration_image(self) -> Image | None:
        if not self.calibration:
            return None
        return self._image([read_picture(path) for path in _spread(self.calibration)])

    def _image(self, pictures: Sequence[Picture]) -> Image:
        preprocessing = self.model.preprocessing
        size = (preprocessing.height, preprocessing.width)
        shown = [one for picture in pictures for one in self.view.views(picture, size)]
        return standardized(shown, preprocessing)

    def _check_image(self) -> tuple[Image, str]:
        """Returns what the forms are compared on, and what that is in words."""
        if self.benchmark is not None:
            names = self.benchmark.protocol.image[:_NUM_CHECKED]
            pictures = list(read_pictures(self.benchmark.images.read, names, unchanged))
            words = f"of {self.benchmark.protocol.name}"
        elif self.calibration:
            pictures = [read_picture(path) for path in islice(self.calibration, _NUM_CHECKED)]
            words = "that calibrated it too"
        else:
            faces = SyntheticFaces(num_people=_NUM_PAINTED, images_per_person=1)
            pictures = [faces.image(person, 0) for person in range(_NUM_PAINTED)]
            words = "of painted faces"
        return self._image(pictures), f"{len(pictures)} pictures {words}"

    def _measure(
        self,
        rows: Sequence[dict[str, Any]],
        folder: Path,
        embeds: Mapping[str, Embed],
        reference: Embed,
        image: Image,
    ) -> None:
        speed = images_per_second(embeds, image)
        whole = self._score("Keras", reference)
        for row in rows:
            name = row["form"]
            row["bytes"] = _num_bytes(folder / row["path"])
            row["images_per_second"] = speed[name]
            row["verification"] = found = self._score(name, embeds[name])
            row["change"] = found and {
                "auc": found["auc"] - whole["auc"],
                "val": {far: found["val"][far] - whole["val"][far] for far in found["val"]},
            }

    def _score(self, name: str, embed: Embed) -> dict[str, Any] | None:
        if self.benchmark is None:
            return None
        preprocessing = self.model.preprocessing
        return verification(name, embed, self.benchmark, preprocessing, self.far_targets)


def _spread(paths: Sequence[str]) -> list[str]:
    """As many as are used, evenly spaced."""
    number = min(len(paths), NUM_CALIBRATION)
    return [paths[index] for index in np.linspace(0, len(paths) - 1, number).round().astype(int)]


def _check(form: Form, found: Mapping[str, float]) -> None:
    # NaN must not pass.
    if not found["max_difference"] <= MAX_DIFFERENCE:
        raise ValueError(
            f"The form {form.name} does not embed as Keras does: its embeddings differ by "
            f"{found['max_difference']:.2g}. Expected: at most {MAX_DIFFERENCE:g}. Nothing was "
            "written. Is the model trained, with finite weights? Else leave the form out of "
            "--formats, and tell us which network it is."
        )


def _num_bytes(path: Path) -> int:
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files)
