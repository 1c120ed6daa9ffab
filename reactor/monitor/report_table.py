"""The report of a session as a terminal shows it. Rich comes with it: a session without a terminal needs it at its end only."""

from collections.abc import Mapping

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Table

from reactor.domain.units import E8
from reactor.monitor.report import Percentiles, Report


def usdt(amount_e8: int) -> str:
    """An amount for reading."""
    return f"{amount_e8 / E8:,.4f}"


def show(report: Report, console: Console) -> None:
    """The readable form."""
    table = Table(title=f"session of {report.instance} ({report.profile}), {report.duration_s:.0f} s", title_justify="left")
    table.add_column("", style="bold")
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    unknown = "not known"
    table.add_row("pairs", f"{report.pairs_opened} opened, {report.pairs_closed} closed", "both legs each time")
    table.add_row("orders", f"{report.orders:,}", f"{report.fills:,} fills, {report.rejects:,} rejected by the exchange")
    table.add_row("refused by us", f"{report.refusals:,}", "risk rules and pipeline stages said no")
    table.add_row("realised PnL", f"{usdt(report.realised_pnl_e8)} USDT", "prices only")
    table.add_row("fees", f"{usdt(-report.fees_e8)} USDT", "")
    table.add_row("funding", f"{usdt(report.funding_e8)} USDT", "")
    table.add_row("net exposure", f"{usdt(report.net_exposure_e8)} USDT", f"of {usdt(report.equity_e8)} USDT equity")
    open_orders = unknown if report.open_orders is None else str(report.open_orders)
    foreign = "" if not report.foreign_orders else f"; {report.foreign_orders} of somebody else, untouched"
    table.add_row("open orders of ours", open_orders, f"as the exchange reports it{foreign}")
    if report.comparisons:
        different = [each for each in report.comparisons if not each.is_equal]
        verdict = "equal" if not different else f"{len(different)} differ"
        table.add_row("books and exchange", verdict, f"{len(report.comparisons)} positions and balances compared")
        for each in different:
            table.add_row(f"  {each.what}", f"{each.ours_e8 / E8:.8f}", f"exchange: {each.theirs_e8 / E8:.8f}")
    table.add_row("duplicates detected", f"{report.duplicates_detected:,}", "the redundant session had brought it before")
    table.add_row("book resyncs", f"{report.resyncs:,}", "")
    if report.restarts:
        restarts = ", ".join(f"{name} {count}" for name, count in report.restarts.items())
        table.add_row("restarts", restarts, "")
    console.print(table)
    if report.latency_us:
        console.print(latency_table(report.latency_us, has_words=console.width >= WORDS_WIDTH))
    for notice in report.notices:
        console.print(f"[yellow]i[/yellow] {notice}", highlight=False)
    for problem in report.problems:
        console.print(f"[red]![/red] {problem}", highlight=False)


WORDS: Mapping[str, str] = {
    "internal": "tick received → order handed to the socket",
    "close": "the same of a pair's first closing order",
    "hedge": "fill received → hedge handed to the socket",
    "receive_to_signal": "feed",
    "signal_to_event": "collector",
    "event_to_command": "prepost",
    "command_to_send": "engine",
    "send_to_ack": "the wire and the exchange",
    "ack_to_report": "engine → prepost",
    "receive_to_report": "the whole way round",
}


WORDS_WIDTH = 105  # Where the table and the words beside it fit.


def latency_table(latency_us: Mapping[str, Percentiles], *, has_frame: bool = True, has_words: bool = True) -> Table:
    """Percentiles per stage, in microseconds."""
    table = Table(title="latency, µs", title_justify="left", box=HEAVY_HEAD if has_frame else None)
    for name in ("stage", "p50", "p99", "p99.9", "max", "count"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    if has_words:
        table.add_column("", style="dim")
    for stage, row in latency_us.items():
        table.add_row(
            stage.replace("_", " "),
            f"{row.p50:,.0f}",
            f"{row.p99:,.0f}",
            f"{row.p99_9:,.0f}",
            f"{row.max:,.0f}",
            f"{row.count:,}",
            *([WORDS.get(stage, "")] if has_words else []),
        )
    return table
