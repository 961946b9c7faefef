"""The ground: `--set a.b=v`, one value of a configuration changed, read by its field's type."""

import dataclasses
import difflib
import typing
from typing import Any

_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def override(config: Any, assignment: str) -> Any:
    """Returns a config with one value changed.

    Args:
        config: A frozen dataclass, possibly of dataclasses.
        assignment: `"train.batch_size=64"`; the value is read by the field's type.

    Raises:
        ValueError: The key is unknown (the message lists the known ones), or the value does not
            fit its type or range.
    """
    path, equals, text = assignment.partition("=")
    if not equals:
        raise ValueError(f"--set wants key=value. Received: {assignment!r}.")
    return _override(config, path.split("."), text, path)


def _override(config: Any, keys: list[str], text: str, path: str) -> Any:
    key, rest = keys[0], keys[1:]
    known = {one.name: one for one in dataclasses.fields(config)}
    if key not in known:
        nearest = difflib.get_close_matches(key, known, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            f"Unknown key {key!r} in --set {path}.{hint} Known here: {', '.join(sorted(known))}."
        )
    value = getattr(config, key)
    if dataclasses.is_dataclass(value):
        if not rest:
            inner = ", ".join(one.name for one in dataclasses.fields(value))
            raise ValueError(f"--set {path} names a group. Set one of its values: {inner}.")
        return dataclasses.replace(config, **{key: _override(value, rest, text, path)})
    if rest:
        raise ValueError(f"--set {path}: {key} is a value and has nothing inside.")
    wanted = typing.get_type_hints(type(config))[key]
    return dataclasses.replace(config, **{key: _parse(text, wanted, path)})


def _parse(text: str, wanted: Any, path: str) -> Any:
    options = typing.get_args(wanted)
    if type(None) in options:
        if text.lower() in ("none", ""):
            return None
        wanted = next(option for option in options if option is not type(None))
    try:
        return _TRUTH[text.lower()] if wanted is bool else wanted(text)
    except (KeyError, ValueError) as error:
        raise ValueError(f"--set {path} wants {wanted.__name__}. Received: {text!r}.") from error
