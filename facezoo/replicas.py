"""The ground: the global batch, of which a replica of `tf.distribute` sees only a slice."""

from typing import Any

import keras

Tensor = Any


def gather_batch(*tensors: Tensor) -> tuple[tuple[Tensor, ...], slice]:
    """Joins every replica's rows, so that a loss can look at all pairs of the global batch.

    Outside `tf.distribute`, and on the JAX and PyTorch back ends, whose tensors are global already,
    the tensors come back as they are.

    Args:
        tensors: any dtype [b, ...], all with this replica's number of rows b.

    Returns:
        `(tensors [B, ...], own)`: the rows of all replicas in replica order, and the slice of them
        that belongs to this replica.

    Numerics:
        The gradient of the gather sums over the replicas: a loss needs no factor of its own.
    """
    context = _replica_context()
    if context is None:
        return tensors, slice(None)
    num_rows = keras.ops.shape(tensors[0])[0]
    sizes = context.all_gather(keras.ops.reshape(num_rows, (1,)), axis=0)
    start = keras.ops.sum(sizes[: context.replica_id_in_sync_group])
    gathered = tuple(context.all_gather(tensor, axis=0) for tensor in tensors)
    return gathered, slice(start, start + num_rows)


def _replica_context() -> Any:
    """Returns TensorFlow's replica context if there is more than one replica, else None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None
