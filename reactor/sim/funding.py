"""Index, mark price and funding of one perpetual: a model anchored to the traded prices, with rates scripted by a seed.

index = the spot mid (the perpetual's own mid where no spot is listed); mark = index + the smoothed premium of the perpetual.
Captures hold no funding, so their rates come from here: regimes of fixed length, each with a sign and a size from the seed.
Where the market is a real venue's, it tells mark, index, rate and time itself (`follow`), and the model is silent.
"""

import random
from dataclasses import dataclass
from typing import Final

from reactor.sim.events import FundingRow, MarkPrice
from reactor.sim.symbols import SymbolRules
from reactor.sim.updates import MarkUpdate

S: Final = 1_000_000_000
INTEREST_RATE_E8: Final = 10_000  # 0.01 % per interval, the venue's constant.
RATE_CAP_E8: Final = 200_000  # ±0.2 %: far inside the venue's cap, so that a short session stays plausible.
PREMIUM_MEMORY: Final = 30  # Marks are made once a second; the premium is averaged over about half a minute.


@dataclass(frozen=True)
class FundingParameters:
    """Knobs of the funding model. Rates in 1e-8 per interval (0.01 % = 10_000)."""

    seed: int = 1
    interval_s: int = 28_800  # 8 h as the venue's; a short session sets e.g. 30.
    rate_e8: int = 30_000  # Median size of a regime's rate: 0.03 %, a lively market's.
    positive_share: float = 1.0  # Probability that a regime pays shorts; 1.0: always.
    regime_s: int = 3_600  # Length of a regime.


class FundingModel:
    """State of one perpetual. Call `observe()` once a second."""

    def __init__(self, rules: SymbolRules, parameters: FundingParameters, now_ns: int) -> None:
        self._rules = rules
        self._parameters = parameters
        self._start_ns = now_ns
        self.mark_e8 = 0
        self.index_e8 = 0
        self.average_e8 = 0
        self._premium_e8 = 0
        self.last_rate_e8 = 0
        interval_ns = parameters.interval_s * S
        self.next_funding_ns = now_ns - now_ns % interval_ns + interval_ns
        self.history: list[FundingRow] = []
        self._told: MarkUpdate | None = None  # by a real venue
        self._told_next: MarkUpdate | None = None  # of the interval after the one that we have still to charge
        self._charged_ns = 0  # the venue's funding time that we charged last

    def follow(self, update: MarkUpdate, now_ns: int) -> None:
        """A real venue speaks. When it moves on to its next funding time, the last rate of the old one falls due here too."""
        told = self._told
        if told is not None and update.next_funding_ns > told.next_funding_ns and self._charged_ns < told.next_funding_ns:
            self._told_next = update
            self.next_funding_ns = min(self.next_funding_ns, now_ns)
            return
        self._told = update
        if update.next_funding_ns > self._charged_ns:  # Else it was said before we charged: the next is not known.
            self.next_funding_ns = update.next_funding_ns
        self.mark_e8, self.index_e8 = update.mark_e8, update.index_e8
        self.average_e8 = (
            self.average_e8 + (self.mark_e8 - self.average_e8) // PREMIUM_MEMORY if self.average_e8 else self.mark_e8
        )

    def rate_e8(self, now_ns: int) -> int:
        """The estimate of what will be charged at the next funding time."""
        if self._told is not None:
            return self._told.rate_e8
        parameters = self._parameters
        regime = max(0, now_ns - self._start_ns) // (parameters.regime_s * S)
        draw = random.Random(f"{parameters.seed}:{self._rules.symbol}:{regime}")
        sign = 1 if draw.random() < parameters.positive_share else -1
        size = int(parameters.rate_e8 * draw.lognormvariate(0.0, 0.35))
        return sign * min(size, RATE_CAP_E8)

    def observe(self, perpetual_mid_e8: int, spot_mid_e8: int) -> None:
        """New mids, once a second. 0: that book has an empty side; the last value holds."""
        mid_e8 = perpetual_mid_e8 or self.mark_e8
        if not mid_e8 or self._told is not None:
            return
        self.index_e8 = spot_mid_e8 or self.index_e8 or mid_e8
        premium_e8 = mid_e8 - self.index_e8
        if self.mark_e8 == 0:
            self._premium_e8 = premium_e8
        else:
            self._premium_e8 += (premium_e8 - self._premium_e8) // PREMIUM_MEMORY
        self.mark_e8 = self.index_e8 + self._premium_e8
        self.average_e8 = (
            self.average_e8 + (self.mark_e8 - self.average_e8) // PREMIUM_MEMORY if self.average_e8 else self.mark_e8
        )

    def charge(self, now_ns: int) -> int:
        """Funding time: returns the rate that is charged now and sets the next time."""
        rate = self.rate_e8(self.next_funding_ns - 1)
        self.last_rate_e8 = rate
        due_ns = self._told.next_funding_ns if self._told is not None else self.next_funding_ns
        self.history.append(FundingRow(self._rules, rate, self.mark_e8, due_ns))
        interval_ns = self._parameters.interval_s * S
        self.next_funding_ns = now_ns - now_ns % interval_ns + interval_ns
        if self._told is not None:
            self._charged_ns = self._told.next_funding_ns
            if self._told_next is not None:
                self._told, self._told_next = self._told_next, None
                self.next_funding_ns = self._told.next_funding_ns
        return rate

    def view(self, now_ns: int) -> MarkPrice:
        """premiumIndex."""
        return MarkPrice(
            rules=self._rules,
            mark_e8=self.mark_e8,
            index_e8=self.index_e8,
            settle_e8=self._told.settle_e8 if self._told is not None else self.index_e8,
            average_e8=self.average_e8,
            funding_rate_e8=self.rate_e8(now_ns),
            last_funding_rate_e8=self.last_rate_e8 or self.rate_e8(now_ns),
            interest_rate_e8=INTEREST_RATE_E8,
            next_funding_ns=self.next_funding_ns,
            time_ns=now_ns,
        )
