"""Our system as a measuring venue's client, in small: it starts alone, orders once per thick bid, and is gone when told."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
WIRE = ROOT / "bench" / "latency" / "wire"
sys.path[:0] = [str(WIRE)]

from answers import write_answers  # noqa: E402

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: apt install gcc"),
]
SAMPLES = 40
WARM = 10
PATIENCE_S = 90


@pytest.mark.parametrize("layout", ["colocated", "processes"])
def test_the_client_orders_once_per_thick_bid_and_leaves_nobody_behind(tmp_path: Path, layout: str) -> None:
    binary, result = tmp_path / "venue", tmp_path / "result.json"
    subprocess.run(["cc", "-O2", "-o", str(binary), str(WIRE.parent / "venue.c")], check=True)
    write_answers(tmp_path / "answers")
    arguments = ["--answers", str(tmp_path / "answers"), "--out", str(result), "--core", "-1", "--block"]
    arguments += ["--interval-us", "10000", "--every", "2", "--samples", str(SAMPLES), "--warmup", str(WARM)]
    venue = subprocess.Popen([str(binary), *arguments], stdout=subprocess.PIPE, text=True)
    assert venue.stdout is not None
    port = venue.stdout.readline().removeprefix("ready ").strip()
    client = subprocess.Popen([sys.executable, str(WIRE / "client.py"), port, layout], stdout=subprocess.DEVNULL)
    try:
        venue.wait(PATIENCE_S)
        children = psutil.Process(client.pid).children(recursive=True)
    finally:
        venue.kill()
        venue.wait()
        venue.stdout.close()
        client.send_signal(signal.SIGTERM)
        client.wait(PATIENCE_S)
    measured = json.loads(result.read_text())
    assert measured["orders"] == SAMPLES + WARM
    assert (measured["unmatched"], measured["doubles"]) == (0, 0)
    assert len(children) > (3 if layout == "processes" else 1)
    assert psutil.wait_procs(children, PATIENCE_S)[1] == []
