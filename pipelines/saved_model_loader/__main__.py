"""Runs a SavedModel through TensorFlow's C API alone, as a model server does.

    python -I pipelines/saved_model_loader SAVED_MODEL_DIR [--libraries DIR]

This folder stands by itself: it needs NumPy and the two shared libraries of the tensorflow wheel,
none of its Python, no Keras, no facezoo. It replays every warm-up request of the model, compares
the answers with those recorded beside the requests, and prints the largest differences by
signature as JSON. It ends with 1 and one line on stderr if the model cannot be loaded or run, or a
signature has no request.
"""

import argparse
import importlib.util
import json
import os
import sys
from pathlib import Path

from answers import difference, norm_error
from c_api import Session, load_libraries
from messages import ServingError, read_requests

_WARMUP = "assets.extra/tf_serving_warmup_requests"
_FORBIDDEN = ("tensorflow", "keras", "facezoo")


def replay(session: Session, warmup: Path) -> dict[str, dict[str, float]]:
    """Asks every request of a warm-up file.

    Returns:
        By signature: `requests`, `max_difference` from the recorded answers, and
        `max_norm_error`, how far embeddings are from unit length.
    """
    if not warmup.is_file():
        raise ServingError(f"The model has no {_WARMUP}: nothing to ask it.")
    report: dict[str, dict[str, float]] = {}
    for signature, inputs, expected in read_requests(warmup):
        if signature not in session.signatures:
            raise ServingError(
                f"A request asks for signature {signature!r}. "
                f"The model has: {', '.join(sorted(session.signatures))}."
            )
        answer = session.run(signature, inputs)
        if set(expected) != set(answer):
            raise ServingError(
                f"{signature} answers {sorted(answer)}. Recorded: {sorted(expected)}."
            )
        one = report.setdefault(
            signature, {"requests": 0, "max_difference": 0.0, "max_norm_error": 0.0}
        )
        one["requests"] += 1
        for name, found in answer.items():
            apart = difference(f"{signature}: {name}", found, expected[name])
            one["max_difference"] = max(one["max_difference"], apart)
        one["max_norm_error"] = max(one["max_norm_error"], norm_error(answer))
    if unasked := sorted(set(session.signatures) - set(report)):
        raise ServingError(f"No warm-up request asks for the signatures {', '.join(unasked)}.")
    return report


def _installed() -> Path:
    # Finding a package does not import it.
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise ServingError("tensorflow is not installed here. Give its folder with --libraries.")
    return Path(spec.submodule_search_locations[0])


def main(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("saved_model_dir", type=Path)
    parser.add_argument("--libraries", type=Path, help="folder of libtensorflow_cc.so.2")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        session = Session(
            load_libraries(options.libraries or _installed()), options.saved_model_dir
        )
        report = replay(session, options.saved_model_dir / _WARMUP)
        if imported := [name for name in _FORBIDDEN if name in sys.modules]:
            raise ServingError(f"This process imported {', '.join(imported)}. Run python with -I.")
    except ServingError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(report, indent=2, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
