"""What every benchmark of faces is: images, sets of images, and pairs of sets, checked."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.protocols import checks

# How the images of two sets become one distance.
SINGLE: Final = "single"
MEAN_EMBEDDING: Final = "mean_embedding"
MEDIA_MEAN: Final = "media_mean"
MEAN_SIMILARITY: Final = "mean_similarity"
SET_RULES: Final = (SINGLE, MEAN_EMBEDDING, MEDIA_MEAN, MEAN_SIMILARITY)

UNKNOWN: Final = -1
# What is kept as int32, in the order of the digest; `pair` has two columns, the others one.
COLUMNS: Final = ("member_image", "member_template", "member_media", "pair", "person", "fold")


@dataclass(frozen=True, eq=False)
class Protocol:
    """Which images are compared with which, and what the truth is.

    A template is the set of images that stands for a face: one image in LFW, the frames of a video
    in YTF, all media of a subject in IJB. Pairs are pairs of templates.

    Args:
        name: For reports, such as `"lfw_view2"`.
        image: Names of all images, each once, [N]; every one is a member of a template.
        member_image: int [R], which image each member of a template is.
        member_template: int [R], which template it belongs to; ascending, every template occurs.
        member_media: int [R], which video or still it came from; used by `"media_mean"` only.
        pair: int [P, 2], two different templates each.
        same: bool [P], whether both show one person; both kinds of pairs occur.
        person: int [M], the person of each template; -1 where the protocol does not say.
        fold: int [P] from 0, or None where the protocol has no folds. There are two folds or more,
            and each holds both kinds of pairs.
        set_rule: `"single"` (one image per template), `"mean_embedding"` (mean, then unit
            length), `"media_mean"` (mean per medium, then their sum, then unit length) or
            `"mean_similarity"` (mean of the cosines of all image pairs of the two templates).
        slices: Further columns, text [P] by name, by which scores are told apart.

    Raises:
        ValueError: Shapes do not fit, an index is out of range, a template is empty, a kind of
            pairs is missing, or `same` contradicts `person`.
    """

    name: str
    image: tuple[str, ...]
    member_image: NDArray[np.int32]
    member_template: NDArray[np.int32]
    member_media: NDArray[np.int32]
    pair: NDArray[np.int32]
    same: NDArray[np.bool_]
    person: NDArray[np.int32]
    fold: NDArray[np.int32] | None = None
    set_rule: str = SINGLE
    slices: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # The only way into a frozen dataclass.
        set_field(self, "image", tuple(self.image))
        for name in COLUMNS:
            if (column := getattr(self, name)) is not None:
                set_field(self, name, checks.as_int32(name, column, 1 + (name == "pair")))
        set_field(self, "same", checks.as_bool("same", self.same))
        slices = {name: np.asarray(column, np.str_) for name, column in self.slices.items()}
        set_field(self, "slices", slices)
        if self.set_rule not in SET_RULES:
            raise ValueError(
                f"set_rule must be one of {', '.join(SET_RULES)}. Received: {self.set_rule!r}."
            )
        checks.check_names(self)
        checks.check_members(self, single=self.set_rule == SINGLE)
        checks.check_pairs(self)
        checks.check_truth(self)
        checks.check_folds(self)

    @property
    def num_images(self) -> int:
        """N."""
        return len(self.image)

    @property
    def num_templates(self) -> int:
        """M."""
        return len(self.person)

    @property
    def num_pairs(self) -> int:
        """P."""
        return len(self.same)

    @property
    def num_genuine(self) -> int:
        """Pairs that show one person."""
        return int(np.count_nonzero(self.same))

    @property
    def num_impostor(self) -> int:
        """Pairs that show two people."""
        return self.num_pairs - self.num_genuine

    @property
    def num_people(self) -> int | None:
        """How many people there are; None where the person of a template is not known."""
        if np.any(self.person == UNKNOWN):
            return None
        return len(np.unique(self.person))

    @property
    def num_folds(self) -> int:
        """How many folds there are; 0 where the protocol has none."""
        return 0 if self.fold is None else int(self.fold.max()) + 1

    def counts(self) -> dict[str, Any]:
        """Returns every `num_*` of the protocol by name."""
        names = ("images", "templates", "people", "pairs", "genuine", "impostor", "folds")
        return {f"num_{name}": getattr(self, f"num_{name}") for name in names}

    def digest(self) -> str:
        """SHA-256 of the content, as 64 hexadecimal digits: equal protocols have equal digests."""
        digest = hashlib.sha256()

        def add(label: str, kind: str, content: bytes | memoryview) -> None:
            # Lengths first, so that no content can pass for another one.
            digest.update(json.dumps([label, kind, memoryview(content).nbytes]).encode())
            digest.update(content)

        texts = {"name": self.name, "set_rule": self.set_rule, "image": self.image}
        columns = {name: column.tolist() for name, column in sorted(self.slices.items())}
        for label, text in (texts | {"slices": columns}).items():
            add(label, "text", json.dumps(text).encode())
        for label in (*COLUMNS, "same"):
            if (column := getattr(self, label)) is not None:
                kind = "<i4" if label in COLUMNS else "|b1"
                add(label, kind, memoryview(np.ascontiguousarray(column, kind)).cast("B"))
        return digest.hexdigest()
