"""What one score hides: how it falls with poorer pictures, and with one byte per number."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facezoo.data.pairs import pair_indices
from facezoo.evaluation.picture_slices import sort_into_thirds
from facezoo.evaluation.quantization import quantization_table
from facezoo.evaluation.scores import FAR_TARGETS, score_pairs
from facezoo.evaluation.verification_report import ReportOptions, score_slices

_OPTIONS: Final = ReportOptions(FAR_TARGETS, num_resamples=200)


def break_down(
    embedding: NDArray, label: NDArray, measured: NDArray, scores: Mapping[str, Any]
) -> dict[str, Any]:
    """Scores the same pairs again, in parts and in one byte per number.

    Args:
        embedding: float32 [N, D], unit length.
        label: int [N], the person of each row.
        measured: float [N, 3], what `facezoo.evaluation.picture_slices.measure` said of each.
        scores: What `evaluate_embedding` returned for them.

    Returns:
        `slice_point`, the last of the `operating_points`, whose threshold all slices share;
        `slices`, see `score_slices`; `quantization`, see `quantization_table`, with the scale that
        the exported model has.
    """
    # The genuine pairs first, as `score_pairs` has them.
    pair = np.concatenate(pair_indices(label))
    point = scores["operating_points"][-1]
    slices = sort_into_thirds(measured, pair)
    score = partial(score_pairs, label=label)
    return {
        "slice_point": point["name"],
        "slices": score_slices(score(embedding), slices, point["threshold"], _OPTIONS),
        "quantization": quantization_table(embedding, None, score, _OPTIONS),
    }
