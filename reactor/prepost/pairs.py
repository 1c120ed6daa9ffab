"""The arbitrage pair: an open leg (spot) and a hedge leg (perpetual), its states as a table, its one hedge ledger.

    target   = −(open leg) while the pair is opening or open, 0 while it is closing or unwinding
    required = target − done − in flight, in the hedge venue's lots, rounded to the nearest

`done` is what the hedge leg has filled, `in flight` what its unsettled orders may still fill. The ledger runs on totals, not
on single fills: what is under the venue's minimum stays in the difference and is carried into the next hedge, and a fee paid
in the bought coin is simply a smaller open leg. Whoever asks for a hedge (the collector's event, the watchdog, a timer) is
checked against it, so a fill is hedged exactly once.

             OPEN_SENT          LEGS_MATCH             CLOSE             FLAT
        IDLE ─────────▶ OPENING ──────────▶ OPEN ─────────────▶ CLOSING ──────▶ IDLE
                          │ NOTHING_FILLED ▶ IDLE                 │
                          └──────── HEDGE_FAILED ───▶ UNWINDING ◀─┘   (the instrument is halted)
                                                         │ FLAT ▶ IDLE
             STUCK: the open leg cannot be closed either ┴──────▶ OPEN, hedged and halted: the trader must look

Fills forced by the venue (liquidation, auto-deleveraging) change the legs like any other; the ledger rebalances the pair.
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final

from reactor.domain.units import E8
from reactor.prepost.orders import Leg, Order
from reactor.prepost.parameters import PairParameters
from reactor.prepost.positions import Position
from reactor.prepost.terms import Clip, Terms

MS: Final = 1_000_000


class PairState(IntEnum):
    """Journaled and published: never renumber."""

    IDLE = 0
    OPENING = 1
    OPEN = 2
    CLOSING = 3
    UNWINDING = 4


class PairEvent(IntEnum):
    """What happens to a pair."""

    OPEN_SENT = 0  # an opening order was accepted
    NOTHING_FILLED = 1  # it ended, and nothing is left that could be traded
    LEGS_MATCH = 2  # it ended, and the hedge leg is where it should be
    TOO_SMALL = 3  # it ended with less than the hedge venue lets us hedge
    CLOSE = 4
    HEDGE_FAILED = 5
    FLAT = 6  # both legs are below what their venues let us trade
    STUCK = 7
    RESUME = 8  # fills came for an idle pair (late, forced, or adopted): it has legs again


S = PairState
E = PairEvent

TRANSITIONS: Final[Mapping[tuple[PairState, PairEvent], PairState]] = {
    (S.IDLE, E.OPEN_SENT): S.OPENING,
    (S.IDLE, E.RESUME): S.OPEN,
    (S.OPENING, E.OPEN_SENT): S.OPENING,  # A re-quote.
    (S.OPENING, E.NOTHING_FILLED): S.IDLE,
    (S.OPENING, E.LEGS_MATCH): S.OPEN,
    (S.OPENING, E.TOO_SMALL): S.CLOSING,
    (S.OPENING, E.CLOSE): S.CLOSING,
    (S.OPENING, E.HEDGE_FAILED): S.UNWINDING,
    (S.OPEN, E.OPEN_SENT): S.OPENING,  # One more clip.
    (S.OPEN, E.CLOSE): S.CLOSING,
    (S.OPEN, E.HEDGE_FAILED): S.UNWINDING,
    (S.OPEN, E.FLAT): S.IDLE,  # Forced fills and their rebalancing left nothing.
    (S.CLOSING, E.CLOSE): S.CLOSING,
    (S.CLOSING, E.HEDGE_FAILED): S.UNWINDING,
    (S.CLOSING, E.FLAT): S.IDLE,
    (S.CLOSING, E.STUCK): S.OPEN,
    (S.UNWINDING, E.CLOSE): S.UNWINDING,
    (S.UNWINDING, E.HEDGE_FAILED): S.UNWINDING,
    (S.UNWINDING, E.FLAT): S.IDLE,
    (S.UNWINDING, E.STUCK): S.OPEN,
}


class Pair:
    """One pair's legs, orders and state. Decides nothing about time or the world: hedging.py asks it."""

    def __init__(self, pair_id: int, parameters: PairParameters, open_leg: Terms, hedge_leg: Terms) -> None:
        self.pair_id = pair_id
        self.parameters = parameters
        self.open = open_leg
        self.hedge = hedge_leg
        self.clip = Clip(0, (open_leg, hedge_leg), 0)  # the desk's configuration says how large one is
        self.state = int(PairState.IDLE)
        self.sequence = 0  # round trips begun
        self.direction = 0
        self.illegal = 0
        # Our legs over all round trips, exact: what a close leaves below a minimum is carried here.
        self.open_position = Position(open_leg)
        self.hedge_position = Position(hedge_leg)
        # Whether the venue, which knows no pairs, sees so many lots of an instrument as reducing (hedging.py sets it).
        self.may_reduce: Callable[[Terms, int], bool] = lambda terms, lots: True
        self.orders: dict[int, Order] = {}  # unsettled orders of this pair
        self.was_hedged = False  # something was hedged in this round trip: it counts as opened
        self.is_opened_reported = False
        self.clips = 0
        self.requotes = 0
        self.opening_until_ns = 0
        self.opening_lots_left = 0  # of a maker leg: what may still be quoted
        self.opened_ns = 0
        self.opened_wall_ns = 0
        self.entry_spread_e8 = 0
        self.exit_reason = 0
        self.pnl_start_e8 = 0
        self.fees_start_e8 = 0
        self.funding_start_e8 = 0
        # The hedge conversation.
        self.echo_due_ns = 0  # a required hedge was reported and not seen back yet
        self.hedge_attempts = 0  # that brought nothing
        self.hedge_refusals = 0  # of these, those that reached the venue
        self.hedge_retry_ns = 0
        self.naked_since_ns = 0  # since when something is required
        self.unwind_attempts = 0
        self.unwind_retry_ns = 0

    def apply_event(self, event: int) -> bool:
        """Moves the state. False: refused and counted."""
        state = TRANSITIONS.get((PairState(self.state), PairEvent(event)))
        if state is None:
            self.illegal += 1
            return False
        self.state = int(state)
        return True

    # ---- the ledger

    @property
    def is_leaving(self) -> bool:
        """True while both legs go to zero."""
        return self.state in (PairState.CLOSING, PairState.UNWINDING)

    def in_flight_e8(self, leg: int) -> int:
        """What unsettled orders of the leg may still fill, signed, in 1e-8 of the base asset."""
        total = 0
        for order in self.orders.values():
            if order.leg == leg:
                total += order.side * order.remaining_lots
        return total * (self.hedge if leg == Leg.HEDGE else self.open).lot_base_e8

    def required_hedge_lots(self) -> int:
        """target − done − in flight, signed, in hedge lots. Minimums are not looked at here."""
        target_e8 = 0 if self.is_leaving else -self.open_position.base_e8
        return self.hedge.lots_nearest(target_e8 - self.hedge_position.base_e8 - self.in_flight_e8(Leg.HEDGE))

    def is_hedge_reducing(self, lots: int) -> bool:
        """True if `lots` (signed) only take back what the hedge leg has, for the venue too."""
        done_e8 = self.hedge_position.base_e8
        is_back = done_e8 != 0 and (done_e8 > 0) != (lots > 0) and abs(lots) * self.hedge.lot_base_e8 <= abs(done_e8)
        return is_back and self.may_reduce(self.hedge, lots)

    def tradable_hedge_lots(self, ticks: int) -> int:
        """Required hedge as far as the venue's minimums allow it at `ticks`; 0: nothing, or carried."""
        lots = self.required_hedge_lots()
        if lots == 0:
            return 0
        if not self.hedge.is_tradable(abs(lots), ticks, is_reducing=self.is_hedge_reducing(lots)):
            return 0
        return lots

    def unwind_lots(self) -> int:
        """What the open leg still has to take back, signed, in whole open lots inside the position, less what is in flight."""
        return self.open.lots_within(-self.open_position.base_e8 - self.in_flight_e8(Leg.UNWIND))

    def tradable_unwind_lots(self, ticks: int) -> int:
        """`unwind_lots` as far as the venue's minimums allow it at `ticks`."""
        lots = self.unwind_lots()
        return lots if lots and self.open.is_tradable(abs(lots), ticks) else 0

    def has_orders(self, *legs: int) -> bool:
        """True if an unsettled order of one of the legs exists (of any leg if none is named)."""
        return any(not legs or order.leg in legs for order in self.orders.values())

    def carried_e8(self) -> int:
        """Open leg that is not hedged (> 0 long), in 1e-8 of the base asset."""
        return self.open_position.base_e8 + self.hedge_position.base_e8

    # ---- money

    @property
    def realised_pnl_e8(self) -> int:
        """Prices only, over all round trips."""
        return self.open_position.realised_pnl_e8 + self.hedge_position.realised_pnl_e8

    @property
    def fees_e8(self) -> int:
        """Both legs, quote units, over all round trips."""
        return self.open_position.fees_e8 + self.hedge_position.fees_e8

    @property
    def funding_e8(self) -> int:
        """Received, quote units, over all round trips."""
        return self.hedge_position.funding_e8

    def round_trip(self) -> tuple[int, int, int]:
        """(realised, fees, funding) of this round trip, quote units · 1e8."""
        return (
            self.realised_pnl_e8 - self.pnl_start_e8,
            self.fees_e8 - self.fees_start_e8,
            self.funding_e8 - self.funding_start_e8,
        )

    def begin(self, direction: int, now_ns: int, wall_ns: int) -> None:
        """A new round trip starts. What was carried stays in the legs."""
        self.sequence += 1
        self.direction = direction
        self.clips = 0
        self.requotes = 0
        self.was_hedged = False
        self.is_opened_reported = False
        self.opened_ns = now_ns
        self.opened_wall_ns = wall_ns
        self.entry_spread_e8 = 0
        self.exit_reason = 0
        self.pnl_start_e8 = self.realised_pnl_e8
        self.fees_start_e8 = self.fees_e8
        self.funding_start_e8 = self.funding_e8
        self.calm()

    def end(self) -> None:
        """The round trip is over."""
        self.direction = 0
        self.opened_ns = 0
        self.opened_wall_ns = 0
        self.calm()

    def calm(self) -> None:
        """Nothing is due and nothing has failed."""
        self.echo_due_ns = 0
        self.hedge_attempts = 0
        self.hedge_refusals = 0
        self.hedge_retry_ns = 0
        self.naked_since_ns = 0
        self.unwind_attempts = 0
        self.unwind_retry_ns = 0

    def entry_spread(self) -> int:
        """The spread captured at entry · 1e8: hedge price / open price − 1, seen from a short perpetual."""
        open_ticks_e8 = self.open_position.entry_price_ticks_e8
        hedge_ticks_e8 = self.hedge_position.entry_price_ticks_e8
        if open_ticks_e8 <= 0 or hedge_ticks_e8 <= 0:
            return 0
        open_price = open_ticks_e8 * self.open.tick_numerator * self.hedge.tick_denominator
        hedge_price = hedge_ticks_e8 * self.hedge.tick_numerator * self.open.tick_denominator
        return (hedge_price - open_price) * E8 // open_price
