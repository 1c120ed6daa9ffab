"""Paper trading: the simulated exchange follows a venue's live streams. The venue here is another simulated exchange."""

import json
import urllib.request
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.processes

PAPER = """
profile: paper
exchanges: {binance: {simulated: {live_url: "http://127.0.0.1:%d"}}}
risk_control: {cooldown_s: 0.3}
strategy:
  signals:
    adaptive_spread: {window_samples: 100, samples_min: 5}
    position_close: {age_s_max: 1.0}
  triggers:
    mt: {percentile_min: 0.2, spread_min: -0.01, funding_rate_min: 0.00001, rearm_after_ms: 200}
system: {order_id_prefix: pp, duration_s: 0, directory: "%s"}
"""


def top(port: int, path: str) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}/ticker/bookTicker?symbol=BTCUSDT", timeout=10) as answer:
        row = json.loads(answer.read())
    return {name: row[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")}


def own_port(house) -> int:
    rows = (json.loads(line) for line in house.log().splitlines())
    return next(row["spot_port"] for row in rows if row["text"] == "simulated exchange listens")


def test_a_paper_session_trades_on_its_own_exchange_in_the_market_of_another(make_house: Callable, exchange, tmp_path):
    shared = {"CRYPTO_TRADE__SYSTEM__PLACEMENT__LAYOUT": "auto"}  # Two exchanges are work enough for a small host.
    house = make_house("paper", config=PAPER % (exchange.port, tmp_path / "runs"), environment=shared)
    house.wait_for(lambda: house.status("pairs_closed"), "a pair was opened, hedged and closed")
    port = own_port(house)
    assert port != exchange.port
    for shift, path in ((0, "/api/v3"), (1, "/fapi/v1")):
        house.wait_for(lambda s=shift, p=path: top(port + s, p) == top(exchange.port + s, p), "both show the same best prices")
    assert house.end() == 0, house.words()
    report = house.report()
    assert report["profile"] == "paper"
    assert report["open_orders"] == 0
    assert report["positions_and_balances_equal"] is True, report["comparisons"]
    foreign = exchange.open_orders("pp")
    assert foreign.ours == []
    assert foreign.foreign == [], "the venue whose market was followed never heard of an order"


def test_a_market_that_cannot_be_followed_is_one_clear_message(make_house: Callable, exchange, tmp_path):
    house = make_house("paper", config=PAPER % (1, tmp_path / "runs"))
    assert house.process.wait(30) == 2
    words = house.words()
    assert "the followed market: http://127.0.0.1:1/api/v3/exchangeInfo cannot be reached" in words
    assert "Traceback" not in words
