"""Conversions of files larger than memory: the same rows as the ones in memory give, written while they are read.

    pass 1   read everything: how many rows, how far times go back (the reorder window), the smallest latency
    pass 2   the same merge as pass 3, counting (an npz file says first how many rows come)
    pass 3   files ─▶ rows of the window ─▶ two views (exchange, local) ─▶ merge ─▶ npz

A row is sorted in when nothing still to come can belong before it: its time lies behind the newest one by more than times ever
go back in its file. So the window is as wide as the disorder of the data, and memory does not grow with the files.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reactor._native import lib
from reactor.data.convert.collector import binance_scan, read_binance_parts, rows_still_needed, tell_venue
from reactor.data.convert.finish import Compat, ConversionStatistics
from reactor.data.convert.tardis import SnapshotMode, csv_kind, read_csv_parts
from reactor.data.events import EVENT_DTYPE, Disorder, EventArray, Rows, latency_min, merge_part
from reactor.data.npz import NpzWriter
from reactor.domain.errors import DataError

CHUNK_ROWS: Final = 400_000  # Of all files together: 26 MB that are sorted at once.
CHUNK_ROWS_MIN: Final = 10_000
UNWRITTEN_ROWS: Final = 1 << 19  # The npz writer compresses this much behind our back at most.
EXCH, LOCAL = 0, 1
Progress = Callable[[str, int], None]
"""(pass, rows so far)"""


class _Source:
    """The rows of one file (or of files that follow each other), in pieces."""

    def __init__(self, rows: Rows, parts: Iterator[None], needed: Callable[[], tuple[int, int]]) -> None:
        """`needed`: (rows that will not change any more, rows from here on are looked at by the reader)."""
        self.rows = rows
        self.parts = parts
        self.needed = needed
        self.taken = 0
        self.is_over = False

    def read(self, count: int) -> EventArray:
        """At least `count` more rows, unless the file ends."""
        settled = self.taken
        while not self.is_over and settled - self.taken < count:
            if next(self.parts, self) is self:
                self.is_over = True
                settled = self.rows.count
            else:
                settled = self.needed()[0]
        events = self.rows.part(self.taken)[: settled - self.taken].copy()
        self.taken = settled
        self.rows.release(min(settled, self.needed()[1]) if not self.is_over else settled)
        return events


def _all_of(rows: Rows) -> tuple[int, int]:
    """A CSV reader never looks back."""
    return rows.count, rows.count


class _Lane:
    """What is known of one source in one pass."""

    def __init__(self, source: _Source, largest: list[int]) -> None:
        self.source = source
        self.largest = largest  # how far its times go back, from pass 1
        self.seen = Disorder()
        self.pending: EventArray = np.empty(0, EVENT_DTYPE)
        self.done: NDArray[np.bool_] = np.empty((2, 0), bool)

    def read(self, count: int) -> None:
        events = self.source.read(count)
        self.seen.take(events)
        self.pending = np.concatenate((self.pending, events))
        self.done = np.concatenate((self.done, np.zeros((2, len(events)), bool)), axis=1)

    def limit(self, field: int) -> int:
        """Nothing still to come is older than this."""
        return self.seen.newest(field) - self.largest[field]

    def forget(self) -> None:
        keep = ~(self.done[EXCH] & self.done[LOCAL])
        self.pending, self.done = self.pending[keep], self.done[:, keep]


Open = Callable[[ConversionStatistics], list[_Source]]


def stream_tardis(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    snapshot_mode: SnapshotMode = "process",
    base_latency_ns: int = 0,
    compat: Compat = "",
    progress: Progress | None = None,
) -> ConversionStatistics:
    """As convert_tardis without book tickers, into an npz file, in bounded memory.

    Raises:
        DataError: as convert_tardis; or a book_ticker file is among them (fusing needs whole books in memory).
    """
    kinds = [(csv_kind(path), path) for path in paths]
    for kind, path in kinds:
        if kind == lib.CSV_BOOK_TICKER:
            raise DataError(str(path), "book tickers are fused in memory: convert without --stream")
    if compat != "hftbacktest":
        kinds.sort(key=lambda item: item[0] != lib.CSV_TRADES)
    is_compat = compat == "hftbacktest"

    def open_all(statistics: ConversionStatistics) -> list[_Source]:
        sources = []
        for kind, path in kinds:
            rows = Rows()
            parts = read_csv_parts(
                path, kind, rows, statistics, snapshot_mode=snapshot_mode,
                keep_last_snapshot=not is_compat, is_cut_to_first=is_compat,
            )  # fmt: skip
            sources.append(_Source(rows, parts, partial(_all_of, rows)))
        return sources

    return _stream(open_all, output, base_latency_ns, compat, progress)


def stream_collector(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    with_book_ticker: bool = False,
    with_mark_price: bool = False,
    without_snapshots: bool = False,
    base_latency_ns: int = 0,
    compat: Compat = "",
    progress: Progress | None = None,
) -> ConversionStatistics:
    """As convert_collector of Binance captures, into an npz file, in bounded memory.

    Raises:
        DataError: as convert_collector; or the venue is another one.
    """
    venue = tell_venue(paths[0])
    if venue != "binance":
        raise DataError(str(paths[0]), f"is of {venue}, whose books are kept in memory: convert without --stream")

    def open_all(statistics: ConversionStatistics) -> list[_Source]:
        statistics.venue = venue
        rows, scan = Rows(), binance_scan(with_book_ticker, with_mark_price, without_snapshots)

        def parts() -> Iterator[None]:
            for path in paths:
                yield from read_binance_parts(path, scan, rows, statistics)

        return [_Source(rows, parts(), lambda: rows_still_needed(scan))]

    return _stream(open_all, output, base_latency_ns, compat, progress)


def _stream(
    open_all: Open, output: str | Path, base_latency_ns: int, compat: Compat, progress: Progress | None
) -> ConversionStatistics:
    if not str(output).endswith(".npz"):
        raise DataError(str(output), "a stream is written as .npz")
    say = progress or (lambda _, __: None)
    statistics = ConversionStatistics()
    sources = open_all(statistics)
    largest, smallest, read = [], np.iinfo(np.int64).max, 0
    chunk_rows = max(CHUNK_ROWS_MIN, CHUNK_ROWS // max(1, len(sources)))
    for source in sources:
        disorder = Disorder()
        while not source.is_over:
            events = source.read(chunk_rows)
            disorder.take(events)
            smallest = min(smallest, latency_min(events))
            read += len(events)
            say("reading", read)
        largest.append(disorder.largest)
    shift_ns = int(base_latency_ns - smallest) if smallest < 0 else 0 if compat == "hftbacktest" else base_latency_ns
    count = sum(_merged(open_all, largest, chunk_rows, 0, None, lambda rows: say("counting", rows)))
    out = Rows()
    with NpzWriter(output, count, EVENT_DTYPE) as writer:
        for written in _merged(open_all, largest, chunk_rows, shift_ns, out, lambda rows: say("writing", rows)):
            writer.write(out.part(out.count - written))
            out.release(max(0, out.count - UNWRITTEN_ROWS))
    statistics.events, statistics.reordered_events, statistics.local_shift_ns = count, count - read, shift_ns
    return statistics


def _merged(
    open_all: Open, largest: list[list[int]], chunk_rows: int, shift_ns: int, out: Rows | None, say: Callable[[int], None]
) -> Iterator[int]:
    """Merges everything; gives the number of rows of each piece that was written to `out`."""
    lanes = [_Lane(source, own) for source, own in zip(open_all(ConversionStatistics()), largest, strict=True)]
    for lane in lanes:
        lane.read(chunk_rows)
    total = 0
    while True:
        open_lanes = [lane for lane in lanes if not lane.source.is_over]
        written = _merge(lanes, open_lanes, shift_ns, out)
        total += written
        say(total)
        if written:
            yield written
        if not open_lanes:
            return
        min(open_lanes, key=lambda lane: lane.limit(LOCAL)).read(chunk_rows)


def _merge(lanes: list[_Lane], open_lanes: list[_Lane], shift_ns: int, out: Rows | None) -> int:
    events = np.concatenate([lane.pending for lane in lanes])
    done = np.concatenate([lane.done for lane in lanes], axis=1)
    views = [_view(events[name], done[field], [lane.limit(field) for lane in open_lanes]) for field, name in _FIELDS]
    written, *taken = merge_part(events, views[EXCH], views[LOCAL], not open_lanes, shift_ns, out)
    for field in (EXCH, LOCAL):
        done[field][views[field][: taken[field]]] = True
    start = 0
    for lane in lanes:
        lane.done = done[:, start : start + len(lane.pending)]
        start += len(lane.pending)
        lane.forget()
    return written


_FIELDS: Final = ((EXCH, "exch_ts"), (LOCAL, "local_ts"))


def _view(times: NDArray[Any], done: NDArray[np.bool_], limits: list[int]) -> NDArray[np.uint32]:
    """The rows not yet merged, by time, as far as nothing still to come belongs before them."""
    waiting = np.flatnonzero(~done).astype(np.uint32)
    own = times[waiting]
    order = np.argsort(own, kind="stable")
    if limits:
        order = order[: int(np.searchsorted(own[order], min(limits), "left"))]
    view: NDArray[np.uint32] = np.ascontiguousarray(waiting[order])
    return view
