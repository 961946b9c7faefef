"""Every kind of picture becomes the right pixels, or is refused with its reason."""

import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from facezoo.data import images, pixels
from facezoo.data.images import UnreadableImage, decode_rgb, normalize
from tests.photographs import encoded, photograph, raw_png, with_orientation

PHOTO = photograph(0)
GREY = photograph(1, channels=1)


def pixels_of(result):
    """Decodes a record's picture with Pillow, which `normalize` uses only for PNG."""
    image = Image.open(io.BytesIO(result.encoded))
    assert image.format.lower() == result.format
    assert (image.height, image.width) == (result.height, result.width)
    assert image.mode in ("L", "RGB")
    return np.asarray(image)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("photo", [PHOTO, GREY], ids=["rgb", "grey"])
def test_plain_pictures_pass_byte_by_byte(kind, photo):
    data = encoded(photo, kind)
    result = normalize(data)
    assert result.encoded is data
    assert (result.format, result.height, result.width) == (kind.lower(), 24, 20)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("BMP", {}), ("PPM", {}), ("WEBP", {"lossless": True}), ("TGA", None)],
)
def test_other_files_become_png_without_loss(kind, options):
    if options is None:
        with pytest.raises(UnreadableImage, match="not an image of the kinds JPEG"):
            normalize(encoded(PHOTO, kind))
        return
    result = normalize(encoded(PHOTO, kind, **options))
    assert result.format == "png"
    np.testing.assert_array_equal(pixels_of(result), PHOTO)


def test_pgm_stays_grey():
    np.testing.assert_array_equal(pixels_of(normalize(encoded(GREY, "PPM"))), GREY)


@pytest.mark.parametrize("widened_by", [256, 257])
@pytest.mark.parametrize("kind", ["PNG", "PPM"])
def test_16_bit_grey_is_scaled(widened_by, kind):
    wide = GREY.astype(np.uint16) * widened_by
    result = normalize(encoded(wide, kind))
    np.testing.assert_array_equal(pixels_of(result), GREY)


def test_16_bit_rgb_is_scaled():
    wide = PHOTO.astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    data = raw_png(20, 24, bits=16, color_type=2, rows=rows)
    result = normalize(data)
    assert result.encoded is not data
    np.testing.assert_array_equal(pixels_of(result), PHOTO)


def test_fewer_than_8_bits_are_widened():
    rows = b"".join(b"\0" + bytes([0x0F] * 10) for _ in range(24))
    data = raw_png(20, 24, bits=4, color_type=0, rows=rows)
    result = normalize(data)
    assert result.encoded is not data
    np.testing.assert_array_equal(pixels_of(result), np.tile(np.uint8([0, 255]), (24, 10)))
    two_tone = Image.fromarray(GREY > 128)
    np.testing.assert_array_equal(
        pixels_of(normalize(encoded(two_tone, "PNG"))), (GREY > 128) * 255
    )


def test_alpha_is_dropped_and_colour_kept():
    alpha = np.dstack([PHOTO, GREY])
    np.testing.assert_array_equal(pixels_of(normalize(encoded(alpha, "PNG"))), PHOTO)
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY)])
    np.testing.assert_array_equal(pixels_of(normalize(encoded(grey_alpha, "PNG"))), GREY)


def test_palette_becomes_rgb():
    image = Image.fromarray(PHOTO).quantize(16)
    np.testing.assert_array_equal(
        pixels_of(normalize(encoded(image, "PNG"))), np.asarray(image.convert("RGB"))
    )


def test_cmyk_becomes_rgb():
    data = encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=95)
    result = normalize(data)
    assert result.format == "png"
    assert np.abs(pixels_of(result).astype(int) - PHOTO).mean() < 4


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("GIF", {})]
)
def test_first_frame_of_an_animation(kind, options):
    # Few colours: GIF has no more than 256.
    first, second = (Image.fromarray(image & 0xC0) for image in (PHOTO, 255 - PHOTO))
    data = encoded(first, kind, save_all=True, append_images=[second], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    result = normalize(data)
    np.testing.assert_array_equal(pixels_of(result), np.asarray(first))
    assert getattr(Image.open(io.BytesIO(result.encoded)), "n_frames", 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(kind, orientation):
    data = encoded(PHOTO, kind, exif=with_orientation(orientation))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    result = normalize(data)
    np.testing.assert_array_equal(pixels_of(result), upright)
    np.testing.assert_array_equal(decode_rgb(data), upright)
    assert (result.encoded is data) == (orientation == 1)


@pytest.mark.parametrize("exif", [with_orientation(9), b"Exif\0\0 no such thing"])
def test_senseless_exif_is_ignored(exif):
    data = encoded(PHOTO, "JPEG", exif=exif)
    assert normalize(data).encoded is data


def test_zero_bytes():
    with pytest.raises(UnreadableImage, match="^zero bytes$"):
        normalize(b"")


def test_not_an_image():
    with pytest.raises(UnreadableImage, match="^not an image of the kinds JPEG, PNG"):
        normalize(b"hello, world")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "PPM"])
@pytest.mark.parametrize("part", [0.5, 0.98])
def test_truncated(kind, part):
    data = encoded(photograph(0, 60, 50), kind)
    with pytest.raises(UnreadableImage, match="^truncated or damaged: "):
        normalize(data[: int(part * len(data))])


def test_truncated_in_the_header():
    with pytest.raises(UnreadableImage):
        normalize(encoded(PHOTO, "JPEG")[:100])


def test_every_cut_of_a_plain_file_is_noticed():
    for kind in ("JPEG", "PNG"):
        data = encoded(PHOTO, kind)
        for length in range(len(data)):
            with pytest.raises(UnreadableImage):
                normalize(data[:length])


def test_damage_in_the_middle_of_a_jpeg():
    data = bytearray(encoded(photograph(0, 60, 50), "JPEG"))
    data[-100:-90] = b"\xff\x00\xff\x01\x00\x00\xff\xd0\x00\x00"
    Image.open(io.BytesIO(data)).load()  # Pillow sees nothing.
    with pytest.raises(UnreadableImage, match="damaged"):
        normalize(bytes(data))


def test_wrong_checksum_in_a_png():
    data = bytearray(encoded(PHOTO, "PNG"))
    data[data.index(b"IEND") - 5] ^= 1
    with pytest.raises(UnreadableImage, match="damaged"):
        normalize(bytes(data))


def test_too_many_pixels_are_refused_before_decoding(monkeypatch):
    def decode(*_):
        raise AssertionError("must not be decoded")

    monkeypatch.setattr(images, "_decode", decode)
    with pytest.raises(UnreadableImage, match="too many pixels: 9000 x 8000, .* 64000000"):
        normalize(raw_png(9000, 8000, bits=8, color_type=2))
    with pytest.raises(UnreadableImage, match="too many pixels, .*900000000 pixels"):
        normalize(raw_png(30000, 30000, bits=8, color_type=2))
    with pytest.raises(UnreadableImage, match="too many pixels: 20 x 24, .* 479 "):
        normalize(encoded(PHOTO, "PNG"), max_pixels=479)
    with pytest.raises(UnreadableImage, match="too many pixels: 20 x 24, .* 479 "):
        decode_rgb(encoded(PHOTO, "JPEG"), max_pixels=479)


def test_too_small():
    with pytest.raises(UnreadableImage, match="too small: 20 x 24 pixels, .* 21 x 21"):
        normalize(encoded(PHOTO, "PNG"), min_size=21)
    assert normalize(encoded(PHOTO, "PNG"), min_size=20)
    assert normalize(encoded(PHOTO[:1, :1], "PNG")).height == 1


def test_floating_point_pixels_are_refused():
    with pytest.raises(UnreadableImage, match="floating-point"):
        normalize(encoded(GREY.astype(np.float32), "PPM"))


def test_same_pixels_as_tensorflow():
    from facezoo.data.decode import decode_image

    for data in (
        encoded(PHOTO, "JPEG", quality=60),
        encoded(GREY, "JPEG"),
        encoded(PHOTO, "PNG"),
        encoded(GREY, "PNG"),
    ):
        np.testing.assert_array_equal(decode_rgb(data), decode_image(data).numpy())


@pytest.mark.parametrize("photo", [PHOTO, GREY, photograph(2, 61, 47)], ids=["rgb", "grey", "odd"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 30}),
        ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
        ("JPEG", {"quality": 80, "subsampling": "4:2:2"}),
        ("JPEG", {"quality": 80, "progressive": True}),
    ],
)
def test_training_reads_the_same_pixels_as_tensorflow(photo, kind, options):
    from facezoo.data.decode import decode_image

    data = encoded(photo, kind, **options)
    ours = pixels.decode_stored(data)
    assert ours.dtype == np.uint8
    np.testing.assert_array_equal(ours, decode_image(data).numpy())


@pytest.mark.parametrize("size", [(20, 17), (90, 80), (60, 50), (61, 49), (1, 1), (7, 120)])
def test_training_resizes_as_tensorflow(size):
    from facezoo.data.decode import resize
    from facezoo.data.preprocessing import Preprocessing

    for height, width in ((60, 50), (1, 3)):
        photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        ours = pixels.resize_like_graph(photo, *size)
        assert ours.shape == (*size, 3) and ours.dtype == np.float32
        np.testing.assert_allclose(ours, resize(photo, Preprocessing(*size)), atol=1e-3)


def test_what_turbojpeg_does_not_know_pillow_decodes(monkeypatch):
    def header(*_, **__):
        raise ValueError("Could not determine subsampling level of JPEG image")

    data = encoded(PHOTO, "JPEG")
    expected = decode_rgb(data)
    monkeypatch.setattr(simplejpeg, "decode_jpeg_header", header)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", header)
    np.testing.assert_array_equal(decode_rgb(data), expected)
    np.testing.assert_array_equal(pixels.decode_stored(data), expected)
    assert normalize(data).encoded is data


def test_resize_is_antialiased_like_the_graph():
    from facezoo.data.decode import resize
    from facezoo.data.preprocessing import Preprocessing

    photo = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    for height, width in ((20, 17), (90, 80)):
        ours = images.resize(photo, height, width)
        assert (ours.shape, ours.dtype) == ((height, width, 3), np.uint8)
        graph = resize(photo, Preprocessing(height, width)).numpy()
        assert np.abs(ours - graph).max() <= 1
    assert images.resize(photo, 60, 50) is photo


def test_center_crop_keeps_proportions():
    column, row = np.arange(100)[None], np.arange(60)[:, None]
    image = np.stack(np.broadcast_arrays(row, column, row), axis=-1).astype(np.uint8)
    wide = images.center_crop(image, 30, 30)
    assert wide.shape == (60, 60, 3)
    assert (wide[0, 0, 1], wide[0, -1, 1]) == (20, 79)
    high = images.center_crop(image, 10, 50)
    assert high.shape == (20, 100, 3)
    assert (high[0, 0, 0], high[-1, 0, 0]) == (20, 39)


def test_encoding():
    np.testing.assert_array_equal(decode_rgb(images.encode_png(PHOTO)), PHOTO)
    grey = images.encode_png(np.dstack([GREY] * 3))
    assert Image.open(io.BytesIO(grey)).mode == "L"
    np.testing.assert_array_equal(decode_rgb(grey)[..., 1], GREY)
    good, bad = (images.encode_jpeg(PHOTO, quality) for quality in (95, 20))
    assert len(bad) < len(good)
    assert np.abs(decode_rgb(good).astype(int) - PHOTO).mean() < 3
