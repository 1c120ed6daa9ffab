"""A collector on a table: heap rings instead of feeds and prepost, a clock that stands still."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reactor.collector.parameters import CollectorParameters
from reactor.collector.role import CollectorPorts, CollectorRole
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    FLAG_LAST_PART,
    NO_PAIR,
    SIZE,
    VIEW,
    ResponseKind,
    SignalType,
    Stage,
    Venue,
    clear,
    copy,
    new,
    signal_index,
)
from reactor.loop.clock import ManualClock
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog
from shm.ring import NORMAL, URGENT, Consumer, Producer, heap_ring

SPOT, PERPETUAL, OTHER_SPOT, OTHER_PERPETUAL = 0, 1, 2, 3
PAIRS = ((SPOT, PERPETUAL), (OTHER_SPOT, OTHER_PERPETUAL))


def instrument(index: int, venue: int, symbol: str) -> Instrument:
    return Instrument(
        instrument_index=index, venue=venue, symbol=symbol, base_asset=symbol[:3], quote_asset="USDT", price_decimals=2,
        quantity_decimals=5, tick_size=1, lot_size=1, quantity_lots_min=10, quantity_lots_max=10**9,
        market_quantity_lots_max=10**9, price_ticks_min=1, price_ticks_max=10**12, notional_min_e8=5 * 10**8,
        maker_fee_e8=10_000, taker_fee_e8=10_000, is_perpetual=venue != Venue.BINANCE_SPOT,
    )  # fmt: skip


INSTRUMENTS = Instruments(
    [
        instrument(SPOT, Venue.BINANCE_SPOT, "BTCUSDT"),
        instrument(PERPETUAL, Venue.BINANCE_USDM, "BTCUSDT"),
        instrument(OTHER_SPOT, Venue.BINANCE_SPOT, "ETHUSDT"),
        instrument(OTHER_PERPETUAL, Venue.BINANCE_USDM, "ETHUSDT"),
    ]
)


@dataclass
class Feed:
    """A feed's side of a signal ring."""

    ring: Producer
    clock: ManualClock
    index: int = 0
    number: int = 0

    def send(
        self,
        signal_type: int,
        values: list[float] | None = None,
        legs: tuple[int, int] = (SPOT, PERPETUAL),
        lane: int = NORMAL,
        age_ms: int = 0,
        fill: Callable[[Any], None] = lambda signal: None,
    ) -> int:
        """Sends one signal made `age_ms` ago; returns its signal_id."""
        signal = self.ring.try_claim(lane)
        assert signal is not None, "the ring has room"
        clear(signal, "signal")
        self.number += 1
        header = signal.header
        header.sequence = self.ring.sequence(lane)
        header.signal_id = (self.index + 1) << 48 | self.number
        header.kind = signal_type
        header.instrument_index, header.hedge_instrument_index = legs
        header.pair_id = NO_PAIR
        header.exchange_ns = 1_700_000_000_000_000_000
        made_ns = self.clock.monotonic_ns() - age_ms * 1_000_000
        header.stage_ns[Stage.RECEIVE] = made_ns - 5_000
        header.stage_ns[Stage.SIGNAL] = made_ns
        signal.signal_index = signal_index(signal_type, legs[0]) if legs[0] < 1024 else 0
        signal.value_count = len(values or [])
        for at, value in enumerate(values or []):
            signal.values[at] = value
        signal.bid_ticks, signal.ask_ticks = 6_000_000, 6_000_001
        signal.hedge_bid_ticks, signal.hedge_ask_ticks = 6_012_000, 6_012_001
        fill(signal)
        sent_id = int(header.signal_id)
        self.ring.commit(lane)
        return sent_id

    def spread(self, spread: float = 0.002, percentile: float = 0.9, **more: Any) -> int:
        """A wide spread for shorting the perpetual."""
        return self.send(SignalType.ADAPTIVE_SPREAD_DEVIATION, [spread, percentile, -spread, 1 - percentile], **more)

    def funding(self, rate: float = 0.0003, direction: int = -1, **more: Any) -> int:
        return self.send(SignalType.FUNDING_RATE_DIRECTION, [rate, direction, rate, 3600.0], **more)

    def part(self, strategy: int, is_last: bool, signal_id: int, price_ticks: int = 100) -> None:
        def fill(signal: Any) -> None:
            signal.header.signal_id = signal_id
            signal.header.flags = FLAG_LAST_PART if is_last else 0
            signal.strategy_index = strategy
            signal.quote_count = 1
            signal.quotes[0].price_ticks = price_ticks
            signal.quotes[0].quantity_lots = 7

        self.send(SignalType.STRATEGY_QUOTES, [], lane=URGENT, fill=fill)


@dataclass
class Bench:
    """The role with everything it is plugged into."""

    role: CollectorRole
    feeds: list[Feed]
    responses: Producer
    events: Consumer
    control: Producer
    clock: ManualClock
    log: ListLog
    metrics: Metrics
    seen: list[Any] = field(default_factory=list)

    def run(self) -> list[Any]:
        """One pass; returns copies of the events it made, urgent ones first."""
        self.role.do_work(self.clock.monotonic_ns())
        return self.drain()

    def drain(self) -> list[Any]:
        made = []
        for lane in (URGENT, NORMAL):
            while (view := self.events.try_peek(lane)) is not None:
                kept = new("event")
                copy(kept, view, "event")
                made.append(kept)
            self.events.release(lane)
        return made

    def respond(self, kind: int, quantity_lots: int = 0, legs: tuple[int, int] = (SPOT, PERPETUAL), pair_id: int = 0) -> None:
        response = self.responses.try_claim()
        clear(response, "response")
        header = response.header
        header.sequence = self.responses.sequence()
        header.kind = kind
        header.order_id = 77
        header.signal_id = 1 << 48 | 5
        header.instrument_index, header.hedge_instrument_index = legs
        header.pair_id = pair_id
        header.pair_sequence = 3
        response.quantity_lots = quantity_lots
        self.responses.commit()

    def require_hedge(self, quantity_lots: int) -> None:
        self.respond(ResponseKind.HEDGE_REQUIRED, quantity_lots)


def make_bench(
    parameters: CollectorParameters | None = None, feeds: int = 1, capacity: int = 64, event_capacity: int = 64, **ports: Any
) -> Bench:
    clock = ManualClock(monotonic_ns=10_000_000_000_000)
    rings = [heap_ring(capacity, SIZE["signal"], VIEW["signal"]) for _ in range(feeds)]
    response_producer, response_consumer = heap_ring(capacity, SIZE["response"], VIEW["response"])
    event_producer, event_consumer = heap_ring(event_capacity, SIZE["event"], VIEW["event"])
    control_producer, control_consumer = heap_ring(8, SIZE["control"], VIEW["control"], lanes=1)
    log, metrics = ListLog(), Metrics()
    role = CollectorRole(
        parameters or CollectorParameters(pairs=PAIRS),
        CollectorPorts(
            instruments=INSTRUMENTS,
            clock=clock,
            metrics=metrics,
            log=log,
            signals=[consumer for _, consumer in rings],
            responses=response_consumer,
            events=event_producer,
            control=control_consumer,
            source_index=4,
            **ports,
        ),
    )
    role.on_start(clock.monotonic_ns())
    sides = [Feed(producer, clock, index) for index, (producer, _) in enumerate(rings)]
    return Bench(role, sides, response_producer, event_consumer, control_producer, clock, log, metrics)
