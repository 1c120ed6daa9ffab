"""AdaptiveSpreadDeviation: where the current spot/perpetual spread stands among those of the last minutes, per direction.

    spread_short = hedge_bid / open_ask − 1     what one captures by buying spot and selling the perpetual now
    spread_long  = open_bid / hedge_ask − 1     the reverse

Samples are taken on a time grid, not per tick, so that a burst of ticks does not count as an age. The rank of the current
spread costs O(log N), however often it is asked.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from reactor.domain.messages import SignalType, doubles, tops_spreads
from reactor.factors.window import Window
from reactor.feed.signals.parameters import AdaptiveSpreadParameters
from reactor.feed.signals.signal import Signal, SignalContext, Tops, price_ratio

MS: Final = 1_000_000
SPREAD_SHORT, PERCENTILE_SHORT, SPREAD_LONG, PERCENTILE_LONG = 0, 1, 2, 3


@mypyc_attr(allow_interpreted_subclasses=True)
class AdaptiveSpread(Signal):
    """One pair."""

    signal_type = SignalType.ADAPTIVE_SPREAD_DEVIATION
    value_count = 4

    def __init__(self, context: SignalContext, parameters: AdaptiveSpreadParameters) -> None:
        super().__init__(context)
        self.refresh_ms = parameters.refresh_ms
        self._samples_min = parameters.samples_min
        self._interval_ns = parameters.sample_interval_ms * MS
        self._sample_due_ns = 0
        self._samples = 0
        self._capacity = parameters.window_samples
        self.window_short = Window(parameters.window_samples)
        self.window_long = Window(parameters.window_samples)
        self._spreads = doubles(2)
        self._ratio = price_ratio(context.instruments, context.instrument_index, context.hedge_instrument_index)

    def adopt(self, other: "AdaptiveSpread") -> None:
        """Takes over the samples of the signal that it replaces, if they are on the same grid."""
        if other._interval_ns == self._interval_ns and other._capacity == self._capacity:
            self.window_short, self.window_long = other.window_short, other.window_long
            self._samples, self._sample_due_ns = other._samples, other._sample_due_ns

    def update(self, tops: Tops, now_ns: int) -> bool:
        spreads = self._spreads
        if not tops_spreads(tops[self.instrument_index], tops[self.hedge_instrument_index], self._ratio, spreads):
            self.is_valid = False
            return False
        values = self.values
        short, long = spreads[0], spreads[1]
        if now_ns >= self._sample_due_ns:
            self._sample_due_ns = now_ns + self._interval_ns
            self.window_short.push(short)
            self.window_long.push(long)
            self._samples += 1
        if self._samples < self._samples_min:
            return False
        is_changed = not self.is_valid or short != values[SPREAD_SHORT] or long != values[SPREAD_LONG]
        values[SPREAD_SHORT] = short
        values[PERCENTILE_SHORT] = self.window_short.rank(short)
        values[SPREAD_LONG] = long
        values[PERCENTILE_LONG] = self.window_long.rank(long)
        self.is_valid = True
        return is_changed

    def on_time(self, tops: Tops, now_ns: int) -> None:
        """A quiet market is sampled all the same."""
        if now_ns >= self._sample_due_ns:
            self.update(tops, now_ns)
