"""Exponential backoff with full jitter: how long to wait before the next try. Pure; randomness is handed in."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class BackoffParameters:
    """The first delay and the longest one, in ns."""

    first_ns: int = 200_000_000  # A dropped socket is usually back at once.
    longest_ns: int = 30_000_000_000  # A venue in maintenance need not be asked more often; 300 connects / 5 min is its limit.
    factor: float = 2.0


class Backoff:
    """Counts failures in a row. `uniform()` answers a number in [0, 1)."""

    def __init__(self, parameters: BackoffParameters, uniform: Callable[[], float]) -> None:
        self._parameters = parameters
        self._uniform = uniform
        self.failures = 0

    def next_delay_ns(self) -> int:
        """Counts one more failure and says how long to wait: between half of the step and the whole of it."""
        parameters = self._parameters
        # The exponent is capped: a float overflows after a thousand failures, a night of maintenance makes more.
        step = min(float(parameters.longest_ns), parameters.first_ns * parameters.factor ** min(self.failures, 64))
        self.failures += 1
        return int(step * (0.5 + 0.5 * self._uniform()))

    def reset(self) -> None:
        """It worked: the next failure waits the first delay again."""
        self.failures = 0
