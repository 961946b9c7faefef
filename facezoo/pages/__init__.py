"""Pages: what the reports for people are made of, whatever they report."""

from facezoo.pages.page import Figure, environment, write_page
from facezoo.pages.pictures import Picture, small_picture
from facezoo.pages.tables import Cell, Table, facts, inner_tables, rows_table, words

__all__ = [
    "Cell",
    "Figure",
    "Picture",
    "Table",
    "environment",
    "facts",
    "inner_tables",
    "rows_table",
    "small_picture",
    "words",
    "write_page",
]
