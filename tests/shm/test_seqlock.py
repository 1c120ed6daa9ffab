"""Rows that one writes and anyone reads. Torn rows under real threads are the business of tests/c/seqlock.c."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm._native import ffi
from shm.segment import HeapSegment, Memory
from shm.seqlock import RowsError, RowsReader, heap_rows, open_rows_reader, open_rows_writer

ROW_SIZE = 128


def word_view(address: int) -> Any:
    return ffi.cast("uint64_t *", address)


def test_a_reader_sees_a_row_once_the_writer_is_done_with_it() -> None:
    writer, reader = heap_rows(3, ROW_SIZE, word_view)
    writer.edit(1)[0] = 7
    assert reader.read(1)[0] == 0
    writer.done(1)
    assert reader.read(1)[0] == 7
    assert reader.read(0)[0] == 0
    assert reader.read(2)[0] == 0


def test_an_edit_continues_from_the_row_as_it_was_left() -> None:
    writer, reader = heap_rows(1, ROW_SIZE, word_view)
    writer.edit(0)[3] = 1
    writer.done(0)
    writer.edit(0)[4] = 2
    writer.done(0)
    assert (reader.read(0)[3], reader.read(0)[4]) == (1, 2)
    assert reader.writes(0) == 2


def test_a_copy_stays_as_it_is_until_the_next_read() -> None:
    writer, reader = heap_rows(1, ROW_SIZE, word_view)
    row = reader.read(0)
    writer.edit(0)[0] = 1
    writer.done(0)
    assert row[0] == 0
    reader.read(0)
    assert row[0] == 1


def test_a_row_whose_writer_stopped_inside_it_keeps_its_last_copy_and_is_counted() -> None:
    writer, reader = heap_rows(1, ROW_SIZE, word_view)
    writer.edit(0)[0] = 5
    writer.done(0)
    reader.read(0)
    version = ffi.cast("uint64_t *", writer.own_segment.address + 64)
    version[0] += 1  # As a writer that was killed between the first and the last store leaves it.
    assert reader.read(0)[0] == 5
    assert reader.torn == 1


@pytest.mark.parametrize("row_size", [0, 100, 8192], ids=["none", "not whole cache lines", "larger than a page"])
def test_an_impossible_row_size_is_refused(row_size: int) -> None:
    with pytest.raises(RowsError, match="rows of another size"):
        heap_rows(1, row_size, word_view)


def test_rows_of_another_shape_are_refused_with_a_sentence() -> None:
    writer, _ = heap_rows(2, ROW_SIZE, word_view)
    with pytest.raises(RowsError, match="another number of rows"):
        RowsReader("test", 3, ROW_SIZE, word_view, None).attach(writer.own_segment)
    with pytest.raises(RowsError, match="rows of another size"):
        RowsReader("test", 2, 64, word_view, None).attach(writer.own_segment)
    with pytest.raises(RowsError, match="not a row segment"):
        RowsReader("test", 2, ROW_SIZE, word_view, None).attach(HeapSegment(4096))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15), st.integers(0, 2**64 - 1)), max_size=60))
def test_rows_and_a_list_of_lists_agree(writes: list[tuple[int, int, int]]) -> None:
    writer, reader = heap_rows(4, ROW_SIZE, word_view)
    twin = [[0] * 16 for _ in range(4)]
    for row, word, value in writes:
        writer.edit(row)[word] = twin[row][word] = value
        writer.done(row)
        assert [[int(reader.read(i)[j]) for j in range(16)] for i in range(4)] == twin


def test_a_late_reader_finds_the_rows_and_a_successors_rows_replace_them(memory: Memory, instance: str) -> None:
    with Memory(instance, "watcher") as other:
        writer = open_rows_writer(memory, "tops", 2, ROW_SIZE, word_view)
        writer.edit(1)[0] = 1
        writer.done(1)
        reader = open_rows_reader(other, "tops", 2, ROW_SIZE, word_view)
        assert not reader.is_connected
        assert reader.read(1)[0] == 0, "zeros while nobody was found"
        writer.refresh(0)
        reader.refresh(0)
        assert reader.is_connected
        assert reader.read(1)[0] == 1
        writer.close()
        assert reader.read(1)[0] == 1, "the dead owner's rows stay readable"
        successor = open_rows_writer(memory, "tops", 2, ROW_SIZE, word_view)
        successor.refresh(0)
        reader.refresh(0)
        assert reader.read(1)[0] == 0
        reader.close()
        successor.close()


def test_rows_in_shared_memory_with_another_shape_are_refused(memory: Memory) -> None:
    writer = open_rows_writer(memory, "tops", 2, ROW_SIZE, word_view)
    reader = open_rows_reader(memory, "tops", 3, ROW_SIZE, word_view)
    writer.refresh(0)
    with pytest.raises(RowsError, match="another number of rows"):
        reader.refresh(0)
