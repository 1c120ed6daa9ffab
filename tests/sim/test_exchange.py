"""Both venues and their market on one clock."""

from typing import Any

import pytest

from reactor.domain.errors import ConfigError
from reactor.sim.events import MarkPriceEvent, Placed
from reactor.sim.exchange import UPDATES_PER_ADVANCE_MAX, SimulatedExchange
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


def test_an_unknown_symbol_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="BTCUSDT, ETHUSDT"):
        SimulatedExchange.open(START_NS, symbols=("XRPUSDT",))
