"""Conversions to hftbacktest events, against hftbacktest 2.4.x itself, on this machine, in this run.

    collector captures (gz) ─▶ event array          ours │ hftbacktest.data.utils.binancefutures.convert
    Tardis CSV (gz, plain)  ─▶ event array, npz     ours │ hftbacktest.data.utils.tardis.convert
    Tardis CSV (gz)         ─▶ text                 the floor: inflating alone, with the same library, into buffers used again

Every contender runs in a process of its own, turn by turn: the median of all calls but the first is its warm time, the
process's peak RSS its memory. The cold time is that of a process that converts once, from its start to its end, imports
included. A checksum of the events shows that both did the same work.

On a virtual machine whose host takes back what is free, a page that nobody has touched for some seconds costs ten times as much
as one that somebody just gave back (measured: 260 MB in 0.55 s instead of 0.02 s). That hits whoever comes first and whoever
needs most; hence several turns, and medians.

    .venv/bin/python bench/data/convert.py [--rows 4500000] [--runs 5] [--turns 3] [--captures DIR] [--tardis FILE.csv.gz …]
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", ROOT.parent / "shared" / "data")) / "captures"
TARGETS = (
    # (what, ours, theirs, "warm" or "cold" of theirs, at least so many times faster)
    ("collector, warm", "ours collector", "theirs collector", "warm", 10.0),
    ("Tardis gz, warm", "ours gz", "theirs gz", "warm", 2.0),
    ("Tardis gz, cold", "ours gz", "theirs gz", "cold", 10.0),
    ("Tardis plain, warm", "ours plain", "theirs plain", "warm", 4.0),
    ("Tardis gz → npz, warm", "ours npz", "theirs npz", "warm", 3.0),
)


def checksum(events: Any) -> str:
    """The same rows give the same word."""
    import hashlib

    return hashlib.blake2b(memoryview(events).cast("B"), digest_size=6).hexdigest()


def contender(name: str, paths: list[str], scratch: str) -> Any:
    """A function without arguments that does the whole job once and returns the events (None: nothing to compare)."""
    who, what = name.split()
    if who == "ours":
        if what == "collector":
            from reactor.data.convert.collector import convert_collector

            return lambda: convert_collector(paths)[0]
        from reactor.data.convert.tardis import convert_tardis

        if what == "npz":
            from reactor.data.npz import save_npz

            return lambda: save_npz(f"{scratch}/ours.npz", convert_tardis(paths)[0])
        return lambda: convert_tardis(paths)[0]
    if who == "inflate":
        from reactor.data.capture import LineBlocks

        return lambda: [len(block) for path in paths for block in LineBlocks(path)] and None
    if what == "collector":
        from hftbacktest.data.utils import binancefutures

        return lambda: binancefutures.convert(paths[0])
    from hftbacktest.data.utils import tardis

    if what == "npz":
        return lambda: tardis.convert(paths, f"{scratch}/theirs.npz") is None
    return lambda: tardis.convert(paths)


def child(name: str, paths: list[str], runs: int) -> None:
    """Runs one contender; prints what it took as JSON."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        sys.stdout, told = open(os.devnull, "w"), sys.stdout  # noqa: SIM115 -- hftbacktest tells what it does
        begin = time.perf_counter()
        work = contender(name, paths, scratch)
        imports_s = time.perf_counter() - begin
        taken, word, count = [], "", 0
        for _ in range(runs):
            begin = time.perf_counter()
            events = work()
            taken.append(time.perf_counter() - begin)
            if runs > 1 and not word and hasattr(events, "dtype"):
                word, count = checksum(events), len(events)
            del events
    # Not ru_maxrss: that one begins with what the parent had.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    print(json.dumps({"taken": taken, "imports_s": imports_s, "rss": peak, "checksum": word, "events": count}), file=told)


def measure(name: str, paths: list[Path], runs: int) -> dict[str, Any]:
    """One contender in a process of its own."""
    import subprocess

    command = [sys.executable, __file__, "--child", name, "--runs", str(runs), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    begin = time.perf_counter()
    command[command.index("--runs") + 1] = "1"
    subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    answer["process_s"] = time.perf_counter() - begin
    return answer


def inputs(rows: int, folder: Path, given: list[Path]) -> dict[str, list[Path]]:
    """The Tardis set, gz and plain: what was given, or made-up files."""
    import gzip

    from reactor.data.convert.sample import generate_sample

    names = ("trades", "incremental_book_L2")
    packed = given or [path for path in generate_sample(folder / "gz", rows) if any(f"_{name}_" in path.name for name in names)]
    packed.sort(key=lambda path: "_trades_" not in path.name)
    plain = [folder / path.name.removesuffix(".gz") for path in packed]
    for source, target in zip(packed, plain, strict=True):
        target.write_bytes(gzip.decompress(source.read_bytes()))
    return {"gz": packed, "npz": packed, "plain": plain}


def main() -> None:
    """Measures everything and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4_500_000)
    parser.add_argument("--captures", type=Path, default=CAPTURES)
    parser.add_argument("--tardis", type=Path, nargs="+", default=[])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.child:
        child(options.child, options.paths, options.runs)
        return
    import tempfile  # Not at the top: a child's cold start is its contender's, not the bench's.

    with tempfile.TemporaryDirectory() as scratch:
        files = inputs(options.rows, Path(scratch), options.tardis)
        files["collector"] = sorted(options.captures.glob("usdm/*.gz"))
        kinds = [kind for kind in ("collector", "gz", "plain", "npz") if files[kind]]
        results: dict[str, list[dict[str, Any]]] = {}
        for _ in range(options.turns):  # Turn by turn, so that a busy minute of the machine hits everybody.
            for kind in kinds:
                for name in (f"ours {kind}", f"theirs {kind}"):
                    results.setdefault(name, []).append(measure(name, files[kind], options.runs))
            results.setdefault("inflate gz", []).append(measure("inflate gz", files["gz"], options.runs))
    report(results)


def report(results: dict[str, list[dict[str, Any]]]) -> None:
    """Prints times, memory and the ratios that were asked for."""
    from statistics import median

    warm = {name: median(t for each in all_of for t in each["taken"][1:]) for name, all_of in results.items()}
    cold = {name: median(each["process_s"] for each in all_of) for name, all_of in results.items()}
    peak = {name: median(each["rss"] for each in all_of) for name, all_of in results.items()}
    for name, all_of in results.items():
        count = all_of[0]["events"]
        rate = f"{count / warm[name] / 1e6:6.2f} M events/s" if count else ""
        print(f"{name:18} warm {warm[name]:7.3f} s  cold {cold[name]:7.3f} s  peak {peak[name] / 1e6:7.0f} MB  {rate}")
    for kind in ("collector", "gz", "plain"):
        if f"ours {kind}" in results:
            words = {results[f"{who} {kind}"][0]["checksum"] for who in ("ours", "theirs")}
            print(f"{kind}: {'the same events' if len(words) == 1 else f'DIFFERENT EVENTS {words}'}")
    for what, ours, theirs, state, wanted in TARGETS:
        if ours in results:
            base = (warm if state == "warm" else cold)[theirs]
            own = (warm if state == "warm" else cold)[ours]
            print(f"{what:24} {base / own:6.1f} × faster   (wanted {wanted:g})")
    if "inflate gz" in results:
        print(f"{'Tardis gz / inflating':24} {warm['ours gz'] / warm['inflate gz']:6.2f} × its time (wanted ≤ 1.3)")
    for kind in ("collector", "gz", "plain"):
        if f"ours {kind}" in results:
            print(f"{f'memory, {kind}':24} {peak[f'ours {kind}'] / peak[f'theirs {kind}']:6.2f} of theirs (wanted ≤ 0.33)")


if __name__ == "__main__":
    main()
