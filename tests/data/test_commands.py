"""The convert command: globs, a range of days, resuming; and one command from captures to a verdict."""

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reactor.data.convert.sample import generate_sample
from reactor.data.npz import load_npz

pytestmark = pytest.mark.processes
PATIENCE_S = 60.0
TRADE = '{"data":{"e":"trade","E":%d,"T":%d,"s":"BTCUSDT","t":%d,"p":"60000.1","q":"1","X":"MARKET","m":true}}'
DAYS = ("20240806", "20240807", "20240808", "20240809")
START_MS = 1_722_902_400_000


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "reactor", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env={**os.environ, "COLUMNS": "300"}
    )


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """Four days of one symbol."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for day, name in enumerate(DAYS):
        lines = []
        for number in range(500):
            at_ms = START_MS + day * 86_400_000 + number
            lines.append(f"{at_ms * 1_000_000 + 5_000_000} {TRADE % (at_ms, at_ms, day * 500 + number)}\n")
        (folder / f"btcusdt_{name}.gz").write_bytes(gzip.compress("".join(lines).encode()))
    return folder


def test_a_glob_and_a_range_of_days_choose_the_files(tmp_path: Path, captures: Path) -> None:
    words = ("convert", "collector", captures / "*.gz", "-o")
    done = run(*words, f"{tmp_path}/events/", "--from", "2024-08-07", "--to", "2024-08-08")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in (tmp_path / "events").iterdir()) == ["btcusdt_20240807.npz", "btcusdt_20240808.npz"]
    one = run(*words, tmp_path / "all.npz", "--from", "2024-08-08")
    assert one.returncode == 0
    assert len(load_npz(tmp_path / "all.npz")) == 1000, "two days in one file"
    nothing = run(*words, tmp_path / "none.npz", "--from", "2025-01-01")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)
    assert "no file lies within 2025-01-01" in nothing.stderr


def test_a_folder_stands_for_the_captures_in_it(tmp_path: Path, captures: Path) -> None:
    (captures / "gaps.jsonl").write_text("{}\n")
    done = run("convert", "collector", captures, "-o", tmp_path / "all.npz")
    assert done.returncode == 0, done.stderr
    assert len(load_npz(tmp_path / "all.npz")) == 500 * len(DAYS)


def test_a_folder_without_captures_says_so_and_where_some_are(tmp_path: Path, captures: Path) -> None:
    done = run("convert", "collector", tmp_path, "-o", tmp_path / "all.npz")
    assert done.returncode != 0
    assert "is a folder without captures (*.gz)" in done.stderr + done.stdout
    assert str(captures) in done.stderr + done.stdout
    nothing = run("convert", "tardis", captures, "-o", tmp_path / "all.npz")
    assert nothing.returncode != 0
    assert "is a folder without Tardis CSVs" in nothing.stderr + nothing.stdout


def test_a_folder_of_tardis_files_is_converted_as_its_files_are(tmp_path: Path) -> None:
    generate_sample(tmp_path / "day", 8000)
    next((tmp_path / "day").glob("*book_ticker*")).unlink()
    (tmp_path / "day" / "binance-futures_derivative_ticker_2024-08-08_BTCUSDT.csv.gz").write_bytes(b"not looked at")
    assert run("convert", "tardis", tmp_path / "day", "-o", tmp_path / "folder.npz").returncode == 0
    assert run("convert", "tardis", *(tmp_path / "day").glob("*_[ti][rn][ac]*"), "-o", tmp_path / "files.npz").returncode == 0
    assert (tmp_path / "folder.npz").read_bytes() == (tmp_path / "files.npz").read_bytes()


def test_what_is_there_is_not_converted_again_unless_it_is_asked_for(tmp_path: Path, captures: Path) -> None:
    words = ("convert", "collector", captures / "*.gz", "-o", f"{tmp_path}/events/")
    assert run(*words).returncode == 0
    gone, kept = (tmp_path / "events" / f"btcusdt_{day}.npz" for day in DAYS[1:3])
    before = gone.read_bytes()
    gone.unlink()
    gone.with_name(gone.name + ".part").write_bytes(b"as an interrupted run leaves it")
    stamp = kept.stat().st_mtime_ns
    again = run(*words)
    assert again.stdout.count("is there already") == 3
    assert gone.read_bytes() == before
    assert kept.stat().st_mtime_ns == stamp
    assert not list((tmp_path / "events").glob("*.part"))
    assert run(*words, "--force").stdout.count("500 events") == 4
    assert kept.stat().st_mtime_ns > stamp


def test_a_run_that_is_killed_leaves_whole_files_and_is_resumed(tmp_path: Path) -> None:
    for day in range(4):
        for path in generate_sample(tmp_path / "in", 60_000, seed=day):
            path.rename(path.with_name(path.name.replace("2024-08-08", f"2024-08-{day + 10}")))
    words = [sys.executable, "-m", "reactor", "convert", "tardis"]
    words += [f"{tmp_path}/in/*_{kind}_*.csv.gz" for kind in ("trades", "incremental_book_L2")]
    out = tmp_path / "out"
    process = subprocess.Popen([*words, "-o", f"{out}/"], stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + PATIENCE_S
    while not list(out.glob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    early = {path: path.read_bytes() for path in out.glob("*.npz")}
    assert early
    assert all(len(load_npz(path)) > 50_000 for path in early), "what stands under its name is whole"
    done = subprocess.run([*words, "-o", f"{out}/"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(out.glob("*.npz"))) == 4
    assert {path: path.read_bytes() for path in early} == early
    assert not list(out.glob("*.part"))


def test_one_bad_file_among_many_fails_alone(tmp_path: Path, captures: Path) -> None:
    (captures / f"btcusdt_{DAYS[1]}.gz").write_bytes(gzip.compress(b"1723161600000000000 {]\n"))
    done = run("convert", "collector", captures / "*.gz", "-o", f"{tmp_path}/events/")
    assert done.returncode == 1
    assert f"btcusdt_{DAYS[1]}.gz:1: the line is not one JSON object" in done.stdout
    assert len(list((tmp_path / "events").iterdir())) == 3


def test_captures_that_are_there_become_events_and_one_verdict(tmp_path: Path, captures: Path) -> None:
    done = run("collect", tmp_path / "out", "--captures", captures / "*.gz")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SOUND: 2,000 events in 4 files" in done.stdout
    assert len(list((tmp_path / "out" / "events").iterdir())) == 4
    (captures / "btcusdt_20240810.gz").write_bytes(gzip.compress(b"not a line\n"))
    bad = run("collect", tmp_path / "bad", "--captures", captures / "*.gz")
    assert bad.returncode == 1
    assert "NOT SOUND" in bad.stdout
    assert "btcusdt_20240810.gz:1" in bad.stdout


def test_a_simulated_exchange_becomes_events_and_one_verdict(tmp_path: Path) -> None:
    done = run("collect", tmp_path / "out", "binance_spot", "BTCUSDT", "COIN1USDT", "--seconds", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SOUND" in done.stdout
    assert len(list((tmp_path / "out" / "events").iterdir())) == 2
    assert len(list((tmp_path / "out" / "captures").glob("*.gz"))) == 2
