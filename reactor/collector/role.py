"""The collector's door: signals, responses and external messages in, events out.

A pass takes, in this order and each in a bounded number: control, responses (hedges), the urgent lanes of all feeds, their
normal lanes, external signals. Before it takes anything it makes sure that whatever may come of it fits the event ring;
if not, the inputs stay where they are and their writers feel it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from reactor.collector.external import ExternalSignals
from reactor.collector.grids import PARTS_MAX, GridParts
from reactor.collector.parameters import CollectorParameters
from reactor.collector.table import Bound, SignalTable, Slot
from reactor.collector.triggers.registry import plan_triggers
from reactor.collector.triggers.trigger import TriggerContext, problem_of
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instruments
from reactor.domain.messages import (
    FLAG_URGENT,
    NO_STRATEGY,
    ControlKind,
    ResponseKind,
    SignalType,
    Stage,
    clear,
    copier,
    copy_header,
    new,
    signal_index,
)
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from reactor.loop.timers import Every
from shm.ring import NORMAL, URGENT, Consumer, Producer

STATISTICS_NS = 10_000_000  # Counters of single triggers are published this often.
IDLE_NS = 1_000_000_000
COUNTED_TRIGGERS_MAX = 32
STAGE_SIGNAL: int = Stage.SIGNAL
STAGE_EVENT: int = Stage.EVENT
ORDER_RESPONSE: int = SignalType.ORDER_RESPONSE
STRATEGY_QUOTES: int = SignalType.STRATEGY_QUOTES
PAIR_CLOSED: int = ResponseKind.PAIR_CLOSED
RELOAD: int = ControlKind.RELOAD


class Counter(IntEnum):
    """The collector's counters. From FIRED_FIRST on one per trigger, by its number in the plan."""

    SIGNALS = 0  # taken from the feeds' normal lanes
    SIGNALS_URGENT = 1  # and from their urgent ones
    SIGNALS_UNBOUND = 2  # no trigger looks at them
    RESPONSES = 3
    EVENTS = 4  # both lanes
    EVENTS_URGENT = 5
    BACKPRESSURE = 6  # passes in which an input had to wait for the event ring
    EVALUATIONS = 7
    STALE = 8  # evaluations that did not take place: a required signal was missing or too old
    GRID_PARTS_DISCARDED = 9
    TRIGGERS_OFF = 10  # the user's triggers that were switched off
    EXTERNAL_SIGNALS = 11
    EXTERNAL_REFUSED = 12  # all reasons; the log says which
    EXTERNAL_LOST = 13  # gaps in the producers' sequence numbers
    RELOADS = 14
    RELOADS_REFUSED = 15
    FIRED_FIRST = 32
    EVALUATED_FIRST = 64


@dataclass
class CollectorPorts:
    """What the collector is plugged into."""

    instruments: Instruments
    clock: Clock
    metrics: Metrics
    log: Log
    signals: Sequence[Consumer]  # signal_message_t, one ring per feed
    responses: Consumer | None  # response_message_t from prepost
    events: Producer  # event_message_t to prepost
    control: Consumer | None = None
    external: ExternalSignals | None = None
    reload: Callable[[int], CollectorParameters] | None = None  # plan generation → parameters; raises ConfigError
    source_index: int = 0  # of this role in the plan: header.source


class CollectorRole:
    """Turns signals into events."""

    name = "collector"

    def __init__(self, parameters: CollectorParameters, ports: CollectorPorts) -> None:
        self._ports = ports
        self._metrics = ports.metrics
        self._log = ports.log
        self._monotonic_ns = ports.clock.monotonic_ns
        self._events = ports.events
        self._event = new("event")
        self._copy_event = copier("event")
        # Urgent lanes of all feeds first, then the normal ones.
        self._lanes = tuple((consumer, lane, GridParts()) for lane in (URGENT, NORMAL) for consumer in ports.signals)
        self._responses = ports.responses
        self._external = ports.external
        self._statistics = Every(STATISTICS_NS)
        self._is_started = False
        self._has_room = True
        self._unbound = 0
        self._events_normal = 0
        self._events_urgent = 0
        self._instruments = len(ports.instruments)
        self._plug(parameters, self._build(parameters))

    # -- life ------------------------------------------------------------------------------------------------

    def on_start(self, now_ns: int) -> None:
        """Refuses an event ring that could never take what one grid may cause.

        Raises:
            ConfigError: the event ring is too small for the triggers of the plan.
        """
        for fan in (self._fan_normal, self._fan_urgent):
            needed, capacity = (PARTS_MAX + 1) * fan, self._events.capacity
            if capacity < needed:
                raise ConfigError(
                    f"event ring: a lane of {capacity} slots is too small; {fan} triggers per signal need {needed}"
                )
        self._is_started = True
        names = dict.fromkeys(bound.trigger.name for bound in self._table.bound)
        self._log.info(
            "collector started", triggers=",".join(names), feeds=len(self._ports.signals), external=self._external is not None
        )

    def is_ready(self) -> bool:
        return self._is_started

    def deadline_ns(self, now_ns: int) -> int:
        """External sources that cannot wake a shard are looked at in their own rhythm."""
        return self._external.deadline_ns(now_ns) if self._external is not None else now_ns + IDLE_NS

    def on_stop(self, now_ns: int) -> None:
        self._publish()
        if self._external is not None:
            self._external.close()

    def do_work(self, now_ns: int) -> int:
        """One bounded pass."""
        self._has_room = True
        work = self._take_control() if self._ports.control is not None else 0
        if self._responses is not None:
            work += self._take_responses(self._responses, URGENT, now_ns)
            work += self._take_responses(self._responses, NORMAL, now_ns)
        for consumer, lane, parts in self._lanes:
            work += self._take_signals(consumer, lane, parts, now_ns)
        if self._external is not None:
            work += self._take_external(self._external, now_ns)
        if not self._has_room:
            self._metrics.count(Counter.BACKPRESSURE)
        if self._statistics.is_due(now_ns):
            self._publish()
        return work

    # -- inputs ----------------------------------------------------------------------------------------------

    def _room(self, held: int = 0) -> int:
        """How many signals may be taken so that all they can cause fits the event ring."""
        room = self._messages_max
        if self._fan_normal:
            room = min(room, self._events.free(NORMAL) // self._fan_normal - held)
        if self._fan_urgent:
            room = min(room, self._events.free(URGENT) // self._fan_urgent - held)
        return room

    def _take_signals(self, consumer: Consumer, lane: int, parts: GridParts, now_ns: int) -> int:
        if not consumer.pending(lane):
            if parts.held:
                self._drop_late(consumer, lane, parts, now_ns)
            return 0
        room = self._room(parts.held)
        if room <= 0:
            self._has_room = False
            return 0
        taken = 0
        try_peek = consumer.try_peek
        while taken < room:
            signal = try_peek(lane)
            if signal is None:
                break
            taken += 1
            if signal.header.kind == STRATEGY_QUOTES:
                for part in parts.add(signal, now_ns):
                    self._on_signal(part, now_ns)
            else:
                self._on_signal(signal, now_ns)
        if not parts.held:
            consumer.release(lane)
        self._metrics.count(Counter.SIGNALS_URGENT if lane == URGENT else Counter.SIGNALS, taken)
        return taken

    def _drop_late(self, consumer: Consumer, lane: int, parts: GridParts, now_ns: int) -> None:
        parts.drop_late(now_ns)
        if not parts.held:
            consumer.release(lane)
            self._log.warning("the rest of a strategy's grid did not come; its parts were dropped", discarded=parts.discarded)

    def _take_responses(self, responses: Consumer, lane: int, now_ns: int) -> int:
        if not responses.pending(lane):
            return 0
        room = self._messages_max
        if self._fan_responses_normal:
            room = min(room, self._events.free(NORMAL) // self._fan_responses_normal)
        if self._fan_responses_urgent:
            room = min(room, self._events.free(URGENT) // self._fan_responses_urgent)
        if room <= 0:
            self._has_room = False
            return 0
        taken = 0
        while taken < room:
            response = responses.try_peek(lane)
            if response is None:
                break
            taken += 1
            header = response.header
            if header.kind == PAIR_CLOSED:
                self._rearm(header.pair_id)
            self._on_slot(self._table.find(signal_index(ORDER_RESPONSE, header.instrument_index)), response, now_ns, now_ns)
            self._on_slot(self._table.find_any(ORDER_RESPONSE), response, now_ns, now_ns)
        responses.release(lane)
        self._metrics.count(Counter.RESPONSES, taken)
        return taken

    def _take_external(self, external: ExternalSignals, now_ns: int) -> int:
        if not external.is_due(now_ns):
            return 0
        room = self._room()
        if room <= 0:
            self._has_room = False
            return 0
        taken = 0
        while taken < room:
            signal = external.try_receive(now_ns)
            if signal is None:
                break
            taken += 1
            self._on_signal(signal, now_ns)
        return taken

    # -- decisions -------------------------------------------------------------------------------------------

    def _on_signal(self, signal: Any, now_ns: int) -> None:
        header = signal.header
        slot = self._find(signal.signal_index)
        any_slot = self._find_any(header.kind)
        if slot is None and any_slot is None:
            self._unbound += 1
            return
        time_ns = header.stage_ns[STAGE_SIGNAL] or now_ns
        if slot is not None:
            self._on_slot(slot, signal, time_ns, now_ns)
        if any_slot is not None:
            self._on_slot(any_slot, signal, time_ns, now_ns)

    def _on_slot(self, slot: Slot | None, message: Any, time_ns: int, now_ns: int) -> None:
        if slot is None:
            return
        slot.apply(message, time_ns)
        for bound in slot.bound:
            try:
                if bound.is_firing(now_ns):
                    self._fire(bound, message)
            except Exception as error:
                if not bound.is_user:
                    raise
                self._switch_off(bound, f"{type(error).__name__}: {error}")

    def _fire(self, bound: Bound, cause: Any) -> None:
        """Writes one event. Written beside the ring first: what a user's trigger leaves half done is never published."""
        event = self._event
        clear(event, "event")
        copy_header(event, cause)
        header = event.header
        header.flags = 0
        if bound.is_user:
            event.strategy_index = NO_STRATEGY  # 0 is somebody's; one that carries a strategy's wish says whose it is.
        bound.write(event, bound.signals)
        if bound.is_user:
            problem = problem_of(event, self._instruments)
            if problem:
                self._switch_off(bound, problem)
                return
        events, lane = self._events, bound.lane
        target = events.try_claim(lane)
        assert target is not None, "room for every event was made sure of before its cause was taken"
        header.sequence = events.sequence(lane)
        header.source = self._ports.source_index
        event.trigger_index = bound.index
        if lane == URGENT:
            header.flags |= FLAG_URGENT
            self._events_urgent += 1
        else:
            self._events_normal += 1
        header.stage_ns[STAGE_EVENT] = self._monotonic_ns()
        self._copy_event(target, event)
        events.commit(lane)

    def _switch_off(self, bound: Bound, sentence: str) -> None:
        self._table.switch_off(bound, sentence)
        self._metrics.count(Counter.TRIGGERS_OFF)
        self._log.error("a trigger of yours was switched off", trigger=_name_of(bound), error=sentence)

    def _rearm(self, pair_id: int) -> None:
        for bound in self._table.bound:
            if bound.trigger.pair_id == pair_id:
                bound.edge.rearm()

    # -- control ---------------------------------------------------------------------------------------------

    def _take_control(self) -> int:
        control = self._ports.control
        assert control is not None, "asked only where there is a control ring"
        taken = 0
        while (message := control.try_peek(NORMAL)) is not None:
            taken += 1
            if message.header.kind == RELOAD:
                self._reload(message.generation)
            self._metrics.view.control_sequence = message.header.sequence
        if taken:
            control.release(NORMAL)
        return taken

    def _reload(self, generation: int) -> None:
        """New parameters, or the old ones and a reason: never something in between."""
        if self._ports.reload is None:
            return
        try:
            parameters = self._ports.reload(generation)
            table = self._build(parameters)
        except ConfigError as error:
            self._metrics.count(Counter.RELOADS_REFUSED)
            self._log.error("reload refused; the old parameters stay", error="; ".join(error.problems))
            return
        table.take_over(self._table)
        self._plug(parameters, table)
        self._metrics.view.plan_generation = generation
        self._metrics.count(Counter.RELOADS)
        self._log.info("reloaded", generation=generation)

    def _build(self, parameters: CollectorParameters) -> SignalTable:
        context = TriggerContext(self._ports.instruments, parameters.pairs)
        planned = plan_triggers(parameters.triggers, context)
        return SignalTable([Bound(each.trigger, each.index, each.is_user) for each in planned])

    def _plug(self, parameters: CollectorParameters, table: SignalTable) -> None:
        """Resolves what the hot path needs of the table, once."""
        self._table = table
        self._find = table.find
        self._find_any = table.find_any
        self._messages_max = parameters.messages_per_pass_max
        self._fan_normal = table.fan(NORMAL, is_response=False)
        self._fan_urgent = table.fan(URGENT, is_response=False)
        self._fan_responses_normal = table.fan(NORMAL, is_response=True)
        self._fan_responses_urgent = table.fan(URGENT, is_response=True)

    def _publish(self) -> None:
        """Brings the counters kept in plain attributes to the metrics."""
        metrics = self._metrics
        fired = [0] * COUNTED_TRIGGERS_MAX
        evaluated = [0] * COUNTED_TRIGGERS_MAX
        stale = 0
        for bound in self._table.bound:
            stale += bound.stale
            if bound.index < COUNTED_TRIGGERS_MAX:
                fired[bound.index] += bound.fired
                evaluated[bound.index] += bound.evaluations
        for index in range(min(COUNTED_TRIGGERS_MAX, 1 + max((bound.index for bound in self._table.bound), default=-1))):
            metrics.set(Counter.FIRED_FIRST + index, fired[index])
            metrics.set(Counter.EVALUATED_FIRST + index, evaluated[index])
        metrics.set(Counter.EVALUATIONS, sum(evaluated))
        metrics.set(Counter.STALE, stale)
        metrics.set(Counter.SIGNALS_UNBOUND, self._unbound)
        metrics.set(Counter.EVENTS, self._events_normal + self._events_urgent)
        metrics.set(Counter.EVENTS_URGENT, self._events_urgent)
        metrics.set(Counter.GRID_PARTS_DISCARDED, sum(parts.discarded for _, _, parts in self._lanes))
        if self._external is not None:
            metrics.set(Counter.EXTERNAL_SIGNALS, self._external.accepted)
            metrics.set(Counter.EXTERNAL_REFUSED, self._external.refused)
            metrics.set(Counter.EXTERNAL_LOST, self._external.lost)


def _name_of(bound: Bound) -> str:
    return bound.trigger.name or type(bound.trigger).__name__
