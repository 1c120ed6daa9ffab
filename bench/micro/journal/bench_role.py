"""What the journal writer's process costs per order at a given rate: shard, ring, role, thread, SQLite, everything.

    this process: three entries per order, every millisecond ─▶ ring in shared memory ─▶ the writer's process ─▶ file
                                                                                          CPU time and delay are measured

Run: python bench/micro/journal/bench_role.py [orders/s,orders/s,…] [seconds] [directory]. The directory names the disk.
CPU time of the writer, not wall time: on a shared core the difference is somebody else's work.
"""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "journal"))

from journal_bench import Entries
from writer import CAPACITY, running

from reactor.journal.role import Counter, JournalRole
from reactor.loop.counters import Metrics
from shm.ring import Producer

TICK_S = 0.001


def spent(role: JournalRole, metrics: Metrics) -> tuple[float, ...]:
    """What the writer's process answers: its CPU time, rows, commits, and the longest delay since it was asked last."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    numbers = [metrics.get(counter) for counter in (Counter.ROWS, Counter.COMMITS, Counter.DELAY_US_MAX)]
    assert role._scribe is not None, "it writes"
    role._scribe.progress.delay_ns_max = 0
    return (used.ru_utime + used.ru_stime, *numbers)


def main(rates: list[int], seconds: float, directory: str | None) -> None:
    """Prints a line per rate."""
    with running(spent, directory) as (ring, ask):
        print(
            f"{'orders/s':>9} {'µs/order':>9} {'core %':>7} {'commits/s':>10} {'rows/commit':>12} "
            f"{'delay max ms':>13} {'full':>6}"
        )
        for rate in rates:
            one(ring, ask, rate, seconds)


def one(ring: Producer, ask: Callable[[], Any], rate: int, seconds: float) -> None:
    """One rate."""
    entries = Entries()
    template = entries.order()
    time.sleep(0.2)
    cpu, rows, commits, _ = ask()
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
    cpu_after, rows_after, commits_after, delay_us = ask()
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
