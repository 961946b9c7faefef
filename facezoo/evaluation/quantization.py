"""What one byte per number costs: VAL of the small embedding beside that of the whole one."""

from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from facezoo import metrics
from facezoo.evaluation.robustness import truncate
from facezoo.evaluation.scored_pairs import ScoredPairs
from facezoo.evaluation.verification_report import ReportOptions
from facezoo.ops import calibrate_scale, dequantize, quantize, uniform_scale

# FaceNet, arXiv 1503.03832, section 5.4.
PAPER_BYTES: Final = 128


def quantization_table(
    embedding: NDArray[np.float32],
    calibration: NDArray[np.float32] | None,
    score: Callable[[NDArray[np.float32]], ScoredPairs],
    options: ReportOptions,
) -> list[dict[str, Any]]:
    """Scores embeddings in one byte per number beside the same in four.

    Args:
        embedding: Unit float32 [N, D], of the pictures that are scored.
        calibration: Unit float32 [M, D], of other pictures where there are any: the one scale is
            found on them. None for `uniform_scale`, that of an exported model.
        score: Embeddings of the pictures to pairs.
        options: FARs.

    Returns:
        A row for all D numbers, and where D is over 128 one for the first 128: `bytes`, `scale`,
        `auc_float`, `auc_bytes`, `clipped` (share of the numbers cut off), and `val`, with a row of
        `target`, `val_float` and `val_bytes` for every FAR that the pairs support.
    """
    dims = sorted({embedding.shape[1], min(embedding.shape[1], PAPER_BYTES)}, reverse=True)
    return [
        _row(truncate(embedding, dim), _scale(calibration, dim), score, options) for dim in dims
    ]


def _scale(calibration: NDArray[np.float32] | None, dim: int) -> float:
    return (
        uniform_scale(dim) if calibration is None else calibrate_scale(truncate(calibration, dim))
    )


def _row(
    embedding: NDArray[np.float32],
    scale: float,
    score: Callable[[NDArray[np.float32]], ScoredPairs],
    options: ReportOptions,
) -> dict[str, Any]:
    code = quantize(embedding, scale)
    whole = score(embedding)
    small = score(keras.ops.convert_to_numpy(dequantize(code)))
    targets = [
        target
        for target in options.far_targets
        if options.allow_few or metrics.supports_far(target, len(whole.impostor))
    ]
    return {
        "bytes": embedding.shape[1],
        "scale": scale,
        "clipped": float(np.mean(np.abs(embedding) > 127.5 * scale)),
        "auc_float": metrics.auc(whole.genuine, whole.impostor),
        "auc_bytes": metrics.auc(small.genuine, small.impostor),
        "val": [
            {
                "target": target,
                **{
                    name: metrics.val_at_far(
                        pairs.genuine, pairs.impostor, target, options.allow_few
                    ).val
                    for name, pairs in (("val_float", whole), ("val_bytes", small))
                },
            }
            for target in targets
        ],
    }
