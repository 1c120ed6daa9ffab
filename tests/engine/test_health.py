"""The score of a connection."""

from reactor.engine.health import Health
from reactor.engine.parameters import HealthParameters

MS = 1_000_000
S = 1_000 * MS


def measured(rtt_ms: float, now_ns: int = S) -> Health:
    health = Health()
    health.on_round_trip(int(rtt_ms * MS), now_ns)
    health.refresh(now_ns)
    return health


def test_a_fast_faultless_connection_has_the_full_score() -> None:
    assert measured(1).score == 100


def test_slower_is_worse() -> None:
    scores = [measured(rtt_ms).score for rtt_ms in (1, 20, 80, 150, 300, 900)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def test_errors_in_a_row_cost_more_each_time_and_make_it_unhealthy() -> None:
    health = measured(1)
    scores = []
    for _ in range(5):
        health.on_error(S)
        scores.append(health.score)
    assert scores == sorted(scores, reverse=True)
    assert not health.is_healthy


def test_an_answer_ends_the_row_of_errors() -> None:
    health = measured(1)
    for _ in range(4):
        health.on_error(S)
    for _ in range(20):
        health.on_round_trip(MS, S)
    assert health.refresh(S) > 90
    assert health.is_healthy


def test_silence_costs_a_little() -> None:
    health = measured(1)
    assert health.refresh(400 * S) == 92


def test_the_round_trip_is_smoothed() -> None:
    health = Health(HealthParameters(smoothing=0.1))
    health.on_round_trip(10 * MS, S)
    health.on_round_trip(20 * MS, S)
    assert health.rtt_ns == 11 * MS
