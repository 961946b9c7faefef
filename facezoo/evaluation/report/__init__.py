"""The report of an evaluation: one page for people, and runs for TensorBoard."""

from facezoo.evaluation.report.holdout import write_holdout_html, write_holdout_tensorboard
from facezoo.evaluation.report.html import write_html
from facezoo.evaluation.report.pictures import PairPictures
from facezoo.evaluation.report.tensorboard import write_tensorboard

__all__ = [
    "PairPictures",
    "write_holdout_html",
    "write_holdout_tensorboard",
    "write_html",
    "write_tensorboard",
]
