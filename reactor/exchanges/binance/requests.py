"""Places as bytes, filled in C from a text with holes: the Python face of cffi_build/include/requests.h."""

from collections.abc import Callable
from typing import Any, Final

from reactor._native import ffi, lib
from reactor.domain.instrument import Instrument

NUMBER: Final = b"%c" % lib.HOLE_NUMBER
CLIENT_ORDER_ID: Final = b"%c" % lib.HOLE_CLIENT_ORDER_ID
PRICE: Final = b"%c" % lib.HOLE_PRICE
QUANTITY: Final = b"%c" % lib.HOLE_QUANTITY
TIMESTAMP: Final = b"%c" % lib.HOLE_TIMESTAMP
SIGNATURE: Final = b"%c" % lib.HOLE_SIGNATURE
IMPOSSIBLE: Final[int] = lib.PLACE_IMPOSSIBLE
NO_ROOM: Final[int] = lib.OUTBOX_NO_ROOM
_HOLES: Final = (NUMBER, CLIENT_ORDER_ID, PRICE, QUANTITY, TIMESTAMP, SIGNATURE)


class HmacKey:
    """A secret that signs in C (cffi_build/include/hmac.h)."""

    __slots__ = ("native",)

    def __init__(self, secret: bytes) -> None:
        self.native = ffi.new("hmac_key_t *")
        lib.hmac_key_init(self.native, secret, len(secret))

    def sign(self, payload: bytes) -> bytes:
        """64 lower-case hex digits."""
        room = ffi.new("char[]", lib.SIGNATURE_SIZE)
        lib.hmac_sign(self.native, payload, len(payload), room)
        return bytes(ffi.buffer(room))

    def __repr__(self) -> str:
        return "HmacKey(secret hidden)"


class PlaceTemplate:
    """One kind of place on one instrument: its request, and what of it is signed."""

    __slots__ = ("_kept", "fill", "frame", "native", "send")

    def __init__(self, instrument: Instrument, frame: bytes, signed: bytes = b"", key: HmacKey | None = None) -> None:
        """`frame` is the whole request; without a key it has no place for a signature."""
        native = self.native = ffi.new("place_template_t *")
        signed_room, frame_room = _room(signed), _room(frame)
        texts = ffi.new("char[]", signed), ffi.new("char[]", frame)
        native.signed_text, native.signed_size, native.signed_room = texts[0], len(signed), signed_room
        native.frame, native.frame_size, native.frame_room = texts[1], len(frame), frame_room
        native.tick_size, native.price_decimals = instrument.tick_size, instrument.price_decimals
        native.lot_size, native.quantity_decimals = instrument.lot_size, instrument.quantity_decimals
        native.key = ffi.NULL if key is None else key.native
        self._kept = (texts, signed_room, frame_room, key)  # What the struct points to.
        self.frame = memoryview(ffi.buffer(frame_room))
        self.fill: Callable[[Any, Any, bytes, int, int], int] = lib.place_fill
        """(native, place, client order id, number, ms) → size of what stands in `frame` now; 0: not possible."""
        self.send: Callable[[Any, Any, int, int, Any, int], int] = lib.place_send
        """(native, place, number, ms, outbox, fd) → bytes that wait still, OUTBOX_NO_ROOM, PLACE_IMPOSSIBLE or −errno."""


def _room(text: bytes) -> Any:
    return ffi.new("char[]", len(text) + sum(text.count(hole) for hole in _HOLES) * lib.HOLE_SIZE_MAX + 1)
