"""A venue's live public streams as a market: paper trading. Pure; live_streams.py brings the frames.

    frames ──on_frame()──▶ one SymbolStream per symbol ──▶ queue ──take()──▶ SimulatedExchange
    REST book ─on_snapshot()─┘   (nothing is said before the snapshot: a book that is only a top would be walked empty)

Our orders match against this market as against any other; the venue never hears of them. Marks and funding are the venue's own.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from reactor.domain.instrument import Instrument
from reactor.domain.messages import Venue
from reactor.domain.units import E8
from reactor.exchanges.binance.rules import NOT_CHECKED
from reactor.sim.events import Notices
from reactor.sim.frames import Frame, SymbolStream, amount_e8, decode_frame, decode_object
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS, Product, SymbolRules
from reactor.sim.updates import NEVER_NS, BookUpdate, MarketUpdate, MarkUpdate

MS: Final = 1_000_000
STREAM_KINDS: Final[dict[Product, tuple[str, ...]]] = {
    "spot": ("trade", "bookTicker", "depth@100ms"),
    "usdm": ("trade", "bookTicker", "depth@100ms"),
}
MARK_KIND: Final = "markPrice@1s"
MALFORMED: Final = (ValueError, KeyError, TypeError, IndexError, AttributeError)


@dataclass(frozen=True)
class LiveParameters:
    """Which market is followed."""

    spot: tuple[str, ...] = ()  # symbols
    usdm: tuple[str, ...] = ()
    base_url: str = ""  # http://host:port of another simulated exchange (its spot port); empty: the venue's own addresses

    def symbols(self, product: Product) -> tuple[str, ...]:
        """Of one product line."""
        return self.spot if product == "spot" else self.usdm


class LiveMarket:
    """A MarketSource that is told from outside."""

    def __init__(self, rules: Sequence[SymbolRules]) -> None:
        self.notices = Notices()
        self.malformed = 0
        self._rules = list(rules)
        self._streams = {(row.product, row.symbol): SymbolStream(row) for row in rules}
        self._is_whole = dict.fromkeys(self._streams, False)  # its book has been fetched since the last break
        self._lead_ns = 0  # how far the venue's clock was ahead of ours at the most
        self._queue: deque[tuple[int, MarketUpdate]] = deque()

    def symbols(self) -> list[SymbolRules]:
        """What is followed."""
        return self._rules

    def start(self, now_ns: int) -> None:
        """Nothing to do: the venue began long ago."""
        names = ", ".join(f"{product} {symbol}" for product, symbol in self._streams)
        self.notices.add(f"following the live market of {names}")

    def next_due_ns(self) -> int:
        """What has come is due at once."""
        return self._queue[0][0] if self._queue else NEVER_NS

    def take(self) -> MarketUpdate:
        """The oldest update."""
        return self._queue.popleft()[1]

    def on_frame(self, product: Product, payload: bytes | str, now_ns: int) -> None:
        """One frame of a public stream. Damaged and foreign ones are counted."""
        try:
            row: Any = orjson.loads(payload)
            data = row.get("data", row)
            if data.get("e") == "markPriceUpdate":
                self._on_mark(data, now_ns)
                return
            frame = decode_frame(now_ns, payload)
        except MALFORMED:
            self.malformed += 1
            return
        if isinstance(frame, Frame):
            self._on_frame(replace(frame, product=product), now_ns)

    def on_snapshot(self, product: Product, symbol: str, body: bytes, now_ns: int) -> bool:
        """A REST book, asked for after `wants_snapshot`. False: it is none; ask again."""
        try:
            frame = decode_object(now_ns, orjson.loads(body), symbol)
        except MALFORMED:
            return False
        if not isinstance(frame, Frame) or frame.kind != "snapshot":
            return False
        key = product, symbol
        frame = replace(frame, product=product, symbol=symbol)
        book, *rest = self._streams[key].updates(frame, *self._times(frame, now_ns))
        assert isinstance(book, BookUpdate), "a snapshot begins with the book"
        self._queue.append((now_ns, book._replace(is_snapshot=False, is_reset=not self._is_whole[key])))
        self._queue.extend((now_ns, update) for update in rest)
        self._is_whole[key] = True
        return True

    def wants_snapshot(self, product: Product, symbol: str) -> bool:
        """Deltas have come, so that a book fetched now joins them."""
        key = product, symbol
        return not self._is_whole[key] and self._streams[key].has_deltas

    def on_break(self, product: Product) -> None:
        """The connection is gone: its books stand still until they are fetched anew."""
        for key, stream in self._streams.items():
            if key[0] == product:
                stream.forget()
                self._is_whole[key] = False

    def _on_frame(self, frame: Frame, now_ns: int) -> None:
        key = frame.product, frame.symbol
        stream = self._streams.get(key)
        if stream is None:
            return
        if not self._is_whole[key]:
            stream.hold(frame)
            return
        self._queue.extend((now_ns, update) for update in stream.updates(frame, *self._times(frame, now_ns)))

    def _on_mark(self, row: dict[str, Any], now_ns: int) -> None:
        if ("usdm", row["s"]) not in self._streams:
            return
        self._queue.append(
            (
                now_ns,
                MarkUpdate(
                    "usdm",
                    row["s"],
                    amount_e8(row["p"]),
                    amount_e8(row["i"]),
                    amount_e8(row.get("P", row["i"])),
                    signed_e8(row["r"]),
                    int(row["T"]) * MS,
                    now_ns,
                    now_ns,
                ),
            )
        )

    def _times(self, frame: Frame, now_ns: int) -> tuple[int, int]:
        """(transaction, event) on our clock: one constant between the clocks, and nothing comes from the future."""
        if not frame.event_ms:
            return now_ns, now_ns
        self._lead_ns = max(self._lead_ns, frame.event_ms * MS - now_ns)
        event_ns = frame.event_ms * MS - self._lead_ns
        return event_ns - (frame.event_ms - frame.transaction_ms) * MS, event_ns


def signed_e8(text: str) -> int:
    """A wire decimal that may be below zero, in 1e-8."""
    return -amount_e8(text[1:]) if text.startswith("-") else amount_e8(text)


def rules_of(instrument: Instrument) -> SymbolRules:
    """What a venue says about a symbol, as we list it. What exchangeInfo does not tell is taken from our own table."""
    is_futures = instrument.venue == Venue.BINANCE_USDM
    listed = (USDM_SYMBOLS if is_futures else SPOT_SYMBOLS).get(instrument.symbol)
    tick_e8 = instrument.tick_size * E8 // 10**instrument.price_decimals
    lot_e8 = instrument.lot_size * E8 // 10**instrument.quantity_decimals
    rules = SymbolRules(
        symbol=instrument.symbol,
        product="usdm" if is_futures else "spot",
        base_asset=instrument.base_asset,
        quote_asset=instrument.quote_asset,
        tick_e8=tick_e8,
        lot_e8=lot_e8,
        price_places=instrument.price_decimals if is_futures else 8,
        quantity_places=instrument.quantity_decimals if is_futures else 8,
        price_ticks_min=instrument.price_ticks_min,
        price_ticks_max=_limit(instrument.price_ticks_max, 1_000_000 * E8 // tick_e8),
        quantity_lots_min=instrument.quantity_lots_min,
        quantity_lots_max=_limit(instrument.quantity_lots_max, 1_000_000_000 * E8 // lot_e8),
        market_lots_max=_limit(instrument.market_quantity_lots_max, 100_000_000 * E8 // lot_e8),
        notional_min_e8=instrument.notional_min_e8,
        percent_up_e4=round(instrument.percent_price_up * 10_000) or 50_000,
        percent_down_e4=round(instrument.percent_price_down * 10_000) or 2_000,
    )
    if listed is None or (listed.tick_e8, listed.lot_e8) != (tick_e8, lot_e8):
        return rules
    return replace(
        rules,
        price_places=listed.price_places,
        quantity_places=listed.quantity_places,
        notional_max_e8=listed.notional_max_e8,
        leverage_max=listed.leverage_max,
        maintenance_margin_e6=listed.maintenance_margin_e6,
    )


def _limit(told: int, otherwise: int) -> int:
    return otherwise if told == NOT_CHECKED else told
