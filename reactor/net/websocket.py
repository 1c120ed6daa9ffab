"""Frames of ours on their way out: the Python face of cffi_build/include/websocket.h."""

import os
from collections.abc import Callable
from typing import Any, Final

from reactor._native import ffi, lib

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
CONTINUATION: Final = 0x0
ROOM_SIZE: Final = 16 * 1024  # Some thirty orders; a longer frame gets more.
HEAD_SIZE_MAX: Final = 14

_NO_ROOM: Final[int] = lib.OUTBOX_NO_ROOM


def _never() -> bool:
    return False


class Outbox:
    """Whole masked frames, one behind another, until they are written: `room[:waiting]`."""

    __slots__ = ("_put", "_room", "_send", "fd", "is_gone", "native", "places", "room", "waiting")

    def __init__(self) -> None:
        self.fd = -1  # of the socket, while whole frames may be written to it; who writes looks at `is_gone`, too
        self.is_gone: Callable[[], bool] = _never  # The loop has given the socket up: its number may be somebody else's.
        self.places = 0  # of the frames, those that `place_send` has made
        self.native = ffi.new("outbox_t *")
        self.native.random = int.from_bytes(os.urandom(8), "little") | 1
        self._put = lib.outbox_put
        self._send = lib.outbox_send
        self._room: Any = None
        self.waiting = 0  # bytes
        self._grow(ROOM_SIZE)

    def put(self, opcode: int, payload: bytes) -> int:
        """Puts one frame behind what waits. Returns how many bytes wait now."""
        waiting: int = self._put(self.native, opcode, payload, len(payload))
        if not waiting:
            self._grow(2 * (self.waiting + len(payload) + HEAD_SIZE_MAX))
            waiting = self._put(self.native, opcode, payload, len(payload))
        self.waiting = waiting
        return waiting

    def send(self, opcode: int, payload: bytes, fd: int) -> int:
        """Puts one frame behind what waits and writes all of it to the socket. Returns how many bytes wait still.

        Raises:
            OSError: the socket is broken. Part of a frame may be out.
        """
        left: int = self._send(self.native, fd, opcode, payload, len(payload))
        if left == _NO_ROOM:
            self.put(opcode, payload)
            return self.write(fd)
        return left if not left and not self.waiting else self._written(left)

    def write(self, fd: int) -> int:
        """Writes what waits to the socket. Returns how many bytes wait still: the kernel has no room for them.

        Raises:
            OSError: the socket is broken. Part of a frame may be out.
        """
        return self._written(lib.outbox_write(self.native, fd))

    def _written(self, left: int) -> int:
        if left < 0:
            raise OSError(-left, os.strerror(-left))
        self.waiting = left
        return left

    def take(self) -> bytes:
        """Everything that waits, for somebody else to write; nothing waits any more."""
        frames = bytes(self.room[: self.waiting])
        self.native.used = self.waiting = 0
        return frames

    def clear(self) -> None:
        """It is written, or never will be."""
        self.native.used = self.waiting = 0

    def _grow(self, size: int) -> None:
        room = ffi.new("char[]", size)
        if self.waiting:
            ffi.memmove(room, self._room, self.waiting)
        self._room, self.native.room, self.native.capacity = room, room, size
        self.room = memoryview(ffi.buffer(room))
