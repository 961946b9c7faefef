"""Any TFDS data set with a picture and an identity or label, as references into one spool file."""

import os
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from facezoo.data.references import ImageRef, Listing, Refusal, SourceError

_IMAGE_NAMES = ("image", "image/encoded")
_IDENTITY_NAMES = ("identity", "identity/name", "label", "identity/label")


def list_tfds(name: str, spool: Path) -> Listing:
    """Lists the pictures of all splits; their encoded bytes are copied to `spool`.

    Args:
        name: What `tfds.builder` takes, or the folder of a prepared data set.
        spool: File to write.

    Raises:
        SourceError: The set is not prepared and cannot be, or has no picture or no identity.
    """
    import tensorflow_datasets as tfds

    builder = _open(name)
    image_path, identity_path = find_features(name, builder.info.features)
    identity_feature = _at(builder.info.features, identity_path)
    decoders = tfds.decode.PartialDecoding(
        _nest(image_path, True) | _nest(identity_path, True),
        decoders=_nest(image_path, tfds.decode.SkipDecoding()),
    )
    # One file after the other: the order must not depend on the reader's threads.
    reading = tfds.ReadConfig(interleave_cycle_length=1)
    listing = Listing(builder.name)
    with open(spool, "wb") as file:
        for split in sorted(builder.info.splits):
            examples = builder.as_dataset(split=split, decoders=decoders, read_config=reading)
            for number, example in enumerate(tfds.as_numpy(examples)):
                key = f"{split}/{number:08d}"
                encoded = bytes(_at(example, image_path))
                if identity := identity_name(identity_feature, _at(example, identity_path)):
                    path = os.fsencode(spool)
                    image = ImageRef(key, identity, path, file.tell(), len(encoded))
                    listing.images.append(image)
                    file.write(encoded)
                else:
                    listing.refusals.append(Refusal(key, "no identity"))
    return listing


def prepared_files(name: str) -> Iterator[tuple[str, int, int]]:
    """Yields relative path, size and time of change of every file of a prepared data set.

    Raises:
        SourceError: The set is not prepared and cannot be.
    """
    folder = Path(_open(name).data_dir)
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            yield path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns


def _open(name: str) -> Any:
    """Returns the builder of a data set, prepared."""
    # Imported here: it costs half a second, and seconds more as soon as it reads.
    import tensorflow_datasets as tfds

    try:
        if os.path.isdir(name):
            return tfds.builder_from_directory(name)
        builder = tfds.builder(name)
        if not builder.is_prepared():
            _require_hosts(builder.url_infos)
            builder.download_and_prepare()
    # Downloads fail in as many ways as there are hosts.
    except Exception as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(
            f"The TFDS data set {name!r} is not prepared and cannot be prepared now: "
            f"{first_line.rstrip('.')}. Where it can be downloaded, run: tfds build {name}"
        ) from error
    return builder


def _require_hosts(urls: Iterable[str]) -> None:
    """Fails at once where TFDS would try again and again for minutes: without a network."""
    if not urllib.request.getproxies():
        for host in sorted({urllib.parse.urlsplit(url).hostname or "" for url in urls}):
            try:
                socket.getaddrinfo(host, None)
            except OSError as error:
                raise OSError(f"{host} cannot be reached: {error.strerror}") from error


def find_features(name: str, features: Any) -> tuple[str, str]:
    """Returns the paths of the picture and of the identity among a set's features.

    Raises:
        SourceError: There is none, or the pictures have floating-point pixels.
    """
    import tensorflow_datasets as tfds

    flat = dict(_flatten(features))
    images = [path for path, one in flat.items() if isinstance(one, tfds.features.Image)]
    images.sort(key=lambda path: (path not in _IMAGE_NAMES, path))
    identities = [path for path in _IDENTITY_NAMES if path in flat and flat[path].shape == ()]
    if not images or not identities:
        raise SourceError(
            f"The TFDS data set {name!r} must have an image and one of the features "
            f"{', '.join(_IDENTITY_NAMES)}. Received: {', '.join(sorted(flat))}."
        )
    # TFDS hides floating-point pixels in the channels of an 8-bit PNG.
    if np.dtype(flat[images[0]].np_dtype).kind != "u":
        raise SourceError(
            f"The pictures of the TFDS data set {name!r} must have 8 or 16 bits. "
            f"Received: {np.dtype(flat[images[0]].np_dtype)}."
        )
    return images[0], identities[0]


def _flatten(features: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, feature in features.items():
        if hasattr(feature, "items"):
            yield from _flatten(feature, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", feature


def identity_name(feature: Any, value: Any) -> str:
    """Returns a person's name as text, whatever the feature's type; "" if there is none."""
    if hasattr(feature, "int2str"):
        return feature.int2str(int(value)) if value >= 0 else ""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _at(tree: Any, path: str) -> Any:
    for key in path.split("/"):
        tree = tree[key]
    return tree


def _nest(path: str, leaf: Any) -> dict[str, Any]:
    for key in reversed(path.split("/")):
        leaf = {key: leaf}
    return leaf
