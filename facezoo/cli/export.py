"""Writes a model as SavedModel, TFLite, ONNX and .keras, each checked, timed and scored."""

import importlib.util
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from facezoo import protocols
from facezoo.cli import views
from facezoo.cli.export_table import words
from facezoo.cli.export_writing import NUM_CALIBRATION, Export
from facezoo.cli.keras_loading import load_keras
from facezoo.cli.pictures import PICTURES, find_pictures
from facezoo.data.test_time import TestTime
from facezoo.evaluation.benchmark import Benchmark
from facezoo.serving.formats import FORMS, Form

USAGE = "export --model=MODEL --out=DIR [--formats=keras,saved_model,tflite,onnx] [--json]"
HELP = """Writes a trained model in the forms that other programs run, and a table of what each is:
how far its embeddings are from those of Keras, its size, its speed on this machine at batches of 1
and 8, and with --protocol, --pairs and --images its AUC and VAL beside those of Keras.

  keras        model.keras, for Python
  saved_model  saved_model/1/, for TensorFlow Serving and every language of TensorFlow
  tflite       model.tflite, for phones
  tflite_int8  model_int8.tflite, 8-bit integers; needs --calibration
  onnx         model.onnx, for onnxruntime and others; needs the extra `export`

keras, tflite and onnx take `image`, float32 [N, height, width, 3], a face crop in RGB standardised
as preset.json says ("fixed": (x - 127.5) / 128), and give `embedding` and `norm`; so does the
signature `embed` of the SavedModel, which has others for photographs. N is free.
The table is in export.json too. All of it appears when it is whole."""


def define_flags(flag_values: flags.FlagValues) -> None:
    """Adds `--model`, `--out`, `--formats`, `--calibration`, and what is scored."""
    texts = {
        "model": "The model: a .keras file or a preset folder.",
        "out": "The folder to write. It must be new or empty.",
        "protocol": f"Kind of the list of pairs: {', '.join(_kinds())}.",
        "pairs": "The list of pairs to score each form on; without it VAL is not measured.",
        "images": "The folder that the names in the list are relative to; not for packs.",
    }
    for name, text in texts.items():
        flags.DEFINE_string(name, None, text, flag_values=flag_values)
    lists = {
        "formats": (
            [name for name, form in FORMS.items() if not form.needs_calibration],
            f"What to write, of {', '.join(FORMS)}.",
        ),
        "far": (["1e-1", "2e-2", "1e-2", "1e-3"], "FARs at which VAL is reported."),
    }
    for name, (default, text) in lists.items():
        flags.DEFINE_list(name, default, text, flag_values=flag_values)
    flags.DEFINE_multi_string(
        "calibration",
        [],
        f"Face crops such as the model will see, a hundred or more, for tflite_int8: {PICTURES}. "
        f"Repeat it for more; up to {NUM_CALIBRATION} of them are used, evenly spaced.",
        flag_values=flag_values,
    )
    views.define_flags(flag_values)


def _kinds() -> list[str]:
    # Videos would need more flags than the answer is worth.
    return [kind for kind in protocols.KINDS if kind != "ytf"]


def run(arguments: Sequence[str], options: flags.FlagValues) -> int:
    """Exports one model.

    Raises:
        app.UsageError: The arguments do not fit.
        OSError: A file cannot be read or written.
        ValueError: The model, a picture or the pairs cannot be used, the folder is taken, or a form
            does not embed as Keras does.
    """
    if arguments:
        raise app.UsageError(f"export takes flags only. Received: {' '.join(arguments)}.")
    forms = _forms(options)
    out = _free_folder(options["out"].value)
    # Everything that can be wrong with the question is found before the model is loaded.
    view, far = views.test_time(options), views.numbers(options, "far")
    benchmark = _benchmark(view, options)
    calibration = find_pictures(options["calibration"].value) if _calibrates(forms) else []
    model, preset = load_keras(options["model"].value)
    export = Export(model, preset, view, calibration, benchmark, far)
    aside = out.with_name(f"{out.name}.partial")
    # Left by a run that was cut off.
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        report = export.write(aside, forms)
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if options["json"].value:
        print(json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(f"{words(report)}\nAll of it: {options['out'].value}")
    return 0


def _calibrates(forms: Sequence[Form]) -> bool:
    return any(form.needs_calibration for form in forms)


def _forms(options: flags.FlagValues) -> list[Form]:
    names = options["formats"].value
    if not names or (unknown := sorted(set(names) - set(FORMS))):
        received = ", ".join(unknown) if names else "none"
        raise app.UsageError(f"--formats must be among {', '.join(FORMS)}. Received: {received}.")
    forms = [FORMS[name] for name in FORMS if name in names]
    for form in forms:
        missing = [one for one in form.packages if importlib.util.find_spec(one) is None]
        if missing:
            raise ValueError(
                f"The form {form.name} needs {', '.join(missing)}, which is not installed: "
                "pip install 'facezoo[export]', or leave it out of --formats."
            )
        if form.needs_calibration and not options["calibration"].value:
            raise app.UsageError(
                f"{form.name} needs --calibration: a hundred face crops or more, such as the model "
                "will see. They tell the range of every activation; noise would tell a wrong one."
            )
    if options["calibration"].value and not _calibrates(forms):
        raise app.UsageError("--calibration is for tflite_int8, which is not among --formats.")
    return forms


def _free_folder(out: str | None) -> Path:
    if not out:
        raise app.UsageError("export needs --model=MODEL and --out=DIR.")
    folder = Path(out).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"--out must be a new or an empty folder. Received: {folder}.")
    return folder


def _benchmark(view: TestTime, options: flags.FlagValues) -> Benchmark | None:
    kind, pairs, folder = (options[name].value for name in ("protocol", "pairs", "images"))
    if not (kind or pairs or folder):
        return None
    if not kind or not pairs or kind not in _kinds():
        raise app.UsageError(
            f"To score pairs, give --pairs and --protocol, one of {', '.join(_kinds())}. "
            f"Received: --protocol={kind}, --pairs={pairs}."
        )
    protocol, images = protocols.read(kind, pairs)
    if images is None and not folder:
        raise app.UsageError("--images is needed: the folder that the list's names are in.")
    return Benchmark(protocol, images or protocols.open_images(folder), view)
