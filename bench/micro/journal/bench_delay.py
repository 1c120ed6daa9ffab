"""How long an entry waits until the operating system has it: written into the ring → its transaction is committed.

    this process: an order's entries as a session writes them ─▶ ring in shared memory ─▶ the writer's process ─▶ file
                  │ (submitted, acknowledged 1 ms later, filled 1 ms later)                 │ commits
                  └────────────────────────── delay of every entry ─────────────────────────┘

The promise is `JournalParameters.delay_ms_max` (5 ms) for every entry, on a disk that is not slow and a host with a core to
spare. Orders come at random times, so that they meet the writer's rhythm everywhere.

Run: python bench/micro/journal/bench_delay.py [orders] [orders/s] [--json]. On a quiet host: it is wall time.
"""

import asyncio
import multiprocessing
import os
import random
import sys
import tempfile
import time
from bisect import bisect_left
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "journal"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from journal_bench import INSTRUMENTS, WORDS, Entries
from machine import Figures, number_argument, spread

from reactor.domain.messages import SIZE, VIEW
from reactor.journal.role import JournalParameters, JournalPorts, JournalRole
from reactor.journal.store import Outcome, Result
from reactor.loop.clock import SystemClock
from reactor.loop.counters import Metrics
from reactor.loop.log import NullLog
from reactor.loop.shard import Cell, Shard, ShardParameters
from shm.ring import Producer, open_consumer, open_producer
from shm.segment import Memory

CAPACITY = 8192
SEED = 7
STEP_S = 0.001  # between the entries of one order
LIMIT_MS = JournalParameters().delay_ms_max


class WatchedJournal(JournalRole):
    """The writer, and when it had committed how many rows."""

    def __init__(self, parameters: JournalParameters, ports: JournalPorts) -> None:
        super().__init__(parameters, ports)
        self.rows: list[int] = []
        self.committed_ns: list[int] = []

    def _on_outcome(self, outcome: Outcome, now_ns: int) -> None:
        super()._on_outcome(outcome, now_ns)
        if outcome.result == Result.WRITTEN:
            self.rows.append((self.rows[-1] if self.rows else 0) + outcome.rows)
            self.committed_ns.append(outcome.committed_ns)


def write(instance: str, path: str, answers: Connection) -> None:
    """The writer's process. Asked, it says what was committed when, and leaves."""
    memory = Memory(instance, "journal")
    ring = open_consumer(memory, "journal", CAPACITY, SIZE["journal"], VIEW["journal"], lanes=1)
    clock, metrics = SystemClock(), Metrics()
    ports = JournalPorts([ring], Path(path), INSTRUMENTS, clock, metrics, NullLog(), WORDS)
    role = WatchedJournal(JournalParameters(), ports)
    shard = Shard(ShardParameters("journal", is_hot=False), clock)

    def answer() -> None:
        answers.recv()
        answers.send((role.rows, role.committed_ns))
        shard.leave()

    def build(shard: Shard) -> None:
        shard.plug([Cell(role, metrics, NullLog())], [], [ring])
        asyncio.get_running_loop().add_reader(answers.fileno(), answer)

    shard.run(build)


def load(ring: Producer, orders: int, rate: int) -> list[int]:
    """Writes three entries per order. Returns when each was committed to the ring."""
    template, chance = Entries().order(), random.Random(SEED)
    starts = [0.0]
    for _ in range(orders - 1):
        starts.append(starts[-1] + chance.expovariate(rate))
    due = sorted((start + step * STEP_S, number, step) for number, start in enumerate(starts) for step in range(3))
    written: list[int] = []
    started = time.monotonic() + 0.1
    for at, number, step in due:
        while (wait := started + at - time.monotonic()) > 0:
            ring.refresh(time.monotonic_ns())
            time.sleep(min(wait, 0.01))
        slot = ring.try_claim()
        assert slot is not None, "the ring holds seconds of entries"
        slot[0] = template[0]
        slot.header.order_id, slot.state_to = number + 1, (3, 4, 6)[step]
        slot.header.sequence, slot.wall_ns = ring.sequence(), time.time_ns()
        ring.commit()
        written.append(time.monotonic_ns())
    while ring.free() < CAPACITY:
        time.sleep(STEP_S)
    return written


def main(orders: int, rate: int, directory: str | None = None) -> int:
    """Prints the table. Returns how many entries were written and committed."""
    instance = f"bench{os.getpid()}"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(dir=directory) as folder, Memory(instance, "prepost") as memory:
        ring = open_producer(memory, "journal", CAPACITY, SIZE["journal"], VIEW["journal"], lanes=1)
        writer = context.Process(target=write, args=(instance, f"{folder}/journal.sqlite", theirs))
        writer.start()
        while not ring.is_connected:
            time.sleep(0.01)
            ring.refresh(time.monotonic_ns())
        written = load(ring, orders, rate)
        time.sleep(0.05)  # The writer hears of its last commit in its next pass.
        ours.send("tell")
        rows, committed_ns = ours.recv()
        writer.join(10)
        ring.close()
    assert rows[-1] == len(written) == 3 * orders, "every entry is written once"
    delays = [(committed_ns[bisect_left(rows, number)] - at) / 1e6 for number, at in enumerate(written, 1)]
    figures = Figures("ms")
    figures.row(f"{rate} orders/s", spread(delays), f"over {LIMIT_MS:g} ms: {sum(delay > LIMIT_MS for delay in delays)}")
    figures.end({"entries": len(written), "commits": len(rows)})
    return len(delays)


if __name__ == "__main__":
    main(number_argument(0, 1_000), number_argument(1, 50))
