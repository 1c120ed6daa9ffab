"""The strategy of the house against the same rules written by hand: trade for trade, on a real market."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("hftbacktest", reason="needs the extra 'backtest'")

from reactor.backtest.exchange import open_exchange
from reactor.backtest.host import Run, run, scale_of
from reactor.backtest.latency import latency_model
from reactor.backtest.market import Market, open_market
from reactor.backtest.parameters import AssetParameters, BacktestParameters
from reactor.strategies.obi_market_making import ObiParameters
from reactor.strategies.registry import make_strategy

CASES: dict[str, dict[str, Any]] = {
    "as it is by default": {},
    "tight and lively": {"half_spread": 0.5, "window": 30, "order_qty": 0.01, "max_position": 0.1, "live_seconds": 3.0},
    "a stop loss that cries often": {
        "half_spread": 0.2, "window": 30, "stop_change_z": 3.0, "stop_volatility_z": 2.0, "stop_window": 20,
        "stop_seconds": 1.0,
    },
    "four rungs, slow to move": {"half_spread": 1.0, "grid_num": 4, "replace_ticks": 30, "c1": 6.0, "skew": 2.0},
}  # fmt: skip


def by_hand(market: Market, parameters: BacktestParameters, given: dict[str, Any]) -> tuple[Any, int, int]:
    """(fills, orders placed, decisions) of the handwritten version."""
    from obi_by_hand import FILL_DTYPE, arguments, obi_by_hand

    own, latency = market.parameters, latency_model(parameters.latency, market)
    hbt = open_exchange(parameters, [market], [latency])
    fills = np.zeros(100_000, FILL_DTYPE)
    filled, placed, decisions = obi_by_hand(
        hbt, fills, market.start_ns, own.tick_size, own.lot_size, *arguments(ObiParameters(**given))
    )
    return fills[:filled], placed, decisions


def of_the_house(market: Market, parameters: BacktestParameters, given: dict[str, Any]) -> Run:
    return run([make_strategy("obi-mm", 0, scale_of(market), given)], [market], parameters)


def trades_of(fills: Any) -> list[tuple[int, ...]]:
    if "side" in fills.dtype.names:
        return sorted((row[0], row[2], row[1] * row[3]) for row in fills.tolist())
    return sorted(
        zip(fills["exchange_ns"].tolist(), fills["price_ticks"].tolist(), fills["quantity_lots"].tolist(), strict=True)
    )


@pytest.mark.parametrize("latency", ["1", "0", "feed"])
@pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())
def test_the_strategy_of_the_house_trades_as_the_handwritten_rules_do(perpetual: str, given: dict[str, Any], latency: str):
    market = open_market(AssetParameters("BTCUSDT", (perpetual,), tick_size=0.1, lot_size=0.001))
    parameters = BacktestParameters((market.parameters,), latency=latency)
    house = of_the_house(market, parameters, given)
    fills, placed, decisions = by_hand(market, parameters, given)
    assert trades_of(house.fills) == trades_of(fills)
    assert len(fills) > 10, "a comparison of nothing proves nothing"
    assert house.counters[0]["orders"] == placed
    assert house.counters[0]["decisions"] == decisions
