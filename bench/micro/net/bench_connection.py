"""CPU of one order connection per request and answer: picows by the frame, our own by the read. Both in one run, in turns.

    python bench/micro/net/bench_connection.py [rounds]

The echo is another process; only this side's thread is counted, the kernel's part of it included.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from typing import Any

import uvloop

from reactor.net.network import Connection, StreamSource
from reactor.net.session import UvloopNetwork

REQUEST = b'{"id":%d,"method":"order.place","params":{' + b"x" * 300 + b"}}"
SERVER = """
import asyncio, uvloop
from picows import WSListener, WSMsgType, ws_create_server
class Echo(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.TEXT:
            transport.send(WSMsgType.TEXT, frame.get_payload_as_bytes()[:200])
async def main():
    server = await ws_create_server(lambda request: Echo(), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
uvloop.run(main())
"""


class ByFrame:
    """What order sessions were: one call per frame."""

    def __init__(self) -> None:
        self.connection: Any = None
        self.answers = 0
        self.wanted = 0
        self.done = asyncio.Event()

    def on_open(self, connection: Connection, now_ns: int) -> None:
        self.connection = connection
        self.done.set()

    def on_frame(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        self.answers += 1
        if self.answers == self.wanted:
            self.done.set()

    def on_pong(self, connection: Connection, payload: bytes, receive_ns: int) -> None: ...

    def on_close(self, connection: Connection, reason: str, now_ns: int) -> None: ...

    def send(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            self.connection.send(payload)


class ByRead(ByFrame):
    """What they are: one call per read, and the requests of a pass in one write."""

    def on_bytes(self, connection: StreamSource, buffer: bytearray, start: int, end: int, receive_ns: int) -> int:
        while end - start >= 4:
            size = buffer[start + 1]
            head = 2
            if size == 126:
                size, head = buffer[start + 2] << 8 | buffer[start + 3], 4
            if end - start < head + size:
                break
            self.on_frame(connection, memoryview(b""), receive_ns)
            start += head + size
        return start

    def send(self, payloads: list[bytes]) -> None:
        self.connection.send(payloads[0])
        for payload in payloads[1:]:
            self.connection.put(payload)
        self.connection.flush()


async def measure(listener: ByFrame, batch: int, rounds: int) -> float:
    """CPU µs per request."""
    begun_ns = time.thread_time_ns()
    for _ in range(rounds):
        listener.done.clear()
        listener.wanted = listener.answers + batch
        listener.send([REQUEST % 7] * batch)
        await listener.done.wait()
    return (time.thread_time_ns() - begun_ns) / 1e3 / rounds / batch


async def main(rounds: int) -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = f"ws://127.0.0.1:{int(server.stdout.readline())}/"
        network = UvloopNetwork()
        listeners = ByFrame(), ByRead()
        for listener in listeners:
            network.connect(url, listener)
            await listener.done.wait()
        for batch in (1, 4, 16):
            found: list[list[float]] = [[], []]
            for _ in range(9):
                for listener, costs in zip(listeners, found, strict=True):
                    costs.append(await measure(listener, batch, max(20, rounds // batch)))
            by_frame, by_read = (statistics.median(costs) for costs in found)
            print(f"{batch:2} at once: picows {by_frame:5.1f} µs, by the read {by_read:5.1f} µs per request")
        await network.close()
    finally:
        server.terminate()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
