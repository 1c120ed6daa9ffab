"""The one front door: `crypto-trade` (= `python -m reactor`).

Every command says what it will do and exits honestly. What a user can cause ends in one clear message, never in a traceback:
TradeError → the sentence, exit code 2; anything else → one sentence and the name of a file with the details.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from reactor.domain.errors import ConfigError, TradeError

if TYPE_CHECKING:
    from reactor.monitor.dashboard import Dashboard

EXIT_CONFIG = 2
EXIT_UNEXPECTED = 70  # sysexits.h: internal software error

app = typer.Typer(
    name="crypto-trade",
    help="A low-latency crypto trading system for people who write Python.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_TOOLS: Final = {
    "convert": "reactor.data.commands:convert",
    "validate": "reactor.data.commands:validate",
    "record": "reactor.data.recording_commands:record",
    "collect": "reactor.data.recording_commands:collect",
    "history": "reactor.monitor.commands:history",
    "trace": "reactor.monitor.commands:trace",
    "world": "reactor.sim.commands:world",
    "backtest": "reactor.backtest.commands:backtest",
    "sweep": "reactor.backtest.sweep_commands:sweep",
    "parity": "reactor.backtest.parity_commands:parity",
    "bench": "reactor.supervisor.bench:bench",
    "profile": "reactor.supervisor.profile:profile",
}
"""The commands of the rooms around the house: name → module:command."""

_SIM_LIMITS: Final = ("REQUEST_WEIGHT", "RAW_REQUESTS", "ORDERS", "CONNECTIONS", "MESSAGES")  # what sim --no-limits lifts

ConfigPath = Annotated[Path | None, typer.Option("--config", help="Your YAML file; laid over the profile.")]
Profile = Annotated[str | None, typer.Option(help="generated, replay, paper, demo, testnet or live.")]
Assignments = Annotated[list[str] | None, typer.Option("--set", help="path.to.key=value, over everything else. Repeatable.")]
InstanceName = Annotated[str | None, typer.Option("--instance", help="Which instance on this host.")]
Replay = Annotated[
    list[Path] | None, typer.Option("--replay", help="Captures to replay: files or directories. More may follow as arguments.")
]


# -- run ---------------------------------------------------------------------------------------------------------


@app.command()
def run(
    config: ConfigPath = None,
    profile: Profile = None,
    replay: Replay = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="More captures, after --replay.")] = None,
    speed: Annotated[float | None, typer.Option(help="Of the market, not of the clock.")] = None,
    duration: Annotated[float | None, typer.Option(min=0.0, help="Seconds of trading; then it stops in order.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the final report as JSON.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Yes, trade with real money (profile live only).")] = False,
    instance: InstanceName = None,
    assignments: Assignments = None,
    plain: Annotated[bool, typer.Option("--plain", help="Log lines instead of the live view.")] = False,
) -> None:
    """Trades: starts every process, shows what happens, stops in order, reports.

    Exit code 0: the venue confirmed that nothing of ours is open and that our books are its books. 1: orders of ours may be
    open. 2: refused, nothing was sent. 3: a role gave up, nothing is open. 4: nothing is open, but our books differ.
    """
    import asyncio

    from reactor.supervisor.session import Session, SessionOptions

    paths = [*(replay or []), *(more or [])]
    if more and not replay:
        raise ConfigError(f"{more[0]}: captures are given with --replay {more[0]}")
    if speed is not None:
        _check_positive("--speed", speed)
    if duration is not None:
        _check_not_negative("--duration", duration)

    def read() -> Any:
        return _load(config, profile, paths, speed, instance, assignments)

    settings = read()
    _check_money(settings, live)
    if report is not None:
        _check_writable(report)
    if settings.exchanges.binance.environment == "simulated" and not settings.exchanges.binance.simulated.base_url:
        _check_simulated(settings)
    options = SessionOptions(duration_s=duration or 0.0, reload=read)
    title = f"crypto_trade {settings.system.instance} ({settings.profile})"
    with contextlib.nullcontext() if plain else _live_view(title) as view:
        session = Session(settings, options, view)
        code = asyncio.run(session.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # It is over: who is impatient now shall not lose report and exit code.
    from rich.console import Console

    from reactor.monitor.report_table import show

    console = Console()
    show(session.report, console)
    if report is not None:
        report.write_text(json.dumps(session.report.json(), indent=2) + "\n")
        console.print(f"report: {report}", highlight=False)
    raise typer.Exit(code)


def _live_view(title: str) -> "contextlib.AbstractContextManager[Dashboard | None]":
    """The dashboard, where there is a terminal. What draws it is imported here: a plain session does without for days."""
    from rich.console import Console

    from reactor.monitor.dashboard import Dashboard

    console = Console()
    return Dashboard(title, console) if console.is_terminal else contextlib.nullcontext()


def _load(
    config: Path | None,
    profile: str | None,
    replay: list[Path],
    speed: float | None,
    instance: str | None,
    assignments: list[str] | None,
) -> Any:
    """The config with the options of the command line laid over it.

    Raises:
        ConfigError: with everything that is wrong.
    """
    from reactor.config.load import load

    options: dict[str, Any] = {}
    if replay:
        _check_captures(replay)
        profile = profile or ("replay" if config is None else None)
        options["exchanges.binance.simulated.source"] = "replay"
        options["exchanges.binance.simulated.replay_paths"] = [str(path.resolve()) for path in replay]
    elif profile == "replay" and config is None and not assignments:
        raise ConfigError("profile replay needs captures: --replay PATH …")
    if speed is not None:
        options["exchanges.binance.simulated.speed"] = speed
    if instance is not None:
        options["system.instance"] = instance
    return load(profile, config, os.environ, assignments or (), options)


def _check_positive(option: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ConfigError(f"{option} {value:g}: must be greater than 0")


def _check_not_negative(option: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ConfigError(f"{option} {value:g}: must be 0 or more seconds")


def _check_captures(paths: list[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise ConfigError(f"--replay {path}: there is no such file or directory")


def _check_money(settings: Any, is_meant: bool) -> None:
    """Real money is traded by who says --live, and by nobody else."""
    is_real = settings.profile == "live" or settings.exchanges.binance.environment == "live"
    if is_real and not is_meant:
        raise ConfigError("profile live trades with real money: say so with --live")
    if is_meant and not is_real:
        raise ConfigError(f"--live is for the profile live; this is {settings.profile}")


def _check_writable(path: Path) -> None:
    """Now, and not after an hour of trading."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a"):
            pass
    except OSError as error:
        raise ConfigError(f"--report {path}: {error.strerror}; choose a place that you may write") from None


def _check_simulated(settings: Any) -> None:
    """The simulated exchange's own settings: it knows them, the config does not."""
    from reactor.config.assemble import symbols_by_venue
    from reactor.sim.parameters import read_settings
    from reactor.supervisor.exchange_process import sim_settings

    simulated = settings.exchanges.binance.simulated
    read_settings(sim_settings(simulated, symbols_by_venue(settings)))
    if simulated.source == "replay":
        from reactor.sim.replay import Replay

        symbols = Replay([Path(each) for each in simulated.replay_paths]).symbols()
        recorded = {f"binance_{rules.product}:{rules.symbol}" for rules in symbols}
        legs = {name for pair in settings.strategy.pairs for name in (pair.open, pair.hedge)}
        if legs - recorded:
            raise ConfigError(
                f"--replay: no capture has {', '.join(sorted(legs - recorded))}, which strategy.pairs trades; add its capture, "
                f"or change strategy.pairs. The captures have {', '.join(sorted(recorded))}"
            )


# -- a running instance ------------------------------------------------------------------------------------------


def _ask(command: str, instance: str | None, **more: Any) -> dict[str, Any]:
    from reactor.supervisor.control import ask, find_instance

    name = find_instance(instance)
    answer = ask(name, {"command": command, **more})
    return {**answer, "instance": name}


def _tell(command: str, instance: str | None, **more: Any) -> None:
    answer = _ask(command, instance, **more)
    typer.echo(f"{answer['instance']}: {answer['text']}", err=not answer["ok"])
    raise typer.Exit(0 if answer["ok"] else 1)


@app.command()
def status(
    instance: InstanceName = None, as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False
) -> None:
    """What a running instance is doing."""
    answer = _ask("status", instance)
    data = answer.get("data", {})
    if as_json:
        typer.echo(json.dumps(data, indent=2))
        return
    if not answer["ok"]:
        raise TradeError(answer["text"])
    from rich.console import Console
    from rich.table import Table

    risk = data["risk"]
    typer.echo(f"{data['instance']} ({data['profile']}, pid {data['pid']}): {data['state']}, kill switch {data['kill_switch']}")
    typer.echo(
        f"pairs {risk['pairs_opened']} opened, {risk['pairs_closed']} closed; orders {risk['orders']}, fills {risk['fills']}, "
        f"open {risk['open_orders']}, unknown {risk['unknown_orders']}; net exposure {risk['net_exposure_e8'] / 1e8:.2f} USDT"
    )
    table = Table("role", "state", "pid", "beat ms", "CPU %", "MB")
    for role in data["roles"]:
        table.add_row(
            role["name"],
            role["life"] + (f": {role['failure']}" if role["failure"] else ""),
            str(role["pid"]),
            f"{role['heartbeat_age_ms']:.0f}",
            f"{role['cpu_percent']:.0f}",
            f"{role['memory_mb']:.0f}",
        )
    Console().print(table)
    typer.echo(f"log: {data['log']}")


@app.command()
def stop(
    instance: InstanceName = None,
    flatten: Annotated[bool, typer.Option("--flatten", help="Close every pair first.")] = False,
) -> None:
    """Ends a session in order: cancels ours, hedges, lets the venue confirm, leaves."""
    from reactor.supervisor.final_report import EXIT_OK, EXIT_WORDS
    from reactor.supervisor.instance import wait_for_end

    answer = _ask("stop", instance, flatten=flatten)
    name = answer["instance"]
    code = wait_for_end(name, 60.0)
    if code is None:
        raise TradeError(f"{name}: still stopping after 60 s; look at its log")
    number = "" if code == EXIT_OK else f", exit code {code}"
    typer.echo(f"{name}: stopped{number}" + (f"; {EXIT_WORDS[code]}" if code in EXIT_WORDS else ""))
    raise typer.Exit(code)


@app.command(name="cancel-all")
def cancel_all(instance: InstanceName = None) -> None:
    """Cancels every open order of ours, over REST too, and lets the venue confirm."""
    _tell("cancel-all", instance)


@app.command()
def halt(instance: InstanceName = None) -> None:
    """Kill switch: no order but cancels, hedges and unwinds."""
    _tell("halt", instance)


@app.command(name="reduce-only")
def reduce_only(instance: InstanceName = None) -> None:
    """Kill switch: nothing that opens exposure."""
    _tell("reduce-only", instance)


@app.command()
def resume(instance: InstanceName = None) -> None:
    """Kill switch back to normal trading."""
    _tell("resume", instance)


@app.command()
def reload(instance: InstanceName = None) -> None:
    """Reads the config again: risk and strategy parameters change without a restart, or nothing does."""
    _tell("reload", instance)


@app.command(name="check-books")
def check_books(
    instrument: Annotated[str, typer.Argument(help="venue:SYMBOL; all books if left out.")] = "", instance: InstanceName = None
) -> None:
    """Compares the books of a running instance with fresh snapshots of the venue. Exit code 1 if one differs."""
    _tell("check-books", instance, instrument=instrument)


# -- alone -------------------------------------------------------------------------------------------------------


@app.command()
def sim(
    port: Annotated[int, typer.Option(min=0, max=65534, help="Spot here, USD-M on the next one. 0: any free pair.")] = 9080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    replay: Replay = None,
    more: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="More captures, after --replay.")] = None,
    live: Annotated[
        str, typer.Option(help="Follow a live market: binance, or http://host:port of another simulated exchange.")
    ] = "",
    symbols: Annotated[str, typer.Option(help="Of the generated or the followed market, with commas between them.")] = "",
    speed: Annotated[float, typer.Option(help="Of the market, not of the clock.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the generated market.")] = 1,
    duration: Annotated[float, typer.Option(help="Seconds; 0: until told to stop.")] = 0.0,
    keys: Annotated[Path | None, typer.Option(help="YAML list of more API keys.")] = None,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="Lift the request limits (load tests).")] = False,
    settings: Annotated[Path | None, typer.Option(help="YAML with any of the exchange's own parameters.")] = None,
) -> None:
    """Runs the simulated exchange alone: other people's clients may use it by base URL."""
    import yaml

    from reactor.config.load import read_yaml
    from reactor.sim.parameters import read_settings
    from reactor.sim.server import run_server

    _check_positive("--speed", speed)
    _check_not_negative("--duration", duration)
    captures = [*(replay or []), *(more or [])]
    _check_captures(captures)
    wanted: dict[str, Any] = read_yaml(settings) if settings is not None else {}
    wanted.update(host=host, port=port, speed=speed, duration_s=duration)
    wanted.setdefault("generator", {}).setdefault("seed", seed)
    if captures:
        wanted["replay"] = [str(path) for path in captures]
    names = [name.strip().upper() for name in symbols.split(",") if name.strip()]
    if live:
        names = names or ["BTCUSDT"]
        wanted["live"] = {"spot": names, "usdm": names, "base_url": "" if live == "binance" else live}
    elif names:
        wanted["generator"]["symbols"] = names
    if keys is not None:
        wanted["keys_file"] = str(keys)
    if no_limits:
        wanted.setdefault("face", {})["lifted_limits"] = list(_SIM_LIMITS)
    parameters = read_settings(yaml.safe_load(yaml.safe_dump(wanted)))
    counters = run_server(parameters, on_ready=lambda server: _say_addresses(host, server.spot_port, server.usdm_port))
    typer.echo(f"{counters.requests} requests, {counters.connections} connections, {counters.market_updates} market updates")


def _say_addresses(host: str, spot: int, usdm: int) -> None:
    """What somebody else's client is pointed at."""
    typer.echo(f"spot    http://{host}:{spot}/api/v3    ws://{host}:{spot}/ws-api/v3  /ws  /stream")
    typer.echo(f"USD-M   http://{host}:{usdm}/fapi/v1   ws://{host}:{usdm}/ws-fapi/v1  /public /market /private  /ws /stream")
    typer.echo("key test-key, secret test-secret; stop with Ctrl-C")


@app.command()
def check(
    config: ConfigPath = None,
    profile: Profile = None,
    assignments: Assignments = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the whole config that would be used.")] = False,
    seconds: Annotated[float, typer.Option(help="How long each core is measured; 0: not at all.", min=0, max=60)] = 2.0,
    save: Annotated[Path | None, typer.Option(help="Keep the measurement, for --compare.", metavar="FILE")] = None,
    compare: Annotated[Path | None, typer.Option(help="Before and after in one table.", metavar="FILE")] = None,
) -> None:
    """Validates the config, shows the placement, measures this host and says what it lacks."""
    from rich.console import Console
    from rich.table import Table

    from reactor.config.assemble import describe, places_of
    from reactor.config.describe import commented_yaml
    from reactor.config.host import Judgement, facts, this_host

    settings = _load(config, profile, [], None, None, [*(assignments or []), *_no_captures(profile)])
    if as_yaml:
        typer.echo(commented_yaml(settings), nl=False)
        return
    console = Console()
    console.print(f"config: profile {settings.profile} is valid", highlight=False)
    places = places_of(settings, this_host())
    table = Table("shard", "runs on", "because", title="placement", title_justify="left")
    for each in places:
        table.add_row(each.shard, describe(each.core, each.wait_policy.name.lower()), each.reason)
    console.print(table)
    marks = {Judgement.GOOD: "[green]good[/green]", Judgement.NOTE: "[yellow]note[/yellow]", Judgement.BAD: "[red]bad[/red]"}
    table = Table("", "fact", "here", title="this host", title_justify="left")
    table.add_column("remedy", overflow="fold")  # Whole words, however narrow the terminal: somebody types them.
    found = facts()
    for fact in found:
        table.add_row(marks[fact.judgement], fact.name, fact.value, fact.remedy)
    console.print(table)
    if seconds:
        from reactor.monitor.host_report import load_figures, measure_host, show_comparison, show_figures

        before = load_figures(compare) if compare is not None else None
        figures = measure_host(places, found, seconds)
        show_figures(console, places, figures)
        if before is not None:
            show_comparison(console, before, figures)
        if save is not None:
            save.write_text(figures.to_json())
    raise typer.Exit(1 if any(fact.judgement is Judgement.BAD for fact in found) else 0)


def _no_captures(profile: str | None) -> list[str]:
    """`check --profile replay` has no captures to name, and needs none."""
    return ["exchanges.binance.simulated.replay_paths=[.]"] if profile == "replay" else []


# -- the door ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _clear_messages() -> Iterator[None]:
    """Turns whatever happens into a sentence and an exit code."""
    from shm.segment import SegmentError

    try:
        yield
    except (TradeError, SegmentError) as error:
        problems = error.problems if isinstance(error, ConfigError) else [str(error)]
        for problem in problems:
            typer.echo(f"crypto-trade: {problem}", err=True)
        _exit(EXIT_CONFIG)
    except KeyboardInterrupt:
        _exit(130)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 -- whoever read us has gone
        _exit(0)
    except (SystemExit, typer.Exit):
        raise
    except Exception as error:
        with tempfile.NamedTemporaryFile("w", prefix="crypto_trade-", suffix=".log", delete=False) as file:
            traceback.print_exc(file=file)
        typer.echo(
            f"crypto-trade: unexpected {type(error).__name__}: {error}. Our mistake; details: {file.name}",
            err=True,
        )
        _exit(EXIT_UNEXPECTED)


def _exit(code: int) -> NoReturn:
    sys.exit(code)


def register(command: Callable[..., None], name: str | None = None) -> None:
    """Adds a command of another room (bench, record, convert, …)."""
    app.command(name=name)(command)


def _add_tools(wanted: str) -> None:
    """The commands of the rooms around the house. Only the room that is asked for: all of them take a second to import."""
    if wanted in {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}:
        return
    for name in (wanted,) if wanted in _TOOLS else _TOOLS:
        module, _, attribute = _TOOLS[name].partition(":")
        tool = getattr(importlib.import_module(module), attribute)
        if isinstance(tool, typer.Typer):
            app.add_typer(tool, name=name)
        else:
            register(tool)


def main() -> None:
    """The console command."""
    with _clear_messages():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # From here on somebody turns it into an exit code.
        _add_tools(sys.argv[1] if len(sys.argv) > 1 else "")
        app(standalone_mode=True)


if __name__ == "__main__":
    main()
