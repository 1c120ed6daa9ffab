"""What a full ring means to the role that writes it: one of two policies per link, never silent loss.

    lossless     strategy orders, cancels, events, commands, reports, responses, journal entries
                 the role asks `has_room(n)` before it reads input that makes up to n messages; no room: it leaves its input
                 where it is, so that the pressure moves on to whoever wrote that. `stalls` counts the times.
    conflating   state-like signals (a level, a rate, a spread): only the latest value of a signal index matters
                 no room: the message is parked, the next one of the same index overwrites it, and `flush()` sends what is
                 parked, oldest first, as soon as there is room. `skipped` counts what was overwritten.
                 A state of which each value counts is begun with `begin_each()`: it is parked too, but by itself. While
                 such a one waits (`is_pressed()`), the role leaves its input where it is. `delayed` counts them.

Both fill `header.sequence`; the writer fills everything else.
"""

from collections.abc import Callable
from typing import Any, Final

from reactor.domain.messages import number
from shm.ring import NORMAL, Producer

PARKED_PER_FLUSH_MAX: Final = 64  # About 20 µs of copying, so that a flush never delays a pass for longer.


class LosslessSender:
    """One lane of a ring on which nothing may be lost."""

    __slots__ = ("_commit", "_free", "_lane", "_room", "_sequence", "_try_claim", "stalls")

    def __init__(self, producer: Producer, lane: int = NORMAL) -> None:
        self.stalls = 0  # How often there was no room: an alert if it grows.
        self._lane = lane
        self._room = 0  # What we know to be free; the reader can only make it more.
        self._free = producer.free
        self._try_claim = producer.try_claim
        self._commit = producer.commit
        self._sequence = producer.sequence

    def has_room(self, count: int) -> bool:
        """True: the next `count` claims will succeed. False: leave your input unread, and ask again in the next pass."""
        if self._room >= count:
            return True
        self._room = self._free(self._lane)
        if self._room >= count:
            return True
        self.stalls += 1
        return False

    def claim(self) -> Any:
        """The next slot, its sequence filled. Ask `has_room()` before; fill the rest, then `commit()`."""
        view = self._try_claim(self._lane)
        assert view is not None, "a lossless claim without room: ask has_room() before reading input"
        self._room -= 1
        view.header.sequence = self._sequence(self._lane)
        return view

    def commit(self) -> None:
        """Publishes everything claimed."""
        self._commit(self._lane)


class ConflatingSender:
    """One lane of a ring on which the newest message of each signal index wins.

    message = sender.begin(signal_index)   clear it, or overwrite every field; or begin_each(): lost to no newer one
    sender.done()
    """

    __slots__ = ("_copy", "_each_last", "_each_waiting", "_lane", "_new", "_number", "_open", "_opened", "_parked", "_producer",
                 "_spare", "_waiting", "delayed", "skipped")  # fmt: skip

    def __init__(
        self, producer: Producer, new: Callable[[], Any], copy: Callable[[Any, Any], object], lane: int = NORMAL
    ) -> None:
        """`new()` makes a message of private memory, once per signal index that ever waits; `copy(target, source)`."""
        self.skipped = 0  # Messages that a newer one of the same index replaced before anybody read them.
        self.delayed = 0  # Messages of which each counts that had to wait for room.
        self._each_waiting = 0  # how many of them wait now
        self._each_last = _IN_RING  # Each of them waits under a key of its own, counted down.
        self._spare: list[Any] = []  # messages for them
        self._opened: Any = None  # the parked message that is being filled
        self._producer = producer
        self._number = number
        self._lane = lane
        self._new = new
        self._copy = copy
        self._parked: dict[int, Any] = {}
        self._waiting: dict[int, Any] = {}  # Signal index → parked message; the oldest wish first.
        self._open: int | None = None  # The index begun and not yet done, or IN_RING.

    def begin(self, signal_index: int) -> Any:
        """The message to fill: a slot, or, if the ring is full, the parked one of this index."""
        assert self._open is None, "begin() twice without done()"
        if not self._waiting or self._flushed():
            view = self._producer.try_claim(self._lane)
            if view is not None:
                self._open = _IN_RING
                self._number(view, self._producer.sequence(self._lane))
                return view
        parked = self._waiting.get(signal_index)
        if parked is not None:
            self.skipped += 1
        else:
            parked = self._parked.get(signal_index)
            if parked is None:
                parked = self._parked[signal_index] = self._new()
        self._open, self._opened = signal_index, parked
        return parked

    def begin_each(self) -> Any:
        """The message to fill: a slot, or, if the ring is full, one that waits behind the others. Then leave your input unread
        as long as `is_pressed()`."""
        assert self._open is None, "begin() twice without done()"
        if not self._waiting or self._flushed():
            view = self._producer.try_claim(self._lane)
            if view is not None:
                self._open = _IN_RING
                self._number(view, self._producer.sequence(self._lane))
                return view
        self.delayed += 1
        self._each_waiting += 1
        self._each_last -= 1
        self._open = self._each_last
        self._opened = self._spare.pop() if self._spare else self._new()
        return self._opened

    def done(self) -> None:
        """The message is filled: published, or waiting for room."""
        index = self._open
        assert index is not None, "done() without begin()"
        self._open = None
        if index == _IN_RING:
            self._producer.commit(self._lane)
        else:
            self._waiting[index] = self._opened

    def flush(self) -> int:
        """Sends what waits, as far as there is room. Call it once per pass. How many were sent."""
        waiting = self._waiting
        if not waiting:
            return 0
        assert self._open is None, "flush() between begin() and done()"
        producer, lane = self._producer, self._lane
        sent: list[int] = []
        for signal_index, parked in waiting.items():
            if len(sent) == PARKED_PER_FLUSH_MAX:
                break
            slot = producer.try_claim(lane)
            if slot is None:
                break
            self._copy(slot, parked)
            slot.header.sequence = producer.sequence(lane)
            sent.append(signal_index)
        for signal_index in sent:
            parked = waiting.pop(signal_index)
            if signal_index < _IN_RING:
                self._each_waiting -= 1
                self._spare.append(parked)
        if sent:
            producer.commit(lane)
        return len(sent)

    @property
    def waiting(self) -> int:
        """How many signal indices wait for room."""
        return len(self._waiting)

    def is_pressed(self) -> bool:
        """Something that may not be conflated waits: take no more input until it is gone."""
        return self._each_waiting > 0

    def _flushed(self) -> bool:
        """Nothing waits any more: a new message may overtake nobody of its own index."""
        self.flush()
        return not self._waiting


_IN_RING: Final = -1
