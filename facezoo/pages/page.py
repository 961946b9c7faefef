"""What all pages share: one file of HTML that needs nothing else, no network, no other file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

import jinja2

from facezoo.pages import digits, tables
from facezoo.pages.axes import Chart

# In the package of that name: the library that draws in the browser, 4.8 MB.
_PLOTLY: Final = "package_data/plotly.min.js"


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
    template: tuple[str, str],
    title: str,
    figures: Mapping[str, Sequence[Figure]],
    **context: Any,
) -> None:
    """Writes one page; equal input gives equal bytes.

    Args:
        path: Of the page; a file there is replaced.
        template: A package and the name of a file in it; it extends `page.frame.j2`.
        title: Of the page; a stranger's text.
        figures: All plots, in lists by the names that the template has for them.
        context: Whatever else the template asks for.

    Raises:
        OSError: The file cannot be written.
    """
    package, name = template
    page = (
        environment(package)
        .get_template(name)
        .render(
            title=title,
            version=metadata.version("facezoo"),
            plotly=resources.files("plotly").joinpath(_PLOTLY).read_text(encoding="utf-8"),
            charts={one.key: one.chart for some in figures.values() for one in some},
            **figures,
            **context,
        )
    )
    # File names may hold bytes that are no text at all.
    path.write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")


def environment(package: str) -> jinja2.Environment:
    """Finds the templates of a package, and those of this one for them to build on.

    Args:
        package: Whose files are templates; it comes first.
    """
    packages = (package, __package__)
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(one, ".") for one in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["anything"] = digits.anything
    made.globals |= {
        "facts": tables.facts,
        "inner_tables": tables.inner_tables,
        "rows_table": tables.rows_table,
    }
    return made
