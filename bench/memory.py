"""Resident memory of every process of a whole paper session, over time.

    crypto-trade run (generated market, simulated exchange) ── pids ──▶ /proc/<pid>/status, once a second

Two figures per process: how much it has, and how that grows. Shared memory counts for everyone who has touched it, as the
kernel counts it; `private` leaves it out. Baseline: a process that imports what a hot role imports and does nothing. Target:
80 MB per role, flat over time. Checksum: the orders that the session sent.

    python bench/memory.py [--seconds N] [--layout processes|shared] [--json]
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from machine import machine  # noqa: E402

START_S_MAX = 60
SETTLE_S = 5.0  # The garbage collector is frozen 3 s after a role's start.
FIELDS = {"VmRSS": "resident_mb", "RssAnon": "private_mb"}


def status_of(pid: int) -> dict[str, float]:
    """MB of one process; empty if it is gone."""
    found: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in FIELDS:
                found[FIELDS[name]] = round(int(value.split()[0]) / 1000, 1)
    return found


def baseline() -> dict[str, float]:
    """A process with the imports of a hot role."""
    program = "import reactor.wiring, reactor.feed.role, reactor.net.session, os, sys; print(open('/proc/self/status').read())"
    lines = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.splitlines()
    rows = {name: value for name, _, value in (line.partition(":") for line in lines) if name in FIELDS}
    return {FIELDS[name]: round(int(value.split()[0]) / 1000, 1) for name, value in rows.items()}


def run(seconds: float, layout: str) -> dict[str, Any]:
    """One session; exits with a sentence if it does not start."""
    instance = f"memory-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        report, environment = Path(folder) / "report.json", {**os.environ, "XDG_RUNTIME_DIR": folder}
        command = [sys.executable, "-m", "reactor", "run", "--plain", "--duration", str(seconds), "--instance", instance]
        for setting in (f"system.placement.layout={layout}", f"system.directory={folder}"):
            command += ["--set", setting]
        command += ["--report", str(report)]
        output = Path(folder) / "output"
        with output.open("wb") as file:
            session = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
        pids = Path(folder) / "crypto_trade" / instance / "pids"
        samples: dict[str, list[dict[str, float]]] = {}
        times: list[float] = []
        begun = time.monotonic()
        while session.poll() is None:
            time.sleep(1.0)
            with contextlib.suppress(OSError, ValueError):
                rows = {row[0]: int(row[1]) for row in json.loads(pids.read_text())} | {"supervisor": session.pid}
                times.append(time.monotonic() - begun)
                for name, pid in rows.items():
                    found = status_of(pid)
                    if found:
                        samples.setdefault(name, []).append(found)
            if not samples and time.monotonic() - begun > START_S_MAX:
                session.terminate()
        if session.returncode or not report.exists():
            sys.exit(f"the session ended with {session.returncode}: {output.read_text()[-1000:]}")
        orders = json.loads(report.read_text()).get("orders_sent", json.loads(report.read_text()).get("orders"))
    rows_out = {name: summary(each) for name, each in sorted(samples.items()) if len(each) > SETTLE_S + 2}
    return {"seconds": seconds, "layout": layout, "processes": rows_out, "checksum": {"orders": orders, "samples": len(times)}}


def summary(samples: list[dict[str, float]]) -> dict[str, float]:
    """What it has at the end, and by how much it grew since it settled (the last two seconds, the stop, are left out)."""
    first, last = samples[int(SETTLE_S)], samples[-3]
    return {**last, "grown_mb": round(last["resident_mb"] - first["resident_mb"], 1), "seconds": len(samples) - SETTLE_S - 2}


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory per process of a paper session.")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--layout", choices=("processes", "shared", "auto"), default="processes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = {"machine": machine(), "pins": sorted(os.sched_getaffinity(0)), "baseline": baseline()}
    result |= run(options.seconds, options.layout)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['machine']}; {options.seconds:g} s, layout {options.layout}")
    print(f"{'MB':32}{'resident':>10}{'private':>10}{'grown':>8}{'in s':>7}")
    print(f"{'baseline: imports alone':32}{result['baseline']['resident_mb']:10}{result['baseline']['private_mb']:10}")
    for name, row in result["processes"].items():
        print(f"{name:32}{row['resident_mb']:10}{row['private_mb']:10}{row['grown_mb']:8}{row['seconds']:7.0f}")
    print(f"checksum: {result['checksum']}")


if __name__ == "__main__":
    main()
