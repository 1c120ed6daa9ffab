"""A bounded queue between one producer and one consumer, in place: no copy, no allocation, one short call each.

What crosses the border and how the two sides meet is drawn in cffi_build/include/ring.h. What is called per message hands out
prebuilt views of the slots, one after another, and is C (cffi_build/src/lanes.c); the rest stands here.

    producer   view = ring.try_claim(lane)   fill every field   ring.commit(lane)
    consumer   view = ring.try_peek(lane)    use it             ring.release(lane)

Claimed slots are published by the next commit of their lane, peeked ones returned by the next release; until then their bytes
stay as they are. A message that its reader did not release is seen again by the reader's successor.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from shm._lanes import ReadLanes, WatchLanes, WriteLanes
from shm._native import ffi, lib
from shm.segment import FollowedSegments, HeapSegment, MappedSegment, Memory, OwnSegment, SegmentError, next_epoch

NORMAL: Final = 0
URGENT: Final = 1

MakeView = Callable[[int], Any]
Own = OwnSegment | HeapSegment
Partner = MappedSegment | OwnSegment | HeapSegment

_COMPLAINTS = {
    lib.RING_BAD_MAGIC: "is not a ring of this system",
    lib.RING_BAD_VERSION: "was laid out by another version; stop every process of this instance, then start again",
    lib.RING_BAD_SLOT_SIZE: "has slots of another size: the two sides were built from different message layouts",
    lib.RING_BAD_CAPACITY: "has another capacity, or one that is not a power of two",
    lib.RING_BAD_LANES: "has another number of lanes",
    lib.RING_BAD_SIZE: "is smaller than its header claims",
    lib.RING_BAD_CURSOR: "holds impossible cursors: its memory is damaged",
    lib.RING_REPLACED: "works with a later opening of this side: two processes play the same role",
}


class RingError(SegmentError):
    """The other side of a ring cannot be worked with. The sentence says why."""

    def __init__(self, name: str, result: int) -> None:
        self.result = result
        super().__init__(f"ring {name}: the segment {_COMPLAINTS.get(result, f'was refused ({result})')}")


class Producer(WriteLanes):
    """The writing side of a ring. Made by `heap_ring()` or `open_producer()`.

    `try_claim(lane)`, `commit(lane)`, `sequence(lane)`: see WriteLanes. A lane is NORMAL unless said.
    """

    __slots__ = (
        "_announced",
        "_body",
        "_handle",
        "_handles",
        "_is_closed",
        "_own",
        "_partner",
        "capacity",
        "meetings",
        "name",
    )

    def __init__(
        self,
        name: str,
        own: Own,
        capacity: int,
        slot_size: int,
        make_view: MakeView,
        lanes: int,
        wake_fd: int,
        announced: FollowedSegments | None,
    ) -> None:
        self.name = name
        self.capacity = capacity
        self.meetings = 0  # how often a partner has attached: one more means that it was started again
        self._own = own
        self._announced = announced
        self._is_closed = False
        self._partner: Partner | None = None
        self._handle = HeapSegment(lib.ring_producer_size())
        producer = self._handle.pointer("ring_producer_t *")
        result = lib.ring_producer_open(
            producer, ffi.cast("void *", own.address), own.size, lanes, capacity, slot_size, next_epoch(), wake_fd
        )
        if result != lib.RING_OK:
            raise RingError(name, result)
        self._body = producer
        self._handles = [lib.ring_producer_lane(producer, lane) for lane in range(lanes)]
        for lane, handle in enumerate(self._handles):
            self._use(lane, self.lane_address(lane), _views(lib.ring_producer_slot, handle, capacity, make_view))

    # -- many messages at once

    def write_batch(self, messages: Any, count_max: int, lane: int = NORMAL) -> int:
        """Copies up to `count_max` whole messages behind one another from the pointer `messages` and publishes them; how many.

        All fields are the caller's, the sequence too. A lane is written in batches or slot by slot, not both.
        """
        count: int = lib.ring_write(self._handles[lane], messages, count_max)
        return count

    def free(self, lane: int = NORMAL) -> int:
        """How many claims would succeed now."""
        return int(lib.ring_free(self._handles[lane]))

    def hand_over(self) -> None:
        """From now on whoever a commit wakes is offered our core at once: for ends that share one."""
        lib.ring_hand_over(self._body)

    # -- timer

    def refresh(self, now_ns: int) -> None:
        """Lets a late or restarted consumer in. Cheap; call it about every 10 ms.

        Raises:
            RingError: what claims to be our consumer is not one, or works with a later opening of this side: two processes
                play the same role, and we are the one to stop.
        """
        if self._announced is None:
            return
        self._own.refresh()
        candidate = self._announced.newest()
        if candidate is not None and candidate is not self._partner:
            self.meet(candidate)
        if self.state == lib.RING_REPLACED:
            raise RingError(self.name, lib.RING_REPLACED)

    def meet(self, segment: Partner) -> bool:
        """Step 2 of the meeting. True: attached to the consumer of `segment`.

        Raises:
            RingError: the segment is not our consumer's.
        """
        result = lib.ring_producer_meet(self._body, ffi.cast("void *", segment.address), segment.size)
        if result == lib.RING_WAIT:
            return False
        if result != lib.RING_OK:
            raise RingError(self.name, result)
        self._partner = segment
        self.meetings += 1
        return True

    @property
    def is_connected(self) -> bool:
        """A consumer is attached, and works with this opening."""
        return bool(self.state == lib.RING_OK)

    @property
    def state(self) -> int:
        """lib.RING_OK, RING_WAIT (nobody attached), RING_REPLACED (stop: a later process plays this role), RING_BAD_CURSOR."""
        return int(lib.RING_WAIT) if self._is_closed else int(lib.ring_producer_state(self._body))

    @property
    def own_segment(self) -> Own:
        """What the consumer maps."""
        return self._own

    def lane_address(self, lane: int) -> int:
        """The ring_producer_lane_t, for C that writes a lane by itself. Nobody claims on that lane here."""
        return int(ffi.cast("uintptr_t", self._handles[lane]))

    def close(self) -> None:
        """Takes the segment back. No view may be used after this."""
        self._is_closed = True
        self._leave()
        self._handles = []
        if self._announced is not None:
            self._announced.close()
        self._partner = None
        self._own.close()


class Consumer(ReadLanes):
    """The reading side of a ring. Made by `heap_ring()` or `open_consumer()`.

    `try_peek(lane)`, `release(lane)`, `sequence(lane)`: see ReadLanes. A lane is NORMAL unless said.
    """

    __slots__ = (
        "_announced",
        "_body",
        "_draining",
        "_handle",
        "_handles",
        "_is_closed",
        "_make_view",
        "_own",
        "_partner",
        "_slot_size",
        "_undrained",
        "capacity",
        "meetings",
        "name",
    )

    def __init__(
        self,
        name: str,
        own: Own,
        capacity: int,
        slot_size: int,
        make_view: MakeView,
        lanes: int,
        announced: FollowedSegments | None,
    ) -> None:
        self.name = name
        self.capacity = capacity
        self.meetings = 0  # how often a partner has attached: one more means that it was started again
        self._slot_size = slot_size
        self._own = own
        self._announced = announced
        self._make_view = make_view
        self._is_closed = False
        self._partner: Partner | None = None
        self._draining: Partner | None = None  # Keeps the dead producer's memory mapped until no lane reads it.
        self._undrained: set[int] = set()
        self._handle = HeapSegment(lib.ring_consumer_size())
        consumer = self._handle.pointer("ring_consumer_t *")
        result = lib.ring_consumer_open(
            consumer, ffi.cast("void *", own.address), own.size, lanes, capacity, slot_size, next_epoch()
        )
        if result != lib.RING_OK:
            raise RingError(name, result)
        self._body = consumer
        self._handles = [lib.ring_consumer_lane(consumer, lane) for lane in range(lanes)]
        for lane in range(lanes):
            self._use(lane, self.lane_address(lane), None)

    # -- many messages at once

    def read_batch(self, messages: Any, count_max: int, lane: int = NORMAL) -> int:
        """Copies up to `count_max` unread messages behind one another to the pointer `messages` and releases them; how many.

        A lane is read in batches or message by message, not both.
        """
        count: int = lib.ring_read(self._handles[lane], messages, count_max)
        if not count and self._draining is not None and self._switch(lane):
            return self.read_batch(messages, count_max, lane)
        return count

    def peek_into(self, room: memoryview, lane: int = NORMAL) -> int:
        """Copies unread messages behind one another into `room`, as many as fit; how many. They stay until `release()`.

        A lane is read in batches or message by message, not both.
        """
        handle, size = self._handles[lane], self._slot_size
        first: int = lib.ring_peeked(handle)
        count_max = len(room) // size
        count: int = lib.ring_peek(handle, count_max)
        if not count:
            return self.peek_into(room, lane) if self._draining is not None and self._switch(lane) else 0
        if count < count_max:  # It may have been what was there when the producer's cursor was read last.
            count += lib.ring_peek(handle, count_max - count)
        before_end = min(count, self.capacity - first % self.capacity)
        ffi.memmove(room, lib.ring_consumer_slot(handle, first + 1), before_end * size)
        if before_end < count:
            rest = (count - before_end) * size
            ffi.memmove(room[before_end * size :], lib.ring_consumer_slot(handle, first + before_end + 1), rest)
        return count

    def pending(self, lane: int = NORMAL) -> int:
        """How many peeks would succeed now."""
        return int(lib.ring_pending(self._handles[lane]))

    def _peek_successor(self, lane: int) -> Any:
        """Called by `try_peek()`: the dead producer's lane is dry, and goes over to its successor's segment."""
        return self.try_peek(lane) if self._switch(lane) else None

    # -- waiting

    def prepare_sleep(self) -> bool:
        """Raises the sleep flag, then looks again. True: sleep, the bell will ring. False: there is something to read."""
        return bool(lib.ring_prepare_sleep(self._body))

    def cancel_sleep(self) -> None:
        """Lowers the sleep flag. Call it after every wake-up, whatever woke us."""
        lib.ring_cancel_sleep(self._body)

    # -- timer

    def refresh(self, now_ns: int) -> None:
        """Finds a late or restarted producer. Cheap; call it about every 10 ms.

        Raises:
            RingError: what claims to be our producer is not one, or works with a later opening of this side: two processes
                play the same role, and we are the one to stop.
        """
        if self._announced is None:
            return
        self._own.refresh()
        candidate = self._announced.newest()
        if candidate is not None and candidate is not self._partner:
            self.offer(candidate)
            self.meet(candidate)
        if self.state == lib.RING_REPLACED:
            raise RingError(self.name, lib.RING_REPLACED)

    def offer(self, segment: Partner) -> None:
        """Step 1 of the meeting.

        Raises:
            RingError: the segment is not our producer's.
        """
        result = lib.ring_consumer_offer(self._body, ffi.cast("void *", segment.address), segment.size)
        if result != lib.RING_OK:
            raise RingError(self.name, result)

    def meet(self, segment: Partner) -> bool:
        """Step 3 of the meeting. True: the producer of `segment` has confirmed; lanes go over to it as they run dry.

        Raises:
            RingError: the segment is not our producer's.
        """
        result = lib.ring_consumer_meet(self._body, ffi.cast("void *", segment.address), segment.size)
        if result == lib.RING_WAIT:
            return False
        if result != lib.RING_OK:
            raise RingError(self.name, result)
        self._draining, self._partner = self._partner or segment, segment
        self.meetings += 1
        self._undrained = set(range(len(self._handles)))
        for lane in range(len(self._handles)):
            self._switch(lane)
        return True

    def _switch(self, lane: int) -> bool:
        """Moves a dry lane to the confirmed producer's segment."""
        handle = self._handles[lane]
        if not lib.ring_switch(handle):
            return False
        self._use(lane, self.lane_address(lane), _views(lib.ring_consumer_slot, handle, self.capacity, self._make_view))
        self._undrained.discard(lane)
        if not self._undrained:
            self._draining = None  # Nobody reads the dead producer's memory any more.
        return True

    def recovered(self, lane: int = NORMAL) -> tuple[int, int, int]:
        """(released, peeked, published) as the producer found them when it confirmed us; zeros before that or if all is new.

        Our reading starts at message released + 1. Up to `peeked` our predecessor has seen them and may have acted; up to
        `published` they were queued before we came; later ones were sent to us. It stands before the first `try_peek()` that
        hands something out, so it is enough to compare `sequence()` with it.
        """
        recovery = ffi.new("ring_recovery_t *")
        lib.ring_recovered(self._handles[lane], recovery)
        return recovery.released, recovery.peeked, recovery.published

    @property
    def is_connected(self) -> bool:
        """A producer has confirmed us, and works with this opening."""
        return bool(self.state == lib.RING_OK)

    @property
    def state(self) -> int:
        """lib.RING_OK, RING_WAIT (nobody attached), RING_REPLACED (stop: a later process plays this role), RING_BAD_CURSOR."""
        return int(lib.RING_WAIT) if self._is_closed else int(lib.ring_consumer_state(self._body))

    @property
    def own_segment(self) -> Own:
        """What the producer maps."""
        return self._own

    @property
    def handle(self) -> Any:
        """The ring_consumer_t *."""
        return self._body

    def lane_handle(self, lane: int) -> Any:
        """The ring_consumer_lane_t *, for a Watch."""
        return self._handles[lane]

    @property
    def address(self) -> int:
        """The ring_consumer_t, for C that sleeps by itself."""
        return int(ffi.cast("uintptr_t", self._body))

    def lane_address(self, lane: int) -> int:
        """The ring_consumer_lane_t, for C that reads a lane by itself. Nobody peeks on that lane here."""
        return int(ffi.cast("uintptr_t", self._handles[lane]))

    def close(self) -> None:
        """Takes the segment back. No view may be used after this."""
        self._is_closed = True
        self._leave()
        self._handles = []
        if self._announced is not None:
            self._announced.close()
        self._partner = self._draining = None
        self._own.close()


class Watch(WatchLanes):
    """Asks several lanes at once whether there is something to read: one C call, however many they are.

    `unread()`: bit i: lane i of the list.
    """

    __slots__ = ("_lanes", "_native")

    def __init__(self, lanes: Sequence[tuple[Consumer, int]]) -> None:
        assert len(lanes) <= lib.RING_WATCH_MAX, "a bit for each lane"
        self._lanes = tuple(lanes)
        self._native = ffi.new("ring_watch_t *")
        self._native.count = len(lanes)
        for place, (consumer, lane) in enumerate(lanes):
            self._native.lanes[place] = consumer.lane_handle(lane)
        self._use(int(ffi.cast("uintptr_t", self._native)))


class Dormitory:
    """Readers that sleep and wake together: one C call for all of them."""

    __slots__ = ("_consumers", "_native", "cancel_sleep")

    def __init__(self, consumers: Sequence[Consumer]) -> None:
        assert len(consumers) <= lib.RING_WATCH_MAX, "there is room for so many"
        self._consumers = tuple(consumers)
        self._native = ffi.new("ring_sleepers_t *")
        self._native.count = len(consumers)
        for place, consumer in enumerate(consumers):
            self._native.consumers[place] = consumer.handle
        self.cancel_sleep: Callable[[], None] = partial(lib.ring_cancel_sleep_all, self._native)  # after every wake-up

    def prepare_sleep(self) -> bool:
        """Raises every sleep flag, each before it looks again. False: something is there, and all flags are down."""
        return bool(lib.ring_prepare_sleep_all(self._native))


def _views(slot: Callable[[Any, int], Any], handle: Any, capacity: int, make_view: MakeView) -> list[Any]:
    """One view per slot, in slot order."""
    return [make_view(int(ffi.cast("uintptr_t", slot(handle, sequence)))) for sequence in range(1, capacity + 1)]


def heap_ring(
    capacity: int, slot_size: int, make_view: MakeView, lanes: int = 2, wake_fd: int = -1, name: str = "heap"
) -> tuple[Producer, Consumer]:
    """A ring in the memory of this process: for roles that share a shard, for the world and for tests. Same code.

    Raises:
        RingError: the capacity is not a power of two, or the slot size not a multiple of 64.
    """
    producer = heap_producer(capacity, slot_size, make_view, lanes, wake_fd, name)
    consumer = heap_consumer(capacity, slot_size, make_view, lanes, name)
    join(producer, consumer)
    return producer, consumer


def heap_producer(
    capacity: int, slot_size: int, make_view: MakeView, lanes: int = 2, wake_fd: int = -1, name: str = "heap"
) -> Producer:
    """A writing end alone, in the memory of this process: a producer that comes back while its consumer lives. Then `join`.

    Raises:
        RingError: the capacity is not a power of two, or the slot size not a multiple of 64.
    """
    own = HeapSegment(lib.ring_producer_segment_size(lanes, capacity, slot_size))
    return Producer(name, own, capacity, slot_size, make_view, lanes, wake_fd, None)


def heap_consumer(capacity: int, slot_size: int, make_view: MakeView, lanes: int = 2, name: str = "heap") -> Consumer:
    """A reading end alone, likewise."""
    own = HeapSegment(lib.ring_consumer_segment_size())
    return Consumer(name, own, capacity, slot_size, make_view, lanes, None)


def join(producer: Producer, consumer: Consumer) -> None:
    """Lets both sides meet at once, where both are at hand."""
    consumer.offer(producer.own_segment)
    attached = producer.meet(consumer.own_segment)
    confirmed = consumer.meet(producer.own_segment)
    assert attached, "an offer was made, so the producer attaches"
    assert confirmed, "the producer attached, so the consumer is confirmed"


def open_producer(
    memory: Memory, name: str, capacity: int, slot_size: int, make_view: MakeView, wake_fd: int = -1, lanes: int = 2
) -> Producer:
    """The writing side of the link `name` of this instance, in shared memory. `refresh()` lets the consumer in.

    `wake_fd` is the eventfd of the shard that reads (−1: it never sleeps).

    Raises:
        SegmentError: the memory cannot be had, or another living process writes this link.
        RingError: the capacity is not a power of two, or the slot size not a multiple of 64.
    """
    own = memory.segment(f"{name}/slots", lib.ring_producer_segment_size(lanes, capacity, slot_size), followers_max=1)
    producer = Producer(
        name, own, capacity, slot_size, make_view, lanes, wake_fd, memory.follow(f"{name}/cursors", followers_max=1)
    )
    own.announce()
    return producer


def open_consumer(memory: Memory, name: str, capacity: int, slot_size: int, make_view: MakeView, lanes: int = 2) -> Consumer:
    """The reading side of the link `name` of this instance, in shared memory. `refresh()` finds the producer.

    Raises:
        SegmentError: the memory cannot be had, or another living process reads this link.
        RingError: the capacity is not a power of two, or the slot size not a multiple of 64.
    """
    own = memory.segment(f"{name}/cursors", lib.ring_consumer_segment_size(), followers_max=1)
    consumer = Consumer(name, own, capacity, slot_size, make_view, lanes, memory.follow(f"{name}/slots", followers_max=1))
    own.announce()
    return consumer
