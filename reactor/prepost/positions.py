"""Position, average price and realised PnL of one instrument, in integers that lose nothing.

    base_e8    signed position in 1e-8 of the base asset. Spot fees paid in the coin make it finer than a lot.
    value      Σ ticks · base_e8 of the open position: average price = value / base_e8
    realised   Σ ticks · base_e8 earned by closed parts, before fees

Crossing zero closes the whole old position at its average and opens the rest at the fill's price. What a rounded average
would lose stays in `value`: when the position is flat again, `realised` equals the cash that flowed, to the last unit.
"""

from reactor.domain.units import E8
from reactor.prepost.terms import Terms


class Position:
    """One instrument's position."""

    __slots__ = ("base_e8", "fees_e8", "fills", "funding_e8", "realised", "terms", "trades_today", "value")

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.base_e8 = 0
        self.value = 0
        self.realised = 0
        self.fees_e8 = 0  # in quote units, > 0 paid
        self.funding_e8 = 0  # in quote units, > 0 received
        self.fills = 0
        self.trades_today = 0

    def apply_fill(self, side: int, lots: int, ticks: int) -> int:
        """Books one fill. Returns what it realised, in ticks · base_e8, before fees."""
        self.fills += 1
        return self.change(side * lots * self.terms.lot_base_e8, ticks)

    def apply_base_fee(self, fee_base_e8: int, ticks: int) -> None:
        """A fee taken in the bought or sold coin: the position shrinks as if it were sold at the fill's price, and the
        proceeds are the fee. (A rebate, < 0, adds.)"""
        self.change(-fee_base_e8, ticks)
        self.fees_e8 += self.terms.quote_e8(ticks, fee_base_e8)

    def change(self, base_e8: int, ticks: int) -> int:
        """Adds a signed amount at a price. Returns what it realised, in ticks · base_e8."""
        position = self.base_e8
        if position == 0 or (position > 0) == (base_e8 > 0):
            self.base_e8 = position + base_e8
            self.value += base_e8 * ticks
            return 0
        closing = base_e8 if abs(base_e8) <= abs(position) else -position
        portion = self.value * abs(closing) // abs(position)
        realised = -closing * ticks - portion
        self.value -= portion
        self.base_e8 = position + closing
        self.realised += realised
        rest = base_e8 - closing
        if rest:
            self.base_e8 = rest
            self.value = rest * ticks
        return realised

    def adopt(self, base_e8: int, ticks: int) -> None:
        """The operator accepts the venue's position as ours."""
        self.base_e8 = base_e8
        self.value = base_e8 * ticks

    @property
    def lots(self) -> int:
        """Whole lots of the position, towards zero."""
        return self.terms.lots_within(self.base_e8)

    @property
    def entry_price_ticks_e8(self) -> int:
        """Average entry in ticks · 1e8; 0 when flat."""
        return self.value * E8 // self.base_e8 if self.base_e8 else 0

    @property
    def realised_pnl_e8(self) -> int:
        """Realised by closed parts, in quote units, before fees and funding."""
        return self.quote_of(self.realised)

    def unrealised_pnl_e8(self, ticks: int) -> int:
        """At a price; 0 if there is none."""
        return self.quote_of(self.base_e8 * ticks - self.value) if ticks > 0 else 0

    @property
    def capital_e8(self) -> int:
        """The open position at cost, in quote units."""
        return abs(self.quote_of(self.value))

    def quote_of(self, ticks_base: int) -> int:
        """Ticks · base_e8 in 1e-8 of the quote asset, rounded towards −∞."""
        return ticks_base * self.terms.tick_numerator // self.terms.tick_denominator
