"""Frames of ours on their way out: the Python face of cffi_build/include/websocket.h."""

import os
from typing import Any, Final

from reactor._native import ffi, lib

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
CONTINUATION: Final = 0x0
ROOM_SIZE: Final = 16 * 1024  # Some thirty orders; a longer frame gets more.
HEAD_SIZE_MAX: Final = 14


class Outbox:
    """Whole masked frames, one behind another, until they are written: `room[:waiting]`."""

    __slots__ = ("_native", "_put", "_room", "room", "waiting")

    def __init__(self) -> None:
        self._native = ffi.new("outbox_t *")
        self._native.random = int.from_bytes(os.urandom(8), "little") | 1
        self._put = lib.outbox_put
        self._room: Any = None
        self.waiting = 0  # bytes
        self._grow(ROOM_SIZE)

    def put(self, opcode: int, payload: bytes) -> int:
        """Puts one frame behind what waits. Returns how many bytes wait now."""
        waiting: int = self._put(self._native, opcode, payload, len(payload))
        if not waiting:
            self._grow(2 * (self.waiting + len(payload) + HEAD_SIZE_MAX))
            waiting = self._put(self._native, opcode, payload, len(payload))
        self.waiting = waiting
        return waiting

    def clear(self) -> None:
        """It is written."""
        self._native.used = self.waiting = 0

    def _grow(self, size: int) -> None:
        room = ffi.new("char[]", size)
        if self.waiting:
            ffi.memmove(room, self._room, self.waiting)
        self._room, self._native.room, self._native.capacity = room, room, size
        self.room = memoryview(ffi.buffer(room))
