"""The shell: two ports, ready and stop, pings and the end of a connection's life, and what an operator did wrong."""

import asyncio
import hashlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from reactor.domain.errors import ConfigError
from reactor.loop.log import ListLog
from reactor.sim.faces.face import FaceParameters
from reactor.sim.faults import FaultParameters
from reactor.sim.generator import GeneratorParameters
from reactor.sim.parameters import SimParameters
from reactor.sim.server import SimServer, bind_pair, keys_of_file

ROOT = Path(__file__).resolve().parents[2]
QUIET = GeneratorParameters(symbols=("BTCUSDT",), density=0.2)
WAIT_S = 10.0
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def with_server(story: Callable[[SimServer, aiohttp.ClientSession], Awaitable[None]], **parameters: Any) -> ListLog:
    """Runs one story against a server on free ports; returns what it logged."""
    log = ListLog()

    async def run() -> None:
        server = SimServer(SimParameters(port=0, generator=QUIET, **parameters), log)
        await server.start()
        try:
            async with asyncio.timeout(WAIT_S), aiohttp.ClientSession() as client:
                await story(server, client)
        finally:
            await server.stop()

    asyncio.run(run())
    return log


def test_both_venues_answer_on_neighbouring_ports() -> None:
    async def story(server: SimServer, client: aiohttp.ClientSession) -> None:
        assert server.usdm_port == server.spot_port + 1
        async with client.get(f"http://127.0.0.1:{server.spot_port}/api/v3/exchangeInfo") as answer:
            assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
            assert (await answer.json())["symbols"][0]["symbol"] == "BTCUSDT"
        async with client.get(f"http://127.0.0.1:{server.usdm_port}/fapi/v1/time") as answer:
            assert "serverTime" in await answer.json()
        async with client.get(f"http://127.0.0.1:{server.spot_port}/fapi/v1/time") as answer:
            assert answer.status == 404

    with_server(story)


def test_the_market_flows_and_the_server_pings() -> None:
    async def story(server: SimServer, client: aiohttp.ClientSession) -> None:
        url = f"ws://127.0.0.1:{server.spot_port}/stream?streams=btcusdt@bookTicker"
        async with client.ws_connect(url, autoping=False) as ws:
            kinds = set()
            while kinds != {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.PING}:
                message = await ws.receive()
                kinds.add(message.type)
                if message.type is aiohttp.WSMsgType.PING:
                    assert message.data.isdigit(), "the payload is the time"
                    await ws.pong(message.data)
            await ws.ping(b"mine")
            while (message := await ws.receive()).type is not aiohttp.WSMsgType.PONG:
                pass
            assert message.data == b"mine"

    with_server(story, ping_s=0.05)


def test_a_connection_ends_with_its_life() -> None:
    async def story(server: SimServer, client: aiohttp.ClientSession) -> None:
        async with client.ws_connect(f"ws://127.0.0.1:{server.usdm_port}/public/ws") as ws:
            message = await ws.receive()
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.data == 1008

    with_server(story, connection_life_s=0.1)


def test_a_wrong_path_is_refused_at_the_handshake() -> None:
    async def story(server: SimServer, client: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await client.ws_connect(f"ws://127.0.0.1:{server.spot_port}/nowhere")
        assert refusal.value.status == 404

    with_server(story)


def test_what_is_no_http_is_refused_in_one_sentence() -> None:
    async def story(server: SimServer, client: aiohttp.ClientSession) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.spot_port)
        writer.write(b"GET /api/v3/time?x=\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"400" in await reader.readline()
        writer.close()

    assert [text for _, text, _ in with_server(story).records] == ["a request that is no HTTP was refused"]


def test_garbage_gets_an_answer_and_leaves_no_trace_in_the_log() -> None:
    async def story(server: SimServer, client: aiohttp.ClientSession) -> None:
        async with client.post(f"http://127.0.0.1:{server.spot_port}/api/v3/order", data=b"\xff\xfe=1") as answer:
            assert (answer.status, orjson.loads(await answer.read())["code"]) == (400, -1100)
        async with client.ws_connect(f"ws://127.0.0.1:{server.spot_port}/ws-api/v3") as ws:
            await ws.send_bytes(b"\x00\xff")
            assert orjson.loads((await ws.receive()).data)["error"]["code"] == -1135
        reader, writer = await asyncio.open_connection("127.0.0.1", server.spot_port)
        writer.write(b"\x16\x03\x01 is TLS\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.")
        writer.close()
        assert server.counters.faults_of_ours == 0

    assert with_server(story).records == []


def test_a_fault_of_the_exchange_itself_is_reported_and_answered() -> None:
    async def story(server: SimServer, client: aiohttp.ClientSession) -> None:
        def fail(*_: Any) -> None:
            raise RuntimeError("a bug")

        server.spot.on_request = fail  # type: ignore[method-assign,assignment]
        async with client.get(f"http://127.0.0.1:{server.spot_port}/api/v3/ping") as answer:
            assert (answer.status, orjson.loads(await answer.read())["code"]) == (500, -1000)
        assert server.counters.faults_of_ours == 1

    ((_, text, fields),) = with_server(story).records
    assert "please report it" in text
    assert fields["error"] == "RuntimeError('a bug')"


def test_a_lost_answer_leaves_the_order_executed() -> None:
    async def story(server: SimServer, client: aiohttp.ClientSession) -> None:
        def signed(query: str) -> str:
            query = f"{query}&timestamp={time.time_ns() // 1_000_000}".lstrip("&")
            return f"{query}&signature={hmac.new(b'test-secret', query.encode(), hashlib.sha256).hexdigest()}"

        base, headers = f"http://127.0.0.1:{server.spot_port}/api/v3", {"X-MBX-APIKEY": "test-key"}
        query = "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.001&price=50000"
        outcomes = set()
        for _ in range(12):
            try:
                async with client.post(f"{base}/order?{signed(query)}", headers=headers) as answer:
                    outcomes.add((answer.status, orjson.loads(await answer.read())["code"]))
            except aiohttp.ClientError:
                outcomes.add((0, 0))
        assert outcomes <= {(408, -1007), (503, -1000), (0, 0)}
        assert len(outcomes) > 1
        async with client.get(f"{base}/openOrders?{signed('')}", headers=headers) as answer:
            assert len(await answer.json()) == 12

    with_server(story, faults=FaultParameters(answer_lost_rate=1.0))


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    first, second = bind_pair("127.0.0.1", 0)
    port = first.getsockname()[1]
    with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use.*--port"):
        bind_pair("127.0.0.1", port)
    first.close()
    with pytest.raises(ConfigError, match=f"port {port + 1} on 127.0.0.1 is in use"):
        bind_pair("127.0.0.1", port)
    second.close()


def test_a_host_that_is_not_ours_is_named() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:0"):
        bind_pair("192.0.2.1", 0)


def test_every_wrong_row_of_a_keys_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("- {api_key: good, hmac_secret: s, account: test}\n- {api_key: bad}\n- nonsense\n")
    with pytest.raises(ConfigError) as refusal:
        keys_of_file(path)
    assert ["row 2" in refusal.value.problems[0], "row 3" in refusal.value.problems[1]] == [True, True]
    path.write_text("- {api_key: good, hmac_secret: s, account: nobody}\n")
    with pytest.raises(ConfigError, match="no account 'nobody'; there are test, second"):
        SimServer(SimParameters(port=0, keys_file=path, generator=QUIET), ListLog())
    with pytest.raises(ConfigError, match="keys file"):
        keys_of_file(tmp_path / "absent.yaml")


def test_an_unknown_limit_cannot_be_lifted() -> None:
    parameters = SimParameters(port=0, generator=QUIET, face=FaceParameters(lifted_limits=frozenset({"ALL"})))
    with pytest.raises(ConfigError, match="unknown limits to lift: ALL"):
        SimServer(parameters, ListLog())


@pytest.mark.processes
def test_a_process_says_when_it_is_ready_and_leaves_on_sigterm() -> None:
    reader, writer = os.pipe()
    program = (
        "import sys; from reactor.sim.parameters import SimParameters; from reactor.sim.server import run_server; "
        "run_server(SimParameters(port=0), ready_fd=int(sys.argv[1]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(writer)], pass_fds=(writer,), cwd=ROOT, stderr=subprocess.PIPE
    )
    os.close(writer)
    with os.fdopen(reader) as ready:
        spot_port, usdm_port = map(int, ready.readline().split())
    assert usdm_port == spot_port + 1
    with socket.create_connection(("127.0.0.1", spot_port)) as deaf:
        deaf.sendall(HANDSHAKE)  # It will not answer the closing handshake.
        assert deaf.recv(12) == b"HTTP/1.1 101"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, errors) == (0, b"")
