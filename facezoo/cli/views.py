"""The flags that say what is done to a picture before a model sees it."""

from absl import app, flags

from facezoo.data.test_time import FITS, FLIPS, NO_FLIP, STRETCH, TestTime


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--crop`, `--flip`, `--scales` and `--fit`."""
    flags.DEFINE_float(
        "crop",
        1.0,
        "Share of the pictures' sides kept around the middle.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "flip", NO_FLIP, FLIPS, "What the mirrored picture adds.", flag_values=flag_values
    )
    flags.DEFINE_list(
        "scales", ["1"], "Views of each picture, as factors of --crop.", flag_values=flag_values
    )
    flags.DEFINE_enum(
        "fit",
        STRETCH,
        FITS,
        "How pictures get the proportions of the network's input.",
        flag_values=flag_values,
    )


def test_time(options: flags.FlagValues) -> TestTime:
    """What the flags say.

    Raises:
        app.UsageError: `--scales` are no numbers.
        ValueError: A flag is out of range.
    """
    crop, flip, fit = (options[name].value for name in ("crop", "flip", "fit"))
    return TestTime(crop, flip, numbers(options, "scales"), fit)


def numbers(options: flags.FlagValues, name: str) -> tuple[float, ...]:
    """The numbers of a flag that takes several.

    Raises:
        app.UsageError: They are none.
    """
    try:
        return tuple(float(text) for text in options[name].value)
    except ValueError:
        raise app.UsageError(
            f"--{name} must be numbers with commas between them. "
            f"Received: {','.join(options[name].value)}."
        ) from None
