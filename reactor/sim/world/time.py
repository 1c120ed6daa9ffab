"""Virtual time: a heap of things to do, done in order; between two of them no time passes.

Two events of the same instant happen in the order in which they were asked for, so a seed replays exactly.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
BOOT_NS: Final = 3_600 * SECOND  # The host's CLOCK_MONOTONIC when the world begins: never 0, as nowhere.
BIRTHDAY_NS: Final = 1_790_000_000 * SECOND  # The exchange's wall clock when the world begins.


class VirtualTime:
    """Now, and what is to be done later."""

    def __init__(self) -> None:
        self.now_ns = BOOT_NS
        self._due: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self.steps = 0  # how much was done

    def at(self, due_ns: int, do: Callable[..., None], *arguments: Any) -> None:
        """Calls `do` at that time; a time that is over means as soon as possible."""
        self._count += 1
        now_ns = self.now_ns
        heappush(self._due, (due_ns if due_ns > now_ns else now_ns, self._count, do, arguments))

    def after(self, delay_ns: int, do: Callable[..., None], *arguments: Any) -> None:
        """Calls `do` in that time."""
        self._count += 1
        heappush(self._due, (self.now_ns + delay_ns, self._count, do, arguments))

    def run(self, until_ns: int) -> None:
        """Does everything that is due until then; and it is that time."""
        due = self._due
        while due and due[0][0] <= until_ns:
            self.now_ns, _, do, arguments = heappop(due)
            self.steps += 1
            do(*arguments)
        self.now_ns = max(self.now_ns, until_ns)

    @property
    def pending(self) -> int:
        """How much there is to be done."""
        return len(self._due)

    def exchange_ns(self) -> int:
        """The exchange's wall clock, which is the true time."""
        return BIRTHDAY_NS + self.now_ns - BOOT_NS


class HostClock:
    """The clocks of the trader's host: monotonic is virtual time, the wall clock may be wrong, drift and jump."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self.offset_ns = 0  # host minus true time
        self.drift_ppm = 0.0
        self._drift_since_ns = time.now_ns

    def monotonic_ns(self) -> int:
        """See reactor/loop/clock.py."""
        return self._time.now_ns

    def realtime_ns(self) -> int:
        """See reactor/loop/clock.py."""
        drift_ns = int((self._time.now_ns - self._drift_since_ns) * self.drift_ppm / 1e6) if self.drift_ppm else 0
        return self._time.exchange_ns() + self.offset_ns + drift_ns

    def jump(self, ns: int) -> None:
        """Somebody sets the wall clock."""
        self.offset_ns += ns
