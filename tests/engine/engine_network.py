"""A network in memory that does nothing until the test says so."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from reactor.loop.clock import ManualClock
from reactor.net.network import Failure, Listener, Request, Response, Sent


class FakeConnection:
    """One WebSocket whose other side is the test."""

    def __init__(self, url: str, listener: Listener, clock: ManualClock) -> None:
        self.url = url
        self.listener = listener
        self.sent: list[bytes] = []
        self.pings = 0
        self.is_open = False
        self.is_dead = False  # True: send says NOT_SENT although nobody has noticed yet
        self._clock = clock

    def send(self, payload: bytes) -> Sent:
        if self.is_dead or not self.is_open:
            return Sent.NOT_SENT
        self.sent.append(payload)
        return Sent.HANDED_OVER

    def ping(self, payload: bytes = b"") -> None:
        self.pings += 1

    def close(self, reason: str = "") -> None:
        self.lose(reason)

    # what the test does

    def open(self) -> None:
        self.is_open = True
        self.listener.on_open(self, self._clock.monotonic_ns())

    def say(self, message: Any) -> None:
        payload = message if isinstance(message, bytes) else orjson.dumps(message)
        self.listener.on_frame(self, memoryview(payload), self._clock.monotonic_ns())

    def lose(self, reason: str = "cut") -> None:
        if self.is_open or not self.is_dead:
            self.is_open, self.is_dead = False, True
            self.listener.on_close(self, reason, self._clock.monotonic_ns())

    def pong(self) -> None:
        self.listener.on_pong(self, b"", self._clock.monotonic_ns())

    def requests(self) -> list[dict[str, Any]]:
        return [orjson.loads(payload) for payload in self.sent]


@dataclass
class Asked:
    """One REST request that waits for the test's answer."""

    request: Request
    on_response: Callable[[Response], None]
    clock: ManualClock
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)

    def answer(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        self.on_response(Response(status, headers or {}, raw, self.clock.monotonic_ns()))

    def fail(self, failure: Failure, text: str = "broken") -> None:
        self.on_response(Response(0, {}, b"", self.clock.monotonic_ns(), failure, text))


class FakeNetwork:
    """See reactor/net/network.py."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.connections: list[FakeConnection] = []
        self.asked: list[Asked] = []
        self.automatic: dict[tuple[str, str], Any] = {}  # (method, path) → body: answered at once

    def connect(self, url: str, listener: Listener, headers: Mapping[str, str] | None = None) -> None:
        self.connections.append(FakeConnection(url, listener, self.clock))

    def request(self, request: Request, on_response: Callable[[Response], None]) -> None:
        parts = urlsplit(request.url)
        asked = Asked(request, on_response, self.clock, parts.path, dict(parse_qsl(parts.query)))
        body = self.automatic.get((request.method, parts.path))
        if body is not None:
            asked.answer(body(asked) if callable(body) else body)
        else:
            self.asked.append(asked)

    def take(self, method: str, path: str) -> Asked:
        """The oldest waiting request to (method, path)."""
        for asked in self.asked:
            if asked.request.method == method and asked.path == path:
                self.asked.remove(asked)
                return asked
        raise AssertionError(f"nobody asked {method} {path}; waiting: {[(a.request.method, a.path) for a in self.asked]}")

    def live(self, part: str = "") -> list[FakeConnection]:
        """Connections that are neither lost nor closed, by a part of their address."""
        return [connection for connection in self.connections if part in connection.url and not connection.is_dead]
