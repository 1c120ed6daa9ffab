"""One book's way to one live bot: the writing side of cffi_build/include/market_link.h.

A feed never waits for a bot. What finds no room is left out, and the whole book follows as soon as there is room; `catch_up`
tries. While the book cannot be believed the bot is told so once, and hears nothing but trades.
"""

from typing import Any, Final

from reactor._native import ffi, lib
from reactor.market.book import Book, LevelBuffer

DELTA: Final[int] = lib.MARKET_DELTA
LOST: Final[int] = lib.MARKET_LOST
TOP: Final[int] = lib.MARKET_TOP
TRADE: Final[int] = lib.MARKET_TRADE
_write = lib.market_link_write


class MarketLink:
    """One instrument on one lane."""

    __slots__ = ("_is_good", "_is_said", "_lane", "_levels", "_room", "_sent_id", "_stamp", "books", "is_behind", "left_out")

    def __init__(self, lane_address: int, instrument_index: int, room: LevelBuffer) -> None:
        """`lane_address`: a ring_producer_lane_t of market messages (shm/ring.py). `room`: for whole books, shared."""
        self.is_behind = True  # the whole book has to be sent before deltas mean anything
        self.left_out = 0  # updates that found no room
        self.books = 0  # whole books sent
        self._is_good = False
        self._sent_id = 0  # the bot's book is true up to here
        self._is_said = True  # the bot knows whether the book may be believed
        self._lane: Any = ffi.cast("void *", lane_address)
        self._levels: Any = ffi.new("level_t[2]")
        self._room = room
        self._stamp: Any = ffi.new("market_stamp_t *", {"instrument_index": instrument_index})

    def delta(self, buffer: LevelBuffer, frame: Any, book: Book, exchange_ns: int, receive_ns: int) -> None:
        """The delta just decoded, which is in `book` by now."""
        if not self._is_good:
            return
        if self.is_behind:
            self.catch_up(book, exchange_ns, receive_ns)
            return
        stamp = self._stamp
        stamp.exchange_ns, stamp.receive_ns, stamp.update_id, stamp.kind = exchange_ns, receive_ns, frame.final_id, DELTA
        self._sent_id = frame.final_id
        if not _write(self._lane, stamp, buffer.bids, frame.bid_count, buffer.asks, frame.ask_count):
            self.is_behind = True
            self.left_out += 1

    def top(self, top: Any, receive_ns: int) -> None:
        """Best bid and ask (book_top_t), newer than the book."""
        if not self._is_good or self.is_behind or top.update_id <= self._sent_id:
            return
        levels, stamp = self._levels, self._stamp
        levels[0].price_ticks, levels[0].quantity_lots = top.bid_ticks, top.bid_lots
        levels[1].price_ticks, levels[1].quantity_lots = top.ask_ticks, top.ask_lots
        stamp.exchange_ns, stamp.receive_ns, stamp.update_id, stamp.kind = top.exchange_ns, receive_ns, top.update_id, TOP
        if not _write(self._lane, stamp, levels, 1, levels + 1, 1):
            self.left_out += 1

    def trade(self, price_ticks: int, quantity_lots: int, exchange_ns: int, receive_ns: int) -> None:
        """A trade of the market. `quantity_lots` > 0: the buyer was the taker."""
        levels, stamp = self._levels, self._stamp
        levels[0].price_ticks, levels[0].quantity_lots = price_ticks, quantity_lots
        stamp.exchange_ns, stamp.receive_ns, stamp.update_id, stamp.kind = exchange_ns, receive_ns, 0, TRADE
        if not _write(self._lane, stamp, levels, 1, levels, 0):
            self.left_out += 1

    def set_good(self, is_good: bool) -> None:
        """Whether the book may be believed. After this, `catch_up`."""
        if is_good != self._is_good:
            self._is_good = is_good
            self.is_behind = True
            self._is_said = is_good  # A book that is good again says so by being sent.

    def catch_up(self, book: Book, exchange_ns: int, receive_ns: int) -> None:
        """Says what the bot does not know yet, if there is room for it."""
        stamp = self._stamp
        stamp.exchange_ns, stamp.receive_ns, stamp.update_id = exchange_ns, receive_ns, 0
        if not self._is_said:
            stamp.kind = LOST
            self._is_said = bool(_write(self._lane, stamp, self._levels, 0, self._levels, 0))
        room = self._room
        if (
            self._is_good
            and self.is_behind
            and lib.market_link_write_book(self._lane, stamp, book.native, room.bids, room.asks, room.capacity)
        ):
            self.is_behind = False
            self.books += 1
            self._sent_id = book.update_id

    @property
    def is_waiting(self) -> bool:
        """`catch_up` has something to say."""
        return not self._is_said or (self._is_good and self.is_behind)

    def begin_anew(self) -> None:
        """Another bot reads the lane: it knows nothing."""
        self.is_behind = True
        self._is_said = self._is_good
