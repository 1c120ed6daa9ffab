"""The writer is killed again and again while entries come: every one of them is in the file once, in order."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_bench import INSTRUMENTS, PAIRS, Entries

from reactor.domain.messages import SIZE, VIEW
from reactor.journal.history import next_epoch, read_history
from shm.ring import open_producer
from shm.segment import Memory

DEADLINE_S = 60.0
CAPACITY = 256
ENTRIES = 4_000
KILLS = 6

WRITER = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from journal_bench import INSTRUMENTS, WORDS
from reactor.domain.messages import SIZE, VIEW
from reactor.journal.role import JournalParameters, JournalPorts, JournalRole
from reactor.loop.clock import SystemClock
from reactor.loop.counters import Metrics
from reactor.loop.log import NullLog
from shm.ring import open_consumer
from shm.segment import Memory

memory = Memory({instance!r}, "journal")
memory.remove_stale_resources()
ring = open_consumer(memory, "journal", {capacity}, SIZE["journal"], VIEW["journal"], lanes=1)
clock = SystemClock()
role = JournalRole(JournalParameters(), JournalPorts([ring], Path({path!r}), INSTRUMENTS, clock, Metrics(), NullLog(), WORDS))
role.on_start(clock.monotonic_ns())
while True:
    role.do_work(clock.monotonic_ns())
    time.sleep(0.0005)
"""


@pytest.fixture
def memory() -> Iterator[Memory]:
    with Memory(f"journal{os.getpid()}", "prepost") as memory:
        yield memory


@pytest.mark.processes
def test_a_writer_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, memory: Memory) -> None:
    path = tmp_path / "journal.sqlite"
    code = WRITER.format(tests=str(Path(__file__).parent), instance=memory.instance, capacity=CAPACITY, path=str(path))
    ring = open_producer(memory, "journal", CAPACITY, SIZE["journal"], VIEW["journal"], lanes=1)
    entries = Entries()
    until = time.monotonic() + DEADLINE_S
    kill_at = [ENTRIES * (turn + 1) // (KILLS + 1) for turn in range(KILLS)]
    writer = subprocess.Popen([sys.executable, "-c", code])
    try:
        sent = 0
        while sent < ENTRIES or ring.free() < CAPACITY:
            assert time.monotonic() < until, f"{sent} sent, {ring.free()} free"
            ring.refresh(time.monotonic_ns())
            slot = ring.try_claim() if sent < ENTRIES else None
            if slot is None:
                assert writer.poll() is None, "the writer left by itself"
                time.sleep(0.0005)
                continue
            slot[0] = entries.fill(sent)[0]
            slot.header.sequence = ring.sequence()
            ring.commit()
            sent += 1
            if kill_at and sent >= kill_at[0]:
                kill_at.pop(0)
                os.kill(writer.pid, signal.SIGKILL)
                writer.wait(timeout=10)
                writer = subprocess.Popen([sys.executable, "-c", code])
    finally:
        writer.kill()
        writer.wait(timeout=10)
        ring.close()
    connection = sqlite3.connect(path)
    trades = [row[0] for row in connection.execute("SELECT trade_id FROM fills ORDER BY id")]
    connection.close()
    assert trades == list(range(ENTRIES))
    history, _ = read_history(path, INSTRUMENTS, PAIRS, next_epoch(path))
    assert [fill.trade_id for fill in history.fills] == trades
