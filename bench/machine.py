"""What every benchmark says about the machine that it ran on, and how the small ones show their figures."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path


def machine() -> str:
    """Processor, cores, kernel: one line."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


class Figures:
    """Rows of figures: a table for people as they come, or one JSON object at the end for programs (`--json`)."""

    def __init__(self, unit: str, columns: Sequence[str] = ("p50", "p99", "p99_9", "max")) -> None:
        self.is_json = "--json" in sys.argv[1:]
        self.unit = unit
        self.columns = tuple(columns)
        self.rows: dict[str, dict[str, float]] = {}
        self.say(f"{machine()}; any of cores {sorted(os.sched_getaffinity(0))}")
        self.say(f"{unit:16}" + "".join(f"{name:>11}" for name in self.columns))

    def say(self, text: str) -> None:
        """A line for people."""
        if not self.is_json:
            print(text)

    def row(self, name: str, values: Sequence[float], beside: str = "") -> None:
        """One line, in the order of the columns."""
        self.rows[name] = dict(zip(self.columns, values, strict=True))
        shown = "".join(f"{value:11,.2f}" if value < 100 else f"{value:11,.0f}" for value in values)
        self.say(f"{name:16}{shown}   {beside}".rstrip())

    def end(self, checksum: object) -> None:
        """Says what was done, so that nobody gains by doing less."""
        self.say(f"checksum: {checksum}")
        if self.is_json:
            pins = sorted(os.sched_getaffinity(0))
            print(json.dumps({"machine": machine(), "pins": pins, self.unit: self.rows, "checksum": checksum}, indent=2))


def spread(samples: Sequence[float]) -> list[float]:
    """p50, p99, p99.9 and max."""
    ordered = sorted(samples)
    return [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99, 0.999, 1.0)]


def number_argument(position: int, default: int) -> int:
    """The n-th argument that is a number."""
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    return numbers[position] if position < len(numbers) else default
