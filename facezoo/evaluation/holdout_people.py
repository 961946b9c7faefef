"""The people whom the paper's own protocol deals into splits: every picture is there and whole."""

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facezoo.data.images import UnreadableImage, decode_rgb
from facezoo.data.references import ImageRef, Listing, Refusal
from facezoo.protocols.checks import listing as shown


@dataclass(frozen=True, eq=False)
class HoldoutPeople:
    """Pictures of people, in a fixed order.

    Args:
        name: Of the set.
        picture: Names of the pictures, N.
        identity: Names of the people, P, ascending.
        label: int32 [N], the row in `identity` of each picture.
        reference: Where the bytes of each picture lie, by its name.
    """

    name: str
    picture: tuple[str, ...]
    identity: tuple[str, ...]
    label: NDArray[np.int32]
    reference: dict[str, ImageRef]

    def read(self, picture: str) -> bytes:
        """Returns the encoded picture of a name."""
        return self.reference[picture].read()

    def digest(self) -> str:
        """SHA-256 of who is on which picture, by their names."""
        identities = (self.identity[row] for row in self.label)
        content = json.dumps([*zip(self.picture, identities, strict=True)])
        return hashlib.sha256(content.encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        """Returns its part of a report."""
        return {
            "name": self.name,
            "num_images": len(self.picture),
            "num_people": len(self.identity),
            "digest": self.digest(),
        }


def holdout_people(listing: Listing) -> HoldoutPeople:
    """Makes a benchmark of all that a source holds; nothing may be missing in it.

    Every picture is decoded once, so that a damaged one is found before a model is loaded.

    Args:
        listing: What `facezoo.data.sources.list_input` found.

    Raises:
        ValueError: Something cannot be used, or a picture comes twice; the first are listed.
    """
    refusals = [*listing.refusals, *_unreadable(listing)]
    if refusals:
        words = [f"{one.key} ({one.reason})" for one in refusals]
        raise ValueError(
            f"{len(refusals):,} things in {listing.dataset} are no usable pictures, and a "
            "benchmark without them would be another benchmark. Copy them again, or name the "
            f"pictures that are meant in a CSV with the columns path and identity: {shown(words)}."
        )
    _check_once(listing)
    images = listing.images
    identity, label = np.unique([image.identity for image in images], return_inverse=True)
    return HoldoutPeople(
        listing.dataset,
        tuple(image.key for image in images),
        tuple(identity.tolist()),
        label.astype(np.int32),
        {image.key: image for image in images},
    )


def _unreadable(listing: Listing) -> list[Refusal]:
    found = []
    bar = tqdm(listing.images, desc=f"{listing.dataset}: checking", unit="image", disable=None)
    for image in bar:
        try:
            decode_rgb(image.read())
        except (OSError, UnreadableImage) as error:
            found.append(Refusal(image.key, str(error)))
    return found


def _check_once(listing: Listing) -> None:
    """Refuses a file that is listed twice: as a pair with itself it would be told right."""
    names: dict[object, list[str]] = {}
    for image in listing.images:
        names.setdefault((os.path.realpath(image.path), image.offset), []).append(image.key)
    if again := [" and ".join(keys) for keys in names.values() if len(keys) > 1]:
        raise ValueError(
            f"Every picture must be listed once. Of {listing.dataset} come again {len(again):,}: "
            f"{shown(again)}. Remove all but one of each."
        )
