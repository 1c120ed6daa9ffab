"""The clock is CLOCK_MONOTONIC."""

import time

from shm.clock import gaps_ns, monotonic_ns, step_ns


def test_it_is_the_same_clock_as_pythons() -> None:
    before = time.monotonic_ns()
    now = monotonic_ns()
    assert before <= now <= time.monotonic_ns()


def test_a_step_is_a_positive_number_of_nanoseconds() -> None:
    assert 0 < step_ns(1000) < 1_000_000


def test_gaps_are_at_least_as_long_as_asked_and_counted() -> None:
    gaps, count, readings = gaps_ns(2_000_000, 100_000)
    assert count == len(gaps)
    assert all(gap >= 100_000 for gap in gaps)
    assert readings > 0
    every, count, readings = gaps_ns(100_000, 0)
    assert count == readings == len(every)
