"""Position arithmetic."""

from hypothesis import given
from hypothesis import strategies as st

from reactor.sim.accounts import Account, Position, notional_cap_usdt
from reactor.sim.symbols import USDM_SYMBOLS

RULES = USDM_SYMBOLS["BTCUSDT"]


@given(fills=st.lists(st.tuples(st.integers(-500, 500).filter(bool), st.integers(500_000, 700_000)), max_size=30))
def test_cost_and_realised_profit_always_sum_to_the_cash_that_moved(fills: list[tuple[int, int]]) -> None:
    position = Position(RULES, "BOTH")
    cash = realised = 0
    for lots, ticks in fills:
        realised += position.apply_fill(lots, ticks)
        cash += RULES.notional_e8(ticks, lots)
        assert position.cost_e8 + -realised == cash
        assert (position.amount_lots == 0) <= (position.cost_e8 == 0), "a flat position has no cost left"
    assert position.realised_e8 == realised


def test_the_break_even_price_contains_the_fees() -> None:
    position = Position(RULES, "BOTH")
    position.apply_fill(1000, 600_000)
    position.fees_e8 = 30 * 10**8
    assert position.break_even_e8() == 60_030 * 10**8
    short = Position(RULES, "BOTH")
    short.apply_fill(-1000, 600_000)
    short.fees_e8 = 30 * 10**8
    assert short.break_even_e8() == 59_970 * 10**8


def test_locks_move_between_free_and_locked() -> None:
    account = Account(1)
    account.asset("USDT").free_e8 = 10
    account.lock("USDT", 7)
    account.release("USDT", 3)
    assert (account.asset("USDT").free_e8, account.asset("USDT").locked_e8) == (6, 4)


def test_more_leverage_means_a_smaller_position() -> None:
    assert [notional_cap_usdt(leverage) for leverage in (1, 20, 125)] == [300_000_000, 40_000_000, 300_000]
