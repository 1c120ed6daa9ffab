"""The wallets of the simulated USD-M venue: positions, fees, funding, margin, liquidation. No order enters here.

At any time, exactly: Σ accounts' wallets = deposits + Σ realised − fees_e8 − funding_e8 − insurance_e8.
"""

from collections.abc import Callable, Sequence
from typing import Final

from reactor.domain.units import E8, parse_e8
from reactor.sim.accounts import Account, Position, notional_cap_usdt
from reactor.sim.events import (
    AccountUpdateEvent,
    ConfigEvent,
    Fill,
    ForceOrderEvent,
    FundingRow,
    IncomeRow,
    MarginCallEvent,
    MarkPrice,
    MarkPriceEvent,
    Order,
    PositionView,
    Refusal,
    WalletChange,
    WalletView,
)
from reactor.sim.filters import UNKNOWN_SYMBOL, OrderRequest, boolean, integer, mandatory
from reactor.sim.funding import FundingModel, FundingParameters
from reactor.sim.margin import (
    ASSET,
    closes,
    cross_margin,
    maintenance_e8,
    open_notionals_e8,
    position_view,
    positions_of,
    wallet_view,
)
from reactor.sim.market import MS
from reactor.sim.symbols import Product, SymbolRules
from reactor.sim.updates import MarketUpdate, MarkUpdate
from reactor.sim.venue import (
    FILLS_MAX,
    USDM_PARAMETERS,
    AccountParameters,
    Fields,
    VenueCore,
    VenueParameters,
    time_window,
)

MARK_INTERVAL_NS: Final = 1000 * MS
SLOW_MARK_INTERVAL_NS: Final = 3000 * MS
MARGIN_CALL_RATIO: Final = 0.8  # Maintenance over margin balance at which the venue warns.


class UsdmWallets(VenueCore):
    """See the module. `index_e8(symbol)` gives the spot mid, 0 where there is none."""

    product: Product = "usdm"

    # accounts

    def __init__(
        self,
        symbols: Sequence[SymbolRules],
        parameters: VenueParameters = USDM_PARAMETERS,
        now_ns: int = 0,
        funding: FundingParameters | None = None,
        index_e8: Callable[[str], int] | None = None,
    ) -> None:
        super().__init__(symbols, parameters, now_ns)
        self.fees_e8 = 0
        self.funding_e8 = 0  # What the venue holds of funding: positive when accounts paid more than they got.
        self.insurance_e8 = 0  # Liquidation fees taken in, minus losses covered.
        self._index_e8 = index_e8 or (lambda _symbol: 0)
        self._funding = {rules.symbol: FundingModel(rules, funding or FundingParameters(), now_ns) for rules in symbols}
        self._next_mark_ns = 0
        self._next_funding_ns = min((model.next_funding_ns for model in self._funding.values()), default=0)
        self._touched: dict[int, dict[tuple[str, str], None]] = {}
        self._is_liquidating = False
        self._next_transaction_id = 1

    def _fund(self, account: Account, parameters: AccountParameters) -> None:
        account.wallet_e8 = parse_e8(parameters.futures_usdt)

    def deposit(self, account_id: int, asset: str, amount_e8: int, now_ns: int) -> None:
        """Money from (or to) outside; only USDT is a margin asset here."""
        assert asset == ASSET, "only USDT is listed as margin"
        account = self._accounts[account_id]
        account.wallet_e8 += amount_e8
        self._book_income(account, "", "TRANSFER", amount_e8, now_ns)
        wallets = (self._wallet_change(account, amount_e8),)
        reason = "DEPOSIT" if amount_e8 > 0 else "WITHDRAW"
        self._events.append(AccountUpdateEvent(account_id, reason, wallets, (), "", now_ns, now_ns))

    def wallet(self, account_id: int) -> WalletView:
        """The USDT wallet with its margins at the current mark prices."""
        return wallet_view(self._accounts[account_id], self.symbols, self._mark_e8)

    def positions(self, account_id: int, symbol: str | None = None, *, only_active: bool = False) -> list[PositionView]:
        """Every symbol's position(s); `only_active`: those with a position or open orders."""
        account = self._accounts[account_id]
        views = []
        for name, rules in self.symbols.items():
            if symbol and name != symbol:
                continue
            for position_side in ("LONG", "SHORT") if account.is_hedge_mode else ("BOTH",):
                view = position_view(account, account.position(rules, position_side), self._mark_e8)
                if not only_active or view.amount_lots or view.bid_notional_e8 or view.ask_notional_e8:
                    views.append(view)
        return views

    def set_leverage(self, account_id: int, fields: Fields, now_ns: int) -> tuple[int, int] | Refusal:
        """(leverage, maxNotionalValue in e8)."""
        rules = self._market_of(fields)
        if isinstance(rules, Refusal):
            return rules
        leverage = integer(fields, "leverage")
        if isinstance(leverage, Refusal):
            return leverage
        if leverage is None:
            return mandatory("leverage")
        if not 1 <= leverage <= rules.leverage_max:
            return Refusal(-4028, f"Leverage {leverage} is not valid")
        account = self._accounts[account_id]
        before = account.leverage(rules.symbol)
        account.leverages[rules.symbol] = leverage
        view = self.wallet(account_id)
        if leverage < before and view.initial_margin_e8 > view.margin_e8:
            account.leverages[rules.symbol] = before
            return Refusal(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
        self._events.append(ConfigEvent(account_id, rules.symbol, leverage, now_ns, now_ns))
        return leverage, notional_cap_usdt(leverage) * E8

    def set_position_mode(self, account_id: int, fields: Fields, now_ns: int) -> Refusal | None:
        """One-way ↔ hedge; only when nothing is open."""
        if not fields.get("dualSidePosition"):
            return mandatory("dualSidePosition")
        wanted = boolean(fields, "dualSidePosition")
        if isinstance(wanted, Refusal):
            return wanted
        account = self._accounts[account_id]
        if wanted == account.is_hedge_mode:
            return Refusal(-4059, "No need to change position side.")
        if account.open_orders:
            return Refusal(-4067, "Position side cannot be changed if there exists open orders.")
        if any(position.amount_lots for position in account.positions.values()):
            return Refusal(-4068, "Position side cannot be changed if there exists position.")
        account.is_hedge_mode = wanted
        account.positions.clear()
        return None

    def set_margin_type(self, account_id: int, fields: Fields, now_ns: int) -> Refusal | None:
        """CROSSED ↔ ISOLATED of one symbol; only when nothing of it is open."""
        rules = self._market_of(fields)
        if isinstance(rules, Refusal):
            return rules
        margin_type = fields.get("marginType", "").upper()
        if margin_type not in ("ISOLATED", "CROSSED"):
            return mandatory("marginType")
        account = self._accounts[account_id]
        if (margin_type == "ISOLATED") == (rules.symbol in account.isolated):
            return Refusal(-4046, "No need to change margin type.")
        if any(order.rules is rules for order in account.open_orders.values()):
            return Refusal(-4047, "Margin type cannot be changed if there exists open orders.")
        if any(position.amount_lots for position in positions_of(account, rules.symbol)):
            return Refusal(-4048, "Margin type cannot be changed if there exists position.")
        if margin_type == "ISOLATED":
            account.isolated.add(rules.symbol)
        else:
            account.isolated.discard(rules.symbol)
        return None

    def income(self, account_id: int, fields: Fields) -> list[IncomeRow] | Refusal:
        """Oldest first."""
        window = time_window(fields)
        if isinstance(window, Refusal):
            return window
        start_ns, end_ns, limit = window
        symbol, kind = fields.get("symbol", ""), fields.get("incomeType", "")
        rows = [
            row
            for row in self._accounts[account_id].income
            if start_ns <= row.time_ns <= end_ns
            and (not symbol or row.symbol == symbol)
            and (not kind or row.income_type == kind)
        ]
        return rows[-limit:]

    # the desk

    def on_execution(self, order: Order, ticks: int, lots: int, trade_id: int, is_maker: bool, now_ns: int) -> None:
        """Moves the position, pays profit and fee from the wallet."""
        rate_e8 = self._parameters.maker_fee_e8 if is_maker else self._parameters.taker_fee_e8
        quote_e8 = order.rules.notional_e8(ticks, lots)
        self._book_fill(order, ticks, lots, trade_id, is_maker, quote_e8 * rate_e8 // E8, now_ns)

    def _book_fill(
        self,
        order: Order,
        ticks: int,
        lots: int,
        trade_id: int,
        is_maker: bool,
        commission_e8: int,
        now_ns: int,
        *,
        is_off_book: bool = False,
    ) -> None:
        rules = order.rules
        account = self._accounts[order.account_id]
        position = account.position(rules, order.position_side)
        held_before = abs(position.amount_lots)
        was_long = position.amount_lots > 0
        quote_e8 = rules.notional_e8(ticks, lots)
        realised = position.apply_fill(lots if order.side == "BUY" else -lots, ticks)
        position.fees_e8 += commission_e8 if position.amount_lots else 0
        position.updated_ns = now_ns
        account.wallet_e8 += realised - commission_e8
        self.fees_e8 += commission_e8
        if rules.symbol in account.isolated:
            self._move_isolated(account, position, held_before, was_long)
        if realised:
            self._book_income(account, rules.symbol, "REALIZED_PNL", realised, now_ns, trade_id)
        if commission_e8:
            self._book_income(account, rules.symbol, "COMMISSION", -commission_e8, now_ns, trade_id)
        order.executed_lots += lots
        order.executed_quote_e8 += quote_e8
        order.updated_ns = now_ns
        fill = Fill(
            trade_id, order.order_id, order.client_order_id, rules, order.side, ticks, lots, quote_e8, commission_e8, ASSET,
            is_maker, now_ns, order.position_side, realised,
        )  # fmt: skip
        account.fills.append(fill)
        self._touched.setdefault(account.account_id, {})[(rules.symbol, order.position_side)] = None
        account.recount(order)
        if order.remaining_lots == 0:
            order.status = "FILLED"
            self._forget_open(order)
        else:
            order.status = "PARTIALLY_FILLED"
        self._emit_order(order, "CALCULATED" if is_off_book else "TRADE", fill, now_ns)

    def _move_isolated(self, account: Account, position: Position, held_before: int, was_long: bool) -> None:
        """An isolated position takes its initial margin out of the wallet and gives it back as it shrinks."""
        held = abs(position.amount_lots)
        leverage = account.leverage(position.rules.symbol)
        if held and was_long == (position.amount_lots > 0) and 0 < held <= held_before:
            position.isolated_wallet_e8 = position.isolated_wallet_e8 * held // held_before
        elif held and was_long == (position.amount_lots > 0) and held_before:
            added = abs(position.cost_e8) * (held - held_before) // held
            position.isolated_wallet_e8 += added // leverage
        else:
            position.isolated_wallet_e8 = abs(position.cost_e8) // leverage

    def on_prevented(self, order: Order, lots: int, now_ns: int) -> None:
        """DECREMENT is not offered here, but whoever adds it finds the books kept."""
        super().on_prevented(order, lots, now_ns)
        self._accounts[order.account_id].recount(order)

    def _forget_open(self, order: Order) -> None:
        super()._forget_open(order)
        self._accounts[order.account_id].recount(order)

    def executable_lots(self, order: Order) -> int:
        """A reducing order never trades more than the position."""
        if not order.reduce_only and not closes(order.position_side, order.side):
            return order.remaining_lots
        account = self._accounts[order.account_id]
        return min(order.remaining_lots, self._reducible_lots(account, order.rules, order.position_side, order.side))

    def _reducible_lots(self, account: Account, rules: SymbolRules, position_side: str, side: str) -> int:
        position = account.positions.get((rules.symbol, position_side))
        if position is None:
            return 0
        return max(0, position.amount_lots if side == "SELL" else -position.amount_lots)

    def _settle(self, now_ns: int) -> None:
        """ACCOUNT_UPDATE for what changed; reduce-only orders that lost their position end; then the margin is looked at."""
        while self._touched:
            touched, self._touched = self._touched, {}
            for account_id, keys in touched.items():
                account = self._accounts[account_id]
                account.updated_ns = now_ns
                views = tuple(position_view(account, account.positions[key], self._mark_e8) for key in keys)
                wallets = (self._wallet_change(account, 0),)
                self._events.append(AccountUpdateEvent(account_id, "ORDER", wallets, views, "", now_ns, now_ns))
                for order in list(account.open_orders.values()):
                    reduces = order.reduce_only or closes(order.position_side, order.side)
                    if reduces and self.executable_lots(order) == 0:
                        self._matchings[order.symbol].remove(order)
                        self.on_expired(order, "4", now_ns)
                self._check_liquidation(account, now_ns)

    def _open_notional(self, order: Order) -> tuple[int, int]:
        return open_notionals_e8(self._accounts[order.account_id], order.rules)

    # market

    def mark_price(self, symbol: str) -> MarkPrice | Refusal:
        """premiumIndex."""
        model = self._funding.get(symbol)
        if model is None:
            return UNKNOWN_SYMBOL
        if not model.mark_e8:
            model.observe(self._markets[symbol].mid_e8(), self._index_e8(symbol))
        return model.view(self._now_ns)

    def funding_history(self, symbol: str | None, fields: Fields) -> list[FundingRow]:
        """Oldest first; malformed times count as absent."""
        window = time_window(fields)
        start_ns, end_ns, limit = window if not isinstance(window, Refusal) else (0, 1 << 62, 100)
        rows = [
            row
            for name, model in self._funding.items()
            if not symbol or name == symbol
            for row in model.history
            if start_ns <= row.funding_ns <= end_ns
        ]
        return sorted(rows, key=lambda row: row.funding_ns)[-limit:]

    def _mark_e8(self, symbol: str) -> int:
        return self._funding[symbol].mark_e8 or self._markets[symbol].mid_e8()

    def on_market(self, update: MarketUpdate, now_ns: int) -> None:
        """The source speaks; of a real venue's source, marks and funding too."""
        if isinstance(update, MarkUpdate):
            self._funding[update.symbol].follow(update, now_ns)
            self._next_funding_ns = min(model.next_funding_ns for model in self._funding.values())
        else:
            super().on_market(update, now_ns)

    # time

    def _on_time(self, now_ns: int) -> int:
        if now_ns >= self._next_mark_ns:
            self._on_mark(now_ns)
            self._next_mark_ns = now_ns - now_ns % MARK_INTERVAL_NS + MARK_INTERVAL_NS
        if now_ns >= self._next_funding_ns:
            self._pay_funding(now_ns)
        for account in self._accounts.values():
            for symbol, due_ns in list(account.countdowns.items()):
                if now_ns >= due_ns:
                    del account.countdowns[symbol]
                    self.cancel_all(account.account_id, symbol, now_ns)
            for order in list(account.open_orders.values()):
                if order.good_till_ms and order.good_till_ms * MS <= now_ns:
                    self._matchings[order.symbol].remove(order)
                    self.on_expired(order, "0", now_ns)
                    self._commit(order.rules, now_ns)
        return min(self._next_mark_ns, self._next_funding_ns)

    def _on_mark(self, now_ns: int) -> None:
        is_slow = now_ns // SLOW_MARK_INTERVAL_NS != self._next_mark_ns // SLOW_MARK_INTERVAL_NS or (
            self._next_mark_ns % SLOW_MARK_INTERVAL_NS == 0
        )
        for symbol, model in self._funding.items():
            model.observe(self._markets[symbol].mid_e8(), self._index_e8(symbol))
            if not model.mark_e8:
                continue
            view = model.view(now_ns)
            self._events.append(MarkPriceEvent(model.view(now_ns).rules, 1000, view, now_ns))
            if is_slow:
                self._events.append(MarkPriceEvent(view.rules, 3000, view, now_ns))
        for account in self._accounts.values():
            self._check_liquidation(account, now_ns)
        for rules in self.symbols.values():
            self._commit(rules, now_ns)

    def _pay_funding(self, now_ns: int) -> None:
        """Longs pay shorts when the rate is positive: amount = −position · mark · rate."""
        for symbol, model in self._funding.items():
            if now_ns < model.next_funding_ns:
                continue
            rate = model.charge(now_ns)
            for account in self._accounts.values():
                paid = 0
                for position in positions_of(account, symbol):
                    paid += position.notional_e8(model.mark_e8) * rate // E8
                if not paid:
                    continue
                account.wallet_e8 -= paid
                self.funding_e8 += paid
                account.updated_ns = now_ns
                self._book_income(account, symbol, "FUNDING_FEE", -paid, now_ns)
                views: tuple[PositionView, ...] = ()
                if symbol in account.isolated:
                    views = tuple(
                        position_view(account, position, self._mark_e8)
                        for position in positions_of(account, symbol)
                        if position.amount_lots
                    )
                self._events.append(
                    AccountUpdateEvent(
                        account.account_id, "FUNDING_FEE", (self._wallet_change(account, -paid),), views, symbol, now_ns, now_ns
                    )
                )
        self._next_funding_ns = min(model.next_funding_ns for model in self._funding.values())

    # liquidation

    def _check_liquidation(self, account: Account, now_ns: int) -> None:
        if self._is_liquidating or not account.positions:
            return
        for (symbol, _), position in account.positions.items():
            if position.amount_lots and symbol in account.isolated:
                mark = self._mark_e8(symbol)
                if position.isolated_wallet_e8 + position.unrealised_e8(mark) < maintenance_e8(position, mark):
                    self._liquidate(account, [position], now_ns)
                    return
        state = cross_margin(account, self._mark_e8)
        if state.margin_e8 < state.maintenance_e8:
            self._liquidate(account, state.positions, now_ns)
        elif state.maintenance_e8 > state.margin_e8 * MARGIN_CALL_RATIO:
            if not account.margin_called:
                account.margin_called = True
                views = tuple(position_view(account, position, self._mark_e8) for position in state.positions)
                self._events.append(MarginCallEvent(account.account_id, account.cross_wallet_e8(), views, now_ns))
        else:
            account.margin_called = False

    def _liquidate(self, account: Account, positions: list[Position], now_ns: int) -> None:
        """Open orders go, positions are closed in the book, the rest at the mark; the insurance fund covers a debt."""
        self._is_liquidating = True
        symbols = {position.rules.symbol for position in positions}
        for order in list(account.open_orders.values()):
            if order.symbol in symbols:
                self._cancel(order, now_ns)
        for position in positions:
            self._close_position(account, position, now_ns)
        if account.wallet_e8 < 0:
            debt = -account.wallet_e8
            account.wallet_e8 = 0
            self.insurance_e8 -= debt
            self._book_income(account, "", "INSURANCE_CLEAR", debt, now_ns)
            wallets = (self._wallet_change(account, debt),)
            self._events.append(AccountUpdateEvent(account.account_id, "INSURANCE_CLEAR", wallets, (), "", now_ns, now_ns))
        self._is_liquidating = False
        account.margin_called = False
        for symbol in symbols:
            self._markets[symbol].commit(now_ns, now_ns)
        self._settle(now_ns)

    def _close_position(self, account: Account, position: Position, now_ns: int) -> None:
        rules = position.rules
        lots = abs(position.amount_lots)
        side = "SELL" if position.amount_lots > 0 else "BUY"
        mark_ticks = self._mark_e8(rules.symbol) // rules.tick_e8
        request = OrderRequest(
            rules=rules, side="SELL" if side == "SELL" else "BUY", type="LIMIT", time_in_force="IOC", price_e8=0, quantity_e8=0,
            quote_quantity_e8=0, client_order_id=f"autoclose-{now_ns // MS}{self._next_order_id % 1000:03d}", response_type="",
            stp_mode="EXPIRE_MAKER", strategy_id="", strategy_type="", reduce_only=False, position_side=position.position_side,
            price_match="NONE", good_till_ms=0,
        )  # fmt: skip
        bound = self._market_bound_ticks(rules, side)
        order = self._accept(account, request, bound or mark_ticks, lots, now_ns)
        order.is_liquidation = True
        account.recount(order)
        self._emit_order(order, "NEW", None, now_ns)
        self._matchings[rules.symbol].take(order, bound, now_ns)
        if order.is_open:
            order.expiry_reason = "5"
            # What the book did not take, the insurance fund takes over: off the book, under a trade id all the same.
            market = self._markets[rules.symbol]
            trade_id, market.next_trade_id = market.next_trade_id, market.next_trade_id + 1
            self._book_fill(order, mark_ticks, order.remaining_lots, trade_id, False, 0, now_ns, is_off_book=True)
        fee = min(order.executed_quote_e8 * rules.liquidation_fee_e6 // 1_000_000, max(0, account.wallet_e8))
        account.wallet_e8 -= fee
        self.insurance_e8 += fee
        if fee:
            self._book_income(account, rules.symbol, "INSURANCE_CLEAR", -fee, now_ns)
        self._events.append(ForceOrderEvent(self._copy(order), now_ns))

    # small things

    def _market_bound_ticks(self, rules: SymbolRules, side: str) -> int | None:
        mark = self._mark_e8(rules.symbol)
        if not mark:
            return None
        factor = 10_000 + rules.market_take_bound_e4 if side == "BUY" else 10_000 - rules.market_take_bound_e4
        return mark * factor // 10_000 // rules.tick_e8

    def _cancel(self, order: Order, now_ns: int) -> None:
        self._matchings[order.symbol].remove(order)
        self._close(order, "CANCELED", "CANCELED", now_ns)

    def _wallet_change(self, account: Account, change_e8: int) -> WalletChange:
        return WalletChange(ASSET, account.wallet_e8, account.cross_wallet_e8(), change_e8)

    def _book_income(self, account: Account, symbol: str, kind: str, amount_e8: int, now_ns: int, trade_id: int = 0) -> None:
        transaction_id = self._next_transaction_id
        self._next_transaction_id += 1
        if len(account.income) > 2 * FILLS_MAX:
            del account.income[:FILLS_MAX]
        account.income.append(IncomeRow(symbol, kind, amount_e8, ASSET, now_ns, transaction_id, trade_id))
