"""Places as bytes, filled in C from a text with holes: the Python face of cffi_build/include/requests.h."""

from typing import Any, Final

from reactor._native import ffi, lib
from reactor.domain.instrument import Instrument

NUMBER: Final = b"%c" % lib.HOLE_NUMBER
CLIENT_ORDER_ID: Final = b"%c" % lib.HOLE_CLIENT_ORDER_ID
PRICE: Final = b"%c" % lib.HOLE_PRICE
QUANTITY: Final = b"%c" % lib.HOLE_QUANTITY
TIMESTAMP: Final = b"%c" % lib.HOLE_TIMESTAMP
_HOLES: Final = (NUMBER, CLIENT_ORDER_ID, PRICE, QUANTITY, TIMESTAMP)


class PlaceTemplate:
    """One kind of place on one instrument: its request, and what of it is signed (b"": nothing)."""

    __slots__ = ("_kept", "fill", "frame", "native", "signed")

    def __init__(self, instrument: Instrument, frame: bytes, signed: bytes) -> None:
        """`frame` is the whole request, or what stands in front of its signature."""
        native = self.native = ffi.new("place_template_t *")
        signed_room, frame_room = _room(signed), _room(frame)
        texts = ffi.new("char[]", signed), ffi.new("char[]", frame)
        native.signed_text, native.signed_size, native.signed_room = texts[0], len(signed), signed_room
        native.frame, native.frame_size, native.frame_room = texts[1], len(frame), frame_room
        native.tick_size, native.price_decimals = instrument.tick_size, instrument.price_decimals
        native.lot_size, native.quantity_decimals = instrument.lot_size, instrument.quantity_decimals
        self._kept = (texts, signed_room, frame_room)  # What the struct points to.
        self.signed = memoryview(ffi.buffer(signed_room))
        self.frame = memoryview(ffi.buffer(frame_room))
        self.fill = lib.place_fill
        """(native, place, client order id, number, ms) → size of `signed` << 32 | size of `frame`; 0: not possible."""


def _room(text: bytes) -> Any:
    return ffi.new("char[]", len(text) + sum(text.count(hole) for hole in _HOLES) * lib.HOLE_SIZE_MAX + 1)
