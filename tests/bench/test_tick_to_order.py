"""Both measurements in small: orders per second by rate, with a sum that says that nothing was dropped; and a tick's way."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: apt install gcc"),
]


def test_one_command_measures_how_many_orders_are_done_and_what_they_cost(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    program = str(ROOT / "bench" / "latency" / "tick_to_order.py")
    words = ["colocated", "--repeat", "1", "--venue", "rest", "--rates", "100,200", "--step-seconds", "1"]
    done = subprocess.run(
        [sys.executable, program, *words, "--json", str(result)],
        stdout=subprocess.PIPE, text=True, check=True, timeout=180,
    )  # fmt: skip
    run = json.loads(result.read_text())["colocated"][0]
    assert [step["sent"] - step["answered"] for step in run["steps"]] == [0, 0]
    assert run["orders"] == sum(step["answered"] for step in run["steps"])
    assert {"journal", "venue"} < set(run["steps"][0]["cpu_us_per_order"])
    assert not run["refused"]
    assert "dropped [0]" in done.stdout


def test_without_rates_it_measures_how_long_a_tick_takes(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    program = str(ROOT / "bench" / "latency" / "tick_to_order.py")
    words = ["colocated", "--repeat", "1", "--samples", "50"]
    subprocess.run([sys.executable, program, *words, "--json", str(result)], check=True, timeout=180)
    run = json.loads(result.read_text())["colocated"][0]
    latency = run["latency_us"]
    assert latency["sent"] == latency["answered"] == 50
    assert (run["unmatched"], run["doubles"], run["refused"]) == (0, 0, {})
