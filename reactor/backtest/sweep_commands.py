"""What `crypto-trade sweep` does. The front door (cli.py) only names it."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from reactor.backtest import commands
from reactor.backtest.figures import Figures
from reactor.backtest.grid import Axis, Point, axes_of, dice, grid, key_of
from reactor.backtest.options import parameters_of
from reactor.backtest.sweep import Done, Job, Row
from reactor.backtest.sweep import sweep as run_sweep
from reactor.domain.errors import ConfigError

TOP = 20  # Rows of the table; all of them stand in results.parquet.
SHOWN = ("pnl_net", "pnl_gross", "fees", "fills", "fill_ratio", "drawdown_max", "sharpe", "position_max_abs")
HEADINGS = {
    "pnl_net": "net", "pnl_gross": "gross", "fill_ratio": "filled", "drawdown_max": "drawdown", "position_max_abs": "max |pos|",
}  # fmt: skip
LOWER_IS_BETTER = frozenset({"fees", "drawdown_max", "drawdown_s", "position_mean_abs", "position_max_abs"})
Axes = Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUES", help="1,2,3 or from:to:step. Repeatable.")]
Random = Annotated[int, typer.Option("--random", min=0, help="So many points by dice instead of the whole grid.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the results; else reports/sweep_STRATEGY.")]
Sort = Annotated[str, typer.Option(help="Which figure decides: pnl_net, sharpe, fill_ratio, …")]
Scheduler = Annotated[str | None, typer.Option(help="tcp://… of a Dask scheduler; without it, all cores of this host.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget what the folder holds.")]
DiceSeed = Annotated[int, typer.Option(help="Of the dice, and of the generated market when there is no --data.")]


def sweep(
    strategy: commands.StrategyName,
    param: Axes = None,
    data: commands.Data = None,
    tick_size: commands.TickSize = None,
    lot_size: commands.LotSize = None,
    config: commands.Config = None,
    random: Random = 0,
    seed: DiceSeed = 1,
    output: Output = None,
    sort: Sort = "pnl_net",
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one per core.")] = 0,
    scheduler: Scheduler = None,
    fresh: Fresh = False,
    latency: commands.Latency = None,
    queue: commands.Queue = None,
    maker_fee: commands.MakerFee = None,
    taker_fee: commands.TakerFee = None,
    contract_size: commands.ContractSize = None,
    inverse: commands.Inverse = None,
    funding_rate: commands.FundingRate = None,
    funding_interval: commands.FundingInterval = None,
    funding: commands.FundingFile = None,
    sample_ms: commands.SampleMs = None,
    symbol: commands.Symbol = "BTCUSDT",
    seconds: commands.Seconds = 900.0,
) -> None:
    """Tries many parameters: a grid or dice, on all cores or a Dask cluster. Stopped, it goes on where it was."""
    console = commands.terminal()
    given = {
        "data": data, "tick_size": tick_size, "lot_size": lot_size, "latency": latency, "queue": queue, "maker_fee": maker_fee,
        "taker_fee": taker_fee, "contract_size": contract_size, "inverse": inverse, "funding_rate": funding_rate,
        "funding_interval": funding_interval, "funding": funding, "sample_ms": sample_ms,
    }  # fmt: skip
    chosen, options = commands.chosen_of(strategy, config, None, given)
    axes = axes_of(param or [])
    if not axes:
        raise ConfigError("--param: name what to try: --param half_spread=0.5,1,2 --param skew=0:1:0.25")
    chosen.check_names([axis.name for axis in axes])
    _check_sort(sort)
    points = dice(axes, random, seed) if random else list(grid(axes))
    if not options.data:
        options = commands.with_own_market(options, symbol, seconds, seed, console)
    job = Job(chosen, parameters_of(options))
    directory = output or Path("reports") / f"sweep_{chosen.name.replace(':', '_')}"
    done = Done(directory, job, fresh)
    before = _count_done(points, done)
    words = f"; {before:,} of them are done already" if before else ""
    console.print(f"{len(points):,} points over {', '.join(axis.name for axis in axes)}{words}")
    rows = _try_all(job, points, done, console, workers, scheduler)
    show(rows, axes, sort, console)
    for path in write(rows, directory, console):
        console.print(f"results: {path}", soft_wrap=True)
    if all("error" in row for row in rows):
        raise typer.Exit(1)


def _try_all(job: Job, points: Sequence[Point], done: Done, console: Console, workers: int, scheduler: str | None) -> list[Row]:
    """The row of every point, under a progress bar. Ctrl-C leaves with 130; what is done by then is kept."""
    columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("trials", total=len(points), completed=_count_done(points, done))
            run_sweep(job, points, done, workers=workers, scheduler=scheduler, on_row=lambda row: progress.advance(task))
    except KeyboardInterrupt:
        console.print(f"stopped: {_count_done(points, done):,} of {len(points):,} points are done; the same command goes on")
        raise typer.Exit(130) from None
    finally:
        done.close()
    return [done.rows[key_of(point)] for point in points]


def _count_done(points: Sequence[Point], done: Done) -> int:
    return sum(key_of(point) in done.rows for point in points)


def _check_sort(name: str) -> None:
    names = [each.name for each in fields(Figures) if each.name != "name"]
    if name not in names:
        raise ConfigError(f"--sort {name}: no figure is called that; there are {', '.join(names)}")


def ranked(rows: Sequence[Row], sort: str) -> list[Row]:
    """Best first; without a figure last."""
    sign = 1.0 if sort in LOWER_IS_BETTER else -1.0

    def place(row: Row) -> tuple[bool, float]:
        value = row.get("figures", {}).get(sort)
        return (value is None, 0.0 if value is None else sign * value)

    return sorted(rows, key=place)


def show(rows: Sequence[Row], axes: Sequence[Axis], sort: str, console: Console) -> None:
    """The best ones, and what went wrong."""
    shown = SHOWN if sort in SHOWN else (sort, *SHOWN)
    varied = [axis.name for axis in axes if axis.is_range or len(axis.values) > 1] or [axis.name for axis in axes]
    headings = [HEADINGS.get(name, name) for name in shown]
    table = Table(*varied, *headings, title=f"best by {sort}", title_justify="left")
    for column in table.columns:
        column.justify = "right"
        column.no_wrap = True
    good = [row for row in ranked(rows, sort) if "figures" in row]
    for row in good[:TOP]:
        table.add_row(*(_short(row["point"][name]) for name in varied), *(_short(row["figures"][name]) for name in shown))
    console.print(table)
    failed = [row for row in rows if "error" in row]
    for row in failed[:5]:
        console.print(f"failed: {_words(row['point'])}: {row['error']}")
    if len(failed) > 5:
        console.print(f"failed: {len(failed) - 5:,} more; results.parquet says why")


def _short(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"
    return str(value)


def _words(point: Point) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in point.items())


def write(rows: Sequence[Row], directory: Path, console: Console) -> list[Path]:
    """results.parquet: one row per point, parameters and figures side by side.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        console.print("no results.parquet: pip install 'crypto-trade[parquet]'; done.jsonl has every row")
        return []
    path = directory / "results.parquet"
    names = [each.name for each in fields(Figures)]
    columns: dict[str, list[Any]] = {}
    for name in dict.fromkeys(name for row in rows for name in row["point"]):
        values = [row["point"].get(name) for row in rows]
        is_mixed = any(isinstance(value, float) for value in values) and all(isinstance(value, int | float) for value in values)
        columns[f"param_{name}"] = [float(value) for value in values] if is_mixed else values
    for name in names:
        columns[name] = [row.get("figures", {}).get(name) for row in rows]
    columns["error"] = [row.get("error") for row in rows]
    part = path.with_name(path.name + ".part")
    try:
        parquet.write_table(pyarrow.table(columns), part, compression="zstd")
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"-o {directory}: the results cannot be written: {error.strerror or error}") from None
    return [path]
