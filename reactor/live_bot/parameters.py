"""What a trader may set of a live bot."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from reactor._native import lib
from reactor.domain.errors import ConfigError
from reactor.domain.instrument import Instrument, Instruments

ORDERS_MAX: Final[int] = lib.LIVE_ORDERS_MAX
DEPTH_TICKS_MAX: Final = 20_000_000  # Per side: 160 MB of quantities; a wider region of interest is a mistake in the config.


@dataclass(frozen=True)
class AssetParameters:
    """One asset of a bot, in the order of the strategy's asset_no. `roi_…`: prices between which bid_depth and ask_depth are
    kept as arrays (hftbacktest's ROIVectorMarketDepth); both 0: no arrays (HashMapMarketDepth)."""

    instrument_index: int
    roi_lb: float = 0.0
    roi_ub: float = 0.0


def roi_ticks(parameters: AssetParameters, instrument: Instrument) -> tuple[int, int]:
    """First and last tick of the region of interest, as hftbacktest rounds them.

    Raises:
        ValueError: the region is empty, or too wide.
    """
    tick_size = instrument.price_float(1)
    first, last = round(parameters.roi_lb / tick_size), round(parameters.roi_ub / tick_size)
    if not 0 <= first < last:
        raise ValueError(f"{instrument.name}: roi_lb {parameters.roi_lb} must be below roi_ub {parameters.roi_ub}, from 0 on")
    if last - first >= DEPTH_TICKS_MAX:
        raise ValueError(f"{instrument.name}: a region of interest of {last - first} ticks; at most {DEPTH_TICKS_MAX}")
    return first, last


@dataclass(frozen=True)
class LiveBotParameters:
    """One strategy of hftbacktest's form and what it trades."""

    name: str
    file: str
    function: str
    assets: tuple[AssetParameters, ...]  # by the strategy's asset_no
    parameters: Mapping[str, object] = field(default_factory=dict)  # the function's own, by name
    strategy_index: int = 0
    orders_max: int = 1024  # Own orders that are open or not yet cleared. At most 8192.
    trades_kept: int = 10_000  # Of the market, per asset, until clear_last_trades(); the older half goes first.
    records_kept: int = 100_000  # Rows of the recorder; at one per 100 ms nearly three hours.
    clock_speed: float = 1.0  # Of the strategy's time; other than 1 on a simulated exchange only, to wait less.

    def check(self, instruments: Instruments) -> None:
        """
        Raises:
            ConfigError: what it may not be.
        """
        what = f"live bot {self.name!r}"
        if not 1 <= self.orders_max <= ORDERS_MAX:
            raise ConfigError(f"{what}: orders_max {self.orders_max}; give 1 to {ORDERS_MAX}")
        if not self.clock_speed > 0:
            raise ConfigError(f"{what}: clock_speed {self.clock_speed}; give more than 0")
        if not self.assets:
            raise ConfigError(f"{what}: it trades nothing; name its instruments")
        for asset in self.assets:
            if asset.roi_lb or asset.roi_ub:
                try:
                    roi_ticks(asset, instruments[asset.instrument_index])
                except ValueError as error:
                    raise ConfigError(f"{what}: {error}") from None
