"""One WebSocket for orders: requests go out, answers come back by their number.

    DOWN ─▶ CONNECTING ─▶ LOGGING_ON ─▶ UP ─▶ DRAINING ─▶ DOWN        (logon: Ed25519 keys only)

It knows nothing of orders: who sent a request hears the answer through the pool's owner.
"""

from typing import TYPE_CHECKING, Any, Final, cast

from reactor.domain.messages import raw_text
from reactor.engine.counters import Counter
from reactor.engine.health import Health
from reactor.engine.private_line import PrivateLine, SessionState
from reactor.exchanges.binance.orders import BinanceOrders
from reactor.exchanges.binance.requests import IMPOSSIBLE, NO_ROOM
from reactor.net.backoff import Backoff
from reactor.net.network import Connection, Sent, StreamSource
from reactor.net.websocket import Outbox

if TYPE_CHECKING:  # The pool makes its sessions.
    from reactor.engine.connections import VenueConnections

HANDED_OVER: Final = int(Sent.HANDED_OVER)
HANDSHAKE_WEIGHT: Final = 5  # "Connecting to the WebSocket API costs 2" (spot), "5" (futures)


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
        self._outbox: Outbox | None = None  # of the same, where a place can be written by us
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

    def send_place(self, codec: BinanceOrders, number: int, command: Any, timestamp_ms: int, key: int) -> int:
        """Makes a place and hands it to the socket, in one crossing where the connection lies open. HANDED_OVER, NOT_SENT, or
        IMPOSSIBLE: then no session can send it."""
        outbox = self._outbox
        if outbox is None or outbox.fd < 0 or outbox.is_gone():
            return self._send_frame(codec, number, command, timestamp_ms, key)
        left = codec.send_place(number, command, timestamp_ms, key, outbox.native, outbox.fd)
        if left == 0:
            outbox.waiting = 0
        elif left == IMPOSSIBLE:
            return IMPOSSIBLE
        elif left == NO_ROOM:
            return self._send_frame(codec, number, command, timestamp_ms, key)
        else:
            cast(Any, self.connection).sent(left)
        outbox.places += 1
        return HANDED_OVER

    def _send_frame(self, codec: BinanceOrders, number: int, command: Any, timestamp_ms: int, key: int) -> int:
        frame = codec.place_frame(number, command, raw_text(command.client_order_id), timestamp_ms, key)
        return int(self.send(frame)) if frame else IMPOSSIBLE

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
        self._outbox = getattr(connection, "outbox", None)
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
        self.connection = self._source = self._outbox = None
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
