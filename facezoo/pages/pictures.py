"""Pictures inside a page: small, without metadata, whatever they were."""

import base64
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from facezoo.data.images import UnreadableImage, decode_rgb

_QUALITY: Final = 80


@dataclass(frozen=True)
class Picture:
    """An image in a page.

    Args:
        name: A stranger's text.
        uri: A JPEG as `data:` URI; None if it cannot be shown.
        problem: Why not.
    """

    name: str
    uri: str | None
    problem: str = ""


def small_picture(name: str, encoded: bytes | None, side: int = 128) -> Picture:
    """Re-encodes an image as a small JPEG, without metadata.

    Args:
        name: What to call it.
        encoded: Any format that `facezoo.data.images` reads; None if it is not at hand.
        side: The most pixels of either side.
    """
    if encoded is None:
        return Picture(name, None, "not at hand")
    try:
        image = Image.fromarray(decode_rgb(encoded))
    except UnreadableImage as error:
        # One broken picture must not cost the report its numbers.
        return Picture(name, None, str(error))
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(name, f"data:image/jpeg;base64,{data}")
