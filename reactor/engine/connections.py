"""Every private connection of one venue: a pool of order sessions, the user stream, REST, the clock and the request budget.

    VenueConnections ─▶ order sessions (order_session.py) · user streams (user_stream.py) · REST · clock · budget
                     ─▶ Owner (answers.py): what came back

A venue cuts every connection after 24 h. We replace each one before that: the successor is up before the old one drains, so
that neither an order nor an event falls between them. What breaks is tried again with jittered backoff, for ever.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from reactor.engine.counters import Counter
from reactor.engine.order_session import OrderSession
from reactor.engine.parameters import ConnectionParameters
from reactor.engine.private_line import SessionState
from reactor.engine.router import route, sessions_wanted
from reactor.engine.user_stream import UserStream
from reactor.engine.venue_clock import VenueClock
from reactor.exchanges.binance.executions import ExecutionReader
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
from reactor.net.network import Failure, Network, Request, Response
from reactor.net.rate_limit import RateBudget

SECOND_NS: Final = 1_000_000_000
TICK_NS: Final = 5_000_000  # How often timers are looked at.
BAN_MS: Final = 120_000  # "IP banned: 2 min … 3 days": where the venue does not say how long.
LIMITED_MS: Final = 10_000  # The same for 429: the shortest window.


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
    """Who hears what came back, as connections see it."""

    def on_order_answer(self, session: OrderSession, answer: Answer, receive_ns: int) -> None:
        """An answer with a request number came on an order session."""

    def on_order_execution(self, session: OrderSession, receive_ns: int) -> bool:
        """A good answer came, and the pool's reader holds it. False: the frame is to be read in Python."""

    def on_order_session_lost(self, session: OrderSession, now_ns: int) -> None:
        """A session that was up is gone, and what it carried may be unanswered."""

    def on_user_execution(self, connections: "VenueConnections", receive_ns: int) -> bool:
        """An event of an order came, and the pool's reader holds it. False: the frame is to be read in Python."""

    def on_user_frame(self, stream: UserStream, payload: memoryview, receive_ns: int) -> UserEvent:
        """Reads one frame of the user stream into reports."""

    def on_availability(self, connections: "VenueConnections", now_ns: int) -> None:
        """Private connectivity became complete, or ceased to be."""


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
            if not self.may_place:  # Answers that took too long: nothing may be asked, so it is not for the usual pause.
                self._next_clock_ns = min(self._next_clock_ns, response.receive_ns + SECOND_NS)
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
