"""What a live bot's calls cost one core (CPU time): the strategy's looks and walks, an empty wait, the pump per delta.

    feed's ring ─▶ pump ─▶ book ─▶ depth(), orders(), position()      one process, private memory, nobody waits

Baseline: the empty loop of compiled code. Needs the extra `backtest`.

    python bench/micro/live_bot/bench_core.py [rounds, default 20]
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from reactor._native import ffi
from reactor.domain.instrument import Instrument
from reactor.domain.messages import SIZE, VIEW, ResponseKind, clear
from reactor.live_bot.core import BotCore, BotWires
from reactor.live_bot.parameters import AssetParameters
from reactor.live_bot.surface import LiveBot
from reactor.loop.counters import Metrics
from reactor.market.book import Book, LevelBuffer
from reactor.market.market_link import MarketLink
from shm.clock import monotonic_ns
from shm.ring import NORMAL, URGENT, heap_ring

ORDERS = 40  # The grid of the published strategy.
DELTAS = 200  # Of five levels each, between two pumps.
INSTRUMENT = Instrument(0, 1, "BTCUSDT", "BTC", "USDT", 1, 3, 1, 1, 1, 10**9, 10**9, 1, 10**9, 0, 0, 0, is_perpetual=True)


@njit
def nothing(hbt: Any, seen: Any, count: int) -> None:
    for i in range(count):
        seen[0] += i


@njit
def look(hbt: Any, seen: Any, count: int) -> None:
    for _ in range(count):
        depth = hbt.depth(0)
        seen[0] += depth.best_bid + depth.best_ask + hbt.position(0)


@njit
def walk(hbt: Any, seen: Any, count: int) -> None:
    for _ in range(count):
        values = hbt.orders(0).values()
        while values.has_next():
            order = values.get()
            if order.cancellable:
                seen[0] += order.order_id


@njit
def wait(hbt: Any, seen: Any, count: int) -> None:
    for _ in range(count):
        seen[0] += hbt.elapse(0)


class Stand:
    """A bot with a book of 2 · 60 levels and ORDERS orders that rest."""

    def __init__(self) -> None:
        producer, signals = heap_ring(256, SIZE["signal"], VIEW["signal"])
        self.market, market = heap_ring(1024, SIZE["market"], VIEW["market"], lanes=1)
        answers, responses = heap_ring(256, SIZE["response"], VIEW["response"])
        self.core = BotCore(
            [AssetParameters(0)], [INSTRUMENT], BotWires(producer, [market], responses), Metrics(), 7, 0, 1024, 1000, 1.0
        )
        self.hbt = LiveBot(self.core.address)
        self.book, self.buffer = Book(), LevelBuffer(8)
        self.book.load_pairs([(1000 - i, i + 1) for i in range(60)], [(1001 + i, i + 1) for i in range(60)], 1)
        self.link = MarketLink(self.market.lane_address(NORMAL), 0, LevelBuffer())
        self.link.set_good(True)
        self.link.catch_up(self.book, 0, monotonic_ns())
        for order_id in range(ORDERS):
            assert self.hbt.submit_buy_order(0, order_id, 99.0, 0.1, 1, 0, False) == 0
            signal, slot = signals.try_peek(URGENT), answers.try_claim()
            clear(slot, "response")
            slot.header.kind, slot.header.order_id = ResponseKind.ACKNOWLEDGED, order_id + 1
            slot.header.signal_id = signal.header.signal_id
            answers.commit()
            signals.release(URGENT)
        self.core.pump()
        self.buffer.put([(1000, 5), (999, 6), (998, 7)], [(1001, 4), (1002, 5)])
        self.frame = ffi.new("frame_t *", {"bid_count": 3, "ask_count": 2, "final_id": 2})

    def deltas(self) -> int:
        """CPU ns of one pump with DELTAS deltas in its ring."""
        for number in range(DELTAS):
            self.frame.final_id = self.book.update_id + number + 1
            self.link.delta(self.buffer, self.frame, self.book, 0, monotonic_ns())
        before = time.process_time_ns()
        self.core.pump()
        return time.process_time_ns() - before


def main(rounds: int = 20) -> dict[str, float]:
    """ns per call, the best of `rounds`."""
    stand, seen = Stand(), np.zeros(1)
    cases: list[tuple[Callable[..., None], int]] = [(nothing, 100_000), (look, 10_000), (walk, 200), (wait, 2_000)]
    found: dict[str, float] = {}
    with stand.core.locked():
        for function, count in cases:
            function(stand.hbt, seen, 1)
            best = min(_cpu_ns(function, stand.hbt, seen, count) for _ in range(rounds))
            found[function.__name__] = best / count
        found["pump per delta"] = min(stand.deltas() for _ in range(rounds)) / DELTAS
    for name, ns in found.items():
        print(f"{name:16} {ns:9.1f} ns")
    return found


def _cpu_ns(function: Callable[..., None], *arguments: Any) -> int:
    before = time.process_time_ns()
    function(*arguments)
    return time.process_time_ns() - before


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
