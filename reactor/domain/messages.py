"""Python's view of cffi_build/include/messages.h: enums, flags, slot views and dtypes, all derived, none typed twice.

Reach one message through a prebuilt cffi view (`signal_view(address)`, a field costs about 20 ns) and many through numpy
(`SIGNAL_DTYPE`). What each field means stands in the header.
"""

import struct
from collections.abc import Callable
from typing import Any

from reactor._native import ffi, lib
from shm.layout import Form, dtype_of, enum_of, format_of, places_of, size_of, view_maker

INSTRUMENTS_MAX: int = lib.INSTRUMENTS_MAX
SIGNAL_VALUES_MAX: int = lib.SIGNAL_VALUES_MAX
QUOTES_PER_MESSAGE: int = lib.QUOTES_PER_MESSAGE
CLIENT_ORDER_ID_SIZE: int = lib.CLIENT_ORDER_ID_SIZE
COUNTERS_MAX: int = lib.COUNTERS_MAX
# The enums are made from the C header, so a type checker cannot see their members; values travel as plain ints.
NO_INSTRUMENT = 0xFFFF
NO_PAIR = 0xFFFFFFFF
NO_STRATEGY = 0xFFFF  # An order that no hosted strategy asked for: none of them hears of it.

Venue: Any = enum_of(ffi, "venue_e", "VENUE_")
Side: Any = enum_of(ffi, "side_e", "SIDE_")
OrderType: Any = enum_of(ffi, "order_type_e", "ORDER_TYPE_")
TimeInForce: Any = enum_of(ffi, "time_in_force_e", "TIF_")
Stage: Any = enum_of(ffi, "stage_e", "STAGE_")
SignalType: Any = enum_of(ffi, "signal_type_e", "SIGNAL_")
EventKind: Any = enum_of(ffi, "event_kind_e", "EVENT_")
CommandKind: Any = enum_of(ffi, "command_kind_e", "COMMAND_")
ReportKind: Any = enum_of(ffi, "report_kind_e", "REPORT_")
OrderStatus: Any = enum_of(ffi, "order_status_e", "ORDER_STATUS_")
Reason: Any = enum_of(ffi, "reason_e", "REASON_")
CloseReason: Any = enum_of(ffi, "close_reason_e", "CLOSE_")
ResponseKind: Any = enum_of(ffi, "response_kind_e", "RESPONSE_")
ControlKind: Any = enum_of(ffi, "control_kind_e", "CONTROL_")
LifeState: Any = enum_of(ffi, "life_state_e", "LIFE_")
KillSwitch: Any = enum_of(ffi, "kill_switch_e", "KILL_SWITCH_")
JournalKind: Any = enum_of(ffi, "journal_kind_e", "JOURNAL_")
MarketKind: Any = enum_of(ffi, "market_kind_e", "MARKET_")

FLAG_REDUCE_ONLY: int = lib.FLAG_REDUCE_ONLY
FLAG_URGENT: int = lib.FLAG_URGENT
FLAG_HEDGE: int = lib.FLAG_HEDGE
FLAG_LAST_PART: int = lib.FLAG_LAST_PART
FLAG_MAKER: int = lib.FLAG_MAKER
FLAG_OURS: int = lib.FLAG_OURS
FLAG_CLOSE: int = lib.FLAG_CLOSE
FLAGS_OF_CAUSE: int = FLAG_HEDGE | FLAG_CLOSE  # FLAG_HEDGE alone: a fill is behind it. Both: a close, with a hedge's rights.
FLAG_REPLAYED: int = lib.FLAG_REPLAYED
FLAG_FOREIGN: int = lib.FLAG_FOREIGN
FLAG_LIQUIDATION: int = lib.FLAG_LIQUIDATION
FLAG_QUOTE: int = lib.FLAG_QUOTE

MESSAGE_STRUCTS = {
    "signal": "signal_message_t",
    "event": "event_message_t",
    "command": "command_message_t",
    "report": "report_message_t",
    "response": "response_message_t",
    "market": "market_message_t",
    "journal": "journal_message_t",
    "control": "control_message_t",
    "log": "log_message_t",
}
SEGMENT_STRUCTS = {
    "instrument": "instrument_t",
    "book_top": "book_top_t",
    "position": "position_row_t",
    "risk": "risk_summary_t",
    "metrics": "role_metrics_t",
}
_STRUCTS = MESSAGE_STRUCTS | SEGMENT_STRUCTS


class Dtypes(dict[str, Any]):
    """The numpy dtype of each layout, made when it is first asked for: hot roles ask for none, and numpy is 12 MB."""

    def __missing__(self, name: str) -> Any:
        made = self[name] = dtype_of(ffi, _STRUCTS[name])
        return made


VIEW = {name: view_maker(ffi, struct) for name, struct in _STRUCTS.items()}
SIZE = {name: size_of(ffi, struct) for name, struct in _STRUCTS.items()}
DTYPE = Dtypes()
FIELDS = {name: tuple(field for field, _ in ffi.typeof(struct).fields) for name, struct in _STRUCTS.items()}
HEADER_SIZE = size_of(ffi, "message_header_t")  # every message begins with it
_STAGES_AT = ffi.offsetof("message_header_t", "stage_ns")
WAY = slice(_STAGES_AT, _STAGES_AT + 8 * Stage.REPORT)
"""The stamps of a decision's way, RECEIVE … ACK, among the bytes of any message: `bytes_of(view, name)[WAY]`."""


def new(name: str) -> Any:
    """A zeroed message of our own memory, for tests and templates: `new("signal")`. Keep the returned owner alive."""
    return ffi.new(f"{_STRUCTS[name]} *")


def copy(target: Any, source: Any, name: str) -> None:
    """Copies a whole message of layout `name` between two views."""
    ffi.memmove(target, source, SIZE[name])


def copier(name: str) -> Callable[[Any, Any], None]:
    """`copy` with the layout chosen once, at start: `copy_signal(target, source)`."""
    size, move = SIZE[name], ffi.memmove
    return lambda target, source: move(target, source, size)


def copy_header(target: Any, source: Any) -> None:
    """Copies the header of one message to another of any layout: who continues a decision starts with this."""
    ffi.memmove(target, source, HEADER_SIZE)


def raw_bytes(view: Any, name: str) -> bytes:
    """A whole message as it stands in memory."""
    return bytes(ffi.buffer(view, SIZE[name]))


def view_in(room: Any, index: int, name: str) -> Any:
    """The view of message number `index` among messages that lie behind one another in a buffer. Keep the buffer alive."""
    return VIEW[name](int(ffi.cast("uintptr_t", ffi.from_buffer(room))) + index * SIZE[name])


def room_for(count: int, name: str) -> tuple[bytearray, Any]:
    """(room for `count` messages behind one another, the pointer to it)."""
    room = bytearray(count * SIZE[name])
    return room, ffi.from_buffer(room)


def struct_format(name: str, fields: tuple[str, ...], is_signed: bool = False) -> tuple[str, tuple[str, ...]]:
    """The `struct` format of some fields of a layout: shm/layout.py, format_of."""
    return format_of(ffi, _STRUCTS[name], fields, is_signed)


def packer(name: str, fields: tuple[str, ...]) -> Callable[..., None]:
    """A function that writes a whole message in one crossing: `pack(room, at, *values)`, `room`: `bytes_of(view, name)` and 0,
    or that of `room_for` and where the message begins in it.

    The values are those of `fields`, which are listed as they lie in memory; everything else becomes 0. Five times as fast as
    field by field. A value that does not fit its field raises struct.error.
    """
    text, ordered = struct_format(name, fields)
    assert ordered == fields, f"{name}: list the fields as they lie in memory: {ordered}"
    return struct.Struct(text).pack_into


def unpacker(name: str, fields: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that reads some fields in one crossing: `read(bytes_of(view, name))`. List them as they lie in memory."""
    text, ordered = struct_format(name, fields)
    assert ordered == fields, f"{name}: list the fields as they lie in memory: {ordered}"
    assert len(fields) != 20, "CPython 3.11 never gives a freed tuple of twenty out again: read one field more or less"
    return struct.Struct(text).unpack_from


def form(name: str, fields: tuple[str, ...]) -> Form:
    """Some fields of a layout for who is on the way of a tick to an order: `struct` does the same in ten times as much code,
    which is cold between two orders. Its values come and go in the order of `fields`; the number of a message written by
    `ring.try_put()` is not among them. A value that does not fit its field raises OverflowError.
    """
    assert len(fields) != 19, "with the view twenty, of which CPython 3.11 keeps none: read one field more or less"
    sequence_at = ffi.offsetof("message_header_t", "sequence") if name in MESSAGE_STRUCTS else -1
    return Form(SIZE[name], sequence_at, places_of(ffi, _STRUCTS[name], fields))


def address_of(view: Any) -> int:
    """Where a message lies, for `Form.read` and `Form.put`."""
    return int(ffi.cast("uintptr_t", view))


def bytes_of(view: Any, name: str) -> Any:
    """The bytes of a whole message, to be written in place. Costs 140 ns: keep it where the same view comes again."""
    return ffi.buffer(view, SIZE[name])


def clear(target: Any, name: str) -> None:
    """Zeroes a whole message, so that no stale bytes travel."""
    lib.message_clear(target, SIZE[name])


signal_tell: Callable[[Any, Any, int, int, int], None] = lib.signal_tell
"""(target, signal_source_t, signal_id, receive_ns, now_ns): tops shown, then the message, finished, in its slot."""


def signal_source(message: Any, top: Any, hedge_top: Any, row: Any, hedge_row: Any) -> Any:
    """What `signal_tell` needs of one signal. NO_TOP and NO_ROW where there is none; keep what they point to alive."""
    source = ffi.new("signal_source_t *")
    source.message, source.top, source.hedge = message, top, hedge_top
    source.row, source.hedge_row = row, hedge_row
    return source


signal_key: Callable[[Any], int] = lib.signal_key
"""(signal): header.kind << 32 | signal_index."""

number: Callable[[Any, int], None] = lib.message_number
"""(message, sequence): its number on its link, in a message of any layout."""

signal_hedge: Callable[[Any], int] = lib.signal_hedge
"""(signal): header.hedge_instrument_index."""

signal_value: Callable[[Any, int], float] = lib.signal_value
"""(signal, at): values[at]."""

event_open: Callable[[Any, Any, int, int, int, int, float, float, float], None] = lib.event_open
"""(event, signal, pair_id, open leg, hedge leg, direction, spread, percentile, funding rate): the wish to open a pair."""

event_order: Callable[[Any, Any, int, int, int, int, int, int], None] = lib.event_order
"""(event, signal, instrument, side, order type, time in force, price ticks, lots): the wish for one order, and its tops."""

event_close: Callable[[Any, Any, int, int, int, int], None] = lib.event_close
"""(event, signal, pair_id, open leg, hedge leg, reason): the wish to close one."""

signal_keep: Callable[[Any, Any], int] = lib.signal_keep
"""(last, signal): keeps a whole signal; returns when it was made, 0 if nobody said."""

event_begin: Callable[[Any, Any, int], None] = lib.event_begin
"""(event, cause, strategy_index): an empty event that continues the header of its cause, without its flags."""

event_is_sound: Callable[[Any, int], int] = lib.event_is_sound
"""(event, number of instruments): 0 if it is about what does not exist; reactor/collector/triggers/trigger.py says what."""

event_finish: Callable[[Any, Any, int, int, int, int, int], None] = lib.event_finish
"""(target, event, sequence, source, trigger_index, flags, now_ns): the event, finished, in its slot."""

book_top_update: Callable[[Any, float, Any], int] = lib.book_top_update
"""(book top, half a tick, doubles): mid and spread in price units; 0 if the book cannot be believed."""

tops_spreads: Callable[[Any, Any, float, Any], int] = lib.tops_spreads
"""(open top, hedge top, ratio of the ticks, doubles[2]): both spreads of a pair; 0 if a book cannot be believed."""

NO_TOP: Any = ffi.NULL
NO_ROW: Any = ffi.NULL


def doubles(count: int) -> Any:
    """Room for `count` doubles that C fills."""
    return ffi.new("double[]", count)


def text_of(field: Any) -> str:
    """The string in a NUL-padded char array field."""
    return str(ffi.string(field).decode("ascii", "replace"))


def raw_text(field: Any) -> bytes:
    """The bytes of a NUL-padded char array field: what goes onto a wire as it is."""
    raw: bytes = ffi.string(field)
    return raw


def put_text(field: Any, value: str | bytes) -> None:
    """Writes a NUL-padded char array field. Cuts what does not fit (the last byte stays NUL)."""
    raw = value.encode("ascii", "replace") if isinstance(value, str) else value
    size = len(field)
    raw = raw[: size - 1]
    ffi.memmove(field, raw.ljust(size, b"\0"), size)


def signal_index(signal_type: int, instrument_index: int) -> int:
    """The place of a signal in the signal table: one slot per (type, instrument)."""
    return signal_type * INSTRUMENTS_MAX + instrument_index
