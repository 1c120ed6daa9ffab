"""The factors as objects: update with what happened, ask for the value, reset; `over` takes a whole recording at once.

    live        volatility.update(now_ns, mid); volatility.value            one sample at a time, O(1)
    compiled    volatility_update(volatility.array, now_ns, mid)            the same kernel on the same state
    in batch    volatility.over(sample(events, …))                         the same kernel over every sample

Before a factor is warm its value is NaN (the stop loss says NORMAL). A sample that is not finite changes nothing.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from reactor.factors import kernels as k
from reactor.factors.sampling import Floats, Samples


class Factor(Protocol):
    """What all of them have; `update` takes what each one needs."""

    @property
    def value(self) -> float:
        """NaN while it is not warm."""

    @property
    def is_warm(self) -> bool:
        """It has seen enough."""

    def reset(self) -> None:
        """Forgets every sample; the settings stay."""

    def over(self, samples: Samples) -> Floats:
        """The value after each sample, beginning afresh. It stands afterwards where the last sample left it."""


class _Kept:
    """A factor whose state is an array of doubles."""

    def __init__(self, size: int) -> None:
        self.state = k.state(size)
        self.array = k.array_of(self.state)  # for compiled functions: the same memory


class Imbalance(_Kept):
    """Bids less asks within the limit of depth, as z-score among the last `window` samples."""

    def __init__(self, window: int) -> None:
        super().__init__(k.ROLLING_HEAD + window)
        k.rolling_init(self.state, window)

    def update(self, bids_lots: int, asks_lots: int) -> None:
        """Lots within the limit of depth (imbalance.depth_lots)."""
        k.rolling_push(self.state, float(bids_lots - asks_lots))

    @property
    def value(self) -> float:
        return k.rolling_zscore(self.state, k.rolling_at(self.state, 0)) if self.is_warm else math.nan

    @property
    def is_warm(self) -> bool:
        return bool(k.rolling_is_full(self.state))

    def reset(self) -> None:
        k.rolling_reset(self.state)

    def over(self, samples: Samples) -> Floats:
        self.reset()
        leans, values = samples.leans, np.empty(len(samples))
        k.rolling_zscore_batch(self.state, k.doubles_of(leans), len(leans), k.doubles_of(values))
        values[: len(self.array) - k.ROLLING_HEAD - 1] = math.nan
        return values


class Volatility(_Kept):
    """Deviation of the mid's changes on a fixed interval, in the mid's own unit."""

    def __init__(self, window: int, interval_ns: int, samples_min: int = 2) -> None:
        super().__init__(k.volatility_size(window))
        k.volatility_init(self.state, window, interval_ns, samples_min)

    def update(self, now_ns: int, mid: float) -> None:
        """May be called as often as one likes: only the interval counts."""
        k.volatility_update(self.state, now_ns, mid)

    @property
    def value(self) -> float:
        return k.volatility_value(self.state)

    @property
    def is_warm(self) -> bool:
        return not math.isnan(self.value)

    def reset(self) -> None:
        k.volatility_reset(self.state)

    def over(self, samples: Samples) -> Floats:
        self.reset()
        mids, values = samples.mids, np.empty(len(samples))
        k.volatility_batch(self.state, k.times_of(samples.now_ns), k.doubles_of(mids), len(mids), k.doubles_of(values))
        return values


class Microprice(_Kept):
    """The mid, drawn to the side that has less."""

    def __init__(self) -> None:
        super().__init__(1)
        self.reset()

    def update(self, bid: float, ask: float, bid_quantity: float, ask_quantity: float) -> None:
        """Best prices and their quantities, in any unit."""
        self.array[0] = k.microprice(bid, ask, bid_quantity, ask_quantity)

    @property
    def value(self) -> float:
        return float(self.array[0])

    @property
    def is_warm(self) -> bool:
        return not math.isnan(self.value)

    def reset(self) -> None:
        self.array[0] = math.nan

    def over(self, samples: Samples) -> Floats:
        values = np.array(
            [
                k.microprice(float(bid), float(ask), float(bid_lots), float(ask_lots))
                for bid, ask, bid_lots, ask_lots in zip(
                    samples.bid_ticks, samples.ask_ticks, samples.bid_lots, samples.ask_lots, strict=True
                )
            ]
        )
        if len(values):
            self.array[0] = values[-1]
        return values


class SpreadPercentile(_Kept):
    """Where the spread stands among the last `window` spreads: in [0, 1], equal ones counted half."""

    def __init__(self, window: int) -> None:
        super().__init__(k.rank_size(window))
        k.rank_init(self.state, window)
        self._value = math.nan

    def update(self, spread: float) -> None:
        """In any unit."""
        if k.rank_push(self.state, spread):
            self._value = k.rank_value(self.state, spread)

    @property
    def value(self) -> float:
        return self._value if self.is_warm else math.nan

    @property
    def is_warm(self) -> bool:
        return bool(k.rank_is_full(self.state))

    def reset(self) -> None:
        k.rank_reset(self.state)
        self._value = math.nan

    def over(self, samples: Samples) -> Floats:
        self.reset()
        spreads, values = samples.spreads, np.empty(len(samples))
        k.rank_batch(self.state, k.doubles_of(spreads), len(spreads), k.doubles_of(values))
        self._value = float(values[-1]) if len(values) else math.nan
        values[: (len(self.array) - k.rank_size(0)) // 2 - 1] = math.nan
        return values


class TradeImbalance(_Kept):
    """(bought − sold) / (bought + sold) by takers over the last `duration_ns`; at most `trades_max` trades are kept."""

    def __init__(self, duration_ns: int, trades_max: int = 8192) -> None:
        super().__init__(k.flow_size(trades_max))
        k.flow_init(self.state, trades_max, duration_ns)
        self._now_ns = 0

    def update(self, now_ns: int, signed_quantity: float) -> None:
        """A trade: > 0 bought, < 0 sold by the taker."""
        self._now_ns = now_ns
        k.flow_push(self.state, now_ns, signed_quantity)

    def at(self, now_ns: int) -> float:
        """The value now: trades go out of it while none comes in."""
        self._now_ns = now_ns
        return self.value

    @property
    def value(self) -> float:
        imbalance = k.flow_value(self.state, self._now_ns)
        return imbalance if self.is_warm else math.nan

    @property
    def is_warm(self) -> bool:
        """There is a trade in it."""
        return k.flow_count(self.state) > 0

    def reset(self) -> None:
        k.flow_reset(self.state)
        self._now_ns = 0

    def over(self, samples: Samples) -> Floats:
        """0 where nothing traded."""
        self.reset()
        values = np.empty(len(samples))
        k.flow_batch(
            self.state, k.times_of(samples.trade_ns), k.doubles_of(samples.trade_lots), len(samples.trade_ns),
            k.times_of(samples.now_ns), len(samples), k.doubles_of(values),
        )  # fmt: skip
        self._now_ns = int(samples.now_ns[-1]) if len(samples) else 0
        return values


class StopLoss(_Kept):
    """GUARD_NORMAL, GUARD_VOLATILITY or GUARD_CHANGE: how unusual is the volatility, and the last change of the mid."""

    def __init__(self, window: int, interval_ns: int, volatility_z_max: float, change_z_max: float) -> None:
        super().__init__(k.guard_size(window, window))
        k.guard_init(self.state, window, window, interval_ns, volatility_z_max, change_z_max)

    def update(self, now_ns: int, mid: float) -> None:
        """May be called as often as one likes: only the interval counts."""
        k.guard_update(self.state, now_ns, mid)

    @property
    def value(self) -> float:
        """guard_verdict_e."""
        return float(k.guard_verdict(self.state))

    @property
    def z_change(self) -> float:
        """0 while its window fills."""
        return k.guard_z_change(self.state)

    @property
    def z_volatility(self) -> float:
        """0 while its window fills."""
        return k.guard_z_volatility(self.state)

    @property
    def is_warm(self) -> bool:
        return bool(k.guard_is_full(self.state))

    def reset(self) -> None:
        k.guard_reset(self.state)

    def over(self, samples: Samples) -> Floats:
        self.reset()
        mids, values = samples.mids, np.empty(len(samples))
        k.guard_batch(self.state, k.times_of(samples.now_ns), k.doubles_of(mids), len(mids), k.doubles_of(values))
        return values


class Combined:
    """Σ w·v / Σ |w| over the factors that are warm."""

    def __init__(self, factors: Sequence[Factor], weights: Sequence[float]) -> None:
        assert len(factors) == len(weights), "a weight for each factor"
        self._factors = tuple(factors)
        self._weights = np.array(weights, np.float64)

    @property
    def value(self) -> float:
        values = np.array([each.value for each in self._factors])
        return k.combine(k.doubles_of(self._weights), k.doubles_of(values), len(values))

    @property
    def is_warm(self) -> bool:
        """All of them are."""
        return all(each.is_warm for each in self._factors)

    def reset(self) -> None:
        """Resets its factors."""
        for each in self._factors:
            each.reset()

    def over(self, samples: Samples) -> Floats:
        columns: Any = np.array([each.over(samples) for each in self._factors], np.float64)
        values = np.empty(len(samples))
        k.combine_batch(
            k.doubles_of(self._weights), len(self._factors), k.doubles_of(columns), len(samples), k.doubles_of(values)
        )
        return values
