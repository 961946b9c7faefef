"""The flags that say up to which distance two faces are taken for one person."""

from absl import app, flags

from facezoo import thresholds
from facezoo.thresholds import Threshold


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--far` and `--threshold`."""
    flags.DEFINE_float(
        "far",
        None,
        "Use the stored threshold at which this share of impostors was accepted, such as 1e-2.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "threshold",
        None,
        "Use this squared L2 distance instead of a stored one.",
        flag_values=flag_values,
    )


def given(options: flags.FlagValues) -> Threshold | None:
    """The threshold that `--threshold` gives; None if it does not.

    Raises:
        app.UsageError: `--far` asks for another one.
        ValueError: No two faces can be that far apart.
    """
    value = options["threshold"].value
    if value is None:
        return None
    if options["far"].value is not None:
        raise app.UsageError("Give --far or --threshold, not both.")
    return thresholds.given(value, "given by --threshold")
