"""What a strategy sees and may want. It cannot tell a backtest from the market: books, positions and time are handed to it.

    view ──▶ decide(view, now_ns) ──▶ the grid it wants: a list of quotes, [] for none, None for "as before"

Prepost compares the wanted grid with the live orders and sends the difference, within every risk rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reactor.domain.instrument import Instrument
from reactor.market.book import Book
from reactor.market.trades import Trades


@dataclass(frozen=True, slots=True)
class Quote:
    """One wanted order."""

    price_ticks: int
    quantity_lots: int  # > 0 buys, < 0 sells


@dataclass(slots=True)
class StrategyView:
    """What a strategy sees of its instrument. The same object at every call: keep nothing of it."""

    instrument: Instrument
    book: Book
    trades: Trades
    top: Any  # book_top_t
    position: Any  # position_row_t

    @property
    def is_synchronised(self) -> bool:
        """The book may be believed."""
        return bool(self.top.is_synchronised)


class Strategy(Protocol):
    """One strategy on one instrument."""

    name: str
    instrument_index: int
    update_interval_ms: int  # how often it wants to be asked while the market moves; it is also asked once per second

    def decide(self, view: StrategyView, now_ns: int) -> Sequence[Quote] | None:
        """The grid it wants now, or None to leave the last one standing."""

    def on_response(self, response: Any, now_ns: int) -> None:
        """What became of its orders: a response_message_t, valid during the call only."""
