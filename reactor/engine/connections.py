"""Every private connection of one venue: a pool of order sessions, the user stream, REST, the clock and the request budget.

    order session   DOWN ─▶ CONNECTING ─▶ LOGGING_ON ─▶ UP ─▶ DRAINING ─▶ DOWN        (logon: Ed25519 keys only)
    user stream     DOWN ─▶ KEYING ─▶ CONNECTING ─▶ SUBSCRIBING ─▶ UP ─▶ DRAINING ─▶ DOWN
                            (futures: listen key)   (spot: on the WebSocket API)

A venue cuts every connection after 24 h. We replace each one before that: the successor is up before the old one drains, so
that neither an order nor an event falls between them. What breaks is tried again with jittered backoff, for ever.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final, Protocol, cast

from reactor.engine.counters import Counter
from reactor.engine.health import Health
from reactor.engine.parameters import ConnectionParameters
from reactor.engine.router import route, sessions_wanted
from reactor.engine.venue_clock import VenueClock
from reactor.exchanges.binance.executions import (
    PRIVATE_CONTROL,
    PRIVATE_FRAME,
    PRIVATE_OFFSET,
    PRIVATE_STOP_SHIFT,
    ExecutionReader,
    PrivateBytes,
    private_take,
)
from reactor.exchanges.venue import (
    Answer,
    Endpoints,
    RateLimit,
    RateLimitKind,
    ReportSink,
    RestCall,
    UserEvent,
)
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from reactor.net.backoff import Backoff
from reactor.net.network import Connection, Failure, Network, Request, Response, Sent, StreamSource
from reactor.net.rate_limit import RateBudget

SECOND_NS: Final = 1_000_000_000
TICK_NS: Final = 5_000_000  # How often timers are looked at.
HANDSHAKE_WEIGHT: Final = 5  # "Connecting to the WebSocket API costs 2" (spot), "5" (futures)
BAN_MS: Final = 120_000  # "IP banned: 2 min … 3 days": where the venue does not say how long.
LIMITED_MS: Final = 10_000  # The same for 429: the shortest window.


class SessionState(IntEnum):
    """Where a connection is in its life."""

    DOWN = 0
    KEYING = 1
    CONNECTING = 2
    LOGGING_ON = 3
    SUBSCRIBING = 4
    UP = 5
    DRAINING = 6


class PrivateCodec(Protocol):
    """What connections need of an order codec (venue.OrderCodec has more)."""

    venue: int
    has_logon: bool
    place_window_ms: int

    def logon_frame(self, number: int, timestamp_ms: int) -> bytes: ...

    def subscribe_frame(self, number: int, timestamp_ms: int) -> bytes: ...

    def read_answer(self, payload: bytes | memoryview) -> Answer: ...

    def read_response(self, status: int, headers: Mapping[str, str], body: bytes, venue_ms: int) -> Answer: ...

    def time_call(self) -> RestCall: ...

    def listen_key_call(self, method: str) -> RestCall: ...


class UserCodec(Protocol):
    """What connections need of a user codec."""

    has_listen_key: bool
    answer: Answer | None
    event_name: str

    def read(self, payload: bytes | memoryview, sink: ReportSink) -> UserEvent: ...


class Owner(Protocol):
    """The role, as its connections see it."""

    def on_order_answer(self, session: "OrderSession", answer: Answer, receive_ns: int) -> None:
        """An answer with a request number came on an order session."""

    def on_order_execution(self, session: "OrderSession", receive_ns: int) -> bool:
        """A good answer came, and the pool's reader holds it. False: the frame is to be read in Python."""

    def on_order_session_lost(self, session: "OrderSession", now_ns: int) -> None:
        """A session that was up is gone, and what it carried may be unanswered."""

    def on_user_execution(self, connections: "VenueConnections", receive_ns: int) -> bool:
        """An event of an order came, and the pool's reader holds it. False: the frame is to be read in Python."""

    def on_user_frame(self, stream: "UserStream", payload: memoryview, receive_ns: int) -> UserEvent:
        """Reads one frame of the user stream into reports."""

    def on_availability(self, connections: "VenueConnections", now_ns: int) -> None:
        """Private connectivity became complete, or ceased to be."""


class PrivateLine:
    """One WebSocket to the venue, by the frame or (where the network can: a StreamListener) by the read.

    C takes what is usual from the bytes; only what it leaves becomes Python objects.
    """

    def __init__(self, pool: "VenueConnections", *, is_user: bool) -> None:
        self.pool = pool
        self._bytes = PrivateBytes(pool.reader, is_user=is_user)
        self._native = self._bytes.native
        self._buffer: bytearray | None = None

    def on_bytes(self, connection: StreamSource, buffer: bytearray, start: int, end: int, receive_ns: int) -> int:
        """Every whole frame of a read, one after another."""
        if buffer is not self._buffer:
            self._buffer = buffer
            self._bytes.bind(buffer)
        native = self._native
        place = private_take(native, start, end)
        while stop := place >> PRIVATE_STOP_SHIFT:
            if stop <= PRIVATE_FRAME:  # or PRIVATE_READ
                try:
                    if stop == PRIVATE_FRAME or not self._on_read(receive_ns):
                        self._on_unread(connection, self._bytes.payload(), receive_ns)
                except Exception as error:  # As with any listener: the frame is lost, what follows is not.
                    connection.on_error(error)
            elif stop == PRIVATE_CONTROL:
                connection.on_control(self._bytes.opcode, bytes(self._bytes.payload()), receive_ns)
            else:
                connection.fail("not a WebSocket frame")
                return end
            place = private_take(native, place & PRIVATE_OFFSET, end)
        if place != end:
            connection.need(self._bytes.needed)
        return place

    def _on_read(self, receive_ns: int) -> bool:
        """The pool's reader holds what a frame says. False: it is to be read in Python all the same."""
        raise NotImplementedError

    def _on_unread(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        """A frame that is to be read in Python."""
        raise NotImplementedError


class OrderSession(PrivateLine):
    """One WebSocket for orders."""

    def __init__(self, pool: "VenueConnections", index: int) -> None:
        super().__init__(pool, is_user=False)
        self.index = index
        self.state = SessionState.DOWN
        self.health = Health(pool.parameters.health)
        self.score = 0
        self.in_flight = 0
        self.connection: Connection | None = None
        self._source: StreamSource | None = None  # the same, where frames can leave together
        self.is_retired = False  # to be replaced: a successor is wanted
        self.next_try_ns = 0
        self._backoff = Backoff(pool.parameters.backoff, pool.uniform)
        self._deadline_ns = 0
        self._ping_ns = 0
        self._pinged_ns = 0
        self._retire_ns = 0

    def send(self, payload: bytes) -> Sent:
        """Hands a request to the socket."""
        connection = self.connection
        return Sent.NOT_SENT if connection is None else connection.send(payload)

    def put(self, payload: bytes) -> Sent:
        """As `send`; where the connection can, the frame waits for `flush`. If the connection breaks before that, the request
        counts as sent: its outcome is unknown."""
        source = self._source
        return self.send(payload) if source is None else source.put(payload)

    def flush(self) -> None:
        """Writes what waits."""
        if self._source is not None:
            self._source.flush()

    def connect(self, now_ns: int) -> None:
        """Starts a connection; on_open or on_close follow. Nothing happens while the request budget has no room for one:
        a venue that has said 429 takes every further handshake for one more offence, and bans the address."""
        pool = self.pool
        if not pool.budget.try_spend(HANDSHAKE_WEIGHT, 0, pool.timestamp_ms(), is_urgent=True):
            self.next_try_ns = now_ns + self._backoff.next_delay_ns()
            pool.metrics.count(Counter.RATE_REFUSED)
            return
        self.state = SessionState.CONNECTING
        self.is_retired = False
        self.in_flight = 0
        self.pool.metrics.count(Counter.CONNECTS)
        self.pool.network.connect(self.pool.orders_url, self)

    def on_answered(self, rtt_ns: int, now_ns: int, *, is_late: bool = False) -> None:
        """A request of this session was answered. A late one was counted as unanswered before."""
        if not is_late:
            self.in_flight -= 1
        self.health.on_round_trip(rtt_ns, now_ns)

    def on_unanswered(self, now_ns: int) -> None:
        """A request of this session timed out or could not be sent."""
        self.health.on_error(now_ns)
        self.score = self.health.score

    def close(self, reason: str) -> None:
        """Starts closing."""
        if self.connection is not None:
            self.connection.close(reason)

    def tick(self, now_ns: int) -> None:
        """Timers of a session that is not down."""
        parameters = self.pool.parameters
        if self.state == SessionState.LOGGING_ON:
            if now_ns >= self._deadline_ns:
                self.close("no answer to session.logon")
        elif self.state == SessionState.UP:
            if self._pinged_ns and now_ns - self._pinged_ns > parameters.pong_timeout_ns:
                self._pinged_ns = 0
                self.close("no pong")
            elif now_ns >= self._ping_ns and self.connection is not None:
                self._ping_ns = now_ns + parameters.heartbeat_ns
                self._pinged_ns = now_ns
                self.connection.ping()
            if now_ns >= self._retire_ns:
                self.is_retired = True
            self.score = self.health.refresh(now_ns)
        elif self.state == SessionState.DRAINING and (self.in_flight <= 0 or now_ns >= self._deadline_ns):
            self.close("rotation")

    def drain(self, now_ns: int) -> None:
        """Takes no new requests; closes when the last answer is in."""
        self.state = SessionState.DRAINING
        self._deadline_ns = now_ns + self.pool.parameters.drain_ns
        self.pool.changed(now_ns)

    # Listener

    def on_open(self, connection: Connection, now_ns: int) -> None:
        """Logs on, or is up at once."""
        self.connection = connection
        self._source = cast(StreamSource, connection) if hasattr(connection, "put") else None
        pool = self.pool
        if pool.codec.has_logon:
            self.state = SessionState.LOGGING_ON
            self._deadline_ns = now_ns + pool.parameters.answer_timeout_ns
            connection.send(pool.codec.logon_frame(0, pool.timestamp_ms()))
        else:
            self._be_up(now_ns)

    def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        """An answer, or something that the venue says by itself."""
        if not (self.pool.reader.read_answer(payload) and self.pool.owner.on_order_execution(self, receive_ns)):
            self._on_unread(connection, payload, receive_ns)

    def _on_read(self, receive_ns: int) -> bool:
        return self.pool.owner.on_order_execution(self, receive_ns)

    def _on_unread(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        answer = self.pool.codec.read_answer(payload)
        if answer.request_number > 0:
            self.pool.owner.on_order_answer(self, answer, receive_ns)
        elif self.state == SessionState.LOGGING_ON and answer.request_number == 0:
            if answer.status == 200:
                self._be_up(receive_ns)
            else:
                self.pool.log.error(
                    "order session: logon refused", venue=self.pool.name, code=answer.error_code, words=answer.error_text
                )
                self.close("logon refused")
        elif answer.is_event:
            if self.pool.is_shutdown(answer.result):
                self.is_retired = True
        else:
            self.pool.metrics.count(Counter.FRAMES_MALFORMED)
            if answer.status == 401:
                self.close("the venue revoked the session")

    def on_pong(self, connection: Connection, payload: bytes, receive_ns: int) -> None:
        """The heartbeat's answer measures the round trip without an order."""
        if self._pinged_ns:
            self.health.on_round_trip(receive_ns - self._pinged_ns, receive_ns)
            self._pinged_ns = 0

    def on_close(self, connection: Connection, reason: str, now_ns: int) -> None:
        """Gone, or never came to be."""
        was_up = self.state in (SessionState.UP, SessionState.DRAINING)
        was_drained = self.state == SessionState.DRAINING
        self.state = SessionState.DOWN
        self.connection = self._source = None
        self.score = 0
        self.next_try_ns = now_ns if was_drained else now_ns + self._backoff.next_delay_ns()
        pool = self.pool
        pool.changed(now_ns)
        if was_up:
            if not was_drained and not pool.is_closing:
                pool.metrics.count(Counter.SESSIONS_LOST)
                pool.log.warning("order session lost", venue=pool.name, session=self.index, reason=reason)
            pool.owner.on_order_session_lost(self, now_ns)
        elif not pool.is_closing:
            pool.log.warning("order session cannot be opened", venue=pool.name, session=self.index, reason=reason)

    def _be_up(self, now_ns: int) -> None:
        parameters = self.pool.parameters
        self.state = SessionState.UP
        self._backoff.reset()
        self._ping_ns = now_ns
        self._pinged_ns = 0
        self._retire_ns = now_ns + int(parameters.life_ns * (1.0 - parameters.life_jitter * self.pool.uniform()))
        self.health = Health(parameters.health)
        self.health.last_seen_ns = now_ns
        self.score = self.health.refresh(now_ns)
        self.pool.changed(now_ns)


class UserStream(PrivateLine):
    """One WebSocket for private events."""

    def __init__(self, pool: "VenueConnections", index: int) -> None:
        super().__init__(pool, is_user=True)
        self.index = index
        self.state = SessionState.DOWN
        self.is_wanted = False
        self.is_retired = False
        self.opened_ns = 0
        self.listen_key = ""
        self._connection: Connection | None = None
        self._backoff = Backoff(pool.parameters.backoff, pool.uniform)
        self._next_try_ns = 0
        self._deadline_ns = 0
        self._ping_ns = 0
        self._pinged_ns = 0
        self._keepalive_ns = 0
        self._retire_ns = 0

    def tick(self, now_ns: int) -> None:
        """Timers."""
        state = self.state
        parameters = self.pool.parameters
        if state == SessionState.DOWN:
            if self.is_wanted and now_ns >= self._next_try_ns:
                self._start(now_ns)
        elif state == SessionState.SUBSCRIBING:
            if now_ns >= self._deadline_ns:
                self.close("no answer to the subscription")
        elif state == SessionState.UP:
            if self._pinged_ns and now_ns - self._pinged_ns > parameters.pong_timeout_ns:
                self._pinged_ns = 0
                self.close("no pong")
            elif now_ns >= self._ping_ns and self._connection is not None:
                self._ping_ns = now_ns + parameters.heartbeat_ns
                self._pinged_ns = now_ns
                self._connection.ping()
            if self.listen_key and now_ns >= self._keepalive_ns:
                self._keepalive_ns = now_ns + parameters.keepalive_ns
                self.pool.call(self.pool.codec.listen_key_call("PUT"), self._on_kept, is_urgent=True)
            if now_ns >= self._retire_ns:
                self.is_retired = True
        elif state == SessionState.DRAINING and now_ns >= self._deadline_ns:
            self.close("rotation")

    def close(self, reason: str) -> None:
        """Starts closing."""
        if self._connection is not None:
            self._connection.close(reason)

    def drain(self, now_ns: int) -> None:
        """A successor is up: listen a little longer, then leave."""
        self.state = SessionState.DRAINING
        self.is_wanted = False
        self._deadline_ns = now_ns + self.pool.parameters.overlap_ns

    def _start(self, now_ns: int) -> None:
        pool = self.pool
        self.is_retired = False
        if not pool.user_codec.has_listen_key:
            self.state = SessionState.CONNECTING
            pool.network.connect(pool.endpoints.orders_url, self)
            return
        self.state = SessionState.KEYING
        if not pool.call(pool.codec.listen_key_call("POST"), self._on_key, is_urgent=True):
            self._fail("request budget", now_ns)

    def _on_key(self, answer: Answer, response: Response) -> None:
        now_ns = response.receive_ns
        result = answer.result
        if answer.status != 200 or not isinstance(result, dict) or not isinstance(result.get("listenKey"), str):
            self.pool.log.warning(
                "no listen key", venue=self.pool.name, code=answer.error_code, words=answer.error_text or response.text
            )
            self._fail("no listen key", now_ns)
            return
        self.listen_key = result["listenKey"]
        self._keepalive_ns = now_ns + self.pool.parameters.keepalive_ns
        self.state = SessionState.CONNECTING
        self.pool.network.connect(f"{self.pool.endpoints.private_url}/ws/{self.listen_key}", self)

    def _on_kept(self, answer: Answer, response: Response) -> None:
        if answer.status == 200:
            return
        if answer.error_code == -1125:  # "This listenKey does not exist."
            self.close("the listen key is dead")
        else:
            self._keepalive_ns = response.receive_ns + 60 * SECOND_NS  # Half an hour is left to try again.

    def _fail(self, reason: str, now_ns: int) -> None:
        self.state = SessionState.DOWN
        self._next_try_ns = now_ns + self._backoff.next_delay_ns()
        self.pool.log.debug("user stream: next try later", venue=self.pool.name, reason=reason)

    # Listener

    def on_open(self, connection: Connection, now_ns: int) -> None:
        """Futures: events flow. Spot: log on and subscribe, or subscribe with a signature."""
        self._connection = connection
        pool = self.pool
        if pool.user_codec.has_listen_key:
            self._be_up(now_ns)
            return
        self.state = SessionState.SUBSCRIBING
        self._deadline_ns = now_ns + pool.parameters.answer_timeout_ns
        if pool.codec.has_logon:
            connection.send(pool.codec.logon_frame(1, pool.timestamp_ms()))
        else:
            connection.send(pool.codec.subscribe_frame(2, pool.timestamp_ms()))

    def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        """One frame: the role reads it into reports; what concerns the stream itself is done here."""
        if not (self.pool.reader.read_event(payload) and self.pool.owner.on_user_execution(self.pool, receive_ns)):
            self._on_unread(connection, payload, receive_ns)

    def _on_read(self, receive_ns: int) -> bool:
        return self.pool.owner.on_user_execution(self.pool, receive_ns)

    def _on_unread(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        pool = self.pool
        event = pool.owner.on_user_frame(self, payload, receive_ns)
        if event == UserEvent.REPORTS:
            return
        if event == UserEvent.ANSWER:
            self._on_answer(connection, receive_ns)
        elif event == UserEvent.EXPIRED:
            self.close("the venue ended the stream")
        elif event == UserEvent.SHUTDOWN:
            self.is_retired = True
        elif event == UserEvent.ALARM:
            pool.log.error(
                "the venue warns",
                venue=pool.name,
                event_name=pool.user_codec.event_name,
                frame=bytes(payload[:300]).decode("ascii", "replace"),
            )
        elif event == UserEvent.UNKNOWN:
            pool.metrics.count(Counter.USER_EVENTS_UNKNOWN)
            pool.log.warning("user event nobody knows", venue=pool.name, event_name=pool.user_codec.event_name)
        else:
            pool.metrics.count(Counter.FRAMES_MALFORMED)
            pool.log.warning(
                "user event cannot be read", venue=pool.name, frame=bytes(payload[:200]).decode("ascii", "replace")
            )

    def on_pong(self, connection: Connection, payload: bytes, receive_ns: int) -> None:
        """Alive."""
        self._pinged_ns = 0

    def on_close(self, connection: Connection, reason: str, now_ns: int) -> None:
        """Gone, or never came to be."""
        was_up = self.state == SessionState.UP
        was_drained = self.state == SessionState.DRAINING
        self.state = SessionState.DOWN
        self._connection = None
        self.listen_key = ""
        if not was_drained and not self.pool.is_closing:
            self._next_try_ns = now_ns + self._backoff.next_delay_ns()
            self.pool.metrics.count(Counter.USER_STREAMS_LOST)
            self.pool.log.warning(
                "user stream lost" if was_up else "user stream cannot be opened", venue=self.pool.name, reason=reason
            )
        self.pool.changed(now_ns)

    def _on_answer(self, connection: Connection, now_ns: int) -> None:
        pool = self.pool
        answer = pool.user_codec.answer
        assert answer is not None, "an ANSWER event leaves the answer in the codec"
        if self.state != SessionState.SUBSCRIBING:
            if answer.status == 401:
                self.close("the venue revoked the key")
            return
        if answer.status != 200:
            pool.log.error("user stream refused", venue=pool.name, code=answer.error_code, words=answer.error_text)
            self.close("subscription refused")
        elif answer.request_number == 1:
            connection.send(pool.codec.subscribe_frame(2, pool.timestamp_ms()))
        elif answer.request_number == 2:
            self._be_up(now_ns)

    def _be_up(self, now_ns: int) -> None:
        parameters = self.pool.parameters
        self.state = SessionState.UP
        self.opened_ns = now_ns
        self._backoff.reset()
        self._ping_ns = now_ns + parameters.heartbeat_ns
        self._pinged_ns = 0
        self._retire_ns = now_ns + int(parameters.life_ns * (1.0 - parameters.life_jitter * self.pool.uniform()))
        self.pool.changed(now_ns)


class VenueConnections:
    """Everything private with one venue."""

    def __init__(
        self,
        name: str,
        codec: PrivateCodec,
        user_codec: UserCodec,
        endpoints: Endpoints,
        orders_url: str,
        rate_limits: tuple[RateLimit, ...],
        parameters: ConnectionParameters,
        network: Network,
        clock: Clock,
        uniform: Callable[[], float],
        owner: Owner,
        metrics: Metrics,
        log: Log,
        reader: ExecutionReader,
        first_index: int = 0,
    ) -> None:
        """`orders_url` "" means that this venue takes orders over REST only; `first_index` numbers its sessions in reports."""
        self.name = name
        self.venue = codec.venue
        self.codec = codec
        self.user_codec = user_codec
        self.endpoints = endpoints
        self.orders_url = orders_url
        self.parameters = parameters
        self.network = network
        self.uniform = uniform
        self.owner = owner
        self.metrics = metrics
        self.log = log
        self.reader = reader
        self.budget = RateBudget(rate_limits, parameters.rate_budget)
        self.clock = VenueClock(parameters.clock)
        self._realtime_ns = clock.realtime_ns
        self._monotonic_ns = clock.monotonic_ns
        # One more than the most, for a successor in rotation.
        self.sessions = [OrderSession(self, first_index + index) for index in range(parameters.sessions_max + 1)]
        self.usable: list[OrderSession] = []  # up and not draining, best first as of the last tick
        self.user_streams = (UserStream(self, 0), UserStream(self, 1))
        self.is_available = False
        self.may_place = False  # the clock is good enough for the short window of a place; looked at every tick
        self.is_closing = False
        self._next_tick_ns = 0
        self._next_adapt_ns = 0
        self._next_clock_ns = 0
        self._clock_samples = 0
        self._sessions_wanted = parameters.sessions if orders_url else 0

    # ---- time

    def timestamp_ms(self) -> int:
        """Now, on the venue's clock."""
        return (self._realtime_ns() + self.clock.offset_ns) // 1_000_000

    def measure_clock(self, now_ns: int) -> None:
        """Asks the venue for its clock."""
        self._next_clock_ns = now_ns + (self.parameters.clock_ns if self._clock_samples >= 3 else SECOND_NS // 10)
        sent_wall_ns = self._realtime_ns()

        def on_time(answer: Answer, response: Response) -> None:
            result = answer.result
            if not isinstance(result, dict) or not isinstance(result.get("serverTime"), int):
                self._next_clock_ns = min(self._next_clock_ns, response.receive_ns + SECOND_NS)
                return
            jumps = self.clock.jumps
            self.clock.observe(sent_wall_ns, self._realtime_ns(), result["serverTime"], response.receive_ns)
            self.may_place = self.clock.is_certain(response.receive_ns, self.codec.place_window_ms)
            self._clock_samples += 1
            self.metrics.count(Counter.CLOCK_SAMPLES)
            if self.clock.jumps != jumps:
                self.metrics.count(Counter.CLOCK_JUMPS)
                self.log.error("a clock jumped", venue=self.name, offset_ms=self.clock.offset_ns // 1_000_000)

        self.call(self.codec.time_call(), on_time, is_urgent=True)

    def distrust_clock(self, now_ns: int) -> None:
        """The venue refused a timestamp: measure anew before the next request."""
        self.clock.forget()
        self.may_place = False
        self._clock_samples = 0
        self.measure_clock(now_ns)

    # ---- REST

    def call(self, call: RestCall, on_answer: Callable[[Answer, Response], None], *, is_urgent: bool, orders: int = 0) -> bool:
        """Makes a REST request. False: the budget refused it, `on_answer` will not be called.

        A request without answer has status 0; `response.failure` tells whether it was sent.
        """
        if not self.budget.try_spend(call.weight, orders, self.timestamp_ms(), is_urgent=is_urgent):
            self.metrics.count(Counter.RATE_REFUSED)
            return False

        def on_response(response: Response) -> None:
            if response.failure != Failure.NONE:
                on_answer(Answer(-1, 0, error_text=response.text), response)
                return
            venue_ms = self.timestamp_ms()
            self._observe(response, venue_ms)
            answer = self.codec.read_response(response.status, response.headers, response.body, venue_ms)
            self.obey(answer, venue_ms)
            on_answer(answer, response)

        request = Request(call.method, call.url, call.headers, call.body, self.parameters.rest_timeout_ns)
        self.network.request(request, on_response)
        return True

    def obey(self, answer: Answer, venue_ms: int) -> None:
        """429 and 418 say to stop, and until when."""
        if answer.status == 429:
            self.budget.block_until(answer.retry_at_ms or venue_ms + LIMITED_MS)
            self.log.error("the venue limits our requests", venue=self.name, words=answer.error_text)
        elif answer.status == 418:
            self.budget.block_until(answer.retry_at_ms or venue_ms + BAN_MS, is_ban=True)
            self.metrics.count(Counter.BANS)
            self.log.error("the venue bans this address", venue=self.name, words=answer.error_text)

    def _observe(self, response: Response, venue_ms: int) -> None:
        for name, kind, interval_ms in _USED_HEADERS:
            text = response.headers.get(name)
            if text is not None and text.isdecimal():
                self.budget.observe(kind, interval_ms, int(text), venue_ms)

    # ---- life

    def start(self, now_ns: int) -> None:
        """Opens everything."""
        self.user_streams[0].is_wanted = True
        self.measure_clock(now_ns)
        self.tick(now_ns)

    def stop(self) -> None:
        """Closes everything."""
        self.is_closing = True
        for session in self.sessions:
            session.close("the engine stops")
        for stream in self.user_streams:
            stream.is_wanted = False
            stream.close("the engine stops")

    def cut(self, reason: str) -> None:
        """Closes every connection; they come back by themselves, and prepost reconciles."""
        for session in self.sessions:
            session.close(reason)
        for stream in self.user_streams:
            stream.close(reason)

    def tick(self, now_ns: int) -> int:
        """Timers, every TICK_NS. Returns 1 if it looked."""
        if now_ns < self._next_tick_ns or self.is_closing:
            return 0
        self._next_tick_ns = now_ns + TICK_NS
        self.may_place = self.clock.is_certain(now_ns, self.codec.place_window_ms)
        if now_ns >= self._next_clock_ns:
            self.measure_clock(now_ns)
        self._tick_sessions(now_ns)
        if len(self.usable) > 1:
            self.usable = route(self.usable)
        for stream in self.user_streams:
            if self.clock.is_measured or stream.state != SessionState.DOWN:
                stream.tick(now_ns)
        self._tick_rotation(now_ns)
        return 1

    def changed(self, now_ns: int) -> None:
        """A connection came or went: what can be used, and is it complete?"""
        self.usable = route([session for session in self.sessions if session.state == SessionState.UP])
        is_user_up = any(stream.state == SessionState.UP for stream in self.user_streams)
        is_available = bool(self.usable or not self.orders_url) and is_user_up
        if is_available != self.is_available:
            self.is_available = is_available
            if not self.is_closing:
                self.owner.on_availability(self, now_ns)

    def is_shutdown(self, event: object) -> bool:
        """True if what the venue said by itself announces that this server goes down."""
        return isinstance(event, dict) and event.get("e") == "serverShutdown"

    def _tick_sessions(self, now_ns: int) -> None:
        parameters = self.parameters
        if not self.orders_url:
            return
        live = 0
        for session in self.sessions:
            if session.state != SessionState.DOWN:
                session.tick(now_ns)
            if session.state not in (SessionState.DOWN, SessionState.DRAINING) and not session.is_retired:
                live += 1
        if now_ns >= self._next_adapt_ns:
            self._next_adapt_ns = now_ns + parameters.adapt_ns
            usable = self.usable
            healthy = sum(session.health.is_healthy for session in usable)
            in_flight = [session.in_flight for session in usable]
            self._sessions_wanted = sessions_wanted(
                parameters.sessions, parameters.sessions_min, parameters.sessions_max, in_flight, healthy
            )
        for session in self.sessions:
            # Without the venue's time a logon would only be refused.
            if live >= self._sessions_wanted or not self.clock.is_measured:
                break
            if session.state == SessionState.DOWN and now_ns >= session.next_try_ns:
                session.connect(now_ns)
                live += 1
        surplus = [session for session in self.usable if not session.is_retired][self._sessions_wanted :]
        for session in surplus:
            if session.in_flight <= 0:
                session.drain(now_ns)

    def _tick_rotation(self, now_ns: int) -> None:
        """An old connection drains when its successor is up."""
        fresh = [session for session in self.usable if not session.is_retired]
        for session in self.usable:
            if session.is_retired and len(fresh) >= min(self._sessions_wanted, len(self.sessions) - 1):
                self.metrics.count(Counter.ROTATIONS)
                session.drain(now_ns)
                break
        first, second = self.user_streams
        for old, successor in ((first, second), (second, first)):
            if old.state == SessionState.UP and old.is_retired:
                successor.is_wanted = True
                if successor.state == SessionState.UP and not successor.is_retired:
                    self.metrics.count(Counter.ROTATIONS)
                    old.drain(now_ns)


_USED_HEADERS: Final = (
    ("x-mbx-used-weight-1m", RateLimitKind.WEIGHT, 60_000),
    ("x-mbx-order-count-10s", RateLimitKind.ORDERS, 10_000),
    ("x-mbx-order-count-1m", RateLimitKind.ORDERS, 60_000),
    ("x-mbx-order-count-1d", RateLimitKind.ORDERS, 86_400_000),
)
