"""Binance USD-M futures' face: REST, WebSocket API, market streams and user streams over one core."""

from collections.abc import Mapping
from typing import Final

from reactor.sim.events import AccountUpdateEvent, ConfigEvent, MarginCallEvent, OrderEvent
from reactor.sim.faces import usdm_private as private
from reactor.sim.faces.algo_orders import AlgoOrders
from reactor.sim.faces.api import Endpoint
from reactor.sim.faces.face import FaceParameters, Heartbeat
from reactor.sim.faces.front import Front, FrontLine, stream_names
from reactor.sim.faces.limits import USDM_LIMITS
from reactor.sim.faces.listen_keys import ListenKeys
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import HttpRequest, HttpResponse
from reactor.sim.faces.streams import Socket
from reactor.sim.faces.usdm_account import UsdmAccount
from reactor.sim.faces.usdm_market import UsdmMarket
from reactor.sim.faces.usdm_streams import UsdmStreams

SECOND_NS: Final = 1_000_000_000
CATEGORIES: Final = ("public", "market", "private")
METHODS: Final = {
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


def _not_found(request: HttpRequest) -> HttpResponse:
    text = f"Path {request.path}, Method {request.method} is invalid"
    return HttpResponse(404, VenueError(-5000, text).body())


class UsdmFace(Front):
    """Binance USD-M futures. See reactor/sim/faces/face.py for the verbs."""

    name = "binance_usdm"
    heartbeat = Heartbeat(ping_ns=180 * SECOND_NS, pong_ns_max=600 * SECOND_NS)
    line = FrontLine(
        root="/fapi/",
        orders_path="/ws-fapi/v1",
        orders_weight=5,
        limits=USDM_LIMITS,
        messages_per_second_max=10,
        methods=METHODS,
        not_found=_not_found,
        wrong_key=VenueError(-4056, "Invalid API Key type.", 400),
    )

    def _market_streams(self, parameters: FaceParameters) -> UsdmStreams:
        return UsdmStreams(self.core, self.streams, self.history, parameters.unrouted_serves_all)

    def _open_stream(self, socket: Socket, path: str, query: Mapping[str, str], is_microsecond: bool) -> bool:
        """`/public|/market|/private` + `/ws…` or `/stream…`, and the same without a category."""
        category = ""
        head, _, rest = path[1:].partition("/")
        if head in CATEGORIES:
            category, path = head, "/" + rest
        wanted = stream_names(path, query)
        if wanted is None:
            return False
        is_combined, names = wanted
        if query.get("listenKey"):
            names.append(query["listenKey"])
        if query.get("events"):
            self.listen_keys.allowed[id(socket)] = frozenset(query["events"].split("/"))
        self.streams.open(socket, names, category, is_combined, is_microsecond)
        return True

    def on_close(self, socket: Socket, now_ns: int) -> None:
        """The connection is gone."""
        super().on_close(socket, now_ns)
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

    def _open_rooms(self, parameters: FaceParameters) -> None:
        self.listen_keys = ListenKeys(self.streams, parameters.listen_key_life_ms)
        self.algo = AlgoOrders(self.core)
        self._questions = UsdmMarket(self.core, self.history, self.limits)

    def _endpoints(self) -> dict[str, Endpoint]:
        account = UsdmAccount(self.core, self.limits, self.listen_keys, self.algo)
        return self._questions.endpoints() | account.endpoints()

    def _elsewhere(self) -> dict[tuple[str, str], Endpoint]:
        return self._questions.coin_margined()
