"""One picture on its way into a record, one step per function; knows no Beam."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from facezoo.data import images
from facezoo.data.examples import encode_example
from facezoo.data.references import ImageRef, Refusal
from facezoo.data.schema import FaceRecord
from facezoo.data.split import hash_text

# Which file a record goes to: (split, number, how many there are). No class of its own: Beam
# groups by it, and must encode it in the same bytes everywhere.
Shard = tuple[str, int, int]

# What a picture takes as 16-bit RGBA without compression; a file beyond that is not read at all.
_MAX_BYTES_PER_PIXEL = 8
_MAX_BYTES_BESIDE_PIXELS = 2**20


@dataclass(frozen=True)
class CheckedImage:
    """A picture that has been decoded once; its bytes stay where they are.

    Args:
        ref: Where they are.
        digest: Their SHA-256.
        plain: Whether they fit into a record as they are.
        format: Of the record.
        height: Of the upright picture, pixels.
        width: Of the upright picture, pixels.
    """

    ref: ImageRef
    digest: str
    plain: bool
    format: str
    height: int
    width: int


class Placed(NamedTuple):
    """A picture with its person's label and its place in the order of the records."""

    order: str
    image: CheckedImage
    label: int


def refuse_large(ref: ImageRef, max_pixels: int) -> Refusal | None:
    """Refuses a file that is too long for any picture of so many pixels, before it is read."""
    max_bytes = max_pixels * _MAX_BYTES_PER_PIXEL + _MAX_BYTES_BESIDE_PIXELS
    if ref.size <= max_bytes:
        return None
    return Refusal(ref.key, f"file too large: {ref.size} bytes, expected at most {max_bytes}")


def check_image(ref: ImageRef, max_pixels: int, min_size: int) -> CheckedImage | Refusal:
    """Reads and decodes one picture."""
    if refused := refuse_large(ref, max_pixels):
        return refused
    try:
        data = ref.read()
        image = images.normalize(data, max_pixels, min_size)
    except OSError as error:
        return Refusal(ref.key, f"cannot be read: {error.strerror or error}")
    except images.UnreadableImage as error:
        return Refusal(ref.key, str(error))
    plain = image.encoded is data
    return CheckedImage(ref, _digest(data), plain, image.format, image.height, image.width)


def drop_duplicates(group: Iterable[CheckedImage]) -> Iterator[CheckedImage | Refusal]:
    """Keeps one of byte-identical pictures, or none if they stand under several identities."""
    ordered = sorted(group, key=lambda image: (image.ref.key, image.ref.identity))
    first = ordered[0].ref
    others = {image.ref.identity: image.ref for image in reversed(ordered)}
    if len(others) == 1:
        yield ordered[0]
        for image in ordered[1:]:
            yield Refusal(image.ref.key, f"exact duplicate of {first.key!r}")
        return
    second = next(ref for name, ref in sorted(others.items()) if name != first.identity)
    for image in ordered:
        other = second if image.ref.identity == first.identity else first
        reason = f"contradicting identities: the same bytes as {other.key!r} of {other.identity!r}"
        yield Refusal(image.ref.key, reason)


def place(
    image: CheckedImage, sides: Mapping[str, tuple[str, int]], salt: str
) -> tuple[str, Placed]:
    """Returns the split of a picture, with its label and its place in the order."""
    split, label = sides[image.ref.identity]
    # Sorted by name, a batch read in file order would show one person only.
    return split, Placed(hash_text(image.ref.key, salt), image, label)


def all_shards(split: str, sizes: Mapping[str, int], images_per_shard: int) -> list[Shard]:
    """Returns the shards of a split, of which there is at least one."""
    total = max(1, math.ceil(sizes.get(split, 0) / images_per_shard))
    return [(split, number, total) for number in range(total)]


def to_shard(
    placed: tuple[str, Placed], sizes: Mapping[str, int], images_per_shard: int
) -> tuple[Shard, Placed]:
    """Returns a picture with the shard that its place in the order names."""
    split, picture = placed
    shards = all_shards(split, sizes, images_per_shard)
    return shards[int(picture.order, 16) % len(shards)], picture


def make_record(placed: Placed, dataset: str, max_pixels: int) -> bytes:
    """Reads a checked picture again and returns its serialised tf.Example.

    Raises:
        OSError: The file cannot be read any more, or holds something else by now.
    """
    image = placed.image
    data = image.ref.read()
    if _digest(data) != image.digest:
        raise OSError(f"the file {image.ref.key!r} was changed during the run")
    record = FaceRecord(
        encoded=data if image.plain else images.normalize(data, max_pixels).encoded,
        format=image.format,
        height=image.height,
        width=image.width,
        filename=image.ref.key,
        identity=image.ref.identity,
        label=placed.label,
        dataset=dataset,
    )
    return encode_example(record)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
