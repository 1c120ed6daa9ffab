"""The plan of misbehaviour."""

from typing import Any

import pytest

from reactor.sim.faults import FaultParameters, FaultPlan, MessageFate, RequestFate


def fates(plan: FaultPlan, count: int = 2_000) -> list[Any]:
    return [plan.market_message() for _ in range(count)]


def test_without_faults_everything_is_as_it_should_be() -> None:
    plan = FaultPlan(FaultParameters())
    assert plan.market_message() == plan.user_message() == MessageFate()
    assert plan.request(is_order=True) == RequestFate()
    assert plan.skew_ns() == 0


def test_the_same_seed_misbehaves_the_same_way() -> None:
    parameters = FaultParameters(seed=4, drop_rate=0.1, duplicate_rate=0.1, reorder_rate=0.1, latency_ms_mean=3.0)
    assert fates(FaultPlan(parameters)) == fates(FaultPlan(parameters))


def test_one_fault_does_not_move_the_others() -> None:
    some = fates(FaultPlan(FaultParameters(drop_rate=0.1)))
    more = fates(FaultPlan(FaultParameters(drop_rate=0.1, reorder_rate=0.5)))
    assert [fate.copies for fate in some] == [fate.copies for fate in more]


def test_rates_are_what_they_say() -> None:
    rows = fates(FaultPlan(FaultParameters(drop_rate=0.2, duplicate_rate=0.25)), 10_000)
    assert sum(row.copies == 0 for row in rows) == pytest.approx(2_000, rel=0.1)
    assert sum(row.copies == 2 for row in rows) == pytest.approx(2_000, rel=0.1)


def test_user_messages_are_never_dropped_or_overtaken() -> None:
    plan = FaultPlan(FaultParameters(drop_rate=1.0, reorder_rate=1.0, duplicate_rate=0.5))
    rows = [plan.user_message() for _ in range(500)]
    assert all(row.copies in (1, 2) and not row.is_overtaken for row in rows)


def test_a_lost_answer_is_a_fault_of_orders_only_and_comes_in_three_kinds() -> None:
    plan = FaultPlan(FaultParameters(answer_lost_rate=1.0))
    assert {plan.request(is_order=True).kind for _ in range(100)} == {"lost_timeout", "lost_unknown", "lost_cut"}
    assert plan.request(is_order=False).kind == "ok"


def test_the_busy_venue_spares_what_reduces() -> None:
    plan = FaultPlan(FaultParameters(busy_rate=1.0))
    assert plan.request(is_order=True).kind == "busy"
    assert plan.request(is_order=True, is_exempt=True).kind == "ok"


def test_a_ban_says_how_long() -> None:
    fate = FaultPlan(FaultParameters(ban_rate=1.0, ban_ms=500.0)).request(is_order=False)
    assert (fate.kind, fate.banned_for_ns) == ("banned", 500_000_000)


def test_latency_is_bounded() -> None:
    rows = fates(FaultPlan(FaultParameters(latency_ms_mean=50.0, latency_ms_max=80.0)))
    assert max(row.delay_ns for row in rows) == 80_000_000
    assert min(row.delay_ns for row in rows) >= 0


def test_a_rate_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="drop_rate"):
        FaultParameters(drop_rate=2.0)
