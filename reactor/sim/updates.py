"""What a market source (generator or replay) says to a venue: levels, tops and trades of people who are not our accounts."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from reactor.sim.events import Levels, Notices
from reactor.sim.symbols import Product, SymbolRules


class BookUpdate(NamedTuple):
    """Absolute quantities of some levels (0 lots: gone).

    `is_snapshot`: replaces everything within its price range; `is_reset`: replaces everything (a new session of the market).
    """

    product: Product
    symbol: str
    bids: Levels
    asks: Levels
    transaction_ns: int
    event_ns: int
    is_snapshot: bool = False
    is_reset: bool = False


class TopUpdate(NamedTuple):
    """The market's best prices: whatever stands better than them is gone. 0 ticks: this side is not said."""

    product: Product
    symbol: str
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    transaction_ns: int
    event_ns: int


class TradeUpdate(NamedTuple):
    """One trade between strangers."""

    product: Product
    symbol: str
    price_ticks: int
    quantity_lots: int
    buyer_is_maker: bool
    transaction_ns: int
    event_ns: int


@dataclass(frozen=True, slots=True)
class MarkUpdate:
    """What a real venue says of a perpetual once a second: replaces the funding model. Prices and the rate in 1e-8."""

    product: Product
    symbol: str
    mark_e8: int
    index_e8: int
    settle_e8: int
    rate_e8: int
    next_funding_ns: int
    transaction_ns: int
    event_ns: int


MarketUpdate = BookUpdate | TopUpdate | TradeUpdate | MarkUpdate
NEVER_NS = 1 << 62


class MarketSource(Protocol):
    """Where the market comes from. Times are the exchange's wall clock."""

    notices: Notices

    def symbols(self) -> list[SymbolRules]:
        """What it will speak about."""

    def start(self, now_ns: int) -> None:
        """The session begins now."""

    def next_due_ns(self) -> int:
        """When its next update is due; NEVER_NS: no more."""

    def take(self) -> MarketUpdate:
        """The update that is due at `next_due_ns()`."""


@dataclass(slots=True)
class ListSource:
    """A scripted market: (due_ns after start, update) pairs in order. For tests and the world."""

    rules: list[SymbolRules]
    script: list[tuple[int, MarketUpdate]]
    notices: Notices = field(default_factory=Notices)
    _start_ns: int = 0
    _next: int = 0

    def symbols(self) -> list[SymbolRules]:
        """What it will speak about."""
        return self.rules

    def start(self, now_ns: int) -> None:
        """The session begins now."""
        self._start_ns = now_ns

    def next_due_ns(self) -> int:
        """When its next update is due."""
        return self._start_ns + self.script[self._next][0] if self._next < len(self.script) else NEVER_NS

    def take(self) -> MarketUpdate:
        """The next update."""
        self._next += 1
        return self.script[self._next - 1][1]
