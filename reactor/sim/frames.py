"""A venue's public frames as a market: what a trader would have seen, recorded or just now.

    JSON object ─▶ decode_frame() ─▶ Frame (prices and sizes in 1e-8) ─▶ SymbolStream ─▶ market updates (ticks, lots)

The venue is told by content. bookTicker runs ahead of the 100 ms diffs: a diff older than the last bookTicker may not put back
what that has removed. A REST snapshot replaces what lies in its range, and the diffs that are newer are applied again.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from reactor.domain.units import E8
from reactor.sim.events import Levels
from reactor.sim.symbols import Product, SymbolRules
from reactor.sim.updates import BookUpdate, MarketUpdate, TopUpdate, TradeUpdate

RECENT_DIFFS_MAX: Final = 200  # Diffs kept for a snapshot that comes after newer ones.
MICROSECONDS_MIN: Final = 10**14  # As milliseconds this would be the year 5138.


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded line: what it says, in the venue's own units (prices and quantities in 1e-8)."""

    local_ns: int
    product: Product
    symbol: str  # "": a REST snapshot that does not say; the file's own symbol is meant.
    kind: str  # "book", "top", "trade", "aggregate", "snapshot"
    event_ms: int  # 0: not said
    transaction_ms: int
    last_id: int
    bids: tuple[tuple[int, int], ...] = ()  # (price e8, quantity e8); a trade has one row here
    asks: tuple[tuple[int, int], ...] = ()
    buyer_is_maker: bool = False


def decode(raw: bytes) -> Frame | str:
    """One `<ns> <json>` line, or what kind of foreign thing it is.

    Raises:
        ValueError: garbage (also from the JSON parser and from missing fields, as KeyError or TypeError).
    """
    stamp, _, payload = raw.partition(b" ")
    return decode_frame(int(stamp), payload)


def decode_frame(local_ns: int, payload: bytes | str) -> Frame | str:
    """A frame as a venue sends it, received at `local_ns`, or what kind of foreign thing it is.

    Raises:
        ValueError: garbage (also from the JSON parser and from missing fields, as KeyError or TypeError).
    """
    frame = orjson.loads(payload)
    if not isinstance(frame, dict):
        return "frames that are no JSON object"
    data, stream = frame.get("data"), frame.get("stream")
    if isinstance(stream, str) and isinstance(data, dict):
        return decode_object(local_ns, data, stream.partition("@")[0].upper())
    return decode_object(local_ns, frame, "")


def decode_object(local_ns: int, frame: dict[str, Any], stream_symbol: str) -> Frame | str:
    """A venue's JSON object; `stream_symbol` helps where the object does not name its symbol."""
    if "channel" in frame:
        return "Hyperliquid frames"
    if "topic" in frame:
        return "Bybit frames"
    if "arg" in frame:
        return "OKX frames"
    symbol = str(frame.get("s", "")) or stream_symbol
    if "_" in symbol or "_" in str(frame.get("symbol", "")):
        return "Binance COIN-M or delivery frames"
    event = frame.get("e")
    event_ms = _ms(int(frame.get("E", 0)))
    transaction_ms = _ms(int(frame.get("T", 0))) or event_ms
    if event == "depthUpdate":
        product: Product = "usdm" if "pu" in frame else "spot"
        bids, asks = _levels(frame["b"]), _levels(frame["a"])
        return Frame(local_ns, product, symbol, "book", event_ms, transaction_ms, int(frame["u"]), bids, asks)
    if event == "bookTicker" or (event is None and "B" in frame and "A" in frame and "u" in frame):
        product = "usdm" if event else "spot"
        bids = ((amount_e8(frame["b"]), amount_e8(frame["B"])),)
        asks = ((amount_e8(frame["a"]), amount_e8(frame["A"])),)
        return Frame(local_ns, product, symbol, "top", event_ms, transaction_ms, int(frame["u"]), bids, asks)
    if event in ("trade", "aggTrade"):
        if frame.get("X", "MARKET") != "MARKET":
            return "trades off the book (insurance fund, ADL)"
        row = (amount_e8(frame["p"]), amount_e8(frame["q"]))
        if row[0] <= 0 or row[1] <= 0:
            return "trades without price or quantity"
        product = "spot" if "M" in frame else "usdm"
        is_maker = bool(frame["m"])
        kind = "trade" if event == "trade" else "aggregate"
        trade_id = int(frame["t" if event == "trade" else "a"])
        return Frame(local_ns, product, symbol, kind, event_ms, transaction_ms, trade_id, (row,), (), is_maker)
    if "lastUpdateId" in frame and "bids" in frame:
        product = "usdm" if "E" in frame else "spot"
        bids, asks = _levels(frame["bids"]), _levels(frame["asks"])
        return Frame(local_ns, product, symbol, "snapshot", event_ms, transaction_ms, int(frame["lastUpdateId"]), bids, asks)
    return f"{event!r} events" if isinstance(event, str) else "frames of an unknown kind"


def _ms(stamp: int) -> int:
    """Milliseconds, also of a stream that was opened with timeUnit=MICROSECOND."""
    return stamp // 1000 if stamp > MICROSECONDS_MIN else stamp


def _levels(rows: Sequence[Sequence[str]]) -> tuple[tuple[int, int], ...]:
    return tuple((amount_e8(row[0]), amount_e8(row[1])) for row in rows)


def amount_e8(text: str) -> int:
    """A wire decimal in 1e-8, cut there. Four times as fast as Decimal, and frames are hundreds a second."""
    whole, _, fraction = text.partition(".")
    return int(whole) * E8 + int(fraction[:8].ljust(8, "0")) if fraction else int(whole) * E8


class SymbolStream:
    """One symbol of one venue while it is followed: units, last bookTicker, recent diffs."""

    def __init__(self, rules: SymbolRules) -> None:
        self.rules = rules
        self._top: Frame | None = None
        self._has_trades = False
        self._ends_old_book = False
        self._recent: deque[Frame] = deque(maxlen=RECENT_DIFFS_MAX)

    def forget(self) -> None:
        """The stream broke: what it said last is no measure for what comes next."""
        self._top = None
        self._recent.clear()

    def start_over(self) -> None:
        """A new round: ids start over in the recording, and its first best prices end the old book."""
        self._top = None
        self._recent.clear()
        self._ends_old_book = True

    @property
    def has_deltas(self) -> bool:
        """A diff has come since the start."""
        return bool(self._recent)

    def hold(self, frame: Frame) -> None:
        """Keeps a frame for the snapshot that is under way."""
        if frame.kind == "top":
            self._top = frame
        elif frame.kind == "book":
            self._recent.append(frame)

    def updates(self, frame: Frame, transaction_ns: int, event_ns: int) -> list[MarketUpdate]:
        """What this frame means for the venue."""
        rules = self.rules
        tick, lot = rules.tick_e8, rules.lot_e8
        times = (transaction_ns, event_ns)
        if frame.kind == "trade" or (frame.kind == "aggregate" and not self._has_trades):
            self._has_trades = self._has_trades or frame.kind == "trade"
            price, quantity = frame.bids[0]
            lots = quantity // lot
            if not lots:
                return []
            return [TradeUpdate(rules.product, rules.symbol, price // tick, lots, frame.buyer_is_maker, *times)]
        if frame.kind == "aggregate":
            return []  # The same trades again, fewer.
        if frame.kind == "top":
            self._top = frame
            top = self._top_update(frame, *times)
            if not self._ends_old_book:
                return [top]
            self._ends_old_book = False
            bids, asks = [(top.bid_ticks, top.bid_lots)], [(top.ask_ticks, top.ask_lots)]
            return [BookUpdate(rules.product, rules.symbol, bids, asks, *times, is_reset=True), top]
        if frame.kind == "book":
            self._recent.append(frame)
            return [self._book_update(frame, *times)]
        rows: list[MarketUpdate] = [
            BookUpdate(rules.product, rules.symbol, self._ticks(frame.bids), self._ticks(frame.asks), *times, is_snapshot=True)
        ]
        rows.extend(self._book_update(diff, *times) for diff in self._recent if diff.last_id > frame.last_id)
        if self._top is not None and self._top.last_id > frame.last_id:
            # Said again with other sizes first, so that the venue does not take it for old news.
            top = self._top_update(self._top, *times)
            rows.append(top._replace(bid_lots=top.bid_lots + 1, ask_lots=top.ask_lots + 1))
            rows.append(top)
        return rows

    def _top_update(self, frame: Frame, transaction_ns: int, event_ns: int) -> TopUpdate:
        rules = self.rules
        (bid, bid_quantity), (ask, ask_quantity) = frame.bids[0], frame.asks[0]
        return TopUpdate(
            rules.product,
            rules.symbol,
            bid // rules.tick_e8,
            bid_quantity // rules.lot_e8,
            ask // rules.tick_e8,
            ask_quantity // rules.lot_e8,
            transaction_ns,
            event_ns,
        )

    def _book_update(self, frame: Frame, transaction_ns: int, event_ns: int) -> BookUpdate:
        rules, top = self.rules, self._top
        bids, asks = self._ticks(frame.bids), self._ticks(frame.asks)
        if top is not None and top.last_id > frame.last_id:
            best_bid, best_ask = top.bids[0][0] // rules.tick_e8, top.asks[0][0] // rules.tick_e8
            bids = [row for row in bids if row[0] < best_bid]
            asks = [row for row in asks if row[0] > best_ask]
        return BookUpdate(rules.product, rules.symbol, bids, asks, transaction_ns, event_ns)

    def _ticks(self, rows: Iterable[tuple[int, int]]) -> Levels:
        tick, lot = self.rules.tick_e8, self.rules.lot_e8
        return [(price // tick, quantity // lot) for price, quantity in rows]
