"""What `crypto-trade check` says about the host, as tables: measured now, what a tuned one would gain, before and after."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from reactor.config.assemble import describe
from reactor.config.host import Fact, this_host
from reactor.config.placement import Place
from reactor.domain.errors import ConfigError
from reactor.monitor.host_probe import Figures, hops_of, measure

BETTER_RATIO: Final = 1.1  # Below it two measurements are equal.
CORES_MAX: Final = 8  # More are not looked at: all of one socket behave alike.


def measure_host(places: Sequence[Place], facts: Sequence[Fact], seconds: float) -> Figures:
    """Measures the cores of the placement; where it pins nobody, all that this process may use.

    Raises:
        ConfigError: a probe could not run.
    """
    host = this_host()
    chosen = sorted({place.core for place in places if place.core is not None}) or list(host.cores)
    try:
        return measure(chosen[:CORES_MAX], seconds, {fact.name: fact.value for fact in facts})
    except (OSError, ValueError) as error:
        raise ConfigError(f"check: cannot measure: {error}; --seconds 0 leaves it out") from None


def show_figures(console: Console, places: Sequence[Place], figures: Figures) -> None:
    """What each role gets now, and what it would get on a tuned host."""
    title = f"measured, {figures.seconds:g} s per core; clock {figures.clock_ns} ns per reading"
    table = Table("shard", "runs on", title=title, title_justify="left")
    for name in ("input µs p50", "p99", "tuned", "core away µs max", "‰"):
        table.add_column(name, justify="right")
    for place in places:
        row = figures.of_role(place, describe(place.core, place.wait_policy.name.lower()))
        tuned = f"{row.input_tuned / 1e3:.1f}" if row.input_tuned else "-"
        table.add_row(row.shard, row.runs_on, f"{row.input_now / 1e3:.1f}", f"{row.input_now_p99 / 1e3:.1f}", tuned,
                      f"{row.worst_gap / 1e3:.0f}", f"{row.taken_permille:.2f}")  # fmt: skip
    console.print(table)
    console.print(verdict(places, figures), highlight=False)


def verdict(places: Sequence[Place], figures: Figures) -> str:
    """What a tuned host would gain, in a sentence or two."""
    hops = hops_of(places)
    if figures.hop_ns is None:
        return "One core: nothing to hand over to. Tuning begins with more of them."
    gain_us = (figures.wake_ns.p50 - figures.hop_ns.p50) / 1e3
    worst_us = max((each.gap_ns.max for each in figures.cores), default=0) / 1e3
    if hops:
        now = f"A decision passes {hops} times from process to process here."
        tuned = f"each hop takes {gain_us:.1f} µs less, {hops * gain_us:.0f} µs per decision"
    else:
        now = "All hot roles share one process here: no hop, and they wait for each other."
        tuned = f"each has a core of its own, for three hops of {figures.hop_ns.p50 / 1e3:.1f} µs"
    return (
        f"{now} On a tuned host (deploy/host/tune.py: isolated cores, roles that spin) {tuned}; and the longest time that a"
        f" core is away, {worst_us:.0f} µs here, is some µs there."
    )


def show_comparison(console: Console, before: Figures, after: Figures) -> None:
    """One table: before, after, and by how much; facts that changed below it."""
    table = Table("measured", title="before and after", title_justify="left")
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right")
    old = dict(before.rows())
    for name, now in after.rows():
        then = old.get(name)
        table.add_row(name, "-" if then is None else f"{then:,.1f}", f"{now:,.1f}", change_of(then, now))
    for name, value in after.facts.items():
        if before.facts.get(name, value) != value:
            table.add_row(name, before.facts[name], value, "")
    console.print(table)


def change_of(then: float | None, now: float) -> str:
    """`3.2 × better`, `1.5 × worse`, `equal`."""
    if then is None or then <= 0 or now <= 0:
        return "gone" if then and now == 0 else ""
    ratio = then / now
    if ratio >= BETTER_RATIO:
        return f"{ratio:.1f} × better"
    return f"{1 / ratio:.1f} × worse" if 1 / ratio >= BETTER_RATIO else "equal"


def load_figures(path: Path) -> Figures:
    """What `check --save` wrote.

    Raises:
        ConfigError: it is not such a file.
    """
    try:
        return Figures.from_json(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--compare {path}: not a file of `crypto-trade check --save` ({error})") from None
