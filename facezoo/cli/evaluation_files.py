"""What `evaluate` leaves in its folder, and what it prints."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facezoo.evaluation.evaluate import Evaluation
from facezoo.evaluation.report import PairPictures, write_html, write_tensorboard

REPORT, PAGE, THRESHOLDS = "report.json", "report.html", "thresholds.json"
TENSORBOARD = "tensorboard"
Rows = list[Sequence[str]]


def start(out: Path) -> None:
    """Makes the folder, and clears away what an earlier evaluation left in it.

    Raises:
        OSError: The folder cannot be made or cleared.
    """
    out.mkdir(parents=True, exist_ok=True)
    # No folder but one of ours has this file.
    if (out / REPORT).is_file():
        for name in (REPORT, PAGE, THRESHOLDS):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / TENSORBOARD, ignore_errors=True)


def write(out: Path, evaluation: Evaluation, pictures: PairPictures) -> None:
    """Writes the report, its page, TensorBoard's logs and, if there are any, the thresholds.

    Args:
        out: Made if it is not there; what an earlier evaluation left there is replaced.
        evaluation: What came out.
        pictures: Number of a pair to names and encoded bytes of its two pictures.

    Raises:
        OSError: A file cannot be written.
    """
    start(out)
    write_html(out / PAGE, evaluation.report, evaluation.scored, pictures)
    write_tensorboard(out / TENSORBOARD, evaluation.report, evaluation.scored)
    if evaluation.thresholds is not None:
        write_json(out / THRESHOLDS, evaluation.thresholds)
    # Last: where it stands, all else does.
    write_json(out / REPORT, evaluation.report)


def write_json(path: Path, content: Any) -> None:
    """Writes plain data aside, and then to its place."""
    partial = path.with_suffix(".partial")
    # The order of the systems is that of the report.
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, path)


def pair_rows(report: Mapping[str, Any]) -> Rows:
    """The table of a list of pairs: one row for each system, after a header."""
    header = ("", "AUC", "EER", "accuracy", "VAL at FAR")
    return [header, *(_cells(system) for system in report["systems"].values())]


def _cells(system: Mapping[str, Any]) -> Sequence[str]:
    accuracy = "-" if system["accuracy"] is None else _with_interval(system, "accuracy")
    if (error := system["accuracy_standard_error"]) is not None:
        accuracy += f" \N{PLUS-MINUS SIGN} {error:.4f} over folds"
    vals = [
        f"{_with_interval(point, 'val')} at {point['target']:g}"
        for point in system["val_at_far"]
        if "refused" not in point
    ]
    scores = (_with_interval(system, name) for name in ("auc", "eer"))
    return (system["name"], *scores, accuracy, ", ".join(vals) or "-")


def _with_interval(found: Mapping[str, Any], name: str) -> str:
    interval = found[f"{name}_interval"]
    if interval is None:
        return f"{found[name]:.4f}"
    return f"{found[name]:.4f} [{interval[0]:.4f}, {interval[1]:.4f}]"


def show(
    out: Path,
    report: Mapping[str, Any],
    as_json: bool,
    rows: Callable[[Mapping[str, Any]], Rows] = pair_rows,
) -> None:
    """Prints the scores, and where the rest is.

    Args:
        out: Where it is.
        report: The content of report.json.
        as_json: Prints that, and nothing else.
        rows: Makes the table of it.
    """
    if as_json:
        print(json.dumps(report, indent=2, allow_nan=False))
        return
    protocol = report["protocol"]
    print(
        f"{protocol['name']}: {protocol['num_genuine']:,} genuine and "
        f"{protocol['num_impostor']:,} impostor pairs of {protocol['num_images']:,} images"
    )
    if report["contaminated"]:
        print(f"CONTAMINATED: {report['contaminated']['reason']}")
    _print_table(rows(report))
    for one in report["systems"].values():
        refused = [point["refused"] for point in one["val_at_far"] if "refused" in point]
        if refused:
            print("No VAL where " + "; ".join(refused) + ". --allow_few reports it all the same.")
        break
    print(f"Report: {out / PAGE}, {out / REPORT}")


def _print_table(rows: Rows) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
