"""The OBI market maker as a function: a book, a position and a time in; wishes out."""

from dataclasses import replace

import pytest

from reactor.factors.kernels import integer_rows
from reactor.strategies.obi_market_making import ObiParameters, decide, obi_memory, obi_numbers
from reactor.strategies.strategy import WISH_QUOTE, WISHES_MAX, MarketView, Scale

SCALE = Scale(0.1, 0.001)
PARAMETERS = ObiParameters(
    window=5, volatility_window=5, volatility_samples_min=2, stop_window=5, grid_num=2, grid_interval=1.0
)
STEP_NS = 200_000_000


class EvenDepth:
    """The same quantity on both sides, however far one looks."""

    def quantity_within(self, side: int, limit_ticks: int) -> int:
        return 1000


def view(position_lots: int = 0, bid_ticks: int = 600_000) -> MarketView:
    return MarketView(EvenDepth(), bid_ticks, 10, bid_ticks + 1, 10, position_lots, 0, 0)


def quotes_after_warm_up(parameters: ObiParameters = PARAMETERS, position_lots: int = 0) -> list[tuple[int, int]]:
    numbers, memory, wishes = obi_numbers(parameters, SCALE), obi_memory(parameters), integer_rows(WISHES_MAX, 3)
    count = 0
    for number in range(40):
        count = decide(view(position_lots, 600_000 + number % 2), number * STEP_NS, numbers, memory, wishes)
    assert all(wishes[row][2] == WISH_QUOTE for row in range(count))
    return sorted((int(wishes[row][0]), int(wishes[row][1])) for row in range(count))


def test_while_it_warms_up_it_wants_nothing():
    numbers, memory = obi_numbers(PARAMETERS, SCALE), obi_memory(PARAMETERS)
    assert decide(view(), 0, numbers, memory, integer_rows(WISHES_MAX, 3)) == 0


def test_an_even_book_is_quoted_on_both_sides_on_multiples_of_the_interval():
    quotes = quotes_after_warm_up()
    assert [quantity > 0 for _, quantity in quotes] == [True, True, False, False]
    assert all(price % 10 == 0 for price, _ in quotes)
    assert max(price for price, quantity in quotes if quantity > 0) < 600_000
    assert min(price for price, quantity in quotes if quantity < 0) > 600_001


def test_a_long_position_lowers_both_sides():
    lean = replace(PARAMETERS, skew=5.0)
    flat, long = quotes_after_warm_up(lean), quotes_after_warm_up(lean, position_lots=2)
    assert all(lower[0] < price[0] for lower, price in zip(long, flat, strict=True))


def test_held_and_quoted_together_never_pass_the_limit():
    quotes = quotes_after_warm_up(replace(PARAMETERS, max_position=0.004), position_lots=4)
    assert all(quantity < 0 for _, quantity in quotes)


@pytest.mark.parametrize(
    ("name", "value"), [("order_qty", 0.0), ("grid_num", 25), ("looking_depth", 1.0), ("half_spread", -1.0)], ids=str
)
def test_a_parameter_that_makes_no_sense_is_refused_by_its_name(name: str, value: float):
    with pytest.raises(ValueError, match=name):
        replace(PARAMETERS, **{name: value})


def test_a_quantity_below_one_lot_is_refused():
    with pytest.raises(ValueError, match="order_qty"):
        obi_numbers(replace(PARAMETERS, order_qty=0.0001), SCALE)
