"""Stream subscriptions: who gets which market message, wrapped or raw. Verbs SUBSCRIBE … GET_PROPERTY, and their errors.

    encode once ──▶ Topic ──▶ sockets that want it raw        the same bytes object for all of them
                          └─▶ sockets that want it combined   `{"stream":…,"data":…}`, built once per message

Each topic exists twice, in ms and (`?timeUnit=MICROSECOND`) in µs; the second is encoded only while somebody listens.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Protocol

import orjson

STREAMS_MAX: Final = 1024  # per connection
VERBS: Final = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
CLOSE_POLICY: Final = 1008
SECOND_NS: Final = 1_000_000_000


class Frame(IntEnum):
    """What a frame carries: the shell's faults treat them differently."""

    ANSWER = 0
    MARKET = 1
    USER = 2


class Socket(Protocol):
    """One accepted WebSocket, as the face sees it. Both return at once and never raise."""

    def send(self, payload: bytes, kind: Frame = Frame.ANSWER, delay_ns: int = 0) -> None:
        """One text frame, `delay_ns` later than it would otherwise leave."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Starts closing; on_close follows."""


class Topic:
    """One stream name in one time unit."""

    __slots__ = ("combined", "name", "prefix", "raw")

    def __init__(self, name: str) -> None:
        self.name = name
        self.prefix = b'{"stream":"' + name.encode() + b'","data":'
        self.raw: list[Socket] = []
        self.combined: list[Socket] = []

    @property
    def wanted(self) -> bool:
        """True while anybody listens."""
        return bool(self.raw or self.combined)

    def publish(self, payload: bytes) -> int:
        """Sends one encoded message to everybody; returns how many frames that were."""
        for socket in self.raw:
            socket.send(payload, Frame.MARKET)
        if self.combined:
            wrapped = self.prefix + payload + b"}"
            for socket in self.combined:
                socket.send(wrapped, Frame.MARKET)
        return len(self.raw) + len(self.combined)


@dataclass(eq=False)
class StreamSession:
    """One market-stream connection."""

    socket: Socket
    category: str  # "" spot; "public", "market", "private" futures
    is_combined: bool
    is_microsecond: bool
    names: dict[str, None] = field(default_factory=dict)  # in the order of subscription
    second: int = 0
    messages: int = 0


class Streams:
    """All market-stream connections and topics of one venue.

    `serves(category, name)`: whether a connection of that category hears that stream. A wrong or unknown one is acknowledged
    and then stays silent, as on the venue. `on_wanted(name)`: somebody listens to this name now (it may just have begun).
    """

    def __init__(
        self,
        serves: Callable[[str, str], bool],
        on_wanted: Callable[[str], None],
        messages_per_second_max: int,
        is_lifted: bool = False,
    ) -> None:
        self._serves = serves
        self._on_wanted = on_wanted
        self._messages_max = messages_per_second_max
        self._is_lifted = is_lifted
        self._topics: dict[tuple[str, bool], Topic] = {}
        self.sessions: dict[int, StreamSession] = {}

    def topic(self, name: str, is_microsecond: bool = False) -> Topic:
        """The topic of that name; made if there is none. The producer keeps it."""
        key = (name, is_microsecond)
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = Topic(name)
        return topic

    def open(
        self, socket: Socket, names: Iterable[str], category: str, is_combined: bool, is_microsecond: bool
    ) -> StreamSession:
        """A new connection, with the streams named in its URL."""
        session = StreamSession(socket, category, is_combined, is_microsecond)
        self.sessions[id(socket)] = session
        for name in names:
            if name:
                self._subscribe(session, name)
        return session

    def close(self, socket: Socket) -> None:
        """The connection is gone."""
        session = self.sessions.pop(id(socket), None)
        if session is not None:
            for name in session.names:
                self._detach(session, name)

    def count_frame(self, session: StreamSession, now_ns: int) -> bool:
        """Counts a frame of the client (pings and pongs too); closes a connection that sends too many."""
        second = now_ns // SECOND_NS
        if second != session.second:
            session.second, session.messages = second, 0
        session.messages += 1
        if session.messages > self._messages_max and not self._is_lifted:
            session.socket.close(CLOSE_POLICY, "Too many requests")
            return False
        return True

    def on_message(self, session: StreamSession, payload: bytes, now_ns: int) -> None:
        """One text frame of the client; always answered, with a result or with an error."""
        if self.count_frame(session, now_ns):
            session.socket.send(self._answer(session, payload))

    def _answer(self, session: StreamSession, payload: bytes) -> bytes:
        try:
            message = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            return _error(3, f"Invalid JSON: expected value at line {error.lineno} column {error.colno}")
        if not isinstance(message, dict):
            return _error(2, "Invalid request: invalid type, expected struct Request")
        identity = message.get("id")
        if not (identity is None or (isinstance(identity, int | str) and not isinstance(identity, bool))):
            return _error(2, "Invalid request: request ID must be an unsigned integer")
        if isinstance(identity, str) and len(identity) > 36:
            return _error(2, "Invalid request: request ID must be an unsigned integer")
        method = message.get("method")
        if method is None:
            return _error(2, f"Invalid request: missing field `method` at line 1 column {len(payload)}", identity)
        if method not in VERBS:
            expected = ", ".join(f"`{verb}`" for verb in VERBS)
            return _error(2, f"Invalid request: unknown variant `{method}`, expected one of {expected}", identity)
        params = message.get("params", [])
        if not isinstance(params, list):
            return _error(2, "Invalid request: invalid type, expected a sequence for `params`", identity)
        if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return self._change(session, method == "SUBSCRIBE", params, identity)
        if method == "LIST_SUBSCRIPTIONS":
            return _result(list(session.names), identity)
        return self._property(session, method, params, identity)

    def _change(self, session: StreamSession, is_subscribe: bool, params: list[Any], identity: Any) -> bytes:
        if not params:
            return _error(2, "Invalid request: missing field `params`", identity)
        if not all(isinstance(name, str) for name in params):
            return _error(2, "Invalid request: stream name must be a string", identity)
        if is_subscribe and len(session.names.keys() | set(params)) > STREAMS_MAX:
            return _error(2, f"Invalid request: too many streams, at most {STREAMS_MAX}", identity)
        for name in params:
            if is_subscribe:
                self._subscribe(session, name)
            elif name in session.names:
                del session.names[name]
                self._detach(session, name)
        return _result(None, identity)

    def _property(self, session: StreamSession, method: str, params: list[Any], identity: Any) -> bytes:
        if not params or not isinstance(params[0], str):
            return _error(2, "Invalid request: property name must be a string", identity)
        if params[0] != "combined":
            return _error(0, "Unknown property", identity)
        if method == "GET_PROPERTY":
            if len(params) > 1:
                return _error(2, "Invalid request: too many parameters", identity)
            return _result(session.is_combined, identity)
        if len(params) != 2 or not isinstance(params[1], bool):
            return _error(1, "Invalid value type: expected Boolean", identity)
        names = list(session.names)
        for name in names:
            self._detach(session, name)
        session.is_combined = params[1]
        for name in names:
            self._attach(session, name)
        return _result(None, identity)

    def _subscribe(self, session: StreamSession, name: str) -> None:
        if name not in session.names:
            session.names[name] = None
            self._attach(session, name)

    def _attach(self, session: StreamSession, name: str) -> None:
        if self._serves(session.category, name):
            topic = self.topic(name, session.is_microsecond)
            (topic.combined if session.is_combined else topic.raw).append(session.socket)
            self._on_wanted(name)

    def _detach(self, session: StreamSession, name: str) -> None:
        topic = self._topics.get((name, session.is_microsecond))
        if topic is None:
            return
        sockets = topic.combined if session.is_combined else topic.raw
        if session.socket in sockets:
            sockets.remove(session.socket)


def _result(result: Any, identity: Any) -> bytes:
    return orjson.dumps({"result": result, "id": identity})


def _error(code: int, text: str, identity: Any = None) -> bytes:
    fields: dict[str, Any] = {"code": code, "msg": text}
    if identity is not None:
        fields["id"] = identity
    return orjson.dumps(fields)


class TopicPair:
    """One stream name in both time units. A message is encoded once per unit that somebody listens to."""

    __slots__ = ("microseconds", "milliseconds")

    def __init__(self, streams: Streams, name: str) -> None:
        self.milliseconds = streams.topic(name)
        self.microseconds = streams.topic(name, True)

    @property
    def wanted(self) -> bool:
        """True while anybody listens."""
        return self.milliseconds.wanted or self.microseconds.wanted

    def publish(self, encode: Callable[[Any, int], bytes], message: Any) -> None:
        """`encode(message, ns per time unit)` for whoever listens."""
        topic = self.milliseconds
        if topic.raw or topic.combined:
            topic.publish(encode(message, 1_000_000))
        topic = self.microseconds
        if topic.raw or topic.combined:
            topic.publish(encode(message, 1_000))
