"""Online hard example mining: the samples of a batch that have the highest losses."""

from typing import NamedTuple

from keras import ops

from facezoo.ops import Tensor

# Keeps 22 * (13 / 22) from being 12.
_ROUNDING = 1e-4


class HardSamples(NamedTuple):
    """What was selected.

    Args:
        index: int32 [k], rows of the batch, hardest first; behind them, where too few could be
            chosen, rows that only fill the batch.
        is_chosen: bool [k], false for those that fill.
    """

    index: Tensor
    is_chosen: Tensor


def select_hard(
    loss: Tensor,
    num_hard: int,
    similarity: Tensor | None = None,
    max_similarity: float = 0.7,
    noisy_fraction: float = 0.0,
) -> HardSamples:
    """Selects the samples with the highest losses, noise and near-duplicates left out.

    The mean of a training step is that over the chosen samples: divide by their number, not by the
    size of the batch.

    Args:
        loss: float [N], one per sample.
        num_hard: k, at least 1; a batch of fewer is selected whole. MTCNN takes 70 % of a batch.
        similarity: float [N, N] or None. Of two samples more alike than `max_similarity` only the
            harder is chosen: greedy non-maximum suppression with the loss as score. `box_iou` for
            regions of one image, cosines of embeddings for faces.
        max_similarity: 0.7 for overlaps of boxes (default); above 0.95 two faces are
            mostly frames of one scene.
        noisy_fraction: Share of the batch, in [0, 1), with the very highest losses, that is never
            chosen: wrong labels gather there.

    Returns:
        `(index [min(k, N)], is_chosen [min(k, N)])`.

    Raises:
        ValueError: `num_hard` or `noisy_fraction` is out of range.

    Example:
        >>> index, _ = select_hard([0.1, 3.0, 0.5, 2.0], num_hard=2)
        >>> index.numpy().tolist()
        [1, 3]

    Source:
        Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
        Mining", arXiv 1604.03540, section 4.
    """
    if int(num_hard) < 1:
        raise ValueError(f"num_hard must be at least 1. Received: num_hard={num_hard!r}.")
    if not 0.0 <= float(noisy_fraction) < 1.0:
        raise ValueError(
            f"noisy_fraction must be in [0, 1). Received: noisy_fraction={noisy_fraction!r}."
        )
    loss = ops.convert_to_tensor(loss)
    num_samples = ops.shape(loss)[0]
    rank = ops.cast(ops.argsort(ops.argsort(-loss)), "int32")
    num_noisy = ops.floor(ops.cast(num_samples, "float32") * noisy_fraction + _ROUNDING)
    is_noisy = rank < ops.cast(num_noisy, "int32")
    is_kept = ops.logical_not(is_noisy)
    if similarity is not None:
        is_kept = _suppress(rank, is_kept, similarity, max_similarity, num_hard)
    # Three groups, each in the order of the losses: kept, suppressed, noisy.
    group = ops.cast(ops.logical_not(is_kept), "int32") + ops.cast(is_noisy, "int32")
    index = ops.cast(ops.argsort(rank + group * num_samples)[:num_hard], "int32")
    return HardSamples(index, ops.take(is_kept, index, axis=0))


def _suppress(
    rank: Tensor, is_candidate: Tensor, similarity: Tensor, max_similarity: float, num_hard: int
) -> Tensor:
    """Returns which candidates are chosen, bool [N], at most `num_hard`."""
    num_samples = ops.shape(rank)[0]

    def choose_next(_: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        is_open, is_chosen = state
        hardest = ops.argmin(ops.where(is_open, rank, num_samples))
        is_hardest = ops.logical_and(is_open, ops.equal(rank, ops.take(rank, hardest)))
        is_alike = ops.take(similarity, hardest, axis=0) > max_similarity
        is_shut = ops.logical_or(is_hardest, is_alike)
        is_open = ops.logical_and(is_open, ops.logical_not(is_shut))
        return is_open, ops.logical_or(is_chosen, is_hardest)

    nobody = ops.zeros_like(is_candidate)
    return ops.fori_loop(0, num_hard, choose_next, (is_candidate, nobody))[1]


def box_iou(box: Tensor) -> Tensor:
    """Overlap of every two boxes: intersection over union.

    Args:
        box: float [N, 4], two opposite corners: x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.

    Returns:
        float [N, N] in [0, 1]; 0 between boxes without an area.

    Example:
        >>> box_iou([[0.0, 0.0, 2.0, 1.0], [1.0, 0.0, 2.0, 1.0]]).numpy().tolist()
        [[1.0, 0.5], [0.5, 1.0]]
    """
    box = ops.convert_to_tensor(box)
    low = ops.maximum(box[:, None, :2], box[None, :, :2])
    high = ops.minimum(box[:, None, 2:], box[None, :, 2:])
    shared = ops.prod(ops.relu(high - low), axis=-1)
    area = ops.prod(ops.relu(box[:, 2:] - box[:, :2]), axis=-1)
    union = area[:, None] + area[None, :] - shared
    return shared / ops.where(union > 0.0, union, 1.0)
