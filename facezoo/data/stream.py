"""Batches read ahead, augmented and standardised: the endless stream that a training consumes."""

import itertools
import queue
import threading
import weakref
from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops

from facezoo.data.batches import Batch, TrainingBatches
from facezoo.ops import Tensor

# Batches that are ready before they are asked for.
_AHEAD = 2
# Seconds until a thread with a full queue looks whether anybody still wants its batches.
_PATIENCE = 0.1
# Seconds that the end of a stream waits for its thread.
_FAREWELL = 5.0

Tensors = tuple[Tensor, ...]


def stream(
    batches: TrainingBatches, first_step: int = 0, rows: np.ndarray | None = None
) -> Iterator[Tensors]:
    """Yields batches from a step on, without end, prepared ahead of their use.

    A thread takes them, on TensorFlow out of a `tf.data.Dataset`, whose own prefetching op
    determinism switches off. It ends when the iterator is dropped.

    Args:
        batches: `TrainingBatches`, or what has its `batch_size`, `read`, `preprocessing` and
            `augmentation`.
        first_step: Number of the first batch.
        rows: int [b], the rows of each batch that are wanted, all by default. Replica r of n takes
            rows `r::n`, so that each sees every identity.

    Returns:
        (image, label), or (image, label, weight) where the batches have weights: float32
        [b, H, W, 3] augmented and standardised, int32 [b], float32 [b]; tensors of the back end.

    Raises:
        ValueError: A record is damaged; here, or while iterating.
    """
    rows = np.arange(batches.batch_size) if rows is None else np.asarray(rows)
    reading = _Reading(batches, first_step, rows)
    on_tensorflow = keras.backend.backend() == "tensorflow"
    return _Ahead(_ThroughTfData(reading) if on_tensorflow else _prepared(reading))


class _Reading:
    """Reads batch after batch, and keeps the error that ended it."""

    def __init__(self, batches: TrainingBatches, first_step: int, rows: np.ndarray) -> None:
        self._batches, self._first_step, self.rows = batches, first_step, rows
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        try:
            for step in itertools.count(self._first_step):
                batch = self._batches.read(step, self.rows)
                yield tuple(part for part in batch if part is not None)
        except Exception as error:
            self.error = error
            raise

    def first_row(self) -> Batch:
        """Shows the kinds and shapes of what will be read."""
        return self._batches.read(self._first_step, self.rows[:1])

    def prepare(self, image: Tensor, label: Tensor, draw: Tensor, *weight: Tensor) -> Tensors:
        """Makes what the network sees of what was read."""
        image = self._batches.augmentation(image, draw)
        return (self._batches.preprocessing.standardize(image), label, *weight)


class _ThroughTfData(Iterator[Tensors]):
    """Prepares batches in the threads of a `tf.data.Dataset`."""

    def __init__(self, reading: _Reading) -> None:
        import tensorflow as tf

        signature = tuple(
            tf.TensorSpec((len(reading.rows), *part.shape[1:]), part.dtype)
            for part in reading.first_row()
            if part is not None
        )
        # TensorFlow never forgets the function that makes a generator: it must not hold the images.
        source = weakref.ref(reading)
        dataset = tf.data.Dataset.from_generator(lambda: iter(source()), output_signature=signature)
        prepare = _compiled(reading.prepare)
        prepared = dataset.map(prepare, num_parallel_calls=2, deterministic=True)
        self._reading, self._iterator = reading, [iter(prepared)]
        # Its threads wait for Python at the end of a program, which would wait for them.
        weakref.finalize(self, self._iterator.clear)

    def __next__(self) -> Tensors:
        try:
            return next(self._iterator[0])
        except Exception:
            # TensorFlow's error holds the text of ours in the middle of a stack of its own.
            if self._reading.error is not None:
                raise self._reading.error from None
            raise


class _Ahead(Iterator[Tensors]):
    """Prepares batches in a thread, which ends when nobody holds the iterator any more."""

    def __init__(self, tensors: Iterator[Tensors]) -> None:
        self._ready: queue.Queue[Tensors | Exception] = queue.Queue(_AHEAD)
        stop = threading.Event()
        # The thread must not know the iterator: it would keep it alive.
        thread = threading.Thread(
            target=_fill, args=(self._ready, tensors, stop), name="facezoo-stream", daemon=True
        )
        thread.start()
        weakref.finalize(self, _end, thread, stop)

    def __next__(self) -> Tensors:
        ready = self._ready.get()
        if isinstance(ready, Exception):
            self._ready.put(ready)
            raise ready
        return ready


def _prepared(reading: _Reading) -> Iterator[Tensors]:
    prepare = _compiled(reading.prepare)
    for parts in reading:
        yield prepare(*(ops.convert_to_tensor(part) for part in parts))


def _fill(ready: queue.Queue, tensors: Iterator[Tensors], stop: threading.Event) -> None:
    try:
        for batch in tensors:
            if not _put(ready, batch, stop):
                return
    except Exception as error:
        _put(ready, error, stop)


def _put(ready: queue.Queue, item: Tensors | Exception, stop: threading.Event) -> bool:
    """Waits for room; returns whether there was any before the end."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=_PATIENCE)
        except queue.Full:
            continue
        return True
    return False


def _compiled(function: Callable[..., Tensors]) -> Callable[..., Tensors]:
    """Lets XLA make one loop of many small steps, which takes a quarter of the time on a CPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return function


def _end(thread: threading.Thread, stop: threading.Event) -> None:
    stop.set()
    # Garbage may be collected in any thread: in this one, or in one that this one waits for.
    if thread is not threading.current_thread():
        thread.join(_FAREWELL)
