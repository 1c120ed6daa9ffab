"""The floor in small: every measurement arrives whole, and tells its machine and its cores."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(shutil.which("gcc") is None and shutil.which("cc") is None, reason="no C compiler: apt install gcc")
def test_every_floor_has_its_percentiles_and_loses_nothing() -> None:
    command = [sys.executable, str(ROOT / "bench/floor.py"), "--count", "20", "--gap-us", "10", "--json"]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert result["machine"]
    assert result["pins"]
    rows = result["latency_ns"]
    assert {"clock, one reading", "eventfd, one core", "loopback and back, one core"} <= set(rows)
    for row in rows.values():
        assert row["p50"] <= row["p99"] <= row["p99_9"] <= row["max"]
        assert row["checksum"] >= 20
