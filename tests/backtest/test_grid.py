"""Which points a sweep tries."""

import pytest

from reactor.backtest.grid import axes_of, axis_of, dice, grid, key_of
from reactor.domain.errors import ConfigError


def test_values_are_tried_in_the_order_given_and_stay_whole_where_they_are():
    assert axis_of("window=30,10,30").values == (30, 10)
    assert axis_of("skew=1,0.5").values == (1, 0.5)


def test_a_range_in_steps_holds_both_ends_exactly():
    assert axis_of("skew=0:1:0.1").values == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert axis_of("window=10:30:10").values == (10, 20, 30)


def test_a_grid_is_every_combination_the_last_axis_fastest():
    points = list(grid(axes_of(["a=1,2", "b=5:6:1"])))
    assert points == [{"a": 1, "b": 5}, {"a": 1, "b": 6}, {"a": 2, "b": 5}, {"a": 2, "b": 6}]


def test_dice_fall_the_same_for_the_same_seed_and_more_throws_begin_with_fewer():
    axes = axes_of(["a=1:10:1", "b=0:1", "c=0.001:1:log"])
    assert dice(axes, 20, 7) == dice(axes, 20, 7)
    assert dice(axes, 20, 7)[:5] == dice(axes, 5, 7)
    assert dice(axes, 20, 7) != dice(axes, 20, 8)
    assert all(0 <= point["b"] <= 1 and 0.001 <= point["c"] <= 1 for point in dice(axes, 20, 7))


def test_dice_on_a_small_grid_find_every_point_once_and_end():
    points = dice(axes_of(["a=1,2,3", "b=1,2"]), 100, 1)
    assert len({key_of(point) for point in points}) == len(points) == 6


@pytest.mark.parametrize(
    "text",
    ["a", "a=", "=1", "a=1:0:1", "a=0:1:0", "a=0:1:x", "a=0:1:2:3", "a=0:inf:1", "a=1:0", "a=0:1:log", "a=0:1:0.0000001"],
)
def test_an_axis_that_is_none_is_refused_in_one_sentence(text: str):
    with pytest.raises(ConfigError, match=r"--param a|--param =1"):
        axis_of(text)


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(ConfigError, match="twice"):
        axes_of(["a=1", "a=2"])


def test_a_range_without_steps_needs_dice():
    with pytest.raises(ConfigError, match="--random"):
        grid(axes_of(["a=0:1"]))


def test_a_grid_beyond_all_reason_is_refused_before_it_starts():
    with pytest.raises(ConfigError, match="points; at most"):
        grid(axes_of(["a=0:1000:1", "b=0:1000:1"]))
