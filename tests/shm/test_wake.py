"""The bell, and several rings on it. That no wake-up is lost: test_wake_model.py."""

import os

import pytest

from shm.wake import Bell, cancel_sleep, prepare_sleep, wait_for


class FakeRing:
    """A reading side that remembers its flag."""

    def __init__(self, has_work: bool = False) -> None:
        self.has_work, self.is_asleep = has_work, False

    def prepare_sleep(self) -> bool:
        self.is_asleep = not self.has_work
        return self.is_asleep

    def cancel_sleep(self) -> None:
        self.is_asleep = False


def test_a_bell_that_rang_is_heard_once() -> None:
    bell = Bell.make()
    bell.ring()
    bell.ring()
    assert wait_for(bell, 0)
    assert not wait_for(bell, 0)
    bell.close()


def test_a_silent_bell_answers_at_once() -> None:
    bell = Bell.make()
    assert bell.silence() == 0
    bell.close()


def test_a_bell_may_be_rung_through_an_inherited_descriptor() -> None:
    bell = Bell.make()
    Bell(os.dup(bell.fd)).ring()
    assert bell.silence() == 1
    bell.close()


def test_ringing_what_is_no_bell_is_told() -> None:
    bell = Bell.make()
    bell.close()
    with pytest.raises(OSError, match="cannot ring the bell"):
        bell.ring()


def test_every_flag_is_up_before_anyone_sleeps() -> None:
    rings = [FakeRing(), FakeRing()]
    assert prepare_sleep(rings)
    assert all(ring.is_asleep for ring in rings)
    cancel_sleep(rings)
    assert not any(ring.is_asleep for ring in rings)


def test_one_ring_with_work_keeps_everyone_awake_and_lowers_all_flags() -> None:
    rings = [FakeRing(), FakeRing(has_work=True), FakeRing()]
    assert not prepare_sleep(rings)
    assert not any(ring.is_asleep for ring in rings)
