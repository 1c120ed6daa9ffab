"""What is listed."""

import pytest

from reactor.domain.units import E8
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS, amount_text


@pytest.mark.parametrize("rules", [*SPOT_SYMBOLS.values(), *USDM_SYMBOLS.values()], ids=repr)
def test_notional_and_texts_are_exact_for_every_symbol(rules) -> None:  # type: ignore[no-untyped-def]
    assert rules.tick_e8 * rules.lot_e8 % E8 == 0, "price times quantity never loses a digit"
    assert rules.price_places == 8 or rules.tick_e8 % 10 ** (8 - rules.price_places) == 0
    assert rules.quantity_places == 8 or rules.lot_e8 % 10 ** (8 - rules.quantity_places) == 0


def test_texts_have_the_places_the_venue_prints() -> None:
    assert SPOT_SYMBOLS["BTCUSDT"].price_text(6_170_012) == "61700.12000000"
    assert USDM_SYMBOLS["BTCUSDT"].price_text(617_001) == "61700.10"
    assert USDM_SYMBOLS["BTCUSDT"].quantity_text(14) == "0.014"
    assert USDM_SYMBOLS["BTCUSDT"].quantity_text(-14) == "-0.014"
    assert USDM_SYMBOLS["SOLUSDT"].quantity_text(14) == "14"
    assert amount_text(-150_000_000, 2) == "-1.50"


def test_the_known_limits_stand_in_the_table() -> None:
    row = USDM_SYMBOLS["BTCUSDT"]
    assert (row.price_text(1), row.quantity_text(1), row.notional_min_e8) == ("0.10", "0.001", 100 * E8)
    row = SPOT_SYMBOLS["BTCUSDT"]
    assert (row.price_text(1), row.quantity_text(1), row.notional_min_e8) == ("0.01000000", "0.00001000", 5 * E8)
