"""Brings our books and each venue's to agreement: asks, collects the rows, compares (reconcile.py), applies the rules.

    session up ─▶ ask: every doubtful order, fills since the last synced trade, funding, open orders, positions, balances
               ─▶ all answered, and nothing moved meanwhile? ─ no ─▶ again
               ─▶ differences ─▶ apply ─▶ again, until none is left ─▶ agreed
                                └ the same one `confirmations` times ─▶ HALTED, with the list

Runs at start, after every reconnect, periodically, and whenever somebody asks. A running instance goes on trading during a
periodic run; after a start or a reconnect nothing opens before it has agreed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_LIQUIDATION,
    FLAG_REPLAYED,
    NO_INSTRUMENT,
    CommandKind,
    Reason,
    ReportKind,
    new,
    text_of,
)
from reactor.prepost import reconcile
from reactor.prepost.balances import BASELINE, CORRECTION
from reactor.prepost.counters import Counter
from reactor.prepost.kill_switch import Pull
from reactor.prepost.orders import IS_TERMINAL, Order, OrderState
from reactor.prepost.reconcile import Difference, OwnOrder, Rule, Subject, VenueOrder

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk
    from reactor.prepost.reports import Reports

MS: Final = 1_000_000
NEVER_NS: Final = 2**62
K: Final = CommandKind
OPEN_ORDERS, POSITIONS, BALANCES = int(K.OPEN_ORDERS), int(K.POSITIONS), int(K.BALANCES)
FILLS_SINCE, FUNDING_SINCE = int(K.FILLS_SINCE), int(K.FUNDING_SINCE)
NOT_RECONCILED, CLOCK_UNCERTAIN = int(Reason.NOT_RECONCILED), int(Reason.CLOCK_UNCERTAIN)
SESSION_UP: Final = int(ReportKind.SESSION_UP)
ROW_ORDER, ROW_POSITION, ROW_BALANCE = int(ReportKind.OPEN_ORDER), int(ReportKind.POSITION), int(ReportKind.BALANCE)
UNKNOWN: Final = int(OrderState.UNKNOWN)
FUNDING_SAME_NS: Final = 5_000_000_000  # Two payments of one instrument within 5 s are one: they come every hour at most.
PROBE_NS: Final = 1_000_000_000  # until the engine has said how its sessions stand
TOLD_VAIN: Final = 3  # comparisons that proved nothing: then the log says why
FUNDINGS_KEPT_MAX: Final = 1_000  # per instrument, to recognise one that is told again
STRANGERS_MAX: Final = 1_000  # fills waiting for the venue to say whose they are


@dataclass
class VenueRun:
    """One venue's comparison."""

    venue: int
    is_session_known: bool = False  # the engine has said whether its private session is up
    is_agreed: bool = False
    is_running: bool = False
    is_first_start: bool = False
    next_ns: int = 0
    asked_ns: int = 0
    activity: int = 0
    has_failed: bool = False
    failure: int = 0  # the Reason that was given for it
    vain: int = 0  # comparisons that proved nothing, since the last agreement or since the session came up
    hindrance: str = ""  # what the log was told last about why
    waiting: dict[int, tuple[int, int]] = field(default_factory=dict)  # request → (kind, instrument)
    orders: list[VenueOrder] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    entry_ticks: dict[int, int] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    newest_trade_id: dict[int, int] = field(default_factory=dict)
    disputes: tuple[str, ...] = ()
    dispute_count: int = 0
    retries: int = 0  # since the last agreement, or since the session came up
    last: tuple[Difference, ...] = ()
    accepts: bool = False  # the operator has said: what the venue says is right
    agreed_ns: int = 0  # when the questions of the last agreement were asked
    asks_insurance: bool = False  # a futures wallet differs: perhaps a liquidation has cost more than its fills say


class Settlement:
    """One for all venues of the desk."""

    reports: Reports  # set by the role: the two need each other

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.runs = {venue: VenueRun(venue, is_first_start=venue not in desk.balances.known_venues) for venue in desk.venues}
        self._is_futures = dict.fromkeys(desk.venues, False) | {t.venue: True for t in desk.terms if t.is_perpetual}
        self._fundings: dict[int, list[int]] = {}
        self._insurance: set[tuple[int, int]] = set()  # (venue, transaction id) of the insurance fees that are booked
        self._strangers: dict[tuple[int, int], list[Any]] = {}  # (instrument, venue order id) → fills
        self._asked_whose: dict[int, tuple[int, int]] = {}  # request → the same key
        self._foreign_orders: set[str] = set()
        self.open_order_listeners: dict[int, list[VenueOrder]] = {}  # request → rows, for stop.py
        self.open_order_answers: dict[int, bool] = {}  # request → complete

    # ---- when

    def on_session(self, report: Any) -> None:
        """Private connectivity of a venue came or went."""
        desk, venue = self._desk, report.venue
        is_up = report.header.kind == SESSION_UP
        if venue >= len(desk.is_session_up):
            return
        run = self.runs.get(venue)
        if run is None:
            return
        is_news = not report.header.flags & FLAG_REPLAYED  # An engine that died could not say so: its successor's UP is news.
        if run.is_session_known and desk.is_session_up[venue] == is_up and not is_news:
            return
        run.is_session_known = True
        desk.is_session_up[venue] = is_up
        run.is_agreed = False
        desk.is_reconciled = False
        run.is_running = False
        run.retries = 0
        run.vain, run.hindrance = 0, ""
        run.waiting.clear()
        desk.log.info("private session is up" if is_up else "private session is down", venue=venue)
        if is_up:
            for order in list(desk.orders.unsettled.values()):
                if order.venue == venue and not IS_TERMINAL[order.state]:
                    desk.inquiry.doubt(order)
            self.start(run)

    def deadline_ns(self) -> int:
        """When `work` has something to do."""
        due = NEVER_NS
        for run in self.runs.values():
            if run.is_session_known and not self._desk.is_session_up[run.venue]:
                continue  # It is the session's coming up that starts it.
            answer_ns = run.asked_ns + self._desk.parameters.settlement.answer_ms_max * MS
            due = min(due, answer_ns if run.is_running else run.next_ns)
        return due

    def work(self, now_ns: int) -> int:
        """Starts what is due, repeats what was not answered."""
        started = 0
        parameters = self._desk.parameters.settlement
        for run in self.runs.values():
            if not self._desk.is_session_up[run.venue]:
                if not run.is_session_known and now_ns >= run.next_ns:
                    # The engine may have been up long before us: with its open orders it says how its session stands.
                    self._desk.out.ask(OPEN_ORDERS, run.venue)
                    run.next_ns = now_ns + PROBE_NS
                continue
            if run.is_running:
                if now_ns - run.asked_ns > parameters.answer_ms_max * MS:
                    run.is_running = False
                    self.start(run)
                    started += 1
            elif now_ns >= run.next_ns:
                self.start(run)
                started += 1
        return started

    def accept(self) -> None:
        """The operator resumes: what the venues say about balances and positions is right from now on."""
        for run in self.runs.values():
            if not run.is_agreed and run.disputes:
                run.accepts = True
                run.next_ns = 0
                run.dispute_count = 0
                run.retries = 0

    def start(self, run: VenueRun) -> None:
        """Asks the venue for everything."""
        desk, venue = self._desk, run.venue
        run.is_running = True
        run.has_failed = False
        run.failure = 0
        run.asked_ns = desk.now_ns
        run.activity = desk.activity[venue]
        run.waiting.clear()
        run.orders.clear()
        run.positions.clear()
        run.entry_ticks.clear()
        run.balances.clear()
        run.newest_trade_id.clear()
        for key in self._strangers:  # Their question may have been lost.
            if desk.terms[key[0]].venue == venue:
                self._asked_whose[desk.out.query_venue_id(*key)] = key
        if run.is_first_start and not desk.inquiry.fills_since_ms:
            desk.inquiry.fills_since_ms = desk.wall_ns // MS - desk.parameters.settlement.fills_overlap_ms
        has_futures = False
        for terms in desk.terms:
            if terms.venue != venue:
                continue
            run.waiting[desk.inquiry.ask_fills(terms.index)] = (FILLS_SINCE, terms.index)
            if terms.is_perpetual:
                has_futures = True
                if not desk.parameters.settlement.asks_funding:
                    continue
                since_ms = desk.inquiry.fills_since_ms
                known = self._fundings.get(terms.index)
                if known:
                    since_ms = max(since_ms, known[-1] // MS - 60_000)
                request = desk.out.ask(FUNDING_SINCE, venue, terms.index, 0, since_ms)
                run.waiting[request] = (FUNDING_SINCE, terms.index)
        run.waiting[desk.out.ask(OPEN_ORDERS, venue)] = (OPEN_ORDERS, NO_INSTRUMENT)
        if run.asks_insurance:
            # Not a moment before the baseline: what was taken until then is in it.
            since_ms = desk.inquiry.fills_since_ms + desk.parameters.settlement.fills_overlap_ms
            request = desk.out.ask(FUNDING_SINCE, venue, NO_INSTRUMENT, 0, since_ms, FLAG_LIQUIDATION)
            run.waiting[request] = (FUNDING_SINCE, NO_INSTRUMENT)
        if has_futures:
            run.waiting[desk.out.ask(POSITIONS, venue)] = (POSITIONS, NO_INSTRUMENT)
        run.waiting[desk.out.ask(BALANCES, venue)] = (BALANCES, NO_INSTRUMENT)
        desk.metrics.count(Counter.RECONCILIATIONS)

    def ask_open_orders(self, venue: int) -> int:
        """The venue's open orders, for who wants them besides the comparison. Returns the request id."""
        request = self._desk.out.ask(OPEN_ORDERS, venue)
        self.open_order_listeners[request] = []
        return request

    def forget_open_orders(self, request: int) -> None:
        """The answer is not wanted any more."""
        self.open_order_listeners.pop(request, None)
        self.open_order_answers.pop(request, None)

    # ---- rows

    def note_fill_row(self, report: Any) -> None:
        """A row of a fill list, whoever owns it: the list is known up to here."""
        index = report.header.instrument_index
        run = self.runs.get(self._desk.terms[index].venue)
        if run is not None and report.request_id in run.waiting:
            run.newest_trade_id[index] = max(run.newest_trade_id.get(index, 0), report.trade_id)

    def on_row(self, report: Any) -> None:
        """One row of an answer. Rows that nobody asked for (live balance updates) are for watchers only."""
        kind, request = report.header.kind, report.request_id
        if kind == ROW_ORDER:
            rows = self.open_order_listeners.get(request)
            if rows is not None:
                rows.append(self._venue_order(report))
                return
        run = self.runs.get(report.venue)
        if run is None or request not in run.waiting:
            return
        if kind == ROW_ORDER:
            run.orders.append(self._venue_order(report))
        elif kind == ROW_POSITION:
            index = report.header.instrument_index
            if index < len(self._desk.terms):
                run.positions[index] = report.quantity_lots
                run.entry_ticks[index] = report.price_ticks
        elif kind == ROW_BALANCE:
            is_wallet = self._is_futures[report.venue]  # The maintenance margin is part of a futures wallet.
            run.balances[text_of(report.asset)] = report.amount_e8 + (0 if is_wallet else report.locked_e8)

    def _venue_order(self, report: Any) -> VenueOrder:
        desk = self._desk
        client_order_id = text_of(report.client_order_id)
        order_id = desk.ids.order_id(client_order_id)
        order = desk.orders.by_id.get(order_id) if order_id else None
        if order is None and order_id and not report.header.flags & FLAG_FOREIGN:
            order = self.reports.adopt(report)  # Ours from an earlier life: in the books from here on.
            if order is not None:
                order.wants_cancel = True  # Nobody remembers what it was for.
        elif order is not None:
            desk.orders.learn_venue_id(order, report.venue_order_id)
            if report.cumulative_lots > order.venue_filled_lots:
                order.venue_filled_lots = report.cumulative_lots
        return VenueOrder(client_order_id, order_id, report.header.instrument_index, report.cumulative_lots)

    def on_end(self, report: Any) -> None:
        """The last row of an answer was sent."""
        request = report.request_id
        is_failed = report.reason != 0
        if request in self.open_order_listeners:
            if is_failed:
                del self.open_order_listeners[request]
            self.open_order_answers[request] = not is_failed
            return
        run = self.runs.get(report.venue)
        if run is None:
            return
        asked = run.waiting.pop(request, None)
        if asked is None:
            return
        kind, index = asked
        if is_failed:
            run.has_failed = True
            run.failure = report.reason
        elif kind == FILLS_SINCE and index not in self._waiting_for_owner():
            inquiry = self._desk.inquiry
            inquiry.synced_trade_id[index] = max(inquiry.synced_trade_id[index], run.newest_trade_id.get(index, 0))
        if run.is_running and not run.waiting:
            self._finish(run)

    def on_unanswered(self, report: Any) -> None:
        """A question did not reach the venue, or its answer did not reach us."""
        request = report.request_id
        if request in self.open_order_listeners:
            del self.open_order_listeners[request]
            self.open_order_answers[request] = False
        self._asked_whose.pop(request, None)
        for run in self.runs.values():
            if run.waiting.pop(request, None) is not None:
                run.has_failed = True
                run.failure = report.reason
                if run.is_running and not run.waiting:
                    self._finish(run)

    def _waiting_for_owner(self) -> set[int]:
        return {index for index, _ in self._strangers}

    # ---- fills that nobody owns

    def owner_of_fill(self, report: Any) -> Order | None:
        """Whose is a fill that no order of the books explains? The order, or None: dealt with, or being asked about.

        A row of the venue's fill list carries its own order number only. It is somebody else's unless the venue, asked by
        that number, says that the client id is ours.
        """
        desk = self._desk
        index, trade_id, side = report.header.instrument_index, report.trade_id, report.side
        run = self.runs.get(desk.terms[index].venue)
        if desk.fills.is_booked(index, trade_id, side):
            desk.metrics.count(Counter.FILLS_SEEN_AGAIN)
            return None
        client_order_id = text_of(report.client_order_id)
        if desk.ids.is_ours(client_order_id):
            return self.reports.adopt(report)
        if run is not None and run.is_first_start:
            desk.fills.try_book(index, trade_id, side)  # It happened before the baseline, and is in it.
            return None
        if client_order_id or report.header.flags & FLAG_FOREIGN:
            self.reports.book_foreign(report)
            return None
        key = (index, report.venue_order_id)
        waiting = self._strangers.get(key)
        if waiting is None:
            if len(self._strangers) >= STRANGERS_MAX:
                return None
            waiting = self._strangers[key] = []
            self._asked_whose[desk.out.query_venue_id(index, report.venue_order_id)] = key
        kept = new("report")
        kept[0] = report[0]
        waiting.append(kept)
        return None

    def has_asked_whose(self, request: int) -> bool:
        """True if the answer to this request says whose an order number is."""
        return request in self._asked_whose

    def on_stranger(self, report: Any) -> None:
        """The venue has said whose an order number is (or that it knows none)."""
        desk = self._desk
        key = self._asked_whose.pop(report.request_id, None) or (report.header.instrument_index, report.venue_order_id)
        fills = self._strangers.pop(key, None)
        client_order_id = text_of(report.client_order_id)
        if desk.ids.is_ours(client_order_id):
            if desk.orders.by_client_id(client_order_id) is None:
                self.reports.adopt(report)
            if desk.orders.by_client_id(client_order_id) is not None:
                self.reports.on_report(report)
        if fills is None:
            return
        for fill in fills:
            if desk.orders.by_venue_id(key[0], key[1]) is not None:
                self.reports.on_report(fill)
            elif report.header.flags & FLAG_LIQUIDATION:
                fill.header.flags |= FLAG_LIQUIDATION
                self.reports.on_report(fill)
            else:
                self.reports.book_foreign(fill)

    # ---- funding

    def on_funding(self, report: Any) -> None:
        """A funding payment, live or from a list. Without an instrument it only says that there was one: ask which."""
        desk = self._desk
        index = report.header.instrument_index
        if report.header.flags & FLAG_LIQUIDATION:
            self._on_insurance(report)
            return
        if index >= len(desk.terms):
            asking = self.runs.get(report.venue)
            if asking is not None and not asking.is_running:
                asking.next_ns = 0
            return
        paid_ns = report.venue_time_ms * MS or report.header.exchange_ns
        if not self._is_new_funding(index, paid_ns):
            desk.metrics.count(Counter.FUNDINGS_SEEN_AGAIN)
            return
        run = self.runs.get(desk.terms[index].venue)
        if run is not None and run.is_first_start:
            return  # Before the baseline, and in it.
        self.book_funding(index, text_of(report.asset), report.amount_e8, report.trade_id, paid_ns)

    def _on_insurance(self, report: Any) -> None:
        """The insurance fund took its fee for a liquidation, or covered a debt (then no instrument is named)."""
        desk, venue, index = self._desk, report.venue, report.header.instrument_index
        if index >= len(desk.terms):
            index = next((terms.index for terms in desk.terms if terms.venue == venue and terms.is_perpetual), index)
        if index >= len(desk.terms) or (venue, report.trade_id) in self._insurance:
            return
        desk.log.warning("the venue's insurance fund has moved our wallet", venue=venue, amount_e8=report.amount_e8)
        paid_ns = report.venue_time_ms * MS
        self.book_funding(index, text_of(report.asset), report.amount_e8, report.trade_id, paid_ns, is_insurance=True)

    def _is_new_funding(self, index: int, paid_ns: int) -> bool:
        known = self._fundings.setdefault(index, [])
        if any(abs(paid_ns - other_ns) < FUNDING_SAME_NS for other_ns in known):
            return False
        known.append(paid_ns)
        known.sort()
        del known[:-FUNDINGS_KEPT_MAX]
        return True

    def book_funding(
        self,
        index: int,
        asset: str,
        amount_e8: int,
        trade_id: int,
        paid_ns: int,
        *,
        is_insurance: bool = False,
        is_live: bool = True,
    ) -> None:
        """Wallet, position, pair, journal. An insurance fee is booked beside the funding: both come with a position."""
        desk, terms = self._desk, self._desk.terms[index]
        if is_insurance:
            self._insurance.add((terms.venue, trade_id))
        elif not is_live:
            self._is_new_funding(index, paid_ns)
        desk.balances.apply_funding(terms.venue, asset or terms.quote_asset, amount_e8)
        quote_e8 = desk.money.in_quote_e8(amount_e8, asset, terms)
        desk.positions[index].funding_e8 += quote_e8
        desk.money.funding_e8 += quote_e8
        pair = desk.pair_of[index]
        if pair is not None and pair.hedge.index == index:
            pair.hedge_position.funding_e8 += quote_e8
        desk.dirty.add(index)
        if is_live:
            desk.activity[terms.venue] += 1
            desk.metrics.count(Counter.FUNDINGS)
            pair_id = pair.pair_id if pair is not None else 0xFFFFFFFF
            flags = FLAG_LIQUIDATION if is_insurance else 0
            desk.out.journal_funding(terms, pair_id, asset or terms.quote_asset, amount_e8, trade_id, paid_ns, flags)

    def known_fundings(self) -> dict[str, list[list[int]]]:
        """What would be recognised if it were told again; numbers for a checkpoint."""
        return {
            "paid_ns": [[index, *times] for index, times in sorted(self._fundings.items())],
            "insurance": [list(key) for key in sorted(self._insurance)],
        }

    def put_fundings(self, known: dict[str, list[list[int]]]) -> None:
        """From a checkpoint."""
        self._fundings = {index: times for index, *times in known["paid_ns"]}
        self._insurance = {(venue, transaction) for venue, transaction in known["insurance"]}

    # ---- comparing

    def _finish(self, run: VenueRun) -> None:
        desk, parameters = self._desk, self._desk.parameters.settlement
        run.is_running = False
        # A venue charges dearly for these questions: while things keep moving, ask ever less often. What was not sent costs
        # nothing.
        pause_ms = min(parameters.retry_ms * 2 ** min(run.retries, 10), parameters.period_s * 1000)
        run.next_ns = desk.now_ns + int(pause_ms * MS)
        if not (run.has_failed and run.failure == CLOCK_UNCERTAIN):
            run.retries += 1
        hindrance = self._hindrance(run)
        if hindrance:
            self._tell(run, hindrance)
            return
        found = reconcile.differences(
            self._own(run),
            reconcile.Venue(run.orders, run.positions, run.balances, run.entry_ticks),
            adopts_positions=parameters.adopts_futures_positions,
            tolerance_e8=parameters.balance_tolerance_e8,
        )
        run.last = found
        desk.metrics.count(Counter.DIFFERENCES, sum(difference.rule != Rule.REPORT for difference in found))
        for difference in found:
            self._apply(run, difference)
        if not any(difference.rule > Rule.ADOPT and difference.subject != Subject.BALANCE for difference in found):
            self._desk.is_known[run.venue] = True
        if run.accepts:
            run.accepts = False
            return
        if reconcile.is_agreed(found):
            self._agree(run)
        else:
            self._dispute(run, found)

    def _hindrance(self, run: VenueRun) -> str:
        """Why the answers prove nothing; empty: they do."""
        if run.has_failed:
            return f"the venue was not asked, or did not answer: {Reason(run.failure).name.lower().replace('_', ' ')}"
        if self._desk.activity[run.venue] != run.activity:
            return "something of ours moved meanwhile"
        return "something of ours is still in doubt" if self._is_busy(run) else ""

    def _tell(self, run: VenueRun, hindrance: str) -> None:
        """One line per cause, where nothing opens for it and it is not over at once."""
        run.vain += 1
        if not run.is_agreed and run.vain >= TOLD_VAIN and hindrance != run.hindrance:
            run.hindrance = hindrance
            self._desk.log.warning("our books could not be compared yet: nothing opens", venue=run.venue, why=hindrance)

    def _is_busy(self, run: VenueRun) -> bool:
        """Something of ours is still in doubt: what the rows say about positions and balances proves nothing."""
        desk = self._desk
        if self._strangers or desk.fills.has_fees_due():
            return True
        return any(
            order.venue == run.venue and order.state == UNKNOWN and not order.wants_cancel
            for order in desk.orders.unsettled.values()
        )

    def _own(self, run: VenueRun) -> reconcile.Own:
        desk = self._desk
        orders = {
            order.order_id: OwnOrder(
                order.order_id,
                order.client_order_id.decode(),
                order.instrument_index,
                IS_TERMINAL[order.state],
                order.filled_lots,
            )
            for order in desk.orders.unsettled.values()
            if order.venue == run.venue
        }
        positions = {
            terms.index: (desk.positions[terms.index].base_e8 + desk.foreign_base_e8[terms.index]) // terms.lot_base_e8
            for terms in desk.terms
            if terms.venue == run.venue and terms.is_perpetual
        }
        pairs = [  # A tuple made of a generator is cut to size, and what is cut never leaves the interpreter's free list.
            (pair.pair_id, pair.tradable_hedge_lots(desk.money.mark_ticks(pair.hedge.index)))
            for pair in desk.pairs
            if pair.hedge.venue == run.venue
        ]
        return reconcile.Own(orders, positions, desk.balances.of_venue(run.venue), run.is_first_start, tuple(pairs))

    def _apply(self, run: VenueRun, difference: Difference) -> None:
        """One difference, its rule."""
        desk, rule = self._desk, difference.rule
        order = desk.orders.by_id.get(difference.order_id) if difference.subject == Subject.ORDER else None
        if rule == Rule.REPORT:
            if difference.client_order_id not in self._foreign_orders:
                self._foreign_orders.add(difference.client_order_id)
                desk.log.info("an order of somebody else is open; it is not touched", order=difference.client_order_id)
        elif rule == Rule.UNWIND:
            desk.hedging.check(desk.pairs[difference.order_id])
        elif rule == Rule.CANCEL and order is not None:
            desk.log.warning(difference.text)
            order.contradicted = True
            desk.cancel(order)
        elif rule == Rule.QUERY and order is not None:
            desk.inquiry.doubt(order)
        elif rule == Rule.BOOK and order is not None:
            desk.inquiry.miss(order)
        elif rule == Rule.ADOPT:
            self._adopt(run, difference)
        elif rule == Rule.HALT:
            if run.accepts:
                self._adopt(run, difference)
            elif difference.subject == Subject.POSITION:
                desk.inquiry.synced_trade_id[difference.instrument_index] = 0  # Deep: every fill since the baseline.
            elif difference.subject == Subject.BALANCE:
                run.asks_insurance = self._is_futures[run.venue]

    def _adopt(self, run: VenueRun, difference: Difference) -> None:
        desk, venue = self._desk, run.venue
        if difference.subject == Subject.BALANCE:
            asset = difference.asset
            if run.is_first_start:
                desk.balances.set_baseline(venue, asset, difference.theirs)
                desk.out.journal_balance(venue, asset, difference.theirs, BASELINE)
            else:
                change_e8 = difference.theirs - difference.ours
                desk.balances.correct(venue, asset, change_e8)
                desk.out.journal_balance(venue, asset, change_e8, CORRECTION)
        elif difference.subject == Subject.POSITION:
            index = difference.instrument_index
            terms = desk.terms[index]
            if run.is_first_start:
                desk.positions[index].adopt(difference.theirs * terms.lot_base_e8, run.entry_ticks.get(index, 0))
            else:  # Accepted by the operator as not ours.
                desk.foreign_base_e8[index] += (difference.theirs - difference.ours) * terms.lot_base_e8
            desk.money.revalue(index)
            desk.touch(index)

    def _agree(self, run: VenueRun) -> None:
        desk = self._desk
        run.next_ns = desk.now_ns + int(desk.parameters.settlement.period_s * 1000) * MS
        run.disputes = ()
        run.dispute_count = 0
        run.retries = 0
        run.vain, run.hindrance = 0, ""
        run.asks_insurance = False
        run.agreed_ns = run.asked_ns
        if not run.is_agreed:
            run.is_agreed = True
            desk.log.info("our books and the venue's agree", venue=run.venue)
        desk.is_reconciled = all(other.is_agreed for other in self.runs.values())

    def _dispute(self, run: VenueRun, found: tuple[Difference, ...]) -> None:
        desk = self._desk
        if run.is_first_start and all(difference.rule <= Rule.ADOPT for difference in found):
            run.is_first_start = False  # The baseline stands; the next run compares with it.
            desk.balances.known_venues.add(run.venue)
            run.next_ns = desk.now_ns
            return
        grave = tuple(difference.text for difference in found if difference.rule == Rule.HALT)
        run.dispute_count = run.dispute_count + 1 if grave and grave == run.disputes else 1 if grave else 0
        run.disputes = grave
        if run.dispute_count == desk.parameters.settlement.confirmations:
            run.is_agreed = False
            desk.is_reconciled = False
            for sentence in grave:
                desk.log.error("our books and the venue's differ: halted", venue=run.venue, difference=sentence)
            desk.pull(Pull.HALT, NOT_RECONCILED, grave[0][:63])
        elif run.dispute_count > desk.parameters.settlement.confirmations:
            run.next_ns = desk.now_ns + int(desk.parameters.settlement.period_s * 1000) * MS
