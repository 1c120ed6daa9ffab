"""Redundant connections for one set of streams: opening, subscribing, watching, replacing. No socket: a Network is asked.

    WAITING ──due──▶ CONNECTING ──opened──▶ SUBSCRIBING ──all answered──▶ LIVE ──replaced──▶ CLOSING ──closed──▶ GONE
       ▲                 │ closed               │ closed                   │ closed
       └─────────────────┴──────────────────────┴──────────────────────────┘        (from anywhere: stop → CLOSING)

A line keeps `redundancy` sessions, all with the same streams. Each is replaced before the venue's 24 h are over: a third one
is opened, and only when it is live and brings data the old one is closed. Two sessions of a line never rotate together.
A session that is lost leaves the other one carrying on; it comes back after a jittered, growing delay and subscribes anew.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from reactor.exchanges.venue import MarketCodec, Stream
from reactor.feed.parameters import SessionParameters
from reactor.market.intake import (
    STREAM_BROKEN,
    STREAM_FRAME,
    STREAM_MOVED,
    STREAM_STOP_SHIFT,
    STREAM_TAKEN,
    FrameKind,
    Session,
    StreamTaker,
    take_stream,
)
from reactor.net.backoff import Backoff
from reactor.net.network import Connection, Network, Sent, StreamSource

MS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
OFFSET: Final = STREAM_MOVED - 1


class SessionState(IntEnum):
    """Where a connection stands."""

    WAITING = 0
    CONNECTING = 1
    SUBSCRIBING = 2
    LIVE = 3
    CLOSING = 4
    GONE = 5


class SessionEvent(IntEnum):
    """What can happen to it."""

    DUE = 0
    OPENED = 1
    ANSWERED = 2  # every subscription is acknowledged
    MORE = 3  # new streams are to be subscribed
    CLOSED = 4
    REPLACED = 5
    STOP = 6


_S, _E = SessionState, SessionEvent

TRANSITIONS: Final[Mapping[tuple[SessionState, SessionEvent], SessionState]] = {
    (_S.WAITING, _E.DUE): _S.CONNECTING,
    (_S.WAITING, _E.MORE): _S.WAITING,  # They are subscribed with the others.
    (_S.WAITING, _E.STOP): _S.GONE,
    (_S.CONNECTING, _E.OPENED): _S.SUBSCRIBING,
    (_S.CONNECTING, _E.MORE): _S.CONNECTING,
    (_S.CONNECTING, _E.CLOSED): _S.WAITING,
    (_S.CONNECTING, _E.STOP): _S.CLOSING,  # Closed as soon as it opens.
    (_S.SUBSCRIBING, _E.ANSWERED): _S.LIVE,
    (_S.SUBSCRIBING, _E.MORE): _S.SUBSCRIBING,
    (_S.SUBSCRIBING, _E.CLOSED): _S.WAITING,
    (_S.SUBSCRIBING, _E.STOP): _S.CLOSING,
    (_S.LIVE, _E.MORE): _S.LIVE,  # What it has goes on meanwhile.
    (_S.LIVE, _E.ANSWERED): _S.LIVE,
    (_S.LIVE, _E.CLOSED): _S.WAITING,
    (_S.LIVE, _E.REPLACED): _S.CLOSING,
    (_S.LIVE, _E.STOP): _S.CLOSING,
    (_S.CLOSING, _E.OPENED): _S.CLOSING,
    (_S.CLOSING, _E.CLOSED): _S.GONE,
    (_S.CLOSING, _E.STOP): _S.CLOSING,
    (_S.GONE, _E.STOP): _S.GONE,
}


class LineOwner(Protocol):
    """Who hears what a line's sessions do: the venue's books."""

    def on_frame_bits(self, bits: int, payload: memoryview, receive_ns: int, session: "FeedSession") -> None:
        """A frame has bits that the owner attends to."""

    def on_session_up(self, session: "FeedSession", now_ns: int) -> None:
        """It has its streams."""

    def on_session_down(self, session: "FeedSession", reason: str, now_ns: int) -> None:
        """It is lost (or was replaced as planned, then `reason` is empty)."""

    def slot_of(self, symbol: str) -> int:
        """The intake's slot of a symbol."""

    def on_silent_stream(self, session: "FeedSession", stream: Stream) -> None:
        """Subscribed, acknowledged, and nothing came."""


Take = Callable[[memoryview, int], int]


@dataclass(frozen=True)
class Wholesale:
    """How an owner takes frames by the read instead of one by one."""

    make_taker: Callable[[Session], StreamTaker]
    on_moved: Callable[[int], None]  # (receive_ns): the frames of a read are taken, tops may have moved
    is_pressed: Callable[[], bool]  # True: what the next frame may cause has nowhere to go; leave it in its buffer
    on_held: Callable[[StreamSource], None]  # A connection was held for that reason: `go_on` is to be called later.


class FeedSession:
    """One connection of a line; the network's listener."""

    def __init__(self, line: "Line", number: int, take: Take, counters: Session, backoff: Backoff) -> None:
        self.line = line
        self.number = number
        self.counters = counters
        self.state = SessionState.WAITING
        self.refused = 0  # events that the table does not know
        self.due_ns = 0
        self.opened_ns = 0
        self.was_open = False  # before it closed the last time; False: it never came to be
        self.live_ns = 0
        self.rotate_ns = 0
        self.replaces: FeedSession | None = None
        self._take = take
        self._backoff = backoff
        self._on_bits = line.owner.on_frame_bits
        self.attention = line.attention
        self._connection: Connection | None = None
        self._to_send: deque[tuple[Stream, ...]] = deque()
        self._waiting: dict[int, tuple[int, tuple[Stream, ...]]] = {}  # request number → (sent, streams)
        self._send_due_ns = 0
        self._ping_ns = 0
        self._was_alarmed = False

    # -- the network's calls

    def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        """The hot path: one C call for the frame; what concerns nobody ends here."""
        bits = self._take(payload, receive_ns)
        if bits & self.attention:
            self._on_bits(bits, payload, receive_ns, self)

    def attend(self, attention: int) -> None:
        """The owner wants to hear of other bits from now on."""
        self.attention = attention

    def on_open(self, connection: Connection, now_ns: int) -> None:
        """Subscribes everything, in frames as the venue's limits allow."""
        self._connection = connection
        if self.state is SessionState.CLOSING:
            connection.close("not wanted any more")
            return
        self._step(SessionEvent.OPENED)
        self.opened_ns = now_ns
        self._ping_ns = 0
        self._was_alarmed = False
        self.counters.native.last_receive_ns = now_ns
        parameters = self.line.parameters
        stagger_ns = int((self.number % parameters.redundancy) * parameters.rotate_stagger_s * SECOND_NS)
        self.rotate_ns = now_ns + int(parameters.rotate_after_s * SECOND_NS) - stagger_ns
        self._to_send.clear()
        self._waiting.clear()
        self.subscribe(self.line.streams, now_ns)

    def on_pong(self, connection: Connection, payload: bytes, receive_ns: int) -> None:
        """A silent market is not a dead connection."""
        self._ping_ns = 0
        self.counters.native.last_receive_ns = receive_ns

    def on_close(self, connection: Connection, reason: str, now_ns: int) -> None:
        """Comes back later, unless it was meant to end."""
        if connection is not self._connection and self._connection is not None:
            return
        was_wanted = self.state is not SessionState.CLOSING
        if self.live_ns and now_ns - self.live_ns > self.line.parameters.steady_s * SECOND_NS:
            self._backoff.reset()
        self.was_open, self.opened_ns = self.opened_ns > 0, 0
        self._connection = None
        self._to_send.clear()
        self._waiting.clear()
        self._step(SessionEvent.CLOSED)
        self.due_ns = now_ns + self._backoff.next_delay_ns()
        self.line.owner.on_session_down(self, reason or "closed" if was_wanted else "", now_ns)

    # -- the line's calls

    def subscribe(self, streams: Sequence[Stream], now_ns: int) -> None:
        """More streams for this connection."""
        size = self.line.codec.names_per_frame_max
        for start in range(0, len(streams), size):
            self._to_send.append(tuple(streams[start : start + size]))
        self._step(SessionEvent.MORE)
        self._send_next(now_ns)

    def on_answer(self, number: int, code: int, now_ns: int) -> None:
        """The venue answered a subscription. `number` −1: it did not say which."""
        self._waiting.pop(number, None)
        if code and self._connection is not None:
            self._connection.close(f"subscription refused with code {code}")
        elif not self._waiting and not self._to_send:
            was_live = self.state is SessionState.LIVE
            self._step(SessionEvent.ANSWERED)
            if not was_live:
                self.live_ns = now_ns
                self.line.owner.on_session_up(self, now_ns)

    def connect(self, now_ns: int) -> None:
        """The delay is over."""
        self._step(SessionEvent.DUE)
        self.line.network.connect(self.line.url, self)

    def close(self, event: SessionEvent, reason: str) -> None:
        """REPLACED or STOP."""
        self._step(event)
        if self._connection is not None:
            self._connection.close(reason)

    def rotate_now(self, now_ns: int) -> None:
        """The venue announced that it goes down: replace this session as soon as a new one is there."""
        self.rotate_ns = now_ns

    def on_time(self, now_ns: int) -> None:
        """Sends what waits, watches for silence."""
        connection, parameters = self._connection, self.line.parameters
        if connection is None or self.state not in (SessionState.SUBSCRIBING, SessionState.LIVE):
            return
        self._send_next(now_ns)
        answer_ns = int(parameters.subscribe_answer_s * SECOND_NS)
        if any(now_ns - sent_ns > answer_ns for sent_ns, _ in self._waiting.values()):
            connection.close("no answer to a subscription")
            self._waiting.clear()
            return
        silence_ns = now_ns - self.counters.native.last_receive_ns
        if self._ping_ns:
            if silence_ns < now_ns - self._ping_ns:
                self._ping_ns = 0
            elif now_ns - self._ping_ns > parameters.pong_s * SECOND_NS:
                self._ping_ns = 0
                connection.close("silent, and no answer to a ping")
        elif silence_ns > parameters.silence_s * SECOND_NS:
            self._ping_ns = now_ns
            connection.ping(b"alive?")
        if self.live_ns and not self._was_alarmed and now_ns - self.opened_ns > parameters.alarm_after_s * SECOND_NS:
            self._was_alarmed = True
            for stream in self.silent_streams():
                self.line.owner.on_silent_stream(self, stream)

    def silent_streams(self) -> list[Stream]:
        """Streams that have brought nothing. Trades are not expected of every symbol at every time."""
        slot_of, has_seen = self.line.owner.slot_of, self.counters.has_seen
        return [
            stream
            for stream in self.line.streams
            if stream.frame_kind != FrameKind.TRADE and not has_seen(slot_of(stream.symbol), stream.frame_kind)
        ]

    @property
    def is_live(self) -> bool:
        """It is open and everything it was asked for is acknowledged."""
        return self.state is SessionState.LIVE

    @property
    def is_over(self) -> bool:
        """It will not come back: replaced, or stopped."""
        return self.state is SessionState.GONE

    def _send_next(self, now_ns: int) -> None:
        if not self._to_send or now_ns < self._send_due_ns or self._connection is None:
            return
        streams = self._to_send.popleft()
        line = self.line
        line.requests += 1
        frame = line.codec.subscribe_frame(line.requests, [stream.name for stream in streams])
        # One less than the limit per second: a ping of ours or a pong counts too.
        self._send_due_ns = now_ns + SECOND_NS // (line.codec.messages_per_second_max - 1)
        if self._connection.send(frame) is Sent.NOT_SENT:
            self._connection.close("cannot send")
            return
        self._waiting[line.requests] = (now_ns, streams)

    def _step(self, event: SessionEvent) -> None:
        target = TRANSITIONS.get((self.state, event))
        if target is None:
            self.refused += 1
        else:
            self.state = target
            if target is not SessionState.LIVE:
                self.live_ns = 0


class WholesaleSession(FeedSession):
    """One that takes frames by the read, where the network can (a StreamListener)."""

    def __init__(self, line: "Line", number: int, take: Take, counters: Session, backoff: Backoff, way: Wholesale) -> None:
        super().__init__(line, number, take, counters, backoff)
        self._stream = way.make_taker(counters)
        self._stream.attend(self.attention)
        self._native = self._stream.native
        self._buffer: bytearray | None = None
        self._on_moved = way.on_moved
        self._is_pressed = way.is_pressed
        self._on_held = way.on_held

    def attend(self, attention: int) -> None:
        """The owner wants to hear of other bits from now on."""
        super().attend(attention)
        self._stream.attend(attention)

    def on_bytes(self, connection: StreamSource, buffer: bytearray, start: int, end: int, receive_ns: int) -> int:
        """The hot path: one C call for all frames of a read, and one more for each that must be decided on.

        Signals are asked once per read, of the newest state: what stood between is older than its own message. Where somebody
        wants every update it is asked at each, and while that has nowhere to go the rest stays where it is.
        """
        if self._is_pressed():
            return self._hold(connection, start)
        if buffer is not self._buffer:
            self._buffer = buffer
            self._stream.bind(buffer)
        place = take_stream(self._native, start, end, receive_ns)
        return place if place == end else self._go_on(connection, place, end, receive_ns)

    def _go_on(self, connection: StreamSource, place: int, end: int, receive_ns: int) -> int:
        stream = self._stream
        while (stop := place >> STREAM_STOP_SHIFT) != STREAM_TAKEN:
            if stop == STREAM_BROKEN:
                connection.fail("not a WebSocket frame")
                return end
            if stop == STREAM_FRAME:
                bits, payload = stream.frame()
                self._on_bits(bits, payload, receive_ns, self)
            else:
                opcode, words = stream.control()
                connection.on_control(opcode, words, receive_ns)
            if self._is_pressed():
                self._on_moved(receive_ns)
                return self._hold(connection, place & OFFSET)
            place = take_stream(self._native, place & OFFSET, end, receive_ns)
        if place & STREAM_MOVED:
            self._on_moved(receive_ns)
        start = place & OFFSET
        if start != end:
            connection.need(stream.needed)
        return start

    def _hold(self, connection: StreamSource, start: int) -> int:
        connection.hold()
        self._on_held(connection)
        return start


class Line:
    """Redundant sessions for one set of streams at one address."""

    def __init__(
        self,
        owner: LineOwner,
        codec: MarketCodec,
        url: str,
        network: Network,
        parameters: SessionParameters,
        make_take: Callable[[Session], Take],
        uniform: Callable[[], float],
        attention: int,
        wholesale: Wholesale | None = None,
    ) -> None:
        """`attention`: the intake's bits that the owner wants to hear of; `wholesale`: None takes every frame by itself."""
        self.owner = owner
        self.codec = codec
        self.url = url
        self.network = network
        self.parameters = parameters
        self.attention = attention
        self.streams: list[Stream] = []
        self.sessions: list[FeedSession] = []
        self.requests = 0
        self.rotations = 0
        self._make_take = make_take
        self._wholesale = wholesale
        self._uniform = uniform
        self._numbers = 0
        self._is_stopping = False

    def add(self, streams: Iterable[Stream], now_ns: int) -> int:
        """Subscribes more streams on every session; those that are there already are skipped. Returns how many were new."""
        present = {stream.name for stream in self.streams}
        added = [stream for stream in streams if stream.name not in present]
        room = self.codec.streams_max - len(self.streams)
        added = added[:room]
        self.streams += added
        for session in self.sessions:
            if added and session.state in (SessionState.SUBSCRIBING, SessionState.LIVE):
                session.subscribe(added, now_ns)
        return len(added)

    def set_attention(self, attention: int) -> None:
        """The owner wants to hear of other bits from now on."""
        self.attention = attention
        for session in self.sessions:
            session.attend(attention)

    def live_count(self) -> int:
        """How many sessions are live."""
        return sum(session.is_live for session in self.sessions)

    def on_time(self, now_ns: int) -> None:
        """Opens, rotates and watches. Call it a few times a second or more."""
        if not self.streams or self._is_stopping:
            return
        while sum(session.replaces is None for session in self.sessions) < self.parameters.redundancy:
            self._open_one(now_ns)
        for session in tuple(self.sessions):
            if session.state is SessionState.GONE:
                self.sessions.remove(session)
            elif session.state is SessionState.WAITING:
                if now_ns >= session.due_ns:
                    session.connect(now_ns)
            else:
                session.on_time(now_ns)
                self._rotate(session, now_ns)

    def stop(self) -> None:
        """Closes every session for good."""
        self._is_stopping = True
        for session in self.sessions:
            session.close(SessionEvent.STOP, "stopping")

    def _open_one(self, now_ns: int) -> FeedSession:
        counters = Session()
        backoff = Backoff(self.parameters.backoff, self._uniform)
        take, number, way = self._make_take(counters), self._numbers, self._wholesale
        session = (
            FeedSession(self, number, take, counters, backoff)
            if way is None
            else WholesaleSession(self, number, take, counters, backoff, way)
        )
        self._numbers += 1
        self.sessions.append(session)
        return session

    def _rotate(self, session: FeedSession, now_ns: int) -> None:
        old = session.replaces
        if old is not None:
            if old.state is not SessionState.LIVE:  # It broke by itself meanwhile: the new one takes its place.
                old.close(SessionEvent.STOP, "replaced")
                session.replaces = None
            elif session.is_live and self._is_bringing(session, now_ns):
                session.replaces = None
                old.close(SessionEvent.REPLACED, "planned rotation")
                self.rotations += 1
        elif session.is_live and now_ns >= session.rotate_ns and not any(each.replaces for each in self.sessions):
            replacement = self._open_one(now_ns)
            replacement.replaces = session
            replacement.number = session.number  # It inherits the place in the stagger.

    def _is_bringing(self, session: FeedSession, now_ns: int) -> bool:
        is_overdue = now_ns - session.live_ns > self.parameters.rotate_overlap_s * SECOND_NS
        return is_overdue or not session.silent_streams()
