"""The wholesale WebSocket over loopback: websockets as the venue, a plain walk over the bytes as the listener."""

import asyncio
import errno
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from reactor.net.network import Connection, Sent, StreamSource
from reactor.net.session import UvloopNetwork
from reactor.net.stream import BUFFER_SIZE, StreamConnection
from reactor.net.websocket import TEXT

sys.path.insert(0, str(Path(__file__).parent))

from test_session import certificate

WAIT_S = 10.0


def frames_of(data: bytes) -> tuple[list[tuple[int, bytes]], int, int]:
    """(first byte, payload) of every whole frame, how many bytes they took, and how many the next one needs."""
    found, at = [], 0
    while len(data) - at >= 2:
        size, head = data[at + 1], 2
        if size >= 126:
            head = 4 if size == 126 else 10
            if len(data) - at < head:
                break
            size = int.from_bytes(data[at + 2 : at + head], "big")
        if len(data) - at < head + size:
            return found, at, head + size
        found.append((data[at], data[at + head : at + head + size]))
        at += head + size
    return found, at, 0


class Ear:
    """A StreamListener that remembers."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.pongs: list[bytes] = []
        self.closed: list[str] = []
        self.reads = 0
        self.connection: Connection | None = None
        self.changed = asyncio.Event()

    def on_bytes(self, connection: StreamSource, buffer: bytearray, start: int, end: int, receive_ns: int) -> int:
        self.reads += 1
        frames, taken, needed = frames_of(bytes(buffer[start:end]))
        for opcode, payload in frames:
            if opcode in (0x81, 0x82):
                self.messages.append(payload)
            elif opcode & 0x70:
                connection.fail("not a WebSocket frame")
            else:
                connection.on_control(opcode, payload, receive_ns)
        if start + taken != end:
            connection.need(needed)
        self.changed.set()
        return start + taken

    def on_open(self, connection: Connection, now_ns: int) -> None:
        self.connection = connection
        self.changed.set()

    def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        self.messages.append(bytes(payload))
        self.changed.set()

    def on_pong(self, connection: Connection, payload: bytes, receive_ns: int) -> None:
        self.pongs.append(payload)
        self.changed.set()

    def on_close(self, connection: Connection, reason: str, now_ns: int) -> None:
        self.closed.append(reason)
        self.changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def run(
    handler: Callable[[ServerConnection], Awaitable[None]], body: Callable[[Ear, str], Awaitable[None]], kind: type["Ear"] = Ear
) -> Ear:
    ear: list[Ear] = []

    async def main() -> None:
        async with serve(handler, "127.0.0.1", 0, max_size=None) as server:
            network = UvloopNetwork()
            ear.append(kind())
            try:
                network.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/stream?a=b", ear[0])
                await body(ear[0], "")
            finally:
                await network.close()

    uvloop.run(main())
    return ear[0]


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message, text=True)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 3 * BUFFER_SIZE])
def test_a_message_of_any_size_comes_back_whole(size: int) -> None:
    payload = bytes(range(32, 127)) * (size // 95 + 1)

    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.connection)
        assert ear.connection is not None
        assert ear.connection.send(payload[:size]) is Sent.HANDED_OVER
        assert ear.connection.send(b"after") is Sent.HANDED_OVER
        await ear.until(lambda: len(ear.messages) == 2)

    assert run(echo, body).messages == [payload[:size], b"after"]


def test_a_held_connection_keeps_what_was_not_taken_and_goes_on_where_it_stopped() -> None:
    sent = [f"message {number}".encode() for number in range(200)]

    class Reluctant(Ear):
        """Takes one message, then wants to be asked again."""

        def on_bytes(self, connection: StreamSource, buffer: bytearray, start: int, end: int, receive_ns: int) -> int:
            frames, _, needed = frames_of(bytes(buffer[start:end]))
            if not frames:
                connection.need(needed)
                return start
            self.messages.append(frames[0][1])
            connection.hold()
            asyncio.get_running_loop().call_soon(connection.go_on)
            self.changed.set()
            return start + 2 + len(frames[0][1])

    async def venue(socket: ServerConnection) -> None:
        for message in sent:
            await socket.send(message, text=True)
        await socket.wait_closed()

    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.closed or len(ear.messages) == len(sent))

    assert run(venue, body, Reluctant).messages[: len(sent)] == sent  # Its close frame, taken as a message, follows.


@pytest.mark.parametrize("seed", range(3))
def test_small_and_huge_messages_in_one_stream_come_whole_and_in_order(seed: int) -> None:
    rng = random.Random(seed)
    sizes = [rng.choice((rng.randint(0, 300), rng.randint(60_000, 70_000), rng.randint(1, 3) * BUFFER_SIZE)) for _ in range(60)]
    sent = [bytes([97 + number % 26]) * size for number, size in enumerate(sizes)]

    async def venue(socket: ServerConnection) -> None:
        for message in sent:
            await socket.send(message, text=True)
        await socket.wait_closed()

    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.closed or len(ear.messages) == len(sent))

    assert [len(message) for message in run(venue, body).messages] == sizes
    assert run(venue, body).messages == sent


def test_a_burst_comes_in_order_and_in_fewer_reads_than_frames() -> None:
    async def burst(socket: ServerConnection) -> None:
        for number in range(5_000):
            await socket.send(f"{number:0200}")
        await socket.wait_closed()

    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: len(ear.messages) == 5_000)

    ear = run(burst, body)
    assert [int(message) for message in ear.messages] == list(range(5_000))
    assert ear.reads < 5_000


def test_pings_are_answered_fragments_are_joined_and_a_close_is_told_with_its_reason() -> None:
    async def venue(socket: ServerConnection) -> None:
        await (await socket.ping(b"there?"))
        await socket.send(["one ", "message ", "in parts"])
        await socket.close(1001, "going away")

    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.closed)

    ear = run(venue, body)
    assert ear.messages == [b"one message in parts"]
    assert ear.closed == ["closed by the venue: 1001 going away"]


def test_our_ping_brings_a_pong_and_after_a_close_nothing_can_be_sent() -> None:
    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.connection)
        connection = ear.connection
        assert connection is not None
        connection.ping(b"alive?")
        await ear.until(lambda: ear.pongs)
        connection.close("enough")
        assert connection.send(b"late") is Sent.NOT_SENT
        await ear.until(lambda: ear.closed)

    ear = run(echo, body)
    assert (ear.pongs, ear.closed) == ([b"alive?"], ["enough"])


def test_a_server_that_speaks_no_websocket_is_a_close_without_an_open() -> None:
    async def main() -> Ear:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        network, ear = UvloopNetwork(), Ear()
        network.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", ear)
        await ear.until(lambda: ear.closed)
        await network.close()
        server.close()
        return ear

    ear = uvloop.run(main())
    assert ear.connection is None
    assert ear.closed == ["cannot connect: HTTP/1.1 404 Not Found"]


def test_nobody_listening_is_a_close_with_the_reason() -> None:
    async def main() -> Ear:
        network, ear = UvloopNetwork(), Ear()
        network.connect("ws://127.0.0.1:9/", ear)
        await ear.until(lambda: ear.closed)
        await network.close()
        return ear

    assert uvloop.run(main()).closed[0].startswith("cannot connect")


def test_it_works_over_tls_and_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    ours, theirs = certificate(tmp_path)

    async def main() -> None:
        async with serve(echo, "localhost", 0, ssl=ours, max_size=None) as server:
            url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/ws"
            network, ear = UvloopNetwork(ssl_context=theirs), Ear()
            network.connect(url, ear)
            await ear.until(lambda: ear.connection)
            assert ear.connection is not None
            for size in (10, 2 * BUFFER_SIZE, 20):
                ear.connection.send(b"x" * size)
            await ear.until(lambda: len(ear.messages) == 3)
            assert [len(message) for message in ear.messages] == [10, 2 * BUFFER_SIZE, 20]
            await network.close()
            assert ear.closed == ["the shard stops"]
            suspicious, ear = UvloopNetwork(), Ear()
            suspicious.connect(url, ear)
            await ear.until(lambda: ear.closed)
            assert "certificate" in ear.closed[0]
            await suspicious.close()

    uvloop.run(main())


@pytest.mark.parametrize(
    ("host", "days_left", "words"),
    [("venue.example", 1, "hostname mismatch"), ("localhost", -1, "certificate has expired")],
    ids=["another host's", "an expired one"],
)
@pytest.mark.parametrize("kind", ["by the read", "by the frame"])
def test_a_certificate_that_is_not_this_hosts_today_is_refused(
    tmp_path: Path, host: str, days_left: int, words: str, kind: str
) -> None:
    """A venue's name in somebody else's certificate is what a redirected line looks like: no byte of an order may follow."""
    ours, theirs = certificate(tmp_path, host, days_left)
    heard: list[str] = []

    async def never(socket: ServerConnection) -> None:
        heard.append(socket.request.path if socket.request else "")

    class Framed:
        def __init__(self) -> None:
            self.closed: list[str] = []

        def on_close(self, connection: Connection, reason: str, now_ns: int) -> None:
            self.closed.append(reason)

    async def main() -> str:
        async with serve(never, "localhost", 0, ssl=ours) as server:
            network = UvloopNetwork(ssl_context=theirs)
            ear: Any = Ear() if kind == "by the read" else Framed()
            network.connect(f"wss://localhost:{server.sockets[0].getsockname()[1]}/ws", ear)
            async with asyncio.timeout(WAIT_S):
                while not ear.closed:
                    await asyncio.sleep(0.001)
            await network.close()
            return str(ear.closed[0])

    reason = uvloop.run(main())
    assert reason.startswith("cannot connect")
    assert words in reason.lower()
    assert not heard


def test_a_server_that_does_not_speak_tls_is_refused() -> None:
    async def main() -> str:
        async with serve(echo, "localhost", 0) as server:
            network, ear = UvloopNetwork(), Ear()
            network.connect(f"wss://localhost:{server.sockets[0].getsockname()[1]}/ws", ear)
            await ear.until(lambda: ear.closed)
            await network.close()
            return ear.closed[0]

    assert uvloop.run(main()).startswith("cannot connect")


def test_frames_that_wait_leave_in_order_with_the_next_or_when_they_are_flushed() -> None:
    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.connection)
        connection = ear.connection
        assert isinstance(connection, StreamConnection)
        assert connection.put(b"first") is Sent.HANDED_OVER
        assert connection.put(b"second") is Sent.HANDED_OVER
        connection.flush()
        connection.put(b"third")
        connection.send(b"fourth")
        await ear.until(lambda: len(ear.messages) == 4)
        connection.flush()  # Nothing waits.
        connection.close()
        assert connection.put(b"too late") is Sent.NOT_SENT

    assert run(echo, body).messages == [b"first", b"second", b"third", b"fourth"]


def test_what_the_kernel_has_no_room_for_follows_in_order() -> None:
    sizes = [700_000, 5, 3_000_000, 7, 900_000, 9]  # More than any socket buffer takes at once.

    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.connection)
        assert ear.connection is not None
        for size in sizes:
            assert ear.connection.send(b"x" * size) is Sent.HANDED_OVER
        await ear.until(lambda: len(ear.messages) == len(sizes))

    assert [len(message) for message in run(echo, body).messages] == sizes


def test_who_writes_frames_by_itself_is_shown_the_socket_exactly_while_it_lies_open() -> None:
    size = 8_000_000  # More than any socket buffer takes at once.

    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.connection)
        connection = ear.connection
        assert isinstance(connection, StreamConnection)
        outbox = connection.outbox
        assert outbox.fd >= 0
        assert not outbox.is_gone()
        outbox.put(TEXT, b"by itself")
        connection.sent(outbox.write(outbox.fd))
        assert outbox.fd >= 0
        connection.send(b"x" * size)
        assert outbox.fd == -1, "what comes now must not overtake what the loop holds"
        connection.send(b"behind it")
        await ear.until(lambda: len(ear.messages) == 3)
        connection.send(b"direct again")
        assert outbox.fd >= 0
        await ear.until(lambda: len(ear.messages) == 4)
        connection.close()
        assert outbox.fd == -1

    heard = run(echo, body).messages
    assert [heard[0], len(heard[1]), *heard[2:]] == [b"by itself", size, b"behind it", b"direct again"]


def test_a_write_by_somebody_else_that_fails_ends_the_connection() -> None:
    async def body(ear: Ear, _: str) -> None:
        await ear.until(lambda: ear.connection)
        connection = ear.connection
        assert isinstance(connection, StreamConnection)
        connection.sent(-errno.EPIPE)
        assert (connection.outbox.fd, connection.send(b"too late")) == (-1, Sent.NOT_SENT)
        await ear.until(lambda: ear.closed)

    assert "write failed" in run(echo, body).closed[0]
