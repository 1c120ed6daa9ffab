"""A live bot on its workbench: private rings on both ends; the test plays feed and prepost."""

from dataclasses import dataclass

import pytest

from reactor._native import ffi, lib
from reactor.domain.instrument import Instrument
from reactor.domain.messages import SIZE, VIEW, ResponseKind, Venue, clear
from reactor.live_bot.core import BotCore, BotWires
from reactor.live_bot.parameters import AssetParameters
from reactor.loop.counters import Metrics
from reactor.market.book import Book, LevelBuffer
from reactor.market.market_link import MarketLink
from shm.clock import monotonic_ns
from shm.ring import NORMAL, URGENT, heap_ring
from shm.seqlock import heap_rows

MS = 1_000_000
USDM = int(Venue.BINANCE_USDM)
SOURCE, STRATEGY = 7, 3


def instrument(index: int, symbol: str = "BTCUSDT") -> Instrument:
    """Tick 0.1, lot 0.001."""
    return Instrument(
        instrument_index=index, venue=USDM, symbol=symbol, base_asset=symbol[:3], quote_asset="USDT", price_decimals=1,
        tick_size=1, quantity_decimals=3, lot_size=1, quantity_lots_min=1, quantity_lots_max=10**9,
        market_quantity_lots_max=10**9, price_ticks_min=1, price_ticks_max=10**9, notional_min_e8=0, maker_fee_e8=0,
        taker_fee_e8=0, is_perpetual=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """What the bot sent to the collector."""

    kind: int
    signal_id: int
    order_id: int
    price_ticks: int
    lots: int
    time_in_force: int
    order_type: int
    flags: int


class Bench:
    """One bot of one or two assets."""

    def __init__(self, assets: int = 1, roi: tuple[float, float] = (90.0, 110.0), orders_max: int = 64, **options) -> None:
        self.metrics = Metrics()
        producer, self._signals = heap_ring(options.pop("signals", 64), SIZE["signal"], VIEW["signal"])
        self.market, market = heap_ring(options.pop("market", 64), SIZE["market"], VIEW["market"], lanes=1)
        self._responses, responses = heap_ring(64, SIZE["response"], VIEW["response"])
        self.positions, positions = heap_rows(assets, SIZE["position"], VIEW["position"])
        wires = BotWires(producer, [market], responses, positions)
        self.instruments = [instrument(index) for index in range(assets)]
        self.core = BotCore(
            [AssetParameters(index, *roi) for index in range(assets)], self.instruments, wires,
            self.metrics, SOURCE, STRATEGY, orders_max, options.pop("trades_kept", 8), options.pop("clock_speed", 1.0),
        )  # fmt: skip
        self.bot = ffi.cast("live_bot_t *", self.core.address)
        self.lib = lib
        self.book, self.buffer = Book(64), LevelBuffer(64)
        self.link = MarketLink(self.market.lane_address(NORMAL), 0, LevelBuffer(64))
        self.update_id = 0
        self.core.lock()

    # -- the feed's side

    def load(self, bids, asks) -> None:
        """A whole book that may be believed."""
        self.update_id += 10
        self.book.load_pairs(bids, asks, self.update_id)
        self.link.set_good(True)
        self.link.is_behind = True
        self.link.catch_up(self.book, 5, monotonic_ns())

    def delta(self, bids, asks) -> None:
        self.update_id += 10
        self.buffer.put(bids, asks)
        self.book.apply_pairs(bids, asks, self.update_id)
        frame = ffi.new("frame_t *", {"bid_count": len(bids), "ask_count": len(asks), "final_id": self.update_id})
        self.link.delta(self.buffer, frame, self.book, 5, monotonic_ns())

    def top(self, bid, ask) -> None:
        self.update_id += 1
        top = ffi.new("book_top_t *", {"update_id": self.update_id, "bid_ticks": bid[0], "bid_lots": bid[1]})
        top.ask_ticks, top.ask_lots = ask
        self.link.top(top, monotonic_ns())

    # -- prepost's side

    def wishes(self) -> list[Wish]:
        found = []
        while (signal := self._signals.try_peek(URGENT)) is not None:
            header, quote = signal.header, signal.quotes[0]
            found.append(
                Wish(header.kind, header.signal_id, header.order_id, quote.price_ticks, quote.quantity_lots,
                     signal.time_in_force, signal.order_type, header.flags)
            )  # fmt: skip
        self._signals.release(URGENT)
        return found

    def respond(self, kind: str, wish: Wish, order_id: int = 0, **fields) -> None:
        slot = self._responses.try_claim()
        clear(slot, "response")
        slot.header.kind = ResponseKind[kind]
        slot.header.signal_id, slot.header.order_id, slot.header.exchange_ns = wish.signal_id, order_id, 1_000
        slot.header.flags = fields.pop("flags", 0)
        slot.header.instrument_index = fields.pop("instrument_index", 0)
        slot.side = 1 if wish.lots > 0 else -1
        for name, value in fields.items():
            setattr(slot, name, value)
        self._responses.commit()

    def accept(self, wish: Wish, order_id: int) -> None:
        """Prepost takes the order, and the venue acknowledges it."""
        self.respond("ACCEPTED", wish, order_id)
        self.respond("ACKNOWLEDGED", wish, order_id)

    # -- the strategy's side

    def call(self, name: str, *arguments):
        return getattr(lib, f"live_bot_{name}")(self.bot, *arguments)

    def buy(self, order_id: int, price: float, qty: float = 0.1, tif: int = 1, kind: int = 0, side: int = 1) -> int:
        return int(self.call("submit", 0, order_id, price, qty, side, tif, kind, 0))

    def order(self, order_id: int):
        found = self.call("order", 0, order_id)
        return None if found == ffi.NULL else found

    @property
    def asset(self):
        return self.call("asset", 0)

    def depth(self, name: str, *arguments):
        return getattr(lib, f"live_depth_{name}")(self.asset, *arguments)

    def resting(self, order_id: int, price: float = 99.0, qty: float = 0.1) -> Wish:
        """An order that the venue has."""
        assert self.buy(order_id, price, qty) == 0
        (wish,) = self.wishes()
        self.accept(wish, 1000 + order_id)
        self.core.pump()
        return wish


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def make_bench():
    return Bench
