"""What `crypto-trade convert …` and `crypto-trade validate` do. The front door (cli.py) only names them."""

import os
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from reactor.data import batch
from reactor.data.convert.finish import ConversionStatistics
from reactor.data.progress import ReadingProgress
from reactor.data.validate import ValidationReport, plot_events, summary_lines, validate_events
from reactor.domain.errors import DataError

convert = typer.Typer(help="Recorded market data → hftbacktest event files.", no_args_is_help=True)

Inputs = Annotated[list[str], typer.Argument(metavar="IN...", help="Files, folders or globs; put globs into quotes.")]
Output = Annotated[
    str, typer.Option("--output", "-o", help="An .npz or .parquet file, or a directory/ for one file per symbol and day.")
]
FirstDay = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, told from the names.")]
LastDay = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")]
TickSize = Annotated[float, typer.Option(help="Price step; needed for Hyperliquid and for fusing books.")]
LotSize = Annotated[float, typer.Option(help="Quantity step; likewise.")]
BaseLatency = Annotated[int, typer.Option(metavar="NS", help="Added to every local time.")]
Compat = Annotated[str, typer.Option(help="'hftbacktest': with its losses, to compare.")]
Force = Annotated[bool, typer.Option("--force", help="Convert again what is already there.")]
Check = Annotated[bool, typer.Option("--validate", help="Look through each result and print what was found.")]
Stream = Annotated[bool, typer.Option("--stream", help="For files larger than memory: slower, same result, .npz only.")]
Scheduler = Annotated[str | None, typer.Option(help="tcp://… of a Dask scheduler; without it, all cores of this host.")]


@convert.command("collector")
def convert_collector(
    inputs: Inputs,
    output: Output = "",
    tardis_csv: Annotated[
        Path | None, typer.Option("--tardis-csv", metavar="DIR", help="Write Tardis CSV files instead of events.")
    ] = None,
    venue: Annotated[str | None, typer.Option(help="binance, bybit or hyperliquid; told by content otherwise.")] = None,
    book_ticker: Annotated[bool, typer.Option("--book-ticker", help="Best bid and ask as events 103 and 104.")] = False,
    mark_price: Annotated[bool, typer.Option("--mark-price", help="Index, mark, funding as events 100 to 102.")] = False,
    no_snapshots: Annotated[bool, typer.Option("--no-snapshots", help="Leave REST snapshots out.")] = False,
    depth_level: Annotated[int, typer.Option(help="Bybit: which book stream, unless they are fused.")] = 50,
    tick_size: TickSize = 0.0,
    lot_size: LotSize = 0.0,
    base_latency: BaseLatency = 0,
    first: FirstDay = None,
    last: LastDay = None,
    compat: Compat = "",
    scheduler: Scheduler = None,
    validate: Check = False,
    force: Force = False,
    stream: Stream = False,
) -> None:
    """Converts collector captures (`<ns> <json>` lines, gzip)."""
    if venue not in (None, "binance", "bybit", "hyperliquid"):
        raise DataError("--venue", f"{venue!r} is not known; there are binance, bybit and hyperliquid")
    if tardis_csv is not None:
        _to_tardis(inputs, tardis_csv, _day(first), _day(last))
        return
    _need_output(output)
    options = {
        "venue": venue,
        "with_book_ticker": book_ticker,
        "with_mark_price": mark_price,
        "without_snapshots": no_snapshots,
        "depth_level": depth_level,
        "tick_size": tick_size,
        "lot_size": lot_size,
        "base_latency_ns": base_latency,
        "compat": _compat(compat),
    }
    _run("collector", inputs, output, options, first, last, scheduler, validate, force, stream)


@convert.command("tardis")
def convert_tardis(
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="IN...", help="Files, folders or globs; put globs into quotes.")
    ] = None,
    output: Output = "",
    generate_sample: Annotated[
        Path | None, typer.Option("--generate-sample", metavar="DIR", help="Make a small set of files to try this on.")
    ] = None,
    snapshots: Annotated[str, typer.Option(help="process, ignore-sod (the start-of-day one) or ignore.")] = "process",
    tick_size: TickSize = 0.0,
    lot_size: LotSize = 0.0,
    base_latency: BaseLatency = 0,
    first: FirstDay = None,
    last: LastDay = None,
    compat: Compat = "",
    scheduler: Scheduler = None,
    validate: Check = False,
    force: Force = False,
    stream: Stream = False,
) -> None:
    """Converts Tardis CSVs: trades, incremental_book_L2 and, with the steps, book_ticker."""
    if snapshots not in ("process", "ignore", "ignore-sod"):
        raise DataError("--snapshots", f"{snapshots!r} is not known; there are process, ignore-sod and ignore")
    if generate_sample is not None:
        from reactor.data.convert.sample import generate_sample as generate

        for path in generate(generate_sample):
            Console(highlight=False).print(str(path), soft_wrap=True)
        if not inputs:
            return
    if not inputs:
        raise DataError("convert tardis", "name the files to convert, or --generate-sample DIR to get some")
    _need_output(output)
    options = {
        "snapshot_mode": snapshots,
        "tick_size": tick_size,
        "lot_size": lot_size,
        "base_latency_ns": base_latency,
        "compat": _compat(compat),
    }
    _run("tardis", inputs, output, options, first, last, scheduler, validate, force, stream)


def validate(
    inputs: Annotated[list[str], typer.Argument(metavar="FILE...", help="Event files (.npz, .parquet); globs in quotes.")],
    plot: Annotated[Path | None, typer.Option(help="Draw price, rate and latency into a PNG (one file only).")] = None,
    gap_seconds: Annotated[float, typer.Option(help="A longer silence is reported.")] = 10.0,
    scheduler: Scheduler = None,
) -> None:
    """Looks through event files and says whether a backtest may trust them. Exit code 1 if not."""
    paths = batch.find_inputs(inputs)
    if plot is not None and len(paths) != 1:
        raise DataError(str(plot), f"one plot for {len(paths)} files: name one file")
    console = Console(highlight=False)
    is_sound = True
    for report in batch.run_all(partial(_validate_one, gap_seconds=gap_seconds), paths, scheduler):
        console.print("\n".join(summary_lines(report)))
        is_sound &= report.is_sound
    if plot is not None:
        try:
            plot_events(batch.load_events(paths[0]), plot)
        except ImportError:
            raise DataError(str(plot), "plots need matplotlib: pip install 'crypto-trade[plot]'") from None
        console.print(f"plot: {plot}")
    if not is_sound:
        raise typer.Exit(1)


def _validate_one(path: str, gap_seconds: float) -> ValidationReport:
    return validate_events(batch.load_events(path), path, gap_seconds)


def _need_output(output: str) -> None:
    if not output:
        raise DataError("-o", "say where the events shall go: -o OUT.npz, -o OUT.parquet or -o DIR/")


def _to_tardis(inputs: list[str], directory: Path, first: date | None, last: date | None) -> None:
    from reactor.data.convert.tardis_csv import write_tardis_csv

    console = Console(highlight=False)
    failures = 0
    for job in batch.jobs_of("collector", batch.find_inputs(inputs, first, last, batch.CAPTURES), str(directory) + os.sep, {}):
        try:
            written, statistics = write_tardis_csv(job.inputs, directory)
        except DataError as error:
            failures += 1
            console.print(f"[red]failed[/] {error}")
            continue
        for path in written:
            console.print(str(path), soft_wrap=True)
        console.print(f"  {_in_words(statistics).partition(' of ')[2]}")
    if failures:
        raise typer.Exit(1)


def _compat(name: str) -> str:
    if name not in ("", "hftbacktest"):
        raise DataError("--compat", f"{name!r} is not known; there is 'hftbacktest'")
    return name


def _run(
    source: batch.Source,
    inputs: list[str],
    output: str,
    options: dict[str, Any],
    first: datetime | None,
    last: datetime | None,
    scheduler: str | None,
    is_validated: bool,
    is_forced: bool,
    is_streamed: bool,
) -> None:
    console = Console(highlight=False)
    kind = batch.TARDIS_CSVS if source == "tardis" else batch.CAPTURES
    paths = batch.find_inputs(inputs, _day(first), _day(last), kind)
    jobs = [replace(job, is_streamed=is_streamed) for job in batch.jobs_of(source, paths, output, options)]
    failures = 0
    work = partial(batch.run_job, is_forced=is_forced, is_validated=is_validated)
    sizes = {job.output: sum(os.path.getsize(path) for path in job.inputs) * (1 + is_streamed) for job in jobs}
    with ReadingProgress(f"converting {len(paths)} file{'s' * (len(paths) > 1)}", sum(sizes.values())) as progress:
        for result in batch.run_all(work, jobs, scheduler, on_bytes=progress.on_bytes):
            progress.on_done(sizes[result.output])
            failures += bool(result.error or (result.statistics and result.statistics.damages))
            _print_result(console, result)
    if failures:
        raise typer.Exit(1)


def _print_result(console: Console, result: batch.Result) -> None:
    if result.error:
        where = "" if result.error.startswith(result.output) else f"{result.output}: "
        console.print(f"[red]failed[/] {where}{result.error}", soft_wrap=True)
    elif result.is_skipped:
        console.print(f"{result.output}: is there already; --force converts it again", soft_wrap=True)
    elif result.statistics is not None:
        console.print(f"{result.output}: {_in_words(result.statistics)}", soft_wrap=True)
        for damage in result.statistics.damages:
            console.print(f"[yellow]damaged[/] {damage}", soft_wrap=True)
    if result.report is not None:
        console.print("\n".join(summary_lines(result.report)))


def _in_words(statistics: ConversionStatistics) -> str:
    words = [
        f"{statistics.events:,} events of {statistics.lines:,} lines",
        f"{statistics.trades:,} trades",
        f"{statistics.depth_updates:,} depth updates",
        f"{statistics.snapshots:,} snapshots",
    ]
    if statistics.gaps:
        words.append(f"{statistics.gaps:,} gaps in the update ids")
    if statistics.off_book_trades:
        words.append(f"{statistics.off_book_trades:,} off-book trades left out")
    if statistics.truncated_snapshot_rows:
        words.append(f"{statistics.truncated_snapshot_rows:,} snapshot rows cut as hftbacktest cuts them")
    if statistics.local_shift_ns:
        words.append(f"local times moved by {statistics.local_shift_ns / 1e6:,.3f} ms")
    if statistics.reordered_events:
        words.append(f"{statistics.reordered_events:,} rows split to be in order")
    return ", ".join(words)


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
