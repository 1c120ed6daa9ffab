"""The ring in private memory: what each call promises, how successors take over, and a naive twin under random operations."""

import gc
import sys
from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shm._native import ffi, lib
from shm.ring import NORMAL, URGENT, Consumer, Dormitory, Producer, RingError, Watch, heap_ring, join
from shm.segment import HeapSegment

SLOT_SIZE = 64


def word_view(address: int) -> Any:
    return ffi.cast("uint64_t *", address)


def new_producer(capacity: int, lanes: int = 2, slot_size: int = SLOT_SIZE, wake_fd: int = -1) -> Producer:
    own = HeapSegment(lib.ring_producer_segment_size(lanes, capacity, slot_size))
    return Producer("test", own, capacity, slot_size, word_view, lanes, wake_fd, None)


def new_consumer(capacity: int, lanes: int = 2, slot_size: int = SLOT_SIZE) -> Consumer:
    own = HeapSegment(lib.ring_consumer_segment_size())
    return Consumer("test", own, capacity, slot_size, word_view, lanes, None)


def send(producer: Producer, value: int, lane: int = NORMAL) -> bool:
    view = producer.try_claim(lane)
    if view is None:
        return False
    view[0], view[1] = value, producer.sequence(lane)
    producer.commit(lane)
    return True


def receive(consumer: Consumer, lane: int = NORMAL) -> list[int]:
    values = []
    while (view := consumer.try_peek(lane)) is not None:
        assert view[1] == consumer.sequence(lane), "the writer's and the reader's numbers agree"
        values.append(int(view[0]))
    return values


def test_what_is_committed_is_peeked_in_order_with_its_sequence() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    for value in (5, 6, 7):
        assert send(producer, value)
    assert receive(consumer) == [5, 6, 7]
    assert consumer.sequence() == 3


def test_a_claimed_slot_is_invisible_until_it_is_committed() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    producer.try_claim()[0] = 1
    assert consumer.try_peek() is None
    producer.commit()
    assert consumer.try_peek()[0] == 1


def test_one_commit_publishes_every_slot_claimed_on_its_lane_and_none_of_the_other() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    for lane in (NORMAL, NORMAL, URGENT):
        view = producer.try_claim(lane)
        view[0], view[1] = 9, producer.sequence(lane)
    producer.commit(NORMAL)
    assert consumer.pending(NORMAL) == 2
    assert consumer.pending(URGENT) == 0


def test_a_full_ring_stops_the_producer_and_loses_nothing() -> None:
    producer, consumer = heap_ring(4, SLOT_SIZE, word_view)
    assert [send(producer, value) for value in range(6)] == [True] * 4 + [False] * 2
    assert producer.free() == 0
    assert receive(consumer) == [0, 1, 2, 3]
    assert producer.try_claim() is None, "peeked slots are still in the reader's hands"
    consumer.release()
    assert producer.free() == 4
    assert send(producer, 4)
    assert receive(consumer) == [4]


def test_a_released_slot_is_used_again_and_the_others_are_not() -> None:
    producer, consumer = heap_ring(2, SLOT_SIZE, word_view)
    assert send(producer, 1)
    assert send(producer, 2)
    first = consumer.try_peek()
    consumer.release()
    second = consumer.try_peek()
    assert send(producer, 3)
    assert first[0] == 3, "the first slot was given back, so it carries the third message"
    assert second[0] == 2, "the second was not"


def test_sequences_go_on_when_the_ring_wraps() -> None:
    producer, consumer = heap_ring(4, SLOT_SIZE, word_view)
    for value in range(1000):
        assert send(producer, value)
        assert receive(consumer) == [value]
        consumer.release()
    assert consumer.sequence() == 1000


def words_of(room: memoryview, count: int) -> list[int]:
    return [int.from_bytes(room[at * SLOT_SIZE : at * SLOT_SIZE + 8], "little") for at in range(count)]


def test_a_batch_is_copied_in_order_over_the_end_of_the_ring_and_stays_until_it_is_released() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    room = memoryview(bytearray(6 * SLOT_SIZE))
    sent = 0
    seen: list[int] = []
    for _ in range(5):
        while send(producer, sent):
            sent += 1
        count = consumer.peek_into(room)
        assert count == 6, "as many as there is room for"
        assert producer.free() == 0
        seen += words_of(room, count)
        consumer.release()
        assert producer.free() == 6
    assert seen == list(range(30))
    assert consumer.peek_into(room) == 2
    assert consumer.peek_into(room) == 0


def test_batches_go_over_to_a_successor_of_the_producer_when_its_ring_is_dry() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    room = memoryview(bytearray(8 * SLOT_SIZE))
    send(producer, 1)
    successor = new_producer(8)
    consumer.offer(successor.own_segment)
    assert successor.meet(consumer.own_segment)
    assert consumer.meet(successor.own_segment)
    send(successor, 2)
    assert words_of(room, consumer.peek_into(room)) == [1]
    assert consumer.peek_into(room) == 0, "what is held is the dead one's"
    consumer.release()
    assert words_of(room, consumer.peek_into(room)) == [2]


def test_a_watch_tells_which_of_several_lanes_hold_something() -> None:
    links = [heap_ring(8, SLOT_SIZE, word_view) for _ in range(3)]
    watch = Watch([(consumer, lane) for _, consumer in links for lane in (URGENT, NORMAL)])
    assert watch.unread() == 0
    send(links[0][0], 1, NORMAL)
    send(links[2][0], 2, URGENT)
    assert watch.unread() == 0b010010
    receive(links[0][1])
    assert watch.unread() == 0b010000, "what was handed out is read, released or not"


def test_a_watch_sees_a_lane_that_has_a_successor_to_go_over_to() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    watch = Watch([(consumer, NORMAL)])
    send(producer, 1)
    successor = new_producer(8)
    consumer.offer(successor.own_segment)
    assert successor.meet(consumer.own_segment)
    assert consumer.meet(successor.own_segment)
    send(successor, 2)
    assert receive(consumer) == [1]
    assert watch.unread() == 0, "what is held is the dead one's"
    consumer.release()
    assert watch.unread() == 1
    assert receive(consumer) == [2]


def test_readers_that_sleep_together_all_sleep_or_none_does() -> None:
    links = [heap_ring(8, SLOT_SIZE, word_view) for _ in range(3)]
    dormitory = Dormitory([consumer for _, consumer in links])
    assert dormitory.prepare_sleep()
    dormitory.cancel_sleep()
    send(links[1][0], 1)
    assert not dormitory.prepare_sleep()
    assert links[0][1].prepare_sleep(), "every flag is down again"
    links[0][1].cancel_sleep()
    send(links[1][0], 2)
    links[1][1].try_peek()
    assert not dormitory.prepare_sleep(), "one is not handed out"
    receive(links[1][1])
    assert dormitory.prepare_sleep()


def test_lanes_do_not_fill_each_other() -> None:
    producer, consumer = heap_ring(2, SLOT_SIZE, word_view)
    while send(producer, 1, NORMAL):
        pass
    assert send(producer, 2, URGENT), "an urgent message finds room although the normal lane is full"
    assert receive(consumer, URGENT) == [2]


def test_free_and_pending_count_what_a_claim_and_a_peek_would_get() -> None:
    producer, consumer = heap_ring(256, SLOT_SIZE, word_view)
    assert producer.free() == 256
    send(producer, 1)
    assert producer.free() == 255
    send(producer, 2)
    consumer.try_peek()
    assert consumer.pending() == 1


@pytest.mark.parametrize(
    ("capacity", "slot_size", "complaint"),
    [(6, 64, "power of two"), (0, 64, "power of two"), (8, 60, "slots of another size"), (8, 0, "slots of another size")],
    ids=["capacity not a power of two", "no capacity", "slot not whole cache lines", "no slot"],
)
def test_an_impossible_shape_is_refused_with_a_sentence(capacity: int, slot_size: int, complaint: str) -> None:
    with pytest.raises(RingError, match=complaint):
        heap_ring(capacity, slot_size, word_view)


@pytest.mark.parametrize(
    ("byte", "complaint"),
    [(0, "not a ring of this system"), (8, "another version"), (16, "slots of another size"), (24, "another capacity")],
    ids=["magic", "version", "slot size", "capacity"],
)
def test_a_partner_of_another_kind_is_refused_with_a_sentence(byte: int, complaint: str) -> None:
    producer, consumer = new_producer(8), new_consumer(8)
    own = producer.own_segment
    ffi.cast("uint8_t *", own.address)[byte] ^= 0x40
    with pytest.raises(RingError, match=complaint):
        consumer.offer(own)


def test_a_partner_with_other_lanes_or_slots_is_refused_with_a_sentence() -> None:
    with pytest.raises(RingError, match="another number of lanes"):
        join(new_producer(8, lanes=1), new_consumer(8, lanes=2))
    with pytest.raises(RingError, match="slots of another size"):
        join(new_producer(8, slot_size=128), new_consumer(8))
    with pytest.raises(RingError, match="another capacity"):
        join(new_producer(8), new_consumer(16))


def test_a_damaged_consumer_cannot_make_the_producer_overwrite_unread_messages() -> None:
    producer, consumer = heap_ring(4, SLOT_SIZE, word_view)
    while send(producer, 7):
        pass
    released = ffi.cast("uint64_t *", consumer.own_segment.address + 64)
    released[0] = 1 << 40
    assert producer.try_claim() is None
    assert producer.state == lib.RING_BAD_CURSOR
    assert not producer.is_connected


def test_a_damaged_producer_is_noticed_and_not_read() -> None:
    producer, consumer = heap_ring(4, SLOT_SIZE, word_view)
    published = ffi.cast("uint64_t *", producer.own_segment.address + 64)
    published[0] = 5
    assert consumer.try_peek() is None
    assert consumer.state == lib.RING_BAD_CURSOR


def test_a_successor_of_a_damaged_consumer_starts_where_the_damage_was_noticed() -> None:
    producer, damaged = heap_ring(4, SLOT_SIZE, word_view)
    send(producer, 1)
    send(producer, 2)
    ffi.cast("uint64_t *", damaged.own_segment.address + 64)[0] = 1 << 40
    successor = new_consumer(4)
    join(producer, successor)
    assert receive(successor) == [1, 2]
    assert producer.is_connected


def test_a_successor_of_a_damaged_producer_continues_after_the_last_message_that_was_sound() -> None:
    damaged, consumer = heap_ring(4, SLOT_SIZE, word_view)
    send(damaged, 1)
    assert receive(consumer) == [1]
    ffi.cast("uint64_t *", damaged.own_segment.address + 64)[0] = 1 << 40
    assert consumer.try_peek() is None
    successor = new_producer(4)
    join(successor, consumer)
    consumer.release()
    assert send(successor, 2)
    assert successor.sequence() == 2
    assert receive(consumer) == [2]


def test_nobody_claims_or_peeks_before_both_sides_have_met() -> None:
    producer, consumer = new_producer(8), new_consumer(8)
    assert producer.try_claim() is None
    assert producer.free() == 0
    assert consumer.try_peek() is None
    assert consumer.prepare_sleep()
    consumer.cancel_sleep()
    assert not producer.meet(consumer.own_segment), "no offer yet"
    consumer.offer(producer.own_segment)
    assert not consumer.meet(producer.own_segment), "no confirmation yet"
    assert producer.meet(consumer.own_segment)
    assert consumer.meet(producer.own_segment)
    assert consumer.recovered() == (0, 0, 0)
    assert send(producer, 1)
    assert receive(consumer) == [1]


def test_a_successor_of_the_consumer_sees_what_was_not_released_again_and_nothing_else() -> None:
    producer, dead = heap_ring(8, SLOT_SIZE, word_view)
    for value in range(6):
        send(producer, value)
    for _ in range(2):
        dead.try_peek()
    dead.release()
    dead.try_peek()
    successor = new_consumer(8)
    join(producer, successor)
    released, peeked, published = successor.recovered()
    assert released == 2
    assert peeked == 3, "what was handed out, and no more"
    assert published == 6
    assert receive(successor) == [2, 3, 4, 5]


def test_a_successor_of_the_consumer_learns_exactly_what_was_handed_out() -> None:
    producer = new_producer(8)
    dead = new_consumer(8)
    join(producer, dead)
    for value in range(6):
        send(producer, value)
    for _ in range(3):
        dead.try_peek()
    successor = new_consumer(8)
    join(producer, successor)
    assert successor.recovered() == (0, 3, 6)


def test_what_a_dead_consumer_had_peeked_stays_peeked_for_the_successor_of_its_successor() -> None:
    producer, first = heap_ring(8, SLOT_SIZE, word_view)
    for value in range(5):
        send(producer, value)
    for _ in range(3):
        first.try_peek()
    second = new_consumer(8)
    join(producer, second)
    second.try_peek()
    third = new_consumer(8)
    join(producer, third)
    assert third.recovered() == (0, 3, 5)


def test_a_full_ring_stays_full_until_the_successor_releases() -> None:
    producer, _dead = heap_ring(4, SLOT_SIZE, word_view)
    while send(producer, 1):
        pass
    successor = new_consumer(4)
    join(producer, successor)
    assert producer.free() == 0
    assert receive(successor) == [1] * 4
    successor.release()
    assert producer.free() == 4


def test_a_successor_of_the_producer_continues_the_numbers_and_the_old_messages_come_first() -> None:
    dead, consumer = heap_ring(8, SLOT_SIZE, word_view)
    for value in range(3):
        send(dead, value)
    dead.try_claim()[0] = 99  # Claimed, never committed: the producer died before.
    successor = new_producer(8)
    join(successor, consumer)
    assert send(successor, 3)
    assert successor.sequence() == 4
    assert receive(consumer) == [0, 1, 2], "the lane goes over when the last one is released"
    consumer.release()
    assert receive(consumer) == [3]


def test_unreleased_messages_of_a_dead_producer_count_against_the_successors_room() -> None:
    dead, consumer = heap_ring(4, SLOT_SIZE, word_view)
    for value in range(3):
        send(dead, value)
    successor = new_producer(4)
    join(successor, consumer)
    assert successor.free() == 1
    receive(consumer)
    consumer.release()
    assert successor.free() == 4


def test_lanes_go_over_to_a_successors_segment_one_by_one() -> None:
    dead, consumer = heap_ring(8, SLOT_SIZE, word_view)
    send(dead, 1, NORMAL)
    successor = new_producer(8)
    join(successor, consumer)
    send(successor, 2, URGENT)
    assert receive(consumer, URGENT) == [2], "the dry lane need not wait for the other"
    assert receive(consumer, NORMAL) == [1]


def test_a_side_that_was_replaced_notices_it() -> None:
    producer, old_consumer = heap_ring(8, SLOT_SIZE, word_view)
    join(producer, new_consumer(8))
    assert old_consumer.state == lib.RING_REPLACED
    assert not old_consumer.is_connected
    old_producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    join(new_producer(8), consumer)
    assert old_producer.state == lib.RING_REPLACED


def test_when_both_sides_die_all_is_new() -> None:
    producer, _ = heap_ring(8, SLOT_SIZE, word_view)
    send(producer, 1)
    producer, consumer = new_producer(8), new_consumer(8)
    join(producer, consumer)
    assert consumer.recovered() == (0, 0, 0)
    assert producer.sequence() == 0


def test_a_sleeping_consumer_is_rung_once_and_an_awake_one_never() -> None:
    from shm.wake import Bell

    bell = Bell.make()
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view, wake_fd=bell.fd)
    send(producer, 1)
    assert bell.silence() == 0
    assert not consumer.prepare_sleep(), "there is something to read"
    send(producer, 2)
    assert bell.silence() == 0, "the flag went down again"
    receive(consumer)
    assert consumer.prepare_sleep()
    send(producer, 3)
    send(producer, 4, URGENT)
    assert bell.silence() == 1, "one sleep, one ringing"
    consumer.cancel_sleep()
    receive(consumer)
    receive(consumer, URGENT)
    assert consumer.prepare_sleep()
    send(producer, 5)
    assert bell.silence() == 1
    bell.close()


def test_handing_the_core_over_changes_nothing_of_what_arrives_and_who_is_rung() -> None:
    from shm.wake import Bell

    bell = Bell.make()
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view, wake_fd=bell.fd)
    producer.hand_over()
    send(producer, 1)
    assert bell.silence() == 0, "it is awake"
    assert receive(consumer) == [1]
    assert consumer.prepare_sleep()
    send(producer, 2)
    send(producer, 3)
    assert bell.silence() == 1
    consumer.cancel_sleep()
    assert receive(consumer) == [2, 3]
    bell.close()


def test_messages_that_were_not_handed_out_keep_the_reader_awake() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    send(producer, 1)
    send(producer, 2)
    consumer.try_peek()
    assert not consumer.prepare_sleep()


@pytest.mark.parametrize("lane", [-1, 2, 1 << 40])
def test_a_lane_that_the_ring_has_not_is_an_index_error(lane: int) -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    for call in (
        producer.try_claim,
        producer.commit,
        producer.sequence,
        consumer.try_peek,
        consumer.release,
        consumer.sequence,
    ):
        with pytest.raises(IndexError):
            call(lane)


def test_a_ring_of_one_lane_has_no_urgent_one() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view, lanes=1)
    with pytest.raises(IndexError, match="lane 1"):
        producer.try_claim(URGENT)
    with pytest.raises(IndexError, match="lane 1"):
        consumer.try_peek(URGENT)


@pytest.mark.parametrize("arguments", [("normal",), (NORMAL, NORMAL), (None,)])
def test_what_is_no_lane_is_a_type_error(arguments: tuple[Any, ...]) -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    for call in (producer.try_claim, consumer.try_peek, consumer.release):
        with pytest.raises(TypeError):
            call(*arguments)


def test_a_closed_side_refuses_to_work() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    producer.close()
    consumer.close()
    for call in (producer.try_claim, producer.commit, consumer.try_peek, consumer.release):
        with pytest.raises(IndexError, match="closed"):
            call()


def test_views_are_given_back_with_their_ring() -> None:
    def once() -> None:
        producer, consumer = heap_ring(64, SLOT_SIZE, word_view)
        send(producer, 1)
        receive(consumer)

    once()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(50):
        once()
    gc.collect()
    assert sys.getallocatedblocks() - before < 64, "fifty rings leave less than the views of one"


def test_a_closed_side_is_not_connected() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    consumer.close()
    assert not consumer.is_connected
    producer.close()
    assert not producer.is_connected


def test_twenty_thousand_messages_leave_the_number_of_allocated_blocks_as_it_was() -> None:
    producer, consumer = heap_ring(256, SLOT_SIZE, word_view)

    def through(count: int) -> None:
        try_claim, commit, sequence, try_peek, release = (
            producer.try_claim,
            producer.commit,
            producer.sequence,
            consumer.try_peek,
            consumer.release,
        )
        for _ in range(count):
            slot = try_claim()
            slot[0] = sequence()
            commit()
            assert try_peek()[0] == sequence()
            release()

    through(2_000)
    gc.collect()
    before = sys.getallocatedblocks()
    through(20_000)
    assert sys.getallocatedblocks() - before <= 5, "the frame's own objects, nothing per message"


def test_batches_are_copied_whole_across_the_end_of_the_ring() -> None:
    producer, consumer = heap_ring(8, SLOT_SIZE, word_view)
    words = SLOT_SIZE // 8
    sent, received = ffi.new("uint64_t[]", 5 * words), ffi.new("uint64_t[]", 8 * words)
    for batch in range(10):
        for i in range(5):
            for word in range(words):
                sent[i * words + word] = batch * 5 + i
        assert producer.write_batch(sent, 5) == 5
        assert producer.sequence() == batch * 5 + 5
        assert consumer.read_batch(received, 8) == 5
        assert [received[i * words + words - 1] for i in range(5)] == [batch * 5 + i for i in range(5)]
    assert consumer.read_batch(received, 8) == 0
    assert [producer.write_batch(sent, 5), producer.write_batch(sent, 5)] == [5, 3], "a batch is cut where the ring is full"


def test_a_dry_lane_read_in_batches_goes_over_to_a_successor() -> None:
    dead, consumer = heap_ring(8, SLOT_SIZE, word_view)
    words = ffi.new("uint64_t[]", 8 * SLOT_SIZE // 8)
    dead.write_batch(words, 2)
    successor = new_producer(8)
    join(successor, consumer)
    assert successor.write_batch(words, 3) == 3
    assert consumer.read_batch(words, 8) == 2
    assert consumer.read_batch(words, 8) == 3


class TwinOfTheRing(RuleBasedStateMachine):
    """One link with both lanes, its sides dying at any time, against two queues in plain Python.

    The twin knows which messages must come (`unread`), which were handed out and not released (`held`), and how often who
    died. Whoever dies leaves its segment as it is; its successor is a new object.
    """

    @initialize(capacity=st.sampled_from([1, 2, 4, 16, 128]))
    def start(self, capacity: int) -> None:
        self.capacity = capacity
        self.next_value = 1
        self.claimed: list[list[int]] = [[], []]
        self.unread: list[deque[int]] = [deque(), deque()]
        self.held: list[list[int]] = [[], []]
        self.sequence = [0, 0]
        self.producer = new_producer(capacity)
        self.consumer = new_consumer(capacity)
        join(self.producer, self.consumer)

    @rule(lane=st.sampled_from([NORMAL, URGENT]))
    def claim(self, lane: int) -> None:
        in_use = len(self.claimed[lane]) + len(self.unread[lane]) + len(self.held[lane])
        view = self.producer.try_claim(lane)
        assert (view is None) == (in_use == self.capacity)
        if view is not None:
            self.sequence[lane] += 1
            assert self.producer.sequence(lane) == self.sequence[lane]
            view[0], view[1] = self.next_value, self.sequence[lane]
            self.claimed[lane].append(self.next_value)
            self.next_value += 1

    @rule(lane=st.sampled_from([NORMAL, URGENT]))
    def commit(self, lane: int) -> None:
        self.producer.commit(lane)
        self.unread[lane].extend(self.claimed[lane])
        self.claimed[lane].clear()

    @rule(lane=st.sampled_from([NORMAL, URGENT]), count=st.integers(1, 200))
    def peek(self, lane: int, count: int) -> None:
        for _ in range(count):
            view = self.consumer.try_peek(lane)
            if view is None:
                if self.unread[lane]:  # Only a successor's messages may wait, for what is held of the dead producer.
                    assert self.held[lane], "an unread message is handed out"
                    assert self.is_draining[lane], "an unread message is handed out"
                return
            assert self.unread[lane], "nothing is handed out twice"
            assert view[0] == self.unread[lane].popleft()
            assert view[1] == self.consumer.sequence(lane)
            self.held[lane].append(int(view[0]))

    @rule(lane=st.sampled_from([NORMAL, URGENT]))
    def release(self, lane: int) -> None:
        self.consumer.release(lane)
        self.held[lane].clear()

    @rule()
    def sleep(self) -> None:
        asleep = self.consumer.prepare_sleep()
        if asleep:
            for lane in (NORMAL, URGENT):
                assert not self.unread[lane] or (self.held[lane] and self.is_draining[lane]), "nobody sleeps beside work"
        self.consumer.cancel_sleep()

    @precondition(lambda self: self.consumer.is_connected)
    @rule()
    def consumer_dies(self) -> None:
        self.settle()
        self.consumer = new_consumer(self.capacity)
        join(self.producer, self.consumer)
        for lane in (NORMAL, URGENT):
            self.unread[lane] = deque(self.held[lane] + list(self.unread[lane]))
            self.held[lane].clear()
            released, peeked, published = self.consumer.recovered(lane)
            assert published - released == len(self.unread[lane])
            assert released <= peeked <= published
            assert published == self.sequence[lane] - len(self.claimed[lane])

    @rule()
    def producer_dies(self) -> None:
        self.settle()
        self.producer = new_producer(self.capacity)
        join(self.producer, self.consumer)
        for lane in (NORMAL, URGENT):
            self.sequence[lane] -= len(self.claimed[lane])
            self.claimed[lane].clear()

    @property
    def is_draining(self) -> list[bool]:
        return [lane in self.consumer._undrained for lane in (NORMAL, URGENT)]

    def settle(self) -> None:
        """A second death before the first one is drained is the double death that the ring does not cover: drain first."""
        for lane in (NORMAL, URGENT):
            if self.is_draining[lane]:
                self.peek(lane, 1000)
                self.release(lane)
                self.peek(lane, 1)

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "producer"):
            return
        for lane in (NORMAL, URGENT):
            in_use = len(self.claimed[lane]) + len(self.unread[lane]) + len(self.held[lane])
            assert self.producer.free(lane) == self.capacity - in_use
            if not self.is_draining[lane]:
                assert self.consumer.pending(lane) == len(self.unread[lane])


TwinOfTheRing.TestCase.settings = settings(max_examples=120, stateful_step_count=60, deadline=None)
test_the_ring_and_its_naive_twin_agree_under_random_operations_and_deaths = TwinOfTheRing.TestCase
