"""A small exchange behind heap rings, so that the room can be tried whole: commands in, reports out, nothing hidden.

The venue keeps its own books (orders, positions, wallets, fills) independently of prepost, so that a test may compare them.
What it does with a place is scripted by `venue.script`: a list of functions, one per place, the last one for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reactor.domain.ids import ClientIds
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_OURS,
    FLAG_REPLAYED,
    NO_INSTRUMENT,
    NO_PAIR,
    SIZE,
    VIEW,
    CommandKind,
    ControlKind,
    EventKind,
    OrderStatus,
    OrderType,
    Reason,
    ReportKind,
    ResponseKind,
    Stage,
    TimeInForce,
    Venue,
    clear,
    new,
    put_text,
    text_of,
)
from reactor.domain.units import E8
from reactor.journal.memory import History
from reactor.loop.clock import ManualClock
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog
from reactor.prepost.role import (
    PairParameters,
    PrepostParameters,
    PrepostPorts,
    PrepostRole,
    RiskParameters,
    SettlementParameters,
)
from shm.ring import heap_ring
from shm.seqlock import heap_rows

SPOT, PERP, ETH_SPOT, ETH_PERP = 0, 1, 2, 3
MS = 1_000_000
SECOND = 1_000_000_000


def make_instruments() -> Instruments:
    """BTCUSDT and ETHUSDT on spot and USD-M, with the venues' steps."""

    def spot(index: int, base: str, lot: int, decimals: int) -> Instrument:
        return Instrument(
            instrument_index=index, venue=Venue.BINANCE_SPOT, symbol=f"{base}USDT", base_asset=base, quote_asset="USDT",
            price_decimals=2, quantity_decimals=decimals, tick_size=1, lot_size=lot, quantity_lots_min=1,
            quantity_lots_max=900_000_000, market_quantity_lots_max=10_000_000, price_ticks_min=1, price_ticks_max=100_000_000,
            notional_min_e8=5 * E8, maker_fee_e8=100_000, taker_fee_e8=100_000,
        )  # fmt: skip

    def perpetual(index: int, base: str, decimals: int) -> Instrument:
        return Instrument(
            instrument_index=index, venue=Venue.BINANCE_USDM, symbol=f"{base}USDT", base_asset=base, quote_asset="USDT",
            price_decimals=1, quantity_decimals=decimals, tick_size=1, lot_size=1, quantity_lots_min=1,
            quantity_lots_max=1_000_000, market_quantity_lots_max=100_000, price_ticks_min=1, price_ticks_max=10_000_000,
            notional_min_e8=100 * E8 if base == "BTC" else 20 * E8, maker_fee_e8=20_000, taker_fee_e8=50_000, is_perpetual=True,
        )  # fmt: skip

    return Instruments([spot(0, "BTC", 1, 5), perpetual(1, "BTC", 3), spot(2, "ETH", 1, 4), perpetual(3, "ETH", 3)])


INSTRUMENTS = make_instruments()


@dataclass
class FakeOrder:
    """An order as the venue sees it."""

    client_order_id: str
    venue_order_id: int
    instrument_index: int
    venue: int
    side: int
    price_ticks: int
    quantity_lots: int
    order_type: int
    time_in_force: int
    flags: int
    order_id: int
    status: int = int(OrderStatus.NEW)
    filled_lots: int = 0

    @property
    def is_open(self) -> bool:
        return self.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


@dataclass
class FakeFill:
    """A fill as the venue lists it."""

    trade_id: int
    order: FakeOrder
    price_ticks: int
    quantity_lots: int
    fee_e8: int
    asset: str
    realised_e8: int


Answer = Callable[["FakeVenue", FakeOrder], None]


def fills_whole(venue: FakeVenue, order: FakeOrder) -> None:
    """Acknowledges and fills at once."""
    venue.ack(order)
    venue.fill(order, order.quantity_lots)


def rests(venue: FakeVenue, order: FakeOrder) -> None:
    """Acknowledges and waits."""
    venue.ack(order)


def takes(lots: int) -> Answer:
    """Fills `lots`, then the rest of an IOC expires."""

    def answer(venue: FakeVenue, order: FakeOrder) -> None:
        venue.ack(order)
        if lots:
            venue.fill(order, lots)
        venue.expire(order)

    return answer


def refuses(reason: int = int(Reason.INSUFFICIENT_BALANCE)) -> Answer:
    """Rejects."""

    def answer(venue: FakeVenue, order: FakeOrder) -> None:
        order.status = int(OrderStatus.REJECTED)
        venue.say(ReportKind.REJECT, order, reason=reason)

    return answer


def says_nothing(venue: FakeVenue, order: FakeOrder) -> None:
    """The order rests, and nobody is told."""


def loses_outcome(executes: bool) -> Answer:
    """Sent, no answer: it may or may not have been executed."""

    def answer(venue: FakeVenue, order: FakeOrder) -> None:
        if executes:
            venue.mute = True
            fills_whole(venue, order)
            venue.mute = False
        else:
            del venue.orders[order.client_order_id]
        venue.say(ReportKind.OUTCOME_UNKNOWN, order, reason=int(Reason.TIMEOUT))

    return answer


def is_not_sent(reason: int = int(Reason.NO_SESSION)) -> Answer:
    """The engine could not send it."""

    def answer(venue: FakeVenue, order: FakeOrder) -> None:
        del venue.orders[order.client_order_id]
        venue.say(ReportKind.NOT_SENT, order, reason=reason)

    return answer


@dataclass
class FakeVenue:
    """Both venues and the engine before them."""

    room: Room
    ids: ClientIds
    script: list[Answer] = field(default_factory=lambda: [fills_whole])
    orders: dict[str, FakeOrder] = field(default_factory=dict)
    history: list[FakeOrder] = field(default_factory=list)
    fills: list[FakeFill] = field(default_factory=list)
    wallets: dict[tuple[int, str], int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)  # lots
    cost_e8: dict[int, int] = field(default_factory=dict)
    commands: list[Any] = field(default_factory=list)
    places: list[FakeOrder] = field(default_factory=list)
    mute: bool = False  # reports are lost
    is_deaf: bool = False  # commands are not read
    ignores_cancel_all: bool = False
    sessions: set[int] = field(default_factory=set)  # what the engine says is up
    fee_asset_spot_buy: str = "base"
    _trade_id: int = 1000
    _venue_order_id: int = 5000

    def __post_init__(self) -> None:
        self.wallets = {
            (int(Venue.BINANCE_SPOT), "USDT"): 10_000 * E8,
            (int(Venue.BINANCE_SPOT), "BTC"): E8 // 10,
            (int(Venue.BINANCE_USDM), "USDT"): 10_000 * E8,
        }

    # ---- the engine's side

    def read(self) -> int:
        """Obeys every command that is in the ring."""
        count = 0
        if self.is_deaf:
            return 0
        for lane in (1, 0):
            command = self.room.commands_in.try_peek(lane)
            while command is not None:
                count += 1
                kept = new("command")
                kept[0] = command[0]
                self.commands.append(kept)
                self._obey(kept)
                command = self.room.commands_in.try_peek(lane)
            self.room.commands_in.release(lane)
        return count

    def _obey(self, command: Any) -> None:
        kind = command.header.kind
        if kind == CommandKind.PLACE:
            self._place(command)
        elif kind == CommandKind.CANCEL:
            self._cancel(command)
        elif kind == CommandKind.QUERY:
            self._query(command)
        elif kind == CommandKind.CANCEL_ALL_OURS:
            for order in list(self.orders.values()):
                if self.ignores_cancel_all:
                    break
                if order.venue == command.venue and order.is_open and self.ids.is_ours(order.client_order_id):
                    self.cancel(order)
        else:
            self._snapshot(command)

    def _place(self, command: Any) -> None:
        self._venue_order_id += 1
        order = FakeOrder(
            text_of(command.client_order_id), self._venue_order_id, command.header.instrument_index, command.venue, command.side,  # noqa: E501
            command.price_ticks, command.quantity_lots, command.order_type, command.time_in_force, command.header.flags,
            command.header.order_id,
        )  # fmt: skip
        assert order.client_order_id not in self.orders or not self.orders[order.client_order_id].is_open, "sent twice"
        self.orders[order.client_order_id] = order
        self.places.append(order)
        self.history.append(order)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.request_id = command.request_id
        answer(self, order)

    def _cancel(self, command: Any) -> None:
        order = self.orders.get(text_of(command.client_order_id))
        if order is None or not order.is_open:
            self.say_about(command, ReportKind.CANCEL_REJECT, reason=int(Reason.UNKNOWN_ORDER))
            return
        self.cancel(order)

    def _query(self, command: Any) -> None:
        name = text_of(command.client_order_id)
        order = self.orders.get(name)
        if not name:
            order = next((o for o in self.history if o.venue_order_id == command.venue_order_id), None)
        if order is None:
            self.say_about(command, ReportKind.ORDER_NOT_FOUND, reason=int(Reason.UNKNOWN_ORDER))
            return
        report = self._begin(ReportKind.ORDER_STATE, order, request_id=command.request_id)
        if report is not None:
            report.quantity_lots = order.quantity_lots
            report.price_ticks = order.price_ticks
            report.cumulative_lots = order.filled_lots
            report.order_status = order.status
            self.room.reports_out.commit(0)

    def _snapshot(self, command: Any) -> None:
        kind, venue, request = command.header.kind, command.venue, command.request_id
        if kind == CommandKind.OPEN_ORDERS:
            if venue in self.sessions:
                self.session(venue, flags=FLAG_REPLAYED)
            for order in list(self.orders.values()):
                if order.is_open and order.venue == venue:
                    report = self._begin(ReportKind.OPEN_ORDER, order, request_id=request)
                    report.quantity_lots = order.quantity_lots
                    report.price_ticks = order.price_ticks
                    report.cumulative_lots = order.filled_lots
                    self.room.reports_out.commit(0)
        elif kind == CommandKind.POSITIONS:
            for index, lots in self.positions.items():
                report = self._blank(ReportKind.POSITION, venue, request)
                report.header.instrument_index = index
                report.quantity_lots = lots
                self.room.reports_out.commit(0)
        elif kind == CommandKind.BALANCES:
            for (at, asset), amount in self.wallets.items():
                if at == venue and amount:
                    report = self._blank(ReportKind.BALANCE, venue, request)
                    put_text(report.asset, asset)
                    report.amount_e8 = amount
                    self.room.reports_out.commit(0)
        elif kind == CommandKind.FILLS_SINCE:
            for fill in self.fills:
                if fill.order.instrument_index == command.header.instrument_index and fill.trade_id > command.trade_id:
                    self._tell_fill(fill, request_id=request)
        report = self._blank(ReportKind.SNAPSHOT_END, venue, request)
        self.room.reports_out.commit(0)

    # ---- what the venue does

    def ack(self, order: FakeOrder) -> None:
        self.say(ReportKind.ACK, order, request_id=getattr(self, "request_id", 0))

    def fill(
        self, order: FakeOrder, lots: int, price_ticks: int = 0, is_free: bool = False,
        told: tuple[int, ...] = (int(ReportKind.FILL),),
    ) -> FakeFill:  # fmt: skip
        """Executes, books it in the venue's own books, tells: whole, and before that perhaps early without the fee."""
        instrument = INSTRUMENTS[order.instrument_index]
        top = self.room.tops[order.instrument_index]
        ticks = price_ticks or (top.ask_ticks if order.side > 0 else top.bid_ticks)
        self._trade_id += 1
        notional_e8 = instrument.notional_e8(ticks, lots)
        fee_e8 = 0 if is_free else notional_e8 * instrument.taker_fee_e8 // E8
        asset, realised_e8 = "" if is_free else "USDT", 0  # "N: will not push if no commission"
        if instrument.is_perpetual:
            realised_e8 = self._futures(order.instrument_index, order.side * lots, ticks)
            self._move(order.venue, "USDT", realised_e8 - fee_e8)
        else:
            base_e8 = instrument.base_e8(lots)
            self._move(order.venue, instrument.base_asset, order.side * base_e8)
            self._move(order.venue, "USDT", -order.side * notional_e8)
            if order.side > 0 and self.fee_asset_spot_buy == "base":
                asset, fee_e8 = instrument.base_asset, base_e8 * instrument.taker_fee_e8 // E8
            self._move(order.venue, asset, -fee_e8)
        order.filled_lots += lots
        order.status = int(OrderStatus.FILLED if order.filled_lots >= order.quantity_lots else OrderStatus.PARTIALLY_FILLED)
        fill = FakeFill(self._trade_id, order, ticks, lots, fee_e8, asset, realised_e8)
        self.fills.append(fill)
        for kind in told:
            self._tell_fill(fill, kind=kind)
        return fill

    def _futures(self, index: int, delta: int, ticks: int) -> int:
        instrument = INSTRUMENTS[index]
        lots, cost = self.positions.get(index, 0), self.cost_e8.get(index, 0)
        realised = 0
        if lots * delta < 0:
            closed = min(abs(delta), abs(lots))
            closed_cost = cost if closed == abs(lots) else cost * closed // abs(lots)
            sign = 1 if lots > 0 else -1
            realised = instrument.notional_e8(ticks, sign * closed) - closed_cost
            cost -= closed_cost
            lots -= sign * closed
            delta += sign * closed
        if delta:
            cost += instrument.notional_e8(ticks, delta)
            lots += delta
        self.positions[index], self.cost_e8[index] = lots, cost
        return realised

    def _move(self, venue: int, asset: str, amount_e8: int) -> None:
        self.wallets[(venue, asset)] = self.wallets.get((venue, asset), 0) + amount_e8

    def expire(self, order: FakeOrder) -> None:
        if order.is_open:
            order.status = int(OrderStatus.EXPIRED)
            self.say(ReportKind.EXPIRED, order)

    def cancel(self, order: FakeOrder) -> None:
        order.status = int(OrderStatus.CANCELLED)
        self.say(ReportKind.CANCELLED, order)

    def place_foreign(self, index: int, side: int, lots: int, ticks: int) -> FakeOrder:
        """Somebody else's order on the same account."""
        self._venue_order_id += 1
        order = FakeOrder(
            f"web_{self._venue_order_id}", self._venue_order_id, index, INSTRUMENTS[index].venue, side, ticks, lots, 0, 0, 0, 0
        )
        self.orders[order.client_order_id] = order
        self.history.append(order)
        return order

    # ---- reports

    def _tell_fill(self, fill: FakeFill, request_id: int = 0, kind: int = int(ReportKind.FILL)) -> None:
        order = fill.order
        report = self._begin(kind, order, request_id=request_id)
        if report is None:
            return
        if request_id:  # The venue's fill list carries its own order number only.
            report.header.order_id = 0
            put_text(report.client_order_id, "")
            report.header.flags = 0
        else:
            report.cumulative_lots = order.filled_lots
        report.trade_id = fill.trade_id
        report.price_ticks = fill.price_ticks
        report.quantity_lots = fill.quantity_lots
        if kind == ReportKind.FILL:
            report.fee_e8 = fill.fee_e8
            put_text(report.asset, fill.asset)
            report.amount_e8 = fill.realised_e8
        self.room.reports_out.commit(0)

    def tell_again(self, fill: FakeFill) -> None:
        """The same fill once more."""
        self._tell_fill(fill)

    def say(self, kind: int, order: FakeOrder, *, reason: int = 0, request_id: int = 0) -> None:
        report = self._begin(kind, order, request_id=request_id)
        if report is None:
            return
        report.reason = reason
        report.cumulative_lots = order.filled_lots
        self.room.reports_out.commit(0)

    def say_about(self, command: Any, kind: int, *, reason: int = 0) -> None:
        """A report about an order that the venue does not have."""
        report = self._blank(kind, command.venue, command.request_id)
        if report is None:
            return
        report.header.order_id = command.header.order_id
        report.header.instrument_index = command.header.instrument_index
        report.client_order_id = text_of(command.client_order_id).encode()
        report.venue_order_id = command.venue_order_id
        report.reason = reason
        self.room.reports_out.commit(0)

    def session(self, venue: int, is_up: bool = True, flags: int = 0) -> None:
        (self.sessions.add if is_up else self.sessions.discard)(venue)
        report = self._blank(ReportKind.SESSION_UP if is_up else ReportKind.SESSION_DOWN, venue, 0)
        report.header.flags = flags
        self.room.reports_out.commit(0)

    def funding(self, index: int, amount_e8: int, time_ms: int) -> None:
        self._move(INSTRUMENTS[index].venue, "USDT", amount_e8)
        report = self._blank(ReportKind.FUNDING, INSTRUMENTS[index].venue, 0)
        report.header.instrument_index = index
        put_text(report.asset, "USDT")
        report.amount_e8 = amount_e8
        report.venue_time_ms = time_ms
        self.room.reports_out.commit(0)

    def _begin(self, kind: int, order: FakeOrder, request_id: int = 0) -> Any:
        report = self._blank(kind, order.venue, request_id)
        if report is None:
            return None
        header = report.header
        header.instrument_index = order.instrument_index
        header.order_id = order.order_id
        header.flags = order.flags | (FLAG_OURS if self.ids.is_ours(order.client_order_id) else FLAG_FOREIGN)
        report.client_order_id = order.client_order_id.encode()
        report.venue_order_id = order.venue_order_id
        report.side = order.side
        report.order_type = order.order_type
        report.time_in_force = order.time_in_force
        return report

    def _blank(self, kind: int, venue: int, request_id: int) -> Any:
        if self.mute:
            return None
        report = self.room.reports_out.try_claim(0)
        assert report is not None, "the test's report ring is too small"
        clear(report, "report")
        report.header.kind = int(kind)
        report.header.instrument_index = NO_INSTRUMENT
        report.header.hedge_instrument_index = NO_INSTRUMENT
        report.header.pair_id = NO_PAIR
        report.header.stage_ns[Stage.ACK] = self.room.clock.monotonic_ns()
        report.venue = venue
        report.request_id = request_id
        return report


def test_parameters(**changes: Any) -> PrepostParameters:
    """One BTC pair, no cooldown, quick reconciliation."""
    risk = changes.pop("risk", {})
    pair = changes.pop("pair", {})
    settlement = changes.pop("settlement", {})
    return PrepostParameters(
        order_id_prefix="ct",
        pairs=(PairParameters(SPOT, PERP, **pair),),
        risk=RiskParameters(**{"cooldown_s": 0.0, **risk}),
        settlement=SettlementParameters(**settlement),
        orders_max=64,
        closed_orders_kept_max=64,
        **changes,
    )


test_parameters.__test__ = False  # type: ignore[attr-defined]


class Room:
    """PrepostRole between heap rings, a manual clock, and FakeVenue."""

    def __init__(
        self,
        parameters: PrepostParameters | None = None,
        history: History | None = None,
        venue: FakeVenue | None = None,
        clock: ManualClock | None = None,
        commands: int = 1024,
        journal: int = 4096,
    ) -> None:
        self.clock = clock or ManualClock()
        self.parameters = parameters or test_parameters()
        self.events_out, self.events = heap_ring(256, SIZE["event"], VIEW["event"])
        self.reports_out, self.reports = heap_ring(4096, SIZE["report"], VIEW["report"])
        self.commands_out, self.commands_in = heap_ring(commands, SIZE["command"], VIEW["command"])
        self.responses_out, self.responses_in = heap_ring(1024, SIZE["response"], VIEW["response"])
        self.strategy_out, self.strategy_in = heap_ring(256, SIZE["response"], VIEW["response"])
        self.journal_out, self.journal_in = heap_ring(journal, SIZE["journal"], VIEW["journal"])
        self.control_out, self.control_in = heap_ring(64, SIZE["control"], VIEW["control"])
        self.rows_out, self.rows = heap_rows(len(INSTRUMENTS), SIZE["position"], VIEW["position"])
        self.risk_out, self.risk_row = heap_rows(1, SIZE["risk"], VIEW["risk"])
        self.tops = [new("book_top") for _ in INSTRUMENTS]
        self.collector_lives = True
        self.collector_hears = True  # a trigger of the user looks at what becomes of orders
        self.collector_hedges = True  # the collector turns HEDGE_REQUIRED into EVENT_HEDGE
        self.responses: list[Any] = []
        self.strategy_responses: list[Any] = []
        self.journal: list[Any] = []
        self.checkpoints: list[str] = []
        self.log = ListLog()
        self.metrics = Metrics()
        self.loaded: dict[int, Callable[[], PrepostParameters]] = {}
        self.venue = venue or FakeVenue(self, ClientIds(self.parameters.order_id_prefix))
        self.venue.room = self
        self.top(SPOT, 6_500_000, 6_500_001)
        self.top(PERP, 650_500, 650_501)
        self.top(ETH_SPOT, 350_000, 350_001)
        self.top(ETH_PERP, 35_010, 35_011)
        ports = PrepostPorts(
            instruments=INSTRUMENTS, clock=self.clock, metrics=self.metrics, log=self.log, events=self.events,
            reports=self.reports, commands=self.commands_out, journal=self.journal_out, positions=self.rows_out,
            risk=self.risk_out, tops=lambda index: self.tops[index], collector_alive=lambda now_ns: self.collector_lives,
            collector_hears=lambda: self.collector_hears,
            control=self.control_in, responses=self.responses_out, strategy_responses=[self.strategy_out],
            history=history or History(epoch=7), keep_checkpoint=self.checkpoints.append,
            load_parameters=lambda generation: self.loaded[generation](),
        )  # fmt: skip
        self.role = PrepostRole(self.parameters, ports)
        self.desk = self.role.desk
        self.role.on_start(self.clock.monotonic_ns())

    # ---- the world around

    def top(self, index: int, bid: int, ask: int) -> None:
        """A new book top."""
        top = self.tops[index]
        top.bid_ticks, top.ask_ticks = bid, ask
        top.receive_ns = self.clock.monotonic_ns()
        top.is_synchronised = 1

    def refresh_tops(self) -> None:
        """The feeds are alive: every top is from now."""
        for top in self.tops:
            top.receive_ns = self.clock.monotonic_ns()

    def turn(self, count: int = 1, ms: float = 1.0) -> None:
        """Everybody has `count` passes, `ms` apart."""
        for _ in range(count):
            self.role.do_work(self.clock.monotonic_ns())
            self._collect()
            self.venue.read()
            self.clock.advance(int(ms * MS))

    def settle(self, ms_max: float = 5_000.0, feeds: bool = True) -> None:
        """Turns until nothing is on the way any more."""
        quiet = 0
        for _ in range(int(ms_max)):
            if feeds:
                self.refresh_tops()
            before = (len(self.venue.commands), len(self.responses))
            self.turn()
            quiet = quiet + 1 if before == (len(self.venue.commands), len(self.responses)) else 0
            if quiet > 5:
                return

    def run(self, ms: float, step_ms: float = 5.0, feeds: bool = True) -> None:
        """Time passes."""
        for _ in range(int(ms / step_ms)):
            if feeds:
                self.refresh_tops()
            self.turn(1, step_ms)

    def _collect(self) -> None:
        for lane in (1, 0):
            self._take(self.responses_in, lane, "response", self.responses)
            self._take(self.strategy_in, lane, "response", self.strategy_responses)
        self._take(self.journal_in, 0, "journal", self.journal)
        while self.responses and self.collector_hedges:
            seen = getattr(self, "_seen", 0)
            if seen >= len(self.responses):
                break
            response = self.responses[seen]
            self._seen = seen + 1
            if response.header.kind == ResponseKind.HEDGE_REQUIRED and self.collector_lives:
                self.hedge_event(response.quantity_lots, signal_id=response.header.signal_id)

    def _take(self, ring: Any, lane: int, name: str, into: list[Any]) -> None:
        message = ring.try_peek(lane)
        while message is not None:
            kept = new(name)
            kept[0] = message[0]
            into.append(kept)
            message = ring.try_peek(lane)
        ring.release(lane)

    # ---- what comes in

    def event(self, kind: int, index: int = SPOT, hedge: int = PERP, lane: int = 0, **fields: Any) -> None:
        """One event of the collector, made from a signal that has just come."""
        event = self.events_out.try_claim(lane)
        assert event is not None, "the test's event ring is too small"
        clear(event, "event")
        header = event.header
        header.kind = int(kind)
        header.instrument_index = index
        header.hedge_instrument_index = hedge
        header.pair_id = fields.pop("pair_id", 0 if hedge != NO_INSTRUMENT else NO_PAIR)
        header.flags = fields.pop("flags", 0)
        header.signal_id = fields.pop("signal_id", 1 << 48 | 42)
        now_ns = self.clock.monotonic_ns()
        header.stage_ns[Stage.RECEIVE] = now_ns - int(fields.pop("age_ms", 0.05) * MS)
        header.stage_ns[Stage.EVENT] = now_ns
        quotes = fields.pop("quotes", ())
        for position, (price, lots) in enumerate(quotes):
            event.quotes[position].price_ticks = price
            event.quotes[position].quantity_lots = lots
        event.quote_count = len(quotes)
        for name, value in fields.items():
            setattr(event, name, int(value))
        self.events_out.commit(lane)

    def open(self, direction: int = -1, **fields: Any) -> None:
        self.event(EventKind.OPEN, direction=direction, **fields)

    def close(self, reason: int = 1, **fields: Any) -> None:
        self.event(EventKind.CLOSE, lane=1, reason=reason, **fields)

    def hedge_event(self, lots: int, **fields: Any) -> None:
        self.event(EventKind.HEDGE, lane=1, side=1 if lots > 0 else -1, quantity_lots=abs(lots), **fields)

    def order(
        self, side: int, lots: int, ticks: int, index: int = SPOT, tif: int = int(TimeInForce.GTC), **fields: Any
    ) -> None:
        self.event(
            EventKind.ORDER, index, NO_INSTRUMENT, side=side, quantity_lots=lots, price_ticks=ticks,
            order_type=int(OrderType.LIMIT), time_in_force=tif, **fields,
        )  # fmt: skip

    def control(self, kind: int, generation: int = 0) -> None:
        message = self.control_out.try_claim(0)
        clear(message, "control")
        message.header.kind = int(kind)
        message.header.sequence = self.control_out.sequence(0)
        message.generation = generation
        put_text(message.text, "test")
        self.control_out.commit(0)

    def start_trading(self) -> None:
        """Sessions come up and the books agree."""
        self.venue.session(int(Venue.BINANCE_SPOT))
        self.venue.session(int(Venue.BINANCE_USDM))
        self.run(2_000)
        assert self.desk.is_reconciled, [entry for entry in self.log.records if entry[0] >= 30]

    # ---- what must be true

    def check_books(self) -> None:
        """At rest: our positions and balances are the venue's to the last unit, and no quota is out."""
        desk = self.desk
        for index, lots in self.venue.positions.items():
            ours = desk.positions[index].base_e8 + desk.foreign_base_e8[index]
            assert ours == INSTRUMENTS[index].base_e8(lots), f"position of {index}"
        for (venue, asset), amount in self.venue.wallets.items():
            assert desk.balances.expected_e8(venue, asset) == amount, f"balance of {asset} on {venue}"
        if not desk.orders.unsettled:
            for quota in desk.quota.of:
                assert (quota.buy_lots, quota.sell_lots, quota.capital_e8, quota.pending_orders) == (0, 0, 0, 0), "quota is out"
        assert desk.quota.double_returns == 0, "quota was returned twice"
        booked = sorted(fill.trade_id for fill in self.venue.fills if self.venue.ids.is_ours(fill.order.client_order_id))
        assert desk.fills_booked == len(booked), "every fill is booked once"

    def kinds(self, kind: int) -> list[Any]:
        """Responses of one kind."""
        return [response for response in self.responses if response.header.kind == kind]

    def refusals(self) -> list[int]:
        return [response.reason for response in self.kinds(ResponseKind.REFUSED)]

    def stop(self, flatten: bool = False) -> None:
        if flatten:
            self.control(ControlKind.FLATTEN)
        self.control(ControlKind.STOP)
