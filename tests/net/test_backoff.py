"""Waiting between tries."""

from reactor.net.backoff import Backoff, BackoffParameters

PARAMETERS = BackoffParameters(first_ns=100, longest_ns=1_000)


def test_every_failure_in_a_row_doubles_the_wait_up_to_the_longest() -> None:
    backoff = Backoff(PARAMETERS, lambda: 1.0)
    assert [backoff.next_delay_ns() for _ in range(6)] == [100, 200, 400, 800, 1000, 1000]


def test_jitter_takes_away_up_to_half() -> None:
    assert Backoff(PARAMETERS, lambda: 0.0).next_delay_ns() == 50


def test_success_starts_from_the_first_delay_again() -> None:
    backoff = Backoff(PARAMETERS, lambda: 1.0)
    for _ in range(5):
        backoff.next_delay_ns()
    backoff.reset()
    assert backoff.next_delay_ns() == 100


def test_a_night_of_failures_does_not_overflow() -> None:
    backoff = Backoff(PARAMETERS, lambda: 1.0)
    for _ in range(5_000):
        delay_ns = backoff.next_delay_ns()
    assert delay_ns == 1_000
