"""The benchmark of the collector still runs, and still does its work."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_counts_every_event() -> None:
    main = runpy.run_path(str(ROOT / "bench/micro/collector/bench_role.py"))["main"]
    assert main(2) == {"floor": 0, "no fire": 0, "fire": 64, "hedge": 128}
