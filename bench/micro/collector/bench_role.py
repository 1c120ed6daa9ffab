"""What the collector costs per signal: from a feed's ring to the event ring, both in private memory, one thread.

    signal ring ─▶ [ peek ─▶ table ─▶ triggers ─▶ event written ] ─▶ event ring
                     └──────────── measured, per batch of 64 ───────┘

    floor      peek and release, nothing decided: what the ring alone costs
    no fire    a spread that is not wide: MTTrigger evaluates and stays quiet
    fire       a spread that is wide and narrow in turn: every second signal is an event
    hedge      a required hedge: every response is an urgent event

Run: python bench/micro/collector/bench_role.py [rounds]. Targets: 6 µs without, 10 µs with an event.
"""

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "collector"))

from collector_bench import Bench, make_bench

from reactor.domain.messages import ResponseKind
from shm.ring import NORMAL, URGENT

BATCH = 64


def percentiles(samples: list[float]) -> str:
    """p50, p99, p99.9 and max in nanoseconds."""
    ordered = sorted(samples)
    picked = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99, 0.999, 1.0))
    return " ".join(f"{value:9.0f}" for value in picked)


def drained(bench: Bench) -> int:
    """Empties the event ring; the number of events is the checksum of the work."""
    count = 0
    for lane in (URGENT, NORMAL):
        while bench.events.try_peek(lane) is not None:
            count += 1
        bench.events.release(lane)
    return count


def measure(name: str, rounds: int, bench: Bench, send: Callable[[int], Any], work: Callable[[], object]) -> int:
    """Sends a batch, times the pass over it, prints nanoseconds per message; returns how many events came of all."""
    samples, events = [], 0
    for _ in range(rounds):
        for number in range(BATCH):
            send(number)
        started = time.perf_counter_ns()
        work()
        samples.append((time.perf_counter_ns() - started) / BATCH)
        events += drained(bench)
        bench.clock.advance(1_000_000)
    print(f"{name:10} {percentiles(samples)}   {events} events")
    return events


def main(rounds: int) -> dict[str, int]:
    """All four, with garbage collection off as in the hot role."""
    bench = make_bench(capacity=256, event_capacity=256)
    feed = bench.feeds[0]
    inputs = bench.role._ports.signals[0]
    feed.funding()
    bench.run()
    gc.collect()
    gc.disable()

    def one_pass() -> None:
        bench.role.do_work(bench.clock.monotonic_ns())

    def floor() -> None:
        while inputs.try_peek(NORMAL) is not None:
            pass
        inputs.release(NORMAL)

    print(f"{'ns/message':10} {'p50':>9} {'p99':>9} {'p99.9':>9} {'max':>9}")
    try:
        return {
            "floor": measure("floor", rounds, bench, lambda number: feed.spread(percentile=0.2), floor),
            "no fire": measure("no fire", rounds, bench, lambda number: feed.spread(percentile=0.2), one_pass),
            "fire": measure("fire", rounds, bench, lambda number: feed.spread(percentile=0.2 + 0.7 * (number & 1)), one_pass),
            "hedge": measure("hedge", rounds, bench, lambda number: bench.respond(ResponseKind.HEDGE_REQUIRED, 5), one_pass),
        }
    finally:
        gc.enable()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
