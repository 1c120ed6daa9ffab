"""MTTrigger: spread and funding agree → open a pair. One object per pair.

    direction −1   funding > 0, shorts are paid: sell the perpetual, buy spot; wants a high spread_short
    direction +1   funding < 0, longs are paid: buy the perpetual, sell spot we hold; wants a high spread_long

The spread says when, the funding rate says which way. Both must be fresh and of the same two legs. How much, and whether
at all, is prepost's decision.
"""

from collections.abc import Sequence

from mypy_extensions import mypyc_attr

from reactor.collector.triggers.parameters import MTParameters
from reactor.collector.triggers.trigger import (
    Binding,
    Event,
    Priority,
    Rearm,
    Signal,
    Trigger,
    copy_tops,
    set_leg,
)
from reactor.domain.messages import EventKind, Side, SignalType

SPREAD, FUNDING = 0, 1  # order of the bindings
SHORT_PERPETUAL, LONG_PERPETUAL = -1, 1
ADAPTIVE_SPREAD: int = SignalType.ADAPTIVE_SPREAD_DEVIATION
FIXED_SPREAD: int = SignalType.FIXED_SPREAD_DEVIATION
FUNDING_DIRECTION: int = SignalType.FUNDING_RATE_DIRECTION
OPEN: int = EventKind.OPEN
BUY: int = Side.BUY
SELL: int = Side.SELL


@mypyc_attr(allow_interpreted_subclasses=True)
class MTTrigger(Trigger):
    """Opens one pair."""

    name = "mt"
    priority = Priority.NORMAL

    def __init__(self, parameters: MTParameters, pair_id: int, open_index: int, hedge_index: int) -> None:
        self.pair_id = pair_id
        self.rearm = Rearm(after_ms=parameters.rearm_after_ms)
        self._parameters = parameters
        self._open_index = open_index
        self._hedge_index = hedge_index
        self._is_adaptive = parameters.is_adaptive
        self._percentile_min = parameters.percentile_min
        self._spread_min = parameters.spread_min
        self._funding_rate_min = parameters.funding_rate_min
        self._direction = 0

    def bindings(self) -> Sequence[Binding]:
        spread_type = ADAPTIVE_SPREAD if self._is_adaptive else FIXED_SPREAD
        return (
            Binding(spread_type, self._open_index, self._parameters.spread_age_ms_max),
            Binding(FUNDING_DIRECTION, self._open_index, self._parameters.funding_age_ms_max),
        )

    def evaluate(self, signals: Sequence[Signal], now_ns: int) -> int | None:
        spread, funding = signals[SPREAD], signals[FUNDING]
        hedge_index = self._hedge_index
        if spread.header.hedge_instrument_index != hedge_index or funding.header.hedge_instrument_index != hedge_index:
            return None  # Another pair's signal on the same open leg says nothing about this one.
        rates = funding.values
        direction = int(rates[1])
        if direction == SHORT_PERPETUAL:
            is_wide = rates[0] >= self._funding_rate_min and self._parameters.allow_short_perpetual
        elif direction == LONG_PERPETUAL:
            is_wide = -rates[0] >= self._funding_rate_min and self._parameters.allow_long_perpetual
        else:
            return 0
        if not is_wide:
            return 0
        values = spread.values
        if self._is_adaptive:
            at = 0 if direction == SHORT_PERPETUAL else 2
            is_wide = values[at + 1] >= self._percentile_min and values[at] >= self._spread_min
        else:
            at = 0 if direction == SHORT_PERPETUAL else 1
            is_wide = values[2] == direction and values[at] >= self._spread_min
        self._direction = direction
        return direction if is_wide else 0

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        direction = self._direction
        header = event.header
        header.kind = OPEN
        header.pair_id = self.pair_id
        set_leg(event, self._open_index, self._hedge_index)
        event.direction = direction
        event.side = BUY if direction == SHORT_PERPETUAL else SELL
        spread = signals[SPREAD]
        copy_tops(event, spread)
        values, seen = event.values, spread.values
        if direction == SHORT_PERPETUAL:
            values[0] = seen[0]
            values[1] = seen[1] if self._is_adaptive else 0.0
        else:
            values[0] = seen[2] if self._is_adaptive else seen[1]
            values[1] = seen[3] if self._is_adaptive else 0.0
        values[2] = signals[FUNDING].values[0]
