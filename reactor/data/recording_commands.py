"""What `crypto-trade record` and `crypto-trade collect` do."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reactor.data import batch
from reactor.data.collect import EVENTS_FOLDER, Verdict, judge, simulated_exchange
from reactor.data.recorder import RecorderParameters, RecorderReport
from reactor.data.recorder import record as run_recorder
from reactor.data.venues import recorded_venue
from reactor.domain.errors import ConfigError
from reactor.loop.clock import SystemClock
from reactor.loop.log import Level, StreamLog

Streams = Annotated[
    str | None, typer.Option(help="Without the symbol, comma between: trade,bookTicker,depth@100ms,markPrice@1s,…")
]
Redundancy = Annotated[int, typer.Option(min=1, max=4, help="Sessions with the same streams; each message is written once.")]
BaseUrl = Annotated[str, typer.Option(metavar="URL", help="A simulated exchange: http://host:port (USD-M: its second port).")]
Environment = Annotated[str, typer.Option(help="live, testnet or demo.")]


def record(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the captures; one per venue.")],
    venue: Annotated[str, typer.Argument(metavar="VENUE", help="binance_spot, binance_usdm or binance_coinm.")],
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL...")],
    streams: Streams = None,
    ipc: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Listen to the running system of that name. Repeatable.")
    ] = None,
    redundancy: Redundancy = 1,
    duration: Annotated[float, typer.Option(help="Seconds; without it until Ctrl-C.")] = 0.0,
    base_url: BaseUrl = "",
    environment: Environment = "live",
    flush: Annotated[float, typer.Option(min=0.1, help="Seconds that a killed recorder may lose.")] = 2.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No statistics while it runs.")] = False,
) -> None:
    """Records a venue's market data: one gzip file per symbol and UTC day, in the format of hftbacktest's collector."""
    parameters = RecorderParameters(
        directory=out,
        venue=recorded_venue(venue),
        symbols=tuple(dict.fromkeys(symbol.upper() for symbol in symbols)),
        streams=_streams(streams),
        instances=tuple(ipc or ()),
        redundancy=redundancy,
        base_url=base_url,
        environment=environment,
        duration_s=duration,
        flush_s=flush,
    )
    console = Console(highlight=False)
    where = f"instance {', '.join(ipc)}" if ipc else base_url or environment
    console.print(f"recording {len(parameters.symbols)} symbols of {parameters.venue.name} ({where}) into {out}; Ctrl-C stops")
    report = _run(parameters, console, quiet)
    _print_report(console, report)
    if report.alarm:
        console.print(f"[red]ALARM[/] {report.alarm}")
        raise typer.Exit(1)
    if not report.lines:
        console.print("[red]nothing was recorded[/]: are the names of the venue, the symbols, the streams or the system right?")
        raise typer.Exit(1)


def collect(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for captures and event files.")],
    venue: Annotated[str, typer.Argument(metavar="[VENUE]")] = "binance_usdm",
    symbols: Annotated[list[str] | None, typer.Argument(metavar="[SYMBOL]...")] = None,
    seconds: Annotated[float, typer.Option(help="How long to record.")] = 10.0,
    captures: Annotated[
        list[str] | None, typer.Option("--captures", help="Record nothing: start from these files (globs in quotes).")
    ] = None,
    base_url: BaseUrl = "",
    environment: Annotated[str, typer.Option(help="live, testnet or demo; without it and --base-url, a simulated one.")] = "",
    streams: Streams = None,
    redundancy: Redundancy = 1,
    speed: Annotated[float, typer.Option(help="Of the simulated market.")] = 1.0,
    book_ticker: Annotated[bool, typer.Option("--book-ticker", help="Best bid and ask as events 103 and 104.")] = False,
) -> None:
    """Records, converts and validates in one go, and prints one verdict. Exit code 1 if it is not sound."""
    console = Console(highlight=False)
    report: RecorderReport | None = None
    if captures:
        paths = batch.find_inputs(captures, kind=batch.CAPTURES)
    else:
        parameters = RecorderParameters(
            directory=out / "captures",
            venue=recorded_venue(venue),
            symbols=tuple(symbol.upper() for symbol in symbols or ["BTCUSDT"]),
            streams=_streams(streams),
            redundancy=redundancy,
            base_url=base_url,
            environment=environment,
            duration_s=seconds,
        )
        with _somewhere(parameters, speed) as parameters:
            console.print(f"recording {seconds:g} s of {parameters.venue.name} from {parameters.base_url or environment}")
            report = _run(parameters, console, quiet=False)
        _print_report(console, report)
        paths = report.files
    verdict = (
        judge(paths, out, report, {"with_book_ticker": book_ticker}) if paths else Verdict(problems=["nothing to convert"])
    )
    _print_verdict(console, verdict, out)
    if not verdict.is_sound:
        raise typer.Exit(1)


@contextlib.contextmanager
def _somewhere(parameters: RecorderParameters, speed: float) -> Iterator[RecorderParameters]:
    """The venue that was named, or a simulated exchange that lives as long as the recording."""
    if parameters.base_url or parameters.environment:
        yield parameters
        return
    place = {"binance_spot": 0, "binance_usdm": 1}.get(parameters.venue.name)
    if place is None:
        raise ConfigError(f"the simulated exchange has no {parameters.venue.name}: name an --environment or a --base-url")
    settings = {"port": 0, "speed": speed, "generator": {"symbols": list(parameters.symbols)}}
    with simulated_exchange(settings) as port:
        yield replace(parameters, base_url=f"http://127.0.0.1:{port + place}")


def _streams(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _run(parameters: RecorderParameters, console: Console, quiet: bool) -> RecorderReport:
    def tell(line: str) -> None:
        if not quiet:
            console.print(line)

    return run_recorder(parameters, StreamLog(SystemClock(), "recorder", Level.WARNING), tell)


def _print_report(console: Console, report: RecorderReport) -> None:
    table = Table("symbol", "lines", "MB", "snapshots", "duplicates", "gaps", "lag ms", "streams")
    for symbol, each in report.symbols.items():
        streams = " ".join(f"{name} {count:,}" for name, count in sorted(each.by_stream.items()))
        numbers = (f"{each.lines:,}", f"{each.bytes / 1e6:.2f}", str(each.snapshots), f"{each.duplicates:,}", str(each.gaps))
        table.add_row(symbol, *numbers, f"{each.lag_ns / 1e6:.1f}", streams)
    console.print(table)
    rate = report.lines / report.duration_s if report.duration_s else 0.0
    console.print(
        f"{report.lines:,} lines in {report.duration_s:.1f} s ({rate:,.0f}/s), {report.file_bytes / 1e6:.2f} MB on disk, "
        f"{len(report.gaps)} gaps, {report.malformed} malformed, {report.snapshots_failed} snapshots failed"
    )
    for path in report.files:
        console.print(f"  {path}", soft_wrap=True)
    for gap in report.gaps[:10]:
        messages = f", {gap.count} messages" if gap.count else ""
        console.print(f"[yellow]gap[/] {gap.symbol} {gap.stream}: {gap.reason}{messages}")
    if len(report.gaps) > 10:
        console.print(f"  … {len(report.gaps) - 10} more gaps: gaps.jsonl")


def _print_verdict(console: Console, verdict: Verdict, out: Path) -> None:
    for result in verdict.results:
        if result.report is not None:
            console.print(f"{result.output}: {result.report.events:,} events", soft_wrap=True)
    for remark in verdict.remarks:
        console.print(f"  remark: {remark}")
    for problem in verdict.problems:
        console.print(f"  [red]PROBLEM[/] {problem}")
    where = out / EVENTS_FOLDER
    word = "[green]SOUND[/]" if verdict.is_sound else "[red]NOT SOUND[/]"
    console.print(f"{word}: {verdict.events:,} events in {len(verdict.results)} files under {where}", soft_wrap=True)
