"""MTTrigger: spread and funding agree → open a pair. One object per pair.

    direction −1   funding > 0, shorts are paid: sell the perpetual, buy spot; wants a high spread_short
    direction +1   funding < 0, longs are paid: buy the perpetual, sell spot we hold; wants a high spread_long

The spread says when, the funding rate says which way. Both must be fresh and of the same two legs. How much, and whether
at all, is prepost's decision.
"""

from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from reactor.collector.triggers.parameters import MTParameters
from reactor.collector.triggers.trigger import (
    Binding,
    Event,
    Priority,
    Rearm,
    Signal,
    Trigger,
)
from reactor.domain.messages import SignalType, event_open, signal_hedge, signal_value

SPREAD, FUNDING = 0, 1  # order of the bindings
SHORT_PERPETUAL, LONG_PERPETUAL = -1, 1
ADAPTIVE_SPREAD: Final = int(SignalType.ADAPTIVE_SPREAD_DEVIATION)
FIXED_SPREAD: Final = int(SignalType.FIXED_SPREAD_DEVIATION)
FUNDING_DIRECTION: Final = int(SignalType.FUNDING_RATE_DIRECTION)


@mypyc_attr(allow_interpreted_subclasses=True)
class MTTrigger(Trigger):
    """Opens one pair."""

    name = "mt"
    priority = Priority.NORMAL

    def __init__(self, parameters: MTParameters, pair_id: int, open_index: int, hedge_index: int) -> None:
        self.pair_id = self._pair_id = pair_id
        self.rearm = Rearm(after_ms=parameters.rearm_after_ms)
        self._parameters = parameters
        self._open_index = open_index
        self._hedge_index = hedge_index
        self._is_adaptive = parameters.is_adaptive
        self._percentile_min = parameters.percentile_min
        self._spread_min = parameters.spread_min
        self._funding_rate_min = parameters.funding_rate_min
        self._direction = 0
        self._hedge, self._value = signal_hedge, signal_value

    def bindings(self) -> Sequence[Binding]:
        spread_type = ADAPTIVE_SPREAD if self._is_adaptive else FIXED_SPREAD
        return (
            Binding(spread_type, self._open_index, self._parameters.spread_age_ms_max),
            Binding(FUNDING_DIRECTION, self._open_index, self._parameters.funding_age_ms_max),
        )

    def evaluate(self, signals: Sequence[Signal], now_ns: int) -> int | None:
        spread, funding = signals[SPREAD], signals[FUNDING]
        hedge, value, hedge_index = self._hedge, self._value, self._hedge_index
        if hedge(spread) != hedge_index or hedge(funding) != hedge_index:
            return None  # Another pair's signal on the same open leg says nothing about this one.
        direction = int(value(funding, 1))
        if direction == SHORT_PERPETUAL:
            is_wide = value(funding, 0) >= self._funding_rate_min and self._parameters.allow_short_perpetual
        elif direction == LONG_PERPETUAL:
            is_wide = -value(funding, 0) >= self._funding_rate_min and self._parameters.allow_long_perpetual
        else:
            return 0
        if not is_wide:
            return 0
        if self._is_adaptive:
            at = 0 if direction == SHORT_PERPETUAL else 2
            is_wide = value(spread, at + 1) >= self._percentile_min and value(spread, at) >= self._spread_min
        else:
            at = 0 if direction == SHORT_PERPETUAL else 1
            is_wide = value(spread, 2) == direction and value(spread, at) >= self._spread_min
        self._direction = direction
        return direction if is_wide else 0

    def write(self, event: Event, signals: Sequence[Signal]) -> None:
        direction, spread, value = self._direction, signals[SPREAD], self._value
        at = 0 if direction == SHORT_PERPETUAL else 2 if self._is_adaptive else 1
        percentile = value(spread, at + 1) if self._is_adaptive else 0.0
        event_open(
            event, spread, self._pair_id, self._open_index, self._hedge_index,
            direction, value(spread, at), percentile, value(signals[FUNDING], 0),
        )  # fmt: skip
