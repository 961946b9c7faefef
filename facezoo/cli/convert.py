"""Turns weights of other implementations into a preset folder."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from facezoo import conversion, registry
from facezoo.models import FaceModel
from facezoo.models.parts import variant_name

USAGE = "convert --from=FILE --out=PRESET_DIR [--json]"
_SOURCES = "\n".join(f"  {layout.SOURCE}" for layout in registry.parts("layout").values())
HELP = f"""Reads weights that another implementation trained, finds out whose they are, and writes a
preset folder, model.keras and preset.json, that embeds the same pictures alike. It knows

{_SOURCES}

Objects in a file that could run code are never loaded. PyTorch files need the extra `backends`.
Use the result with `python -m facezoo embed FILES.. --model=PRESET_DIR`."""


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--from` and `--out`."""
    flags.DEFINE_string(
        "from",
        None,
        "The weights: a PyTorch checkpoint, an .npz, a frozen TensorFlow graph (.pb) or a "
        "TensorFlow checkpoint (its prefix, one of its files or its folder).",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "out",
        None,
        "The preset folder to write; it appears when it is whole. It must be new or empty.",
        flag_values=flag_values,
    )


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Converts one file.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: The weights cannot be converted, or the folder is taken.
    """
    source, out = options["from"].value, options["out"].value
    if arguments:
        raise app.UsageError(f"convert takes flags only. Received: {' '.join(arguments)}.")
    if not source or not out:
        raise app.UsageError("convert needs --from=FILE and --out=PRESET_DIR.")
    folder = Path(out).absolute()
    _check_free(folder)
    layout = conversion.recognize(source)
    model = conversion.fill(layout)
    _save(model, folder)
    report = {**_describe(layout, model), "preset": out}
    if options["json"].value:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print(_words(report))
    return 0


def _check_free(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"--out must be a new or an empty folder. Received: {folder}, which is not empty."
        )
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out must be a folder. Received: the file {folder}.")


def _save(model: FaceModel, folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.partial")
    # Left by a run that was cut off.
    shutil.rmtree(aside, ignore_errors=True)
    try:
        model.save_preset(aside)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _describe(layout: conversion.Layout, model: FaceModel) -> dict[str, Any]:
    return {
        "layout": layout.name(),
        "source": layout.SOURCE,
        "faces": layout.FACES,
        "backbone": variant_name(model.backbone),
        "height": model.preprocessing.height,
        "width": model.preprocessing.width,
        "standardization": model.preprocessing.standardization,
        "embedding_dim": model.embedding.embedding_dim,
        "parameters": model.count_params(),
    }


def _words(report: dict[str, Any]) -> str:
    lines = {
        "layout": "{layout}  ({source})",
        "backbone": "{backbone}, {parameters:,} parameters with the moving averages",
        "image": "{height} x {width} pixels, RGB, standardization {standardization!r}",
        "faces": "{faces}",
        "embedding": "{embedding_dim} numbers",
        "preset": "{preset}",
    }
    return "\n".join(f"{name:<11}{text.format(**report)}" for name, text in lines.items())
