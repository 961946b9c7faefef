"""Keeps the people that are known in a file: enrols, removes, refreshes, lists, calibrates."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from facezoo.cli import enrolment, gallery_model, views
from facezoo.cli.gallery_model import VIEW_HELP
from facezoo.cli.people_listing import PEOPLE
from facezoo.gallery import Gallery, calibrate
from facezoo.gallery.identify import NEAREST, RULES

USAGE = "gallery enrol|refresh|remove|list|info|calibrate FILE [ARGUMENTS] [--model=PATH] [--json]"
HELP = f"""  enrol FILE PEOPLE.. --model=PATH
      PEOPLE is {PEOPLE}.
  enrol FILE PICTURES.. --identity=NAME --model=PATH
      Photographs, folders or patterns of one person.
  refresh FILE PEOPLE --model=PATH
      Of what was enrolled from there: adds what is new, embeds again what has changed, drops what
      is gone.
  remove FILE NAME.. [--picture=SOURCE ..]
      People, or single pictures.
  list FILE [NAME ..]
      People, or the pictures of some.
  info FILE
  calibrate FILE [--fpir=1e-2,..] [--rule=mean]
      Finds thresholds that let in so many strangers, measured on the gallery itself by leaving
      people out; `facezoo identify` takes them.

The file is made by the first enrol, for one model.
{VIEW_HELP}

The same picture twice is one entry; as that of a second person it is refused. Several processes may
change a gallery at once, and what one has kept survives its end, be it by force. Names and
embeddings are personal data, as the pictures are; those that are removed are overwritten.

Exit codes: 0 done, 1 done, but something was left out (named on stderr), 2 error."""
SOME_LEFT_OUT = 1


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds the flags of all actions."""
    gallery_model.define_flags(flag_values)
    flags.DEFINE_string(
        "identity", None, "enrol: whom all these photographs show.", flag_values=flag_values
    )
    flags.DEFINE_multi_string(
        "picture",
        [],
        "remove: a picture's source or digest, as list shows them. Repeat it for more.",
        flag_values=flag_values,
    )
    flags.DEFINE_list(
        "fpir",
        ["1e-2"],
        "calibrate: shares of searches of strangers that may name somebody.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "rule",
        NEAREST,
        RULES,
        "calibrate: how far a person is, as the nearest picture or as the mean of all.",
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "allow_few",
        False,
        "calibrate: take fewer than ten accepted strangers too; it says little.",
        flag_values=flag_values,
    )


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Does one action.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: The gallery, the model or a set cannot be used.
    """
    if len(arguments) < 2 or arguments[0] not in _ACTIONS:
        raise app.UsageError(
            f"gallery takes an action, {', '.join(_ACTIONS)}, and a file. "
            f"Received: {' '.join(arguments) or 'nothing'}."
        )
    action, path, *rest = arguments
    report = _ACTIONS[action](Path(path), rest, options)
    if options["json"].value:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print(_words(report))
    return SOME_LEFT_OUT if action in _EMBEDDING and report["left_out"] else 0


def _remove(path: Path, names: Sequence[str], options: flags.FlagValues) -> dict[str, Any]:
    pictures = options["picture"].value
    if not names and not pictures:
        raise app.UsageError("remove takes names of people, or --picture.")
    gallery = Gallery(path)
    removed = gallery.remove(names, pictures)
    people = gallery.people()
    return {"removed": removed, "people": len(people), "pictures": sum(people.values())}


def _list(path: Path, names: Sequence[str], options: flags.FlagValues) -> dict[str, Any]:
    del options
    if not names:
        return dict(Gallery(path).people())
    found = Gallery(path).pictures(names)
    return {one.digest: {"identity": one.identity, "source": one.source} for one in found}


def _info(path: Path, names: Sequence[str], options: flags.FlagValues) -> dict[str, Any]:
    del options
    _check_none(names, "info")
    gallery = Gallery(path)
    header, per_person = gallery.header(), list(gallery.people().values())
    spread = np.percentile(per_person, [0, 50, 100]).tolist() if per_person else None
    return {
        "people": len(per_person),
        "pictures": header.num_pictures,
        "pictures_per_person": spread and dict(zip(("min", "median", "max"), spread, strict=True)),
        "embedding_dim": header.embedding_dim,
        **header.binding.to_dict(),
        "generation": header.generation,
        "calibrations": header.calibrations,
        "bytes": os.path.getsize(path),
    }


def _calibrate(path: Path, names: Sequence[str], options: flags.FlagValues) -> dict[str, Any]:
    _check_none(names, "calibrate")
    gallery = Gallery(path)
    targets, rule = views.numbers(options, "fpir"), options["rule"].value
    found = calibrate(gallery.faces(), targets, rule, options["allow_few"].value)
    gallery.store_calibrations(found)
    return {f"fpir {one.target:g}": asdict(one) for one in found}


def _check_none(arguments: Sequence[str], action: str) -> None:
    if arguments:
        raise app.UsageError(f"{action} takes a file only. Received also: {' '.join(arguments)}.")


def _words(report: dict[str, Any]) -> str:
    """A line for each, with what is within."""
    width = max(map(len, report), default=0)
    return "\n".join(f"{name:<{width}}  {_text(value)}" for name, value in report.items())


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


_EMBEDDING = {"enrol": enrolment.enrol, "refresh": enrolment.refresh}
_ACTIONS = {
    **_EMBEDDING,
    "remove": _remove,
    "list": _list,
    "info": _info,
    "calibrate": _calibrate,
}
