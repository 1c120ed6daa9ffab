"""The real network over loopback: websockets and aiohttp as the other side."""

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve

from reactor.net.network import Connection, Failure, Request, Response, Sent
from reactor.net.session import UvloopNetwork

WAIT_S = 10.0


class Ear:
    """Remembers what a connection said."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.pongs: list[bytes] = []
        self.closed: list[str] = []
        self.connection: Connection | None = None
        self.changed = asyncio.Event()

    def on_open(self, connection: Connection, now_ns: int) -> None:
        self.connection = connection
        self.changed.set()

    def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        self.frames.append(bytes(payload))
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
    body: Callable[[UvloopNetwork, Ear, str], Awaitable[None]], handler: Callable[[ServerConnection], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with serve(handler, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            network = UvloopNetwork()
            ear = Ear()
            try:
                await body(network, ear, f"ws://127.0.0.1:{port}/")
            finally:
                await network.close()

    uvloop.run(main())


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message, text=True)


def test_a_sent_frame_comes_back_and_a_ping_is_answered() -> None:
    async def body(network: UvloopNetwork, ear: Ear, url: str) -> None:
        network.connect(url, ear)
        await ear.until(lambda: ear.connection)
        assert ear.connection is not None
        assert ear.connection.send(b'{"id":1}') is Sent.HANDED_OVER
        ear.connection.ping(b"42")
        await ear.until(lambda: ear.frames and ear.pongs)
        assert ear.frames == [b'{"id":1}']
        assert ear.pongs == [b"42"]

    run(body, echo)


def test_frames_of_all_sizes_arrive_whole() -> None:
    sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 3_000_000]

    async def body(network: UvloopNetwork, ear: Ear, url: str) -> None:
        network.connect(url, ear)
        await ear.until(lambda: ear.connection)
        assert ear.connection is not None
        for size in sizes:
            ear.connection.send(b"x" * size)
        await ear.until(lambda: len(ear.frames) == len(sizes))
        assert [len(frame) for frame in ear.frames] == sizes

    run(body, echo)


def test_a_fragmented_message_is_put_together() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(["ab", "cd", "", "e" * 70_000])
        await socket.send("next")
        await socket.wait_closed()

    async def body(network: UvloopNetwork, ear: Ear, url: str) -> None:
        network.connect(url, ear)
        await ear.until(lambda: len(ear.frames) == 2)
        assert ear.frames == [b"abcd" + b"e" * 70_000, b"next"]

    run(body, handler)


def test_a_server_ping_is_answered() -> None:
    answered: list[float] = []

    async def handler(socket: ServerConnection) -> None:
        pong = await socket.ping()
        answered.append(await pong)
        await socket.send("done")

    async def body(network: UvloopNetwork, ear: Ear, url: str) -> None:
        network.connect(url, ear)
        await ear.until(lambda: ear.frames)
        assert answered

    run(body, handler)


def test_the_venues_close_reason_is_told_once() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.close(1008, "too many messages")

    async def body(network: UvloopNetwork, ear: Ear, url: str) -> None:
        network.connect(url, ear)
        await ear.until(lambda: ear.closed)
        await asyncio.sleep(0)
        assert ear.closed == ["closed by the venue: 1008 too many messages"]
        assert ear.connection is not None
        assert ear.connection.send(b"late") is Sent.NOT_SENT

    run(body, handler)


def test_our_own_close_is_told_once_and_nothing_is_sent_after_it() -> None:
    async def body(network: UvloopNetwork, ear: Ear, url: str) -> None:
        network.connect(url, ear)
        await ear.until(lambda: ear.connection)
        assert ear.connection is not None
        ear.connection.close("rotation")
        assert ear.connection.send(b"late") is Sent.NOT_SENT
        await ear.until(lambda: ear.closed)
        assert ear.closed == ["rotation"]
        assert ear.frames == []

    run(body, echo)


def test_a_connection_that_never_comes_is_closed_once_without_open() -> None:
    async def body(network: UvloopNetwork, ear: Ear, url: str) -> None:
        network.connect("ws://127.0.0.1:1/", ear)
        await ear.until(lambda: ear.closed)
        assert len(ear.closed) == 1
        assert ear.closed[0].startswith("cannot connect")
        assert ear.connection is None

    run(body, echo)


def test_a_listener_that_fails_loses_neither_the_frame_after_it_nor_the_connection() -> None:
    class Clumsy(Ear):
        def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
            super().on_frame(connection, payload, receive_ns)
            if len(self.frames) == 1:
                raise ValueError("clumsy")

    async def main() -> None:
        errors: list[str] = []
        async with serve(echo, "127.0.0.1", 0) as server:
            network = UvloopNetwork(on_error=lambda error, where: errors.append(f"{where}: {error}"))
            ear = Clumsy()
            network.connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", ear)
            await ear.until(lambda: ear.connection)
            assert ear.connection is not None
            ear.connection.send(b"1")
            ear.connection.send(b"2")
            await ear.until(lambda: len(ear.frames) == 2)
            assert errors == ["on_frame: clumsy"]
            await network.close()

    uvloop.run(main())


def certificate(directory: Path, host: str = "localhost", days_left: int = 1) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server's context, a client's that trusts it): a certificate of our own for `host`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days_left))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False)
        .sign(key, SHA256())
    )
    file = directory / "localhost.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=made.public_bytes(Encoding.PEM).decode())


def test_tls_works_and_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    ours, theirs = certificate(tmp_path)

    async def main() -> None:
        async with serve(echo, "localhost", 0, ssl=ours) as server:
            url = f"wss://localhost:{server.sockets[0].getsockname()[1]}/"
            network, ear = UvloopNetwork(ssl_context=theirs), Ear()
            network.connect(url, ear)
            await ear.until(lambda: ear.connection)
            assert ear.connection is not None
            ear.connection.send(b"x" * 100_000)
            await ear.until(lambda: ear.frames)
            assert ear.frames == [b"x" * 100_000]
            await network.close()
            suspicious, ear = UvloopNetwork(), Ear()
            suspicious.connect(url, ear)
            await ear.until(lambda: ear.closed)
            assert "certificate" in ear.closed[0]
            await suspicious.close()

    uvloop.run(main())


def rest(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], path: str, timeout_ns: int = 5_000_000_000
) -> Response:
    async def main() -> Response:
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(application, shutdown_timeout=0.01)  # A handler that never ends is not waited for.
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        network = UvloopNetwork()
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        network.request(Request("GET", f"http://127.0.0.1:{port}{path}", timeout_ns=timeout_ns), answer.set_result)
        try:
            return await asyncio.wait_for(answer, WAIT_S)
        finally:
            await network.close()
            await runner.cleanup()

    return uvloop.run(main())


def test_a_request_is_sent_exactly_as_it_was_signed() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"raw": request.raw_path}, headers={"X-MBX-USED-WEIGHT-1M": "7"})

    response = rest(handler, "/api?a=b%2Fc&d=%E4%BD%A0&e=x+y&signature=Q%3D%3D")
    assert response.status == 200
    assert b"/api?a=b%2Fc&d=%E4%BD%A0&e=x+y&signature=Q%3D%3D" in response.body
    assert response.headers["x-mbx-used-weight-1m"] == "7"
    assert response.failure is Failure.NONE


def test_a_request_without_an_answer_in_time_has_an_unknown_outcome() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.Event().wait()  # Nobody sets it.
        return web.Response()

    response = rest(handler, "/", timeout_ns=50_000_000)
    assert response.failure is Failure.OUTCOME_UNKNOWN


def test_a_request_that_found_no_server_was_not_sent() -> None:
    async def main() -> Response:
        network = UvloopNetwork()
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        network.request(Request("POST", "http://127.0.0.1:1/x"), answer.set_result)
        try:
            return await asyncio.wait_for(answer, WAIT_S)
        finally:
            await network.close()

    assert uvloop.run(main()).failure is Failure.NOT_SENT
