"""The feed benchmark in small: it runs anywhere, on generated frames, and its work is checked."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench" / "feed"), str(ROOT / "bench")]

import feed  # noqa: E402
import frames  # noqa: E402


def test_every_load_leaves_the_same_books() -> None:
    some = frames.generated(1_500, seed=3)
    done = [feed.run_feed(some, count, ["BTCUSDT"]) for count in (1 << 30, 8, 1)]
    assert done[0]["tops"] == done[1]["tops"] == done[2]["tops"]
    assert {each["messages"] for each in done} == {1_500}


def test_more_symbols_are_more_books_of_the_same_market() -> None:
    some, symbols = feed.many(frames.generated(300), 3)
    assert feed.run_feed(some, 1 << 30, symbols)["messages"] == 900


def test_it_prints_its_machine_its_pin_and_a_checksum_as_json() -> None:
    command = [sys.executable, str(ROOT / "bench/feed/feed.py"), "--generated", "--frames", "800", "--rounds", "1", "--json"]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert result["machine"]
    assert len(result["pins"]) == 1
    assert result["checksum"]["messages"] == 798
    assert result["ns_per_message"]["orjson.loads alone"] > 0
    assert set(result["latency_ns"]["full reads"]) == {"p50", "p99", "p99_9", "max"}
