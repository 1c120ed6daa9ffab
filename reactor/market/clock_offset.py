"""How far a venue's clock is from ours, estimated from its time endpoint, with an error bound.

    ours     send ──────────── receive
                  \\        /
    venue          time_ms          the venue read its clock somewhere between our two stamps

offset = venue's time − middle of ours; it cannot be wrong by more than half the round trip and the venue's resolution of
1 ms. Of all samples the one with the smallest error counts; its error grows with its age, because clocks drift.
"""

from dataclasses import dataclass

MS_NS = 1_000_000
RESOLUTION_NS = MS_NS  # the endpoint says whole milliseconds, cut
DRIFT_PPM = 50  # between two quartz clocks without discipline; two disciplined ones are far better


@dataclass(frozen=True, slots=True)
class ClockEstimate:
    """venue wall clock = our wall clock + offset_ns ± error_ns."""

    offset_ns: int
    error_ns: int


class ClockOffset:
    """The estimate for one venue. Times are our CLOCK_REALTIME."""

    __slots__ = ("_error_ns", "_offset_ns", "_time_ns", "samples")

    def __init__(self) -> None:
        self.samples = 0
        self._offset_ns = 0
        self._error_ns = 0
        self._time_ns = 0

    def add(self, send_ns: int, receive_ns: int, venue_ms: int) -> bool:
        """Takes one answer of the time endpoint. Returns True if it is now the best one.

        A sample whose stamps run backwards (our clock was set) is refused.
        """
        if receive_ns < send_ns:
            return False
        error_ns = (receive_ns - send_ns) // 2 + RESOLUTION_NS // 2
        estimate = self.estimate(receive_ns)
        self.samples += 1
        offset_ns = venue_ms * MS_NS + RESOLUTION_NS // 2 - (send_ns + receive_ns) // 2
        is_contradicted = estimate is not None and abs(offset_ns - estimate.offset_ns) > error_ns + estimate.error_ns
        if estimate is not None and error_ns >= estimate.error_ns and not is_contradicted:
            return False
        self._offset_ns = offset_ns  # A contradiction means that a clock was set: the newest is right.
        self._error_ns = error_ns
        self._time_ns = receive_ns
        return True

    def estimate(self, now_ns: int) -> ClockEstimate | None:
        """The best knowledge now; None before the first sample."""
        if not self.samples:
            return None
        age_ns = max(now_ns - self._time_ns, 0)
        return ClockEstimate(self._offset_ns, self._error_ns + age_ns * DRIFT_PPM // 1_000_000)
