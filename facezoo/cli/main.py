"""Finds the verb, parses its flags, and turns errors into one line and an exit code."""

import difflib
import importlib
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from absl import app, flags

# Modules of facezoo.cli, imported on demand: most need TensorFlow, which `train` can do without.
# Each has USAGE, HELP, define_flags(flags.FlagValues) and run(arguments, options) -> exit code.
_VERBS = {
    "cluster": "cluster",
    "convert": "convert",
    "curate": "curate",
    "embed": "embed",
    "evaluate": "evaluate",
    "export": "export",
    "gallery": "gallery",
    "identify": "identify",
    "list": "list_parts",
    "overlap": "overlap",
    "summary": "summary",
    "train": "train",
    "verify": "verify",
}
ERROR = 2
# As a shell reports what Ctrl-C has ended.
INTERRUPTED = 130
_USAGE = """Usage: python -m facezoo VERB [ARGUMENTS] [--FLAGS]

{verbs}

`python -m facezoo VERB --help` says more about a verb. Every verb takes --json.
Exit codes: 0 done (verify: same person), 2 error, 130 interrupted; the verb's help names the
others."""


def main(arguments: Sequence[str]) -> int:
    """Runs one verb.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit code: 0 if all went well, 2 for an error, others as the verb's help says.
    """
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    if name is None:
        asked = bool({"--help", "-h", "-help"} & set(arguments))
        print(_usage(), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else ERROR
    if name not in _VERBS:
        nearest = difflib.get_close_matches(name, _VERBS, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        print(f"facezoo: unknown verb {name!r}.{hint}\n\n{_usage()}", file=sys.stderr)
        return ERROR
    flag_arguments = list(arguments)
    flag_arguments.remove(name)
    return _run(name, _module(name), flag_arguments)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"facezoo.cli.{_VERBS[name]}")


def _run(name: str, verb: ModuleType, arguments: Sequence[str]) -> int:
    # Values of its own: absl's global ones would mix the verbs' flags.
    options = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "Print this and exit.", flag_values=options)
    flags.DEFINE_boolean("json", False, "Print JSON, for programs.", flag_values=options)
    verb.define_flags(options)
    options.set_gnu_getopt(True)
    try:
        positional = options([name, *arguments])[1:]
        if options["help"].value:
            print(_help(verb, options))
            return 0
        return verb.run(positional, options)
    except KeyboardInterrupt:
        print(f"facezoo {name}: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except (flags.Error, app.UsageError) as error:
        print(f"facezoo {name}: {error}\nUsage: python -m facezoo {verb.USAGE}", file=sys.stderr)
    except (OSError, ValueError) as error:
        print(f"facezoo {name}: {error}", file=sys.stderr)
    except Exception:
        # Python would exit with 1, which `verify` uses to say "different".
        traceback.print_exc()
    return ERROR


def _usage() -> str:
    lines = []
    for name in _VERBS:
        try:
            verb = _module(name)
        except ModuleNotFoundError as error:
            lines.append(f"  {name}\n      Not here: {error.name} is not installed.")
        else:
            lines.append(f"  {verb.USAGE}\n      {verb.__doc__.strip()}")
    return _USAGE.format(verbs="\n".join(lines))


def _help(verb: ModuleType, options: flags.FlagValues) -> str:
    lines = [f"  --{name}\n      {options[name].help}" for name in sorted(options)]
    return f"Usage: python -m facezoo {verb.USAGE}\n\n{verb.HELP}\n\nFlags:\n" + "\n".join(lines)
