"""Pools against a naive twin: a list of what is taken."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm._native import ffi
from shm.pool import NONE, Pool


def word_view(address: int) -> Any:
    return ffi.cast("uint64_t *", address)


def test_an_object_is_zeroed_when_it_is_taken() -> None:
    pool = Pool(1, 64, word_view)
    index = pool.take()
    pool.view(index)[7] = 5
    pool.free(index)
    assert pool.take() == index
    assert pool.view(index)[7] == 0


def test_objects_do_not_overlap() -> None:
    pool = Pool(5, 128, word_view)
    indices = [pool.take() for _ in range(5)]
    for index in indices:
        for word in range(16):
            pool.view(index)[word] = index + 1
    assert all(pool.view(index)[word] == index + 1 for index in indices for word in range(16))


def test_a_used_up_pool_says_none_and_has_room_again_after_a_free() -> None:
    pool = Pool(2, 64, word_view)
    first, second = pool.take(), pool.take()
    assert pool.take() == NONE
    pool.free(first)
    assert pool.take() == first
    assert {first, second} == {0, 1}


def test_an_object_freed_twice_is_a_mistake_that_is_told() -> None:
    pool = Pool(2, 64, word_view)
    index = pool.take()
    pool.free(index)
    with pytest.raises(AssertionError, match="freed once"):
        pool.free(index)
    assert [pool.take(), pool.take(), pool.take()] == [0, 1, NONE]


@given(st.lists(st.integers(-4, 4), max_size=80))
def test_the_pool_and_a_set_agree(steps: list[int]) -> None:
    pool, taken, taken_max = Pool(4, 64, word_view), [], 0
    for step in steps:
        if step >= 0:
            index = pool.take()
            assert (index == NONE) == (len(taken) == 4)
            assert index not in taken
            if index != NONE:
                taken.append(index)
        elif taken:
            pool.free(taken.pop(step % len(taken)))
        taken_max = max(taken_max, len(taken))
        assert pool.taken == len(taken)
        assert pool.taken_max == taken_max
        assert all(pool.is_taken(index) == (index in taken) for index in range(4))
