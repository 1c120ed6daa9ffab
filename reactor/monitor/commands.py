"""What `crypto-trade history` and `crypto-trade trace` do. The front door (cli.py) only names them."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from reactor.domain.errors import ConfigError
from reactor.journal.history import Reader
from reactor.journal.schema import journal_path
from reactor.monitor import trace as tracing
from reactor.monitor.history import export, show, show_order, span_of

PIPED_WIDTH = 180  # Into a file or a pager nothing needs to be folded.
DIRECTORY = "runs"  # config: system.directory


def history(
    what: Annotated[str, typer.Argument(help="orders, fills, pairs, days or actions.")] = "days",
    since: Annotated[str, typer.Option(help="First day, UTC: 2026-11-21.")] = "",
    until: Annotated[str, typer.Option(help="Last day, UTC.")] = "",
    symbol: Annotated[str, typer.Option(help="Of this symbol only.")] = "",
    rows: Annotated[int, typer.Option(help="The newest so many.")] = 50,
    order: Annotated[str, typer.Option(help="The life of one order, by client order id.")] = "",
    target: Annotated[
        str, typer.Option("--export", metavar="FILE", help="All of it as .csv or .parquet; - for the screen.")
    ] = "",
    instance: Annotated[str | None, typer.Option(help="Whose journal.")] = None,
    directory: Annotated[Path, typer.Option(help="Where instances keep their files.")] = Path(DIRECTORY),
    journal: Annotated[Path | None, typer.Option(help="A journal file, wherever it is.")] = None,
) -> None:
    """Shows orders, fills, pairs and PnL by day from the journal; a running instance is not disturbed."""
    span = span_of(since, until, symbol, rows)
    path = journal or find_journal(directory, instance)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    with Reader(path) as reader:
        if target:
            count = export(reader, {"actions": "operator_actions"}.get(what, what), target, sys.stdout)
            if target != "-":
                console.print(f"{target}: {count} rows of {what} from {path}", highlight=False)
        elif order:
            show_order(reader, order, console)
        else:
            show(reader, what, span, console)


def trace(
    which: Annotated[
        str,
        typer.Argument(metavar="ID", help="last, or the id of a decision (signal), an order, a client's or a venue's order."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    instance: Annotated[str | None, typer.Option(help="Whose journal.")] = None,
    directory: Annotated[Path, typer.Option(help="Where instances keep their files.")] = Path(DIRECTORY),
    journal: Annotated[Path | None, typer.Option(help="A journal file, wherever it is.")] = None,
) -> None:
    """Prints the life of one decision, tick to fill and hedge, with each stage's time; a running instance is not disturbed."""
    with Reader(journal or find_journal(directory, instance, "trace")) as reader:
        story = tracing.read(reader, tracing.find(reader, which))
    if as_json:
        typer.echo(tracing.story_json(story))
        return
    console = Console()
    tracing.show(story, console if console.is_terminal else Console(width=PIPED_WIDTH))


def find_journal(directory: Path, instance: str | None, command: str = "history") -> Path:
    """The journal of an instance; without a name, of the only one there is. `command`: who asks.

    Raises:
        ConfigError: there is none, or there are several.
    """
    if instance is not None:
        return journal_path(directory, instance)
    found = sorted(path.parent.name for path in directory.expanduser().glob("*/journal.sqlite"))
    if not found:
        raise ConfigError(
            f"{command}: no journal below {directory}/; it is made when an instance first runs, or use --journal FILE"
        )
    if len(found) > 1:
        raise ConfigError(f"{command}: which instance? There are {', '.join(found)} below {directory}/: --instance NAME")
    return journal_path(directory, found[0])
