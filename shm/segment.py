"""Where shared memory comes from: the heap here, for one process; an iceoryx2 slice in shm/publication.py, for many.

A segment is an address, a size, and whoever keeps the memory alive. Epochs order the openings of one segment: a successor
always has the greater one.
"""

import time
from typing import Any

from shm._native import ffi

CACHE_LINE = 64


class SegmentError(Exception):
    """Memory cannot be had, or is not what it should be. The sentence names cause and remedy."""


class HeapSegment:
    """Zeroed memory of this process, cache-line aligned; it lives as long as this object."""

    def __init__(self, size: int) -> None:
        self._memory: Any = ffi.new("uint8_t[]", size + CACHE_LINE)
        start = int(ffi.cast("uintptr_t", self._memory))
        self.address = -(-start // CACHE_LINE) * CACHE_LINE
        self.size = size

    def pointer(self, ctype: str = "void *") -> Any:
        """The memory as a cffi pointer. Valid while this object lives."""
        return ffi.cast(ctype, self.address)


_last_epoch = 0


def next_epoch() -> int:
    """Greater than every epoch given on this host since it booted: CLOCK_MONOTONIC in ns, never the same twice here."""
    global _last_epoch
    _last_epoch = max(_last_epoch + 1, time.monotonic_ns())
    return _last_epoch
