"""The one clock of a host: CLOCK_MONOTONIC in ns, the same for all its processes. Every latency is measured with it."""

from shm._native import lib


def monotonic_ns() -> int:
    """Now. Equal to `time.monotonic_ns()`."""
    return int(lib.clock_monotonic_ns())


def step_ns(count: int = 10_000) -> int:
    """The smallest step between `count` consecutive readings: what one reading costs at best."""
    return int(lib.clock_step_ns(count))
