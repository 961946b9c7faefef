"""Lists the pictures of people to enrol: folders, lists, or files of one person, with digests."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from absl import app
from tqdm import tqdm

from facezoo.cli.pictures import find_pictures
from facezoo.data.references import Refusal, printable
from facezoo.data.sources import ORL, TFDS_PREFIX, list_input
from facezoo.gallery import Picture, picture_digest
from facezoo.gallery.entry import check_identity

PEOPLE = "a folder with one folder per person, or a CSV (path, identity)"


class Found(NamedTuple):
    """A picture that can be read, and the file it lies in."""

    picture: Picture
    path: str


@dataclass
class PeopleListing:
    """What there is to enrol.

    Args:
        found: Pictures with their files.
        refusals: What cannot be enrolled, and why.
    """

    found: list[Found] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def add(self, identity: str, source: str, path: str, origin: str) -> None:
        """Reads a picture's bytes for their digest; one that cannot be enrolled is refused."""
        try:
            check_identity(identity)
            digest = picture_digest(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            self.refusals.append(Refusal(source, str(error)))
        else:
            self.found.append(Found(Picture(identity, source, digest, origin), path))


def list_people(arguments: Sequence[str]) -> PeopleListing:
    """Lists sets of people.

    Args:
        arguments: Each is one of `PEOPLE`.

    Raises:
        app.UsageError: There are no arguments.
        SourceError: There is no such set, or it names no picture.
    """
    if not arguments:
        raise app.UsageError(f"Whom? Expected: {PEOPLE}; or --identity=NAME and photographs.")
    listing = PeopleListing()
    for source in arguments:
        if source.startswith(TFDS_PREFIX):
            raise app.UsageError(f"A gallery takes {PEOPLE}. Received: {source!r}.")
        listed = list_input(source, Path(os.devnull))
        listing.refusals.extend(listed.refusals)
        for image in tqdm(listed.images, desc="reading", file=sys.stderr, disable=None):
            path = os.fsdecode(image.path)
            listing.add(image.identity, image.key, path, origin_of(source))
    return listing


def list_files(identity: str, arguments: Sequence[str]) -> PeopleListing:
    """Lists pictures of one person.

    Args:
        identity: The person's name.
        arguments: Photographs, folders and patterns, as `find_pictures` takes them.

    Raises:
        OSError: A folder cannot be listed.
        ValueError: The name cannot be one, or there are no pictures.
    """
    check_identity(identity)
    listing = PeopleListing()
    for path in find_pictures(arguments):
        listing.add(identity, printable(os.fsencode(os.path.abspath(path))), path, "")
    return listing


def origin_of(source: str) -> str:
    """The name by which a set is known again: where it lies."""
    if source == ORL:
        return ORL
    return printable(os.fsencode(os.path.realpath(os.path.expanduser(source))))
