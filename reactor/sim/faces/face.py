"""What every venue's face promises to whoever plays the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reactor.sim.faces.keys import DEFAULT_KEYS, ApiKey
from reactor.sim.faces.request import HttpRequest, HttpResponse
from reactor.sim.faces.streams import Socket


@dataclass(frozen=True)
class FaceParameters:
    """What an operator may turn."""

    keys: tuple[ApiKey, ...] = DEFAULT_KEYS
    lifted_limits: frozenset[str] = frozenset()  # REQUEST_WEIGHT, RAW_REQUESTS, ORDERS, CONNECTIONS, MESSAGES
    # The venue refuses session.logon with an HMAC key; some clients try it all the same.
    hmac_may_log_on: bool = False
    # USD-M: unrouted /ws and /stream behave as /public since 2026-04-23 (and, here, still hear listen keys: clients that have
    # not moved would otherwise get no user events); True: they serve everything, as the venue's demo does.
    unrouted_serves_all: bool = False
    listen_key_life_ms: int = 3_600_000


@dataclass(frozen=True)
class Heartbeat:
    """How the server keeps connections: "server, ping frame every 20 s, answer ≤ 60 s" (spot)."""

    ping_ns: int
    pong_ns_max: int
    life_ns: int = field(default=86_400 * 1_000_000_000)  # a connection lives 24 h


class Face(Protocol):
    """One venue, as its clients see it. `now_ns` is the exchange's wall clock.

    After any of these calls, call `on_time`: it sends what happened (market and user events) to the sockets.
    """

    name: str
    heartbeat: Heartbeat

    def on_request(self, request: HttpRequest, now_ns: int) -> HttpResponse:
        """Answers one REST request. Never raises for anything a client can send."""

    def on_open(self, socket: Socket, path: str, query: Mapping[str, str], ip: str, now_ns: int) -> int:
        """A WebSocket handshake: 101 accepts it; anything else is the HTTP status of the refusal."""

    def on_message(self, socket: Socket, payload: bytes, now_ns: int) -> None:
        """One text or binary frame of the client. Never raises for anything a client can send."""

    def on_ping(self, socket: Socket, now_ns: int) -> None:
        """A ping or pong frame of the client (the shell answers pings); it counts against the message rate."""

    def on_close(self, socket: Socket, now_ns: int) -> None:
        """The connection is gone."""

    def on_time(self, now_ns: int) -> None:
        """Sends what has happened since; call it every few milliseconds and after requests."""

    def on_shutdown(self, now_ns: int) -> None:
        """The server is about to go down: tells the clients what the venue would tell them."""
