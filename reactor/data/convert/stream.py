"""Conversions of files larger than memory: the same rows as the ones in memory give, written while they are read.

    reading 1   how many rows will come (an npz file says it first), how far times go back, the smallest latency
    reading 2   files ─▶ weave (reactor/data/weave.py) ─▶ npz

Memory holds the rows between the oldest that may still get one before it and the newest; it does not grow with the files.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from reactor._native import lib
from reactor.data.convert.collector import CaptureOptions, CaptureVenue, opener, tell_venue
from reactor.data.convert.finish import Compat, ConversionStatistics, local_shift
from reactor.data.convert.tardis import SnapshotMode, csv_kind, name_disorder, open_csvs, trades_first
from reactor.data.events import EVENT_DTYPE, EventArray, Rows, shift_local_timestamp
from reactor.data.npz import NpzWriter
from reactor.data.weave import Measured, Open, Weave
from reactor.domain.errors import DataError

UNWRITTEN_ROWS: Final = 1 << 19  # The npz writer compresses this much behind our back at most.
Progress = Callable[[str, int], None]
"""(what is done, rows so far)"""


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
    kinds = trades_first(kinds, compat)
    measured = _stream(partial(open_csvs, kinds, snapshot_mode, compat), output, base_latency_ns, compat, progress)
    name_disorder(kinds, measured)
    return measured.statistics


def stream_collector(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    venue: CaptureVenue | None = None,
    with_book_ticker: bool = False,
    with_mark_price: bool = False,
    without_snapshots: bool = False,
    base_latency_ns: int = 0,
    tick_size: float = 0.0,
    lot_size: float = 0.0,
    depth_level: int = 50,
    compat: Compat = "",
    progress: Progress | None = None,
) -> ConversionStatistics:
    """As convert_collector, into an npz file, in bounded memory.

    Raises:
        DataError: as convert_collector; or Bybit's books are to be fused.
    """
    venue = venue or tell_venue(paths[0])
    if venue == "bybit" and tick_size > 0 and lot_size > 0:
        raise DataError(str(paths[0]), "books are fused in memory: convert without --stream, or without the steps")
    options = CaptureOptions(with_book_ticker, with_mark_price, without_snapshots, tick_size, lot_size, depth_level)
    return _stream(opener(paths, venue, options), output, base_latency_ns, compat, progress).statistics


def _stream(open_all: Open, output: str | Path, base_latency_ns: int, compat: Compat, progress: Progress | None) -> Measured:
    if not str(output).endswith(".npz"):
        raise DataError(str(output), "a stream is written as .npz")
    say = progress or (lambda _, __: None)

    def count(windows: Sequence[tuple[int, int]] | None) -> Weave:
        weave, rows = Weave(open_all, windows), 0
        for more in weave.run(None):
            rows += more
            say("counting", rows)
        return weave

    first = count(None)
    if first.measured.is_late:
        first = count(first.measured.windows)
    told = first.measured
    shift_ns = local_shift(told.latency_min_ns, base_latency_ns, compat)
    with NpzWriter(output, told.written, EVENT_DTYPE) as writer:
        for rows in _pieces(Weave(open_all, told.windows), shift_ns):
            writer.write(rows)
            say("writing", writer.rows)
    told.statistics.finish(told.read, told.written, shift_ns)
    return told


def _pieces(weave: Weave, shift_ns: int) -> Iterator[EventArray]:
    """The rows of the result, as they come; a piece is valid while less than UNWRITTEN_ROWS have come behind it."""
    out = Rows()
    for count in weave.run(out):
        rows = out.part(out.count - count)
        shift_local_timestamp(rows, shift_ns)
        yield rows
        out.release(max(0, out.count - UNWRITTEN_ROWS))
