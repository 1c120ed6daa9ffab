"""FundingRateDirection: which way funding pays. RealTimeFundingRisk: it no longer pays the way the open pair stands.

The rate is the venue's running estimate of what will be charged at the next payment (mark-price stream, `r`). The predicted
rate is where it is heading: the venue's own formula on the premium of this moment,

    predicted = premium + clamp(interest − premium, ±0.05 %)        premium = mark / index − 1
"""

from mypy_extensions import mypyc_attr

from reactor.domain.messages import SignalType
from reactor.feed.signals.parameters import FundingDirectionParameters, FundingRiskParameters
from reactor.feed.signals.signal import Signal, SignalContext, Tops

RATE, DIRECTION, PREDICTED, SECONDS_LEFT = 0, 1, 2, 3
RISK, RISK_RATE, POSITION_DIRECTION = 0, 1, 2

INTEREST = 0.0001  # "Interest rate … 0.01 % per 8 h funding interval."
CLAMP = 0.0005


@mypyc_attr(allow_interpreted_subclasses=True)
class FundingDirection(Signal):
    """−1: short perpetual, long spot (funding > 0 pays shorts); +1: the reverse; 0: stay out."""

    signal_type = SignalType.FUNDING_RATE_DIRECTION
    value_count = 4
    hears_marks = True

    def __init__(self, context: SignalContext, parameters: FundingDirectionParameters) -> None:
        super().__init__(context)
        self.refresh_ms = parameters.refresh_ms
        self._parameters = parameters
        self._direction = 0

    def update(self, tops: Tops, now_ns: int) -> bool:
        top = tops[self.hedge_instrument_index]
        if not top.mark_price > 0:  # The feed zeroes a mark price that has become stale.
            self.is_valid = False
            return False
        rate, values, parameters = top.funding_rate, self.values, self._parameters
        paid = abs(rate)
        direction = -1 if rate > 0 else 1
        if paid >= parameters.enter_rate:
            self._direction = direction
        elif paid < parameters.exit_rate or direction != self._direction:
            self._direction = 0
        is_changed = not self.is_valid or rate != values[RATE] or self._direction != values[DIRECTION]
        values[RATE] = rate
        values[DIRECTION] = float(self._direction)
        values[PREDICTED] = predicted_rate(top.mark_price, top.index_price)
        wall_ns = top.exchange_ns + (now_ns - top.receive_ns)
        is_known = top.next_funding_ms and top.exchange_ns
        values[SECONDS_LEFT] = max(0.0, top.next_funding_ms / 1e3 - wall_ns / 1e9) if is_known else 0.0
        self.is_valid = True
        return is_changed


def predicted_rate(mark_price: float, index_price: float) -> float:
    """The rate that the premium of this moment would give; the interest rate if there is no index price."""
    if index_price <= 0:
        return INTEREST
    premium = mark_price / index_price - 1.0
    return premium + min(max(INTEREST - premium, -CLAMP), CLAMP)


@mypyc_attr(allow_interpreted_subclasses=True)
class FundingRisk(Signal):
    """1: close, the funding has turned against the open pair; 0: it has not, or nothing is open."""

    signal_type = SignalType.REAL_TIME_FUNDING_RISK
    value_count = 3
    hears_marks = True
    closes = True

    def __init__(self, context: SignalContext, parameters: FundingRiskParameters) -> None:
        super().__init__(context)
        assert context.position is not None, "funding risk reads the position segment"
        self.refresh_ms = parameters.refresh_ms
        self._parameters = parameters
        self._position = context.position
        self._is_at_risk = False

    def update(self, tops: Tops, now_ns: int) -> bool:
        top = tops[self.hedge_instrument_index]
        if not top.mark_price > 0:  # The feed zeroes a mark price that has become stale.
            self.is_valid = False
            return False
        rate, values, parameters = top.funding_rate, self.values, self._parameters
        direction = self._position.pair_direction
        earned = -rate * direction  # direction −1 is short the perpetual: it receives a positive rate
        if not direction:
            self._is_at_risk = False
        elif earned < -parameters.risk_rate:
            self._is_at_risk = True
        elif earned >= parameters.clear_rate:
            self._is_at_risk = False
        is_changed = not self.is_valid or bool(values[RISK]) != self._is_at_risk or direction != values[POSITION_DIRECTION]
        values[RISK] = 1.0 if self._is_at_risk else 0.0
        values[RISK_RATE] = rate
        values[POSITION_DIRECTION] = float(direction)
        self.is_valid = True
        return is_changed
