"""`crypto-trade bench`: runs the benchmark programs of the checkout, and compares two runs by ratio."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from reactor.domain.errors import ConfigError

ROOT: Final = Path(__file__).resolve().parents[2] / "bench"
WORSE_RATIO: Final = 1.25  # Machines have moods: below it two runs are equal.
COSTS: Final = ("p50", "p99", "ns_per_", "ns per ", "kib_per_", "resident_mb")  # Less of them is better.
PROGRAMS: Final[dict[str, tuple[str, str]]] = {
    "floor": ("floor.py", "stdout"),
    "ring": ("latency/ring.py", "stdout"),
    "send": ("latency/send.py", "stdout"),
    "feed": ("feed/feed.py", "stdout"),
    "allocations": ("allocations.py", "stdout"),
    "memory": ("memory.py", "stdout"),
    "tick-to-order": ("latency/tick_to_order.py", "file"),
    "throughput": ("latency/tick_to_order.py colocated --repeat 1 --rates 6000,10000,15000,20000", "file"),
    "collector": ("micro/collector/bench_role.py", "stdout"),
    "prepost": ("micro/prepost/bench_role.py", "stdout"),
    "journal": ("micro/journal/bench_store.py", "stdout"),
    "backtest": ("backtest.py", "stdout"),
}
"""Name → (program and its words, how it gives its numbers as JSON: on stdout, into a file, or not at all)."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a JSON value with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def regressions(before: Any, after: Any) -> list[tuple[str, float, float]]:
    """(path, before, after) of what got worse by WORSE_RATIO: latencies and memory upwards, rates per second downwards."""
    old = dict(leaves(before))
    found = []
    for path, now in leaves(after):
        then = old.get(path, 0.0)
        if then <= 0.0 or now <= 0.0:
            continue
        is_rate, is_latency = "per_s" in path, any(word in path for word in COSTS)
        if (is_rate and then / now > WORSE_RATIO) or (is_latency and not is_rate and now / then > WORSE_RATIO):
            found.append((path, then, now))
    return found


def _earlier(path: Path) -> Any:
    """What an earlier run wrote. Read before anything is measured: that may take minutes.

    Raises:
        ConfigError: it cannot be read, or is no such run.
    """
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"--compare {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(
            f"--compare {path}: {error}; a run to compare with is made by `crypto-trade bench NAME --json > FILE`"
        ) from None


def bench(
    name: Annotated[str, typer.Argument(help="Which; none: shows what there is.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Numbers for programs.")] = False,
    compare: Annotated[Path | None, typer.Option(help="An earlier --json run: flags what got worse.", metavar="FILE")] = None,
) -> None:
    """Runs a benchmark of the checkout. Each prints its machine, its pins and its rival."""
    if not ROOT.is_dir():
        raise ConfigError(f"there is no {ROOT}: benchmarks live in the checkout, not in the installed package; clone it")
    if not name:
        for each, (program, _) in PROGRAMS.items():
            typer.echo(f"{each:15} {ROOT / program}")
        return
    if name not in PROGRAMS:
        raise ConfigError(f"no benchmark {name!r}; there are {', '.join(PROGRAMS)}")
    program, how = PROGRAMS[name]
    before = None if compare is None else _earlier(compare)
    is_json = as_json or compare is not None
    if is_json and not how:
        raise ConfigError(f"{name} prints for people only")
    file, *words = program.split()
    arguments = [sys.executable, str(ROOT / file), *words]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        if is_json:
            arguments += ["--json"] if how == "stdout" else ["--json", str(path)]
        done = subprocess.run(arguments, cwd=ROOT.parent, stdout=subprocess.PIPE if is_json else None, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"{name} ended with {done.returncode}")
        if not is_json:
            return
        result = json.loads(done.stdout if how == "stdout" else path.read_text())
    if as_json:
        typer.echo(json.dumps(result, indent=1))
    if compare is not None:
        if not dict(leaves(before)).keys() & dict(leaves(result)).keys():
            raise ConfigError(f"--compare {compare}: it has no number of {name}'s; which benchmark was it made by?")
        worse = regressions(before, result)
        for where, then, now in worse:
            typer.echo(f"worse: {where} {then:g} → {now:g} (× {max(then / now, now / then):.2f})", err=True)
        if worse:
            raise typer.Exit(1)
        typer.echo(f"nothing got worse by more than × {WORSE_RATIO}", err=True)
