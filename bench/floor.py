"""What this machine can do at best, in C (floor.c): the figures that every figure of ours is held against.

    clock      CLOCK_MONOTONIC, one reading              ring       one word to the other core, both spin
    eventfd    a sleeping process is woken               loopback   250 bytes to a TCP echo and back, blocking sockets

Between two cores and, for what sleeps, on one: there the scheduler's switch is the floor. Every latency by itself, in ns.

    python bench/floor.py [--count N] [--gap-us N] [--json]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from machine import machine  # noqa: E402

TIME_MAX_S = 70


def build(folder: str) -> str:
    """Compiles floor.c. Exits with a sentence where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        sys.exit("the floor is measured in C: apt install gcc")
    binary = f"{folder}/floor"
    subprocess.run([compiler, "-std=gnu11", "-O2", "-Wall", str(HERE / "floor.c"), "-o", binary], check=True)
    return binary


def run(binary: str, *arguments: object) -> dict[str, int]:
    """One measurement: percentiles of its latencies, without the first tenth; raises if anything was lost."""
    command = [binary, *map(str, arguments)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIME_MAX_S).stdout.splitlines()
    checksum = int(lines.pop().removeprefix("checksum "))
    assert checksum == len(lines), f"{' '.join(command)}: {checksum} of {len(lines)} arrived"
    latencies = np.array([int(line) for line in lines[len(lines) // 10 :]])
    p50, p99, p99_9 = (int(value) for value in np.percentile(latencies, [50, 99, 99.9]))
    return {"p50": p50, "p99": p99, "p99_9": p99_9, "max": int(latencies.max()), "checksum": checksum}


def measure(binary: str, cores: list[int], count: int, gap_ns: int) -> dict[str, dict[str, int]]:
    """Everything that so many cores allow, in ns."""
    one, two = cores[0], cores[min(1, len(cores) - 1)]
    found = {"clock, one reading": run(binary, "clock", one, 100 * count)}
    if one != two:
        found["ring, core to core"] = run(binary, "ring", one, two, 10 * count, 10_000)
        found["eventfd, core to core"] = run(binary, "eventfd", one, two, count, gap_ns)
        found["loopback and back, core to core"] = run(binary, "loopback", one, two, count, gap_ns)
    found["eventfd, one core"] = run(binary, "eventfd", one, one, count, gap_ns)
    found["loopback and back, one core"] = run(binary, "loopback", one, one, count, gap_ns)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="The floor of this machine.")
    parser.add_argument("--count", type=int, default=5_000, help="samples of each; the ring ten times, the clock a hundred")
    parser.add_argument("--gap-us", type=int, default=200, help="pause between two samples that sleep")
    parser.add_argument("--cores", default="", help="two cores, as 2,3; default: the first two that this process may use")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cores = [int(core) for core in options.cores.split(",")] if options.cores else sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as folder:
        found = measure(build(folder), cores, options.count, options.gap_us * 1000)
    result: dict[str, Any] = {"machine": machine(), "pins": cores, "latency_ns": found}
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['machine']}; cores {', '.join(map(str, cores))}")
    print(f"{'ns':34}{'p50':>9}{'p99':>9}{'p99.9':>9}{'max':>11}{'checksum':>10}")
    for name, row in found.items():
        print(f"{name:34}{row['p50']:9}{row['p99']:9}{row['p99_9']:9}{row['max']:11}{row['checksum']:10}")


if __name__ == "__main__":
    main()
