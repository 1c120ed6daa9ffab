"""Captures of Binance → Tardis CSV files: `trades`, `incremental_book_L2`, `book_ticker`, one set per UTC day of receipt.

As Tardis writes them: prices and amounts in the venue's own digits, times in µs, rows by local_timestamp, off-book trades
left out, the book dated by E. What carries no time (Spot's book tickers, its REST snapshots) has timestamp == local_timestamp.
A REST snapshot becomes rows with is_snapshot true.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from isal import igzip

from reactor.data.capture import LineBlocks
from reactor.data.convert.collector import messages, tell_venue
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.part_file import PartFile
from reactor.domain.errors import DataError

HEADERS: Final = {
    "trades": "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n",
    "incremental_book_L2": "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n",
    "book_ticker": "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount\n",
}
DAY_US: Final = 86_400_000_000
CHUNK_ROWS: Final = 20_000
_open: Any = igzip.open


class _Writer:
    """The files of one symbol; each gets its name when it is whole."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._parts: dict[Path, PartFile] = {}
        self._files: dict[Path, Any] = {}  # the gzip streams into them
        self._rows: dict[Path, list[str]] = {}

    def put(self, exchange: str, symbol: str, kind: str, local_us: int, rows: list[str]) -> None:
        """Rows of one message."""
        day = datetime.fromtimestamp(local_us // DAY_US * 86_400, UTC).date()
        path = self._directory / f"{exchange}_{kind}_{day}_{symbol}.csv.gz"
        if path not in self._files:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._parts[path] = PartFile(path)
            self._files[path] = _open(self._parts[path].file, "wb", compresslevel=2)
            self._rows[path] = [HEADERS[kind]]
        waiting = self._rows[path]
        waiting += rows
        if len(waiting) > CHUNK_ROWS:
            self._flush(path)

    def _flush(self, path: Path) -> None:
        self._files[path].write("".join(self._rows[path]).encode())
        self._rows[path].clear()

    def finish(self) -> list[Path]:
        """Gives the files their names."""
        for path, file in self._files.items():
            self._flush(path)
            file.close()
            self._parts[path].finish()
        return list(self._files)

    def discard(self) -> None:
        """Leaves nothing behind."""
        for part in self._parts.values():
            part.discard()


def write_tardis_csv(paths: Sequence[str | Path], directory: str | Path) -> tuple[list[Path], ConversionStatistics]:
    """Writes the captures of one symbol as Tardis files. Returns their paths and what was read.

    Raises:
        DataError: names file and line; or the venue is not Binance; or the folder cannot be written. No file is left then.
    """
    statistics = ConversionStatistics(venue=tell_venue(paths[0]))
    if statistics.venue != "binance":
        raise DataError(str(paths[0]), f"is of {statistics.venue}; Tardis files are made of Binance captures only")
    writer = _Writer(Path(directory))
    try:
        for path in paths:
            _convert(path, writer, statistics)
        written = writer.finish()
    except OSError as error:
        raise DataError(str(directory), f"cannot be written: {error.strerror or error}") from None
    finally:
        writer.discard()
    return written, statistics


def _convert(path: str | Path, writer: _Writer, statistics: ConversionStatistics) -> None:
    """Snapshots of a file whose symbol is not known yet wait for the first message that says it."""
    exchange = ""
    early: list[tuple[int, dict[str, Any]]] = []
    blocks = LineBlocks(path)
    for number, receive_ns, message in messages(blocks):
        statistics.lines += 1
        data = message.get("data", message)
        try:
            if not exchange and "lastUpdateId" in data:
                early.append((receive_ns, data))
                continue
            if not exchange and (told := _exchange_of(data)):
                exchange = told
                statistics.symbol = statistics.symbol or data["s"]
                for early_ns, snapshot in early:
                    _put(writer, exchange, statistics, early_ns, snapshot)
            if data.get("s", statistics.symbol) != statistics.symbol:
                raise DataError(f"{path}:{number}", "the line is of another symbol than those before it")
            _put(writer, exchange, statistics, receive_ns, data)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise DataError(f"{path}:{number}", f"the message is not what Binance sends ({error!r})") from None
    if blocks.damage:
        statistics.damages.append(f"{path}:{statistics.lines}: {blocks.damage}")
    statistics.files.append(str(path))


def _exchange_of(data: dict[str, Any]) -> str:
    """Told by the depth stream: Spot's has no `pu`, COIN-M's symbols are not of USDT or USDC."""
    if data.get("e") == "depthUpdate":
        if "pu" not in data:
            return "binance"
        return "binance-delivery" if "USD_" in data["s"] else "binance-futures"
    if data.get("e") in ("trade", "bookTicker"):
        if "USD_" in data["s"]:
            return "binance-delivery"
        return "binance-futures" if "X" in data or (data["e"] == "bookTicker") else "binance"
    return "binance" if data.keys() >= {"u", "s", "b", "a"} else ""


def _put(writer: _Writer, exchange: str, statistics: ConversionStatistics, receive_ns: int, data: dict[str, Any]) -> None:
    local_us = receive_ns // 1000
    kind = data.get("e", "")
    symbol = statistics.symbol
    if kind == "trade":
        if data.get("X", "MARKET") != "MARKET":
            statistics.off_book_trades += 1
            return
        statistics.trades += 1
        side = "sell" if data["m"] else "buy"
        row = f"{exchange},{symbol},{data['T'] * 1000},{local_us},{data['t']},{side},{data['p']},{data['q']}\n"
        writer.put(exchange, symbol, "trades", local_us, [row])
    elif kind == "depthUpdate" or "lastUpdateId" in data:
        is_snapshot = "lastUpdateId" in data
        statistics.snapshots += is_snapshot
        statistics.depth_updates += not is_snapshot
        exchange_us = data["E"] * 1000 if "E" in data else local_us
        start = f"{exchange},{symbol},{exchange_us},{local_us},{'true' if is_snapshot else 'false'},"
        bids, asks = (data["bids"], data["asks"]) if is_snapshot else (data["b"], data["a"])
        rows = [f"{start}bid,{level[0]},{level[1]}\n" for level in bids]
        rows += [f"{start}ask,{level[0]},{level[1]}\n" for level in asks]
        writer.put(exchange, symbol, "incremental_book_L2", local_us, rows)
    elif kind == "bookTicker" or data.keys() >= {"u", "b", "B", "a", "A"}:
        statistics.book_tickers += 1
        exchange_us = data["T"] * 1000 if "T" in data else local_us
        row = f"{exchange},{symbol},{exchange_us},{local_us},{data['A']},{data['a']},{data['b']},{data['B']}\n"
        writer.put(exchange, symbol, "book_ticker", local_us, [row])
    else:
        statistics.ignored += 1
