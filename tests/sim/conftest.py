"""A venue with a hand-made market and two accounts: what every test of the simulated exchange stands on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from reactor.domain.units import E8, parse_e8
from reactor.sim.events import Event, Order, Placed, Refusal
from reactor.sim.funding import FundingParameters
from reactor.sim.spot import SpotVenue
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS
from reactor.sim.updates import BookUpdate, TopUpdate, TradeUpdate
from reactor.sim.usdm import UsdmVenue
from reactor.sim.venue import USDM_PARAMETERS, AccountParameters, VenueParameters

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


@dataclass
class Stage:
    """One symbol, prices and quantities as text, time in hand."""

    venue: Any
    symbol: str = "BTCUSDT"
    now_ns: int = START_NS
    accounts: list[int] = field(default_factory=list)

    def ticks(self, price: str) -> int:
        return parse_e8(price) // self.venue.symbols[self.symbol].tick_e8

    def lots(self, quantity: str) -> int:
        return parse_e8(quantity) // self.venue.symbols[self.symbol].lot_e8

    def _rows(self, rows: dict[str, str]) -> list[tuple[int, int]]:
        return [(self.ticks(price), self.lots(quantity)) for price, quantity in rows.items()]

    def book(self, bids: dict[str, str], asks: dict[str, str], *, is_reset: bool = True) -> None:
        """The strangers' book; `is_reset=False`: only these levels change."""
        update = BookUpdate(
            self.venue.product, self.symbol, self._rows(bids), self._rows(asks), self.now_ns, self.now_ns, is_reset=is_reset
        )
        self.venue.on_market(update, self.now_ns)

    def levels(self, bids: dict[str, str] | None = None, asks: dict[str, str] | None = None) -> None:
        self.book(bids or {}, asks or {}, is_reset=False)

    def top(self, bid: str, bid_quantity: str, ask: str, ask_quantity: str) -> None:
        row = (self.ticks(bid), self.lots(bid_quantity), self.ticks(ask), self.lots(ask_quantity))
        self.venue.on_market(TopUpdate(self.venue.product, self.symbol, *row, self.now_ns, self.now_ns), self.now_ns)

    def trade(self, price: str, quantity: str, *, seller: bool) -> None:
        """Strangers trade; `seller`: the seller is the aggressor."""
        update = TradeUpdate(
            self.venue.product, self.symbol, self.ticks(price), self.lots(quantity), seller, self.now_ns, self.now_ns
        )
        self.venue.on_market(update, self.now_ns)

    def place(self, side: str, quantity: str, price: str = "", account: int = 0, **fields: str) -> Placed | Refusal:
        request = {"symbol": self.symbol, "side": side, "quantity": quantity, **fields}
        if price:
            request = {"type": "LIMIT", "timeInForce": "GTC", "price": price} | request
        else:
            request = {"type": "MARKET"} | request
        return self.venue.place(self.accounts[account], {name: text for name, text in request.items() if text}, self.now_ns)

    def order(self, *arguments: str, **fields: Any) -> Order:
        """Places and expects no refusal."""
        placed = self.place(*arguments, **fields)
        assert isinstance(placed, Placed), placed
        return placed.order

    def refused(self, *arguments: str, **fields: Any) -> tuple[int, str]:
        placed = self.place(*arguments, **fields)
        assert isinstance(placed, Refusal), placed
        return placed.code, placed.message

    def now(self, order: Order) -> Order:
        """The order as the venue knows it now."""
        fields = {"symbol": order.symbol, "orderId": str(order.order_id)}
        found = self.venue.query(order.account_id, fields, self.now_ns)
        assert isinstance(found, Order)
        return found

    def cancel(self, order: Order, **fields: str) -> Order | Refusal:
        request = {"symbol": order.symbol, "orderId": str(order.order_id), **fields}
        return self.venue.cancel(order.account_id, request, self.now_ns)

    def executed(self, order: Order) -> str:
        return f"{self.now(order).executed_lots * order.rules.lot_e8 / E8:g}"

    def events(self, kind: type | None = None) -> list[Any]:
        taken: list[Event] = self.venue.take_events()
        return [event for event in taken if kind is None or isinstance(event, kind)]

    def pass_ms(self, duration_ms: int) -> None:
        self.now_ns += duration_ms * MS
        self.venue.advance(self.now_ns)


ACCOUNTS = (
    AccountParameters(),
    AccountParameters(name="second", api_key="second-key", spot_balances={"USDT": "50000", "BTC": "2"}, futures_usdt="50000"),
)


@pytest.fixture
def make_spot() -> Callable[..., Stage]:
    def make(**parameters: Any) -> Stage:
        venue = SpotVenue(list(SPOT_SYMBOLS.values()), VenueParameters(**parameters), START_NS)
        stage = Stage(venue, accounts=[venue.add_account(row, START_NS) for row in ACCOUNTS])
        stage.book({"60000.00": "1", "59999.00": "2", "59990.00": "5"}, {"60001.00": "1", "60002.00": "2", "60010.00": "5"})
        stage.events()
        return stage

    return make


@pytest.fixture
def spot(make_spot: Callable[..., Stage]) -> Stage:
    return make_spot()


@pytest.fixture
def make_usdm() -> Callable[..., Stage]:
    def make(funding: FundingParameters | None = None, accounts: tuple[AccountParameters, ...] = ACCOUNTS) -> Stage:
        venue = UsdmVenue(list(USDM_SYMBOLS.values()), USDM_PARAMETERS, START_NS, funding)
        stage = Stage(venue, accounts=[venue.add_account(row, START_NS) for row in accounts])
        stage.book({"60000.0": "1", "59999.0": "2", "59990.0": "50"}, {"60001.0": "1", "60002.0": "2", "60010.0": "50"})
        stage.pass_ms(1)
        stage.events()
        return stage

    return make


@pytest.fixture
def usdm(make_usdm: Callable[..., Stage]) -> Stage:
    return make_usdm()
