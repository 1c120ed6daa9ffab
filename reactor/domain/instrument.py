"""One tradable thing on one venue, and the dense table of all of them.

Built once by the supervisor from the venues' exchange info; every role reads the same table, so `instrument_index` means
the same everywhere. All arithmetic is on integers; `notional_e8` is in units of 1e-8 of the quote asset.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from reactor.domain.messages import Venue
from reactor.domain.units import E8, format_fixed, parse_fixed

VENUE_NAMES = tuple(venue.name.lower() for venue in Venue if venue.name != "COUNT")


@dataclass(frozen=True)
class Instrument:
    """What the venue says about one symbol, in integers.

    price = ticks · tick_size · 10^-price_decimals; quantity = lots · lot_size · 10^-quantity_decimals.
    """

    instrument_index: int
    venue: int
    symbol: str
    base_asset: str
    quote_asset: str
    price_decimals: int
    quantity_decimals: int
    tick_size: int
    lot_size: int
    quantity_lots_min: int
    quantity_lots_max: int
    market_quantity_lots_max: int
    price_ticks_min: int
    price_ticks_max: int
    notional_min_e8: int
    maker_fee_e8: int
    taker_fee_e8: int
    is_perpetual: bool = False
    is_trading: bool = True
    contract_size_e8: int = E8
    percent_price_up: float = 0.0
    percent_price_down: float = 0.0

    @property
    def name(self) -> str:
        """`binance_spot:BTCUSDT`: how config, logs and commands call it."""
        return f"{VENUE_NAMES[self.venue]}:{self.symbol}"

    @cached_property
    def notional_factor(self) -> tuple[int, int]:
        """(multiplier, divisor): notional_e8 = ticks · lots · multiplier // divisor. Exact for every venue we know."""
        multiplier = self.tick_size * self.lot_size * self.contract_size_e8
        divisor: int = 10 ** (self.price_decimals + self.quantity_decimals)
        return multiplier, divisor

    def notional_e8(self, price_ticks: int, quantity_lots: int) -> int:
        """Price × quantity in 1e-8 of the quote asset; the sign follows the quantity, rounding is towards −∞."""
        multiplier, divisor = self.notional_factor
        return price_ticks * quantity_lots * multiplier // divisor

    def price_text(self, price_ticks: int) -> str:
        """The exact string for the wire."""
        return format_fixed(price_ticks * self.tick_size, self.price_decimals)

    def quantity_text(self, quantity_lots: int) -> str:
        """The exact string for the wire."""
        return format_fixed(quantity_lots * self.lot_size, self.quantity_decimals)

    def price_ticks(self, text: str) -> int:
        """Ticks of a wire price.

        Raises:
            ValueError: not a number, or not on a tick.
        """
        ticks, rest = divmod(parse_fixed(text, self.price_decimals), self.tick_size)
        if rest:
            raise ValueError(f"{self.name}: price {text} is not a multiple of the tick size")
        return ticks

    def quantity_lots(self, text: str) -> int:
        """Lots of a wire quantity.

        Raises:
            ValueError: not a number, or not a multiple of the lot.
        """
        lots, rest = divmod(parse_fixed(text, self.quantity_decimals), self.lot_size)
        if rest:
            raise ValueError(f"{self.name}: quantity {text} is not a multiple of the lot size")
        return lots

    def price_float(self, price_ticks: int) -> float:
        """For statistics and the screen only."""
        scale: int = 10**self.price_decimals
        return price_ticks * self.tick_size / scale

    def quantity_float(self, quantity_lots: int) -> float:
        """For statistics and the screen only."""
        scale: int = 10**self.quantity_decimals
        return quantity_lots * self.lot_size / scale

    def base_e8(self, quantity_lots: int) -> int:
        """Lots in 1e-8 of the base asset (spot and linear contracts)."""
        scale: int = 10**self.quantity_decimals
        return quantity_lots * self.lot_size * E8 // scale

    def lots_of_base_e8(self, amount_e8: int) -> int:
        """How many whole lots an amount of the base asset holds (towards zero)."""
        scale: int = 10**self.quantity_decimals
        lots = abs(amount_e8) * scale // (self.lot_size * E8)
        return lots if amount_e8 >= 0 else -lots


class Instruments(Sequence[Instrument]):
    """The dense table. `instruments[i].instrument_index == i`."""

    def __init__(self, rows: Sequence[Instrument]) -> None:
        for index, row in enumerate(rows):
            assert row.instrument_index == index, f"{row.name}: index {row.instrument_index} stands at {index}"
        self._rows = tuple(rows)
        self._by_symbol = {(row.venue, row.symbol): row for row in rows}

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._rows)

    def find(self, venue: int, symbol: str) -> Instrument | None:
        """The instrument of a venue's symbol, None if the table has none."""
        return self._by_symbol.get((venue, symbol))

    def by_name(self, name: str) -> Instrument:
        """`binance_spot:BTCUSDT` → instrument.

        Raises:
            KeyError: no such instrument; the message lists what there is.
        """
        for row in self._rows:
            if row.name == name:
                return row
        raise KeyError(f"no instrument {name!r}; there are {', '.join(row.name for row in self._rows)}")
