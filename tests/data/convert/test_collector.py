"""Collector captures: our events are hftbacktest's events, byte for byte; bad lines are named."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from reactor.data.convert.collector import convert_collector, tell_venue
from reactor.data.events import BUY_EVENT, DEPTH_CLEAR_EVENT, DEPTH_EVENT, DEPTH_SNAPSHOT_EVENT, SELL_EVENT, TRADE_EVENT
from reactor.data.validate import validate_events
from reactor.domain.errors import DataError

CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", Path(__file__).parents[3] / "../shared/data")) / "captures"
DEPTH = (
    '{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate","E":1001,"T":1000,"s":"BTCUSDT","U":1,"u":2,"pu":0,'
    '"b":[["100.0","1.5"],["99.9","0"]],"a":[["100.1","2"]]}}'
)
TRADE = (
    '{"stream":"x@trade","data":{"e":"trade","E":1003,"T":1002,"s":"BTCUSDT","t":7,'
    '"p":"100.1","q":"0.3","X":"MARKET","m":true}}'
)


def capture(folder: Path, *lines: str, name: str = "btcusdt_20240808.gz") -> Path:
    path = folder / name
    with gzip.open(path, "wt") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    return path


def stamped(message: str, receive_ns: int = 1_723_161_255_030_314_667) -> str:
    return f"{receive_ns} {message}"


def kinds(path: Path, **options: bool) -> list[int]:
    events, _ = convert_collector([path], **options)
    return [int(ev) & 0x3FFFFFFF for ev in events["ev"]]


def test_a_depth_message_becomes_one_row_per_level(tmp_path: Path) -> None:
    events, statistics = convert_collector([capture(tmp_path, stamped(DEPTH))])
    assert [int(ev) & 0x3FFFFFFF for ev in events["ev"]] == [DEPTH_EVENT | BUY_EVENT] * 2 + [DEPTH_EVENT | SELL_EVENT]
    assert list(events["px"]) == [100.0, 99.9, 100.1]
    assert list(events["qty"]) == [1.5, 0.0, 2.0]
    assert set(events["exch_ts"]) == {1_000_000_000}
    assert statistics.depth_updates == 1


def test_the_order_of_fields_does_not_matter(tmp_path: Path) -> None:
    turned = (
        '{"data":{"a":[["100.1","2"]],"new":{"x":[1,{"y":"}"}]},"b":[["100.0","1.5"],["99.9","0"]],"pu":0,"u":2,"U":1,'
        '"s":"BTCUSDT","T":1000,"E":1001,"e":"depthUpdate"},"stream":"btcusdt@depth@0ms"}'
    )
    straight, _ = convert_collector([capture(tmp_path, stamped(DEPTH), name="a.gz")])
    other, _ = convert_collector([capture(tmp_path, stamped(turned), name="b.gz")])
    assert straight.tobytes() == other.tobytes()


def test_a_trade_carries_the_side_of_its_taker(tmp_path: Path) -> None:
    assert kinds(capture(tmp_path, stamped(TRADE))) == [TRADE_EVENT | SELL_EVENT]


def test_trades_off_the_book_are_counted_and_left_out(tmp_path: Path) -> None:
    events, statistics = convert_collector(
        [capture(tmp_path, stamped(DEPTH), stamped(TRADE.replace("MARKET", "INSURANCE_FUND")))]
    )
    assert len(events) == 3
    assert statistics.off_book_trades == 1


def test_a_snapshot_clears_each_side_down_to_its_worst_level(tmp_path: Path) -> None:
    snapshot = '{"lastUpdateId":5,"E":1000,"T":1000,"bids":[["100.0","1"],["99.0","2"]],"asks":[["101.0","3"],["102.0","4"]]}'
    path = capture(tmp_path, stamped(snapshot))
    events, _ = convert_collector([path])
    clear_bid, _, _, clear_ask, _, _ = events
    assert [int(ev) & 0xFF for ev in events["ev"]] == [DEPTH_CLEAR_EVENT, *[DEPTH_SNAPSHOT_EVENT] * 2] * 2
    assert (clear_bid["px"], clear_ask["px"]) == (99.0, 102.0)
    assert kinds(path, without_snapshots=True) == []


def test_spot_messages_without_a_time_take_that_of_the_message_before(tmp_path: Path) -> None:
    ticker = '{"stream":"x@bookTicker","data":{"u":4,"s":"BTCUSDT","b":"100.0","B":"1","a":"100.1","A":"2"}}'
    snapshot = '{"lastUpdateId":1,"bids":[["100.0","1"]],"asks":[]}'
    spot_depth = '{"stream":"x","data":{"e":"depthUpdate","E":2000,"s":"BTCUSDT","U":2,"u":3,"b":[],"a":[["100.1","2"]]}}'
    events, _ = convert_collector(
        [capture(tmp_path, stamped(snapshot), stamped(spot_depth), stamped(ticker))], with_book_ticker=True
    )
    assert set(events["exch_ts"]) == {2_000_000_000}
    assert len(events) == 2 + 1 + 2


def test_a_gap_in_the_update_ids_is_counted(tmp_path: Path) -> None:
    later = DEPTH.replace('"U":1,"u":2,"pu":0', '"U":9,"u":10,"pu":8')
    _, statistics = convert_collector([capture(tmp_path, stamped(DEPTH), stamped(later))])
    assert statistics.gaps == 1


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        pytest.param("hello", "does not begin with a receive time", id="no time"),
        pytest.param(stamped('{"data":{"e":"trade"'), "is not one JSON object", id="cut line"),
        pytest.param(stamped(TRADE.replace('"100.1"', '"abc"')), "is not a number", id="a word as price"),
        pytest.param(stamped(TRADE.replace('"100.1"', '"NaN"')), "is not a number", id="no number as price"),
        pytest.param(stamped(TRADE.replace('"100.1"', '"1e999"')), "is not a number", id="an infinite price"),
        pytest.param(stamped(TRADE.replace('"p":"100.1",', "")), "lacks a field", id="trade without price"),
        pytest.param(stamped(TRADE.replace("BTCUSDT", "ETHUSDT")), "another symbol or market", id="another symbol"),
        pytest.param(stamped(DEPTH.replace(',"pu":0', "")), "another symbol or market", id="spot among futures"),
    ],
)
def test_a_damaged_line_is_named_with_its_number(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        convert_collector([capture(tmp_path, stamped(DEPTH), line)])
    assert caught.value.where.endswith(":2")


def test_a_truncated_gzip_keeps_what_was_good_and_says_so(tmp_path: Path) -> None:
    path = capture(tmp_path, *[stamped(DEPTH, 10**18 + i) for i in range(50_000)])
    path.write_bytes(path.read_bytes()[:-2000])
    events, statistics = convert_collector([path])
    assert len(events) > 1000
    assert "cut or damaged" in statistics.damages[0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"", "is empty", id="an empty file"),
        pytest.param(os.urandom(4096).replace(b"\n", b"x"), "receive time|longer|JSON", id="a binary file"),
        pytest.param(b'1723161255030314667 {"some":1}\n', "none of the first 1 lines", id="another venue"),
    ],
)
def test_what_is_no_capture_is_refused_with_its_name(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        tell_venue(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.gz: cannot be read"):
        convert_collector([tmp_path / "nothing.gz"])


@pytest.mark.parametrize("options", ["", "t", "mt"])
@pytest.mark.parametrize("name", ["usdm/btcusdt_20240808.gz", "cm/btcusd_perp_20240808.gz"])
def test_binance_futures_captures_equal_hftbacktest_byte_for_byte(name: str, options: str) -> None:
    theirs = pytest.importorskip("hftbacktest.data.utils.binancefutures", reason="extra 'backtest' is not installed")
    path = _real(name)
    ours, _ = convert_collector([path], with_book_ticker="t" in options, with_mark_price="m" in options)
    assert ours.tobytes() == theirs.convert(str(path), opt=options, buffer_size=5_000_000).tobytes()


def test_the_hyperliquid_capture_equals_hftbacktest_byte_for_byte() -> None:
    theirs = pytest.importorskip("hftbacktest.data.utils.hyperliquid", reason="extra 'backtest' is not installed")
    path = _real("hyperliquid/btcusd_20250126.gz")
    ours, _ = convert_collector([path], tick_size=1.0, lot_size=0.00001)
    assert ours.tobytes() == theirs.convert(str(path), 1.0, 0.00001, buffer_size=100_000).tobytes()


@pytest.mark.parametrize("name", ["spot/btcusdt_20240808.gz", "spot/btcusdt_20240809.gz"])
def test_spot_captures_are_whole(name: str) -> None:
    events, statistics = convert_collector([_real(name)], with_book_ticker=True)
    assert statistics.gaps == 0
    assert statistics.lines == statistics.trades + statistics.depth_updates + statistics.book_tickers + statistics.snapshots
    assert np.all(events["local_ts"] >= events["exch_ts"])


BYBIT = (
    '{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1000,"data":{"s":"BTCUSDT","b":[["100.0","1"],["99.5","2"]],'
    '"a":[["100.5","3"]],"u":1,"seq":1},"cts":999}'
)
HYPERLIQUID = (
    '{"channel":"l2Book","data":{"coin":"BTC","time":1000,"levels":[[{"px":"100.0","sz":"1","n":1}],'
    '[{"px":"101.0","sz":"2","n":1}]]}}'
)


@pytest.mark.parametrize(
    ("first", "line", "sentence"),
    [
        pytest.param(BYBIT, BYBIT.replace("BTCUSDT", "ETHUSDT"), "another symbol", id="Bybit: another symbol"),
        pytest.param(BYBIT, BYBIT.replace('"99.5"', '"nan"'), "not a number", id="Bybit: no number as price"),
        pytest.param(BYBIT, BYBIT[:-20], "not one JSON object", id="Bybit: a cut line"),
        pytest.param(HYPERLIQUID, HYPERLIQUID.replace('"BTC"', '"ETH"'), "another symbol", id="Hyperliquid: another symbol"),
        pytest.param(
            HYPERLIQUID, HYPERLIQUID.replace('"101.0"', '"NaN"'), "not a number", id="Hyperliquid: no number as price"
        ),
        pytest.param(HYPERLIQUID, HYPERLIQUID.replace('"time":1000,', ""), "lacks a field", id="Hyperliquid: no time"),
        pytest.param(
            HYPERLIQUID,
            HYPERLIQUID.replace("[[", "[[" + '{"px":"99","sz":"1"},' * 20),
            "more levels",
            id="Hyperliquid: 21 levels",
        ),
    ],
)
def test_a_damaged_line_of_another_venue_is_named_too(tmp_path: Path, first: str, line: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        convert_collector([capture(tmp_path, stamped(first), stamped(line))], tick_size=1.0, lot_size=0.001)
    assert caught.value.where.endswith(":2")


@pytest.mark.parametrize("message", [BYBIT, HYPERLIQUID], ids=["Bybit", "Hyperliquid"])
def test_the_order_of_fields_does_not_matter_to_other_venues_either(tmp_path: Path, message: str) -> None:
    def turned(value: object) -> object:
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    arrays = []
    for text in (message, json.dumps(turned(json.loads(message)), indent=None)):
        step = 1.0 if message is HYPERLIQUID else 0.0
        events, _ = convert_collector([capture(tmp_path, stamped(text))], tick_size=step, lot_size=step)
        arrays.append(events.tobytes())
    assert arrays[0] == arrays[1]


def _real(name: str) -> Path:
    path = CAPTURES / name
    if not path.exists():
        pytest.skip(f"no capture at {path}: set CRYPTO_TRADE_DATA to the folder that holds captures/")
    return path


@pytest.mark.parametrize("is_fused", [False, True])
def test_bybit_frames_equal_hftbacktest_byte_for_byte(tmp_path: Path, is_fused: bool) -> None:
    theirs = pytest.importorskip("hftbacktest.data.utils.bybit", reason="extra 'backtest' is not installed")
    path = capture(tmp_path, *_bybit_lines(1500))
    if is_fused:
        ours, _ = convert_collector([path], tick_size=0.1, lot_size=0.001)
        reference = theirs.convert_fused(str(path), buffer_size=200_000, tick_size=0.1, lot_size=0.001)
    else:
        ours, _ = convert_collector([path])
        reference = theirs.convert_depth(str(path), buffer_size=200_000)
    assert ours.tobytes() == reference.tobytes()


def _bybit_lines(count: int) -> list[str]:
    random = np.random.default_rng(7)
    lines, now_ms, mid = [], 1_758_841_134_000, 1_093_788
    for number in range(count):
        now_ms += int(random.integers(1, 50))
        mid += int(random.integers(-2, 3))
        receive_ns = now_ms * 10**6 + int(random.integers(-(10**6), 5 * 10**7))
        if random.random() < 0.4:
            trades = ",".join(
                f'{{"T":{now_ms - i},"s":"BTCUSDT","S":"{side}","v":"0.02","p":"{mid / 10}"}}'
                for i, side in ((1, "Sell"), (0, "Buy"))
            )
            message = f'{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":{now_ms},"data":[{trades}]}}'
        else:
            level = int(random.choice([1, 50]))
            kind = "snapshot" if level == 1 or number % 500 < 2 else "delta"
            depth = 1 if level == 1 else int(random.integers(1, 8))
            lowest = 0 if kind == "delta" else 1
            sides = [
                ",".join(f'["{(start + sign * i) / 10}","{random.integers(lowest, 50) / 1000}"]' for i in range(depth))
                for start, sign in ((mid, -1), (mid + 1, 1))
            ]
            message = (
                f'{{"topic":"orderbook.{level}.BTCUSDT","type":"{kind}","ts":{now_ms},"data":{{"s":"BTCUSDT","b":[{sides[0]}],'
                f'"a":[{sides[1]}],"u":{number},"seq":{number}}},"cts":{now_ms - 1}}}'
            )
        lines.append(stamped(message, receive_ns))
    return sorted(lines)


def test_a_spot_snapshot_older_than_the_depth_before_it_leaves_the_book_right(tmp_path: Path) -> None:
    """The answer to a snapshot request comes late: read in file order it would bring gone levels back and cross the book."""

    def depth(update_id: int, bids: str, asks: str) -> str:
        return stamped(
            f'{{"stream":"x","data":{{"e":"depthUpdate","E":{2000 + update_id},"s":"BTCUSDT","U":{update_id},"u":{update_id},'
            f'"b":[{bids}],"a":[{asks}]}}}}',
            10**18 + update_id,
        )

    lines = [
        depth(5, '["100.0","1"]', ""),
        depth(6, "", '["100.1","0"]'),  # The ask is gone …
        stamped(
            '{"lastUpdateId":5,"bids":[["100.0","1"]],"asks":[["100.1","2"],["100.3","1"]]}', 10**18 + 7
        ),  # … here it stands
        depth(7, '["100.2","1"]', ""),
    ]
    events, _ = convert_collector([capture(tmp_path, *lines)])
    report = validate_events(events)
    assert report.crossed_messages == 0
    assert report.is_sound
