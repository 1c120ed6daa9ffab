"""One simulated venue (spot or USD-M): rules, accounts, orders and market behind one door, without IO.

`fields` of every order call are the request's parameters with the venue's own names, all values as text ("true"/"false" for
booleans); signature, timestamp and recvWindow are the face's business and ignored here. Answers are values: never an exception
for anything a client can do. After any call, take what happened with `take_events()`.

    request ─▶ filters.py ─▶ place ─▶ matching.py ─▶ on_execution ─▶ accounts.py ─▶ events
    market update ─────────▶ market.py + matching.py ──────┘

This file is what the orders of both products share (its market: venue_market.py); spot.py and usdm.py are the two venues.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reactor.domain.ids import base36
from reactor.sim.accounts import Account
from reactor.sim.events import (
    Amended,
    Balance,
    CancelReplaced,
    CommissionRates,
    ExecutionType,
    Fill,
    FundingRow,
    IncomeRow,
    MarkPrice,
    Order,
    OrderEvent,
    Placed,
    PositionView,
    Refusal,
    WalletView,
)
from reactor.sim.filters import NO_SUCH_ORDER, UNKNOWN_ORDER, UNKNOWN_SYMBOL, OrderRequest, integer, mandatory
from reactor.sim.symbols import SymbolRules
from reactor.sim.updates import NEVER_NS
from reactor.sim.venue_market import USDM_PARAMETERS, VenueMarket, VenueParameters

__all__ = ["USDM_PARAMETERS", "AccountParameters", "Fields", "VenueCore", "VenueParameters", "time_window"]

Fields = Mapping[str, str]
LIMIT_DEFAULT: Final = 500
LIMIT_MAX: Final = 1000
# Per account; the oldest are forgotten beyond it, as the venue forgets after days.
CLOSED_ORDERS_MAX: Final = 100_000
FILLS_MAX: Final = 100_000


@dataclass(frozen=True)
class AccountParameters:
    """One account of the simulated exchange. Exactly one of `hmac_secret` and `ed25519_public_key` (PEM or raw base64)."""

    name: str = "test"
    api_key: str = "test-key"
    hmac_secret: str = "test-secret"
    ed25519_public_key: str = ""
    spot_balances: Mapping[str, str] = field(default_factory=lambda: {"USDT": "100000", "BTC": "1", "ETH": "20"})
    futures_usdt: str = "100000"


class VenueCore(VenueMarket):
    """The venue. Everything is keyed by an `account_id` from `account_of_key()`."""

    def __init__(self, symbols: Sequence[SymbolRules], parameters: VenueParameters, now_ns: int) -> None:
        super().__init__(symbols, parameters, now_ns)
        self._accounts: dict[int, Account] = {}
        self._keys: dict[str, tuple[int, AccountParameters]] = {}
        self._next_order_id = parameters.first_order_id
        self._next_execution_id = parameters.first_order_id * 2

    # accounts

    def add_account(self, parameters: AccountParameters, now_ns: int) -> int:
        """Opens an account, returns its id (the same on both venues if opened in the same order)."""
        account_id = 1 + len(self._accounts)
        account = Account(account_id, updated_ns=now_ns)
        self._accounts[account_id] = account
        self._keys[parameters.api_key] = (account_id, parameters)
        self._fund(account, parameters)
        return account_id

    def _fund(self, account: Account, parameters: AccountParameters) -> None:
        raise NotImplementedError

    def account_of_key(self, api_key: str) -> tuple[int, AccountParameters] | None:
        """Whose key this is; None: -2015."""
        return self._keys.get(api_key)

    def account_updated_ns(self, account_id: int) -> int:
        """When anything of the account last changed (`updateTime`)."""
        return self._accounts[account_id].updated_ns

    def deposit(self, account_id: int, asset: str, amount_e8: int, now_ns: int) -> None:
        """Money from (or, negative, to) outside; events as the venue sends them."""
        raise NotImplementedError

    # orders

    def place(self, account_id: int, fields: Fields, now_ns: int, *, is_test: bool = False) -> Placed | Refusal:
        """New order. `is_test`: all checks, no order (the answer's order has id 0)."""
        raise NotImplementedError

    def cancel(self, account_id: int, fields: Fields, now_ns: int) -> Order | Refusal:
        """DELETE order: symbol, orderId and/or origClientOrderId, newClientOrderId, cancelRestrictions."""
        raise NotImplementedError

    def cancel_all(self, account_id: int, symbol: str, now_ns: int) -> list[Order] | Refusal:
        """All open orders of one symbol. Spot: -2011 if there is none; futures: an empty list."""
        raise NotImplementedError

    def cancel_replace(self, account_id: int, fields: Fields, now_ns: int) -> CancelReplaced | Refusal:
        """Spot. Refusal: the request itself was malformed."""
        raise NotImplementedError

    def amend(self, account_id: int, fields: Fields, now_ns: int) -> Amended | Refusal:
        """Spot order/amend/keepPriority: newQty, newClientOrderId."""
        raise NotImplementedError

    def modify(self, account_id: int, fields: Fields, now_ns: int) -> Order | Refusal:
        """Futures PUT order: loses its place in the queue."""
        raise NotImplementedError

    def query(self, account_id: int, fields: Fields, now_ns: int) -> Order | Refusal:
        """GET order: by orderId or origClientOrderId (latest of several, closed ones too); both: must match."""
        order = self._find(account_id, fields, NO_SUCH_ORDER)
        return order if isinstance(order, Refusal) else self._copy(order)

    def query_open(self, account_id: int, fields: Fields, now_ns: int) -> Order | Refusal:
        """Futures GET openOrder: -2013 when it is closed."""
        order = self._find(account_id, fields, NO_SUCH_ORDER)
        if isinstance(order, Refusal):
            return order
        return self._copy(order) if order.is_open else NO_SUCH_ORDER

    def open_orders(self, account_id: int, symbol: str | None) -> list[Order] | Refusal:
        """Oldest first."""
        if symbol and symbol not in self.symbols:
            return UNKNOWN_SYMBOL
        orders = self._accounts[account_id].open_orders.values()
        return [self._copy(order) for order in orders if not symbol or order.symbol == symbol]

    def all_orders(self, account_id: int, fields: Fields) -> list[Order] | Refusal:
        """symbol, orderId (from), startTime, endTime, limit."""
        window = self._window(fields)
        if isinstance(window, Refusal):
            return window
        rules, start_ns, end_ns, limit = window
        from_id = integer(fields, "orderId")
        if isinstance(from_id, Refusal):
            return from_id
        orders = [
            order
            for order in self._accounts[account_id].orders.values()
            if order.rules is rules and order.order_id >= (from_id or 0) and start_ns <= order.created_ns <= end_ns
        ]
        chosen = orders[:limit] if from_id is not None or fields.get("startTime") else orders[-limit:]
        return [self._copy(order) for order in chosen]

    def my_trades(self, account_id: int, fields: Fields) -> list[Fill] | Refusal:
        """symbol, orderId, fromId, startTime, endTime, limit. Oldest first."""
        window = self._window(fields)
        if isinstance(window, Refusal):
            return window
        rules, start_ns, end_ns, limit = window
        from_id, order_id = integer(fields, "fromId"), integer(fields, "orderId")
        if isinstance(from_id, Refusal):
            return from_id
        if isinstance(order_id, Refusal):
            return order_id
        fills = [
            fill
            for fill in self._accounts[account_id].fills
            if fill.rules is rules
            and fill.trade_id >= (from_id or 0)
            and (order_id is None or fill.order_id == order_id)
            and start_ns <= fill.time_ns <= end_ns
        ]
        return fills[:limit] if from_id is not None or fields.get("startTime") else fills[-limit:]

    def countdown_cancel_all(self, account_id: int, symbol: str, countdown_ms: int, now_ns: int) -> Refusal | None:
        """Futures: cancels all of the symbol unless called again in time; 0 disarms."""
        if symbol not in self.symbols:
            return UNKNOWN_SYMBOL
        countdowns = self._accounts[account_id].countdowns
        if countdown_ms == 0:
            countdowns.pop(symbol, None)
        else:
            countdowns[symbol] = now_ns + countdown_ms * 1_000_000
        return None

    # account

    def balances(self, account_id: int, *, omit_zero: bool = False) -> list[Balance]:
        """Spot balances."""
        raise NotImplementedError

    def wallet(self, account_id: int) -> WalletView:
        """Futures wallet."""
        raise NotImplementedError

    def positions(self, account_id: int, symbol: str | None = None, *, only_active: bool = False) -> list[PositionView]:
        """Futures positions of every symbol, or only those with a position or open orders. Hedge mode: two rows each."""
        raise NotImplementedError

    def commission(self, account_id: int, symbol: str) -> CommissionRates | Refusal:
        """This account's rates."""
        if symbol not in self.symbols:
            return UNKNOWN_SYMBOL
        return CommissionRates(self._parameters.maker_fee_e8, self._parameters.taker_fee_e8)

    def leverage(self, account_id: int, symbol: str) -> int:
        """Current leverage of a symbol."""
        return self._accounts[account_id].leverage(symbol)

    def set_leverage(self, account_id: int, fields: Fields, now_ns: int) -> tuple[int, int] | Refusal:
        """(leverage, maxNotionalValue in e8)."""
        raise NotImplementedError

    def is_hedge_mode(self, account_id: int) -> bool:
        """dualSidePosition."""
        return self._accounts[account_id].is_hedge_mode

    def set_position_mode(self, account_id: int, fields: Fields, now_ns: int) -> Refusal | None:
        """POST positionSide/dual. -4059 unchanged, -4067 open orders, -4068 open positions."""
        raise NotImplementedError

    def is_isolated(self, account_id: int, symbol: str) -> bool:
        """marginType."""
        return symbol in self._accounts[account_id].isolated

    def set_margin_type(self, account_id: int, fields: Fields, now_ns: int) -> Refusal | None:
        """POST marginType. -4046 unchanged, -4047 open orders, -4048 position."""
        raise NotImplementedError

    def income(self, account_id: int, fields: Fields) -> list[IncomeRow] | Refusal:
        """symbol, incomeType, startTime, endTime, limit."""
        raise NotImplementedError

    # market

    def mark_price(self, symbol: str) -> MarkPrice | Refusal:
        """Futures premiumIndex."""
        raise NotImplementedError

    def funding_history(self, symbol: str | None, fields: Fields) -> list[FundingRow]:
        """Oldest first: startTime, endTime, limit."""
        raise NotImplementedError

    # --- the desk: book-keeping of executions (see matching.Desk) ---

    def on_expired(self, order: Order, reason: str, now_ns: int, *, in_match: bool = False) -> None:
        """The rules of the venue ended `order`; it is out of the book already."""
        order.expiry_reason = reason
        self._close(order, "EXPIRED_IN_MATCH" if in_match else "EXPIRED", "EXPIRED", now_ns)

    def on_prevented(self, order: Order, lots: int, now_ns: int) -> None:
        """Self-trade prevention took `lots` from `order`."""
        order.prevented_lots += lots
        order.updated_ns = now_ns
        self._emit_order(order, "TRADE_PREVENTION", None, now_ns, prevented_lots=lots)

    # --- shared book-keeping ---

    def _market_of(self, fields: Fields) -> SymbolRules | Refusal:
        symbol = fields.get("symbol", "")
        if not symbol:
            return mandatory("symbol")
        return self.symbols.get(symbol, UNKNOWN_SYMBOL)

    def _window(self, fields: Fields) -> tuple[SymbolRules, int, int, int] | Refusal:
        rules = self._market_of(fields)
        if isinstance(rules, Refusal):
            return rules
        window = time_window(fields)
        return window if isinstance(window, Refusal) else (rules, *window)

    def _find(self, account_id: int, fields: Fields, absent: Refusal) -> Order | Refusal:
        """By orderId, or by origClientOrderId: an open order first, else the latest of several."""
        rules = self._market_of(fields)
        if isinstance(rules, Refusal):
            return rules
        order_id = integer(fields, "orderId")
        client_id = fields.get("origClientOrderId", "")
        if isinstance(order_id, Refusal):
            return order_id
        if order_id is None and not client_id:
            if self.product == "spot":
                return Refusal(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
            return Refusal(-1102, "Either orderId or origClientOrderId must be sent.")
        account = self._accounts[account_id]
        if order_id is not None:
            order = account.orders.get(order_id)
            if order is None or order.rules is not rules:
                return absent
            if client_id and client_id not in (order.client_order_id, order.original_client_order_id):
                return Refusal(-2039, "Client order ID is not correct for this order ID.") if self.product == "spot" else absent
            return order
        live = account.open_client_ids.get((rules.symbol, client_id))
        if live is not None:
            return live
        orders = account.orders_by_client_id.get((rules.symbol, client_id))
        return orders[-1] if orders else absent

    def _find_open(self, account_id: int, fields: Fields) -> Order | Refusal:
        """An order that can still be cancelled: unknown and closed ones are both -2011."""
        order = self._find(account_id, fields, UNKNOWN_ORDER)
        if isinstance(order, Order) and not order.is_open:
            return UNKNOWN_ORDER
        return order

    def _is_duplicate(self, account: Account, symbol: str, client_id: str) -> bool:
        if not client_id:
            return False
        if self._parameters.client_ids_per_symbol:
            if (symbol, client_id) in account.open_client_ids:
                return True
        elif any(name == client_id for _, name in account.open_client_ids):
            return True
        return self._parameters.refuse_closed_client_ids and (symbol, client_id) in account.orders_by_client_id

    def _accept(self, account: Account, request: OrderRequest, price_ticks: int, quantity_lots: int, now_ns: int) -> Order:
        """Gives a checked request its id and its place in the account's records."""
        rules = request.rules
        order_id = self._next_order_id
        self._next_order_id += 1
        order = Order(
            order_id=order_id,
            account_id=account.account_id,
            rules=rules,
            client_order_id=request.client_order_id or self._generated_id(order_id),
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            price_ticks=price_ticks,
            quantity_lots=quantity_lots,
            created_ns=now_ns,
            updated_ns=now_ns,
            working_ns=now_ns,
            quote_quantity_e8=request.quote_quantity_e8,
            stp_mode=request.stp_mode,
            position_side=request.position_side,
            reduce_only=request.reduce_only,
            price_match=request.price_match,
            good_till_ms=request.good_till_ms,
            response_type=request.response_type,
            strategy_id=request.strategy_id,
            strategy_type=request.strategy_type,
        )
        account.orders[order_id] = order
        account.open_orders[order_id] = order
        key = (rules.symbol, order.client_order_id)
        account.open_client_ids[key] = order
        account.orders_by_client_id.setdefault(key, []).append(order)
        while len(account.closed_ids) > CLOSED_ORDERS_MAX:
            self._forget_oldest(account)
        if len(account.fills) > 2 * FILLS_MAX:
            del account.fills[:FILLS_MAX]
        return order

    def _generated_id(self, number: int) -> str:
        return "sim" + base36(number, 19)  # 22 characters, as the venue's own.

    def _forget_oldest(self, account: Account) -> None:
        order = account.orders.pop(account.closed_ids.popleft())
        for name in {order.client_order_id, order.original_client_order_id}:
            rows = account.orders_by_client_id.get((order.symbol, name), [])
            rows[:] = [row for row in rows if row is not order]
            if not rows:
                account.orders_by_client_id.pop((order.symbol, name), None)

    def _rename(self, order: Order, client_id: str) -> None:
        """Spot: a cancel or amend gives the order a new id; both find it afterwards."""
        account = self._accounts[order.account_id]
        account.open_client_ids.pop((order.symbol, order.client_order_id), None)
        order.original_client_order_id = order.client_order_id
        order.client_order_id = client_id
        account.orders_by_client_id.setdefault((order.symbol, client_id), []).append(order)
        if order.is_open:
            account.open_client_ids[(order.symbol, client_id)] = order

    def _close(self, order: Order, status: str, execution_type: ExecutionType, now_ns: int) -> None:
        """The order ends without a trade; it must be out of the book."""
        order.status = status
        order.updated_ns = now_ns
        self._forget_open(order)
        self._emit_order(order, execution_type, None, now_ns)

    def _forget_open(self, order: Order) -> None:
        account = self._accounts[order.account_id]
        if account.open_orders.pop(order.order_id, None) is not None:
            account.closed_ids.append(order.order_id)
        key = (order.symbol, order.client_order_id)
        if account.open_client_ids.get(key) is order:
            del account.open_client_ids[key]

    def _copy(self, order: Order) -> Order:
        return order.copy()

    def _emit_order(
        self, order: Order, execution_type: ExecutionType, fill: Fill | None, now_ns: int, *, prevented_lots: int = 0
    ) -> int:
        execution_id = self._next_execution_id
        self._next_execution_id += 1
        bids, asks = self._open_notional(order)
        self._events.append(
            OrderEvent(
                order.account_id,
                self._copy(order),
                execution_type,
                execution_id,
                fill,
                now_ns,
                now_ns,
                prevented_lots,
                bids,
                asks,
            )
        )
        return execution_id

    def _open_notional(self, order: Order) -> tuple[int, int]:
        """Notional of the account's open buys and sells of this symbol; futures tell it with every order event."""
        return 0, 0

    def _commit(self, rules: SymbolRules, now_ns: int) -> None:
        """After an account's operation: its changes of accounts are told, its changes of the book go into the streams."""
        self._settle(now_ns)
        self._markets[rules.symbol].commit(now_ns, now_ns)


def time_window(fields: Fields) -> tuple[int, int, int] | Refusal:
    """(start_ns, end_ns, limit) from startTime, endTime, limit."""
    start, end, limit = integer(fields, "startTime"), integer(fields, "endTime"), integer(fields, "limit")
    if isinstance(start, Refusal):
        return start
    if isinstance(end, Refusal):
        return end
    if isinstance(limit, Refusal):
        return limit
    if limit is not None and not 1 <= limit <= LIMIT_MAX:
        if limit < 1:
            return Refusal(-1102, "Mandatory parameter 'limit' was not sent, was empty/null, or malformed.")
        limit = LIMIT_MAX
    start_ns = (start or 0) * 1_000_000
    end_ns = end * 1_000_000 + 999_999 if end is not None else NEVER_NS
    return start_ns, end_ns, limit or LIMIT_DEFAULT
