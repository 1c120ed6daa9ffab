"""The stages after the venue has spoken: PositionUpdate → RiskQuotaUpdate → HedgeTriggerCheck → PnLCalculation →
StatePersistence. What booked a fill once (orders.FillMemory) stands before them: a fill that gets here is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from reactor.domain.messages import Reason
from reactor.prepost.pipeline import ENDS, FILLS, PostStage, post_stage

if TYPE_CHECKING:
    from reactor.prepost.pipeline import Outcome

NONE: Final = int(Reason.NONE)


@mypyc_attr(allow_interpreted_subclasses=True)
class PositionUpdate(PostStage):
    """Position, the pair's legs, expected balances."""

    name = "position_update"
    hears = FILLS

    def run(self, outcome: Outcome) -> int:
        lots = outcome.fill_lots
        desk, terms = self.desk, outcome.terms
        index = terms.index
        balances = desk.balances
        if lots:
            side, ticks = outcome.side, outcome.price_ticks
            if outcome.is_foreign:
                desk.foreign_base_e8[index] += side * lots * terms.lot_base_e8
            else:
                position = desk.positions[index]
                outcome.realised_e8 = position.quote_of(position.apply_fill(side, lots, ticks))
                pair = outcome.pair
                if pair is not None:
                    leg = pair.hedge_position if index == pair.hedge.index else pair.open_position
                    leg.apply_fill(side, lots, ticks)
            if not terms.is_perpetual:
                balances.apply_spot_fill(terms, side, lots, ticks)
        if terms.is_perpetual and not outcome.is_lite:
            # The venue's own figure: fills may be booked in another order than they were made, and it rounds in its own way.
            outcome.realised_e8 = outcome.venue_realised_e8
            balances.apply_realised(terms, outcome.venue_realised_e8)
        if outcome.fee_e8:
            self._book_fee(outcome)
        desk.touch(index)
        return NONE

    def _book_fee(self, outcome: Outcome) -> None:
        """In its own asset for the balances; in quote units for the PnL. A fee in the traded coin shrinks the position."""
        desk, terms, fee_e8, asset = self.desk, outcome.terms, outcome.fee_e8, outcome.asset
        desk.balances.apply_fee(terms.venue, asset, fee_e8)
        if outcome.is_foreign:
            return
        position, pair = desk.positions[terms.index], outcome.pair
        leg = None if pair is None else pair.hedge_position if terms.index == pair.hedge.index else pair.open_position
        if asset == terms.base_asset and not terms.is_perpetual:
            ticks = outcome.price_ticks
            before_e8 = position.fees_e8
            position.apply_base_fee(fee_e8, ticks)
            outcome.fee_quote_e8 = position.fees_e8 - before_e8
            if leg is not None:
                leg.apply_base_fee(fee_e8, ticks)
            return
        outcome.fee_quote_e8 = quote_e8 = desk.money.in_quote_e8(fee_e8, asset, terms)
        position.fees_e8 += quote_e8
        if leg is not None:
            leg.fees_e8 += quote_e8


@mypyc_attr(allow_interpreted_subclasses=True)
class RiskQuotaUpdate(PostStage):
    """Filled quota becomes position; a settled order gives the rest back, once."""

    name = "risk_quota_update"
    hears = ENDS | FILLS

    def run(self, outcome: Outcome) -> int:
        order = outcome.order
        if order is None:
            return NONE
        quota = self.desk.quota
        if outcome.fill_lots:
            quota.convert(order, outcome.fill_lots)
        if outcome.is_settled and order.is_quota_open:
            lots, capital_e8 = order.reserved_lots, order.capital_e8
            quota.restore(order)
            if order.state == outcome.state_from and not outcome.fill_lots:  # Otherwise the order's own entry says it.
                self.desk.out.journal_quota(order, -lots, -capital_e8)
        return NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class HedgeTriggerCheck(PostStage):
    """Asks the pair's ledger what is to hedge now, and lets hedging.py say so or do so."""

    name = "hedge_trigger_check"
    hears = ENDS | FILLS

    def run(self, outcome: Outcome) -> int:
        pair = outcome.pair
        if pair is not None:
            self.desk.hedging.on_outcome(pair, outcome)
        return NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class PnLCalculation(PostStage):
    """Totals of the portfolio that a fill has moved."""

    name = "pnl_calculation"
    hears = FILLS

    def run(self, outcome: Outcome) -> int:
        if not outcome.is_foreign:
            self.desk.money.revalue(outcome.terms.index)
        return NONE


@mypyc_attr(allow_interpreted_subclasses=True)
class StatePersistence(PostStage):
    """Transitions and fills go to the journal; whoever follows the order hears of it."""

    name = "state_persistence"

    def run(self, outcome: Outcome) -> int:
        out = self.desk.out
        if outcome.fill_lots or outcome.is_fee_only:
            out.journal_fill(outcome)
        order = outcome.order
        if order is None:
            return NONE
        if order.state != outcome.state_from or outcome.fill_lots:
            way = outcome.way
            report_ns = self.desk.now_ns if way else 0
            out.journal_order(order, outcome.state_from, outcome.event, outcome.reason, way, report_ns)
        return NONE


for _stage in (
    PositionUpdate,
    RiskQuotaUpdate,
    HedgeTriggerCheck,
    PnLCalculation,
    StatePersistence,
):
    post_stage(_stage)
