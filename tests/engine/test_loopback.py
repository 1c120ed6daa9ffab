"""The engine against the simulated exchange over loopback: real sockets, real signatures, the venue's own rules."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from engine_stand import IDS, SPOT, USDM, name_of

from reactor.domain.ids import order_id_of
from reactor.domain.instrument import Instruments
from reactor.domain.messages import (
    FLAG_REDUCE_ONLY,
    NO_INSTRUMENT,
    NO_PAIR,
    SIZE,
    VIEW,
    CommandKind,
    OrderStatus,
    OrderType,
    Reason,
    ReportKind,
    TimeInForce,
    clear,
    copy,
    new,
    put_text,
    text_of,
)
from reactor.engine.counters import Counter
from reactor.engine.role import EngineParameters, EnginePorts, EngineRole
from reactor.exchanges.binance.rules import LINES, endpoints_at, exchange_info_url, read_exchange_info
from reactor.exchanges.venue import Credentials
from reactor.loop.clock import SystemClock
from reactor.loop.counters import Metrics
from reactor.loop.log import ListLog, NullLog
from reactor.net.network import Request, Response
from reactor.net.session import UvloopNetwork
from reactor.sim.faces.signatures import DEFAULT_PRIVATE_PEM
from reactor.sim.generator import GeneratorParameters
from reactor.sim.parameters import SimParameters
from reactor.sim.server import SimServer
from shm.ring import NORMAL, URGENT, heap_ring

WAIT_S = 20.0
HMAC = Credentials("test-key", "test-secret")
ED25519 = Credentials("test-key-ed25519", DEFAULT_PRIVATE_PEM)


class Live:
    """One engine on a running loop, connected to one simulated exchange."""

    def __init__(self, server: SimServer, credentials: Credentials) -> None:
        self.server = server
        self._credentials = credentials
        self._loop = asyncio.get_running_loop()
        self._is_scheduled = False
        self.network = UvloopNetwork(self._loop, self._on_error, on_activity=self._soon)
        self.errors: list[BaseException] = []
        self.reports: list[Any] = []
        self.log = ListLog()
        self.metrics = Metrics()
        self._numbers = 0
        self._requests = 0

    async def start(self) -> None:
        endpoints = (
            endpoints_at(SPOT, f"http://127.0.0.1:{self.server.spot_port}"),
            endpoints_at(USDM, f"http://127.0.0.1:{self.server.usdm_port}"),
        )
        rows: list[Any] = []
        limits = []
        for at in endpoints:
            body = await self._get(exchange_info_url(LINES[at.venue], at))
            info = read_exchange_info(LINES[at.venue], body, ["BTCUSDT"], len(rows))
            assert info.instruments, info
            rows += info.instruments
            limits.append((at.venue, info.rate_limits))
        self.instruments = Instruments(rows)
        self.commands, consumer = heap_ring(1024, SIZE["command"], VIEW["command"])
        producer, self._reports = heap_ring(4096, SIZE["report"], VIEW["report"])
        self.role = EngineRole(
            EngineParameters(endpoints=endpoints, order_id_prefix="ct", rate_limits=tuple(limits)),
            EnginePorts(
                consumer,
                producer,
                self.network,
                lambda now_ns: True,
                {SPOT: self._credentials, USDM: self._credentials},
                self.instruments,
                SystemClock(),
                self.metrics,
                self.log,
            ),
        )
        self.role.on_start(SystemClock.monotonic_ns())
        await self.until(self.role.is_ready)

    async def stop(self) -> None:
        self.role.on_stop(SystemClock.monotonic_ns())
        await self.network.close()
        assert self.errors == []

    async def _get(self, url: str) -> bytes:
        answer: asyncio.Future[Response] = self._loop.create_future()
        self.network.request(Request("GET", url), answer.set_result)
        return (await answer).body

    def _on_error(self, error: BaseException, where: str) -> None:
        self.errors.append(error)

    def _soon(self) -> None:
        if not self._is_scheduled and hasattr(self, "role"):
            self._is_scheduled = True
            self._loop.call_soon(self.work)

    def work(self) -> None:
        self._is_scheduled = False
        self.role.do_work(SystemClock.monotonic_ns())
        while (report := self._reports.try_peek(NORMAL)) is not None:
            kept = new("report")
            copy(kept, report, "report")
            self.reports.append(kept)
            self._reports.release(NORMAL)

    async def until(self, condition: Callable[[], Any]) -> Any:
        for _ in range(int(WAIT_S / 0.002)):
            self.work()
            found = condition()
            if found:
                return found
            await asyncio.sleep(0.002)
        raise AssertionError(
            f"not within {WAIT_S} s; reports {self.kinds()}; log {self.log.records[-5:]}; errors {self.errors}"
        )

    def kinds(self) -> list[str]:
        return [ReportKind(report.header.kind).name for report in self.reports]

    async def report(self, kind: Any, client_order_id: str = "", request_id: int = 0) -> Any:
        """The first report of a kind about an order or a request; waits for it."""

        def find() -> Any:
            for report in self.reports:
                if report.header.kind == kind and (
                    (client_order_id and name_of(report) == client_order_id) or (request_id and report.request_id == request_id)
                ):
                    return report
            return None

        return await self.until(find)

    def command(self, kind: Any, venue: int, lane: int = NORMAL, order_id: int = 0, flags: int = 0, **fields: Any) -> int:
        command = self.commands.try_claim(lane)
        clear(command, "command")
        self._requests += 1
        command.header.kind = kind
        command.header.instrument_index = 0 if venue == SPOT else 1
        command.header.hedge_instrument_index = NO_INSTRUMENT
        command.header.pair_id = NO_PAIR
        command.header.order_id = order_id
        command.header.flags = flags
        command.venue = venue
        command.request_id = self._requests
        if order_id:
            put_text(command.client_order_id, IDS.client_order_id(order_id))
        for name, value in fields.items():
            setattr(command, name, value)
        self.commands.commit(lane)
        return self._requests

    def place(self, venue: int, side: int, quantity: str, price: str = "", tif: Any = TimeInForce.GTC, flags: int = 0) -> str:
        self._numbers += 1
        order_id = order_id_of(1, self._numbers)
        instrument = self.instruments[0 if venue == SPOT else 1]
        self.command(
            CommandKind.PLACE,
            venue,
            order_id=order_id,
            flags=flags,
            side=side,
            order_type=int(OrderType.LIMIT if price else OrderType.MARKET),
            time_in_force=int(tif),
            price_ticks=instrument.price_ticks(price) if price else 0,
            quantity_lots=instrument.quantity_lots(quantity),
        )
        return IDS.client_order_id(order_id)

    async def far_price(self, venue: int) -> str:
        """A buy price that rests: 3 % under the market."""
        base = f"http://127.0.0.1:{self.server.spot_port if venue == SPOT else self.server.usdm_port}"
        path = "/api/v3/ticker/bookTicker" if venue == SPOT else "/fapi/v1/ticker/bookTicker"
        import orjson

        bid = float(orjson.loads(await self._get(f"{base}{path}?symbol=BTCUSDT"))["bidPrice"])
        return f"{int(bid * 0.97)}"


def on_the_exchange(body: Callable[[Live], Awaitable[None]], credentials: Credentials = HMAC) -> None:
    async def main() -> None:
        server = SimServer(SimParameters(port=0, generator=GeneratorParameters(density=0.05)), NullLog())
        await server.start()
        live = Live(server, credentials)
        try:
            await live.start()
            await body(live)
            await live.stop()
        finally:
            await server.stop()
            await live.network.close()
        assert server.counters.faults_of_ours == 0

    uvloop.run(main())


@pytest.mark.parametrize("credentials", [HMAC, ED25519], ids=["hmac", "ed25519-logon"])
@pytest.mark.parametrize("venue", [SPOT, USDM], ids=["spot", "usdm"])
def test_an_order_rests_is_queried_and_cancelled(venue: int, credentials: Credentials) -> None:
    async def body(live: Live) -> None:
        client_order_id = live.place(venue, 1, "0.01", await live.far_price(venue))
        ack = await live.report(ReportKind.ACK, client_order_id)
        assert ack.venue_order_id
        order_id = IDS.order_id(client_order_id)
        request = live.command(CommandKind.QUERY, venue, URGENT, order_id=order_id)
        state = await live.report(ReportKind.ORDER_STATE, request_id=request)
        assert (state.order_status, state.cumulative_lots) == (OrderStatus.NEW, 0)
        request = live.command(CommandKind.OPEN_ORDERS, venue)
        end = await live.report(ReportKind.SNAPSHOT_END, request_id=request)
        assert (end.row_count, end.reason) == (1, Reason.NONE)
        request = live.command(CommandKind.CANCEL, venue, URGENT, order_id=order_id)
        cancelled = await live.report(ReportKind.CANCELLED, client_order_id)
        assert cancelled.header.order_id == order_id
        request = live.command(CommandKind.QUERY, venue, URGENT, order_id=order_id)
        state = await live.report(ReportKind.ORDER_STATE, request_id=request)
        assert state.order_status == OrderStatus.CANCELLED
        assert name_of(state) == client_order_id
        assert live.metrics.get(Counter.FRAMES_MALFORMED) == 0
        assert live.metrics.get(Counter.USER_EVENTS_UNKNOWN) == 0

    on_the_exchange(body, credentials)


@pytest.mark.parametrize("venue", [SPOT, USDM], ids=["spot", "usdm"])
def test_a_market_order_fills_and_the_account_agrees(venue: int) -> None:
    async def body(live: Live) -> None:
        client_order_id = live.place(venue, 1, "0.02")
        await live.report(ReportKind.ACK, client_order_id)
        lots = live.instruments[0 if venue == SPOT else 1].quantity_lots("0.02")

        def fills() -> list[Any]:
            return [r for r in live.reports if r.header.kind == ReportKind.FILL and name_of(r) == client_order_id]

        await live.until(lambda: sum(r.quantity_lots for r in fills()) == lots)
        assert fills()[-1].cumulative_lots == lots
        assert all(r.fee_e8 > 0 and r.trade_id for r in fills())
        assert text_of(fills()[0].asset) == ("BTC" if venue == SPOT else "USDT")
        booked = sorted(r.trade_id for r in fills())
        request = live.command(CommandKind.FILLS_SINCE, venue, trade_id=booked[0] - 1)
        await live.report(ReportKind.SNAPSHOT_END, request_id=request)
        again = [r for r in live.reports if r.header.kind == ReportKind.FILL and r.request_id == request]
        assert sorted(r.trade_id for r in again) == booked
        assert {name_of(r) for r in again} == {client_order_id}
        request = live.command(CommandKind.BALANCES, venue)
        end = await live.report(ReportKind.SNAPSHOT_END, request_id=request)
        assert end.reason == Reason.NONE
        assert end.row_count >= 1
        request = live.command(CommandKind.POSITIONS, venue)
        await live.report(ReportKind.SNAPSHOT_END, request_id=request)
        rows = [r.quantity_lots for r in live.reports if r.header.kind == ReportKind.POSITION and r.request_id == request]
        assert rows == ([] if venue == SPOT else [lots])
        request = live.command(CommandKind.FUNDING_SINCE, venue, since_ms=1)
        end = await live.report(ReportKind.SNAPSHOT_END, request_id=request)
        assert end.reason == Reason.NONE
        if venue == USDM:
            close = live.place(venue, -1, "0.02", flags=FLAG_REDUCE_ONLY)
            await live.until(
                lambda: (
                    lots
                    == sum(r.quantity_lots for r in live.reports if r.header.kind == ReportKind.FILL and name_of(r) == close)
                )
            )
            again_close = live.place(venue, -1, "0.02", flags=FLAG_REDUCE_ONLY)
            reject = await live.report(ReportKind.REJECT, again_close)
            assert reject.reason == Reason.REDUCE_ONLY
        assert live.metrics.get(Counter.FRAMES_MALFORMED) == 0

    on_the_exchange(body)


@pytest.mark.parametrize("venue", [SPOT, USDM], ids=["spot", "usdm"])
def test_the_venues_refusals_have_their_reasons(venue: int) -> None:
    async def body(live: Live) -> None:
        price = await live.far_price(venue)
        high = f"{int(float(price) * 1.04)}"
        cases = [
            (live.place(venue, 1, "0.01", high, TimeInForce.POST_ONLY), Reason.POST_ONLY_WOULD_TAKE),
            (live.place(venue, 1, "90", price), Reason.INSUFFICIENT_BALANCE),
        ]
        for client_order_id, reason in cases:
            report = await live.report(ReportKind.REJECT, client_order_id)
            assert report.reason == reason, text_of(report.text)
        client_order_id = live.place(venue, 1, "0.01", f"{int(float(price) * 1.06)}", TimeInForce.IOC)
        await live.until(
            lambda: [r for r in live.reports if r.header.kind == ReportKind.FILL and name_of(r) == client_order_id]
        )
        killed = live.place(venue, 1, "0.01", price, TimeInForce.IOC)
        await live.report(ReportKind.EXPIRED, killed)
        request = live.command(CommandKind.QUERY, venue, URGENT, order_id=order_id_of(1, 9999))
        await live.report(ReportKind.ORDER_NOT_FOUND, request_id=request)
        request = live.command(CommandKind.CANCEL, venue, URGENT, order_id=order_id_of(1, 9999))
        await live.report(ReportKind.CANCEL_REJECT, request_id=request)

    on_the_exchange(body)


@pytest.mark.parametrize("venue", [SPOT, USDM], ids=["spot", "usdm"])
def test_cancel_all_ours_leaves_nothing_of_ours(venue: int) -> None:
    async def body(live: Live) -> None:
        price = await live.far_price(venue)
        placed = [live.place(venue, 1, "0.01", price) for _ in range(5)]
        for client_order_id in placed:
            await live.report(ReportKind.ACK, client_order_id)
        request = live.command(CommandKind.CANCEL_ALL_OURS, venue, URGENT)
        end = await live.report(ReportKind.SNAPSHOT_END, request_id=request)
        assert (end.row_count, end.reason) == (5, Reason.NONE)
        for client_order_id in placed:
            await live.report(ReportKind.CANCELLED, client_order_id)
        request = live.command(CommandKind.OPEN_ORDERS, venue)
        end = await live.report(ReportKind.SNAPSHOT_END, request_id=request)
        assert end.row_count == 0

    on_the_exchange(body)


def test_after_every_connection_was_cut_it_comes_back_and_trades() -> None:
    async def body(live: Live) -> None:
        for sender in list(live.server._senders):
            sender.close(1001, "cut")
        await live.until(lambda: live.kinds().count("SESSION_DOWN") == 2)
        await live.until(lambda: live.kinds().count("SESSION_UP") == 4)
        client_order_id = live.place(USDM, 1, "0.01", await live.far_price(USDM))
        await live.report(ReportKind.ACK, client_order_id)

    on_the_exchange(body)


def test_a_wrong_key_is_said_in_the_log_and_never_becomes_ready() -> None:
    async def main() -> None:
        server = SimServer(SimParameters(port=0, generator=GeneratorParameters(density=0.05)), NullLog())
        await server.start()
        live = Live(server, Credentials("wrong-key", "wrong"))
        start = asyncio.ensure_future(live.start())
        try:
            for _ in range(500):
                await asyncio.sleep(0.01)
                if any("refused" in text or "listen key" in text for _, text, _ in live.log.records):
                    break
            texts = [(text, fields) for _, text, fields in live.log.records]
            assert any(fields.get("code") in (-2015, -2014, -2008) for _, fields in texts), texts
            assert not live.role.is_ready()
        finally:
            start.cancel()
            await live.network.close()
            await server.stop()

    uvloop.run(main())
