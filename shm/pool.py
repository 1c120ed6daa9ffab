"""Preallocated objects of one size with a free list: what lives longer than a pass is taken from here, not allocated.

orders = Pool(4096, SIZE["order"], VIEW["order"])
index = orders.take()              NONE: the pool is used up, which is a limit like any other
order = orders.view(index)         zeroed when taken
orders.free(index)
"""

from collections.abc import Callable
from typing import Any, Final

from shm._native import ffi, lib
from shm.segment import HeapSegment, Memory

NONE: Final = -1


class Pool:
    """A fixed number of objects of this process. Indices are dense and are used again, last freed first."""

    __slots__ = ("_free", "_memory", "_pool", "_take", "_views", "capacity")

    def __init__(
        self, capacity: int, object_size: int, make_view: Callable[[int], Any], memory: Memory | None = None, name: str = "pool"
    ) -> None:
        """`object_size` in whole cache lines; `memory` keeps the pages locked if the host lets it."""
        self.capacity = capacity
        self._memory = HeapSegment(lib.pool_size(capacity, object_size))
        self._pool = self._memory.pointer("pool_t *")
        lib.pool_open(self._pool, capacity, object_size)
        if memory is not None:
            memory.lock(self._memory.address, self._memory.size, name)
        addresses = [int(ffi.cast("uintptr_t", lib.pool_object(self._pool, index))) for index in range(capacity)]
        self._views = [make_view(address) for address in addresses]
        self._take: Callable[[Any], int] = lib.pool_take
        self._free: Callable[[Any, int], int] = lib.pool_free

    def take(self) -> int:
        """The index of a zeroed object; NONE: all are taken."""
        index = self._take(self._pool)
        return NONE if index == lib.POOL_NONE else index

    def view(self, index: int) -> Any:
        """The object. Valid until it is freed."""
        assert index >= 0, "NONE is no object"
        return self._views[index]

    def free(self, index: int) -> None:
        """Gives an object back. Its view must not be used any more."""
        assert 0 <= index < self.capacity, "no such object"
        freed = self._free(self._pool, index)
        assert freed == 0, "an object is freed once"

    def is_taken(self, index: int) -> bool:
        """The object is in use."""
        assert 0 <= index < self.capacity, "no such object"
        return bool(lib.pool_is_taken(self._pool, index))

    @property
    def taken(self) -> int:
        """How many objects are in use."""
        return int(lib.pool_taken(self._pool))

    @property
    def taken_max(self) -> int:
        """The most that ever were in use at once: how near the limit came."""
        return int(lib.pool_taken_max(self._pool))
