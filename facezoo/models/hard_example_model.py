"""HardExampleModel: a FaceModel that learns from the hardest samples of each batch only."""

import contextlib
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from facezoo import shapes
from facezoo.contracts import EmbeddingLoss
from facezoo.mining import HardSamples, select_hard
from facezoo.models.face_model import FaceModel
from facezoo.ops import Tensor, cosine_similarity


@keras.saving.register_keras_serializable("facezoo")
class HardExampleModel(FaceModel):
    """Online hard example mining: all samples are looked at, the hardest are learnt from.

    A training step runs the batch forward as at inference, without gradients and without moving a
    statistic; then it selects, gathers, and trains on what was selected as if that were the batch.
    The gradient is that of the mean loss over the chosen samples; what was not chosen costs a
    forward pass, and no memory beyond it. Evaluation sees everything. Mining amplifies wrong
    labels: clean them first, or set `noisy_fraction`.

    Args:
        args: As for `FaceModel`.
        num_hard: Samples learnt from in a step, at least 1. Under `tf.distribute`, per replica.
        max_similarity: Of two samples of one identity with a higher cosine only the harder is
            chosen, in [-1, 1], default 0.95; None to choose by loss alone. See `similarity`.
        noisy_fraction: Share of the batch with the highest losses that is never learnt from, in
            [0, 1), default 0.
        kwargs: As for `FaceModel`.

    Call:
        image: float32 [B, H, W, 3], standardised by `preprocessing.standardize`.

    Returns:
        `{"embedding": float32 unit [B, D], "norm": float32 [B]}`.

    Raises:
        ValueError: An argument is out of range; in the first step, the compiled loss is an
            `EmbeddingLoss`, which does not judge a sample by itself.

    Example:
        >>> from facezoo.models import create_head, create_model
        >>> model = create_model("mobilefacenet", head=create_head("cosface", num_classes=9))
        >>> hard = HardExampleModel.of(model, num_hard=32)
        >>> hard.backbone is model.backbone
        True

    Source:
        Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
        Mining", arXiv 1604.03540, section 4.
    """

    def __init__(
        self,
        *args: Any,
        num_hard: int,
        max_similarity: float | None = 0.95,
        noisy_fraction: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        select_hard([0.0], num_hard, noisy_fraction=noisy_fraction)
        if max_similarity is not None and not -1.0 <= float(max_similarity) <= 1.0:
            raise ValueError(
                "max_similarity must be a cosine in [-1, 1], or None. "
                f"Received: max_similarity={max_similarity!r}."
            )
        self.num_hard = int(num_hard)
        self.max_similarity = None if max_similarity is None else float(max_similarity)
        self.noisy_fraction = float(noisy_fraction)

    @classmethod
    def of(cls, model: FaceModel, **options: Any) -> "HardExampleModel":
        """Makes one that shares its parts with a model: what it learns, the model has learnt.

        Args:
            model: Such as a pretrained one.
            options: `num_hard`, `max_similarity`, `noisy_fraction`.
        """
        return cls(
            model.backbone,
            model.embedding,
            model.head,
            model.preprocessing,
            model.auxiliary_loss,
            model.gate,
            name=model.name,
            **options,
        )

    def train_step(self, *arguments: Any) -> Any:
        *state, data = arguments
        with self._reading(*state):
            data = self.select(data)
        return super().train_step(*state, data)

    def select(self, data: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Returns what a training step learns from.

        Args:
            data: `(image, label)` or `(image, label, sample_weight)`, N samples.

        Returns:
            `(image, label, sample_weight)` of k samples. The weights have the mean 1, or that of
            the samples' own; a sample that only fills the batch has 0.
        """
        image, label, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        index, is_chosen = self._hardest(label, self(image, training=False))
        weight = ops.cast(is_chosen, shapes.FLOAT)
        weight = weight / ops.mean(weight)
        if sample_weight is not None:
            weight = weight * ops.take(sample_weight, index, axis=0)
        return ops.take(image, index, axis=0), ops.take(label, index, axis=0), weight

    def similarity(self, label: Tensor, output: Mapping[str, Tensor]) -> Tensor:
        """How alike every two samples are; a subclass may know better.

        Args:
            label: int [N].
            output: What `call` returned.

        Returns:
            float32 [N, N]: the cosine within an identity, -1 between two: an untrained model finds
            all faces alike.
        """
        embedding = output[shapes.EMBEDDING]
        is_same = ops.equal(label[:, None], label[None, :])
        return ops.where(is_same, cosine_similarity(embedding, embedding), -1.0)

    def _hardest(self, label: Tensor, output: Mapping[str, Tensor]) -> HardSamples:
        options = {"noisy_fraction": self.noisy_fraction}
        if self.max_similarity is not None:
            options["similarity"] = self.similarity(label, output)
            options["max_similarity"] = self.max_similarity
        return select_hard(self._sample_losses(label, output), self.num_hard, **options)

    def _sample_losses(self, label: Tensor, output: Mapping[str, Tensor]) -> Tensor:
        """Returns what `compute_loss` would reduce, float32 [N]."""
        if isinstance(self.loss, EmbeddingLoss):
            raise ValueError(
                "HardExampleModel needs a loss that judges every sample by itself, such as a "
                f"cross-entropy on a head's logits. Received: {type(self.loss).__name__}, which "
                "looks at pairs and mines by itself. Use it with a FaceModel."
            )
        embedding, norm = output[shapes.EMBEDDING], output[shapes.NORM]
        values = ops.zeros_like(norm)
        if self._trains_head():
            logits = self.head(embedding, norm, label, training=False)
            values += self._unreduced(self.head.columns(label), logits)
            penalty = self.head.penalty(norm, label)
            values += 0.0 if penalty is None else penalty
        elif self.loss is not None:
            values += self._unreduced(label, embedding)
        if self.auxiliary_loss is not None:
            auxiliary = self.auxiliary_loss(embedding, norm, label, training=False)
            values += self.auxiliary_loss.weight * auxiliary
        return values

    def _unreduced(self, target: Tensor, output: Tensor) -> Tensor:
        loss = keras.losses.get(self.loss)
        return getattr(loss, "call", loss)(target, output)

    def _reading(self, *state: Any) -> contextlib.AbstractContextManager:
        """Within it no gradient is kept; on JAX, whose trainer has them, it knows the weights."""
        if keras.backend.backend() == "torch":
            import torch

            return torch.no_grad()
        if not state:
            return contextlib.nullcontext()
        trainable, non_trainable, *_ = state[0]
        mapping = [
            *zip(self.trainable_variables, trainable, strict=True),
            *zip(self.non_trainable_variables, non_trainable, strict=True),
        ]
        return keras.StatelessScope(state_mapping=mapping)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_hard": self.num_hard,
            "max_similarity": self.max_similarity,
            "noisy_fraction": self.noisy_fraction,
        }
