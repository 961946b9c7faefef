"""How many errors a target rate allows, and how many trials it takes to speak of it at all."""

import math
from typing import Final

# With fewer behind it, the next set of people could as well give half of the rate, or twice.
_FEWEST_ACCEPTS: Final = 10


def supports_far(target: float, num_impostor: int) -> bool:
    """Whether so many impostor pairs suffice to measure so low a FAR.

    At least ten of them must be allowed to be accepted: `target >= 10 / num_impostor`.

    Args:
        target: Highest FAR allowed, in [0, 1].
        num_impostor: Impostor pairs, or for FPIR searches of people who are not in the gallery.

    Raises:
        ValueError: `target` is out of range.

    Example:
        >>> supports_far(1e-3, num_impostor=3000)
        False
    """
    check_share(target, "FAR")
    return num_impostor > 0 and target >= _FEWEST_ACCEPTS / num_impostor


def check_target(
    target: float,
    num_impostor: int,
    allow_few: bool,
    rate: str = "FAR",
    kind: str = "impostor pairs",
) -> None:
    """Raises ValueError where a target is no share, or where too little stands behind it."""
    check_share(target, rate)
    if allow_few or supports_far(target, num_impostor):
        return
    takes = f"{math.ceil(_FEWEST_ACCEPTS / target):,}" if target else "more than any number of"
    raise ValueError(
        f"A {rate} of {target:g} takes {takes} {kind}, so that {_FEWEST_ACCEPTS} may be accepted. "
        f"Received: {num_impostor:,} {kind}. Add people, raise the target, or give allow_few=True "
        "to have a number that says little."
    )


def check_share(target: float, rate: str) -> None:
    """Raises ValueError where a target is no share."""
    if not 0 <= target <= 1:
        raise ValueError(f"target must be a {rate} in [0, 1]. Received: target={target}.")


def most_within(share: float, total: int) -> int:
    """The largest count with `count / total <= share`; a plain floor(0.29 * 100) would say 28."""
    count = round(share * total)
    return count if count / total <= share else count - 1
