"""Request budgets on the venue's clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.exchanges.venue import RateLimit, RateLimitKind
from reactor.net.rate_limit import RateBudget, RateBudgetParameters

ORDERS = RateLimit(RateLimitKind.ORDERS, 10_000, 100)
WEIGHT = RateLimit(RateLimitKind.WEIGHT, 60_000, 1000)
ALL_OURS = RateBudgetParameters(share=1.0, reserve=0.2)


def test_windows_begin_with_the_venues_full_ten_seconds() -> None:
    budget = RateBudget([ORDERS], ALL_OURS)
    assert all(budget.try_spend(0, 1, 19_999, is_urgent=True) for _ in range(100))
    assert not budget.try_spend(0, 1, 19_999, is_urgent=True)
    assert budget.try_spend(0, 1, 20_000, is_urgent=True)


def test_the_reserve_is_for_urgent_requests_only() -> None:
    budget = RateBudget([ORDERS], ALL_OURS)
    assert all(budget.try_spend(0, 1, 0, is_urgent=False) for _ in range(80))
    assert not budget.try_spend(0, 1, 0, is_urgent=False)
    assert all(budget.try_spend(0, 1, 0, is_urgent=True) for _ in range(20))


def test_a_refused_request_costs_nothing() -> None:
    budget = RateBudget([ORDERS, WEIGHT], ALL_OURS)
    assert not budget.try_spend(2000, 1, 0, is_urgent=True)
    assert all(budget.try_spend(0, 1, 0, is_urgent=True) for _ in range(100))


def test_only_a_share_of_the_hosts_budget_is_ours() -> None:
    budget = RateBudget([WEIGHT], RateBudgetParameters(share=0.5, reserve=0.0))
    assert budget.try_spend(500, 0, 0, is_urgent=True)
    assert not budget.try_spend(1, 0, 0, is_urgent=True)


def test_what_others_on_the_same_address_used_counts_too() -> None:
    budget = RateBudget([WEIGHT], RateBudgetParameters(share=0.5, reserve=0.0))
    budget.observe(RateLimitKind.WEIGHT, 60_000, 995, 0)
    assert budget.try_spend(5, 0, 0, is_urgent=True)
    assert not budget.try_spend(1, 0, 0, is_urgent=True)
    assert budget.try_spend(1, 0, 60_000, is_urgent=True)


def test_above_the_ceiling_of_the_address_only_what_is_urgent_goes() -> None:
    budget = RateBudget([WEIGHT], RateBudgetParameters(share=1.0, reserve=0.0, ceiling=0.6))
    budget.observe(RateLimitKind.WEIGHT, 60_000, 590, 0)
    assert not budget.try_spend(20, 0, 0, is_urgent=False)
    assert budget.try_spend(10, 0, 0, is_urgent=False)
    assert budget.try_spend(400, 0, 0, is_urgent=True)
    assert not budget.try_spend(1, 0, 0, is_urgent=True)
    assert budget.try_spend(600, 0, 60_000, is_urgent=False)


def test_after_a_stop_order_nothing_goes_until_it_ends() -> None:
    budget = RateBudget([WEIGHT], ALL_OURS)
    budget.block_until(5_000, is_ban=True)
    assert not budget.try_spend(1, 0, 4_999, is_urgent=True)
    assert budget.is_banned(4_999)
    assert budget.blocked_until_ms(4_999) == 5_000
    assert budget.try_spend(1, 0, 5_000, is_urgent=True)
    assert not budget.is_banned(5_000)


def test_without_limits_everything_may_go() -> None:
    assert RateBudget([]).try_spend(10**9, 10**9, 0, is_urgent=False)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(0, 3_000), st.booleans()), max_size=200))
def test_no_window_of_the_venue_is_ever_overrun(steps: list[tuple[int, int, int, bool]]) -> None:
    budget = RateBudget([ORDERS, WEIGHT], ALL_OURS)
    now_ms = 0
    spent: dict[tuple[int, int], int] = {}
    for weight, orders, elapsed_ms, is_urgent in steps:
        now_ms += elapsed_ms
        if budget.try_spend(weight, orders, now_ms, is_urgent=is_urgent):
            for limit, cost in ((ORDERS, orders), (WEIGHT, weight)):
                key = (limit.kind, now_ms // limit.interval_ms)
                spent[key] = spent.get(key, 0) + cost
    assert all(cost <= (ORDERS.limit if kind == RateLimitKind.ORDERS else WEIGHT.limit) for (kind, _), cost in spent.items())


def test_a_clock_ahead_of_the_venues_does_not_shut_us_out_for_one_more_minute() -> None:
    # World seed 24106: the host's clock had jumped ahead by 2.7 s, a refusal of the venue's old minute was counted into our new
    # one, and nothing was asked until that was over: no session for a minute in which the venue would have answered.
    budget = RateBudget([WEIGHT], ALL_OURS)
    ours_ms = 60_700  # The venue's is 58_000.
    budget.observe(RateLimitKind.WEIGHT, 60_000, 1000, ours_ms)
    budget.block_until(ours_ms + 2_000)
    assert not budget.try_spend(1, 0, ours_ms + 1_999, is_urgent=True)
    assert budget.try_spend(1, 0, ours_ms + 2_000, is_urgent=True)


def test_a_day_that_is_not_full_goes_on_after_a_refusal() -> None:
    day = RateLimit(RateLimitKind.ORDERS, 86_400_000, 100)
    budget = RateBudget([WEIGHT, day], ALL_OURS)
    assert budget.try_spend(0, 90, 0, is_urgent=True)
    budget.block_until(5_000)
    assert not budget.try_spend(0, 11, 5_000, is_urgent=True)


@pytest.mark.parametrize("kind", list(RateLimitKind))
def test_each_kind_is_counted_in_its_own_unit(kind: RateLimitKind) -> None:
    budget = RateBudget([RateLimit(kind, 1_000, 10)], ALL_OURS)
    fits = {RateLimitKind.WEIGHT: (10, 99), RateLimitKind.ORDERS: (99, 10), RateLimitKind.REQUESTS: (99, 99)}[kind]
    assert budget.try_spend(*fits, 0, is_urgent=True)
