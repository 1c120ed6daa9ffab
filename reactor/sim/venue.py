"""One simulated venue (spot or USD-M): rules, accounts, orders and market behind one door, without IO.

`fields` of every order call are the request's parameters with the venue's own names, all values as text ("true"/"false" for
booleans); signature, timestamp and recvWindow are the face's business and ignored here. Answers are values: never an exception
for anything a client can do. After any call, take what happened with `take_events()`.

    request ─▶ filters.py ─▶ place ─▶ matching.py ─▶ on_execution ─▶ accounts.py ─▶ events
    market update ─────────▶ market.py + matching.py ──────┘

This file is what both products share; spot.py and usdm.py are the two venues.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reactor.domain.ids import base36
from reactor.sim.accounts import Account
from reactor.sim.events import (
    Amended,
    Balance,
    BookTickerView,
    CancelReplaced,
    CommissionRates,
    DayView,
    DepthView,
    Event,
    ExecutionType,
    Fill,
    FundingRow,
    IncomeRow,
    MarkPrice,
    Order,
    OrderEvent,
    Placed,
    PositionView,
    PublicTrade,
    Refusal,
    WalletView,
)
from reactor.sim.filters import NO_SUCH_ORDER, UNKNOWN_ORDER, UNKNOWN_SYMBOL, OrderRequest, integer, mandatory
from reactor.sim.market import SymbolMarket, UpdateIds
from reactor.sim.matching import SymbolMatching
from reactor.sim.symbols import Product, SymbolRules
from reactor.sim.updates import NEVER_NS, BookUpdate, MarketUpdate, TopUpdate, TradeUpdate

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


@dataclass(frozen=True)
class VenueParameters:
    """What an operator may turn. Rates in 1e-8 of the notional (0.1 % = 100_000)."""

    maker_fee_e8: int = 100_000  # Spot VIP 0: 0.1 %. `USDM_PARAMETERS` has 0.02 % / 0.05 %.
    taker_fee_e8: int = 100_000
    # The venue says only that ids are unique among open orders; True also refuses ids of closed ones.
    refuse_closed_client_ids: bool = False
    # One id per account and symbol, or per account (facts: unresolved; best guess is per symbol).
    client_ids_per_symbol: bool = True
    # Ids of a venue that has been running for years.
    first_order_id: int = 10_000_000_000
    first_update_id: int = 50_000_000_000
    first_trade_id: int = 3_700_000_000


USDM_PARAMETERS: Final = VenueParameters(
    maker_fee_e8=20_000,
    taker_fee_e8=50_000,
    first_order_id=8_886_000_000,
    first_update_id=5_100_000_000_000,
    first_trade_id=5_266_000_000,
)


class VenueCore:
    """The venue. Everything is keyed by an `account_id` from `account_of_key()`."""

    product: Product

    def __init__(self, symbols: Sequence[SymbolRules], parameters: VenueParameters, now_ns: int) -> None:
        self.symbols = {rules.symbol: rules for rules in symbols}
        self._parameters = parameters
        self._events: list[Event] = []
        self._accounts: dict[int, Account] = {}
        self._keys: dict[str, tuple[int, AccountParameters]] = {}
        self._now_ns = now_ns
        self._next_order_id = parameters.first_order_id
        self._next_execution_id = parameters.first_order_id * 2
        self._markets: dict[str, SymbolMarket] = {}
        self._matchings: dict[str, SymbolMatching] = {}
        self._tops: dict[str, TopUpdate] = {}
        shared_ids = UpdateIds(parameters.first_update_id, has_gaps=True)
        for rules in symbols:
            assert rules.product == self.product, f"{rules.symbol} of {rules.product} listed on {self.product}"
            ids = shared_ids if rules.is_futures else UpdateIds(parameters.first_update_id, has_gaps=False)
            market = SymbolMarket(rules, ids, self._events, parameters.first_trade_id, now_ns)
            self._markets[rules.symbol] = market
            self._matchings[rules.symbol] = SymbolMatching(market, self)
        self._next_close_ns = 0

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

    def depth(self, symbol: str, limit: int) -> DepthView | Refusal:
        """The best `limit` levels of each side, with the id of the last update inside it."""
        market = self._markets.get(symbol)
        if market is None:
            return UNKNOWN_SYMBOL
        bids, asks = market.depth(limit)
        return DepthView(market.last_update_id, bids, asks, market.transaction_ns)

    def book_ticker(self, symbol: str) -> BookTickerView | Refusal:
        """Best prices."""
        market = self._markets.get(symbol)
        if market is None:
            return UNKNOWN_SYMBOL
        return BookTickerView(market.rules, market.last_update_id, *market.top, market.transaction_ns)

    def recent_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade] | Refusal:
        """Oldest first, at most 1000 kept."""
        market = self._markets.get(symbol)
        return UNKNOWN_SYMBOL if market is None else list(market.recent)[-limit:]

    def day(self, symbol: str) -> DayView | Refusal:
        """Statistics since the session began."""
        market = self._markets.get(symbol)
        if market is None:
            return UNKNOWN_SYMBOL
        return DayView(
            rules=market.rules,
            open_ticks=market.open_ticks,
            high_ticks=market.high_ticks,
            low_ticks=market.low_ticks,
            last_ticks=market.last_ticks,
            last_lots=market.last_lots,
            volume_lots=market.volume_lots,
            quote_e8=market.quote_e8,
            first_trade_id=market.first_trade_id,
            last_trade_id=market.next_trade_id - 1,
            open_ns=market.open_ns,
            close_ns=self._now_ns,
        )

    def average_price_e8(self, symbol: str) -> int:
        """Volume-weighted over 5 minutes; the last price if there was no trade, the mid if there never was one."""
        return self._markets[symbol].average_price_e8(self._now_ns)

    def mid_e8(self, symbol: str) -> int:
        """Mid of the displayed book in 1e-8; 0: unknown symbol or an empty side."""
        market = self._markets.get(symbol)
        return market.mid_e8() if market is not None else 0

    def mark_price(self, symbol: str) -> MarkPrice | Refusal:
        """Futures premiumIndex."""
        raise NotImplementedError

    def funding_history(self, symbol: str | None, fields: Fields) -> list[FundingRow]:
        """Oldest first: startTime, endTime, limit."""
        raise NotImplementedError

    def want_depth(self, symbol: str, speed_ms: int, wanted: bool) -> None:
        """Switches one depth cadence on or off (all on at the start): saves work when nobody listens."""
        self._markets[symbol].want_depth(speed_ms, wanted, self._now_ns)
        self._next_close_ns = 0

    def on_market(self, update: MarketUpdate, now_ns: int) -> None:
        """The source speaks: strangers' levels or a trade."""
        self._now_ns = now_ns
        symbol = update.symbol
        market, matching = self._markets[symbol], self._matchings[symbol]
        if isinstance(update, TradeUpdate):
            matching.on_trade(
                update.price_ticks,
                update.quantity_lots,
                update.buyer_is_maker,
                update.transaction_ns,
                update.event_ns,
                now_ns,
            )
        elif isinstance(update, TopUpdate):
            self._apply_top(market, update)
        else:
            self._apply_book(market, update)
        if matching.has_orders():
            matching.on_levels(now_ns)
            self._settle(now_ns)
        market.commit(update.transaction_ns, update.event_ns)

    def _apply_top(self, market: SymbolMarket, update: TopUpdate) -> None:
        """Better levels are gone. A side that says the same as before is not refreshed: what we took stays taken."""
        last = self._tops.get(update.symbol)
        if update.bid_ticks and (last is None or last.bid_ticks != update.bid_ticks or last.bid_lots != update.bid_lots):
            for ticks in market.bids.better_than(update.bid_ticks):
                market.apply_level(True, ticks, 0)
            market.apply_level(True, update.bid_ticks, update.bid_lots)
            if update.bid_lots:
                _uncross(market, True, update.bid_ticks)
        if update.ask_ticks and (last is None or last.ask_ticks != update.ask_ticks or last.ask_lots != update.ask_lots):
            for ticks in market.asks.better_than(update.ask_ticks):
                market.apply_level(False, ticks, 0)
            market.apply_level(False, update.ask_ticks, update.ask_lots)
            if update.ask_lots:
                _uncross(market, False, update.ask_ticks)
        self._tops[update.symbol] = update

    def _apply_book(self, market: SymbolMarket, update: BookUpdate) -> None:
        apply_level = market.apply_level
        if update.is_snapshot or update.is_reset:
            for is_bid, levels, side in ((True, update.bids, market.bids), (False, update.asks, market.asks)):
                said = {ticks for ticks, _ in levels}
                if update.is_reset:
                    unsaid = side.levels.keys() - said
                elif said:
                    worst = min(said) if is_bid else max(said)
                    unsaid = set(side.between(worst, side.best() or worst)) - said
                else:
                    continue
                for ticks in unsaid:
                    apply_level(is_bid, ticks, 0)
        for ticks, lots in update.bids:
            apply_level(True, ticks, lots)
        for ticks, lots in update.asks:
            apply_level(False, ticks, lots)
        best_bid, best_ask = market.bids.best(), market.asks.best()
        if best_bid >= best_ask and best_bid and best_ask:
            # A source without a snapshot may hold levels that went unseen; what was said just now is right.
            _uncross(market, True, max((ticks for ticks, lots in update.bids if lots), default=0))
            _uncross(market, False, min((ticks for ticks, lots in update.asks if lots), default=0))

    # time

    def advance(self, now_ns: int) -> None:
        """Closes stream intervals, pays funding, expires, liquidates. Call every 10 ms at least and before answering."""
        self._now_ns = max(now_ns, self._now_ns)
        if now_ns < self._next_close_ns:
            return
        next_close_ns = NEVER_NS
        for market in self._markets.values():
            if market.next_close_ns <= now_ns:
                market.close_buckets(now_ns)
            if market.next_close_ns < next_close_ns:
                next_close_ns = market.next_close_ns
        self._next_close_ns = min(next_close_ns, self._on_time(now_ns))

    def _on_time(self, now_ns: int) -> int:
        """The product's own clockwork; returns when it wants to be called again."""
        return NEVER_NS

    def take_events(self) -> list[Event]:
        """Everything since the last call, in order."""
        events = self._events[:]
        self._events.clear()
        return events

    # --- the desk: book-keeping of executions (see matching.Desk) ---

    def on_execution(self, order: Order, ticks: int, lots: int, trade_id: int, is_maker: bool, now_ns: int) -> None:
        """`order` traded `lots` at `ticks`."""
        raise NotImplementedError

    def on_expired(self, order: Order, reason: str, now_ns: int, *, in_match: bool = False) -> None:
        """The rules of the venue ended `order`; it is out of the book already."""
        order.expiry_reason = reason
        self._close(order, "EXPIRED_IN_MATCH" if in_match else "EXPIRED", "EXPIRED", now_ns)

    def on_prevented(self, order: Order, lots: int, now_ns: int) -> None:
        """Self-trade prevention took `lots` from `order`."""
        order.prevented_lots += lots
        order.updated_ns = now_ns
        self._emit_order(order, "TRADE_PREVENTION", None, now_ns, prevented_lots=lots)

    def executable_lots(self, order: Order) -> int:
        """How much of `order` may trade now."""
        return order.remaining_lots

    # --- shared book-keeping ---

    def _settle(self, now_ns: int) -> None:
        """After every operation: balance events, and what follows from changed positions."""

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


def _uncross(market: SymbolMarket, is_bid: bool, ticks: int) -> None:
    """Strangers never stand crossed: what the other side still shows at or through a new best (0: none) is gone."""
    side = market.asks if is_bid else market.bids
    if ticks == 0:
        return
    while (best := side.best()) and (best <= ticks if is_bid else best >= ticks):
        market.apply_level(not is_bid, best, 0)
