"""What `export` prints: one row for each form."""

from collections.abc import Mapping
from typing import Any, Final

from facezoo.cli.export_measures import BATCH_SIZES
from facezoo.serving.formats import SAVED_MODEL

_NOT_MEASURED: Final = "not measured"


def words(report: Mapping[str, Any]) -> str:
    """Returns the table with what one needs to read it.

    Args:
        report: Content of export.json.
    """
    header = ("form", "path", "bytes", "largest difference", "least cosine")
    header += tuple(f"images/s at {size}" for size in BATCH_SIZES) + ("AUC", "VAL at FAR")
    rows = [header, *map(_cells, report["forms"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = [f"Difference and cosine: beside Keras, on {report['checked_on']}."]
    if report["num_calibration"]:
        notes.append(f"Calibrated on {report['num_calibration']} pictures.")
    if report["pairs"]:
        notes.append(f"AUC and VAL: {report['pairs']['name']}; in brackets the change to Keras.")
    forms = [row["form"] for row in report["forms"]]
    if SAVED_MODEL.name in forms and not report["thresholds_served"]:
        notes.append(
            "The SavedModel has no threshold: none is stored with the model that was measured on "
            "whole pictures."
        )
    return "\n".join([*table, *notes])


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    speed = (f"{row['images_per_second'][str(size)]:.1f}" for size in BATCH_SIZES)
    scores, change = row["verification"], row["change"]
    auc = val = _NOT_MEASURED
    if scores is not None:
        auc = f"{scores['auc']:.4f} ({change['auc']:+.4f})"
        val = ", ".join(
            f"{value:.3f} ({change['val'][far]:+.3f}) at {far}"
            for far, value in scores["val"].items()
        )
    return (
        row["form"],
        row["path"],
        f"{row['bytes']:,}",
        f"{row['max_difference']:.1e}",
        f"{row['min_cosine']:.6f}",
        *speed,
        auc,
        val or "too few pairs",
    )
