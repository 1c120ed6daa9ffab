"""Frames of a client, against RFC 6455 read naively."""

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
