"""Several depth streams of one instrument fused into one: the Python face of cffi_build/include/fuse.h."""

from typing import Any

import numpy as np

from reactor._native import ffi, lib
from reactor.data.events import EventArray, Rows, rows_pointer

_SLOTS_AT_FIRST = 1 << 14  # Room for eight thousand levels a side before the first growth.
_FREE_RANK = -(1 << 63)


class LevelTables:
    """The memory of a fuse_t's two level tables: C never allocates, so they are made and grown here."""

    def __init__(self, books: Any, tick_size: float, lot_size: float) -> None:
        self._books = books
        self._tables: dict[str, object] = {}
        books.tick_size, books.lot_size = tick_size, lot_size
        for name in ("bid", "ask"):
            side = getattr(books, name)
            side.levels = self._table(name, _SLOTS_AT_FIRST)
            side.mask = _SLOTS_AT_FIRST - 1
        lib.fuse_reset(ffi.addressof(books))

    def needs_growth(self) -> bool:
        """True if one of them is half full."""
        return any((side.count + 1) * 2 > side.mask + 1 for side in (self._books.bid, self._books.ask))

    def grow_if_needed(self) -> None:
        """Doubles what is half full."""
        for name in ("bid", "ask"):
            side = getattr(self._books, name)
            if (side.count + 1) * 2 > side.mask + 1:
                slots = 2 * (side.mask + 1)
                before = self._tables[name]  # Kept alive until its levels have moved.
                lib.fuse_grow(ffi.addressof(self._books, name), self._table(name, slots), slots)
                del before

    def _table(self, name: str, slots: int) -> object:
        table = ffi.new("fuse_level_t[]", slots)
        np.frombuffer(ffi.buffer(table), np.int64)[0::3] = _FREE_RANK
        self._tables[name] = table
        return table


class Fuse:
    """Takes depth, snapshot, clear and best-level events; what remains to be said goes to `rows`.

    Args:
        tick_size: price step, as a float (events are rounded to it).
        lot_size: quantity step; what rounds to zero lots deletes its level.
        rows: where the fused events go.
    """

    def __init__(self, tick_size: float, lot_size: float, rows: Rows) -> None:
        if not (tick_size > 0 and lot_size > 0):
            raise ValueError(f"tick size {tick_size} and lot size {lot_size} must be positive")
        self.rows = rows
        self._fuse = ffi.new("fuse_t *")
        self._tables = LevelTables(self._fuse[0], tick_size, lot_size)
        self._taken = ffi.new("uint64_t *")

    def take(self, events: EventArray, *, is_silent: bool = False) -> None:
        """Takes events in order. `is_silent`: the books learn them, nothing is written.

        Raises:
            MemoryError: more fused events than one array holds.
        """
        done = 0
        while done < len(events):
            self._tables.grow_if_needed()
            written = lib.fuse_events(
                self._fuse,
                rows_pointer(events, done),
                len(events) - done,
                is_silent,
                self.rows.next_row,
                self.rows.room,
                self._taken,
            )
            self.rows.count += written
            if self._taken[0] == 0 and not self._tables.needs_growth():
                raise MemoryError("more fused events than fit into one event array: convert fewer days at once")
            done += self._taken[0]

    def take_two(self, deep: EventArray, top: EventArray, snapshots: int) -> None:
        """Takes a deep and a top stream by local time; `snapshots` is a fuse_snapshots_e.

        Raises:
            MemoryError: more fused events than one array holds.
        """
        cursor = ffi.new("uint64_t[2]")
        while cursor[0] < len(deep) or cursor[1] < len(top):
            self._tables.grow_if_needed()
            before = cursor[0] + cursor[1]
            self.rows.count += lib.fuse_two(
                self._fuse, rows_pointer(deep), len(deep), rows_pointer(top), len(top), cursor, snapshots,
                self.rows.next_row, self.rows.room,
            )  # fmt: skip
            if cursor[0] + cursor[1] == before and not self._tables.needs_growth():
                raise MemoryError("more fused events than fit into one event array: convert fewer days at once")
