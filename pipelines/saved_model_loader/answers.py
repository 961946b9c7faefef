"""How far a model's answer is from the recorded one."""

import numpy as np
from messages import Arrays, ServingError

_EMBEDDING, _VALID = "embedding", "valid"
# By this ending TensorFlow Serving, too, tells bytes from text.
_CODES = "_bytes"
# Of the numbers that may be rounded to the neighbouring byte.
_FLIPPED = 0.02


def difference(name: str, found: np.ndarray, expected: np.ndarray) -> float:
    """Returns the largest difference: absolute, of values above 1 relative; texts must be equal.

    A value that is no number must be none in both. Of embeddings in bytes see `_code_difference`.

    Raises:
        ServingError: They cannot be compared.
    """
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        raise ServingError(
            f"{name} must be {expected.dtype} {expected.shape}. "
            f"Received: {found.dtype} {found.shape}."
        )
    if found.dtype == object:
        if name.endswith(_CODES):
            return _code_difference(found, expected)
        if not np.array_equal(found, expected):
            raise ServingError(f"{name} is another text than the one recorded.")
        return 0.0
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(expected)
    if not np.array_equal(np.isfinite(found), finite):
        raise ServingError(f"{name} holds values that are not finite.")
    found, expected = found[finite], expected[finite]
    apart = np.abs(found - expected) / np.maximum(np.abs(expected), 1.0)
    return float(np.max(apart, initial=0.0))


def _code_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns 0.0 where two engines' bytes may come from one embedding, else the bytes' distance.

    A number in the middle between two steps is rounded this way or that by its last bit, in which
    engines differ: a few bytes may be one step apart. More of them would be another rounding.
    """
    pairs = zip(found.ravel(), expected.ravel(), strict=True)
    steps = [_steps(one, other) for one, other in pairs]
    apart = np.concatenate([np.zeros(0), *steps])
    if np.count_nonzero(apart) <= max(1, _FLIPPED * apart.size) and np.max(apart, initial=0) <= 1:
        return 0.0
    return float(np.max(apart))


def _steps(found: bytes, expected: bytes) -> np.ndarray:
    if len(found) != len(expected):
        raise ServingError(f"An embedding has {len(found)} bytes. Recorded: {len(expected)}.")
    one, other = (np.frombuffer(code, np.int8).astype(np.float64) for code in (found, expected))
    return np.abs(one - other)


def norm_error(answer: Arrays) -> float:
    """Returns how far embeddings are from unit length; a picture that is not valid has none."""
    if _EMBEDDING not in answer:
        return 0.0
    lengths = np.linalg.norm(answer[_EMBEDDING].astype(np.float64), axis=-1)
    is_valid = answer.get(_VALID, np.ones(len(lengths), bool))
    return float(np.max(np.abs(lengths[is_valid] - 1.0), initial=0.0))
