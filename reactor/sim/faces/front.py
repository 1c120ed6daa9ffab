"""The front of a venue: what both product lines do alike with requests, sockets and frames.

    on_request ─▶ api        on_open ─▶ WebSocket API │ market streams        on_message ─▶ whoever the socket belongs to

What differs is a record (FrontLine) and the line's own file: spot, usdm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from reactor.sim.faces.api import Api, Endpoint
from reactor.sim.faces.face import FaceParameters
from reactor.sim.faces.history import History
from reactor.sim.faces.keys import Keyring
from reactor.sim.faces.limits import Limit, LimitParameters, RateLimits
from reactor.sim.faces.market_streams import MarketStreams
from reactor.sim.faces.message_api import MessageApi
from reactor.sim.faces.refusal import VenueError
from reactor.sim.faces.request import HttpRequest, HttpResponse
from reactor.sim.faces.streams import Socket, Streams
from reactor.sim.faults import FaultPlan
from reactor.sim.venue import VenueCore

ACCEPTED: Final = 101
NOT_FOUND: Final = 404
TOO_MANY: Final = 429


@dataclass(frozen=True)
class FrontLine:
    """One product line at its front."""

    root: str  # of REST paths: "/api/v3/"
    orders_path: str  # of the WebSocket API
    orders_weight: int  # what a connection to it costs
    limits: tuple[Limit, ...]
    messages_per_second_max: int  # frames per market-stream connection
    methods: Mapping[str, str]  # of the WebSocket API → "VERB path" of the endpoint that answers
    not_found: Callable[[HttpRequest], HttpResponse]
    wrong_key: VenueError  # what session.logon says to a key that may not


class Front:
    """Routes what comes in. A face is a Front with its own events and streams."""

    line: FrontLine

    def __init__(self, core: VenueCore, parameters: FaceParameters, faults: FaultPlan | None = None) -> None:
        line = self.line
        lifted = parameters.lifted_limits
        self.core = core
        self.keyring = Keyring(parameters.keys)
        self.limits = RateLimits(LimitParameters(line.limits, lifted, messages_per_second_max=line.messages_per_second_max))
        self.history = {symbol: History(rules) for symbol, rules in core.symbols.items()}
        self.streams = Streams(self._serves, self._on_wanted, line.messages_per_second_max, "MESSAGES" in lifted)
        self._market = self._market_streams(parameters)
        self._open_rooms(parameters)
        rest = self._rest()
        self.api = Api(self.keyring, self.limits, rest, self._methods(rest), line.not_found, faults)
        self.messages = MessageApi(self.api, line.wrong_key, parameters.hmac_may_log_on)

    # what a product line says for itself

    def _market_streams(self, parameters: FaceParameters) -> MarketStreams:
        raise NotImplementedError

    def _open_rooms(self, parameters: FaceParameters) -> None:
        """Makes what only this line has, before its endpoints are made."""

    def _endpoints(self) -> dict[str, Endpoint]:
        """By "VERB path below the root"."""
        raise NotImplementedError

    def _elsewhere(self) -> dict[tuple[str, str], Endpoint]:
        """Endpoints outside of the root, by (verb, path)."""
        return {}

    def _open_stream(self, socket: Socket, path: str, query: Mapping[str, str], is_microsecond: bool) -> bool:
        """A market-stream handshake; False: there is no such path."""
        raise NotImplementedError

    # the verbs (face.py)

    def on_request(self, request: HttpRequest, now_ns: int) -> HttpResponse:
        """Answers one REST request."""
        return self.api.on_request(request, now_ns)

    def on_open(self, socket: Socket, path: str, query: Mapping[str, str], ip: str, now_ns: int) -> int:
        """A WebSocket handshake."""
        if not self.limits.connect(ip, now_ns):
            return TOO_MANY
        path = path.rstrip("/")
        if path == self.line.orders_path:
            try:
                self.limits.charge(ip, self.line.orders_weight, now_ns)
            except VenueError as error:
                return error.status
            self.messages.open(socket, query, ip, now_ns)
            return ACCEPTED
        is_microsecond = query.get("timeUnit", "").upper() == "MICROSECOND"
        return ACCEPTED if self._open_stream(socket, path, query, is_microsecond) else NOT_FOUND

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

    # the tables

    def _serves(self, category: str, name: str) -> bool:
        return self._market.serves(category, name)

    def _on_wanted(self, name: str) -> None:
        self._market.on_wanted(name)

    def _rest(self) -> dict[tuple[str, str], Endpoint]:
        rest = {}
        for key, endpoint in self._endpoints().items():
            verb, _, path = key.partition(" ")
            rest[verb, f"{self.line.root}{path}"] = endpoint
        return rest | self._elsewhere()

    def _methods(self, rest: Mapping[tuple[str, str], Endpoint]) -> dict[str, Endpoint]:
        methods = {}
        for name, key in self.line.methods.items():
            verb, _, path = key.partition(" ")
            methods[name] = rest[verb, f"{self.line.root}{path}"]
        return methods


def stream_names(path: str, query: Mapping[str, str]) -> tuple[bool, list[str]] | None:
    """(is combined, stream names) of `/stream?streams=a/b`, `/ws` and `/ws/a/b`; None: another path."""
    if path == "/stream":
        return True, query.get("streams", "").split("/")
    if path == "/ws" or path.startswith("/ws/"):
        return False, path[4:].split("/")
    return None
