"""Runs the pipeline: `python -m pipelines.run --runner=DirectRunner [--config=..] [--set a.b=v]`.

Flags that are not listed here go to Beam untouched (`--direct_num_workers`, `--flink_master` ..).
"""

import dataclasses
import logging as python_logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags, logging

from pipelines.quiet import silent_stderr

with silent_stderr():
    from facezoo.training import STRATEGIES
    from pipelines import configs, summary
    from pipelines.beam_flags import beam_args, parse_ours
    from pipelines.component import ComponentError, Context
    from pipelines.pipeline import create_pipeline
    from pipelines.runner import StepResult, run_pipeline

_RUNNER = flags.DEFINE_string(
    "runner", "DirectRunner", "Beam runner of the data stages; DirectRunner is in-process."
)
_CONFIG = flags.DEFINE_string("config", "default", "Experiment: a file of pipelines/configs.")
_SET = flags.DEFINE_multi_string("set", [], "Change one value, such as train.batch_size=64.")
_INPUT = flags.DEFINE_string(
    "input",
    None,
    "A folder with one folder per identity, a CSV (path, identity), or tfds:NAME. "
    "Default: the AT&T (ORL) faces.",
)
_ROOT = flags.DEFINE_string("pipeline_root", None, "Artifacts; default runs/<config>.")
_SERVING = flags.DEFINE_string(
    "serving_dir", None, "Model versions for TF Serving; default <pipeline_root>/serving."
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    None,
    STRATEGIES,
    "Devices to train on: one, all GPUs of this machine, or the machines of TF_CONFIG; short for "
    "--set train.strategy=..",
)
_PRISM = flags.DEFINE_bool("allow_prism", False, "Let Beam download and run its Prism engine.")


def _make_config() -> configs.PipelineConfig:
    config = configs.load(_CONFIG.value)
    for assignment in _SET.value:
        config = configs.override(config, assignment)
    if _INPUT.value is not None:
        example_gen = dataclasses.replace(config.example_gen, input=_INPUT.value)
        config = dataclasses.replace(config, example_gen=example_gen)
    if _STRATEGY.value is not None:
        config = configs.override(config, f"train.strategy={_STRATEGY.value}")
    return config


def _run(passed_on: Sequence[str]) -> None:
    start = time.monotonic()
    root = Path(_ROOT.value or f"runs/{_CONFIG.value}")
    known_flags = [flag.name for flag in flags.FLAGS.get_key_flags_for_module(sys.argv[0])]
    context = Context(
        serving_dir=Path(_SERVING.value) if _SERVING.value else root / "serving",
        beam_args=beam_args(_RUNNER.value, passed_on, _PRISM.value, known_flags),
    )
    components = create_pipeline(_make_config())
    done: list[StepResult] = []

    def report(result: StepResult) -> None:
        done.append(result)
        print(summary.step_line(len(done), len(components), result), flush=True)

    results = run_pipeline(components, root, context, report)
    made = summary.summarize(results, context.serving_dir, time.monotonic() - start)
    summary.write_summary(made, root)
    print("\n" + summary.closing_text(results, made, root))


def main(arguments: Sequence[str]) -> int:
    """Runs the pipeline and returns the exit status."""
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
