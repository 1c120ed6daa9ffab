"""The life of one decision, from what the journal holds of it.

    rows of orders, fills, pairs ──▶ tell() ──▶ Story: its orders, and every stage they passed, in order of time

Stages carry CLOCK_MONOTONIC stamps; an entry also says the wall time of the pass that wrote it. Their difference puts the
stamps on the wall: the pass begins some µs before its stamps, so the largest difference of the decision is the nearest. A step
without a stamp of its own (a cancel asked for, a pair's transition, anything of another boot of the host) stands at the wall
time of its pass and is no measurement.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from reactor.domain.messages import FLAG_REDUCE_ONLY, FLAG_URGENT
from reactor.domain.units import format_e8
from reactor.prepost.orders import IS_TERMINAL, Leg, OrderEvent, OrderState

SAME_BOOT_NS_MAX: Final = 1_000_000_000  # A stamp that is further off the others than a second is of another boot.
WAY: Final = (
    ("tick", "receive_ns"), ("signal", "signal_ns"), ("event", "event_ns"), ("command", "command_ns"), ("sent", "send_ns"),
)  # fmt: skip
STAMPS: Final = (*(column for _, column in WAY), "ack_ns", "report_ns")
LEGS: Final = {int(leg): leg.name.lower() for leg in Leg}
PAIR: Final = "pair"
FILL_EVENTS: Final = (int(OrderEvent.PARTIAL_FILL), int(OrderEvent.FILL))
SUBMIT: Final = int(OrderEvent.SUBMIT)
WORDS: Final = {  # What an event is called when it is told, where the order's own word is a command.
    OrderEvent.PARTIAL_FILL: "fill", OrderEvent.EXPIRE: "expired", OrderEvent.REJECT: "rejected", OrderEvent.REFUSE: "refused",
    OrderEvent.CANCEL_REQUEST: "cancel asked", OrderEvent.CANCEL_FAILED: "cancel failed", OrderEvent.NOT_SENT: "not sent",
    OrderEvent.OUTCOME_LOST: "outcome lost", OrderEvent.NOT_FOUND: "not found",
}  # fmt: skip


class Row(Protocol):
    """A row of the journal, by the column names of journal/schema.py."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True)
class Step:
    """One stage that was passed. Times in ns."""

    order: str  # client order id; empty: the pair
    leg: str  # open, hedge, unwind, single, quote; pair
    stage: str
    wall_ns: int  # since 1970 UTC
    since_tick_ns: int  # since the first stage of the decision
    since_before_ns: int | None  # since the stage before of the same order; None: there is none
    is_measured: bool  # by a stamp of its own; False: the wall time of the pass that wrote it down
    applied_after_ns: int  # from the socket until prepost had applied it; 0: not a report
    exchange_ns: int  # what the exchange's clock said; 0: nothing
    text: str


@dataclass(frozen=True)
class OrderLine:
    """One order as it stands at the end of the story."""

    client_order_id: str
    order_id: int
    venue_order_id: int
    leg: str
    venue: str
    symbol: str
    side: str
    order_type: str
    time_in_force: str
    price: str
    quantity: str
    filled: str
    state: str
    is_closed: bool
    is_reduce_only: bool
    is_urgent: bool
    reason: str


@dataclass(frozen=True)
class Story:
    """One decision. Durations in ns, None where a stage is missing."""

    signal_id: int  # 0: prepost decided by itself (a close, an unwind, a hedge without the collector)
    pair_id: int | None
    pair_sequence: int
    tick_exchange_ns: int
    orders: tuple[OrderLine, ...]
    steps: tuple[Step, ...]
    tick_to_sent_ns: int | None
    sent_to_ack_ns: int | None
    fill_to_hedge_sent_ns: int | None


@dataclass(frozen=True)
class _Moment:
    """A step before it is known what came before it."""

    stage: str
    wall_ns: int
    is_measured: bool = True
    applied_after_ns: int = 0
    exchange_ns: int = 0
    text: str = ""


def tell(orders: Sequence[Row], fills: Sequence[Row] = (), pairs: Sequence[Row] = ()) -> Story:
    """The story of one decision: its orders' transitions, their fills, what their pair did meanwhile; each oldest first."""
    assert orders, "a decision has an order"
    of_order: dict[int, list[Row]] = {}
    for row in orders:
        of_order.setdefault(row["order_id"], []).append(row)
    clock = _Clock(orders)
    lines: list[OrderLine] = []
    told: list[tuple[str, str, _Moment, int | None]] = []
    for order_id, rows in of_order.items():
        line = _line(rows)
        lines.append(line)
        moments = sorted(_moments(rows, [fill for fill in fills if fill["order_id"] == order_id], clock), key=_time)
        told += [(line.client_order_id, line.leg, moment, before) for moment, before in _with_gaps(moments)]
    told += [("", PAIR, _pair_moment(row), None) for row in pairs]
    begin_ns = min(moment.wall_ns for _, leg, moment, _ in told if leg != PAIR)
    steps = tuple(
        Step(
            order, leg, moment.stage, moment.wall_ns, moment.wall_ns - begin_ns, before, moment.is_measured,
            moment.applied_after_ns, moment.exchange_ns, moment.text,
        )
        for order, leg, moment, before in sorted(told, key=lambda each: each[2].wall_ns)
    )  # fmt: skip
    first = orders[0]
    return Story(
        first["signal_id"], first["pair_id"], first["pair_sequence"], first["exchange_ns"], tuple(lines), steps,
        _between(steps, lines[0], "tick", "sent"), _between(steps, lines[0], "sent", "ack"),
        next((gap for line in lines[1:] if (gap := _between(steps, line, "fill seen", "sent")) is not None), None),
    )  # fmt: skip


class _Clock:
    """CLOCK_MONOTONIC → the wall, for the rows of one decision."""

    def __init__(self, rows: Iterable[Row]) -> None:
        offsets = [row["wall_ns"] - last for row in rows if (last := _last_stamp(row))]
        self._offset_ns = max((each for each in offsets if abs(each - offsets[0]) < SAME_BOOT_NS_MAX), default=0)

    def is_known(self, row: Row) -> bool:
        """Whether the row's stamps are of the boot that the others are of."""
        last = _last_stamp(row)
        return bool(last) and abs(row["wall_ns"] - last - self._offset_ns) < SAME_BOOT_NS_MAX

    def wall_ns(self, monotonic_ns: int) -> int:
        """When that was."""
        return monotonic_ns + self._offset_ns


def _last_stamp(row: Row) -> int:
    return max(int(row[column]) for column in STAMPS)


def _time(moment: _Moment) -> int:
    return moment.wall_ns


def _moments(rows: Sequence[Row], fills: Sequence[Row], clock: _Clock) -> Iterator[_Moment]:
    """Everything that happened to one order."""
    leg = rows[0]["leg"]
    stamped = [row for row in rows if clock.is_known(row)]
    for stage, column in WAY:
        stamp = next((int(row[column]) for row in stamped if row[column]), 0)
        if not stamp:
            continue
        if stage == "tick" and leg == Leg.HEDGE:
            yield _Moment("fill seen", clock.wall_ns(stamp), text="the fill that this hedges had left the socket")
        elif stage == "tick":
            yield _Moment(stage, clock.wall_ns(stamp), exchange_ns=rows[0]["exchange_ns"])
        else:
            yield _Moment(stage, clock.wall_ns(stamp))
    of_filled = {int(fill["filled_lots"]): fill for fill in fills}
    was_closed = False
    for row in rows:
        is_known = clock.is_known(row)
        if row["event_code"] == SUBMIT:
            if not is_known:
                yield _Moment("command", row["wall_ns"], is_measured=False)
        else:
            fill = of_filled.pop(int(row["filled_lots"]), None) if row["event_code"] in FILL_EVENTS else None
            yield _reported(row, fill, clock if is_known else None)
        if IS_TERMINAL[row["state_to_code"]] and not was_closed:
            was_closed = True
            stamp = int(row["report_ns"]) if is_known else 0
            yield _Moment("closed", clock.wall_ns(stamp) if stamp else row["wall_ns"], bool(stamp), text=_ending(row))
    for fill in of_filled.values():
        yield _Moment("fill", fill["wall_ns"], is_measured=False, exchange_ns=fill["exchange_ns"], text=_fill_text(fill))


def _reported(row: Row, fill: Row | None, clock: _Clock | None) -> _Moment:
    """One transition, at the time at which what caused it had left the socket."""
    stage = WORDS.get(row["event_code"], str(row["event"]).replace("_", " "))
    exchange_ns = fill["exchange_ns"] if fill is not None else 0
    if fill is not None:
        text = _fill_text(fill)
    elif row["event_code"] == OrderEvent.ACK and row["venue_order_id"]:
        text = f"venue order id {row['venue_order_id']}"
    else:
        text = str(row["reason"])
    heard, applied = (int(row["ack_ns"]), int(row["report_ns"])) if clock is not None else (0, 0)
    if clock is None or not (heard or applied):
        return _Moment(stage, row["wall_ns"], False, 0, exchange_ns, text)
    return _Moment(stage, clock.wall_ns(heard or applied), True, applied - heard if heard else 0, exchange_ns, text)


def _fill_text(fill: Row) -> str:
    role = "maker" if fill["is_maker"] else "taker"
    forced = ", forced by the venue" if fill["is_liquidation"] else ""
    fee = f"fee {fill['fee']} {fill['fee_asset']}" if fill["fee_asset"] else "fee not told"
    return f"{fill['quantity']} at {fill['price']}, {role}{forced}, {fee}, trade {fill['trade_id']}"


def _ending(row: Row) -> str:
    state = OrderState(row["state_to_code"]).name.lower().replace("_", " ")
    return f"{state}: {row['reason']}" if row["reason"] else state


def _pair_moment(row: Row) -> _Moment:
    why = f", {row['reason']}" if row["reason"] else ""
    pnl_e8 = row["realised_pnl_e8"] - row["fees_e8"] + row["funding_e8"]
    text = f"{row['open_quantity']} / {row['hedge_quantity']}{why}, PnL so far {format_e8(pnl_e8)}"
    return _Moment(f"{row['state_from']} → {row['state_to']}", row["wall_ns"], False, text=text)


def _with_gaps(moments: Sequence[_Moment]) -> Iterator[tuple[_Moment, int | None]]:
    """Each with the time since the measured one before."""
    before: int | None = None
    for moment in moments:
        yield moment, moment.wall_ns - before if before is not None else None
        if moment.is_measured:
            before = moment.wall_ns


def _line(rows: Sequence[Row]) -> OrderLine:
    last = rows[-1]
    reason = next((str(row["reason"]) for row in reversed(rows) if row["reason"]), "")
    return OrderLine(
        last["client_order_id"], last["order_id"], last["venue_order_id"], LEGS.get(last["leg"], str(last["leg"])),
        last["venue"], last["symbol"], last["side"], last["order_type"], last["time_in_force"], last["price"],
        last["quantity"], last["filled"], last["state_to"], IS_TERMINAL[last["state_to_code"]],
        bool(last["flags"] & FLAG_REDUCE_ONLY), bool(last["flags"] & FLAG_URGENT), reason,
    )  # fmt: skip


def _between(steps: Sequence[Step], line: OrderLine, begin: str, end: str) -> int | None:
    """The time between two stages of one order."""
    first: Mapping[str, int] = {
        step.stage: step.wall_ns for step in reversed(steps) if step.order == line.client_order_id and step.is_measured
    }
    return first[end] - first[begin] if begin in first and end in first else None
