"""Two clocks: one for every latency of this host, one for the wall.

`monotonic_ns` (CLOCK_MONOTONIC) is one clock for all processes of a host, so stamps of different roles may be subtracted.
`realtime_ns` (CLOCK_REALTIME) is what a venue or a human calls the time; it may jump and is never subtracted for a latency.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Where a shell gets its time from; a core gets time as an argument."""

    def monotonic_ns(self) -> int:
        """CLOCK_MONOTONIC in nanoseconds."""

    def realtime_ns(self) -> int:
        """CLOCK_REALTIME in nanoseconds since 1970."""


class SystemClock:
    """The host's clocks. The attributes are the builtins themselves, so a call costs no Python frame."""

    monotonic_ns = staticmethod(time.monotonic_ns)
    realtime_ns = staticmethod(time.time_ns)


class ManualClock:
    """A clock that stands still until it is told: tests and the simulated world."""

    def __init__(self, monotonic_ns: int = 1_000_000_000, realtime_ns: int = 1_700_000_000_000_000_000) -> None:
        self._monotonic_ns = monotonic_ns
        self._realtime_ns = realtime_ns

    def monotonic_ns(self) -> int:
        """The virtual CLOCK_MONOTONIC."""
        return self._monotonic_ns

    def realtime_ns(self) -> int:
        """The virtual CLOCK_REALTIME."""
        return self._realtime_ns

    def advance(self, ns: int) -> None:
        """Moves both clocks forward."""
        assert ns >= 0, "time does not run backwards"
        self._monotonic_ns += ns
        self._realtime_ns += ns
