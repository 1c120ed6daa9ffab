"""Rows of several files, each nearly in order, made into the one ordered event array while the files are read.

    reader of one file (or of days that follow each other) ─▶ staging ─┐
                                                                       ├─ cffi_build/include/weave.h ─▶ result
    another reader                                         ─▶ staging ─┘

What is read is merged at once, so that only the result takes memory, while a thread inflates the next blocks (capture.py). How
far times go back in a file is not known before it was read to its end: `WINDOW_NS` is supposed at first; if a row comes later
than that, the rest of the files is only measured and everything is read once more.
"""

import mmap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, Final

import numpy as np

from reactor._native import ffi, lib
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.events import MAP_NORESERVE, Rows, rows_pointer

STAGING_ROWS: Final = 1 << 16  # 4 MB of rows per file before those that are merged make room: stays in the third-level cache.
STAGING_ROWS_MAX: Final = 1 << 31  # Address space only.
PLACE_BYTES: Final = 4
WINDOW_NS: Final = (5_000_000_000, 5_000_000_000)
"""How far times are supposed to go back at most: exchange times after reconnects and hiccups, local times where a recorder puts
what it held behind the snapshot that it waited for."""


@dataclass
class Source:
    """The rows of one file, or of files that follow each other, as a reader writes them.

    Args:
        rows: where the reader writes. They move towards the beginning when others have been merged.
        parts: each step reads a block.
        needed: (rows that will not change any more, rows from here on are looked at again by the reader), counted from the
            first row of all. None: a row that is written is done with.
    """

    rows: Rows
    parts: Iterator[None]
    needed: Callable[[], tuple[int, int]] | None = None

    def places(self, dropped: int) -> tuple[int, int]:
        """`needed`, counted from the first row still there."""
        if self.needed is None:
            return self.rows.count, self.rows.count
        settled, looked_at = self.needed()
        return settled - dropped, looked_at - dropped


Open = Callable[[ConversionStatistics], list[Source]]


@dataclass
class Measured:
    """What one reading told."""

    statistics: ConversionStatistics
    windows: list[tuple[int, int]] = field(default_factory=list)  # by source: to suppose next time, ns
    disorder: list[tuple[int, int]] = field(default_factory=list)  # by source: how far (exchange, local) times went back, ns
    read: int = 0
    written: int = 0
    latency_min_ns: int = 0
    is_late: bool = False  # the windows supposed were too narrow: nothing of the result is right


class Weave:
    """One reading of some sources."""

    def __init__(self, open_all: Open, windows: Sequence[tuple[int, int]] | None = None) -> None:
        self.measured = Measured(ConversionStatistics())
        self._sources = open_all(self.measured.statistics)
        self._lanes = ffi.new("weave_lane_t[]", len(self._sources))
        self._weave = ffi.new("weave_t *", {"lanes": self._lanes, "lane_count": len(self._sources)})
        self._memory: list[object] = []
        self._dropped = [0] * len(self._sources)  # rows that have left the staging
        self._thresholds = [STAGING_ROWS] * len(self._sources)
        for lane, source, own in zip(self._lanes, self._sources, windows or [WINDOW_NS] * len(self._sources), strict=True):
            lane.rows, lane.room = source.rows.next_row, min(source.rows.room, STAGING_ROWS_MAX)
            lane.order[0], lane.order[1], lane.scratch = self._places(), self._places(), self._places()
            lane.window[0], lane.window[1] = own
        lib.weave_begin(self._weave)

    def _places(self) -> Any:
        memory = mmap.mmap(-1, STAGING_ROWS_MAX * PLACE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
        places = np.frombuffer(memory, np.uint32)
        self._memory.append(places)
        return ffi.cast("uint32_t *", places.ctypes.data)

    def run(self, out: Rows | None) -> Iterator[int]:
        """Reads everything; rows in their final order go to `out` (None: they are counted). Gives how many, piece by piece.

        Afterwards `measured` is filled; with `is_late` the rows must be thrown away.
        """
        weave, measured = self._weave, self.measured
        while (number := lib.weave_slowest(weave)) >= 0:
            self._read(number)
            if weave.is_late:
                self._lanes[number].head = self._lanes[number].end  # Only times count now.
            elif written := self._merge(out):
                yield written
            self._make_room(number)
        if not weave.is_late and (written := self._merge(out)):
            yield written
        measured.read, measured.written = weave.taken, weave.written
        measured.latency_min_ns, measured.is_late = weave.latency_min, bool(weave.is_late)
        measured.disorder = [(lane.disorder[0], lane.disorder[1]) for lane in self._lanes]
        measured.windows = [(max(exch, WINDOW_NS[0]), max(local, WINDOW_NS[1])) for exch, local in measured.disorder]

    def _read(self, number: int) -> None:
        source, lane = self._sources[number], self._lanes[number]
        lane.is_open = next(source.parts, lane) is not lane
        settled = source.places(self._dropped[number])[0] if lane.is_open else source.rows.count
        lib.weave_take(self._weave, number, settled)

    def _merge(self, out: Rows | None) -> int:
        target, room = (ffi.NULL, STAGING_ROWS_MAX) if out is None else (out.next_row, out.room)
        begin = perf_counter_ns()
        written: int = lib.weave_merge(self._weave, target, room)
        if out is not None:
            out.count += written
            out.on_written(written, perf_counter_ns() - begin)
        return written

    def _make_room(self, number: int) -> None:
        source = self._sources[number]
        if source.rows.count < self._thresholds[number]:
            return
        keep = source.places(self._dropped[number])[1]
        moved = lib.weave_compact(self._weave, number, keep, source.rows.count)
        source.rows.count -= moved
        self._dropped[number] += moved
        self._thresholds[number] = max(STAGING_ROWS, 2 * source.rows.count)  # Or it would be moved with every block.


def weave_into(out: Rows, open_all: Open, shift: Callable[[int], int]) -> Measured:
    """The rows of all sources in their final order, flagged EXCH and LOCAL.

    Args:
        open_all: opens the sources; it is called again if times go back further than was supposed.
        shift: what to add to every local time, told from the smallest latency; ns.
    """
    weave = Weave(open_all)
    for _ in weave.run(out):
        pass
    if weave.measured.is_late:
        out.count = 0
        weave = Weave(open_all, weave.measured.windows)
        for _ in weave.run(out):
            pass
    measured = weave.measured
    assert not measured.is_late, "windows that were measured are wide enough"
    shift_ns = shift(measured.latency_min_ns)
    if shift_ns:
        lib.events_shift_local(rows_pointer(out.take_array()), out.count, shift_ns)
    measured.statistics.finish(measured.read, measured.written, shift_ns)
    return measured
