"""What `crypto-trade parity` does. The front door (cli.py) only names it."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from reactor.backtest import commands
from reactor.backtest.host import Decision
from reactor.backtest.parity import Divergence, Parity
from reactor.backtest.parity import parity as run_both
from reactor.backtest.parity_live import Fill, LiveParameters
from reactor.domain.errors import ConfigError
from reactor.strategies.strategy import WISH_QUOTE

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
EXIT_DIFFERENT: Final = 1
LATENCY_MS_MAX: Final = 1000.0
Replay = Annotated[list[Path] | None, typer.Option("--replay", help="A capture instead of the generated market. Repeatable.")]
Seconds = Annotated[float, typer.Option(min=1.0, help="Of trading.")]
Density = Annotated[float, typer.Option(min=0.01, max=10.0, help="Of the generated market; 1 is as busy as the captures.")]
LatencyMs = Annotated[float, typer.Option(min=0.0, max=LATENCY_MS_MAX, help="Of the network, one way; 0: nothing takes time.")]
JitterMs = Annotated[float, typer.Option(min=0.0, max=LATENCY_MS_MAX, help="On top of it, at random, up to this.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the result there.")]


def parity(
    strategy: commands.StrategyName,
    config: commands.Config = None,
    param: commands.Parameters = None,
    symbol: commands.Symbol = "BTCUSDT",
    seconds: Seconds = 60.0,
    seed: commands.Seed = 1,
    density: Density = 0.5,
    replay: Replay = None,
    latency_ms: LatencyMs = 0.0,
    jitter_ms: JitterMs = 0.0,
    interpreted: Annotated[bool, typer.Option("--interpreted", help="The backtest runs plain Python.")] = False,
    json_path: Json = None,
) -> None:
    """The same market through the live path and through the backtest: equal, or the first divergence. Exits 1 if they part."""
    if jitter_ms and not latency_ms:
        raise ConfigError("--jitter-ms: comes on top of a latency; give --latency-ms too")
    console = commands.terminal()
    chosen, _ = commands.chosen_of(strategy, config, param, {})
    wanted = LiveParameters(
        chosen, symbol, seconds, seed, density, tuple(replay or ()), round(latency_ms * MS), round(jitter_ms * MS)
    )
    with console.status("trading, then testing the same market …"):
        result = run_both(wanted, is_interpreted=interpreted)
    show(result, wanted, console)
    if json_path is not None:
        told = {"is_equal": result.is_equal, **dataclasses.asdict(result)}
        json_path.write_text(json.dumps(told, indent=2) + "\n")
    if not result.is_equal and not latency_ms:
        raise typer.Exit(EXIT_DIFFERENT)


def show(result: Parity, wanted: LiveParameters, console: Console) -> None:
    """Figures, and where they part."""
    figures = result.differences
    market = ", ".join(path.name for path in wanted.replay) or f"generated, seed {wanted.seed}"
    takes = f"{wanted.latency_ns / MS:g} ms one way" if wanted.latency_ns else "nothing takes time"
    if wanted.jitter_ns:
        takes += f", and up to {wanted.jitter_ns / MS:g} ms more"
    table = Table(
        title=f"{wanted.choice.name} on {wanted.symbol} ({market}), {wanted.seconds:g} s, {takes}", title_justify="left"
    )
    for heading in ("", "live path", "backtest", ""):
        table.add_column(heading, justify="left" if heading == "" else "right")
    same = f"{figures.decisions_equal:,} identical before they part"
    if figures.decisions_equal == figures.decisions_live == figures.decisions_past:
        same = "all identical"
    common = f"{figures.fills_common:,} of the same side and price within a second"
    table.add_row("decisions", f"{figures.decisions_live:,}", f"{figures.decisions_past:,}", same)
    table.add_row("fills", f"{figures.fills_live:,}", f"{figures.fills_past:,}", common)
    difference = f"difference {figures.pnl_live - figures.pnl_past:+,.4f}"
    table.add_row("PnL after fees", f"{figures.pnl_live:,.4f}", f"{figures.pnl_past:,.4f}", difference)
    table.add_row("same quotes", f"{figures.quotes_equal_share:.2%}", "", "of live decisions, beside the nearest in time")
    table.add_row("apart by", f"{figures.quote_ticks_mean:.3f} ticks", f"{figures.time_ms_mean:.3f} ms",
                  f"and {figures.position_lots_mean:.3f} lots of position, on average")  # fmt: skip
    if result.refusals:
        table.add_row("refused", f"{result.refusals:,}", "", "by our own risk rules: a backtest has none")
    console.print(table)
    if result.divergence is None:
        what = "every decision and every fill, to the nanosecond" if not wanted.latency_ns else "the quotes of every decision"
        console.print(f"equal: {what} ({result.events:,} market events)")
    else:
        tell(result.divergence, console)


def tell(divergence: Divergence, console: Console) -> None:
    """What each side saw and did where they part."""
    times = [_time_of(each) for each in (divergence.live, divergence.past, divergence.before) if each is not None]
    origin_ns = min(times)
    table = Table(title=f"they part at {divergence.what} {divergence.number:,}", title_justify="left")
    for heading in ("", "at", "top", "position", "what"):
        table.add_column(heading)
    rows = (("both, before", divergence.before), ("live path", divergence.live), ("backtest", divergence.past))
    for name, each in rows:
        if each is None:
            table.add_row(name, "", "", "", "nothing more" if name != "both, before" else "nothing yet")
        elif isinstance(each, Decision):
            table.add_row(
                name,
                _after(each.now_ns, origin_ns),
                f"{each.bid_ticks} / {each.ask_ticks}",
                str(each.position_lots),
                _wants(each),
            )
        else:
            kind = "maker" if each.is_maker else "taker"
            table.add_row(
                name, _after(each.exchange_ns, origin_ns), "", "", f"{kind} fill {each.quantity_lots:+} @ {each.price_ticks}"
            )
    console.print(table)
    console.print(f"times after {origin_ns} ns; prices in ticks, quantities in lots")


def _time_of(what: Decision | Fill) -> int:
    return what.now_ns if isinstance(what, Decision) else what.exchange_ns


def _after(at_ns: int, origin_ns: int) -> str:
    return f"{(at_ns - origin_ns) / MS:.6f} ms"


def _wants(decision: Decision) -> str:
    if decision.is_halt:
        return "halt"
    if decision.wants is None:
        return "as before"
    words = [
        f"{lots:+} @ {price}" + ("" if kind == WISH_QUOTE else " at once, to reduce") for price, lots, kind in decision.wants
    ]
    return ", ".join(words) or "no quotes"
