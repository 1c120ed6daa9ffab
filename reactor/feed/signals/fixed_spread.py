"""FixedSpreadDeviation: the spot/perpetual spread against fixed thresholds, with a margin before it counts as gone."""

from mypy_extensions import mypyc_attr

from reactor.domain.messages import SignalType, doubles, tops_spreads
from reactor.feed.signals.parameters import FixedSpreadParameters
from reactor.feed.signals.signal import Signal, SignalContext, Tops, price_ratio

SPREAD_SHORT, SPREAD_LONG, DIRECTION = 0, 1, 2


@mypyc_attr(allow_interpreted_subclasses=True)
class FixedSpread(Signal):
    """One pair."""

    signal_type = SignalType.FIXED_SPREAD_DEVIATION
    value_count = 3

    def __init__(self, context: SignalContext, parameters: FixedSpreadParameters) -> None:
        super().__init__(context)
        self.refresh_ms = parameters.refresh_ms
        self._parameters = parameters
        self._direction = 0
        self._spreads = doubles(2)
        self._ratio = price_ratio(context.instruments, context.instrument_index, context.hedge_instrument_index)

    def update(self, tops: Tops, now_ns: int) -> bool:
        spreads = self._spreads
        if not tops_spreads(tops[self.instrument_index], tops[self.hedge_instrument_index], self._ratio, spreads):
            self.is_valid = False
            return False
        values, parameters = self.values, self._parameters
        short, long = spreads[0], spreads[1]
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
