"""The collector's door: signals, responses and external messages in, events out.

A pass takes, in this order and each in a bounded number: control, responses (hedges), the urgent lanes of all feeds, their
normal lanes, external signals. Before it takes anything it makes sure that whatever may come of it fits the event ring;
if not, the inputs stay where they are and their writers feel it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

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
    INSTRUMENTS_MAX,
    NO_STRATEGY,
    ControlKind,
    ResponseKind,
    SignalType,
    event_begin,
    event_finish,
    event_is_sound,
    new,
    signal_index,
    signal_keep,
    signal_key,
)
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from shm.ring import NORMAL, URGENT, Consumer, Producer, Watch

STATISTICS_NS: Final = 10_000_000  # Counters of single triggers are published this often, in a pass that brought nothing …
STATISTICS_NS_MAX: Final = 100_000_000  # … or, where there is none, this long after that.
EXTERNAL_WAIT_NS_MAX: Final = 10_000_000  # External sources wait for a pass that brought nothing, but no longer than this.
IDLE_NS: Final = 1_000_000_000
COUNTED_TRIGGERS_MAX: Final = 32
KEY_INDEX: Final = (1 << 32) - 1  # of signal_key: the signal's index; its type stands above
ORDER_RESPONSE: Final = int(SignalType.ORDER_RESPONSE)
STRATEGY_QUOTES: Final = int(SignalType.STRATEGY_QUOTES)
PAIR_CLOSED: Final = int(ResponseKind.PAIR_CLOSED)
RELOAD: Final = int(ControlKind.RELOAD)
# Called for every message: an imported name is looked up each time, one of our own is not.
_event_begin: Final = event_begin
_event_finish: Final = event_finish
_event_is_sound: Final = event_is_sound
_signal_keep: Final = signal_keep
_signal_key: Final = signal_key


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
    RESPONSE_READERS = 16  # gauge: triggers of the user that look at what becomes of orders; prepost says it to them only
    FIRED_FIRST = 32
    EVALUATED_FIRST = 64


SIGNALS: Final = int(Counter.SIGNALS)
SIGNALS_URGENT: Final = int(Counter.SIGNALS_URGENT)
RESPONSES: Final = int(Counter.RESPONSES)


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


class Lane:
    """One lane that the collector reads."""

    __slots__ = ("consumer", "lane", "parts", "take", "try_peek")

    def __init__(self, consumer: Consumer, lane: int, take: Callable[["Lane", int, int], int]) -> None:
        self.consumer = consumer
        self.lane = lane
        self.try_peek: Callable[[int], Any] = consumer.try_peek
        self.take = take  # (lane, its bit, now_ns): how many messages it took
        self.parts = GridParts()


class CollectorRole:
    """Turns signals into events."""

    name = "collector"

    def __init__(self, parameters: CollectorParameters, ports: CollectorPorts) -> None:
        self._ports = ports
        self._metrics = ports.metrics
        self._counters = ports.metrics.view.counters
        self._log = ports.log
        self._monotonic_ns = ports.clock.monotonic_ns
        self._events = ports.events
        self._event = new("event")
        self._source = ports.source_index
        # In the order in which they are read: control, responses, urgent lanes of all feeds, their normal ones.
        self._lanes: list[Lane] = []
        if ports.control is not None:
            self._lanes.append(Lane(ports.control, NORMAL, self._take_control))
        if ports.responses is not None:
            self._lanes += [Lane(ports.responses, lane, self._take_responses) for lane in (URGENT, NORMAL)]
        self._lanes += [Lane(consumer, lane, self._take_signals) for lane in (URGENT, NORMAL) for consumer in ports.signals]
        self._unread = Watch([(each.consumer, each.lane) for each in self._lanes]).unread
        self._again = 0  # lanes, as bits, that a bound or a full event ring stopped in the middle
        self._holding = 0  # parts of grids that wait for the rest
        self._external = ports.external
        self._statistics_ns = 0
        self._is_started = False
        self._has_room = True
        self._unbound = 0
        self._events_normal = 0
        self._free_normal = self._free_urgent = 0  # slots known to be free; the reader can only make it more
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

    def is_awaiting(self, index: int) -> bool:
        """A trigger looks at the signal of this index."""
        return self._table.find(index) is not None or self._table.find_any(index // INSTRUMENTS_MAX) is not None

    def on_stop(self, now_ns: int) -> None:
        self._publish()
        if self._external is not None:
            self._external.close()

    def do_work(self, now_ns: int) -> int:
        """One bounded pass."""
        work = 0
        unread = self._unread() | self._again
        if unread:
            self._has_room = True
            self._again = 0
            bit = 1
            for each in self._lanes:
                if unread & bit:
                    work += each.take(each, bit, now_ns)
                bit <<= 1
            if not self._has_room:
                self._metrics.count(Counter.BACKPRESSURE)
        if self._holding:
            self._drop_late(now_ns)
        external = self._external  # A look costs more than the decision that it would keep waiting.
        if external is not None and external.is_due(now_ns if not work else now_ns - EXTERNAL_WAIT_NS_MAX):
            work += self._take_external(external, now_ns)
        if now_ns >= self._statistics_ns and (not work or now_ns >= self._statistics_ns + STATISTICS_NS_MAX):
            self._statistics_ns = now_ns + STATISTICS_NS
            self._publish()
        return work

    # -- inputs ----------------------------------------------------------------------------------------------

    def _room(self, held: int = 0) -> int:
        """How many signals may be taken so that all they can cause fits the event ring."""
        room = self._messages_max
        wanted = room + held
        if self._free_normal >= wanted * self._fan_normal and self._free_urgent >= wanted * self._fan_urgent:
            return room
        self._free_normal, self._free_urgent = self._events.free(NORMAL), self._events.free(URGENT)
        if self._fan_normal:
            room = min(room, self._free_normal // self._fan_normal - held)
        if self._fan_urgent:
            room = min(room, self._free_urgent // self._fan_urgent - held)
        return room

    def _take_signals(self, source: "Lane", bit: int, now_ns: int) -> int:
        lane, parts = source.lane, source.parts
        held = parts.held
        room = self._room(held)
        if room <= 0:
            self._has_room = False
            self._again |= bit
            return 0
        taken = 0
        try_peek = source.try_peek
        while taken < room:
            signal = try_peek(lane)
            if signal is None:
                break
            taken += 1
            key = _signal_key(signal)
            if key >> 32 == STRATEGY_QUOTES:
                for part in parts.add(signal, now_ns):
                    self._on_signal(part, _signal_key(part), now_ns)
            else:
                self._on_signal(signal, key, now_ns)
        else:
            self._again |= bit
        self._holding += parts.held - held
        if not parts.held:
            source.consumer.release(lane)
        self._counters[SIGNALS_URGENT if lane == URGENT else SIGNALS] += taken
        return taken

    def _drop_late(self, now_ns: int) -> None:
        for each in self._lanes:
            parts = each.parts
            held = parts.held
            if not held:
                continue
            parts.drop_late(now_ns)
            if not parts.held:
                self._holding -= held
                each.consumer.release(each.lane)
                self._log.warning(
                    "the rest of a strategy's grid did not come; its parts were dropped", discarded=parts.discarded
                )

    def _take_responses(self, source: "Lane", bit: int, now_ns: int) -> int:
        responses, lane = source.consumer, source.lane
        room = self._messages_max
        if self._fan_responses_normal:
            room = min(room, self._events.free(NORMAL) // self._fan_responses_normal)
        if self._fan_responses_urgent:
            room = min(room, self._events.free(URGENT) // self._fan_responses_urgent)
        if room <= 0:
            self._has_room = False
            self._again |= bit
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
            for slot in (
                self._table.find(signal_index(ORDER_RESPONSE, header.instrument_index)),
                self._table.find_any(ORDER_RESPONSE),
            ):
                if slot is not None:
                    slot.apply(response, now_ns)
                    self._judge(slot, response, now_ns)
        else:
            self._again |= bit
        responses.release(lane)
        self._counters[RESPONSES] += taken
        return taken

    def _take_external(self, external: ExternalSignals, now_ns: int) -> int:
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
            self._on_signal(signal, _signal_key(signal), now_ns)
        return taken

    # -- decisions -------------------------------------------------------------------------------------------

    def _on_signal(self, signal: Any, key: int, now_ns: int) -> None:
        """`key`: signal_key of the signal."""
        table = self._table
        slot = table.find(key & KEY_INDEX)
        any_slot = table.find_any(key >> 32)
        if slot is not None:
            slot.time_ns = _signal_keep(slot.last, signal) or now_ns
            self._judge(slot, signal, now_ns)
        elif any_slot is None:
            self._unbound += 1
        if any_slot is not None:
            any_slot.time_ns = _signal_keep(any_slot.last, signal) or now_ns
            self._judge(any_slot, signal, now_ns)

    def _judge(self, slot: Slot, message: Any, now_ns: int) -> None:
        """Asks every trigger that looks at the slot, now that `message` is in it."""
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
        # 0 is somebody's strategy: a user's event that carries a strategy's wish says whose it is.
        _event_begin(event, cause, NO_STRATEGY if bound.is_user else 0)
        bound.write(event, bound.signals)
        if bound.is_user and not _event_is_sound(event, self._instruments):
            self._switch_off(bound, problem_of(event, self._instruments))
            return
        events, lane = self._events, bound.lane
        target = events.try_claim(lane)
        assert target is not None, "room for every event was made sure of before its cause was taken"
        flags = 0
        if lane == URGENT:
            flags = FLAG_URGENT
            self._events_urgent += 1
            self._free_urgent -= 1
        else:
            self._events_normal += 1
            self._free_normal -= 1
        _event_finish(target, event, events.sequence(lane), self._source, bound.index, flags, self._monotonic_ns())
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

    def _take_control(self, source: "Lane", bit: int, now_ns: int) -> int:
        control = source.consumer
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
        self._messages_max = parameters.messages_per_pass_max
        self._fan_normal = table.fan(NORMAL, is_response=False)
        self._fan_urgent = table.fan(URGENT, is_response=False)
        self._fan_responses_normal = table.fan(NORMAL, is_response=True)
        self._fan_responses_urgent = table.fan(URGENT, is_response=True)
        self._metrics.set(Counter.RESPONSE_READERS, table.response_readers)

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
        metrics.set(Counter.GRID_PARTS_DISCARDED, sum(each.parts.discarded for each in self._lanes))
        if self._external is not None:
            metrics.set(Counter.EXTERNAL_SIGNALS, self._external.accepted)
            metrics.set(Counter.EXTERNAL_REFUSED, self._external.refused)
            metrics.set(Counter.EXTERNAL_LOST, self._external.lost)


def _name_of(bound: Bound) -> str:
    return bound.trigger.name or type(bound.trigger).__name__
