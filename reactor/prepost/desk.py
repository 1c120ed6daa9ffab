"""The desk: the only copy of the trading state, and the few verbs that move it.

    decide    a decision through the pre pipeline: an order goes out, or a reason comes back
    report    what the venue said about one order: the order machine, then the post pipeline
    cancel    asks for an order's end

No ring, no socket, no clock: what goes out goes through an `Outbox` (publish.py; a list in the tests), time is set by who
calls (`now_ns`, `wall_ns`), book tops come from a function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from reactor.domain.errors import ConfigError
from reactor.domain.ids import ClientIds, Mint, order_id_of
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import (
    FLAG_HEDGE,
    FLAG_REDUCE_ONLY,
    NO_INSTRUMENT,
    OrderType,
    Reason,
    ResponseKind,
    TimeInForce,
    address_of,
    form,
)
from reactor.journal.memory import History
from reactor.prepost import post, pre
from reactor.prepost.balances import Balances
from reactor.prepost.counters import Counter
from reactor.prepost.hedging import Hedging
from reactor.prepost.inquiry import Inquiry
from reactor.prepost.kill_switch import KillSwitchState, Pull
from reactor.prepost.orders import (
    IS_TERMINAL,
    NEXT_STATE,
    STRATEGY_LEGS,
    FillMemory,
    Leg,
    Order,
    OrderEvent,
    Orders,
    OrderState,
)
from reactor.prepost.pairs import Pair, PairEvent
from reactor.prepost.parameters import PrepostParameters
from reactor.prepost.pipeline import Decision, Outcome, compose_post, compose_pre, run_file
from reactor.prepost.positions import Position
from reactor.prepost.quota import Quota
from reactor.prepost.risk import MS, compose_rules, e8_of
from reactor.prepost.terms import Clip, Terms
from reactor.prepost.valuation import Valuation

TEN_STAGES_REGISTERED_BY: Final = (pre, post)

VENUES: Final = len(VENUE_NAMES)
_EVENTS: Final = len(OrderEvent)

VALIDATE: Final = int(OrderEvent.VALIDATE)
SUBMIT: Final = int(OrderEvent.SUBMIT)
COMMIT: Final = int(OrderEvent.COMMIT)
ACK: Final = int(OrderEvent.ACK)
PARTIAL_FILL: Final = int(OrderEvent.PARTIAL_FILL)
FILL: Final = int(OrderEvent.FILL)
CREATED: Final = int(OrderState.CREATED)
# The way of every order that is accepted, read from the table once.
VALIDATED: Final = NEXT_STATE[CREATED * _EVENTS + VALIDATE]
SUBMITTING: Final = NEXT_STATE[VALIDATED * _EVENTS + SUBMIT]
SUBMITTED: Final = NEXT_STATE[SUBMITTING * _EVENTS + COMMIT]
R_CLOSED: Final = int(ResponseKind.CLOSED)
READ_TOP: Final = form("book_top", ("bid_ticks", "ask_ticks", "receive_ns", "is_synchronised")).read
FILLS: Final = int(Counter.FILLS)
BELIEVED_DEAD: Final = frozenset({int(OrderState.REJECTED), int(OrderState.NOT_SENT)})


class Outbox(Protocol):
    """Where the desk's wishes go. Implemented over rings by publish.py."""

    def place(self, order: Order, decision: Decision) -> bool:
        """False: the ring is full; the command is held and goes out later, in order."""

    def cancel(self, order: Order) -> bool:
        """Likewise."""

    def query(self, order: Order) -> None:
        """Asks the venue about one order by its client id."""

    def query_venue_id(self, instrument_index: int, venue_order_id: int) -> int:
        """Asks whose order the venue's number is. Returns the request id."""

    def ask(
        self, kind: int, venue: int, instrument_index: int = NO_INSTRUMENT, trade_id: int = 0, since_ms: int = 0, flags: int = 0
    ) -> int:
        """Any other question. FLAG_LIQUIDATION on FUNDING_SINCE: insurance fees instead. Returns the request id."""

    def respond(self, kind: int, outcome: Outcome) -> None:
        """To the collector and, if a strategy's, to the strategy."""

    def respond_refused(self, decision: Decision, reason: int) -> None:
        """A decision was refused."""

    def respond_accepted(self, order: Order) -> None:
        """An order went out."""

    def respond_hedge_required(self, pair: Pair, lots: int, cause: Outcome | None) -> bool:
        """False: the collector cannot be told; hedge without it."""

    def respond_pair(self, kind: int, pair: Pair) -> None:
        """A pair opened or closed."""

    def journal_order(
        self, order: Order, state_from: int, event: int, reason: int, stages: bytes = b"", report_ns: int = 0
    ) -> None:
        """`stages`: where the report behind it has been (messages.WAY); a place's own entry finds them by itself."""

    def journal_fill(self, outcome: Outcome) -> None: ...
    def journal_pair(self, pair: Pair, state_from: int, event: int, reason: int) -> None: ...
    def journal_quota(self, order: Order, lots: int, capital_e8: int) -> None: ...
    def journal_funding(
        self, terms: Terms, pair_id: int, asset: str, amount_e8: int, trade_id: int, exchange_ns: int, flags: int = 0
    ) -> None: ...
    def journal_balance(self, venue: int, asset: str, amount_e8: int, kind: int) -> None: ...
    def journal_operator(
        self, event: int, state_from: int, state_to: int, reason: int, text: str, instrument_index: int = NO_INSTRUMENT
    ) -> None: ...


class DeskLog(Protocol):
    """The part of loop.log.Log that the desk uses."""

    def info(self, text: str, **fields: str | int | float | bool | None) -> None: ...
    def warning(self, text: str, **fields: str | int | float | bool | None) -> None: ...
    def error(self, text: str, **fields: str | int | float | bool | None) -> None: ...


class Count(Protocol):
    """The part of loop.counters.Metrics that the desk uses."""

    def count(self, counter: int, n: int = 1) -> None: ...


class Desk:
    """See the module's first lines."""

    def __init__(
        self,
        parameters: PrepostParameters,
        instruments: Instruments,
        out: Outbox,
        tops: Callable[[int], Any],
        metrics: Count,
        log: DeskLog,
        collector_alive: Callable[[int], bool],
        history: History | None = None,
    ) -> None:
        history = history or History()
        parameters.check(instruments)
        self.parameters = parameters
        self.instruments = instruments
        self.terms = tuple(Terms(instrument) for instrument in instruments)
        count = len(self.terms)
        self.out = out
        self.tops = tops
        self._top_views: list[Any] = [None] * count
        self._top_addresses: list[Any] = [0] * count
        self.metrics = metrics
        self.log = log
        self.collector_alive = collector_alive
        self.now_ns = 0
        self.wall_ns = 0
        # -- identity
        self.epoch = history.epoch
        self.ids = ClientIds(parameters.order_id_prefix)
        self._mint = Mint(self.ids)
        self._order_id = order_id_of(self.epoch, 1) - 1  # minted last
        self._next_client_order_id = self._mint.client_order_id(self._order_id + 1)
        self._is_next_rendered = True  # That is the id of the order after it: rendered when the last one has left.
        # -- state
        self.orders = Orders(self.ids, count, parameters.orders_max, parameters.closed_orders_kept_max)
        self.fills = FillMemory(count)
        self.positions = [Position(terms) for terms in self.terms]
        self.foreign_base_e8 = [0] * count
        self.quota = Quota(self.terms)
        self.balances = Balances()
        self.kill_switch = KillSwitchState(count, history.kill_switch)
        self.pairs = [
            Pair(pair_id, pair, self.terms[pair.open_instrument_index], self.terms[pair.hedge_instrument_index])
            for pair_id, pair in enumerate(parameters.pairs)
        ]
        self._pair_count = len(self.pairs)
        self.pair_of: list[Pair | None] = [None] * count
        for pair in self.pairs:
            self.pair_of[pair.open.index] = self.pair_of[pair.hedge.index] = pair
        self.venues = tuple(sorted({terms.venue for terms in self.terms}))
        self.is_session_up = [False] * VENUES
        self.is_known = [False] * VENUES  # orders, fills and positions of the venue were compared once since our start
        self.is_reconciled = False
        self.is_stopping = False
        self.journal_trouble = 0  # what the journal writer's alarm says; 0: none
        self.sent_ns: list[deque[int]] = [deque() for _ in range(VENUES)]  # order-rate window
        self.activity = [0] * VENUES  # grows whenever something moved on the venue: snapshots taken meanwhile do not count
        # -- what the risk rules and the screen look at
        self.opened_ns = [0] * count
        self.trades_today = 0
        self.dirty: set[int] = set()  # instruments whose row must be published
        self.has_moved = False  # one of them because its position is another: strategies decide by it
        self.orders_sent = 0
        self.fills_booked = 0
        self.rejects = 0
        self.refusals = 0
        self.pairs_opened = 0
        self.pairs_closed = 0
        self.duplicates_detected = 0
        # -- the stages and those who work with the desk
        self.decision = Decision()
        self.outcome = Outcome()
        self.money = Valuation(self)
        self.hedging = Hedging(self)
        self.inquiry = Inquiry(self, parameters.inquiry)
        self.clips: list[Clip] = []  # of each instrument alone; a pair has its own
        self._configure(parameters)

    def _configure(self, parameters: PrepostParameters) -> None:
        """Composes pipelines and rules; raises before anything is changed."""
        for path in parameters.pipeline.stage_files + parameters.risk.rule_files:
            run_file(path)
        before = self.parameters
        self.parameters = parameters
        try:
            rules = compose_rules(self, parameters.risk)
            before_order, before_fast_order, glances = compose_pre(parameters.pipeline.pre, self)
            after_report = compose_post(parameters.pipeline.post, self)
        except Exception:
            self.parameters = before
            raise
        self.rules = rules
        self._pre, self._pre_fast, self._glances = before_order, before_fast_order, glances
        self._post_steps, self._post_ends, self._post_fills = after_report
        clip_e8, margin_e8 = e8_of(parameters.risk.clip_usdt), e8_of(parameters.risk.clip_notional_margin)
        self.clips = [Clip(clip_e8, (terms,), margin_e8) for terms in self.terms]
        self.place_deadline_ns = parameters.construction.place_deadline_ms * MS
        self.money.configure(parameters)
        for pair, pair_parameters in zip(self.pairs, parameters.pairs, strict=True):
            pair.parameters = pair_parameters
            pair.clip = Clip(clip_e8, (pair.open, pair.hedge), margin_e8)
        self.inquiry.configure(parameters.inquiry)

    def reload(self, parameters: PrepostParameters) -> None:
        """Takes new parameters as a whole.

        Raises:
            ConfigError: nothing was changed. The legs of the pairs and the id prefix need a restart.
        """
        parameters.check(self.instruments)
        legs = [(pair.open_instrument_index, pair.hedge_instrument_index) for pair in parameters.pairs]
        if legs != [(pair.open.index, pair.hedge.index) for pair in self.pairs]:
            raise ConfigError("the pairs' instruments cannot change while running: restart")
        if parameters.order_id_prefix != self.parameters.order_id_prefix:
            raise ConfigError("the order id prefix cannot change while running: restart")
        self._configure(parameters)

    # ---- decisions

    def decide(self, decision: Decision) -> int:
        """Through the pre pipeline. 0: an order went out (`decision.order`); otherwise the reason why not."""
        decision.now_ns = self.now_ns
        for stage in self._pre_fast if decision.is_fast else self._pre:
            reason = stage(decision)
            if reason:
                return self.refuse(decision, reason)
        self._accept(decision)
        return 0

    def glance(self, decision: Decision) -> None:
        """Reads what `decide` would read of a decision for which nobody has asked; nothing happens."""
        decision.now_ns = self.now_ns
        for look in self._glances:
            look(decision)
        self.orders.glance()

    def refuse(self, decision: Decision, reason: int) -> int:
        """Counts a refusal and tells whoever asked. Returns the reason."""
        order = decision.order
        if order is not None and not IS_TERMINAL[order.state]:  # A stage after construction said no.
            order.apply_event(OrderEvent.REFUSE)
            self.orders.settle(order)
            decision.order = None
        self.refusals += 1
        self.metrics.count(Counter.REFUSED + min(reason, Counter.REFUSED_LAST - Counter.REFUSED))
        self.out.respond_refused(decision, reason)
        return int(reason)

    def new_order(self, decision: Decision) -> Order | None:
        """Mints an order from a decision that has its price: VALIDATED, as its price and quantity are checked before.

        None: too many live orders.
        """
        terms = decision.terms
        order_id = self._order_id + 1
        order = self.orders.try_take(order_id, terms.index)
        if order is None:
            return None
        self._order_id = order_id
        if self._is_next_rendered:
            self._is_next_rendered = False
            order.client_order_id = self._next_client_order_id
        else:
            order.client_order_id = self._mint.client_order_id(order_id)
        order.venue = terms.venue
        order.side = decision.side
        order.order_type = decision.order_type
        order.time_in_force = decision.time_in_force
        order.price_ticks = decision.price_ticks
        order.quantity_lots = decision.quantity_lots
        order.flags = decision.flags
        order.leg = decision.leg
        order.pair_id = decision.pair_id
        order.pair_sequence = decision.pair_sequence
        order.signal_id = decision.signal_id
        order.exchange_ns = decision.exchange_ns
        order.strategy_index = decision.strategy_index
        order.attempt = decision.attempt
        order.created_ns = self.now_ns
        order.state = VALIDATED
        return order

    def _accept(self, decision: Decision) -> None:
        """The command goes out first: what is counted, reserved and written of it may wait those microseconds, and nothing
        else is decided meanwhile."""
        order = decision.order
        assert order is not None, "the pipeline has no order_construction stage"
        now_ns, index, venue = self.now_ns, order.instrument_index, order.venue
        assert order.state == VALIDATED, "an order is validated by the stage that makes it"
        order.sent_ns = order.updated_ns = now_ns
        order.state = SUBMITTED if self.out.place(order, decision) else SUBMITTING
        self.quota.reserve(order, decision.notional_e8 if decision.is_opening else 0, decision.notional_e8)
        pair = decision.pair
        if pair is not None:
            pair.orders[order.order_id] = order
        self.sent_ns[venue].append(now_ns)
        if decision.is_opening and not decision.is_quote:
            self.opened_ns[index] = now_ns
        self.activity[venue] += 1
        self.orders_sent += 1
        self.out.journal_order(order, CREATED, SUBMIT, 0)
        self.inquiry.watch(order)
        self.dirty.add(index)
        self._next_client_order_id = self._mint.client_order_id(self._order_id + 1)
        self._is_next_rendered = True
        self.out.respond_accepted(order)

    def on_committed(self, order: Order) -> None:
        """A held place has found its way into the ring."""
        if order.state == SUBMITTING:
            order.apply_event(OrderEvent.COMMIT)
            order.sent_ns = self.now_ns
            self.inquiry.watch(order)

    def cancel(self, order: Order) -> None:
        """Asks for the end of one order. Asking again is harmless."""
        if IS_TERMINAL[order.state] and not order.contradicted:
            return
        order.wants_cancel = True
        was_submitting = order.state == SUBMITTING
        self._step(order, int(OrderEvent.CANCEL_REQUEST), 0)
        if was_submitting:  # The outbox drops the held place: it never left.
            self._finish(order)
            return
        order.cancel_sent_ns = self.now_ns
        self.out.cancel(order)
        self.inquiry.watch(order)

    def cancel_instrument(self, instrument_index: int, legs: tuple[int, ...] = ()) -> int:
        """Cancels every live order of an instrument (of the given legs, if any are named). Returns how many."""
        count = 0
        for order in list(self.orders.live_of(instrument_index)):
            if not order.wants_cancel and (not legs or order.leg in legs):
                self.cancel(order)
                count += 1
        return count

    def cancel_everything(self) -> int:
        """Cancels every live order of ours. Returns how many."""
        return sum(self.cancel_instrument(terms.index) for terms in self.terms)

    def _step(self, order: Order, event: int, reason: int) -> None:
        """A transition outside a report: journaled at once."""
        state_from = order.state
        if order.apply_event(event):
            order.updated_ns = self.now_ns
            if order.state != state_from:
                self.out.journal_order(order, state_from, event, reason)
        else:
            self.metrics.count(Counter.ILLEGAL_TRANSITIONS)

    def _finish(self, order: Order) -> None:
        """Runs the post pipeline for an order that closed without a report."""
        outcome = Outcome()  # A fresh one: this may happen while another outcome is being worked on.
        outcome.order = order
        outcome.terms = self.terms[order.instrument_index]
        outcome.instrument_index = order.instrument_index
        outcome.state_from = order.state
        self._conclude(outcome)
        self.out.respond(R_CLOSED, outcome)

    def cancel_strategy(self, strategy_index: int) -> int:
        """Cancels every live order of one strategy. Returns how many."""
        count = 0
        for terms in self.terms:
            for order in list(self.orders.live_of(terms.index)):
                if order.leg in STRATEGY_LEGS and order.strategy_index == strategy_index and not order.wants_cancel:
                    self.cancel(order)
                    count += 1
        return count

    # ---- reports

    def on_order_event(self, order: Order, event: int, outcome: Outcome) -> None:
        """The venue (or the engine) has said something about an order. `outcome` carries the fill, if there is one."""
        state = order.state
        outcome.order = order
        outcome.state_from = state
        outcome.event = event
        order.updated_ns = self.now_ns
        self.activity[order.venue] += 1
        next_state = NEXT_STATE[state * _EVENTS + event]
        if next_state < 0:
            self.orders.illegal += 1
            self.metrics.count(Counter.ILLEGAL_TRANSITIONS)
            self.inquiry.doubt(order)  # Whoever is right, the venue knows.
        else:
            if outcome.fill_lots and state in BELIEVED_DEAD:
                self._contradict(order)
            order.state = next_state
        self._conclude(outcome)

    def _contradict(self, order: Order) -> None:
        """A fill for an order that was believed dead: whatever is left of it must go."""
        self.metrics.count(Counter.CONTRADICTIONS)
        self.log.error("a fill for an order that was believed dead: cancelling its rest", order=order.client_order_id.decode())
        order.contradicted = True
        self.cancel(order)

    def book_fill(self, outcome: Outcome) -> bool:
        """One fill of ours, from wherever it came: `outcome` has instrument, side, price, lots, trade id, fee.

        False: it was booked before, nothing changed (counted).
        """
        index = outcome.terms.index
        trade_id, side = outcome.trade_id, outcome.side
        order = outcome.order
        if not self.fills.try_book(index, trade_id, side):
            if self.fills.take_fee(index, trade_id, side):
                outcome.is_fee_only = True
                outcome.fee_only_lots = outcome.fill_lots
                outcome.fill_lots = 0
                outcome.pair = self._pair_for(order, index)
                if order is not None:
                    outcome.state_from = order.state
                self._book(outcome)
                return True
            self.metrics.count(Counter.FILLS_SEEN_AGAIN)
            return False
        self.fills_booked += 1
        self.metrics.count(FILLS)
        if order is None:  # Forced by the venue, or of an order that nobody remembers.
            outcome.state_from = 0
            self.activity[outcome.terms.venue] += 1
            outcome.pair = self._pair_for(None, index)
            self._book(outcome)
            return True
        if order.filled_lots == 0:
            self.trades_today += 1
            self.positions[index].trades_today += 1
        order.filled_lots += outcome.fill_lots
        order.filled_value += outcome.fill_lots * outcome.price_ticks
        if order.filled_lots > order.quantity_lots:
            self.duplicates_detected += 1
            self.metrics.count(Counter.OVERFILLS)
            self.log.error(
                "an order was filled for more than it asked: executed twice", order=order.client_order_id.decode(),
                quantity_lots=order.quantity_lots, filled_lots=order.filled_lots,
            )  # fmt: skip
        event = FILL if order.filled_lots >= order.quantity_lots else PARTIAL_FILL
        if order.venue_filled_lots > order.filled_lots:
            self.inquiry.miss(order)
        excess_lots = min(outcome.fill_lots, order.filled_lots - order.quantity_lots)
        self.on_order_event(order, event, outcome)
        if excess_lots > 0:
            self._unwind_double(order, excess_lots)
        return True

    def _unwind_double(self, order: Order, excess_lots: int) -> None:
        """What was executed twice goes back at once. A pair's hedge leg is put right by its ledger."""
        pair = self._pair_for(order, order.instrument_index)
        if pair is None:
            self.take_back(self.terms[order.instrument_index], -order.side * excess_lots)
        elif order.leg == Leg.OPEN:
            self.hedging.close(pair, int(Reason.DOUBLE_EXECUTION))

    def unpaired_lots(self, instrument_index: int) -> int:
        """Position of an instrument that belongs to no pair, in whole signed lots."""
        base_e8 = self.positions[instrument_index].base_e8
        pair = self.pair_of[instrument_index]
        if pair is not None:
            leg = pair.hedge_position if pair.hedge.index == instrument_index else pair.open_position
            base_e8 -= leg.base_e8
        return self.terms[instrument_index].lots_within(base_e8)

    def read_top(self, instrument_index: int) -> Any:
        """(bid ticks, ask ticks, receive_ns, is_synchronised) of an instrument's book; None: no feed writes it."""
        view = self.tops(instrument_index)
        if view is None:
            return None
        if view is not self._top_views[instrument_index]:
            self._top_views[instrument_index] = view
            self._top_addresses[instrument_index] = address_of(view)
        return READ_TOP(self._top_addresses[instrument_index])

    def take_back(self, terms: Terms, lots: int) -> int:
        """Trades `lots` (signed) that only make a position without a pair smaller. 0, or why not."""
        ticks = self.money.mark_ticks(terms.index)
        if not terms.is_tradable(abs(lots), ticks, is_reducing=True):
            return int(Reason.BELOW_MINIMUM)
        decision = Decision()
        decision.terms = terms
        decision.leg = int(Leg.SINGLE)
        decision.side = 1 if lots > 0 else -1
        decision.quantity_lots = lots = min(abs(lots), terms.lots_max)
        decision.base_e8 = lots * terms.lot_base_e8
        decision.order_type = int(OrderType.LIMIT)
        decision.time_in_force = int(TimeInForce.IOC)
        decision.through_ticks = self.parameters.construction.unpaired_through_ticks
        decision.reference_ticks = ticks
        decision.flags = FLAG_HEDGE | (FLAG_REDUCE_ONLY if terms.is_perpetual else 0)
        decision.is_fast = True
        return self.decide(decision)

    def book_foreign(self, outcome: Outcome) -> None:
        """Somebody else's fill: wallets and the journal, nothing else."""
        self.activity[outcome.terms.venue] += 1
        self._book(outcome)

    def _pair_for(self, order: Order | None, index: int) -> Pair | None:
        """An order's own pair. A fill without an order belongs to the pair whose leg the instrument is."""
        if order is None:
            return self.pair_of[index]
        return self.pairs[order.pair_id] if order.pair_id < len(self.pairs) else None

    def _conclude(self, outcome: Outcome) -> None:
        """After every change of an order: settle it if it is over, then the post pipeline."""
        order = outcome.order
        assert order is not None, "only orders conclude"
        pair_id = order.pair_id
        pair = outcome.pair = self.pairs[pair_id] if pair_id < self._pair_count else None
        stages = self._post_fills if outcome.fill_lots else self._post_steps
        if IS_TERMINAL[order.state]:
            if not order.closed_ns:
                order.closed_ns = self.now_ns
            if order.venue_filled_lots <= order.filled_lots:
                order.next_ask_ns = 0
                outcome.is_settled = is_settled = self.orders.settle(order)
                if is_settled:
                    if pair is not None:
                        pair.orders.pop(order.order_id, None)
                    if not outcome.fill_lots:
                        stages = self._post_ends
            else:
                self.orders.reopen(order)
                if pair is not None:
                    pair.orders[order.order_id] = order
                self.inquiry.miss(order)
        self.dirty.add(order.instrument_index)
        for stage in stages:
            if stage(outcome):
                self.metrics.count(Counter.POST_STOPPED)
                return

    def _book(self, outcome: Outcome) -> None:
        """The post pipeline for a fill, or its fee, that moves no order."""
        for stage in self._post_fills:
            if stage(outcome):
                self.metrics.count(Counter.POST_STOPPED)
                return

    # ---- totals

    def touch(self, instrument_index: int) -> None:
        """The instrument's position is another: its row is to be published with this pass."""
        self.dirty.add(instrument_index)
        self.has_moved = True

    def hear_journal(self, trouble: int) -> None:
        """The journal writer's alarm, whenever somebody looked."""
        if trouble != self.journal_trouble:
            if trouble:
                self.log.error("the journal cannot keep up: nothing opens until it can", state=trouble)
            else:
                self.log.info("the journal keeps up again")
            self.journal_trouble = trouble

    # ---- the kill switch

    def pull(self, action: Pull, reason: int, text: str, *, is_lasting: bool = True) -> None:
        """Pulls the kill switch for everything, journals and logs it. What is not lasting (a stop) ends with this process."""
        before = self.kill_switch.state
        if action == Pull.RESUME:
            self.kill_switch.free_instruments()
            self.dirty.update(range(len(self.terms)))
        if self.kill_switch.pull(action):
            self.log.warning("kill switch", state=self.kill_switch.state, before=before, why=text)
        self.out.journal_operator(int(action), before, self.kill_switch.state if is_lasting else before, reason, text)

    def halt_instrument(self, instrument_index: int, reason: int, text: str) -> None:
        """Halts one instrument; its live opening orders go, hedges and unwinds stay possible."""
        if self.kill_switch.halt_instrument(instrument_index):
            name = self.terms[instrument_index].name
            self.metrics.count(Counter.INSTRUMENTS_HALTED)
            self.log.error("instrument halted", instrument=name, why=text, reason=reason)
            state = self.kill_switch.state
            self.out.journal_operator(int(Pull.HALT), state, state, reason, f"{name}: {text}", instrument_index)
            self.cancel_instrument(instrument_index, (Leg.SINGLE, Leg.OPEN, Leg.QUOTE))
            self.dirty.add(instrument_index)

    def move_pair(self, pair: Pair, event: PairEvent, reason: int = 0) -> bool:
        """One pair transition, journaled."""
        state_from = pair.state
        if not pair.apply_event(event):
            self.metrics.count(Counter.ILLEGAL_TRANSITIONS)
            return False
        if pair.state != state_from:
            self.out.journal_pair(pair, state_from, int(event), reason)
            self.dirty.add(pair.open.index)
        return True


def is_reducing(position_base_e8: int, side: int, base_e8: int, flags: int) -> bool:
    """True if an order can only make a position smaller."""
    if flags & FLAG_REDUCE_ONLY:
        return True
    return position_base_e8 != 0 and (position_base_e8 > 0) != (side > 0) and base_e8 <= abs(position_base_e8)
