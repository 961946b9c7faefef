"""On which devices and machines a step is computed, and which rows of a batch each one takes."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from facezoo.ops import Tensor
from facezoo.training.cluster import has_cluster, join_cluster
from facezoo.training.position import Position

STRATEGIES = ("auto", "single", "mirrored", "multi_worker")


class WorkerLost(RuntimeError):
    """Another machine is gone; the training can be taken up again."""


class Distribution:
    """One device: the base of the others, and all there is on the JAX and PyTorch back ends."""

    num_replicas = 1
    num_local_replicas = 1
    is_chief = True

    def scope(self) -> contextlib.AbstractContextManager:
        """Within it models and optimizers are made, so that every replica has their variables."""
        return contextlib.nullcontext()

    def rows(self, batch_size: int) -> np.ndarray:
        """Returns which rows of the global batch this process reads, replica by replica.

        Replica r of n takes the rows r, r + n, r + 2 n ..: a batch comes sorted by identity, and
        the statistics of batch normalisation shall be of all of them on every replica.

        Args:
            batch_size: Rows of the global batch.

        Returns:
            int64 [b].

        Raises:
            ValueError: The replicas would not get equally many rows.
        """
        return np.arange(batch_size)

    def split(self, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
        """Hands the rows that `rows` chose to this process's replicas.

        Args:
            tensors: [b, ...], the rows of all replicas of this process in their order.

        Returns:
            For each tensor its values per replica, for `run`.
        """
        return tuple(keras.ops.convert_to_tensor(tensor) for tensor in tensors)

    def run(self, function: Callable, arguments: Sequence[Any]) -> Any:
        """Calls a function on every replica."""
        return function(*arguments)

    def mean(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Returns the means over all replicas of what `run` gave, the same on every machine."""
        return {name: float(value) for name, value in values.items()}

    def naming_lost_machines(self, position: Position) -> contextlib.AbstractContextManager:
        """Within it the loss of another machine becomes a `WorkerLost` that says what to do."""
        return contextlib.nullcontext()

    def check_same(self, value: int, what: str) -> None:
        """Compares a number between the machines.

        Raises:
            ValueError: They differ.
        """


class ReplicatedDistribution(Distribution):
    """Replicas of `tf.distribute`: several devices, of one machine or of many.

    Args:
        strategy: `MirroredStrategy` or `MultiWorkerMirroredStrategy`.
    """

    def __init__(self, strategy: Any) -> None:
        self.strategy = strategy
        self.num_replicas = strategy.num_replicas_in_sync
        resolver = strategy.cluster_resolver
        self.is_chief = resolver is None or _is_chief(resolver)
        self._own: list[int] = []
        strategy.experimental_distribute_values_from_function(
            lambda context: self._own.append(context.replica_id_in_sync_group) or 0
        )
        self.num_local_replicas = len(self._own)

    def scope(self) -> contextlib.AbstractContextManager:
        return self.strategy.scope()

    def rows(self, batch_size: int) -> np.ndarray:
        if batch_size % self.num_replicas:
            raise ValueError(
                "Every replica must get equally many rows, or the gathered batch and the mean of "
                f"the gradients would be wrong. Expected: a batch size divisible by "
                f"{self.num_replicas} (replicas). Received: {batch_size}."
            )
        return np.concatenate([np.arange(one, batch_size, self.num_replicas) for one in self._own])

    def split(self, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
        return tuple(self._split(tensor) for tensor in tensors)

    def _split(self, tensor: Tensor) -> Any:
        parts = dict(zip(self._own, np.split(np.asarray(tensor), len(self._own)), strict=True))
        convert = keras.ops.convert_to_tensor
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: convert(parts[context.replica_id_in_sync_group])
        )

    def run(self, function: Callable, arguments: Sequence[Any]) -> Any:
        return self.strategy.run(function, args=tuple(arguments))

    def mean(self, values: Mapping[str, Any]) -> dict[str, float]:
        local = self.strategy.experimental_local_results
        # A value that all replicas share comes once.
        columns = [
            np.broadcast_to(np.array(local(value), np.float32), (self.num_local_replicas,))
            for value in values.values()
        ]
        by_replica = iter(np.stack(columns, axis=1))
        convert = keras.ops.convert_to_tensor
        joined = self.strategy.experimental_distribute_values_from_function(
            lambda _: convert(next(by_replica))
        )
        means = self.strategy.reduce("MEAN", joined, axis=None)
        return dict(zip(values, np.asarray(means).tolist(), strict=True))

    @contextlib.contextmanager
    def naming_lost_machines(self, position: Position) -> Iterator[None]:
        import tensorflow as tf

        errors = tf.errors
        lost = (
            errors.UnavailableError,
            errors.AbortedError,
            errors.DeadlineExceededError,
            errors.CancelledError,
            errors.InternalError,
        )
        try:
            yield
        except lost as error:
            if self.num_local_replicas == self.num_replicas:
                raise
            raise WorkerLost(
                f"Another machine of TF_CONFIG was lost at step {position.step}. Start the "
                "training again on all machines: it goes on from the newest checkpoint. "
                "TensorFlow says: "
                f"{str(error).splitlines()[0]}"
            ) from error

    def check_same(self, value: int, what: str) -> None:
        mine = self.strategy.experimental_distribute_values_from_function(
            lambda _: keras.ops.convert_to_tensor(value, "int64")
        )
        total = self.strategy.reduce("SUM", mine, axis=None)
        if int(total) != value * self.num_replicas:
            raise ValueError(
                f"The machines of TF_CONFIG do not agree on {what}. Received here: {value}, in the "
                f"mean: {int(total) / self.num_replicas:g}. The folder must be shared by all."
            )


def create_distribution(name: str = "auto") -> Distribution:
    """Finds the devices to train on.

    With several machines this must come before TensorFlow has computed anything.

    Args:
        name: `"single"`, one device; `"mirrored"`, all GPUs of this machine or, without GPUs, its
            logical CPU devices; `"multi_worker"`, the machines that TF_CONFIG names; `"auto"`, the
            last of these that there are several of.

    Raises:
        ValueError: The name is unknown, the back end is not TensorFlow, or TF_CONFIG names no other
            machine.
        TimeoutError: Another machine did not come.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}. Received: {name!r}.")
    if keras.backend.backend() != "tensorflow":
        if name not in ("auto", "single"):
            raise ValueError(
                f"strategy={name!r} needs the TensorFlow back end. Received: KERAS_BACKEND="
                f"{keras.backend.backend()}, which trains on a single device here."
            )
        return Distribution()
    return _create(name)


def _create(name: str) -> Distribution:
    import tensorflow as tf

    if name == "multi_worker" or (name == "auto" and has_cluster()):
        return ReplicatedDistribution(join_cluster())
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return ReplicatedDistribution(tf.distribute.MirroredStrategy(gpus) if gpus else _on_cpus())
    return Distribution()


def _on_cpus() -> Any:
    import tensorflow as tf

    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    # By default the devices would meet by numbers that two strategies in one process mix up.
    return tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())


def _is_chief(resolver: Any) -> bool:
    if resolver.task_type == "chief":
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
