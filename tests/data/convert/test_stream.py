"""Conversions in bounded memory give the same bytes as those in memory."""

import gzip
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reactor.data import capture, weave
from reactor.data.convert.collector import convert_collector
from reactor.data.convert.sample import generate_sample
from reactor.data.convert.stream import stream_collector, stream_tardis
from reactor.data.convert.tardis import convert_tardis
from reactor.data.npz import load_npz
from reactor.domain.errors import DataError

ROOT = Path(__file__).resolve().parents[3]
CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", ROOT.parent / "shared" / "data")) / "captures"
WHO = "binance-futures,BTCUSDT"
T0 = 1_723_161_600_000_000


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many steps, so that windows and boundaries matter."""
    monkeypatch.setattr(capture, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(capture, "SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(weave, "STAGING_ROWS", 500)


def assert_same(output: Path, paths: list[Path], **options: object) -> None:
    statistics = stream_tardis(paths, output, **options)
    events, expected = convert_tardis(paths, **options)
    assert load_npz(output).tobytes() == events.tobytes()
    assert (statistics.events, statistics.local_shift_ns, statistics.trades, statistics.snapshots) == (
        expected.events, expected.local_shift_ns, expected.trades, expected.snapshots
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["process", "ignore", "ignore-sod"])
def test_a_tardis_day(tmp_path: Path, mode: str) -> None:
    trades, depth, _ = generate_sample(tmp_path, 40_000)
    assert_same(tmp_path / "out.npz", [depth, trades], snapshot_mode=mode)


@pytest.mark.parametrize("seed", range(12))
def test_files_whose_times_go_back_in_every_way(tmp_path: Path, seed: int) -> None:
    """Random disorder, equal times, several files and days, negative latencies."""
    dice = random.Random(seed)
    paths = []
    for day in range(dice.randint(1, 3)):
        for kind in ("trades", "depth"):
            now, rows = T0 + day * 5_000_000, []
            for number in range(dice.randint(1, 9000)):
                now += dice.choice((0, 0, 1, 5, 700))
                exchange = now - dice.choice((0, 0, 3, 900, 40_000 if dice.random() < 0.01 else 0))
                local = now + dice.choice((-400, 0, 10, 10, 300))
                middle = f"{number},buy" if kind == "trades" else f"{'true' if dice.random() < 0.02 else 'false'},bid"
                rows.append(f"{WHO},{exchange},{local},{middle},{dice.randint(1, 99)},1")
            header = "id,side" if kind == "trades" else "is_snapshot,side"
            path = tmp_path / f"{day}_{kind}.csv"
            path.write_text("\n".join([f"exchange,symbol,timestamp,local_timestamp,{header},price,amount", *rows]) + "\n")
            paths.append(path)
    options = {"base_latency_ns": dice.choice((0, 500)), "compat": dice.choice(("", "hftbacktest"))}
    assert_same(tmp_path / "out.npz", paths, **options)


@pytest.mark.parametrize("venue", ["usdm", "cm", "spot"])
def test_collector_captures(tmp_path: Path, venue: str) -> None:
    paths = sorted((CAPTURES / venue).glob("*.gz"))
    if not paths:
        pytest.skip(f"no captures in {CAPTURES}: set CRYPTO_TRADE_DATA")
    options = {"with_book_ticker": venue == "spot"}
    statistics = stream_collector(paths, tmp_path / "out.npz", **options)
    events, expected = convert_collector(paths, **options)
    assert load_npz(tmp_path / "out.npz").tobytes() == events.tobytes()
    assert statistics == expected


@pytest.mark.parametrize("venue", ["bybit", "hyperliquid"])
def test_captures_of_other_venues(tmp_path: Path, venue: str) -> None:
    dice, now_ms, lines = random.Random(2), 1_758_841_134_000, []
    steps = {"tick_size": 1.0, "lot_size": 0.001} if venue == "hyperliquid" else {}
    for _ in range(3000):
        now_ms += dice.randint(0, 40)
        price, quantity = dice.randint(100, 120), dice.randint(0, 9)
        if venue == "bybit":
            levels = f'"b":[["{price}","{quantity}"]],"a":[["{price + 1}","{quantity}"]]'
            message = f'{{"topic":"orderbook.50.X","type":"delta","ts":{now_ms},"data":{{"s":"X",{levels}}}}}'
        else:
            bid, ask = (f'[{{"px":"{px}","sz":"{quantity}","n":1}}]' for px in (price, price + 1))
            message = f'{{"channel":"l2Book","data":{{"coin":"X","time":{now_ms},"levels":[{bid},{ask}]}}}}'
        lines.append(f"{now_ms * 1_000_000 + dice.randint(-(10**6), 10**7)} {message}\n")
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress("".join(lines).encode()))
    statistics = stream_collector([path], tmp_path / "out.npz", **steps)
    events, expected = convert_collector([path], **steps)
    assert load_npz(tmp_path / "out.npz").tobytes() == events.tobytes()
    assert statistics == expected


def test_what_cannot_be_streamed_is_said(tmp_path: Path) -> None:
    paths = generate_sample(tmp_path, 1000)
    with pytest.raises(DataError, match="book tickers are fused in memory"):
        stream_tardis(paths, tmp_path / "out.npz")
    with pytest.raises(DataError, match=r"written as \.npz"):
        stream_tardis(paths[:2], tmp_path / "out.parquet")
    captures = [tmp_path / "bybit.gz"]
    captures[0].write_bytes(gzip.compress(b'1 {"topic":"publicTrade.BTCUSDT","data":[]}\n'))
    with pytest.raises(DataError, match="books are fused in memory"):
        stream_collector(captures, tmp_path / "out.npz", tick_size=0.1, lot_size=0.001)


def test_a_damaged_row_leaves_no_file(tmp_path: Path) -> None:
    trades, depth, _ = generate_sample(tmp_path, 5000, is_packed=False)
    with depth.open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(DataError, match=depth.name):
        stream_tardis([trades, depth], tmp_path / "out.npz")
    assert not list(tmp_path.glob("out*"))


def test_the_sample_is_the_same_for_the_same_seed_and_sound(tmp_path: Path) -> None:
    first, second = generate_sample(tmp_path / "a", 8000, 5), generate_sample(tmp_path / "b", 8000, 5)
    assert [path.name for path in first] == [path.name for path in second]
    texts = [gzip.decompress(path.read_bytes()) for path in first]
    assert texts == [gzip.decompress(path.read_bytes()) for path in second]
    locals_us = np.array([int(line.split(b",")[3]) for line in texts[1].splitlines()[1:]])
    assert (np.diff(locals_us) >= 0).all(), "Tardis files are in order of local_timestamp"


MEASURED = """
import sys
from pathlib import Path
from reactor.data.convert.stream import stream_tardis
stream_tardis(sys.argv[1:2], sys.argv[2])
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.processes
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """1.5 million rows more would be 96 MB of events."""
    peaks = []
    for count in (700_000, 2_200_000):
        path = tmp_path / "x_incremental_book_L2_a.csv"
        rows = (f"{WHO},{T0 + number * 1000},{T0 + number * 1000 + 500},false,bid,100,1\n" for number in range(count))
        path.write_text("exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n" + "".join(rows))
        command = [sys.executable, "-c", MEASURED, str(path), str(tmp_path / "out.npz")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] - peaks[0] < 15, f"peaks of {peaks} MB"
