"""One venue's account: queries, "cancel all ours", the venue's dead-man switch. Everything here is REST and takes its time.

command ─▶ a conversation (queries.py) ─▶ rows, SNAPSHOT_END
command, or nobody there any more ─▶ CancelAllOurs ─▶ CANCELLED rows, SNAPSHOT_END once the venue lists none of ours
"""

from collections.abc import Callable
from typing import Any, Final

from reactor.domain.errors import TradeError
from reactor.domain.ids import ClientIds
from reactor.domain.instrument import Instruments
from reactor.domain.messages import (
    FLAG_LIQUIDATION,
    FLAG_REPLAYED,
    NO_INSTRUMENT,
    CommandKind,
    Reason,
    ReportKind,
    copy,
    new,
    put_text,
)
from reactor.engine import queries
from reactor.engine.connections import VenueConnections
from reactor.engine.counters import Counter
from reactor.engine.parameters import EngineParameters
from reactor.engine.reports import ReportWriter
from reactor.exchanges.binance.cancel_all import CancelAllOurs
from reactor.exchanges.binance.orders import BinanceOrders
from reactor.exchanges.venue import Answer, RestCall
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from reactor.net.network import Response

C = CommandKind
_POSITIONS, _BALANCES = int(C.POSITIONS), int(C.BALANCES)
_FILLS_SINCE, _FUNDING_SINCE = int(C.FILLS_SINCE), int(C.FUNDING_SINCE)
_CANCELLED, _SNAPSHOT_END = int(ReportKind.CANCELLED), int(ReportKind.SNAPSHOT_END)
R = Reason
UNREADABLE: Final = (TradeError, KeyError, TypeError, ValueError, OverflowError)
"""What a codec may raise over an answer that is not what the venue promised."""


class Account:
    """See the module."""

    def __init__(
        self,
        codec: BinanceOrders,
        connections: VenueConnections,
        parameters: EngineParameters,
        instruments: Instruments,
        ids: ClientIds,
        writer: ReportWriter,
        clock: Clock,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._codec = codec
        self._connections = connections
        self._parameters = parameters
        self._instruments = instruments
        self._ids = ids
        self._writer = writer
        self._monotonic_ns = clock.monotonic_ns
        self._realtime_ns = clock.realtime_ns
        self._count = metrics.count
        self._log = log
        self._work: CancelAllOurs | None = None
        self._request_ids: list[int] = []  # who asked for the running work; empty: nobody did, we do it by ourselves
        self._next_round_ns = 0
        self._countdown_due_ns = 0
        self._is_unconfirmed = False

    # ---- queries

    def try_ask(self, command: Any, symbol: str, now_ns: int) -> Any:
        """Starts the conversation of an account command. Returns the Reason why not, or NONE."""
        connections, codec, writer = self._connections, self._codec, self._writer
        now_ms = connections.timestamp_ms
        if not connections.clock.is_certain(now_ns, self._parameters.query_window_ms):
            self._count(Counter.CLOCK_REFUSED)
            return R.CLOCK_UNCERTAIN
        kind = command.header.kind
        if kind == _FILLS_SINCE:
            if not symbol:
                return R.BAD_PARAMETER
            talk = queries.fills_since(codec, now_ms, writer, symbol, command.trade_id, command.since_ms)
        elif kind == _FUNDING_SINCE:
            is_insurance = bool(command.header.flags & FLAG_LIQUIDATION)
            talk = queries.funding_since(codec, now_ms, writer, symbol, command.since_ms, is_insurance=is_insurance)
        elif kind == _POSITIONS:
            talk = queries.positions(codec, now_ms, writer)
        elif kind == _BALANCES:
            talk = queries.balances(codec, now_ms, writer)
        else:
            talk = queries.open_orders(codec, now_ms, writer)
        self._count(Counter.QUERIES_SENT)
        kept = new("command")  # The ring's slot is released long before the answer comes.
        copy(kept, command, "command")
        self._go_on(talk, kept, None, now_ns)
        return R.NONE

    def _go_on(self, talk: queries.Conversation, command: Any, answer: Answer | None, receive_ns: int) -> None:
        """Lets a conversation read an answer and make its next request, or ends the snapshot."""
        self._writer.about(command.venue, receive_ns, command.request_id, FLAG_REPLAYED)
        try:
            call = next(talk) if answer is None else talk.send(answer)
        except StopIteration as done:
            self._end(command.request_id, done.value, R.NONE, command=command)
            return
        except queries.QueryFailed as failure:
            refusal = failure.answer
            self._end(command.request_id, 0, failure.verdict.reason, refusal.error_text, refusal.error_code, command=command)
            return
        except UNREADABLE as error:
            self._count(Counter.FRAMES_MALFORMED)
            self._end(command.request_id, 0, R.UNMAPPED, f"unreadable answer: {error}", command=command)
            return

        def on_answer(answer: Answer, response: Response) -> None:
            self._go_on(talk, command, answer, response.receive_ns)

        if not self._connections.call(call, on_answer, is_urgent=True):
            talk.close()
            self._end(command.request_id, 0, R.RATE_LIMITED, "request budget", command=command)

    def _end(self, request_id: int, rows: int, reason: Any, text: str = "", code: int = 0, command: Any = None) -> None:
        writer = self._writer
        writer.about(self._codec.venue, self._monotonic_ns(), request_id)
        report = writer.begin(_SNAPSHOT_END, "", NO_INSTRUMENT)
        if command is not None:
            report.header.instrument_index = command.header.instrument_index
            report.trade_id = command.trade_id
        report.venue = self._codec.venue
        report.row_count = min(rows, 0xFFFF)
        report.reason = reason
        report.error_code = code
        if text:
            put_text(report.text, text)
        writer.commit()

    # ---- cancel all ours

    @property
    def is_cancelling(self) -> bool:
        """The work runs: the venue has not said yet that none of ours is open."""
        return self._work is not None

    def cancel_all(self, request_id: int = 0) -> None:
        """Starts the work, or joins the one that runs: either ends with a list from the venue."""
        if request_id:
            self._request_ids.append(request_id)
        if self._work is None:
            work = self._work = CancelAllOurs(self._codec, self._ids)
            clock = self._connections.clock
            offset_ms = clock.offset_ns // 1_000_000 if clock.is_measured else None
            self._make(work, work.start(self._local_ms(), offset_ms))

    def give_up_cancelling(self) -> None:
        """Prepost is back and reconciles by itself: its new orders are not to be cancelled. What it asked for goes on."""
        self._is_unconfirmed = False
        if not self._request_ids:
            self._work = None

    def tick(self, now_ns: int, *, is_alone: bool) -> None:
        """Timers. `is_alone`: prepost is silent, so that an unconfirmed end is no end."""
        work = self._work
        if work is not None:
            if work.needs_round and now_ns >= self._next_round_ns:
                self._make(work, work.next_round(self._local_ms()))
        elif is_alone and self._is_unconfirmed:
            self.cancel_all()
        if self._parameters.dedicated_account and not is_alone and now_ns >= self._countdown_due_ns:
            self._arm_countdown(now_ns)

    def _make(self, work: CancelAllOurs, calls: list[tuple[int, RestCall]]) -> None:
        while calls:
            more: list[tuple[int, RestCall]] = []
            for tag, call in calls:
                if not self._connections.call(call, self._listener(work, tag), is_urgent=True):
                    # Refused by the budget: as good as no answer; the next round tries again.
                    more += work.on_answer(tag, 0, {}, b"request budget", self._local_ms())
            calls = more
        self._look_after(work)

    def _listener(self, work: CancelAllOurs, tag: int) -> Callable[[Answer, Response], None]:
        def on_answer(answer: Answer, response: Response) -> None:
            if self._work is not work:
                return
            calls = work.on_answer(tag, response.status, response.headers, response.body, self._local_ms())
            for result in work.cancelled:
                self._write_cancelled(result, response.receive_ns)
            work.cancelled.clear()
            self._make(work, calls)

        return on_answer

    def _write_cancelled(self, result: Any, receive_ns: int) -> None:
        if not isinstance(result, dict):
            return
        client_order_id = str(result.get("origClientOrderId") or result.get("clientOrderId", ""))
        instrument = self._instruments.find(self._codec.venue, str(result.get("symbol", "")))
        if instrument is None:
            return
        writer = self._writer
        writer.about(self._codec.venue, receive_ns)
        report = writer.begin(_CANCELLED, client_order_id, instrument.instrument_index)
        if report is None:
            return
        try:
            self._codec.write_order(result, report)
        except UNREADABLE:
            self._count(Counter.FRAMES_MALFORMED)
            return
        writer.commit()

    def _look_after(self, work: CancelAllOurs) -> None:
        if work.needs_round:
            self._next_round_ns = self._monotonic_ns() + self._parameters.cancel_round_ns
            return
        if not work.is_done or self._work is not work:
            return
        self._work = None
        self._is_unconfirmed = not work.is_confirmed
        self._count(Counter.CANCEL_ALL_ROUNDS, work.rounds)
        name = self._connections.name
        if work.is_confirmed:
            self._log.info("none of ours is open", venue=name, cancelled=work.cancelled_count, foreign=work.foreign)
        else:
            self._log.error("ours may still be open", venue=name, left=len(work.remaining), reason=work.failure)
        asked, self._request_ids = self._request_ids, []
        for request_id in asked:
            if work.is_confirmed:
                self._end(request_id, work.cancelled_count, R.NONE)
            else:
                self._end(request_id, work.cancelled_count, R.UNKNOWN_EXECUTION, work.failure)

    # ---- the venue's own dead-man switch

    def _arm_countdown(self, now_ns: int) -> None:
        """The venue cancels everything of these symbols unless told again in time: only on an account of our own."""
        countdown_ms = self._parameters.countdown_ms
        self._countdown_due_ns = now_ns + countdown_ms * 1_000_000 // 3
        codec, connections = self._codec, self._connections
        if not codec.line.countdown_path or not connections.clock.is_measured:
            return
        for instrument in self._instruments:
            if instrument.venue == codec.venue:
                call = codec.countdown_call(instrument.symbol, countdown_ms, connections.timestamp_ms())
                connections.call(call, self._on_countdown, is_urgent=True)

    def _on_countdown(self, answer: Answer, response: Response) -> None:
        if answer.status != 200:
            self._log.error(
                "the venue's dead-man switch could not be armed",
                code=answer.error_code,
                words=answer.error_text or response.text,
            )

    def _local_ms(self) -> int:
        return self._realtime_ns() // 1_000_000
