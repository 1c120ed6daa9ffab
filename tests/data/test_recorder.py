"""The recorder as real processes against the simulated exchange: cut, killed and restarted, it loses nothing in silence.

A witness listens to the same streams beside it. Whatever the witness heard must be in the files exactly once, or lie in a gap
that was reported.
"""

import asyncio
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web
import pytest

from reactor.data import batch
from reactor.data.collect import judge, simulated_exchange
from reactor.data.recorder import Recorder, RecorderParameters
from reactor.data.venues import recorded_venue
from reactor.loop.log import ListLog

pytestmark = pytest.mark.processes
PATIENCE_S = 90.0  # Of a machine that has other work.
SLACK_NS = 200_000_000  # Witness and recorder hear the same frame at different moments: at least this is allowed for.
SYMBOLS = ("BTCUSDT", "ETHUSDT")
STREAMS = {"binance_spot": ("trade", "bookTicker", "depth@100ms"), "binance_usdm": ("trade", "bookTicker", "depth@0ms")}


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


class Witness:
    """Another client of the exchange, in a thread of its own: (wall ns, text) of everything it hears."""

    def __init__(self, port: int, venue: str, symbols: tuple[str, ...] = SYMBOLS) -> None:
        names = "/".join(f"{symbol.lower()}@{stream}" for symbol in symbols for stream in STREAMS[venue])
        self._url = f"ws://127.0.0.1:{port}{'' if venue == 'binance_spot' else '/public'}/stream?streams={names}"
        self.heard: list[tuple[int, str]] = []
        self._is_stopping = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True)
        self._thread.start()

    async def _listen(self) -> None:
        async with aiohttp.ClientSession() as client:
            while not self._is_stopping:
                with suppress(aiohttp.ClientError):
                    async with client.ws_connect(self._url) as ws:
                        await self._hear(ws)

    async def _hear(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        while not self._is_stopping:
            try:
                message = await ws.receive(timeout=0.1)
            except TimeoutError:
                continue
            if message.type is not aiohttp.WSMsgType.TEXT:
                return
            self.heard.append((time.time_ns(), message.data))

    def stop(self) -> None:
        self._is_stopping = True
        self._thread.join(PATIENCE_S)


@dataclass
class Stage:
    """One exchange, one folder."""

    directory: Path
    port: int
    venue: str = "binance_usdm"
    symbols: tuple[str, ...] = SYMBOLS
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, *options: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "reactor", "record", str(self.directory), self.venue, *self.symbols, "--flush", "0.3"]
        command += ["--base-url", f"http://127.0.0.1:{self.port}", *options]
        before = self.size()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.processes.append(process)
        wait_for(lambda: self.size() > before or process.poll() is not None, "something was recorded")
        return process

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.directory.glob("*.gz")) if self.directory.exists() else 0

    def texts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for path in self.directory.glob("*.gz"):
            found.update(line.partition(" ")[2] for line in gzip.decompress(path.read_bytes()).decode().splitlines())
        return found

    def apart_ns(self, witness: Witness, ahead_ns: int) -> int:
        """How far apart witness and recorder heard what both heard, at most."""
        stamps: dict[str, int] = {}
        for path in self.directory.glob("*.gz"):
            for line in gzip.decompress(path.read_bytes()).decode().splitlines():
                stamp, _, text = line.partition(" ")
                stamps[text] = int(stamp) - ahead_ns
        return max((abs(ns - stamps[text]) for ns, text in witness.heard if text in stamps), default=0) + SLACK_NS

    def gaps(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.directory / "gaps.jsonl").read_text().splitlines()]

    def trades_ns(self) -> dict[str, list[int]]:
        """By symbol: when each trade in the files was received."""
        found: dict[str, list[int]] = {}
        for path in self.directory.glob("*.gz"):
            lines = gzip.decompress(path.read_bytes()).decode().splitlines()
            stamps = found.setdefault(path.name.partition("_")[0].upper(), [])
            stamps.extend(int(line.partition(" ")[0]) for line in lines if "@trade" in line[:80])
        return found

    def assert_nothing_is_lost_in_silence(
        self, witness: Witness, from_ns: int, to_ns: int, but: str = "-", ahead_ns: int = 0, *, can_vanish: bool = False
    ) -> None:
        """All that the witness heard in the time is in the files once, or in a gap of its symbol (`but` this stream).

        `ahead_ns`: the recorder's clock minus ours. `can_vanish`: the exchange leaves messages out. Of trades that shows by the
        ids of those around it, so not if it was the first of a recorder's life, or the last.
        """
        texts, gaps = self.texts(), self.gaps()
        assert not [text for text, count in texts.items() if count > 1], "nothing is written twice"
        slack_ns = self.apart_ns(witness, ahead_ns)
        heard = [(ns, text) for ns, text in witness.heard if from_ns + slack_ns < ns < to_ns - slack_ns]
        assert len(heard) > 100
        lost = []
        trades_ns = self.trades_ns()
        for ns, text in heard:
            if text in texts or f"@{but}" in text[:60]:
                continue
            symbol = json.loads(text)["stream"].partition("@")[0].upper()
            spans = [gap for gap in gaps if gap["symbol"] == symbol and gap["stream"] != "snapshot"]
            if any(gap["from_ns"] - slack_ns <= ns <= gap["to_ns"] + slack_ns for gap in spans):
                continue
            if can_vanish and "@trade" in text[:60] and not is_told(ns, trades_ns.get(symbol, []), spans):
                continue
            lost.append((ns, text))
        assert not lost, f"{len(lost)} of {len(heard)} lost in silence: {lost[:3]}, gaps {gaps}"
        verdict = judge([str(path) for path in sorted(self.directory.glob("*.gz"))], self.directory, None, {})
        assert not [problem for problem in verdict.problems if "crossed" not in problem], verdict.problems

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture(params=["binance_spot", "binance_usdm"])
def venue(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def staged(tmp_path: Path, venue: str, symbols: tuple[str, ...] = SYMBOLS, **settings: object) -> Iterator[Stage]:
    with simulated_exchange({"port": 0, "generator": {"symbols": list(symbols)}, **settings}) as port:
        stage = Stage(tmp_path / "captures", port + (venue == "binance_usdm"), venue, symbols)
        try:
            yield stage
        finally:
            stage.close()


@pytest.fixture
def steady(tmp_path: Path, venue: str) -> Iterator[Stage]:
    with staged(tmp_path, venue) as stage:
        yield stage


@pytest.fixture
def cutting(tmp_path: Path, venue: str) -> Iterator[Stage]:
    """Every connection is cut after 1.5 s."""
    with staged(tmp_path, venue, connection_life_s=1.5) as stage:
        yield stage


def test_killed_and_restarted_on_the_same_day_it_appends_and_reports_the_time_between(steady: Stage) -> None:
    witness = Witness(steady.port, steady.venue)
    first = steady.start()
    from_ns = time.time_ns()
    time.sleep(1.5)
    first.kill()
    first.wait()
    files = sorted(steady.directory.glob("*.gz"))
    with files[0].open("ab") as torn:  # As a kill in the middle of a write leaves it.
        torn.write(gzip.compress(b"1 {}\n" * 50)[:-9])
    kept = {path: path.read_bytes()[:-1000] for path in files[1:]}
    second = steady.start()
    time.sleep(1.0)
    to_ns = time.time_ns()
    second.send_signal(signal.SIGTERM)
    assert second.wait(PATIENCE_S) == 0, second.communicate()[1].decode()
    witness.stop()
    for path, before in kept.items():
        assert path.read_bytes().startswith(before), "what stood there stands there"
    texts = steady.texts()
    assert texts.pop("{}", 0) <= 50
    assert {gap["symbol"] for gap in steady.gaps() if gap["reason"] == "the recorder was not running"} == set(SYMBOLS)
    files[0].write_bytes(gzip.compress(b"".join(without_torn(files[0]))))
    steady.assert_nothing_is_lost_in_silence(witness, from_ns, to_ns)


def without_torn(path: Path) -> list[bytes]:
    return [line for line in gzip.decompress(path.read_bytes()).splitlines(keepends=True) if not line.startswith(b"1 {}")]


def test_cut_sessions_come_back_and_the_gap_is_reported(cutting: Stage) -> None:
    witness = Witness(cutting.port, cutting.venue)
    recorder = cutting.start()
    from_ns = time.time_ns()
    time.sleep(4.0)
    to_ns = time.time_ns()
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(PATIENCE_S) == 0, recorder.communicate()[1].decode()
    witness.stop()
    assert any(gap["stream"] == "*" for gap in cutting.gaps())
    cutting.assert_nothing_is_lost_in_silence(witness, from_ns, to_ns)


def test_redundant_sessions_write_everything_once(steady: Stage) -> None:
    witness = Witness(steady.port, steady.venue)
    recorder = steady.start("--redundancy", "2")
    from_ns = time.time_ns()
    time.sleep(2.0)
    to_ns = time.time_ns()
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait(PATIENCE_S) == 0
    witness.stop()
    assert [gap["reason"] for gap in steady.gaps() if gap["stream"] != "snapshot"] == []
    steady.assert_nothing_is_lost_in_silence(witness, from_ns, to_ns)


def test_dropped_and_doubled_and_overtaken_messages_are_gaps_or_written_once(tmp_path: Path, venue: str) -> None:
    faults = {"drop_rate": 0.05, "duplicate_rate": 0.05, "reorder_rate": 0.01}
    with staged(tmp_path, venue, faults=faults) as stage:
        recorder = stage.start()
        time.sleep(2.5)
        recorder.send_signal(signal.SIGTERM)
        assert recorder.wait(PATIENCE_S) == 0
        texts = stage.texts()
        assert sum(texts.values()) > 200
        assert max(texts.values()) == 1
        assert {gap["stream"] for gap in stage.gaps()} & {"depth", "trade"}


def test_a_full_disk_is_an_alarm_a_clean_stop_and_a_failure(steady: Stage) -> None:
    command = [sys.executable, "-m", "reactor", "record", str(steady.directory), steady.venue, *SYMBOLS, "--flush", "0.1"]
    script = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); " + (
        f"import os, sys; os.execv(sys.executable, {[*command, '--base-url', f'http://127.0.0.1:{steady.port}']!r})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1, done
    assert "ALARM" in done.stdout
    assert "cannot be written" in done.stdout
    assert len(steady.texts()) > 50, "what is there is whole"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "reactor", "record", str(tmp_path / "file" / "out"), "binance_spot", "BTCUSDT"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_exchange_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reactor", "record", str(tmp_path / "out"), "binance_spot", "BTCUSDT"]
    done = subprocess.run(
        [*command, "--base-url", "http://127.0.0.1:9", "--duration", "0.5"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "nothing was recorded" in done.stdout


def test_sixty_symbols_in_one_process_each_message_once(tmp_path: Path) -> None:
    """Against a small venue of numbered trades and updates, whose every word is known."""
    symbols = tuple(f"COIN{number}USDT" for number in range(60))
    rounds = 40
    sent: Counter[str] = Counter()

    async def depth(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.json_response(
            {"lastUpdateId": 0, "bids": [["1.0", "1"]], "asks": [["2.0", "1"]]} | {"lastUpdateId": 1}
        )

    async def stream(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        ws = aiohttp.web.WebSocketResponse()
        await ws.prepare(request)
        message = await ws.receive()
        while message.type is aiohttp.WSMsgType.TEXT:
            asked = json.loads(message.data)
            await ws.send_str(json.dumps({"result": None, "id": asked["id"]}))
            if asked["id"] == 2:
                break
            message = await ws.receive()
        for turn in range(1, rounds + 1):
            for symbol in symbols:
                name = symbol.lower()
                now_ms = time.time_ns() // 1_000_000
                trade = {"e": "trade", "E": now_ms, "T": now_ms, "s": symbol, "t": turn, "p": "1.5", "q": "1", "m": False}
                delta = {"e": "depthUpdate", "E": now_ms, "s": symbol, "U": turn, "u": turn, "b": [["1.0", str(turn)]], "a": []}
                for kind, data in (("trade", trade), ("depth@100ms", delta)):
                    text = json.dumps({"stream": f"{name}@{kind}", "data": data})
                    sent[text] += 1
                    await ws.send_str(text)
            await asyncio.sleep(0.01)
        await ws.receive()
        return ws

    async def story() -> None:
        application = aiohttp.web.Application()
        application.router.add_get("/api/v3/depth", depth)
        application.router.add_get("/stream", stream)
        runner = aiohttp.web.AppRunner(application)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        parameters = RecorderParameters(
            tmp_path, recorded_venue("binance_spot"), symbols, ("trade", "bookTicker", "depth@100ms"),
            base_url=f"http://127.0.0.1:{port}",
        )  # fmt: skip
        recorder = Recorder(parameters, ListLog(), lambda _: None)
        task = asyncio.create_task(recorder.run())
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and (
            sum(sent.values()) < rounds * 120
            or sum(each.statistics.lines for each in recorder._recordings.values()) < rounds * 120
        ):
            await asyncio.sleep(0.05)
        recorder.stop()
        report = await task
        await runner.cleanup()
        assert [gap for gap in report.gaps if gap.stream != "snapshot"] == []
        assert len(report.files) == 60

    asyncio.run(story())
    found: Counter[str] = Counter()
    for path in tmp_path.glob("*.gz"):
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        assert "lastUpdateId" in lines[0], "a file begins with a snapshot"
        found.update(line.partition(" ")[2] for line in lines if "lastUpdateId" not in line)
    assert found == sent


NEAR_MIDNIGHT = """
import sys
from pathlib import Path

import uvloop

from reactor.data.recorder import Recorder, RecorderParameters
from reactor.data.venues import recorded_venue
from reactor.loop.clock import SystemClock
from reactor.loop.log import NullLog


class Shifted(SystemClock):
    def realtime_ns(self):
        return super().realtime_ns() + shift_ns


async def run():
    parameters = RecorderParameters(
        Path(sys.argv[1]), recorded_venue(sys.argv[2]), tuple(sys.argv[4:]), base_url=sys.argv[3], flush_s=0.3
    )
    await Recorder(parameters, NullLog(), lambda _: None, Shifted()).run()


print("ready", flush=True)
shift_ns = int(sys.stdin.readline())
uvloop.run(run())
"""


def test_a_process_that_records_across_midnight_begins_each_day_with_a_snapshot_and_loses_nothing(
    tmp_path: Path, venue: str
) -> None:
    """The recorder believes that midnight is a few seconds away."""
    day_ns, left_ns = 86_400_000_000_000, 6_000_000_000
    with staged(tmp_path, venue) as stage:
        witness = Witness(stage.port, venue)
        command = [sys.executable, "-c", NEAR_MIDNIGHT, str(stage.directory), venue, f"http://127.0.0.1:{stage.port}"]
        process = subprocess.Popen([*command, *SYMBOLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        stage.processes.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        shift_ns = -time.time_ns() % day_ns - left_ns
        process.stdin.write(b"%d\n" % shift_ns)
        process.stdin.flush()
        wait_for(lambda: stage.size() > 20_000, "something was recorded")
        from_ns = time.time_ns()
        assert len(list(stage.directory.glob("*.gz"))) == len(SYMBOLS), "it is still yesterday"
        wait_for(lambda: len(list(stage.directory.glob("*.gz"))) == 2 * len(SYMBOLS), "the files of the next day")
        time.sleep(1.5)
        to_ns = time.time_ns()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, process.communicate()[1].decode()
        witness.stop()
        assert [gap["reason"] for gap in stage.gaps()] == []
        stage.assert_nothing_is_lost_in_silence(witness, from_ns, to_ns, ahead_ns=shift_ns)
        for symbol in SYMBOLS:
            yesterday, today = sorted(stage.directory.glob(f"{symbol.lower()}_*.gz"))
            for path in (yesterday, today):
                lines = gzip.decompress(path.read_bytes()).splitlines()
                assert b"lastUpdateId" in lines[0], "a day stands alone"
                days = {int(line.partition(b" ")[0]) // day_ns for line in lines}
                assert len(days) == 1
                result = batch.run_job(batch.Job("collector", (str(path),), f"{path}.npz"), is_validated=True)
                assert result.report is not None, result.error
                assert result.report.is_sound, result.report.problems
                assert not result.report.crossed_messages


def is_told(ns: int, trades_ns: list[int], gaps: list[dict[str, Any]]) -> bool:
    """Whether one recorder has a trade before that moment, and one after it."""
    starts = [gap["to_ns"] for gap in gaps if gap["reason"] == "the recorder was not running" and gap["to_ns"] <= ns]
    return any(max(starts, default=0) <= each < ns for each in trades_ns) and any(each > ns for each in trades_ns)


def haul(tmp_path: Path, venue: str, seconds: float, speed: float) -> None:
    """Twenty symbols at many times the pace; every connection is cut after seconds, messages vanish, recorders are killed."""
    symbols = tuple(f"COIN{number}USDT" for number in range(1, 21))
    faults = {"drop_rate": 0.0005, "disconnect_rate": 0.00002}
    settings = {"speed": speed, "connection_life_s": 7.0, "generator": {"symbols": list(symbols), "density": 0.02}}
    dice = random.Random(7)
    kills = 0
    with staged(tmp_path, venue, symbols, faults=faults, **settings) as stage:
        witness = Witness(stage.port, venue, symbols)
        recorder = stage.start("--redundancy", "2")
        from_ns, end = time.time_ns(), time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(dice.uniform(2.0, 6.0), seconds / 2))
            recorder.kill()
            recorder.wait()
            kills += 1
            recorder = stage.start("--redundancy", str(dice.randint(1, 2)))
        time.sleep(1.0)
        to_ns = time.time_ns()
        recorder.send_signal(signal.SIGTERM)
        assert recorder.wait(PATIENCE_S) == 0, recorder.communicate()[1].decode()
        witness.stop()
    # A ticker that vanished leaves no trace: its ids have holes anyway. Of redundant sessions the other one brings it.
    stage.assert_nothing_is_lost_in_silence(witness, from_ns, to_ns, but="bookTicker", can_vanish=True)
    gaps = stage.gaps()
    assert sum(gap["reason"] == "the recorder was not running" for gap in gaps) >= kills * len(symbols)
    paths = sorted(stage.directory.glob("*.gz"))
    assert {path.name.partition("_")[0].upper() for path in paths} == set(symbols)
    for path in paths:
        result = batch.run_job(batch.Job("collector", (str(path),), str(tmp_path / f"{path.stem}.npz")), is_validated=True)
        assert result.report is not None, result.error
        assert result.report.is_sound or not [problem for problem in result.report.problems if "crossed" not in problem]
        has_gaps = any(str(gap["symbol"]).lower() == path.name.partition("_")[0] for gap in gaps)
        assert has_gaps or not result.report.crossed_messages, "no crossed book without a recorded gap"
    print(f"{len(witness.heard):,} messages heard, {sum(stage.texts().values()):,} lines, {len(gaps)} gaps, {kills} kills")


def test_twenty_symbols_at_ten_times_the_pace_with_cuts_gaps_and_kills(tmp_path: Path) -> None:
    haul(tmp_path, "binance_usdm", 6.0, 10.0)


@pytest.mark.long
def test_a_long_haul_of_twenty_symbols_at_fifty_times_the_pace(tmp_path: Path, venue: str) -> None:
    """CRYPTO_TRADE_LONG_S: for how long, 60 s by default."""
    haul(tmp_path, venue, float(os.environ.get("CRYPTO_TRADE_LONG_S", "60")), 50.0)
