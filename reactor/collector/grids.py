"""The parts of one grid stay together.

A strategy's wanted grid may need several messages. They come down one ring in order, all with one signal_id, the last one
flagged. Other feeds' messages may not come between them on the event ring: prepost would see half a wish. So parts are held
(in place, in the ring they came by: not released) until the last one is there, and then all go out in one go.
"""

from typing import Any, Final

from reactor.domain.messages import FLAG_LAST_PART

PARTS_MAX: Final = 16  # 96 wanted orders in one grid; more is a strategy gone mad.
HELD_NS_MAX: Final = 1_000_000_000  # Parts are committed together; who needs a second for the rest has died in between.
NOT_YET: Final[tuple[Any, ...]] = ()


class GridParts:
    """Collects the parts of one ring's lane."""

    __slots__ = ("_is_dropping", "_parts", "_signal_id", "_since_ns", "discarded")

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._signal_id = 0
        self._since_ns = 0
        self._is_dropping = False
        self.discarded = 0  # parts of grids that never became whole, or were too long

    @property
    def held(self) -> int:
        """How many parts wait for the rest of their grid: while there are any, their lane must not be released."""
        return len(self._parts)

    def drop_late(self, now_ns: int) -> None:
        """Gives up a grid whose rest does not come, so that its lane can be released."""
        if self._parts and now_ns - self._since_ns > HELD_NS_MAX:
            self.discarded += len(self._parts)
            self._parts.clear()
            self._is_dropping = True

    def add(self, part: Any, now_ns: int) -> tuple[Any, ...]:
        """The whole grid in order if `part` was its last, otherwise NOT_YET.

        A part of another grid (another signal_id) drops what was held: its strategy has started over. A grid of more than
        PARTS_MAX parts is dropped whole.
        """
        parts = self._parts
        header = part.header
        if header.signal_id != self._signal_id:
            self.discarded += len(parts)
            parts.clear()
            self._signal_id = header.signal_id
            self._is_dropping = False
        is_last = bool(header.flags & FLAG_LAST_PART)
        if self._is_dropping or len(parts) >= PARTS_MAX:
            self.discarded += len(parts) + 1
            parts.clear()
            self._is_dropping = not is_last
            return NOT_YET
        if not parts:
            self._since_ns = now_ns
        parts.append(part)
        if not is_last:
            return NOT_YET
        whole = tuple(parts)
        parts.clear()
        return whole
