"""Tick to order on the wire: from just before a bookTicker frame is sent to the return of the recv() that completed the order.

    venue.c ── tick ──▶ feed ─ring─▶ collector ─ring─▶ prepost ─ring─▶ engine ── order.place ──▶ venue.c
       t0                                                                                          t1

The whole system runs: risk chain, order state, journal. Cases, interleaved in one run so that the machine's moods hit all:

    control     one process: picows, uvloop, orjson, HMAC; no risk, no state            (the rival to beat is this × 2 or × 4)
    colocated   collector, prepost, engine and feed on one reactor
    processes   N + 1 + 1 + 1 processes

    python bench/latency/tick_to_order.py [--repeat 3] [--rate 250] [--samples 1500] [--rates 1000,5000,10000] [--json FILE]

wire/client.py is the system alone, to be one more case of another harness: any mock of USD-M on one port.
With --rates it measures throughput instead: one order per tick at each rate, every order acknowledged and cancelled. No tick is
conflated (wire/load.yaml): what the system cannot take waits in the sockets, and the venue offers no more than they hold.

    python bench/latency/tick_to_order.py colocated --rates 6000,10000,15000,20000 --repeat 1 [--step-seconds 4] [--p99-ms 50]

How the venue waits is --venue: `spin` has core 0 to itself, as a clock should, and leaves the others to the system; `rest`
sleeps between its looks, shares every core with the system, and its own work is in the figures (latency up to 0.1 ms more).
Unless told, it spins for latency, and rests for throughput where there are fewer than four cores: there a spinning meter
would take half of what it measures.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE / "wire"))

from answers import write_answers  # noqa: E402  # The programs of a benchmark stand beside it, not in a package.

from reactor import compiled  # noqa: E402

SPIN_CORES_MIN = 4
REFUSED = "refused_"  # prepost's counters of what our own rules turned down
HELD = {  # Counters of what had to wait, by role: nothing of it is lost.
    "prepost": ("stalled_on_commands", "stalled_on_journal", "held_for_journal"),
    "collector": ("backpressure",),
    "engine": ("backpressure_stalls",),
}


@dataclass(frozen=True)
class Case:
    """One system under test."""

    name: str
    settings: tuple[str, ...] = ()
    is_control: bool = False


CASES = (
    Case("control", is_control=True),
    Case("colocated", ("system.placement.layout=shared",)),
    Case("processes", ("system.placement.layout=processes",)),
)


@dataclass
class Options:
    """What to measure."""

    rate: float = 250.0
    every: int = 2
    samples: int = 1500
    warmup: int = 300
    rates: str = ""
    step_seconds: float = 2.0
    p99_ms: float = 50.0
    core: int = 0
    rests: bool = False
    is_awake: bool = True
    extra: tuple[str, ...] = field(default_factory=tuple)


def build_venue(folder: Path) -> Path:
    """Compiles the venue. It is the meter, so it is C."""
    binary = folder / "venue"
    subprocess.run(["cc", "-O2", "-o", str(binary), str(HERE / "venue.c")], check=True)
    return binary


def run_once(case: Case, options: Options, folder: Path) -> dict[str, Any]:
    """One venue, one client, one result."""
    result = folder / f"{case.name}.json"
    arguments = [str(folder / "venue"), "--answers", str(folder / "answers"), "--out", str(result)]
    arguments += ["--core", "-1", "--block"] if options.rests else ["--core", str(options.core)]
    if options.rates:
        arguments += ["--rates", options.rates, "--step-seconds", str(options.step_seconds)]
    else:
        interval_us = 1e6 / options.rate / options.every
        arguments += ["--interval-us", f"{interval_us}", "--every", str(options.every)]
        arguments += ["--samples", str(options.samples), "--warmup", str(options.warmup)]
    venue = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert venue.stdout is not None
    port = int(venue.stdout.readline().removeprefix("ready "))
    awake = _keep_awake(options)
    client = _start(case, options, folder, port)
    metered: list[dict[str, float]] = []  # at the begin and the end of each step, or of all
    try:
        deadline_s = time.monotonic() + 120 + (25 + options.step_seconds) * len(options.rates.split(","))
        waiting = threading.Timer(deadline_s - time.monotonic(), venue.kill)
        waiting.start()
        for line in venue.stdout:
            if line.strip() != "begin" or not options.rates:
                metered.append(_cpu_s(client.pid) | {"venue": _cpu_of(venue.pid)})
                if not options.rates:
                    break
        while not options.rates and venue.poll() is None:
            metered[1:] = [_cpu_s(client.pid)]
            time.sleep(0.2)
        venue.wait()
        waiting.cancel()
        memory_mb = {} if case.is_control else _memory_mb(client.pid)
    finally:
        _end(client)
        for process in (venue, awake):
            if process is not None:
                process.kill()
                process.wait()
    if venue.returncode:
        tail = (folder / f"{case.name}.log").read_text()[-2000:]
        raise SystemExit(f"{case.name}: the venue ended with {venue.returncode}\n{tail}")
    measured = json.loads(result.read_text())
    if options.rates:
        for step, before, after in zip(measured["steps"], metered[::2], metered[1::2], strict=True):
            step["cpu_us_per_order"] = _per_order(before, after, step["answered"])
    return {
        "case": case.name,
        "memory_mb": memory_mb,
        "cpu_us_per_order": _per_order(metered[0], metered[-1], measured["orders"]),
        **measured,
        **_refused_and_held(folder / f"{case.name}.report.json"),
    }


def _per_order(before: dict[str, float], after: dict[str, float], orders: int) -> dict[str, float]:
    return {name: round(1e6 * (spent - before.get(name, 0.0)) / max(orders, 1), 1) for name, spent in after.items()}


def _refused_and_held(report: Path) -> dict[str, dict[str, int]]:
    """What our own rules refused, and how often something had to wait, as the session's report tells it."""
    if not report.exists():
        return {}
    counters: dict[str, dict[str, int]] = json.loads(report.read_text())["counters"]
    refused = {name: count for name, count in counters.get("prepost", {}).items() if name.startswith(REFUSED)}
    held = {f"{role}.{name}": counters.get(role, {}).get(name, 0) for role, names in HELD.items() for name in names}
    return {"refused": refused, "held_passes": {name: count for name, count in held.items() if count}}


def _keep_awake(options: Options) -> subprocess.Popen[bytes] | None:
    """An idle-class spinner on the client's cores: a virtual core that halts takes the hypervisor's time to wake.

    It yields to anything else at once. On bare metal the same is done by the idle states (deploy/host).
    """
    if not options.is_awake or options.rests or shutil.which("chrt") is None:
        return None
    cores = _cores(options)
    return subprocess.Popen(["chrt", "-i", "0", "taskset", "-c", cores, sys.executable, "-c", "while True: pass"])


def _cores(options: Options) -> str:
    """Which cores are the client's: all, or those that a spinning venue leaves."""
    every = sorted(os.sched_getaffinity(0))
    return ",".join(str(core) for core in every if options.rests or core != options.core) or str(options.core)


def _start(case: Case, options: Options, folder: Path, port: int) -> subprocess.Popen[bytes]:
    log = open(folder / f"{case.name}.log", "wb")  # noqa: SIM115  # Lives as long as the client.
    if case.is_control:
        command = [sys.executable, str(HERE / "wire" / "control.py"), str(port)]
    else:
        settings = [
            f"exchanges.binance.simulated.base_url=http://127.0.0.1:{port - 1}",
            f"system.instance=bench-{case.name}",
            f"system.directory={folder}",
            *case.settings,
            *options.extra,
        ]
        command = [sys.executable, "-m", "reactor", "run", "--plain", "--config", str(HERE / "wire" / "load.yaml")]
        command += ["--report", str(folder / f"{case.name}.report.json")]
        for setting in settings:
            command += ["--set", setting]
    return subprocess.Popen(["taskset", "-c", _cores(options), *command], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)


def _cpu_s(pid: int) -> dict[str, float]:
    """CPU time by process, named by the roles in it. The venue's half of the socket work is not in it."""
    import psutil

    spent = {}
    client = psutil.Process(pid)
    for process in (client, *client.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            spent[_roles_of(process)] = times.user + times.system
    return spent


def _cpu_of(pid: int) -> float:
    import psutil

    with contextlib.suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return 0.0


def _roles_of(process: Any) -> str:
    words: list[str] = process.cmdline()
    if "reactor.wiring" in words:
        return words[words.index("reactor.wiring") + 2]
    return "supervisor" if "reactor" in words else str(process.name())


def _memory_mb(pid: int) -> dict[str, float]:
    import psutil

    children = psutil.Process(pid).children(recursive=True)
    return {_roles_of(child): round(child.memory_info().rss / 1e6, 1) for child in children}


def _end(client: subprocess.Popen[bytes]) -> None:
    if client.poll() is None:
        client.send_signal(signal.SIGTERM)
    try:
        client.wait(timeout=30)
    except subprocess.TimeoutExpired:
        client.kill()
        client.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[case.name for case in CASES])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rate", type=float, default=250.0, help="orders per second")
    parser.add_argument("--samples", type=int, default=1500)
    parser.add_argument("--rates", default="", help="throughput steps, orders per second")
    parser.add_argument("--step-seconds", type=float, default=2.0, help="of each throughput step")
    parser.add_argument("--p99-ms", type=float, default=50.0, help="a rate is held if it is done and this bounds its p99")
    parser.add_argument("--venue", choices=("auto", "spin", "rest"), default="auto", help="how it waits")
    parser.add_argument("--set", action="append", default=[], help="more settings for the system, path=value")
    parser.add_argument("--cold", action="store_true", help="let idle cores halt, as a quiet host does")
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    few_cores = len(os.sched_getaffinity(0)) < SPIN_CORES_MIN
    options = Options(
        rests=words.venue == "rest" or (words.venue == "auto" and few_cores and bool(words.rates)),
        rate=words.rate,
        samples=words.samples,
        rates=words.rates,
        step_seconds=words.step_seconds,
        p99_ms=words.p99_ms,
        is_awake=not words.cold,
        extra=tuple(words.set),
    )
    cases = [case for case in CASES if case.name in words.cases]
    results: dict[str, list[dict[str, Any]]] = {case.name: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="tick-to-order-") as name:
        folder = Path(name)
        build_venue(folder)
        write_answers(folder / "answers")
        for _ in range(words.repeat):
            for case in cases:
                results[case.name].append(run_once(case, options, folder))
                time.sleep(0.5)
    venue = "rests, on every core" if options.rests else f"spins on core {options.core}"
    how = f"venue {venue}; system on {_cores(options)}; hot Python: {compiled.state()[0]}"
    print(f"{platform.node()}, {os.cpu_count()} cores, {platform.release()}; {how}")
    _print_throughput(results, options.p99_ms) if options.rates else _print_latency(results)
    if words.json:
        words.json.write_text(json.dumps(results, indent=1))


def _print_latency(results: dict[str, list[dict[str, Any]]]) -> None:
    print(f"{'case':12} {'p50':>8} {'p90':>8} {'p99':>8} {'p99.9':>8} {'max':>8}  µs, medians   ratio to control, p50 / p99")
    medians = {
        name: {key: statistics.median(run["latency_us"][key] for run in runs) for key in ("p50", "p90", "p99", "p99_9", "max")}
        for name, runs in results.items()
    }
    for name, figures in medians.items():
        base = medians.get("control", figures)
        print(
            f"{name:12} "
            + " ".join(f"{figures[key]:8.1f}" for key in figures)
            + f"                          {figures['p50'] / base['p50']:5.2f} / {figures['p99'] / base['p99']:5.2f}"
        )
    for name, runs in results.items():
        checks = [
            (run["orders"], run["unmatched"], run["doubles"], run["latency_us"]["answered"], run["latency_us"]["sent"])
            for run in runs
        ]
        print(f"{name:12} orders, unmatched, doubles, answered, sent: {checks}")
        if runs[-1]["memory_mb"]:
            print(f"{'':12} resident MB: {runs[-1]['memory_mb']}")


def _print_throughput(results: dict[str, list[dict[str, Any]]], p99_ms: float) -> None:
    for name, runs in results.items():
        most, held = 0.0, 0.0
        for steps in zip(*(run["steps"] for run in runs), strict=False):
            rate = steps[0]["rate"]
            done = statistics.median(step["orders_per_s"] for step in steps)
            p50 = statistics.median(step["p50"] for step in steps)
            p99 = statistics.median(step["p99"] for step in steps)
            lost = [step["sent"] - step["answered"] for step in steps]
            most = max(most, done)
            if p99 <= 1e3 * p99_ms and done >= 0.98 * rate and not any(lost):
                held = max(held, rate)
            offered = statistics.median(step["sent"] / step["seconds"] for step in steps)
            print(
                f"{name:12} asked {rate:6.0f}/s  taken {offered:6.0f}/s  done {done:6.0f}/s  p50 {p50 / 1e3:7.2f} ms  "
                f"p99 {p99 / 1e3:7.2f} ms  dropped {lost}  CPU µs per order {_short(steps[-1]['cpu_us_per_order'])}"
            )
        print(f"{name:12} at most {most:.0f} orders/s; {held:.0f}/s held with a p99 of at most {p99_ms:g} ms")
        print(f"{name:12} orders, unmatched, doubles: {[(run['orders'], run['unmatched'], run['doubles']) for run in runs]}")
        for what in ("refused", "held_passes"):
            if what in runs[-1]:
                print(f"{name:12} {what.replace('_', ' ')}: {runs[-1][what] or 'none'}")


def _short(cpu_us: dict[str, float]) -> str:
    """The roles that share a process have one name in the line."""
    return ", ".join(f"{'+'.join(role[:7] for role in name.split('+'))} {cost:.0f}" for name, cost in cpu_us.items())


if __name__ == "__main__":
    main()
