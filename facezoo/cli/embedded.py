"""Photographs to embeddings, batch by batch; what cannot be read is told and passed over."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from tqdm import tqdm

from facezoo import shapes
from facezoo.cli.model_loading import LoadedModel
from facezoo.cli.pictures import read_picture
from facezoo.data.crop_statistics import FALSE_ALARMS
from facezoo.data.test_time import TestTime

_BATCH_SIZE: Final = 32
# Of decoded pictures, so that photographs of 64 megapixels are not held by the dozen.
_BATCH_BYTES: Final = 2**28
_MOST_NAMES: Final = 3


@dataclass(frozen=True)
class Row:
    """What became of one photograph.

    Args:
        path: Its file.
        embedding: Unit float32 [D]; None if it could not be read.
        norm: Mean length over the views, before it was made 1; None if it could not be read.
        error: Why it could not be read; None if it could.
        typical: Whether it looks like the crops that the model was trained on; None if it could not
            be read, or the model does not know.
    """

    path: str
    embedding: np.ndarray | None = None
    norm: np.float32 | None = None
    error: str | None = None
    typical: bool | None = None


def embed_pictures(
    paths: Sequence[str], model: LoadedModel, view: TestTime, verb: str
) -> Iterator[Row]:
    """Yields a row for each photograph, in order; there is a progress bar if a person may see it.

    Args:
        paths: The files.
        model: What embeds them.
        view: What it sees of each.
        verb: Whose name stands before what is said on stderr of a file that cannot be read.

    Raises:
        ValueError: The views of a picture have no common embedding.
    """
    hidden = len(paths) <= _BATCH_SIZE or not sys.stderr.isatty()
    untypical: list[str] = []
    with tqdm(total=len(paths), unit="image", file=sys.stderr, disable=hidden) as bar:
        for batch in _batches(paths):
            for row in _embed(batch, model, view):
                if row.error:
                    bar.write(f"facezoo {verb}: {row.error}", file=sys.stderr)
                if row.typical is False:
                    untypical.append(row.path)
                yield row
                bar.update()
    tell_untypical(untypical, len(paths), verb)


def tell_untypical(untypical: Sequence[str], num_pictures: int, verb: str) -> None:
    """Says on stderr which pictures are unlike the crops of the training, if there are any.

    Args:
        untypical: Their files.
        num_pictures: How many there are in all.
        verb: Whose name stands before it.
    """
    if not untypical:
        return
    names = ", ".join(untypical[:_MOST_NAMES]) + (", .." if len(untypical) > _MOST_NAMES else "")
    print(
        f"facezoo {verb}: {len(untypical)} of {num_pictures} pictures look unlike the face crops "
        f"that the model was trained on, as about {FALSE_ALARMS:.0%} of good ones do: {names}. Is "
        "there a face, upright, in the middle, and cropped as those were? What is said of them may "
        "be wrong.",
        file=sys.stderr,
    )


_Read = tuple[str, np.ndarray | str]


def _batches(paths: Sequence[str]) -> Iterator[list[_Read]]:
    """Pictures with their paths, or the reason in a picture's place."""
    batch: list[_Read] = []
    size = 0
    for path in paths:
        try:
            picture: np.ndarray | str = read_picture(path)
            size += picture.nbytes
        except (OSError, ValueError) as error:
            picture = str(error)
        batch.append((path, picture))
        if len(batch) == _BATCH_SIZE or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _embed(batch: Sequence[_Read], model: LoadedModel, view: TestTime) -> Iterator[Row]:
    pictures = [picture for _, picture in batch if not isinstance(picture, str)]
    answers = iter(())
    if pictures:
        answer = model.predict_views(pictures, view)
        typical = model.are_typical(pictures, view)
        answers = zip(answer[shapes.EMBEDDING], answer[shapes.NORM], typical, strict=True)
    for path, picture in batch:
        if isinstance(picture, str):
            yield Row(path, error=picture)
        else:
            embedding, norm, is_typical = next(answers)
            yield Row(path, embedding, norm, typical=is_typical)
