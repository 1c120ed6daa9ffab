"""Tardis CSV files: hftbacktest's events where theirs are right, ours where theirs lose data."""

import random
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from reactor.data.convert.tardis import convert_tardis
from reactor.data.events import BUY_EVENT, DEPTH_EVENT, EXCH_EVENT, LOCAL_EVENT, SELL_EVENT, TRADE_EVENT
from reactor.domain.errors import DataError

TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
DEPTH = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TICKER = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
WHO = "binance-futures,BTCUSDT"
T0 = 1_723_161_600_000_000


def write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def level(time: int, side: str, price: float, amount: float, is_snapshot: bool = False) -> str:
    return f"{WHO},{T0 + time},{T0 + time + 5},{'true' if is_snapshot else 'false'},{side},{price},{amount}"


def snapshot(time: int, bids: int, asks: int = 0) -> list[str]:
    return [level(time, "bid", 100 - i, 1, True) for i in range(bids)] + [
        level(time, "ask", 101 + i, 1, True) for i in range(asks)
    ]


@pytest.fixture
def market(tmp_path: Path) -> list[Path]:
    """Trades, book and tickers of a made-up hour: snapshots of several sizes, one at the very end, out-of-order times."""
    random = np.random.default_rng(3)
    trades, depth, tickers = [], [], []
    now, mid = 0, 600_000
    depth += snapshot(0, 100, 90)
    for number in range(6000):
        now += int(random.integers(1, 3000))
        mid += int(random.integers(-1, 2))
        exchange, local = T0 + now, T0 + now + 3000 + int(random.integers(0, 500))
        kind = random.random()
        if kind < 0.5:
            is_bid = random.random() < 0.5
            price = (mid - random.integers(0, 30) if is_bid else mid + 1 + random.integers(0, 30)) / 10
            amount = max(0, int(random.integers(-20, 50))) / 1000
            stale = exchange - int(random.integers(0, 4000))
            depth.append(f"{WHO},{stale},{local},false,{'bid' if is_bid else 'ask'},{price},{amount}")
        elif kind < 0.9:
            quantities = random.integers(1, 50, 2) / 1000
            tickers.append(f"{WHO},{exchange},{local},{quantities[0]},{(mid + 1) / 10},{mid / 10},{quantities[1]}")
        else:
            trades.append(f"{WHO},{exchange},{local},{number},{random.choice(['buy', 'sell', 'unknown'])},{mid / 10},0.001")
        if number % 2000 == 1999:
            depth += snapshot(now, int(random.integers(50, 200)), int(random.integers(50, 200)))
    depth += snapshot(now, 20, 20)
    return [
        write(tmp_path / "x_trades_a.csv", TRADES, trades),
        write(tmp_path / "x_incremental_book_L2_a.csv", DEPTH, depth),
        write(tmp_path / "x_book_ticker_a.csv", TICKER, tickers),
    ]


@pytest.mark.parametrize("mode", ["process", "ignore", "ignore-sod"])
def test_with_compat_every_snapshot_mode_equals_hftbacktest(
    market: list[Path], mode: Literal["process", "ignore", "ignore-sod"]
) -> None:
    theirs = pytest.importorskip("hftbacktest.data.utils.tardis", reason="extra 'backtest' is not installed")
    ours, _ = convert_tardis(market[:2], snapshot_mode=mode, compat="hftbacktest")
    reference = theirs.convert([str(path) for path in market[:2]], snapshot_mode=mode.replace("-", "_"), buffer_size=100_000)
    assert ours.tobytes() == reference.tobytes()


@pytest.mark.parametrize("mode", ["process", "ignore", "ignore-sod"])
def test_with_compat_fused_tickers_equal_hftbacktest(
    market: list[Path], mode: Literal["process", "ignore", "ignore-sod"]
) -> None:
    theirs = pytest.importorskip("hftbacktest.data.utils.tardis", reason="extra 'backtest' is not installed")
    ours, _ = convert_tardis(market, snapshot_mode=mode, compat="hftbacktest", tick_size=0.1, lot_size=0.001)
    reference = theirs.convert_fuse(*(str(path) for path in market), 0.1, 0.001, snapshot_mode=mode.replace("-", "_"))
    assert ours.tobytes() == reference.tobytes()


def test_a_snapshot_at_the_end_is_kept_by_us_and_dropped_by_hftbacktest(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", DEPTH, [level(1, "bid", 100, 1), *snapshot(2, 3)])
    assert len(convert_tardis([path])[0]) == 1 + 1 + 3
    assert len(convert_tardis([path], compat="hftbacktest")[0]) == 1


def test_a_larger_snapshot_is_whole_with_us_and_cut_by_hftbacktest(tmp_path: Path) -> None:
    rows = [*snapshot(1, 2), level(2, "bid", 100, 1), *snapshot(3, 5), level(4, "bid", 100, 1)]
    path = write(tmp_path / "d.csv", DEPTH, rows)
    ours, _ = convert_tardis([path])
    theirs, statistics = convert_tardis([path], compat="hftbacktest")
    assert (len(ours), len(theirs)) == (3 + 1 + 6 + 1, 3 + 1 + 3 + 1)
    assert statistics.truncated_snapshot_rows == 3


def test_base_latency_is_always_added_by_us_and_only_after_a_negative_one_by_hftbacktest(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", DEPTH, [level(1, "bid", 100, 1)])
    ours, _ = convert_tardis([path], base_latency_ns=500)
    theirs, _ = convert_tardis([path], base_latency_ns=500, compat="hftbacktest")
    assert ours["local_ts"][0] - theirs["local_ts"][0] == 500


def test_trades_come_first_whatever_the_order_of_the_files(market: list[Path]) -> None:
    straight, _ = convert_tardis(market[:2])
    turned, _ = convert_tardis(market[1::-1])
    assert straight.tobytes() == turned.tobytes()


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        pytest.param(f"{WHO},{T0},{T0},false,bid,100", "has not the eight columns", id="a column short"),
        pytest.param(f"{WHO},{T0},{T0},false,bid,nan,1", "not a number", id="NaN price"),
        pytest.param(f"{WHO},{T0},{T0},false,bid,,1", "not a number", id="empty price"),
        pytest.param(f"{WHO},soon,{T0},false,bid,100,1", "not a number", id="a word as time"),
        pytest.param(f"{WHO},{T0},{T0},maybe,bid,100,1", "neither 'true' nor 'false'", id="neither true nor false"),
        pytest.param(f"binance-futures,ETHUSDT,{T0},{T0},false,bid,100,1", "another exchange or symbol", id="another symbol"),
    ],
)
def test_a_damaged_row_is_named_with_its_line(tmp_path: Path, row: str, sentence: str) -> None:
    path = write(tmp_path / "d.csv", DEPTH, [level(1, "bid", 100, 1), row, level(2, "bid", 100, 1)])
    with pytest.raises(DataError, match=sentence) as caught:
        convert_tardis([path])
    assert caught.value.where == f"{path}:3"


def _number(dice: random.Random) -> str:
    """What venues write, and what they could: of any length, with a point anywhere or nowhere, with an exponent or a sign."""
    digits = "".join(dice.choice("0123456789") for _ in range(dice.randint(1, 20)))
    place = dice.randint(0, len(digits))
    text = dice.choice((digits, f"{digits[:place]}.{digits[place:]}", f"{digits[:place]}.{digits[place:]}", digits[:5]))
    return text + dice.choice(("",) * 20 + ("e-5", "E3"))


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["newlines", "carriage returns"])
@pytest.mark.parametrize("who", [WHO, "okx,A", "binance-delivery,1000SHIBUSD_PERP_240927", "x" * 40 + "," + "Y" * 20])
def test_any_numbers_between_any_others_have_the_bits_that_python_gives_them(tmp_path: Path, who: str, end: str) -> None:
    dice = random.Random(11)
    wanted, depth, trades = [], [DEPTH], [TRADES]
    time = T0
    for _ in range(4000):
        time += dice.choice((0, 0, 0, 1))
        price, amount = _number(dice), _number(dice)
        is_bid = dice.random() < 0.5
        number = dice.choice(("", "1", "98765432101", "0a3b0c4d-1e2f-4a5b-8c9d-0e1f2a3b4c5d", "z" * 70))
        depth.append(f"{who},{time},{time + 7},false,{'bid' if is_bid else 'ask'},{price},{amount}")
        trades.append(f"{who},{time},{time + 7},{number},{'buy' if is_bid else 'sell'},{price},{amount}")
        wanted.append((BUY_EVENT if is_bid else SELL_EVENT, time * 1000, (time + 7) * 1000, float(price), float(amount)))
    for kind, rows in ((DEPTH_EVENT, depth), (TRADE_EVENT, trades)):
        path = tmp_path / f"{kind}.csv"
        path.write_bytes((end.join(rows) + end).encode())
        events, _ = convert_tardis([path])
        flags = kind | EXCH_EVENT | LOCAL_EVENT
        columns = [events[name].tolist() for name in ("ev", "exch_ts", "local_ts", "px", "qty")]
        assert list(zip(*columns, strict=True)) == [(flags | side, *rest) for side, *rest in wanted]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", "a,b,c", ["1,2,3"])
    with pytest.raises(DataError, match="columns 'a,b,c' are not those of a Tardis file"):
        convert_tardis([path])


def test_tickers_without_steps_are_refused(market: list[Path]) -> None:
    with pytest.raises(DataError, match="give --tick-size and --lot-size"):
        convert_tardis(market)
