"""The venue's clock as seen from here, with its error bound. Pure.

One sample: the venue's `serverTime` in ms, asked at `sent` and answered at `received` on our wall clock. The venue read its
clock somewhere in between, so

    offset = serverTime + ½ ms − (sent + received) / 2        error ≤ (received − sent) / 2 + ½ ms, and grows with drift

A request is accepted iff timestamp < venue + 1000 ms and venue − timestamp ≤ recvWindow. A request that could be outside is
never sent.
"""

from collections import deque
from typing import Final

from reactor.engine.parameters import ClockParameters

HALF_MS_NS: Final = 500_000
MS_NS: Final = 1_000_000
AHEAD_MAX_MS: Final = 1000  # "Timestamp for this request was 1000ms ahead of the server's time."


class VenueClock:
    """Estimates offset = venue wall clock − our wall clock."""

    def __init__(self, parameters: ClockParameters | None = None) -> None:
        self._parameters = parameters or ClockParameters()
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=self._parameters.samples_max)  # (taken, offset, error)
        self.offset_ns = 0
        self.is_measured = False
        self.jumps = 0
        self._taken_ns = 0
        self._error_ns = 0

    def observe(self, sent_wall_ns: int, received_wall_ns: int, venue_ms: int, now_ns: int) -> None:
        """One answer of the time endpoint. `now_ns` is CLOCK_MONOTONIC."""
        if received_wall_ns < sent_wall_ns:
            return  # Our own wall clock was set back in between.
        offset_ns = venue_ms * MS_NS + HALF_MS_NS - (sent_wall_ns + received_wall_ns) // 2
        error_ns = (received_wall_ns - sent_wall_ns) // 2 + HALF_MS_NS
        if self.is_measured and abs(offset_ns - self.offset_ns) > error_ns + self.error_ns(now_ns) + self._parameters.jump_ns:
            self._samples.clear()
            self.jumps += 1
        self._samples.append((now_ns, offset_ns, error_ns))
        self._taken_ns, self.offset_ns, self._error_ns = min(
            self._samples, key=lambda sample: sample[2] + self._drift_ns(now_ns - sample[0])
        )
        self.is_measured = True

    def forget(self) -> None:
        """The venue said that our time is wrong (−1021): nothing measured before is worth anything."""
        self._samples.clear()
        self.is_measured = False

    def error_ns(self, now_ns: int) -> int:
        """How far off the offset can be."""
        return self._error_ns + self._drift_ns(now_ns - self._taken_ns)

    def venue_ms(self, wall_ns: int) -> int:
        """Our wall clock, told in the venue's."""
        return (wall_ns + self.offset_ns) // MS_NS

    def is_certain(self, now_ns: int, window_ms: int) -> bool:
        """True if a request with this receive window, stamped now, cannot be outside of it for our clock's fault: half the
        window is left to the wire."""
        return self.is_measured and self.error_ns(now_ns) <= min(AHEAD_MAX_MS, window_ms) * MS_NS // 2

    def _drift_ns(self, elapsed_ns: int) -> int:
        return int(elapsed_ns * self._parameters.drift_ppm / 1e6)
