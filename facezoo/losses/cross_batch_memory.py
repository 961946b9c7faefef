"""Cross-batch memory: a loss on pairs whose candidates are the last thousand embeddings."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from facezoo import registry, shapes
from facezoo.contracts import AuxiliaryLoss, PairLoss
from facezoo.ops import Tensor


def enqueue(memory: Tensor, rows: Tensor) -> Tensor:
    """Puts rows at the end of a memory and drops as many at its start, keeping its size.

    Args:
        memory: [M, ...], oldest first.
        rows: [B, ...].

    Returns:
        [M, ...]; the last M rows, if B is more than M.
    """
    joined = ops.concatenate([memory, rows], axis=0)
    return ops.reshape(joined[ops.shape(rows)[0] :], memory.shape)


@registry.register("auxiliary_loss")
@keras.saving.register_keras_serializable("facezoo")
class CrossBatchMemory(AuxiliaryLoss):
    """A loss on pairs of the batch with a memory of the last embeddings.

    Late in training embeddings drift slowly, so old ones are good candidates, at no cost in images.
    The memory takes in the batch first, and no sample is paired with itself. Use it beside the same
    loss on the batch: from the memory no gradient comes back.

    Args:
        loss: A loss on pairs: `CircleLoss`, `MultiSimilarityLoss`, `SupConLoss` .., or its name.
        memory_size: Number of embeddings kept, at least 1, default 1024. A larger batch leaves its
            last ones there.
        num_warm_up_steps: Steps before the memory starts to fill and the loss to count, 0 or more.
            The paper waits 1000, until the embeddings drift slowly.
        weight: Factor in front of the loss, 0 or more, default 1.

    Call:
        embedding: float32 [B, D], unit length.
        norm: float32 [B]; not looked at.
        label: int [B] or [B, 1], identities; one-hot [B, C] with C > 1 is accepted too.
        training: bool, whether the batch enters the memory; outside, it is compared with what is
            there.

    Returns:
        float32 per-sample values [B], without the factor `weight`.

    Raises:
        ValueError: An argument is out of range; `loss` is unknown or no loss on pairs; `label` has
            another shape.

    Numerics:
        float32 under every precision policy. The memory, its labels and its fill are saved.

    Example:
        >>> import numpy as np
        >>> memory = CrossBatchMemory("supcon", memory_size=4)
        >>> norm, label = np.ones(2), np.array([0, 1])
        >>> memory(np.eye(2), norm, label, training=True).numpy().tolist()
        [0.0, 0.0]
        >>> memory(-np.eye(2), norm, label, training=True).numpy().round().tolist()
        [15.0, 15.0]
        >>> memory.memory_label.numpy().tolist()
        [0, 1, 0, 1]

    Source:
        Wang et al., "Cross-Batch Memory for Embedding Learning", arXiv 1912.06798, algorithm 1.
    """

    SOURCE = "Cross-Batch Memory, arXiv 1912.06798, algorithm 1"
    TINY = {"loss": "supcon", "memory_size": 10}

    def __init__(
        self,
        loss: PairLoss | str | Mapping[str, Any],
        memory_size: int = 1024,
        num_warm_up_steps: int = 0,
        weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, **kwargs)
        if int(memory_size) < 1:
            raise ValueError(f"memory_size must be at least 1. Received: {memory_size!r}.")
        if int(num_warm_up_steps) < 0:
            raise ValueError(
                f"num_warm_up_steps must be 0 or more. Received: {num_warm_up_steps!r}."
            )
        self.loss = PairLoss.get(loss)
        self.memory_size = int(memory_size)
        self.num_warm_up_steps = int(num_warm_up_steps)

    def build(self, embedding_shape: tuple[int | None, int]) -> None:
        size = self.memory_size
        self.memory = self.add_state("memory", (size, embedding_shape[-1]))
        self.memory_label = self.add_state("memory_label", (size,), dtype=shapes.LABEL)
        self.num_stored = self.add_state("num_stored", (), dtype=shapes.LABEL)
        self.num_steps = self.add_state("num_steps", (), dtype=shapes.LABEL)
        super().build(embedding_shape)

    def per_sample(self, embedding: Tensor, norm: Tensor, label: Tensor, training: bool) -> Tensor:
        memory, stored = (ops.convert_to_tensor(one) for one in (self.memory, self.memory_label))
        num_stored, first_own = ops.convert_to_tensor(self.num_stored), self.memory_size
        if training:
            batch_size = ops.shape(embedding)[0]
            is_warm = self.num_steps >= self.num_warm_up_steps
            memory = enqueue(memory, ops.stop_gradient(embedding))
            stored = enqueue(stored, label)
            num_new = ops.where(is_warm, batch_size, 0)
            num_stored = ops.minimum(num_stored + num_new, self.memory_size)
            first_own = self.memory_size - batch_size
            self._keep(memory, stored, num_stored)
        is_positive, is_negative = self._pairs(label, stored, num_stored, first_own)
        return self.loss.per_anchor(embedding, memory, is_positive, is_negative)

    def _keep(self, memory: Tensor, stored: Tensor, num_stored: Tensor) -> None:
        self.memory.assign(memory)
        self.memory_label.assign(stored)
        self.num_stored.assign(num_stored)
        # Counts no further than it must: a long training would overflow it.
        self.num_steps.assign(ops.minimum(self.num_steps + 1, self.num_warm_up_steps))

    def _pairs(
        self, label: Tensor, stored: Tensor, num_stored: Tensor, first_own: Tensor | int
    ) -> tuple[Tensor, Tensor]:
        """Returns the genuine and the impostor pairs of the batch with what is stored."""
        place = ops.arange(self.memory_size, dtype=shapes.LABEL)
        own = first_own + ops.arange(ops.shape(label)[0], dtype=shapes.LABEL)
        is_other = ops.logical_and(
            (place >= self.memory_size - num_stored)[None, :],
            ops.not_equal(own[:, None], place[None, :]),
        )
        is_same = ops.equal(label[:, None], stored[None, :])
        return (
            ops.logical_and(is_same, is_other),
            ops.logical_and(ops.logical_not(is_same), is_other),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "loss": keras.saving.serialize_keras_object(self.loss),
            "memory_size": self.memory_size,
            "num_warm_up_steps": self.num_warm_up_steps,
        }
