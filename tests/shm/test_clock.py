"""The clock is CLOCK_MONOTONIC."""

import time

from shm.clock import monotonic_ns, step_ns


def test_it_is_the_same_clock_as_pythons() -> None:
    before = time.monotonic_ns()
    now = monotonic_ns()
    assert before <= now <= time.monotonic_ns()


def test_a_step_is_a_positive_number_of_nanoseconds() -> None:
    assert 0 < step_ns(1000) < 1_000_000
