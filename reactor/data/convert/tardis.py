"""Tardis.dev CSV files → hftbacktest events: `trades`, `incremental_book_L2`, `book_ticker`.

Where hftbacktest's converter is right, the result is the same, bit for bit. Where it loses data this one does not, unless
asked for `compat="hftbacktest"`:

    a snapshot at the very end of a file        theirs: dropped            ours: kept
    a snapshot larger than the one before it    theirs: cut to that size   ours: whole
    `base_latency`                              theirs: only where a latency was negative   ours: always added
    the order of the files given                theirs: as given           ours: trades first (equal times: the trade
                                                                           must come first, or the queue is reduced twice)
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal

from reactor._native import ffi, lib
from reactor.data.capture import FIRST_LINE_BYTES, LineBlocks, first_line, in_words
from reactor.data.convert.finish import Compat, ConversionStatistics, local_shift, ordered
from reactor.data.events import EventArray, Rows
from reactor.data.fuse import Fuse
from reactor.data.weave import Measured, Source, weave_into
from reactor.domain.errors import DataError

SnapshotMode = Literal["process", "ignore", "ignore-sod"]

_PREFIX = "exchange,symbol,timestamp,local_timestamp,"
_KIND_OF_HEADER: Final = {
    _PREFIX + "id,side,price,amount": lib.CSV_TRADES,
    _PREFIX + "is_snapshot,side,price,amount": lib.CSV_DEPTH,
    _PREFIX + "ask_amount,ask_price,bid_price,bid_amount": lib.CSV_BOOK_TICKER,
}
_KIND_NAME: Final = {lib.CSV_TRADES: "trades", lib.CSV_DEPTH: "incremental_book_L2", lib.CSV_BOOK_TICKER: "book_ticker"}
_SNAPSHOT_MODE: Final = {
    "process": lib.SNAPSHOT_PROCESS,
    "ignore": lib.SNAPSHOT_IGNORE,
    "ignore-sod": lib.SNAPSHOT_IGNORE_SOD,
}
_PROBLEM: Final = {
    lib.SCAN_PROBLEM_COLUMNS: "has not the eight columns of its header",
    lib.SCAN_PROBLEM_NOT_A_NUMBER: "has something that is not a number in a numeric column",
    lib.SCAN_PROBLEM_MISSING_FIELD: "has neither 'true' nor 'false' as is_snapshot",
    lib.SCAN_PROBLEM_MIXED_SYMBOLS: "is of another exchange or symbol than the first row",
}
SNAPSHOT_ROWS_MAX = 1 << 24  # Address space only. A Tardis snapshot has a thousand levels a side.
HFTBACKTEST_SNAPSHOT_ROWS = 1_000_000  # Its ss_buffer_size.


def csv_kind(path: str | Path) -> int:
    """What a Tardis file holds, told by its header.

    Raises:
        DataError: the header is none of the three that can be converted; names the columns found.
    """
    header = first_line(path)
    kind = _KIND_OF_HEADER.get(header.decode("utf-8", "replace"))
    if kind is None:
        if not header:
            raise DataError(str(path), "is empty: Tardis has no data for that day, or the download was cut")
        wanted = "; ".join(_KIND_OF_HEADER)
        raise DataError(
            f"{path}:1", f"columns {in_words(header)} are not those of a Tardis file that can be converted ({wanted})"
        )
    return int(kind)


def convert_tardis(
    paths: Sequence[str | Path],
    *,
    snapshot_mode: SnapshotMode = "process",
    base_latency_ns: int = 0,
    compat: Compat = "",
    tick_size: float = 0.0,
    lot_size: float = 0.0,
) -> tuple[EventArray, ConversionStatistics]:
    """Converts trades and book files of one symbol (any number of days) into one ordered event array.

    With a book_ticker file among them the two depth streams are fused (reactor/data/fuse.py), which needs the steps of
    price and quantity.

    Returns:
        The events (EVENT_DTYPE, flagged EXCH/LOCAL, in order) and the statistics of the conversion.

    Raises:
        DataError: a file that cannot be read, has other columns, a damaged row (file:line), or several symbols.
    """
    statistics = ConversionStatistics()
    kinds = [(csv_kind(path), path) for path in paths]
    tickers = [path for kind, path in kinds if kind == lib.CSV_BOOK_TICKER]
    if tickers:
        if not (tick_size > 0 and lot_size > 0):
            what = "book_ticker rows are fused with the book: give --tick-size and --lot-size, or leave the file out"
            raise DataError(str(tickers[0]), what)
        return _convert_fused(kinds, statistics, tick_size, lot_size, snapshot_mode, base_latency_ns, compat), statistics
    kinds = trades_first(kinds, compat)
    events = Rows()
    shift = partial(local_shift, base_latency_ns=base_latency_ns, compat=compat)
    measured = weave_into(events, partial(open_csvs, kinds, snapshot_mode, compat), shift)
    name_disorder(kinds, measured)
    return events.take_array(), measured.statistics


def name_disorder(kinds: Sequence[tuple[int, str | Path]], measured: Measured) -> None:
    """Where local times of events went back, the first row of which that is true is named as damage.

    (A snapshot of several messages is told side by side, so its events may go back where no row does.)
    """
    for (_, group), (_, local_ns) in zip(groupby(kinds, key=itemgetter(0)), measured.disorder, strict=True):
        paths = [path for _, path in group] if local_ns > 0 else []
        newest_us = 0
        for path in paths:
            back = []
            for number, local_us in _local_times(path):
                if local_us < newest_us:
                    back.append(number)
                newest_us = max(newest_us, local_us)
            if back:
                more = f" (so are {len(back) - 1:,} other rows)" if len(back) > 1 else ""
                what = f"received before a row above it{more}: everything was put in order"
                measured.statistics.damages.append(f"{path}:{back[0]}: {what}")


def _local_times(path: str | Path) -> Iterator[tuple[int, int]]:
    """(line number, local time in µs) of every row."""
    lines = (line for block in LineBlocks(path) for line in bytes(block).splitlines())
    for number, line in enumerate(lines, 1):
        if number > 1 and line:
            yield number, int(line.split(b",", 4)[3])


def trades_first(kinds: Sequence[tuple[int, str | Path]], compat: Compat) -> list[tuple[int, str | Path]]:
    """The order in which rows of equal times shall stand."""
    return list(kinds) if compat == "hftbacktest" else sorted(kinds, key=lambda item: item[0] != lib.CSV_TRADES)


def open_csvs(
    kinds: Sequence[tuple[int, str | Path]], snapshot_mode: SnapshotMode, compat: Compat, statistics: ConversionStatistics
) -> list[Source]:
    """The files as sources of rows; files of one kind that follow each other are one (days, in their order)."""
    return [
        _one_kind(kind, [path for _, path in group], snapshot_mode, compat, statistics)
        for kind, group in groupby(kinds, key=itemgetter(0))
    ]


def _one_kind(
    kind: int, paths: list[str | Path], snapshot_mode: SnapshotMode, compat: Compat, statistics: ConversionStatistics
) -> Source:
    rows, losses = Rows(), compat == "hftbacktest"
    parts = (
        read_csv_parts(
            path, kind, rows, statistics, snapshot_mode=snapshot_mode, keep_last_snapshot=not losses, is_cut_to_first=losses
        )
        for path in paths
    )
    return Source(rows, chain.from_iterable(parts))


def _convert_fused(
    kinds: Sequence[tuple[int, str | Path]],
    statistics: ConversionStatistics,
    tick_size: float,
    lot_size: float,
    snapshot_mode: SnapshotMode,
    base_latency_ns: int,
    compat: Compat,
) -> EventArray:
    """Trades as they are; the book and the tickers fused. Snapshots always reach the books; the mode says which are told."""
    rows, deep, top = Rows(), Rows(), Rows()
    target = {lib.CSV_TRADES: rows, lib.CSV_DEPTH: deep, lib.CSV_BOOK_TICKER: top}
    for kind, path in kinds:
        read_csv(path, kind, target[kind], statistics, snapshot_mode="process", keep_last_snapshot=compat != "hftbacktest")
    snapshots = {
        "process": lib.FUSE_SNAPSHOTS_SAID,
        "ignore": lib.FUSE_SNAPSHOTS_SILENT,
        # hftbacktest forgets, snapshot by snapshot, that the day has begun: with it every snapshot is the first.
        "ignore-sod": lib.FUSE_SNAPSHOTS_SILENT if compat == "hftbacktest" else lib.FUSE_FIRST_SNAPSHOT_SILENT,
    }[snapshot_mode]
    Fuse(tick_size, lot_size, rows).take_two(deep.take_array(), top.take_array(), snapshots)
    return ordered(rows, statistics, base_latency_ns, compat)


def read_csv(
    path: str | Path,
    kind: int,
    rows: Rows,
    statistics: ConversionStatistics,
    *,
    snapshot_mode: SnapshotMode,
    keep_last_snapshot: bool = True,
    is_cut_to_first: bool = False,
) -> None:
    """Appends the rows of one file, in file order, uncorrected. The two switches are hftbacktest's losses (see above)."""
    for _ in read_csv_parts(
        path,
        kind,
        rows,
        statistics,
        snapshot_mode=snapshot_mode,
        keep_last_snapshot=keep_last_snapshot,
        is_cut_to_first=is_cut_to_first,
    ):
        pass


def read_csv_parts(
    path: str | Path,
    kind: int,
    rows: Rows,
    statistics: ConversionStatistics,
    *,
    snapshot_mode: SnapshotMode,
    keep_last_snapshot: bool = True,
    is_cut_to_first: bool = False,
) -> Iterator[None]:
    """As read_csv, giving the turn back after every block of the file."""
    scan = ffi.new("csv_scan_t *")
    scan.kind = kind
    scan.snapshot_mode = _SNAPSHOT_MODE[snapshot_mode]
    scan.line = 1  # The header.
    scan.bid_limit = scan.ask_limit = HFTBACKTEST_SNAPSHOT_ROWS if is_cut_to_first else -1
    bids, asks = Rows(SNAPSHOT_ROWS_MAX), Rows(SNAPSHOT_ROWS_MAX)
    scan.bid_room = scan.ask_room = SNAPSHOT_ROWS_MAX
    blocks = LineBlocks(path)
    is_first = True
    for block in blocks:
        _scan_block(path, scan, block, _header_size(block) if is_first else 0, rows, bids, asks)
        if is_first and scan.symbol_length:
            _check_symbol(path, scan, statistics)
        is_first = False
        yield
    if keep_last_snapshot:
        rows.count += lib.events_finish_csv(scan, rows.next_row, bids.next_row, asks.next_row)
    if blocks.damage:
        statistics.damages.append(f"{path}:{scan.line}: {blocks.damage}")
    _count(statistics, scan, path)


def _header_size(block: memoryview) -> int:
    """With its newline. It is one of those that csv_kind() knows."""
    return bytes(block[:FIRST_LINE_BYTES]).index(b"\n") + 1


def _check_symbol(path: str | Path, scan: Any, statistics: ConversionStatistics) -> None:
    symbol = ffi.string(scan.symbol).decode()
    statistics.symbol = statistics.symbol or symbol
    if symbol != statistics.symbol:
        raise DataError(f"{path}:2", f"the file is of {symbol}, another one of {statistics.symbol}: convert them apart")


def _scan_block(path: str | Path, scan: Any, block: memoryview, offset: int, rows: Rows, bids: Rows, asks: Rows) -> None:
    base = ffi.from_buffer(block)
    while True:
        lib.events_scan_csv(scan, base + offset, len(block) - offset, rows.next_row, rows.room, bids.next_row, asks.next_row)
        offset += scan.consumed
        rows.count += scan.rows
        if scan.stop == lib.SCAN_NEED_BYTES:
            return
        if scan.stop == lib.SCAN_BAD_LINE:
            line = in_words(bytes(block[offset : offset + 120]))
            raise DataError(f"{path}:{scan.line + 1}", f"the row {_PROBLEM[scan.problem]}: {line}")
        raise DataError(f"{path}:{scan.line + 1}", "more rows than fit into one event array: convert fewer days at once")


def _count(statistics: ConversionStatistics, scan: Any, path: str | Path) -> None:
    statistics.files.append(str(path))
    statistics.lines += scan.line
    if scan.kind == lib.CSV_TRADES:
        statistics.trades += scan.update_rows
    elif scan.kind == lib.CSV_DEPTH:
        statistics.depth_updates += scan.update_rows
    else:
        statistics.book_tickers += scan.update_rows
    statistics.snapshots += scan.snapshot_rows
    statistics.skipped_snapshot_rows += scan.skipped_rows
    statistics.truncated_snapshot_rows += scan.truncated_rows
