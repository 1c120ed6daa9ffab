"""The simulated USD-M venue: how an order is checked, enters, is changed and leaves. Its wallets are in usdm_wallet.py."""

from typing import Final

from reactor.domain.units import E8
from reactor.sim.accounts import Account, notional_cap_usdt
from reactor.sim.events import Order, Placed, Refusal
from reactor.sim.filters import (
    GOOD_TILL_MIN_NS,
    NO_SUCH_ORDER,
    UNKNOWN_SYMBOL,
    USDM_DUPLICATE,
    USDM_FAR,
    USDM_FOK,
    USDM_NO_MARGIN,
    USDM_REDUCE_ONLY,
    USDM_WOULD_TAKE,
    OrderRequest,
    check_usdm,
    parse_order,
)
from reactor.sim.margin import closes, initial_margins_e8
from reactor.sim.market import MS
from reactor.sim.symbols import SymbolRules
from reactor.sim.usdm_wallet import UsdmWallets
from reactor.sim.venue import Fields

MODIFICATIONS_MAX: Final = 10_000
BBO_DEPTH: Final = {"OPPONENT": 1, "OPPONENT_5": 5, "QUEUE": 1, "QUEUE_5": 5, "QUEUE_10": 10, "QUEUE_20": 20}


class UsdmVenue(UsdmWallets):
    """See the module."""

    def place(self, account_id: int, fields: Fields, now_ns: int, *, is_test: bool = False) -> Placed | Refusal:
        """New order: parameters, position side, filters, client id, reduce-only, post-only, margin; then the book."""
        rules = self._market_of(fields)
        if isinstance(rules, Refusal):
            return rules
        request = parse_order(rules, fields)
        if isinstance(request, Refusal):
            return request
        account = self._accounts[account_id]
        refusal = self._check(account, request, now_ns, "reduceOnly" in fields)
        if refusal is not None:
            return refusal
        price_ticks = 0 if request.type == "MARKET" else request.price_e8 // rules.tick_e8
        quantity_lots = request.quantity_e8 // rules.lot_e8
        if is_test:
            order = Order(
                0, account_id, rules, request.client_order_id, request.side, request.type, request.time_in_force,
                price_ticks, quantity_lots, now_ns, now_ns,
            )  # fmt: skip
            return Placed(order, order)
        order = self._accept(account, request, price_ticks, quantity_lots, now_ns)
        account.recount(order)
        accepted = self._copy(order)
        fills_before = len(account.fills)
        self._emit_order(order, "NEW", None, now_ns)
        self._execute(order, now_ns)
        self._commit(rules, now_ns)
        fills = tuple(fill for fill in account.fills[fills_before:] if fill.order_id == order.order_id)
        return Placed(accepted, self._copy(order), fills)

    def _check(self, account: Account, request: OrderRequest, now_ns: int, says_reduce_only: bool) -> Refusal | None:
        rules = request.rules
        symbol = rules.symbol
        if request.position_side not in (("LONG", "SHORT") if account.is_hedge_mode else ("BOTH",)):
            return Refusal(-4061, "Order's position side does not match user's setting.")
        if account.is_hedge_mode and says_reduce_only:
            return Refusal(-1106, "Parameter 'reduceonly' sent when not required.")
        if request.price_match != "NONE":
            price_ticks = self._matched_price(request)
            if not price_ticks:
                return Refusal(-5041, "No depth matches this BBO order")
            request.price_e8 = price_ticks * rules.tick_e8
        if request.time_in_force == "GTD" and request.good_till_ms * MS <= now_ns + GOOD_TILL_MIN_NS:
            return Refusal(
                -5040,
                "The goodTillDate timestamp must be greater than the current time plus 600 seconds "
                "and smaller than 253402300799000",
            )
        reduces = request.reduce_only or closes(request.position_side, request.side)
        refusal = check_usdm(
            rules,
            request.type,
            request.side,
            request.price_e8,
            request.quantity_e8,
            self._mark_e8(symbol),
            is_reduce_only=reduces,
        )
        if refusal is not None:
            return refusal
        if self._is_duplicate(account, symbol, request.client_order_id):
            return USDM_DUPLICATE
        if sum(order.rules is rules for order in account.open_orders.values()) >= rules.orders_max:
            return Refusal(-2025, "Reach max open order limit.")
        if reduces and self._reducible_lots(account, rules, request.position_side, request.side) == 0:
            return USDM_REDUCE_ONLY
        return self._check_book(account, request, reduces)

    def _check_book(self, account: Account, request: OrderRequest, reduces: bool) -> Refusal | None:
        """What needs the book: post-only, fill-or-kill, the market bound, and last the margin."""
        rules = request.rules
        matching = self._matchings[rules.symbol]
        price_ticks = request.price_e8 // rules.tick_e8
        lots = request.quantity_e8 // rules.lot_e8
        notional_e8 = request.price_e8 * request.quantity_e8 // E8
        if request.type == "MARKET":
            bound = self._market_bound_ticks(rules, request.side)
            found, total, _ = matching.cost_of(request.side, lots, bound)
            if found == 0:
                return USDM_FAR
            notional_e8 = rules.notional_e8(total, 1) * lots // found
        elif request.time_in_force == "GTX":
            if matching.would_take(request.side, price_ticks):
                return USDM_WOULD_TAKE
        elif request.time_in_force == "FOK":
            probe = Order(
                0,
                account.account_id,
                rules,
                "",
                request.side,
                "LIMIT",
                "FOK",
                price_ticks,
                lots,
                0,
                0,
                stp_mode=request.stp_mode,
            )
            if matching.available_lots(probe, price_ticks, lots) < lots:
                return USDM_FOK
        if reduces:
            return None
        return self._check_margin(account, rules, request.position_side, request.side, notional_e8)

    def _check_margin(
        self, account: Account, rules: SymbolRules, position_side: str, side: str, notional_e8: int
    ) -> Refusal | None:
        mark = self._mark_e8(rules.symbol)
        before = sum(initial_margins_e8(account, rules.symbol, mark))
        after = sum(initial_margins_e8(account, rules.symbol, mark, (position_side, side, notional_e8)))
        if after > before and after - before > self.wallet(account.account_id).available_e8:
            return USDM_NO_MARGIN
        leverage = account.leverage(rules.symbol)
        if after > before and after * leverage > notional_cap_usdt(leverage) * E8:
            return Refusal(-2027, "Exceeded the maximum allowable position at current leverage.")
        return None

    def _execute(self, order: Order, now_ns: int) -> None:
        """An accepted order meets the book; what is left rests or expires."""
        matching = self._matchings[order.symbol]
        if order.type == "MARKET":
            matching.take(order, self._market_bound_ticks(order.rules, order.side), now_ns)
            if order.is_open:
                self.on_expired(order, self._end_reason(order, "9"), now_ns)
            return
        if order.time_in_force != "GTX":
            matching.take(order, order.price_ticks, now_ns)
        if not order.is_open:
            return
        if order.time_in_force in ("IOC", "FOK"):
            self.on_expired(order, self._end_reason(order, "2"), now_ns)
            return
        matching.rest(order)

    def _end_reason(self, order: Order, usual: str) -> str:
        return "4" if self.executable_lots(order) == 0 else usual

    def _matched_price(self, request: OrderRequest) -> int:
        """The price that priceMatch names; 0: the book is not that deep."""
        depth = BBO_DEPTH[request.price_match]
        bids, asks = self._markets[request.rules.symbol].depth(depth)
        wants_asks = (request.side == "BUY") == request.price_match.startswith("OPPONENT")
        levels = asks if wants_asks else bids
        return levels[depth - 1][0] if len(levels) >= depth else 0

    def cancel(self, account_id: int, fields: Fields, now_ns: int) -> Order | Refusal:
        """The order keeps its client id."""
        order = self._find_open(account_id, fields)
        if isinstance(order, Refusal):
            return order
        self._cancel(order, now_ns)
        self._commit(order.rules, now_ns)
        return self._copy(order)

    def cancel_all(self, account_id: int, symbol: str, now_ns: int) -> list[Order] | Refusal:
        """All open orders of one symbol, maybe none."""
        rules = self.symbols.get(symbol)
        if rules is None:
            return UNKNOWN_SYMBOL
        orders = [order for order in self._accounts[account_id].open_orders.values() if order.rules is rules]
        for order in orders:
            self._cancel(order, now_ns)
        self._commit(rules, now_ns)
        return [self._copy(order) for order in orders]

    def countdown_cancel_all(self, account_id: int, symbol: str, countdown_ms: int, now_ns: int) -> Refusal | None:
        """Cancels all of the symbol unless called again in time; 0 disarms."""
        self.next_close_ns = 0
        return super().countdown_cancel_all(account_id, symbol, countdown_ms, now_ns)

    def modify(self, account_id: int, fields: Fields, now_ns: int) -> Order | Refusal:
        """A limit order's new price and quantity; it goes to the end of the queue, and may trade at once."""
        order = self._find(account_id, fields, NO_SUCH_ORDER)
        if isinstance(order, Refusal):
            return order
        if not order.is_open:
            return NO_SUCH_ORDER
        if order.type != "LIMIT":
            return Refusal(-5025, "Only limit order is supported.")
        rules = order.rules
        request = parse_order(rules, {**fields, "type": "LIMIT", "timeInForce": "GTC", "newClientOrderId": ""})
        if isinstance(request, Refusal):
            return request
        if request.side != order.side:
            return Refusal(-1117, "Invalid side.")
        if request.price_match != "NONE":
            request.price_e8 = self._matched_price(request) * rules.tick_e8
            if not request.price_e8:
                return Refusal(-5041, "No depth matches this BBO order")
        mark = self._mark_e8(rules.symbol)
        refusal = check_usdm(
            rules, "LIMIT", order.side, request.price_e8, request.quantity_e8, mark, is_reduce_only=order.reduce_only
        )
        if refusal is not None:
            return refusal
        price_ticks, lots = request.price_e8 // rules.tick_e8, request.quantity_e8 // rules.lot_e8
        if price_ticks == order.price_ticks and lots == order.quantity_lots:
            return Refusal(-5027, "No need to modify the order.")
        if order.modifications >= MODIFICATIONS_MAX:
            return Refusal(-5026, "Exceed maximum modify order limit.")
        matching = self._matchings[order.symbol]
        gtx_takes = order.time_in_force == "GTX" and matching.would_take(order.side, price_ticks)
        if lots <= order.executed_lots or gtx_takes:
            self._cancel(order, now_ns)
            self._commit(rules, now_ns)
            return self._copy(order)
        if not order.reduce_only:
            account = self._accounts[account_id]
            grows = rules.notional_e8(price_ticks, lots - order.executed_lots) - rules.notional_e8(
                order.price_ticks, order.remaining_lots
            )
            if grows > 0 and (refusal := self._check_margin(account, rules, order.position_side, order.side, grows)):
                return refusal
        matching.remove(order)
        order.price_ticks, order.quantity_lots = price_ticks, lots
        order.modifications += 1
        self._accounts[account_id].recount(order)
        order.updated_ns = now_ns
        self._emit_order(order, "AMENDMENT", None, now_ns)
        self._execute(order, now_ns)
        self._commit(rules, now_ns)
        return self._copy(order)
