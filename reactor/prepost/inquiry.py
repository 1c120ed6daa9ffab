"""Orders whose fate nobody told us: asked about by client id, with backoff, until the venue answers definitely.

Two kinds of doubt. *State*: UNKNOWN, or silence longer than is normal: COMMAND_QUERY. *Fills*: the venue counts more than we
have booked: COMMAND_FILLS_SINCE. A network error is no answer. "No such order" is believed when the venue itself said it
at least twice, `not_found_spacing_ms` apart, to queries sent later than recv_window_ms after the place: an unseen request
can no longer be accepted then.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Final

from reactor.domain.messages import CommandKind, TimeInForce
from reactor.prepost.counters import Counter
from reactor.prepost.orders import IS_TERMINAL, Order, OrderState

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk
    from reactor.prepost.parameters import InquiryParameters

MS: Final = 1_000_000
NEVER_NS: Final = 2**62
UNKNOWN: Final = int(OrderState.UNKNOWN)
SUBMITTED: Final = int(OrderState.SUBMITTED)
PENDING_CANCEL: Final = int(OrderState.PENDING_CANCEL)
SUBMITTING: Final = int(OrderState.SUBMITTING)
FILLS_SINCE: Final = int(CommandKind.FILLS_SINCE)
IMMEDIATE: Final = frozenset({int(TimeInForce.IOC), int(TimeInForce.FOK)})


class Inquiry:
    """The list of orders to ask about, by when."""

    def __init__(self, desk: Desk, parameters: InquiryParameters) -> None:
        self._desk = desk
        # Pairs (ns, order_id). An entry that is not the order's own time any more is stale.
        self._watched: deque[tuple[int, int]] = deque()  # fresh orders, all with the same patience: in order by themselves
        self._due: list[tuple[int, int]] = []  # heap
        self.synced_trade_id = [0] * len(desk.terms)  # every fill up to this one is known to be booked
        self.fills_since_ms = 0  # where there is no trade id yet: the baseline, venue wall clock
        self._fills_due: dict[int, int] = {}  # instrument → ns
        self._fills_asked_ns = [0] * len(desk.terms)
        self.configure(parameters)

    def configure(self, parameters: InquiryParameters) -> None:
        """New times."""
        self._recv_window_ns = parameters.recv_window_ms * MS
        self._news_ns = parameters.news_ms_max * MS
        self._ioc_ns = parameters.ioc_ms_max * MS
        self._first_ns = parameters.backoff_ms_first * MS
        self._max_ns = parameters.backoff_ms_max * MS
        self._answers_min = parameters.not_found_answers_min
        self._spacing_ns = parameters.not_found_spacing_ms * MS

    # ---- what is watched

    def watch(self, order: Order) -> None:
        """A place or a cancel has gone out: silence is normal only so long."""
        order.next_ask_ns = at_ns = self._desk.now_ns + self._news_ns
        self._watched.append((at_ns, order.order_id))

    def doubt(self, order: Order) -> None:
        """The state is unknown, or two reports contradict each other: ask now."""
        order.asks = max(order.asks, 1)
        self._schedule(order, self._desk.now_ns)

    def miss(self, order: Order) -> None:
        """The venue counts more fills than we have booked: they are probably on their way; ask soon."""
        self._fills_due.setdefault(order.instrument_index, self._desk.now_ns + self._first_ns)

    def answered(self, order: Order) -> None:
        """The venue has told the order's state."""
        order.asks = 0
        order.not_founds = 0
        order.not_found_ns = 0

    def cancel_again(self, order: Order) -> None:
        """The venue says that it is open although it was to go. One more cancel, at most every `backoff_ms_first`: a venue
        that refuses to cancel what it calls open must not be flooded."""
        at_ns = order.cancel_sent_ns + self._first_ns
        if self._desk.now_ns >= at_ns:
            self._desk.cancel(order)
        else:
            order.asks = max(order.asks, 1)
            self._schedule(order, at_ns)

    def is_believed(self, order: Order, now_ns: int) -> bool:
        """The venue says "no such order". True if that may be believed now."""
        if order.asked_ns - order.sent_ns < self._recv_window_ns:
            return False  # The query may have overtaken the place.
        if order.not_found_ns and now_ns - order.not_found_ns < self._spacing_ns:
            return False
        order.not_founds += 1
        order.not_found_ns = now_ns
        if order.not_founds < self._answers_min:
            self._schedule(order, now_ns + self._spacing_ns)
            return False
        return True

    def _schedule(self, order: Order, at_ns: int) -> None:
        order.next_ask_ns = at_ns
        heapq.heappush(self._due, (at_ns, order.order_id))

    # ---- asking

    def deadline_ns(self) -> int:
        """When `work` has something to do."""
        due = self._due[0][0] if self._due else NEVER_NS
        if self._watched and self._watched[0][0] < due:
            due = self._watched[0][0]
        for at_ns in self._fills_due.values():
            due = min(due, at_ns)
        return due

    def work(self, now_ns: int) -> int:
        """Asks what is due. Returns how many questions went out."""
        asked = 0
        due, watched = self._due, self._watched
        desk = self._desk
        while watched and watched[0][0] <= now_ns:
            at_ns, order_id = watched.popleft()
            order = desk.orders.by_id.get(order_id)
            if order is not None and order.next_ask_ns == at_ns:
                asked += self._consider(order, now_ns)
        while due and due[0][0] <= now_ns:
            at_ns, order_id = heapq.heappop(due)
            order = desk.orders.by_id.get(order_id)
            if order is None or order.next_ask_ns != at_ns:
                continue
            asked += self._consider(order, now_ns)
        if self._fills_due:
            for index, at_ns in list(self._fills_due.items()):
                if at_ns <= now_ns:
                    del self._fills_due[index]
                    if self._misses(index):
                        self.ask_fills(index)
                        self._fills_due[index] = now_ns + self._max_ns // 2
                        asked += 1
        return asked

    def _misses(self, index: int) -> bool:
        return any(order.venue_filled_lots > order.filled_lots for order in self._desk.orders.unsettled_of[index].values())

    def ask_fills(self, index: int) -> int:
        """Every fill of the instrument that may have been missed. Returns the request id."""
        desk = self._desk
        terms = desk.terms[index]
        return desk.out.ask(FILLS_SINCE, terms.venue, index, self.synced_trade_id[index], self.fills_since_ms)

    def _consider(self, order: Order, now_ns: int) -> int:
        """One order whose time has come: ask, or look again later."""
        desk = self._desk
        state = order.state
        order.next_ask_ns = 0
        if IS_TERMINAL[state] and not order.contradicted:
            return 0
        if state == SUBMITTING:
            self._schedule(order, now_ns + self._news_ns)
            return 0
        if state not in (UNKNOWN, SUBMITTED, PENDING_CANCEL) and order.asks == 0 and not order.contradicted:
            # It rests, or it is immediate and should have ended long ago.
            if order.time_in_force not in IMMEDIATE and order.order_type == 0:
                return 0
            over_ns = order.sent_ns + self._ioc_ns
            if now_ns < over_ns:
                self._schedule(order, over_ns)
                return 0
        if not desk.is_session_up[order.venue]:
            self._schedule(order, now_ns + self._first_ns)  # No session: the question could not be answered.
            return 0
        self.ask(order, now_ns)
        return 1

    def ask(self, order: Order, now_ns: int) -> None:
        """Asks about one order now, and again later if nothing definite comes back."""
        order.asks += 1
        order.asked_ns = now_ns
        pause_ns = min(self._first_ns * 2 ** min(order.asks - 1, 10), self._max_ns)
        horizon_ns = order.sent_ns + self._recv_window_ns
        if now_ns < horizon_ns < now_ns + pause_ns:
            pause_ns = horizon_ns - now_ns  # The first answer that may be believed.
        self._schedule(order, now_ns + pause_ns)
        self._desk.metrics.count(Counter.QUERIES)
        self._desk.out.query(order)
        is_wanted = order.state == PENDING_CANCEL or (order.wants_cancel and order.state == UNKNOWN)
        if is_wanted and now_ns - order.cancel_sent_ns >= self._first_ns:
            order.cancel_sent_ns = now_ns
            self._desk.out.cancel(order)  # A cancel may be repeated freely.
