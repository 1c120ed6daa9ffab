"""PositionClose: take profit, stop loss and age of the open pair.

What the pair has earned by price: the spread captured when it was opened against the one at which it could be closed now,
crossing both books.

    direction −1 (long spot, short perpetual)   return = entry − (hedge_ask / open_bid − 1)
    direction +1 (short spot, long perpetual)   return = (hedge_bid / open_ask − 1) − entry

The entry spread is hedge / open − 1, as prepost writes it. Fees and funding are not in it: set the thresholds accordingly.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from reactor.domain.messages import SignalType
from reactor.feed.signals.parameters import PositionCloseParameters
from reactor.feed.signals.signal import Signal, SignalContext, Tops, are_fresh, price_ratio

REASON, RETURN, AGE_S = 0, 1, 2
NOTHING, TAKE_PROFIT, STOP_LOSS, AGE = 0, 1, 2, 3
SECOND_NS: Final = 1_000_000_000


@mypyc_attr(allow_interpreted_subclasses=True)
class PositionClose(Signal):
    """One pair."""

    signal_type = SignalType.POSITION_CLOSE
    value_count = 3

    def __init__(self, context: SignalContext, parameters: PositionCloseParameters) -> None:
        super().__init__(context)
        assert context.position is not None, "position close reads the position segment"
        self.refresh_ms = parameters.refresh_ms
        self._parameters = parameters
        self._position = context.position
        self._ratio = price_ratio(context.instruments, context.instrument_index, context.hedge_instrument_index)

    def update(self, tops: Tops, now_ns: int) -> bool:
        position, values = self._position, self.values
        direction, opened_ns = position.pair_direction, position.pair_opened_ns
        if not direction or not opened_ns:
            was_said = self.is_valid and values[REASON] != NOTHING
            values[REASON] = values[RETURN] = values[AGE_S] = 0.0
            self.is_valid = was_said  # Said once more as "nothing", so that the trigger re-arms.
            return was_said
        age_s = (now_ns - opened_ns) / SECOND_NS
        parameters = self._parameters
        open_top, hedge_top = tops[self.instrument_index], tops[self.hedge_instrument_index]
        earned, reason = 0.0, NOTHING
        if are_fresh(open_top, hedge_top):
            entry = position.pair_entry_spread_e8 / 1e8
            if direction < 0:
                earned = entry - (hedge_top.ask_ticks * self._ratio / open_top.bid_ticks - 1.0)
            else:
                earned = (hedge_top.bid_ticks * self._ratio / open_top.ask_ticks - 1.0) - entry
            if parameters.stop_loss and earned <= -parameters.stop_loss:
                reason = STOP_LOSS
            elif parameters.take_profit and earned >= parameters.take_profit:
                reason = TAKE_PROFIT
        elif not parameters.age_s_max or age_s < parameters.age_s_max:
            self.is_valid = False  # Without books only the age is known.
            return False
        if reason == NOTHING and parameters.age_s_max and age_s >= parameters.age_s_max:
            reason = AGE
        is_changed = not self.is_valid or reason != values[REASON]
        values[REASON] = float(reason)
        values[RETURN] = earned
        values[AGE_S] = age_s
        self.is_valid = True
        return is_changed
