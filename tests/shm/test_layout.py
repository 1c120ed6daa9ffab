"""One C declaration, three views of it: they agree on every offset."""

import struct

import numpy as np
from cffi import FFI

from shm.layout import dtype_of, enum_of, format_of, size_of, view_maker

ffi = FFI()
ffi.cdef(
    """
    typedef enum colour { COLOUR_RED = 2, COLOUR_BLUE = -1 } colour_e;
    typedef struct inner { int16_t small; double ratio; } inner_t;
    typedef struct outer { char name[5]; uint32_t counts[3]; inner_t inner; uint64_t last; } outer_t;
    """
)


def test_numpy_and_the_view_see_the_same_bytes() -> None:
    memory = ffi.new("outer_t[2]")
    rows = np.frombuffer(ffi.buffer(memory), dtype=dtype_of(ffi, "outer_t"))
    view = view_maker(ffi, "outer_t")(int(ffi.cast("uintptr_t", memory)) + size_of(ffi, "outer_t"))
    view.name, view.counts[2], view.inner.ratio, view.last = b"abc", 7, 0.5, 9
    assert rows[1]["name"] == b"abc"
    assert list(rows[1]["counts"]) == [0, 0, 7]
    assert rows[1]["inner"]["ratio"] == 0.5
    assert rows[1]["last"] == 9
    assert not rows[0].tobytes().strip(b"\0")


def test_a_format_reads_and_writes_the_named_fields_in_the_order_of_memory() -> None:
    memory = ffi.new("outer_t *")
    text, fields = format_of(ffi, "outer_t", ("last", "counts[2]", "inner.ratio", "name"))
    assert fields == ("name", "counts[2]", "inner.ratio", "last")
    memory.counts[0] = 5
    struct.pack_into(text, ffi.buffer(memory), 0, b"abc", 7, 0.5, 2**64 - 1)
    assert (ffi.string(memory.name), memory.counts[2], memory.inner.ratio, memory.last) == (b"abc", 7, 0.5, 2**64 - 1)
    assert memory.counts[0] == 0, "what is not named is zeroed"
    assert struct.unpack_from(text, ffi.buffer(memory)) == (b"abc\0\0", 7, 0.5, 2**64 - 1)
    raw, _ = format_of(ffi, "outer_t", ("counts[1:3]",))
    assert struct.unpack_from(raw, ffi.buffer(memory)) == (struct.pack("<II", 0, 7),), "some numbers as they are"
    signed, _ = format_of(ffi, "outer_t", ("last",), is_signed=True)
    assert struct.unpack_from(signed, ffi.buffer(memory)) == (-1,)


def test_an_enum_loses_its_prefix_and_keeps_its_values() -> None:
    colour = enum_of(ffi, "colour_e", "COLOUR_")
    assert [(member.name, member.value) for member in colour] == [("BLUE", -1), ("RED", 2)]
