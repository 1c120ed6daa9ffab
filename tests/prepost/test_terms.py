"""Constants of an instrument, roundings, and the size of a clip."""

from hypothesis import given
from hypothesis import strategies as st
from prepost_room import INSTRUMENTS, PERP, SPOT

from reactor.domain.units import E8
from reactor.prepost.terms import Clip, Terms

SPOT_TERMS, PERP_TERMS = Terms(INSTRUMENTS[SPOT]), Terms(INSTRUMENTS[PERP])


def test_lots_round_to_the_nearest_and_half_a_lot_towards_zero():
    lot = PERP_TERMS.lot_base_e8
    assert PERP_TERMS.lots_nearest(lot // 2) == 0
    assert PERP_TERMS.lots_nearest(lot // 2 + 1) == 1
    assert PERP_TERMS.lots_nearest(-lot // 2) == 0
    assert PERP_TERMS.lots_nearest(-lot // 2 - 1) == -1
    assert PERP_TERMS.lots_within(-2 * lot - 1) == -2


def test_prices_cross_from_one_instrument_to_the_other():
    assert PERP_TERMS.ticks_of_e8(SPOT_TERMS.price_e8(6_500_012)) == 650_001


def test_a_reduce_only_order_on_futures_may_be_of_any_notional():
    assert not PERP_TERMS.is_tradable(1, 650_000)
    assert PERP_TERMS.is_tradable(1, 650_000, is_reducing=True)
    assert PERP_TERMS.is_tradable(2, 650_000)
    assert not SPOT_TERMS.is_tradable(7, 6_500_000, is_reducing=True)
    assert SPOT_TERMS.is_tradable(8, 6_500_000)


def test_a_clip_fits_both_legs_steps_and_minimums():
    clip = Clip(50 * E8, (SPOT_TERMS, PERP_TERMS), E8 // 50).base_e8((6_500_000, 650_000))
    assert clip == 200_000, "0.002 BTC: 0.001 would be 65 USDT, below the perpetual's 100"


def test_a_clip_without_a_price_is_nothing():
    assert Clip(50 * E8, (SPOT_TERMS, PERP_TERMS), 0).base_e8((6_500_000, 0)) == 0


@given(st.integers(1_000, 50_000_000), st.integers(-300, 300), st.integers(1, 5_000))
def test_any_clip_is_at_least_what_was_asked_and_tradable_on_both_legs(spot_ticks: int, basis: int, usdt: int):
    perp_ticks = max(1, spot_ticks // 10 + basis)
    if abs(perp_ticks * 10 - spot_ticks) * 100 > spot_ticks * 2:
        return  # Legs more than 2 % apart are no pair.
    clip = Clip(usdt * E8, (SPOT_TERMS, PERP_TERMS), E8 // 20).base_e8((spot_ticks, perp_ticks))
    assert SPOT_TERMS.quote_e8(spot_ticks, clip) >= usdt * E8 - 1
    for terms, ticks in ((SPOT_TERMS, spot_ticks), (PERP_TERMS, perp_ticks)):
        lots, rest = divmod(clip, terms.lot_base_e8)
        assert rest == 0
        assert terms.is_tradable(lots, ticks)
