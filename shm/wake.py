"""Sleeping without losing a wake-up.

A shard sleeps on one bell, an eventfd that the supervisor made and its children inherited. Who commits to a ring rings the
bell of the ring's reader, but only if the reader's sleep flag is up, and once per sleep.

    reader                                        writer
      flag := up                                    published := n
      published = peeked for every ring?            flag up?
        no  → flag := down, work                      yes → ring the bell
        yes → wait for the bell
      flag := down

Both lines on each side are sequentially consistent, so at least one side sees what the other wrote: either the reader finds
the message, or the writer finds the flag. tests/shm/test_wake_model.py walks every interleaving of these steps, and of the
same steps in a wrong order.

    if prepare_sleep(consumers):
        wait_for(bell, timeout_ns)      or a loop's selector, with the bell as a readable descriptor
    cancel_sleep(consumers)             after every wake-up, whatever woke us
    bell.silence()                      before looking into the rings
"""

import os
import select
from collections.abc import Iterable
from typing import Protocol

from shm._native import lib


class Sleeper(Protocol):
    """A ring's reading side, as far as sleeping goes."""

    def prepare_sleep(self) -> bool:
        """Raises the sleep flag, then looks again. False: something is there, and the flag is down."""

    def cancel_sleep(self) -> None:
        """Lowers the sleep flag."""


class Bell:
    """An eventfd. Anyone who inherited the descriptor may ring it; one shard waits for it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def make(cls) -> "Bell":
        """A new bell that children inherit (name it in `pass_fds`) and that a restarted child gets again."""
        return cls(os.eventfd(0, os.EFD_NONBLOCK))

    def ring(self) -> None:
        """Wakes whoever waits. Never blocks.

        Raises:
            OSError: the descriptor is not a bell.
        """
        error = lib.wake_ring(self.fd)
        if error:
            raise OSError(error, f"cannot ring the bell {self.fd}: {os.strerror(error)}")

    def silence(self) -> int:
        """How often it was rung since last time; it does not wake anybody until rung again."""
        return int(lib.wake_silence(self.fd))

    def close(self) -> None:
        """Closes this process's descriptor."""
        os.close(self.fd)


def prepare_sleep(consumers: Iterable[Sleeper]) -> bool:
    """Raises every sleep flag. True: nothing is there, sleep. False: work is there, and all flags are down again."""
    raised: list[Sleeper] = []
    for consumer in consumers:
        if not consumer.prepare_sleep():
            cancel_sleep(raised)
            return False
        raised.append(consumer)
    return True


def cancel_sleep(consumers: Iterable[Sleeper]) -> None:
    """Lowers every sleep flag. Harmless where none is up."""
    for consumer in consumers:
        consumer.cancel_sleep()


def wait_for(bell: Bell, timeout_ns: int) -> bool:
    """Blocks until the bell rings or the time is over. True: it rang, and is silent again. For shards without a socket loop."""
    readable, _, _ = select.select([bell.fd], [], [], max(timeout_ns, 0) / 1e9)
    return bool(readable) and bell.silence() > 0
