"""How a role meets the outside world: one small interface, so that sockets can be exchanged for a simulation.

Nothing here blocks or awaits. A role asks, and is called back from the shard's loop between two passes. The real one is
reactor/net/session.py + rest.py on uvloop; the world (reactor/sim/world.py) has one in memory under a virtual clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol


class Sent(IntEnum):
    """What became of bytes given to a connection."""

    HANDED_OVER = 0  # in the kernel's or the library's hands: the venue may get them
    NOT_SENT = 1  # provably none of them left: safe to try elsewhere


class Connection(Protocol):
    """One WebSocket from our side."""

    def send(self, payload: bytes) -> Sent:
        """Sends one text frame."""

    def ping(self, payload: bytes = b"") -> None:
        """Sends a ping frame; the answer comes to `on_pong`."""

    def close(self, reason: str = "") -> None:
        """Starts closing; `on_close` follows."""


class Listener(Protocol):
    """Who owns a connection. Every callback carries CLOCK_MONOTONIC."""

    def on_open(self, connection: Connection, now_ns: int) -> None:
        """The handshake is done."""

    def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        """One whole text or binary message. The memory is valid during the call only."""

    def on_pong(self, connection: Connection, payload: bytes, receive_ns: int) -> None:
        """Answer to our ping. (Server pings are answered by the machinery.)"""

    def on_close(self, connection: Connection, reason: str, now_ns: int) -> None:
        """The connection is gone, or never came to be (then without on_open). Called exactly once."""


class StreamListener(Listener, Protocol):
    """Who takes the bytes of a busy connection as they were read (reactor/net/stream.py), with many frames in them.

    A network may hand single frames to `on_frame` all the same.
    """

    def on_bytes(self, connection: "StreamSource", buffer: bytearray, start: int, end: int, receive_ns: int) -> int:
        """buffer[start:end] holds WebSocket frames. Returns where the first one begins that is not whole yet."""


class StreamSource(Connection, Protocol):
    """What a StreamListener does with frames that are not its own."""

    def on_control(self, opcode: int, payload: bytes, receive_ns: int) -> None:
        """A ping, pong, close, or a piece of a fragmented message; `opcode` is its first byte."""

    def need(self, size: int) -> None:
        """A frame of so many bytes has begun: make room for it."""

    def fail(self, reason: str) -> None:
        """What came is no WebSocket frame."""

    def hold(self) -> None:
        """The listener cannot take more now: reads nothing until `go_on`. What was read and not taken stays."""

    def go_on(self) -> None:
        """Hands what stayed to the listener, and reads again."""

    def on_error(self, error: BaseException) -> None:
        """The listener failed over one frame and goes on with the next."""

    def put(self, payload: bytes) -> Sent:
        """As `send`, but the frame waits for `flush`, or for the next `send` or `ping`, so that several leave in one write."""

    def flush(self) -> None:
        """Writes what waits."""


@dataclass(frozen=True)
class Request:
    """One REST request. `body` is sent as it is; sign before."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_ns: int = 5_000_000_000


class Failure(IntEnum):
    """Why a request has no answer."""

    NONE = 0
    NOT_SENT = 1  # no connection came to be: certainly no effect
    OUTCOME_UNKNOWN = 2  # sent, no complete answer


@dataclass(frozen=True)
class Response:
    """Status, headers (lower-case names) and body; or `failure` with the reason in `text`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    receive_ns: int
    failure: Failure = Failure.NONE
    text: str = ""


class Network(Protocol):
    """Opens connections and makes requests for one shard."""

    def connect(self, url: str, listener: Listener, headers: Mapping[str, str] | None = None) -> None:
        """Starts a WebSocket; the listener hears on_open or on_close. Reconnecting is the listener's decision."""

    def request(self, request: Request, on_response: Callable[[Response], None]) -> None:
        """Starts a REST request; `on_response` is called exactly once."""
