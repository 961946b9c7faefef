"""Reads data sets for curation: pictures once, and from then on what a model saw in them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from facezoo.cli.model_loading import LoadedModel
from facezoo.cli.people import make_witness
from facezoo.data import sources
from facezoo.data.manifest_file import SUFFIX, load_manifest, save_manifest
from facezoo.data.people_manifest import PeopleManifest, Picture, Witness, manifest_of
from facezoo.data.references import ImageRef, Listing
from facezoo.data.test_time import TestTime

_PREFIX: Final = "seen-"


@dataclass(frozen=True)
class CuratedSet:
    """A data set and its pictures.

    Args:
        manifest: People, hashes, embeddings and norms.
        references: Where its pictures lie, by their names.
    """

    manifest: PeopleManifest
    references: Mapping[str, ImageRef]


def read_sets(
    views: Sequence[tuple[str, TestTime]], model: LoadedModel, out: Path, spool: Path
) -> list[CuratedSet]:
    """Reads sets, or takes what an earlier run left of the same pictures, model and view.

    Args:
        views: Each set, as `facezoo.data.sources` reads it, and what the model sees of a picture.
        model: The witness.
        out: Where to keep what it saw.
        spool: A folder that lasts as long as pictures are to be read, for those of TFDS.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: There is no such set, or two have one name.
    """
    listings = [
        sources.list_input(source, spool / str(number)) for number, (source, _) in enumerate(views)
    ]
    names = [listing.dataset for listing in listings]
    if len(set(names)) < len(names):
        raise ValueError(
            f"Data sets must have names of their own. Received: {', '.join(names)}. A folder's "
            "name is that of its set: rename one, or list its pictures in a CSV."
        )
    return [
        _read(source, listing, make_witness(model, view), view, out)
        for (source, view), listing in zip(views, listings, strict=True)
    ]


def _read(source: str, listing: Listing, witness: Witness, view: TestTime, out: Path) -> CuratedSet:
    references = {image.key: image for image in listing.images}
    bound = f"{sources.fingerprint(source)} {witness.fingerprint} {view}"
    digest = hashlib.sha256(bound.encode()).hexdigest()[:16]
    seen = out / f"{_PREFIX}{digest}{SUFFIX}"
    if seen.is_file():
        return CuratedSet(load_manifest(seen), references)
    pictures = [Picture(one.key, one.identity, one.read) for one in listing.images]
    manifest = manifest_of(listing.dataset, pictures, witness)
    manifest = replace(manifest, refusals=(*listing.refusals, *manifest.refusals))
    save_manifest(manifest, seen)
    return CuratedSet(manifest, references)
