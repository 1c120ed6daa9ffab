"""Captures written as Tardis files: the venue's own digits, and the events that Tardis's own files would give."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reactor.data.convert.collector import convert_collector
from reactor.data.convert.tardis import convert_tardis
from reactor.data.convert.tardis_csv import HEADERS, write_tardis_csv
from reactor.domain.errors import DataError

ROOT = Path(__file__).resolve().parents[3]
CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", ROOT.parent / "shared" / "data")) / "captures"
NOW_MS = 1_723_161_599_000  # One second before midnight.


def line(late_ms: int, stream: str, data: dict[str, object] | None = None, **more: object) -> bytes:
    now_ms = NOW_MS + late_ms
    body = data if data is not None else {"stream": f"btcusdt@{stream}", "data": {"e": stream, "E": now_ms - 3, "T": now_ms - 4,
                                                                                   "s": "BTCUSDT", **more}}  # fmt: skip
    return b"%d %b\n" % (now_ms * 1_000_000 + 789, json.dumps(body).encode())


def depth(late_ms: int, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    return line(late_ms, "depthUpdate", U=10, u=11, pu=9, b=bids, a=asks)


LINES = [
    line(0, "", {"lastUpdateId": 9, "E": NOW_MS - 5, "bids": [["60000.10", "1.500"]], "asks": [["60000.20", "2"]]}),
    line(10, "trade", t=77, p="60000.20", q="0.010", m=False, X="MARKET"),
    line(11, "trade", t=78, p="60000.10", q="3", m=True, X="INSURANCE_FUND"),
    depth(20, [["60000.10", "0.000"]], []),
    line(30, "bookTicker", u=12, b="60000.00", B="4", a="60000.20", A="2"),
    depth(1200, [["60000.00", "7"]], [["60000.30", "8.125"]]),
]


def rows(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def test_a_capture_becomes_one_file_per_kind_and_day_with_the_venues_own_digits(tmp_path: Path) -> None:
    capture = tmp_path / "btcusdt_20240808.gz"
    capture.write_bytes(gzip.compress(b"".join(LINES)))
    written, statistics = write_tardis_csv([capture], tmp_path / "csv")
    names = ("trades_2024-08-08", "incremental_book_L2_2024-08-08", "book_ticker_2024-08-08", "incremental_book_L2_2024-08-09")
    assert {path.name for path in written} == {f"binance-futures_{name}_BTCUSDT.csv.gz" for name in names}
    trades, book, tickers, tomorrow = (rows(tmp_path / "csv" / f"binance-futures_{name}_BTCUSDT.csv.gz") for name in names)
    who, t0 = "binance-futures,BTCUSDT", NOW_MS * 1000
    assert trades == [HEADERS["trades"].strip(), f"{who},{t0 + 6000},{t0 + 10000},77,buy,60000.20,0.010"]
    assert book == [
        HEADERS["incremental_book_L2"].strip(),
        f"{who},{t0 - 5000},{t0},true,bid,60000.10,1.500",
        f"{who},{t0 - 5000},{t0},true,ask,60000.20,2",
        f"{who},{t0 + 17000},{t0 + 20000},false,bid,60000.10,0.000",
    ]
    assert tickers[1:] == [f"{who},{t0 + 26000},{t0 + 30000},2,60000.20,60000.00,4"]
    late = f"{who},{t0 + 1_197_000},{t0 + 1_200_000},false"
    assert tomorrow[1:] == [f"{late},bid,60000.00,7", f"{late},ask,60000.30,8.125"]
    assert (statistics.trades, statistics.depth_updates, statistics.snapshots, statistics.off_book_trades) == (1, 2, 1, 1)


def test_the_command_writes_them_and_tells_what_was_read(tmp_path: Path) -> None:
    capture = tmp_path / "btcusdt_20240808.gz"
    capture.write_bytes(gzip.compress(b"".join(LINES)))
    command = [sys.executable, "-m", "reactor", "convert", "collector", str(capture), "--tardis-csv", str(tmp_path / "csv")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 lines, 1 trades, 2 depth updates, 1 snapshots, 1 off-book trades left out" in done.stdout.replace("\n", " ")
    assert len(list((tmp_path / "csv").iterdir())) == 4


def test_a_damaged_line_leaves_no_file(tmp_path: Path) -> None:
    capture = tmp_path / "btcusdt_20240808.gz"
    capture.write_bytes(gzip.compress(b"".join(LINES[:4]) + b"1 nonsense\n"))
    with pytest.raises(DataError, match=r"btcusdt_20240808\.gz:5: the line is not one JSON object"):
        write_tardis_csv([capture], tmp_path / "csv")
    assert not list((tmp_path / "csv").glob("*"))


@pytest.mark.parametrize("name", ["usdm/btcusdt_20240808.gz", "cm/btcusd_perp_20240808.gz"])
def test_the_events_of_the_files_are_those_of_the_capture(tmp_path: Path, name: str) -> None:
    """But for the clocks: Tardis dates a book by E, not by T, and local times are µs."""
    capture = CAPTURES / name
    if not capture.exists():
        pytest.skip("no captures; CRYPTO_TRADE_DATA names their folder")
    written, _ = write_tardis_csv([capture], tmp_path)
    paths = sorted(path for path in written if "book_ticker" not in path.name)
    told, statistics = convert_tardis([path for kind in ("trades", "incremental") for path in paths if kind in path.name])
    direct, expected = convert_collector([capture])
    assert statistics.trades == expected.trades
    for kinds in ((2,), (1,), (3, 4)):
        one, other = (
            [(int(row["ev"]) & 0x3FFFFFFF, row["px"], row["qty"]) for row in events
             if int(row["ev"]) & 0xFF in kinds and int(row["ev"]) & 1 << 30] for events in (told, direct)
        )  # fmt: skip
        assert one == other
