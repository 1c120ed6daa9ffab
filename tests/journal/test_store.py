"""A batch is there whole or not at all: wherever the file was cut, whenever it was copied, whoever was killed."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_bench import INSTRUMENTS, WORDS, Entries, batch_of

from reactor.domain.errors import ConfigError, DataError
from reactor.journal import store as store_module
from reactor.journal.rows import Batch, Rows
from reactor.journal.store import Checkpointer, Result, Store, StoreParameters
from reactor.loop.clock import ManualClock

PATIENCE_S = 30
BATCH = 5
BATCHES = 12


def batches(count: int = BATCHES) -> list[bytes]:
    entries = Entries()
    return [batch_of(*(entries.fill(batch * BATCH + row) for row in range(BATCH))) for batch in range(count)]


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal whose writer lost its power: half of it checkpointed, half of it in the write-ahead log."""
    folder = tmp_path_factory.mktemp("crashed")
    live = folder / "live"
    live.mkdir()
    store = Store(live / "journal.sqlite", StoreParameters(checkpoint_ms=10**9), INSTRUMENTS, WORDS)
    for number, batch in enumerate(batches()):
        assert store.write(batch).result == Result.WRITTEN
        if number == BATCHES // 2:
            store._checkpoint("PASSIVE")
    copy = folder / "copy"
    copy.mkdir()
    for name in ("journal.sqlite", "journal.sqlite-wal"):
        shutil.copy(live / name, copy / name)
    store.close()
    return copy


def reopened(source: Path, target: Path, cut: dict[str, int]) -> list[int]:
    """The trade ids after a start with files that end at `cut` bytes."""
    target.mkdir(exist_ok=True)
    for name in ("journal.sqlite", "journal.sqlite-wal"):
        data = (source / name).read_bytes()
        (target / name).write_bytes(data[: cut.get(name, len(data))])
    (target / "journal.sqlite-shm").unlink(missing_ok=True)
    store = Store(target / "journal.sqlite", StoreParameters(), INSTRUMENTS, WORDS)
    store.close()
    connection = sqlite3.connect(target / "journal.sqlite")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [row[0] for row in connection.execute("SELECT trade_id FROM fills ORDER BY id")]
    finally:
        connection.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_log_cut_at_any_byte_holds_whole_batches_from_the_first_on(crashed: Path, tmp_path: Path, share: float) -> None:
    size = (crashed / "journal.sqlite-wal").stat().st_size
    found = reopened(crashed, tmp_path / "cut", {"journal.sqlite-wal": int(size * share)})
    assert found == list(range(len(found)))
    assert len(found) % BATCH == 0
    assert len(found) >= (BATCHES // 2 + 1) * BATCH, "what was checkpointed stays"
    if share == 1:
        assert len(found) == BATCHES * BATCH


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), byte=st.integers(1, 255))
def test_a_damaged_byte_in_the_log_ends_it_there(crashed: Path, tmp_path: Path, at: float, byte: int) -> None:
    target = tmp_path / "flip"
    target.mkdir(exist_ok=True)
    shutil.copy(crashed / "journal.sqlite", target / "journal.sqlite")
    (target / "journal.sqlite-shm").unlink(missing_ok=True)
    log = bytearray((crashed / "journal.sqlite-wal").read_bytes())
    log[min(int(len(log) * at), len(log) - 1)] ^= byte
    (target / "journal.sqlite-wal").write_bytes(log)
    store = Store(target / "journal.sqlite", StoreParameters(), INSTRUMENTS, WORDS)
    store.close()
    connection = sqlite3.connect(target / "journal.sqlite")
    found = [row[0] for row in connection.execute("SELECT trade_id FROM fills ORDER BY id")]
    connection.close()
    assert found == list(range(len(found)))
    assert len(found) % BATCH == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_a_file_cut_at_any_byte_is_refused_or_whole_never_half(crashed: Path, tmp_path: Path, share: float) -> None:
    size = (crashed / "journal.sqlite").stat().st_size
    cut = {"journal.sqlite": int(size * share), "journal.sqlite-wal": 0}
    if not cut["journal.sqlite"]:
        assert reopened(crashed, tmp_path / "cut", cut) == [], "an empty file is a new journal"
        return
    with pytest.raises(DataError, match=r"damaged .* move it"):
        reopened(crashed, tmp_path / "cut", cut)


def test_a_batch_the_disk_refuses_is_not_there_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite", StoreParameters(), INSTRUMENTS, WORDS)
    first, second = batches(2)
    assert store.write(first).result == Result.WRITTEN
    store.limit_pages(1)
    entries = Entries()
    outcome = store.write(batch_of(*(entries.fill(1_000 + number) for number in range(2_000))))
    assert (outcome.result, outcome.rows) == (Result.FAILED, 0)
    assert "full" in outcome.error
    store.limit_pages(10_000)
    assert store.write(second).result == Result.WRITTEN
    store.close()
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    assert [row[0] for row in connection.execute("SELECT trade_id FROM fills ORDER BY id")] == list(range(10))
    connection.close()


def test_a_row_the_database_refuses_is_kept_apart_and_the_rest_is_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite", StoreParameters(), INSTRUMENTS, WORDS)
    good, bad = batches(2)
    rows_of = store._rows.rows

    def spoiled(batch: Batch) -> Rows:
        ((statement, first), (_, (second, *rest))) = *rows_of(good), *rows_of(batch)
        return [(statement, [*first, (2**70, *second[1:]), *rest])]

    store._rows.rows = spoiled  # type: ignore[method-assign]
    outcome = store.write(bad)
    assert (outcome.result, outcome.damaged) == (Result.WRITTEN, 1)
    store.close()


def test_another_writer_that_holds_the_file_is_waited_for_or_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    store = Store(path, StoreParameters(), INSTRUMENTS, WORDS)
    store._connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcome = store.write(batches(1)[0])
    assert outcome.result == Result.FAILED
    assert "locked" in outcome.error
    other.execute("ROLLBACK")
    assert store.write(batches(1)[0]).result == Result.WRITTEN
    other.close()
    store.close()


def test_a_file_without_permission_is_told_in_one_sentence(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    path = tmp_path / "journal.sqlite"
    Store(path, StoreParameters(), INSTRUMENTS, WORDS).close()
    path.chmod(0o400)
    with pytest.raises(ConfigError, match="cannot use"):
        Store(path, StoreParameters(), INSTRUMENTS, WORDS)


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from journal_bench import INSTRUMENTS, WORDS, Entries, batch_of
from reactor.journal import store as store_module
from reactor.journal.store import Result, Store, StoreParameters
import resource, signal
limit = {limit}
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # So that a write beyond the limit fails like one to a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
entries = Entries()
store = Store(Path({path!r}), StoreParameters(checkpoint_ms=20), INSTRUMENTS, WORDS)
if {is_beside}:
    store_module.LOG_PAGES_MAX = 50  # So that the log is begun anew all the time.
    store.checkpoint_aside()
trade = 0
while True:
    outcome = store.write(batch_of(*(entries.fill(trade + row) for row in range(7))))
    if outcome.result == Result.FAILED:
        print("failed", outcome.error, flush=True)
        break
    trade += 7
    print(trade, flush=True)
"""


def start_writer(path: Path, limit: int = 0, is_beside: bool = True) -> subprocess.Popen[str]:
    code = WRITER.format(tests=str(Path(__file__).parent), path=str(path), limit=limit, is_beside=is_beside)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def trades(path: Path) -> list[int]:
    Store(path, StoreParameters(), INSTRUMENTS, WORDS).close()
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [row[0] for row in connection.execute("SELECT trade_id FROM fills ORDER BY id")]
    finally:
        connection.close()


@pytest.mark.processes
@pytest.mark.parametrize("is_beside", [False, True])
@pytest.mark.parametrize("lines", [1, 20, 60])
def test_a_writer_killed_in_the_middle_of_a_batch_leaves_whole_batches(tmp_path: Path, lines: int, is_beside: bool) -> None:
    path = tmp_path / "journal.sqlite"
    writer = start_writer(path, is_beside=is_beside)
    assert writer.stdout is not None
    confirmed = 0
    for _ in range(lines):
        confirmed = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait(timeout=10)
    writer.stdout.close()
    confirmed = max([confirmed, *(int(line) for line in rest if line.isdigit())])
    found = trades(path)
    assert found == list(range(len(found)))
    assert len(found) % 7 == 0
    assert len(found) >= confirmed, "what was confirmed survives the death of the writer"


@pytest.mark.processes
def test_a_disk_that_is_really_full_fails_the_batch_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    writer = start_writer(path, limit=300_000)
    output, _ = writer.communicate(timeout=60)
    lines = output.splitlines()
    assert lines[-1].startswith("failed")
    confirmed = max(int(line) for line in lines if line.isdigit())
    found = trades(path)
    assert found == list(range(confirmed))


def test_the_file_is_checkpointed_in_its_own_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "journal.sqlite", StoreParameters(checkpoint_ms=0), INSTRUMENTS, WORDS)
    before = (tmp_path / "journal.sqlite").stat().st_size
    for batch in batches():
        store.write(batch)
    assert (tmp_path / "journal.sqlite").stat().st_size > before
    store.close()


class Checkpoints:
    """Every checkpoint of the thread beside stops before it begins, until the test lets it go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go, self.ended = threading.Semaphore(0), threading.Semaphore(0), threading.Semaphore(0)
        self.error = ""
        self.pages: list[int] = []
        genuine = Checkpointer._checkpoint

        def checkpoint(checkpointer: Checkpointer) -> int:
            self.begun.release()
            assert self.go.acquire(timeout=PATIENCE_S)
            try:
                if self.error:
                    raise sqlite3.OperationalError(self.error)
                self.pages.append(genuine(checkpointer))
                return self.pages[-1]
            finally:
                self.ended.release()

        monkeypatch.setattr(Checkpointer, "_checkpoint", checkpoint)

    def wait_for_one(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE_S)

    def let_it_end(self) -> None:
        self.go.release()
        assert self.ended.acquire(timeout=PATIENCE_S)


def open_beside(folder: Path, clock: ManualClock) -> tuple[Store, Checkpointer]:
    store = Store(folder / "journal.sqlite", StoreParameters(checkpoint_ms=0), INSTRUMENTS, WORDS, clock.monotonic_ns)
    store.checkpoint_aside()
    assert store._checkpointer is not None
    return store, store._checkpointer


def test_while_a_checkpoint_hangs_commits_go_on_and_it_is_told_for_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints, clock = Checkpoints(monkeypatch), ManualClock()
    store, _ = open_beside(tmp_path, clock)
    assert store.lag_ns(clock.monotonic_ns()) == 0
    first, *others = batches()
    assert store.write(first).result == Result.WRITTEN
    checkpoints.wait_for_one()
    for batch in others:
        clock.advance(1_000_000_000)
        assert store.write(batch).result == Result.WRITTEN
    assert store.lag_ns(clock.monotonic_ns()) == len(others) * 1_000_000_000
    checkpoints.let_it_end()
    checkpoints.wait_for_one()
    assert store.lag_ns(clock.monotonic_ns()) == (len(others) - 1) * 1_000_000_000, "the second batch came after its begin"
    checkpoints.let_it_end()
    store.close()
    assert store.lag_ns(clock.monotonic_ns()) == 0
    assert trades(tmp_path / "journal.sqlite") == list(range(BATCHES * BATCH))


def test_a_checkpoint_that_fails_is_tried_again_and_counts_from_the_first_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints, clock = Checkpoints(monkeypatch), ManualClock()
    checkpoints.error = "disk I/O error"
    store, _ = open_beside(tmp_path, clock)
    store.write(batches()[0])
    for _ in range(3):
        checkpoints.wait_for_one()
        clock.advance(1_000_000_000)
        checkpoints.let_it_end()
    checkpoints.wait_for_one()
    assert store.lag_ns(clock.monotonic_ns()) == 3_000_000_000
    checkpoints.error = ""
    checkpoints.let_it_end()
    store.close()
    assert store.lag_ns(clock.monotonic_ns()) == 0


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.001)


def header_of(log: Path) -> bytes:
    """What SQLite writes, and waits for, when it begins the log anew."""
    with log.open("rb") as file:
        return file.read(32)


def test_a_commit_begins_the_log_anew_only_when_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints, log = Checkpoints(monkeypatch), tmp_path / "journal.sqlite-wal"
    store, checkpointer = open_beside(tmp_path, ManualClock())
    first, second, third, fourth, fifth, sixth, seventh, *_ = batches()
    store.write(first)
    before = header_of(log)
    for batch in (second, third, fourth):
        checkpoints.wait_for_one()
        checkpoints.let_it_end()
        store.write(batch)
    assert header_of(log) == before, "everything was checkpointed, and a reader keeps the log all the same"
    checkpoints.wait_for_one()
    checkpoints.let_it_end()
    checkpointer.on_commit(1)  # A commit that the checkpoint before has already met: nothing is left to do.
    checkpoints.wait_for_one()
    checkpoints.let_it_end()
    store.write(fifth)
    assert header_of(log) == before
    monkeypatch.setattr(store_module, "LOG_PAGES_MAX", 5)
    checkpoints.wait_for_one()
    checkpoints.let_it_end()
    wait_for(lambda: checkpointer._is_long)
    size = log.stat().st_size
    store.write(sixth)
    assert header_of(log) != before
    checkpoints.wait_for_one()
    checkpoints.let_it_end()
    assert checkpoints.pages[-1] < checkpoints.pages[-2], "the log is short again"
    store.write(seventh)
    assert log.stat().st_size == size, "its room is used again"
    checkpoints.wait_for_one()
    checkpoints.let_it_end()
    store.close()
    assert trades(tmp_path / "journal.sqlite") == list(range(7 * BATCH))


def test_a_store_closed_while_a_checkpoint_hangs_leaves_everything_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(monkeypatch)
    monkeypatch.setattr(store_module, "CLOSE_S_MAX", 0.0)
    store, checkpointer = open_beside(tmp_path, ManualClock())
    for batch in batches():
        store.write(batch)
    checkpoints.wait_for_one()
    store.close()
    assert trades(tmp_path / "journal.sqlite") == list(range(BATCHES * BATCH))
    checkpoints.let_it_end()
    checkpointer._thread.join(PATIENCE_S)
    assert trades(tmp_path / "journal.sqlite") == list(range(BATCHES * BATCH)), "and whoever comes late spoils nothing"


def test_the_disk_has_the_last_batch_too_when_nothing_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(monkeypatch)
    store, _ = open_beside(tmp_path, ManualClock())
    before = (tmp_path / "journal.sqlite").stat().st_size
    for batch in batches():
        store.write(batch)
    checkpoints.go.release(2 * BATCHES)
    wait_for(lambda: store.lag_ns(1) == 0)
    assert (tmp_path / "journal.sqlite").stat().st_size > before
    store.close()
    assert not (tmp_path / "journal.sqlite-wal").exists(), "the whole journal is one file again"
