"""The strategy of the measurement: one post-only order at the bid of every tick whose bid is thick.

A user's trigger as anybody would write it; it goes the whole way through collector, risk, order state and engine.
"""

from collections.abc import Sequence

from reactor.collector.triggers.trigger import Binding, Event, Signal, Trigger, TriggerContext
from reactor.domain.messages import OrderType, Side, SignalType, TimeInForce, event_order

BUY, LIMIT, POST_ONLY = int(Side.BUY), int(OrderType.LIMIT), int(TimeInForce.POST_ONLY)


class ThickBid(Trigger):
    """Fires once per price at which the bid is thicker than `bid_lots_min`: a top that is only told again is no new tick."""

    name = "thick_bid"

    def __init__(self, context: TriggerContext, bid_lots_min: int = 5000, quantity_lots: int = 1) -> None:
        self._index = 0
        self._bid_lots_min = bid_lots_min
        self._quantity_lots = quantity_lots

    def bindings(self) -> Sequence[Binding]:
        return (Binding(SignalType.BOOK_TOP, self._index),)

    def evaluate(self, signals: Sequence[Signal], now_ns: int) -> int | None:
        signal = signals[0]
        return int(signal.bid_ticks) if signal.bid_lots > self._bid_lots_min else 0

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        signal = signals[0]
        event_order(event, signal, self._index, BUY, LIMIT, POST_ONLY, signal.bid_ticks, self._quantity_lots)
