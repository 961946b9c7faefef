"""Numbers as text: as many digits as their interval justifies, and no more."""

import math
from collections.abc import Sequence

NONE = "\N{EN DASH}"
_PERCENT = "\N{NO-BREAK SPACE}%"
_MOST_DECIMALS = 8


def share(value: float | None, interval: Sequence[float] | None = None) -> tuple[str, str]:
    r"""Writes a share in percent.

    Args:
        value: In [0, 1]; None is written as a dash.
        interval: `(low, high)` around it.

    Returns:
        The value, and its interval, both to the same decimal; two decimals without an interval.

    Example:
        >>> share(0.93421, (0.9211, 0.9453))
        ('93.4\xa0%', '[92.1, 94.5]')
    """
    if interval is not None:
        interval = [100.0 * bound for bound in interval]
    text, bounds = plain(None if value is None else 100.0 * value, interval, 2)
    return text if value is None else text + _PERCENT, bounds


def plain(
    value: float | None, interval: Sequence[float] | None = None, decimals: int = 4
) -> tuple[str, str]:
    """Writes a number and its interval, as `share` does.

    Args:
        value: None is written as a dash.
        interval: `(low, high)` around it.
        decimals: For a number without an interval, or with one of no width.

    Example:
        >>> plain(0.97634, (0.9711, 0.9809))
        ('0.9763', '[0.9711, 0.9809]')
    """
    if interval is not None:
        decimals = justified_decimals(interval[1] - interval[0], decimals)
    text = NONE if value is None else f"{value:.{decimals}f}"
    bounds = "" if interval is None else "[{0:.{2}f}, {1:.{2}f}]".format(*interval, decimals)
    return text, bounds


def justified_decimals(width: float, decimals: int) -> int:
    """Decimals that write an interval's width with two digits.

    Args:
        width: High less low.
        decimals: Where the width is zero.
    """
    if not width > 0:
        return decimals
    return min(max(1 - math.floor(math.log10(width)), 0), _MOST_DECIMALS)


def rate_name(rate: float) -> str:
    """Writes a target such as a FAR as a power of ten where it is short.

    Example:
        >>> rate_name(0.001), rate_name(0.05), rate_name(0.0025)
        ('1e-3', '5e-2', '2.5e-3')
    """
    mantissa, exponent = f"{rate:.6e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def anything(value: object) -> str:
    """Writes whatever plain data holds.

    Example:
        >>> anything(12345), anything(0.123456), anything(True), anything([1.0, 0.5])
        ('12,345', '0.1235', 'yes', '[1, 0.5]')
    """
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(anything(one) for one in value) + "]"
    return str(value)
