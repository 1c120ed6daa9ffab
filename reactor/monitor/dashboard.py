"""The live view in a terminal: one picture, drawn twice a second. What matters most stands first.

A small terminal (80 × 24) gets the same picture in fewer lines: books and positions in one table, one line of latency.
"""

from collections import deque
from types import TracebackType
from typing import Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from reactor.monitor.reader import Picture, RoleRow
from reactor.monitor.report_table import latency_table, usdt

MESSAGES_MAX = 6
TALL_MIN = 42  # Lines that the full picture of four instruments needs where its tables do not fit side by side.
MESSAGES_SMALL_MAX = 2
STALE_MS = 2_000
LIFE_STYLES = {"ready": "green", "running": "green", "starting": "yellow", "stopping": "yellow", "failed": "bold red"}


class Dashboard:
    """Draws pictures until closed. `say` shows a sentence below them."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        self._title = title
        self._messages: deque[str] = deque(maxlen=MESSAGES_MAX)
        self._live = Live(Text("starting …"), console=console, refresh_per_second=4, transient=True)
        self._last: tuple[Picture, str] | None = None

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.__exit__(kind, error, trace)

    def say(self, sentence: str) -> None:
        """A warning, or what is going on."""
        self._messages.append(sentence)
        if self._last is None:
            self._live.update(Panel("\n".join(self._messages), title=self._title))
        else:
            self._live.update(self._draw(*self._last))

    def show(self, picture: Picture, state: str) -> None:
        """The newest picture; `state` is what the supervisor is doing."""
        self._last = (picture, state)
        self._live.update(self._draw(picture, state))

    def _draw(self, picture: Picture, state: str) -> RenderableType:
        risk = picture.risk
        head = Text.assemble(
            (f"{self._title}  ", "bold"),
            (state, "cyan"),
            "   kill switch ",
            (picture.kill_switch.lower(), "green" if picture.kill_switch == "RUNNING" else "bold red"),
            f"   pairs {risk['pairs_opened']} opened, {risk['pairs_closed']} closed",
            f"   orders {risk['orders']}, fills {risk['fills']}, rejects {risk['rejects']}, refused {risk['refusals']}",
        )
        sent = risk["orders"] - risk["rejects"]
        rate = f"{100 * sent / risk['orders']:.1f} %" if risk["orders"] else "–"
        money = Text(
            f"PnL {usdt(risk['realised_pnl_e8'])} + {usdt(risk['unrealised_pnl_e8'])} open   fees {usdt(-risk['fees_e8'])}   "
            f"funding {usdt(risk['funding_e8'])}   net exposure {usdt(risk['net_exposure_e8'])}   "
            f"equity {usdt(risk['equity_e8'])} USDT   open orders {risk['open_orders']}   success rate {rate}"
        )
        is_small = self._live.console.height < TALL_MIN
        messages = list(self._messages)[-MESSAGES_SMALL_MAX:] if is_small else self._messages
        parts: list[RenderableType] = [head, money, _signals(picture)]
        parts += [Text(f"! {sentence}", "yellow", no_wrap=True, overflow="ellipsis") for sentence in messages]
        if is_small:
            return Group(*parts, _markets(picture), _roles_line(picture), _latency_line(picture))
        parts.append(_positions(picture))
        parts.append(Columns([_tops(picture), _roles(picture)], padding=(0, 4)))
        if picture.latency_us:
            parts.append(latency_table(picture.latency_us, has_frame=False, has_words=False))
        return Group(*parts)


def _table(title: str) -> Table:
    """Without lines around it: twice as much fits a terminal."""
    return Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)


def _signals(picture: Picture) -> Text:
    """What the collector made of the feeds' signals, and how the private sessions are."""
    counters = {role.kind: role.counters for role in picture.roles}
    collector, engine = counters.get("collector", {}), counters.get("engine", {})
    return Text(
        f"signals {collector.get('signals', 0):,}   triggers evaluated {collector.get('evaluations', 0):,}   "
        f"events {collector.get('events', 0):,}   stale {collector.get('stale', 0):,}   "
        f"private sessions {engine.get('sessions_up', 0)} up, worst health {engine.get('session_score_min', 0)}, "
        f"round trip {engine.get('rtt_us', 0):,} µs"
    )


def _latency_line(picture: Picture) -> Text:
    """Tick received → order handed to the socket, in one line."""
    row = picture.latency_us.get("internal")
    if row is None:
        return Text("no order yet", "dim")
    return Text(f"tick → order p50 {row.p50:,.0f} µs   p99 {row.p99:,.0f}   max {row.max:,.0f}   of {row.count:,}")


def _markets(picture: Picture) -> Table:
    """Books and positions in one table."""
    table = _table("markets")
    for name in ("instrument", "bid", "ask", "position", "pair", "PnL"):
        table.add_column(name, justify="left" if name in ("instrument", "pair") else "right", no_wrap=True)
    tops = {top.name: top for top in picture.tops}
    for row in picture.positions:
        top = tops.get(row.name)
        is_fresh = top is not None and top.is_synchronised and 0 <= top.age_ms < STALE_MS
        table.add_row(
            Text(row.name, "bold red" if row.is_halted else "" if is_fresh else "yellow"),
            f"{top.bid:,.2f}" if top else "",
            f"{top.ask:,.2f}" if top else "",
            f"{row.quantity:g}",
            row.pair_state if row.pair_state != "0" else "",
            usdt(row.realised_pnl_e8),
        )
    return table


def _life_style(role: RoleRow) -> str:
    if role.life in ("ready", "running") and role.heartbeat_age_ms > STALE_MS:
        return "red"
    return LIFE_STYLES.get(role.life, "")


def _roles_line(picture: Picture) -> Text:
    """Every role with what it takes, coloured by how it is."""
    line = Text()
    for role in picture.roles:
        line.append(role.name, _life_style(role))
        line.append(f" {role.cpu_percent:.0f} % {role.memory_mb:.0f} MB   ")
    return line


def _roles(picture: Picture) -> Table:
    table = _table("roles")
    for name in ("role", "state", "wait", "beat ms", "CPU %", "MB", "work"):
        table.add_column(name, justify="left" if name in ("role", "state", "wait") else "right")
    for role in picture.roles:
        table.add_row(
            role.name,
            Text(role.life, _life_style(role)),
            role.wait,
            f"{max(0.0, role.heartbeat_age_ms):.0f}",
            f"{role.cpu_percent:.0f}",
            f"{role.memory_mb:.0f}",
            f"{role.work_done:,}",
        )
    return table


def _tops(picture: Picture) -> Table:
    table = _table("books")
    for name in ("instrument", "bid", "ask", "funding", "age ms", "dupl.", "resyncs"):
        table.add_column(name, justify="left" if name == "instrument" else "right")
    for top in picture.tops:
        style = "" if top.is_synchronised and 0 <= top.age_ms < STALE_MS else "yellow"
        table.add_row(
            Text(top.name, style),
            f"{top.bid:,.2f}",
            f"{top.ask:,.2f}",
            f"{top.funding_rate:.4%}" if top.mark else "",
            f"{top.age_ms:.0f}" if top.age_ms >= 0 else "never",
            f"{top.duplicates:,}",
            f"{top.resyncs:,}",
        )
    return table


def _positions(picture: Picture) -> Table:
    table = _table("positions and pairs")
    for name in ("instrument", "position", "pair", "pending", "PnL", "fees", "funding", "fills", ""):
        table.add_column(name, justify="left" if name in ("instrument", "pair") else "right")
    arrows = {-1: "short perpetual", 1: "long perpetual", 0: ""}
    for row in picture.positions:
        table.add_row(
            row.name,
            f"{row.quantity:g}",
            f"{row.pair_state} {arrows.get(row.pair_direction, '')}".strip() if row.pair_state != "0" else "",
            str(row.pending_orders),
            usdt(row.realised_pnl_e8),
            usdt(-row.fees_e8),
            usdt(row.funding_e8),
            str(row.fills),
            Text("halted", "bold red") if row.is_halted else "",
        )
    return table
