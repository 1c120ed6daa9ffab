"""Frames of the market-data topic: a small header and the venue's own bytes, cut where a topic message is too short.

    body = topic_frame_t │ bytes of the frame (or of its part)         cffi_build/include/intake.h

A subscriber gives every body to a FrameJoiner and gets whole frames back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from reactor._native import ffi

HEADER_SIZE: Final[int] = ffi.sizeof("topic_frame_t")
PARTS_MAX = 64  # 58 kB: more than any stream frame; a snapshot would push everything else out of the subscribers' queues.
_POINTER: Final = ffi.typeof("topic_frame_t *")


@dataclass(frozen=True, slots=True)
class TopicFrame:
    """One whole frame as a subscriber gets it."""

    receive_ns: int
    receive_wall_ns: int
    frame_kind: int
    venue: int
    instrument_index: int
    session: int
    payload: bytes


class FrameCutter:
    """Makes topic bodies of at most `body_max` bytes."""

    def __init__(self, venue: int, body_max: int) -> None:
        self.header: Any = ffi.new(_POINTER)
        self.header.venue = venue
        self._raw = ffi.buffer(self.header)
        self._room = body_max - HEADER_SIZE
        assert self._room > 0, "a topic message holds more than the header"

    def cut(
        self, payload: bytes | memoryview, kind: int, instrument_index: int, session: int, receive_ns: int, wall_ns: int
    ) -> Iterator[bytes]:
        """The bodies of one frame; none if it would take more than PARTS_MAX."""
        size, room, header = len(payload), self._room, self.header
        count = max(1, -(-size // room))
        if count > PARTS_MAX:
            return
        header.receive_ns, header.receive_wall_ns, header.size = receive_ns, wall_ns, size
        header.frame_kind, header.instrument_index, header.session = kind, instrument_index, session
        header.part_count = count
        for part in range(count):
            header.part = part
            yield bytes(self._raw) + bytes(payload[part * room : (part + 1) * room])


class FrameJoiner:
    """Puts the parts of one publisher together again."""

    def __init__(self) -> None:
        self.broken = 0  # frames of which a part was lost
        self._parts: list[bytes] = []

    def take(self, body: bytes) -> TopicFrame | None:
        """The frame that this body completes; None while parts are missing, or if it is no frame."""
        if len(body) < HEADER_SIZE:
            self.broken += 1
            return None
        header: Any = ffi.cast(_POINTER, ffi.from_buffer(body))
        if header.part != len(self._parts):  # What was begun stays incomplete.
            self.broken += 1
            self._parts.clear()
            if header.part:
                return None
        self._parts.append(body[HEADER_SIZE:])
        if header.part + 1 < header.part_count:
            return None
        payload = b"".join(self._parts)
        self._parts.clear()
        if len(payload) != header.size:
            self.broken += 1
            return None
        return TopicFrame(
            receive_ns=header.receive_ns,
            receive_wall_ns=header.receive_wall_ns,
            frame_kind=header.frame_kind,
            venue=header.venue,
            instrument_index=header.instrument_index,
            session=header.session,
            payload=payload,
        )
