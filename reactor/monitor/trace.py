"""`crypto-trade trace ID`: which decision is meant, and its life on one page.

find(reader, text) ─▶ the ids of the decision's orders ─▶ read(reader, ids) ─▶ Story (story.py) ─▶ show | story_json

Orders belong to one decision if they have its signal, are of one epoch, and of the same round trip of the same pair; without a
pair, of the same tick. What prepost decided by itself has no signal: both legs of such a close go out in one pass.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from reactor.domain.errors import ConfigError
from reactor.domain.ids import NUMBER_BITS
from reactor.journal.history import Reader, Row
from reactor.journal.rows import signed, unsigned, utc_text
from reactor.monitor.story import OrderLine, Step, Story, tell

LAST: Final = "last"
NAMED_MAX: Final = 5  # Of several decisions, so many are named.
US_NS: Final = 1_000
_IN: Final = "IN (SELECT value FROM json_each(?))"


def find(reader: Reader, text: str) -> tuple[int, ...]:
    """The order ids of the decision that `text` names: "last", or a client order id, order id, signal id or venue order id.

    Raises:
        ConfigError: there is none, or there are several.
    """
    if text == LAST:
        named = list(reader.rows("SELECT order_id FROM order_entries ORDER BY id DESC LIMIT 1"))
        if not named:
            raise ConfigError("trace: this journal has no order yet")
    else:
        named = list(reader.rows("SELECT DISTINCT order_id FROM order_entries WHERE client_order_id = ?", (text,)))
        if not named:
            named = _of_number(reader, text)
    decisions = dict.fromkeys(_decision_of(reader, row["order_id"]) for row in named)
    if len(decisions) > 1:
        names = [_name(reader, order_ids[0]) for order_ids in decisions]
        more = ", …" if len(names) > NAMED_MAX else ""
        raise ConfigError(
            f"trace: {text} is an id of {len(names)} decisions; name one by its client order id: "
            f"{', '.join(names[-NAMED_MAX:])}{more}"
        )
    return next(iter(decisions))


def read(reader: Reader, order_ids: Sequence[int]) -> Story:
    """The story of these orders."""
    wanted = (json.dumps(order_ids),)
    orders = list(reader.rows(f"SELECT * FROM orders WHERE order_id {_IN} ORDER BY id", wanted))
    fills = list(reader.rows(f"SELECT * FROM fills WHERE order_id {_IN} ORDER BY id", wanted))
    first = orders[0]
    span = (first["pair_id"], first["pair_sequence"], first["wall_ns"], orders[-1]["wall_ns"])
    query = "SELECT * FROM pairs WHERE pair_id = ? AND pair_sequence = ? AND wall_ns BETWEEN ? AND ? ORDER BY id"
    return tell(orders, fills, list(reader.rows(query, span)))


def _of_number(reader: Reader, text: str) -> list[Row]:
    """Orders that the number names, by whatever id it is."""
    try:
        number = signed(int(text, 0))
    except ValueError:
        number = 0
    query = (
        "SELECT DISTINCT order_id FROM order_entries WHERE order_id = ?1 OR signal_id = ?1 OR venue_order_id = ?1 ORDER BY id"
    )
    found = list(reader.rows(query, (number,))) if number else []
    if not found:
        raise ConfigError(
            f"trace: the journal knows no id {text!r}; `crypto-trade history orders` lists them, `trace last` is one"
        )
    return found


def _decision_of(reader: Reader, order_id: int) -> tuple[int, ...]:
    """The ids of every order of the decision that this order is part of, oldest first."""
    query = "SELECT * FROM order_entries WHERE order_id = ? ORDER BY id LIMIT 1"
    row = next(reader.rows(query, (order_id,)))
    epoch = order_id >> NUMBER_BITS
    same = {"signal_id": row["signal_id"], "pair": row["pair"], "pair_sequence": row["pair_sequence"]}
    if not row["pair_sequence"]:
        if not row["signal_id"]:
            return (order_id,)
        same["receive_ns"] = row["receive_ns"]
    elif not row["signal_id"]:
        same["wall_ns"] = row["wall_ns"]
    rows = reader.rows(
        f"SELECT order_id FROM order_entries WHERE order_id BETWEEN ? AND ? AND {' AND '.join(f'{name} = ?' for name in same)}"
        " GROUP BY order_id ORDER BY min(id)",
        (epoch << NUMBER_BITS, ((epoch + 1) << NUMBER_BITS) - 1, *same.values()),
    )
    return tuple(each["order_id"] for each in rows)


def _name(reader: Reader, order_id: int) -> str:
    row = next(reader.rows("SELECT client_order_id, wall_ns FROM order_entries WHERE order_id = ? LIMIT 1", (order_id,)))
    return f"{row['client_order_id']} ({utc_text(row['wall_ns'])[:19].replace('T', ' ')})"


# -- for people ----------------------------------------------------------------------------------------------------------


def show(story: Story, console: Console) -> None:
    """Prints the orders, the timeline, and what it comes to."""
    console.print(_title(story), style="bold", highlight=False)
    for line in story.orders:
        console.print(_order_text(line), highlight=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    begin = "tick" if story.signal_id else "start"
    for name in ("time (UTC)", f"µs since {begin}", "µs since before", "leg", "stage", "what"):
        table.add_column(name, justify="right" if name.startswith("µs") else "left", no_wrap=name != "what")
    for step in story.steps:
        about = "" if step.is_measured else "≈ "
        before = "" if step.since_before_ns is None else f"{about}{micros(step.since_before_ns)}"
        style = None if step.is_measured else "dim"
        since = f"{about}{micros(step.since_tick_ns)}"
        table.add_row(_clock(step.wall_ns), since, before, _leg(step, story), step.stage, _what(step), style=style)
    console.print()
    console.print(table)
    console.print()
    console.print(_sum(story), highlight=False)
    if any(not step.is_measured for step in story.steps):
        console.print(
            "≈: the time at which prepost wrote it down; the stage has no stamp of its own", style="dim", highlight=False
        )


def micros(ns: int) -> str:
    """`1,234.5`."""
    return f"{ns / US_NS:,.1f}"


def _title(story: Story) -> str:
    day = utc_text(story.steps[0].wall_ns).partition("T")[0]
    who = f"decision {unsigned(story.signal_id)}" if story.signal_id else "decided by prepost itself, without a signal"
    pair = f", pair {story.pair_id}, round trip {story.pair_sequence}" if story.pair_id is not None else ""
    return f"{day}: {who}{pair}"


def _order_text(line: OrderLine) -> str:
    kind = line.order_type if line.order_type == "market" else f"{line.order_type} {line.time_in_force} at {line.price}"
    marks = "".join(f", {word}" for word, is_so in (("reduce-only", line.is_reduce_only), ("urgent", line.is_urgent)) if is_so)
    why = f": {line.reason}" if line.reason else ""
    return (
        f"  {line.leg:7} {line.client_order_id}  {line.venue}:{line.symbol}  {line.side} {line.quantity} {kind}{marks}"
        f"  ▶ {line.state.replace('_', ' ')}{why}, {line.filled} filled"
    )


def _leg(step: Step, story: Story) -> str:
    """The leg; where several orders have the same, which of them."""
    same = [line.client_order_id for line in story.orders if line.leg == step.leg]
    return f"{step.leg} {same.index(step.order) + 1}" if len(same) > 1 else step.leg


def _what(step: Step) -> str:
    parts = [step.text] if step.text else []
    if step.exchange_ns:
        since_ms = (step.wall_ns - step.exchange_ns) / 1e6
        parts.append(f"exchange's clock {_clock(step.exchange_ns)[:12]} ({since_ms:+.1f} ms to here)")
    if step.applied_after_ns:
        parts.append(f"applied {micros(step.applied_after_ns)} later")
    return "; ".join(parts)


def _sum(story: Story) -> str:
    parts = (
        ("tick to sent", story.tick_to_sent_ns),
        ("sent to ack", story.sent_to_ack_ns),
        ("fill to hedge sent", story.fill_to_hedge_sent_ns),
    )
    return " · ".join(f"{name} {micros(ns)} µs" for name, ns in parts if ns is not None) or "no stage of it has a stamp"


def _clock(wall_ns: int) -> str:
    """`10:11:14.366021`."""
    return utc_text(wall_ns).partition("T")[2].removesuffix("Z") or str(wall_ns)


# -- for programs ----------------------------------------------------------------------------------------------------------


def story_json(story: Story) -> str:
    """Everything, with the times as text besides."""
    data: dict[str, Any] = asdict(story)
    data["signal_id"] = unsigned(story.signal_id)
    for step in data["steps"]:
        step["time"] = utc_text(step["wall_ns"])
    return json.dumps(data, indent=2)
