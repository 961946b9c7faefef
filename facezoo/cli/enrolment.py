"""The actions of `gallery` that embed pictures: enrol and refresh."""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from absl import app, flags

from facezoo.cli.embedded import Row, embed_pictures
from facezoo.cli.gallery_model import load_model
from facezoo.cli.model_loading import LoadedModel
from facezoo.cli.people_listing import (
    Found,
    PeopleListing,
    list_files,
    list_people,
    origin_of,
)
from facezoo.gallery import Binding, Entry, Gallery, Picture, plan_refresh

# What is embedded is kept so often; after a cut the same command does the rest.
_KEPT_AT_ONCE = 256


def enrol(path: Path, arguments: Sequence[str], options: flags.FlagValues) -> dict[str, Any]:
    """Adds people to a gallery, which is made if it is not there.

    Args:
        path: Of the gallery.
        arguments: Sets of people, or photographs if `--identity` names the person.
        options: Of the verb.

    Returns:
        The report.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: The model, the gallery or a set cannot be used.
    """
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"The gallery's folder must be there and writable. Received: {path}.")
    identity = options["identity"].value
    listing = list_people(arguments) if identity is None else list_files(identity, arguments)
    gallery = Gallery(path) if path.exists() else None
    model, binding = load_model(options, gallery)
    there = gallery.find(one.picture.digest for one in listing.found) if gallery else {}
    new, known, conflicts = _new(listing.found, there)
    job = _Enrolling(path, model, binding)
    job.enrol(new)
    return _report(
        path,
        listing,
        job,
        conflicts=[*conflicts, *job.conflicts],
        added=job.num_added,
        known=known + job.num_known,
    )


def refresh(path: Path, arguments: Sequence[str], options: flags.FlagValues) -> dict[str, Any]:
    """Brings what was enrolled from a set of people in line with it.

    Args:
        path: Of the gallery.
        arguments: The set.
        options: Of the verb.

    Returns:
        The report.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: The model, the gallery or the set cannot be used.
    """
    if len(arguments) != 1 or options["identity"].value is not None:
        raise app.UsageError("refresh takes the one folder or CSV that people were enrolled from.")
    gallery, source = Gallery(path), arguments[0]
    enrolled = gallery.pictures(origin=origin_of(source))
    if not enrolled:
        raise ValueError(_not_enrolled(gallery, source))
    listing = list_people(arguments)
    model, binding = load_model(options, gallery)
    there = gallery.find(one.picture.digest for one in listing.found)
    elsewhere = {key: one for key, one in there.items() if one.origin != origin_of(source)}
    plan = plan_refresh([one.picture for one in listing.found], enrolled, elsewhere)
    job = _Enrolling(path, model, binding)
    new = set(plan.added)
    job.enrol([one for one in listing.found if one.picture in new])
    lost = _out_of_sight(source, listing, enrolled)
    dropped = plan.dropped({*job.failed, *lost})
    gallery.update(plan.moved, dropped)
    return _report(
        path,
        listing,
        job,
        conflicts=[*plan.conflicts, *job.conflicts],
        added=job.num_added,
        changed=plan.changed,
        moved=len(plan.moved),
        dropped=len(dropped),
        unchanged=plan.unchanged,
    )


class _Enrolling:
    """Embeds pictures and enrols them, some at a time."""

    def __init__(self, path: Path, model: LoadedModel, binding: Binding) -> None:
        self._path, self._model, self._binding = path, model, binding
        self.num_added = self.num_known = 0
        self.conflicts: list[tuple[Picture, str]] = []
        self.failed: list[str] = []

    def enrol(self, found: Sequence[Found]) -> None:
        """Enrols pictures; those that are no pictures are told of and passed over."""
        paths = [one.path for one in found]
        rows = embed_pictures(paths, self._model, self._binding.view, "gallery")
        pairs = zip(found, rows, strict=True)
        while some := list(islice(pairs, _KEPT_AT_ONCE)):
            self._keep(list(self._entries(some)))

    def _entries(self, pairs: Sequence[tuple[Found, Row]]) -> Iterator[Entry]:
        for one, row in pairs:
            if row.error:
                self.failed.append(one.picture.source)
            else:
                yield Entry(one.picture, row.embedding)

    def _keep(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        gallery = Gallery.create(self._path, self._binding, len(entries[0].embedding))
        done = gallery.enrol(entries)
        self.num_added += done.added
        self.num_known += done.known
        self.conflicts.extend(done.conflicts)


def _new(
    found: Sequence[Found], there: dict[str, Picture]
) -> tuple[list[Found], int, list[tuple[Picture, str]]]:
    """What is not there yet, how many are, and those that are somebody else's."""
    holder = dict(there)
    new, conflicts = [], []
    for one in found:
        held = holder.setdefault(one.picture.digest, one.picture)
        if held.identity != one.picture.identity:
            conflicts.append((one.picture, held.identity))
        elif held is one.picture:
            new.append(one)
    return new, len(found) - len(new) - len(conflicts), conflicts


def _out_of_sight(
    source: str, listing: PeopleListing, enrolled: Sequence[Picture]
) -> Collection[str]:
    """Enrolled pictures that were refused, or lie in a folder that could not be listed."""
    refused = {one.key for one in listing.refusals if not _is_empty(Path(source, one.key))}
    below = tuple(f"{key}/" for key in refused)
    names = {one.source for one in enrolled}
    return {name for name in names if name in refused or name.startswith(below)}


def _is_empty(folder: Path) -> bool:
    try:
        return not os.listdir(folder)
    except OSError:
        return False


def _not_enrolled(gallery: Gallery, source: str) -> str:
    origins = sorted({one.origin for one in gallery.pictures()} - {""})
    return (
        f"Nothing in {gallery.path} was enrolled from {source!r}. "
        f"Expected one of: {', '.join(origins) or 'none, all are single pictures'}. "
        "For people from elsewhere take `gallery enrol`."
    )


def _report(
    path: Path,
    listing: PeopleListing,
    job: _Enrolling,
    conflicts: Sequence[tuple[Picture, str]],
    **counts: int,
) -> dict[str, Any]:
    for refusal in listing.refusals:
        print(f"facezoo gallery: {refusal.key}: {refusal.reason}", file=sys.stderr)
    for picture, holder in conflicts:
        print(
            f"facezoo gallery: {picture.source} is enrolled as {holder!r}, and was not enrolled "
            f"as {picture.identity!r} too. Remove it there first if that is wrong.",
            file=sys.stderr,
        )
    left_out = [*(one.key for one in listing.refusals), *job.failed]
    left_out += [picture.source for picture, _ in conflicts]
    people = Gallery(path).people() if path.exists() else {}
    totals = {"people": len(people), "pictures": sum(people.values())}
    return {"gallery": str(path), **counts, "left_out": left_out, **totals}
