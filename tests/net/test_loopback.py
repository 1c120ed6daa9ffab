"""What goes into the loopback goes nowhere."""

import pytest

from reactor.net.loopback import Loopback


def test_what_was_written_is_taken_away_and_an_empty_one_has_nothing_to_take() -> None:
    loopback = Loopback()
    try:
        loopback.drain()
        for _ in range(2_000):  # More than the kernel would keep.
            assert loopback.near.send(bytes(1_000)) == 1_000
            loopback.drain()
    finally:
        loopback.close()


def fill(loopback: Loopback) -> None:
    for _ in range(100_000):
        loopback.near.send(bytes(10_000))


def test_nobody_waits_for_a_full_one() -> None:
    loopback = Loopback()
    try:
        with pytest.raises(BlockingIOError):
            fill(loopback)
    finally:
        loopback.close()
