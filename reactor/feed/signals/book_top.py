"""BookTop: mid and spread in price units, on every change of the top. For triggers of the user's own.

What one read of a socket brings is one change, told with the newest top; with `every_update` it is as many as came.
"""

from mypy_extensions import mypyc_attr

from reactor.domain.messages import SIGNAL_VALUES_MAX, SignalType, book_top_update, doubles
from reactor.feed.signals.parameters import BookTopParameters
from reactor.feed.signals.signal import Signal, SignalContext, Tops


@mypyc_attr(allow_interpreted_subclasses=True)
class BookTop(Signal):
    """One instrument."""

    signal_type = SignalType.BOOK_TOP
    value_count = 2
    hears_quantities = True

    def __init__(self, context: SignalContext, parameters: BookTopParameters) -> None:
        super().__init__(context)
        self.refresh_ms = parameters.refresh_ms
        self.is_lossless = parameters.every_update
        self.values = doubles(SIGNAL_VALUES_MAX)
        self._half_tick = context.instruments[context.instrument_index].price_float(1) / 2.0
        self._update = book_top_update

    def update(self, tops: Tops, now_ns: int) -> bool:
        self.is_valid = self._update(tops[self.instrument_index], self._half_tick, self.values) != 0
        return self.is_valid
