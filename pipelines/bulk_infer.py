"""Embeds pictures: `python -m pipelines.bulk_infer --model=SAVED_MODEL --input=.. --output=DIR`.

Flags that are not listed here go to Beam untouched (`--direct_num_workers`, `--flink_master` ..).
"""

import logging as python_logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging

from pipelines.quiet import silent_stderr

with silent_stderr():
    from pipelines.beam_flags import beam_args, parse_ours
    from pipelines.component import ComponentError, Context
    from pipelines.examples_folder import QUARANTINE_FILE
    from pipelines.inference import InferenceOptions, infer
    from pipelines.inference_files import SINKS
    from pipelines.inference_input import IMAGES_PER_SHARD, list_pieces

_RUNNER = flags.DEFINE_string("runner", "DirectRunner", "Beam runner; DirectRunner is in-process.")
_MODEL = flags.DEFINE_string(
    "model", None, "Folder of a SavedModel, such as <serving_dir>/1 of a run.", required=True
)
_INPUT = flags.DEFINE_string(
    "input",
    None,
    "A folder of TFRecords (also the pipeline's Examples), a folder of pictures, a CSV (path, "
    "identity), or tfds:NAME. Pictures must be cropped as those that the model was trained on.",
    required=True,
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the embeddings, new.", required=True)
_FORMAT = flags.DEFINE_enum("format", "parquet", sorted(SINKS), "Of the files.")
_BATCH = flags.DEFINE_integer("batch_size", 64, "Images embedded at once.", lower_bound=1)
_IMAGES_PER_SHARD = flags.DEFINE_integer(
    "images_per_shard",
    IMAGES_PER_SHARD,
    "Pictures of a folder per file; every TFRecord file gets one of its own.",
    lower_bound=1,
)
_PRISM = flags.DEFINE_bool("allow_prism", False, "Let Beam download and run its Prism engine.")
_ASIDE = ".partial"


def _check_output(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ComponentError(
            f"The output {output} is there already. Delete it, or give another --output."
        )


def _embed_into(folder: Path, passed_on: Sequence[str]) -> dict[str, int]:
    known_flags = [flag.name for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])]
    context = Context(
        serving_dir=Path(_MODEL.value).parent,
        beam_args=beam_args(_RUNNER.value, passed_on, _PRISM.value, known_flags),
    )
    spool = folder / "pictures.partial"
    work = list_pieces(_INPUT.value, spool, _IMAGES_PER_SHARD.value)
    options = InferenceOptions(_FORMAT.value, _BATCH.value)
    counts = infer(work, Path(_MODEL.value), folder, options, context)
    spool.unlink(missing_ok=True)
    return counts


def _run(passed_on: Sequence[str]) -> None:
    start = time.monotonic()
    output = Path(_OUTPUT.value)
    _check_output(output)
    aside = output.with_name(output.name + _ASIDE)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        counts = _embed_into(aside, passed_on)
        os.replace(aside, output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    print(
        f"Done: {counts['embedded']} of {counts['found']} pictures embedded into {output}, "
        f"{time.monotonic() - start:.1f} s."
    )
    if counts["quarantined"]:
        print(f"{counts['quarantined']} refused, see {output / QUARANTINE_FILE}.")


def main(arguments: Sequence[str]) -> int:
    """Embeds the pictures and returns the exit status."""
    logging.set_verbosity(logging.ERROR)
    python_logging.getLogger("apache_beam").setLevel(python_logging.ERROR)
    try:
        _run(arguments[1:])
    except (ComponentError, ValueError, OSError) as error:
        logging.debug("Where it happened:", exc_info=True)
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    app.run(main, flags_parser=parse_ours)
