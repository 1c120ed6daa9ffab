"""The simulated spot venue: balances locked and released to the last unit, fees in the received asset.

Every unit is somewhere: Σ over accounts of (free + locked) + fees − what strangers gave and took is constant per asset.
"""

from collections.abc import Sequence

from reactor.domain.units import E8, parse_e8
from reactor.sim.accounts import Account
from reactor.sim.events import (
    Amended,
    Balance,
    CancelReplaced,
    DepositEvent,
    Fill,
    Order,
    Placed,
    Refusal,
    SpotBalanceEvent,
)
from reactor.sim.filters import (
    SPOT_DUPLICATE,
    SPOT_NO_MONEY,
    SPOT_WOULD_TAKE,
    UNKNOWN_ORDER,
    UNKNOWN_SYMBOL,
    OrderRequest,
    check_spot,
    check_spot_quote,
    client_order_id,
    decimal_e8,
    filter_failure,
    mandatory,
    parse_order,
)
from reactor.sim.symbols import Product, SymbolRules
from reactor.sim.venue import AccountParameters, Fields, VenueCore, VenueParameters

# How the venue calls an end that the matching step gives as a futures digit.
_EXPIRY_WORDS = {"1": "", "2": "UNFILLED_IOC_QUANTITY_EXPIRED", "9": "INSUFFICIENT_LIQUIDITY"}


class SpotVenue(VenueCore):
    """See the module."""

    product: Product = "spot"

    def __init__(self, symbols: Sequence[SymbolRules], parameters: VenueParameters, now_ns: int) -> None:
        super().__init__(symbols, parameters, now_ns)
        self.fees_e8: dict[str, int] = {}  # What the venue earned, per asset.
        self._touched: dict[int, dict[str, None]] = {}  # account → assets since the last balance event, in order

    # accounts

    def _fund(self, account: Account, parameters: AccountParameters) -> None:
        for asset, text in parameters.spot_balances.items():
            account.asset(asset).free_e8 = parse_e8(text)

    def deposit(self, account_id: int, asset: str, amount_e8: int, now_ns: int) -> None:
        """Money from (or to) outside: balanceUpdate, then the new balance."""
        account = self._accounts[account_id]
        account.asset(asset).free_e8 += amount_e8
        self._events.append(DepositEvent(account_id, asset, amount_e8, now_ns, now_ns))
        self._touch(account, asset)
        self._settle(now_ns)

    def balances(self, account_id: int, *, omit_zero: bool = False) -> list[Balance]:
        """Every listed asset and whatever the account ever had."""
        account = self._accounts[account_id]
        names = dict.fromkeys(account.assets)
        for rules in self.symbols.values():
            names.setdefault(rules.base_asset)
            names.setdefault(rules.quote_asset)
        rows = [Balance(name, asset.free_e8, asset.locked_e8) for name in names for asset in (account.asset(name),)]
        return [row for row in rows if row.free_e8 or row.locked_e8] if omit_zero else rows

    # orders

    def place(self, account_id: int, fields: Fields, now_ns: int, *, is_test: bool = False) -> Placed | Refusal:
        """New order: parameters, filters, client id, post-only, balance; then the book."""
        rules = self._market_of(fields)
        if isinstance(rules, Refusal):
            return rules
        request = parse_order(rules, fields)
        if isinstance(request, Refusal):
            return request
        account = self._accounts[account_id]
        refusal = self._check(account, request, now_ns)
        if refusal is not None:
            return refusal
        quantity_lots = request.quantity_e8 // rules.lot_e8
        if request.quote_quantity_e8:
            quantity_lots = rules.market_lots_max  # The quote amount is the limit; see `_copy`.
        if is_test:
            order = Order(
                0, account_id, rules, request.client_order_id, request.side, request.type, request.time_in_force,
                request.price_e8 // rules.tick_e8, quantity_lots, now_ns, now_ns,
            )  # fmt: skip
            return Placed(order, order)
        order = self._accept(account, request, request.price_e8 // rules.tick_e8, quantity_lots, now_ns)
        if order.type != "MARKET":
            self._lock(account, order)
        accepted = self._copy(order)
        fills_before = len(account.fills)
        self._emit_order(order, "NEW", None, now_ns)
        self._execute(account, order, now_ns)
        self._commit(rules, now_ns)
        fills = tuple(fill for fill in account.fills[fills_before:] if fill.order_id == order.order_id)
        return Placed(accepted, self._copy(order), fills)

    def _check(self, account: Account, request: OrderRequest, now_ns: int) -> Refusal | None:
        rules = request.rules
        symbol, order_type = rules.symbol, request.type
        market, matching = self._markets[symbol], self._matchings[symbol]
        average_e8 = market.average_price_e8(now_ns)
        if request.quote_quantity_e8:
            refusal = check_spot_quote(rules, request.quote_quantity_e8)
        else:
            open_orders = sum(order.rules is rules for order in account.open_orders.values())
            refusal = check_spot(
                rules, order_type, request.side, request.price_e8, request.quantity_e8, average_e8, open_orders
            )
        if refusal is not None:
            return refusal
        if self._is_duplicate(account, symbol, request.client_order_id):
            return SPOT_DUPLICATE
        price_ticks = request.price_e8 // rules.tick_e8
        if order_type == "LIMIT_MAKER" and matching.would_take(request.side, price_ticks):
            return SPOT_WOULD_TAKE
        return None if self._affords(account, request) else SPOT_NO_MONEY

    def _affords(self, account: Account, request: OrderRequest) -> bool:
        rules = request.rules
        free_quote = account.asset(rules.quote_asset).free_e8
        free_base = account.asset(rules.base_asset).free_e8
        if request.type != "MARKET":
            if request.side == "SELL":
                return request.quantity_e8 <= free_base
            return request.price_e8 * request.quantity_e8 <= free_quote * E8
        if request.quote_quantity_e8:
            if request.side == "BUY":
                return request.quote_quantity_e8 <= free_quote
            market = self._markets[rules.symbol]
            price_e8 = market.best_bid() * rules.tick_e8
            return request.quote_quantity_e8 * E8 <= free_base * price_e8 or price_e8 == 0
        if request.side == "SELL":
            return request.quantity_e8 <= free_base
        matching = self._matchings[rules.symbol]
        _, total, _ = matching.cost_of("BUY", request.quantity_e8 // rules.lot_e8)
        return rules.notional_e8(total, 1) <= free_quote

    def _lock(self, account: Account, order: Order) -> None:
        rules = order.rules
        if order.side == "BUY":
            order.locked_e8 = rules.notional_e8(order.price_ticks, order.quantity_lots)
            account.lock(rules.quote_asset, order.locked_e8)
            self._touch(account, rules.quote_asset)
        else:
            order.locked_e8 = rules.base_e8(order.quantity_lots)
            account.lock(rules.base_asset, order.locked_e8)
            self._touch(account, rules.base_asset)

    def _execute(self, account: Account, order: Order, now_ns: int) -> None:
        """An accepted order meets the book; what is left rests or expires."""
        matching = self._matchings[order.symbol]
        if order.type == "MARKET":
            limit_e8 = order.quote_quantity_e8
            if not limit_e8 and order.side == "BUY":
                limit_e8 = account.asset(order.rules.quote_asset).free_e8  # A market order never spends what is not there.
            matching.take(order, None, now_ns, limit_e8)
            if order.is_open:
                order.expiry_reason = "INSUFFICIENT_LIQUIDITY"
                self._close(order, "EXPIRED", "EXPIRED", now_ns)
            return
        wanted = order.quantity_lots
        if order.time_in_force == "FOK" and matching.available_lots(order, order.price_ticks, wanted) < wanted:
            order.expiry_reason = "UNFILLED_FOK_ORDER_EXPIRED"
            self._close(order, "EXPIRED", "EXPIRED", now_ns)
            return
        matching.take(order, order.price_ticks, now_ns)
        if not order.is_open:
            return
        if order.time_in_force in ("IOC", "FOK"):
            order.expiry_reason = "UNFILLED_IOC_QUANTITY_EXPIRED"
            self._close(order, "EXPIRED", "EXPIRED", now_ns)
            return
        matching.rest(order)

    def cancel(self, account_id: int, fields: Fields, now_ns: int) -> Order | Refusal:
        """The order is renamed: its client id becomes the cancel request's, the old one stays as `original_client_order_id`."""
        order = self._find_open(account_id, fields)
        if isinstance(order, Refusal):
            return order
        name = client_order_id(fields, "newClientOrderId", "spot")
        if isinstance(name, Refusal):
            return name
        restriction = fields.get("cancelRestrictions", "")
        if restriction not in ("", "ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
            return Refusal(-1145, "Invalid cancelRestrictions")
        if (restriction == "ONLY_NEW" and order.status != "NEW") or (
            restriction == "ONLY_PARTIALLY_FILLED" and order.status != "PARTIALLY_FILLED"
        ):
            return Refusal(-2011, "Order was not canceled due to cancel restrictions.")
        self._cancel(order, name, now_ns)
        self._commit(order.rules, now_ns)
        return self._copy(order)

    def _cancel(self, order: Order, name: str, now_ns: int) -> None:
        self._matchings[order.symbol].remove(order)
        self._forget_open(order)
        order.status = "CANCELED"
        self._rename(order, name or self._generated_id(self._next_execution_id))
        self._close(order, "CANCELED", "CANCELED", now_ns)

    def cancel_all(self, account_id: int, symbol: str, now_ns: int) -> list[Order] | Refusal:
        """All open orders of one symbol; -2011 if there is none."""
        rules = self.symbols.get(symbol)
        if rules is None:
            return UNKNOWN_SYMBOL
        orders = [order for order in self._accounts[account_id].open_orders.values() if order.rules is rules]
        if not orders:
            return UNKNOWN_ORDER
        for order in orders:
            self._cancel(order, "", now_ns)
        self._commit(rules, now_ns)
        return [self._copy(order) for order in orders]

    def cancel_replace(self, account_id: int, fields: Fields, now_ns: int) -> CancelReplaced | Refusal:
        """Cancel, then place. STOP_ON_FAILURE: no new order unless the old one was cancelled."""
        mode = fields.get("cancelReplaceMode", "")
        if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
            return mandatory("cancelReplaceMode")
        if not fields.get("cancelOrderId") and not fields.get("cancelOrigClientOrderId"):
            return Refusal(-1102, "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!")
        rules = self._market_of(fields)
        if isinstance(rules, Refusal):
            return rules
        request = parse_order(rules, fields)
        if isinstance(request, Refusal):
            return request
        cancelled = self.cancel(
            account_id,
            {
                "symbol": rules.symbol,
                "orderId": fields.get("cancelOrderId", ""),
                "origClientOrderId": fields.get("cancelOrigClientOrderId", ""),
                "newClientOrderId": fields.get("cancelNewClientOrderId", ""),
                "cancelRestrictions": fields.get("cancelRestrictions", ""),
            },
            now_ns,
        )
        if isinstance(cancelled, Refusal) and mode == "STOP_ON_FAILURE":
            return CancelReplaced("FAILURE", "NOT_ATTEMPTED", cancelled, None)
        placed = self.place(account_id, fields, now_ns)
        return CancelReplaced(
            "FAILURE" if isinstance(cancelled, Refusal) else "SUCCESS",
            "FAILURE" if isinstance(placed, Refusal) else "SUCCESS",
            cancelled,
            placed,
        )

    def amend(self, account_id: int, fields: Fields, now_ns: int) -> Amended | Refusal:
        """Only a smaller quantity; the place in the queue is kept, the order gets a new client id."""
        order = self._find(account_id, fields, Refusal(-2038, "Order does not exist."))
        if isinstance(order, Refusal):
            return order
        if not order.is_open:
            return Refusal(-2038, "The order is no longer open.")
        rules = order.rules
        quantity_e8 = decimal_e8(fields, "newQty", rules.quantity_places, "spot")
        name = client_order_id(fields, "newClientOrderId", "spot")
        if isinstance(quantity_e8, Refusal):
            return quantity_e8
        if isinstance(name, Refusal):
            return name
        if not fields.get("newQty"):
            return mandatory("newQty")
        lots, rest = divmod(quantity_e8, rules.lot_e8)
        if rest or lots < rules.quantity_lots_min:
            return filter_failure("LOT_SIZE")
        if lots >= order.quantity_lots or lots <= order.executed_lots:
            return Refusal(-2038, "The new quantity must be less than the order's quantity and more than what is executed.")
        if order.modifications >= rules.amends_max:
            return filter_failure("MAX_NUM_ORDER_AMENDS")
        if name and name != order.client_order_id and self._is_duplicate(self._accounts[account_id], rules.symbol, name):
            return SPOT_DUPLICATE
        account = self._accounts[account_id]
        removed = order.quantity_lots - lots
        self._matchings[order.symbol].shrink(order, lots)
        is_buy = order.side == "BUY"
        released = rules.notional_e8(order.price_ticks, removed) if is_buy else rules.base_e8(removed)
        order.locked_e8 -= released
        asset = rules.quote_asset if is_buy else rules.base_asset
        account.release(asset, released)
        self._touch(account, asset)
        order.modifications += 1
        order.updated_ns = now_ns
        self._rename(order, name or self._generated_id(self._next_execution_id))
        execution_id = self._emit_order(order, "REPLACED", None, now_ns)
        self._commit(rules, now_ns)
        return Amended(self._copy(order), execution_id)

    # the desk

    def on_execution(self, order: Order, ticks: int, lots: int, trade_id: int, is_maker: bool, now_ns: int) -> None:
        """Pays both sides of one fill; the fee comes out of what is received."""
        rules = order.rules
        account = self._accounts[order.account_id]
        base_e8, quote_e8 = rules.base_e8(lots), rules.notional_e8(ticks, lots)
        base, quote = account.asset(rules.base_asset), account.asset(rules.quote_asset)
        rate_e8 = self._parameters.maker_fee_e8 if is_maker else self._parameters.taker_fee_e8
        if order.side == "BUY":
            if order.type == "MARKET":
                quote.free_e8 -= quote_e8
            else:
                portion = rules.notional_e8(order.price_ticks, lots)
                order.locked_e8 -= portion
                quote.locked_e8 -= portion
                quote.free_e8 += portion - quote_e8
            commission, asset = base_e8 * rate_e8 // E8, rules.base_asset
            base.free_e8 += base_e8 - commission
        else:
            if order.type == "MARKET":
                base.free_e8 -= base_e8
            else:
                order.locked_e8 -= base_e8
                base.locked_e8 -= base_e8
            commission, asset = quote_e8 * rate_e8 // E8, rules.quote_asset
            quote.free_e8 += quote_e8 - commission
        assert quote.free_e8 >= 0, "no account spends quote that it does not have"
        assert base.free_e8 >= 0, "no account sells base that it does not have"
        self.fees_e8[asset] = self.fees_e8.get(asset, 0) + commission
        order.executed_lots += lots
        order.executed_quote_e8 += quote_e8
        order.updated_ns = now_ns
        fill = Fill(
            trade_id, order.order_id, order.client_order_id, rules, order.side, ticks, lots, quote_e8, commission, asset,
            is_maker, now_ns,
        )  # fmt: skip
        account.fills.append(fill)
        self._touch(account, rules.base_asset)
        self._touch(account, rules.quote_asset)
        if order.remaining_lots == 0 or (order.quote_quantity_e8 and self._quote_is_spent(order)):
            order.status = "FILLED"
            self._forget_open(order)
        else:
            order.status = "PARTIALLY_FILLED"
        self._emit_order(order, "TRADE", fill, now_ns)

    def _quote_is_spent(self, order: Order) -> bool:
        """True if what is left of a quote quantity does not buy one more lot at the next price."""
        market = self._markets[order.symbol]
        ticks = market.best_ask() if order.side == "BUY" else market.best_bid()
        left_e8 = order.quote_quantity_e8 - order.executed_quote_e8
        return ticks != 0 and left_e8 < order.rules.notional_e8(ticks, 1)

    def executable_lots(self, order: Order) -> int:
        """A quote-quantity sell is also bounded by the base that is there."""
        if order.quote_quantity_e8 and order.side == "SELL":
            free_lots = self._accounts[order.account_id].asset(order.rules.base_asset).free_e8 // order.rules.lot_e8
            return min(order.remaining_lots, free_lots)
        return order.remaining_lots

    def on_expired(self, order: Order, reason: str, now_ns: int, *, in_match: bool = False) -> None:
        """The venue's rules ended `order`."""
        super().on_expired(order, _EXPIRY_WORDS.get(reason, reason), now_ns, in_match=in_match)

    def on_prevented(self, order: Order, lots: int, now_ns: int) -> None:
        """DECREMENT: the prevented part is no longer locked."""
        if order.locked_e8:
            is_buy = order.side == "BUY"
            released = order.rules.notional_e8(order.price_ticks, lots) if is_buy else order.rules.base_e8(lots)
            order.locked_e8 -= released
            account = self._accounts[order.account_id]
            asset = order.rules.quote_asset if is_buy else order.rules.base_asset
            account.release(asset, released)
            self._touch(account, asset)
        super().on_prevented(order, lots, now_ns)

    def _forget_open(self, order: Order) -> None:
        """Whatever is still locked for it is free again."""
        super()._forget_open(order)
        if order.locked_e8:
            account = self._accounts[order.account_id]
            asset = order.rules.quote_asset if order.side == "BUY" else order.rules.base_asset
            account.release(asset, order.locked_e8)
            order.locked_e8 = 0
            self._touch(account, asset)

    def _copy(self, order: Order) -> Order:
        """A quote-quantity order is as large as what it got."""
        snapshot = super()._copy(order)
        if order.quote_quantity_e8:
            snapshot.quantity_lots = order.executed_lots
        return snapshot

    def _touch(self, account: Account, asset: str) -> None:
        self._touched.setdefault(account.account_id, {})[asset] = None

    def _settle(self, now_ns: int) -> None:
        """One outboundAccountPosition per account, after its execution reports."""
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for account_id, assets in touched.items():
            account = self._accounts[account_id]
            account.updated_ns = now_ns
            rows = tuple(Balance(name, account.assets[name].free_e8, account.assets[name].locked_e8) for name in assets)
            self._events.append(SpotBalanceEvent(account_id, rows, now_ns, now_ns))
