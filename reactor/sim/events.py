"""What a simulated venue says: its orders, fills, refusals, and the events that a face renders as the venue's JSON.

Everything here is a value: an order inside an event or an answer is a copy of that moment, so it may be rendered later.
Times are the exchange's wall clock in ns (`E`, `T`, `O`, `W` on the wire = `_ns // 1_000_000`).

What the market says hundreds of times a second is a NamedTuple: made four times as fast as a frozen dataclass.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from reactor.sim.symbols import SymbolRules

Side = Literal["BUY", "SELL"]
ExecutionType = Literal[
    "NEW", "CANCELED", "REPLACED", "REJECTED", "TRADE", "EXPIRED", "TRADE_PREVENTION", "AMENDMENT", "CALCULATED"
]
Levels = list[tuple[int, int]]  # (price ticks, quantity lots), absolute; 0 lots: the level is gone


@dataclass(frozen=True, slots=True)
class Refusal:
    """The venue said no: render {"code":…,"msg":…} with HTTP `status`. `data`: see `CancelReplaced`."""

    code: int
    message: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of one order of one account."""

    trade_id: int
    order_id: int
    client_order_id: str
    rules: SymbolRules
    side: Side
    price_ticks: int
    quantity_lots: int
    quote_e8: int
    commission_e8: int
    commission_asset: str
    is_maker: bool
    time_ns: int
    position_side: str = "BOTH"
    realised_e8: int = 0  # Futures: realised profit of this fill, fees not included.

    @property
    def price_text(self) -> str:
        """Wire text of the price."""
        return self.rules.price_text(self.price_ticks)

    @property
    def quantity_text(self) -> str:
        """Wire text of the quantity."""
        return self.rules.quantity_text(self.quantity_lots)


@dataclass
class Order:
    """One order of one account; wire words for the enumerations.

    No slots: an order is copied for every event, and copying one `__dict__` is ten times cheaper than thirty slots.
    """

    order_id: int
    account_id: int
    rules: SymbolRules
    client_order_id: str  # After a spot cancel or amend: the id of that request.
    side: Side
    type: str  # LIMIT, MARKET, LIMIT_MAKER
    time_in_force: str  # GTC, IOC, FOK, GTX, GTD
    price_ticks: int
    quantity_lots: int  # origQty; of a spot quote-quantity market order: what it bought or sold.
    created_ns: int
    updated_ns: int
    status: str = "NEW"  # NEW PARTIALLY_FILLED FILLED CANCELED REJECTED EXPIRED EXPIRED_IN_MATCH
    original_client_order_id: str = ""  # Spot, after cancel or amend: what the order was called before (`C`).
    quote_quantity_e8: int = 0  # quoteOrderQty
    executed_lots: int = 0
    executed_quote_e8: int = 0  # cummulativeQuoteQty / cumQuote
    prevented_lots: int = 0
    stp_mode: str = "EXPIRE_MAKER"
    position_side: str = "BOTH"
    reduce_only: bool = False
    price_match: str = "NONE"
    good_till_ms: int = 0
    response_type: str = ""  # newOrderRespType as asked; "" = the venue's default
    strategy_id: str = ""
    strategy_type: str = ""
    iceberg_lots: int = 0
    expiry_reason: str = ""  # Spot words (§1.9): UNFILLED_IOC_QUANTITY_EXPIRED …; futures: digits "0" … "9"
    is_liquidation: bool = False
    modifications: int = 0
    working_ns: int = 0
    # Book-keeping of the venue; faces do not read below this line.
    ahead_lots: int = 0
    locked_e8: int = 0
    counted_e8: int = 0  # Futures: what it adds to the account's open notional.

    def copy(self) -> "Order":
        """The order as it is now."""
        twin = object.__new__(Order)
        twin.__dict__.update(self.__dict__)
        return twin

    @property
    def symbol(self) -> str:
        """The venue's symbol."""
        return self.rules.symbol

    @property
    def is_open(self) -> bool:
        """True while it rests (or may still trade)."""
        return self.status in ("NEW", "PARTIALLY_FILLED")

    @property
    def remaining_lots(self) -> int:
        """What may still trade."""
        return self.quantity_lots - self.executed_lots - self.prevented_lots

    @property
    def average_price_e8(self) -> int:
        """Executed quote / executed base in 1e-8, 0 before the first fill."""
        executed_e8 = self.rules.base_e8(self.executed_lots)
        return self.executed_quote_e8 * 100_000_000 // executed_e8 if executed_e8 else 0


@dataclass(frozen=True, slots=True)
class Placed:
    """An accepted order. `accepted` is the order as it entered (NEW, nothing executed: what a futures ACK shows), `order`
    as it stands now, `fills` what it got at once (spot FULL)."""

    accepted: Order
    order: Order
    fills: tuple[Fill, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelReplaced:
    """Both halves of a spot cancelReplace. Success of both: HTTP 200; else -2022 with 400 (both failed or not attempted) or
    -2021 with 409 (one half done)."""

    cancel_result: Literal["SUCCESS", "FAILURE"]
    new_order_result: Literal["SUCCESS", "FAILURE", "NOT_ATTEMPTED"]
    cancel_response: Order | Refusal
    new_order_response: Placed | Refusal | None


@dataclass(frozen=True, slots=True)
class Amended:
    """A spot amend that kept its priority."""

    order: Order
    execution_id: int


# --- market events: everybody's -----------------------------------------------------------------------------------


class TradeEvent(NamedTuple):
    """One public trade."""

    rules: SymbolRules
    trade_id: int
    price_ticks: int
    quantity_lots: int
    buyer_is_maker: bool
    trade_ns: int
    event_ns: int


@dataclass(frozen=True, slots=True)
class AggregateTradeEvent:
    """Trades of one aggressor at one price."""

    rules: SymbolRules
    aggregate_id: int
    price_ticks: int
    quantity_lots: int
    first_trade_id: int
    last_trade_id: int
    buyer_is_maker: bool
    trade_ns: int
    event_ns: int


class BookTickerEvent(NamedTuple):
    """The best prices changed. 0 ticks: that side is empty."""

    rules: SymbolRules
    update_id: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    transaction_ns: int
    event_ns: int


class DepthEvent(NamedTuple):
    """All levels that changed in one interval. `speed_ms`: spot 100, 1000; futures 0 (real time), 100, 250, 500.

    Spot: first_update_id == previous_update_id + 1. Futures: `pu` = previous_update_id, ids have gaps.
    Top-of-book streams (`@depth5/10/20`) render `venue.depth()` when this event of their speed comes.
    """

    rules: SymbolRules
    speed_ms: int
    first_update_id: int
    last_update_id: int
    previous_update_id: int
    bids: Levels
    asks: Levels
    transaction_ns: int
    event_ns: int


@dataclass(frozen=True, slots=True)
class MarkPriceEvent:
    """Mark and index price with the funding estimate; emitted at both cadences (`interval_ms` 1000 and 3000)."""

    rules: SymbolRules
    interval_ms: int
    mark: "MarkPrice"
    event_ns: int


@dataclass(frozen=True, slots=True)
class ForceOrderEvent:
    """A liquidation, as the public sees it. `order` is closed."""

    order: Order
    event_ns: int


# --- account events: one account's --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """executionReport / ORDER_TRADE_UPDATE. `order` is a copy of that moment; `fill` only with TRADE (and CALCULATED)."""

    account_id: int
    order: Order
    execution_type: ExecutionType
    execution_id: int
    fill: Fill | None
    transaction_ns: int
    event_ns: int
    prevented_lots: int = 0  # With TRADE_PREVENTION: this time.
    bid_notional_e8: int = 0  # Futures `b`/`a`: notional of the account's open buy / sell orders of this symbol.
    ask_notional_e8: int = 0


@dataclass(frozen=True, slots=True)
class SpotBalanceEvent:
    """outboundAccountPosition: the assets one transaction touched, after its OrderEvent."""

    account_id: int
    balances: tuple["Balance", ...]
    transaction_ns: int
    event_ns: int


@dataclass(frozen=True, slots=True)
class DepositEvent:
    """balanceUpdate: money from outside. (Futures: an AccountUpdateEvent with reason DEPOSIT instead.)"""

    account_id: int
    asset: str
    delta_e8: int
    transaction_ns: int
    event_ns: int


@dataclass(frozen=True, slots=True)
class WalletChange:
    """One element of ACCOUNT_UPDATE.a.B. `change_e8` (`bc`): the amount of a funding or transfer, 0 for orders."""

    asset: str
    wallet_e8: int
    cross_wallet_e8: int
    change_e8: int


@dataclass(frozen=True, slots=True)
class AccountUpdateEvent:
    """ACCOUNT_UPDATE: reason ORDER, FUNDING_FEE (no positions: cross), DEPOSIT, WITHDRAW, INSURANCE_CLEAR."""

    account_id: int
    reason: str
    wallets: tuple[WalletChange, ...]
    positions: tuple["PositionView", ...]
    symbol: str  # `a.S` of a funding fee, else ""
    transaction_ns: int
    event_ns: int


@dataclass(frozen=True, slots=True)
class MarginCallEvent:
    """MARGIN_CALL: the margin ratio passed the warning mark."""

    account_id: int
    cross_wallet_e8: int
    positions: tuple["PositionView", ...]
    event_ns: int


@dataclass(frozen=True, slots=True)
class ConfigEvent:
    """ACCOUNT_CONFIG_UPDATE: a symbol's leverage changed."""

    account_id: int
    symbol: str
    leverage: int
    transaction_ns: int
    event_ns: int


MarketEvent = TradeEvent | AggregateTradeEvent | BookTickerEvent | DepthEvent | MarkPriceEvent | ForceOrderEvent
AccountEvent = OrderEvent | SpotBalanceEvent | DepositEvent | AccountUpdateEvent | MarginCallEvent | ConfigEvent
Event = MarketEvent | AccountEvent


# --- views: answers to questions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Balance:
    """One spot asset."""

    asset: str
    free_e8: int
    locked_e8: int


@dataclass(frozen=True, slots=True)
class PositionView:
    """One futures position at this moment; all `_e8` in USDT except `amount_lots`."""

    rules: SymbolRules
    position_side: str
    amount_lots: int  # Negative: short.
    entry_price_e8: int
    break_even_e8: int
    mark_price_e8: int
    unrealised_e8: int
    realised_e8: int  # Accumulated (`cr`), fees not included.
    liquidation_price_e8: int
    leverage: int
    is_isolated: bool
    isolated_wallet_e8: int
    notional_e8: int
    initial_margin_e8: int  # Position + open orders.
    position_margin_e8: int
    open_order_margin_e8: int
    maintenance_margin_e8: int
    bid_notional_e8: int
    ask_notional_e8: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class WalletView:
    """The USDT wallet of a futures account (the only margin asset listed)."""

    asset: str
    wallet_e8: int
    cross_wallet_e8: int
    unrealised_e8: int
    cross_unrealised_e8: int
    margin_e8: int  # wallet + unrealised
    available_e8: int
    initial_margin_e8: int
    position_margin_e8: int
    open_order_margin_e8: int
    maintenance_margin_e8: int
    updated_ns: int


@dataclass(frozen=True, slots=True)
class CommissionRates:
    """In 1e-8 of the notional: 0.0010 = 100_000."""

    maker_e8: int
    taker_e8: int


@dataclass(frozen=True, slots=True)
class DepthView:
    """A snapshot between two updates."""

    last_update_id: int
    bids: Levels
    asks: Levels
    transaction_ns: int


@dataclass(frozen=True, slots=True)
class BookTickerView:
    """Best prices; 0: that side is empty."""

    rules: SymbolRules
    update_id: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class MarkPrice:
    """premiumIndex of one perpetual. Rates in 1e-8 (0.0001 = 10_000)."""

    rules: SymbolRules
    mark_e8: int
    index_e8: int
    settle_e8: int
    average_e8: int
    funding_rate_e8: int  # Estimate of what will be charged at `next_funding_ns`.
    last_funding_rate_e8: int
    interest_rate_e8: int
    next_funding_ns: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class FundingRow:
    """One funding event of the past (GET fundingRate)."""

    rules: SymbolRules
    rate_e8: int
    mark_e8: int
    funding_ns: int


@dataclass(frozen=True, slots=True)
class IncomeRow:
    """One line of GET income: REALIZED_PNL, COMMISSION, FUNDING_FEE, TRANSFER, INSURANCE_CLEAR."""

    symbol: str
    income_type: str
    income_e8: int
    asset: str
    time_ns: int
    transaction_id: int
    trade_id: int


@dataclass(frozen=True, slots=True)
class DayView:
    """Statistics since the session began (at most 24 h): ticker/24hr, klines' neighbours."""

    rules: SymbolRules
    open_ticks: int
    high_ticks: int
    low_ticks: int
    last_ticks: int
    last_lots: int
    volume_lots: int
    quote_e8: int
    first_trade_id: int
    last_trade_id: int
    open_ns: int
    close_ns: int


class PublicTrade(NamedTuple):
    """One row of GET trades."""

    trade_id: int
    price_ticks: int
    quantity_lots: int
    buyer_is_maker: bool
    trade_ns: int


class Warned(str):
    """A notice of something that is wrong and can be helped: a damaged file, a line that is none."""

    __slots__ = ()


@dataclass(slots=True)
class Notices:
    """Sentences for the operator (skipped files, damaged lines, end of a capture). Take them with `take()`."""

    lines: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Appends one sentence."""
        self.lines.append(text)

    def warn(self, text: str) -> None:
        """Appends one that the operator should act on."""
        self.lines.append(Warned(text))

    def take(self) -> list[str]:
        """Empties the list."""
        lines, self.lines = self.lines, []
        return lines
