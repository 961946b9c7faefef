"""The ground: what a loss saw on its way, for whoever asks while it is computed."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

Tensor = Any
Observer = Callable[[Mapping[str, Tensor]], None]

# Every replica of `tf.distribute` has a thread of its own, and with it an observer of its own.
_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextlib.contextmanager
def observing(observer: Observer | None) -> Iterator[None]:
    """Hands to a function what `observe` is told in the meantime.

    Args:
        observer: Takes scalars by name; None for nobody.
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def observe(statistics: Callable[[], Mapping[str, Tensor]]) -> None:
    """Tells the observer, if there is one.

    Args:
        statistics: Computes scalars by name; not called if nobody observes.
    """
    observer = _observer.get()
    if observer is not None:
        observer(statistics())
