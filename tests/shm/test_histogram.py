"""Histograms against sorted lists: every percentile within one bucket's width."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm.histogram import (
    BUCKET_UPPER_NS,
    BUCKETS,
    NOW,
    Histogram,
    heap_histograms,
    open_histograms_reader,
    open_histograms_writer,
    percentile_of,
)
from shm.segment import Memory, SegmentError

LONGEST_NS = 2**36 - 1


def new_histogram() -> Histogram:
    return heap_histograms(1)[0]  # type: ignore[no-any-return]


def test_an_empty_histogram_has_no_percentile() -> None:
    histogram = new_histogram()
    assert (histogram.count, histogram.percentile(50), histogram.min, histogram.max, histogram.mean) == (0, 0, 0, 0, 0.0)


def test_small_values_are_exact() -> None:
    histogram = new_histogram()
    for value in range(256):
        histogram.record(value)
    assert histogram.percentiles([0, 50, 100]) == [0, 127, 255]


def test_buckets_follow_one_another_and_are_less_than_one_percent_wide() -> None:
    upper_ns = np.array(BUCKET_UPPER_NS)
    widths = np.diff(upper_ns)
    assert (widths > 0).all()
    assert (widths[256:] <= upper_ns[256:-1] / 127).all()
    assert BUCKET_UPPER_NS[-1] == LONGEST_NS
    assert len(BUCKET_UPPER_NS) == BUCKETS


@given(st.lists(st.integers(0, LONGEST_NS), min_size=1, max_size=200), st.floats(0, 100))
def test_a_percentile_is_that_of_the_sorted_values_within_one_bucket(values: list[int], percent: float) -> None:
    histogram = new_histogram()
    for value in values:
        histogram.record(value)
    rank = max(1, -(-len(values) * round(percent * 10_000) // 1_000_000))
    exact = sorted(values)[rank - 1]
    assert exact <= histogram.percentile(percent) <= exact + max(1, exact // 127)
    assert exact <= percentile_of(histogram.buckets(), percent) <= exact + max(1, exact // 127)
    assert (histogram.count, histogram.min, histogram.max) == (len(values), min(values), max(values))
    assert histogram.mean == pytest.approx(sum(values) / len(values))


@given(st.lists(st.integers(0, 10**9)), st.lists(st.integers(0, 10**9)))
def test_merged_histograms_equal_one_that_saw_everything(one: list[int], other: list[int]) -> None:
    histograms = heap_histograms(3)
    for value in one:
        histograms[0].record(value)
        histograms[2].record(value)
    for value in other:
        histograms[1].record(value)
        histograms[2].record(value)
    histograms[0].merge(histograms[1])
    assert (histograms[0].buckets() == histograms[2].buckets()).all()
    assert (histograms[0].min, histograms[0].max, histograms[0].count) == (
        histograms[2].min,
        histograms[2].max,
        histograms[2].count,
    )


def test_too_long_values_are_counted_in_the_last_bucket_and_told_by_the_maximum() -> None:
    histogram = new_histogram()
    histogram.record(2**40)
    assert histogram.overflow == 1
    assert histogram.max == 2**40
    assert histogram.percentile(50) == 2**40
    assert histogram.buckets()[-1] == 1


def test_negative_values_count_as_zero() -> None:
    histogram = new_histogram()
    histogram.record(-5)
    assert histogram.percentiles() == [0, 0, 0]
    assert histogram.count == 1


def test_clearing_forgets_everything() -> None:
    histogram = new_histogram()
    histogram.record(7)
    histogram.clear()
    assert histogram.count == 0
    assert not histogram.buckets().any()


def test_the_last_second_is_the_difference_of_two_readings() -> None:
    histogram = new_histogram()
    histogram.record(100)
    before = histogram.buckets()
    histogram.record(200)
    assert percentile_of(histogram.buckets() - before, 50) == 200


def test_another_process_reads_while_the_owner_records(memory: Memory, instance: str) -> None:
    with Memory(instance, "watcher") as other:
        writer = open_histograms_writer(memory, "latency", 2)
        reader = open_histograms_reader(other, "latency", 2)
        assert reader[1].count == 0
        writer.refresh(0)
        reader.refresh(0)
        writer[1].record(123)
        assert reader.is_connected
        assert reader[1].percentile(50) == 123
        wrong = open_histograms_reader(other, "latency", 3)
        writer.refresh(0)
        with pytest.raises(SegmentError, match="another number of histograms"):
            wrong.refresh(0)
        wrong.close()
        reader.close()
        writer.close()


def test_spans_between_stamps_are_counted_in_one_crossing() -> None:
    histograms = heap_histograms(3)
    record = histograms.spans_recorder([(0, 0, 1), (2, 1, NOW)])
    record(struct.pack("<2q", 1_000, 1_040), 1_240)
    record(struct.pack("<2q", 0, 1_040), 1_041)
    record(struct.pack("<2q", 1_000, 999), 998)
    assert [each.count for each in histograms] == [1, 0, 2]
    assert (histograms[0].max, histograms[2].min, histograms[2].max) == (40, 1, 200)
