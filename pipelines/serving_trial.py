"""A served model on trial: loaded and asked as a server would, without Python TensorFlow."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

LOADER = Path(__file__).parent / "saved_model_loader"

Report = Mapping[str, Mapping[str, float]]


class NotServableError(Exception):
    """Why a model is not blessed; one line."""


def try_out(folder: Path, timeout: float) -> Report:
    """Loads a SavedModel in a fresh process without Python TensorFlow and asks its requests.

    Returns:
        Per signature what `pipelines/saved_model_loader` measured.

    Raises:
        NotServableError: It cannot be loaded or run, or not in time.
    """
    libraries = Path(tf.__file__).parent
    command = [sys.executable, "-I", LOADER, folder.name, "--libraries", libraries]
    try:
        done = subprocess.run(
            command,
            # A relative path keeps this machine's folders out of the messages, and of the report.
            cwd=folder.parent,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotServableError(f"It did not answer within {timeout:g} seconds.") from error
    if done.returncode < 0:
        raise NotServableError(f"The process that loaded it died of signal {-done.returncode}.")
    if done.returncode > 0:
        raise NotServableError(done.stderr.strip().rpartition("\n")[2])
    return json.loads(done.stdout)


def judge(report: Report, tolerance: float) -> None:
    """Checks what `try_out` measured.

    Raises:
        NotServableError: A signature is too far off.
    """
    for signature, found in report.items():
        for measure, what in (
            ("max_difference", "differs from the Keras model"),
            ("max_norm_error", "gives embeddings whose length differs from 1"),
        ):
            if not found[measure] <= tolerance:
                raise NotServableError(
                    f"{signature} {what} by {found[measure]:.2g}; {tolerance:g} is allowed."
                )
