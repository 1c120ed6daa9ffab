"""Binance Spot's face: REST, WebSocket API, market streams and user events over one core."""

from collections.abc import Mapping
from typing import Final

import orjson

from reactor.sim.events import DepositEvent, OrderEvent, SpotBalanceEvent
from reactor.sim.faces import spot_private as private
from reactor.sim.faces.api import HTML, Api, Endpoint
from reactor.sim.faces.face import FaceParameters, Heartbeat
from reactor.sim.faces.history import History
from reactor.sim.faces.keys import Keyring
from reactor.sim.faces.limits import (
    MAKER_FILL_GIVES_BACK,
    SPOT_LIMITS,
    TAKER_FILL_GIVES_BACK,
    LimitParameters,
    RateLimits,
)
from reactor.sim.faces.message_api import MessageApi, UserSubscriptions
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import HttpRequest, HttpResponse
from reactor.sim.faces.spot_account import SpotAccount
from reactor.sim.faces.spot_market import SpotMarket
from reactor.sim.faces.spot_streams import SpotStreams
from reactor.sim.faces.streams import Frame, Socket, Streams
from reactor.sim.faults import FaultPlan
from reactor.sim.venue import VenueCore

SECOND_NS: Final = 1_000_000_000
MESSAGES_PER_SECOND_MAX: Final = 5
_PAGE: Final = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
_GONE: Final = _PAGE.format("410 Gone").encode()
_NOT_FOUND: Final = _PAGE.format("404 Not Found").encode()


class SpotFace:
    """Binance Spot. See reactor/sim/faces/face.py for the verbs."""

    name = "binance_spot"
    heartbeat = Heartbeat(ping_ns=20 * SECOND_NS, pong_ns_max=60 * SECOND_NS)

    def __init__(self, core: VenueCore, parameters: FaceParameters, faults: FaultPlan | None = None) -> None:
        self.core = core
        self.keyring = Keyring(parameters.keys)
        self.limits = RateLimits(LimitParameters(SPOT_LIMITS, parameters.lifted_limits))
        self.history = {symbol: History(rules) for symbol, rules in core.symbols.items()}
        self.streams = Streams(self._serves, self._on_wanted, MESSAGES_PER_SECOND_MAX, "MESSAGES" in parameters.lifted_limits)
        self._market = SpotStreams(core, self.streams, self.history)
        self.api = Api(self.keyring, self.limits, self._rest(), self._methods(), _not_found, faults)
        self.messages = MessageApi(
            self.api,
            VenueError(-2028, "HMAC-SHA-256 API key is not supported.", 400),
            parameters.hmac_may_log_on,
        )
        self.users = UserSubscriptions(self.messages)

    # --- the verbs

    def on_request(self, request: HttpRequest, now_ns: int) -> HttpResponse:
        """Answers one REST request."""
        return self.api.on_request(request, now_ns)

    def on_open(self, socket: Socket, path: str, query: Mapping[str, str], ip: str, now_ns: int) -> int:
        """`/ws/<stream>…`, `/ws`, `/stream?streams=a/b`, `/ws-api/v3`.

        `/stream/ws…` is `/ws…`: ccxt takes a URL for spot only if it contains "/stream".
        """
        if not self.limits.connect(ip, now_ns):
            return 429
        path = path.rstrip("/")
        if path.startswith("/stream/"):
            path = path.removeprefix("/stream") if path.startswith("/stream/ws") else "/stream"
        is_microsecond = query.get("timeUnit", "").upper() == "MICROSECOND"
        if path == "/ws-api/v3":
            try:
                self.limits.charge(ip, 2, now_ns)
            except VenueError as error:
                return error.status
            self.messages.open(socket, query, ip, now_ns)
        elif path == "/stream":
            self.streams.open(socket, query.get("streams", "").split("/"), "", True, is_microsecond)
        elif path == "/ws" or path.startswith("/ws/"):
            self.streams.open(socket, path[4:].split("/"), "", False, is_microsecond)
        else:
            return 404
        return 101

    def on_message(self, socket: Socket, payload: bytes, now_ns: int) -> None:
        """One frame of a client."""
        session = self.messages.sessions.get(id(socket))
        if session is not None:
            self.messages.on_message(session, payload, now_ns)
            return
        stream = self.streams.sessions.get(id(socket))
        if stream is not None:
            self.streams.on_message(stream, payload, now_ns)

    def on_ping(self, socket: Socket, now_ns: int) -> None:
        """Counts a control frame of a market-stream connection."""
        stream = self.streams.sessions.get(id(socket))
        if stream is not None:
            self.streams.count_frame(stream, now_ns)

    def on_close(self, socket: Socket, now_ns: int) -> None:
        """The connection is gone."""
        self.messages.close(socket)
        self.streams.close(socket)

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

    def _serves(self, category: str, name: str) -> bool:
        return self._market.serves(category, name)

    def _on_wanted(self, name: str) -> None:
        self._market.on_wanted(name)

    def _on_order(self, event: OrderEvent, now_ns: int) -> None:
        fill = event.fill
        if fill is not None and event.order.executed_lots == fill.quantity_lots:  # Its first fill.
            self.limits.give_back(event.account_id, MAKER_FILL_GIVES_BACK if fill.is_maker else TAKER_FILL_GIVES_BACK, now_ns)
        self.users.publish(event.account_id, private.execution_report, event)

    # --- the tables

    def _rest(self) -> dict[tuple[str, str], Endpoint]:
        account = SpotAccount(self.core, self.limits)
        table = SpotMarket(self.core, self.history, self.limits).endpoints() | account.endpoints()
        rest = {}
        for key, endpoint in table.items():
            verb, _, path = key.partition(" ")
            rest[verb, f"/api/v3/{path}"] = endpoint
        return rest | account.wallet()

    def _methods(self) -> dict[str, Endpoint]:
        rest = self._rest()
        names = {
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
        return {name: rest[key.split(" ")[0], "/api/v3/" + key.split(" ")[1]] for name, key in names.items()}


def _not_found(request: HttpRequest) -> HttpResponse:
    if request.path == "/api/v3/userDataStream":  # "removed 2026-02-20": HTTP 410, HTML.
        return HttpResponse(410, _GONE, {}, HTML)
    return HttpResponse(404, _NOT_FOUND, {}, HTML)
