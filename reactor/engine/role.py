"""The engine's door: commands become requests, answers and events become reports.

do_work   reports that wait ─▶ timers ─▶ URGENT commands ─▶ NORMAL commands (bounded)
sockets   on_order_answer, on_user_frame, on_availability ─▶ reports, between two passes
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from reactor.domain.ids import ClientIds
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import (
    FLAG_CLOSE,
    FLAG_HEDGE,
    FLAG_OURS,
    FLAG_REDUCE_ONLY,
    FLAG_REPLAYED,
    NO_INSTRUMENT,
    CommandKind,
    ControlKind,
    Reason,
    ReportKind,
    bytes_of,
    copy,
    copy_header,
    new,
    put_text,
    text_of,
    unpacker,
)
from reactor.engine.account import UNREADABLE, Account
from reactor.engine.connections import VenueConnections
from reactor.engine.counters import Counter
from reactor.engine.in_flight import REST, Asked, InFlight, Slot
from reactor.engine.order_session import OrderSession
from reactor.engine.parameters import EngineParameters
from reactor.engine.reports import Entry, OrderMemory, ReportRing, ReportWriter
from reactor.engine.router import COPIES_MAX, Policy, copies_of, policy_of, route
from reactor.engine.user_stream import UserStream
from reactor.exchanges.binance.executions import ExecutionReader, stamp_entry
from reactor.exchanges.binance.orders import BinanceOrders, order_codec, place_key
from reactor.exchanges.binance.rules import LINES, orders_url
from reactor.exchanges.binance.user import BinanceUser
from reactor.exchanges.venue import Answer, Credentials, Endpoints, Outcome, RateLimit, RestCall, UserEvent, Verdict
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics, Span
from reactor.loop.log import Log
from reactor.net.network import Failure, Network, Response, Sent

__all__ = ["CommandRing", "EngineParameters", "EnginePorts", "EngineRole"]

NORMAL: Final = 0
URGENT: Final = 1
SECOND_NS: Final = 1_000_000_000
TICK_NS: Final = 5_000_000
URGENT_PER_PASS_MAX: Final = 256
NORMAL_PER_PASS_MAX: Final = 64  # About 2 ms of sending at worst; then sockets and the urgent lane get their turn.
NORMAL_BETWEEN_LOOKS: Final = 8  # How many normal commands may stand before an urgent one that has just come.

HELD_MAX: Final = 16  # How many places may wait to leave in one write …
HELD_NS: Final = 150_000  # … and for how long: a write costs ten times as much as what goes into it.

C = CommandKind
_PLACE: Final = int(C.PLACE)
_CANCEL, _QUERY = int(C.CANCEL), int(C.QUERY)
_CANCEL_ALL_OURS, _OPEN_ORDERS, _POSITIONS = int(C.CANCEL_ALL_OURS), int(C.OPEN_ORDERS), int(C.POSITIONS)
_BALANCES, _FILLS_SINCE, _FUNDING_SINCE = int(C.BALANCES), int(C.FILLS_SINCE), int(C.FUNDING_SINCE)

K = ReportKind
_ACK: Final = int(K.ACK)
_REJECT, _CANCELLED, _CANCEL_REJECT = int(K.REJECT), int(K.CANCELLED), int(K.CANCEL_REJECT)
_NOT_SENT, _OUTCOME_UNKNOWN = int(K.NOT_SENT), int(K.OUTCOME_UNKNOWN)
_ORDER_STATE, _NOT_FOUND, _SNAPSHOT_END = int(K.ORDER_STATE), int(K.ORDER_NOT_FOUND), int(K.SNAPSHOT_END)
_SESSION_UP, _SESSION_DOWN = int(K.SESSION_UP), int(K.SESSION_DOWN)
_INTERNAL: Final = int(Span.INTERNAL)
_PLACED: Final = int(Asked.PLACE)
_CANCELLED_ASKED: Final = int(Asked.CANCEL)
_read_place: Final = unpacker(
    "command",
    (
        "header.order_id", "header.instrument_index", "header.flags", "client_order_id", "venue", "side", "order_type",
        "time_in_force", "deadline_ns", "request_id",
    ),
)  # fmt: skip

_URGENT_FLAGS: Final = FLAG_HEDGE | FLAG_REDUCE_ONLY
_WHOLE_CLOSE_FLAGS: Final = FLAG_CLOSE | FLAG_REDUCE_ONLY
_HANDED_OVER: Final = Sent.HANDED_OVER

R = Reason
_UNKNOWN_ORDER_REASONS: Final = frozenset({int(R.UNKNOWN_ORDER), int(R.ORDER_ALREADY_CLOSED)})
_TIMESTAMP, _INVALID_KEY = int(R.TIMESTAMP), int(R.INVALID_KEY)
_REFUSED_UNKNOWN: Final = Verdict(R.UNKNOWN_EXECUTION, Outcome.UNKNOWN)


class CommandRing(Protocol):
    """What the engine needs of shm/ring.py's Consumer."""

    def try_peek(self, lane: int = 0) -> Any: ...

    def release(self, lane: int = 0) -> None: ...

    def pending(self, lane: int = 0) -> int: ...

    def recovered(self, lane: int = 0) -> tuple[int, int, int]: ...


@dataclass
class EnginePorts:
    """What the engine is plugged into."""

    commands: CommandRing
    reports: ReportRing
    network: Network
    prepost_alive: Callable[[int], bool]
    credentials: Mapping[int, Credentials]  # by venue
    instruments: Instruments
    clock: Clock
    metrics: Metrics
    log: Log
    control: Any | None = None  # Consumer(control)
    uniform: Callable[[], float] = random.random  # jitter; the world hands in its own


class _Venue:
    """One venue's codec, connections and account."""

    __slots__ = ("account", "codec", "connections")

    def __init__(self, codec: BinanceOrders, connections: VenueConnections, account: Account) -> None:
        self.codec = codec
        self.connections = connections
        self.account = account


class _HeldCancel:
    """A cancel whose place may still be queued in the other lane."""

    __slots__ = ("after", "command")

    def __init__(self, command: Any, after: int) -> None:
        self.command = command
        self.after = after  # how many normal commands must have been read before we know


class EngineRole:
    """See reactor/engine/__init__.py."""

    def __init__(self, parameters: EngineParameters, ports: EnginePorts, name: str = "engine") -> None:
        """Raises ConfigError if a venue has no usable key."""
        self.name = name
        self._parameters = parameters
        self._ports = ports
        self._commands = ports.commands
        self._try_peek = ports.commands.try_peek
        self._clock = ports.clock
        self._monotonic_ns = ports.clock.monotonic_ns
        self._realtime_ns = ports.clock.realtime_ns
        self._metrics = ports.metrics
        self._count = ports.metrics.count
        self._log = ports.log
        self._instruments = ports.instruments
        self._symbols = tuple(instrument.symbol for instrument in ports.instruments)
        self._order_timeout_ns = parameters.order_timeout_ns
        router = parameters.router
        self._race_copies = copies_of(router, Policy.RACE)
        self._race_closes = policy_of(router, is_place=True, is_whole_close=True) == Policy.RACE
        self._place_copies = copies_of(router, policy_of(router, is_place=True, is_whole_close=False))
        self._ids = ClientIds(parameters.order_id_prefix)
        self._orders = OrderMemory()
        self._in_flight = InFlight()
        self._writer = ReportWriter(ports.reports, self._orders, self._ids, ports.metrics, parameters.source)
        self._venues: dict[int, _Venue] = {}
        limits = dict(parameters.rate_limits)
        for number, endpoints in enumerate(parameters.endpoints):
            self._venues[endpoints.venue] = self._venue(endpoints, limits.get(endpoints.venue, ()), number)
        self._handlers: dict[int, Callable[[Any, int], None]] = {
            _PLACE: self._on_place,
            _CANCEL: self._on_cancel,
            _QUERY: self._on_query,
            _CANCEL_ALL_OURS: self._on_cancel_all,
            _OPEN_ORDERS: self._on_account,
            _POSITIONS: self._on_account,
            _BALANCES: self._on_account,
            _FILLS_SINCE: self._on_account,
            _FUNDING_SINCE: self._on_account,
        }
        self._rooms: dict[Any, Any] = {}  # view of a command → its bytes
        self.wake: Callable[[], None] | None = None  # asks for our `do_work` behind prepost's; None: nobody may wait for it
        self._has_sent = False  # in this pass: what follows may wait for company
        self._held: list[tuple[OrderSession, Entry]] = []  # places that wait to be written
        self._held_ns = 0  # since when
        self._commands_read = 0
        self._places_sent = 0
        self._held_cancels: dict[str, _HeldCancel] = {}
        self._normal_read = 0
        self._recovery: list[list[int] | None] = [None, None]  # by lane: [seen before, queued before] still to come
        self._next_tick_ns = 0
        self._was_prepost_alive = False
        self._is_orphaned = False  # prepost has fallen silent
        self._is_leaving = False  # the supervisor is gone: cancel ours and leave
        self._was_ready = False

    def _venue(self, endpoints: Endpoints, limits: tuple[RateLimit, ...], number: int) -> _Venue:
        parameters, ports = self._parameters, self._ports
        venue = endpoints.venue
        codec = order_codec(
            venue,
            endpoints,
            ports.credentials[venue],
            ports.instruments,
            parameters.place_window_ms,
            parameters.query_window_ms,
        )
        user_codec = BinanceUser(LINES[venue], ports.instruments, codec, parameters.forwards_account_rows)
        connections = VenueConnections(
            VENUE_NAMES[venue],
            codec,
            user_codec,
            endpoints,
            orders_url(endpoints),
            limits,
            parameters.connections,
            ports.network,
            ports.clock,
            ports.uniform,
            self,
            ports.metrics,
            ports.log,
            ExecutionReader(venue, ports.instruments, self._ids),
            number * (parameters.connections.sessions_max + 1),
        )
        account = Account(
            codec,
            connections,
            parameters,
            ports.instruments,
            self._ids,
            self._writer,
            ports.clock,
            ports.metrics,
            ports.log,
        )
        return _Venue(codec, connections, account)

    # ---- the duty cycle

    def on_start(self, now_ns: int) -> None:
        """Opens every connection."""
        for venue in self._venues.values():
            venue.connections.start(now_ns)

    def do_work(self, now_ns: int) -> int:
        """One pass."""
        writer = self._writer
        self._flush()  # What prepost has given us in its part of this pass.
        work = writer.flush() if writer.is_blocked else 0
        if now_ns >= self._next_tick_ns + TICK_NS:  # Long overdue: what we believe about our neighbours may be old.
            work += self._tick(now_ns)
        if writer.is_blocked:
            self._count(Counter.BACKPRESSURE_STALLS)
            if now_ns >= self._next_tick_ns:
                work += self._tick(now_ns)
            return work
        work += self._drain_urgent(now_ns)
        read = 0
        while read < NORMAL_PER_PASS_MAX and not writer.is_blocked:
            taken = self._drain(NORMAL, NORMAL_BETWEEN_LOOKS, now_ns)
            read += taken
            if self._held_cancels:
                self._release_cancels(now_ns)
            if taken < NORMAL_BETWEEN_LOOKS:
                break
            work += self._drain_urgent(now_ns)
        self._flush()
        if now_ns >= self._next_tick_ns:  # Timers wait for orders, not orders for timers.
            work += self._tick(now_ns)
        return work + read

    def take_commands(self) -> None:
        """Sends what prepost has just written, before it goes on: wired where both run in one shard. The first place of a pass
        leaves at once, those behind it may wait for one another (HELD_MAX, HELD_NS, our own part of the pass)."""
        now_ns = self._monotonic_ns()
        if now_ns >= self._next_tick_ns + TICK_NS:  # As in a pass: after a standstill nothing goes out on old beliefs.
            self._tick(now_ns)
        self._drain(URGENT, URGENT_PER_PASS_MAX, now_ns)
        self._drain(NORMAL, NORMAL_BETWEEN_LOOKS, now_ns)
        if self.wake is None:
            self._flush()
        elif self._has_sent:
            self.wake()

    def _flush(self) -> None:
        """The end of what may leave together."""
        self._has_sent = False
        if self._held:
            self._write_held()

    def _write_held(self) -> None:
        held, self._held = self._held, []
        last: OrderSession | None = None
        for session, _ in held:
            if session is not last:
                session.flush()
                last = session
        send_ns = self._monotonic_ns()
        for _, entry in held:
            self._note_left(entry, send_ns)

    def _note_left(self, entry: Entry, send_ns: int) -> None:
        """The place of an entry was handed to the socket."""
        internal_ns = stamp_entry(entry.report, send_ns)
        if internal_ns >= 0:
            self._metrics.record(_INTERNAL, internal_ns)

    def deadline_ns(self, now_ns: int) -> int:
        """Timers are looked at every tick."""
        return self._next_tick_ns

    def is_ready(self) -> bool:
        """True once private connectivity of every venue was complete."""
        if not self._was_ready:
            self._was_ready = all(venue.connections.is_available for venue in self._venues.values())
        return self._was_ready

    def on_stop(self, now_ns: int) -> None:
        """Closes every connection."""
        self._flush()
        self._publish()
        for venue in self._venues.values():
            venue.connections.stop()

    def on_orphaned(self, now_ns: int) -> None:
        """The supervisor is gone: nothing new goes out, what is ours is cancelled."""
        self._is_leaving = True
        self._cancel_everything("the supervisor is gone")

    def is_drained(self) -> bool:
        """After `on_orphaned`: every venue has said that none of ours is open (or was asked too often)."""
        return not any(venue.account.is_cancelling for venue in self._venues.values())

    # ---- commands

    def _drain_urgent(self, now_ns: int) -> int:
        return self._drain(URGENT, URGENT_PER_PASS_MAX, now_ns)

    def _drain(self, lane: int, limit: int, now_ns: int) -> int:
        try_peek, writer = self._try_peek, self._writer
        taken = 0
        while taken < limit and not writer.is_blocked:
            command = try_peek(lane)
            if command is None:
                break
            taken += 1
            if lane == NORMAL:
                self._normal_read += 1
            recovery = self._recovery[lane]
            if recovery is None:
                recovery = self._recover(lane)
            if recovery:
                self._give_back(command, recovery)
                continue
            kind = command.header.kind
            if kind == _PLACE and command.venue in self._venues:
                self._on_place(command, now_ns)
                continue
            handler = self._handlers.get(kind)
            if handler is None or command.venue not in self._venues:
                self._count(Counter.COMMANDS_MALFORMED)
                self._log.error("a command that the engine does not know", kind=command.header.kind, venue=command.venue)
                self._refuse(command, R.BAD_PARAMETER)
                continue
            handler(command, now_ns)
        if taken:
            self._commands_read += taken
            self._commands.release(lane)
        return taken

    def _recover(self, lane: int) -> list[int]:
        """What our predecessor left in this lane: [commands it has seen, commands it has not]. Empty: nothing."""
        released, peeked, published = self._commands.recovered(lane)
        recovery = [peeked - released, published - peeked] if published > released else []
        self._recovery[lane] = recovery
        return recovery

    def _give_back(self, command: Any, recovery: list[int]) -> None:
        """A command from before our start is never sent. Seen ones may have been sent before we came, others certainly not."""
        if recovery[0] > 0:
            recovery[0] -= 1
            self._count(Counter.RECOVERED_UNKNOWN)
            self._refuse(command, R.QUEUED_BEFORE_RESTART, is_unknown=True)
        else:
            recovery[1] -= 1
            self._count(Counter.RECOVERED_UNSENT)
            self._refuse(command, R.QUEUED_BEFORE_RESTART)
        if recovery[0] <= 0 and recovery[1] <= 0:
            recovery.clear()

    def _refuse(self, command: Any, reason: Any, *, is_unknown: bool = False, text: str = "") -> None:
        """Answers a command that is not (or perhaps was, `is_unknown`) sent."""
        kind = command.header.kind
        if kind in (_PLACE, _CANCEL, _QUERY):
            answer = _OUTCOME_UNKNOWN if is_unknown else _NOT_SENT
            self._count(Counter.OUTCOMES_UNKNOWN if is_unknown else Counter.NOT_SENT)
        else:
            answer = _SNAPSHOT_END
        self._write_about(command, answer, reason, text)

    def _write_about(self, command: Any, kind: int, reason: Any, text: str = "") -> None:
        """A report that answers a command by itself, without the venue."""
        writer = self._writer
        writer.about(command.venue, self._monotonic_ns(), command.request_id)
        report = writer.begin(kind, "", command.header.instrument_index)
        copy_header(report, command)
        header = report.header
        header.kind, header.source = kind, self._parameters.source
        report.client_order_id = command.client_order_id
        report.venue = command.venue
        if command.header.order_id:
            header.flags |= FLAG_OURS
        report.venue_order_id = command.venue_order_id
        report.side = command.side
        report.price_ticks = command.price_ticks
        report.quantity_lots = command.quantity_lots
        report.reason = reason
        if text:
            put_text(report.text, text)
        writer.commit()

    def _on_place(self, command: Any, now_ns: int) -> None:
        """What stands before the frame is handed over is on the way of a tick to the wire: what can wait is done after it."""
        room = self._rooms.get(command)
        if room is None:
            room = self._rooms[command] = bytes_of(command, "command")
        order_id, index, flags, raw_id, number, side, order_type, time_in_force, deadline_ns, request_id = _read_place(room)
        if self._held_cancels and self._is_overtaken(command, raw_id):
            return
        if self._is_orphaned or self._is_leaving:
            self._refuse(command, R.KILL_SWITCH)
            return
        if deadline_ns and self._monotonic_ns() > deadline_ns:
            self._count(Counter.DEADLINE_MISSED)
            self._refuse(command, R.TIMEOUT)
            return
        venue = self._venues[number]
        connections = venue.connections
        if not connections.may_place:
            self._count(Counter.CLOCK_REFUSED)
            self._refuse(command, R.CLOCK_UNCERTAIN)
            return
        timestamp_ms = connections.timestamp_ms()
        if not connections.budget.try_spend(0, 1, timestamp_ms, is_urgent=flags & _URGENT_FLAGS != 0):
            self._count(Counter.RATE_REFUSED)
            self._refuse(command, R.BANNED if connections.budget.is_banned(timestamp_ms) else R.ORDER_RATE)
            return
        in_flight = self._in_flight
        slot = in_flight.open(_PLACED, number, request_id)
        copies = self._place_copies
        if copies == 1 and self._race_closes and flags & _WHOLE_CLOSE_FLAGS == _WHOLE_CLOSE_FLAGS:
            copies = self._race_copies
        key = place_key(index, side, order_type, time_in_force, flags)
        may_wait = self._has_sent and copies == 1 and not flags & _URGENT_FLAGS
        carrier: OrderSession | None = None
        sent = 0
        for session in connections.usable:
            frame = venue.codec.place_frame(slot.number * COPIES_MAX + sent, command, raw_id, timestamp_ms, key)
            if not frame:
                in_flight.drop(slot)
                self._refuse(command, R.BAD_PARAMETER, text="price or quantity")
                return
            if (session.put(frame) if may_wait else session.send(frame)) == _HANDED_OVER:
                if sent == 0:
                    carrier = session
                session.in_flight += 1
                in_flight.sent(slot, sent, session.index, now_ns, self._order_timeout_ns)
                sent += 1
                if sent >= copies:
                    break
            else:  # Provably nothing left: the next best may try.
                session.on_unanswered(now_ns)
                self._count(Counter.FAILOVERS)
        self._has_sent = True
        send_ns = self._monotonic_ns()
        client_order_id = raw_id.rstrip(b"\0").decode()
        entry = self._orders.remember(command, client_order_id, order_id, number, self._symbols[index], self._parameters.source)
        slot.client_order_id = client_order_id
        slot.instrument_index = index
        slot.entry = entry
        if carrier is None:
            entry.connection = REST
            if not self._place_over_rest(command, raw_id.rstrip(b"\0"), slot, venue, timestamp_ms, now_ns):
                return
        else:
            entry.connection = carrier.index
        self._places_sent += 1
        if not may_wait or carrier is None:
            self._note_left(entry, send_ns)
            return
        held = self._held
        if not held:
            self._held_ns = send_ns
        held.append((carrier, entry))
        if len(held) >= HELD_MAX or send_ns - self._held_ns > HELD_NS:
            self._write_held()

    def _is_overtaken(self, command: Any, raw_id: bytes) -> bool:
        """A cancel was faster than its place: both end here."""
        held = self._held_cancels.pop(raw_id.rstrip(b"\0").decode(), None)
        if held is None:
            return False
        self._count(Counter.ANNIHILATED)
        self._refuse(command, R.CANCEL_OVERTOOK)
        self._write_about(held.command, _CANCEL_REJECT, R.CANCEL_OVERTOOK)
        return True

    def _place_over_rest(self, command: Any, raw_id: bytes, slot: Slot, venue: _Venue, timestamp_ms: int, now_ns: int) -> bool:
        """No session took it. False: REST neither, and nothing was sent."""
        call = venue.codec.place_call(command, raw_id, timestamp_ms)
        if self._parameters.rest_places and self._call_order(slot, venue, call, now_ns):
            return True
        self._in_flight.drop(slot)
        self._orders.forget(slot.client_order_id)
        self._count(Counter.NO_SESSION)
        self._refuse(command, R.NO_SESSION)
        return False

    def _note_sent(self, slot: Slot, number: int, session: OrderSession, now_ns: int, timeout_ns: int) -> None:
        session.in_flight += 1
        self._in_flight.sent(slot, number, session.index, now_ns, timeout_ns)

    def _on_cancel(self, command: Any, now_ns: int) -> None:
        client_order_id = text_of(command.client_order_id)
        if client_order_id and self._orders.find(client_order_id) is None:
            queued = self._commands.pending(NORMAL)
            if queued:
                # Its place may still stand in the other lane: then both end here, and nothing is sent.
                kept = new("command")
                copy(kept, command, "command")
                self._held_cancels[client_order_id] = _HeldCancel(kept, self._normal_read + queued)
                return
        self._send_about(command, client_order_id, Asked.CANCEL, now_ns)

    def _release_cancels(self, now_ns: int) -> None:
        """Cancels whose place was not in the other lane after all: it was sent by an earlier run."""
        for client_order_id, held in list(self._held_cancels.items()):
            if held.after <= self._normal_read:
                del self._held_cancels[client_order_id]
                self._send_about(held.command, client_order_id, Asked.CANCEL, now_ns)

    def _on_query(self, command: Any, now_ns: int) -> None:
        self._send_about(command, text_of(command.client_order_id), Asked.QUERY, now_ns)

    def _send_about(self, command: Any, client_order_id: str, asked: Asked, now_ns: int) -> None:
        """A cancel or a query: may be repeated freely, so it races."""
        venue = self._venues[command.venue]
        connections = venue.connections
        if not connections.clock.is_certain(now_ns, self._parameters.query_window_ms):
            self._count(Counter.CLOCK_REFUSED)
            self._refuse(command, R.CLOCK_UNCERTAIN)
            return
        entry = self._orders.find(client_order_id) if client_order_id else None
        slot = self._in_flight.open(asked, command.venue, command.request_id)
        slot.client_order_id = client_order_id
        slot.instrument_index = command.header.instrument_index
        slot.entry = entry
        venue_order_id = command.venue_order_id or (entry.venue_order_id if entry is not None else 0)
        if asked == Asked.CANCEL and entry is not None:
            entry.has_cancel = True
        if self._ask(slot, venue, client_order_id, venue_order_id, now_ns):
            self._count(Counter.CANCELS_SENT if asked == Asked.CANCEL else Counter.QUERIES_SENT)
            return
        self._in_flight.drop(slot)
        if connections.budget.is_banned(connections.timestamp_ms()):
            self._refuse(command, R.BANNED)
        else:
            self._refuse(command, R.ORDER_RATE if connections.usable else R.NO_SESSION)

    def _ask(self, slot: Slot, venue: _Venue, client_order_id: str, venue_order_id: int, now_ns: int) -> bool:
        """Sends a cancel or query on its way, over sockets or else REST. False: nothing was sent."""
        connections, codec = venue.connections, venue.codec
        parameters = self._parameters
        is_cancel = slot.asked == Asked.CANCEL
        symbol = self._symbols[slot.instrument_index]
        timestamp_ms = connections.timestamp_ms()
        entry = slot.entry
        only = entry.connection if entry is not None and is_cancel and not entry.is_acked else -1
        weight = codec.weights["cancel" if is_cancel else "query"]
        timeout_ns = parameters.order_timeout_ns if is_cancel else parameters.query_timeout_ns
        raw_id = client_order_id.encode()
        make = codec.cancel_frame if is_cancel else codec.query_frame
        copies = self._race_copies
        sent = 0
        for session in route(connections.usable, only):
            if not connections.budget.try_spend(weight, 0, timestamp_ms, is_urgent=True):
                self._count(Counter.RATE_REFUSED)
                break
            frame = make(self._in_flight.wire_number(slot, sent), symbol, raw_id, timestamp_ms, venue_order_id)
            if session.send(frame) == Sent.HANDED_OVER:
                self._note_sent(slot, sent, session, now_ns, timeout_ns)
                sent += 1
                if sent >= copies:
                    break
            else:
                session.on_unanswered(now_ns)
                self._count(Counter.FAILOVERS)
        if sent:
            return True
        call = codec.cancel_call if is_cancel else codec.query_call
        return self._call_order(slot, venue, call(symbol, client_order_id, timestamp_ms, venue_order_id), now_ns)

    def _call_order(self, slot: Slot, venue: _Venue, call: RestCall, now_ns: int) -> bool:
        """The same request over REST."""

        def on_answer(answer: Answer, response: Response) -> None:
            found, number = self._in_flight.find(wire_number)
            if found is None:
                self._count(Counter.ANSWERS_UNASKED)
            elif response.failure == Failure.NOT_SENT and found.asked == Asked.PLACE:
                self._on_not_sent(found, number, response.text)
            else:
                self._on_result(found, number, venue, answer, response.receive_ns, REST)

        wire_number = self._in_flight.wire_number(slot, 0)
        if not venue.connections.call(call, on_answer, is_urgent=True):
            return False
        self._count(Counter.REST_FALLBACKS)
        self._in_flight.sent(slot, 0, REST, now_ns, self._parameters.connections.rest_timeout_ns + SECOND_NS)
        return True

    # ---- answers

    def on_order_execution(self, session: OrderSession, receive_ns: int) -> bool:
        """See connections.Owner."""
        reader = session.pool.reader
        _, request_number, venue_order_id, _, order_status = reader.told()
        in_flight = self._in_flight
        slot = in_flight.sole(request_number)
        number, is_sole = 0, slot is not None
        if slot is None:  # Unasked, late, or of a race.
            slot, number = in_flight.find(request_number)
            if slot is None:
                self._count(Counter.ANSWERS_UNASKED)
                return True
        entry = slot.entry
        if entry is None or entry.client_order_id != slot.client_order_id:  # Forgotten meanwhile, or another order's.
            return False
        session.on_answered(receive_ns - slot.sent_ns, receive_ns, is_late=slot.is_late)
        if slot.is_late:
            self._count(Counter.LATE_ANSWERS)
        asked = slot.asked
        if is_sole or in_flight.succeeded(slot, number) or asked == _PLACED:  # A second yes to a place may be a second order.
            kind = _ACK if asked == _PLACED else _CANCELLED if asked == _CANCELLED_ASKED else _ORDER_STATE
            self._writer.write_execution(
                entry, reader.execution, kind, venue_order_id, order_status, receive_ns, slot.request_id,
                FLAG_REPLAYED if kind == _ORDER_STATE else 0, session.index,
            )  # fmt: skip
        if is_sole:
            in_flight.settle_sole(slot)
        else:
            in_flight.settle(slot)
        return True

    def on_order_answer(self, session: OrderSession, answer: Answer, receive_ns: int) -> None:
        """See connections.Owner."""
        slot, number = self._in_flight.find(answer.request_number)
        if slot is None:
            self._count(Counter.ANSWERS_UNASKED)
            return
        session.on_answered(receive_ns - slot.sent_ns, receive_ns, is_late=slot.is_late)
        venue = self._venues[slot.venue]
        if answer.status in (429, 418):
            venue.connections.obey(answer, venue.connections.timestamp_ms())
        reason = self._on_result(slot, number, venue, answer, receive_ns, session.index)
        if reason == _INVALID_KEY and venue.codec.has_logon:
            session.close("the venue has forgotten the logon")  # The next connection logs on anew.

    def _on_result(self, slot: Slot, number: int, venue: _Venue, answer: Answer, receive_ns: int, connection: int) -> int:
        """Tells prepost. Returns the reason of a refusal, or 0."""
        in_flight = self._in_flight
        if slot.is_late:
            self._count(Counter.LATE_ANSWERS)
        if answer.status == 200:
            is_first = in_flight.succeeded(slot, number)
            if is_first or slot.asked == Asked.PLACE:  # A second yes to a place may be a second order.
                self._write_success(slot, venue, answer, receive_ns, connection)
            in_flight.settle(slot)
            return 0
        verdict = venue.codec.classify(answer)
        if verdict.reason == _TIMESTAMP:
            venue.connections.distrust_clock(receive_ns)
        if verdict.outcome == Outcome.UNKNOWN:
            slot.refusal = (verdict, answer)  # "Nobody knows" outranks another copy's "no".
        refusal = in_flight.refused(slot, number, (verdict, answer))
        if refusal is not None and not self._look_again(slot, venue, refusal[0], receive_ns):
            self._write_refusal(slot, refusal[0], refusal[1], receive_ns, connection)
        in_flight.settle(slot)
        return verdict.reason

    def _look_again(self, slot: Slot, venue: _Venue, verdict: Verdict, now_ns: int) -> bool:
        """Spot knows a cancelled order by the cancel's id: before "not there" is believed, that is asked for."""
        if slot.asked != Asked.QUERY or slot.is_second_look or verdict.reason not in _UNKNOWN_ORDER_REASONS:
            return False
        entry = slot.entry
        renamed = venue.codec.renamed(slot.client_order_id)
        if not renamed or (entry is not None and not entry.has_cancel):
            return False
        second = self._in_flight.open(Asked.QUERY, slot.venue, slot.request_id)
        second.client_order_id = slot.client_order_id
        second.instrument_index = slot.instrument_index
        second.entry = entry
        second.is_second_look = True
        if self._ask(second, venue, renamed, 0, now_ns):
            return True
        self._in_flight.drop(second)
        return False

    def _write_success(self, slot: Slot, venue: _Venue, answer: Answer, receive_ns: int, connection: int) -> None:
        kind = _ACK if slot.asked == Asked.PLACE else _CANCELLED if slot.asked == Asked.CANCEL else _ORDER_STATE
        writer = self._writer
        result = answer.result if isinstance(answer.result, dict) else {}
        client_order_id = slot.client_order_id or venue.codec.original(str(result.get("clientOrderId", "")), self._ids)
        flags = FLAG_REPLAYED if kind == _ORDER_STATE else 0
        writer.about(slot.venue, receive_ns, slot.request_id, flags, max(connection, 0))
        report = writer.begin(kind, client_order_id, slot.instrument_index)
        if report is None:
            return
        try:
            venue.codec.write_order(result, report)
        except UNREADABLE as error:
            # The venue said yes in words that we cannot read: the yes counts, the details come by the user stream.
            self._count(Counter.FRAMES_MALFORMED)
            self._log.warning("an answer cannot be read", venue=venue.connections.name, error=str(error))
        writer.commit()

    def _write_refusal(self, slot: Slot, verdict: Verdict, answer: Answer, receive_ns: int, connection: int) -> None:
        is_unknown_order = verdict.reason in _UNKNOWN_ORDER_REASONS
        if slot.asked == Asked.PLACE:
            if verdict.outcome == Outcome.SUCCESS:
                kind = _ACK
            else:
                kind = _OUTCOME_UNKNOWN if verdict.outcome == Outcome.UNKNOWN else _REJECT
        elif slot.asked == Asked.CANCEL:
            kind = _OUTCOME_UNKNOWN if verdict.outcome == Outcome.UNKNOWN else _CANCEL_REJECT
        else:
            # Only the venue's own "no such order" is one; whatever else it said, the order's fate is still unknown.
            kind = _NOT_FOUND if is_unknown_order else _OUTCOME_UNKNOWN
        if kind == _REJECT:
            self._count(Counter.REJECTS)
        elif kind == _OUTCOME_UNKNOWN:
            self._count(Counter.OUTCOMES_UNKNOWN)
        if verdict.outcome == Outcome.FATAL:
            self._log.error(
                "the venue refuses us", venue=VENUE_NAMES[slot.venue], code=answer.error_code, words=answer.error_text
            )
        self._write_outcome(slot, kind, verdict.reason, receive_ns, connection, answer.error_code, answer.error_text)

    def _on_not_sent(self, slot: Slot, number: int, text: str) -> None:
        """REST found no server: certainly no effect."""
        self._in_flight.refused(slot, number, None)
        if not slot.is_late:
            self._count(Counter.NOT_SENT)
            self._write_outcome(slot, _NOT_SENT, R.NO_SESSION, self._monotonic_ns(), REST, 0, text)
        self._in_flight.settle(slot)

    def _write_outcome(
        self, slot: Slot, kind: int, reason: Any, receive_ns: int, connection: int, code: int = 0, text: str = ""
    ) -> None:
        writer = self._writer
        writer.about(slot.venue, receive_ns, slot.request_id, 0, max(connection, 0))
        report = writer.begin(kind, slot.client_order_id, slot.instrument_index)
        if report is None:
            return
        report.reason = reason
        report.error_code = code
        if text:
            put_text(report.text, text)
        writer.commit()

    def on_order_session_lost(self, session: OrderSession, now_ns: int) -> None:
        """See connections.Owner: what only this session carried has an unknown outcome."""
        for slot in self._in_flight.connection_lost(session.pool.venue, session.index, now_ns):
            self._count(Counter.OUTCOMES_UNKNOWN)
            self._write_outcome(slot, _OUTCOME_UNKNOWN, R.CONNECTION_LOST, now_ns, session.index)

    # ---- user stream

    def on_user_execution(self, connections: VenueConnections, receive_ns: int) -> bool:
        """See connections.Owner."""
        reader = connections.reader
        order_id, _, venue_order_id, kind, order_status = reader.told()
        entry = self._orders.find_order_id(order_id)
        if entry is None or entry.venue != connections.venue:  # Of an earlier run.
            return False
        self._writer.write_execution(entry, reader.execution, kind, venue_order_id, order_status, receive_ns)
        return True

    def on_user_frame(self, stream: UserStream, payload: memoryview, receive_ns: int) -> UserEvent:
        """See connections.Owner."""
        connections = stream.pool
        self._writer.about(connections.venue, receive_ns)
        return connections.user_codec.read(payload, self._writer)

    def on_availability(self, connections: VenueConnections, now_ns: int) -> None:
        """See connections.Owner."""
        self._announce(connections, now_ns)
        if connections.is_available:
            self._log.info("private connectivity is complete", venue=connections.name)
        else:
            self._log.warning("private connectivity is broken", venue=connections.name)

    def _announce(self, connections: VenueConnections, now_ns: int, flags: int = 0) -> None:
        """Says how the venue's session stands: when it changes, and (as FLAG_REPLAYED) before every list of open orders."""
        writer = self._writer
        writer.about(connections.venue, now_ns, 0, flags)
        report = writer.begin(_SESSION_UP if connections.is_available else _SESSION_DOWN, "", NO_INSTRUMENT)
        report.venue = connections.venue
        if not connections.is_available:
            report.reason = R.CONNECTION_LOST
        writer.commit()

    # ---- the account

    def _on_account(self, command: Any, now_ns: int) -> None:
        index = command.header.instrument_index
        symbol = self._symbols[index] if index < len(self._symbols) else ""
        if command.header.kind == _OPEN_ORDERS:
            # A prepost younger than our sessions asks so.
            self._announce(self._venues[command.venue].connections, now_ns, FLAG_REPLAYED)
        reason = self._venues[command.venue].account.try_ask(command, symbol, now_ns)
        if reason != R.NONE:
            self._refuse(command, reason)

    def _on_cancel_all(self, command: Any, now_ns: int) -> None:
        self._venues[command.venue].account.cancel_all(command.request_id)

    def _cancel_everything(self, why: str) -> None:
        self._count(Counter.ORPHANED)
        self._log.error("cancelling what is ours", reason=why)
        for venue in self._venues.values():
            venue.account.cancel_all()

    # ---- timers

    def _tick(self, now_ns: int) -> int:
        self._next_tick_ns = now_ns + TICK_NS
        work = 0
        for venue in self._venues.values():
            connections = venue.connections
            work += connections.tick(now_ns)
            venue.account.tick(now_ns, is_alone=self._is_orphaned)
        for slot in self._in_flight.expired(now_ns):
            self._on_expired(slot, now_ns)
        self._watch_prepost(now_ns)
        if self._ports.control is not None:
            self._take_control(now_ns)
        if self._writer.is_full:
            self._log.error("reports cannot be delivered: sessions are cut, reconciliation will recover what is missed")
            for venue in self._venues.values():
                venue.connections.cut("backpressure")
        self._publish()
        return min(work, 1)

    def _on_expired(self, slot: Slot, now_ns: int) -> None:
        carriers = slot.carriers()
        for session in self._venues[slot.venue].connections.sessions:
            if session.index in carriers and session.in_flight > 0:
                session.in_flight -= 1
                session.on_unanswered(now_ns)
        self._count(Counter.OUTCOMES_UNKNOWN)
        self._write_outcome(slot, _OUTCOME_UNKNOWN, R.TIMEOUT, now_ns, max(slot.connections[0], 0))

    def _watch_prepost(self, now_ns: int) -> None:
        is_alive = self._ports.prepost_alive(now_ns)
        if is_alive:
            if self._is_orphaned:
                self._log.info("prepost is back")
                self._is_orphaned = False
                if not self._is_leaving:
                    for venue in self._venues.values():
                        venue.account.give_up_cancelling()
            self._was_prepost_alive = True
        elif self._was_prepost_alive and not self._is_orphaned:
            self._is_orphaned = True
            self._cancel_everything("prepost has fallen silent")

    def _take_control(self, now_ns: int) -> None:
        control = self._ports.control
        assert control is not None, "asked only where there is a control ring"
        while (message := control.try_peek(NORMAL)) is not None:
            if message.header.kind == ControlKind.CANCEL_ALL:
                self._cancel_everything("the operator asked")
            self._metrics.view.control_sequence = message.header.sequence
            control.release(NORMAL)

    def _publish(self) -> None:
        set_gauge = self._metrics.set
        set_gauge(Counter.COMMANDS, self._commands_read)
        set_gauge(Counter.PLACES_SENT, self._places_sent)
        set_gauge(Counter.REPORTS, self._writer.reports)
        set_gauge(Counter.FILLS, self._writer.fills)
        set_gauge(Counter.PENDING_REPORTS, self._writer.pending)
        set_gauge(Counter.ORDERS_REMEMBERED, len(self._orders))
        set_gauge(Counter.IN_FLIGHT, len(self._in_flight))
        sessions = [session for venue in self._venues.values() for session in venue.connections.usable]
        set_gauge(Counter.SESSIONS_UP, len(sessions))
        set_gauge(Counter.SESSION_SCORE_MIN, min((session.score for session in sessions), default=0))
        set_gauge(Counter.RTT_US, min((session.health.rtt_ns for session in sessions), default=0) // 1000)
