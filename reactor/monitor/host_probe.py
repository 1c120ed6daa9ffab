"""What this host really does to a role, measured in a few seconds: time taken from a core, wake-ups, hops, clock.

    core       a process keeps the core busy with reading the clock; every gap is time that the core was somewhere else
    wake-up    one process sleeps in read(eventfd), another one writes: how long until the first one runs Python again
    hop        the same hand-over between two processes that never sleep (two cores), which is what isolated cores are for
    clock      one reading of CLOCK_MONOTONIC, from Python

Every probe runs in processes of its own, pinned as the roles would be, so that it pays what a role pays; nothing is changed on
the host. The judgement what a role would lose or gain (`Figures.of_role`) is pure.
"""

import json
import mmap
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NoReturn

from reactor.config.placement import Place
from reactor.config.plan import HOT_KINDS
from reactor.loop.wait import WaitPolicy
from shm.clock import gaps_ns

GAP_NS: Final = 5_000  # Longer than any cache miss, shorter than any interrupt's work: what is above was not our code.
WAKES: Final = 300
WAKE_PAUSE_S: Final = 0.002
HOPS: Final = 20_000
HOP_SHARE: Final = 0.25  # Of the seconds asked for: spinning on both cores is unkind to a shared host.
PROBE_TIME_MAX_S: Final = 60


@dataclass(frozen=True)
class Spread:
    """Percentiles of something, in ns."""

    p50: int = 0
    p99: int = 0
    max: int = 0

    @classmethod
    def of(cls, samples: Sequence[int]) -> "Spread":
        """Of samples in ns; zeros if there are none."""
        if not samples:
            return cls()
        ordered = sorted(samples)
        last = len(ordered) - 1
        return cls(ordered[last // 2], ordered[min(last, int(len(ordered) * 0.99))], ordered[last])


@dataclass(frozen=True)
class CoreFigures:
    """What was taken from a core while something wanted to run on it without a pause."""

    core: int
    taken_permille: float  # of the time
    gaps_per_s: float
    gap_ns: Spread


@dataclass(frozen=True)
class RoleFigures:
    """What one shard gets where it runs, and what it would get on a tuned host; ns."""

    shard: str
    runs_on: str
    input_now: int  # from the neighbour's commit to our code, p50 …
    input_now_p99: int
    input_tuned: int  # the same between two cores that never sleep; 0: not measured here
    worst_gap: int  # the longest that its core was away
    taken_permille: float


@dataclass(frozen=True)
class Figures:
    """Everything that was measured."""

    seconds: float
    clock_ns: int
    wake_ns: Spread
    hop_ns: Spread | None  # None: there is only one core
    cores: tuple[CoreFigures, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)  # name → value, of reactor/config/host.py

    def to_json(self) -> str:
        """For `check --save`."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Figures":
        """Raises ValueError, KeyError or TypeError: it is no file of `check --save`."""
        known: dict[str, Any] = json.loads(text)
        cores = tuple(CoreFigures(**{**each, "gap_ns": Spread(**each["gap_ns"])}) for each in known["cores"])
        hop = None if known["hop_ns"] is None else Spread(**known["hop_ns"])
        return cls(known["seconds"], known["clock_ns"], Spread(**known["wake_ns"]), hop, cores, known["facts"])

    def of_role(self, place: Place, runs_on: str) -> RoleFigures:
        """What the measurements mean for one shard of a placement."""
        mine = [each for each in self.cores if place.core is None or each.core == place.core] or list(self.cores)
        worst = max(mine, key=lambda each: each.gap_ns.max, default=CoreFigures(0, 0.0, 0.0, Spread()))
        is_spinning = place.wait_policy is WaitPolicy.SPIN and self.hop_ns is not None
        hop = self.hop_ns or Spread()
        now = hop if is_spinning else self.wake_ns
        return RoleFigures(place.shard, runs_on, now.p50, now.p99, hop.p50, worst.gap_ns.max, worst.taken_permille)

    def rows(self) -> list[tuple[str, float]]:
        """Name → figure, for a comparison; all of them are better when they are smaller."""
        found: list[tuple[str, float]] = [("clock, one reading, ns", self.clock_ns)]
        for name, spread in (("wake-up", self.wake_ns), ("hop between spinning cores", self.hop_ns)):
            if spread is not None:
                found += [(f"{name}, p50, µs", spread.p50 / 1e3), (f"{name}, p99, µs", spread.p99 / 1e3)]
        for each in self.cores:
            found.append((f"core {each.core}: taken away, ‰ of the time", each.taken_permille))
            found.append((f"core {each.core}: longest gap, µs", each.gap_ns.max / 1e3))
        return found


def hops_of(places: Sequence[Place]) -> int:
    """How often a decision passes from one process to another between tick and order."""
    hot = [place for place in places if any(role.split("-")[0] in HOT_KINDS for role in place.roles)]
    feeds = [place for place in hot if all(role.startswith("feed") for role in place.roles)]
    others = len(hot) - len(feeds)
    return others if feeds else max(others - 1, 0)


# -- probes: each is a process of its own


def measure(cores: Sequence[int], seconds: float, facts: Mapping[str, str]) -> Figures:
    """Measures for about `seconds` (and a second for the rest) on these cores.

    Raises:
        OSError, ValueError: a probe could not run.
    """
    two = (cores[0], cores[1] if len(cores) > 1 else cores[0])
    gaps = [_start("core", core, seconds) for core in cores]
    figures = tuple(_core_figures(core, _result(process)) for core, process in zip(cores, gaps, strict=True))
    wakes = Spread.of(_result(_start("wake", *two)))
    hop = Spread.of(_result(_start("hop", *two, seconds * HOP_SHARE))) if two[0] != two[1] else None
    return Figures(seconds, clock_cost_ns(), wakes, hop, figures, dict(facts))


def _core_figures(core: int, found: Any) -> CoreFigures:
    duration_ns, count, gaps = found["duration_ns"], found["count"], found["gaps"]
    return CoreFigures(core, 1000 * sum(gaps) / duration_ns, count / duration_ns * 1e9, Spread.of(gaps))


def clock_cost_ns(count: int = 100_000) -> int:
    """One call of time.monotonic_ns, mean of `count`."""
    clock = time.monotonic_ns
    before = clock()
    for _ in range(count):
        clock()
    return (clock() - before) // count


def _start(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "reactor.monitor.host_probe", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _result(process: "subprocess.Popen[str]") -> Any:
    try:
        output, _ = process.communicate(timeout=PROBE_TIME_MAX_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise OSError(f"a probe was not ready within {PROBE_TIME_MAX_S} s: this host is too busy to be measured") from None
    if process.returncode:
        raise OSError(f"a probe ended with {process.returncode}")
    return json.loads(output)


def _pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


def probe_core(core: int, seconds: float) -> Mapping[str, object]:
    """Gaps on one core."""
    _pin(core)
    duration_ns = int(seconds * 1e9)
    gaps, count, _ = gaps_ns(duration_ns, GAP_NS)
    return {"duration_ns": duration_ns, "count": count, "gaps": gaps}


def probe_wakes(writer_core: int, sleeper_core: int) -> list[int]:
    """Wake-ups of a process that sleeps in read(), ns."""
    memory = memoryview(mmap.mmap(-1, 4096)).cast("q")  # [stamp, …, seen]: a line each
    bell = os.eventfd(0)
    out, into = os.pipe()
    clock = time.monotonic_ns
    child = os.fork()
    if child == 0:
        _pin(sleeper_core)
        samples = []
        for number in range(WAKES):
            os.eventfd_read(bell)
            samples.append(clock() - memory[0])
            memory[64] = number + 1
        _leave(into, samples)
    os.close(into)
    _pin(writer_core)
    for number in range(WAKES):
        time.sleep(WAKE_PAUSE_S)
        while memory[64] != number:  # It has not had the core yet: two rings would be one.
            time.sleep(WAKE_PAUSE_S)
        memory[0] = clock()
        os.eventfd_write(bell, 1)
    return _samples_of(child, out)[WAKES // 10 :]


def probe_hops(writer_core: int, reader_core: int, seconds: float) -> list[int]:
    """Hand-overs between two processes that spin, ns."""
    memory = memoryview(mmap.mmap(-1, 4096)).cast("q")  # [sequence, stamp, …, seen]: whole words, written in this order
    out, into = os.pipe()
    end_ns = time.monotonic_ns() + int(seconds * 1e9)
    clock = time.monotonic_ns
    child = os.fork()
    if child == 0:
        _pin(reader_core)
        samples, last = [], 0
        while clock() < end_ns and last < HOPS:
            now = memory[0]
            if now != last:
                samples.append(clock() - memory[1])
                memory[64] = last = now
        _leave(into, samples)
    os.close(into)
    _pin(writer_core)
    number = 0
    while clock() < end_ns and number < HOPS:
        if memory[64] == number:
            number += 1
            memory[1] = clock()
            memory[0] = number
    samples = _samples_of(child, out)
    return samples[len(samples) // 10 :]


def _leave(into: int, samples: list[int]) -> NoReturn:
    """The end of a probe's child."""
    with os.fdopen(into, "w") as pipe:
        json.dump(samples, pipe)
    os._exit(0)


def _samples_of(child: int, out: int) -> list[int]:
    with os.fdopen(out) as pipe:
        samples: list[int] = json.loads(pipe.read())
    os.waitpid(child, 0)
    return samples


def main(arguments: Sequence[str]) -> None:
    """The door of a probe process."""
    kind, *numbers = arguments
    if kind == "core":
        result: object = probe_core(int(numbers[0]), float(numbers[1]))
    elif kind == "wake":
        result = probe_wakes(int(numbers[0]), int(numbers[1]))
    else:
        result = probe_hops(int(numbers[0]), int(numbers[1]), float(numbers[2]))
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
