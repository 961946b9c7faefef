"""What an angular margin does to a cosine: plain tensor maths, without arc cosines."""

import math
from typing import Final

from keras import ops

from facezoo.ops import Tensor, safe_sqrt

# What takes the place of cos(theta + margin) where the sum passes pi and the cosine rises again.
BEYOND_PI: Final = ("linear", "monotone", "easy")


def sine(cosine: Tensor) -> Tensor:
    """Sine of an angle in [0, pi] from its cosine; gradient 0 where the angle is 0 or pi."""
    # 1 - cosine**2 would lose the digits that matter next to 1.
    return safe_sqrt((1.0 - cosine) * (1.0 + cosine))


def cos_of_sum(cosine: Tensor, angle: Tensor | float) -> Tensor:
    """`cos(theta + angle)` from `cos(theta)`, with theta in [0, pi] and any angle in radians."""
    return cosine * ops.cos(angle) - sine(cosine) * ops.sin(angle)


def add_angle(cosine: Tensor, margin: Tensor | float, beyond_pi: str = "linear") -> Tensor:
    """`cos(theta + margin)` from `cos(theta)`, made to fall on where the sum passes pi.

    Args:
        cosine: float32, any shape, in [-1, 1].
        margin: Radians in [0, pi/2], a number or a tensor that broadcasts.
        beyond_pi: `"linear"`: `cos(theta) - margin * sin(margin)`.
            `"monotone"`: `-2 - cos(theta + margin)`, which joins without a step.
            `"easy"`: the margin is applied to angles below pi/2 only, where no sum passes pi.

    Returns:
        float32, shape of `cosine`, nowhere above it.
    """
    moved = cos_of_sum(cosine, margin)
    if beyond_pi == "easy":
        return ops.where(cosine > 0.0, moved, cosine)
    beyond = -2.0 - moved if beyond_pi == "monotone" else cosine - margin * ops.sin(margin)
    return ops.where(cosine > -ops.cos(margin), moved, beyond)


def monotone_cos(angle: Tensor) -> Tensor:
    """Cosine that falls for ever: `(-1)**k * cos(angle) - 2k`, k the whole pi's in the angle."""
    num_turns = ops.floor(angle / math.pi)
    sign = 1.0 - 2.0 * ops.mod(num_turns, 2.0)
    return sign * ops.cos(angle) - 2.0 * num_turns


def monotone_cos_of_multiple(cosine: Tensor, factor: int) -> Tensor:
    """`monotone_cos(factor * theta)` from `cos(theta)`, without theta.

    Args:
        cosine: float32, any shape, in [-1, 1].
        factor: Whole number, at least 1.

    Returns:
        float32, shape of `cosine`; every gradient is finite, `factor**2` at the ends.
    """
    # Chebyshev: cos((n + 1) theta) = 2 cos(theta) cos(n theta) - cos((n - 1) theta).
    before, current = ops.ones_like(cosine), cosine
    for _ in range(factor - 1):
        before, current = current, 2.0 * cosine * current - before
    edges = [math.cos(k * math.pi / factor) for k in range(1, factor)]
    num_turns = sum((ops.cast(cosine < edge, cosine.dtype) for edge in edges), 0.0 * cosine)
    return (1.0 - 2.0 * ops.mod(num_turns, 2.0)) * current - 2.0 * num_turns


def check_angle(margin: float, name: str = "margin") -> float:
    """Returns a margin as a float; `name` is the argument's, for the message.

    Raises:
        ValueError: It is not in [0, pi/2].
    """
    if not 0.0 <= float(margin) <= math.pi / 2:
        raise ValueError(
            f"{name} must be in [0, pi/2] radians. Received: {name}={margin!r}. Is it in degrees?"
        )
    return float(margin)


def check_beyond_pi(beyond_pi: str) -> str:
    """Returns the name of a policy.

    Raises:
        ValueError: It is not in `BEYOND_PI`.
    """
    if beyond_pi not in BEYOND_PI:
        raise ValueError(f"beyond_pi must be one of {BEYOND_PI}. Received: {beyond_pi!r}.")
    return beyond_pi
