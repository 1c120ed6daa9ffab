"""Captures as a market: any file, any venue inside, any damage."""

import gzip
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reactor.domain.errors import DataError
from reactor.sim.events import BookTickerEvent, DepthEvent, TradeEvent
from reactor.sim.exchange import SimulatedExchange
from reactor.sim.replay import LOOK_AHEAD_LINES, Replay, decode, read_frames
from reactor.sim.updates import NEVER_NS

START_NS = 1_700_000_000_000_000_000
LOCAL_NS = 1_723_161_600_000_000_000
AHEAD_MS = 1_276  # The exchange's clock leads the recording host's.
DATA = Path(os.environ.get("CRYPTO_TRADE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "captures"


def line(after_ms: int, text: str) -> str:
    event_ms = LOCAL_NS // 1_000_000 + after_ms + AHEAD_MS
    return f"{LOCAL_NS + after_ms * 1_000_000} {text.replace('$E', str(event_ms))}\n"


def spot_top(after_ms: int, u: int, bid: str, ask: str) -> str:
    body = f'{{"u":{u},"s":"BTCUSDT","b":"{bid}","B":"1.00000000","a":"{ask}","A":"2.00000000"}}'
    return line(after_ms, f'{{"stream":"btcusdt@bookTicker","data":{body}}}')


def spot_depth(after_ms: int, first: int, last: int, bids: str, asks: str) -> str:
    body = f'{{"e":"depthUpdate","E":$E,"s":"BTCUSDT","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}'
    return line(after_ms, f'{{"stream":"btcusdt@depth@100ms","data":{body}}}')


def spot_trade(after_ms: int, number: int, price: str, quantity: str) -> str:
    return line(
        after_ms, f'{{"e":"trade","E":$E,"s":"BTCUSDT","t":{number},"p":"{price}","q":"{quantity}","T":$E,"m":true,"M":true}}'
    )


def usdm_top(after_ms: int, u: int, bid: str, ask: str) -> str:
    return line(
        after_ms, f'{{"e":"bookTicker","u":{u},"s":"BTCUSDT","b":"{bid}","B":"1.500","a":"{ask}","A":"2.500","T":$E,"E":$E}}'
    )


SPOT = [
    spot_depth(0, 1, 5, '["61000.00","3.0"]', '["62000.00","4.0"]'),
    spot_top(10, 6, "61500.00", "61500.01"),
    spot_trade(20, 77, "61500.00", "0.25"),
    spot_depth(100, 6, 9, '["61499.00","1.0"]', '["61501.00","0.5"]'),
]


@pytest.fixture
def capture(tmp_path: Path) -> Any:
    def write(name: str, lines: list[str], *, damage: int = 0) -> Path:
        path = tmp_path / name
        raw = "".join(lines).encode()
        if name.endswith(".gz"):
            raw = gzip.compress(raw)
            raw = raw[: len(raw) - damage]
        path.write_bytes(raw)
        return path

    return write


def run(exchange: SimulatedExchange, ms: int, start_ms: int = 0) -> list[Any]:
    events: list[Any] = []
    for now_ms in range(start_ms, ms + 1, 5):
        exchange.advance(START_NS + now_ms * 1_000_000)
        events += exchange.spot.take_events() + exchange.usdm.take_events()
    return events


def test_a_capture_starts_now_and_keeps_its_distances(capture: Any) -> None:
    exchange = SimulatedExchange.open(START_NS, replay=[capture("spot.gz", SPOT)], loops=False)
    events = run(exchange, 400)
    tops = [event for event in events if isinstance(event, BookTickerEvent)]
    assert tops[1].event_ns == START_NS + 10_000_000
    (trade,) = [event for event in events if isinstance(event, TradeEvent)]
    assert trade.event_ns == START_NS + 20_000_000, "E moves by one constant, the lead of the exchange's clock taken off"
    assert (trade.price_ticks, trade.quantity_lots) == (6_150_000, 25_000)
    view: Any = exchange.spot.depth("BTCUSDT", 10)
    assert [ticks for ticks, _ in view.bids] == [6_150_000, 6_149_900, 6_100_000]
    assert [ticks for ticks, _ in view.asks] == [6_150_001, 6_150_100, 6_200_000]


def test_speed_divides_the_distances(capture: Any) -> None:
    exchange = SimulatedExchange.open(START_NS, replay=[capture("spot.txt", SPOT)], speed=10.0, loops=False)
    events = run(exchange, 40)
    (trade,) = [event for event in events if isinstance(event, TradeEvent)]
    assert trade.event_ns == START_NS + 2_000_000


def test_the_venue_is_told_by_content_and_files_are_merged_by_receive_time(capture: Any) -> None:
    capture("a.gz", SPOT)
    path = capture("b.gz", [usdm_top(5, 10, "61480.00", "61480.10"), usdm_top(15, 12, "61481.00", "61481.10")])
    source = Replay([path.parent], loops=False)
    source.start(START_NS)
    order = []
    while source.next_due_ns() != NEVER_NS:
        order.append((source.next_due_ns() - START_NS) // 1_000_000)
        source.take()
    assert order == sorted(order)
    assert {(rules.product, rules.symbol) for rules in source.symbols()} == {("spot", "BTCUSDT"), ("usdm", "BTCUSDT")}


def test_the_replay_ends_when_one_venue_has_ended_and_starts_over_with_running_ids(capture: Any) -> None:
    capture("a.gz", SPOT)
    path = capture("b.gz", [usdm_top(5, 10, "61480.00", "61480.10"), usdm_top(15, 12, "61481.00", "61481.10")])
    exchange = SimulatedExchange.open(START_NS, replay=[path.parent])
    events = run(exchange, 1_000)
    assert any("starts over" in text for text in exchange.notices.take())
    for product in ("spot", "usdm"):
        tops = [event.update_id for event in events if isinstance(event, BookTickerEvent) and event.rules.product == product]
        assert tops == sorted(tops)
    usdm = [event for event in events if isinstance(event, BookTickerEvent) and event.rules.is_futures]
    assert len({event.bid_ticks for event in usdm}) == 2
    assert len(usdm) >= 4
    depth = [
        event for event in events if isinstance(event, DepthEvent) and event.speed_ms == 100 and not event.rules.is_futures
    ]
    for before, after in pairwise(depth):
        assert after.first_update_id == before.last_update_id + 1


def test_without_looping_the_last_book_stands_still(capture: Any) -> None:
    exchange = SimulatedExchange.open(START_NS, replay=[capture("spot.gz", SPOT)], loops=False)
    run(exchange, 2_000)
    assert run(exchange, 5_000, 2_100) == []
    assert any("stands still" in text for text in exchange.notices.take())
    assert exchange.next_due_ns() == NEVER_NS
    view: Any = exchange.spot.book_ticker("BTCUSDT")
    assert view.bid_ticks == 6_150_000


def test_a_truncated_gzip_plays_what_was_good_and_names_the_line(capture: Any) -> None:
    lines = [spot_top(index * 10, index + 1, f"615{index % 90 + 10}.00", f"616{index % 90 + 10}.01") for index in range(400)]
    path = capture("cut.gz", lines, damage=40)
    exchange = SimulatedExchange.open(START_NS, replay=[path], loops=False)
    assert len(run(exchange, 5_000)) > 100
    assert any(f"{path}:" in text and "damaged from here on" in text for text in exchange.notices.take())


def test_garbage_lines_are_named_and_skipped(capture: Any) -> None:
    junk = [
        "not a line\n",
        "12 {broken\n",
        "\n",
        line(30, '{"e":"depthUpdate","s":"BTCUSDT"}'),
        line(31, "[1,2]"),
        "\x00\xff\n",
    ]
    path = capture("junk.txt", [SPOT[0], SPOT[1], *junk, *SPOT[2:]])
    exchange = SimulatedExchange.open(START_NS, replay=[path], loops=False)
    events = run(exchange, 400)
    assert any(isinstance(event, TradeEvent) for event in events)
    text = "\n".join(exchange.notices.take())
    assert f"{path}:3: not a" in text
    assert f"{path}:4: not a" in text
    assert f"{path}:6: not a" in text


def test_what_the_exchange_cannot_speak_is_skipped_with_one_notice_each(capture: Any) -> None:
    foreign = [
        line(1, '{"stream":"btcusd_perp@trade","data":{"e":"trade","E":$E,"s":"BTCUSD_PERP","t":1,"p":"1","q":"1","m":true}}'),
        line(2, '{"channel":"l2Book","data":{}}'),
        line(3, '{"topic":"orderbook.50.BTCUSDT","type":"delta","data":{}}'),
        line(4, '{"arg":{"channel":"books"},"data":[]}'),
        line(5, '{"e":"markPriceUpdate","E":$E,"s":"BTCUSDT","p":"1"}'),
        line(6, '{"e":"trade","E":$E,"s":"BTCUSDT","t":5,"p":"61000.00","q":"1","X":"INSURANCE_FUND","m":true}'),
    ]
    path = capture("mixed.txt", [*SPOT, *foreign, *foreign])
    exchange = SimulatedExchange.open(START_NS, replay=[path], loops=False)
    run(exchange, 400)
    notices = [text for text in exchange.notices.take() if "not played" in text]
    assert len(notices) == len(foreign)


def test_nothing_playable_is_an_error_with_a_remedy(capture: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Binance spot or USD-M frames"):
        Replay([capture("other.txt", [line(2, '{"channel":"l2Book","data":{}}')])])
    with pytest.raises(DataError, match="there is no such capture"):
        Replay([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no capture files here"):
        Replay([tmp_path / "empty"])


def test_a_diff_older_than_the_best_prices_does_not_bring_back_what_they_removed(capture: Any) -> None:
    lines = [
        spot_top(0, 100, "61500.00", "61500.01"),
        spot_depth(10, 90, 95, '["61500.00","9.0"],["61505.00","1.0"],["61499.00","2.0"]', ""),
    ]
    exchange = SimulatedExchange.open(START_NS, replay=[capture("old.txt", lines)], loops=False)
    run(exchange, 100)
    view: Any = exchange.spot.depth("BTCUSDT", 5)
    assert view.bids == [(6_150_000, 100_000), (6_149_900, 200_000)]


def test_a_snapshot_replaces_its_range_but_not_what_is_newer(capture: Any) -> None:
    lines = [
        spot_top(0, 8, "61500.00", "61500.01"),
        spot_depth(10, 9, 12, '["61499.00","9.0"],["61400.00","7.0"]', '["61600.00","1.0"]'),
        spot_depth(110, 13, 14, '["61498.00","5.0"]', ""),
        line(120, '{"lastUpdateId":12,"bids":[["61500.00","1.0"],["61450.00","3.0"]],"asks":[["61500.01","2.0"]]}'),
    ]
    exchange = SimulatedExchange.open(START_NS, replay=[capture("snap.txt", lines)], loops=False)
    run(exchange, 300)
    view: Any = exchange.spot.depth("BTCUSDT", 9)
    assert [ticks for ticks, _ in view.bids] == [6_150_000, 6_149_800, 6_145_000, 6_140_000]
    assert [ticks for ticks, _ in view.asks] == [6_150_001, 6_160_000]


def test_rules_of_an_unlisted_symbol_are_derived_from_what_it_shows(capture: Any) -> None:
    top = '{{"e":"bookTicker","u":{0},"s":"DOGEUSDT","b":"0.1{0:04}","B":"{1}","a":"0.12349","A":"9","T":$E,"E":$E}}'
    lines = [line(index, top.format(index, 7 + index)) for index in range(1, 20)]
    (rules,) = Replay([capture("doge.txt", lines)]).symbols()
    assert (rules.base_asset, rules.quote_asset, rules.tick_e8, rules.lot_e8) == ("DOGE", "USDT", 1_000, 100_000_000)
    assert (rules.price_text(12_345), rules.quantity_text(7)) == ("0.12345", "7")


def test_a_long_silence_is_jumped_and_an_overwritten_tail_left_out(capture: Any) -> None:
    lines = [SPOT[0], SPOT[1], spot_trade(3_600_000, 78, "61500.00", "0.5"), spot_trade(5, 1, "61500.00", "0.1")]
    exchange = SimulatedExchange.open(START_NS, replay=[capture("hole.txt", lines)], loops=False)
    events = run(exchange, 200)
    assert [event.quantity_lots for event in events if isinstance(event, TradeEvent)] == [50_000]
    notices = " ".join(exchange.notices.take())
    assert "silent for 3600 s" in notices
    assert "overwritten file" in notices


def test_aggregate_trades_are_played_only_where_there_are_no_trades(capture: Any) -> None:
    aggregate = line(
        40, '{"e":"aggTrade","E":$E,"s":"BTCUSDT","a":5,"p":"61500.00","q":"0.1","f":1,"l":1,"T":$E,"m":true,"M":true}'
    )
    both = SimulatedExchange.open(START_NS, replay=[capture("both.txt", [*SPOT, aggregate])], loops=False)
    only = SimulatedExchange.open(START_NS, replay=[capture("only.txt", [SPOT[0], SPOT[1], aggregate])], loops=False)
    for exchange in (both, only):
        assert sum(isinstance(event, TradeEvent) for event in run(exchange, 300)) == 1


def test_microsecond_stamps_are_understood() -> None:
    text = '1 {"e":"trade","E":1723161600123456,"s":"BTCUSDT","t":1,"p":"1","q":"1","T":1723161600123001,"m":true,"M":true}'
    frame: Any = decode(text.encode())
    assert (frame.event_ms, frame.transaction_ms) == (1_723_161_600_123, 1_723_161_600_123)


def test_a_large_foreign_file_is_not_read_to_its_end(capture: Any) -> None:
    foreign = [line(index, '{"channel":"l2Book","data":{}}') for index in range(LOOK_AHEAD_LINES + 10)]
    path = capture("foreign.txt", foreign)
    capture("spot.txt", SPOT)
    source = Replay([path.parent])
    assert any(f"{path}: nothing in its first" in text for text in source.notices.take())


def test_a_decoded_frame_says_its_product() -> None:
    spot: Any = decode(SPOT[1].encode())
    usdm: Any = decode(usdm_top(0, 1, "61480.00", "61480.10").encode())
    assert (spot.product, spot.kind, usdm.product, usdm.kind) == ("spot", "top", "usdm", "top")


@pytest.mark.skipif(not DATA.is_dir(), reason="no captures: set CRYPTO_TRADE_DATA")
def test_the_real_captures_play_without_a_damaged_line() -> None:
    exchange = SimulatedExchange.open(START_NS, replay=[DATA])
    counts: dict[str, int] = {}
    for event in run(exchange, 10_000):
        counts[type(event).__name__] = counts.get(type(event).__name__, 0) + 1
        assert event.event_ns <= START_NS + 10_000_000_000
    assert counts["BookTickerEvent"] > 500
    assert counts["TradeEvent"] > 100
    notices = exchange.notices.take()
    assert not [text for text in notices if "damaged" in text or "not a `<ns>" in text]
    usdm: Any = exchange.usdm.mark_price("BTCUSDT")
    spot: Any = exchange.spot.book_ticker("BTCUSDT")
    assert abs(usdm.mark_e8 / (spot.bid_ticks * spot.rules.tick_e8) - 1) < 0.002


@pytest.mark.long
@pytest.mark.skipif(not DATA.is_dir(), reason="no captures: set CRYPTO_TRADE_DATA")
def test_every_line_of_every_binance_capture_is_understood() -> None:
    from reactor.sim.events import Notices

    for path in sorted(DATA.rglob("*.gz")):
        notices = Notices()
        for _ in read_frames(path, notices):
            pass
        assert not [text for text in notices.take() if "not a `<ns>" in text or "damaged" in text]
