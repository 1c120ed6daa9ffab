"""What comes back: answers, private events and silence become reports.

    order session ─▶ on_order_execution (read in C) · on_order_answer ─┐
    REST          ─▶ on_rest_answer ───────────────────────────────────┼─▶ in_flight: whose is it? ─▶ report
    a timer       ─▶ on_expired · on_order_session_lost ───────────────┘
    user stream   ─▶ on_user_execution (read in C) · on_user_frame ─────────────────────────────────▶ report

The connections' Owner: everything here runs in a socket's callback, between two passes of the role.
"""

from collections.abc import Callable
from typing import Any, Final

from reactor.domain.ids import ClientIds
from reactor.domain.instrument import VENUE_NAMES
from reactor.domain.messages import FLAG_REPLAYED, NO_INSTRUMENT, Reason, ReportKind, put_text
from reactor.engine.account import UNREADABLE
from reactor.engine.connections import VenueConnections
from reactor.engine.counters import Counter
from reactor.engine.in_flight import REST, Asked, InFlight, Slot
from reactor.engine.order_session import OrderSession
from reactor.engine.reports import OrderMemory, ReportWriter
from reactor.engine.user_stream import UserStream
from reactor.engine.venue import EngineVenue
from reactor.exchanges.venue import Answer, Outcome, UserEvent, Verdict
from reactor.loop.log import Log
from reactor.net.network import Failure, Response

K = ReportKind
_ACK: Final = int(K.ACK)
_REJECT, _CANCELLED, _CANCEL_REJECT = int(K.REJECT), int(K.CANCELLED), int(K.CANCEL_REJECT)
_NOT_SENT, _OUTCOME_UNKNOWN = int(K.NOT_SENT), int(K.OUTCOME_UNKNOWN)
_ORDER_STATE, _NOT_FOUND = int(K.ORDER_STATE), int(K.ORDER_NOT_FOUND)
_SESSION_UP, _SESSION_DOWN = int(K.SESSION_UP), int(K.SESSION_DOWN)
_PLACED: Final = int(Asked.PLACE)
_CANCELLED_ASKED: Final = int(Asked.CANCEL)

R = Reason
_UNKNOWN_ORDER_REASONS: Final = frozenset({int(R.UNKNOWN_ORDER), int(R.ORDER_ALREADY_CLOSED)})
_TIMESTAMP, _INVALID_KEY = int(R.TIMESTAMP), int(R.INVALID_KEY)


class Answers:
    """See the module."""

    def __init__(
        self,
        venues: dict[int, EngineVenue],
        in_flight: InFlight,
        orders: OrderMemory,
        writer: ReportWriter,
        ids: ClientIds,
        monotonic_ns: Callable[[], int],
        count: Callable[..., None],
        log: Log,
    ) -> None:
        """`venues` may be filled later: they need us first."""
        self._venues = venues
        self._in_flight = in_flight
        self._orders = orders
        self._writer = writer
        self._ids = ids
        self._monotonic_ns = monotonic_ns
        self._count = count
        self._log = log
        self.ask: Callable[[Slot, EngineVenue, str, int, int], bool] | None = None  # Requests.ask: we need one another

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

    def on_rest_answer(self, wire_number: int, venue: EngineVenue, answer: Answer, response: Response) -> None:
        """The answer to a request that went over REST."""
        slot, number = self._in_flight.find(wire_number)
        if slot is None:
            self._count(Counter.ANSWERS_UNASKED)
        elif response.failure == Failure.NOT_SENT and slot.asked == Asked.PLACE:
            self._on_not_sent(slot, number, response.text)
        else:
            self._on_result(slot, number, venue, answer, response.receive_ns, REST)

    def _on_result(self, slot: Slot, number: int, venue: EngineVenue, answer: Answer, receive_ns: int, connection: int) -> int:
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

    def _look_again(self, slot: Slot, venue: EngineVenue, verdict: Verdict, now_ns: int) -> bool:
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
        assert self.ask is not None, "answers know the requests before the first of them is sent"
        if self.ask(second, venue, renamed, 0, now_ns):
            return True
        self._in_flight.drop(second)
        return False

    def _write_success(self, slot: Slot, venue: EngineVenue, answer: Answer, receive_ns: int, connection: int) -> None:
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

    # ---- silence

    def on_expired(self, slot: Slot, now_ns: int) -> None:
        """Nobody answered in time."""
        carriers = slot.carriers()
        for session in self._venues[slot.venue].connections.sessions:
            if session.index in carriers and session.in_flight > 0:
                session.in_flight -= 1
                session.on_unanswered(now_ns)
        self._count(Counter.OUTCOMES_UNKNOWN)
        self._write_outcome(slot, _OUTCOME_UNKNOWN, R.TIMEOUT, now_ns, max(slot.connections[0], 0))

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

    # ---- sessions

    def on_availability(self, connections: VenueConnections, now_ns: int) -> None:
        """See connections.Owner."""
        self.announce(connections, now_ns)
        if connections.is_available:
            self._log.info("private connectivity is complete", venue=connections.name)
        else:
            self._log.warning("private connectivity is broken", venue=connections.name)

    def announce(self, connections: VenueConnections, now_ns: int, flags: int = 0) -> None:
        """Says how the venue's session stands: when it changes, and (as FLAG_REPLAYED) before every list of open orders."""
        writer = self._writer
        writer.about(connections.venue, now_ns, 0, flags)
        report = writer.begin(_SESSION_UP if connections.is_available else _SESSION_DOWN, "", NO_INSTRUMENT)
        report.venue = connections.venue
        if not connections.is_available:
            report.reason = R.CONNECTION_LOST
        writer.commit()
