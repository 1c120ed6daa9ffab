"""Memory of the hot path: Python's allocated blocks before and after, per role, with the garbage collector off.

    frames ─▶ feed · signals ─▶ collector · events, reports ─▶ prepost · commands, answers ─▶ engine

Every role is the real one with private rings: the feed takes WebSocket frames, the others play whole decisions
(reactor/rehearsal.py): signal to event, event to order to acknowledgement to end. After a warm-up, so that tables have their
size, nothing may grow with the number of events. Baseline: objects of orjson that are kept, which is what "growing" looks
like. Checksum: what each role counted.

    python bench/allocations.py [--events N] [--json]     --events 1000000 takes ten minutes
"""

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "feed"), str(HERE.parent / "tests" / "config")]

from feed import Feed, resident_kib, wire  # noqa: E402
from frames import endless  # noqa: E402
from machine import machine  # noqa: E402
from test_plan import make_plan  # noqa: E402

from reactor.domain.instrument import Instruments  # noqa: E402
from reactor.exchanges.venue import Credentials  # noqa: E402
from reactor.rehearsal import CollectorRehearsal, EngineRehearsal, PrepostRehearsal  # noqa: E402

FRAMES_PER_READ = 8
FRAMES_PER_BLOCK = 2_000
FRAMES_MAX = 1_000_000
WARM = 4_500  # Decisions: the engine remembers 4 096 closed orders, one of each, before it forgets the first.
WARM_FRAMES = 20_000
NS_PER_FRAME = 10_000


class FeedPlay:
    """The feed on an endless market, a block of frames at a time."""

    def __init__(self) -> None:
        self.feed = Feed(["BTCUSDT"])
        self.frames = endless()
        self.waiting: tuple[list[bytes], list[bytes]] = ([], [])
        for _ in range(2):
            venue, payload = next(self.frames)
            self.feed.answer_snapshots(venue, payload)

    def play(self) -> int:
        """One block. Returns how many frames it had."""
        waiting = self.waiting
        for _ in range(FRAMES_PER_BLOCK):
            venue, payload = next(self.frames)
            waiting[venue].append(wire(payload))
            if len(waiting[venue]) == FRAMES_PER_READ:
                self._read(venue, bytearray(b"".join(waiting[venue])))
                waiting[venue].clear()
        self.feed.drain()
        return FRAMES_PER_BLOCK

    def _read(self, venue: int, data: bytearray) -> None:
        self.feed.clock.advance(NS_PER_FRAME * FRAMES_PER_READ)
        self.feed.read(venue, data, 0, len(data))


def decisions(rehearsal: Any) -> Callable[[], int]:
    """Plays one decision at a time."""

    def play() -> int:
        rehearsal.play()
        return 1

    return play


def measure(play: Callable[[], int], warm: int, events: int) -> dict[str, int]:
    """Blocks and KiB before and after `events`."""
    done = 0
    while done < warm:
        done += play()
    gc.collect()
    gc.disable()
    try:
        play()  # What gc.collect() emptied (free lists) is filled again.
        before, kib, done = sys.getallocatedblocks(), resident_kib(), 0
        while done < events:
            done += play()
        grown = sys.getallocatedblocks() - before
    finally:
        gc.enable()
    return {"events": done, "blocks_grown": grown, "kib_grown": resident_kib() - kib}


def baseline(events: int) -> dict[str, int]:
    """A list that keeps what orjson makes of a ticker."""
    kept: list[object] = []
    text = b'{"u":1,"s":"BTCUSDT","b":"1.0","B":"2.0","a":"1.1","A":"3.0"}'

    def play() -> int:
        kept.append(orjson.loads(text))
        return 1

    return measure(play, 1, events)


def main() -> None:
    parser = argparse.ArgumentParser(description="Allocated blocks per role over many events.")
    parser.add_argument(
        "--events", type=int, default=20_000, help="decisions per role; ten times as many frames, up to a million"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    plan = make_plan()
    rooms = {role.kind: role.read_parameters() for role in plan.roles}
    instruments, credentials = Instruments(plan.instruments), {venue: Credentials("k" * 64, "s" * 64) for venue in (0, 1)}
    feed = FeedPlay()
    rows = {"feed, frames": measure(feed.play, WARM_FRAMES, min(10 * options.events, FRAMES_MAX))}
    checksum: dict[str, object] = {"feed": feed.feed.tops()}
    for name, rehearsal in {
        "collector": CollectorRehearsal(rooms["collector"], instruments),
        "prepost": PrepostRehearsal(rooms["prepost"], instruments),
        "engine": EngineRehearsal(rooms["engine"], instruments, credentials),
    }.items():
        rows[f"{name}, decisions"] = measure(decisions(rehearsal), WARM, options.events)
        checksum[name] = rehearsal._role._metrics.view.work_done or [rehearsal._role._metrics.get(index) for index in range(4)]
    rows["baseline: orjson objects kept"] = baseline(options.events // 10)
    result = {"machine": machine(), "pins": sorted(os.sched_getaffinity(0)), "rows": rows, "checksum": checksum}
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['machine']}; any of cores {result['pins']}")
    print(f"{'':32}{'events':>10}{'blocks +':>10}{'per event':>11}{'KiB +':>8}")
    for name, row in rows.items():
        per_event = row["blocks_grown"] / row["events"]
        print(f"{name:32}{row['events']:10}{row['blocks_grown']:10}{per_event:11.4f}{row['kib_grown']:8}")
    print(f"checksum: {checksum}")


if __name__ == "__main__":
    main()
