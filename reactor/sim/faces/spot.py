"""Binance Spot's face: REST, WebSocket API, market streams and user events over one core."""

from collections.abc import Mapping
from typing import Final

import orjson

from reactor.sim.events import DepositEvent, OrderEvent, SpotBalanceEvent
from reactor.sim.faces import spot_private as private
from reactor.sim.faces.api import HTML, Endpoint
from reactor.sim.faces.face import FaceParameters, Heartbeat
from reactor.sim.faces.front import Front, FrontLine, stream_names
from reactor.sim.faces.limits import MAKER_FILL_GIVES_BACK, SPOT_LIMITS, TAKER_FILL_GIVES_BACK
from reactor.sim.faces.message_api import UserSubscriptions
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import HttpRequest, HttpResponse
from reactor.sim.faces.spot_account import SpotAccount
from reactor.sim.faces.spot_market import SpotMarket
from reactor.sim.faces.spot_streams import SpotStreams
from reactor.sim.faces.streams import Frame, Socket
from reactor.sim.faults import FaultPlan
from reactor.sim.venue import VenueCore

SECOND_NS: Final = 1_000_000_000
_PAGE: Final = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
_GONE: Final = _PAGE.format("410 Gone").encode()
_NOT_FOUND: Final = _PAGE.format("404 Not Found").encode()
METHODS: Final = {
    "ping": "GET ping",
    "time": "GET time",
    "exchangeInfo": "GET exchangeInfo",
    "depth": "GET depth",
    "trades.recent": "GET trades",
    "trades.historical": "GET historicalTrades",
    "trades.aggregate": "GET aggTrades",
    "klines": "GET klines",
    "uiKlines": "GET uiKlines",
    "avgPrice": "GET avgPrice",
    "ticker.24hr": "GET ticker/24hr",
    "ticker.tradingDay": "GET ticker/tradingDay",
    "ticker": "GET ticker",
    "ticker.price": "GET ticker/price",
    "ticker.book": "GET ticker/bookTicker",
    "order.place": "POST order",
    "order.test": "POST order/test",
    "order.status": "GET order",
    "order.cancel": "DELETE order",
    "order.cancelReplace": "POST order/cancelReplace",
    "order.amend.keepPriority": "PUT order/amend/keepPriority",
    "openOrders.status": "GET openOrders",
    "openOrders.cancelAll": "DELETE openOrders",
    "account.status": "GET account",
    "account.rateLimits.orders": "GET rateLimit/order",
    "account.commission": "GET account/commission",
    "allOrders": "GET allOrders",
    "myTrades": "GET myTrades",
    "myAllocations": "GET myAllocations",
    "openOrderLists.status": "GET openOrderList",
    "allOrderLists": "GET allOrderList",
}


def _not_found(request: HttpRequest) -> HttpResponse:
    if request.path == "/api/v3/userDataStream":  # "removed 2026-02-20": HTTP 410, HTML.
        return HttpResponse(410, _GONE, {}, HTML)
    return HttpResponse(404, _NOT_FOUND, {}, HTML)


class SpotFace(Front):
    """Binance Spot. See reactor/sim/faces/face.py for the verbs."""

    name = "binance_spot"
    heartbeat = Heartbeat(ping_ns=20 * SECOND_NS, pong_ns_max=60 * SECOND_NS)
    line = FrontLine(
        root="/api/v3/",
        orders_path="/ws-api/v3",
        orders_weight=2,
        limits=SPOT_LIMITS,
        messages_per_second_max=5,
        methods=METHODS,
        not_found=_not_found,
        wrong_key=VenueError(-2028, "HMAC-SHA-256 API key is not supported.", 400),
    )

    def __init__(self, core: VenueCore, parameters: FaceParameters, faults: FaultPlan | None = None) -> None:
        super().__init__(core, parameters, faults)
        self.users = UserSubscriptions(self.messages)

    def _market_streams(self, parameters: FaceParameters) -> SpotStreams:
        return SpotStreams(self.core, self.streams, self.history)

    def _open_stream(self, socket: Socket, path: str, query: Mapping[str, str], is_microsecond: bool) -> bool:
        """`/ws/<stream>…`, `/ws`, `/stream?streams=a/b`.

        `/stream/ws…` is `/ws…`: ccxt takes a URL for spot only if it contains "/stream".
        """
        if path.startswith("/stream/"):
            path = path.removeprefix("/stream") if path.startswith("/stream/ws") else "/stream"
        wanted = stream_names(path, query)
        if wanted is None:
            return False
        is_combined, names = wanted
        self.streams.open(socket, names, "", is_combined, is_microsecond)
        return True

    def on_time(self, now_ns: int) -> None:
        """Sends what has happened."""
        for event in self.core.take_events():
            if type(event) is OrderEvent:
                self._on_order(event, now_ns)
            elif type(event) is SpotBalanceEvent:
                self.users.publish(event.account_id, private.account_position, event)
            elif type(event) is DepositEvent:
                self.users.publish(event.account_id, private.balance_update, event)
            else:
                self._market.on_event(event)
        self._market.on_time(now_ns)

    def on_shutdown(self, now_ns: int) -> None:
        """`serverShutdown` everywhere: "open a new connection at once"."""
        payload = orjson.dumps({"e": "serverShutdown", "E": now_ns // 1_000_000})
        for session in self.messages.sessions.values():
            session.socket.send(b'{"event":' + payload + b"}", Frame.USER)
        for stream in self.streams.sessions.values():
            wrapped = b'{"stream":"!serverShutdown","data":' + payload + b"}"
            stream.socket.send(wrapped if stream.is_combined else payload, Frame.USER)

    def _on_order(self, event: OrderEvent, now_ns: int) -> None:
        fill = event.fill
        if fill is not None and event.order.executed_lots == fill.quantity_lots:  # Its first fill.
            self.limits.give_back(event.account_id, MAKER_FILL_GIVES_BACK if fill.is_maker else TAKER_FILL_GIVES_BACK, now_ns)
        self.users.publish(event.account_id, private.execution_report, event)

    def _open_rooms(self, parameters: FaceParameters) -> None:
        self._account = SpotAccount(self.core, self.limits)

    def _endpoints(self) -> dict[str, Endpoint]:
        return SpotMarket(self.core, self.history, self.limits).endpoints() | self._account.endpoints()

    def _elsewhere(self) -> dict[tuple[str, str], Endpoint]:
        return self._account.wallet()
