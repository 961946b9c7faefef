"""The TFX-style pipeline around facezoo: the only package that knows Beam."""

import os

# Read by TensorFlow when it is imported. Its C++ side logs harmless things as errors (no GPU driver
# on a machine without a GPU); what really fails raises in Python.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
