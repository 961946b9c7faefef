"""The report of a curation: one page on which a person looks at what was found."""

from facezoo.curation.report.album import ReadPicture
from facezoo.curation.report.html import write_report

__all__ = ["ReadPicture", "write_report"]
