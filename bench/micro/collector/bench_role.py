"""What the collector costs per signal: from a feed's ring to the event ring, both in private memory, one thread.

    signal ring ─▶ [ peek ─▶ table ─▶ triggers ─▶ event written ] ─▶ event ring
                     └──────────── measured, per batch of 64 ───────┘

    floor      peek and release, nothing decided: what the ring alone costs
    no fire    a spread that is not wide: MTTrigger evaluates and stays quiet
    fire       a spread that is wide and narrow in turn: every second signal is an event
    hedge      a required hedge: every response is an urgent event

Run: python bench/micro/collector/bench_role.py [rounds] [--json]. Targets: 6 µs without, 10 µs with an event.
"""

import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "collector"))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench"))

from collector_bench import Bench, make_bench
from machine import Figures, number_argument, spread

from reactor.domain.messages import ResponseKind
from shm.ring import NORMAL, URGENT

BATCH = 64


def drained(bench: Bench) -> int:
    """Empties the event ring; the number of events is the checksum of the work."""
    count = 0
    for lane in (URGENT, NORMAL):
        while bench.events.try_peek(lane) is not None:
            count += 1
        bench.events.release(lane)
    return count


def measure(
    figures: Figures, name: str, rounds: int, bench: Bench, send: Callable[[int], Any], work: Callable[[], object]
) -> int:
    """Sends a batch, times the pass over it, notes nanoseconds per message; returns how many events came of all."""
    samples, events = [], 0
    for _ in range(rounds):
        for number in range(BATCH):
            send(number)
        started = time.perf_counter_ns()
        work()
        samples.append((time.perf_counter_ns() - started) / BATCH)
        events += drained(bench)
        bench.clock.advance(1_000_000)
    figures.row(name, spread(samples), f"{events} events")
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

    figures = Figures("ns per message")
    try:
        kinds: dict[str, tuple[Callable[[int], Any], Callable[[], object]]] = {
            "floor": (lambda number: feed.spread(percentile=0.2), floor),
            "no fire": (lambda number: feed.spread(percentile=0.2), one_pass),
            "fire": (lambda number: feed.spread(percentile=0.2 + 0.7 * (number & 1)), one_pass),
            "hedge": (lambda number: bench.respond(ResponseKind.HEDGE_REQUIRED, 5), one_pass),
        }
        done = {name: measure(figures, name, rounds, bench, *each) for name, each in kinds.items()}
        figures.end(done)
        return done
    finally:
        gc.enable()


if __name__ == "__main__":
    main(number_argument(0, 300))
