"""Requests that have left and are not answered. Pure: numbers and times in, slots out.

    open ──▶ waiting ──answer──▶ settled
                │
                ├──timeout, connection lost──▶ late   the outcome was reported unknown; an answer may still come and is
                │                                     true news: it is reported too
                └──every copy refused──▶ settled      a refusal counts only when no copy is left that might succeed

The number on the wire is slot number · COPIES_MAX + copy. Slots are pooled; numbers are never used twice.
"""

from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final

from reactor.engine.router import COPIES_MAX

LATE_MEMORY_NS: Final = (
    60_000_000_000  # After the receive window nothing can happen any more; a minute covers answers in queues.
)
REST: Final = -1  # the "connection" of a request that went over REST


class Asked(IntEnum):
    """What a request asks of the venue."""

    PLACE = 0
    CANCEL = 1
    QUERY = 2


class Slot:
    """One request."""

    __slots__ = (
        "asked",
        "client_order_id",
        "connections",
        "entry",
        "expires_ns",
        "instrument_index",
        "is_late",
        "is_second_look",
        "number",
        "open_copies",
        "refusal",
        "request_id",
        "sent_ns",
        "successes",
        "venue",
    )

    def __init__(self) -> None:
        self.connections = [REST] * COPIES_MAX  # by copy; stale where no copy is open
        self.number = 0
        self._clear()

    def carriers(self) -> list[int]:
        """The connections whose answers are missing."""
        return [self.connections[copy] for copy in range(COPIES_MAX) if self.open_copies >> copy & 1]

    def _clear(self) -> None:
        self.asked: int = Asked.QUERY
        self.client_order_id = ""
        self.entry: Any = None  # what the engine remembers about the order, if anything
        self.instrument_index = 0
        self.request_id = 0
        self.venue = 0
        self.open_copies = 0
        self.successes = 0
        self.refusal: Any = None
        self.sent_ns = 0
        self.expires_ns = 0
        self.is_late = False
        self.is_second_look = False


class InFlight:
    """Every request of one engine."""

    def __init__(self) -> None:
        self._slots: dict[int, Slot] = {}
        self._free: list[Slot] = []
        self._by_expiry: dict[int, deque[int]] = {}  # timeout → numbers in the order of sending: no heap is needed
        self._late: deque[tuple[int, int]] = deque()
        self._number = 0

    def __len__(self) -> int:
        return len(self._slots)

    def open(self, asked: int, venue: int, request_id: int) -> Slot:
        """A slot for a request about to be sent. Fill the rest, then `sent()` for every copy, or `drop()`."""
        slot = self._free.pop() if self._free else Slot()
        self._number += 1
        slot.number = self._number
        slot.asked = asked
        slot.venue = venue
        slot.request_id = request_id
        return slot

    def wire_number(self, slot: Slot, copy: int) -> int:
        """What the request carries as its id."""
        assert 0 <= copy < COPIES_MAX, "a request has at most COPIES_MAX copies"
        return slot.number * COPIES_MAX + copy

    def sent(self, slot: Slot, copy: int, connection: int, now_ns: int, timeout_ns: int) -> None:
        """A copy was handed over to `connection`."""
        slot.connections[copy] = connection
        slot.open_copies |= 1 << copy
        if slot.sent_ns:
            return
        slot.sent_ns = now_ns
        slot.expires_ns = now_ns + timeout_ns
        self._slots[slot.number] = slot
        try:
            self._by_expiry[timeout_ns].append(slot.number)
        except KeyError:
            self._by_expiry[timeout_ns] = deque((slot.number,))

    def drop(self, slot: Slot) -> None:
        """Nothing of it was sent."""
        assert not slot.open_copies, "a request that was handed over is not dropped"
        self._recycle(slot)

    def find(self, wire_number: int) -> tuple[Slot | None, int]:
        """(slot, copy) of an answer; slot None: nobody asked, or it was settled before."""
        copy = wire_number & (COPIES_MAX - 1)
        slot = self._slots.get(wire_number // COPIES_MAX)
        if slot is None or not slot.open_copies >> copy & 1:
            return None, copy
        return slot, copy

    def sole(self, wire_number: int) -> Slot | None:
        """The slot of an answer if the usual is true: one copy went out, and nothing was heard of it yet. None: `find` it."""
        slot = self._slots.get(wire_number // COPIES_MAX)
        if slot is None or slot.open_copies != 1 << wire_number % COPIES_MAX or slot.successes or slot.is_late:
            return None
        return slot

    def settle_sole(self, slot: Slot) -> None:
        """`sole` was answered with yes, and that is told: `succeeded` and `settle` in one, without what it never needed."""
        del self._slots[slot.number]
        slot.client_order_id = ""
        slot.entry = slot.refusal = None
        slot.open_copies = slot.sent_ns = 0
        slot.is_second_look = False
        self._free.append(slot)

    def succeeded(self, slot: Slot, copy: int) -> bool:
        """A copy was answered with yes. True: the first yes, report it."""
        slot.open_copies &= ~(1 << copy)
        slot.successes += 1
        return slot.successes == 1

    def refused(self, slot: Slot, copy: int, refusal: Any) -> Any:
        """A copy was answered with no. Returns what to report now: the refusal, or None if another copy may still succeed
        or one has."""
        slot.open_copies &= ~(1 << copy)
        if slot.refusal is None:
            slot.refusal = refusal
        if slot.open_copies or slot.successes:
            return None
        return slot.refusal

    def settle(self, slot: Slot) -> None:
        """Everything about it is known. Call it when no copy is open."""
        if slot.open_copies:
            return
        if self._slots.pop(slot.number, None) is not None:
            self._recycle(slot)

    def expired(self, now_ns: int) -> Iterator[Slot]:
        """Requests whose time is over, each once; they are late from now on and `find` still knows them."""
        for queue in self._by_expiry.values():
            while queue:
                slot = self._slots.get(queue[0])
                if slot is not None and slot.expires_ns > now_ns:
                    break
                queue.popleft()
                if slot is None or slot.is_late:
                    continue
                if slot.successes:  # Only the slower copy of a race is missing: nobody needs it.
                    slot.open_copies = 0
                    self.settle(slot)
                    continue
                self._be_late(slot, now_ns)
                yield slot
        while self._late and self._late[0][0] <= now_ns:
            _, number = self._late.popleft()
            slot = self._slots.pop(number, None)
            if slot is not None:
                self._recycle(slot)

    def connection_lost(self, venue: int, connection: int, now_ns: int) -> list[Slot]:
        """The connection is gone. Returns requests that nobody can answer any more; they are late from now on."""
        lost: list[Slot] = []
        for slot in list(self._slots.values()):
            if slot.venue != venue or slot.is_late:
                continue
            mask = sum(
                1 << copy for copy in range(COPIES_MAX) if slot.open_copies >> copy & 1 and slot.connections[copy] == connection
            )
            if not mask:
                continue
            if slot.open_copies != mask:
                slot.open_copies &= ~mask  # Another copy will tell.
            elif slot.successes:
                slot.open_copies = 0
                self.settle(slot)
            else:
                self._be_late(slot, now_ns)
                lost.append(slot)
        return lost

    def next_expiry_ns(self) -> int:
        """When `expired` has something to say; 0: nothing waits."""
        due = 0
        for queue in self._by_expiry.values():
            while queue and queue[0] not in self._slots:
                queue.popleft()
            if queue:
                expires_ns = self._slots[queue[0]].expires_ns
                due = expires_ns if not due else min(due, expires_ns)
        return due

    def _be_late(self, slot: Slot, now_ns: int) -> None:
        slot.is_late = True
        self._late.append((now_ns + LATE_MEMORY_NS, slot.number))

    def _recycle(self, slot: Slot) -> None:
        slot._clear()
        self._free.append(slot)
