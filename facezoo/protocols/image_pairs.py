"""Protocols whose templates are single images: LFW, lists of pairs, packs."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from facezoo.protocols.protocol import UNKNOWN, Protocol


def image_pairs(
    name: str,
    pairs: Sequence[tuple[str, str]],
    same: ArrayLike,
    people: Mapping[str, str],
    fold: ArrayLike | None = None,
    slices: Mapping[str, Sequence[str]] | None = None,
) -> Protocol:
    """Makes a protocol of pairs of images.

    Args:
        name: Of the protocol.
        pairs: Two image names each.
        same: bool [P], whether both show one person.
        people: The person's name by image name; images it does not name show nobody known.
        fold: int [P] from 0, or None.
        slices: Further columns by name.

    Returns:
        Images and people are numbered in the order in which they first come.

    Raises:
        ValueError: As `Protocol`.

    Example:
        >>> pairs = [("a1", "a2"), ("a1", "b1")]
        >>> protocol = image_pairs("tiny", pairs, [True, False], {"a1": "a", "a2": "a", "b1": "b"})
        >>> protocol.pair.tolist(), protocol.person.tolist()
        ([[0, 1], [0, 2]], [0, 0, 1])
    """
    image_number: dict[str, int] = {}
    index = [[image_number.setdefault(one, len(image_number)) for one in pair] for pair in pairs]
    person_number: dict[str, int] = {}
    person = [
        person_number.setdefault(people[image], len(person_number)) if image in people else UNKNOWN
        for image in image_number
    ]
    number = np.arange(len(image_number))
    return Protocol(
        name,
        image=tuple(image_number),
        member_image=number,
        member_template=number,
        member_media=number,
        pair=np.array(index, np.int32).reshape(-1, 2),
        same=np.asarray(same, bool),
        person=np.array(person, np.int32),
        fold=None if fold is None else np.asarray(fold),
        slices={} if slices is None else {key: np.array(slices[key], np.str_) for key in slices},
    )
