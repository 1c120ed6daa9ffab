"""Rows that one process writes and anyone reads: book tops, positions, risk, life signs. Watching costs the writer nothing.

writer   row = rows.edit(i)   change fields   rows.done(i)
reader   row = rows.read(i)   a consistent private copy, overwritten by the next read of the same row
"""

from collections.abc import Callable
from typing import Any

from shm._lanes import ReadRows
from shm._native import ffi, lib
from shm.segment import FollowedSegments, HeapSegment, MappedSegment, Memory, OwnSegment, SegmentError, next_epoch

MakeView = Callable[[int], Any]
Own = OwnSegment | HeapSegment

# Looked up once; one argument each: see cffi_build/include/ring.h.
_store_row: Callable[[Any], None] = lib.seqlock_store_row
_write_row: Callable[[Any, int, Any], None] = lib.seqlock_write

_COMPLAINTS = {
    lib.SEQLOCK_BAD_MAGIC: "is not a row segment of this system",
    lib.SEQLOCK_BAD_VERSION: "was laid out by another version; stop every process of this instance, then start again",
    lib.SEQLOCK_BAD_ROW_SIZE: "has rows of another size: the two sides were built from different layouts",
    lib.SEQLOCK_BAD_ROW_COUNT: "has another number of rows",
    lib.SEQLOCK_BAD_SIZE: "is smaller than its header claims",
}


class RowsError(SegmentError):
    """A row segment cannot be worked with. The sentence says why."""

    def __init__(self, name: str, result: int) -> None:
        super().__init__(f"rows {name}: the segment {_COMPLAINTS.get(result, f'was refused ({result})')}")


class RowsWriter:
    """The one writer of a row segment. Made by `heap_rows()` or `open_rows_writer()`."""

    __slots__ = ("_copies", "_handles", "_own", "_rows", "_segment", "_views", "count", "name")

    def __init__(self, name: str, own: Own, count: int, row_size: int, make_view: MakeView) -> None:
        self.name = name
        self.count = count
        self._own = own
        segment = self._segment = ffi.cast("void *", own.address)
        result = lib.seqlock_open(segment, own.size, count, row_size, next_epoch())
        if result != lib.SEQLOCK_OK:
            raise RowsError(name, result)
        self._copies, self._rows, self._handles, self._views = _private_rows(count, row_size, make_view)
        for row in self._handles:
            row.segment = segment

    def edit(self, index: int) -> Any:
        """The writer's own copy of a row, as it was left. Readers see changes after `done()`."""
        return self._views[index]

    def done(self, index: int) -> None:
        """Shows the row to the readers."""
        _store_row(self._handles[index])

    def write(self, index: int, row: Any) -> None:
        """Shows a whole row of the caller's own memory to the readers; what `edit` hands out does not know of it."""
        _write_row(self._segment, index, row)

    def refresh(self, now_ns: int) -> None:
        """Lets late readers find it. Cheap; call it about every 10 ms."""
        self._own.refresh()

    @property
    def own_segment(self) -> Own:
        """What readers map."""
        return self._own

    @property
    def address(self) -> int:
        """The segment, for C that writes rows by itself (seqlock_write)."""
        return self._own.address

    def close(self) -> None:
        """Takes the segment back. No row may be written after this."""
        self._handles = []
        self._own.close()


class RowsReader(ReadRows):
    """Reads rows that somebody else writes. Made by `heap_rows()` or `open_rows_reader()`.

    `read(index)`: a consistent copy of the row; the same view every time.

    Before a writer is found, and for rows never written, a row is all zeros. A successor's segment replaces its predecessor's
    at the first refresh that finds it.
    """

    __slots__ = (
        "_announced",
        "_copies",
        "_handles",
        "_mapped",
        "_row_size",
        "_rows",
        "_segment",
        "_views",
        "count",
        "name",
        "torn",
    )

    def __init__(self, name: str, count: int, row_size: int, make_view: MakeView, announced: FollowedSegments | None) -> None:
        self.name = name
        self.count = count
        self.torn = 0  # Reads that kept the copy before, because the writer stopped inside the row.
        self._row_size = row_size
        self._announced = announced
        self._mapped: MappedSegment | Own | None = None
        self._segment: Any = None
        self._copies, self._rows, self._handles, self._views = _private_rows(count, row_size, make_view)
        self._use(int(ffi.cast("uintptr_t", self._rows)), self._views)

    def _note_torn(self) -> None:
        self.torn += 1

    def writes(self, index: int) -> int:
        """How often the row has been written: equal to last time means that nothing is new."""
        return int(lib.seqlock_writes(self._segment, index)) if self._segment is not None else 0

    def refresh(self, now_ns: int) -> None:
        """Finds a late or restarted writer. Cheap; call it about every 10 ms.

        Raises:
            RowsError: what claims to be our rows is something else.
        """
        if self._announced is None:
            return
        candidate = self._announced.newest()
        if candidate is not None and candidate is not self._mapped:
            self.attach(candidate)

    def attach(self, segment: MappedSegment | Own) -> None:
        """Reads from `segment` from now on.

        Raises:
            RowsError: it holds something else.
        """
        pointer = ffi.cast("void *", segment.address)
        result = lib.seqlock_check(pointer, segment.size, self.count, self._row_size)
        if result != lib.SEQLOCK_OK:
            raise RowsError(self.name, result)
        self._point_to(pointer)
        self._mapped = segment  # Only now: the segment read until here must stay mapped until then.

    def _point_to(self, segment: Any) -> None:
        self._segment = segment
        for row in self._handles:
            row.segment = segment if segment is not None else ffi.NULL

    def row_address(self, index: int) -> int:
        """The seqlock_row_t, for C that reads by itself. What it reads stands in `view(index)`."""
        return int(ffi.cast("uintptr_t", self._handles[index]))

    def view(self, index: int) -> Any:
        """The row as it was read last; zeros before."""
        return self._views[index]

    @property
    def is_connected(self) -> bool:
        """A writer's segment has been found."""
        return self._segment is not None

    def close(self) -> None:
        """Stops listening for writers; the copies stay as they are."""
        self._point_to(None)
        self._mapped = None
        if self._announced is not None:
            self._announced.close()


def _private_rows(count: int, row_size: int, make_view: MakeView) -> tuple[HeapSegment, Any, list[Any], list[Any]]:
    """Private copies of all rows: memory, the array of handles (to be kept), a pointer to each handle, a view of each copy."""
    copies = HeapSegment(count * row_size)
    rows = ffi.new("seqlock_row_t[]", count)
    for index in range(count):
        rows[index].index = index
        rows[index].copy = ffi.cast("void *", copies.address + index * row_size)
    return (
        copies,
        rows,
        [rows + index for index in range(count)],
        [make_view(int(ffi.cast("uintptr_t", row.copy))) for row in rows],
    )


def heap_rows(count: int, row_size: int, make_view: MakeView, name: str = "heap") -> tuple[RowsWriter, RowsReader]:
    """Rows in the memory of this process: for roles that share a shard, for the world and for tests. Same code.

    Raises:
        RowsError: the row size is not a multiple of 64 (at most 4096).
    """
    writer = RowsWriter(name, HeapSegment(lib.seqlock_segment_size(count, row_size)), count, row_size, make_view)
    reader = RowsReader(name, count, row_size, make_view, None)
    reader.attach(writer.own_segment)
    return writer, reader


def open_rows_writer(memory: Memory, name: str, count: int, row_size: int, make_view: MakeView) -> RowsWriter:
    """The rows `name` of this instance in shared memory, ours to write.

    Raises:
        SegmentError: the memory cannot be had, or another living process writes these rows.
        RowsError: the row size is not a multiple of 64 (at most 4096).
    """
    own = memory.segment(name, lib.seqlock_segment_size(count, row_size))
    writer = RowsWriter(name, own, count, row_size, make_view)
    own.announce()
    return writer


def open_rows_reader(memory: Memory, name: str, count: int, row_size: int, make_view: MakeView) -> RowsReader:
    """Reads the rows `name` of this instance. Zeros until `refresh()` finds a writer.

    Raises:
        SegmentError: the memory cannot be had.
    """
    return RowsReader(name, count, row_size, make_view, memory.follow(name))
