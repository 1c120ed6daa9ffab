"""BookTop: mid and spread in price units, on every change of the top. For triggers of the user's own.

What one read of a socket brings is one change, told with the newest top; with `every_update` it is as many as came.
"""

from mypy_extensions import mypyc_attr

from reactor.domain.messages import SignalType
from reactor.feed.signals.parameters import BookTopParameters
from reactor.feed.signals.signal import Signal, SignalContext, Tops

MID, SPREAD = 0, 1


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
        self._half_price = context.instruments[context.instrument_index].price_float(1) / 2.0

    def update(self, tops: Tops, now_ns: int) -> bool:
        top = tops[self.instrument_index]
        bid, ask = top.bid_ticks, top.ask_ticks
        self.is_valid = bool(bid and ask and top.is_synchronised)
        if not self.is_valid:
            return False
        values = self.values
        values[MID] = (bid + ask) * self._half_price
        values[SPREAD] = (ask - bid) * 2.0 * self._half_price
        return True
