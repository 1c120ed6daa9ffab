"""Market events as hftbacktest keeps them: one 64-byte row each, and the corrections that make a capture usable.

A row says what happened (`ev`: kind and flags), when at the exchange and when here (ns), and at which price and quantity.
This is the Python face of cffi_build/include/events.h.
"""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reactor._native import ffi, lib
from shm.layout import dtype_of

EVENT_DTYPE: np.dtype[Any] = dtype_of(ffi, "event_row_t")
EventArray = NDArray[np.void]

DEPTH_EVENT: int = lib.EVENT_DEPTH
TRADE_EVENT: int = lib.EVENT_TRADE
DEPTH_CLEAR_EVENT: int = lib.EVENT_DEPTH_CLEAR
DEPTH_SNAPSHOT_EVENT: int = lib.EVENT_DEPTH_SNAPSHOT
DEPTH_BBO_EVENT: int = lib.EVENT_DEPTH_BBO
EXCH_EVENT: int = lib.EVENT_EXCH
LOCAL_EVENT: int = lib.EVENT_LOCAL
BUY_EVENT: int = lib.EVENT_BUY
SELL_EVENT: int = lib.EVENT_SELL

_EXCH, _LOCAL = 0, 1
MAP_NORESERVE = 0x4000  # Linux; the mmap module names it from Python 3.13 on.
MERGE_STEP_ROWS = 1 << 19  # 32 MB: what input and output may take together beyond the larger of them.
ROWS_MAX = 1 << 31  # 128 GiB of address space, no memory: more rows than any machine's day of one symbol.
SPARES_MAX = 4  # One conversion's result and the staging of its files.
SLOW_ROWS_MIN = 1 << 14  # Of so many rows in one step at least half a huge page is new.
SLOW_ROW_NS = 110  # Ordered and written: 5 to 15 ns where memory is at hand, 160 to 280 where the host looks for it.


def rows_pointer(events: EventArray, first: int = 0) -> Any:
    """The C view of an event array from row `first` on. Keep the array alive and unmoved while it is used."""
    return ffi.cast("event_row_t *", events.ctypes.data + first * EVENT_DTYPE.itemsize)


_spares: list[mmap.mmap] = []


class _Memory:
    """Address space for rows. When the last array in it is gone it serves the next conversion: pages that were never touched
    cost more than all reading and ordering. Until then the kernel may take them back whenever memory is short (MADV_FREE)."""

    def __init__(self, room: int) -> None:
        size = room * EVENT_DTYPE.itemsize
        if room == ROWS_MAX and _spares:
            self.map = _spares.pop()
        else:
            self.map = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
            self.map.madvise(mmap.MADV_HUGEPAGE)
        address = int(ffi.cast("uintptr_t", ffi.from_buffer(self.map)))
        # Arrays made of this hold it, not the map: so their end is noticed.
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, False), "version": 3}

    def __del__(self, spares: list[mmap.mmap] = _spares) -> None:
        if len(self.map) == ROWS_MAX * EVENT_DTYPE.itemsize and len(spares) < SPARES_MAX:
            self.map.madvise(mmap.MADV_FREE)
            spares.append(self.map)


class Rows:
    """An event array that is written behind its end: reserved as address space, paid for only where rows come.

    What stands behind the rows written is undefined.
    """

    def __init__(self, room: int = ROWS_MAX) -> None:
        memory = _Memory(room)
        self._memory = memory.map
        self._events: EventArray = np.asarray(memory).view(EVENT_DTYPE)
        self.count = 0
        self._released = 0  # bytes
        self._has_small_pages = False

    @property
    def room(self) -> int:
        """Rows that fit behind the last one."""
        return len(self._events) - self.count

    @property
    def next_row(self) -> Any:
        """Where C writes next."""
        return rows_pointer(self._events, self.count)

    def on_written(self, count: int, took_ns: int) -> None:
        """`count` rows were written in one step. If that was slow, small pages serve the rest.

        A huge page is quick where two megabytes are at hand. The host of a virtual machine takes such stretches back and lets
        go of them slowly; the crumbs between them it leaves.
        """
        if count >= SLOW_ROWS_MIN and took_ns > count * SLOW_ROW_NS and not self._has_small_pages:
            self._has_small_pages = True
            self._memory.madvise(mmap.MADV_NOHUGEPAGE)

    def part(self, first: int) -> EventArray:
        """The rows from `first` on, in place: valid until they are released."""
        return self._events[first : self.count]

    def release(self, count: int) -> None:
        """Gives the memory of the first `count` rows back. They may not be looked at any more."""
        size = count * EVENT_DTYPE.itemsize // mmap.PAGESIZE * mmap.PAGESIZE
        if size > self._released:
            self._memory.madvise(mmap.MADV_DONTNEED, self._released, size - self._released)
            self._released = size

    def release_block(self, first: int, count: int) -> None:
        """Gives the memory of these rows back (whole pages of it). They may not be looked at any more."""
        size, page = EVENT_DTYPE.itemsize, mmap.PAGESIZE
        start, end = -(-first * size // page) * page, (first + count) * size // page * page
        if end > start:
            self._memory.madvise(mmap.MADV_DONTNEED, start, end - start)

    def take_array(self) -> EventArray:
        """Everything written so far; nothing may be written afterwards."""
        return self._events[: self.count]


def correct_local_timestamp(events: EventArray, base_latency_ns: int = 0) -> int:
    """Moves every `local_ts` in place so that no latency is negative. Returns the shift in ns.

    As hftbacktest does it: with m = min(local_ts − exch_ts) < 0 the shift is −m + base_latency_ns, else 0.
    """
    smallest = latency_min(events)
    if smallest >= 0:
        return 0
    shift = int(base_latency_ns - smallest)
    shift_local_timestamp(events, shift)
    return shift


def shift_local_timestamp(events: EventArray, shift_ns: int) -> None:
    """Adds `shift_ns` to every `local_ts`, in place."""
    if shift_ns:
        lib.events_shift_local(rows_pointer(events), len(events), shift_ns)


def correct_event_order(events: EventArray, source: Rows | None = None) -> EventArray:
    """The rows in an order that is right for both clocks, flagged EXCH and LOCAL; a row seen out of order is split in two.

    Both views are stable; at equal times the exchange's comes first. Equal to hftbacktest's `correct_event_order`.

    Args:
        source: where `events` stand, from its first row on, if nobody needs them afterwards: their memory is given back
            while the result grows, so that there is never room for both.
    """
    rows, count = rows_pointer(events), len(events)
    by_exch = _order(rows, count, _EXCH)
    by_local = _order(rows, count, _LOCAL)
    cursor = ffi.new("uint64_t[2]")
    merged = Rows(2 * count + 1)
    if source is None:
        room = merged.room
        merged.count = lib.events_merge(rows, count, _pointer(by_exch), _pointer(by_local), cursor, merged.next_row, room)
        return merged.take_array()
    blocks = -(-count // lib.RELEASE_ROWS)
    left = np.full(blocks, 2 * lib.RELEASE_ROWS, np.uint32)
    left[blocks - 1 :] = 2 * (count - (blocks - 1) * lib.RELEASE_ROWS)
    is_released = np.zeros(blocks, bool)
    while cursor[0] < count or cursor[1] < count:
        before = (int(cursor[0]), int(cursor[1]))
        room = MERGE_STEP_ROWS
        merged.count += lib.events_merge(rows, count, _pointer(by_exch), _pointer(by_local), cursor, merged.next_row, room)
        for order, start, end in ((by_exch, before[0], cursor[0]), (by_local, before[1], cursor[1])):
            lib.events_count_taken(_pointer(order), start, end, _pointer(left))
        for block in np.flatnonzero((left == 0) & ~is_released):
            is_released[block] = True
            source.release_block(int(block) * lib.RELEASE_ROWS, min(lib.RELEASE_ROWS, count - int(block) * lib.RELEASE_ROWS))
    return merged.take_array()


def latency_min(events: EventArray) -> int:
    """The smallest local − exchange time, ns."""
    return int(lib.events_latency_min(rows_pointer(events), len(events)))


def _order(rows: Any, count: int, field: int) -> NDArray[np.uint32] | None:
    """The stable order of the rows by a time field; None: they are in order as they stand."""
    if lib.events_is_ordered(rows, count, field):
        return None
    order = np.empty(count, np.uint32)
    scratch = np.empty(count, np.uint32)
    lib.events_sort(rows, count, field, _pointer(order), _pointer(scratch))
    return order


def _pointer(array: NDArray[np.uint32] | None) -> Any:
    return ffi.NULL if array is None else ffi.cast("uint32_t *", array.ctypes.data)


def validate_event_order(events: EventArray) -> None:
    """Checks that EXCH rows never go back in `exch_ts` and LOCAL rows never in `local_ts`.

    Raises:
        ValueError: names the clock and the first row that goes back.
    """
    rows = rows_pointer(events)
    for field, clock in ((_EXCH, "exchange"), (_LOCAL, "local")):
        place = lib.events_first_disorder(rows, len(events), field)
        if place:
            raise ValueError(f"{clock} events are out of order at row {place - 1}: correct the event order first")
