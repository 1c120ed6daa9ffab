"""What the simulated exchange lists: one record of rules per symbol and product line, prices in ticks, quantities in lots.

price = ticks · tick_e8 / 1e8, quantity = lots · lot_e8 / 1e8. All amounts are integers in 1e-8 of their asset (`_e8`);
notional of every listed symbol is exact in these units. Wire texts come out with the places the venue prints.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from reactor.domain.units import E8

Product = Literal["spot", "usdm"]
TEXTS_MAX: Final = 1 << 14  # Prices and sizes of a market repeat: a remembered text costs a fifth of a new one.


class Texts(dict[int, str]):
    """Count → wire text of `count · unit_e8`, each made once: a look-up is a tenth of a call."""

    def __init__(self, unit_e8: int, places: int) -> None:
        super().__init__()
        self._unit_e8 = unit_e8
        self._places = places

    def __missing__(self, count: int) -> str:
        if len(self) >= TEXTS_MAX:
            self.clear()
        text = self[count] = _decimal(count * self._unit_e8, self._places)
        return text


@dataclass(frozen=True, repr=False, eq=False)
class SymbolRules:
    """One row of exchangeInfo. Zero switches a limit off, as the venue's own zero does."""

    symbol: str
    product: Product
    base_asset: str
    quote_asset: str
    tick_e8: int
    lot_e8: int
    price_places: int  # Digits after the point in wire texts: 8 on spot, pricePrecision on futures.
    quantity_places: int
    price_ticks_min: int
    price_ticks_max: int
    quantity_lots_min: int
    quantity_lots_max: int
    market_lots_max: int
    notional_min_e8: int
    notional_max_e8: int = 0
    # Spot: per-side multipliers of the average price (5 / 0.2). Futures: of the mark price (1.05 / 0.95). In 1e-4.
    percent_up_e4: int = 50_000
    percent_down_e4: int = 2_000
    orders_max: int = 200
    amends_max: int = 10
    # Futures only.
    leverage_max: int = 125
    maintenance_margin_e6: int = 4_000  # 0.40 % of the notional: the first bracket, used for every size.
    liquidation_fee_e6: int = 12_500  # 1.25 % of the notional, charged when the venue closes a position.
    market_take_bound_e4: int = 500  # A market order must not reach further than 5 % from the mark: -4131.
    price_texts: Texts = field(init=False)  # by ticks
    quantity_texts: Texts = field(init=False)  # by lots

    def __post_init__(self) -> None:
        object.__setattr__(self, "price_texts", Texts(self.tick_e8, self.price_places))
        object.__setattr__(self, "quantity_texts", Texts(self.lot_e8, self.quantity_places))

    def __repr__(self) -> str:
        return f"<{self.product}:{self.symbol}>"

    @property
    def is_futures(self) -> bool:
        """True on USD-M."""
        return self.product == "usdm"

    def price_text(self, ticks: int) -> str:
        """The exact wire text of a price."""
        return self.price_texts[ticks]

    def quantity_text(self, lots: int) -> str:
        """The exact wire text of a quantity."""
        return self.quantity_texts[lots]

    def notional_e8(self, ticks: int, lots: int) -> int:
        """Price × quantity in 1e-8 of the quote asset; the sign follows `lots`."""
        return ticks * self.tick_e8 * lots * self.lot_e8 // E8

    def base_e8(self, lots: int) -> int:
        """A quantity in 1e-8 of the base asset."""
        return lots * self.lot_e8


def _decimal(value_e8: int, places: int) -> str:
    if value_e8 < 0:
        return "-" + _decimal(-value_e8, places)
    whole, fraction = divmod(value_e8, E8)
    if places == 8:
        return f"{whole}.{fraction:08d}"
    if places == 0:
        return str(whole)
    return f"{whole}.{fraction // 10 ** (8 - places):0{places}d}"


@lru_cache(maxsize=TEXTS_MAX)
def amount_text(value_e8: int, places: int = 8) -> str:
    """An amount of 1e-8 units as decimal text with `places` ≤ 8 digits (the rest is cut towards zero)."""
    return _decimal(value_e8, places)


def _spot(
    symbol: str, base: str, tick_e8: int, lot_e8: int, lots_max: int, market_lots_max: int, price_max: int
) -> SymbolRules:
    return SymbolRules(
        symbol=symbol,
        product="spot",
        base_asset=base,
        quote_asset="USDT",
        tick_e8=tick_e8,
        lot_e8=lot_e8,
        price_places=8,
        quantity_places=8,
        price_ticks_min=1,
        price_ticks_max=price_max * E8 // tick_e8,
        quantity_lots_min=1,
        quantity_lots_max=lots_max,
        market_lots_max=market_lots_max,
        notional_min_e8=5 * E8,
        notional_max_e8=9_000_000 * E8,
    )


def _usdm(
    symbol: str,
    tick_e8: int,
    lot_e8: int,
    places: tuple[int, int],
    prices_e8: tuple[int, int],
    lots: tuple[int, int],
    usdt: int,
) -> SymbolRules:
    """`places` of price and quantity, `prices_e8` min and max, `lots` max of limit and market orders, `usdt` min notional."""
    return SymbolRules(
        symbol=symbol,
        product="usdm",
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        tick_e8=tick_e8,
        lot_e8=lot_e8,
        price_places=places[0],
        quantity_places=places[1],
        price_ticks_min=prices_e8[0] // tick_e8,
        price_ticks_max=prices_e8[1] // tick_e8,
        quantity_lots_min=1,
        quantity_lots_max=lots[0],
        market_lots_max=lots[1],
        notional_min_e8=usdt * E8,
        percent_up_e4=10_500,
        percent_down_e4=9_500,
    )


SPOT_SYMBOLS: Final[dict[str, SymbolRules]] = {
    row.symbol: row
    for row in (
        _spot("BTCUSDT", "BTC", 1_000_000, 1_000, 900_000_000, 12_000_000, 1_000_000),
        _spot("ETHUSDT", "ETH", 1_000_000, 10_000, 90_000_000, 3_000_000, 1_000_000),
        _spot("BNBUSDT", "BNB", 1_000_000, 100_000, 9_000_000, 300_000, 100_000),
        _spot("SOLUSDT", "SOL", 1_000_000, 100_000, 90_000_000, 3_000_000, 100_000),
    )
}
USDM_SYMBOLS: Final[dict[str, SymbolRules]] = {
    row.symbol: row
    for row in (
        _usdm("BTCUSDT", 10_000_000, 100_000, (2, 3), (55_680_000_000, 4_529_764 * E8), (1_000_000, 120_000), 100),
        _usdm("ETHUSDT", 1_000_000, 100_000, (2, 3), (3_986_000_000, 306_177 * E8), (10_000_000, 2_000_000), 20),
        _usdm("BNBUSDT", 1_000_000, 1_000_000, (3, 2), (660_000_000, 100_000 * E8), (10_000_000, 200_000), 5),
        _usdm("SOLUSDT", 1_000_000, 100_000_000, (4, 0), (42_000_000, 6_857 * E8), (1_000_000, 5_000), 5),
    )
}
