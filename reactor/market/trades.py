"""The last trades of one market: a fixed ring, newest last. `lots` > 0: the buyer was the taker.

Counted by the venue's trade id: an id that was skipped is counted as missed, so that a hole in the tape is visible.
"""

from dataclasses import dataclass

TRADES_KEPT = 512  # A second of a fast market; whoever wants more subscribes to the market-data topic.


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of the market (never ours: those are fills)."""

    trade_id: int
    price_ticks: int
    quantity_lots: int  # signed by the taker: > 0 bought, < 0 sold
    exchange_ns: int
    receive_ns: int


class Trades:
    """The tape of one instrument."""

    __slots__ = ("_ring", "count", "duplicates", "last_id", "missed")

    def __init__(self, capacity: int = TRADES_KEPT) -> None:
        self._ring: list[Trade | None] = [None] * capacity
        self.count = 0  # ever taken
        self.last_id = 0
        self.missed = 0
        self.duplicates = 0

    def append(self, trade: Trade) -> bool:
        """Takes a trade. Returns False for one that is not newer than the last (a duplicate or late)."""
        if trade.trade_id <= self.last_id:
            self.duplicates += 1
            return False
        if self.last_id:
            self.missed += trade.trade_id - self.last_id - 1
        self.last_id = trade.trade_id
        self._ring[self.count % len(self._ring)] = trade
        self.count += 1
        return True

    def last(self, count_max: int) -> list[Trade]:
        """Up to `count_max` newest trades, oldest first."""
        size = len(self._ring)
        first = max(self.count - min(count_max, size), 0)
        return [trade for index in range(first, self.count) if (trade := self._ring[index % size]) is not None]

    def volume_since(self, receive_ns: int) -> tuple[int, int]:
        """(bought, sold) lots by takers among the kept trades that came at or after `receive_ns`."""
        bought = sold = 0
        for trade in reversed(self.last(len(self._ring))):
            if trade.receive_ns < receive_ns:
                break
            if trade.quantity_lots > 0:
                bought += trade.quantity_lots
            else:
                sold -= trade.quantity_lots
        return bought, sold
