"""What a full ring means: lossless lanes stop their role, state-like signals conflate; against a naive twin."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.domain.messages import SIZE, VIEW, copier, new
from reactor.loop.link import ConflatingSender, LosslessSender
from shm.ring import NORMAL, URGENT, Consumer, Producer, heap_ring


def signal_ring(capacity: int) -> tuple[Producer, Consumer]:
    return heap_ring(capacity, SIZE["signal"], VIEW["signal"])


def conflating(producer: Producer) -> ConflatingSender:
    return ConflatingSender(producer, lambda: new("signal"), copier("signal"))


def send(sender: ConflatingSender, signal_index: int, value: float) -> None:
    message: Any = sender.begin(signal_index)
    message.signal_index, message.values[0] = signal_index, value
    sender.done()


def receive(consumer: Consumer, lane: int = NORMAL) -> list[tuple[int, float]]:
    messages = []
    while (message := consumer.try_peek(lane)) is not None:
        assert message.header.sequence == consumer.sequence(lane)
        messages.append((int(message.signal_index), float(message.values[0])))
    consumer.release(lane)
    return messages


def test_with_room_every_state_is_sent_as_it_comes() -> None:
    producer, consumer = signal_ring(8)
    sender = conflating(producer)
    for value in (1.0, 2.0):
        send(sender, 5, value)
    assert receive(consumer) == [(5, 1.0), (5, 2.0)]
    assert (sender.skipped, sender.waiting) == (0, 0)


def test_without_room_the_newest_state_of_each_index_waits_and_the_skipped_are_counted() -> None:
    producer, consumer = signal_ring(2)
    sender = conflating(producer)
    for value in (1.0, 2.0, 3.0, 4.0):
        send(sender, 5, value)
    send(sender, 6, 9.0)
    assert (sender.skipped, sender.waiting) == (1, 2)
    assert receive(consumer) == [(5, 1.0), (5, 2.0)]
    assert sender.flush() == 2
    assert receive(consumer) == [(5, 4.0), (6, 9.0)]
    assert sender.waiting == 0


def test_of_a_state_of_which_each_value_counts_none_is_skipped_and_who_waits_is_told() -> None:
    producer, consumer = signal_ring(2)
    sender = conflating(producer)
    received = []
    for value in range(9):
        message: Any = sender.begin_each()
        message.signal_index, message.values[0] = 5, value
        sender.done()
        send(sender, 6, value)
    assert (sender.delayed, sender.waiting, sender.is_pressed()) == (8, 9, True)
    for _ in range(9):
        received += receive(consumer)
        sender.flush()
    assert [value for index, value in received if index == 5] == list(range(9))
    assert not sender.is_pressed()


def test_a_new_state_never_overtakes_one_that_waits() -> None:
    producer, consumer = signal_ring(1)
    sender = conflating(producer)
    send(sender, 1, 1.0)
    send(sender, 2, 2.0)
    receive(consumer)
    send(sender, 2, 3.0)
    assert receive(consumer) == [(2, 2.0)], "the older one goes first"
    sender.flush()
    assert receive(consumer) == [(2, 3.0)]


def test_states_do_not_take_the_room_of_the_urgent_lane() -> None:
    producer, consumer = signal_ring(1)
    sender, urgent = conflating(producer), LosslessSender(producer, URGENT)
    send(sender, 1, 1.0)
    send(sender, 1, 2.0)
    assert urgent.has_room(1)
    urgent.claim().signal_index = 7
    urgent.commit()
    assert receive(consumer, URGENT) == [(7, 0.0)]


def test_a_lossless_role_is_told_to_stop_reading_before_it_would_lose() -> None:
    producer, consumer = signal_ring(2)
    sender = LosslessSender(producer)
    assert sender.has_room(2)
    assert not sender.has_room(3)
    assert sender.stalls == 1
    sender.claim()
    sender.claim()
    sender.commit()
    assert not sender.has_room(1)
    assert sender.stalls == 2
    receive(consumer)
    assert sender.has_room(2), "there is room again as soon as the reader has released"


def test_a_lossless_claim_without_room_is_a_mistake_that_is_told() -> None:
    producer, _ = signal_ring(1)
    sender = LosslessSender(producer)
    sender.claim()
    with pytest.raises(AssertionError, match="without room"):
        sender.claim()


@given(st.integers(0, 3).map(lambda power: 2**power), st.lists(st.one_of(st.integers(0, 4), st.none(), st.just("flush"))))
def test_the_conflating_sender_and_its_naive_twin_agree(capacity: int, steps: list[int | str | None]) -> None:
    """The twin: a bounded list for the ring, an ordered dict of what waits. None reads everything."""
    producer, consumer = signal_ring(capacity)
    sender = conflating(producer)
    ring: list[tuple[int, float]] = []
    waiting: dict[int, float] = {}
    skipped = 0
    last_seen: dict[int, float] = {}

    def twin_flush() -> None:
        for index in list(waiting):
            if len(ring) < capacity:
                ring.append((index, waiting.pop(index)))

    for number, step in enumerate(steps):
        if step is None:
            messages = receive(consumer)
            assert messages == ring
            ring.clear()
            for index, value in messages:
                assert value > last_seen.get(index, -1.0), "newer after older"
                last_seen[index] = value
        elif step == "flush":
            sender.flush()
            twin_flush()
        else:
            assert isinstance(step, int)
            send(sender, step, float(number))
            twin_flush()
            if not waiting and len(ring) < capacity:
                ring.append((step, float(number)))
            else:
                skipped += step in waiting
                waiting[step] = float(number)
        assert (sender.waiting, sender.skipped) == (len(waiting), skipped)
