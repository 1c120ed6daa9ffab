"""Binance USD-M futures' face: REST, WebSocket API, market streams and user streams over one core."""

from collections.abc import Mapping
from typing import Final

from reactor.sim.events import (
    AccountUpdateEvent,
    ConfigEvent,
    MarginCallEvent,
    OrderEvent,
)
from reactor.sim.faces import usdm_private as private
from reactor.sim.faces.algo_orders import AlgoOrders
from reactor.sim.faces.api import Api, Endpoint
from reactor.sim.faces.face import FaceParameters, Heartbeat
from reactor.sim.faces.history import History
from reactor.sim.faces.keys import Keyring
from reactor.sim.faces.limits import (
    USDM_LIMITS,
    LimitParameters,
    RateLimits,
)
from reactor.sim.faces.listen_keys import ListenKeys
from reactor.sim.faces.message_api import MessageApi
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import HttpRequest, HttpResponse
from reactor.sim.faces.streams import Socket, Streams
from reactor.sim.faces.usdm_account import UsdmAccount
from reactor.sim.faces.usdm_market import UsdmMarket
from reactor.sim.faces.usdm_streams import UsdmStreams
from reactor.sim.faults import FaultPlan
from reactor.sim.venue import VenueCore

SECOND_NS: Final = 1_000_000_000
MESSAGES_PER_SECOND_MAX: Final = 10
CATEGORIES: Final = ("public", "market", "private")


class UsdmFace:
    """Binance USD-M futures. See reactor/sim/faces/face.py for the verbs."""

    name = "binance_usdm"
    heartbeat = Heartbeat(ping_ns=180 * SECOND_NS, pong_ns_max=600 * SECOND_NS)

    def __init__(self, core: VenueCore, parameters: FaceParameters, faults: FaultPlan | None = None) -> None:
        self.core = core
        self.keyring = Keyring(parameters.keys)
        self.limits = RateLimits(
            LimitParameters(USDM_LIMITS, parameters.lifted_limits, messages_per_second_max=MESSAGES_PER_SECOND_MAX)
        )
        self.history = {symbol: History(rules) for symbol, rules in core.symbols.items()}
        self.streams = Streams(self._serves, self._on_wanted, MESSAGES_PER_SECOND_MAX, "MESSAGES" in parameters.lifted_limits)
        self._market = UsdmStreams(core, self.streams, self.history, parameters.unrouted_serves_all)
        self.listen_keys = ListenKeys(self.streams, parameters.listen_key_life_ms)
        self.algo = AlgoOrders(core)
        self.api = Api(self.keyring, self.limits, self._rest(), self._methods(), _not_found, faults)
        self.messages = MessageApi(self.api, VenueError(-4056, "Invalid API Key type.", 400), parameters.hmac_may_log_on)

    # --- the verbs

    def on_request(self, request: HttpRequest, now_ns: int) -> HttpResponse:
        """Answers one REST request."""
        return self.api.on_request(request, now_ns)

    def on_open(self, socket: Socket, path: str, query: Mapping[str, str], ip: str, now_ns: int) -> int:
        """`/public|/market|/private` + `/ws…` or `/stream…`, the same without a category, and `/ws-fapi/v1`."""
        if not self.limits.connect(ip, now_ns):
            return 429
        path = path.rstrip("/")
        if path == "/ws-fapi/v1":
            try:
                self.limits.charge(ip, 5, now_ns)
            except VenueError as error:
                return error.status
            self.messages.open(socket, query, ip, now_ns)
            return 101
        category = ""
        head, _, rest = path[1:].partition("/")
        if head in CATEGORIES:
            category, path = head, "/" + rest
        if path == "/stream":
            is_combined, names = True, query.get("streams", "").split("/")
        elif path == "/ws" or path.startswith("/ws/"):
            is_combined, names = False, path[4:].split("/")
        else:
            return 404
        if query.get("listenKey"):
            names.append(query["listenKey"])
        if query.get("events"):
            self.listen_keys.allowed[id(socket)] = frozenset(query["events"].split("/"))
        is_microsecond = query.get("timeUnit", "").upper() == "MICROSECOND"
        self.streams.open(socket, names, category, is_combined, is_microsecond)
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
        """Counts a control frame of a market-stream connection. (An unsolicited pong is allowed.)"""
        stream = self.streams.sessions.get(id(socket))
        if stream is not None:
            self.streams.count_frame(stream, now_ns)

    def on_close(self, socket: Socket, now_ns: int) -> None:
        """The connection is gone."""
        self.messages.close(socket)
        self.streams.close(socket)
        self.listen_keys.close(socket)

    def on_time(self, now_ns: int) -> None:
        """Sends what has happened. Conditional orders that a price has triggered are placed on the way."""
        keys = self.listen_keys
        events = self.core.take_events()
        while events:
            for event in events:
                if type(event) is OrderEvent:
                    if event.execution_type == "TRADE" and event.fill is not None:
                        keys.publish(event.account_id, "TRADE_LITE", private.trade_lite, event)
                    keys.publish(event.account_id, "ORDER_TRADE_UPDATE", private.order_trade_update, event)
                elif type(event) is AccountUpdateEvent:
                    keys.publish(event.account_id, "ACCOUNT_UPDATE", private.account_update, event)
                elif type(event) is ConfigEvent:
                    keys.publish(event.account_id, "ACCOUNT_CONFIG_UPDATE", private.config_update, event)
                elif type(event) is MarginCallEvent:
                    keys.publish(event.account_id, "MARGIN_CALL", private.margin_call, event)
                else:
                    if self.algo.has_orders:
                        self.algo.on_event(event, now_ns)
                    self._market.on_event(event)
            events = self.core.take_events()
        for update in self.algo.take_updates():
            keys.publish(update.order.account, "ALGO_UPDATE", self.algo.encode_update, update)
        self._market.on_time(now_ns)
        keys.on_time(now_ns)

    def on_shutdown(self, now_ns: int) -> None:
        """USD-M announces nothing: the connections are simply closed."""

    def _serves(self, category: str, name: str) -> bool:
        return self._market.serves(category, name)

    def _on_wanted(self, name: str) -> None:
        self._market.on_wanted(name)

    # --- the tables

    def _rest(self) -> dict[tuple[str, str], Endpoint]:
        market = UsdmMarket(self.core, self.history, self.limits)
        table = market.endpoints() | UsdmAccount(self.core, self.limits, self.listen_keys, self.algo).endpoints()
        rest = {}
        for key, endpoint in table.items():
            verb, _, path = key.partition(" ")
            rest[verb, f"/fapi/{path}"] = endpoint
        return rest | market.coin_margined()

    def _methods(self) -> dict[str, Endpoint]:
        rest = self._rest()
        names = {
            "ping": "GET v1/ping",
            "time": "GET v1/time",
            "depth": "GET v1/depth",
            "ticker.price": "GET v2/ticker/price",
            "ticker.book": "GET v1/ticker/bookTicker",
            "order.place": "POST v1/order",
            "order.modify": "PUT v1/order",
            "order.cancel": "DELETE v1/order",
            "order.status": "GET v1/order",
            "algoOrder.place": "POST v1/algoOrder",
            "algoOrder.cancel": "DELETE v1/algoOrder",
            "account.balance": "GET v2/balance",
            "v2/account.balance": "GET v3/balance",
            "account.status": "GET v2/account",
            "v2/account.status": "GET v3/account",
            "account.position": "GET v2/positionRisk",
            "v2/account.position": "GET v3/positionRisk",
            "userDataStream.start": "POST v1/listenKey",
            "userDataStream.ping": "PUT v1/listenKey",
            "userDataStream.stop": "DELETE v1/listenKey",
        }
        return {name: rest[key.split(" ")[0], "/fapi/" + key.split(" ")[1]] for name, key in names.items()}


def _not_found(request: HttpRequest) -> HttpResponse:
    text = f"Path {request.path}, Method {request.method} is invalid"
    return HttpResponse(404, VenueError(-5000, text).body())
