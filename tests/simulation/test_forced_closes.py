"""The venue closes a futures position of ours by force: fills like any other, and a fee that no fill carries."""

import pytest
from scenario import USDM, Scenario, scenario

from reactor.domain.messages import FLAG_LIQUIDATION, KillSwitch
from reactor.journal.history import Reader

SETTLED_S = 9.0  # two periods of the world's settlement: one sees the difference, the next one asks what it was


def liquidate(world: Scenario) -> int:
    """The insurance fee that it cost (1e-8 USDT)."""
    core, account = world.core(USDM), world.account(USDM)
    before = core.insurance_e8
    core._liquidate(account, [row for row in account.positions.values() if row.amount_lots][:1], world.time.exchange_ns())
    world.cloud.settle()
    return int(core.insurance_e8 - before)


def insurance(world: Scenario) -> list[int]:
    """What the journal has of such fees."""
    with Reader(world.house.journal_path) as reader:
        rows = reader.rows("SELECT amount_e8 FROM funding WHERE flags & ? ORDER BY id", (FLAG_LIQUIDATION,))
        return [int(row["amount_e8"]) for row in rows]


def test_the_insurance_fee_of_a_liquidation_is_booked_once_and_halts_nothing() -> None:
    with scenario() as world:
        world.until(world.has_position)
        fee_e8 = liquidate(world)
        world.run_for(SETTLED_S)
        assert fee_e8 > 0
        assert insurance(world) == [-fee_e8]
        assert world.desk.kill_switch.state == KillSwitch.RUNNING
        world.run_for(SETTLED_S)
        assert insurance(world) == [-fee_e8]


@pytest.mark.parametrize("delay_s", [0.0, 1.0, SETTLED_S], ids=["at_once", "before_it_is_booked", "after_it_is_booked"])
def test_an_insurance_fee_around_a_death_of_prepost_is_booked_once(delay_s: float) -> None:
    with scenario() as world:
        world.until(world.has_position)
        fee_e8 = liquidate(world)
        world.run_for(delay_s)
        world.supervisor.crash("prepost", "kill -9", 300_000_000)
        world.run_for(SETTLED_S)
        assert insurance(world) == [-fee_e8]
        assert world.desk.kill_switch.state == KillSwitch.RUNNING
        assert world.desk.money.funding_e8 <= -fee_e8 + 10**8  # in the profit and loss too (funding comes and goes beside it)


def test_auto_deleveraging_costs_no_fee_and_the_pair_is_evened_out() -> None:
    with scenario() as world:
        world.until(world.has_position)
        for rules in {position.rules for position in world.account(USDM).positions.values()}:
            object.__setattr__(rules, "liquidation_fee_e6", 0)
        try:
            assert liquidate(world) == 0
        finally:
            for rules in {position.rules for position in world.account(USDM).positions.values()}:
                object.__setattr__(rules, "liquidation_fee_e6", 12_500)
        world.run_for(SETTLED_S)
        assert insurance(world) == []
        assert world.desk.kill_switch.state == KillSwitch.RUNNING


def test_what_the_insurance_fund_takes_over_off_the_book_is_booked_too() -> None:
    # World seed 1252: after a price gap nobody was there to trade with; the venue's CALCULATED execution had no trade id.
    with scenario() as world:
        world.until(world.has_position)
        market = world.core(USDM)._matchings["BTCUSDT"]._market
        for ticks in list(market.asks.levels):
            market.apply_level(False, ticks, 0)
        fee_e8 = liquidate(world)
        world.run_for(SETTLED_S)
        assert insurance(world) == [-fee_e8]
        assert world.desk.kill_switch.state == KillSwitch.RUNNING


def test_a_forced_close_of_somebody_elses_position_is_not_ours() -> None:
    # World seed 9: a stranger's futures order filled on the same account. When the venue closed that position by force, the
    # pair took it for its own, was short in its books only, and tried reduce-only orders against nothing for ever.
    with scenario(seed=7) as world:
        core = world.core(USDM)
        rules = core.symbols["BTCUSDT"]
        fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.010", "newClientOrderId": "stranger-7"}
        core.place(1, fields, world.time.exchange_ns())
        world.cloud.settle()
        world.run_for(0.1)
        assert world.desk.foreign_base_e8[1] == rules.base_e8(10)
        liquidate(world)
        world.run_for(SETTLED_S)
        assert world.desk.kill_switch.state == KillSwitch.RUNNING
