"""A venue's live frames become a market: whole books only, the venue's own marks, and nothing from the future."""

import json
from typing import Any

from reactor.domain.instrument import Instrument
from reactor.domain.messages import Venue
from reactor.exchanges.binance.rules import NOT_CHECKED
from reactor.sim.exchange import SimulatedExchange
from reactor.sim.live import LiveMarket, rules_of
from reactor.sim.symbols import SPOT_SYMBOLS, USDM_SYMBOLS
from reactor.sim.updates import NEVER_NS, BookUpdate, MarkUpdate, TopUpdate, TradeUpdate

MS = 1_000_000
NOW_NS = 1_700_000_000_000 * MS


def market() -> LiveMarket:
    return LiveMarket([SPOT_SYMBOLS["BTCUSDT"], USDM_SYMBOLS["BTCUSDT"]])


def spot(stream: str, **data: Any) -> str:
    return json.dumps({"stream": f"btcusdt@{stream}", "data": data})


def delta(first: int, last: int, bids: list[list[str]], asks: list[list[str]]) -> str:
    return spot("depth@100ms", e="depthUpdate", E=NOW_NS // MS, s="BTCUSDT", U=first, u=last, b=bids, a=asks)


def top(update: int, bid: str, ask: str) -> str:
    return spot("bookTicker", u=update, s="BTCUSDT", b=bid, B="1.00000", a=ask, A="2.00000")


def snapshot(last: int) -> bytes:
    rows = {"lastUpdateId": last, "bids": [["99.00", "3.0"], ["98.00", "4.0"]], "asks": [["101.00", "5.0"]]}
    return json.dumps(rows).encode()


def taken(live: LiveMarket) -> list[object]:
    found: list[object] = []
    while live.next_due_ns() != NEVER_NS:
        found.append(live.take())
    return found


def test_nothing_is_said_before_the_book_is_whole() -> None:
    live = market()
    assert not live.wants_snapshot("spot", "BTCUSDT")
    live.on_frame("spot", top(8, "99.50", "100.50"), NOW_NS)
    live.on_frame("spot", delta(7, 9, [["99.00", "1.0"]], []), NOW_NS)
    live.on_frame("spot", spot("trade", e="trade", E=1, s="BTCUSDT", t=1, p="100", q="1", T=1, m=True, M=True), NOW_NS)
    assert taken(live) == []
    assert live.wants_snapshot("spot", "BTCUSDT")
    assert live.on_snapshot("spot", "BTCUSDT", snapshot(8), NOW_NS)
    book, newer, *tops = taken(live)
    assert isinstance(book, BookUpdate)
    assert book.is_reset
    assert isinstance(newer, BookUpdate)
    assert newer.bids == [(9_900, 100_000)], "the delta that is newer than the snapshot is applied again"
    assert tops == [], "the top is no newer than the snapshot"
    live.on_frame("spot", top(10, "99.50", "100.50"), NOW_NS)
    (update,) = taken(live)
    assert isinstance(update, TopUpdate)
    assert (update.bid_ticks, update.ask_ticks) == (9_950, 10_050)


def test_after_a_break_the_book_is_fetched_anew_and_replaces_the_old_one() -> None:
    live = market()
    live.on_frame("spot", delta(1, 2, [], []), NOW_NS)
    live.on_snapshot("spot", "BTCUSDT", snapshot(2), NOW_NS)
    taken(live)
    live.on_break("spot")
    live.on_frame("spot", top(90, "99.50", "100.50"), NOW_NS)
    assert taken(live) == []
    live.on_frame("spot", delta(91, 92, [], []), NOW_NS)
    live.on_snapshot("spot", "BTCUSDT", snapshot(93), NOW_NS)
    (book,) = taken(live)
    assert isinstance(book, BookUpdate)
    assert book.is_reset


def test_marks_and_funding_are_the_venues_own() -> None:
    live = market()
    row = {"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "p": "100.5", "i": "100.25", "P": "100.3", "r": "-0.00010000"}
    live.on_frame("usdm", json.dumps({"stream": "btcusdt@markPrice@1s", "data": {**row, "T": 1_700_000_100_000}}), NOW_NS)
    (mark,) = taken(live)
    assert isinstance(mark, MarkUpdate)
    assert (mark.mark_e8, mark.index_e8, mark.rate_e8) == (10_050_000_000, 10_025_000_000, -10_000)
    assert mark.next_funding_ns == 1_700_000_100_000 * MS


def test_the_venues_clock_may_run_ahead_but_nothing_comes_from_the_future() -> None:
    live = market()
    live.on_frame("spot", delta(1, 2, [], []), NOW_NS)
    live.on_snapshot("spot", "BTCUSDT", snapshot(2), NOW_NS)
    taken(live)
    ahead_ms = NOW_NS // MS + 1_270
    trade = spot("trade", e="trade", E=ahead_ms, s="BTCUSDT", t=1, p="100.00", q="1.0", T=ahead_ms - 2, m=True, M=True)
    live.on_frame("spot", trade, NOW_NS)
    (update,) = taken(live)
    assert isinstance(update, TradeUpdate)
    assert (update.event_ns, update.transaction_ns) == (NOW_NS, NOW_NS - 2 * MS)


def test_rubbish_is_counted_and_a_stranger_is_left_alone() -> None:
    live = market()
    for payload in ("", "[]", "{", '{"e":"depthUpdate"}', '{"e":"markPriceUpdate","s":"BTCUSDT"}'):
        live.on_frame("usdm", payload, NOW_NS)
    assert live.malformed == 5
    live.on_frame("spot", '{"result":null,"id":1}', NOW_NS)
    live.on_frame("spot", top(1, "1.00", "2.00").replace("BTCUSDT", "XYZUSDT"), NOW_NS)
    assert not live.on_snapshot("spot", "BTCUSDT", b"<html>", NOW_NS)
    assert taken(live) == []


def test_an_exchange_trades_in_a_followed_market() -> None:
    live = market()
    exchange = SimulatedExchange(live, NOW_NS)
    live.on_frame("spot", delta(1, 2, [], []), NOW_NS)
    live.on_snapshot("spot", "BTCUSDT", snapshot(2), NOW_NS)
    exchange.advance(NOW_NS + MS)
    view = exchange.spot.depth("BTCUSDT", 5)
    assert [ticks for ticks, _ in view.bids] == [9_900, 9_800]
    assert [ticks for ticks, _ in view.asks] == [10_100]


def test_the_rules_are_the_venues_and_what_it_does_not_tell_is_ours() -> None:
    instrument = Instrument(
        instrument_index=0, venue=Venue.BINANCE_USDM, symbol="BTCUSDT", base_asset="BTC", quote_asset="USDT",
        price_decimals=1, quantity_decimals=3, tick_size=1, lot_size=1, quantity_lots_min=1, quantity_lots_max=500_000,
        market_quantity_lots_max=100_000, price_ticks_min=2_611, price_ticks_max=NOT_CHECKED, notional_min_e8=50 * 10**8,
        maker_fee_e8=0, taker_fee_e8=0, is_perpetual=True, percent_price_up=1.05, percent_price_down=0.95,
    )  # fmt: skip
    rules = rules_of(instrument)
    assert (rules.tick_e8, rules.lot_e8, rules.notional_min_e8) == (10_000_000, 100_000, 50 * 10**8)
    assert (rules.price_places, rules.quantity_places) == (2, 3), "the wire has two digits although the tick is 0.1"
    assert (rules.quantity_lots_max, rules.percent_up_e4) == (500_000, 10_500)
    assert rules.price_ticks_max > 10**6
