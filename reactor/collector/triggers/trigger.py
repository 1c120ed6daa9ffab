"""What a trigger is: signals it is bound to, a condition, the event it writes, and when it may fire again.

The condition is a number: 0 is false, anything else says which condition holds (a direction, a reason). None means "cannot
tell": nothing fires and nothing re-arms. An edge is a condition that became true, or became another one.

    condition   0 0 1 1 1 0 1 1 -1 -1          re-arm rule
    ON_FALSE        ▲       ▲    ▲             after it was seen false (or another)
    after 2         ▲   ▲   ▲    ▲             … or two time units later, if it is still true
    EVERY           ▲ ▲ ▲   ▲ ▲  ▲  ▲          every message is an edge of its own (orders, hedges)
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

from reactor.domain.instrument import Instruments
from reactor.domain.messages import NO_INSTRUMENT, QUOTES_PER_MESSAGE, EventKind

MS: Final = 1_000_000  # ns
ANY_INSTRUMENT: Final = -1
NEVER_STALE: Final = 0  # age_ms_max: for messages that are edges themselves and are used once, when they come

KINDS_LAST: Final = int(max(EventKind))
HALT: Final = int(EventKind.HALT)
ORDER: Final = int(EventKind.ORDER)

# A signal_message_t view, or a response_message_t view for bindings of SignalType.ORDER_RESPONSE. Made by cffi: untyped.
Signal = Any
Event = Any


class Priority(IntEnum):
    """The lane of the event ring. An urgent event overtakes the others."""

    NORMAL = 0
    URGENT = 1


@dataclass(frozen=True)
class Binding:
    """One signal that a trigger looks at: each new one of it makes the trigger evaluate.

    A required binding must be there and fresh before `evaluate` is called at all; an optional one may be None.
    """

    signal_type: int
    instrument_index: int = ANY_INSTRUMENT
    age_ms_max: int = NEVER_STALE
    is_required: bool = True


@dataclass(frozen=True)
class Rearm:
    """When a trigger may fire again while its condition stays the same.

    `is_every`: at every message. Otherwise after the condition was seen false, or `after_ms` later (0: never).
    """

    is_every: bool = False
    after_ms: int = 0


EVERY: Final = Rearm(is_every=True)


@dataclass(frozen=True)
class TriggerContext:
    """What a trigger may know when it is made."""

    instruments: Instruments
    pairs: tuple[tuple[int, int], ...]  # by pair_id: (open leg, hedge leg)


class Trigger(ABC):
    """One decision. Subclass it; keep `evaluate` short: it runs at every signal it is bound to."""

    name: ClassVar[str] = ""
    priority: Priority = Priority.NORMAL
    rearm: Rearm = Rearm()
    pair_id: int | None = None  # Where set, the pair's closing re-arms the trigger.

    @abstractmethod
    def bindings(self) -> Sequence[Binding]:
        """What to look at. Asked once, at start; `signals` has the same order."""

    @abstractmethod
    def evaluate(self, signals: Sequence[Signal], now_ns: int) -> int | None:
        """The condition: 0 false, another number true, None cannot tell.

        `signals[i]` is the last signal of binding i; None if it is optional and missing or stale. Valid during the call.
        """

    @abstractmethod
    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        """Fills the event. It is zeroed, its header continues the header of the signal that made the condition true;
        `header.kind` is yours to set. Called right after `evaluate`, with the same signals."""


class Edge:
    """Decides whether a condition fires, given when it last did. Pure; one per trigger."""

    __slots__ = ("_after_ns", "_is_every", "_last", "fired_ns")

    def __init__(self, rearm: Rearm) -> None:
        self._is_every = rearm.is_every
        self._after_ns = rearm.after_ms * MS
        self._last = 0
        self.fired_ns = 0

    def passes(self, condition: int | None, now_ns: int) -> bool:
        """True when the trigger fires at `now_ns`."""
        if condition is None:
            return False
        if condition == 0:
            self._last = 0
            return False
        if condition != self._last or self._is_every or (self._after_ns and now_ns - self.fired_ns >= self._after_ns):
            self._last = condition
            self.fired_ns = now_ns
            return True
        return False

    def rearm(self) -> None:
        """The next true condition is an edge again."""
        self._last = 0

    def take_over(self, other: "Edge") -> None:
        """Continues where `other` stood: a reload of parameters is no edge."""
        self._last = other._last
        self.fired_ns = other.fired_ns


def set_leg(event: Event, instrument_index: int, hedge_instrument_index: int = NO_INSTRUMENT) -> None:
    """What the event is about."""
    event.header.instrument_index = instrument_index
    event.header.hedge_instrument_index = hedge_instrument_index


def copy_tops(event: Event, signal: Signal) -> None:
    """The book tops that the decision was made on."""
    event.bid_ticks = signal.bid_ticks
    event.ask_ticks = signal.ask_ticks
    event.hedge_bid_ticks = signal.hedge_bid_ticks
    event.hedge_ask_ticks = signal.hedge_ask_ticks


def problem_of(event: Event, instruments: int) -> str:
    """What is wrong with an event that a user's trigger wrote; empty if nothing is."""
    header = event.header
    if header.kind > KINDS_LAST:
        return f"event.header.kind is {header.kind}: use a member of EventKind"
    legs = (header.instrument_index, header.hedge_instrument_index)
    if any(leg >= instruments and leg != NO_INSTRUMENT for leg in legs):
        return f"the event is about instruments {legs}: there are {instruments}"
    if header.instrument_index == NO_INSTRUMENT and header.kind != HALT:
        return "the event is about no instrument: use set_leg"
    if event.quote_count > QUOTES_PER_MESSAGE:
        return f"quote_count is {event.quote_count}: at most {QUOTES_PER_MESSAGE} fit"
    if header.kind == ORDER and (event.side not in (1, -1) or event.quantity_lots <= 0):
        return f"an order needs a side and a quantity above 0, not side {event.side}, {event.quantity_lots} lots"
    return ""


Arguments = Mapping[str, str | int | float | bool]  # of a user's trigger, from the config
