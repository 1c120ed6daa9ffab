"""One WebSocket to a venue, read without Python objects wherever the frame is a usual one.

    on_bytes (a read) ─▶ C ─▶ known well ─▶ _on_read ─(not here after all)─▶ _on_unread
                          └▶ anything else ──────────────────────────────▶ _on_unread      (JSON, in Python)

order_session.py and user_stream.py say what the frames mean.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

from reactor.exchanges.binance.executions import (
    PRIVATE_CONTROL,
    PRIVATE_FRAME,
    PRIVATE_OFFSET,
    PRIVATE_STOP_SHIFT,
    PrivateBytes,
    private_take,
)
from reactor.net.network import Connection, StreamSource

if TYPE_CHECKING:  # The pool makes its lines.
    from reactor.engine.connections import VenueConnections


class SessionState(IntEnum):
    """Where a connection is in its life."""

    DOWN = 0
    KEYING = 1
    CONNECTING = 2
    LOGGING_ON = 3
    SUBSCRIBING = 4
    UP = 5
    DRAINING = 6


class PrivateLine:
    """One WebSocket to the venue, by the frame or (where the network can: a StreamListener) by the read.

    C takes what is usual from the bytes; only what it leaves becomes Python objects.
    """

    def __init__(self, pool: "VenueConnections", *, is_user: bool) -> None:
        self.pool = pool
        self._bytes = PrivateBytes(pool.reader, is_user=is_user)
        self._native = self._bytes.native
        self._buffer: bytearray | None = None

    def on_bytes(self, connection: StreamSource, buffer: bytearray, start: int, end: int, receive_ns: int) -> int:
        """Every whole frame of a read, one after another."""
        if buffer is not self._buffer:
            self._buffer = buffer
            self._bytes.bind(buffer)
        native = self._native
        place = private_take(native, start, end)
        while stop := place >> PRIVATE_STOP_SHIFT:
            if stop <= PRIVATE_FRAME:  # or PRIVATE_READ
                try:
                    if stop == PRIVATE_FRAME or not self._on_read(receive_ns):
                        self._on_unread(connection, self._bytes.payload(), receive_ns)
                except Exception as error:  # As with any listener: the frame is lost, what follows is not.
                    connection.on_error(error)
            elif stop == PRIVATE_CONTROL:
                connection.on_control(self._bytes.opcode, bytes(self._bytes.payload()), receive_ns)
            else:
                connection.fail("not a WebSocket frame")
                return end
            place = private_take(native, place & PRIVATE_OFFSET, end)
        if place != end:
            connection.need(self._bytes.needed)
        return place

    def _on_read(self, receive_ns: int) -> bool:
        """The pool's reader holds what a frame says. False: it is to be read in Python all the same."""
        raise NotImplementedError

    def _on_unread(self, connection: Connection, payload: memoryview, receive_ns: int) -> None:
        """A frame that is to be read in Python."""
        raise NotImplementedError
