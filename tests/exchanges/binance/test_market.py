"""Binance's market-data words."""

import orjson
import pytest

from reactor.domain.errors import RemoteProtocolError
from reactor.domain.messages import Venue
from reactor.exchanges.binance.market import BinanceMarket
from reactor.exchanges.venue import Endpoints, StreamOptions
from reactor.market.sync import SyncRule

SPOT, USDM = BinanceMarket(Venue.BINANCE_SPOT), BinanceMarket(Venue.BINANCE_USDM)
ENDPOINTS = Endpoints(Venue.BINANCE_USDM, "https://f", "wss://o", "wss://s/public", "wss://s/market", "wss://s/private")


def names(market, **options):
    return [stream.name for stream in market.streams("BTCUSDT", StreamOptions(**options))]


def test_spot_has_no_mark_price():
    assert names(SPOT) == ["btcusdt@bookTicker", "btcusdt@depth@100ms", "btcusdt@trade"]
    assert SPOT.sync_rule is SyncRule.CONTIGUOUS


def test_futures_split_their_streams_over_two_paths():
    streams = USDM.streams("BTCUSDT", StreamOptions())
    assert [(stream.name, stream.is_derived) for stream in streams] == [
        ("btcusdt@bookTicker", False),
        ("btcusdt@depth@100ms", False),
        ("btcusdt@trade", False),
        ("btcusdt@markPrice@1s", True),
    ]
    assert USDM.stream_url(ENDPOINTS, False) == "wss://s/public/stream"
    assert USDM.stream_url(ENDPOINTS, True) == "wss://s/market/stream"
    assert USDM.sync_rule is SyncRule.CHAINED


@pytest.mark.parametrize(
    ("market", "interval_ms", "name"),
    [(SPOT, 0, "btcusdt@depth@100ms"), (SPOT, 250, "btcusdt@depth"), (USDM, 0, "btcusdt@depth@0ms"),
     (USDM, 250, "btcusdt@depth"), (USDM, 500, "btcusdt@depth@500ms"), (USDM, 1000, "btcusdt@depth@500ms")],
)  # fmt: skip
def test_a_depth_interval_that_the_venue_has_not_becomes_the_next_slower_one(market, interval_ms, name):
    assert names(market, depth_interval_ms=interval_ms, has_tickers=False, has_trades=False, has_marks=False) == [name]


def test_a_subscription_names_its_streams_and_its_number():
    frame = orjson.loads(SPOT.subscribe_frame(7, ["btcusdt@trade", "ethusdt@trade"]))
    assert frame == {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@trade"], "id": 7}
    assert orjson.loads(SPOT.unsubscribe_frame(8, ["btcusdt@trade"]))["method"] == "UNSUBSCRIBE"


@pytest.mark.parametrize(
    ("market", "depth", "url", "weight"),
    [(SPOT, 5000, "https://f/api/v3/depth?symbol=BTCUSDT&limit=5000", 250),
     (SPOT, 700, "https://f/api/v3/depth?symbol=BTCUSDT&limit=1000", 50),
     (USDM, 1000, "https://f/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20),
     (USDM, 5000, "https://f/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20)],
)  # fmt: skip
def test_a_snapshot_is_asked_for_in_the_depth_that_the_venue_offers(market, depth, url, weight):
    call = market.snapshot_call(ENDPOINTS, "BTCUSDT", depth)
    assert (call.url, call.weight) == (url, weight)


def test_the_time_is_read_or_refused():
    assert SPOT.time_call(ENDPOINTS).url == "https://f/api/v3/time"
    assert SPOT.read_time(b'{"serverTime":1499827319559}') == 1499827319559
    for body in (b"", b"[]", b"{}", b"<html>"):
        with pytest.raises(RemoteProtocolError):
            SPOT.read_time(body)


def test_a_limit_says_how_long_to_wait():
    assert SPOT.wait_after(200, {}) == 0
    assert SPOT.wait_after(429, {"retry-after": "7"}) == 7_000_000_000
    assert SPOT.wait_after(418, {}) == 120_000_000_000


def test_an_answer_says_how_much_this_address_has_used():
    assert SPOT.used_weight({"x-mbx-used-weight-1m": "1234"}) == 1234
    for text in ("", "-1", "1e9", "١"):
        assert SPOT.used_weight({"x-mbx-used-weight-1m": text}) == 0
    assert SPOT.used_weight({}) == 0
