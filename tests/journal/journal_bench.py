"""A journal on a table: entries as prepost writes them, rings in private memory, a clock that stands still."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    FLAG_MAKER,
    NO_INSTRUMENT,
    NO_PAIR,
    SIZE,
    VIEW,
    JournalKind,
    Venue,
    clear,
    new,
    put_text,
    raw_bytes,
)
from reactor.journal.role import JournalParameters, JournalPorts, JournalRole
from reactor.journal.schema import Words
from reactor.journal.scribe import Disk
from reactor.loop.clock import ManualClock
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog
from shm.ring import Consumer, Producer, heap_ring

SPOT, PERPETUAL = 0, 1
PAIRS = ((SPOT, PERPETUAL),)
EPOCH = 3
ORDER_ID = EPOCH << 40 | 17
WALL_NS = 1_764_000_000_000_000_000  # 2025-11-24T16:00:00Z


def instrument(index: int, venue: int, symbol: str) -> Instrument:
    return Instrument(
        instrument_index=index, venue=venue, symbol=symbol, base_asset=symbol[:3], quote_asset="USDT", price_decimals=2,
        quantity_decimals=5, tick_size=1, lot_size=1, quantity_lots_min=10, quantity_lots_max=10**9,
        market_quantity_lots_max=10**9, price_ticks_min=1, price_ticks_max=10**12, notional_min_e8=5 * 10**8,
        maker_fee_e8=10_000, taker_fee_e8=10_000, is_perpetual=venue != Venue.BINANCE_SPOT,
    )  # fmt: skip


INSTRUMENTS = Instruments(
    [instrument(SPOT, Venue.BINANCE_SPOT, "BTCUSDT"), instrument(PERPETUAL, Venue.BINANCE_USDM, "BTCUSDT")]
)
WORDS = Words(
    order_states={0: "created", 3: "submitted", 4: "acknowledged", 6: "filled"},
    order_events={3: "commit", 4: "ack", 6: "fill"},
    pair_states={0: "idle", 1: "opening", 2: "open"},
    actions={0: "resume", 1: "reduce", 2: "halt"},
    final_order_states=frozenset({6}),
    final_pair_states=frozenset({0}),
)


class Entries:
    """Writes entries, numbered and stamped like a producer's."""

    def __init__(self) -> None:
        self.sequence = 0

    def blank(self, kind: int, instrument_index: int = SPOT) -> Any:
        entry = new("journal")
        self.sequence += 1
        entry.header.kind = kind
        entry.header.source = 2
        entry.header.sequence = self.sequence
        entry.header.instrument_index = instrument_index
        entry.header.hedge_instrument_index = NO_INSTRUMENT
        entry.header.pair_id = NO_PAIR
        entry.wall_ns = WALL_NS + self.sequence
        return entry

    def order(self, number: int = 17, state_from: int = 3, state_to: int = 4, event: int = 4, filled: int = 0) -> Any:
        entry = self.blank(JournalKind.ORDER)
        entry.header.order_id = EPOCH << 40 | number
        entry.header.signal_id = 0x7000 << 48 | 5
        put_text(entry.client_order_id, f"ct0000300000{number:03d}")
        entry.side, entry.order_type, entry.time_in_force = 1, 0, 3
        entry.price_ticks, entry.quantity_lots, entry.cumulative_lots = 6_000_001, 84, filled
        entry.state_from, entry.state_to, entry.event = state_from, state_to, event
        entry.venue_order_id = 991
        entry.values[4] = 1
        return entry

    def fill(self, trade_id: int, lots: int = 84, fee_e8: int = 84_000, asset: str = "BTC", pnl_e8: int = 0) -> Any:
        entry = self.blank(JournalKind.FILL)
        entry.header.order_id = ORDER_ID
        entry.header.exchange_ns = WALL_NS
        entry.header.flags = FLAG_MAKER
        entry.header.pair_id = 0
        entry.header.pair_sequence = 1
        put_text(entry.client_order_id, "ct0000300000017")
        put_text(entry.asset, asset)
        entry.side, entry.trade_id = 1, trade_id
        entry.price_ticks, entry.quantity_lots, entry.fee_e8, entry.amount_e8 = 6_000_001, lots, fee_e8, pnl_e8
        entry.values[2], entry.values[3] = 5_040_000, 5_040_000_840
        return entry

    def pair(self, state_from: int, state_to: int) -> Any:
        entry = self.blank(JournalKind.PAIR)
        entry.header.hedge_instrument_index = PERPETUAL
        entry.header.pair_id, entry.header.pair_sequence = 0, 1
        entry.side, entry.state_from, entry.state_to = -1, state_from, state_to
        entry.quantity_lots, entry.cumulative_lots = 84, -84
        entry.values[0], entry.values[1], entry.values[2] = 700, 200, 50
        entry.values[3], entry.values[5] = 123_456, WALL_NS
        return entry

    def funding(self, amount_e8: int, transaction: int = 5) -> Any:
        entry = self.blank(JournalKind.FUNDING, PERPETUAL)
        entry.venue = Venue.BINANCE_USDM
        entry.header.exchange_ns = WALL_NS
        put_text(entry.asset, "USDT")
        entry.amount_e8, entry.trade_id = amount_e8, transaction
        entry.values[0] = amount_e8
        return entry

    def operator(self, event: int, state_to: int, instrument_index: int = NO_INSTRUMENT) -> Any:
        entry = self.blank(JournalKind.OPERATOR, instrument_index)
        entry.event, entry.state_to = event, state_to
        put_text(entry.text, "ctl")
        return entry

    def balance(self, amount_e8: int, entry_kind: int = 1) -> Any:
        entry = self.blank(JournalKind.BALANCE, NO_INSTRUMENT)
        put_text(entry.asset, "USDT")
        entry.amount_e8 = amount_e8
        entry.values[2] = entry_kind
        return entry


def batch_of(*entries: Any) -> bytes:
    """Entries behind one another, as the writer takes them from its ring."""
    return b"".join(raw_bytes(entry, "journal") for entry in entries)


@dataclass
class Bench:
    """The role with everything it is plugged into."""

    role: JournalRole
    ring: Producer
    consumer: Consumer
    clock: ManualClock
    log: ListLog
    metrics: Metrics
    path: Path

    def send(self, *entries: Any) -> None:
        for entry in entries:
            slot = self.ring.try_claim()
            assert slot is not None, "the ring has room"
            clear(slot, "journal")
            slot[0] = entry[0]
            self.ring.commit()

    def run(self, ms: float = 0) -> int:
        self.clock.advance(int(ms * 1_000_000))
        return self.role.do_work(self.clock.monotonic_ns())

    def settle(self) -> None:
        """Long enough for what was sent to be written."""
        self.run()
        self.run(5)


def make_bench(
    folder: Path, capacity: int = 64, open_disk: Callable[[], Disk] | None = None, is_threaded: bool = False, **parameters: Any
) -> Bench:
    producer, consumer = heap_ring(capacity, SIZE["journal"], VIEW["journal"], lanes=1)
    clock, log, metrics = ManualClock(), ListLog(), Metrics()
    path = folder / "journal.sqlite"
    role = JournalRole(
        JournalParameters(is_threaded=is_threaded, **parameters),
        JournalPorts([consumer], path, INSTRUMENTS, clock, metrics, log, WORDS, open_disk),
    )
    role.on_start(clock.monotonic_ns())
    return Bench(role, producer, consumer, clock, log, metrics, path)
