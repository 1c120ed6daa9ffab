"""One WebSocket for private events: what the venue tells about our orders and our account without being asked.

    DOWN ─▶ KEYING ─▶ CONNECTING ─▶ SUBSCRIBING ─▶ UP ─▶ DRAINING ─▶ DOWN
            (futures: listen key)   (spot: on the WebSocket API)

It knows nothing of reports: the pool's owner reads the frames; what concerns the stream itself is done here.
"""

from typing import TYPE_CHECKING, Final

from reactor.engine.counters import Counter
from reactor.engine.private_line import PrivateLine, SessionState
from reactor.exchanges.venue import Answer, UserEvent
from reactor.net.backoff import Backoff
from reactor.net.network import Connection, Response

if TYPE_CHECKING:  # The pool makes its streams.
    from reactor.engine.connections import VenueConnections

SECOND_NS: Final = 1_000_000_000


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
