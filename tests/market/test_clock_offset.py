from reactor.market.clock_offset import ClockEstimate, ClockOffset

MS = 1_000_000


def test_nothing_is_known_before_the_first_answer():
    assert ClockOffset().estimate(5) is None


def test_the_truth_lies_within_the_error_bound():
    for delay_out_ns, delay_back_ns, offset_ns in ((1, 9, 1270), (9, 1, -1270), (5, 5, 0)):
        clock = ClockOffset()
        send_ns = 10_000 * MS
        at_venue_ns = send_ns + delay_out_ns * MS + offset_ns * MS + 300_000
        clock.add(send_ns, send_ns + (delay_out_ns + delay_back_ns) * MS, at_venue_ns // MS)
        estimate = clock.estimate(send_ns)
        assert estimate is not None
        assert estimate.error_ns == 5 * MS + MS // 2
        assert abs(estimate.offset_ns - offset_ns * MS - 300_000) <= estimate.error_ns


def test_the_fastest_answer_counts_until_age_has_made_it_worse():
    clock = ClockOffset()
    assert clock.add(0, 2 * MS, 101)
    assert not clock.add(10 * MS, 30 * MS, 120)
    assert clock.estimate(2 * MS) == ClockEstimate(100 * MS + MS // 2, MS + MS // 2)
    later_ns = 1_000_000 * MS
    assert clock.estimate(later_ns).error_ns > 50 * MS
    assert clock.add(later_ns, later_ns + 20 * MS, 1_000_110)


def test_a_clock_that_was_set_is_believed_at_once():
    clock = ClockOffset()
    clock.add(0, 2 * MS, 1)
    assert clock.add(100 * MS, 120 * MS, 5_110)
    assert clock.estimate(120 * MS).offset_ns == 5_000 * MS + MS // 2


def test_an_answer_that_came_before_it_was_asked_for_is_refused():
    assert not ClockOffset().add(10, 9, 1)
