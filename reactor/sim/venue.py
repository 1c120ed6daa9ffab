"""One simulated venue (spot or USD-M): rules, accounts, orders and market behind one door, without IO.

`fields` of every order call are the request's parameters with the venue's own names, all values as text ("true"/"false" for
booleans); signature, timestamp and recvWindow are the face's business and ignored here. Answers are values: never an exception
for anything a client can do. After any call, take what happened with `take_events()`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reactor.sim.events import (
    Amended, Balance, BookTickerView, CancelReplaced, CommissionRates, DayView, DepthView, Event, Fill, FundingRow, IncomeRow, MarkPrice,
    Order, Placed, PositionView, PublicTrade, Refusal, WalletView,
)  # fmt: skip
from reactor.sim.symbols import Product, SymbolRules

Fields = Mapping[str, str]


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
    """What an operator may turn. Rates in 1e-8 (0.001 = 100_000)."""

    maker_fee_e8: int = 100_000  # Spot VIP 0: 0.1 %. UsdmParameters use 0.02 % / 0.05 %.
    taker_fee_e8: int = 100_000
    # The venue says only that ids are unique among open orders; True also refuses ids of closed ones.
    refuse_closed_client_ids: bool = False
    # One id per account, or per account and symbol (facts: unresolved; best guess is per symbol).
    client_ids_per_symbol: bool = True


class VenueCore:
    """The venue. Everything is keyed by an `account_id` from `account_of_key()`."""

    product: Product
    symbols: dict[str, SymbolRules]

    # accounts

    def add_account(self, parameters: AccountParameters, now_ns: int) -> int:
        """Opens an account, returns its id (the same on both venues if opened in the same order)."""
        raise NotImplementedError

    def account_of_key(self, api_key: str) -> tuple[int, AccountParameters] | None:
        """Whose key this is; None: -2015."""
        raise NotImplementedError

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
        raise NotImplementedError

    def query_open(self, account_id: int, fields: Fields, now_ns: int) -> Order | Refusal:
        """Futures GET openOrder: -2013 when it is closed."""
        raise NotImplementedError

    def open_orders(self, account_id: int, symbol: str | None) -> list[Order] | Refusal:
        """Oldest first."""
        raise NotImplementedError

    def all_orders(self, account_id: int, fields: Fields) -> list[Order] | Refusal:
        """symbol, orderId (from), startTime, endTime, limit."""
        raise NotImplementedError

    def my_trades(self, account_id: int, fields: Fields) -> list[Fill] | Refusal:
        """symbol, orderId, fromId, startTime, endTime, limit. Oldest first."""
        raise NotImplementedError

    def countdown_cancel_all(self, account_id: int, symbol: str, countdown_ms: int, now_ns: int) -> Refusal | None:
        """Futures: cancels all of the symbol unless called again in time; 0 disarms."""
        raise NotImplementedError

    # account

    def balances(self, account_id: int, *, omit_zero: bool = False) -> list[Balance]:
        """Spot balances."""
        raise NotImplementedError

    def wallet(self, account_id: int) -> WalletView:
        """Futures wallet."""
        raise NotImplementedError

    def positions(self, account_id: int, symbol: str | None = None, *, only_active: bool = False) -> list[PositionView]:
        """Futures positions of every symbol (v2), or only those with a position or open orders (v3). Hedge mode: LONG and SHORT rows."""
        raise NotImplementedError

    def commission(self, account_id: int, symbol: str) -> CommissionRates | Refusal:
        """This account's rates."""
        raise NotImplementedError

    def leverage(self, account_id: int, symbol: str) -> int:
        """Current leverage of a symbol."""
        raise NotImplementedError

    def set_leverage(self, account_id: int, fields: Fields, now_ns: int) -> tuple[int, int] | Refusal:
        """(leverage, maxNotionalValue in e8)."""
        raise NotImplementedError

    def is_hedge_mode(self, account_id: int) -> bool:
        """dualSidePosition."""
        raise NotImplementedError

    def set_position_mode(self, account_id: int, fields: Fields, now_ns: int) -> Refusal | None:
        """POST positionSide/dual. -4059 unchanged, -4067 open orders, -4068 open positions."""
        raise NotImplementedError

    def is_isolated(self, account_id: int, symbol: str) -> bool:
        """marginType."""
        raise NotImplementedError

    def set_margin_type(self, account_id: int, fields: Fields, now_ns: int) -> Refusal | None:
        """POST marginType. -4046 unchanged, -4047 open orders, -4048 position."""
        raise NotImplementedError

    def income(self, account_id: int, fields: Fields) -> list[IncomeRow] | Refusal:
        """symbol, incomeType, startTime, endTime, limit."""
        raise NotImplementedError

    # market

    def depth(self, symbol: str, limit: int) -> DepthView | Refusal:
        """The best `limit` levels of each side, with the id of the last update inside it."""
        raise NotImplementedError

    def book_ticker(self, symbol: str) -> BookTickerView | Refusal:
        """Best prices."""
        raise NotImplementedError

    def recent_trades(self, symbol: str, limit: int) -> Sequence[PublicTrade] | Refusal:
        """Oldest first, at most 1000 kept."""
        raise NotImplementedError

    def day(self, symbol: str) -> DayView | Refusal:
        """24 h statistics."""
        raise NotImplementedError

    def average_price_e8(self, symbol: str) -> int:
        """Volume-weighted over 5 minutes; the last price if there was no trade."""
        raise NotImplementedError

    def mark_price(self, symbol: str) -> MarkPrice | Refusal:
        """Futures premiumIndex."""
        raise NotImplementedError

    def funding_history(self, symbol: str | None, fields: Fields) -> list[FundingRow]:
        """Oldest first: startTime, endTime, limit."""
        raise NotImplementedError

    def want_depth(self, symbol: str, speed_ms: int, wanted: bool) -> None:
        """Switches one depth cadence on or off (all on at the start): saves work when nobody listens."""
        raise NotImplementedError

    # time

    def advance(self, now_ns: int) -> None:
        """Closes stream intervals, pays funding, lets orders expire, liquidates. Call at least every 10 ms and before answering."""
        raise NotImplementedError

    def take_events(self) -> list[Event]:
        """Everything since the last call, in order."""
        raise NotImplementedError
