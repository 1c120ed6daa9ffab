"""The sending side of an accepted WebSocket: frames are framed once and shared, and faults happen here.

    face ──payload──▶ Sender ──▶ (plan: delay, copies, order, cut) ──▶ transport

A payload that goes to many sockets is the same bytes object; its frame is built for the first and reused by the others.
What is delayed never overtakes on its connection: it is TCP after all.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from reactor.sim.faces.streams import Frame
from reactor.sim.faults import FaultPlan, MessageFate

TEXT: Final = 0x81
PING: Final = 0x89
BUFFER_BYTES_MAX: Final = 16 << 20  # A client this far behind is cut, as the venue would.
SENDS_PER_CHECK: Final = 256


def framed(payload: bytes, opcode: int = TEXT) -> bytes:
    """One unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65_536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


class SharedFrame:
    """Remembers the last payload and its frame, by identity."""

    __slots__ = ("frame", "payload")

    def __init__(self) -> None:
        self.payload = b""
        self.frame = b""

    def of(self, payload: bytes) -> bytes:
        """The frame of this payload."""
        if payload is not self.payload:
            self.payload = payload
            self.frame = framed(payload)
        return self.frame


class Sender:
    """What a face holds of a connection. `on_close(code, reason)` starts the closing handshake."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        shared: SharedFrame,
        on_close: Callable[[int, str], None],
        plan: FaultPlan | None = None,
    ) -> None:
        self._loop = loop
        self._shared = shared
        self._on_close = on_close
        self._plan = plan
        self._transport: asyncio.WriteTransport | None = None
        self._early: list[bytes] = []  # between the decision to accept and the end of the handshake
        self._queue: deque[tuple[float, bytes]] = deque()
        self._held: bytes | None = None  # a market message that its successor overtakes
        self.sent = 0
        self.is_closed = False

    def attach(self, transport: asyncio.WriteTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        for frame in self._early:
            self._write(frame)
        self._early.clear()

    def send(self, payload: bytes, kind: Frame = Frame.ANSWER, delay_ns: int = 0) -> None:
        """One text frame."""
        if self.is_closed:
            return
        frame = self._shared.of(payload)
        if self._plan is not None:
            self._send_by_plan(frame, kind, delay_ns)
        elif delay_ns or self._queue:
            self._enqueue(frame, delay_ns)
        else:
            self._write(frame)

    def ping(self, payload: bytes) -> None:
        """A ping frame; the answer is the connection's business."""
        if not self.is_closed:
            self._write(framed(payload, PING))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Starts closing."""
        if not self.is_closed:
            self.is_closed = True
            self._on_close(code, reason)

    def cut(self) -> None:
        """Drops the connection without a word."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    def _write(self, frame: bytes) -> None:
        transport = self._transport
        if transport is None:
            self._early.append(frame)
            return
        if transport.is_closing():
            self.is_closed = True
            return
        transport.write(frame)
        self.sent += 1
        if self.sent % SENDS_PER_CHECK == 0 and transport.get_write_buffer_size() > BUFFER_BYTES_MAX:
            self.cut()

    def _send_by_plan(self, frame: bytes, kind: Frame, delay_ns: int) -> None:
        assert self._plan is not None, "there is a plan"
        fate = MessageFate(delay_ns)
        if kind is Frame.MARKET:
            fate = self._plan.market_message()
        elif kind is Frame.USER:
            fate = self._plan.user_message()
        if fate.disconnect:
            self.cut()
            return
        if fate.is_overtaken and self._held is None and fate.copies:
            self._held = frame
            return
        for _ in range(fate.copies):
            self._enqueue(frame, fate.delay_ns)
        if self._held is not None and kind is Frame.MARKET:
            held, self._held = self._held, None
            self._enqueue(held, fate.delay_ns)

    def _enqueue(self, frame: bytes, delay_ns: int) -> None:
        due = self._loop.time() + delay_ns / 1e9
        if self._queue:
            due = max(due, self._queue[-1][0])
        elif not delay_ns:
            self._write(frame)
            return
        self._queue.append((due, frame))
        if len(self._queue) == 1:
            self._loop.call_at(due, self._release)

    def _release(self) -> None:
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now + 1e-4:
            self._write(self._queue.popleft()[1])
        if self._queue and not self.is_closed:
            self._loop.call_at(self._queue[0][0], self._release)
