"""The benchmark of the journal still runs, and still does its work."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_writes_every_row(tmp_path: Path) -> None:
    main = runpy.run_path(str(ROOT / "bench/micro/journal/bench_store.py"))["main"]
    assert main(1, str(tmp_path)) == 3 * 3 * 512
