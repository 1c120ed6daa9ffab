"""hftbacktest's collector captures (`<receive ns> <json>` lines) → events. The venue is told by content.

Binance USD-M and COIN-M, Bybit and Hyperliquid: the same events in the same order as hftbacktest's own converters give.
Binance Spot, which those cannot convert, by this rule:

    trade        exchange time T
    depth        exchange time E (Spot's depth has no T)
    bookTicker, REST snapshot: they carry no time; they get the exchange time of the last message before them that has one
                 (before the first such message: its time)
    snapshot     is often older than depth messages that came before its answer: those are told again behind it
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from reactor._native import ffi, lib
from reactor.data.capture import LineBlocks
from reactor.data.convert.bybit import BybitReader
from reactor.data.convert.finish import Compat, ConversionStatistics, local_shift, ordered
from reactor.data.convert.hyperliquid import HyperliquidReader
from reactor.data.events import EventArray, Rows
from reactor.data.weave import Source, weave_into
from reactor.domain.errors import DataError

CaptureVenue = Literal["binance", "bybit", "hyperliquid"]

_PROBLEM: Final = {
    lib.SCAN_PROBLEM_NO_TIMESTAMP: "does not begin with a receive time in ns and a blank",
    lib.SCAN_PROBLEM_NOT_JSON: "is not one JSON object after its receive time",
    lib.SCAN_PROBLEM_NOT_A_NUMBER: "has something that is not a number where a price or quantity belongs",
    lib.SCAN_PROBLEM_MISSING_FIELD: "lacks a field that a message of its kind has",
    lib.SCAN_PROBLEM_MIXED_SYMBOLS: "is of another symbol or market than those before it",
}
TELL_BLOCK_BYTES = 64 << 10  # The head of a file is enough.
_LINES_TO_TELL = 200  # Enough to pass over subscription answers at the head of a file.


def tell_venue(path: str | Path) -> CaptureVenue:
    """Whose capture it is, by its first lines.

    Raises:
        DataError: the file is empty, or no line is of a venue that can be converted.
    """
    seen = 0
    for line_number, _, message in messages(LineBlocks(path, TELL_BLOCK_BYTES)):
        seen = line_number
        if "channel" in message:
            return "hyperliquid"
        if "topic" in message:
            return "bybit"
        if "data" in message or "lastUpdateId" in message or message.keys() & {"e", "u"}:
            return "binance"
        if line_number >= _LINES_TO_TELL:
            break
    if seen == 0:
        raise DataError(str(path), "is empty: nothing to convert")
    raise DataError(f"{path}:1", f"none of the first {seen} lines is of Binance, Bybit or Hyperliquid")


def convert_collector(
    paths: Sequence[str | Path],
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
) -> tuple[EventArray, ConversionStatistics]:
    """Converts the captures of one symbol, in the order given (one per day), into one ordered event array.

    Args:
        with_book_ticker: Binance: best bid and ask as events 103 and 104.
        with_mark_price: Binance futures: index, mark and funding as events 100, 101, 102.
        without_snapshots: leave out REST snapshots; the book completes itself over time.
        tick_size, lot_size: Hyperliquid needs them; with them all of Bybit's book levels are fused.
        depth_level: Bybit without them: which book stream is taken.

    Raises:
        DataError: names file and line; nothing is returned then.
    """
    venue = venue or tell_venue(paths[0])
    rows = Rows()
    if venue == "binance":
        shift = partial(local_shift, base_latency_ns=base_latency_ns, compat=compat)
        opened = partial(open_binance, paths, with_book_ticker, with_mark_price, without_snapshots)
        statistics = weave_into(rows, opened, shift).statistics
        return rows.take_array(), statistics
    statistics = ConversionStatistics(venue=venue)
    reader: BybitReader | HyperliquidReader
    if venue == "hyperliquid":
        if not (tick_size > 0 and lot_size > 0):
            raise DataError(
                str(paths[0]), "is of Hyperliquid, whose books come as snapshots: give the tick size and the lot size"
            )
        reader = HyperliquidReader(tick_size, lot_size, rows)
    else:
        reader = BybitReader(rows, statistics, depth_level=depth_level, tick_size=tick_size, lot_size=lot_size)
    for path in paths:
        _read_messages(path, reader, statistics)
    return ordered(reader.take_array(), statistics, base_latency_ns, compat), statistics


def open_binance(
    paths: Sequence[str | Path],
    with_book_ticker: bool,
    with_mark_price: bool,
    without_snapshots: bool,
    statistics: ConversionStatistics,
) -> list[Source]:
    """Captures that follow each other, as one source of rows."""
    statistics.venue = "binance"
    rows, scan = Rows(), binance_scan(with_book_ticker, with_mark_price, without_snapshots)
    parts = (read_binance_parts(path, scan, rows, statistics) for path in paths)
    return [Source(rows, chain.from_iterable(parts), partial(rows_still_needed, scan))]


def binance_scan(with_book_ticker: bool, with_mark_price: bool, without_snapshots: bool) -> Any:
    """What a scan of Binance captures knows and remembers (capture_scan_t)."""
    scan = ffi.new("capture_scan_t *")
    scan.with_book_ticker, scan.with_mark_price = with_book_ticker, with_mark_price
    scan.without_snapshots = without_snapshots
    return scan


def rows_still_needed(scan: Any) -> tuple[int, int]:
    """(rows that will not change any more, rows from here on may be looked at again), counted from the first row."""
    known = min(scan.recent_count, lib.RECENT_MESSAGES)
    oldest = scan.recent[(scan.recent_count - known) % lib.RECENT_MESSAGES].first_row if known else scan.rows_before
    settled = scan.rows_before - scan.waiting_rows
    return int(settled), int(min(oldest, settled))


def read_binance_parts(path: str | Path, scan: Any, rows: Rows, statistics: ConversionStatistics) -> Iterator[None]:
    """Appends the rows of one file, uncorrected, giving the turn back after every block."""
    scan.line = 0
    blocks = LineBlocks(path)
    for block in blocks:
        lib.events_scan_capture(scan, ffi.from_buffer(block), len(block), rows.next_row, rows.room)
        rows.count += scan.rows
        if scan.stop == lib.SCAN_NEED_ROOM:
            raise DataError(f"{path}:{scan.line + 1}", "more rows than fit into one event array: convert fewer days at once")
        if scan.stop == lib.SCAN_BAD_LINE:
            text = bytes(block[scan.consumed : scan.consumed + 120]).partition(b"\n")[0].decode("utf-8", "replace")
            raise DataError(f"{path}:{scan.line + 1}", f"the line {_PROBLEM[scan.problem]}: {text!r}")
        yield
    if blocks.damage:
        statistics.damages.append(f"{path}:{scan.line}: {blocks.damage}")
    statistics.files.append(str(path))
    statistics.lines += scan.line
    statistics.symbol = ffi.string(scan.symbol).decode()
    statistics.trades, statistics.depth_updates = scan.trade_messages, scan.depth_messages
    statistics.snapshots, statistics.book_tickers = scan.snapshot_messages, scan.ticker_messages
    statistics.off_book_trades, statistics.gaps = scan.off_book_trades, scan.gaps
    statistics.ignored, statistics.error_messages = scan.ignored_messages, scan.error_messages


def messages(blocks: LineBlocks) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """(line number, receive ns, message) of every line.

    Raises:
        DataError: names file and line.
    """
    number = 0
    for block in blocks:
        for line in bytes(block).splitlines():
            number += 1
            if not line:
                continue
            stamp, _, text = line.partition(b" ")
            try:
                message = orjson.loads(text)
                receive_ns = int(stamp)
            except ValueError:
                problem = lib.SCAN_PROBLEM_NO_TIMESTAMP if not stamp.isdigit() else lib.SCAN_PROBLEM_NOT_JSON
                raise DataError(f"{blocks.path}:{number}", f"the line {_PROBLEM[problem]}: {line[:120]!r}") from None
            if not isinstance(message, dict):
                raise DataError(f"{blocks.path}:{number}", f"the line {_PROBLEM[lib.SCAN_PROBLEM_NOT_JSON]}: {line[:120]!r}")
            yield number, receive_ns, message


def _read_messages(path: str | Path, reader: BybitReader | HyperliquidReader, statistics: ConversionStatistics) -> None:
    blocks = LineBlocks(path)
    number = 0
    for number, receive_ns, message in messages(blocks):
        try:
            reader.take(receive_ns, message, statistics)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            what = f"the message is not what its venue sends ({type(error).__name__}: {error})"
            raise DataError(f"{path}:{number}", what) from None
    if blocks.damage:
        statistics.damages.append(f"{path}:{number}: {blocks.damage}")
    statistics.files.append(str(path))
    statistics.lines += number
