"""What `crypto-trade backtest` does. The front door (cli.py) only names it."""

import hashlib
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from reactor.backtest import choice as choices
from reactor.backtest.choice import Choice
from reactor.backtest.exchange import need_hftbacktest
from reactor.backtest.options import Options, parameters_of
from reactor.backtest.report import Report, cost_us, open_directory, rows_of, write
from reactor.backtest.trial import open_markets, trial

StrategyName = Annotated[str, typer.Argument(metavar="STRATEGY", help="obi-mm, or your own: FILE.py:CLASS.")]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="FILE", help="Event file or glob, also several; NAME=FILE for several assets."),
]
TickSize = Annotated[list[str] | None, typer.Option("--tick-size", help="Price step; else told from the data. NAME=… too.")]
LotSize = Annotated[list[str] | None, typer.Option("--lot-size", help="Quantity step; likewise.")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML: a session's, or one with parameters: and backtest:")]
Parameters = Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Of the strategy. Repeatable.")]
Latency = Annotated[str | None, typer.Option(help="ms (1, or 0.5,1.5), feed, feed:FACTOR,MS, or a file of measured ones.")]
Queue = Annotated[str | None, typer.Option(help="risk-averse, log-prob, log-prob2, power-prob[2|3]:N.")]
MakerFee = Annotated[list[str] | None, typer.Option("--maker-fee", help="Share of the notional; NAME=… too. Default 0.0002.")]
TakerFee = Annotated[list[str] | None, typer.Option("--taker-fee", help="Default 0.0005.")]
ContractSize = Annotated[list[str] | None, typer.Option("--contract-size", help="Default 1; NAME=… too.")]
Inverse = Annotated[list[str] | None, typer.Option("--inverse", metavar="NAME", help="Settled in the coin; 'all' for all.")]
FundingRate = Annotated[float | None, typer.Option(help="Per interval, as a share: 0.0001 is 1 bp.")]
FundingInterval = Annotated[float | None, typer.Option(help="Hours, from midnight UTC on. Default 8.")]
FundingFile = Annotated[str | None, typer.Option("--funding", metavar="CSV", help="time,rate per line; instead of the rate.")]
SampleMs = Annotated[int | None, typer.Option(help="Of the equity curve. Default 1000.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the report; else reports/backtest_STRATEGY.")]
Symbol = Annotated[str, typer.Option(help="Of the generated market, when there is no --data.")]
Seconds = Annotated[float, typer.Option(help="Of the generated market.")]
Seed = Annotated[int, typer.Option(help="Of the generated market.")]


def backtest(
    strategy: StrategyName,
    data: Data = None,
    tick_size: TickSize = None,
    lot_size: LotSize = None,
    config: Config = None,
    output: Output = None,
    param: Parameters = None,
    latency: Latency = None,
    queue: Queue = None,
    maker_fee: MakerFee = None,
    taker_fee: TakerFee = None,
    contract_size: ContractSize = None,
    inverse: Inverse = None,
    funding_rate: FundingRate = None,
    funding_interval: FundingInterval = None,
    funding: FundingFile = None,
    sample_ms: SampleMs = None,
    interpreted: Annotated[bool, typer.Option("--interpreted", help="Plain Python, even if it could be compiled.")] = False,
    symbol: Symbol = "BTCUSDT",
    seconds: Seconds = 900.0,
    seed: Seed = 1,
    no_plots: Annotated[bool, typer.Option("--no-plots", help="Without PNGs (and without matplotlib).")] = False,
) -> None:
    """Runs a strategy on the past, as it is. Without --data on a market of its own: generated, recorded, converted."""
    console = terminal()
    given = {
        "data": data, "tick_size": tick_size, "lot_size": lot_size, "latency": latency, "queue": queue, "maker_fee": maker_fee,
        "taker_fee": taker_fee, "contract_size": contract_size, "inverse": inverse, "funding_rate": funding_rate,
        "funding_interval": funding_interval, "funding": funding, "sample_ms": sample_ms, "interpreted": interpreted or None,
    }  # fmt: skip
    chosen, options = chosen_of(strategy, config, param, given)
    if not options.data:
        options = with_own_market(options, symbol, seconds, seed, console)
    directory = output or Path("reports") / f"backtest_{chosen.name.replace(':', '_')}"
    parameters = parameters_of(options)
    open_directory(directory)
    if not no_plots:
        from reactor.backtest.plots import need_matplotlib

        need_matplotlib()
    markets = open_markets(parameters)
    with console.status("compiling and running …"):
        report = trial(chosen, parameters, markets)
    written = write(report, directory, has_plots=not no_plots)
    show(report, console)
    console.print(f"report: {written[0]}", soft_wrap=True)
    others = ", ".join(path.name for path in written[1:])
    console.print(f"        beside it {others}", soft_wrap=True)


def terminal() -> Console:
    """The terminal; wide where there is none, so that a table in a log is whole."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, 132))


def chosen_of(strategy: str, config: Path | None, param: list[str] | None, given: dict[str, Any]) -> tuple[Choice, Options]:
    """Strategy and options: defaults ← config file ← command line.

    Raises:
        ConfigError: something of it makes no sense.
    """
    need_hftbacktest()
    chosen = choices.choose(strategy)
    section: dict[str, Any] = {}
    if config is not None:
        chosen, section = choices.read_config(chosen, config)
    chosen = chosen.with_parameters(dict(choices.parameter_of(text) for text in param or []))
    chosen.check_names(chosen.parameters)
    return chosen, Options.of(section, str(config), given)


def with_own_market(options: Options, symbol: str, seconds: float, seed: int, console: Console) -> Options:
    """The options with a generated market as their data: kept in the temporary folder, for the next time."""
    from dataclasses import replace

    from reactor.backtest.generated import generate

    what = hashlib.sha256(f"{symbol} {seconds} {seed} {_version()}".encode()).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"crypto_trade-market-{_user()}" / f"{symbol.lower()}_{what}.npz"
    if path.is_file():
        console.print(f"market: generated before: {path}", soft_wrap=True)
    else:
        console.print(f"market: generating {seconds:g} s of {symbol} (seed {seed}), as a recording: {path}", soft_wrap=True)
        generate(symbol, seconds, seed, path)
    return replace(options, data=(f"{symbol}={path}",))


def _user() -> int:
    import os

    return os.getuid()


def _version() -> str:
    """The generator as it stands: another one makes another market."""
    from reactor.sim import generator

    return hashlib.sha256(Path(generator.__file__).read_bytes()).hexdigest()


def show(report: Report, console: Console) -> None:
    """The figures in the terminal."""
    table = Table("", *(each.name for each in report.figures), title=f"{report.strategy}: backtest", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for label, texts in rows_of(report.figures):
        table.add_row(label, *texts)
    console.print(table)
    result = report.result
    if not result.is_compiled:
        console.print(
            f"plain Python: {cost_us(result):.1f} µs per decision, market included; a KernelStrategy (one function in Numba's "
            "subset) would run compiled"
        )
    settings = report.settings()
    for key in ("order latency", "queue model", "funding", "ran"):
        console.print(f"{key}: {settings[key]}")
    for remark in report.remarks:
        console.print(f"remark: {remark}")
