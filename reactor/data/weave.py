"""Rows of several files, each nearly in order, made into the one ordered event array while the files are read.

    reader of one file (or of days that follow each other) ─▶ staging ─┐
                                                                       ├─ cffi_build/include/weave.h ─▶ result
    another reader                                         ─▶ staging ─┘

What is read is merged at once, so that only the result takes memory: one thread inflates a block (capture.py), one scans the
block before it, one merges the rows of the block before that. How far times go back in a file is not known before it was read
to its end: `WINDOW_NS` is supposed at first; if a row comes later than that, the rest of the files is only measured and
everything is read once more.
"""

import mmap
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from reactor._native import ffi, lib
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.events import MAP_NORESERVE, Rows, rows_pointer

STAGING_ROWS: Final = 1 << 16  # 4 MB of rows per file before those that are merged make room: stays in the third-level cache.
ALONE_BLOCKS: Final = 4  # Small files are done before a thread has begun.
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
    windows: list[tuple[int, int]] = field(default_factory=list)  # by source: how far (exchange, local) times go back, ns
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
        with closing(_Merger(weave, out)) as merger:
            while (number := lib.weave_slowest(weave)) >= 0:
                is_open = next(self._sources[number].parts, weave) is not weave
                if written := merger.finish():  # Nobody merges from here on to start().
                    yield written
                self._take(number, is_open)
                if weave.is_late:
                    self._lanes[number].head = self._lanes[number].end  # Only times count now.
                self._make_room(number)
                if not weave.is_late:
                    merger.start()
            if written := merger.finish():
                yield written
        measured.read, measured.written = weave.taken, weave.written
        measured.latency_min_ns, measured.is_late = weave.latency_min, bool(weave.is_late)
        measured.windows = [(max(lane.disorder[0], WINDOW_NS[0]), max(lane.disorder[1], WINDOW_NS[1])) for lane in self._lanes]

    def _take(self, number: int, is_open: bool) -> None:
        source, lane = self._sources[number], self._lanes[number]
        lane.is_open = is_open
        settled = source.places(self._dropped[number])[0] if is_open else source.rows.count
        lib.weave_take(self._weave, number, settled)

    def _make_room(self, number: int) -> None:
        source = self._sources[number]
        if source.rows.count < self._thresholds[number]:
            return
        keep = source.places(self._dropped[number])[1]
        moved = lib.weave_compact(self._weave, number, keep, source.rows.count)
        source.rows.count -= moved
        self._dropped[number] += moved
        self._thresholds[number] = max(STAGING_ROWS, 2 * source.rows.count)  # Or it would be moved with every block.


class _Merger:
    """Merges what was taken, in a thread of its own while the next block is scanned; the first blocks without one."""

    def __init__(self, weave: Any, out: Rows | None) -> None:
        self._weave = weave
        self._out = out
        self._jobs: queue.SimpleQueue[tuple[Any, int] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._started = 0
        self._is_running = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """From here to `finish` the weave belongs to the merger; rows behind those taken may be written."""
        job = (ffi.NULL, STAGING_ROWS_MAX) if self._out is None else (self._out.next_row, self._out.room)
        self._started += 1
        self._is_running = True
        if self._started <= ALONE_BLOCKS:
            self._done.put(lib.weave_merge(self._weave, *job))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="merge", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def finish(self) -> int:
        """Waits. How many rows were merged."""
        if not self._is_running:
            return 0
        self._is_running = False
        written = self._done.get()
        if self._out is not None:
            self._out.count += written
        return written

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._done.put(lib.weave_merge(self._weave, *job))

    def close(self) -> None:
        """Ends the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()


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
