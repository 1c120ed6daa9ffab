"""One venue's frames from several sessions, decoded and de-duplicated: the Python face of cffi_build/include/intake.h.

    bits = intake.take(session, payload, receive_ns)      bits & TOP_PRICE, slot = bits >> 16

The newest state of every symbol (book top, last trade, mark price) stands in `intake.top(slot)`; the frame just decoded in
`intake.frame`, its levels in `intake.buffer`.
"""

from collections.abc import Callable
from typing import Any, Final

from reactor._native import ffi, lib
from reactor.domain.instrument import Instrument
from reactor.domain.messages import INSTRUMENTS_MAX, NO_INSTRUMENT, address_of
from reactor.market.book import Book, LevelBuffer
from shm.layout import Form, enum_of, places_of, size_of

FrameKind: Any = enum_of(ffi, "frame_kind_e", "FRAME_")
FrameError: Any = enum_of(ffi, "frame_error_e", "FRAME_")

TOP_PRICE: Final[int] = lib.INTAKE_TOP_PRICE
TOP: Final[int] = lib.INTAKE_TOP
TRADE: Final[int] = lib.INTAKE_TRADE
MARK: Final[int] = lib.INTAKE_MARK
DEPTH: Final[int] = lib.INTAKE_DEPTH
DUPLICATE: Final[int] = lib.INTAKE_DUPLICATE
REFUSED: Final[int] = lib.INTAKE_REFUSED
CONTROL: Final[int] = lib.INTAKE_CONTROL
QUIET: Final[int] = lib.INTAKE_QUIET
APPLIED: Final[int] = lib.INTAKE_APPLIED
CROSSED: Final[int] = lib.INTAKE_CROSSED
WAKE: Final[int] = lib.INTAKE_WAKE
NO_SLOT: Final[int] = lib.NO_SLOT

FLAG_BUYER_IS_MAKER: Final[int] = lib.FRAME_BUYER_IS_MAKER
FLAG_OFF_BOOK: Final[int] = lib.FRAME_OFF_BOOK
FLAG_COMBINED: Final[int] = lib.FRAME_COMBINED
FLAG_SEEN: Final[int] = lib.FRAME_SEEN

STREAM_STOP_SHIFT: Final[int] = lib.STREAM_STOP_SHIFT
STREAM_MOVED: Final[int] = 1 << lib.STREAM_MOVED_SHIFT
STREAM_TAKEN: Final[int] = lib.STREAM_TAKEN
STREAM_FRAME: Final[int] = lib.STREAM_FRAME
STREAM_CONTROL: Final[int] = lib.STREAM_CONTROL
STREAM_BROKEN: Final[int] = lib.STREAM_BROKEN

take_stream: Callable[[Any, int, int, int], int] = lib.intake_take_stream
next_moved: Callable[[Any], int] = lib.intake_next_moved
"""(intake.native): the top that moved inside of streams first, and forgets it: slot << 16 | TOP bits | MORE. 0: none did."""
MORE: Final[int] = lib.INTAKE_MORE
show_top: Callable[[Any], int] = lib.top_row_show
"""(a top_row): shows the top to other roles if it changed since it was shown."""
_STOP = Form(size_of(ffi, "stream_t"), -1, places_of(ffi, "stream_t", ("bits", "opcode", "payload", "size")))
_read_stop: Final[Callable[[int], tuple[int, int, int, int]]] = _STOP.read
_BUCKETS = 4 * INSTRUMENTS_MAX  # A sparse hash: a look-up compares one name.


class Symbols:
    """The symbols of one venue that a decoder can read."""

    __slots__ = ("_arrays", "native")

    def __init__(self) -> None:
        self.native = ffi.new("symbols_t *")
        self._arrays = (ffi.new("symbol_t[]", INSTRUMENTS_MAX), ffi.new("uint16_t[]", _BUCKETS))
        lib.symbols_init(self.native, self._arrays[0], INSTRUMENTS_MAX, self._arrays[1], _BUCKETS)

    def add(self, instrument: Instrument) -> int:
        """Adds an instrument of the table. Returns its slot (the old one if it is there).

        Raises:
            ValueError: there is no room, or the symbol is too long.
        """
        return add_symbol(self.native, instrument)

    def find(self, symbol: str) -> int:
        """The slot of a symbol, -1 if it is not there."""
        name = symbol.encode()
        return int(lib.symbols_find(self.native, name, len(name)))


def add_symbol(symbols: Any, instrument: Instrument | str) -> int:
    """Adds an instrument, or a bare symbol whose prices nobody can read (ids only), to a native table."""
    if isinstance(instrument, str):
        name = instrument.encode()
        slot = lib.symbols_add(symbols, name, len(name), NO_INSTRUMENT, 0, 1, 0, 1)
    else:
        name = instrument.symbol.encode()
        slot = lib.symbols_add(
            symbols, name, len(name), instrument.instrument_index, instrument.price_decimals, instrument.tick_size,
            instrument.quantity_decimals, instrument.lot_size,
        )  # fmt: skip
    if slot < 0:
        limits = f"at most {INSTRUMENTS_MAX}, each shorter than {lib.SYMBOL_SIZE} bytes"
        raise ValueError(f"no room for symbol {name.decode()!r}: {limits}")
    return int(slot)


class FrameDecoder:
    """Decodes single frames: for the recorder, for replays and for REST bodies. It de-duplicates nothing."""

    __slots__ = ("buffer", "frame", "symbols")

    def __init__(self, symbols: Symbols, capacity: int = 8192) -> None:
        self.symbols = symbols
        self.buffer = LevelBuffer(capacity)
        self.frame = ffi.new("frame_t *")

    def decode(self, payload: bytes | memoryview, slot_hint: int = -1) -> int:
        """Fills `frame` and `buffer`. Returns the FrameKind; FrameKind.MALFORMED with the reason in `frame.error`."""
        buffer = self.buffer
        levels = (buffer.bids, buffer.asks, buffer.capacity)
        symbols = self.symbols.native
        return int(lib.frame_decode(ffi.from_buffer(payload), len(payload), symbols, slot_hint, self.frame, *levels))


class Session:
    """What one connection brought: counters that the intake writes."""

    __slots__ = ("native",)

    def __init__(self) -> None:
        self.native = ffi.new("session_t *")

    def has_seen(self, slot: int, kind: int) -> bool:
        """True once a frame of `kind` came for the symbol."""
        return bool(self.native.seen[slot] >> kind & 1)


class StreamTaker:
    """Takes the bytes of one connection as they lie in its read buffer: one call for all frames that nobody must decide on.

        result = take_stream(taker.native, start, end, receive_ns)

    takes the frames of buffer[start:end] and returns where it stands, behind the last one taken. Above that (STREAM_STOP_SHIFT)
    stands why it stopped, and STREAM_MOVED if tops have moved: `end` itself means that all is taken and nothing else happened.
    """

    __slots__ = ("_address", "_bytes", "_parts", "_view", "native")

    def __init__(self, intake: "Intake", session: Session) -> None:
        self._parts = (intake, session)  # What the struct points to.
        self.native = ffi.new("stream_t *")
        self.native.intake = intake.native
        self.native.session = session.native
        self._address = address_of(self.native)
        self.bind(bytearray())

    def bind(self, buffer: bytearray) -> None:
        """From now on its bytes are in this buffer, which must not change its size meanwhile."""
        self._view, self._bytes = memoryview(buffer), ffi.from_buffer("char[]", buffer)
        self.native.bytes = self._bytes

    def attend(self, attention: int) -> None:
        """Stops at frames with these bits; tops that moved are noted."""
        self.native.attention = attention

    @property
    def needed(self) -> int:
        """Bytes of the frame that has begun, head and all; 0: not known yet."""
        return int(self.native.needed)

    def frame(self) -> tuple[int, memoryview]:
        """STREAM_FRAME: (what `Intake.take` would have said, the payload). Valid until the buffer is read into again."""
        bits, _, first, size = _read_stop(self._address)
        return bits, self._view[first : first + size]

    def control(self) -> tuple[int, bytes]:
        """STREAM_CONTROL: (the first byte of the frame, the payload)."""
        _, opcode, first, size = _read_stop(self._address)
        return opcode, bytes(self._view[first : first + size])


class Intake:
    """One stream out of the sessions of one venue."""

    __slots__ = ("_arrays", "_dirty", "_moved", "_states", "_symbols", "buffer", "frame", "native")

    def __init__(self) -> None:
        self.buffer = LevelBuffer()
        self._states = ffi.new("state_t[]", INSTRUMENTS_MAX)
        self.native = ffi.new("intake_t *")
        self._symbols = ffi.addressof(self.native, "symbols")
        self._arrays = (ffi.new("symbol_t[]", INSTRUMENTS_MAX), ffi.new("uint16_t[]", _BUCKETS))
        lib.symbols_init(self._symbols, self._arrays[0], INSTRUMENTS_MAX, self._arrays[1], _BUCKETS)
        self._dirty = ffi.new("uint16_t[]", INSTRUMENTS_MAX)
        self._moved = ffi.new("uint16_t[]", INSTRUMENTS_MAX)
        self.native.moved = self._moved
        self.native.states = self._states
        self.native.dirty = self._dirty
        self.native.bids = self.buffer.bids
        self.native.asks = self.buffer.asks
        self.native.level_capacity = self.buffer.capacity
        self.frame = ffi.addressof(self.native, "frame")

    def add(self, instrument: Instrument | str) -> int:
        """Adds a symbol (a bare string: ids only, no prices). Returns its slot."""
        return add_symbol(self._symbols, instrument)

    def find(self, symbol: str) -> int:
        """The slot of a symbol, -1 if it is not there."""
        name = symbol.encode()
        return int(lib.symbols_find(self._symbols, name, len(name)))

    def take(self, session: Session, payload: bytes | memoryview, receive_ns: int) -> int:
        """Takes one frame. Returns the bits above | slot << 16."""
        return int(lib.intake_take(self.native, session.native, ffi.from_buffer(payload), len(payload), receive_ns))

    def taker(self, session: Session) -> Callable[[memoryview, int], int]:
        """`take` for one session with every name resolved: (payload, receive_ns) → bits."""
        take, from_buffer, native, own = lib.intake_take, ffi.from_buffer, self.native, session.native
        return lambda payload, receive_ns: take(native, own, from_buffer(payload), len(payload), receive_ns)

    def decode_body(self, body: bytes, slot: int) -> int:
        """Decodes a REST depth body into `frame` and `buffer`. Returns the FrameKind. Never called inside `take`."""
        levels = (self.buffer.bids, self.buffer.asks, self.buffer.capacity)
        return int(lib.frame_decode(ffi.from_buffer(body), len(body), self._symbols, slot, self.frame, *levels))

    def take_book(self, slot: int, book: Book, receive_ns: int, exchange_ns: int) -> int:
        """Takes the best levels of a book into the top, unless the top is newer. Returns TOP bits."""
        return int(lib.intake_take_book(self.native, slot, book.native, receive_ns, exchange_ns))

    def arm(self, slot: int, book: Book, rule: int) -> None:
        """Deltas that continue the book are applied inside `take` (APPLIED) until one does not (DEPTH). Keep the book alive."""
        lib.intake_arm(self.native, slot, book.native, rule)

    def disarm(self, slot: int) -> None:
        """Every delta is handed out as DEPTH again."""
        lib.intake_disarm(self.native, slot)

    def mark(self, slot: int) -> None:
        """Puts a symbol on the list of tops that changed."""
        lib.intake_mark(self.native, slot)

    def take_dirty(self) -> list[int]:
        """The slots whose top changed since last time, each once; those shown meanwhile are left out."""
        native = self.native
        if not native.dirty_count:
            return []
        states, slots = self._states, []
        for slot in self._dirty[0 : native.dirty_count]:
            state = states[slot]
            state.is_listed = 0
            if state.is_dirty:
                state.is_dirty = 0
                slots.append(slot)
        native.dirty_count = 0
        return slots

    def forget(self, slot: int) -> None:
        """Forgets the ids seen of one symbol: the venue may begin anew, lower."""
        lib.intake_forget(self.native, slot)

    def top(self, slot: int) -> Any:
        """The `book_top_t` of a symbol, in place."""
        return ffi.addressof(self._states[slot], "top")

    def state(self, slot: int) -> Any:
        """The `state_t` of a symbol, in place."""
        return ffi.addressof(self._states, slot)

    def top_row(self, slot: int, segment: int, index: int) -> Any:
        """A top_row_t: the top of a symbol is shown as row `index` of the seqlocked segment at that address."""
        row = ffi.new("top_row_t *")
        row.state, row.segment, row.index = self.state(slot), ffi.cast("void *", segment), index
        return row

    def set_depth_id(self, slot: int, depth_id: int) -> None:
        """Deltas of the symbol up to this id are duplicates from now on."""
        self.native.symbols.slots[slot].depth_id = depth_id
