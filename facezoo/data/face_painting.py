"""Paints a face out of ovals: what the made-up people of `synthetic.py` are drawn with; NumPy."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Traits = Mapping[str, float]
Color = NDArray[np.floating]

# How far a part lies in front of the axis that the head turns about, in heights of the head.
_NEAR, _NOSE, _SIDE = 0.55, 0.85, 0.1
# What a soft edge or a taper adds to an oval's size, at most.
_REACH = 1.5


class Oval(NamedTuple):
    """An ellipse that may be tilted, bent, and narrower at one end.

    Lengths are in half heights of an average head; the middle of the head is at (0, 0).

    Args:
        x: Middle, to the right.
        y: Middle, downwards.
        width: Half of it.
        height: Half of it.
        tilt: Radians, clockwise.
        taper: How much narrower it is at its lower end than in the middle, as a part of 1.
        bend: How far its ends lie below its middle.
        depth: How far in front of the axis that the head turns about.
    """

    x: float
    y: float
    width: float
    height: float
    tilt: float = 0.0
    taper: float = 0.0
    bend: float = 0.0
    depth: float = _NEAR

    def mirrored(self) -> "Oval":
        """The same on the other side of the face."""
        return self._replace(x=-self.x, tilt=-self.tilt)


class Canvas:
    """A picture in the making, and the pose in which a head is painted on it.

    Args:
        height: Pixels.
        width: Pixels.
        shot: Pose: `shift_x`, `shift_y` (parts of the shorter side), `size` (half the head's
            height as a part of the shorter side), `roll`, `yaw`, `pitch` (radians).
    """

    def __init__(self, height: int, width: int, shot: Traits) -> None:
        side = min(height, width)
        self.image = np.zeros((height, width, 3), np.float32)
        self._middle = (
            0.5 * width + shot["shift_x"] * side,
            0.5 * height + shot["shift_y"] * side,
        )
        self._scale = shot["size"] * side
        self._roll, self._yaw, self._pitch = shot["roll"], shot["yaw"], shot["pitch"]

    def gradient(self, color: Color, slope_x: float, slope_y: float) -> None:
        """Fills the picture with a colour that grows lighter to one side."""
        height, width = self.image.shape[:2]
        x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
        self.image[:] = color * (1 + slope_x * x + slope_y * y)[..., None]

    def paint(self, oval: Oval, color: Color, opacity: float = 1.0, soft: float = 0.0) -> None:
        """Lays an oval over what is there; `soft` blurs its edge, as a part of its size."""
        if min(oval.width, oval.height) > 0 and opacity > 0:
            window, x, y = self._window(oval)
            self._blend(window, self._mask(oval, x, y, soft) * opacity, color)

    def shade(self, oval: Oval, color: Color, slope_x: float, slope_y: float) -> None:
        """Paints an oval that grows lighter to one side, as a ball does towards a lamp."""
        window, x, y = self._window(oval)
        light = (
            1 + slope_x * x / oval.width + slope_y * y / oval.height - 0.12 * (x / oval.width) ** 2
        )
        self._blend(window, self._mask(oval, x, y, 0.0), color * light[..., None])

    def _blend(self, window: tuple[slice, slice], mask: NDArray, color: Color) -> None:
        part = self.image[window]
        part += mask[..., None] * (color - part)

    def _window(self, oval: Oval) -> tuple[tuple[slice, slice], NDArray, NDArray]:
        """The pixels that an oval may cover, and where they lie in the oval's own directions."""
        x = oval.x * math.cos(self._yaw) + oval.depth * math.sin(self._yaw)
        y = oval.y * math.cos(self._pitch) + oval.depth * math.sin(self._pitch)
        cos, sin = math.cos(self._roll), math.sin(self._roll)
        column = self._middle[0] + self._scale * (x * cos - y * sin)
        row = self._middle[1] + self._scale * (x * sin + y * cos)
        reach = self._scale * _REACH * (max(oval.width, oval.height) + abs(oval.bend)) + 2
        height, width = self.image.shape[:2]
        rows, columns = _span(row, reach, height), _span(column, reach, width)
        right = (np.arange(columns.start, columns.stop) + 0.5 - column) / self._scale
        down = (np.arange(rows.start, rows.stop)[:, None] + 0.5 - row) / self._scale
        cos, sin = math.cos(self._roll + oval.tilt), math.sin(self._roll + oval.tilt)
        return (rows, columns), right * cos + down * sin, down * cos - right * sin

    def _mask(self, oval: Oval, x: NDArray, y: NDArray, soft: float) -> NDArray:
        y = (y - oval.bend * (x / oval.width) ** 2) / oval.height
        x = x / (oval.width * np.maximum(1 - oval.taper * y, 0.2))
        # One pixel wide, so that edges are smooth, unless it is to be softer.
        edge = max(1.0 / (self._scale * min(oval.width, oval.height)), soft)
        return np.clip((1 - np.sqrt(x * x + y * y)) / edge + 0.5, 0.0, 1.0)


def _span(middle: float, reach: float, size: int) -> slice:
    start = min(max(math.floor(middle - reach), 0), size)
    return slice(start, min(max(math.ceil(middle + reach), start), size))


def paint_face(canvas: Canvas, person: Traits, shot: Traits) -> None:
    """Paints head and shoulders; the traits are those that `synthetic.py` names."""
    skin, hair = _skin(person), _hair(person)
    _paint_behind(canvas, person, shot, skin, hair)
    head = Oval(0, 0, person["head_width"], person["head_height"], taper=person["jaw"], depth=0)
    canvas.shade(head, skin, shot["light_x"], shot["light_y"])
    beard = Oval(0, 0.62, 0.8 * person["head_width"], 0.42, taper=person["jaw"], depth=0.2)
    canvas.paint(beard, hair, person["beard"], soft=0.5)
    for number in range(3):
        mole = Oval(person[f"mole_x{number}"], person[f"mole_y{number}"], 0.035, 0.035)
        canvas.paint(mole, 0.45 * skin, person[f"mole{number}"])
    _paint_eyes(canvas, person, shot, skin, hair)
    _paint_nose(canvas, person, shot, skin)
    _paint_mouth(canvas, person, shot, skin)
    fringe = Oval(
        person["parting"],
        person["hairline"] - 0.42 + shot["fringe"],
        1.02 * person["head_width"],
        0.36,
        bend=person["fringe_bend"],
        depth=0.2,
    )
    canvas.paint(fringe, hair, soft=0.12)


def finish(canvas: Canvas, shot: Traits, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Lights, blurs and rounds the picture and adds a camera's noise: uint8 [H, W, 3]."""
    cast = 1 + np.array([shot["warmth"], 0.0, -shot["warmth"]])
    image = (canvas.image - 0.5) * shot["contrast"] + 0.5
    image = np.maximum(image * (shot["gain"] * cast), 0.0)
    sigma = shot["blur"] * min(image.shape[:2])
    image = gaussian_filter(image, (sigma, sigma, 0), mode="nearest")
    image += shot["noise"] * rng.standard_normal(image.shape, np.float32)
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _skin(person: Traits) -> Color:
    tone, red = person["skin"], person["skin_red"]
    light, dark = np.array([0.93, 0.76, 0.66]), np.array([0.42, 0.27, 0.19])
    return dark + tone * (light - dark) + red * np.array([0.06, -0.02, -0.03])


def _hair(person: Traits) -> Color:
    tone, red = person["hair"], person["hair_red"]
    light, dark = np.array([0.78, 0.64, 0.42]), np.array([0.09, 0.07, 0.06])
    return np.clip(dark + tone * (light - dark) + red * np.array([0.2, 0.0, -0.05]), 0, 1)


def _paint_behind(canvas: Canvas, person: Traits, shot: Traits, skin: Color, hair: Color) -> None:
    width, length = person["head_width"] + person["hair_volume"], person["hair_length"]
    mane = Oval(0, 0.5 * length - 0.15, width, 0.95 + 0.5 * length, taper=-0.1, depth=-_NEAR)
    canvas.paint(mane, hair, soft=0.06)
    clothes = np.array([shot["cloth_red"], shot["cloth_green"], shot["cloth_blue"]])
    canvas.paint(Oval(0, 1.95, 1.5, 0.75, depth=-0.3), clothes)
    canvas.paint(Oval(0, 1.1, 0.36, 0.6, depth=-0.3), 0.8 * skin)
    for side in (-1, 1):
        ear = Oval(side * person["head_width"], 0.05, 0.1, person["ears"], depth=-_SIDE)
        canvas.paint(ear, 0.88 * skin)


def _paint_eyes(canvas: Canvas, person: Traits, shot: Traits, skin: Color, hair: Color) -> None:
    iris = np.array([0.25, 0.2 + 0.25 * person["iris_green"], 0.12 + 0.5 * person["iris_blue"]])
    width, opening = person["eye_width"], person["eye_height"] * shot["eyes_open"]
    eye = Oval(person["eye_distance"], person["eye_y"], width, opening, tilt=person["eye_tilt"])
    brow = Oval(
        person["eye_distance"],
        person["eye_y"] - person["brow_y"] - shot["brow_lift"],
        person["brow_width"],
        person["brow_height"],
        person["brow_tilt"],
        bend=person["brow_bend"],
    )
    gaze = Oval(eye.x, eye.y, 0.62 * width, 0.62 * width)
    for mirror in (False, True):
        white, line = (one.mirrored() if mirror else one for one in (eye, brow))
        middle = (gaze.mirrored() if mirror else gaze)._replace(depth=_NEAR)
        middle = middle._replace(x=middle.x + 0.35 * width * shot["gaze"])
        socket = white._replace(width=1.35 * width, height=1.8 * opening + 0.03)
        canvas.paint(socket, 0.8 * skin, 0.8, soft=0.5)
        canvas.paint(white, np.array([0.93, 0.92, 0.9]))
        # The lids cover what of the iris is above or below the white.
        pupil = middle._replace(height=min(middle.height, opening))
        canvas.paint(pupil, iris)
        canvas.paint(pupil._replace(width=0.3 * width, height=0.6 * pupil.height), 0.2 * iris)
        canvas.paint(line, 0.7 * hair, 0.9, soft=0.25)


def _paint_nose(canvas: Canvas, person: Traits, shot: Traits, skin: Color) -> None:
    length, width = person["nose_length"], person["nose_width"]
    tip = person["eye_y"] + length
    shadow = 0.55 * width * (1 if shot["light_x"] < 0 else -1)
    ridge = Oval(0, tip - 0.5 * length, 0.4 * width, 0.5 * length, taper=-0.3, depth=0.7)
    canvas.paint(ridge._replace(x=shadow), 0.78 * skin, 0.7, soft=0.7)
    canvas.paint(ridge, 1.08 * skin, 0.6, soft=0.8)
    canvas.paint(Oval(0, tip, width, 0.55 * width, depth=_NOSE), 0.94 * skin, soft=0.35)
    for side in (-1, 1):
        nostril = Oval(side * 0.5 * width, tip + 0.3 * width, 0.28 * width, 0.16 * width)
        canvas.paint(nostril._replace(depth=0.75), 0.4 * skin, 0.9)


def _paint_mouth(canvas: Canvas, person: Traits, shot: Traits, skin: Color) -> None:
    y, lips = person["eye_y"] + person["mouth_y"], np.array([0.95, 0.62, 0.6]) * skin
    width = person["mouth_width"] * (1 + 0.25 * shot["smile"])
    mouth = Oval(0, y, width, person["lips"] + 0.5 * shot["mouth_open"], bend=-0.12 * shot["smile"])
    canvas.paint(mouth, lips * (1 + 0.2 * person["lip_color"]))
    teeth = mouth._replace(width=0.8 * width, height=0.6 * shot["mouth_open"])
    canvas.paint(teeth, np.array([0.35, 0.15, 0.15]) if shot["smile"] < 0.3 else np.full(3, 0.9))
    canvas.paint(mouth._replace(width=0.9 * width, height=0.02), 0.45 * lips)
