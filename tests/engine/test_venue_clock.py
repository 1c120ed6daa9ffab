"""The venue's clock, estimated with its error."""

from hypothesis import given
from hypothesis import strategies as st

from reactor.engine.parameters import ClockParameters
from reactor.engine.venue_clock import VenueClock

MS = 1_000_000
S = 1_000 * MS
WALL = 1_700_000_000_000 * MS


def sample(clock: VenueClock, offset_ns: int, there_ns: int, back_ns: int, now_ns: int = S) -> None:
    """One question: the venue's clock is ours + offset; it reads it after `there_ns`."""
    venue_ms = (WALL + there_ns + offset_ns) // MS
    clock.observe(WALL, WALL + there_ns + back_ns, venue_ms, now_ns)


@given(
    offset_ms=st.integers(-5_000, 5_000),
    there_us=st.integers(0, 400_000),
    back_us=st.integers(0, 400_000),
    part=st.integers(0, 999),
)
def test_the_true_offset_is_always_within_the_error(offset_ms: int, there_us: int, back_us: int, part: int) -> None:
    clock = VenueClock()
    offset_ns = offset_ms * MS + part * 1_000
    sample(clock, offset_ns, there_us * 1_000, back_us * 1_000)
    assert abs(clock.offset_ns - offset_ns) <= clock.error_ns(S) + 1


def test_the_quickest_answer_counts() -> None:
    clock = VenueClock()
    sample(clock, 20 * MS, 90 * MS, 10 * MS)
    sample(clock, 20 * MS, 1 * MS, 1 * MS)
    sample(clock, 20 * MS, 10 * MS, 70 * MS)
    assert abs(clock.offset_ns - 20 * MS) < 2 * MS


def test_an_old_estimate_becomes_uncertain() -> None:
    clock = VenueClock(ClockParameters(drift_ppm=100))
    sample(clock, 0, 1 * MS, 1 * MS)
    assert clock.is_certain(S, 1_000)
    assert clock.error_ns(S + 1_000 * S) - clock.error_ns(S) == 100 * MS
    assert not clock.is_certain(S + 10_000 * S, 1_000)


def test_without_a_sample_nothing_is_certain() -> None:
    clock = VenueClock()
    assert not clock.is_certain(0, 5_000)
    sample(clock, 0, MS, MS)
    clock.forget()
    assert not clock.is_certain(S, 5_000)


def test_a_short_window_needs_a_better_clock() -> None:
    clock = VenueClock()
    sample(clock, 0, 200 * MS, 200 * MS)
    assert clock.is_certain(S, 1_000)
    assert not clock.is_certain(S, 100)


def test_a_clock_that_was_set_is_noticed_and_the_past_forgotten() -> None:
    clock = VenueClock()
    sample(clock, 0, MS, MS)
    sample(clock, 1_500 * MS, 5 * MS, 5 * MS, 2 * S)
    assert clock.jumps == 1
    assert abs(clock.offset_ns - 1_500 * MS) < 6 * MS


def test_a_sample_across_a_step_of_our_own_clock_is_dropped() -> None:
    clock = VenueClock()
    clock.observe(WALL, WALL - 5 * MS, WALL // MS, S)
    assert not clock.is_measured


def test_our_time_is_told_in_the_venues() -> None:
    clock = VenueClock()
    sample(clock, -1_200 * MS, MS, MS)
    assert abs(clock.venue_ms(WALL) - (WALL // MS - 1_200)) <= 1
