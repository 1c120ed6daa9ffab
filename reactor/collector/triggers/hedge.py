"""HedgeTrigger: prepost says what a hedge leg must still do → an urgent hedge event, at once and every time.

Prepost checks the event against its ledger again, so a second event for the same fill is harmless.
"""

from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from reactor.collector.triggers.trigger import EVERY, Binding, Event, Priority, Signal, Trigger
from reactor.domain.messages import FLAG_HEDGE, EventKind, ResponseKind, Side, SignalType

HEDGE_REQUIRED: Final = int(ResponseKind.HEDGE_REQUIRED)
HEDGE: Final = int(EventKind.HEDGE)
BUY: Final = int(Side.BUY)
SELL: Final = int(Side.SELL)


@mypyc_attr(allow_interpreted_subclasses=True)
class HedgeTrigger(Trigger):
    """Passes every required hedge on. One object for all pairs: the response names the legs."""

    name = "hedge"
    priority = Priority.URGENT
    rearm = EVERY

    def bindings(self) -> Sequence[Binding]:
        return (Binding(SignalType.ORDER_RESPONSE),)

    def evaluate(self, signals: Sequence[Signal], now_ns: int) -> int | None:
        response = signals[0]
        return 1 if response.header.kind == HEDGE_REQUIRED and response.quantity_lots != 0 else 0

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        response = signals[0]
        header = event.header
        header.kind = HEDGE
        header.flags = FLAG_HEDGE
        quantity_lots = response.quantity_lots
        event.side = BUY if quantity_lots > 0 else SELL
        event.quantity_lots = quantity_lots if quantity_lots > 0 else -quantity_lots
        event.price_ticks = response.price_ticks
