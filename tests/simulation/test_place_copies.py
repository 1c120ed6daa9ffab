"""Copies of a place (`dangerous_place_copies`) on the whole system: the world's checks see the double, the desk takes it back.

test_router_model.py enumerates the same on a small model; here are the real venue rules, fills, hedges and books.
"""

import pytest

from reactor.sim.world.world import World, WorldParameters

COPIES = ("exchanges.binance.routing.dangerous_place_copies=2",)
MAKER = ("strategy.pair_terms.opens_as_maker=true",)
NAKED_NS = 8_000_000_000


def world_of(*settings: str) -> World:
    return World(1, WorldParameters(seconds=4.0, faults=("none",), settings=settings))


@pytest.mark.parametrize("settings", [(), MAKER], ids=["opens_as_taker", "opens_as_maker"])
def test_the_checks_find_a_decision_that_executes_twice(settings: tuple[str, ...]) -> None:
    assert "executed more than once" in world_of(*COPIES, *settings).run().violation
    assert world_of(*settings).run().violation == ""


def test_a_double_is_detected_and_unwound_and_the_books_are_the_exchanges(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(*COPIES)
    world.checks.allows_doubles = True
    seen = []
    at_quiescence = world.checks.at_quiescence

    def look() -> None:
        seen.append((world.house.role("prepost").desk.duplicates_detected, len(world.checks.doubles(world.exchange.usdm))))
        at_quiescence()

    monkeypatch.setattr(world.checks, "at_quiescence", look)
    verdict = world.run()
    assert verdict.violation == ""
    detected, doubles = seen[0]
    assert detected >= doubles > 0
    assert verdict.naked_ns_max < NAKED_NS
