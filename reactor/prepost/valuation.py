"""What the desk is worth and what it risks: marks, exposure, equity, PnL of the day. Live numbers for rules and screens.

    exposure   Σ position · mark over all instruments: |net delta| is what a price move of the coin would do to us
    equity     wallets at marks, inventory included, plus unrealised futures PnL, in the quote currency
    day        realised + unrealised − fees + funding since 00:00 UTC

A fill moves the totals at once (`revalue`), prices move them every `mark_period_ms` (`mark`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reactor.domain.instrument import VENUE_NAMES
from reactor.domain.messages import Reason
from reactor.domain.units import E8
from reactor.prepost.counters import Counter
from reactor.prepost.kill_switch import RUNNING, Pull
from reactor.prepost.terms import Terms

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk
    from reactor.prepost.parameters import PrepostParameters

MS: Final = 1_000_000
DAY_NS: Final = 86_400_000_000_000
VENUES: Final = len(VENUE_NAMES)


class Valuation:
    """One for the desk: `desk.money`. All amounts in 1e-8 of the quote currency."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        count = len(desk.terms)
        self.marks = [0] * count  # last mid seen, ticks; 0: never
        self.equity_e8 = 0
        self.net_exposure_e8 = 0
        self.gross_exposure_e8 = 0
        self.unrealised_pnl_e8 = 0
        self.realised_pnl_e8 = 0
        self.fees_e8 = 0
        self.funding_e8 = 0
        self.daily_pnl_e8 = 0
        self.futures_equity_e8 = [0] * VENUES
        self.futures_gross_e8 = [0] * VENUES
        self.day_start_pnl_e8: int | None = None
        self._day = 0
        self._delta_e8 = [0] * count
        self._realised_of = [0] * count
        self._fees_of = [0] * count
        self._was_warned = False
        self._marked_ns = 0

    def configure(self, parameters: PrepostParameters) -> None:
        """New limits."""
        self._mark_period_ns = parameters.construction.mark_period_ms * MS
        self._exposure_warning = parameters.risk.exposure_ratio_warning
        self._daily_loss_e8_max = round(parameters.risk.daily_loss_usdt_max * E8)

    # ---- prices

    def mark_ticks(self, instrument_index: int) -> int:
        """The last mid that was seen, else the average entry; 0: no price at all."""
        mark = self.marks[instrument_index]
        if mark:
            return mark
        top = self._desk.tops(instrument_index)
        if top is not None and top.bid_ticks > 0 and top.ask_ticks > 0:
            mark = self.marks[instrument_index] = (top.bid_ticks + top.ask_ticks) // 2
            return int(mark)
        return self._desk.positions[instrument_index].entry_price_ticks_e8 // E8

    def in_quote_e8(self, amount_e8: int, asset: str, terms: Terms) -> int:
        """An amount of any asset in the instrument's quote units; 0 (counted) if nothing here prices it."""
        if asset == terms.quote_asset or not asset:
            return amount_e8
        for other in self._desk.terms:
            if other.base_asset == asset and other.quote_asset == terms.quote_asset:
                return other.quote_e8(self.mark_ticks(other.index), amount_e8)
        self._desk.metrics.count(Counter.FEES_WITHOUT_PRICE)
        return 0

    # ---- totals

    def revalue(self, index: int) -> None:
        """Brings the totals up to date with one instrument's position and last mark."""
        desk = self._desk
        position, terms = desk.positions[index], desk.terms[index]
        delta_e8 = terms.quote_e8(self.mark_ticks(index), position.base_e8)
        before_e8 = self._delta_e8[index]
        self._delta_e8[index] = delta_e8
        self.net_exposure_e8 += delta_e8 - before_e8
        change_e8 = abs(delta_e8) - abs(before_e8)
        self.gross_exposure_e8 += change_e8
        if terms.is_perpetual:
            self.futures_gross_e8[terms.venue] += change_e8
        realised_e8 = position.realised_pnl_e8
        self.realised_pnl_e8 += realised_e8 - self._realised_of[index]
        self._realised_of[index] = realised_e8
        self.fees_e8 += position.fees_e8 - self._fees_of[index]
        self._fees_of[index] = position.fees_e8

    def mark(self, now_ns: int) -> None:
        """Everything from the current tops. Called every pass; works every `mark_period_ms`."""
        if now_ns - self._marked_ns < self._mark_period_ns and self._marked_ns:
            return
        self._marked_ns = now_ns
        desk, marks = self._desk, self.marks
        unrealised_e8 = 0
        futures_unrealised_e8 = [0] * VENUES
        for terms, position in zip(desk.terms, desk.positions, strict=True):
            index = terms.index
            top = desk.tops(index)
            if top is not None and top.bid_ticks > 0 and top.ask_ticks > 0:
                marks[index] = (top.bid_ticks + top.ask_ticks) // 2
            if position.base_e8 or self._delta_e8[index]:
                self.revalue(index)
                desk.dirty.add(index)
            if position.base_e8:
                part_e8 = position.unrealised_pnl_e8(marks[index])
                unrealised_e8 += part_e8
                if terms.is_perpetual:
                    futures_unrealised_e8[terms.venue] += part_e8
        self.unrealised_pnl_e8 = unrealised_e8
        self._value_wallets(futures_unrealised_e8)
        self._look_at_the_day()
        self._watch_limits()

    def _value_wallets(self, futures_unrealised_e8: list[int]) -> None:
        desk = self._desk
        total_e8 = 0
        for venue in desk.venues:
            wallet_e8 = 0
            for asset, amount_e8 in desk.balances.of_venue(venue).items():
                wallet_e8 += self._worth_e8(asset, amount_e8)
            self.futures_equity_e8[venue] = wallet_e8 + futures_unrealised_e8[venue]
            total_e8 += wallet_e8 + futures_unrealised_e8[venue]
        self.equity_e8 = total_e8

    def _worth_e8(self, asset: str, amount_e8: int) -> int:
        """What is a quote asset here counts at par, a base asset at its mark, the rest at nothing."""
        for terms in self._desk.terms:
            if terms.quote_asset == asset:
                return amount_e8
        for terms in self._desk.terms:
            if terms.base_asset == asset:
                return terms.quote_e8(self.mark_ticks(terms.index), amount_e8)
        return 0

    def _look_at_the_day(self) -> None:
        desk = self._desk
        day = desk.wall_ns // DAY_NS
        if day != self._day:
            if self._day:
                desk.trades_today = 0
                for position in desk.positions:
                    position.trades_today = 0
                self.day_start_pnl_e8 = None
            self._day = day
        total_e8 = self.realised_pnl_e8 + self.unrealised_pnl_e8 - self.fees_e8 + self.funding_e8
        if self.day_start_pnl_e8 is None:
            self.day_start_pnl_e8 = total_e8
        self.daily_pnl_e8 = total_e8 - self.day_start_pnl_e8

    def _watch_limits(self) -> None:
        desk = self._desk
        if self.daily_pnl_e8 <= -self._daily_loss_e8_max and desk.kill_switch.state == RUNNING:
            desk.pull(Pull.REDUCE, int(Reason.DAILY_LOSS), "daily loss stop")
        is_high = self.equity_e8 > 0 and abs(self.net_exposure_e8) > self.equity_e8 * self._exposure_warning
        if is_high and not self._was_warned:
            desk.metrics.count(Counter.EXPOSURE_WARNINGS)
            desk.log.warning(
                "net exposure is above the warning level", net_exposure_e8=self.net_exposure_e8, equity_e8=self.equity_e8
            )
        self._was_warned = is_high
