"""Every odd and every broken form in which a stranger may send a picture."""

import numpy as np
from PIL import Image

from tests.photographs import encoded, photograph, raw_png, with_orientation

PHOTO = photograph(7)
GREY = photograph(8, channels=1)


def bad_input() -> dict[str, bytes]:
    """One file per kind of bad input, by name."""
    plain = encoded(photograph(9, 60, 50), "JPEG")
    return {
        "text.jpg": b"This is not an image.",
        "truncated.jpg": plain[: len(plain) // 2],
        "zero.png": b"",
        "one_pixel.png": encoded(PHOTO[:1, :1], "PNG"),
        "bomb.png": raw_png(50_000, 50_000, bits=8, color_type=2),
        "cmyk.jpg": encoded(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=95),
        "wide.png": encoded(GREY.astype(np.uint16) * 257, "PNG"),
        "grey.jpg": encoded(GREY, "JPEG"),
        "palette.png": encoded(Image.fromarray(PHOTO).quantize(32), "PNG"),
        "animated.webp": encoded(
            Image.fromarray(PHOTO),
            "WEBP",
            lossless=True,
            save_all=True,
            append_images=[Image.fromarray(255 - PHOTO)],
        ),
        "rotated.jpg": encoded(PHOTO, "JPEG", exif=with_orientation(6)),
    }


def more_forms() -> dict[str, bytes]:
    """Further forms that are met in the wild, by name."""
    photo, png = Image.fromarray(PHOTO), encoded(PHOTO, "PNG")
    large = photograph(9, 61, 50)
    random = np.random.default_rng(0)
    samples = random.integers(0, 256, (10, 80), np.uint8)
    return {
        "plain.jpg": encoded(large, "JPEG"),
        "plain.png": png,
        "progressive.jpg": encoded(large, "JPEG", progressive=True),
        "subsampled.jpg": encoded(large, "JPEG", subsampling=2, quality=60),
        "full_colour.jpg": encoded(large, "JPEG", subsampling=0),
        "noise_cmyk.jpg": encoded(
            Image.fromarray(random.integers(0, 256, (30, 40, 4), np.uint8), "CMYK"), "JPEG"
        ),
        "print_cmyk.jpg": without_adobe(encoded(photo.convert("CMYK"), "JPEG")),
        "alpha.png": encoded(np.dstack([PHOTO, GREY]), "PNG"),
        "grey_alpha.png": encoded(photo.convert("LA"), "PNG"),
        "grey.png": encoded(GREY, "PNG"),
        "one_bit.png": encoded(photo.convert("1"), "PNG"),
        "transparent_palette.png": encoded(photo.quantize(16), "PNG", transparency=3),
        "wide_noise.png": encoded(random.integers(0, 65_536, (9, 8), np.uint16), "PNG"),
        "wide_colour.png": raw_png(20, 10, 16, 6, rows(random.integers(0, 256, (10, 160)))),
        "wide_grey_alpha.png": raw_png(20, 10, 16, 4, rows(samples)),
        "four_bit.png": raw_png(160, 10, 4, 0, rows(samples)),
        "animated.png": encoded(photo, "PNG", save_all=True, append_images=[photo.rotate(90)]),
        "two_pictures.mpo": encoded(photo, "MPO", save_all=True, append_images=[photo]),
        "no_end.png": png[:-12],
        "wrong_checksum.png": png[:60] + bytes([png[60] ^ 1]) + png[61:],
        "no_end.jpg": encoded(large, "JPEG")[:-2],
        "bomb.jpg": resized_header(encoded(large, "JPEG"), 60_000, 60_000),
        "zeros.jpg": bytes(1000),
        "path.jpg": b"/etc/passwd",
        "plain.webp": encoded(photo, "WEBP"),
        "plain.bmp": encoded(photo, "BMP"),
        "plain.gif": encoded(photo, "GIF"),
        "plain.ppm": encoded(photo, "PPM"),
        **{
            f"turned_{number}.{kind.lower()}": encoded(PHOTO, kind, exif=with_orientation(number))
            for number in range(1, 10)
            for kind in ("JPEG", "PNG")
        },
    }


def rows(samples: np.ndarray) -> bytes:
    """Rows of a PNG, each with the byte that says it is not filtered."""
    return b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in samples)


def without_adobe(jpeg: bytes) -> bytes:
    """Takes out the segment by which a CMYK JPEG says that its colours are inverted."""
    start = jpeg.index(b"\xff\xee")
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big") :]


def resized_header(jpeg: bytes, height: int, width: int) -> bytes:
    """A JPEG that claims another size."""
    start = jpeg.index(b"\xff\xc0") + 5
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return jpeg[:start] + size + jpeg[start + 4 :]
