"""The journal's door: what it promises about delay, release, a disk that fails, and whose file it is."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from journal_bench import INSTRUMENTS, WORDS, Entries, make_bench

from reactor.domain.errors import ConfigError
from reactor.domain.messages import SIZE, VIEW, LifeState
from reactor.journal.role import TELL_NS, Counter, JournalParameters, JournalPorts, JournalRole, JournalState, state_of
from reactor.journal.rows import Batch
from reactor.journal.store import Outcome, Result
from reactor.loop.clock import SystemClock
from reactor.loop.counters import Metrics
from reactor.loop.log import NullLog
from shm.ring import heap_ring

DEADLINE_S = 20.0


def count(path: Path, table: str = "orders") -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


def test_an_entry_is_written_within_the_delay(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    bench.run()
    bench.send(Entries().order())
    bench.run(1)
    assert count(bench.path) == 0, "it gathers with others"
    due_ns = bench.role.deadline_ns(bench.clock.monotonic_ns())
    assert due_ns <= bench.clock.monotonic_ns() + 3_000_000
    bench.run((due_ns - bench.clock.monotonic_ns()) / 1e6)
    assert count(bench.path) == 1
    assert bench.metrics.get(Counter.DELAY_US_MAX) <= 5_000


def test_the_delay_that_is_told_counts_from_before_the_entry_was_written(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    bench.run(100)
    bench.send(Entries().order())
    bench.role._scribe._disk.write = lambda batch: Outcome(  # type: ignore[union-attr]
        Result.WRITTEN, 1, committed_ns=bench.clock.monotonic_ns() + 1_500_000, free_bytes=1 << 40
    )
    bench.run(4)
    assert bench.metrics.get(Counter.DELAY_US_MAX) == 5_500


def test_a_message_is_released_only_after_its_commit(tmp_path: Path) -> None:
    disk = Disk()
    bench = make_bench(tmp_path, capacity=8, open_disk=lambda: disk)
    free: list[int] = []
    disk.during_write = lambda: free.append(bench.ring.free())
    entries = Entries()
    bench.send(*(entries.order(number) for number in range(8)))
    bench.run()
    assert free == [0]
    assert bench.ring.free() == 8


def test_a_full_batch_is_followed_by_the_next_at_once(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, batch_rows_max=4)
    entries = Entries()
    bench.send(*(entries.order(number) for number in range(9)))
    bench.run()
    assert count(bench.path) == 4
    bench.run()
    assert count(bench.path) == 8


def test_what_comes_by_the_ten_thousand_gathers_for_longer_and_a_burst_does_not(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, capacity=256)
    entries = Entries()

    def commits(batches: list[int]) -> int:
        before = bench.metrics.get(Counter.COMMITS)
        for size in batches:
            bench.send(*(entries.order(number) for number in range(size)))
            bench.run(4)
        return bench.metrics.get(Counter.COMMITS) - before

    assert commits([100] + [1] * 19) == 20, "one burst"
    commits([60] * 21)
    assert commits([60] * 21) == 7, "every 12 ms instead of every 4"
    commits([1] * 40)
    assert commits([1] * 20) == 20, "calm again"


def test_entries_seen_again_after_a_crash_change_nothing(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    entries = Entries()
    sent = [entries.order(), entries.fill(1), entries.pair(0, 1), entries.funding(5), entries.balance(9)]
    bench.send(*sent)
    bench.settle()
    bench.send(*sent)  # What a successor finds in the ring when its predecessor died before it released.
    bench.settle()
    tables = ("orders", "fills", "pairs", "funding", "balances")
    assert [count(bench.path, table) for table in tables] == [1, 1, 1, 1, 1]


def test_a_full_disk_raises_the_alarm_loses_nothing_and_recovers(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, pages_max=60)
    entries = Entries()
    sent = 0
    while bench.metrics.get(Counter.STATE) != JournalState.FAILING:
        bench.send(*(entries.order(sent + number) for number in range(32)))
        sent += 32
        bench.settle()
        assert sent < 10_000
    assert count(bench.path) == sent - 32
    assert bench.ring.free() == 32, "what was not written was not released"
    for _ in range(20):
        bench.run(100)
    assert bench.metrics.get(Counter.FAILURES) > 2, "it is tried again"
    assert any("cannot be written" in text for _, text, _ in bench.log.records)
    bench.role._scribe._disk.limit_pages(10_000)  # type: ignore[union-attr]  # Somebody has freed the disk.
    bench.run(500)
    bench.settle()
    assert count(bench.path) == sent
    assert bench.metrics.get(Counter.STATE) == JournalState.OK
    assert bench.ring.free() == 64


def test_while_the_disk_is_full_the_ring_holds_what_comes(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, pages_max=44)
    entries = Entries()
    sent = 0
    while bench.ring.free() and sent < 10_000:
        bench.send(entries.order(sent))
        sent += 1
        if sent % 16 == 0:
            bench.settle()
    written = count(bench.path)
    assert written < sent
    assert bench.ring.try_claim() is None, "the producer feels it: nothing is overwritten"
    bench.role._scribe._disk.limit_pages(10_000)  # type: ignore[union-attr]
    for _ in range(10):
        bench.run(300)
    assert count(bench.path) == sent


def test_one_bad_entry_does_not_hold_up_the_others(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    entries = Entries()
    bad = entries.order()
    bad.header.kind = 50
    bench.send(entries.order(1), bad, entries.order(2))
    bench.settle()
    assert (count(bench.path), count(bench.path, "damaged")) == (2, 1)


class Disk:
    """A store whose transactions do what the test says."""

    def __init__(self) -> None:
        self.during_write: Callable[[], object] = lambda: None
        self.duration_ns = 0
        self.unsaved_since_ns = 0

    def write(self, batch: Batch) -> Outcome:
        self.during_write()
        return Outcome(Result.WRITTEN, len(batch) // SIZE["journal"], 0, self.duration_ns, free_bytes=1 << 40)

    def lag_ns(self, now_ns: int) -> int:
        return now_ns - self.unsaved_since_ns if self.unsaved_since_ns else 0

    def close(self) -> None:
        """Nothing is open."""


def test_a_slow_disk_is_an_alarm_and_no_missing_heartbeat(tmp_path: Path) -> None:
    disk, has_begun, may_end = Disk(), Event(), Event()
    disk.during_write = lambda: (has_begun.set(), may_end.wait(DEADLINE_S))
    bench = make_bench(tmp_path, open_disk=lambda: disk, is_threaded=True)
    bench.send(Entries().order())
    assert has_begun.wait(DEADLINE_S)
    bench.run(900)
    assert bench.metrics.get(Counter.STATE) == JournalState.OK
    bench.run(200)
    assert bench.metrics.get(Counter.STATE) == JournalState.SLOW
    assert bench.ring.free() == 63
    disk.duration_ns = 1_100_000_000
    may_end.set()
    bench.role.on_stop(bench.clock.monotonic_ns())
    assert bench.ring.free() == 64


def test_the_alarm_for_a_slow_commit_holds_for_a_while(tmp_path: Path) -> None:
    disk = Disk()
    bench = make_bench(tmp_path, open_disk=lambda: disk)
    disk.duration_ns = 1_100_000_000
    bench.send(Entries().order())
    bench.settle()
    disk.duration_ns = 0
    bench.run(1_900)
    assert bench.metrics.get(Counter.STATE) == JournalState.SLOW
    assert bench.metrics.get(Counter.SLOW_COMMITS) == 1
    bench.run(200)
    assert bench.metrics.get(Counter.STATE) == JournalState.OK


def test_a_checkpoint_that_hangs_is_an_alarm_until_it_ends_and_commits_go_on(tmp_path: Path) -> None:
    disk = Disk()
    bench = make_bench(tmp_path, open_disk=lambda: disk)
    disk.unsaved_since_ns = bench.clock.monotonic_ns()
    states = []
    for number in range(7):
        bench.send(Entries().order(number))
        bench.run(1_000)
        states.append(JournalState(bench.metrics.get(Counter.STATE)))
    assert states == [JournalState.OK] * 5 + [JournalState.SLOW] * 2
    assert bench.metrics.get(Counter.ROWS) == 7
    assert bench.metrics.get(Counter.SLOW_COMMITS) == 0
    disk.unsaved_since_ns = 0
    bench.run(2_001)
    assert bench.metrics.get(Counter.STATE) == JournalState.OK


def test_the_loop_sleeps_while_the_scribe_works(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, open_disk=Disk, is_threaded=True)
    bench.run()
    now_ns = bench.clock.monotonic_ns()
    assert bench.role.deadline_ns(now_ns) == now_ns + TELL_NS
    bench.role.on_stop(now_ns)


def test_what_ends_the_scribes_thread_ends_the_role(tmp_path: Path) -> None:
    disk, is_over = Disk(), Event()
    bench = make_bench(tmp_path, open_disk=lambda: disk, is_threaded=True)

    def broken(now_ns: int) -> None:
        is_over.set()
        raise RuntimeError("the ring is damaged")

    bench.role._scribe._look = broken  # type: ignore[method-assign, union-attr, assignment]
    assert is_over.wait(DEADLINE_S)
    bench.role._thread._thread.join(DEADLINE_S)  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="the ring is damaged"):
        bench.run(100)


def test_what_ends_the_scribes_thread_at_the_stop_is_not_silent(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, open_disk=Disk, is_threaded=True)

    def broken() -> None:
        raise RuntimeError("the ring is damaged")

    bench.role._scribe.finish = broken  # type: ignore[method-assign, union-attr]
    with pytest.raises(RuntimeError, match="the ring is damaged"):
        bench.role.on_stop(bench.clock.monotonic_ns())


def test_a_write_that_breaks_in_an_unknown_way_is_a_failure_and_tried_again(tmp_path: Path) -> None:
    disk = Disk()
    bench = make_bench(tmp_path, open_disk=lambda: disk)

    def broken() -> None:
        raise RuntimeError("never seen before")

    disk.during_write = broken
    bench.send(Entries().order())
    bench.settle()
    assert bench.metrics.get(Counter.STATE) == JournalState.FAILING
    assert bench.ring.free() == 63
    disk.during_write = lambda: None
    bench.run(200)
    assert bench.metrics.get(Counter.STATE) == JournalState.OK
    assert bench.ring.free() == 64


def test_a_disk_that_is_nearly_full_is_an_alarm_while_all_can_still_be_written(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, free_mb_min=1 << 40)
    bench.send(Entries().order())
    bench.settle()
    assert count(bench.path) == 1
    assert bench.metrics.get(Counter.STATE) == JournalState.DISK_LOW


def test_a_ring_that_is_three_quarters_full_is_an_alarm(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, capacity=8, batch_rows_max=2)
    entries = Entries()
    bench.send(*(entries.order(number) for number in range(8)))
    bench.run()
    assert bench.metrics.get(Counter.STATE) == JournalState.SLOW
    assert bench.metrics.get(Counter.BACKLOG_MAX) == 6


def test_a_stop_writes_what_is_still_in_the_ring(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, batch_rows_max=4)
    entries = Entries()
    bench.send(*(entries.order(number) for number in range(30)))
    bench.role.on_stop(bench.clock.monotonic_ns())
    assert count(bench.path) == 30
    assert bench.ring.free() == 64
    assert not Path(f"{bench.path}-wal").exists(), "the whole journal is one file again"


def test_a_stop_on_a_failing_disk_ends(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    bench.role._scribe._disk.limit_pages(1)  # type: ignore[union-attr]
    entries = Entries()
    bench.send(*(entries.order(number) for number in range(60)))
    bench.role.on_stop(bench.clock.monotonic_ns())
    assert any("stay in the ring" in text for _, text, _ in bench.log.records)


def test_two_systems_cannot_share_one_journal(tmp_path: Path) -> None:
    first = make_bench(tmp_path, lock_wait_ms=100)
    second = make_bench(tmp_path, lock_wait_ms=100)
    assert not second.role.is_ready()
    with pytest.raises(ConfigError, match=r"in use by process \d+; two systems cannot share"):
        second.run(101)
    first.role.on_stop(0)
    third = make_bench(tmp_path)
    assert third.role.is_ready()


def test_a_lock_that_a_dying_predecessor_holds_is_waited_for(tmp_path: Path) -> None:
    first = make_bench(tmp_path)
    second = make_bench(tmp_path)
    second.run(1_000)
    first.role.on_stop(0)
    second.run(1)
    assert second.role.is_ready()


def test_a_directory_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match="choose another directory"):
        make_bench(blocked / "journals")


def test_a_file_of_something_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE mine (id INTEGER)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="something else"):
        make_bench(tmp_path)
    assert path.read_bytes() == before


def test_the_writing_thread_commits_what_the_role_hands_it(tmp_path: Path) -> None:
    producer, consumer = heap_ring(1024, SIZE["journal"], VIEW["journal"], lanes=1)
    clock = SystemClock()
    path = tmp_path / "journal.sqlite"
    role = JournalRole(JournalParameters(), JournalPorts([consumer], path, INSTRUMENTS, clock, Metrics(), NullLog(), WORDS))
    role.on_start(clock.monotonic_ns())
    entries = Entries()
    for number in range(700):
        slot = producer.try_claim()
        slot[0] = entries.order(number)[0]
        producer.commit()
        if number % 100 == 0:
            role.do_work(clock.monotonic_ns())
    role.on_stop(clock.monotonic_ns())
    assert count(path) == 700


def test_somebody_else_reads_the_alarm_and_the_death_of_the_writer(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, free_mb_min=1 << 40)
    row = bench.metrics.view
    row.life_state, row.heartbeat_ns = LifeState.RUNNING, 1_000
    assert state_of(row, 2_000) == JournalState.OK
    bench.send(Entries().order())
    bench.settle()
    assert state_of(row, 2_000) == JournalState.DISK_LOW
    assert state_of(row, 2_000_001_000) == JournalState.DEAD
    row.life_state = LifeState.FAILED
    assert state_of(row, 2_000) == JournalState.DEAD
