"""Inputs that are not what they claim to be: one sentence with file and line, a failure, no half file, good output kept."""

import gzip
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from reactor.data.npz import load_npz

TRADE = (
    b'%d {"stream":"btcusdt@trade","data":{"e":"trade","E":%d,"T":%d,"s":"%b","t":%d,"p":"%b","q":"1","X":"MARKET","m":true}}\n'
)
HEADER = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
NOW_MS = 1_723_161_600_000


def trade(number: int, symbol: bytes = b"BTCUSDT", price: bytes = b"60000.1", late_ms: int = 5) -> bytes:
    now_ms = NOW_MS + number
    return TRADE % ((now_ms + late_ms) * 1_000_000, now_ms, now_ms, symbol, number, price)


def csv_row(number: int, symbol: str = "BTCUSDT", price: str = "60000.1", late_us: int = 500) -> str:
    time_us = NOW_MS * 1000 + number * 1000
    return f"binance-futures,{symbol},{time_us},{time_us + late_us},{number},buy,{price},0.5\n"


GOOD = [trade(number) for number in range(2000)]
GOOD_CSV = [csv_row(number) for number in range(2000)]


@dataclass
class Done:
    code: int
    text: str
    output: Path


def convert(tmp_path: Path, source: str, *paths: Path | str) -> Done:
    output = tmp_path / "out.npz"
    command = [sys.executable, "-m", "reactor", "convert", source, *map(str, paths), "-o", str(output)]
    environment = {**os.environ, "COLUMNS": "1000"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert not list(tmp_path.glob("*.part")), "no half file is left"
    return Done(done.returncode, text, output)


def capture(tmp_path: Path, raw: bytes, name: str = "in.gz") -> Path:
    path = tmp_path / name
    path.write_bytes(raw)
    return path


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "trades.csv"
    path.write_text(text)
    return path


def refused(done: Done, *words: str) -> None:
    assert done.code in (1, 2), done.text
    for word in words:
        assert word in done.text
    assert not done.output.exists(), "no file under the final name"


def test_a_truncated_gzip_keeps_what_could_be_read_and_fails(tmp_path: Path) -> None:
    done = convert(tmp_path, "collector", capture(tmp_path, gzip.compress(b"".join(GOOD))[:-5000]))
    assert done.code == 1
    assert "the compressed data is cut or damaged" in done.text
    events = load_npz(done.output)
    assert 500 < len(events) < 2000
    assert f"in.gz:{len(events)}: " in done.text


def test_a_truncated_gzip_of_tardis_too(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv.gz"
    path.write_bytes(gzip.compress((HEADER + "".join(GOOD_CSV)).encode())[:-2000])
    done = convert(tmp_path, "tardis", path)
    assert done.code == 1
    assert f"trades.csv.gz:{len(load_npz(done.output)) + 1}: the compressed data is cut" in done.text


def test_a_gzip_that_is_cut_before_its_first_line_ends(tmp_path: Path) -> None:
    raw = gzip.compress((HEADER + "".join(GOOD_CSV)).encode())
    for size in (2, 12, 40):
        refused(
            convert(tmp_path, "tardis", capture(tmp_path, raw[:size], "trades.csv.gz")), "trades.csv.gz:1", "cut or damaged"
        )


def test_a_line_that_never_ends(tmp_path: Path) -> None:
    text = HEADER + "".join(GOOD_CSV[:50]) + "x" * (65 << 20)
    refused(convert(tmp_path, "tardis", csv(tmp_path, text)), "trades.csv:52", "a line beyond 64 MiB")


@pytest.mark.parametrize("source", ["collector", "tardis"])
def test_a_binary_file(tmp_path: Path, source: str) -> None:
    raw = os.urandom(120).replace(b"\n", b"") + os.urandom(200_000)
    refused(convert(tmp_path, source, capture(tmp_path, raw, "in.bin")), "in.bin:1", "(binary data)")


@pytest.mark.parametrize("source", ["collector", "tardis"])
def test_an_empty_file(tmp_path: Path, source: str) -> None:
    refused(convert(tmp_path, source, capture(tmp_path, b"", "in.csv")), "in.csv", "is empty")


def test_other_columns(tmp_path: Path) -> None:
    refused(convert(tmp_path, "tardis", csv(tmp_path, "time,price\n1,2\n")), "trades.csv:1", "columns 'time,price'")


def test_mixed_symbols(tmp_path: Path) -> None:
    lines = [*GOOD[:100], trade(100, symbol=b"ETHUSDT")]
    refused(convert(tmp_path, "collector", capture(tmp_path, gzip.compress(b"".join(lines)))), "in.gz:101", "another symbol")
    text = HEADER + "".join(GOOD_CSV[:50]) + csv_row(50, symbol="ETHUSDT")
    refused(convert(tmp_path, "tardis", csv(tmp_path, text)), "trades.csv:52", "another exchange or symbol")
    other = tmp_path / "other.csv"
    other.write_text(
        HEADER.replace("id,side", "is_snapshot,side") + f"binance-futures,ETHUSDT,{NOW_MS}000,{NOW_MS}001,false,bid,1,1\n"
    )
    refused(convert(tmp_path, "tardis", csv(tmp_path, HEADER + "".join(GOOD_CSV)), other), "other.csv:2", "convert them apart")


@pytest.mark.parametrize("price", ["NaN", "nan", "inf", "", "1e", "12x"])
def test_prices_that_are_none(tmp_path: Path, price: str) -> None:
    lines = [*GOOD[:100], trade(100, price=price.encode())]
    refused(convert(tmp_path, "collector", capture(tmp_path, gzip.compress(b"".join(lines)))), "in.gz:101")
    text = HEADER + "".join(GOOD_CSV[:50]) + csv_row(50, price=price) + csv_row(51)
    refused(convert(tmp_path, "tardis", csv(tmp_path, text)), "trades.csv:52", "not a number")


@pytest.mark.parametrize("source", ["collector", "tardis"])
def test_lines_out_of_order_are_put_in_order_and_named(tmp_path: Path, source: str) -> None:
    lines = GOOD if source == "collector" else [row.encode() for row in GOOD_CSV]
    head = b"" if source == "collector" else HEADER.encode()
    text = head + b"".join([*lines[:50], lines[80], *lines[50:80], *lines[81:]])
    done = convert(tmp_path, source, capture(tmp_path, text if head else gzip.compress(text), "in.csv"))
    assert done.code == 1, done.text
    assert f"in.csv:{53 if head else 52}: received before" in done.text
    assert "29 other" in done.text
    events = load_npz(done.output)
    assert (events["exch_ts"][1:] >= events["exch_ts"][:-1]).all()
    assert len(events) == 2000


def test_lines_that_waited_for_a_snapshot_are_in_order(tmp_path: Path) -> None:
    snapshot = b'%d {"lastUpdateId":1,"E":%d,"T":%d,"bids":[["60000","1"]],"asks":[["60001","1"]]}\n'
    late = snapshot % ((NOW_MS + 30) * 1_000_000, NOW_MS, NOW_MS)
    restamped = b"%d %b" % ((NOW_MS + 30) * 1_000_000, GOOD[12].partition(b" ")[2])
    text = b"".join([*GOOD[:10], late, GOOD[10], GOOD[11], restamped, *GOOD[13:100]])
    done = convert(tmp_path, "collector", capture(tmp_path, gzip.compress(text)))
    assert done.code == 0, done.text


def test_a_line_of_fifty_megabytes_that_is_damage(tmp_path: Path) -> None:
    raw = b"".join(GOOD[:10]) + b"x" * (50 << 20) + b"\n" + b"".join(GOOD[10:20])
    refused(convert(tmp_path, "collector", capture(tmp_path, gzip.compress(raw, 1))), "in.gz:11", "receive time")


def test_a_message_of_fifty_megabytes_that_is_none(tmp_path: Path) -> None:
    levels = b",".join(b'["%d.5","1"]' % number for number in range(3_500_000))
    line = b'%d {"lastUpdateId":1,"E":%d,"T":%d,"bids":[%b],"asks":[]}\n' % (
        NOW_MS * 1_000_000 + 5_500_000,
        NOW_MS,
        NOW_MS,
        levels,
    )
    assert len(line) > 50 << 20
    done = convert(tmp_path, "collector", capture(tmp_path, gzip.compress(GOOD[0] + line + GOOD[1], 1)))
    assert done.code == 0, done.text
    assert len(load_npz(done.output)) == 3_500_003


def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = capture(tmp_path, gzip.compress(b"".join(GOOD[:10])))
    command = [sys.executable, "-m", "reactor", "convert", "collector", str(path), "-o", str(tmp_path / "file" / "out.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (1, 2)
    assert "cannot be written" in done.stdout + done.stderr
    refused(convert(tmp_path, "collector", tmp_path / "file" / "in.gz"), "there is no such file")


def test_what_was_converted_before_is_not_touched_by_a_failure(tmp_path: Path) -> None:
    good = convert(tmp_path, "collector", capture(tmp_path, gzip.compress(b"".join(GOOD))))
    before = good.output.read_bytes()
    bad = capture(tmp_path, gzip.compress(b"".join(GOOD[:10]) + b"nonsense\n"), "bad.gz")
    command = [sys.executable, "-m", "reactor", "convert", "collector", str(bad), "-o", str(good.output), "--force"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert good.output.read_bytes() == before
