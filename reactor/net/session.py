"""The real network of a shard: WebSockets and requests on uvloop, behind reactor/net/network.py.

    role ── connect / request ──▶ UvloopNetwork ──▶ stream.py (bytes) · picows (frames) · rest.py (aiohttp)
    role ◀── on_open / on_frame / on_pong / on_close / on_response ──┘

Sockets have TCP_NODELAY (picows sets it) and no per-message compression is offered: a compressed frame costs more time than
it saves bytes on these messages. Server pings are answered by picows. Nothing here retries: reconnecting is the listener's
decision, because only it knows what may be repeated.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from reactor.net.network import Listener, Request, Response, Sent
from reactor.net.rest import RestClient
from reactor.net.stream import StreamConnection, open_stream

CONNECT_TIMEOUT_S = 10.0  # TCP, TLS and the handshake together; a venue that needs longer is not worth waiting for.
CLOSE_TIMEOUT_S = 1.0  # How long the other side may take to answer our close before the socket is cut.
FRAME_SIZE_MAX = 32 * 1024 * 1024  # The largest message a venue sends us over a socket is a few MB.

_TEXT = WSMsgType.TEXT
_MESSAGE_KINDS = (WSMsgType.TEXT, WSMsgType.BINARY)
_CONTINUATION = WSMsgType.CONTINUATION
_PONG = WSMsgType.PONG
_CLOSE = WSMsgType.CLOSE

OnError = Callable[[BaseException, str], None]
"""Hears about an exception that a listener let fly: a programmer's mistake, reported and counted, never fatal to the loop."""


class UvloopConnection(WSListener):
    """One WebSocket. It is both what picows calls back and the `Connection` that the listener holds."""

    def __init__(
        self,
        listener: Listener,
        loop: asyncio.AbstractEventLoop,
        on_error: OnError,
        on_activity: Callable[[], None],
        on_gone: Callable[["UvloopConnection"], None],
    ) -> None:
        self._on_activity = on_activity
        self._on_gone = on_gone
        self._listener = listener
        self._loop = loop
        self._on_error = on_error
        self._transport: WSTransport | None = None
        self._parts: bytearray | None = None  # A fragmented message in the making.
        self._close_reason = ""
        self._is_closed = False
        self._monotonic_ns = time.monotonic_ns

    # Connection

    def send(self, payload: bytes) -> Sent:
        """Sends one text frame. NOT_SENT only when the socket was already closing: then no byte can have left."""
        transport = self._transport
        if transport is None or transport.is_disconnected or transport.is_close_frame_sent:
            return Sent.NOT_SENT
        try:
            transport.send(_TEXT, payload)
        except OSError as error:  # Part of the frame may be out: not proof of anything.
            self._close_reason = self._close_reason or f"write failed: {error}"
        return Sent.HANDED_OVER

    def ping(self, payload: bytes = b"") -> None:
        """Sends a ping frame; nothing happens on a closed connection."""
        transport = self._transport
        if transport is not None and not transport.is_disconnected:
            transport.send_ping(payload)

    def close(self, reason: str = "") -> None:
        """Starts closing; `on_close` follows, at the latest after CLOSE_TIMEOUT_S."""
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        self._close_reason = self._close_reason or reason or "closed by us"
        if not transport.is_close_frame_sent:
            transport.send_close(WSCloseCode.OK, reason[:100].encode())
            self._loop.call_later(CLOSE_TIMEOUT_S, transport.disconnect, False)

    # WSListener

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        self._call(self._listener.on_open, self, self._monotonic_ns())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """One frame. Whole messages go to the listener in place, fragments are put together first."""
        receive_ns = self._monotonic_ns()
        kind = frame.msg_type
        if kind in _MESSAGE_KINDS:
            if frame.fin:
                try:
                    self._listener.on_frame(self, frame.get_payload_as_memoryview(), receive_ns)
                except Exception as error:
                    self._on_error(error, "on_frame")
                self._on_activity()
            else:
                self._parts = bytearray(frame.get_payload_as_memoryview())
        elif kind == _CONTINUATION:
            self._on_continuation(transport, frame, receive_ns)
        elif kind == _PONG:
            self._call(self._listener.on_pong, self, frame.get_payload_as_bytes(), receive_ns)
        elif kind == _CLOSE:
            code: Any = frame.get_close_code()
            text = frame.get_close_reason()
            self._close_reason = self._close_reason or f"closed by the venue: {int(code)} {text or ''}".rstrip()
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is gone."""
        self.closed("connection lost")

    def closed(self, reason: str) -> None:
        """Tells the listener once. `reason` is used if nothing better is known."""
        if self._is_closed:
            return
        self._is_closed = True
        self._parts = None
        self._on_gone(self)
        self._call(self._listener.on_close, self, self._close_reason or reason, self._monotonic_ns())

    def _on_continuation(self, transport: WSTransport, frame: WSFrame, receive_ns: int) -> None:
        parts = self._parts
        if parts is None or len(parts) + frame.payload_size > FRAME_SIZE_MAX:
            self._close_reason = "broken or oversized fragmented message"
            transport.send_close(WSCloseCode.PROTOCOL_ERROR)
            transport.disconnect()
            return
        parts += frame.get_payload_as_memoryview()
        if frame.fin:
            self._parts = None
            self._call(self._listener.on_frame, self, memoryview(bytes(parts)), receive_ns)

    def _call(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception as error:
            self._on_error(error, getattr(callback, "__name__", "callback"))
        self._on_activity()


class UvloopNetwork:
    """The `Network` of a shard: make it on the shard's running loop, `await close()` it before the loop ends."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        on_error: OnError | None = None,
        ssl_context: ssl.SSLContext | None = None,
        on_activity: Callable[[], None] | None = None,
    ) -> None:
        """Args:
        loop: the shard's loop; the running one if omitted.
        on_error: see OnError; without it the loop's exception handler is told.
        ssl_context: for wss and https; the system's trust store if omitted.
        on_activity: called after every callback to a listener, so that the shard runs a pass.
        """
        self._on_activity = on_activity or _no_activity
        self._loop = loop or asyncio.get_running_loop()
        self._ssl_context = ssl_context
        self._on_error: OnError = on_error or self._tell_loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._connections: set[UvloopConnection | StreamConnection] = set()
        self._rest = RestClient(self._loop, ssl_context)

    def connect(self, url: str, listener: Listener, headers: Mapping[str, str] | None = None) -> None:
        """Starts a WebSocket; the listener hears on_open, or on_close with the reason why not.

        A StreamListener gets bytes (stream.py), any other one frames.
        """
        kind: Any = StreamConnection if hasattr(listener, "on_bytes") else UvloopConnection
        connection = kind(listener, self._loop, self._on_error, self._on_activity, self._connections.discard)
        if self._is_closed:
            self._loop.call_soon(connection.closed, "the shard stops")
            return
        self._connections.add(connection)
        self._start(self._connect(url, connection, headers))

    def request(self, request: Request, on_response: Callable[[Response], None]) -> None:
        """Starts a REST request; `on_response` is called exactly once."""
        self._start(self._request(request, on_response))

    async def close(self) -> None:
        """Cuts every connection and pending request; listeners hear on_close, requests their failure."""
        self._is_closed = True
        for task in list(self._tasks):
            task.cancel()
        for connection in list(self._connections):
            connection.close("the shard stops")
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                while self._connections or self._tasks:
                    await asyncio.sleep(0.005)
        await self._rest.close()

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(
        self, url: str, connection: UvloopConnection | StreamConnection, headers: Mapping[str, str] | None
    ) -> None:
        reason = "closed during the handshake"
        try:
            if isinstance(connection, StreamConnection):
                opening = open_stream(self._loop, url, connection, self._ssl_context, headers)
                await asyncio.wait_for(opening, CONNECT_TIMEOUT_S)
                return  # From here on the loop calls connection_lost.
            transport, _ = await asyncio.wait_for(
                ws_connect(
                    lambda: connection,
                    url,
                    ssl_context=self._ssl_context,
                    extra_headers=dict(headers) if headers else None,
                    max_frame_size=FRAME_SIZE_MAX,
                    websocket_handshake_timeout=CONNECT_TIMEOUT_S,
                    disconnect_on_exception=False,
                    max_redirects=0,
                    proxy=None,
                ),
                CONNECT_TIMEOUT_S,
            )
            if transport is not None and not transport.is_disconnected:
                return  # From here on picows calls on_ws_disconnected.
        except TimeoutError:
            reason = f"cannot connect: no answer within {CONNECT_TIMEOUT_S:g} s"
        except asyncio.CancelledError:
            reason = "the shard stops"
        except Exception as error:
            reason = f"cannot connect: {error or type(error).__name__}"
        connection.closed(reason)

    async def _request(self, request: Request, on_response: Callable[[Response], None]) -> None:
        response = await self._rest.fetch(request)
        try:
            on_response(response)
        except Exception as error:
            self._on_error(error, "on_response")
        self._on_activity()

    def _tell_loop(self, error: BaseException, where: str) -> None:
        self._loop.call_exception_handler({"message": f"a listener failed in {where}", "exception": error})


def _no_activity() -> None:
    """Nobody runs passes here."""
