"""A WebSocket whose owner takes the bytes as they were read: for busy connections, where a frame must not cost a Python call.

    socket ─▶ one buffer ─▶ listener.on_bytes: C goes from frame to frame ─▶ what must be decided on ─▶ Python
    socket ◀─ one write  ◀─ outbox: frames masked in C ◀─ send, or put … flush

The handshake, pings, closing and fragments are here; frames of data are the listener's. What is sent goes to the kernel within
the call, by the loop's own way if the connection is encrypted, unless the kernel has no room.
"""

import asyncio
import base64
import hashlib
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from urllib.parse import urlsplit

import aiofastnet

from reactor.net.network import Sent, StreamListener
from reactor.net.websocket import CLOSE, CONTINUATION, PING, PONG, TEXT, Outbox

READ_SIZE: Final = 64 * 1024  # Room for one read: some hundred frames, a tenth of a millisecond of work.
BUFFER_SIZE: Final = 4 * READ_SIZE
MESSAGE_SIZE_MAX: Final = 32 * 1024 * 1024
HEAD_SIZE_MAX: Final = 16 * 1024
CLOSE_TIMEOUT_S: Final = 1.0
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3

_HANDED_OVER: Final = Sent.HANDED_OVER

OnError = Callable[[BaseException, str], None]


class StreamConnection(asyncio.BufferedProtocol):
    """One WebSocket, both the loop's protocol and the `Connection` that the listener holds."""

    def __init__(
        self,
        listener: StreamListener,
        loop: asyncio.AbstractEventLoop,
        on_error: OnError,
        on_activity: Callable[[], None],
        on_gone: Callable[[Any], None],
    ) -> None:
        self._listener = listener
        self._loop = loop
        self._on_error = on_error
        self._on_activity = on_activity
        self._on_gone = on_gone
        self._monotonic_ns = time.monotonic_ns
        self._on_bytes = listener.on_bytes
        self._buffer = bytearray(BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._start = 0  # what was not taken yet begins here …
        self._end = 0  # … and ends here
        self._receive_ns = 0  # of the last read
        self._is_held = False
        self._needed = 0  # bytes from the start on that a frame which has begun will have
        self.outbox = self._outbox = Outbox()  # Who fills it by itself calls `sent` then.
        self._put = self._outbox.put
        self._put_and_write = self._outbox.send
        self._fd = -1  # of the socket, where it may be written to directly
        self._is_direct = False  # It may, and nothing of ours stands before it in the loop's hands.
        self._transport: asyncio.Transport | None = None
        self._key = base64.b64encode(os.urandom(16))
        self._request = b""
        self._is_open = False
        self._is_closing = False
        self._is_closed = False
        self._close_reason = ""
        self._parts: bytearray | None = None  # a fragmented message in the making

    # -- Connection

    def send(self, payload: bytes) -> Sent:
        """Sends one text frame. NOT_SENT only when the socket was already closing: then no byte can have left."""
        transport = self._transport
        if not self._is_open or self._is_closing or transport is None or transport.is_closing():
            return Sent.NOT_SENT
        if self._is_direct:
            try:
                left = self._put_and_write(TEXT, payload, self._fd)
                if left:
                    self._leave_to_loop()
            except OSError as error:
                self._break(error)
            return _HANDED_OVER
        self._put(TEXT, payload)
        if self._fd < 0:
            transport.write(self._outbox.take())
        else:
            self._write()
        return _HANDED_OVER

    def sent(self, left: int) -> None:
        """A frame was put into `outbox` and written by somebody else, who was left with this: bytes that wait, or −errno."""
        if left < 0:
            self._break(OSError(-left, os.strerror(-left)))
        elif left:
            self._outbox.waiting = left
            self._leave_to_loop()

    def _show_door(self) -> None:
        """`outbox.fd`: the socket, exactly while `send` would write to it directly."""
        self._outbox.fd = self._fd if self._is_direct and self._is_open and not self._is_closing else -1

    def put(self, payload: bytes) -> Sent:
        """As `send`, but it waits for `flush`, or for the next frame that is sent."""
        transport = self._transport
        if not self._is_open or self._is_closing or transport is None or transport.is_closing():
            return Sent.NOT_SENT
        self._put(TEXT, payload)
        return _HANDED_OVER

    def flush(self) -> None:
        """Writes what waits."""
        transport = self._transport
        if self._outbox.waiting and transport is not None and not transport.is_closing():
            self._write()

    def ping(self, payload: bytes = b"") -> None:
        """Sends a ping frame; nothing happens on a closed connection."""
        self._send(PING, payload)

    def close(self, reason: str = "") -> None:
        """Starts closing; `on_close` follows, at the latest after CLOSE_TIMEOUT_S."""
        transport = self._transport
        if transport is None or self._is_closing or transport.is_closing():
            return
        self._close_reason = self._close_reason or reason or "closed by us"
        if self._is_open:
            self._send(CLOSE, (1000).to_bytes(2, "big") + reason[:100].encode())
            self._loop.call_later(CLOSE_TIMEOUT_S, transport.abort)
        else:
            transport.abort()
        self._is_closing = True
        self._show_door()

    def _send(self, opcode: int, payload: bytes) -> None:
        """A control frame; nothing happens on a closed connection."""
        transport = self._transport
        if self._is_open and not self._is_closing and transport is not None and not transport.is_closing():
            self._put(opcode, payload)
            self._write()

    def _write(self) -> None:
        """Everything in the outbox, in one go: straight to the kernel where nothing of ours stands before it."""
        outbox, transport = self._outbox, self._transport
        assert transport is not None, "asked only of a connection that is open"
        if self._fd >= 0 and (self._is_direct or not transport.get_write_buffer_size()):
            self._is_direct = True
            self._show_door()
            try:
                if not outbox.write(self._fd):
                    return
            except OSError as error:
                self._break(error)
                return
        self._leave_to_loop()

    def _leave_to_loop(self) -> None:
        """What the kernel had no room for follows in order, as what is encrypted does."""
        assert self._transport is not None, "asked only of a connection that is open"
        self._is_direct = False
        self._show_door()
        self._transport.write(self._outbox.take())

    def _break(self, error: OSError) -> None:
        """A write failed: part of a frame may be out, so it is not proof of anything."""
        self._close_reason = self._close_reason or f"write failed: {error}"
        self._outbox.clear()
        self._outbox.fd = -1
        assert self._transport is not None, "asked only of a connection that is open"
        self._transport.abort()

    # -- the loop's calls

    def begin(self, url: str, headers: Mapping[str, str] | None) -> None:
        """Call it once, before the socket is there: the request of the handshake."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {self._key.decode()}", "Sec-WebSocket-Version: 13"]  # fmt: skip
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._request = ("\r\n".join(lines) + "\r\n\r\n").encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there (and encrypted, where it is to be): asks for the WebSocket."""
        self._transport = cast(asyncio.Transport, transport)
        socket = transport.get_extra_info("socket")
        if socket is not None and transport.get_extra_info("ssl_object") is None:
            self._fd = socket.fileno()
            self._is_direct = True
        self._outbox.is_gone = transport.is_closing
        self._transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next read goes."""
        if not self._end and not self._needed:
            return self._view
        if len(self._buffer) - self._end < READ_SIZE or self._needed:
            self._make_room()
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        """The hot path: some bytes came."""
        self._receive_ns = receive_ns = self._monotonic_ns()
        self._end += nbytes
        self._take(receive_ns)
        self._on_activity()

    def _take(self, receive_ns: int) -> None:
        try:
            if self._is_open:
                self._start = self._on_bytes(self, self._buffer, self._start, self._end, receive_ns)
            elif not self._is_closed:
                self._shake_hands(receive_ns)
        except Exception as error:
            self._on_error(error, "on_bytes")
        if self._start == self._end:
            self._start = self._end = 0

    def eof_received(self) -> bool:
        """The other side has ended."""
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        """The socket is gone."""
        self.closed(f"connection lost: {exc}" if exc is not None else "connection lost")

    def closed(self, reason: str) -> None:
        """Tells the listener once. `reason` is used if nothing better is known."""
        if self._is_closed:
            return
        self._is_closed = True
        self._is_open = False
        self._fd, self._is_direct = -1, False  # The number may soon be somebody else's.
        self._show_door()
        self._parts = None
        self._on_gone(self)
        self._call(self._listener.on_close, self._close_reason or reason, self._monotonic_ns())

    # -- the listener's calls

    def need(self, size: int) -> None:
        """A frame of so many bytes has begun: at the next read there will be room for it. Now nothing may move."""
        self._needed = size

    def hold(self) -> None:
        """See net/network.py: the venue feels it when the kernel's buffers are full."""
        if not self._is_held and self._transport is not None:
            self._is_held = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        """See net/network.py. What stayed keeps the time of its read."""
        if not self._is_held:
            return
        self._is_held = False
        if self._start < self._end:
            self._take(self._receive_ns)
        if not self._is_held and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def on_control(self, opcode: int, payload: bytes, receive_ns: int) -> None:
        """A frame that carries no whole message, told by its first byte."""
        kind = opcode & 0x0F
        if kind == PING:
            self._send(PONG, payload)
        elif kind == PONG:
            self._call(self._listener.on_pong, payload, receive_ns)
        elif kind == CLOSE:
            code, text = int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")
            self._close_reason = self._close_reason or f"closed by the venue: {code} {text}".rstrip()
            self._send(CLOSE, payload[:2])
            self._end_now()
        else:
            self._take_part(opcode, payload, receive_ns)

    def on_error(self, error: BaseException) -> None:
        """The listener failed over one frame."""
        self._on_error(error, "on_frame")

    def fail(self, reason: str) -> None:
        """They broke the rules of the protocol: nothing that follows can be believed."""
        self._close_reason = self._close_reason or reason
        self._send(CLOSE, (1002).to_bytes(2, "big"))
        self._end_now()

    def _take_part(self, opcode: int, payload: bytes, receive_ns: int) -> None:
        is_first, is_last = opcode & 0x0F != CONTINUATION, bool(opcode & 0x80)
        if is_first != (self._parts is None) or len(self._parts or b"") + len(payload) > MESSAGE_SIZE_MAX:
            self.fail("broken or oversized fragmented message")
            return
        if is_first:
            self._parts = bytearray()
        assert self._parts is not None, "a message has begun"
        self._parts += payload
        if is_last:
            whole, self._parts = bytes(self._parts), None
            self._call(self._listener.on_frame, memoryview(whole), receive_ns)

    # -- inside

    def _shake_hands(self, now_ns: int) -> None:
        head_end = self._buffer.find(b"\r\n\r\n", 0, self._end)
        if head_end < 0:
            if self._end > HEAD_SIZE_MAX:
                self._refuse("cannot connect: an answer without an end")
            return
        lines = bytes(self._view[:head_end]).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        accept = base64.b64encode(hashlib.sha1(self._key + GUID).digest()).decode()
        status = lines[0].split(" ", 2)
        if len(status) < 2 or status[1] != "101" or headers.get("sec-websocket-accept") != accept:
            self._refuse(f"cannot connect: {lines[0][:100]}")
            return
        self._start = head_end + 4
        self._is_open = True
        self._show_door()
        self._call(self._listener.on_open, now_ns)
        if self._start < self._end and self._is_open:
            self._start = self._on_bytes(self, self._buffer, self._start, self._end, now_ns)

    def _refuse(self, reason: str) -> None:
        self._close_reason = reason
        self._end_now()

    def _end_now(self) -> None:
        self._start = self._end
        self._is_closing = True
        self._show_door()
        if self._transport is not None:
            self._transport.close()

    def _make_room(self) -> None:
        """Puts what is left in front; in a new buffer if it has to grow, because the C side holds the old one's address."""
        left = self._end - self._start
        room, self._needed = max(left, self._needed) + READ_SIZE, 0
        if self._start + room <= len(self._buffer):
            return
        rest = bytes(self._view[self._start : self._end])
        if room > len(self._buffer):
            self._buffer = bytearray(max(2 * len(self._buffer), room))
            self._view = memoryview(self._buffer)
        self._view[:left] = rest
        self._start, self._end = 0, left

    def _call(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(self, *arguments)
        except Exception as error:
            self._on_error(error, getattr(callback, "__name__", "callback"))
        self._on_activity()


async def open_stream(
    loop: asyncio.AbstractEventLoop,
    url: str,
    connection: StreamConnection,
    ssl_context: ssl.SSLContext | None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Connects. From here on the listener is told of everything.

    Raises:
        OSError: there is no connection.
    """
    parts = urlsplit(url)
    is_encrypted = parts.scheme == "wss"
    connection.begin(url, headers)
    if is_encrypted:  # Its TLS costs less than uvloop's, and it is what picows brings along.
        context = ssl_context or ssl.create_default_context()
        await aiofastnet.create_connection(loop, lambda: connection, parts.hostname or "", parts.port or 443, ssl=context)
    else:
        await loop.create_connection(lambda: connection, parts.hostname or "", parts.port or 80)
