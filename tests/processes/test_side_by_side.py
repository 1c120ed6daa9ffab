"""Arbitrage and market making in one session of real processes: one account, one set of limits, one set of books."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from reactor.prepost.orders import Leg

pytestmark = pytest.mark.processes

# The strategy quotes on the hedge leg of the pair: at the venue both are one position.
HOSTED = (
    '[{name: obi-mm, instrument: "binance_usdm:BTCUSDT", parameters: {order_qty: 0.004, max_position: 0.02, grid_num: 2, '
    "grid_interval: 1.0, window: 10, half_spread: 0.2, volatility_interval_ms: 100, volatility_samples_min: 5, "
    "live_seconds: 3.0}}]"
)


def fills_by_leg(house) -> dict[int, int]:
    path = house.directory / "runs" / house.name / "journal.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT leg, count(*) FROM fills GROUP BY leg").fetchall())


def test_both_trade_on_one_instrument_and_every_balance_is_the_exchanges(make_house: Callable):
    house = make_house(environment={"CRYPTO_TRADE__STRATEGY__HOSTED": HOSTED})
    house.wait_until_trading()
    house.wait_for(lambda: fills_by_leg(house).get(Leg.QUOTE, 0) >= 5, "quotes are filled")
    house.wait_for(lambda: fills_by_leg(house).get(Leg.HEDGE, 0) >= 1, "a pair is hedged")
    assert house.end() == 0, house.words()
    report = house.report()
    assert report["pairs_opened"] > 0
    assert report["open_orders"] == 0
    assert report["positions_and_balances_equal"] is True, report["comparisons"]
    house.assert_nobody_is_left()
