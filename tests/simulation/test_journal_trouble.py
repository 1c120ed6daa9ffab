"""A disk that refuses, a host without power, while pairs are traded: nothing opens, nothing is lost, the money is the same."""

from typing import Any

import pytest
from scenario import SPOT, USDM, Scenario, scenario

from reactor.domain.messages import FLAG_FOREIGN
from reactor.journal.history import Reader
from reactor.journal.store import Outcome, Result
from reactor.prepost.orders import Leg
from reactor.sim.world.time import MS
from reactor.sim.world.world import World, WorldParameters

ALARM_S = 0.6  # the writer's gathering, its metrics, prepost's look at them (every 100 ms)
HOLD_S = 6.0  # alarm_hold_ms, and a bit


def openings(world: Scenario) -> int:
    """Orders that opened something, as far as prepost remembers."""
    return sum(order.leg == Leg.OPEN for order in world.desk.orders.by_id.values())


def test_while_the_disk_is_full_nothing_opens_and_afterwards_nothing_is_missing() -> None:
    with scenario() as world:
        world.until(world.has_position)
        store: Any = world.house.role("journal")._scribe._disk
        write = store.write

        def full(batch: Any) -> Outcome:
            return Outcome(Result.FAILED, 0, 0, MS, world.time.now_ns, 0, "database or disk is full")

        store.write = full
        world.run_for(ALARM_S)
        before, fills = openings(world), world.fills(SPOT)
        world.run_for(5.0)
        assert openings(world) == before, "nothing new is opened"
        assert world.fills(SPOT) > fills or not world.has_position(), "what is open may be closed"
        store.write = write
        world.run_for(HOLD_S)
        world.until(lambda: openings(world) > before)


def test_a_slow_disk_is_an_alarm_that_lets_nothing_open() -> None:
    with scenario() as world:
        world.until(world.has_position)
        role: Any = world.house.role("journal")
        role._on_slow(world.time.now_ns)  # what a commit that takes too long does; the world's commits take no time
        world.run_for(ALARM_S)
        before = openings(world)
        world.run_for(3.0)
        assert openings(world) == before
        world.until(lambda: openings(world) > before)


@pytest.mark.parametrize("seed", [11, 12, 14, 16])
def test_after_power_cuts_the_journals_profit_is_the_wallets_to_the_last_unit(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(seed, WorldParameters(faults=("power_cut",)))
    account = world.exchange.usdm._accounts[1]  # type: ignore[attr-defined]
    start_e8 = account.wallet_e8
    found: list[int] = []
    check = world.checks.at_quiescence

    def at_quiescence() -> None:
        check()
        with Reader(world.house.journal_path) as reader:
            query = "SELECT sum(realised_pnl_e8 - fee_e8) AS e8 FROM fills WHERE venue = ? AND flags & ? = 0"
            fills = next(reader.rows(query, (f"binance_{USDM}", FLAG_FOREIGN)))["e8"] or 0
            paid = next(reader.rows("SELECT coalesce(sum(amount_e8), 0) AS e8 FROM funding"))["e8"]
        found.append(fills + paid)

    monkeypatch.setattr(world.checks, "at_quiescence", at_quiescence)
    verdict = world.run()
    assert verdict.violation == ""
    assert found == [account.wallet_e8 - start_e8]
    assert dict(verdict.struck).get("power_cut", 0) >= 1
