"""Which engine runs the data stages: `--runner` and the flags that are handed to Beam."""

import argparse
import difflib
import sys
from collections.abc import Sequence

from absl import flags
from apache_beam.options.pipeline_options import PipelineOptions

# Beam's own DirectRunner would first try to download and start another engine (Prism).
_IN_PROCESS = "FnApiRunner"
_LOCAL = ("DirectRunner", "FnApiRunner", "BundleBasedDirectRunner")


def parse_ours(arguments: Sequence[str]) -> list[str]:
    """Parses the flags of absl, and returns the program's name and what is left for Beam.

    A value that a flag does not take ends the program with one line, where `absl.app` would show
    where in its own code that was found out.
    """
    try:
        return flags.FLAGS(arguments, known_only=True)
    except flags.Error as error:
        sys.exit(f"error: {str(error).rstrip('.')}. See --help.")


def beam_args(
    runner: str, passed_on: Sequence[str], allow_prism: bool, known_flags: Sequence[str] = ()
) -> list[str]:
    """Returns the arguments for Beam's `PipelineOptions`.

    Args:
        runner: What `--runner` says. `DirectRunner` becomes Beam's in-process `FnApiRunner`.
        passed_on: Flags that are not ours.
        allow_prism: Leave `DirectRunner` to Beam, which then prefers Prism.
        known_flags: Names of our own flags, for hints.

    Raises:
        ValueError: The flags ask for a mode that loses records, or a local runner knows no such
            flag.
    """
    _refuse_multi_threading(passed_on)
    if runner in _LOCAL:
        _refuse_unknown(passed_on, known_flags)
    if runner == "DirectRunner" and not allow_prism:
        runner = _IN_PROCESS
    return [f"--runner={runner}", *passed_on]


def _refuse_multi_threading(passed_on: Sequence[str]) -> None:
    options, _ = _parser().parse_known_args(list(passed_on))
    if options.direct_running_mode == "multi_threading":
        raise ValueError(
            "--direct_running_mode=multi_threading is refused: with it Beam loses records without "
            "an error. Use --direct_running_mode=multi_processing --direct_num_workers=2, or "
            "leave both out."
        )


def _refuse_unknown(passed_on: Sequence[str], known_flags: Sequence[str]) -> None:
    parser = _parser()
    _, unknown = parser.parse_known_args(list(passed_on))
    if not unknown:
        return
    name = unknown[0].lstrip("-").partition("=")[0]
    known = [*known_flags, *(action.dest for action in parser._actions)]
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean --{nearest[0]}?" if nearest else ""
    raise ValueError(f"Unknown argument {unknown[0]!r}, to us and to Beam.{hint} See --help.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    return parser
