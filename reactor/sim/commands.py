"""What `crypto-trade world` does. The front door (cli.py) only names it."""

import os
import sys
import time
from collections import Counter as Tally
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice
from typing import Annotated

import typer

from reactor.domain.errors import ConfigError
from reactor.sim.world.faults import BESIDE, FAULTS
from reactor.sim.world.world import Verdict, WorldParameters, run_seed

AHEAD: int = 4  # Seeds handed out per worker before the first answers: enough that nobody waits, few enough to stop soon.
STORY_LINES = 120


def seeds_of(text: str) -> range:
    """ "7" or "1-500".

    Raises:
        ConfigError: it is neither.
    """
    first, dash, last = text.partition("-")
    try:
        numbers = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        raise ConfigError(f"--seeds {text!r}: write one number, or two with a dash between them (1-500)") from None
    if not numbers:
        raise ConfigError(f"--seeds {text!r}: nothing to run; the first number is greater than the last")
    return numbers


def parameters_of(seconds: float, density: float, symbols: str, faults: str) -> WorldParameters:
    """The options as a world's parameters.

    Raises:
        ConfigError: a fault or a symbol that does not exist.
    """
    names = tuple(name for name in faults.split(",") if name)
    unknown = [name for name in names if name not in (*FAULTS, "all", "none")]
    if unknown:
        raise ConfigError(f"--faults: there is no {', '.join(unknown)}; there are all, none, {', '.join(FAULTS)}")
    return WorldParameters(seconds, density, tuple(symbols.upper().split(",")), names)


class Coverage:
    """How often each fault struck, over all seeds: a fault that never does tests nothing."""

    def __init__(self) -> None:
        self._struck: Tally[str] = Tally()
        self._seeds: Tally[str] = Tally()  # in which it struck
        self._drawn: Tally[str] = Tally()
        self._naked_ns_max = 0

    def add(self, verdict: Verdict) -> None:
        """One more seed."""
        self._drawn.update(verdict.suffered)
        for name, count in verdict.struck:
            self._struck[name] += count
            self._seeds[name] += count > 0
        self._naked_ns_max = max(self._naked_ns_max, verdict.naked_ns_max)

    def lines(self) -> list[str]:
        """The table, in the order of the list of faults."""
        rows = [f"{'fault':<24} {'seeds drew it':>14} {'struck in':>10} {'times':>9}"]
        for name in (*FAULTS, *BESIDE):
            drawn = str(self._drawn[name]) if name in FAULTS else "every seed"
            if self._drawn[name] or self._struck[name]:
                rows.append(f"{name:<24} {drawn:>14} {self._seeds[name]:>10} {self._struck[name]:>9}")
        rows.append(f"longest that a leg was naked although it could have been hedged: {self._naked_ns_max / 1e9:.2f} s")
        return rows


def world(
    seeds: Annotated[str, typer.Option(help="Which ones: 7, or 1-500.")] = "1-20",
    seconds: Annotated[float, typer.Option(help="Simulated time with faults, per seed.")] = 20.0,
    density: Annotated[float, typer.Option(help="Of the market: 0.05 is 20 messages/s for a pair, 1.0 a real one.")] = 0.05,
    symbols: Annotated[str, typer.Option(help="Coins, with commas between them; one pair each.")] = "BTCUSDT",
    faults: Annotated[str, typer.Option(help="all, none, or names with commas between them.")] = "all",
    jobs: Annotated[int, typer.Option(help="Processes; 0: one per core.")] = 0,
    story: Annotated[bool, typer.Option("--story", help="Print the timeline of every seed, not only of failing ones.")] = False,
) -> None:
    """Hunts for bugs: the whole system and the exchange in one process, virtual time, every fault there is, from one seed."""
    parameters = parameters_of(seconds, density, symbols, faults)
    wanted = seeds_of(seeds)
    started = time.perf_counter()
    coverage = Coverage()
    done = fills = failed = 0
    simulated_s = 0.0
    workers = jobs or len(os.sched_getaffinity(0))
    for verdict in _verdicts(wanted, parameters, workers):
        done += 1
        fills += verdict.fills
        simulated_s += verdict.simulated_s
        failed += bool(verdict.violation)
        coverage.add(verdict)
        if verdict.violation or story:
            _tell(verdict, parameters, is_long=story)
    real_s = time.perf_counter() - started
    for line in coverage.lines():
        typer.echo(line)
    typer.echo(
        f"{done} seeds, {failed} violations; {fills} fills; {simulated_s:.0f} s simulated in {real_s:.1f} s"
        f" ({simulated_s / max(real_s, 1e-9):.0f} × real time on {workers} processes)"
    )
    raise typer.Exit(1 if failed else 0)


def _verdicts(seeds: range, parameters: WorldParameters, workers: int) -> Iterator[Verdict]:
    if workers == 1 or len(seeds) == 1:
        for seed in seeds:
            yield run_seed(seed, parameters)
        return
    rest = iter(seeds)
    with ProcessPoolExecutor(workers) as pool:
        running = {pool.submit(run_seed, seed, parameters) for seed in islice(rest, workers * AHEAD)}
        while running:
            finished = next(as_completed(running))
            running.discard(finished)
            running.update(pool.submit(run_seed, seed, parameters) for seed in islice(rest, 1))
            yield finished.result()


def _tell(verdict: Verdict, parameters: WorldParameters, *, is_long: bool) -> None:
    for line in verdict.story if is_long else verdict.story[-STORY_LINES:]:
        typer.echo(line)
    if verdict.violation:
        typer.echo(f"seed {verdict.seed}: VIOLATED: {verdict.violation}")
        typer.echo(
            f"  again: crypto-trade world --seeds {verdict.seed} --seconds {parameters.seconds:g}"
            f" --density {parameters.density:g} --symbols {','.join(parameters.symbols)}"
            f" --faults {','.join(parameters.faults) or 'none'} --story"
        )
    sys.stdout.flush()
