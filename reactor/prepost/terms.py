"""An instrument's constants, computed once, so that the hot path multiplies integers and looks nothing up.

price in quote units   = ticks · tick_numerator / tick_denominator
base_e8 of one lot     = lot_base_e8                         (exact: a venue counts quantities in at most 8 decimals)
quote_e8(ticks, base)  = ticks · tick_numerator · base_e8 // tick_denominator
"""

from math import lcm

from reactor.domain.instrument import Instrument
from reactor.domain.units import E8


class Terms:
    """One instrument as the desk computes with it. Linear contracts and spot only; an inverse contract is refused."""

    __slots__ = (
        "base_asset",
        "base_key",
        "index",
        "instrument",
        "is_perpetual",
        "is_trading",
        "lot_base_e8",
        "lots_max",
        "lots_min",
        "name",
        "notional_min_e8",
        "price_ticks_max",
        "price_ticks_min",
        "quote_asset",
        "quote_key",
        "taker_fee_e8",
        "tick_denominator",
        "tick_numerator",
        "venue",
    )

    def __init__(self, instrument: Instrument) -> None:
        quantity_denominator: int = 10**instrument.quantity_decimals
        lot_base_e8, rest = divmod(instrument.lot_size * E8, quantity_denominator)
        assert rest == 0, f"{instrument.name}: a lot is finer than 1e-8 of the base asset"
        self.instrument = instrument
        self.index = instrument.instrument_index
        self.name = instrument.name
        self.venue = instrument.venue
        self.is_perpetual = instrument.is_perpetual
        self.is_trading = instrument.is_trading
        self.base_asset = instrument.base_asset
        self.quote_asset = instrument.quote_asset
        self.base_key = (instrument.venue, instrument.base_asset)  # of the wallets
        self.quote_key = (instrument.venue, instrument.quote_asset)
        self.lot_base_e8 = lot_base_e8
        self.tick_numerator = instrument.tick_size
        self.tick_denominator: int = 10**instrument.price_decimals
        self.lots_min = max(1, instrument.quantity_lots_min)
        self.lots_max = instrument.quantity_lots_max or 2**62  # 0: the venue names none
        self.price_ticks_min = max(1, instrument.price_ticks_min)
        self.price_ticks_max = instrument.price_ticks_max or 2**62
        self.notional_min_e8 = instrument.notional_min_e8
        self.taker_fee_e8 = instrument.taker_fee_e8

    def quote_e8(self, ticks: int, base_e8: int) -> int:
        """Worth of `base_e8` at `ticks`, in 1e-8 of the quote asset, rounded towards −∞."""
        return ticks * self.tick_numerator * base_e8 // self.tick_denominator

    def price_e8(self, ticks: int) -> int:
        """A price in 1e-8 of the quote asset (for crossing from one instrument's ticks to another's)."""
        return ticks * self.tick_numerator * E8 // self.tick_denominator

    def ticks_of_e8(self, price_e8: int) -> int:
        """The nearest tick at or below a price in 1e-8 of the quote asset."""
        return price_e8 * self.tick_denominator // (self.tick_numerator * E8)

    def lots_nearest(self, base_e8: int) -> int:
        """Signed lots nearest to an amount of the base asset; exactly half a lot rounds towards zero."""
        lots = (2 * abs(base_e8) + self.lot_base_e8 - 1) // (2 * self.lot_base_e8)
        return lots if base_e8 >= 0 else -lots

    def lots_within(self, base_e8: int) -> int:
        """Signed whole lots inside an amount of the base asset (towards zero)."""
        lots = abs(base_e8) // self.lot_base_e8
        return lots if base_e8 >= 0 else -lots

    def is_tradable(self, lots: int, ticks: int, *, is_reducing: bool = False) -> bool:
        """True if the venue's minimums allow `lots` (unsigned) at `ticks`.

        USD-M: "Order's notional must be no smaller than … (unless you choose reduce only)" (-4164).
        """
        if lots < self.lots_min:
            return False
        if is_reducing and self.is_perpetual:
            return True
        return self.quote_e8(ticks, lots * self.lot_base_e8) >= self.notional_min_e8


class Clip:
    """One clip in 1e-8 of the base asset: `quote_e8` at the first leg's price, rounded up to every leg's step, minimum
    quantity and minimum notional (the latter with `margin_e8`, a fraction · 1e8, for prices that move)."""

    __slots__ = ("_base_e8_min", "_step", "_wanted", "_worth")

    def __init__(self, quote_e8: int, legs: tuple[Terms, ...], margin_e8: int) -> None:
        self._step = 1
        self._base_e8_min = 0
        self._wanted: list[int] = []  # by leg
        self._worth: list[int] = []  # of one tick
        for position, terms in enumerate(legs):
            self._step = lcm(self._step, terms.lot_base_e8)
            self._base_e8_min = max(self._base_e8_min, terms.lots_min * terms.lot_base_e8)
            wanted_e8 = terms.notional_min_e8 * (E8 + margin_e8) // E8
            if position == 0:
                wanted_e8 = max(wanted_e8, quote_e8)
            self._wanted.append(wanted_e8 * terms.tick_denominator)
            self._worth.append(terms.tick_numerator)

    def base_e8(self, ticks: tuple[int, ...]) -> int:
        """At these prices, one per leg. 0: a leg has none."""
        base_e8 = self._base_e8_min
        wanted, worth = self._wanted, self._worth
        assert len(ticks) == len(wanted), "one price per leg"
        for position in range(len(wanted)):
            price_ticks = ticks[position]
            if price_ticks <= 0:
                return 0
            enough = -(-wanted[position] // (price_ticks * worth[position]))
            if enough > base_e8:
                base_e8 = enough
        return -(-base_e8 // self._step) * self._step
