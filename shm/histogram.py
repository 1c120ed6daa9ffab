"""How often which latency: HDR-style buckets, 1 ns to 68 s at better than 1 %, in memory that anyone may read meanwhile.

    role      latencies = open_histograms_writer(memory, "prepost/latency", count)      latencies[i].record(ns)
    watcher   latencies = open_histograms_reader(memory, "prepost/latency", count)      latencies.refresh(now_ns)
              latencies[i].percentile(99.9)

A histogram grows until it is cleared. For "the last second", take the difference of two `buckets()` to `percentile_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from shm._native import ffi, lib
from shm.segment import FollowedSegments, HeapSegment, MappedSegment, Memory, OwnSegment, SegmentError, next_epoch

if TYPE_CHECKING:  # Who records does without numpy; who takes whole histograms apart imports it.
    import numpy as np
    import numpy.typing as npt

BUCKETS: Final[int] = lib.HISTOGRAM_BUCKETS
BUCKET_UPPER_NS: Final[tuple[int, ...]] = tuple(lib.histogram_bucket_upper(i) for i in range(BUCKETS))
PERCENTILES: Final = (50.0, 99.0, 99.9)
NOW: Final[int] = lib.HISTOGRAM_NOW

_COMPLAINTS = {
    lib.HISTOGRAM_BAD_MAGIC: "is not a histogram segment of this system",
    lib.HISTOGRAM_BAD_VERSION: "was laid out by another version; stop every process of this instance, then start again",
    lib.HISTOGRAM_BAD_COUNT: "has another number of histograms",
    lib.HISTOGRAM_BAD_SIZE: "is smaller than its header claims",
}


class Histogram:
    """One histogram in whatever memory. Recording is for its one writer."""

    __slots__ = ("_histogram", "_owner", "_record")

    def __init__(self, histogram: Any, owner: object) -> None:
        """`owner` keeps the memory."""
        self._histogram = histogram
        self._owner = owner
        self._record = lib.histogram_record

    def record(self, value_ns: int) -> None:
        """Counts one value in ns; a negative one counts as 0."""
        self._record(self._histogram, value_ns)

    def clear(self) -> None:
        """Forgets everything. For the writer only."""
        lib.histogram_clear(self._histogram)

    def merge(self, source: Histogram) -> None:
        """Adds what `source` counted. For the writer of this one only."""
        lib.histogram_merge(self._histogram, source._histogram)

    def percentile(self, percent: float) -> int:
        """The value in ns that `percent` of all values do not exceed; 0: there are none."""
        return int(lib.histogram_percentile(self._histogram, round(percent * 10_000)))

    def percentiles(self, percents: Sequence[float] = PERCENTILES) -> list[int]:
        """Several at once, in ns."""
        return [self.percentile(percent) for percent in percents]

    @property
    def count(self) -> int:
        """How many values."""
        return int(lib.histogram_count(self._histogram))

    @property
    def overflow(self) -> int:
        """How many of them were longer than 68 s."""
        return int(lib.histogram_overflow(self._histogram))

    @property
    def max(self) -> int:
        """The greatest value in ns."""
        return int(lib.histogram_max(self._histogram))

    @property
    def min(self) -> int:
        """The smallest value in ns; 0: there are none."""
        return int(lib.histogram_min(self._histogram))

    @property
    def mean(self) -> float:
        """In ns. Prefer percentiles."""
        count = self.count
        return int(lib.histogram_sum(self._histogram)) / count if count else 0.0

    def buckets(self) -> npt.NDArray[np.uint64]:
        """The counts of all buckets; bucket i holds values up to BUCKET_UPPER_NS[i]."""
        import numpy as np

        counts = np.empty(BUCKETS, dtype=np.uint64)
        lib.histogram_buckets(self._histogram, ffi.from_buffer("uint64_t[]", counts, require_writable=True))
        return counts


def percentile_of(buckets: npt.NDArray[np.uint64], percent: float) -> int:
    """The same percentile from bucket counts, such as the difference of two readings: upper edge of the bucket in ns."""
    import numpy as np

    total = int(buckets.sum())
    if total == 0:
        return 0
    wanted = max(1, -(-total * round(percent * 10_000) // 1_000_000))
    return int(BUCKET_UPPER_NS[int(np.searchsorted(np.cumsum(buckets), wanted))])


class HistogramsWriter(Sequence[Histogram]):
    """The histograms of one role, which alone records into them."""

    def __init__(self, name: str, own: OwnSegment | HeapSegment, count: int) -> None:
        self._own = own
        segment = ffi.cast("void *", own.address)
        result = lib.histogram_open(segment, own.size, count, next_epoch())
        if result != lib.HISTOGRAM_OK:
            raise SegmentError(f"histograms {name}: the segment {_COMPLAINTS[result]}")
        self._rows = [Histogram(lib.histogram_at(segment, index), own) for index in range(count)]

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def spans_recorder(self, spans: Sequence[tuple[int, int, int]]) -> Callable[[bytes, int], None]:
        """A function of (stamps, now_ns): counts each span (which histogram, from which stamp, to which) in one crossing.

        The stamps come as the bytes of int64 behind one another, 0: not set. A span that lacks one, or in which time ran
        backwards, is not counted. NOW as the last stamp is now_ns.
        """
        plan = ffi.new("uint8_t[]", [part for span in spans for part in span])
        record: Callable[[bytes, int], None] = partial(
            lib.histogram_record_spans, ffi.cast("void *", self._own.address), plan, len(spans)
        )
        return record

    def refresh(self, now_ns: int) -> None:
        """Lets late readers find them. Cheap; call it about every 10 ms."""
        self._own.refresh()

    def close(self) -> None:
        """Takes the memory back."""
        self._rows = []
        self._own.close()


class HistogramsReader(Sequence[Histogram]):
    """Somebody else's histograms. Empty ones until `refresh()` finds the writer."""

    def __init__(self, name: str, count: int, announced: FollowedSegments) -> None:
        self.name = name
        self._announced = announced
        self._mapped: MappedSegment | None = None
        self._empty = _empty_histograms(count)
        self._rows: Sequence[Histogram] = self._empty

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def refresh(self, now_ns: int) -> None:
        """Finds a late or restarted writer; take the histograms anew after this.

        Raises:
            SegmentError: what claims to be our histograms is something else.
        """
        candidate = self._announced.newest()
        if candidate is None or candidate is self._mapped:
            return
        segment = ffi.cast("void *", candidate.address)
        result = lib.histogram_check(segment, candidate.size, len(self._empty))
        if result != lib.HISTOGRAM_OK:
            raise SegmentError(f"histograms {self.name}: the segment {_COMPLAINTS[result]}")
        self._mapped = candidate
        self._rows = [Histogram(lib.histogram_at(segment, index), candidate) for index in range(len(self._empty))]

    @property
    def is_connected(self) -> bool:
        """A writer has been found."""
        return self._mapped is not None

    def close(self) -> None:
        """Stops listening."""
        self._rows = self._empty
        self._mapped = None
        self._announced.close()


def heap_histograms(count: int, name: str = "heap") -> HistogramsWriter:
    """Histograms in the memory of this process. Same code."""
    return HistogramsWriter(name, HeapSegment(lib.histogram_segment_size(count)), count)


@lru_cache
def _empty_histograms(count: int) -> HistogramsWriter:
    """What every reader without a writer shows: nobody records into it, so one is enough."""
    return heap_histograms(count, "empty")


def open_histograms_writer(memory: Memory, name: str, count: int) -> HistogramsWriter:
    """The histograms `name` of this instance in shared memory, ours to record into.

    Raises:
        SegmentError: the memory cannot be had, or another living process records into them.
    """
    own = memory.segment(name, lib.histogram_segment_size(count))
    writer = HistogramsWriter(name, own, count)
    own.announce()
    return writer


def open_histograms_reader(memory: Memory, name: str, count: int) -> HistogramsReader:
    """Reads the histograms `name` of this instance.

    Raises:
        SegmentError: the memory cannot be had.
    """
    return HistogramsReader(name, count, memory.follow(name))
