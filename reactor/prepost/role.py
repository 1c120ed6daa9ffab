"""The door of the Pre/Post Processor: reads its rings, keeps its deadlines, writes through publish.py.

A pass:  held commands ─▶ control ─▶ reports ─▶ urgent events ─▶ events ─▶ now and then: deadlines ─▶ rows

Before every message it is certain that what the message may cause can be written (publish.has_room); otherwise nothing
more is read, which is what the producers feel as backpressure. While the journal is behind, nothing new begins (publish.py's
has_room_for_more): events wait, and orders come as fast as they can be written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import CommandKind, ControlKind, text_of
from reactor.journal.memory import History
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics, Span
from reactor.loop.log import Log
from reactor.prepost import checkpoint
from reactor.prepost.counters import Counter
from reactor.prepost.desk import Desk
from reactor.prepost.intake import EVENT_FORM, Intake
from reactor.prepost.kill_switch import Pull
from reactor.prepost.orders import Leg, OrderState
from reactor.prepost.pairs import Pair, PairState
from reactor.prepost.parameters import (
    ConstructionParameters,
    InquiryParameters,
    PairParameters,
    PipelineParameters,
    PrepostParameters,
    RiskParameters,
    SettlementParameters,
    StopParameters,
)
from reactor.prepost.publish import COMMAND_ROOM_MIN, JOURNAL_ROOM_MIN, CommandRing, Publisher, Rows
from reactor.prepost.record import Ring
from reactor.prepost.reports import Reports
from reactor.prepost.restore import restore
from reactor.prepost.settle import Settlement
from reactor.prepost.stop import StopSequence
from shm.ring import Consumer, Watch

__all__ = [
    "ConstructionParameters",
    "InquiryParameters",
    "PairParameters",
    "PipelineParameters",
    "PrepostParameters",
    "PrepostPorts",
    "PrepostRole",
    "RiskParameters",
    "SettlementParameters",
    "StopParameters",
]

NORMAL: Final = 0
URGENT: Final = 1
REPORTS_BIT: Final = 1  # of what is unread, by place in the watch's list …
URGENT_EVENTS_BIT: Final = 2
EVENTS_BIT: Final = 4
CONTROL_BIT: Final = 8  # … to here
MS: Final = 1_000_000
REPORTS_PER_PASS_MAX: Final = 128  # About 1 ms of work, so that timers and the other lanes never wait longer.
EVENTS_PER_PASS_MAX: Final = 64
TIDY_PERIOD_NS: Final = 2_000_000  # Deadlines and rows follow what has happened after this, or twice this under load; the row
# of a position that a fill has moved goes out with the pass that booked it.
BUSY_PERIOD_NS: Final = 5_000_000  # A pair on its way is looked at this often: prices and silence send no message.
RISK_PERIOD_NS: Final = 20_000_000  # The portfolio's row.
CANCEL_ALL_OURS: Final = int(CommandKind.CANCEL_ALL_OURS)
OPEN: Final = int(PairState.OPEN)
EVENTS: Final = int(Counter.EVENTS)
REPORTS: Final = int(Counter.REPORTS)
HEDGE_SPANS: Final = (Span.EVENT_TO_COMMAND, Span.COMMAND_TO_SEND, Span.SEND_TO_ACK, Span.ACK_TO_REPORT)
TICK_SPANS: Final = (Span.RECEIVE_TO_SIGNAL, Span.SIGNAL_TO_EVENT, *HEDGE_SPANS, Span.RECEIVE_TO_REPORT)


@dataclass
class PrepostPorts:
    """What this room is plugged into."""

    instruments: Instruments
    clock: Clock
    metrics: Metrics
    log: Log
    events: Consumer
    reports: Consumer
    commands: CommandRing
    journal: Ring
    positions: Rows
    risk: Rows
    tops: Callable[[int], Any]  # instrument index → book_top view (None: no feed writes it)
    collector_alive: Callable[[int], bool]  # now_ns → its heartbeat is fresh
    collector_hears: Callable[[], bool] = lambda: True  # a trigger wants to know what becomes of orders
    journal_trouble: Callable[[int], int] | None = None  # now_ns → the journal writer's alarm, 0: none
    control: Consumer | None = None
    responses: Ring | None = None
    strategy_responses: Sequence[Ring] = ()
    strategies_alive: Mapping[int, Callable[[int], bool]] = field(default_factory=dict)  # those of a process of their own
    history: History = field(default_factory=History)
    keep_checkpoint: Callable[[str], None] | None = None  # called once, at the start, with what the next one may begin with
    load_parameters: Callable[[int], PrepostParameters] | None = None  # CONTROL_RELOAD: generation → parameters, or ConfigError
    source: int = 0  # index of this role in the plan


class PrepostRole:
    """See the room's sign."""

    name = "prepost"

    def __init__(self, parameters: PrepostParameters, ports: PrepostPorts) -> None:
        self._ports = ports
        self._clock = ports.clock
        self._metrics = ports.metrics
        self.out = Publisher(
            ports.commands, ports.responses, ports.strategy_responses, ports.journal, ports.positions, ports.risk,
            ports.clock.monotonic_ns, ports.metrics, ports.source,
        )  # fmt: skip
        self.desk = Desk(
            parameters, ports.instruments, self.out, ports.tops, ports.metrics, ports.log, ports.collector_alive, ports.history
        )
        self.out.desk = self.desk
        self.settlement = Settlement(self.desk)
        recorders = [ports.metrics.spans_recorder(spans) for spans in (TICK_SPANS, HEDGE_SPANS)]
        self.reports = Reports(self.desk, self.settlement, *recorders)
        self.settlement.reports = self.reports
        self.intake = Intake(self.desk)
        self.stop = StopSequence(self.desk, self.settlement)
        self._was_alive: dict[int, bool] = {}  # by strategy index
        self._risk_ns = 0
        self._tidied_ns = 0
        self._due_ns = 0  # when the next pass tidies
        self._monotonic_ns = ports.clock.monotonic_ns
        self._realtime_ns = ports.clock.realtime_ns
        lanes = [(ports.reports, NORMAL), (ports.events, URGENT), (ports.events, NORMAL)]
        self._unread = Watch(lanes if ports.control is None else [*lanes, (ports.control, NORMAL)]).unread
        self._again = 0  # lanes that were left in the middle
        self._peek_control = None if ports.control is None else ports.control.try_peek
        self._peek_report = ports.reports.try_peek
        self._take_event = ports.events.try_take

    # ---- Role

    def on_start(self, now_ns: int) -> None:
        """Rebuilds from the journal. Sessions are the engine's: REPORT_SESSION_UP starts the comparison."""
        desk = self.desk
        self._tell_time(now_ns)
        history = self._ports.history
        trips = restore(desk, self.settlement, history, desk.parameters.settlement.fills_overlap_ms)
        keep = self._ports.keep_checkpoint
        if keep is not None and not desk.fills.has_fees_due():  # A row that will still change is not behind us.
            keep(checkpoint.take(desk, self.settlement, history, trips))
        desk.dirty.update(range(len(desk.terms)))
        desk.money.mark(now_ns)
        self.out.commit()
        self._publish(now_ns)

    def is_ready(self) -> bool:
        """Ready to read. Whether it may trade is `risk_summary.is_reconciled`: the venues are asked meanwhile."""
        return True

    def do_work(self, now_ns: int) -> int:
        """One pass."""
        out = self.out
        self.desk.now_ns = now_ns
        done = out.flush() if out.is_holding else 0
        unread = self._unread() | self._again
        if unread:
            self._again = 0
            if unread & CONTROL_BIT:
                done += self._read_control()
            if unread & REPORTS_BIT:
                done += self._read_reports()
            if unread & URGENT_EVENTS_BIT:
                done += self._read_events(URGENT)
            if unread & EVENTS_BIT:
                done += self._read_events(NORMAL)
        if done:  # What follows waits for a pass in which nothing has come: an engine in the same shard sends first.
            due_ns = self._tidied_ns + TIDY_PERIOD_NS
            self._due_ns = min(self._due_ns, due_ns)
            if now_ns < due_ns + TIDY_PERIOD_NS:
                return done
        elif now_ns < self._due_ns:
            return 0
        return done + self._tidy(now_ns)

    def glance(self) -> None:
        """Reads what the next decision would read, where it is read, and changes nothing: for a shard that has time."""
        self.desk.now_ns = self._monotonic_ns()
        self.intake.glance()
        self.out.glance()

    def deadline_ns(self, now_ns: int) -> int:
        """When a pass is wanted although no message has come."""
        return max(self._due_ns, now_ns)

    def on_stop(self, now_ns: int) -> None:
        """The stop sequence has run before (CONTROL_STOP); this only publishes the last state."""
        self._tell_time(now_ns)
        self.out.flush()
        self.out.commit()
        self.desk.dirty.update(range(len(self.desk.terms)))
        self._risk_ns = 0
        self._publish(now_ns)

    # ---- a pass

    def _tell_time(self, now_ns: int) -> None:
        self.desk.now_ns = now_ns
        self.desk.wall_ns = self._realtime_ns()

    def _read_control(self) -> int:
        peek = self._peek_control
        message = None if peek is None else peek(NORMAL)
        if message is None:
            return 0
        count = 0
        self.desk.wall_ns = self._realtime_ns()
        while message is not None and peek is not None:
            count += 1
            self._on_control(message)
            message = peek(NORMAL)
        self.out.commit()
        control = self._ports.control
        if control is not None:
            control.release(NORMAL)
        return count

    def _read_reports(self, lane: int = NORMAL) -> int:
        """The engine writes reports on one lane: what it says of an order stays in order. What they cause is published with the
        last of them: until they are released, a successor would be told again."""
        out, desk = self.out, self.desk
        peek, monotonic_ns, on_report = self._peek_report, self._monotonic_ns, self.reports.on_report
        count = 0
        while (
            (out.commands_left >= COMMAND_ROOM_MIN and out.journal_left >= JOURNAL_ROOM_MIN) or out.has_room()
        ) and count < REPORTS_PER_PASS_MAX:
            report = peek(lane)
            if report is None:
                break
            if not count:
                desk.wall_ns = self._realtime_ns()
            count += 1
            desk.now_ns = monotonic_ns()
            on_report(report)
        else:
            self._again |= REPORTS_BIT
        if count:
            out.commit()
            self._ports.reports.release(lane)
            self._metrics.count(REPORTS, count)
            if desk.has_moved:  # A strategy asked a moment later decides by the position that there is, not by an older one.
                out.publish_rows(desk)
        return count

    def _read_events(self, lane: int) -> int:
        """What an event causes is published before the next one: its order may be with the venue already."""
        out, desk = self.out, self.desk
        if lane == NORMAL and not out.has_room_for_more():
            return 0
        take, monotonic_ns, intake = self._take_event, self._monotonic_ns, self.intake
        count = 0
        while (
            (out.commands_left >= COMMAND_ROOM_MIN and out.journal_left >= JOURNAL_ROOM_MIN) or out.has_room()
        ) and count < EVENTS_PER_PASS_MAX:
            taken = take(lane, EVENT_FORM)
            if taken is None:
                break
            if not count:
                desk.wall_ns = self._realtime_ns()
            count += 1
            desk.now_ns = monotonic_ns()
            intake.on_taken(taken)
            out.commit()
        else:
            self._again |= EVENTS_BIT if lane == NORMAL else URGENT_EVENTS_BIT
        if count:
            self._ports.events.release(lane)
            self._metrics.count(EVENTS, count)
        return count

    def _tidy(self, now_ns: int) -> int:
        """What is not a message: deadlines, marks, rows. Says when it wants to be called although no message comes."""
        desk, out = self.desk, self.out
        self._tell_time(now_ns)
        self._tidied_ns = now_ns
        done = self._work_deadlines(now_ns) if out.has_room() else 0
        desk.money.mark(now_ns)
        out.commit()
        self._publish(now_ns)
        due_ns = min(
            self._risk_ns + RISK_PERIOD_NS, desk.inquiry.deadline_ns(), self.settlement.deadline_ns(), self.stop.deadline_ns()
        )
        is_busy = self.stop.is_walking
        for pair in desk.pairs:
            if pair.state:
                due_ns = min(due_ns, desk.hedging.deadline_ns(pair))
                is_busy = is_busy or self._is_busy(pair)
        self._due_ns = min(due_ns, now_ns + BUSY_PERIOD_NS) if is_busy else due_ns
        return done

    def _work_deadlines(self, now_ns: int) -> int:
        desk = self.desk
        done = 0
        for pair in desk.pairs:
            if pair.state and self._is_busy(pair):
                desk.hedging.work(pair, None)
        if desk.inquiry.deadline_ns() <= now_ns:
            done += desk.inquiry.work(now_ns)
        done += self.settlement.work(now_ns)
        done += self.stop.work(now_ns)
        return done

    @staticmethod
    def _is_busy(pair: Pair) -> bool:
        """It may need something that no message tells: a price, a time, somebody's silence."""
        if pair.orders or pair.state != OPEN:
            return True
        return bool(pair.echo_due_ns or pair.hedge_retry_ns or pair.naked_since_ns)

    def _publish(self, now_ns: int) -> None:
        desk, out = self.desk, self.out
        if desk.dirty:
            out.publish_rows(desk)
        if now_ns - self._risk_ns >= RISK_PERIOD_NS or self._risk_ns == 0:
            self._risk_ns = now_ns
            if self._ports.strategies_alive:
                self._watch_strategies(now_ns)
            if self._ports.journal_trouble is not None:
                desk.hear_journal(self._ports.journal_trouble(now_ns))
            out.collector_hears = self._ports.collector_hears()
            out.publish_risk(desk, self.stop.is_clean)
            self._metrics.set(Counter.OPEN_ORDERS, len(desk.orders.unsettled))
            unknown = sum(order.state == OrderState.UNKNOWN for order in desk.orders.unsettled.values())
            self._metrics.set(Counter.UNKNOWN_ORDERS, unknown)
            self._metrics.set(Counter.HELD_COMMANDS, len(out.held))
            self._metrics.set(Counter.DOUBLE_RETURNS, desk.quota.double_returns)

    def _watch_strategies(self, now_ns: int) -> None:
        """Orders of a strategy whose process is gone (or hangs) are nobody's: they go."""
        for index, is_alive in self._ports.strategies_alive.items():
            alive = is_alive(now_ns)
            if self._was_alive.get(index, False) and not alive:
                count = self.desk.cancel_strategy(index)
                self._ports.log.warning("a strategy gives no sign of life: its orders go", strategy=index, cancelled=count)
            self._was_alive[index] = alive

    # ---- the operator

    def _on_control(self, message: Any) -> None:
        desk = self.desk
        kind = message.header.kind
        who = text_of(message.text)
        if kind == ControlKind.STOP:
            desk.pull(Pull.REDUCE, 0, f"stop: {who}", is_lasting=False)
            self.stop.on_stop()
        elif kind == ControlKind.FLATTEN:
            desk.pull(Pull.REDUCE, 0, f"flatten: {who}", is_lasting=False)
            self.stop.on_flatten()
        elif kind == ControlKind.HALT:
            desk.pull(Pull.HALT, 0, f"halt: {who}")
            for terms in desk.terms:
                desk.cancel_instrument(terms.index, (Leg.SINGLE, Leg.QUOTE, Leg.OPEN))
        elif kind == ControlKind.REDUCE_ONLY:
            desk.pull(Pull.REDUCE, 0, f"reduce-only: {who}")
            for terms in desk.terms:
                desk.cancel_instrument(terms.index, (Leg.OPEN,))
        elif kind == ControlKind.RESUME:
            if not desk.is_stopping:
                desk.pull(Pull.RESUME, 0, f"resume: {who}")
                self.settlement.accept()
                self.stop.on_resume()
        elif kind == ControlKind.CANCEL_ALL:
            desk.cancel_everything()
            for venue in desk.venues:
                desk.out.ask(CANCEL_ALL_OURS, venue)
        elif kind == ControlKind.RELOAD:
            self._reload(int(message.generation))
        self._metrics.view.control_sequence = message.header.sequence

    def _reload(self, generation: int) -> None:
        load = self._ports.load_parameters
        if load is None:
            return
        try:
            self.desk.reload(load(generation))
        except ConfigError as error:
            self._ports.log.error("reload refused, nothing was changed", why=str(error), generation=generation)
            return
        self._metrics.view.plan_generation = generation
        self._ports.log.info("reloaded", generation=generation)
