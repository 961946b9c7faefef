"""Loads the model that a gallery's embeddings were made with, and sees pictures as they were."""

from absl import flags

from facezoo.cli import model_loading, views
from facezoo.cli.model_loading import LoadedModel
from facezoo.data.test_time import TestTime
from facezoo.gallery import Binding, Gallery

VIEW_HELP = (
    "--crop, --flip, --scales and --fit are those that the gallery was made with, and need not be\n"
    "given again."
)
_VIEW_FLAGS = ("crop", "flip", "scales", "fit")


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--model`, and what is done to the pictures."""
    model_loading.define_flag(flag_values)
    views.define_flags(flag_values)


def load_model(options: flags.FlagValues, gallery: Gallery | None) -> tuple[LoadedModel, Binding]:
    """Loads the model.

    Args:
        options: With the flags of `define_flags`.
        gallery: Whose faces its embeddings are compared with; None for a gallery to be.

    Returns:
        The model, and what its embeddings are bound to.

    Raises:
        app.UsageError: The flags do not fit.
        OSError: A file cannot be read.
        ValueError: The model cannot be used, or is not the one of the gallery.
    """
    view = _view(options, gallery)
    model = model_loading.load(options["model"].value)
    if model.preprocessing is None:
        raise ValueError(
            "A gallery is bound to what its model does to a picture, which is not known of "
            f"{options['model'].value}. Give the preset folder, or a SavedModel exported with one."
        )
    binding = Binding(model.fingerprint, model.preprocessing.fingerprint(), view)
    if gallery is not None:
        gallery.binding.check(binding, str(gallery.path))
    return model, binding


def _view(options: flags.FlagValues, gallery: Gallery | None) -> TestTime:
    if gallery is not None and not any(options[name].present for name in _VIEW_FLAGS):
        return gallery.binding.view
    return views.test_time(options)
