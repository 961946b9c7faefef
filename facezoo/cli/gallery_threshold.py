"""Up to which distance a face shows somebody of a gallery: the flags, and what they lead to."""

import sys

from absl import app, flags

from facezoo import thresholds
from facezoo.cli import threshold_flags
from facezoo.cli.model_loading import LoadedModel
from facezoo.gallery import Calibration, Gallery
from facezoo.gallery.identify import Identifier, strangers_let_in
from facezoo.thresholds import Threshold

HELP = """The threshold is
  --fpir       one that `facezoo gallery calibrate` measured on this gallery
  --far        one that is stored with the model
  --threshold  your own
  none of it   the first that `gallery calibrate` stored for this --rule, or else the model's
               default
A threshold of the model is one for two faces: among N pictures a stranger is taken for somebody
up to N times as often as its FAR says. Calibrate the gallery instead."""


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--fpir`, `--far` and `--threshold`."""
    threshold_flags.define_flags(flag_values)
    flags.DEFINE_float(
        "fpir",
        None,
        "Use the threshold at which this share of strangers was taken for somebody, such as 1e-2, "
        "measured on the gallery by `facezoo gallery calibrate`.",
        flag_values=flag_values,
    )


def check_flags(options: flags.FlagValues) -> None:
    """Raises app.UsageError or ValueError where the flags ask for two thresholds, or a bad one."""
    threshold_flags.given(options)
    for other in ("far", "threshold"):
        if options["fpir"].value is not None and options[other].value is not None:
            raise app.UsageError(f"Give --fpir or --{other}, not both.")


def choose(
    options: flags.FlagValues, gallery: Gallery, identifier: Identifier, model: LoadedModel
) -> Threshold | None:
    """Finds the threshold, and says on stderr what may be wrong with it.

    Args:
        options: That `check_flags` has passed.
        gallery: Whose calibrations there are.
        identifier: How faces will be compared.
        model: With its stored table.

    Returns:
        None if none was asked for, and none was measured.

    Raises:
        ValueError: The one that was asked for is not stored, or the model's table is another's.
    """
    if given := threshold_flags.given(options):
        return given
    if options["far"].value is None:
        calibration = _calibration(gallery, identifier.options.rule, options["fpir"].value)
        if calibration is not None:
            return _of_gallery(gallery, calibration)
    table = model.bound_thresholds(gallery.binding.view)
    if table is None:
        return None
    threshold = thresholds.stored(table, options["far"].value)
    points = {point["name"]: point for point in table["operating_points"]}
    far = points[threshold.operating_point]["far"]
    if far is not None:
        _say(
            f"threshold {threshold.operating_point!r} of the model takes {far:.3g} of all pairs of "
            f"two people for one, and so up to "
            f"{strangers_let_in(far, identifier.num_compared):.0%} of all strangers for somebody "
            f"of {identifier.num_compared:,}. `facezoo gallery calibrate {gallery.path}` measures "
            "one for this gallery."
        )
    return threshold


def _calibration(gallery: Gallery, rule: str, fpir: float | None) -> Calibration | None:
    stored = [one for one in gallery.calibrations() if one.rule == rule]
    if fpir is None:
        return stored[0] if stored else None
    for one in stored:
        if one.target == fpir:
            return one
    known = ", ".join(f"--fpir={one.target:g}" for one in stored) or "none"
    raise ValueError(
        f"No threshold was measured on {gallery.path} for --fpir={fpir:g} with --rule={rule}. "
        f"Stored: {known}. Run `python -m facezoo gallery calibrate {gallery.path} "
        f"--fpir={fpir:g} --rule={rule}`."
    )


def _of_gallery(gallery: Gallery, calibration: Calibration) -> Threshold:
    if calibration.generation != gallery.header().generation:
        _say(
            f"the gallery has changed since its thresholds were measured, among "
            f"{calibration.num_people:,} people. Run `facezoo gallery calibrate` again."
        )
    source = (
        f"{calibration.num_strangers} searches of strangers and {calibration.num_mated} of "
        f"enrolled people, by leaving out, among {calibration.num_people} people"
    )
    return Threshold(calibration.threshold, f"fpir_{calibration.target:g}", source)


def _say(text: str) -> None:
    print(f"facezoo identify: {text}", file=sys.stderr)
