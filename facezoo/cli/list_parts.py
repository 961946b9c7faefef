"""Lists the parts of the zoo by kind, and the presets."""

import json
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from facezoo import presets, registry

USAGE = "list [--json]"
HELP = """Prints every backbone, head, loss, auxiliary loss and layer with its source, and every
built-in preset. `facezoo.create_backbone(NAME)`, `facezoo.create_head(NAME, ..)` and
`facezoo.FaceModel.from_preset(NAME)` make them."""
_KINDS = ("backbone", "head", "loss", "auxiliary_loss", "layer")


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds nothing: the verb has no flags of its own."""
    del flag_values


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Prints the lists.

    Raises:
        app.UsageError: There are arguments.
    """
    if arguments:
        raise app.UsageError(f"list takes no arguments. Received: {' '.join(arguments)}.")
    parts = {kind: _sources(kind) for kind in _KINDS}
    parts["preset"] = {name: _describe(presets.load(name)) for name in presets.names()}
    if options["json"].value:
        print(json.dumps(parts, indent=2, ensure_ascii=False))
        return 0
    width = max(len(name) for found in parts.values() for name in found)
    for kind, found in parts.items():
        print(kind)
        for name, words in found.items():
            print(f"  {name:<{width}}  {words}".rstrip())
    return 0


def _sources(kind: str) -> dict[str, str]:
    return {name: getattr(cls, "SOURCE", "") for name, (cls, _) in registry.variants(kind).items()}


def _describe(preset: dict[str, Any]) -> str:
    height, width = (preset["preprocessing"][side] for side in ("height", "width"))
    weights = "with weights" if preset["weights"] else "without weights: train it"
    return (
        f"{preset['backbone']['name']}, {height} x {width} pixels "
        f"to {preset['embedding_dim']} numbers, {weights}"
    )
