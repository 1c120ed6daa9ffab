"""Frames of a client, against RFC 6455 read naively."""

import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactor.net.websocket import PING, ROOM_SIZE, TEXT, Outbox


def read_frame(data: bytes) -> tuple[int, bytes, int]:
    """(first byte, payload, size of the whole frame) of a client's frame."""
    assert data[1] & 0x80, "a client masks"
    size, head = data[1] & 0x7F, 2
    if size >= 126:
        head = 4 if size == 126 else 10
        size = int.from_bytes(data[2:head], "big")
    mask = data[head : head + 4]
    masked = data[head + 4 : head + 4 + size]
    return data[0], bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked)), head + 4 + size


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_frames_stand_one_behind_another_and_masked(payloads: list[bytes]) -> None:
    outbox = Outbox()
    for payload in payloads:
        outbox.put(TEXT, payload)
    data = bytes(outbox.room[: outbox.waiting])
    for payload in payloads:
        opcode, read, size = read_frame(data)
        assert (opcode, read) == (0x81, payload)
        data = data[size:]
    assert data == b""
    outbox.clear()
    assert outbox.waiting == 0


def test_long_frames_get_the_room_that_they_need() -> None:
    outbox = Outbox()
    payloads = [b"a" * 125, b"b" * 126, b"c" * ROOM_SIZE, b"d" * 65_535, b"e" * 65_536, b""]
    for payload in payloads:
        outbox.put(PING, payload)
    data = bytes(outbox.room[: outbox.waiting])
    for payload in payloads:
        opcode, read, size = read_frame(data)
        assert (opcode, read) == (0x89, payload)
        data = data[size:]


def test_no_two_frames_have_the_same_mask() -> None:
    outbox = Outbox()
    masks = set()
    for _ in range(200):
        outbox.put(TEXT, b"x")
        masks.add(bytes(outbox.room[2:6]))
        outbox.clear()
    assert len(masks) == 200


def test_a_frame_and_what_waits_before_it_leave_in_one_write() -> None:
    outbox = Outbox()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        outbox.put(TEXT, b"first")
        assert outbox.send(TEXT, b"second", ours.fileno()) == 0
        assert outbox.waiting == 0
        data = theirs.recv(1000)
        _, first, size = read_frame(data)
        assert [first, read_frame(data[size:])[1]] == [b"first", b"second"]
        assert outbox.send(TEXT, b"x" * (2 * ROOM_SIZE), ours.fileno()) == 0
        assert read_frame(theirs.recv(4 * ROOM_SIZE))[1] == b"x" * (2 * ROOM_SIZE), "a long frame gets its room"


def test_what_the_kernel_does_not_take_waits_and_follows_in_order() -> None:
    outbox = Outbox()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        payloads = [bytes([number]) * 50_000 for number in range(20)]
        left = 0
        for payload in payloads:
            left = outbox.send(TEXT, payload, ours.fileno())
            assert left == outbox.waiting
        assert left > 0, "a socket that nobody reads is full at some time"
        data = bytearray()
        while left:
            data += theirs.recv(1 << 20)
            left = outbox.write(ours.fileno())
        while True:
            try:
                data += theirs.recv(1 << 20)
            except BlockingIOError:
                break
        for payload in payloads:
            _, read, size = read_frame(bytes(data[: len(payload) + 20]))
            assert read == payload
            del data[:size]
        assert not data


def test_a_broken_socket_is_an_error_with_its_reason() -> None:
    outbox = Outbox()
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(BrokenPipeError, match="Broken pipe"):
        outbox.send(TEXT, b"x", ours.fileno())
    outbox = Outbox()
    read_end, write_end = os.pipe()
    os.close(read_end)
    os.close(write_end)
    outbox.put(TEXT, b"x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        outbox.write(write_end)
