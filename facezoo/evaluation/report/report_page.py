"""What the pages of evaluations share: the tables that their templates ask for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facezoo.evaluation.report import tables
from facezoo.pages import Figure, write_page


def write_report_page(
    path: Path,
    template: str,
    report: Mapping[str, Any],
    figures: Mapping[str, Sequence[Figure]],
    **context: Any,
) -> None:
    """Writes one page of an evaluation; equal input gives equal bytes.

    Args:
        path: Of the page; a file there is replaced.
        template: Beside this file; it extends `report.frame.j2`.
        report: The content of report.json, known to the template as `report`.
        figures: All plots, in lists by the names that the template has for them.
        context: Whatever else the template asks for.

    Raises:
        OSError: The file cannot be written.
    """
    context |= {
        "report": report,
        "origins_table": tables.origins_table,
        "quantization_table": tables.quantization_table,
        "robustness_table": tables.robustness_table,
        "slice_table": tables.slice_table,
        "systems_table": tables.systems_table,
    }
    write_page(path, (__package__, template), report["title"], figures, **context)
