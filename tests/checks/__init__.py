"""The checks: small functions with one reason to fail each, crossed with all that is registered."""

import contextlib
import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_GOLDEN_DIR = Path(__file__).parents[1] / "golden"


def cross(kind: str, checks: ModuleType) -> list:
    """Pairs every registered class of a kind with every `check_*(cls)` of a module.

    A check that the class names in `KNOWN_FAILURES` becomes a strict xfail with the reason given.
    """
    from facezoo import registry

    importlib.import_module("facezoo")
    functions = {name: f for name, f in vars(checks).items() if name.startswith("check_")}
    return [
        pytest.param(
            cls,
            check,
            id=f"{part}-{name.removeprefix('check_')}",
            marks=[*getattr(check, "pytestmark", []), *_known_failure(cls, name, functions)],
        )
        for part, cls in registry.parts(kind).items()
        for name, check in functions.items()
    ]


def _known_failure(cls: type, name: str, functions: dict[str, Any]) -> list[pytest.MarkDecorator]:
    known = getattr(cls, "KNOWN_FAILURES", {})
    if unknown := set(known) - set(functions):
        raise ValueError(
            f"{cls.__name__}.KNOWN_FAILURES names checks that do not exist: {sorted(unknown)}. "
            f"Known: {sorted(functions)}."
        )
    return [pytest.mark.xfail(reason=known[name], strict=True)] if name in known else []


def file_name(cls: type) -> str:
    """Returns the name that a part is registered under."""
    return cls.__module__.rpartition(".")[2]


def golden(name: str) -> Any:
    """Returns the content of `tests/golden/NAME.json`."""
    return json.loads((_GOLDEN_DIR / f"{name}.json").read_text("utf-8"))


def oracle(cls: type) -> ModuleType:
    """Returns the module of `tests/oracles` that is named like the part."""
    return importlib.import_module(f"tests.oracles.{file_name(cls)}")


def assert_config_is_whole(cls: type, config: dict[str, Any]) -> None:
    """A config is plain JSON and holds every argument of the constructor."""
    json.dumps(config)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    # Of the class itself, Python 3.11.2 gives that of Keras' `__new__`.
    _, *arguments = inspect.signature(cls.__init__).parameters.values()
    missing = {argument.name for argument in arguments if argument.kind in kinds} - set(config)
    assert not missing, f"{cls.__name__}.get_config() leaves out {sorted(missing)}"


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Makes what is built inside follow a Keras dtype policy."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
