"""FixedSpreadDeviation: the spot/perpetual spread against fixed thresholds, with a margin before it counts as gone."""

from dataclasses import dataclass

from reactor.domain.messages import SignalType
from reactor.feed.signals.signal import Signal, SignalContext, Tops, are_fresh, price_ratio

SPREAD_SHORT, SPREAD_LONG, DIRECTION = 0, 1, 2


@dataclass(frozen=True)
class FixedSpreadParameters:
    """Thresholds as fractions: 0.001 is ten basis points."""

    short_min: float = 0.0005  # spread_short from here on: direction −1 (short perpetual, long spot)
    long_min: float = 0.0005  # spread_long from here on: direction +1
    margin: float = 0.0001  # how far below its threshold a spread must fall before the direction is over
    refresh_ms: int = 100


class FixedSpread(Signal):
    """One pair."""

    signal_type = SignalType.FIXED_SPREAD_DEVIATION
    value_count = 3

    def __init__(self, context: SignalContext, parameters: FixedSpreadParameters) -> None:
        super().__init__(context)
        self.refresh_ms = parameters.refresh_ms
        self._parameters = parameters
        self._direction = 0
        self._ratio = price_ratio(context.instruments, context.instrument_index, context.hedge_instrument_index)

    def update(self, tops: Tops, now_ns: int) -> bool:
        open_top, hedge_top = tops[self.instrument_index], tops[self.hedge_instrument_index]
        if not are_fresh(open_top, hedge_top):
            self.is_valid = False
            return False
        values, parameters = self.values, self._parameters
        short = hedge_top.bid_ticks * self._ratio / open_top.ask_ticks - 1.0
        long = open_top.bid_ticks / (hedge_top.ask_ticks * self._ratio) - 1.0
        is_changed = not self.is_valid or short != values[SPREAD_SHORT] or long != values[SPREAD_LONG]
        if short >= parameters.short_min - (parameters.margin if self._direction == -1 else 0.0):
            self._direction = -1
        elif long >= parameters.long_min - (parameters.margin if self._direction == 1 else 0.0):
            self._direction = 1
        else:
            self._direction = 0
        values[SPREAD_SHORT] = short
        values[SPREAD_LONG] = long
        values[DIRECTION] = float(self._direction)
        self.is_valid = True
        return is_changed
