"""Publish and subscribe: many publishers, many subscribers, any process, where losing a message is allowed but never hidden.

Every message is a topic_header_t (64 bytes, cffi_build/include/topic.h) and a body. The newest QUEUE_MAX messages of each
publisher wait for a slow subscriber; what it missed shows as a gap in the sequence and is counted in `lost`.

    feed      topic = TopicPublisher(memory, "market", source=0)     topic.publish(kind, key, body)
              for key in topic.take_wanted(): …                       what subscribers asked for, since last time
    anybody   topic = TopicSubscriber(memory, "market")               topic.want("binance_spot:BTCUSDT")
              for message in topic.take(): message.key, message.body

Nobody listening costs the publisher a comparison per message. A program in another language opens the iceoryx2 service
`crypto_trade/<instance>/<name>` (type [u8], see QUEUE_MAX and the limits below) and reads the same bytes.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from shm._native import ffi, lib
from shm.clock import monotonic_ns
from shm.segment import Memory, SegmentError

PUBLISHERS_MAX: Final = 16  # N feeds, or the external signal sources.
SUBSCRIBERS_MAX: Final = 16
NODES_MAX: Final = 48
QUEUE_MAX: Final = 256  # A subscriber that is away for 10 ms at 25 000 messages/s loses none.
BODY_MAX: Final = 960  # With its header 1 KiB.
WISHES_MAX: Final = 256  # Keys one subscriber may ask for; a restarted publisher hears all of them again.
MESSAGES_PER_PASS_MAX: Final = 256
HEADER_SIZE: Final[int] = ffi.sizeof("topic_header_t")
_HEADER_POINTER: Final = ffi.typeof("topic_header_t *")


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """One message, copied out."""

    kind: int
    key: str
    body: bytes
    sequence: int  # Per source, from 1.
    source: int
    publish_ns: int  # CLOCK_MONOTONIC of the publisher.


class TopicPublisher:
    """One publisher of a topic."""

    def __init__(self, memory: Memory, name: str, source: int = 0) -> None:
        """`source` tells the publishers of one topic apart.

        Raises:
            SegmentError: no memory, or too many publishers.
        """
        self.name = name
        self.published = 0
        self.dropped = 0  # Not sent because iceoryx2 had no room.
        self._header: Any = ffi.new(
            "topic_header_t *", {"magic": lib.TOPIC_MAGIC, "version": lib.TOPIC_VERSION, "source": source}
        )
        self._service = _open(memory, name, QUEUE_MAX, 0)
        self._dynamic: Any = self._service.dynamic_config
        self._publisher = _made(
            memory, name, self._service.publisher_builder().initial_max_slice_len(HEADER_SIZE + BODY_MAX).max_loaned_samples(1)
        )
        self._wishes = _open(memory, f"{name}/wanted", WISHES_MAX, WISHES_MAX)
        self._wish_reader = _made(memory, name, self._wishes.subscriber_builder())
        self._is_heard = False
        self.refresh(0)

    def publish(self, kind: int, key: bytes, body: bytes) -> None:
        """Sends to whoever listens. `key` is ASCII, shorter than TOPIC_KEY_SIZE; `body` at most BODY_MAX bytes."""
        header = self._header
        header.sequence += 1
        if not self._is_heard:
            return
        assert len(key) < lib.TOPIC_KEY_SIZE, "a key is shorter than TOPIC_KEY_SIZE"
        length = len(body)
        assert length <= BODY_MAX, "a body has at most BODY_MAX bytes"
        header.kind = kind
        header.publish_ns = monotonic_ns()
        header.length = length
        header.key = key
        try:
            loan = self._publisher.loan_slice_uninit(HEADER_SIZE + length)
            address = loan.payload().as_ptr()
            ctypes.memmove(address, int(ffi.cast("uintptr_t", header)), HEADER_SIZE)
            ctypes.memmove(address + HEADER_SIZE, body, length)
            loan.assume_init().send()
            self.published += 1
        except Exception:
            self.dropped += 1  # A topic may lose messages; the sequence shows it to the subscriber.

    @property
    def is_heard(self) -> bool:
        """Somebody listens, as of the last refresh: who makes bodies only for the topic need not without."""
        return self._is_heard

    def take_wanted(self) -> list[tuple[str, bool]]:
        """What subscribers asked for since last time: (key, True: wanted | False: no longer wanted), oldest first."""
        return [(message.key, message.kind == lib.TOPIC_WANT) for message in _received(self._wish_reader, WISHES_MAX)]

    def refresh(self, now_ns: int) -> None:
        """Notices subscribers that came or went. Cheap; call it about every 10 ms."""
        self._publisher.update_connections()
        self._is_heard = self._dynamic.number_of_subscribers > 0

    def close(self) -> None:
        """Leaves the topic."""
        if self._publisher is not None:
            self._publisher.delete()
            self._wish_reader.delete()
            self._publisher = self._wish_reader = self._service = self._wishes = self._dynamic = None


class TopicSubscriber:
    """One listener of a topic, in any process."""

    def __init__(self, memory: Memory, name: str) -> None:
        """
        Raises:
            SegmentError: no memory, or too many subscribers.
        """
        self.name = name
        self.lost = 0  # Messages that came while we were too slow.
        self.malformed = 0  # Samples that are no topic messages.
        self._last: dict[int, int] = {}
        self._service = _open(memory, name, QUEUE_MAX, 0)
        self._subscriber = _made(memory, name, self._service.subscriber_builder())
        self._wishes = _open(memory, f"{name}/wanted", WISHES_MAX, WISHES_MAX)
        self._wish_writer = _made(
            memory, name, self._wishes.publisher_builder().initial_max_slice_len(HEADER_SIZE).max_loaned_samples(1)
        )
        self._wish_sequence = 0

    def want(self, key: str) -> None:
        """Asks the publishers for `key`, those of today and those that start later."""
        self._wish(key, lib.TOPIC_WANT)

    def unwant(self, key: str) -> None:
        """Takes the wish back."""
        self._wish(key, lib.TOPIC_UNWANT)

    def take(self, count_max: int = MESSAGES_PER_PASS_MAX) -> list[TopicMessage]:
        """What came since last time, oldest first, at most `count_max`. Also lets new publishers hear our wishes."""
        self._wish_writer.update_connections()
        messages = []
        for message in _received(self._subscriber, count_max):
            if message.sequence == 0:
                self.malformed += 1
                continue
            before = self._last.get(message.source, message.sequence - 1)
            if message.sequence > before:  # Smaller: the publisher has been restarted.
                self.lost += message.sequence - before - 1
            self._last[message.source] = message.sequence
            messages.append(message)
        return messages

    def close(self) -> None:
        """Leaves the topic."""
        if self._subscriber is not None:
            self._subscriber.delete()
            self._wish_writer.delete()
            self._subscriber = self._wish_writer = self._service = self._wishes = None

    def _wish(self, key: str, kind: int) -> None:
        raw = key.encode("ascii")
        if not 0 < len(raw) < lib.TOPIC_KEY_SIZE:
            raise ValueError(f"topic key {key!r}: use 1 to {lib.TOPIC_KEY_SIZE - 1} ASCII characters")
        self._wish_sequence += 1
        header = ffi.new(
            _HEADER_POINTER,
            {
                "magic": lib.TOPIC_MAGIC,
                "version": lib.TOPIC_VERSION,
                "kind": kind,
                "sequence": self._wish_sequence,
                "publish_ns": monotonic_ns(),
                "key": raw,
            },
        )
        loan = self._wish_writer.loan_slice_uninit(HEADER_SIZE)
        ctypes.memmove(loan.payload().as_ptr(), int(ffi.cast("uintptr_t", header)), HEADER_SIZE)
        loan.assume_init().send()


_MALFORMED: Final = TopicMessage(0, "", b"", 0, 0, 0)


def _received(subscriber: Any, count_max: int) -> Iterator[TopicMessage]:
    """Copies waiting messages out. A sample that is none becomes one with sequence 0."""
    for _ in range(count_max):
        sample = subscriber.receive()
        if sample is None:
            return
        payload = sample.payload()
        size, address = int(payload.len()), int(payload.as_ptr())
        header = ffi.cast(_HEADER_POINTER, address) if size >= HEADER_SIZE else None
        if (
            header is None
            or header.magic != lib.TOPIC_MAGIC
            or header.version != lib.TOPIC_VERSION
            or header.length > size - HEADER_SIZE
        ):
            yield _MALFORMED
        else:
            yield TopicMessage(
                int(header.kind),
                bytes(ffi.buffer(header.key)).split(b"\0", 1)[0].decode("ascii", "replace"),
                ctypes.string_at(address + HEADER_SIZE, header.length),
                int(header.sequence),
                int(header.source),
                int(header.publish_ns),
            )
        sample.delete()


def _open(memory: Memory, name: str, queue: int, history: int) -> Any:
    """The iceoryx2 service of a topic. A full queue loses its oldest message, so that nobody waits for a slow subscriber."""
    return memory.topic_service(name, PUBLISHERS_MAX, SUBSCRIBERS_MAX, NODES_MAX, queue, history)


def _made(memory: Memory, name: str, builder: Any) -> Any:
    try:
        return builder.create()
    except Exception as error:
        raise SegmentError(memory.explain(f"cannot join the topic {name!r}", error)) from error
