"""The stages before an order exists: SignalAgeCheck → RiskControl → PositionLimit → OrderConstruction → PriorityAssignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from reactor.domain.messages import (
    FLAG_HEDGE,
    FLAG_REDUCE_ONLY,
    FLAG_URGENT,
    OrderType,
    Reason,
    TimeInForce,
)
from reactor.domain.units import E8
from reactor.prepost.pipeline import PreStage, pre_stage
from reactor.prepost.risk import MS, SURELY, Check, e8_of

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk
    from reactor.prepost.pipeline import Decision

NONE: Final = int(Reason.NONE)
SIGNAL_TOO_OLD: Final = int(Reason.SIGNAL_TOO_OLD)
POSITION_LIMIT: Final = int(Reason.POSITION_LIMIT)
BELOW_MINIMUM: Final = int(Reason.BELOW_MINIMUM)
NO_BOOK: Final = int(Reason.NO_BOOK)
FILTER_PRICE: Final = int(Reason.FILTER_PRICE)
FILTER_LOT: Final = int(Reason.FILTER_LOT)
BACKPRESSURE: Final = int(Reason.BACKPRESSURE)
MARKET_CLOSED: Final = int(Reason.MARKET_CLOSED)
ORDER_TYPE_MARKET: Final = int(OrderType.MARKET)
TIF_POST_ONLY: Final = int(TimeInForce.POST_ONLY)
NORMAL: Final = 0
URGENT: Final = 1


@mypyc_attr(allow_interpreted_subclasses=True)
class SignalAgeCheck(PreStage):
    """A decision on old news is not carried out."""

    name = "signal_age_check"
    runs_on_fast_path = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._age_ns_max = int(desk.parameters.risk.signal_age_ms_max * MS)

    def run(self, decision: Decision) -> int:
        origin_ns = decision.origin_ns
        return SIGNAL_TOO_OLD if origin_ns and decision.now_ns - origin_ns > self._age_ns_max else NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class RiskControl(PreStage):
    """The rules that look at a decision, in the configured order; the first no is the answer."""

    name = "risk_control"

    def run(self, decision: Decision) -> int:
        rules = self.desk.rules
        if decision.is_fast:
            checks = rules.decision_fast
        elif rules.covers(decision):
            checks = rules.decision_uncovered
        else:
            checks = rules.decision
        for check in checks:
            reason = check(decision)
            if reason:
                return reason
        return NONE

    def glance(self, decision: Decision) -> None:
        """The rules of the house at once; a user's rule is asked about real decisions only."""
        self.desk.rules.covers(decision)


@mypyc_attr(allow_interpreted_subclasses=True)
class PositionLimit(PreStage):
    """Position per instrument in clips, what live orders may add included."""

    name = "position_limit"
    runs_on_fast_path = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        risk = desk.parameters.risk
        self._clips_max = risk.position_clips_max
        self._quote_max = float(risk.position_clips_max * e8_of(risk.clip_usdt))

    def run(self, decision: Decision) -> int:
        if not decision.is_opening:
            return NONE
        desk, terms = self.desk, decision.terms
        index = terms.index
        quota = desk.quota.of[index]
        reserved_lots = quota.buy_lots if decision.side > 0 else quota.sell_lots
        position_e8 = desk.positions[index].base_e8
        after_e8 = abs(position_e8 + decision.side * (reserved_lots * terms.lot_base_e8 + decision.base_e8))
        if after_e8 <= abs(position_e8):
            return NONE
        priced = terms if decision.pair is None else decision.pair.open  # a clip is a sum of money at its mark
        mark_ticks = desk.money.mark_ticks(priced.index)
        worth = float(after_e8) * float(mark_ticks * priced.tick_numerator)
        if mark_ticks and worth <= SURELY * self._quote_max * float(priced.tick_denominator):
            return NONE  # A clip is at least `clip_usdt`, so this many fit without asking how many it is rounded up to.
        clip_e8 = self._clip_e8(decision)
        if clip_e8 == 0:
            return NO_BOOK
        return POSITION_LIMIT if after_e8 > self._clips_max * clip_e8 else NONE

    def glance(self, decision: Decision) -> None:
        """It only compares."""
        self.run(decision)

    def _clip_e8(self, decision: Decision) -> int:
        desk, pair = self.desk, decision.pair
        mark_ticks = desk.money.mark_ticks
        if pair is None:
            return desk.clips[decision.terms.index].base_e8((mark_ticks(decision.terms.index),))
        return pair.clip.base_e8((mark_ticks(pair.open.index), mark_ticks(pair.hedge.index)))


@mypyc_attr(allow_interpreted_subclasses=True)
class OrderConstruction(PreStage):
    """Price, filters, collar; then the order exists and has its client order id."""

    name = "order_construction"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._collar_e8 = e8_of(desk.parameters.risk.price_collar_ratio)
        self._age_ns = desk.parameters.construction.book_age_ms_max * MS
        self._hedge_age_ns = desk.parameters.construction.hedge_book_age_ms_max * MS

    def run(self, decision: Decision) -> int:
        rules = self.desk.rules
        reason = self._refusal(decision, rules.order_fast if decision.is_fast else rules.order)
        if reason:
            return reason
        order = self.desk.new_order(decision)
        if order is None:
            return BACKPRESSURE
        decision.order = order
        return NONE

    def glance(self, decision: Decision) -> None:
        """Price, filters, collar; no order."""
        self._refusal(decision, self.desk.rules.order_ours)

    def _refusal(self, decision: Decision, checks: tuple[Check, ...]) -> int:
        """Gives the decision its price; NONE if an order may be made of it."""
        desk, terms, is_fast = self.desk, decision.terms, decision.is_fast
        if not terms.is_trading and not is_fast:
            return MARKET_CLOSED
        bid = ask = age_ns = is_synchronised = 0
        top = desk.read_top(terms.index)
        if top is not None:
            bid, ask, receive_ns, is_synchronised = top
            age_ns = decision.now_ns - receive_ns
        if bid > 0 and ask > 0 and is_synchronised and age_ns <= (self._hedge_age_ns if is_fast else self._age_ns):
            decision.bid_ticks = bid
            decision.ask_ticks = ask
            desk.money.marks[terms.index] = (bid + ask) // 2
        elif is_fast and decision.reference_ticks > 0:  # A stale feed must not keep a leg naked.
            decision.bid_ticks = decision.ask_ticks = decision.reference_ticks
        else:
            return NO_BOOK
        price = decision.price_ticks
        if decision.order_type == ORDER_TYPE_MARKET:
            priced_at = decision.ask_ticks if decision.side > 0 else decision.bid_ticks
        else:
            if price == 0:
                price = decision.price_ticks = self._price(decision)
            if not terms.price_ticks_min <= price <= terms.price_ticks_max:
                return FILTER_PRICE
            priced_at = price
        lots = decision.quantity_lots
        if lots > terms.lots_max:
            return FILTER_LOT
        decision.notional_e8 = notional_e8 = terms.quote_e8(priced_at, lots * terms.lot_base_e8)
        if lots < terms.lots_min:
            return BELOW_MINIMUM
        # A reduce-only order on futures may be of any notional; all others keep to the venue's minimum.
        if notional_e8 < terms.notional_min_e8 and not (terms.is_perpetual and decision.flags & FLAG_REDUCE_ONLY):
            return BELOW_MINIMUM
        for check in checks:
            reason = check(decision)
            if reason:
                return reason
        return NONE

    def _price(self, decision: Decision) -> int:
        """Taker: through the opposite touch, but not beyond the collar. Maker: our own touch."""
        bid, ask = decision.bid_ticks, decision.ask_ticks
        if decision.time_in_force == TIF_POST_ONLY:
            return bid if decision.side > 0 else ask
        if decision.side > 0:
            return min(ask + decision.through_ticks, ask + ask * self._collar_e8 // E8)
        return max(1, bid - decision.through_ticks, bid - bid * self._collar_e8 // E8)


@mypyc_attr(allow_interpreted_subclasses=True)
class PriorityAssignment(PreStage):
    """Hedges, unwinds and closes overtake."""

    name = "priority_assignment"

    def run(self, decision: Decision) -> int:
        if decision.is_fast:
            decision.lane = URGENT
            order = decision.order
            if order is not None:
                order.flags |= FLAG_URGENT | (0 if decision.is_opening else FLAG_HEDGE)
        else:
            decision.lane = NORMAL
        return NONE


for _stage in (
    SignalAgeCheck,
    RiskControl,
    PositionLimit,
    OrderConstruction,
    PriorityAssignment,
):
    pre_stage(_stage)
