"""Embeddings in one byte per number, with one scale for all of them."""

from typing import Final

import numpy as np
from keras import ops
from numpy.typing import NDArray
from scipy import stats

from facezoo import shapes
from facezoo.ops.vectors import Tensor, l2_normalize

# -128 is left out: a vector and its opposite must be equally long.
_LARGEST_CODE: Final = 127
# The number in ten thousand of largest size is cut off: a wider scale would cost all others digits.
_QUANTILE: Final = 0.9999


def calibrate_scale(embedding: NDArray[np.float32]) -> float:
    """Finds the step between two codes.

    Args:
        embedding: float [N, D], unit length, of people like those to come.

    Returns:
        The 99.99th percentile of the numbers' sizes, divided by 127.

    Raises:
        ValueError: There is no embedding, or all are zero.

    Example:
        >>> calibrate_scale(np.eye(4))
        0.007874015748031496
    """
    if not np.any(embedding):
        raise ValueError(
            "A scale takes one embedding or more that are not zero. "
            f"Received: shape {np.shape(embedding)}."
        )
    return float(np.quantile(np.abs(embedding), _QUANTILE)) / _LARGEST_CODE


def uniform_scale(dim: int) -> float:
    """The step between two codes for vectors that point everywhere alike.

    What `calibrate_scale` finds for very many of them: a number's square follows the distribution
    Beta(1/2, (dim - 1) / 2). Embeddings of many people are not far from it.

    Args:
        dim: Numbers of a vector, at least 1.

    Example:
        >>> round(uniform_scale(128), 6)
        0.002644
    """
    if dim == 1:
        return 1.0 / _LARGEST_CODE
    square = stats.beta.ppf(_QUANTILE, 0.5, (dim - 1) / 2)
    return float(np.sqrt(square)) / _LARGEST_CODE


def quantize(embedding: Tensor, scale: float) -> Tensor:
    """`clip(round(embedding / scale), -127, 127)`.

    Args:
        embedding: float32 [B, D], unit length.
        scale: One for all vectors, from `calibrate_scale` or
            `uniform_scale`; stored beside them.

    Returns:
        int8 [B, D]: with 128 numbers, the 128 bytes of the paper.

    Source:
        FaceNet, arXiv 1503.03832, section 5.4 (128 bytes); the rule is ours.
    """
    code = ops.round(ops.cast(embedding, shapes.FLOAT) / scale)
    return ops.cast(ops.clip(code, -_LARGEST_CODE, _LARGEST_CODE), "int8")


def dequantize(code: Tensor) -> Tensor:
    """Brings codes back to unit length; the scale cancels out.

    Args:
        code: int8 [B, D].

    Returns:
        Unit float32 [B, D]; a code of zeros gives zeros.
    """
    return l2_normalize(ops.cast(code, shapes.FLOAT))[0]
