"""Digests, perceptual hashes and the search for near-duplicate pictures."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from facezoo.data import near_duplicates
from facezoo.data.images import decode_rgb
from facezoo.data.near_duplicates import (
    CONFIRM_BITS,
    SCREEN_BITS,
    PictureHashes,
    find_exact,
    find_near,
    hash_picture,
)

_SIDE = 96


def textured(seed, side=_SIDE):
    """A picture with detail enough for 256 bits."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def hashes_of(*images):
    return PictureHashes.stack([hash_picture(image) for image in images])


def smaller(image):
    return np.asarray(Image.fromarray(image).resize((_SIDE // 2, _SIDE // 2)))


def brighter(image):
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(1.15))


def random_hashes(random, count):
    """Hashes that are near each other often enough to try every branch."""
    coarse = random.integers(0, 2**12, count, dtype=np.uint64)
    fine = np.zeros((count, 4), np.uint64)
    one, other = random.integers(0, 2**63, (2, count, 2), dtype=np.uint64)
    fine[:, [0, 3]] = one & other
    digest = random.integers(0, 3, (count, 32), dtype=np.uint8)
    return PictureHashes(digest, coarse, fine, random.random(count) < 0.9)


def nearest_by_hand(probe, gallery):
    """Every pair, bit by bit."""
    answers = []
    for i in range(len(probe)):
        found = []
        for j in range(len(gallery)):
            words = zip(probe.fine[i].tolist(), gallery.fine[j].tolist(), strict=True)
            bits = sum((a ^ b).bit_count() for a, b in words)
            near = int(probe.coarse[i] ^ gallery.coarse[j]).bit_count() <= SCREEN_BITS
            if probe.hashed[i] and gallery.hashed[j] and near and bits <= CONFIRM_BITS:
                found.append((bits, j))
        bits, index = min(found, default=(-1, -1))
        answers.append((index, bits))
    return np.array(answers).T


class TestExact:
    def test_the_same_pixels_in_another_file_format(self):
        image = textured(0)
        files = [encoded(image, kind) for kind in ("PNG", "BMP", "PPM")]
        probe = hashes_of(*map(decode_rgb, files))
        assert find_exact(probe, hashes_of(textured(1), image)).tolist() == [1, 1, 1]

    def test_one_pixel_and_the_shape_make_a_difference(self):
        image = textured(0)
        changed = image.copy()
        changed[3, 4, 1] ^= 1
        turned = image.reshape(_SIDE // 2, _SIDE * 2, 3)
        assert find_exact(hashes_of(changed, turned), hashes_of(image)).tolist() == [-1, -1]

    def test_the_first_of_several(self):
        image = textured(0)
        assert find_exact(hashes_of(image), hashes_of(textured(1), image, image)).tolist() == [1]


class TestNear:
    @pytest.mark.parametrize(
        "change",
        [
            lambda image: decode_rgb(encoded(image, "JPEG", quality=30)),
            smaller,
            brighter,
            lambda image: np.asarray(Image.fromarray(image).convert("L").convert("RGB")),
        ],
        ids=["jpeg", "half the size", "brighter", "grey"],
    )
    def test_a_changed_picture_is_found_among_others(self, change):
        gallery = hashes_of(*(textured(seed) for seed in range(20)))
        index, bits = find_near(hashes_of(change(textured(7))), gallery)
        assert index.tolist() == [7]
        assert 0 <= bits[0] <= CONFIRM_BITS

    def test_another_picture_is_not(self):
        index, bits = find_near(hashes_of(textured(100)), hashes_of(*map(textured, range(20))))
        assert (index.tolist(), bits.tolist()) == ([-1], [-1])

    @pytest.mark.parametrize("small_blocks", [False, True])
    def test_equals_every_pair_bit_by_bit(self, small_blocks, monkeypatch):
        if small_blocks:
            monkeypatch.setattr(near_duplicates, "_PROBES", 7)
            monkeypatch.setattr(near_duplicates, "_GALLERY", 11)
        random = np.random.default_rng(0)
        probe, gallery = random_hashes(random, 40), random_hashes(random, 90)
        found = find_near(probe, gallery)
        expected = nearest_by_hand(probe, gallery)
        assert 5 < np.count_nonzero(expected[0] >= 0) < 40
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize(("coarse", "fine", "is_near"), [(6, 40, 1), (8, 40, 0), (6, 41, 0)])
    def test_both_bounds(self, coarse, fine, is_near):
        def with_bits(coarse, fine):
            bits = np.packbits(np.arange(256) < fine).view(np.uint64)[None]
            word = np.packbits(np.arange(64) < coarse).view(np.uint64)
            return PictureHashes(np.zeros((1, 32), np.uint8), word, bits, np.ones(1, bool))

        index, _ = find_near(with_bits(coarse, fine), with_bits(0, 0))
        assert index.tolist() == [0 if is_near else -1]

    def test_the_first_of_equally_near_ones(self, monkeypatch):
        monkeypatch.setattr(near_duplicates, "_GALLERY", 2)
        image = textured(0)
        gallery = hashes_of(textured(1), brighter(image), image, textured(2), image)
        index, bits = find_near(hashes_of(image), gallery)
        assert (index.tolist(), bits.tolist()) == ([2], [0])

    def test_an_empty_gallery(self):
        nobody = PictureHashes.stack([])
        assert find_near(hashes_of(textured(0)), nobody)[0].tolist() == [-1]
        assert find_exact(hashes_of(textured(0)), nobody).tolist() == [-1]
        assert len(find_near(nobody, hashes_of(textured(0)))[0]) == 0


@pytest.mark.parametrize(
    "image",
    [
        np.full((64, 64, 3), 130, np.uint8),
        np.full((64, 64, 3), 130, np.uint8) + (np.arange(64) % 5).astype(np.uint8)[:, None, None],
        textured(0, side=15),
    ],
    ids=["flat", "nearly flat", "tiny"],
)
def test_pictures_that_all_hash_alike_are_not_hashed(image):
    hashes = hashes_of(image)
    assert not hashes.hashed[0]
    assert find_near(hashes, hashes)[0].tolist() == [-1]
    assert find_exact(hashes, hashes).tolist() == [0]
