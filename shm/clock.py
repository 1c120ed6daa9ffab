"""The one clock of a host: CLOCK_MONOTONIC in ns, the same for all its processes. Every latency is measured with it."""

from shm._native import ffi, lib

GAPS_MAX = 65_536  # Noted; a core that is taken away more often than that in a few seconds is known well enough.


def monotonic_ns() -> int:
    """Now. Equal to `time.monotonic_ns()`."""
    return int(lib.clock_monotonic_ns())


def step_ns(count: int = 10_000) -> int:
    """The smallest step between `count` consecutive readings: what one reading costs at best."""
    return int(lib.clock_step_ns(count))


def gaps_ns(duration_ns: int, threshold_ns: int) -> tuple[list[int], int, int]:
    """Keeps this core busy for so long with reading the clock, to see when it was taken away.

    Returns the gaps of at least `threshold_ns` between two readings (the first GAPS_MAX), how many there were, and how many
    readings.
    """
    gaps, readings = ffi.new("int64_t[]", GAPS_MAX), ffi.new("uint64_t *")
    count = int(lib.clock_gaps(duration_ns, threshold_ns, gaps, GAPS_MAX, readings))
    return ffi.unpack(gaps, min(count, GAPS_MAX)), count, int(readings[0])
