"""Our orders: one state machine as a table, one book with its indexes, one memory of the fills.

What moves an order is not what books a fill. A fill is identified by the venue's trade id and is booked once, in whatever
state the order is; the state machine only says how the order stands with the venue. Reports arrive late, twice and out of
order; every order of arrival must end in the same state, and a missing pair in the table is refused and counted.

    CREATED ▶ VALIDATED ▶ SUBMITTING ▶ SUBMITTED ▶ ACKNOWLEDGED ▶ PARTIALLY_FILLED ▶ FILLED
                              │            │  └──────────────┴─── PENDING_CANCEL ──▶ CANCELLED
              waits for room in the ring   │                                        REJECTED, EXPIRED
                                           └──▶ UNKNOWN: nobody told us. Asked about by client id until the venue says.
                                                NOT_SENT: it never arrived, provably.

An order is *closed* in a terminal state, and *settled* when besides every fill that the venue counts is booked. Quota
returns when it is settled, and only then it may be forgotten.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final

from reactor.domain.ids import ClientIds
from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR


class OrderState(IntEnum):
    """How an order stands with the venue. The numbers are journaled: never renumber."""

    CREATED = 0
    VALIDATED = 1
    SUBMITTING = 2
    SUBMITTED = 3
    ACKNOWLEDGED = 4
    PARTIALLY_FILLED = 5
    FILLED = 6
    CANCELLED = 7
    REJECTED = 8
    EXPIRED = 9
    PENDING_CANCEL = 10
    NOT_SENT = 11
    UNKNOWN = 12


class OrderEvent(IntEnum):
    """What happens to an order. The numbers are journaled: never renumber."""

    VALIDATE = 0  # it fits the venue's filters and our collar
    REFUSE = 1  # ours: it does not
    SUBMIT = 2  # quota is reserved, the command wants out
    COMMIT = 3  # the command is in the engine's ring
    ACK = 4
    PARTIAL_FILL = 5
    FILL = 6  # with this one it is full
    CANCEL_REQUEST = 7
    CANCELLED = 8
    EXPIRE = 9
    REJECT = 10
    NOT_SENT = 11
    OUTCOME_LOST = 12  # of the place
    CANCEL_FAILED = 13  # "no such order", or the cancel's outcome is lost: ask for the end state
    NOT_FOUND = 14  # believed: the venue said so twice, late enough (inquiry.py)


S = OrderState
E = OrderEvent

TRANSITIONS: Final[Mapping[tuple[OrderState, OrderEvent], OrderState]] = {
    (S.CREATED, E.VALIDATE): S.VALIDATED,
    (S.CREATED, E.REFUSE): S.REJECTED,
    (S.VALIDATED, E.SUBMIT): S.SUBMITTING,
    (S.VALIDATED, E.REFUSE): S.REJECTED,
    (S.SUBMITTING, E.COMMIT): S.SUBMITTED,
    (S.SUBMITTING, E.CANCEL_REQUEST): S.NOT_SENT,  # It had not left the house: nothing to cancel.
    (S.SUBMITTING, E.NOT_SENT): S.NOT_SENT,
    (S.SUBMITTING, E.OUTCOME_LOST): S.UNKNOWN,  # After a restart: the ring may have had it after all.
    # -- on its way
    (S.SUBMITTED, E.ACK): S.ACKNOWLEDGED,
    (S.SUBMITTED, E.PARTIAL_FILL): S.PARTIALLY_FILLED,  # A fill may overtake its ack.
    (S.SUBMITTED, E.FILL): S.FILLED,
    (S.SUBMITTED, E.CANCEL_REQUEST): S.PENDING_CANCEL,
    (S.SUBMITTED, E.CANCELLED): S.CANCELLED,
    (S.SUBMITTED, E.EXPIRE): S.EXPIRED,
    (S.SUBMITTED, E.REJECT): S.REJECTED,
    (S.SUBMITTED, E.NOT_SENT): S.NOT_SENT,
    (S.SUBMITTED, E.OUTCOME_LOST): S.UNKNOWN,  # Never assumed dead: ask by client id.
    (S.SUBMITTED, E.CANCEL_FAILED): S.UNKNOWN,
    (S.SUBMITTED, E.NOT_FOUND): S.NOT_SENT,
    # -- open
    (S.ACKNOWLEDGED, E.ACK): S.ACKNOWLEDGED,
    (S.ACKNOWLEDGED, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.ACKNOWLEDGED, E.FILL): S.FILLED,
    (S.ACKNOWLEDGED, E.CANCEL_REQUEST): S.PENDING_CANCEL,
    (S.ACKNOWLEDGED, E.CANCELLED): S.CANCELLED,
    (S.ACKNOWLEDGED, E.EXPIRE): S.EXPIRED,
    (S.ACKNOWLEDGED, E.OUTCOME_LOST): S.ACKNOWLEDGED,  # The response is lost, the user stream has told us.
    (S.ACKNOWLEDGED, E.CANCEL_FAILED): S.UNKNOWN,
    (S.ACKNOWLEDGED, E.NOT_FOUND): S.EXPIRED,  # It was there and is not any more; fills are fetched by trade id.
    (S.PARTIALLY_FILLED, E.ACK): S.PARTIALLY_FILLED,  # Late.
    (S.PARTIALLY_FILLED, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.PARTIALLY_FILLED, E.FILL): S.FILLED,
    (S.PARTIALLY_FILLED, E.CANCEL_REQUEST): S.PENDING_CANCEL,
    (S.PARTIALLY_FILLED, E.CANCELLED): S.CANCELLED,
    (S.PARTIALLY_FILLED, E.EXPIRE): S.EXPIRED,
    (S.PARTIALLY_FILLED, E.OUTCOME_LOST): S.PARTIALLY_FILLED,
    (S.PARTIALLY_FILLED, E.CANCEL_FAILED): S.UNKNOWN,
    (S.PARTIALLY_FILLED, E.NOT_FOUND): S.EXPIRED,
    # -- a cancel is on its way
    (S.PENDING_CANCEL, E.ACK): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, E.PARTIAL_FILL): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, E.FILL): S.FILLED,
    (S.PENDING_CANCEL, E.CANCEL_REQUEST): S.PENDING_CANCEL,
    (S.PENDING_CANCEL, E.CANCELLED): S.CANCELLED,
    (S.PENDING_CANCEL, E.EXPIRE): S.EXPIRED,
    (S.PENDING_CANCEL, E.REJECT): S.REJECTED,
    (S.PENDING_CANCEL, E.NOT_SENT): S.NOT_SENT,  # The cancel overtook its place in the engine.
    (S.PENDING_CANCEL, E.OUTCOME_LOST): S.UNKNOWN,
    (S.PENDING_CANCEL, E.CANCEL_FAILED): S.UNKNOWN,
    (S.PENDING_CANCEL, E.NOT_FOUND): S.NOT_SENT,
    # -- nobody told us
    (S.UNKNOWN, E.ACK): S.ACKNOWLEDGED,
    (S.UNKNOWN, E.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.UNKNOWN, E.FILL): S.FILLED,
    (S.UNKNOWN, E.CANCEL_REQUEST): S.UNKNOWN,  # Sent all the same; its answer is an answer about the order, too.
    (S.UNKNOWN, E.CANCELLED): S.CANCELLED,
    (S.UNKNOWN, E.EXPIRE): S.EXPIRED,
    (S.UNKNOWN, E.REJECT): S.REJECTED,
    (S.UNKNOWN, E.NOT_SENT): S.NOT_SENT,
    (S.UNKNOWN, E.OUTCOME_LOST): S.UNKNOWN,
    (S.UNKNOWN, E.CANCEL_FAILED): S.UNKNOWN,
    (S.UNKNOWN, E.NOT_FOUND): S.NOT_SENT,
    # -- closed. Late fills are booked all the same; the order stays closed, or turns out to be full.
    (S.FILLED, E.ACK): S.FILLED,
    (S.FILLED, E.CANCEL_REQUEST): S.FILLED,
    (S.FILLED, E.OUTCOME_LOST): S.FILLED,
    (S.FILLED, E.CANCEL_FAILED): S.FILLED,
    (S.FILLED, E.FILL): S.FILLED,  # The order's own state arrives after its fills,
    (S.FILLED, E.PARTIAL_FILL): S.FILLED,  # … or before them.
    (S.CANCELLED, E.ACK): S.CANCELLED,
    (S.CANCELLED, E.PARTIAL_FILL): S.CANCELLED,
    (S.CANCELLED, E.FILL): S.FILLED,
    (S.CANCELLED, E.CANCEL_REQUEST): S.CANCELLED,
    (S.CANCELLED, E.CANCELLED): S.CANCELLED,
    (S.CANCELLED, E.EXPIRE): S.CANCELLED,
    (S.CANCELLED, E.OUTCOME_LOST): S.CANCELLED,
    (S.CANCELLED, E.CANCEL_FAILED): S.CANCELLED,
    (S.CANCELLED, E.NOT_FOUND): S.CANCELLED,
    (S.EXPIRED, E.ACK): S.EXPIRED,
    (S.EXPIRED, E.PARTIAL_FILL): S.EXPIRED,
    (S.EXPIRED, E.FILL): S.FILLED,
    (S.EXPIRED, E.CANCEL_REQUEST): S.EXPIRED,
    (S.EXPIRED, E.CANCELLED): S.EXPIRED,
    (S.EXPIRED, E.EXPIRE): S.EXPIRED,
    (S.EXPIRED, E.OUTCOME_LOST): S.EXPIRED,
    (S.EXPIRED, E.CANCEL_FAILED): S.EXPIRED,
    (S.EXPIRED, E.NOT_FOUND): S.EXPIRED,
    (S.REJECTED, E.CANCEL_REQUEST): S.REJECTED,
    (S.REJECTED, E.CANCEL_FAILED): S.REJECTED,
    (S.REJECTED, E.REJECT): S.REJECTED,
    (S.REJECTED, E.EXPIRE): S.REJECTED,  # A venue may say REJECTED and EXPIRED of one post-only order.
    (S.REJECTED, E.OUTCOME_LOST): S.REJECTED,
    (S.REJECTED, E.NOT_FOUND): S.REJECTED,
    (S.REJECTED, E.PARTIAL_FILL): S.REJECTED,  # Contradiction: booked, cancelled, counted (desk.py).
    (S.REJECTED, E.FILL): S.FILLED,
    (S.NOT_SENT, E.CANCEL_REQUEST): S.NOT_SENT,
    (S.NOT_SENT, E.CANCEL_FAILED): S.NOT_SENT,
    (S.NOT_SENT, E.NOT_SENT): S.NOT_SENT,
    (S.NOT_SENT, E.OUTCOME_LOST): S.NOT_SENT,
    (S.NOT_SENT, E.NOT_FOUND): S.NOT_SENT,
    (S.NOT_SENT, E.PARTIAL_FILL): S.NOT_SENT,  # Contradiction, as above.
    (S.NOT_SENT, E.FILL): S.FILLED,
    (S.NOT_SENT, E.CANCELLED): S.CANCELLED,  # It had arrived after all, and is gone.
    (S.NOT_SENT, E.EXPIRE): S.EXPIRED,
    (S.NOT_SENT, E.REJECT): S.REJECTED,
}

TERMINAL: Final = frozenset({S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.NOT_SENT})
_EVENTS = len(OrderEvent)
REFUSED: Final = -1
NEXT_STATE: Final = tuple(int(TRANSITIONS.get((state, event), REFUSED)) for state in OrderState for event in OrderEvent)
"""The same table for the hot path: NEXT_STATE[state · len(OrderEvent) + event], REFUSED where there is no pair."""
IS_TERMINAL: Final = tuple(state in TERMINAL for state in OrderState)


class Leg(IntEnum):
    """What an order is for. Journaled."""

    SINGLE = 0  # a user's trigger or strategy: no pair
    OPEN = 1  # opens the open leg of a pair
    HEDGE = 2  # anything on the hedge leg
    UNWIND = 3  # takes the open leg back
    QUOTE = 4  # one rung of a strategy's grid


STRATEGY_LEGS: Final = frozenset({int(Leg.SINGLE), int(Leg.QUOTE)})


class Order:
    """One order of ours. Pooled: `reset` makes it new again."""

    __slots__ = (
        "asked_ns",
        "asks",
        "attempt",
        "cancel_sent_ns",
        "capital_e8",
        "claim_e8",
        "client_order_id",
        "closed_ns",
        "contradicted",
        "created_ns",
        "exchange_ns",
        "filled_lots",
        "filled_value",
        "flags",
        "index",
        "instrument_index",
        "is_quota_open",
        "is_taken",
        "leg",
        "next_ask_ns",
        "not_found_ns",
        "not_founds",
        "order_id",
        "order_type",
        "pair_id",
        "pair_sequence",
        "pending_counted",
        "price_ticks",
        "quantity_lots",
        "reason",
        "reserved_lots",
        "sent_ns",
        "side",
        "signal_id",
        "state",
        "strategy_index",
        "time_in_force",
        "updated_ns",
        "venue",
        "venue_filled_lots",
        "venue_order_id",
        "wants_cancel",
    )

    def __init__(self) -> None:
        self.index = 0  # place in the pool
        self.is_taken = False
        self.reset()

    def reset(self) -> None:
        """As good as new."""
        self.order_id = 0
        self.client_order_id = b""
        self.venue_order_id = 0
        self.instrument_index = NO_INSTRUMENT
        self.venue = 0
        self.side = 0
        self.order_type = 0
        self.time_in_force = 0
        self.price_ticks = 0
        self.quantity_lots = 0
        self.filled_lots = 0  # booked
        self.filled_value = 0  # Σ ticks · lots of the booked fills
        self.venue_filled_lots = 0  # as the venue counts
        self.state = 0
        self.flags = 0
        self.leg = 0
        self.pair_id = NO_PAIR
        self.pair_sequence = 0
        self.signal_id = 0
        self.strategy_index = 0
        self.exchange_ns = 0
        self.created_ns = 0
        self.sent_ns = 0
        self.updated_ns = 0
        self.closed_ns = 0
        self.attempt = 0
        self.reason = 0
        self.reserved_lots = 0
        self.capital_e8 = 0
        self.claim_e8 = 0  # what it will take from a spot wallet
        self.is_quota_open = False
        self.pending_counted = False
        self.wants_cancel = False
        self.cancel_sent_ns = 0
        self.contradicted = False
        self.asks = 0  # queries sent since the last definite answer
        self.asked_ns = 0
        self.next_ask_ns = 0  # 0: nothing to ask
        self.not_founds = 0  # believable "no such order" answers
        self.not_found_ns = 0

    @property
    def is_closed(self) -> bool:
        """True in a terminal state."""
        return IS_TERMINAL[self.state]

    @property
    def remaining_lots(self) -> int:
        """What may still be filled: the rest of a live order, or the fills that a closed one has not shown us yet."""
        if IS_TERMINAL[self.state]:
            missing = self.venue_filled_lots - self.filled_lots
            return missing if missing > 0 else 0
        return self.quantity_lots - self.filled_lots

    @property
    def is_settled(self) -> bool:
        """Closed, and every fill that the venue counts is booked."""
        return IS_TERMINAL[self.state] and self.venue_filled_lots <= self.filled_lots

    def apply_event(self, event: int) -> bool:
        """Moves the state. False: refused, nothing changed; the caller counts it."""
        state = NEXT_STATE[self.state * _EVENTS + event]
        if state < 0:
            return False
        self.state = state
        return True


ORDERS_MAX = 4096  # Live orders of one instance: venues allow a few hundred per symbol.
CLOSED_KEPT_MAX = 8192  # Settled orders stay known for late reports; the oldest is forgotten first.


class Orders:
    """Every order that may still be heard of, by our id, by the venue's, by client id and by instrument."""

    def __init__(
        self, ids: ClientIds, instrument_count: int, orders_max: int = ORDERS_MAX, closed_kept_max: int = CLOSED_KEPT_MAX
    ) -> None:
        self._ids = ids
        self._pool = [Order() for _ in range(orders_max + closed_kept_max)]
        for index, order in enumerate(self._pool):
            order.index = index
        self._free = list(range(len(self._pool) - 1, -1, -1))
        self._closed: deque[Order] = deque()
        self._closed_kept_max = max(1, closed_kept_max)  # The one that has just settled is still being looked at.
        self.orders_max = orders_max
        self.by_id: dict[int, Order] = {}
        self.unsettled: dict[int, Order] = {}
        self.unsettled_of: list[dict[int, Order]] = [{} for _ in range(instrument_count)]
        self._by_venue_id: list[dict[int, Order]] = [{} for _ in range(instrument_count)]
        self.illegal = 0

    def try_take(self, order_id: int, instrument_index: int) -> Order | None:
        """A fresh order under its id; None: the pool is exhausted (too many live orders)."""
        if not self._free or len(self.unsettled) >= self.orders_max:
            return None
        order = self._pool[self._free.pop()]
        order.is_taken = True
        order.order_id = order_id
        order.instrument_index = instrument_index
        self.by_id[order_id] = order
        self.unsettled[order_id] = order
        self.unsettled_of[instrument_index][order_id] = order
        return order

    def glance(self) -> None:
        """Warms the order that would be taken next."""
        if self._free:
            self._pool[self._free[-1]].reset()  # As it is already.

    def by_client_id(self, client_order_id: str) -> Order | None:
        """The order with this client id, None if it is not ours or not known."""
        return self.by_id.get(self._ids.order_id(client_order_id))

    def by_venue_id(self, instrument_index: int, venue_order_id: int) -> Order | None:
        """The order that the venue calls so."""
        return self._by_venue_id[instrument_index].get(venue_order_id) if instrument_index < len(self._by_venue_id) else None

    def learn_venue_id(self, order: Order, venue_order_id: int) -> None:
        """The venue's number for an order, from whatever report brought it first."""
        if venue_order_id and not order.venue_order_id:
            order.venue_order_id = venue_order_id
            self._by_venue_id[order.instrument_index][venue_order_id] = order

    def settle(self, order: Order) -> bool:
        """The order is over: only late reports will look it up. Forgets the oldest settled one beyond the limit. False: it had
        been settled before."""
        assert IS_TERMINAL[order.state], "only a closed order may be put away"
        assert order.venue_filled_lots <= order.filled_lots, "only an order whose fills are booked may be put away"
        order_id = order.order_id
        if self.unsettled.pop(order_id, None) is None:
            return False
        del self.unsettled_of[order.instrument_index][order_id]
        closed = self._closed
        closed.append(order)
        while len(closed) > self._closed_kept_max:
            oldest = closed.popleft()
            if not IS_TERMINAL[oldest.state] or oldest.venue_filled_lots > oldest.filled_lots:
                continue  # It came back to life meanwhile (reopen); it will be settled again.
            self.by_id.pop(oldest.order_id, None)
            self._by_venue_id[oldest.instrument_index].pop(oldest.venue_order_id, None)
            oldest.is_taken = False
            oldest.reset()  # Here, so that nobody has to wait for it when the next order is wanted.
            self._free.append(oldest.index)
        return True

    def reopen(self, order: Order) -> None:
        """A settled order of which the venue counts more than we have booked: unsettled again."""
        if order.order_id not in self.unsettled:
            self._closed.remove(order)
            self.unsettled[order.order_id] = order
            self.unsettled_of[order.instrument_index][order.order_id] = order

    def live_of(self, instrument_index: int) -> Iterator[Order]:
        """Orders of one instrument that are not closed."""
        return (order for order in self.unsettled_of[instrument_index].values() if not IS_TERMINAL[order.state])

    def live(self) -> Iterator[Order]:
        """All orders that are not closed."""
        return (order for order in self.unsettled.values() if not IS_TERMINAL[order.state])


FILLS_KEPT_MAX = 50_000  # Trade ids per instrument; older ones count as booked (ids grow per symbol).


class FillMemory:
    """Which of the venue's trades are booked, per instrument.

    A trade with ourselves gives one trade id to two fills of ours, one per side: hence the side in the key.
    """

    def __init__(self, instrument_count: int, kept_max: int = FILLS_KEPT_MAX) -> None:
        self._booked: list[set[int]] = [set() for _ in range(instrument_count)]
        self._in_order: list[deque[int]] = [deque() for _ in range(instrument_count)]  # Likewise, oldest first.
        self._fee_due: list[set[int]] = [set() for _ in range(instrument_count)]
        self._floor = [0] * instrument_count
        self._kept_max = kept_max
        self.newest = [0] * instrument_count  # largest trade id booked

    def try_book(self, instrument_index: int, trade_id: int, side: int) -> bool:
        """True the first time; False: booked already."""
        booked = self._booked[instrument_index]
        key = trade_id * 2 + (side > 0)
        if key in booked or trade_id <= self._floor[instrument_index]:
            return False
        booked.add(key)
        in_order = self._in_order[instrument_index]
        in_order.append(key)
        if trade_id > self.newest[instrument_index]:
            self.newest[instrument_index] = trade_id
        if len(in_order) > self._kept_max:
            oldest = in_order.popleft()
            booked.discard(oldest)
            self._fee_due[instrument_index].discard(oldest)
            self._floor[instrument_index] = max(self._floor[instrument_index], oldest // 2)
        return True

    def remember(self, rows: Iterable[tuple[int, int, int]], newest: Sequence[int], *, is_whole: bool) -> None:
        """(instrument, trade id, side) that are booked already, oldest first; `is_whole`: there are no others."""
        for index, trade_id, side in rows:
            key = trade_id * 2 + (side > 0)
            if key not in self._booked[index]:
                self._booked[index].add(key)
                self._in_order[index].append(key)
        self.newest[:] = newest
        if not is_whole:
            for index, booked in enumerate(self._booked):
                self._floor[index] = min(booked, default=2 * newest[index] + 2) // 2 - 1

    def is_booked(self, instrument_index: int, trade_id: int, side: int) -> bool:
        """True if `try_book` would say no, and no fee is due for it."""
        key = trade_id * 2 + (side > 0)
        if key in self._fee_due[instrument_index]:
            return False
        return key in self._booked[instrument_index] or trade_id <= self._floor[instrument_index]

    def expect_fee(self, instrument_index: int, trade_id: int, side: int) -> None:
        """The fill came early and without its fee; the same trade will come again with it."""
        self._fee_due[instrument_index].add(trade_id * 2 + (side > 0))

    def take_fee(self, instrument_index: int, trade_id: int, side: int) -> bool:
        """True once, for a booked fill whose fee was due."""
        due = self._fee_due[instrument_index]
        key = trade_id * 2 + (side > 0)
        if key in due:
            due.remove(key)
            return True
        return False

    def has_fees_due(self) -> bool:
        """True while a booked fill lacks its fee: balances cannot be compared yet."""
        return any(self._fee_due)
