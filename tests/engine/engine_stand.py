"""An engine on a stand: heap rings, a manual clock, a network in memory; the test plays prepost and the venues."""

from typing import Any

from engine_network import FakeConnection, FakeNetwork

from reactor.domain.ids import ClientIds, order_id_of
from reactor.domain.instrument import Instrument, Instruments
from reactor.domain.messages import (
    NO_INSTRUMENT,
    NO_PAIR,
    SIZE,
    VIEW,
    CommandKind,
    OrderType,
    ReportKind,
    Stage,
    TimeInForce,
    Venue,
    clear,
    copy,
    new,
    put_text,
    text_of,
)
from reactor.engine.counters import Counter
from reactor.engine.parameters import ConnectionParameters, RouterParameters
from reactor.engine.role import EngineParameters, EnginePorts, EngineRole
from reactor.exchanges.binance.rules import endpoints_at
from reactor.exchanges.venue import Credentials
from reactor.loop.clock import ManualClock
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog
from shm.ring import NORMAL, URGENT, heap_ring

MS = 1_000_000
SPOT, USDM = int(Venue.BINANCE_SPOT), int(Venue.BINANCE_USDM)
IDS = ClientIds("ct")
GREETINGS = ("session.logon", "userDataStream.subscribe")
TIME_PATHS = ("/api/v3/time", "/fapi/v1/time")
OPEN_ORDERS = {SPOT: "/api/v3/openOrders", USDM: "/fapi/v1/openOrders"}


def instruments() -> Instruments:
    common: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "base_asset": "BTC",
        "quote_asset": "USDT",
        "tick_size": 1,
        "lot_size": 1,
        "quantity_lots_min": 1,
        "quantity_lots_max": 10**9,
        "market_quantity_lots_max": 10**9,
        "price_ticks_min": 1,
        "price_ticks_max": 10**12,
        "notional_min_e8": 5 * 10**8,
        "maker_fee_e8": 0,
        "taker_fee_e8": 0,
    }
    spot = Instrument(instrument_index=0, venue=SPOT, price_decimals=2, quantity_decimals=5, **common)
    perpetual = Instrument(instrument_index=1, venue=USDM, price_decimals=1, quantity_decimals=3, is_perpetual=True, **common)
    return Instruments([spot, perpetual])


class Stand:
    """See the module."""

    def __init__(
        self,
        router: RouterParameters | None = None,
        connections: ConnectionParameters | None = None,
        report_slots: int = 1024,
        credentials: Credentials | None = None,
        rings: tuple[Any, Any] | None = None,
        **parameters: Any,
    ) -> None:
        self.clock = ManualClock()
        self.network = FakeNetwork(self.clock)
        for path in TIME_PATHS:
            self.network.automatic["GET", path] = lambda asked: {"serverTime": self.clock.realtime_ns() // MS}
        self.network.automatic["POST", "/fapi/v1/listenKey"] = {"listenKey": "KEY"}
        self.network.automatic["PUT", "/fapi/v1/listenKey"] = {"listenKey": "KEY"}
        self.commands, consumer = rings or heap_ring(1024, SIZE["command"], VIEW["command"])
        producer, self.reports = heap_ring(report_slots, SIZE["report"], VIEW["report"])
        self.is_prepost_alive = True
        self.metrics = Metrics()
        self.log = ListLog()
        key = credentials or Credentials("k" * 64, "s" * 64)
        self.role = EngineRole(
            EngineParameters(
                endpoints=(endpoints_at(SPOT, "http://spot"), endpoints_at(USDM, "http://usdm")),
                order_id_prefix="ct",
                source=9,
                router=router or RouterParameters(),
                connections=connections or ConnectionParameters(),
                **parameters,
            ),
            EnginePorts(
                commands=consumer,
                reports=producer,
                network=self.network,
                prepost_alive=lambda now_ns: self.is_prepost_alive,
                credentials={SPOT: key, USDM: key},
                instruments=instruments(),
                clock=self.clock,
                metrics=self.metrics,
                log=self.log,
                uniform=lambda: 0.5,
            ),
        )
        self._requests = 0
        self._numbers = 0

    # time

    def work(self) -> int:
        return self.role.do_work(self.clock.monotonic_ns())

    def pass_time(self, ms: float) -> None:
        """Advances the clock in ticks of 5 ms at most, with a pass at each."""
        left = int(ms * MS)
        while left > 0:
            step = min(left, 5 * MS)
            self.clock.advance(step)
            left -= step
            self.work()

    def jump(self, ms: float) -> None:
        """Advances the clock at once, with one pass at the end: nobody pings or answers in between."""
        self.clock.advance(int(ms * MS))
        self.work()

    def bring_up(self) -> None:
        self.role.on_start(self.clock.monotonic_ns())
        for _ in range(6):
            self.open_all()
            self.pass_time(5)
        assert self.role.is_ready(), self.log.records
        self.reports_now()

    def open_all(self) -> None:
        """The venues accept every connection, logon and subscription that waits."""
        for connection in self.network.live():
            if not connection.is_open:
                connection.open()
            while greetings := [request for request in connection.requests() if request["method"].startswith(GREETINGS)]:
                connection.sent.clear()
                for request in greetings:
                    connection.say({"id": request["id"], "status": 200, "result": {"subscriptionId": 0}})

    # venues

    def order_sessions(self, venue: int) -> list[FakeConnection]:
        part = "ws://spot/ws-api/v3?" if venue == SPOT else "ws://usdm/ws-fapi/v1?"
        return [connection for connection in self.network.live(part) if connection.is_open]

    def user_stream(self, venue: int) -> FakeConnection:
        part = "/private/ws/" if venue == USDM else "ws://spot/ws-api/v3"
        return next(c for c in self.network.live(part) if c.is_open and (venue == USDM or c.url.endswith("/v3")))

    def sent(self, venue: int) -> list[tuple[FakeConnection, dict[str, Any]]]:
        """Every request on order sessions not yet taken, with who carried it; takes them."""
        found = [(c, request) for c in self.order_sessions(venue) for request in c.requests()]
        for connection in self.order_sessions(venue):
            connection.sent.clear()
        return found

    # prepost

    def command(self, kind: Any, venue: int, lane: int = NORMAL, **fields: Any) -> Any:
        """Queues a command; returns its request id."""
        command = self.commands.try_claim(lane)
        assert command is not None
        clear(command, "command")
        self._requests += 1
        header = command.header
        header.sequence = self.commands.sequence(lane)
        header.kind = kind
        header.instrument_index = fields.pop("instrument_index", 0 if venue == SPOT else 1)
        header.hedge_instrument_index = NO_INSTRUMENT
        header.pair_id = NO_PAIR
        header.flags = fields.pop("flags", 0)
        header.signal_id = 77
        header.stage_ns[Stage.RECEIVE] = self.clock.monotonic_ns() - 50_000
        header.order_id = fields.pop("order_id", 0)
        command.venue = venue
        command.request_id = self._requests
        put_text(command.client_order_id, fields.pop("client_order_id", ""))
        for name, value in fields.items():
            setattr(command, name, value)
        self.commands.commit(lane)
        return self._requests

    def place(self, venue: int, lane: int = NORMAL, **fields: Any) -> str:
        """Queues a place (a limit buy unless told otherwise); returns its client order id."""
        self._numbers += 1
        order_id = order_id_of(1, self._numbers)
        client_order_id = IDS.client_order_id(order_id)
        values: dict[str, Any] = {
            "side": 1,
            "order_type": int(OrderType.LIMIT),
            "time_in_force": int(TimeInForce.GTC),
            "price_ticks": 6_123_456,
            "quantity_lots": 123,
        }
        self.command(CommandKind.PLACE, venue, lane, order_id=order_id, client_order_id=client_order_id, **{**values, **fields})
        return client_order_id

    def cancel(self, venue: int, client_order_id: str, **fields: Any) -> int:
        """Queues an urgent cancel."""
        order_id = IDS.order_id(client_order_id)
        return int(
            self.command(CommandKind.CANCEL, venue, URGENT, order_id=order_id, client_order_id=client_order_id, **fields)
        )

    def query(self, venue: int, client_order_id: str, **fields: Any) -> int:
        order_id = IDS.order_id(client_order_id)
        return int(self.command(CommandKind.QUERY, venue, URGENT, order_id=order_id, client_order_id=client_order_id, **fields))

    def reports_now(self) -> list[Any]:
        """Every report that has come, copied and taken."""
        taken = []
        while (report := self.reports.try_peek(NORMAL)) is not None:
            kept = new("report")
            copy(kept, report, "report")
            taken.append(kept)
            self.reports.release(NORMAL)
        return taken

    def kinds(self) -> list[str]:
        """The kinds of the reports that have come."""
        return [ReportKind(report.header.kind).name for report in self.reports_now()]

    def counted(self, counter: Counter) -> int:
        return self.metrics.get(counter)


def ack(request: dict[str, Any], venue_order_id: int = 28) -> dict[str, Any]:
    """A spot place's ACK answer."""
    params = request["params"]
    result = {"symbol": params["symbol"], "orderId": venue_order_id, "orderListId": -1}
    result |= {"clientOrderId": params["newClientOrderId"], "transactTime": 1_700_000_000_123}
    return {"id": request["id"], "status": 200, "result": result}


def order_row(client_order_id: str, status: str, executed: str = "0.00000", **fields: Any) -> dict[str, Any]:
    """A spot order as query, cancel and open-orders answers show it."""
    row = {"symbol": "BTCUSDT", "orderId": 28, "clientOrderId": client_order_id, "price": "61234.56", "origQty": "0.00123"}
    row |= {"executedQty": executed, "status": status, "timeInForce": "GTC", "type": "LIMIT", "side": "BUY", "updateTime": 5}
    return row | fields


def refusal(request: dict[str, Any], code: int, text: str, status: int = 400) -> dict[str, Any]:
    """An error answer."""
    return {"id": request["id"], "status": status, "error": {"code": code, "msg": text}}


def name_of(report: Any) -> str:
    return text_of(report.client_order_id)


def execution(client_order_id: str, execution_type: str, **fields: Any) -> dict[str, Any]:
    """A spot order's event on the user stream."""
    event = {"e": "executionReport", "E": 1_700_000_000_500, "s": "BTCUSDT", "c": client_order_id, "S": "BUY", "o": "LIMIT"}
    event |= {"f": "GTC", "q": "0.00123000", "p": "61234.56000000", "C": "", "x": execution_type, "X": execution_type}
    event |= {"r": "NONE", "i": 28, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None}
    event |= {"T": 1_700_000_000_499, "t": -1, "m": False}
    return {"subscriptionId": 0, "event": event | fields}


def placed(stand: Stand, venue: int = SPOT) -> str:
    """The client id of an order that the venue has acknowledged."""
    client_order_id = stand.place(venue)
    stand.work()
    [(connection, request)] = stand.sent(venue)
    connection.say(ack(request))
    stand.reports_now()
    return client_order_id
