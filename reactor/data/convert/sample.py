"""A small Tardis set to try the converters on: a day's trades, book updates and book tickers of one made-up symbol.

Looks like the real ones where it matters to a converter: headers, microseconds, rows of one message with one local time, a
snapshot at the start of the day and another one after a reconnect, prices on a tick, mostly small quantities, latencies of a
few milliseconds with a tail. The same seed gives the same bytes.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, Final

from isal import igzip

from reactor.data.part_file import PartFile
from reactor.domain.errors import DataError

EXCHANGE: Final = "binance-futures"
SYMBOL: Final = "BTCUSDT"
_open: Any = igzip.open
DAY: Final = "2024-08-08"
DAY_US: Final = 1_723_075_200_000_000
TICK: Final = 0.1
LEVELS: Final = 1000  # Of a snapshot, per side.
KINDS: Final = ("trades", "incremental_book_L2", "book_ticker")


class _Market:
    """A book that wanders. Prices are ticks, quantities thousandths."""

    def __init__(self, seed: int, messages: int) -> None:
        self.dice = random.Random(seed)
        self.mid = 617_245
        self.time_us = DAY_US + 120_000
        self.step_us = max(1_000, 86_000_000_000 // max(1, messages))
        self.latency_us = 4_000
        self.local_us = 0
        self.trade_id = 5_266_583_935

    def step(self) -> tuple[int, int]:
        """The next message's (exchange, local) time in µs; the market moves a little."""
        dice = self.dice
        self.time_us += int(dice.expovariate(1.0 / self.step_us)) // 1000 * 1000 + 1000
        self.latency_us = max(1_200, int(self.latency_us * 0.9 + 400 + dice.expovariate(1 / 900.0)))
        if dice.random() < 0.2:
            self.mid += dice.choice((-1, 1)) * int(dice.expovariate(0.3))
        self.local_us = max(self.local_us, self.time_us + self.latency_us)
        return self.time_us, self.local_us

    def quantity(self) -> str:
        """Mostly small, sometimes large, as books are."""
        thousandths = int(self.dice.expovariate(1 / 700.0)) + 1
        return f"{thousandths / 1000:g}"


def _price(ticks: int) -> str:
    return f"{ticks // 10}.{ticks % 10}" if ticks % 10 else str(ticks // 10)


def _depth_rows(market: _Market, head: str) -> Iterator[str]:
    dice = market.dice
    exch_us, local_us = market.step()
    yield from _snapshot(market, head, DAY_US - 4_000, DAY_US)
    number = 0
    while True:
        number += 1
        if number % 20_000 == 0:  # The connection broke: Tardis begins the book anew.
            exch_us, local_us = market.step()
            yield from _snapshot(market, head, local_us, local_us)
        before = market.mid
        exch_us, local_us = market.step()
        start = f"{head}{exch_us},{local_us},false,"
        for ticks in range(before + 1, market.mid + 1):  # What the market has run through is gone.
            yield f"{start}ask,{_price(ticks)},0\n"
        for ticks in range(before, market.mid, -1):
            yield f"{start}bid,{_price(ticks)},0\n"
        for _ in range(min(60, int(dice.expovariate(1 / 12.0)) + 1)):
            distance = int(dice.expovariate(1 / 60.0))
            is_bid = dice.random() < 0.5
            ticks = market.mid - distance if is_bid else market.mid + 1 + distance
            quantity = "0" if dice.random() < 0.3 else market.quantity()
            yield f"{start}{'bid' if is_bid else 'ask'},{_price(ticks)},{quantity}\n"


def _snapshot(market: _Market, head: str, exch_us: int, local_us: int) -> Iterator[str]:
    for side, sign, first in (("bid", -1, market.mid), ("ask", 1, market.mid + 1)):
        for level in range(LEVELS):
            yield f"{head}{exch_us},{local_us},true,{side},{_price(first + sign * level)},{market.quantity()}\n"


def _trade_rows(market: _Market, head: str) -> Iterator[str]:
    while True:
        exch_us, local_us = market.step()
        for _ in range(min(20, int(market.dice.expovariate(0.8)) + 1)):
            market.trade_id += 1
            is_buy = market.dice.random() < 0.5
            ticks = market.mid + is_buy
            side = "buy" if is_buy else "sell"
            yield f"{head}{exch_us},{local_us},{market.trade_id},{side},{_price(ticks)},{market.quantity()}\n"


def _ticker_rows(market: _Market, head: str) -> Iterator[str]:
    while True:
        exch_us, local_us = market.step()
        prices = f"{market.quantity()},{_price(market.mid + 1)},{_price(market.mid)},{market.quantity()}"
        yield f"{head}{exch_us},{local_us},{prices}\n"


_COLUMNS: Final = {
    "trades": "id,side,price,amount",
    "incremental_book_L2": "is_snapshot,side,price,amount",
    "book_ticker": "ask_amount,ask_price,bid_price,bid_amount",
}
_ROWS: Final[dict[str, Callable[[_Market, str], Iterator[str]]]] = {
    "trades": _trade_rows,
    "incremental_book_L2": _depth_rows,
    "book_ticker": _ticker_rows,
}
_SHARES: Final = {"trades": 0.1, "incremental_book_L2": 0.8, "book_ticker": 0.1}


def generate_sample(directory: str | Path, rows: int = 200_000, seed: int = 1, is_packed: bool = True) -> list[Path]:
    """Writes the three files of one day, together about `rows` rows. Returns their paths.

    Raises:
        DataError: the folder cannot be written.
    """
    folder = Path(directory)
    paths = []
    for place, kind in enumerate(KINDS):
        count = max(1, int(rows * _SHARES[kind]))
        if kind == "incremental_book_L2":
            count = max(count, 2 * LEVELS + 1000)
        path = folder / f"{EXCHANGE}_{kind}_{DAY}_{SYMBOL}.csv{'.gz' if is_packed else ''}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(str(folder), f"cannot be written: {error.strerror}") from None
        part = PartFile(path)
        try:
            _write(part.file, kind, count, seed * len(KINDS) + place, is_packed)
            part.finish()
        except OSError as error:
            raise DataError(str(path), f"cannot be written: {error.strerror or error}") from None
        finally:
            part.discard()
        paths.append(path)
    return paths


def _write(part: IO[bytes], kind: str, count: int, seed: int, is_packed: bool) -> None:
    market = _Market(seed, count if kind != "incremental_book_L2" else count // 12)
    lines = [f"exchange,symbol,timestamp,local_timestamp,{_COLUMNS[kind]}\n"]
    with _open(part, "wb", compresslevel=3) if is_packed else nullcontext(part) as file:
        rows = _ROWS[kind](market, f"{EXCHANGE},{SYMBOL},")
        for _ in range(count):
            lines.append(next(rows))
            if len(lines) >= 10_000:
                file.write("".join(lines).encode())
                lines.clear()
        file.write("".join(lines).encode())
