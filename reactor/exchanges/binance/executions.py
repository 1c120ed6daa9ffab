"""The usual private frames, read without Python objects: the Python face of cffi_build/include/executions.h.

    told = reader.read_event(payload) and reader.told()      an order's event, of the user stream
    told = reader.read_answer(payload) and reader.told()     a good answer to a place, cancel or query

0 means "not here": user.py and answers.py read it then, and whatever is read here they would have read alike. What was read
stands in the reader until the next frame, and `write` makes a report of it.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from reactor._native import ffi, lib
from reactor.domain.ids import ClientIds
from reactor.domain.instrument import Instruments
from reactor.domain.messages import INSTRUMENTS_MAX
from reactor.market.intake import add_symbol

PRIVATE_STOP_SHIFT: Final[int] = lib.PRIVATE_STOP_SHIFT
PRIVATE_OFFSET: Final[int] = (1 << lib.PRIVATE_STOP_SHIFT) - 1
PRIVATE_TAKEN: Final[int] = lib.PRIVATE_TAKEN
PRIVATE_READ: Final[int] = lib.PRIVATE_READ
PRIVATE_FRAME: Final[int] = lib.PRIVATE_FRAME
PRIVATE_CONTROL: Final[int] = lib.PRIVATE_CONTROL
PRIVATE_BROKEN: Final[int] = lib.PRIVATE_BROKEN

private_take: Callable[[Any, int, int], int] = lib.private_take
"""(PrivateBytes.native, start, end) → offset behind the next frame, with PRIVATE_ stop above PRIVATE_STOP_SHIFT."""

write_execution: Callable[[Any, Any, Any, int, int, int, int, int], None] = lib.execution_write
"""(reader.execution, entry, report, kind, sequence, receive_ns, request_id, flags << 16 | connection)."""

begin_entry: Callable[[Any, Any, int], None] = lib.entry_begin
"""(entry, place, source): what every report about the order of a place repeats."""

stamp_entry: Callable[[Any, int], int] = lib.entry_sent
"""(entry, send_ns) → ns since the tick was received, −1: no tick."""

_BUCKETS: Final = 4 * INSTRUMENTS_MAX
_TOLD: Final = Struct("<QqqHH")  # The first fields of execution_t.


class ExecutionReader:
    """Reads the private frames of one venue."""

    __slots__ = ("_arrays", "_told_room", "execution", "native")

    def __init__(self, venue: int, instruments: Instruments, ids: ClientIds) -> None:
        native = self.native = ffi.new("execution_reader_t *")
        symbols = ffi.addressof(native, "symbols")
        self._arrays = (ffi.new("symbol_t[]", INSTRUMENTS_MAX), ffi.new("uint16_t[]", _BUCKETS))
        lib.symbols_init(symbols, self._arrays[0], INSTRUMENTS_MAX, self._arrays[1], _BUCKETS)
        for instrument in instruments:
            if instrument.venue == venue:
                add_symbol(symbols, instrument)
        native.prefix = ids.prefix.encode()
        native.prefix_size = len(ids.prefix)
        self.execution = ffi.addressof(native, "execution")
        self._told_room = ffi.buffer(self.execution, _TOLD.size)

    def read_event(self, payload: bytes | memoryview) -> int:
        """The order id of an event about an order of ours; 0: not read here."""
        order_id: int = lib.execution_read_event(self.native, ffi.from_buffer(payload), len(payload))
        return order_id

    def read_answer(self, payload: bytes | memoryview) -> int:
        """The request number of a good answer; 0: not read here."""
        number: int = lib.execution_read_answer(self.native, ffi.from_buffer(payload), len(payload))
        return number

    def told(self) -> tuple[int, int, int, int, int]:
        """(order id, request number, venue order id, report kind, order status) of what was read last."""
        return _TOLD.unpack_from(self._told_room)


class PrivateBytes:
    """The bytes of one private connection as they lie in its read buffer: `private_take` goes from frame to frame."""

    __slots__ = ("_buffer", "_bytes", "_reader", "native")

    def __init__(self, reader: ExecutionReader, *, is_user: bool) -> None:
        self._reader = reader  # What the struct points to.
        self.native = ffi.new("private_stream_t *")
        self.native.reader = reader.native
        self.native.is_user = is_user
        self.bind(bytearray())

    def bind(self, buffer: bytearray) -> None:
        """From now on its bytes are in this buffer, which must not change its size meanwhile."""
        self._buffer, self._bytes = buffer, ffi.from_buffer("char[]", buffer)
        self.native.bytes = self._bytes

    @property
    def needed(self) -> int:
        """PRIVATE_TAKEN: bytes of the frame that has begun, head and all; 0: not known yet."""
        return int(self.native.needed)

    @property
    def opcode(self) -> int:
        """PRIVATE_CONTROL: the first byte of the frame."""
        return int(self.native.opcode)

    def payload(self) -> memoryview:
        """Of the frame that it stopped at; valid until the buffer is read into again."""
        native = self.native
        return memoryview(self._buffer)[native.payload : native.payload + native.size]
