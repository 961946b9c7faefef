"""Five points of a face to the upright crop that networks of the ArcFace family were trained on."""

from typing import Final

import tensorflow as tf

NUM_LANDMARKS: Final = 5
# (x, y) in a crop of 112 x 112 pixels: the eyes, the nose, the corners of the mouth, as seen.
ARCFACE: Final = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
_ARCFACE_SIZE: Final = 112
# Nearer together than this, in pixels from their middle, five points say nothing of a face.
_LEAST_SPREAD: Final = 1.0
# Less like the template than this, they are those of a mirrored face, or of none.
_LEAST_CORRELATION: Final = 0.1


def arcface_template(height: int, width: int) -> tf.Tensor:
    """Returns where the five points belong in a crop, float32 [5, 2].

    The face fills the height; what is wider or narrower than high gains or loses on both sides, so
    that 112 x 96 is the crop of SphereFace and CosFace.

    Example:
        >>> arcface_template(112, 96).numpy()[0].tolist() == [30.294599533081055, 51.69630050659180]
        True

    Source:
        InsightFace, `face_align.py`, for heights that are multiples of 112.
    """
    scale = height / _ARCFACE_SIZE
    left = (width - scale * _ARCFACE_SIZE) / 2
    return tf.constant([(scale * x + left, scale * y) for x, y in ARCFACE], tf.float32)


def similarity(landmarks: tf.Tensor, template: tf.Tensor) -> tf.Tensor:
    """Finds the turn, scale and shift that bring points nearest to a template, in closed form.

    With points as complex numbers z = x + iy, less their means: `a = sum(w conj(z)) / sum|z|^2`
    minimises `sum |a z - w|^2`. It never mirrors.

    Args:
        landmarks: float32 [N, K, 2], (x, y) in pixels.
        template: float32 [K, 2].

    Returns:
        float32 [N, 2, 3]: `[x', y'] = matrix @ [x, y, 1]`. NaN where all points are one.

    Example:
        >>> points = tf.constant([[[0.0, 0.0], [2.0, 0.0], [0.0, 4.0]]])
        >>> similarity(points, points[0] * 3.0 + 1.0).numpy().round(4).tolist()
        [[[3.0, -0.0, 1.0], [0.0, 3.0, 1.0]]]

    Source:
        S. Umeyama, IEEE TPAMI 13(4), 1991, equations 40 to 43, in two dimensions.
    """
    middle = tf.reduce_mean(landmarks, axis=1, keepdims=True)
    target = tf.reduce_mean(template, axis=0)
    x, y = tf.unstack(landmarks - middle, axis=-1)
    u, v = tf.unstack(template - target, axis=-1)
    square = tf.reduce_sum(x * x + y * y, axis=1)
    cosine = tf.reduce_sum(x * u + y * v, axis=1) / square
    sine = tf.reduce_sum(x * v - y * u, axis=1) / square
    turn = tf.stack([tf.stack([cosine, -sine], axis=1), tf.stack([sine, cosine], axis=1)], axis=1)
    shift = target[:, None] - turn @ tf.transpose(middle, [0, 2, 1])
    return tf.concat([turn, shift], axis=2)


def warp(image: tf.Tensor, matrix: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resamples a picture along a similarity, bilinear, black outside, as `cv2.warpAffine` does.

    Args:
        image: uint8 [H, W, C].
        matrix: float32 [2, 3], from the picture's pixels to the crop's, such as `similarity` gives.
        height: Of the crop.
        width: Of the crop.

    Returns:
        float32 [height, width, C] in [0, 255].

    Numerics:
        Every pixel is made of four: a face many times larger than the crop is not smoothed first.
        InsightFace does the same, and its networks were trained so. Nothing is rounded; OpenCV
        rounds the values of uint8 pictures and, before version 5, places to 1/32 of a pixel.
    """
    cosine, sine = matrix[0, 0], matrix[1, 0]
    square = cosine * cosine + sine * sine
    row, column = tf.meshgrid(
        tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32), indexing="ij"
    )
    x, y = column - matrix[0, 2], row - matrix[1, 2]
    # The inverse of a similarity is its transpose over the square of its scale.
    return _bilinear(image, (cosine * y - sine * x) / square, (cosine * x + sine * y) / square)


def align(image: tf.Tensor, landmarks: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Cuts out a face by its five points.

    Args:
        image: uint8 [H, W, C].
        landmarks: float32 [5, 2], (x, y) in its pixels: left eye, right eye, nose, left and right
            corner of the mouth, as seen in the picture.
        height: Of the crop.
        width: Of the crop.

    Returns:
        float32 [height, width, C] in [0, 255].

    Raises:
        tf.errors.InvalidArgumentError: The points are not finite, or are no face: they lie within
            one pixel, or no turn makes them at all like one.
    """
    template = arcface_template(height, width)
    matrix = similarity(landmarks[None], template)[0]
    spread = _spread(landmarks)
    # 1 for points that have the template's shape.
    correlation = tf.norm(matrix[:, 0]) * spread / _spread(template)
    is_face = (spread >= _LEAST_SPREAD) & (correlation >= _LEAST_CORRELATION)
    with tf.control_dependencies([tf.debugging.Assert(is_face, ["the landmarks are no face"])]):
        return warp(image, matrix, height, width)


def _spread(points: tf.Tensor) -> tf.Tensor:
    """Root mean square distance from their middle of points [K, 2]."""
    away = points - tf.reduce_mean(points, axis=0)
    return tf.sqrt(tf.reduce_mean(tf.reduce_sum(away * away, axis=1)))


def _bilinear(image: tf.Tensor, y: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Reads pixels between pixels; those outside are black."""
    size = tf.shape(image)
    # Only just outside: a place far away would not fit into an integer.
    y, x = (
        tf.clip_by_value(place, -1.0, tf.cast(full, tf.float32))
        for place, full in ((y, size[0]), (x, size[1]))
    )
    top, left = tf.floor(y), tf.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]

    def read(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        row, column = tf.cast(row, tf.int32), tf.cast(column, tf.int32)
        is_inside = (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
        place = tf.where(is_inside[..., None], tf.stack([row, column], axis=-1), 0)
        values = tf.cast(tf.gather_nd(image, place), tf.float32)
        return tf.where(is_inside[..., None], values, 0.0)

    above = (1.0 - right) * read(top, left) + right * read(top, left + 1)
    below = (1.0 - right) * read(top + 1, left) + right * read(top + 1, left + 1)
    return (1.0 - down) * above + down * below
