"""The signal table: for each (type, instrument) the last signal, its time, and the triggers bound to it. Pure.

    signal ──▶ find(signal_index) ──▶ Slot ── apply(view, now) keeps a private copy and its time
                                       │
                                       └─ bound: [Bound, …] urgent first ── is_firing(now)? ──▶ the role writes the event

Only signals that a trigger is bound to have a slot. Staleness belongs to the binding, not to the signal: one trigger may
live with a funding rate of a minute ago, another may not.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from reactor.collector.triggers.trigger import ANY_INSTRUMENT, MS, Binding, Edge, Trigger
from reactor.domain.messages import INSTRUMENTS_MAX, SignalType, copier, new, signal_index

ORDER_RESPONSE: Final = int(SignalType.ORDER_RESPONSE)
TYPES_MAX: Final = int(SignalType.TYPES_MAX)
SLOTS_MAX: Final = TYPES_MAX * INSTRUMENTS_MAX


class Slot:
    """The last signal of one (type, instrument)."""

    __slots__ = ("_copy", "bound", "instrument_index", "last", "signal_type", "time_ns")

    def __init__(self, signal_type: int, instrument_index: int) -> None:
        layout = "response" if signal_type == ORDER_RESPONSE else "signal"
        self.signal_type = signal_type
        self.instrument_index = instrument_index
        self.last: Any = new(layout)  # our own memory: the ring's slot will be overwritten
        self.time_ns = 0  # CLOCK_MONOTONIC; 0: there was none yet
        self.bound: tuple[Bound, ...] = ()
        self._copy: Callable[[Any, Any], None] = copier(layout)

    def apply(self, view: Any, time_ns: int) -> None:
        """Takes the signal as the last one. `time_ns`: when it was made, on this host's monotonic clock."""
        self._copy(self.last, view)
        self.time_ns = time_ns


class Bound:
    """One trigger with its place in the table."""

    __slots__ = ("_evaluate", "_inputs", "edge", "evaluations", "failure", "fired", "index", "is_user", "lane", "signals",
                 "stale", "trigger", "write")  # fmt: skip

    def __init__(self, trigger: Trigger, index: int, is_user: bool) -> None:
        self.trigger = trigger
        self.index = index  # event.trigger_index: its number in the plan; the pairs' triggers of one name share it
        self.is_user = is_user
        self.lane = int(trigger.priority)
        self.edge = Edge(trigger.rearm)
        self.signals: list[Any] = []
        self.failure = ""  # Why it was switched off.
        self.evaluations = 0
        self.fired = 0
        self.stale = 0
        self.write = trigger.write
        self._evaluate = trigger.evaluate
        self._inputs: tuple[tuple[int, Slot, int, bool], ...] = ()

    def attach(self, slots: Sequence[Slot], bindings: Sequence[Binding]) -> None:
        """Resolves the bindings, once."""
        self._inputs = tuple(
            (position, slot, binding.age_ms_max * MS, binding.is_required)
            for position, (slot, binding) in enumerate(zip(slots, bindings, strict=True))
        )
        self.signals = [None] * len(self._inputs)

    def is_firing(self, now_ns: int) -> bool:
        """True when the condition holds on fresh signals and the edge rule lets it pass.

        A required binding that is missing or stale means "cannot tell": nothing fires, nothing re-arms.
        """
        signals = self.signals
        for position, slot, age_ns_max, is_required in self._inputs:
            time_ns = slot.time_ns
            if time_ns and (not age_ns_max or now_ns - time_ns <= age_ns_max):
                signals[position] = slot.last
            elif is_required:
                self.stale += 1
                return False
            else:
                signals[position] = None
        self.evaluations += 1
        if self.edge.passes(self._evaluate(signals, now_ns), now_ns):
            self.fired += 1
            return True
        return False


class SignalTable:
    """All slots. Built once from the triggers; `find` is what the hot path does."""

    def __init__(self, bound: Sequence[Bound]) -> None:
        self._slots: list[Slot | None] = [None] * SLOTS_MAX
        self._any: list[Slot | None] = [None] * TYPES_MAX
        self._known: list[Slot] = []  # the few of them that there are
        self.bound = tuple(bound)
        for each in self.bound:
            bindings = tuple(each.trigger.bindings())
            slots = tuple(self._slot(binding) for binding in bindings)
            each.attach(slots, bindings)
            for slot in dict.fromkeys(slots):
                slot.bound = tuple(sorted((*slot.bound, each), key=lambda one: (-one.lane, one.index)))

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every slot there is, in the order in which triggers asked for them."""
        return tuple(self._known)

    def find(self, index: int) -> Slot | None:
        """The slot of `signal_index`; None if no trigger looks at it."""
        return self._slots[index] if index < SLOTS_MAX else None

    def find_any(self, signal_type: int) -> Slot | None:
        """The slot of all signals of a type, whatever the instrument; None if no trigger looks at it."""
        return self._any[signal_type] if signal_type < TYPES_MAX else None

    def fan(self, lane: int, is_response: bool) -> int:
        """The most events on `lane` that one response (or one signal of any other type) can cause."""

        by_type: dict[int, int] = {}
        for slot in self.slots:
            if (slot.signal_type == ORDER_RESPONSE) == is_response and slot.instrument_index != ANY_INSTRUMENT:
                by_type[slot.signal_type] = max(by_type.get(slot.signal_type, 0), _on_lane(slot, lane))
        for slot in self.slots:
            if (slot.signal_type == ORDER_RESPONSE) == is_response and slot.instrument_index == ANY_INSTRUMENT:
                by_type[slot.signal_type] = by_type.get(slot.signal_type, 0) + _on_lane(slot, lane)
        return max(by_type.values(), default=0)

    @property
    def response_readers(self) -> int:
        """How many triggers of the user look at what becomes of orders. The house's own needs only what it asks for: hedges."""
        return sum(
            each.is_user and any(binding.signal_type == ORDER_RESPONSE for binding in each.trigger.bindings())
            for each in self.bound
        )

    def switch_off(self, bound: Bound, sentence: str) -> None:
        """The trigger is evaluated no more; `sentence` says why."""
        bound.failure = sentence
        for slot in self.slots:
            slot.bound = tuple(each for each in slot.bound if each is not bound)

    def take_over(self, other: "SignalTable") -> None:
        """Continues with the signals and edges of `other`, where both have them: a reload forgets nothing."""
        mine = {(slot.signal_type, slot.instrument_index): slot for slot in self.slots}
        for slot in other.slots:
            heir = mine.get((slot.signal_type, slot.instrument_index))
            if heir is not None and slot.time_ns:
                heir.apply(slot.last, slot.time_ns)
        edges = {(each.trigger.name, each.trigger.pair_id, each.lane): each for each in other.bound}
        for each in self.bound:
            before = edges.get((each.trigger.name, each.trigger.pair_id, each.lane))
            if before is not None:
                each.edge.take_over(before.edge)

    def _slot(self, binding: Binding) -> Slot:
        signal_type, instrument = binding.signal_type, binding.instrument_index
        if instrument == ANY_INSTRUMENT:
            place, at = self._any, signal_type
        else:
            place, at = self._slots, signal_index(signal_type, instrument)
        slot = place[at]
        if slot is None:
            slot = place[at] = Slot(signal_type, instrument)
            self._known.append(slot)
        return slot


def _on_lane(slot: Slot, lane: int) -> int:
    return sum(bound.lane == lane for bound in slot.bound)
