"""Session-wide settings: a quiet TensorFlow, two threads, the same random numbers in every test."""

import os
import random
import sys

import pytest

for name, value in {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_NUM_INTRAOP_THREADS": "2",
    "TF_NUM_INTEROP_THREADS": "2",
    "MPLBACKEND": "Agg",
}.items():
    os.environ.setdefault(name, value)


@pytest.fixture(autouse=True)
def _same_random_numbers():
    random.seed(0)
    # Not imported for this: most tests of the data lane need neither Keras nor TensorFlow.
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
