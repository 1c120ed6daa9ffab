"""Both venues and their market on one clock."""

import random
from typing import Any

import pytest

from reactor.domain.errors import ConfigError
from reactor.domain.units import E8
from reactor.sim.events import MarkPriceEvent, OrderEvent, Placed, TradeEvent
from reactor.sim.exchange import UPDATES_PER_ADVANCE_MAX, SimulatedExchange
from reactor.sim.funding import FundingParameters
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS
from reactor.sim.updates import ListSource, TradeUpdate
from reactor.sim.venue import AccountParameters

START_NS = 1_700_000_000_000_000_000


def test_an_account_is_the_same_on_both_venues() -> None:
    exchange = SimulatedExchange.open(START_NS)
    assert exchange.add_account(AccountParameters(), START_NS) == 1
    for venue in (exchange.spot, exchange.usdm):
        found = venue.account_of_key("test-key")
        assert found is not None
        assert found[0] == 1
        assert venue.account_of_key("nobody") is None


def test_the_index_is_the_spot_mid() -> None:
    exchange = SimulatedExchange.open(START_NS)
    for step in range(40):
        exchange.advance(START_NS + step * 50_000_000)
    view: Any = exchange.usdm.mark_price("BTCUSDT")
    assert view.index_e8 == pytest.approx(exchange.spot.mid_e8("BTCUSDT"), rel=1e-3)
    assert view.funding_rate_e8 > 0
    assert any(isinstance(event, MarkPriceEvent) for event in exchange.usdm.take_events())


def test_a_late_call_takes_a_bounded_amount_and_catches_up_in_order() -> None:
    row = TradeUpdate("spot", "BTCUSDT", 6_000_000, 1, True, START_NS, START_NS)
    script = [(index, row) for index in range(UPDATES_PER_ADVANCE_MAX + 10)]
    source = ListSource([SPOT_SYMBOLS["BTCUSDT"], USDM_SYMBOLS["BTCUSDT"]], list(script))
    exchange = SimulatedExchange(source, START_NS)
    exchange.advance(START_NS)
    assert exchange.advance(START_NS + 10**9) == UPDATES_PER_ADVANCE_MAX
    assert exchange.advance(START_NS + 10**9) == 9
    ids = [event.trade_id for event in exchange.spot.take_events() if hasattr(event, "trade_id")]
    assert ids == list(range(ids[0], ids[0] + len(script)))


def test_the_generated_market_takes_orders_on_both_venues() -> None:
    exchange = SimulatedExchange.open(START_NS, symbols=("ETHUSDT",), seed=9)
    account = exchange.add_account(AccountParameters(), START_NS)
    exchange.advance(START_NS)
    exchange.advance(START_NS + 10**9)
    fields = {"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
    for venue in (exchange.spot, exchange.usdm):
        placed = venue.place(account, fields, START_NS + 10**9)
        assert isinstance(placed, Placed)
        assert placed.order.status == "FILLED"


def soaked(seed: int, seconds: int) -> tuple[SimulatedExchange, list[Any]]:
    """Two accounts send whatever the dice say into a generated market."""
    dice = random.Random(seed)
    exchange = SimulatedExchange.open(START_NS, seed=seed, funding=FundingParameters(interval_s=3))
    accounts = [exchange.add_account(AccountParameters(api_key=name, futures_usdt="3000"), START_NS) for name in "ab"]
    events: list[Any] = []
    for step in range(seconds * 50):
        now_ns = START_NS + step * 20_000_000
        exchange.advance(now_ns)
        venue: Any = dice.choice((exchange.spot, exchange.usdm))
        account = dice.choice(accounts)
        book = venue.book_ticker("BTCUSDT")
        side = dice.choice(("BUY", "SELL"))
        ticks = dice.choice((book.bid_ticks, book.ask_ticks)) + dice.randint(-3, 3)
        fields = {"symbol": "BTCUSDT", "side": side, "quantity": f"{dice.randint(1, 90) / 1000:.3f}"}
        if dice.random() < 0.6:
            fields |= {"type": "LIMIT", "timeInForce": dice.choice(("GTC", "GTC", "IOC", "FOK"))}
            fields["price"] = venue.symbols["BTCUSDT"].price_text(ticks)
        else:
            fields["type"] = "MARKET"
        venue.place(account, fields, now_ns)
        orders = venue.open_orders(account, "BTCUSDT")
        if len(orders) > 5:
            venue.cancel(account, {"symbol": "BTCUSDT", "orderId": str(dice.choice(orders).order_id)}, now_ns)
        events += exchange.spot.take_events() + exchange.usdm.take_events()
    return exchange, events


def test_the_same_seed_and_calls_give_the_same_exchange() -> None:
    assert repr(soaked(3, 2)[1]) == repr(soaked(3, 2)[1])


@pytest.mark.parametrize("seed", range(1, 5))
def test_nothing_is_lost_in_a_busy_market(seed: int) -> None:
    exchange, events = soaked(seed, 8)
    spot: Any = exchange.spot
    usdm: Any = exchange.usdm
    held = {"USDT": 0, "BTC": 0}
    wallets = 0
    for account in (1, 2):
        for row in spot.balances(account):
            if row.asset in held:
                held[row.asset] += row.free_e8 + row.locked_e8
        for fill in spot.my_trades(account, {"symbol": "BTCUSDT", "limit": "1000"}):
            sign = 1 if fill.side == "BUY" else -1
            held["BTC"] -= sign * fill.rules.base_e8(fill.quantity_lots)
            held["USDT"] += sign * fill.quote_e8
        fills = usdm.my_trades(account, {"symbol": "BTCUSDT", "limit": "1000"})
        wallets += usdm.wallet(account).wallet_e8 - sum(fill.realised_e8 for fill in fills)
    assert held["USDT"] + spot.fees_e8.get("USDT", 0) == 200_000 * E8
    assert held["BTC"] + spot.fees_e8.get("BTC", 0) == 2 * E8
    assert wallets == 6_000 * E8 - usdm.fees_e8 - usdm.funding_e8 - usdm.insurance_e8
    fills = [event.fill for event in events if isinstance(event, OrderEvent) and event.fill]
    public = {(event.rules.product, event.trade_id) for event in events if isinstance(event, TradeEvent)}
    assert len(fills) > 100
    assert {(fill.rules.product, fill.trade_id) for fill in fills if fill.trade_id} <= public


def test_an_unknown_symbol_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="BTCUSDT, ETHUSDT"):
        SimulatedExchange.open(START_NS, symbols=("XRPUSDT",))
