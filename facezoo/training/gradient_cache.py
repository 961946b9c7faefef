"""Gradient caching: one step on a batch of which the device can hold only a part."""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from facezoo.ops import Tensor
from facezoo.training.distribution import Distribution


class CachedSteps:
    """Steps whose loss sees the whole batch while the network sees it chunk by chunk.

    First the embeddings of all chunks are computed and kept, without what a gradient needs. Then
    the loss is computed on all of them, so that mining sees the whole batch, with its gradient by
    embeddings and norms. At last the chunks go through the network again, each with its part of
    that gradient. The sum of their gradients is the gradient of the whole batch; it costs one more
    forward pass.

    Args:
        model: A compiled `FaceModel`, made within the distribution's scope.
        distribution: Where it is computed; each replica cuts its own rows.
        num_chunks: Pieces of equal size, at least 1.

    Raises:
        ValueError: The model has a training step of its own or regularisers, the back end is not
            TensorFlow, or a replica's rows cannot be cut into so many equal pieces.

    Numerics:
        Batch normalisation in training mode sees chunks, as it would see replicas; its moving
        averages move once per chunk. Dropout draws the same in both passes.

    Source:
        Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
        arXiv 2101.06983, section 3.2.
    """

    def __init__(self, model: keras.Model, distribution: Distribution, num_chunks: int) -> None:
        _check(model)
        self._model = model
        self._distribution = distribution
        self._num_chunks = num_chunks
        behind = [part for part in (model.head, model.auxiliary_loss) if part is not None]
        apart = {id(variable) for part in behind for variable in part.variables}
        self._trunk = [one for one in model.trainable_variables if id(one) not in apart]
        self._behind = [one for one in model.trainable_variables if id(one) in apart]
        self._state = [one for one in model.non_trainable_variables if id(one) not in apart]
        self._embed = self._compiled(self._embed_chunk)
        self._differentiate = self._compiled(self._differentiate_loss)
        self._propagate = self._compiled(self._propagate_chunk)
        self._update = self._compiled(self._apply)

    def __call__(self, batch: Sequence[Tensor]) -> dict[str, float]:
        image, *rest = batch
        chunks = [self._distribution.split([part])[0] for part in self._cut(np.asarray(image))]
        before = [np.array(variable) for variable in self._state]
        outputs = [self._embed(chunk) for chunk in chunks]
        # The second pass shall see and leave what a single one would have.
        for variable, value in zip(self._state, before, strict=True):
            variable.assign(value)
        logs, cached, gradients = self._differentiate(outputs, *self._distribution.split(rest))
        total = None
        for index, chunk in enumerate(chunks):
            total = self._propagate(chunk, cached, tf.constant(index), total)
        self._update(total, gradients)
        return self._distribution.mean(logs)

    def _compiled(self, function: Callable) -> Callable:
        return tf.function(lambda *arguments: self._distribution.run(function, arguments))

    def _embed_chunk(self, image: Tensor) -> dict[str, Tensor]:
        return self._model(image, training=True)

    def _differentiate_loss(
        self, outputs: list[Mapping[str, Tensor]], label: Tensor, weight: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
        model = self._model
        model.reset_metrics()
        joined = {name: self._join([one[name] for one in outputs]) for name in outputs[0]}
        with tf.GradientTape() as tape:
            tape.watch(joined)
            loss = model.compute_loss(None, label, joined, weight, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(
            scaled, (joined, self._behind), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        cached = {name: self._separate(value) for name, value in gradients[0].items()}
        logs = model.compute_metrics(None, label, joined, weight)
        # The replicas' losses add up, and the logs are averaged.
        logs["loss"] = loss * self._distribution.num_replicas
        return logs, cached, gradients[1]

    def _propagate_chunk(
        self,
        image: Tensor,
        cached: Mapping[str, Tensor],
        index: Tensor,
        total: list[Tensor] | None,
    ) -> list[Tensor]:
        with tf.GradientTape() as tape:
            output = self._model(image, training=True)
            product = sum(tf.reduce_sum(output[name] * cached[name][index]) for name in cached)
        gradients = tape.gradient(
            product, self._trunk, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        if total is None:
            return gradients
        return [one + other for one, other in zip(total, gradients, strict=True)]

    def _apply(self, trunk: list[Tensor], behind: list[Tensor]) -> None:
        pairs = zip([*trunk, *behind], [*self._trunk, *self._behind], strict=True)
        self._model.optimizer.apply_gradients(pairs)

    def _cut(self, image: np.ndarray) -> list[np.ndarray]:
        """Chunk c takes every `num_chunks`-th row from c on: each sees all identities."""
        num_replicas = self._distribution.num_local_replicas
        rows = len(image) // num_replicas
        if rows % self._num_chunks:
            raise ValueError(
                "A replica's rows must be cut into chunks of equal size. Expected: a multiple of "
                f"num_chunks={self._num_chunks}. Received: {rows} rows per replica."
            )
        by_replica = np.split(image, num_replicas)
        return [
            np.concatenate([part[chunk :: self._num_chunks] for part in by_replica])
            for chunk in range(self._num_chunks)
        ]

    def _join(self, parts: list[Tensor]) -> Tensor:
        """Undoes `_cut`: [chunk][row, ..] to [rows, ..] in the batch's order."""
        stacked = tf.stack(parts, axis=1)
        return tf.reshape(stacked, tf.concat([[-1], tf.shape(stacked)[2:]], axis=0))

    def _separate(self, value: Tensor) -> Tensor:
        """Cuts [rows, ..] to [chunk, row, ..]."""
        shape = tf.concat([[-1, self._num_chunks], tf.shape(value)[1:]], axis=0)
        return tf.stack(tf.unstack(tf.reshape(value, shape), self._num_chunks, axis=1))


def _check(model: keras.Model) -> None:
    if type(model).train_step is not keras.Model.train_step:
        raise ValueError(
            f"Gradient caching replaces the training step, and {type(model).__name__} has one of "
            "its own. Use num_chunks=1 with it, or a FaceModel."
        )
    regularized = [one.path for one in model.trainable_variables if one.regularizer is not None]
    if regularized:
        raise ValueError(
            "Gradient caching knows no regularisers. Use weight_decay instead. "
            f"Received: regularisers of {', '.join(regularized)}."
        )
