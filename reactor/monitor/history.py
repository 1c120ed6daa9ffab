"""`crypto-trade history`: the journal as tables for people, and as files for programs.

show(reader, what, span, console)      orders | fills | pairs | days | actions
show_order(reader, client_order_id, …) the whole life of one order, with the time between its stages
export(reader, table, target)          CSV or Parquet, by the target's ending; "-" writes CSV to the stream
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table

from reactor.domain.errors import ConfigError
from reactor.domain.units import E8
from reactor.journal.history import Day, Reader, Row, Span

STAGES: Final = ("receive_ns", "signal_ns", "event_ns", "command_ns", "send_ns", "ack_ns", "report_ns")
HALF_STEP_E8: Final = E8 // 20_000  # of the fourth digit after the point
MONEY: Final = "realised, fees, funding and PnL in quote units (USDT); PnL = realised − fees + funding"


def money(amount_e8: int) -> str:
    """An amount for the eye: four digits after the point, sign included when it is a loss."""
    sign = "-" if amount_e8 < 0 else ""
    rounded = (abs(amount_e8) + HALF_STEP_E8) // (2 * HALF_STEP_E8)
    whole, fraction = divmod(rounded, 10_000)
    return f"{sign if rounded else ''}{whole:,}.{fraction:04d}"


def show(reader: Reader, what: str, span: Span, console: Console) -> None:
    """Prints one of the tables.

    Raises:
        ConfigError: there is no such table.
    """
    makers: dict[str, Callable[[Reader, Span], Table]] = {
        "orders": orders_table,
        "fills": fills_table,
        "pairs": pairs_table,
        "days": days_table,
        "actions": actions_table,
    }
    maker = makers.get(what)
    if maker is None:
        raise ConfigError(f"history: no table {what!r}; there are {', '.join(makers)}")
    table = maker(reader, span)
    if not table.row_count:
        console.print(f"no {what} here")
        return
    console.print(table)
    if what != "days" and table.row_count >= span.rows_max:
        console.print(f"the newest {span.rows_max}; more with --rows, everything with --export", style="dim")


def orders_table(reader: Reader, span: Span) -> Table:
    """Orders as they stand now, newest first."""
    table = _table(
        "orders", "time", "client order id", "instrument", "side", "type", "#price", "#quantity", "#filled", "state", "why"
    )
    for row in reader.orders(span):
        kind = row["order_type"] if row["order_type"] == "market" else f"{row['order_type']} {row['time_in_force']}"
        table.add_row(
            _time(row), row["client_order_id"], _instrument(row), _side(row["side"]), kind, row["price"], row["quantity"],
            row["filled"], row["state_to"], row["reason"],
        )  # fmt: skip
    return table


def fills_table(reader: Reader, span: Span) -> Table:
    """Fills, newest first."""
    table = _table(
        "fills", "time", "trade id", "instrument", "side", "#price", "#quantity", "#fee", "", "#realised", "client order id"
    )
    for row in reader.fills(span):
        notes = " ".join(word for word, is_so in (("maker", row["is_maker"]), ("liquidation", row["is_liquidation"])) if is_so)
        fee = f"{row['fee']} {row['fee_asset']}" if row["fee_asset"] else "not told"
        table.add_row(
            _time(row), str(row["trade_id"]), _instrument(row), _side(row["side"]), row["price"], row["quantity"], fee, notes,
            money(row["realised_pnl_e8"]), row["client_order_id"],
        )  # fmt: skip
    return table


def pairs_table(reader: Reader, span: Span) -> Table:
    """Round trips of pairs, newest first."""
    table = _table(
        "pairs", "time", "pair", "#round trip", "direction", "state", "#open leg", "#hedge leg", "#realised", "#fees",
        "#funding", "#PnL", "why",
    )  # fmt: skip
    table.caption = MONEY
    for row in reader.pairs(span):
        realised, fees, funding = row["realised_pnl_e8"], row["fees_e8"], row["funding_e8"]
        direction = {-1: "short perpetual", 1: "long perpetual"}.get(row["direction"], "")
        table.add_row(
            _time(row), f"{row['open_venue']}:{row['open_symbol']}", str(row["pair_sequence"]), direction, row["state_to"],
            row["open_quantity"], row["hedge_quantity"], money(realised), money(fees), money(funding),
            _pnl(realised - fees + funding), row["reason"],
        )  # fmt: skip
    return table


def days_table(reader: Reader, span: Span) -> Table:
    """PnL by UTC day and in total."""
    table = _table("PnL by day (UTC)", "day", "#fills", "#traded", "#realised", "#fees", "#funding", "#PnL")
    table.caption = MONEY
    days = reader.days(span)
    for day in days:
        _add_day(table, day, day.day)
    if len(days) > 1:
        table.add_section()
        total = Day(
            "", sum(day.fills for day in days), sum(day.notional_e8 for day in days), sum(day.realised_pnl_e8 for day in days),
            sum(day.fees_e8 for day in days), sum(day.funding_e8 for day in days),
        )  # fmt: skip
        _add_day(table, total, "total")
    return table


def actions_table(reader: Reader, span: Span) -> Table:
    """What operators, and the system in their name, did."""
    table = _table("operator actions", "time", "action", "instrument", "kill switch", "reason", "who, why")
    for row in reader.actions(span):
        change = row["kill_switch_to"] if row["kill_switch_from"] == row["kill_switch_to"] else _change(row, "kill_switch")
        instrument = _instrument(row) if row["symbol"] else "everything"
        table.add_row(_time(row), row["action"], instrument, change, row["reason"], row["text"])
    return table


def show_order(reader: Reader, client_order_id: str, console: Console) -> None:
    """Prints the life of one order: its transitions and, where known, how long each stage took.

    Raises:
        ConfigError: the journal knows no such order.
    """
    rows = reader.transitions(client_order_id)
    if not rows:
        raise ConfigError(f"history: no order {client_order_id!r} in this journal; `history orders` lists them")
    table = _table(client_order_id, "time", "from", "to", "event", "#filled", "why", "stages in µs")
    for row in rows:
        table.add_row(_time(row), row["state_from"], row["state_to"], row["event"], row["filled"], row["reason"], stages(row))
    console.print(table)


def stages(row: Row) -> str:
    """`signal 21 · event 35 · …`: microseconds since the tick was received, for every stage that was passed."""
    start = row["receive_ns"]
    if not start:
        return ""
    passed = ((name.removesuffix("_ns"), row[name]) for name in STAGES[1:])
    return " · ".join(f"{name} {(at - start) // 1_000}" for name, at in passed if at)


def export(reader: Reader, table: str, target: str, stream: TextIO) -> int:
    """Writes a whole table to `target`; returns the number of rows.

    Raises:
        ConfigError: no such table, an ending that is neither .csv nor .parquet, or a place that cannot be written.
    """
    if target == "-":
        return reader.export_csv(table, stream)
    path = Path(target)
    try:
        if path.suffix == ".parquet":
            return reader.export_parquet(table, path)
        if path.suffix == ".csv":
            with path.open("w", newline="") as file:
                return reader.export_csv(table, file)
    except OSError as error:
        raise ConfigError(f"history: cannot write {path}: {error.strerror}") from error
    raise ConfigError(f"history: {path}: the ending says the format; use .csv or .parquet, or - for CSV on the screen")


def _table(title: str, *columns: str) -> Table:
    """A table; a column that begins with # holds numbers."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        is_number = column.startswith("#")
        table.add_column(column.removeprefix("#"), justify="right" if is_number else "left", no_wrap=is_number)
    return table


def _add_day(table: Table, day: Day, name: str) -> None:
    table.add_row(
        name, f"{day.fills:,}", money(day.notional_e8), money(day.realised_pnl_e8), money(day.fees_e8), money(day.funding_e8),
        _pnl(day.pnl_e8),
    )  # fmt: skip


def _pnl(amount_e8: int) -> str:
    style = "green" if amount_e8 > 0 else "red" if amount_e8 < 0 else "dim"
    return f"[{style}]{money(amount_e8)}[/]"


def _side(side: str) -> str:
    return f"[green]{side}[/]" if side == "buy" else f"[red]{side}[/]"


def _instrument(row: Row) -> str:
    return f"{row['venue']}:{row['symbol']}"


def _change(row: Row, name: str) -> str:
    return f"{row[f'{name}_from']} → {row[f'{name}_to']}"


def _time(row: Row) -> str:
    text: str = row["time"]
    return text[:23].replace("T", " ")


def span_of(since: str, until: str, symbol: str, rows_max: int) -> Span:
    """A span from what somebody typed.

    Raises:
        ConfigError: a day that is none, or a number of rows that is not above 0.
    """
    problems = [f"history: {day!r} is not a day; write it like 2026-11-21" for day in _days(since, until) if not _is_day(day)]
    if rows_max <= 0:
        problems.append(f"history: --rows {rows_max}: must be above 0")
    if problems:
        raise ConfigError(problems)
    return Span(since, until, symbol.upper().rpartition(":")[2], rows_max)


def _days(*days: str) -> Sequence[str]:
    return [day for day in days if day]


def _is_day(day: str) -> bool:
    try:
        datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return len(day) == 10
