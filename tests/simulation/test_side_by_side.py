"""Arbitrage and market making in one session: one desk, one account, one set of limits."""

import pytest
from scenario import MAKER, Scenario, scenario

from reactor.domain.messages import Reason
from reactor.prepost.counters import Counter
from reactor.prepost.orders import Leg
from reactor.sim.world.world import WorldParameters, run_seed

# The strategy quotes on the hedge leg of the pair: at the venue both are one position.
QUOTES = (
    'strategy.hosted=[{name: obi-mm, instrument: "binance_usdm:BTCUSDT", parameters: {order_qty: 0.004, max_position: 0.02, '
    "grid_num: 2, grid_interval: 1.0, window: 20, half_spread: 0.5, looking_depth: 0.001, volatility_interval_ms: 100, "
    "volatility_samples_min: 5, live_seconds: 3.0}}]",
)
HEDGE = 1  # the perpetual's instrument index


def refused(world: Scenario, reason: Reason) -> int:
    return int(world.desk.metrics.get(Counter.REFUSED + reason))


def quoted_fills(world: Scenario) -> int:
    return sum(order.leg == Leg.QUOTE and order.filled_lots > 0 for order in world.desk.orders.by_id.values())


def test_both_trade_and_the_books_are_the_exchanges():
    with scenario(QUOTES, seed=1) as world:
        world.until(lambda: world.desk.pairs_opened >= 2 and quoted_fills(world) >= 5, 40.0)
        # Leaving the block compares every position and balance with the exchange's.


def test_what_the_strategy_holds_does_not_keep_a_pair_from_closing():
    # Hedges were sent reduce-only and refused by the venue: with the strategy's position netted in, they reduced nothing.
    with scenario(QUOTES, seed=3, flattens=True) as world:
        world.until(lambda: world.desk.pairs_opened >= 1 and world.desk.positions[HEDGE].base_e8 > 0, 60.0)
        # Leaving the block stops and flattens: a leg that stays naked is a violation.


def test_the_trades_of_a_day_are_counted_together():
    with scenario((*QUOTES, "risk_control.daily_trades_max=30"), seed=1) as world:
        world.until(lambda: refused(world, Reason.DAILY_TRADES) > 0, 60.0)
        world.run_for(3.0)
        desk = world.desk
        assert desk.trades_today >= 30
        assert desk.trades_today == sum(position.trades_today for position in desk.positions)
        assert quoted_fills(world) > 0
        assert desk.pairs_opened > 0
        opened = desk.pairs_opened
        world.run_for(5.0)
        assert world.desk.pairs_opened == opened, "the strategy has used up what the arbitrage may trade"


def test_the_strategys_exposure_counts_against_the_arbitrage():
    settings = (*QUOTES, *MAKER, "risk_control.exposure_ratio_max=0.002", "risk_control.exposure_ratio_warning=0.001")
    with scenario(settings, seed=1) as world:
        world.until(lambda: refused(world, Reason.TOTAL_EXPOSURE) > 0, 60.0)
        desk = world.desk
        limit = 0.002 * desk.money.equity_e8
        assert abs(desk.money.net_exposure_e8) <= limit * 1.5, "together they stay where one of them would"


def test_with_everything_that_can_go_wrong_the_account_adds_up():
    fills = 0
    for seed in (26, 27, 36):
        verdict = run_seed(seed, WorldParameters(seconds=8.0, settings=QUOTES))
        assert not verdict.violation, "\n".join((verdict.violation, *verdict.story[-40:]))
        fills += verdict.fills
    assert fills > 0, "a halt at the start may end one of them, not all"


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_seeds_add_up(seed: int):
    verdict = run_seed(seed, WorldParameters(seconds=15.0, settings=QUOTES))
    assert not verdict.violation, "\n".join((verdict.violation, *verdict.story[-40:]))
