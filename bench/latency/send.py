"""The way of an order to the socket: clients for WebSockets in one run, plain and encrypted, one after another.

    request bytes ready ── client ──▶ loopback ──▶ venue (another process): stamps what it read, answers with the stamp
                        ◀── answer heard ──────────┘

    returned     bytes ready until the client's call is over
    on the wire  bytes ready until the venue has read them. A client that writes when the loop's turn comes pays for the rest of
                 the pass in between (`--pass-us` of it, busy), one that writes within the call does not
    round trip   bytes ready until the answer is heard

All on uvloop, TCP_NODELAY, no compression, TLS 1.3 with a certificate made for the run and verified. Ours is net/stream.py,
through the network that a shard has. Every figure is the median of interleaved rounds; the checksum is that each answer belongs
to its request.

    python bench/latency/send.py [--messages N] [--rounds N] [--pass-us N] [--json]
"""

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from machine import machine

from reactor.net.network import Connection, StreamSource
from reactor.net.session import UvloopNetwork

GAP_S = 0.001  # Between an answer and the next request: orders come alone, and find everything a little cold.
WARM = 50
BLOCK = 20  # Requests of one client before it is the next one's turn: the machine has moods that last for seconds.
BODY = b'{"id":"%012d","method":"order.place","params":{' + b"x" * 300 + b"}}"
VENUE = """
import asyncio, ssl, sys, time
import uvloop
from picows import WSListener, WSMsgType, ws_create_server
class Venue(WSListener):
    def on_ws_frame(self, transport, frame):
        now = time.monotonic_ns()
        if frame.msg_type == WSMsgType.TEXT:
            body = frame.get_payload_as_bytes()
            transport.send(WSMsgType.TEXT, b"%020d%b" % (now, body[7:19]) + b"x" * 170)
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    servers = [await ws_create_server(lambda request: Venue(), "127.0.0.1", 0, ssl=each) for each in (None, context)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))
uvloop.run(main())
"""

Answered = Callable[[bytes], None]


class Client(Protocol):
    """One way to send."""

    def __call__(self, payload: bytes) -> Awaitable[None] | None: ...


async def ours(url: str, context: ssl.SSLContext, answered: Answered) -> Client:
    """What engines and feeds use."""
    opened = asyncio.Event()
    found: list[Connection] = []

    class Listener:
        def on_open(self, connection: Connection, now_ns: int) -> None:
            found.append(connection)
            opened.set()

        def on_bytes(self, connection: StreamSource, buffer: bytearray, start: int, end: int, receive_ns: int) -> int:
            while end - start >= 4:
                size, head = buffer[start + 1], 2
                if size == 126:
                    size, head = buffer[start + 2] << 8 | buffer[start + 3], 4
                if end - start < head + size:
                    break
                answered(bytes(buffer[start + head : start + head + size]))
                start += head + size
            return start

        def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None: ...

        def on_pong(self, connection: Connection, payload: bytes, receive_ns: int) -> None: ...

        def on_close(self, connection: Connection, reason: str, now_ns: int) -> None:
            if not found:
                sys.exit(reason)

    network = UvloopNetwork(ssl_context=context)
    network.connect(url, Listener())
    await asyncio.wait_for(opened.wait(), 5)
    send = found[0].send

    def client(payload: bytes) -> None:
        send(payload)

    return client


async def with_picows(url: str, context: ssl.SSLContext, answered: Answered) -> Client:
    """A call per frame; its own transport for TLS."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

    text = WSMsgType.TEXT

    class Listener(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            answered(frame.get_payload_as_bytes())

    transport, _ = await ws_connect(Listener, url, ssl_context=context if url.startswith("wss") else None)
    send = transport.send

    def client(payload: bytes) -> None:
        send(text, payload)

    return client


async def with_websockets(url: str, context: ssl.SSLContext, answered: Answered) -> Client:
    """A coroutine per frame, both ways."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    socket = await connect(
        url, ssl=context if url.startswith("wss") else None, compression=None, ping_interval=None, user_agent_header=None
    )

    async def listen() -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                answered(message.encode() if isinstance(message, str) else message)

    tasks.add(asyncio.get_running_loop().create_task(listen()))
    send = socket.send

    async def client(payload: bytes) -> None:
        await send(payload, text=True)

    return client


tasks: set[asyncio.Task[None]] = set()
CLIENTS = {"ours": ours, "picows": with_picows, "websockets": with_websockets}


class Exchange:
    """One client with its venue: requests go out one at a time."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def answered(self, payload: bytes) -> None:
        """The client heard this."""
        now_ns = time.monotonic_ns()
        assert self._answer is not None, "an answer without a request"
        self._answer.set_result((now_ns, payload))

    async def run(self, messages: int, pass_ns: int) -> np.ndarray[Any, Any]:
        """Per request: ns until the call was over, until the venue had read it, until the answer was heard."""
        client, loop, clock = self.client, asyncio.get_running_loop(), time.monotonic_ns
        assert client is not None, "connect first"
        rows = np.zeros((messages, 3), dtype=np.int64)
        for number in range(messages):
            await asyncio.sleep(GAP_S)
            self._answer = answer = loop.create_future()
            payload = BODY % number
            begin_ns = clock()
            pending = client(payload)
            if pending is not None:
                await pending
            returned_ns = clock()
            while clock() < returned_ns + pass_ns:
                pass
            heard_ns, words = await answer
            assert words[20:32] == payload[7:19], "the answer belongs to another request"
            rows[number] = returned_ns - begin_ns, int(words[:20]) - begin_ns, heard_ns - begin_ns
        return rows


def certificate(folder: str) -> tuple[str, ssl.SSLContext]:
    """(file with key and certificate for 127.0.0.1, a context that trusts it)."""
    file = f"{folder}/venue.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", f"{file}.crt"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"no certificate: {getattr(error, 'stderr', '') or error}; install openssl")
    Path(file).write_text(Path(file).read_text() + Path(f"{file}.crt").read_text())
    return file, ssl.create_default_context(cafile=f"{file}.crt")


async def measure(options: argparse.Namespace, cores: list[int]) -> dict[str, dict[str, list[float]]]:
    """Case → figure → one value per round, in µs."""
    with tempfile.TemporaryDirectory() as folder:
        file, context = certificate(folder)
        venue = subprocess.Popen([sys.executable, "-c", VENUE, file], stdout=subprocess.PIPE, text=True)
        try:
            os.sched_setaffinity(venue.pid, {cores[-1]})
            os.sched_setaffinity(0, {cores[0]})
            assert venue.stdout is not None
            plain, encrypted = (int(word) for word in venue.stdout.readline().split())
            cases: dict[str, Exchange] = {}
            for words, url in (("plain", f"ws://127.0.0.1:{plain}/"), ("TLS", f"wss://127.0.0.1:{encrypted}/")):
                for name, connect in CLIENTS.items():
                    case = cases[f"{words}, {name}"] = Exchange()
                    case.client = await connect(url, context, case.answered)
                    await case.run(WARM, 0)
            found: dict[str, dict[str, list[float]]] = {}
            for _ in range(options.rounds):
                parts: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in cases}
                for _ in range(options.messages // BLOCK):
                    for name, case in cases.items():
                        parts[name].append(await case.run(BLOCK, options.pass_us * 1000))
                for name, blocks in parts.items():
                    figures = found.setdefault(name, {})
                    for column, what in enumerate(("returned", "on_the_wire", "round_trip")):
                        for share in (50, 99):
                            value = float(np.percentile(np.concatenate(blocks)[:, column], share)) / 1000
                            figures.setdefault(f"{what}_p{share}", []).append(value)
            return found
        finally:
            venue.terminate()
            venue.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Clients for WebSockets: from request bytes to the socket, and back.")
    parser.add_argument("--messages", type=int, default=400, help="per client and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pass-us", type=int, default=30, help="what else the pass does behind the send, busy")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.messages < BLOCK or options.rounds < 1 or options.pass_us < 0:
        parser.error(f"at least {BLOCK} messages, 1 round and no negative pass")
    cores = sorted(os.sched_getaffinity(0))
    host = machine()
    found = uvloop.run(measure(options, cores))
    figures = {name: {key: round(float(np.median(each)), 1) for key, each in case.items()} for name, case in found.items()}
    if options.json:
        print(json.dumps({"machine": host, "pins": [cores[0], cores[-1]], "us": figures}, indent=2))
        return
    print(f"{host}; client on core {cores[0]}, venue on core {cores[-1]}")
    print(f"medians of {options.rounds} rounds of {options.messages}; {options.pass_us} µs of other work behind each send")
    print(f"{'µs':20}{'returned':>16}{'on the wire':>18}{'round trip':>18}")
    print(f"{'':20}" + f"{'p50':>10}{'p99':>8}" * 3)
    for name, row in figures.items():
        cells = "".join(
            f"{row[f'{what}_p50']:10.1f}{row[f'{what}_p99']:8.1f}" for what in ("returned", "on_the_wire", "round_trip")
        )
        print(f"{name:20}{cells}")


if __name__ == "__main__":
    main()
