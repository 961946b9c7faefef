"""How often a gallery names enrolled people rightly, and strangers at all.

    python -m facezoo gallery enrol people.gallery PEOPLE_DIR --model=PRESET_DIR
    python -m tests.benchmarks.open_set --gallery=people.gallery --fpir=1e-1,1e-2

Half of the people, drawn with a fixed seed, are enrolled: all their pictures but one of those who
have several, which is looked for. The other half are strangers; all their pictures are looked for.
Thresholds are measured without either: on the enrolled, by leaving out (`fpir`), and on pairs of
their pictures (`far`), as a threshold stored with a model is.
"""

import numpy as np
from absl import app, flags

from facezoo.gallery import Faces, Gallery, Identifier, IdentifyOptions, calibrate
from facezoo.gallery.identify import NEAREST, RULES, strangers_let_in
from facezoo.metrics import wilson_interval

_GALLERY = flags.DEFINE_string("gallery", None, "Everybody.", required=True)
_FPIR = flags.DEFINE_list("fpir", ["1e-1", "1e-2"], "Targets of the calibration.")
_FAR = flags.DEFINE_list("far", ["1e-3", "1e-4"], "FARs of thresholds for pairs.")
_PAIRS = 2_000_000


def _some(faces: Faces, rows: np.ndarray) -> Faces:
    people, label = np.unique(faces.label[rows], return_inverse=True)
    names = tuple(faces.people[person] for person in people)
    return Faces(names, label, faces.embedding[rows], tuple(faces.source[row] for row in rows))


def _impostor_distances(faces: Faces, random: np.random.Generator) -> np.ndarray:
    one, other = random.integers(0, len(faces), (2, _PAIRS))
    differ = faces.label[one] != faces.label[other]
    one, other = one[differ], other[differ]
    parts = np.array_split(np.arange(len(one)), 100)
    cosine = [
        np.einsum("nd,nd->n", faces.embedding[one[part]], faces.embedding[other[part]])
        for part in parts
    ]
    return 2.0 - 2.0 * np.concatenate(cosine)


def main(arguments: list[str]) -> None:
    """Prints one line per rule and threshold."""
    del arguments
    faces, random = Gallery(_GALLERY.value).faces(), np.random.default_rng(0)
    is_enrolled = random.permutation(len(faces.people)) % 2 == 0
    inside = is_enrolled[faces.label]
    last = np.append(faces.label[1:] != faces.label[:-1], True)
    held = inside & last & (np.bincount(faces.label)[faces.label] > 1)
    enrolled = _some(faces, np.flatnonzero(inside & ~held))
    mated, strangers = np.flatnonzero(held), np.flatnonzero(~inside)
    print(
        f"{len(enrolled.people):,} people with {len(enrolled):,} pictures enrolled; searches: "
        f"{len(mated):,} of them, {len(strangers):,} of {np.count_nonzero(~is_enrolled):,} others"
    )
    impostors = _impostor_distances(enrolled, random)
    for rule in RULES:
        identifier = Identifier(enrolled, IdentifyOptions(rule))
        points = {
            f"fpir {one.target:g}": (one.threshold, f"by leaving out {one.tpir:.4f} {one.fpir:.4f}")
            for one in calibrate(enrolled, [float(text) for text in _FPIR.value], rule)
        }
        for text in _FAR.value if rule == NEAREST else ():
            expected = strangers_let_in(float(text), identifier.num_compared)
            told = f"as independent pairs - {expected:.4f}"
            points[f"far {text}"] = np.quantile(impostors, float(text)), told
        for name, (threshold, told) in points.items():
            found = identifier(faces.embedding[mated], threshold)
            names = [faces.people[faces.label[row]] for row in mated]
            right = sum(one.identity == name for one, name in zip(found, names, strict=True))
            others = identifier(faces.embedding[strangers], threshold)
            wrong = sum(one.identity is not None for one in others)
            low, high = wilson_interval(wrong, len(strangers))
            print(
                f"{rule:<8} {name:<10} threshold {threshold:.4f}  TPIR {right / len(mated):.4f}  "
                f"FPIR {wrong / len(strangers):.4f} [{low:.4f}, {high:.4f}]  ({told})"
            )


if __name__ == "__main__":
    app.run(main)
