"""Made-up people, painted by numbers: faces for tests and benchmarks, without any photograph."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facezoo.data.face_painting import Canvas, Traits, finish, paint_face
from facezoo.data.images import decode_rgb, encode_jpeg

_Range = tuple[float, float]
# What makes a person, drawn once for each. Lengths are in half heights of an average head.
_PERSON: Final[Mapping[str, _Range]] = {
    "head_width": (0.66, 0.86),
    "head_height": (0.92, 1.08),
    "jaw": (0.02, 0.3),
    "skin": (0.35, 1.0),
    "skin_red": (-1.0, 1.0),
    "hair": (0.0, 0.8),
    "hair_red": (0.0, 0.8),
    "hair_volume": (0.03, 0.22),
    "hair_length": (0.0, 1.2),
    "hairline": (-0.72, -0.42),
    "parting": (-0.25, 0.25),
    "fringe_bend": (-0.1, 0.35),
    "ears": (0.12, 0.22),
    "eye_y": (-0.14, 0.06),
    "eye_distance": (0.27, 0.39),
    "eye_width": (0.11, 0.18),
    "eye_height": (0.05, 0.1),
    "eye_tilt": (-0.2, 0.2),
    "iris_green": (0.0, 1.0),
    "iris_blue": (0.0, 1.0),
    "brow_y": (0.14, 0.27),
    "brow_width": (0.14, 0.24),
    "brow_height": (0.02, 0.055),
    "brow_tilt": (-0.25, 0.25),
    "brow_bend": (0.0, 0.1),
    "nose_length": (0.32, 0.5),
    "nose_width": (0.1, 0.19),
    "mouth_y": (0.56, 0.72),
    "mouth_width": (0.18, 0.34),
    "lips": (0.035, 0.09),
    "lip_color": (-1.0, 1.0),
    "beard": (-0.8, 0.6),
    **{f"mole{number}": (-1.5, 1.0) for number in range(3)},
    **{f"mole_x{number}": (-0.5, 0.5) for number in range(3)},
    **{f"mole_y{number}": (-0.3, 0.7) for number in range(3)},
}
# What differs between two pictures of one person.
_SHOT: Final[Mapping[str, _Range]] = {
    "shift_x": (-0.06, 0.06),
    "shift_y": (-0.06, 0.06),
    "size": (0.36, 0.45),
    "roll": (-0.2, 0.2),
    "yaw": (-0.45, 0.45),
    "pitch": (-0.15, 0.15),
    "light_x": (-0.35, 0.35),
    "light_y": (-0.2, 0.1),
    "gain": (0.6, 1.2),
    "contrast": (0.7, 1.15),
    "warmth": (-0.12, 0.12),
    "back_red": (0.1, 0.9),
    "back_green": (0.1, 0.9),
    "back_blue": (0.1, 0.9),
    "back_x": (-0.4, 0.4),
    "back_y": (-0.4, 0.4),
    "cloth_red": (0.05, 0.9),
    "cloth_green": (0.05, 0.9),
    "cloth_blue": (0.05, 0.9),
    "fringe": (-0.06, 0.06),
    "eyes_open": (0.5, 1.1),
    "gaze": (-1.0, 1.0),
    "brow_lift": (-0.03, 0.05),
    "smile": (-0.4, 1.0),
    "mouth_open": (-0.06, 0.12),
    "blur": (0.0, 0.008),
    "noise": (0.005, 0.03),
    "quality": (60.0, 95.0),
}
_LEAST_SIDE: Final = 8


@dataclass(frozen=True)
class SyntheticFaces:
    """People who do not exist, each with pictures that differ in pose, light and expression.

    A person is 41 numbers of shape and colour, a picture 28 more, all drawn from the seed: any
    picture can be made without the others, and is the same again. They are drawings, and say how
    well a program works, not how well a model knows people.

    Args:
        num_people: How many there are.
        images_per_person: Pictures of each.
        height: Pixels.
        width: Pixels.
        seed: Other seeds give other people.

    Raises:
        ValueError: A number is too small.

    Example:
        >>> faces = SyntheticFaces(num_people=2, images_per_person=3, height=32, width=24)
        >>> faces.image(person=1, number=2).shape
        (32, 24, 3)
    """

    num_people: int = 40
    images_per_person: int = 10
    height: int = 112
    width: int = 112
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"num_people": 1, "images_per_person": 1, "seed": 0}
        least |= {"height": _LEAST_SIDE, "width": _LEAST_SIDE}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value != int(value) or value < smallest:
                raise ValueError(
                    f"{name} must be a whole number, {smallest} or more. Received: {value}."
                )

    def image(self, person: int, number: int) -> NDArray[np.uint8]:
        """Paints a picture, as a reader finds it in its JPEG file.

        Args:
            person: From 0 to `num_people` - 1.
            number: From 0 to `images_per_person` - 1.

        Returns:
            uint8 [H, W, 3], RGB.

        Raises:
            ValueError: There is no such person or picture.
        """
        return decode_rgb(self.encoded(person, number))

    def encoded(self, person: int, number: int) -> bytes:
        """Paints a picture and encodes it as JPEG; see `image`."""
        for name, value, size in (
            ("person", person, self.num_people),
            ("number", number, self.images_per_person),
        ):
            if not 0 <= value < size:
                raise ValueError(f"{name} must be from 0 to {size - 1}. Received: {value}.")
        traits = _draw(_PERSON, np.random.default_rng([self.seed, person]))
        # The zero keeps the seeds of pictures apart from those of people.
        rng = np.random.default_rng([self.seed, person, number, 0])
        shot = _draw(_SHOT, rng)
        canvas = Canvas(self.height, self.width, shot)
        background = np.array([shot["back_red"], shot["back_green"], shot["back_blue"]])
        canvas.gradient(background, shot["back_x"], shot["back_y"])
        paint_face(canvas, traits, shot)
        return encode_jpeg(finish(canvas, shot, rng), round(shot["quality"]))

    def write(self, folder: str | Path) -> Path:
        """Writes all pictures, one folder per person, as `--input` takes them.

        Args:
            folder: New or empty; gets `00000/000.jpg` and so on.

        Returns:
            The folder.

        Raises:
            FileExistsError: The folder holds something.
            OSError: It cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(
                f"{folder} must be new or empty, so that nobody else's pictures lie among these."
            )
        for person in range(self.num_people):
            own = folder / f"{person:05d}"
            own.mkdir()
            for number in range(self.images_per_person):
                (own / f"{number:03d}.jpg").write_bytes(self.encoded(person, number))
        return folder


def _draw(ranges: Mapping[str, _Range], rng: np.random.Generator) -> Traits:
    low, high = np.array(list(ranges.values())).T
    return dict(zip(ranges, rng.uniform(low, high).tolist(), strict=True))
