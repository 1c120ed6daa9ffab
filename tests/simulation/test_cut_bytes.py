"""A connection that is cut at any byte: half a frame is no frame, half an answer is no answer. The real network, loopback.

    the venue ── bytes 0 … n ──✂   role: nothing was said, the connection is gone, once

What a role makes of that is enumerated in test_enumerated.py; here is shown that it is all that a role can see.
"""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from reactor.net.network import Connection, Failure, Request, Response
from reactor.net.session import UvloopNetwork

FILL = b'{"e":"ORDER_TRADE_UPDATE","T":1,"o":{"s":"BTCUSDT","c":"ct084vs00000001","x":"TRADE","t":7,"l":"0.002","z":"0.002"}}'
FRAME = bytes((0x81, 126)) + (len(FILL) + 20).to_bytes(2, "big") + FILL + b" " * 20
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n" + b'{"orderId":1234}'
WAIT_S = 10.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Ear:
    """Remembers what a connection said."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.closed: list[str] = []
        self.opened = 0
        self.is_over = asyncio.Event()

    def on_open(self, connection: Connection, now_ns: int) -> None:
        self.opened += 1

    def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        self.frames.append(bytes(payload))

    def on_pong(self, connection: Connection, payload: bytes, receive_ns: int) -> None:
        pass

    def on_close(self, connection: Connection, reason: str, now_ns: int) -> None:
        self.closed.append(reason)
        self.is_over.set()


async def handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A WebSocket server's part of it."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    keys = [line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
    assert lines[b"upgrade"] == b"websocket"
    proof = base64.b64encode(hashlib.sha1(keys[0] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + proof
        + b"\r\n\r\n"
    )


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
def test_a_frame_cut_at_any_byte_is_not_heard_and_the_connection_ends_once(resets: bool) -> None:
    async def main() -> None:
        size = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await handshake(reader, writer)
            writer.write(FRAME + FRAME[:size])
            await writer.drain()
            if resets:
                await asyncio.sleep(0.002)  # A reset throws away what is still on its way.
                writer.transport.abort()
            else:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        network = UvloopNetwork()
        for size in range(len(FRAME)):
            ear = Ear()
            network.connect(url, ear)
            async with asyncio.timeout(WAIT_S):
                await ear.is_over.wait()
            assert (ear.opened, len(ear.closed)) == (1, 1), f"cut at byte {size}"
            assert ear.frames == [FRAME[4:]], f"cut at byte {size}: the whole frame before it, and nothing of the next"
        await network.close()
        server.close()

    uvloop.run(main())


def test_an_answer_cut_at_any_byte_has_an_unknown_outcome() -> None:
    async def main() -> None:
        size = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER[:size])
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/order"
        network = UvloopNetwork()
        loop = asyncio.get_running_loop()
        for size in range(len(ANSWER) + 1):
            answer: asyncio.Future[Response] = loop.create_future()
            network.request(Request("POST", url, timeout_ns=5_000_000_000), answer.set_result)
            response = await asyncio.wait_for(answer, WAIT_S)
            if size < len(ANSWER):
                assert response.failure is Failure.OUTCOME_UNKNOWN, f"cut at byte {size}: it had been asked"
            else:
                assert (response.status, response.body) == (200, b'{"orderId":1234}')
        await network.close()
        server.close()

    uvloop.run(main())
