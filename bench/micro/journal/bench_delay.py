"""How long an entry waits until the operating system has it: written into the ring → its transaction is committed.

    this process: an order's entries as a session writes them ─▶ ring in shared memory ─▶ the writer's process ─▶ file
                  │ (submitted, acknowledged 1 ms later, filled 1 ms later)                 │ commits
                  └────────────────────────── delay of every entry ─────────────────────────┘

The promise is `JournalParameters.delay_ms_max` (5 ms) for every entry, on a disk that is not slow and a host with a core to
spare. Orders come at random times, so that they meet the writer's rhythm everywhere.

Run: python bench/micro/journal/bench_delay.py [orders] [orders/s] [--json]. On a quiet host: it is wall time.
"""

import random
import sys
import time
from bisect import bisect_left
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "journal"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from journal_bench import Entries
from machine import Figures, number_argument, spread
from writer import CAPACITY, running

from reactor.journal.role import JournalParameters, JournalPorts, JournalRole
from reactor.journal.rows import Batch
from reactor.journal.store import Outcome, Result, Store
from reactor.loop.counters import Metrics
from shm.ring import Producer

SEED = 7
STEP_S = 0.001  # between the entries of one order
LIMIT_MS = JournalParameters().delay_ms_max


class WatchedStore:
    """A store, and when it had committed how many rows."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lag_ns, self.close = store.lag_ns, store.close
        self.rows: list[int] = []
        self.committed_ns: list[int] = []

    def write(self, batch: Batch) -> Outcome:
        outcome = self._store.write(batch)
        if outcome.result == Result.WRITTEN:
            self.rows.append((self.rows[-1] if self.rows else 0) + outcome.rows)
            self.committed_ns.append(outcome.committed_ns)
        return outcome


class WatchedJournal(JournalRole):
    """The writer on such a store."""

    def __init__(self, parameters: JournalParameters, ports: JournalPorts) -> None:
        super().__init__(parameters, ports)
        ports.open_disk = self._open_watched

    def _open_watched(self) -> WatchedStore:
        self.store = WatchedStore(self._open_store())
        return self.store


def committed(role: JournalRole, metrics: Metrics) -> tuple[list[int], list[int]]:
    """What the writer's process answers."""
    assert isinstance(role, WatchedJournal)
    return role.store.rows, role.store.committed_ns


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
    with running(committed, directory, WatchedJournal) as (ring, ask):
        written = load(ring, orders, rate)
        time.sleep(0.05)  # The writer hears of its last commit in its next pass.
        rows, committed_ns = ask()
    assert rows[-1] == len(written) == 3 * orders, "every entry is written once"
    delays = [(committed_ns[bisect_left(rows, number)] - at) / 1e6 for number, at in enumerate(written, 1)]
    figures = Figures("ms")
    figures.row(f"{rate} orders/s", spread(delays), f"over {LIMIT_MS:g} ms: {sum(delay > LIMIT_MS for delay in delays)}")
    figures.end({"entries": len(written), "commits": len(rows)})
    return len(delays)


if __name__ == "__main__":
    main(number_argument(0, 1_000), number_argument(1, 50))
