"""Shares products of matrices among the cores: one thread each, with a BLAS that keeps to it."""

import functools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Tile = TypeVar("Tile")
Result = TypeVar("Result")

# Of two callers at once, the second would take the first one's limit for the usual one, and
# leave it behind.
_ONE_AT_A_TIME = threading.Lock()


def share_tiles(work: Callable[[Iterator[Tile]], Result], tiles: Iterable[Tile]) -> list[Result]:
    """Lets threads take tiles from one queue until it is empty.

    NumPy lets other threads run while it multiplies and counts. A BLAS of several threads would
    leave the other cores idle while one counts what was multiplied.

    Args:
        work: Takes tiles, each a part of the whole that fits in a cache, and returns what it made
            of those that it got: some of all, in their order.
        tiles: What there is to do.

    Returns:
        What each thread made, one or more.

    Numerics:
        While this runs, BLAS has one thread in the whole process.
    """
    tiles = list(tiles)
    queue, num_threads = iter(tiles), max(1, min(os.cpu_count() or 1, len(tiles)))
    with _ONE_AT_A_TIME, _one_blas_thread(), ThreadPoolExecutor(num_threads) as pool:
        running = [pool.submit(work, queue) for _ in range(num_threads)]
        try:
            return [one.result() for one in running]
        finally:
            # After an error or Ctrl-C, nobody waits for what is left; else nothing is.
            for _ in queue:
                pass


def _one_blas_thread() -> AbstractContextManager:
    return _libraries().limit(limits=1, user_api="blas")


@functools.cache
def _libraries() -> ThreadpoolController:
    # Looking through all that is loaded takes milliseconds, and NumPy's BLAS is there by now.
    return ThreadpoolController()
