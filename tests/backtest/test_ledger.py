"""Money counted fill by fill, in integers."""

from typing import Any

import numpy as np
import pytest

from reactor.backtest.host import instrument_of
from reactor.backtest.ledger import Account, FundingTime, Money, account_of
from reactor.backtest.machine import FILL_DTYPE, SAMPLE_DTYPE
from reactor.backtest.market import Market
from reactor.backtest.parameters import AssetParameters
from reactor.domain.units import E8

LINEAR = AssetParameters("X", (), tick_size=0.1, lot_size=0.001, maker_fee=0.0002, taker_fee=0.0005)
INVERSE = AssetParameters("Y", (), tick_size=0.1, lot_size=1.0, contract_size=100.0, is_inverse=True, maker_fee=0.0001)


def instrument(asset: AssetParameters) -> Any:
    return instrument_of(0, Market(asset, (), 0, 1, 0, 0, 0))


def account(asset: AssetParameters, fills: list[Any], samples: list[Any], funding: list[FundingTime] | None = None) -> Account:
    """fills: (seen_ns, ticks, lots, is_maker); samples: (now_ns, bid, ask)."""
    taken = np.array([(seen, seen, 0, 1, ticks, lots, maker) for seen, ticks, lots, maker in fills], FILL_DTYPE)
    seen = np.array([(now, 0, bid, ask, 0, 0) for now, bid, ask in samples], SAMPLE_DTYPE)
    return account_of(instrument(asset), asset, 0, taken, seen, funding or [])


def test_a_round_trip_earns_the_difference_and_pays_both_fees():
    got = account(LINEAR, [(10, 600_000, 5, 1), (20, 600_100, -5, 0)], [(15, 600_040, 600_060), (30, 600_000, 600_002)])
    open_, closed = got.points
    assert open_.position_lots == 5
    assert open_.gross_e8 == round(0.005 * 5.0 * E8)  # mid 60 005.0
    assert closed.gross_e8 == round(0.005 * 10.0 * E8)
    assert closed.fees_e8 == round(0.005 * 60_000 * 0.0002 * E8) + round(0.005 * 60_010 * 0.0005 * E8)
    assert closed.net_e8 == closed.gross_e8 - closed.fees_e8
    assert (got.totals.fills, got.totals.maker_fills, got.totals.bought_lots, got.totals.sold_lots) == (2, 1, 5, 5)


def test_a_short_of_an_inverse_contract_earns_coins_when_the_price_falls():
    got = account(INVERSE, [(10, 600_000, -10, 1), (20, 500_000, 10, 1)], [(30, 499_999, 500_001)])
    assert got.points[0].gross_e8 == round((1000 / 50_000 - 1000 / 60_000) * E8)
    assert got.points[0].fees_e8 == round(1000 / 60_000 * 0.0001 * E8) + round(1000 / 50_000 * 0.0001 * E8)


def test_a_fill_counts_from_the_sample_after_it_was_seen():
    got = account(LINEAR, [(10, 600_000, 5, 1)], [(9, 600_000, 600_002), (10, 600_000, 600_002)])
    assert [point.position_lots for point in got.points] == [0, 5]


@pytest.mark.parametrize(
    ("lots", "rate", "sign"), [(5, 0.0001, -1), (5, -0.0001, 1), (-5, 0.0001, 1), (-5, -0.0001, -1), (0, 0.0001, 0)]
)
def test_longs_pay_shorts_while_the_rate_is_above_zero(lots: int, rate: float, sign: int):
    fills = [(10, 600_000, lots, 1)] if lots else []
    samples = [(20, 600_000, 600_000), (40, 600_000, 600_000)]
    got = account(LINEAR, fills, samples, [FundingTime(30, round(rate * E8))])
    assert [payment.amount_e8 for payment in got.funding] == [sign * round(300 * 0.0001 * E8)]
    assert got.points[-1].funding_e8 == got.funding[0].amount_e8
    assert got.points[0].funding_e8 == 0


def test_funding_outside_the_data_is_not_booked():
    samples = [(20, 600_000, 600_000), (40, 600_000, 600_000)]
    assert account(LINEAR, [(10, 600_000, 5, 1)], samples, [FundingTime(19, 1), FundingTime(41, 1)]).funding == ()


def test_amounts_are_rounded_to_the_nearest_unit_on_both_kinds():
    assert Money(instrument(LINEAR), LINEAR).amount_e8(2 * 600_001, 7) == round(60_000.1 * 0.007 * E8)
    assert Money(instrument(INVERSE), INVERSE).amount_e8(2 * 617_243, 3) == round(300 / 61_724.3 * E8)
