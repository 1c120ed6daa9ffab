"""AdaptiveSpreadDeviation: where the current spot/perpetual spread stands among those of the last minutes, per direction.

    spread_short = hedge_bid / open_ask − 1     what one captures by buying spot and selling the perpetual now
    spread_long  = open_bid / hedge_ask − 1     the reverse

Samples are taken on a time grid, not per tick, so that a burst of ticks does not count as an age. The rank of the current
spread costs O(log N), however often it is asked. The arithmetic is C (cffi_build/include/signals.h).
"""

from typing import Final

from mypy_extensions import mypyc_attr

from reactor.domain.messages import SIGNAL_VALUES_MAX, SignalType, doubles
from reactor.factors.pair_signals import HOLDS, NEW, Update, adaptive_spread, adaptive_spread_update
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
        self.values = doubles(SIGNAL_VALUES_MAX)
        self.window_short = Window(parameters.window_samples)
        self.window_long = Window(parameters.window_samples)
        self._native = adaptive_spread(
            self.window_short,
            self.window_long,
            price_ratio(context.instruments, context.instrument_index, context.hedge_instrument_index),
            parameters.sample_interval_ms * MS,
            parameters.samples_min,
        )
        self._capacity = parameters.window_samples
        self._update: Update = adaptive_spread_update

    def adopt(self, other: "AdaptiveSpread") -> None:
        """Takes over the samples of the signal that it replaces, if they are on the same grid."""
        native, theirs = self._native, other._native
        if theirs.interval_ns == native.interval_ns and other._capacity == self._capacity:
            self.window_short, self.window_long = other.window_short, other.window_long
            native.window_short, native.window_long = theirs.window_short, theirs.window_long
            native.samples, native.sample_due_ns = theirs.samples, theirs.sample_due_ns

    def update(self, tops: Tops, now_ns: int) -> bool:
        result = self._update(self._native, tops[self.instrument_index], tops[self.hedge_instrument_index], self.values, now_ns)
        self.is_valid = result & HOLDS != 0
        return result & NEW != 0

    def on_time(self, tops: Tops, now_ns: int) -> None:
        """A quiet market is sampled all the same."""
        if now_ns >= self._native.sample_due_ns:
            self.update(tops, now_ns)
