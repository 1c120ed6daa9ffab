"""What the recorder knows of venues; and a COIN-M session, played by a small server, recorded by the real command.

The simulated exchange has no COIN-M. The server speaks as the venue does: subscriptions answered, the market in envelopes on
/public/stream, the book on /dapi/v1/depth.
"""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import aiohttp
import aiohttp.web
import numpy as np
import pytest

from reactor.data.convert.collector import convert_collector
from reactor.data.validate import validate_events
from reactor.data.venues import VENUES, recorded_venue
from reactor.domain.errors import ConfigError
from reactor.exchanges.binance.rules import endpoints_of

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = Path(os.environ.get("CRYPTO_TRADE_DATA", ROOT.parent / "shared" / "data")) / "captures"
SYMBOL = "BTCUSD_PERP"
STREAMS = tuple(f"btcusd_perp@{name}" for name in ("trade", "bookTicker", "depth@0ms"))
PATIENCE_S = 90.0  # Of a machine that has other work.


def test_every_venue_is_known_by_its_name_and_by_that_of_hftbacktest() -> None:
    for name, venue in (("binance-coinm", "binance_coinm"), ("binancefuturescm", "binance_coinm"), ("binance", "binance_spot")):
        assert recorded_venue(name) is VENUES[venue]
    with pytest.raises(ConfigError, match="there are binance_spot, binance_usdm, binance_coinm"):
        recorded_venue("kraken")


def test_coinm_has_its_own_hosts_and_snapshot_path() -> None:
    venue = recorded_venue("binance_coinm")
    endpoints = endpoints_of(venue.venue, "live")
    call = venue.codec.snapshot_call(endpoints, SYMBOL, 1000)
    assert call.url == "https://dapi.binance.com/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000"
    assert "dstream.binance.com" in venue.codec.stream_url(endpoints, False)


class Player:
    """Sends frames to whoever has subscribed to all streams; gives `snapshot` when the frame before it has been sent."""

    def __init__(self, frames: list[str], snapshot: str, snapshot_after: int) -> None:
        self.asked: list[str] = []
        self.subscribed: list[str] = []
        self.port = 0
        self.sent = 0
        self._frames, self._snapshot, self._snapshot_after = frames, snapshot, snapshot_after
        self._loop = asyncio.new_event_loop()
        self._is_over: asyncio.Event
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)
        self._thread.start()
        assert self._is_ready.wait(PATIENCE_S)

    async def _serve(self) -> None:
        self._is_over = asyncio.Event()
        application = aiohttp.web.Application()
        application.router.add_get("/dapi/v1/depth", self._depth)
        application.router.add_get("/public/stream", self._stream)
        runner = aiohttp.web.AppRunner(application)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._is_ready.set()
        await self._is_over.wait()
        await runner.cleanup()

    async def _depth(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        self.asked.append(request.query_string)
        while self.sent < self._snapshot_after:
            await asyncio.sleep(0.005)
        return aiohttp.web.Response(text=self._snapshot, content_type="application/json")

    async def _stream(self, request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        ws = aiohttp.web.WebSocketResponse()
        await ws.prepare(request)
        while not set(STREAMS) <= set(self.subscribed):
            asked = json.loads((await ws.receive()).data)
            self.subscribed += asked["params"]
            await ws.send_str(json.dumps({"result": None, "id": asked["id"]}))
        for frame in self._frames:
            await ws.send_str(frame)
            self.sent += 1
            if self.sent % 20 == 0:
                await asyncio.sleep(0.004)
        await ws.receive()
        return ws

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(PATIENCE_S)


def session(count: int = 600) -> tuple[list[str], str, int]:
    """Frames as COIN-M words them (payloads of 2024-08-08), the REST book, and after which frame it was taken."""
    now_ms = time.time_ns() // 1_000_000
    frames, snapshot, taken = [], "", 40
    bids, asks = {61800.0 - step: step + 1 for step in range(50)}, {61800.1 + step: step + 1 for step in range(50)}
    update_id = 1_007_198_631_260
    for number in range(count):
        at_ms = now_ms + number
        head = {"e": "", "E": at_ms, "T": at_ms - 8, "s": SYMBOL}
        if number % 3 == 0:
            price, size, previous = 61800.0 - number % 40, number % 7, update_id
            bids[price] = size
            update_id += 10
            data = head | {"e": "depthUpdate", "ps": "BTCUSD", "U": previous + 3, "u": update_id, "pu": previous,
                           "b": [[f"{price:.1f}", str(size)]], "a": [[f"{61801.1 + number % 9:.1f}", "5"]]}  # fmt: skip
            frames.append(json.dumps({"stream": STREAMS[2], "data": data}))
        elif number % 3 == 1:
            data = head | {"e": "trade", "t": 849_714_402 + number // 3, "p": "61800.1", "q": "4", "X": "MARKET", "m": False}
            frames.append(json.dumps({"stream": STREAMS[0], "data": data}))
        else:
            data = {"u": update_id + 1} | head | {"e": "bookTicker", "ps": "BTCUSD", "b": "61800.0", "B": "35",
                                                  "a": "61800.1", "A": "1645"}  # fmt: skip
            frames.append(json.dumps({"stream": STREAMS[1], "data": data}))
        if number == taken - 1:
            levels = ([[f"{price:.1f}", str(size)] for price, size in side] for side in (
                sorted(((price, size) for price, size in bids.items() if size), reverse=True), sorted(asks.items()),
            ))  # fmt: skip
            body = {"lastUpdateId": update_id, "E": at_ms, "T": at_ms - 8, "symbol": SYMBOL, "pair": "BTCUSD"}
            snapshot = json.dumps(body | dict(zip(("bids", "asks"), levels, strict=True)))
    return frames, snapshot, taken


def captured(count: int = 8_000) -> tuple[list[str], str, int]:
    """The same from a real capture: its first lines."""
    path = CAPTURES / "cm" / "btcusd_perp_20240808.gz"
    if not path.exists():
        pytest.skip("no captures; CRYPTO_TRADE_DATA names their folder")
    lines = [line.partition(" ")[2] for line in gzip.decompress(path.read_bytes()).decode().splitlines()[:count]]
    place = next(number for number, line in enumerate(lines) if line.startswith('{"lastUpdateId"'))
    return [line for line in lines if not line.startswith('{"lastUpdateId"')], lines[place], place


def record(tmp_path: Path, played: tuple[list[str], str, int]) -> tuple[Path, Player]:
    """The real command, in a process of its own, until everything was sent."""
    player = Player(*played)
    command = [sys.executable, "-m", "reactor", "record", str(tmp_path), "binance-coinm", SYMBOL, "--flush", "0.2"]
    command += ["--base-url", f"http://127.0.0.1:{player.port}", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + PATIENCE_S
    while player.sent < len(played[0]) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    process.terminate()
    text, _ = process.communicate(timeout=PATIENCE_S)
    player.close()
    assert process.returncode == 0, text
    paths = list(tmp_path.glob("btcusd_perp_*.gz"))
    assert paths, text
    return paths[0], player


@pytest.mark.processes
@pytest.mark.parametrize("story", [session, captured], ids=["payloads", "capture"])
def test_a_coinm_session_is_recorded_whole_and_converts_as_hftbacktest_converts_it(tmp_path: Path, story: object) -> None:
    played = story()  # type: ignore[operator]
    path, player = record(tmp_path, played)
    assert player.asked == [f"symbol={SYMBOL}&limit=1000"]
    assert sorted(player.subscribed) == sorted(STREAMS)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert '"lastUpdateId"' in lines[0], "a file begins with a snapshot"
    assert json.loads(lines[0].partition(" ")[2]) == json.loads(played[1])
    assert Counter(line.partition(" ")[2] for line in lines[1:]) == Counter(played[0]), "every frame once, as received"
    assert (tmp_path / "gaps.jsonl").read_text() == ""
    events, statistics = convert_collector([path])
    assert (statistics.venue, statistics.symbol, statistics.snapshots, statistics.gaps) == ("binance", SYMBOL, 1, 0)
    assert validate_events(events).crossed_messages == 0
    theirs = pytest.importorskip("hftbacktest.data.utils.binancefutures", reason="the extra `backtest` is not installed")
    expected = theirs.convert(str(path))
    assert np.array_equal(events.view(np.uint8), np.ascontiguousarray(expected).view(np.uint8))
