"""Bugs put in on purpose: the world must find each of them, and say what is wrong.

They are planted in interpreted code (`make test`): compiled modules call each other without looking at a class anew.
"""

from typing import Any

import pytest

from reactor.compiled import COMPILED, state
from reactor.prepost.hedging import Hedging
from reactor.prepost.orders import FillMemory
from reactor.prepost.quota import Quota
from reactor.prepost.risk import KillSwitchRule
from reactor.sim.world.world import World, WorldParameters

pytestmark = pytest.mark.skipif(state()[0] == COMPILED, reason="hot code is compiled here: CRYPTO_TRADE_INTERPRETED=1")

SEEDS_MAX = 200


def found_within(seeds: int, parameters: WorldParameters | None = None) -> tuple[int, str]:
    """The first seed that finds something, and what it says."""
    for seed in range(1, seeds + 1):
        verdict = World(seed, parameters or WorldParameters()).run()
        if verdict.violation:
            return seed, verdict.violation
    raise AssertionError(f"{seeds} seeds found nothing")


def test_a_fill_that_is_booked_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def try_book(self: Any, index: int, trade_id: int, side: int) -> bool:
        return True

    monkeypatch.setattr(FillMemory, "try_book", try_book)
    _, violation = found_within(SEEDS_MAX)
    assert violation


def test_quota_that_does_not_come_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Quota.restore

    def forgetful(self: Quota, order: Any) -> bool:
        if order.filled_lots == 0:  # Only what was never filled is forgotten.
            order.is_quota_open = False
            return True
        return restore(self, order)

    monkeypatch.setattr(Quota, "restore", forgetful)
    _, violation = found_within(SEEDS_MAX)
    assert "quota" in violation


def test_a_hedge_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Hedging.work

    def forgetful(self: Hedging, pair: Any, *arguments: Any) -> Any:
        if pair.sequence == 2:  # One round trip in a while.
            return None
        return work(self, pair, *arguments)

    monkeypatch.setattr(Hedging, "work", forgetful)
    _, violation = found_within(SEEDS_MAX)
    assert violation


def test_a_forced_close_taken_for_a_strangers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first bug that the world found by itself (see tests/exchanges/binance/test_answers.py).
    monkeypatch.setattr("reactor.exchanges.binance.answers.FORCED_PREFIXES", ("nothing-",))
    _, violation = found_within(SEEDS_MAX)
    assert "the journal lacks" in violation or "naked" in violation or "HALTED" in violation


def test_orders_that_open_while_halted_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KillSwitchRule, "check", lambda self, decision: 0)
    _, violation = found_within(SEEDS_MAX, WorldParameters(faults=("operator",)))
    assert "opens although" in violation
