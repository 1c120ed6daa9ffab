"""Market events as hftbacktest keeps them: one 64-byte row each, and the corrections that make a capture usable.

A row says what happened (`ev`: kind and flags), when at the exchange and when here (ns), and at which price and quantity.
This is the Python face of cffi_build/include/events.h.
"""

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
ROWS_AT_FIRST = 1 << 20  # 64 MB of address space; pages are touched only as rows come.


def rows_pointer(events: EventArray, first: int = 0) -> Any:
    """The C view of an event array from row `first` on. Keep the array alive and unmoved while it is used."""
    return ffi.cast("event_row_t *", events.ctypes.data + first * EVENT_DTYPE.itemsize)


class Rows:
    """An event array that grows: rows are written in place behind `count`."""

    def __init__(self, room: int = ROWS_AT_FIRST) -> None:
        self._events: EventArray = np.empty(room, EVENT_DTYPE)
        self.count = 0

    @property
    def room(self) -> int:
        """Rows that fit behind the last one."""
        return len(self._events) - self.count

    @property
    def next_row(self) -> Any:
        """Where C writes next."""
        return rows_pointer(self._events, self.count)

    def reserve(self, wanted: int) -> None:
        """Makes room for at least `wanted` more rows (the kernel moves pages, not bytes)."""
        if self.room < wanted:
            self._events.resize(max(2 * len(self._events), self.count + wanted), refcheck=False)

    def take_array(self) -> EventArray:
        """Everything written so far; the object is empty afterwards."""
        events = self._events
        events.resize(self.count, refcheck=False)
        self._events, self.count = np.empty(0, EVENT_DTYPE), 0
        return events


def correct_local_timestamp(events: EventArray, base_latency_ns: int = 0) -> int:
    """Moves every `local_ts` in place so that no latency is negative. Returns the shift in ns.

    As hftbacktest does it: with m = min(local_ts − exch_ts) < 0 the shift is −m + base_latency_ns, else 0.
    """
    rows = rows_pointer(events)
    smallest = lib.events_latency_min(rows, len(events))
    if smallest >= 0:
        return 0
    shift = int(base_latency_ns - smallest)
    shift_local_timestamp(events, shift)
    return shift


def shift_local_timestamp(events: EventArray, shift_ns: int) -> None:
    """Adds `shift_ns` to every `local_ts`, in place."""
    lib.events_shift_local(rows_pointer(events), len(events), shift_ns)


def correct_event_order(events: EventArray) -> EventArray:
    """The rows in an order that is right for both clocks, flagged EXCH and LOCAL; a row seen out of order is split in two.

    Both views are stable; at equal times the exchange's comes first. Equal to hftbacktest's `correct_event_order`.
    """
    rows, count = rows_pointer(events), len(events)
    by_exch = _order(rows, count, _EXCH)
    by_local = _order(rows, count, _LOCAL)
    cursor = ffi.new("uint64_t[2]")
    merged = Rows(count + count // 8 + 64)
    while True:
        room = merged.room
        written = lib.events_merge(
            rows, count, _pointer(by_exch), _pointer(by_local), cursor, merged.next_row, room
        )
        merged.count += written
        if written < room:
            return merged.take_array()
        merged.reserve(count // 4 + 64)


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
