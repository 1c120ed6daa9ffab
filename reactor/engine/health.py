"""How well one order connection works, as a score from 0 to 100. Pure.

    score = 40 · success rate  +  30 round trip  +  20 errors in a row  +  10 recent life

The weights are those of the system before this one; there they chose among connections that were never measured. A score is
refreshed on events, not per order: choosing a connection must cost nothing.
"""

from typing import Final

from reactor.engine.parameters import HealthParameters

SECOND_NS: Final = 1_000_000_000
_RTT_POINTS: Final = ((10, 30), (50, 25), (100, 20), (200, 15), (500, 10))  # (below ms, points)
_ERROR_POINTS: Final = (20, 15, 10, 5)  # by consecutive errors; more: 0
_LIFE_POINTS: Final = ((10, 10), (30, 8), (60, 6), (300, 4))  # (silent for less than s, points)
SCORE_MAX: Final = 100


class Health:
    """The record of one connection."""

    __slots__ = ("_parameters", "errors_in_a_row", "last_seen_ns", "rtt_ns", "score", "success_rate")

    def __init__(self, parameters: HealthParameters | None = None) -> None:
        self._parameters = parameters or HealthParameters()
        self.success_rate = 1.0
        self.errors_in_a_row = 0
        self.rtt_ns = 0  # smoothed; 0: not measured yet
        self.last_seen_ns = 0  # when the other side was last heard
        self.score = 0

    def on_round_trip(self, rtt_ns: int, now_ns: int) -> None:
        """A request was answered (with yes or no: the connection works), or a ping."""
        weight = self._parameters.smoothing
        self.rtt_ns = int(self.rtt_ns + weight * (rtt_ns - self.rtt_ns)) if self.rtt_ns else rtt_ns
        self.success_rate += weight * (1.0 - self.success_rate)
        self.errors_in_a_row = 0
        self.last_seen_ns = now_ns

    def on_error(self, now_ns: int) -> None:
        """A request got no answer in time, or could not be handed over."""
        self.success_rate -= self._parameters.smoothing * self.success_rate
        self.errors_in_a_row += 1
        self.refresh(now_ns)

    def refresh(self, now_ns: int) -> int:
        """Computes `score` anew and returns it."""
        points = 40.0 * self.success_rate
        rtt_ms = self.rtt_ns / 1e6
        points += next((value for limit, value in _RTT_POINTS if rtt_ms < limit), 5)
        points += _ERROR_POINTS[self.errors_in_a_row] if self.errors_in_a_row < len(_ERROR_POINTS) else 0
        silent_s = (now_ns - self.last_seen_ns) / SECOND_NS if self.last_seen_ns else 0.0
        points += next((value for limit, value in _LIFE_POINTS if silent_s < limit), 2)
        self.score = min(SCORE_MAX, int(points))
        return self.score

    @property
    def is_healthy(self) -> bool:
        """Fit for opening exposure, if there is a choice."""
        return self.score >= self._parameters.score_healthy and self.errors_in_a_row < self._parameters.errors_in_a_row_max
