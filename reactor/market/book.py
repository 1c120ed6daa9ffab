"""The price book of one instrument: both sides in integers, kept in C (cffi_build/include/book.h, levels.h).

A book knows nothing of gaps or sessions; market/sync.py says when it may be believed. A side that is empty has the best
price 0 and the best quantity 0.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from reactor._native import ffi, lib
from reactor.domain.messages import Side

BEST_PRICE_CHANGED: Final[int] = lib.BOOK_BEST_PRICE_CHANGED
BEST_QUANTITY_CHANGED: Final[int] = lib.BOOK_BEST_QUANTITY_CHANGED
CROSSED: Final[int] = lib.BOOK_CROSSED

CAPACITY = 8192  # Levels per side: the venues' largest snapshot (5 000) and as much again of what moves in later.
SPAN = 16_384  # Ticks near the best price that are set without a search: nine of ten changes of a busy book.
_BUY = int(Side.BUY)
_LEVEL_SIZE = ffi.sizeof("level_t")

depth_relation: Callable[[int, int, bool, int, int, int], int] = lib.depth_relation  # how a delta continues a book: see sync.py

Level = tuple[int, int]  # (price_ticks, quantity_lots)


class LevelBuffer:
    """Room for the levels of one delta or snapshot: what a decoder writes and a book reads, without Python objects."""

    __slots__ = ("asks", "bids", "capacity")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.bids = ffi.new("level_t[]", capacity)
        self.asks = ffi.new("level_t[]", capacity)

    def put(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Fills it from Python pairs (tests, cold paths)."""
        for array, levels in ((self.bids, bids), (self.asks, asks)):
            for index, (price_ticks, quantity_lots) in enumerate(levels):
                array[index].price_ticks = price_ticks
                array[index].quantity_lots = quantity_lots

    def copy(self, bid_count: int, ask_count: int) -> "KeptLevels":
        """What was decoded, for later."""
        return KeptLevels(self.bids, bid_count, self.asks, ask_count)


class KeptLevels:
    """The levels of one delta in memory of their own: they wait for a snapshot."""

    __slots__ = ("ask_count", "asks", "bid_count", "bids")

    def __init__(self, bids: Any, bid_count: int, asks: Any, ask_count: int) -> None:
        self.bid_count = bid_count
        self.ask_count = ask_count
        self.bids = ffi.new("level_t[]", max(bid_count, 1))
        self.asks = ffi.new("level_t[]", max(ask_count, 1))
        ffi.memmove(self.bids, bids, bid_count * _LEVEL_SIZE)
        ffi.memmove(self.asks, asks, ask_count * _LEVEL_SIZE)


class Book:
    """Two sorted sides and the update id up to which they are true."""

    __slots__ = ("_arrays", "_best", "capacity", "native")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.native = ffi.new("book_t *")
        span = SPAN if capacity > 1 else 0
        bids, asks = ffi.new("level_t[]", capacity), ffi.new("level_t[]", capacity)
        near, marks = ffi.new("int64_t[]", 2 * span), ffi.new("uint64_t[]", 2 * span // 64)
        self._arrays = (bids, asks, near, marks)
        self._best = ffi.new("level_t[2]")
        lib.book_init(self.native, bids, asks, capacity, near, marks, span)

    @property
    def update_id(self) -> int:
        """The venue's id of the last update that is in it; 0 for a new book."""
        return int(self.native.update_id)

    def clear(self) -> None:
        """Forgets everything."""
        lib.book_clear(self.native)

    def load(self, bids: Any, bid_count: int, asks: Any, ask_count: int, update_id: int) -> int:
        """Replaces the content by a snapshot in level arrays. Returns *_CHANGED and CROSSED bits."""
        return int(lib.book_load(self.native, bids, bid_count, asks, ask_count, update_id))

    def apply_levels(self, bids: Any, bid_count: int, asks: Any, ask_count: int, update_id: int) -> int:
        """Sets absolute quantities (0 deletes) from level arrays. Returns *_CHANGED and CROSSED bits."""
        return int(lib.book_apply_levels(self.native, bids, bid_count, asks, ask_count, update_id))

    def apply_kept(self, levels: KeptLevels, update_id: int) -> int:
        """`apply_levels` with levels that waited."""
        return int(lib.book_apply_levels(self.native, levels.bids, levels.bid_count, levels.asks, levels.ask_count, update_id))

    def load_pairs(self, bids: Sequence[Level], asks: Sequence[Level], update_id: int) -> int:
        """`load` from Python pairs."""
        return self.load(*_arrays_of(bids, asks), update_id)

    def apply_pairs(self, bids: Sequence[Level], asks: Sequence[Level], update_id: int) -> int:
        """`apply_levels` from Python pairs."""
        return self.apply_levels(*_arrays_of(bids, asks), update_id)

    def best_bid(self) -> Level:
        """(price_ticks, quantity_lots); (0, 0) for an empty side."""
        return self._best_of(0)

    def best_ask(self) -> Level:
        """(price_ticks, quantity_lots); (0, 0) for an empty side."""
        return self._best_of(1)

    def _best_of(self, index: int) -> Level:
        best = self._best
        lib.book_best(self.native, best, best + 1)
        return best[index].price_ticks, best[index].quantity_lots

    def is_crossed(self) -> bool:
        """True if both sides have levels and the best bid is not below the best ask."""
        (bid, _), (ask, _) = self.best_bid(), self.best_ask()
        return bool(bid and ask and bid >= ask)

    def count(self, side: int) -> int:
        """How many levels a side has (Side.BUY: bids)."""
        return int(lib.levels_count(self._pointer(side)))

    def dropped(self) -> int:
        """How many far levels were given up because a side was full."""
        return int(self.native.bids.dropped + self.native.asks.dropped)

    def levels(self, side: int, count_max: int) -> list[Level]:
        """The best levels of a side, best first. For checks, screens and slow strategies: it makes Python objects."""
        out = ffi.new("level_t[]", max(count_max, 1))
        count = lib.levels_copy(self._pointer(side), out, count_max)
        return [(out[index].price_ticks, out[index].quantity_lots) for index in range(count)]

    def quantity(self, side: int, price_ticks: int) -> int:
        """Lots at a price, 0 if there is no such level."""
        return int(lib.levels_quantity(self._pointer(side), price_ticks))

    def quantity_within(self, side: int, limit_ticks: int) -> int:
        """Lots from the best level up to and including a limit price."""
        return int(lib.levels_quantity_within(self._pointer(side), limit_ticks))

    def price_for(self, side: int, quantity_lots: int) -> int:
        """The price at which so many lots are reached, taken from the best on; 0 if the side has not so much."""
        return int(lib.levels_price_for(self._pointer(side), quantity_lots))

    def _pointer(self, side: int) -> Any:
        return ffi.addressof(self.native, "bids" if side == _BUY else "asks")


def _arrays_of(bids: Sequence[Level], asks: Sequence[Level]) -> tuple[Any, int, Any, int]:
    return ffi.new("level_t[]", list(bids) or 1), len(bids), ffi.new("level_t[]", list(asks) or 1), len(asks)
