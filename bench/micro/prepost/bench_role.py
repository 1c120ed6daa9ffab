"""What prepost costs per order: from the event ring to the command ring, and per report, in private memory, one thread.

    event ring  ─▶ [ peek ─▶ decision ─▶ five stages, fourteen rules ─▶ order ─▶ command ─▶ journal, responses ]
    report ring ─▶ [ peek ─▶ order machine ─▶ fill booked ─▶ five stages ─▶ journal, responses ]
                     └──────────────────────── measured, per batch of 60 ────────────────────────┘

    floor      peek and release, nothing decided: what the ring alone costs
    place      one taker order of a trigger: event → command (the last line of it is after the commit: journal, responses)
    ack, fill  one report each, alternating

Run: python bench/micro/prepost/bench_role.py [rounds] [--json]. Targets on an idle core: 15 µs per order, 10 µs per report.
CPU time, not wall time: on a shared core the difference is somebody else's work.
"""

import gc
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "prepost"))
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench"))

from machine import Figures, number_argument, spread
from prepost_room import Room, fills_whole, test_parameters

BATCH = 60
NO_LIMIT = 10**9


def make_room() -> Room:
    """A room that trades without limits."""
    risk = {
        "pending_orders_max": NO_LIMIT,
        "order_rates_max": (NO_LIMIT,) * 3,
        "daily_trades_max": NO_LIMIT,
        "capital_usdt_max": 1e9,
        "position_clips_max": NO_LIMIT,
        "exposure_ratio_max": 1e6,
        "order_notional_usdt_max": 1e9,
        "daily_loss_usdt_max": 1e12,  # Fees and the spread of a hundred rounds add up to a desk's worst day.
    }
    room = Room(test_parameters(risk=risk), journal=8192)
    room.start_trading()
    room.venue.script = [fills_whole]
    return room


def drain(room: Room) -> None:
    """Everybody else reads."""
    for ring in (room.responses_in, room.strategy_in):
        for lane in (0, 1):
            while ring.try_peek(lane) is not None:
                pass
            ring.release(lane)
    while room.journal_in.try_peek(0) is not None:
        pass
    room.journal_in.release(0)


def read_floor(ring: Any) -> int:
    """Peek and release alone."""
    count = 0
    while ring.try_peek(0) is not None:
        count += 1
    ring.release(0)
    return count


def main(rounds: int) -> None:
    """Prints the table."""
    room = make_room()
    role = room.role
    floor: list[float] = []
    place: list[float] = []
    report: list[float] = []
    clock = time.process_time_ns
    gc.disable()
    for _ in range(rounds):
        room.desk.balances.correct(0, "USDT", 10**16)
        room.refresh_tops()
        for _ in range(BATCH):
            room.order(1, 200, 6_500_001, tif=1)
        started = clock()
        count = read_floor(room.events)
        floor.append((clock() - started) / count)
        for _ in range(BATCH):
            room.order(1, 200, 6_500_001, tif=1)
        role._tell_time(room.clock.monotonic_ns())
        started = clock()
        count = role._read_events(0)
        place.append((clock() - started) / BATCH)
        assert count == BATCH, "the batch fits one pass"
        room.venue.read()
        started, count = clock(), 0
        while True:
            read = role._read_reports(0)
            count += read
            if not read:
                break
        report.append((clock() - started) / count)
        drain(room)
        room.clock.advance(1_000_000)
        role.do_work(room.clock.monotonic_ns())
        drain(room)
    figures = Figures("ns per message")
    for name, samples in (("floor", floor), ("place", place), ("report", report)):
        figures.row(name, spread(samples))
    figures.end({"orders": room.desk.orders_sent, "fills": room.desk.fills_booked, "refused": room.desk.refusals})
    assert room.desk.orders_sent == room.desk.fills_booked == rounds * BATCH


if __name__ == "__main__":
    main(number_argument(0, 200))
