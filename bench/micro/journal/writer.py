"""The journal's writer in a process of its own, and the ring that it reads: for the benchmarks beside.

with running(tell) as (ring, ask):   ring ─▶ shard, role, thread, SQLite
    …                                ask() ─▶ what `tell` says there
"""

import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "journal"))

from journal_bench import INSTRUMENTS, WORDS

from reactor.domain.messages import SIZE, VIEW
from reactor.journal.role import JournalParameters, JournalPorts, JournalRole
from reactor.loop.clock import SystemClock
from reactor.loop.counters import Metrics
from reactor.loop.log import NullLog
from reactor.loop.shard import Cell, Shard, ShardParameters
from shm.ring import Producer, open_consumer, open_producer
from shm.segment import Memory

CAPACITY = 8192  # entries: seconds of them
Tell = Callable[[JournalRole, Metrics], Any]


def _write(instance: str, path: str, questions: Connection, tell: Tell, make_role: type[JournalRole]) -> None:
    memory = Memory(instance, "journal")
    ring = open_consumer(memory, "journal", CAPACITY, SIZE["journal"], VIEW["journal"], lanes=1)
    clock, metrics = SystemClock(), Metrics()
    role = make_role(JournalParameters(), JournalPorts([ring], Path(path), INSTRUMENTS, clock, metrics, NullLog(), WORDS))
    shard = Shard(ShardParameters("journal", is_hot=False), clock)

    def answer() -> None:
        if questions.recv() == "leave":
            shard.leave()
        else:
            questions.send(tell(role, metrics))

    def build(shard: Shard) -> None:
        shard.plug([Cell(role, metrics, NullLog())], [], [])
        asyncio.get_running_loop().add_reader(questions.fileno(), answer)

    shard.run(build)


@contextmanager
def running(
    tell: Tell, directory: str | None, make_role: type[JournalRole] = JournalRole
) -> Iterator[tuple[Producer, Callable[[], Any]]]:
    """The ring of a writer that runs, and how to ask it. `directory` names the disk."""
    instance = f"bench{os.getpid()}"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()

    def ask() -> Any:
        ours.send("tell")
        return ours.recv()

    with tempfile.TemporaryDirectory(dir=directory) as folder, Memory(instance, "prepost") as memory:
        ring = open_producer(memory, "journal", CAPACITY, SIZE["journal"], VIEW["journal"], lanes=1)
        process = context.Process(target=_write, args=(instance, f"{folder}/journal.sqlite", theirs, tell, make_role))
        process.start()
        while not ring.is_connected:
            time.sleep(0.01)
            ring.refresh(time.monotonic_ns())
        yield ring, ask
        ours.send("leave")
        process.join(10)
        ring.close()
