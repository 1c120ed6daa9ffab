"""What one message through a ring costs one core: every call of its way, and the baselines it must beat.

    try_claim ─▶ fill ─▶ commit ─▶ try_peek ─▶ release          one process, private memory, nobody waits

Baseline: `collections.deque` of a fresh tuple, which is what Python would use within one process, and the bare cost of
crossing into C. Between two cores: bench/latency/ring.py.

    pytest bench/micro/shm/bench_ring.py --benchmark-only
"""

from collections import deque
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from shm._native import ffi, lib
from shm.histogram import heap_histograms
from shm.pool import Pool
from shm.ring import heap_ring
from shm.seqlock import heap_rows

CAPACITY = 1024
SLOT_SIZE = 64
MESSAGES = 256


def word_view(address: int) -> Any:
    return ffi.cast("uint64_t *", address)


def bench_the_floor_a_crossing_into_c(benchmark: BenchmarkFixture) -> None:
    producer, _ = heap_ring(CAPACITY, SLOT_SIZE, word_view)
    lane, claimed = producer._handles[0], lib.ring_claimed

    def cross() -> None:
        for _ in range(MESSAGES):
            claimed(lane)

    benchmark(cross)


def bench_the_baseline_a_deque_of_tuples(benchmark: BenchmarkFixture) -> None:
    queue: deque[tuple[int, int]] = deque()

    def through() -> int:
        total = 0
        for i in range(MESSAGES):
            queue.append((i, 1))
            total += queue.popleft()[0]
        return total

    assert benchmark(through) == sum(range(MESSAGES))


def bench_one_by_one(benchmark: BenchmarkFixture) -> None:
    producer, consumer = heap_ring(CAPACITY, SLOT_SIZE, word_view)
    try_claim, commit, try_peek, release = producer.try_claim, producer.commit, consumer.try_peek, consumer.release

    def through() -> int:
        total = 0
        for i in range(MESSAGES):
            try_claim()[0] = i
            commit()
            total += try_peek()[0]
            release()
        return total

    assert benchmark(through) == sum(range(MESSAGES))


def bench_claimed_one_by_one_committed_and_released_together(benchmark: BenchmarkFixture) -> None:
    producer, consumer = heap_ring(CAPACITY, SLOT_SIZE, word_view)
    try_claim, commit, try_peek, release = producer.try_claim, producer.commit, consumer.try_peek, consumer.release

    def through() -> int:
        for i in range(MESSAGES):
            try_claim()[0] = i
        commit()
        total = 0
        while (view := try_peek()) is not None:
            total += view[0]
        release()
        return total

    assert benchmark(through) == sum(range(MESSAGES))


def bench_batches_of_64(benchmark: BenchmarkFixture) -> None:
    producer, consumer = heap_ring(CAPACITY, SLOT_SIZE, word_view)
    messages = ffi.new("uint64_t[]", 64 * SLOT_SIZE // 8)
    into = ffi.new("uint64_t[]", 64 * SLOT_SIZE // 8)
    write, read = producer.write_batch, consumer.read_batch

    def through() -> int:
        total = 0
        for _ in range(MESSAGES // 64):
            write(messages, 64)
            total += read(into, 64)
        return total

    assert benchmark(through) == MESSAGES


def bench_a_row_written_and_read(benchmark: BenchmarkFixture) -> None:
    writer, reader = heap_rows(4, 128, word_view)

    def through() -> int:
        for i in range(MESSAGES):
            writer.edit(1)[0] = i
            writer.done(1)
        return int(reader.read(1)[0])

    assert benchmark(through) == MESSAGES - 1


def bench_an_object_taken_and_freed(benchmark: BenchmarkFixture) -> None:
    pool = Pool(64, 256, word_view)

    def through() -> int:
        for _ in range(MESSAGES):
            pool.free(pool.take())
        return pool.taken

    assert benchmark(through) == 0


def bench_a_latency_recorded(benchmark: BenchmarkFixture) -> None:
    histogram = heap_histograms(1)[0]

    def through() -> None:
        for i in range(MESSAGES):
            histogram.record(i * 1000)

    benchmark(through)
