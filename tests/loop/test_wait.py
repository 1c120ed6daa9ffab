"""When a shard may sleep."""

from reactor.loop.timers import Every
from reactor.loop.wait import SECOND_NS, Waiter, WaitPolicy


def test_block_sleeps_as_soon_as_nothing_was_done():
    waiter = Waiter(WaitPolicy.BLOCK)
    assert not waiter.may_sleep(work=1, now_ns=10)
    assert waiter.may_sleep(work=0, now_ns=11)


def uncrowded(spin_ns: int) -> Waiter:
    waiter = Waiter(WaitPolicy.HYBRID, spin_ns)
    waiter.heed(waited_us=0, now_ns=1)
    waiter.heed(waited_us=0, now_ns=2)
    return waiter


def test_hybrid_spins_for_its_time_after_the_last_work():
    waiter = uncrowded(spin_ns=100)
    assert not waiter.may_sleep(work=1, now_ns=1000)
    assert not waiter.may_sleep(work=0, now_ns=1099)
    assert waiter.may_sleep(work=0, now_ns=1100)


def test_hybrid_does_not_spin_while_others_wait_for_cores():
    waiter = Waiter(WaitPolicy.HYBRID, spin_ns=100 * SECOND_NS)
    assert waiter.may_sleep(work=0, now_ns=SECOND_NS), "nobody has looked yet"
    waited_us = 5_000_000
    seconds = [(0, True), (300_000, True), (200_000, False), (260_000, True)]
    for second, (waited_more_us, gives_way) in enumerate(seconds, start=2):
        now_ns, waited_us = second * SECOND_NS, waited_us + waited_more_us
        assert waiter.wants_pressure(now_ns)
        waiter.heed(waited_us, now_ns)
        assert not waiter.wants_pressure(now_ns + 1)
        assert waiter.may_sleep(work=0, now_ns=now_ns + 1) == gives_way


def test_who_never_or_always_spins_asks_for_no_pressure():
    assert not Waiter(WaitPolicy.BLOCK).wants_pressure(SECOND_NS)
    assert not Waiter(WaitPolicy.SPIN).wants_pressure(SECOND_NS)


def test_spin_never_sleeps():
    waiter = Waiter(WaitPolicy.SPIN)
    assert not waiter.may_sleep(work=0, now_ns=1)
    assert not waiter.may_sleep(work=0, now_ns=10**15)


def test_a_period_is_due_once_and_missed_periods_are_not_made_up():
    every = Every(10)
    assert every.is_due(100)
    assert not every.is_due(109)
    assert every.is_due(175)
    assert not every.is_due(180)
