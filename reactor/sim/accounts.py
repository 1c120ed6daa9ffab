"""What an account owns: spot balances to the last unit, a futures wallet with its positions and margins. Pure book-keeping.

Spot: `free` and `locked` per asset; an order locks what it may cost, a fill pays out of the lock, the rest is released.
Futures: one USDT wallet. A position keeps the exact cost of its open part, so realised + unrealised profit never loses a unit:

    wallet + Σ unrealised = deposits + Σ realised − Σ fees + Σ funding
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from reactor.domain.units import E8
from reactor.sim.events import Fill, IncomeRow, Order
from reactor.sim.symbols import SymbolRules

DEFAULT_LEVERAGE: Final = 20  # What the venue gives a new account.


# (leverage at most, maxNotionalValue in USDT): the venue's brackets for BTCUSDT, good enough for every listed symbol.
NOTIONAL_CAPS: Final = (
    (5, 300_000_000),
    (10, 100_000_000),
    (20, 40_000_000),
    (50, 10_000_000),
    (100, 3_000_000),
    (125, 300_000),
)


@dataclass(slots=True)
class SpotAsset:
    """Amounts in 1e-8."""

    free_e8: int = 0
    locked_e8: int = 0


@dataclass(slots=True)
class Position:
    """One futures position. `cost_e8` has the sign of the amount: Σ price·quantity of the part that is open."""

    rules: SymbolRules
    position_side: str
    amount_lots: int = 0
    cost_e8: int = 0
    realised_e8: int = 0
    fees_e8: int = 0  # Paid since the position was last flat; for the break-even price.
    isolated_wallet_e8: int = 0
    updated_ns: int = 0

    def notional_e8(self, mark_e8: int) -> int:
        """Signed notional at the mark price."""
        return self.amount_lots * self.rules.lot_e8 * mark_e8 // E8

    def unrealised_e8(self, mark_e8: int) -> int:
        """Profit if it were closed at the mark price."""
        return self.notional_e8(mark_e8) - self.cost_e8 if self.amount_lots else 0

    def entry_price_e8(self) -> int:
        """Average entry price, rounded to 1e-8; 0 when flat."""
        base_e8 = self.rules.base_e8(self.amount_lots)
        return (self.cost_e8 * E8 + base_e8 // 2) // base_e8 if base_e8 else 0

    def break_even_e8(self) -> int:
        """Entry price with the fees paid so far."""
        base_e8 = self.rules.base_e8(self.amount_lots)
        return (self.cost_e8 + self.fees_e8) * E8 // base_e8 if base_e8 else 0

    def apply_fill(self, delta_lots: int, ticks: int) -> int:
        """Adds a signed quantity at a price and returns what it realised."""
        realised = 0
        if self.amount_lots * delta_lots < 0:
            closed = min(abs(delta_lots), abs(self.amount_lots))
            # The closed part carries its share of the cost; the division's rest stays with what is open.
            closed_cost = self.cost_e8 if closed == abs(self.amount_lots) else self.cost_e8 * closed // abs(self.amount_lots)
            closed_lots = closed if self.amount_lots > 0 else -closed
            realised = self.rules.notional_e8(ticks, closed_lots) - closed_cost
            self.cost_e8 -= closed_cost
            self.amount_lots -= closed_lots
            delta_lots += closed_lots
            self.realised_e8 += realised
            if self.amount_lots == 0:
                self.fees_e8 = 0
        if delta_lots:
            self.cost_e8 += self.rules.notional_e8(ticks, delta_lots)
            self.amount_lots += delta_lots
        return realised


@dataclass(slots=True)
class Account:
    """Everything one account has on one venue."""

    account_id: int
    assets: dict[str, SpotAsset] = field(default_factory=dict)
    wallet_e8: int = 0
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    leverages: dict[str, int] = field(default_factory=dict)
    isolated: set[str] = field(default_factory=set)
    is_hedge_mode: bool = False
    orders: dict[int, Order] = field(default_factory=dict)  # by order id, all ever
    open_orders: dict[int, Order] = field(default_factory=dict)
    orders_by_client_id: dict[tuple[str, str], list[Order]] = field(default_factory=dict)  # (symbol, id), oldest first
    open_client_ids: dict[tuple[str, str], Order] = field(default_factory=dict)
    closed_ids: deque[int] = field(default_factory=deque)  # order ids, oldest first
    # (symbol, position side) → notional of open [buys, sells, opening buys, opening sells] in e8; see `recount`.
    open_notionals: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    income: list[IncomeRow] = field(default_factory=list)
    countdowns: dict[str, int] = field(default_factory=dict)  # symbol → when everything is cancelled
    updated_ns: int = 0
    margin_called: bool = False

    # spot

    def asset(self, name: str) -> SpotAsset:
        """The balance of an asset, zero if never touched."""
        asset = self.assets.get(name)
        if asset is None:
            asset = self.assets[name] = SpotAsset()
        return asset

    def lock(self, name: str, amount_e8: int) -> None:
        """Free → locked. The caller has checked that there is enough."""
        asset = self.asset(name)
        asset.free_e8 -= amount_e8
        asset.locked_e8 += amount_e8
        assert asset.free_e8 >= 0, "a lock never exceeds what is free"

    def release(self, name: str, amount_e8: int) -> None:
        """Locked → free."""
        asset = self.asset(name)
        asset.locked_e8 -= amount_e8
        asset.free_e8 += amount_e8
        assert asset.locked_e8 >= 0, "a release never exceeds what is locked"

    # futures

    def leverage(self, symbol: str) -> int:
        """Current leverage."""
        return self.leverages.get(symbol, DEFAULT_LEVERAGE)

    def position(self, rules: SymbolRules, position_side: str) -> Position:
        """The position record, created flat."""
        key = (rules.symbol, position_side)
        position = self.positions.get(key)
        if position is None:
            position = self.positions[key] = Position(rules, position_side)
        return position

    def recount(self, order: Order) -> None:
        """Keeps `open_notionals` true after anything about an order changed. Futures only."""
        now_e8 = order.rules.notional_e8(order.price_ticks, order.remaining_lots) if order.order_id in self.open_orders else 0
        change_e8 = now_e8 - order.counted_e8
        if change_e8:
            order.counted_e8 = now_e8
            row = self.open_notionals.setdefault((order.rules.symbol, order.position_side), [0, 0, 0, 0])
            side = 0 if order.side == "BUY" else 1
            row[side] += change_e8
            if not order.reduce_only:
                row[side + 2] += change_e8

    def cross_wallet_e8(self) -> int:
        """The wallet without what isolated positions hold."""
        if not self.isolated:
            return self.wallet_e8
        return self.wallet_e8 - sum(position.isolated_wallet_e8 for position in self.positions.values())


def notional_cap_usdt(leverage: int) -> int:
    """maxNotionalValue of a leverage."""
    return next(cap for most, cap in NOTIONAL_CAPS if leverage <= most)
