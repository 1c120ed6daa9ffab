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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import orjson

from reactor._native import lib
from reactor.data.capture import LineBlocks, in_words
from reactor.data.convert.binance import open_binance
from reactor.data.convert.bybit import open_bybit, read_fused
from reactor.data.convert.finish import Compat, ConversionStatistics, local_shift, ordered
from reactor.data.convert.hyperliquid import open_hyperliquid
from reactor.data.convert.lines import PROBLEM
from reactor.data.events import EventArray, Rows
from reactor.data.weave import Open, weave_into
from reactor.domain.errors import DataError

CaptureVenue = Literal["binance", "bybit", "hyperliquid"]

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
    if venue == "bybit" and tick_size > 0 and lot_size > 0:
        statistics = ConversionStatistics()
        return ordered(read_fused(paths, tick_size, lot_size, statistics), statistics, base_latency_ns, compat), statistics
    options = CaptureOptions(with_book_ticker, with_mark_price, without_snapshots, tick_size, lot_size, depth_level)
    rows, shift = Rows(), partial(local_shift, base_latency_ns=base_latency_ns, compat=compat)
    measured = weave_into(rows, opener(paths, venue, options), shift)
    return rows.take_array(), measured.statistics


@dataclass(frozen=True)
class CaptureOptions:
    """What is wanted of captures; see convert_collector."""

    with_book_ticker: bool = False
    with_mark_price: bool = False
    without_snapshots: bool = False
    tick_size: float = 0.0
    lot_size: float = 0.0
    depth_level: int = 50


def opener(paths: Sequence[str | Path], venue: CaptureVenue, options: CaptureOptions) -> Open:
    """What opens the captures as sources of rows.

    Raises:
        DataError: Hyperliquid without the steps of price and quantity.
    """
    if venue == "binance":
        wishes = (options.with_book_ticker, options.with_mark_price, options.without_snapshots)
        return partial(open_binance, paths, *wishes)
    if venue == "bybit":
        return partial(open_bybit, paths, options.depth_level)
    if options.tick_size > 0 and options.lot_size > 0:
        return partial(open_hyperliquid, paths, options.tick_size, options.lot_size)
    what = "is of Hyperliquid, whose books come as snapshots: give --tick-size and --lot-size"
    raise DataError(str(paths[0]), what)


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
                raise DataError(f"{blocks.path}:{number}", f"the line {PROBLEM[problem]}: {in_words(line)}") from None
            if not isinstance(message, dict):
                raise DataError(f"{blocks.path}:{number}", f"the line {PROBLEM[lib.SCAN_PROBLEM_NOT_JSON]}: {in_words(line)}")
            yield number, receive_ns, message
