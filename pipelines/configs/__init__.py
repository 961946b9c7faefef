"""Experiments: each file is a docstring (command, minutes, score) and `get_config()`."""

import difflib
import importlib
import pkgutil

from facezoo.overrides import override
from pipelines.configs.base import PipelineConfig

__all__ = ["PipelineConfig", "load", "names", "override"]


def names() -> list[str]:
    """Returns the names of the experiments."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if name != "base")


def load(name: str) -> PipelineConfig:
    """Returns an experiment's configuration.

    Raises:
        ValueError: There is no such experiment; the message lists those there are.
    """
    if name not in names():
        nearest = difflib.get_close_matches(name, names(), n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"Unknown --config {name!r}.{hint} Known: {', '.join(names())}.")
    return importlib.import_module(f"{__name__}.{name}").get_config()
