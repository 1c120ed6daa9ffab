"""When a shard may sleep."""

from reactor.loop.timers import Every
from reactor.loop.wait import Waiter, WaitPolicy


def test_block_sleeps_as_soon_as_nothing_was_done():
    waiter = Waiter(WaitPolicy.BLOCK)
    assert not waiter.may_sleep(work=1, now_ns=10)
    assert waiter.may_sleep(work=0, now_ns=11)


def test_hybrid_spins_for_its_time_after_the_last_work():
    waiter = Waiter(WaitPolicy.HYBRID, spin_ns=100)
    assert not waiter.may_sleep(work=1, now_ns=1000)
    assert not waiter.may_sleep(work=0, now_ns=1099)
    assert waiter.may_sleep(work=0, now_ns=1100)


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
