"""What goes out: a place, cancel or query becomes a request on the best session, or on several, or else over REST.

    place ────────▶ Requests.on_place ─▶ put · send ─▶ session       a place of many may wait for company: HELD_MAX, HELD_NS
    cancel, query ▶ ask ─(race)─▶ sessions ─(none took it)─▶ REST    a cancel may meet its place still queued: both end here

NOT_SENT only when provably nothing left. What comes back is read in answers.py.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from reactor.domain.messages import (
    FLAG_CLOSE,
    FLAG_HEDGE,
    FLAG_REDUCE_ONLY,
    FLAGS_OF_CAUSE,
    Reason,
    ReportKind,
    address_of,
    copy,
    form,
    new,
    text_of,
)
from reactor.engine.answers import Answers
from reactor.engine.counters import Counter
from reactor.engine.in_flight import REST, Asked, InFlight, Slot
from reactor.engine.order_session import HANDED_OVER, OrderSession
from reactor.engine.parameters import EngineParameters
from reactor.engine.refusals import Refusals
from reactor.engine.reports import Entry, OrderMemory
from reactor.engine.router import COPIES_MAX, Policy, copies_of, policy_of, route
from reactor.engine.venue import EngineVenue
from reactor.exchanges.binance.executions import stamp_entry
from reactor.exchanges.binance.orders import place_key
from reactor.exchanges.binance.requests import IMPOSSIBLE
from reactor.exchanges.venue import Answer, RestCall
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics, Span
from reactor.net.network import Response, Sent

NORMAL: Final = 0  # the lane
SECOND_NS: Final = 1_000_000_000
HELD_MAX: Final = 16  # How many places may wait to leave in one write …
HELD_NS: Final = 150_000  # … and for how long: a write costs ten times as much as what goes into it.

_CANCEL_REJECT: Final = int(ReportKind.CANCEL_REJECT)
_SPAN_OF_CAUSE: Final = {
    0: int(Span.INTERNAL), FLAG_HEDGE: int(Span.HEDGE), FLAG_CLOSE: int(Span.CLOSE), FLAGS_OF_CAUSE: int(Span.CLOSE)
}  # fmt: skip
_PLACED: Final = int(Asked.PLACE)
PLACE_FORM: Final = form(
    "command",
    (
        "header.kind", "header.order_id", "header.instrument_index", "header.flags", "client_order_id", "venue", "side",
        "order_type", "time_in_force", "deadline_ns", "request_id",
    ),
)  # fmt: skip
"""What is read of a command when it is taken; a place needs no more but its price and quantity."""
_read_place: Final = PLACE_FORM.read

_URGENT_FLAGS: Final = FLAG_HEDGE | FLAG_REDUCE_ONLY
_WHOLE_CLOSE_FLAGS: Final = FLAG_CLOSE | FLAG_REDUCE_ONLY

R = Reason


class QueuedPlaces(Protocol):
    """What is asked of the command ring: may a place still be queued?"""

    def pending(self, lane: int = 0) -> int: ...


class HeldCancel:
    """A cancel whose place may still be queued in the other lane."""

    __slots__ = ("after", "command")

    def __init__(self, command: Any, after: int) -> None:
        self.command = command
        self.after = after  # how many normal commands must have been read before we know


class Requests:
    """See the module."""

    def __init__(
        self,
        parameters: EngineParameters,
        symbols: tuple[str, ...],
        venues: dict[int, EngineVenue],
        in_flight: InFlight,
        orders: OrderMemory,
        answers: Answers,
        refusals: Refusals,
        queued: QueuedPlaces,
        clock: Clock,
        metrics: Metrics,
        glances: Sequence[Any],
    ) -> None:
        """`glances`: places as they may come, for `glance`."""
        self._parameters = parameters
        self._symbols = symbols
        self._venues = venues
        self._in_flight = in_flight
        self._orders = orders
        self._answers = answers
        self._refusals = refusals
        self._queued = queued
        self._monotonic_ns = clock.monotonic_ns
        self._metrics = metrics
        self._count = metrics.count
        self._source = parameters.source
        self._order_timeout_ns = parameters.order_timeout_ns
        router = parameters.router
        self._race_copies = copies_of(router, Policy.RACE)
        self._race_closes = policy_of(router, is_place=True, is_whole_close=True) == Policy.RACE
        self._place_copies = copies_of(router, policy_of(router, is_place=True, is_whole_close=False))
        self._glances = [(command, address_of(command)) for command in glances]
        self._glanced = 0
        self._held: list[tuple[OrderSession, Entry]] = []  # places that wait to be written
        self._held_ns = 0  # since when
        self.held_cancels: dict[str, HeldCancel] = {}  # by client id; while there are any, `release_cancels` is due
        self.has_sent = False  # in this pass: what follows may wait for company
        self.is_stopped = False  # prepost is silent or the supervisor gone: no place goes out
        self.normal_read = 0  # commands of the normal lane: the role counts them
        self.places_sent = 0

    # ---- places

    def on_place(self, taken: Any, now_ns: int) -> None:
        """A place: its view and what PLACE_FORM reads there. What stands before the frame is handed over is on the way of a
        tick to the wire: what can wait is done after it."""
        (
            command, _, order_id, index, flags, raw_id, number, side, order_type, time_in_force, deadline_ns, request_id
        ) = taken  # fmt: skip
        if self.held_cancels and self._is_overtaken(command, raw_id):
            return
        if self.is_stopped:
            self._refusals.refuse(command, R.KILL_SWITCH)
            return
        if deadline_ns and self._monotonic_ns() > deadline_ns:
            self._count(Counter.DEADLINE_MISSED)
            self._refusals.refuse(command, R.TIMEOUT)
            return
        venue = self._venues[number]
        connections = venue.connections
        if not connections.may_place:
            self._count(Counter.CLOCK_REFUSED)
            self._refusals.refuse(command, R.CLOCK_UNCERTAIN)
            return
        timestamp_ms = connections.timestamp_ms()
        if not connections.budget.try_spend(0, 1, timestamp_ms, is_urgent=flags & _URGENT_FLAGS != 0):
            self._count(Counter.RATE_REFUSED)
            self._refusals.refuse(command, R.BANNED if connections.budget.is_banned(timestamp_ms) else R.ORDER_RATE)
            return
        in_flight = self._in_flight
        slot = in_flight.open(_PLACED, number, request_id)
        copies = self._place_copies
        if copies == 1 and self._race_closes and flags & _WHOLE_CLOSE_FLAGS == _WHOLE_CLOSE_FLAGS:
            copies = self._race_copies
        key = place_key(index, side, order_type, time_in_force, flags)
        may_wait = self.has_sent and copies == 1 and not flags & _URGENT_FLAGS
        carrier: OrderSession | None = None
        sent = 0
        for session in connections.usable:
            wire_number = slot.number * COPIES_MAX + sent
            if may_wait:
                frame = venue.codec.place_frame(wire_number, command, raw_id, timestamp_ms, key)
                result: int = int(session.put(frame)) if frame else IMPOSSIBLE
            else:
                result = session.send_place(venue.codec, wire_number, command, timestamp_ms, key)
            if result == IMPOSSIBLE:
                in_flight.drop(slot)
                self._refusals.refuse(command, R.BAD_PARAMETER, text="price or quantity")
                return
            if result == HANDED_OVER:
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
        self.has_sent = True
        send_ns = self._monotonic_ns()
        client_order_id = raw_id.rstrip(b"\0").decode()
        entry = self._orders.remember(command, client_order_id, order_id, number, self._symbols[index], self._source)
        slot.client_order_id = client_order_id
        slot.instrument_index = index
        slot.entry = entry
        if carrier is None:
            entry.connection = REST
            if not self._place_over_rest(command, raw_id.rstrip(b"\0"), slot, venue, timestamp_ms, now_ns):
                return
        else:
            entry.connection = carrier.index
        self.places_sent += 1
        if not may_wait or carrier is None:
            self._note_left(entry, send_ns)
            return
        held = self._held
        if not held:
            self._held_ns = send_ns
        held.append((carrier, entry))
        if len(held) >= HELD_MAX or send_ns - self._held_ns > HELD_NS:
            self._write_held()

    def glance(self) -> None:
        """Reads and makes what the next place would: its time, budget, number and frame. Nothing of it is sent or stays."""
        if not self._glances:
            return
        self._glanced = at = (self._glanced + 1) % len(self._glances)
        command, room = self._glances[at]
        _, _, index, flags, raw_id, number, side, order_type, time_in_force, _, _ = _read_place(room)
        venue = self._venues[number]
        connections, in_flight = venue.connections, self._in_flight
        timestamp_ms = connections.timestamp_ms()
        connections.budget.next_window_ms(timestamp_ms)
        slot = in_flight.open(_PLACED, number, 0)
        key = place_key(index, side, order_type, time_in_force, flags)
        venue.codec.place_frame(slot.number * COPIES_MAX, command, raw_id, timestamp_ms, key)
        in_flight.drop(slot)
        self._orders.glance()

    def _is_overtaken(self, command: Any, raw_id: bytes) -> bool:
        """A cancel was faster than its place: both end here."""
        held = self.held_cancels.pop(raw_id.rstrip(b"\0").decode(), None)
        if held is None:
            return False
        self._count(Counter.ANNIHILATED)
        self._refusals.refuse(command, R.CANCEL_OVERTOOK)
        self._refusals.write_about(held.command, _CANCEL_REJECT, R.CANCEL_OVERTOOK)
        return True

    def _place_over_rest(
        self, command: Any, raw_id: bytes, slot: Slot, venue: EngineVenue, timestamp_ms: int, now_ns: int
    ) -> bool:
        """No session took it. False: REST neither, and nothing was sent."""
        call = venue.codec.place_call(command, raw_id, timestamp_ms)
        if self._parameters.rest_places and self._call_order(slot, venue, call, now_ns):
            return True
        self._in_flight.drop(slot)
        self._orders.forget(slot.client_order_id)
        self._count(Counter.NO_SESSION)
        self._refusals.refuse(command, R.NO_SESSION)
        return False

    def flush(self) -> None:
        """The end of what may leave together."""
        self.has_sent = False
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
        report = entry.report
        internal_ns = stamp_entry(report, send_ns)
        if internal_ns >= 0:
            self._metrics.record(_SPAN_OF_CAUSE[report.header.flags & FLAGS_OF_CAUSE], internal_ns)

    # ---- cancels and queries

    def on_cancel(self, command: Any, now_ns: int) -> None:
        """Sends it, or holds it until it is known that its place is not queued behind it."""
        client_order_id = text_of(command.client_order_id)
        if client_order_id and self._orders.find(client_order_id) is None:
            queued = self._queued.pending(NORMAL)
            if queued:
                # Its place may still stand in the other lane: then both end here, and nothing is sent.
                kept = new("command")
                copy(kept, command, "command")
                self.held_cancels[client_order_id] = HeldCancel(kept, self.normal_read + queued)
                return
        self._send_about(command, client_order_id, Asked.CANCEL, now_ns)

    def release_cancels(self, now_ns: int) -> None:
        """Cancels whose place was not in the other lane after all: it was sent by an earlier run."""
        for client_order_id, held in list(self.held_cancels.items()):
            if held.after <= self.normal_read:
                del self.held_cancels[client_order_id]
                self._send_about(held.command, client_order_id, Asked.CANCEL, now_ns)

    def on_query(self, command: Any, now_ns: int) -> None:
        """Asks the venue about one order."""
        self._send_about(command, text_of(command.client_order_id), Asked.QUERY, now_ns)

    def _send_about(self, command: Any, client_order_id: str, asked: Asked, now_ns: int) -> None:
        """A cancel or a query: may be repeated freely, so it races."""
        venue = self._venues[command.venue]
        connections = venue.connections
        if not connections.clock.is_certain(now_ns, self._parameters.query_window_ms):
            self._count(Counter.CLOCK_REFUSED)
            self._refusals.refuse(command, R.CLOCK_UNCERTAIN)
            return
        entry = self._orders.find(client_order_id) if client_order_id else None
        slot = self._in_flight.open(asked, command.venue, command.request_id)
        slot.client_order_id = client_order_id
        slot.instrument_index = command.header.instrument_index
        slot.entry = entry
        venue_order_id = command.venue_order_id or (entry.venue_order_id if entry is not None else 0)
        if asked == Asked.CANCEL and entry is not None:
            entry.has_cancel = True
        if self.ask(slot, venue, client_order_id, venue_order_id, now_ns):
            self._count(Counter.CANCELS_SENT if asked == Asked.CANCEL else Counter.QUERIES_SENT)
            return
        self._in_flight.drop(slot)
        if connections.budget.is_banned(connections.timestamp_ms()):
            self._refusals.refuse(command, R.BANNED)
        else:
            self._refusals.refuse(command, R.ORDER_RATE if connections.usable else R.NO_SESSION)

    def ask(self, slot: Slot, venue: EngineVenue, client_order_id: str, venue_order_id: int, now_ns: int) -> bool:
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

    def _note_sent(self, slot: Slot, number: int, session: OrderSession, now_ns: int, timeout_ns: int) -> None:
        session.in_flight += 1
        self._in_flight.sent(slot, number, session.index, now_ns, timeout_ns)

    def _call_order(self, slot: Slot, venue: EngineVenue, call: RestCall, now_ns: int) -> bool:
        """The same request over REST."""

        def on_answer(answer: Answer, response: Response) -> None:
            self._answers.on_rest_answer(wire_number, venue, answer, response)

        wire_number = self._in_flight.wire_number(slot, 0)
        if not venue.connections.call(call, on_answer, is_urgent=True):
            return False
        self._count(Counter.REST_FALLBACKS)
        self._in_flight.sent(slot, 0, REST, now_ns, self._parameters.connections.rest_timeout_ns + SECOND_NS)
        return True
