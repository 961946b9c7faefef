"""The ground: files parts (backbones, heads, losses ..) by kind under their module's file name."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

_PARTS: dict[str, dict[str, type]] = {}


def register(kind: str) -> Callable[[type], type]:
    """Returns a decorator that files a class under its module's file name.

    Args:
        kind: What the class is: `"backbone"`, `"head"`, `"loss"`, `"layer"`.

    Raises:
        ValueError: Another class already bears that name.
    """

    def file_under_module_name(cls: type) -> type:
        name = cls.__module__.rpartition(".")[2]
        taken = _PARTS.setdefault(kind, {}).setdefault(name, cls)
        if taken.__qualname__ != cls.__qualname__:
            raise ValueError(
                f"A {kind} is already registered as {name!r}: {taken.__qualname__}. "
                f"Received: {cls.__qualname__}. Give each part a file of its own."
            )
        _PARTS[kind][name] = cls
        return cls

    return file_under_module_name


def parts(kind: str) -> dict[str, type]:
    """Returns the registered classes of a kind by file name, sorted by name."""
    if kind not in _PARTS:
        raise ValueError(f"Unknown kind {kind!r}. Known kinds: {', '.join(sorted(_PARTS))}.")
    return dict(sorted(_PARTS[kind].items()))


def variants(kind: str) -> dict[str, tuple[type, Mapping[str, Any]]]:
    """Returns every name that `get` knows, with its class and the arguments the name stands for.

    A class with `VARIANTS` answers to those names; any other class answers to its file name.
    """
    found: dict[str, tuple[type, Mapping[str, Any]]] = {}
    for name, cls in parts(kind).items():
        for variant, arguments in getattr(cls, "VARIANTS", {name: {}}).items():
            found[variant] = (cls, arguments)
    return dict(sorted(found.items()))


def names(kind: str) -> list[str]:
    """Returns the sorted names of all parts and variants of a kind."""
    return list(variants(kind))


def get(kind: str, name: str) -> tuple[type, Mapping[str, Any]]:
    """Returns the class behind a name, and the constructor arguments that the name stands for.

    Raises:
        ValueError: The name is unknown; the message lists the known ones and the nearest.
    """
    known = variants(kind)
    if name not in known:
        nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known)}.")
    return known[name]
