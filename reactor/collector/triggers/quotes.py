"""What a strategy wants: its grid, its single orders, its cancels, its halts. Passed on as they come, every time.

A cancel is urgent and overtakes. An order of the same strategy that still waits on the NORMAL lane would be placed after
the cancel that was meant for it; so a cancel goes down both lanes: the urgent one acts now, the other catches what was
overtaken. Cancelling twice changes nothing.
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from mypy_extensions import mypyc_attr

from reactor.collector.triggers.trigger import EVERY, Binding, Event, Priority, Signal, Trigger, copy_tops
from reactor.domain.messages import FLAG_LAST_PART, FLAG_QUOTE, FLAG_REDUCE_ONLY, EventKind, SignalType, event_order

PASSED_FLAGS: Final = FLAG_LAST_PART | FLAG_REDUCE_ONLY | FLAG_QUOTE  # The hedges' fast path is not a strategy's.


@mypyc_attr(allow_interpreted_subclasses=True)
class _Wish(Trigger):
    """What the four have in common: one binding, every message counts, instrument and strategy come with the signal."""

    rearm = EVERY
    signal_type: ClassVar[int]

    def bindings(self) -> Sequence[Binding]:
        return (Binding(self.signal_type),)

    def evaluate(self, signals: Sequence[Signal], now_ns: int) -> int | None:
        return 1


@mypyc_attr(allow_interpreted_subclasses=True)
class QuoteTrigger(_Wish):
    """One part of a wanted grid → EVENT_QUOTES."""

    name = "quotes"
    signal_type = SignalType.STRATEGY_QUOTES
    _kind: int = EventKind.QUOTES

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        signal = signals[0]
        header = event.header
        header.kind = self._kind
        header.flags = signal.header.flags & PASSED_FLAGS
        event.strategy_index = signal.strategy_index
        event.quote_count = signal.quote_count
        event.quotes = signal.quotes
        copy_tops(event, signal)


@mypyc_attr(allow_interpreted_subclasses=True)
class StrategyOrderTrigger(_Wish):
    """One order exactly as written → EVENT_ORDER."""

    name = "strategy_order"
    signal_type = SignalType.STRATEGY_ORDER

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        signal, event_header = signals[0], event.header
        quote = signal.quotes[0]
        lots = quote.quantity_lots
        event_order(
            event, signal, event_header.instrument_index, 1 if lots > 0 else -1, signal.order_type, signal.time_in_force,
            quote.price_ticks, abs(lots),
        )  # fmt: skip
        event_header.flags = signal.header.flags & PASSED_FLAGS
        event.strategy_index = signal.strategy_index


@mypyc_attr(allow_interpreted_subclasses=True)
class StrategyCancelTrigger(_Wish):
    """An order id, or 0 for all of the instrument → EVENT_CANCEL."""

    name = "strategy_cancel"
    signal_type = SignalType.STRATEGY_CANCEL
    _kind: int = EventKind.CANCEL

    def __init__(self, priority: Priority = Priority.URGENT) -> None:
        self.priority = priority

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        signal = signals[0]
        event.header.kind = self._kind
        event.strategy_index = signal.strategy_index
        event.target_order_id = signal.header.order_id


@mypyc_attr(allow_interpreted_subclasses=True)
class StrategyHaltTrigger(_Wish):
    """A strategy has lost its faith → EVENT_HALT for its instrument."""

    name = "strategy_halt"
    priority = Priority.URGENT
    signal_type = SignalType.STRATEGY_HALT
    _kind: int = EventKind.HALT

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        signal = signals[0]
        event.header.kind = self._kind
        event.strategy_index = signal.strategy_index
        event.reason = int(signal.values[0])
