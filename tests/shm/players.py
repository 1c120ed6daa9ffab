"""The two ends of a link as processes of their own, for tests that kill them.

    python players.py producer|consumer <instance> <wake fd> <diary file> [<count>]

Every message carries its own sequence in every word. The diary is one line per message and survives a kill -9:
the producer writes what it has committed (`c`), the consumer what its predecessor had seen (`a`), what it is about to use
(`s`, before) and what it has released (`r`, after).
"""

import os
import signal
import sys
import time
from typing import Any

from shm._native import ffi
from shm.ring import NORMAL, URGENT, open_consumer, open_producer
from shm.segment import Memory
from shm.wake import Bell, wait_for

CAPACITY = 64
SLOT_SIZE = 128
LINK = "players/link"
REFRESH_NS = 2_000_000


def word_view(address: int) -> Any:
    return ffi.cast("uint64_t *", address)


class Leaving:
    """Set by SIGTERM."""

    is_asked = False


def on_term(*_: object) -> None:
    Leaving.is_asked = True


def produce(memory: Memory, bell: Bell, diary: int, count: int) -> None:
    """Sends as fast as there is room, both lanes, `count` messages each (0: for ever)."""
    producer = open_producer(memory, LINK, CAPACITY, SLOT_SIZE, word_view, bell.fd)
    refresh_due_ns = 0
    while not Leaving.is_asked:
        now_ns = time.monotonic_ns()
        if now_ns >= refresh_due_ns:
            producer.refresh(now_ns)
            refresh_due_ns = now_ns + REFRESH_NS
        sent = 0
        for lane in (NORMAL, URGENT):
            first = last = 0
            for _ in range(3):
                if count and producer.sequence(lane) >= count:
                    break
                view = producer.try_claim(lane)
                if view is None:
                    break
                last = producer.sequence(lane)
                first = first or last
                for word in range(SLOT_SIZE // 8):
                    view[word] = last
            if last:
                producer.commit(lane)
                os.write(diary, f"c {lane} {last}\n".encode())
                sent += last - first + 1
        if not sent:
            time.sleep(0.0005)
    producer.close()


def consume(memory: Memory, bell: Bell, diary: int) -> None:
    """Reads, releases now and then, and sleeps when there is nothing."""
    consumer = open_consumer(memory, LINK, CAPACITY, SLOT_SIZE, word_view)
    refresh_due_ns = passes = 0
    has_told = False
    while not Leaving.is_asked:
        passes += 1
        now_ns = time.monotonic_ns()
        if now_ns >= refresh_due_ns:
            consumer.refresh(now_ns)
            refresh_due_ns = now_ns + REFRESH_NS
        if consumer.is_connected and not has_told:
            has_told = True
            for lane in (NORMAL, URGENT):
                os.write(diary, ("a {} {} {} {}\n".format(lane, *consumer.recovered(lane))).encode())
        work = 0
        for lane in (URGENT, NORMAL):
            for _ in range(5):
                view = consumer.try_peek(lane)
                if view is None:
                    break
                sequence = int(view[0])
                os.write(diary, f"s {lane} {sequence}\n".encode())
                work += 1
                if any(view[word] != sequence for word in range(SLOT_SIZE // 8)):
                    os.write(diary, f"torn {lane} {sequence}\n".encode())
            if passes % 3 and consumer.sequence(lane):
                consumer.release(lane)
                os.write(diary, f"r {lane} {consumer.sequence(lane)}\n".encode())
        if not work and consumer.prepare_sleep():
            wait_for(bell, REFRESH_NS)
            consumer.cancel_sleep()
    consumer.close()


def main() -> None:
    role, instance, wake_fd, diary_path, *rest = sys.argv[1:]
    signal.signal(signal.SIGTERM, on_term)
    diary = os.open(diary_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Memory(instance, role) as memory:
        os.write(diary, b"up\n")
        if role == "producer":
            produce(memory, Bell(int(wake_fd)), diary, int(rest[0]) if rest else 0)
        else:
            consume(memory, Bell(int(wake_fd)), diary)


if __name__ == "__main__":
    main()
