"""What all pages share: one file of HTML that needs nothing else, no network, no other file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jinja2

from facezoo.evaluation.report import digits, tables
from facezoo.evaluation.report.axes import Chart

# In the package of that name: the library that draws in the browser, 4.8 MB.
_PLOTLY = "package_data/plotly.min.js"


@dataclass(frozen=True)
class Figure:
    """A plot and the words above it.

    Args:
        key: Its id in the page, fixed, so that equal reports are equal bytes.
        caption: What to see in it.
        chart: For Plotly.
    """

    key: str
    caption: str
    chart: Chart


def write_page(
    path: Path,
    template: str,
    report: Mapping[str, Any],
    figures: Mapping[str, Sequence[Figure]],
    **context: Any,
) -> None:
    """Writes one page; equal input gives equal bytes.

    Args:
        path: Of the page; a file there is replaced.
        template: Beside this file; it extends `report.frame.j2`.
        report: The content of report.json, known to the template as `report`.
        figures: All plots, in lists by the names that the template has for them.
        context: Whatever else the template asks for.

    Raises:
        OSError: The file cannot be written.
    """
    page = (
        _environment()
        .get_template(template)
        .render(
            report=report,
            version=metadata.version("facezoo"),
            plotly=resources.files("plotly").joinpath(_PLOTLY).read_text(encoding="utf-8"),
            charts={one.key: one.chart for some in figures.values() for one in some},
            **figures,
            **context,
        )
    )
    # File names may hold bytes that are no text at all.
    path.write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("facezoo.evaluation.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["anything"] = digits.anything
    environment.globals |= {
        "facts": tables.facts,
        "inner_tables": tables.inner_tables,
        "robustness_table": tables.robustness_table,
        "rows_table": tables.rows_table,
        "slice_table": tables.slice_table,
        "systems_table": tables.systems_table,
        "origins_table": tables.origins_table,
    }
    return environment
