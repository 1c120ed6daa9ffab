"""A form against `struct`, which says the same in more code."""

import ctypes
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.domain.messages import SIZE, VIEW, address_of, form, new, raw_bytes, struct_format
from shm.layout import Form
from shm.ring import NORMAL, heap_ring

FIELDS = (
    "header.signal_id", "header.exchange_ns", "header.stage_ns[3]", "header.kind", "header.flags", "header.pair_id",
    "client_order_id", "venue", "side", "order_type", "time_in_force", "price_ticks", "quantity_lots", "deadline_ns",
    "request_id",
)  # fmt: skip
RANGES = {
    "b": (-128, 127),
    "h": (-(1 << 15), (1 << 15) - 1),
    "i": (-(1 << 31), (1 << 31) - 1),
    "q": (-(1 << 63), (1 << 63) - 1),
}


def field(code: str) -> st.SearchStrategy[Any]:
    low, high = RANGES[code.lower()]
    if code.isupper():
        low, high = 0, high - low
    return st.one_of(st.integers(low, high), st.sampled_from((low, high)))


@given(st.data(), st.permutations("bBhHiIqQ"))
def test_every_kind_of_field_is_written_and_read_as_struct_does(data: st.DataObject, codes: list[str]) -> None:
    text = "<" + "".join(codes) + "4sd"
    places, at = [], 0
    for code in codes:
        places.append((code, at, struct.calcsize("<" + code)))
        at += places[-1][2]
    tested = Form(at + 12 + 4, -1, (*places, ("s", at, 4), ("d", at + 4, 8)))
    values = (*(data.draw(field(code)) for code in codes), data.draw(st.binary(min_size=4, max_size=4)), data.draw(st.floats()))
    tested.pack(*values)
    room = bytearray(b"\xff" * (at + 16))
    address = ctypes.addressof((ctypes.c_char * len(room)).from_buffer(room))
    tested.put(address)
    assert bytes(room) == struct.pack(text, *values) + bytes(4), "what no field says is zero"
    assert struct.pack(text, *tested.read(address)) == bytes(room[:-4])


@pytest.mark.parametrize("code", "bBhHiIqQ")
def test_what_does_not_fit_a_field_is_refused(code: str) -> None:
    size = struct.calcsize(code)
    tested = Form(8, -1, ((code, 0, size),))
    low, high = RANGES[code.lower()]
    low, high = (0, high - low) if code.isupper() else (low, high)
    for value in (low - 1, high + 1):
        with pytest.raises(OverflowError):
            tested.pack(value)
    tested.pack(low)
    tested.pack(high)


def test_a_text_that_is_too_long_wrong_counts_and_wrong_types_are_refused() -> None:
    tested = Form(8, -1, (("s", 0, 4),))
    tested.pack(b"ab")
    for values, error in (((b"abcde",), OverflowError), ((), TypeError), ((b"a", b"b"), TypeError), ((1,), TypeError)):
        with pytest.raises(error):
            tested.pack(*values)
    for size, fields, why in ((8, (("q", 4, 8),), "no form has"), (8, (("x", 0, 1),), "no form has"), (4096, (), "too large")):
        with pytest.raises(ValueError, match=why):
            Form(size, -1, fields)


def test_a_message_put_into_a_ring_is_the_one_taken_from_it() -> None:
    commands = form("command", FIELDS)
    producer, consumer = heap_ring(4, SIZE["command"], VIEW["command"])
    sent = [(number, 2, 3, 1, 5, 6, b"x" * 20 + bytes(16), 1, -1, 1, 2, -77, 1 << 40, 9, 1 << 63) for number in range(1, 8)]
    written = [producer.try_put(NORMAL, commands, *values) for values in sent]
    assert written == [1, 2, 3, 4, 0, 0, 0], "the number of each; 0: full"
    assert consumer.try_take(NORMAL, commands) is None, "not committed"
    producer.commit(NORMAL)
    for number, values in enumerate(sent[:4], 1):
        view, *taken = consumer.try_take(NORMAL, commands)
        size = len(taken[6])
        assert taken == [*values[:6], values[6][:size].ljust(size, b"\0"), *values[7:]]
        assert (view.header.sequence, view.price_ticks, view.side) == (number, -77, -1)
        assert tuple(commands.read(address_of(view))) == tuple(taken)
    assert consumer.try_take(NORMAL, commands) is None
    consumer.release(NORMAL)
    with pytest.raises(TypeError):
        consumer.try_take(NORMAL, object())  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        producer.try_put(9, commands)


def test_a_value_that_does_not_fit_claims_no_slot() -> None:
    commands = form("command", ("side", "price_ticks"))
    producer, consumer = heap_ring(4, SIZE["command"], VIEW["command"])
    with pytest.raises(OverflowError):
        producer.try_put(NORMAL, commands, 1 << 40, 1)
    assert producer.try_put(NORMAL, commands, 1, 5) == 1
    producer.commit(NORMAL)
    assert consumer.try_take(NORMAL, commands)[1:] == (1, 5)


def test_a_form_reads_what_struct_reads_of_a_layout() -> None:
    message = new("command")
    message.header.signal_id, message.price_ticks, message.side, message.client_order_id = 1 << 63, -5, -1, b"abc"
    text, ordered = struct_format("command", FIELDS)
    read = dict(zip(ordered, struct.unpack(text, raw_bytes(message, "command")), strict=True))
    assert dict(zip(FIELDS, form("command", FIELDS).read(address_of(message)), strict=True)) == read
