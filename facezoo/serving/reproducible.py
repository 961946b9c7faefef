"""Takes out of a SavedModel what tells of the process that wrote it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from tensorflow.core.protobuf import saved_model_pb2


def make_reproducible(folder: Path) -> None:
    """Rewrites a SavedModel so that one model gives the same bytes in every process.

    Args:
        folder: As `tf.saved_model.save` left it.
    """
    # A random id and checksums of the bytes before this change; every loader does without.
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    path = folder / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in saved_model.meta_graphs:
        functions = graph.graph_def.library.function
        _rename(graph, _numbered_from_zero([one.signature.name for one in functions]))
        in_order = sorted(functions, key=lambda one: one.signature.name)
        del functions[:]
        functions.extend(in_order)
    path.write_bytes(saved_model.SerializeToString(deterministic=True))


def _numbered_from_zero(names: Sequence[str]) -> Callable[[str], str]:
    """Functions end in a number that counts all that the process ever traced: start from 0."""
    parts = [match.groups() for name in names if (match := re.fullmatch(r"(.*_)(\d+)", name))]
    in_order = sorted(parts, key=lambda part: int(part[1]))
    new = {base + number: f"{base}{rank}" for rank, (base, number) in enumerate(in_order)}
    # Arguments of a loop carry the names of its functions within their own.
    old = re.compile("(?:" + "|".join(map(re.escape, new)) + r")(?!\d)")
    return lambda text: old.sub(lambda match: new[match[0]], text)


def _rename(message: Message, rename: Callable[[str], str]) -> None:
    """Renames every string in a message, keys of maps too."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _rename_entries(value, rename)
        elif field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                _rename(one, rename)
        elif field.type == field.TYPE_STRING:
            if field.is_repeated:
                value[:] = [rename(one) for one in value]
            else:
                setattr(message, field.name, rename(value))


def _rename_entries(entries: Any, rename: Callable[[str], str]) -> None:
    for key, value in list(entries.items()):
        is_message = isinstance(value, Message)
        if is_message:
            _rename(value, rename)
        if not isinstance(key, str) or (new := rename(key)) == key:
            continue
        if is_message:
            entries[new].CopyFrom(value)
        else:
            entries[new] = value
        del entries[key]
