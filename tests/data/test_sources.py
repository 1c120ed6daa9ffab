"""Recording from the market-data topic: no connection of its own, the same lines, and either side may die."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reactor.domain.messages import Venue
from reactor.feed.publish import TOPIC_NAME
from reactor.market.intake import FrameKind
from reactor.market.topic_frame import FrameCutter
from shm.segment import Memory
from shm.topic import BODY_MAX, TopicPublisher

pytestmark = pytest.mark.processes
PATIENCE_S = 30.0


class Feed:
    """What a feed does with its topic: numbered trades of one symbol, and long frames now and then."""

    def __init__(self, instance: str, first: int = 1, source: int = 0) -> None:
        self.memory = Memory(instance, f"feed-{source}")
        self.topic = TopicPublisher(self.memory, TOPIC_NAME, source)
        self.cutter = FrameCutter(Venue.BINANCE_SPOT, BODY_MAX)
        self.number = first
        self.sent: list[tuple[int, str]] = []
        self.wanted: set[str] = set()

    def say(self, count: int = 1) -> None:
        for _ in range(count):
            filler = "x" * 3000 if self.number % 10 == 0 else ""
            data = {
                "e": "trade",
                "E": time.time_ns() // 1_000_000,
                "s": "BTCUSDT",
                "t": self.number,
                "p": "1",
                "q": "1",
                "f": filler,
            }
            text = json.dumps({"stream": "btcusdt@trade", "data": data})
            self.number += 1
            now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
            for body in self.cutter.cut(text.encode(), FrameKind.TRADE, 0, 0, now_ns, wall_ns):
                self.topic.publish(FrameKind.TRADE, b"binance_spot:BTCUSDT", body)
            self.sent.append((wall_ns, text))

    def turn(self) -> None:
        self.topic.refresh(time.monotonic_ns())
        self.wanted.update(key for key, is_wanted in self.topic.take_wanted() if is_wanted)

    def close(self) -> None:
        self.topic.close()
        self.memory.close()


@pytest.fixture
def instance() -> str:
    return f"rec{os.getpid()}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*instances: str) -> "subprocess.Popen[bytes]":
        names = [word for name in instances for word in ("--ipc", name)]
        command = [sys.executable, "-m", "reactor", "record", str(tmp_path / "out"), "binance_spot", "BTCUSDT"]
        command += ["--streams", "trade", "--flush", "0.1", "--base-url", "http://127.0.0.1:9", *names]
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def lines_of(tmp_path: Path) -> list[str]:
    return [
        line
        for path in sorted((tmp_path / "out").glob("*.gz"))
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
    ]


def gaps_of(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (tmp_path / "out" / "gaps.jsonl").read_text().splitlines()]


def until(condition: Callable[[], object], what: str, *feeds: Feed) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for feed in feeds:
            feed.turn()
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


def heard(feed: Feed) -> bool:
    return feed.topic.is_heard and "binance_spot:BTCUSDT" in feed.wanted


def end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0, process.communicate()[1].decode()


def test_it_asks_for_its_symbols_and_writes_the_lines_of_direct_mode(tmp_path: Path, instance: str, start: Callable) -> None:
    feed = Feed(instance)
    recorder = start(instance)
    until(lambda: heard(feed), "the recorder asked for its symbol", feed)
    for _ in range(50):
        feed.say(5)
        feed.turn()
        time.sleep(0.002)
    until(lambda: len(lines_of(tmp_path)) >= 250, "all is on the disk", feed)
    end(recorder)
    assert lines_of(tmp_path) == [f"{wall_ns} {text}" for wall_ns, text in feed.sent]
    assert gaps_of(tmp_path) == []
    feed.close()


def test_a_restarted_system_is_a_gap_and_nothing_more(tmp_path: Path, instance: str, start: Callable) -> None:
    feed = Feed(instance)
    recorder = start(instance)
    until(lambda: heard(feed), "the recorder asked for its symbol", feed)
    feed.say(20)
    until(lambda: len(lines_of(tmp_path)) >= 20, "the first life is on the disk", feed)
    feed.close()
    again = Feed(instance, first=100)
    until(lambda: heard(again), "the new feed hears the old wish", again)
    again.say(10)
    until(lambda: len(lines_of(tmp_path)) >= 30, "the second life is on the disk", again)
    end(recorder)
    assert lines_of(tmp_path) == [f"{wall_ns} {text}" for wall_ns, text in feed.sent + again.sent]
    assert [(gap["stream"], gap["reason"]) for gap in gaps_of(tmp_path)] == [("*", f"the feed of {instance} was restarted")]
    again.close()


def test_a_killed_recorder_comes_back_and_reports_what_it_missed(tmp_path: Path, instance: str, start: Callable) -> None:
    feed = Feed(instance)
    first = start(instance)
    until(lambda: heard(feed), "the recorder asked for its symbol", feed)
    feed.say(20)
    until(lambda: len(lines_of(tmp_path)) >= 20, "it is on the disk", feed)
    first.kill()
    first.wait()
    feed.say(5)
    feed.wanted.clear()
    second = start(instance)
    until(lambda: heard(feed), "the second recorder asked for its symbol", feed)
    feed.say(10)
    until(lambda: len(lines_of(tmp_path)) >= 30, "it goes on", feed)
    end(second)
    written = {line.partition(" ")[2] for line in lines_of(tmp_path)}
    missed = [number for number, (_, text) in enumerate(feed.sent) if text not in written]
    assert missed == list(range(20, 25))
    (gap,) = (gap for gap in gaps_of(tmp_path) if gap["reason"] == "the recorder was not running")
    assert all(gap["from_ns"] <= feed.sent[number][0] <= gap["to_ns"] for number in missed)
    feed.close()


def test_two_systems_with_the_same_market_write_each_message_once(tmp_path: Path, instance: str, start: Callable) -> None:
    feeds = [Feed(instance), Feed(f"{instance}b")]
    recorder = start(instance, f"{instance}b")
    until(lambda: all(heard(feed) for feed in feeds), "it asked both", *feeds)
    for _ in range(20):
        for feed in feeds:
            feed.say()
            feed.turn()
        time.sleep(0.002)
    until(lambda: len(lines_of(tmp_path)) >= 20, "it is on the disk", *feeds)
    end(recorder)
    numbers = [json.loads(line.partition(" ")[2])["data"]["t"] for line in lines_of(tmp_path)]
    assert sorted(numbers) == list(range(1, 21))
    for feed in feeds:
        feed.close()


def test_a_recorder_that_is_too_slow_says_what_it_lost(tmp_path: Path, instance: str, start: Callable) -> None:
    feed = Feed(instance)
    recorder = start(instance)
    until(lambda: heard(feed), "the recorder asked for its symbol", feed)
    feed.say(1)
    until(lambda: lines_of(tmp_path), "the first is on the disk", feed)
    recorder.send_signal(signal.SIGSTOP)
    feed.say(2000)
    recorder.send_signal(signal.SIGCONT)
    feed.turn()
    feed.say(1)
    until(lambda: len(lines_of(tmp_path)) > 1, "the newest are on the disk", feed)
    end(recorder)
    numbers = [json.loads(line.partition(" ")[2])["data"]["t"] for line in lines_of(tmp_path)]
    assert len(numbers) < 2002
    assert len(set(numbers)) == len(numbers)
    assert any("were lost" in str(gap["reason"]) and gap["count"] for gap in gaps_of(tmp_path))
    feed.close()
