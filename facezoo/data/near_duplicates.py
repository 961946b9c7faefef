"""Finds equal and nearly equal pictures, in one set or two, by digests and perceptual hashes."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

# See `find_near` for how they were chosen.
SCREEN_BITS: Final = 6
CONFIRM_BITS: Final = 40
# A picture smaller or flatter than this hashes its noise: all such pictures may look alike.
MIN_SIDE: Final = 16
MIN_CONTRAST: Final = 4.0

_COARSE_SIDE, _FINE_SIDE = 8, 16
# Pairs compared at once: their 8 MiB stay in a processor's cache.
_PROBES, _GALLERY = 64, 2**14


class PictureHash(NamedTuple):
    """What is remembered of one picture.

    Args:
        digest: SHA-256 of shape and pixels, 32 bytes.
        coarse: 64-bit pHash, 8 bytes; zeros if it is not hashed.
        fine: 256-bit pHash, 32 bytes; zeros if it is not hashed.
        hashed: False for a picture too small or too flat for a perceptual hash.
    """

    digest: bytes
    coarse: bytes
    fine: bytes
    hashed: bool


def hash_picture(image: NDArray[np.uint8]) -> PictureHash:
    """Hashes a decoded picture, so that neither its file's format nor its metadata count.

    Args:
        image: uint8 [H, W, 3], RGB.

    Source:
        pHash as in the package ImageHash: the signs, relative to their median, of the lowest
        8 x 8 (16 x 16) coefficients of the cosine transform of the picture in 32 x 32 (64 x 64).
    """
    digest = hashlib.sha256(f"{image.shape} ".encode())
    digest.update(np.ascontiguousarray(image).data)
    grey = Image.fromarray(image).convert("L")
    if min(grey.size) < MIN_SIDE or np.asarray(grey).std() < MIN_CONTRAST:
        return PictureHash(digest.digest(), bytes(8), bytes(32), False)
    coarse, fine = (
        np.packbits(imagehash.phash(grey, hash_size=side).hash).tobytes()
        for side in (_COARSE_SIDE, _FINE_SIDE)
    )
    return PictureHash(digest.digest(), coarse, fine, True)


@dataclass(frozen=True, eq=False)
class PictureHashes:
    """The hashes of N pictures as columns.

    Args:
        digest: uint8 [N, 32].
        coarse: uint64 [N].
        fine: uint64 [N, 4].
        hashed: bool [N].
    """

    digest: NDArray[np.uint8]
    coarse: NDArray[np.uint64]
    fine: NDArray[np.uint64]
    hashed: NDArray[np.bool_]

    @classmethod
    def stack(cls, hashes: Sequence[PictureHash]) -> "PictureHashes":
        """Lays hashes below each other."""
        digest, coarse, fine = (
            np.frombuffer(b"".join(column), dtype).reshape(len(hashes), width)
            for column, dtype, width in (
                ([one.digest for one in hashes], np.uint8, 32),
                ([one.coarse for one in hashes], np.dtype("<u8"), 1),
                ([one.fine for one in hashes], np.dtype("<u8"), 4),
            )
        )
        return cls(digest, coarse[:, 0], fine, np.array([one.hashed for one in hashes], bool))

    @classmethod
    def concatenate(cls, parts: Sequence["PictureHashes"]) -> "PictureHashes":
        """Lays the hashes of several sets below each other."""
        columns = ("digest", "coarse", "fine", "hashed")
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in columns))

    def take(self, rows: NDArray[np.integer]) -> "PictureHashes":
        """Returns those of some pictures."""
        return PictureHashes(
            self.digest[rows], self.coarse[rows], self.fine[rows], self.hashed[rows]
        )

    def __len__(self) -> int:
        return len(self.digest)


def find_exact(probe: PictureHashes, gallery: PictureHashes) -> NDArray[np.int64]:
    """Finds pictures with the very same pixels.

    Returns:
        For each of the M probes the first equal picture of the gallery, or -1; int64 [M].
    """
    first: dict[bytes, int] = {}
    for index, digest in enumerate(gallery.digest):
        first.setdefault(digest.tobytes(), index)
    found = (first.get(digest.tobytes(), -1) for digest in probe.digest)
    return np.fromiter(found, np.int64, len(probe))


def find_near(
    probe: PictureHashes, gallery: PictureHashes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Finds the nearest near-duplicate of every picture, comparing all with all.

    Two pictures are near-duplicates if their 64-bit hashes differ in at most 6 bits and their
    256-bit hashes in at most 40. The first alone would not do for faces, which are cut alike: of
    211 million pairs in FIW, of pictures cut tightly to two people's faces, 2,628 differ in 6 bits
    or less. The second leaves 41 of these, in 32 bits or less, each one picture under two names;
    of the others, in 44 bits or more, nearly all show different people.

    A picture compressed anew (JPEG quality 20 and up), halved, doubled, blurred a little, without
    its colours or with other contrast differs in at most 4 and 16 bits, one made a third brighter
    mostly in 6 and 30. One cut anew by 2 % of each side is found about every second time, by 4 %
    hardly ever.

    Args:
        probe: Of M pictures.
        gallery: Of N pictures.

    Returns:
        `(index, bits)`, int64 [M]: the gallery's picture whose 256-bit hash is nearest, the first
        of equal ones, and in how many bits it differs; -1 and -1 where there is none. Pictures
        that are not hashed have none.

    Numerics:
        Exact. Memory does not grow with the number of pairs.
    """
    none = (CONFIRM_BITS + 1) * len(gallery)
    # Bits and place in one number: the smallest is the nearest, and the first of equal ones.
    best = np.full(len(probe), none, dtype=np.int64)
    for rows, columns in _blocks(probe, gallery):
        row, column, bits = _near(probe, rows, gallery, columns)
        np.minimum.at(best, row, bits * len(gallery) + column)
    index, bits = best % max(len(gallery), 1), best // max(len(gallery), 1)
    found = best < none
    return np.where(found, index, -1), np.where(found, bits, -1)


def near_pairs(
    hashes: PictureHashes,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Finds all near-duplicates within a set, by the bounds of `find_near`.

    Args:
        hashes: Of N pictures.

    Returns:
        `(first, second, bits)`, int64 [M] each, `first < second`, ascending: the places of two
        pictures and in how many bits their 256-bit hashes differ.

    Numerics:
        Exact. Memory grows with the pairs found, not with those compared.
    """
    found = [np.zeros((3, 0), np.int64)]
    for rows, columns in _blocks(hashes, hashes):
        if columns[-1] <= rows[0]:
            continue
        row, column, bits = _near(hashes, rows, hashes, columns)
        found.append(np.stack([row, column, bits])[:, row < column])
    first, second, bits = np.concatenate(found, axis=1)
    order = np.lexsort((second, first))
    return first[order], second[order], bits[order]


def _near(
    probe: PictureHashes, rows: NDArray[np.intp], gallery: PictureHashes, columns: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    apart = np.bitwise_count(probe.coarse[rows, None] ^ gallery.coarse[columns])
    row, column = np.nonzero(apart <= SCREEN_BITS)
    row, column = rows[row], columns[column]
    differing = np.bitwise_count(probe.fine[row] ^ gallery.fine[column])
    bits = differing.sum(axis=1, dtype=np.int64)
    is_near = bits <= CONFIRM_BITS
    return row[is_near], column[is_near], bits[is_near]


def _blocks(
    probe: PictureHashes, gallery: PictureHashes
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    rows, columns = np.flatnonzero(probe.hashed), np.flatnonzero(gallery.hashed)
    for start in range(0, len(columns), _GALLERY):
        for first in range(0, len(rows), _PROBES):
            yield rows[first : first + _PROBES], columns[start : start + _GALLERY]
