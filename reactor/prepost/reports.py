"""What the engine reports, told to the desk. Late, duplicated and re-ordered reports are normal here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_HEDGE,
    FLAG_LIQUIDATION,
    CommandKind,
    OrderStatus,
    Reason,
    ReportKind,
    ResponseKind,
    bytes_of,
    text_of,
    unpacker,
)
from reactor.prepost.counters import Counter
from reactor.prepost.desk import Desk
from reactor.prepost.orders import IS_TERMINAL, Leg, Order, OrderEvent, OrderState
from reactor.prepost.pipeline import Outcome

if TYPE_CHECKING:
    from reactor.prepost.settle import Settlement

Report = Any  # a report_message_t view, made by cffi
RecordWay = Callable[[bytes, int], None]  # (stamps of an answered order, now_ns)
E = OrderEvent
MS: Final = 1_000_000
KIND_MASK: Final = 0xFF  # publish.REQUEST_KIND_BITS
CANCEL: Final = int(CommandKind.CANCEL)
QUERY: Final = int(CommandKind.QUERY)
QUESTIONS: Final = frozenset(
    int(kind)
    for kind in (
        CommandKind.CANCEL_ALL_OURS,
        CommandKind.OPEN_ORDERS,
        CommandKind.POSITIONS,
        CommandKind.BALANCES,
        CommandKind.FILLS_SINCE,
        CommandKind.FUNDING_SINCE,
    )
)
DUPLICATE_CLIENT_ID: Final = int(Reason.DUPLICATE_CLIENT_ID)
CANCEL_OVERTOOK: Final = int(Reason.CANCEL_OVERTOOK)
DOUBLE_EXECUTION: Final = int(Reason.DOUBLE_EXECUTION)
PENDING_CANCEL: Final = int(OrderState.PENDING_CANCEL)
SUBMITTED: Final = int(OrderState.SUBMITTED)
UNKNOWN: Final = int(OrderState.UNKNOWN)
OPEN_STATES: Final = frozenset({int(OrderState.ACKNOWLEDGED), int(OrderState.PARTIALLY_FILLED)})
R_ACKNOWLEDGED: Final = int(ResponseKind.ACKNOWLEDGED)
R_FILL: Final = int(ResponseKind.FILL)
R_CLOSED: Final = int(ResponseKind.CLOSED)
R_REJECTED: Final = int(ResponseKind.REJECTED)
QUANTITY_UNKNOWN: Final = 2**40  # of an adopted order, until the venue has told it

NO_EVENT: Final = -1
ACK: Final = int(E.ACK)
_PROGRESS: Final = {
    int(ReportKind.ACK): ACK, int(ReportKind.CANCELLED): int(E.CANCELLED), int(ReportKind.EXPIRED): int(E.EXPIRE)
}  # fmt: skip
KINDS: Final = len(ReportKind)
EVENTS: Final = tuple(_PROGRESS.get(kind, NO_EVENT) for kind in range(KINDS))
"""By report kind: what it means for the machine where that is all it means."""

READ: Final = unpacker(
    "report",
    (
        "header.order_id", "header.exchange_ns", "header.stage_ns[0:6]", "header.kind", "header.instrument_index",
        "header.flags", "request_id", "venue_order_id", "cumulative_lots", "venue_time_ms", "reason",
    ),
)  # fmt: skip
READ_FILL: Final = unpacker(
    "report",
    (
        "header.order_id", "header.exchange_ns", "header.stage_ns[0:6]", "header.kind", "header.instrument_index",
        "header.flags", "asset", "request_id", "venue_order_id", "trade_id", "price_ticks", "quantity_lots",
        "cumulative_lots", "fee_e8", "amount_e8", "venue_time_ms", "reason", "side",
    ),
)  # fmt: skip
ROOMS_MAX: Final = 1 << 16  # More slots than any ring has; those of a dead engine's ring are forgotten.

STATUS_EVENTS: Final = {
    int(OrderStatus.NEW): int(E.ACK),
    int(OrderStatus.PARTIALLY_FILLED): int(E.PARTIAL_FILL),
    int(OrderStatus.FILLED): int(E.FILL),
    int(OrderStatus.CANCELLED): int(E.CANCELLED),
    int(OrderStatus.REJECTED): int(E.REJECT),
    int(OrderStatus.EXPIRED): int(E.EXPIRE),
}
"""What the venue's state of an order means for the machine."""

STATUS_RESPONSES: Final = {
    int(E.ACK): R_ACKNOWLEDGED,
    int(E.CANCELLED): R_CLOSED,
    int(E.EXPIRE): R_CLOSED,
    int(E.REJECT): R_REJECTED,
}
"""What whoever follows the order hears when only a question has brought its state; fills speak for themselves."""


class Reports:
    """Reads reports for one desk."""

    def __init__(
        self, desk: Desk, settlement: Settlement, record_way: RecordWay | None = None, record_hedge: RecordWay | None = None
    ) -> None:
        """`record_way` writes into the histograms of whoever watches, `record_hedge` likewise for hedges."""
        self._desk = desk
        self._record_way = record_way
        self._record_hedge = record_hedge
        self._settlement = settlement
        self._outcome = desk.outcome
        kinds = ReportKind
        handlers: dict[int, Callable[[Report], None]] = {
            int(kinds.REJECT): self._on_reject,
            int(kinds.FILL): self._on_fill,
            int(kinds.ACK_LITE): self._on_fill,
            int(kinds.CANCEL_REJECT): self._on_cancel_reject,
            int(kinds.NOT_SENT): self._on_not_sent,
            int(kinds.OUTCOME_UNKNOWN): self._on_outcome_unknown,
            int(kinds.ORDER_STATE): self._on_order_state,
            int(kinds.ORDER_NOT_FOUND): self._on_not_found,
            int(kinds.OPEN_ORDER): settlement.on_row,
            int(kinds.POSITION): settlement.on_row,
            int(kinds.BALANCE): settlement.on_row,
            int(kinds.SNAPSHOT_END): settlement.on_end,
            int(kinds.FUNDING): settlement.on_funding,
            int(kinds.SESSION_UP): settlement.on_session,
            int(kinds.SESSION_DOWN): settlement.on_session,
        }
        self._lite = int(kinds.ACK_LITE)
        self._handlers = tuple(handlers.get(kind) for kind in range(KINDS))
        self._rooms: dict[Any, Any] = {}  # slot of the ring → its bytes
        self._by_id = desk.orders.by_id
        self._step = Outcome()  # of an order that moves on or ends without a fill: whatever is about fills stays as it was made

    def on_report(self, report: Report) -> None:
        """One report. What makes no sense is counted and dropped.

        What nearly every order hears, and nothing else, is told to the desk right here: it exists, it is over.
        """
        room = self._rooms.get(report)
        if room is None:
            room = self._room_of(report)
        order_id, exchange_ns, way, kind, _, flags, request_id, venue_order_id, lots, venue_time_ms, reason = READ(room)
        event = EVENTS[kind] if kind < KINDS else NO_EVENT
        if event < 0:
            handler = self._handlers[kind] if kind < KINDS else None
            if handler is None:
                self._desk.metrics.count(Counter.REPORTS_UNKNOWN)
            else:
                handler(report)
            return
        order = self._by_id.get(order_id) or self._find(report)
        if order is None:
            self._stranger(report)
            return
        if event == ACK:
            if request_id & KIND_MASK == CANCEL:
                return  # "Cancel accepted": the end itself comes as CANCELLED.
            if reason == DOUBLE_EXECUTION:
                self._on_double(order)
                return
            record = self._record_hedge if order.flags & FLAG_HEDGE else self._record_way
            if record is not None:
                record(way, self._desk.now_ns)
        desk = self._desk
        if venue_order_id and not order.venue_order_id:
            desk.orders.learn_venue_id(order, venue_order_id)
        if lots > order.venue_filled_lots:  # The fills themselves may follow.
            self._count_fills(order, lots)
        if reason:
            order.reason = reason
        outcome = self._step
        outcome.instrument_index = index = order.instrument_index
        outcome.terms = desk.terms[index]
        outcome.reason = reason
        outcome.flags = flags
        outcome.exchange_ns = exchange_ns or venue_time_ms * MS
        outcome.signal_id = order.signal_id
        outcome.venue_order_id = venue_order_id
        outcome.way = way
        outcome.is_settled = False
        before = order.state
        desk.on_order_event(order, event, outcome)
        if order.state != before:
            desk.out.respond(R_ACKNOWLEDGED if event == ACK else R_CLOSED, outcome)

    def _room_of(self, report: Report) -> Any:
        """The bytes of a slot of the ring, kept: it comes again."""
        if len(self._rooms) >= ROOMS_MAX:
            self._rooms.clear()
        room = self._rooms[report] = bytes_of(report, "report")
        return room

    # ---- the venue about an order

    def _on_double(self, order: Order) -> None:
        self._desk.duplicates_detected += 1
        self._desk.log.error("one order exists twice at the venue: cancelling", order=order.client_order_id.decode())
        order.contradicted = True
        self._desk.cancel(order)

    def _on_reject(self, report: Report) -> None:
        order = self._find(report)
        if order is None:
            self._stranger(report)
            return
        desk = self._desk
        if report.request_id & KIND_MASK == CANCEL and report.request_id:
            self._on_cancel_reject(report)
            return
        if report.reason == DUPLICATE_CLIENT_ID:
            # "An order with this id exists": it may be ours, executed already. The venue must say.
            desk.duplicates_detected += 1
            if order.state in (SUBMITTED, PENDING_CANCEL):
                self._apply(order, int(E.OUTCOME_LOST), report, -1)
                desk.inquiry.doubt(order)
            return
        desk.rejects += 1
        desk.metrics.count(Counter.REJECTS)
        if not IS_TERMINAL[order.state]:
            desk.log.warning(
                "the venue refused an order", order=order.client_order_id.decode(), reason=report.reason,
                code=report.error_code, words=text_of(report.text),
            )  # fmt: skip
        self._apply(order, int(E.REJECT), report, R_REJECTED)

    def _on_cancel_reject(self, report: Report) -> None:
        """The cancel found no open order: the venue knows how it ended."""
        order = self._find(report)
        if order is None or IS_TERMINAL[order.state]:
            return
        self._apply(order, int(E.CANCEL_FAILED), report, -1)
        self._desk.inquiry.doubt(order)

    def _on_not_sent(self, report: Report) -> None:
        kind = report.request_id & KIND_MASK if report.request_id else 0
        if kind in QUESTIONS:
            self._settlement.on_unanswered(report)
            return
        if kind == QUERY:
            self._settlement.on_unanswered(report)
            return  # Asked again with backoff.
        order = self._find(report)
        if order is None:
            return
        is_place = report.request_id and kind != CANCEL
        if order.state == PENDING_CANCEL and report.reason != CANCEL_OVERTOOK and not is_place:
            self._desk.inquiry.doubt(order)  # It was the cancel that did not leave: it is sent again.
            return
        if kind == CANCEL and report.reason != CANCEL_OVERTOOK:
            return
        self._apply(order, int(E.NOT_SENT), report, R_CLOSED)

    def _on_outcome_unknown(self, report: Report) -> None:
        kind = report.request_id & KIND_MASK if report.request_id else 0
        if kind in QUESTIONS:
            self._settlement.on_unanswered(report)
            return
        if kind == QUERY:
            self._settlement.on_unanswered(report)
            return
        order = self._find(report)
        if order is None or IS_TERMINAL[order.state]:
            return
        self._apply(order, int(E.CANCEL_FAILED if kind == CANCEL else E.OUTCOME_LOST), report, -1)
        self._desk.inquiry.doubt(order)

    def _on_order_state(self, report: Report) -> None:
        """The venue's own word about an order of ours."""
        if self._settlement.has_asked_whose(report.request_id):
            self._settlement.on_stranger(report)
            return
        order = self._find(report)
        if order is None:
            self._settlement.on_stranger(report)
            return
        desk = self._desk
        event = STATUS_EVENTS.get(report.order_status)
        if event is None:
            desk.metrics.count(Counter.REPORTS_UNKNOWN)
            return
        if order.quantity_lots == QUANTITY_UNKNOWN and report.quantity_lots > 0:
            order.quantity_lots = report.quantity_lots
        desk.orders.learn_venue_id(order, report.venue_order_id)
        desk.inquiry.answered(order)
        if report.cumulative_lots > order.venue_filled_lots:
            self._count_fills(order, report.cumulative_lots)
        if event == E.FILL and order.venue_filled_lots < order.quantity_lots:
            order.venue_filled_lots = order.quantity_lots
        self._apply(order, event, report, STATUS_RESPONSES.get(event, -1))
        if order.wants_cancel and order.state in OPEN_STATES:
            desk.inquiry.cancel_again(order)

    def _on_not_found(self, report: Report) -> None:
        """The venue itself says "no such order". Believed only when it is late enough, and said twice."""
        if self._settlement.has_asked_whose(report.request_id):
            self._settlement.on_stranger(report)
            return
        order = self._find(report)
        if order is None:
            self._settlement.on_stranger(report)
            return
        if IS_TERMINAL[order.state]:
            return
        desk = self._desk
        if desk.inquiry.is_believed(order, desk.now_ns):
            desk.log.warning("the venue does not know an order of ours: it never arrived", order=order.client_order_id.decode())
            self._apply(order, int(E.NOT_FOUND), report, R_CLOSED)

    # ---- fills

    def _on_fill(self, report: Report) -> None:
        desk = self._desk
        (
            order_id, exchange_ns, way, kind, index, flags, asset, request_id, venue_order_id, trade_id, ticks, lots,
            cumulative_lots, fee_e8, amount_e8, venue_time_ms, reason, side,
        ) = READ_FILL(self._rooms[report])  # fmt: skip
        if index >= len(desk.terms) or lots <= 0:
            desk.metrics.count(Counter.REPORTS_UNKNOWN)
            return
        if request_id:
            self._settlement.note_fill_row(report)
        order = self._by_id.get(order_id) or self._find(report)
        is_lite = kind == self._lite
        if order is None:
            if is_lite:
                return  # The whole report follows, and says whose it is.
            if not flags & FLAG_LIQUIDATION:
                order = self._settlement.owner_of_fill(report)
                if order is None:
                    return
            elif self._is_of_others(report):
                self.book_foreign(report)
                return
        outcome = self._outcome
        outcome.clear()
        outcome.order = order
        outcome.instrument_index = at = index if order is None else order.instrument_index
        outcome.terms = desk.terms[at]
        outcome.reason = reason
        outcome.flags = flags
        outcome.exchange_ns = exchange_ns or venue_time_ms * MS
        outcome.signal_id = report.header.signal_id if order is None else order.signal_id
        outcome.venue_order_id = venue_order_id
        outcome.way = way
        outcome.fill_lots = lots
        outcome.price_ticks = ticks
        outcome.side = side
        outcome.trade_id = trade_id
        if order is not None:
            desk.orders.learn_venue_id(order, venue_order_id)
            if cumulative_lots > order.venue_filled_lots:
                order.venue_filled_lots = cumulative_lots
        outcome.is_lite = is_lite
        if not is_lite:
            outcome.fee_e8 = fee_e8
            # A fill that costs nothing names no asset ("N: will not push if no commission"); it is a whole report all the same.
            outcome.asset = asset.rstrip(b"\0").decode("ascii", "replace") or outcome.terms.quote_asset
            outcome.venue_realised_e8 = amount_e8
        if desk.book_fill(outcome):
            if is_lite:
                desk.fills.expect_fee(index, trade_id, side)
            elif not outcome.is_fee_only:
                desk.out.respond(R_FILL, outcome)

    def _is_of_others(self, report: Report) -> bool:
        """A forced fill where somebody else has a position too: it closes theirs if it does not make ours smaller."""
        index = report.header.instrument_index
        return bool(self._desk.foreign_base_e8[index]) and self._desk.positions[index].base_e8 * report.side >= 0

    def book_foreign(self, report: Report) -> None:
        """Somebody else's fill on the same account: it moves the wallets, nothing else."""
        desk = self._desk
        index = report.header.instrument_index
        if not desk.fills.try_book(index, report.trade_id, report.side):
            return
        desk.metrics.count(Counter.REPORTS_FOREIGN)
        outcome = self._begin(report, None)
        outcome.is_foreign = True
        outcome.flags |= FLAG_FOREIGN
        outcome.fill_lots = report.quantity_lots
        outcome.price_ticks = report.price_ticks
        outcome.side = report.side
        outcome.trade_id = report.trade_id
        outcome.venue_order_id = report.venue_order_id
        outcome.fee_e8 = report.fee_e8
        outcome.asset = text_of(report.asset)
        outcome.venue_realised_e8 = report.amount_e8
        desk.book_foreign(outcome)

    # ---- small things

    def adopt(self, report: Report) -> Order | None:
        """An order of ours that we do not remember: it is ours again, and asked about. None: its id is not ours."""
        desk = self._desk
        index = report.header.instrument_index
        order_id = report.header.order_id or desk.ids.order_id(text_of(report.client_order_id))
        if not order_id or index >= len(desk.terms):
            return None
        order = desk.orders.try_take(order_id, index)
        if order is None:
            return None
        is_row = report.header.kind not in (int(ReportKind.FILL), self._lite)
        order.client_order_id = desk.ids.client_order_id(order_id).encode()
        order.venue = desk.terms[index].venue
        order.side = report.side
        order.order_type = report.order_type
        order.time_in_force = report.time_in_force
        order.price_ticks = report.price_ticks if is_row else 0
        order.quantity_lots = report.quantity_lots if is_row and report.quantity_lots > 0 else QUANTITY_UNKNOWN
        order.flags = report.header.flags
        order.state = UNKNOWN
        order.created_ns = order.sent_ns = desk.now_ns
        desk.orders.learn_venue_id(order, report.venue_order_id)
        pair = desk.pair_of[index]
        if pair is not None:
            order.pair_id = pair.pair_id
            order.pair_sequence = pair.sequence
            if pair.hedge.index == index:
                order.leg = int(Leg.HEDGE)
            else:
                is_back = pair.open_position.base_e8 * order.side < 0
                order.leg = int(Leg.UNWIND if is_back else Leg.OPEN)
        if order.quantity_lots != QUANTITY_UNKNOWN:
            desk.quota.reserve(order, 0)
            if pair is not None:
                pair.orders[order_id] = order
        desk.metrics.count(Counter.ORDERS_ADOPTED)
        desk.log.warning("an order of ours that the journal does not know", order=order.client_order_id.decode())
        desk.inquiry.doubt(order)
        return order

    def _find(self, report: Report) -> Order | None:
        orders = self._desk.orders
        order = orders.by_id.get(report.header.order_id)
        if order is not None:
            return order
        client_order_id = text_of(report.client_order_id)
        if client_order_id:
            return orders.by_client_id(client_order_id)
        return orders.by_venue_id(report.header.instrument_index, report.venue_order_id)

    def _stranger(self, report: Report) -> None:
        """A report about an order that is not in the books: ours from an earlier life, or somebody else's."""
        desk = self._desk
        client_order_id = text_of(report.client_order_id)
        if desk.ids.is_ours(client_order_id) and report.header.instrument_index < len(desk.terms):
            if report.header.kind == ReportKind.ACK:
                self.adopt(report)
            return
        desk.metrics.count(Counter.REPORTS_FOREIGN)

    def _count_fills(self, order: Order, cumulative_lots: int) -> None:
        """The venue counts more than it did."""
        order.venue_filled_lots = cumulative_lots
        if cumulative_lots > order.filled_lots:
            self._desk.inquiry.miss(order)

    def _begin(self, report: Report, order: Order | None) -> Outcome:
        """What a report is about, for a change that may have every form; `on_report` does the frequent ones itself."""
        outcome = self._outcome
        outcome.clear()
        _, exchange_ns, way, _, index, flags, _, venue_order_id, _, venue_time_ms, reason = READ(bytes_of(report, "report"))
        outcome.order = order
        outcome.instrument_index = index = index if order is None else order.instrument_index
        outcome.terms = self._desk.terms[index]
        outcome.reason = reason
        outcome.flags = flags
        outcome.exchange_ns = exchange_ns or venue_time_ms * MS
        outcome.signal_id = report.header.signal_id if order is None else order.signal_id
        outcome.venue_order_id = venue_order_id
        outcome.way = way
        return outcome

    def _apply(self, order: Order, event: int, report: Report, response: int) -> None:
        outcome = self._begin(report, order)
        if report.reason:
            order.reason = report.reason
        before = order.state
        self._desk.on_order_event(order, event, outcome)
        if response >= 0 and order.state != before:
            self._desk.out.respond(response, outcome)
