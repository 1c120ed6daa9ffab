"""The benchmark of the journal still runs, and still does its work."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_writes_every_row(tmp_path: Path) -> None:
    main = runpy.run_path(str(ROOT / "bench/micro/journal/bench_store.py"))["main"]
    assert main(1, str(tmp_path)) == 3 * 3 * 512


def test_the_benchmark_of_the_delay_knows_when_every_entry_was_committed() -> None:
    bench = [sys.executable, str(ROOT / "bench/micro/journal/bench_delay.py"), "3", "100", "--json"]
    found = json.loads(subprocess.run(bench, capture_output=True, check=True, text=True, timeout=60).stdout)
    assert found["checksum"]["entries"] == 9
    assert found["ms"]["100 orders/s"]["max"] > 0
