"""PositionClose: take profit, stop loss and age of the open pair.

What the pair has earned by price: the spread captured when it was opened against the one at which it could be closed now,
crossing both books.

    direction −1 (long spot, short perpetual)   return = entry − (hedge_ask / open_bid − 1)
    direction +1 (short spot, long perpetual)   return = (hedge_bid / open_ask − 1) − entry

The entry spread is hedge / open − 1, as prepost writes it. Fees and funding are not in it: set the thresholds accordingly. The
arithmetic is C (cffi_build/include/signals.h).
"""

from mypy_extensions import mypyc_attr

from reactor.domain.messages import SIGNAL_VALUES_MAX, SignalType, doubles
from reactor.factors.pair_signals import HOLDS, NEW, Update, position_close, position_close_update
from reactor.feed.signals.parameters import PositionCloseParameters
from reactor.feed.signals.signal import Signal, SignalContext, Tops, price_ratio

REASON, RETURN, AGE_S = 0, 1, 2
NOTHING, TAKE_PROFIT, STOP_LOSS, AGE = 0, 1, 2, 3


@mypyc_attr(allow_interpreted_subclasses=True)
class PositionClose(Signal):
    """One pair."""

    signal_type = SignalType.POSITION_CLOSE
    value_count = 3
    closes = True

    def __init__(self, context: SignalContext, parameters: PositionCloseParameters) -> None:
        super().__init__(context)
        assert context.position is not None, "position close reads the position segment"
        self.refresh_ms = parameters.refresh_ms
        self.values = doubles(SIGNAL_VALUES_MAX)
        self._native = position_close(
            context.position,
            price_ratio(context.instruments, context.instrument_index, context.hedge_instrument_index),
            parameters.take_profit,
            parameters.stop_loss,
            parameters.age_s_max,
        )
        self._update: Update = position_close_update

    def update(self, tops: Tops, now_ns: int) -> bool:
        result = self._update(self._native, tops[self.instrument_index], tops[self.hedge_instrument_index], self.values, now_ns)
        self.is_valid = result & HOLDS != 0
        return result & NEW != 0
