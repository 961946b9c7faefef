"""What `evaluate` scores: the model of `--model`, and beside it the baselines."""

from pathlib import Path

from absl import flags

from facezoo import shapes
from facezoo.cli import model_loading
from facezoo.cli.model_loading import LoadedModel
from facezoo.evaluation.evaluate import MODEL
from facezoo.evaluation.system import System, baseline_system


def load_systems(options: flags.FlagValues) -> tuple[LoadedModel | None, dict[str, System]]:
    """Loads the model, if one is named.

    Args:
        options: `--model` and `--baselines`.

    Returns:
        The model, None for baselines alone, and all systems by key in the report's order.

    Raises:
        OSError: A file of the model is missing or cannot be read.
        ValueError: It is no model.
    """
    model, systems = None, {}
    if path := options["model"].value:
        model = model_loading.load(path)
        systems[MODEL] = System(
            _name(Path(path).resolve()),
            lambda views: model.embed(views)[shapes.EMBEDDING],
            path,
            model.fingerprint,
            model.preprocessing and model.preprocessing.fingerprint(),
            model.input_size,
        )
    return model, systems | {key: baseline_system(key) for key in options["baselines"].value}


def _name(path: Path) -> str:
    """What a report calls a model: its file or folder, and of a numbered version its parent too."""
    name = path.name.removesuffix(".keras")
    return f"{path.parent.name}/{name}" if name.isdecimal() else name
