"""Parts of a grid leave together, or not at all."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reactor.collector.grids import HELD_NS_MAX, PARTS_MAX, GridParts
from reactor.domain.messages import FLAG_LAST_PART, new


def part(signal_id: int, is_last: bool) -> Any:
    signal = new("signal")
    signal.header.signal_id = signal_id
    signal.header.flags = FLAG_LAST_PART if is_last else 0
    return signal


def test_a_grid_of_one_part_goes_straight_through() -> None:
    parts = GridParts()
    only = part(1, True)
    assert parts.add(only, 0) == (only,)
    assert parts.held == 0


def test_a_grid_waits_for_its_last_part() -> None:
    parts = GridParts()
    grid = [part(1, False), part(1, False), part(1, True)]
    assert parts.add(grid[0], 0) == ()
    assert parts.add(grid[1], 0) == ()
    assert parts.held == 2
    assert parts.add(grid[2], 0) == tuple(grid)


def test_a_grid_that_starts_over_drops_its_old_parts() -> None:
    parts = GridParts()
    parts.add(part(1, False), 0)
    fresh = part(2, True)
    assert parts.add(fresh, 0) == (fresh,)
    assert parts.discarded == 1


def test_a_grid_without_end_is_dropped_whole_and_the_next_one_lives() -> None:
    parts = GridParts()
    for _ in range(PARTS_MAX + 5):
        assert parts.add(part(1, False), 0) == ()
    assert parts.add(part(1, True), 0) == ()
    assert parts.discarded == PARTS_MAX + 6
    fresh = part(2, True)
    assert parts.add(fresh, 0) == (fresh,)


def test_parts_without_their_rest_are_given_up_in_time() -> None:
    parts = GridParts()
    parts.add(part(1, False), 1_000)
    parts.drop_late(1_000 + HELD_NS_MAX)
    assert parts.held == 1
    parts.drop_late(1_001 + HELD_NS_MAX)
    assert parts.held == 0
    assert parts.add(part(1, True), 2_000 + HELD_NS_MAX) == (), "the late rest of a dropped grid is no grid"


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=60))
def test_what_comes_out_is_always_one_whole_grid(steps: list[tuple[int, bool]]) -> None:
    parts = GridParts()
    out = 0
    for signal_id, is_last in steps:
        whole = parts.add(part(signal_id, is_last), 0)
        if whole:
            assert {each.header.signal_id for each in whole} == {signal_id}
            assert [bool(each.header.flags & FLAG_LAST_PART) for each in whole] == [False] * (len(whole) - 1) + [True]
        out += len(whole)
    assert out + parts.held + parts.discarded == len(steps), "every part is somewhere"
