"""What the journal writer's process costs per order at a given rate: shard, ring, role, thread, SQLite, everything.

    this process: three entries per order, every millisecond ─▶ ring in shared memory ─▶ the writer's process ─▶ file
                                                                                          CPU time and delay are measured

Run: python bench/micro/journal/bench_role.py [orders/s,orders/s,…] [seconds] [directory]. The directory names the disk.
CPU time of the writer, not wall time: on a shared core the difference is somebody else's work.
"""

import asyncio
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "journal"))

from journal_bench import INSTRUMENTS, WORDS, Entries

from reactor.domain.messages import SIZE, VIEW
from reactor.journal.role import Counter, JournalParameters, JournalPorts, JournalRole
from reactor.loop.clock import SystemClock
from reactor.loop.counters import Metrics
from reactor.loop.log import NullLog
from reactor.loop.shard import Cell, Shard, ShardParameters
from shm.ring import open_consumer, open_producer
from shm.segment import Memory

CAPACITY = 8192
TICK_S = 0.001


def write(instance: str, path: str, answers: Connection) -> None:
    """The writer's process. Says its CPU time, commits and delay before and after the load."""
    memory = Memory(instance, "journal")
    ring = open_consumer(memory, "journal", CAPACITY, SIZE["journal"], VIEW["journal"], lanes=1)
    clock, metrics = SystemClock(), Metrics()
    role = JournalRole(JournalParameters(), JournalPorts([ring], Path(path), INSTRUMENTS, clock, metrics, NullLog(), WORDS))
    shard = Shard(ShardParameters("journal", is_hot=False), clock)

    def answer() -> None:
        question = answers.recv()
        if question == "leave":
            shard.leave()
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        numbers = [metrics.get(counter) for counter in (Counter.ROWS, Counter.COMMITS, Counter.DELAY_US_MAX)]
        metrics.set(Counter.DELAY_US_MAX, 0)
        answers.send((used.ru_utime + used.ru_stime, *numbers))

    def build(shard: Shard) -> None:
        shard.plug([Cell(role, metrics, NullLog())], [], [ring])
        asyncio.get_running_loop().add_reader(answers.fileno(), answer)

    shard.run(build)


def main(rates: list[int], seconds: float, directory: str | None) -> None:
    """Prints a line per rate."""
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
        print(
            f"{'orders/s':>9} {'µs/order':>9} {'core %':>7} {'commits/s':>10} {'rows/commit':>12} "
            f"{'delay max ms':>13} {'full':>6}"
        )
        for rate in rates:
            one(ring, ours, rate, seconds)
        ours.send("leave")
        writer.join(10)
        ring.close()


def one(ring, ours: Connection, rate: int, seconds: float) -> None:  # type: ignore[no-untyped-def]
    """One rate."""
    entries = Entries()
    template = entries.order()
    time.sleep(0.2)
    ours.send("tell")
    cpu, rows, commits, _ = ours.recv()
    sent = refused = 0
    started = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        due = int((now - started) * rate)
        while sent < due:
            sent += 1
            template.header.order_id = sent
            for state in (3, 4, 6):
                slot = ring.try_claim()
                while slot is None:
                    refused += 1
                    time.sleep(TICK_S)
                    slot = ring.try_claim()
                slot[0] = template[0]
                slot.state_to = state
                slot.header.sequence = ring.sequence()
                slot.wall_ns = time.time_ns()
            ring.commit()
        ring.refresh(time.monotonic_ns())
        time.sleep(TICK_S)
    while ring.free() < CAPACITY:
        time.sleep(TICK_S)
    time.sleep(0.05)
    took = time.monotonic() - started
    ours.send("tell")
    cpu_after, rows_after, commits_after, delay_us = ours.recv()
    cpu, rows, commits = cpu_after - cpu, rows_after - rows, commits_after - commits
    assert rows == 3 * sent, "every entry is written once"
    print(
        f"{sent / took:9.0f} {cpu / max(1, sent) * 1e6:9.1f} {cpu / took * 100:7.1f} {commits / took:10.0f} "
        f"{rows / max(1, commits):12.1f} {delay_us / 1000:13.1f} {refused:6}"
    )


if __name__ == "__main__":
    main(
        [int(rate) for rate in (sys.argv[1] if len(sys.argv) > 1 else "0,500,1000,3000,10000").split(",")],
        float(sys.argv[2]) if len(sys.argv) > 2 else 3.0,
        sys.argv[3] if len(sys.argv) > 3 else None,
    )
