"""What a strategy sees and may want. It cannot tell a backtest from the market: books, positions and time are handed to it.

    view ──▶ decide(view, now_ns) ──▶ the grid it wants: a list of quotes, [] for none, None for "as before"
                                      Wishes(quotes, orders, cancels, halt) for one that wants more

Prepost compares the wanted grid with the live orders and sends the difference, within every risk rule.

A strategy that shall also run compiled in a backtest is a KernelStrategy: its decision is one plain function in the subset
of Python that Numba compiles. Live it runs as it stands here; in a backtest the same function is compiled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from reactor.domain.instrument import Instrument
from reactor.domain.messages import OrderType, TimeInForce
from reactor.factors.kernels import integer_rows
from reactor.market.book import Book
from reactor.market.trades import Trades

LIMIT: int = OrderType.LIMIT
IOC: int = TimeInForce.IOC

KEEP: Final = -1  # a kernel's answer: leave the last grid standing
HALT: Final = -2  # a kernel's answer: no order of this instrument any more
WISHES_MAX = 64  # rows a kernel may fill: the most that a feed takes as one grid
WISH_QUOTE: Final = 0  # rests at its price, post-only
WISH_REDUCE: Final = 1  # takes at once what it can get up to its price, and only reduces the position


@dataclass(frozen=True, slots=True)
class Quote:
    """One wanted order."""

    price_ticks: int
    quantity_lots: int  # > 0 buys, < 0 sells


@dataclass(frozen=True, slots=True)
class SingleOrder:
    """One order exactly as written, beside the grid."""

    price_ticks: int  # 0 with ORDER_TYPE_MARKET
    quantity_lots: int  # > 0 buys, < 0 sells
    order_type: int = LIMIT
    time_in_force: int = IOC
    is_reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """Everything that a strategy may want at once."""

    quotes: Sequence[Quote] | None = None  # None: the last grid stands
    orders: Sequence[SingleOrder] = ()
    cancels: Sequence[int] = ()  # order ids out of responses; 0: every order of the instrument
    is_halt: bool = False  # nothing more on this instrument until a person resumes


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


Wanted = Sequence[Quote] | Wishes | None


class Strategy(Protocol):
    """One strategy on one instrument."""

    name: str
    instrument_index: int
    update_interval_ms: int  # how often it wants to be asked while the market moves; it is also asked once per second

    def decide(self, view: StrategyView, now_ns: int) -> Wanted:
        """What it wants now, or None to leave the last grid standing."""

    def on_response(self, response: Any, now_ns: int) -> None:
        """What became of its orders: a response_message_t, valid during the call only."""


# -- strategies that are one function --------------------------------------------------------------------------------


class Scale(NamedTuple):
    """What prices and quantities are counted in."""

    tick_size: float
    lot_size: float

    @classmethod
    def of(cls, instrument: Instrument) -> "Scale":
        """That of an instrument."""
        return cls(instrument.price_float(1), instrument.quantity_float(1))


class MarketView(NamedTuple):
    """What a kernel sees. `depth` is asked through factors/imbalance.py: depth_lots(depth, side, limit_ticks)."""

    depth: Any
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    position_lots: int
    bought_lots: int  # by takers since it was asked last; what is older than 512 trades is not counted
    sold_lots: int


Kernel = Callable[[MarketView, int, Any, Any, Any], int]
"""(market, now_ns, numbers, memory, wishes) → rows of `wishes` that it filled with want(), or KEEP, or HALT."""


def want(wishes: Any, count: int, price_ticks: int, quantity_lots: int, kind: int) -> int:
    """Writes row `count` of a kernel's wishes; returns the new count. What is beyond the room is not wanted."""
    if count >= WISHES_MAX:
        return count
    wishes[count][0] = price_ticks
    wishes[count][1] = quantity_lots
    wishes[count][2] = kind
    return count + 1


class KernelStrategy:
    """A strategy whose decision is one function. `numbers` and `memory` are NamedTuples: constants, and arrays it changes."""

    kernel: ClassVar[Any]  # a Kernel as a staticmethod
    name = "kernel"

    def __init__(self, instrument_index: int, update_interval_ms: int, numbers: Any, memory: Any) -> None:
        self.instrument_index = instrument_index
        self.update_interval_ms = update_interval_ms
        self.numbers = numbers
        self.memory = memory
        self._wishes = integer_rows(WISHES_MAX, 3)
        self._asked_ns = 0
        self._kernel: Kernel = type(self).kernel

    def decide(self, view: StrategyView, now_ns: int) -> Wanted:
        """Asks the kernel."""
        top = view.top
        bought, sold = view.trades.volume_since(self._asked_ns)
        self._asked_ns = now_ns + 1  # What came at this moment has been counted.
        market = MarketView(
            view.book, top.bid_ticks, top.bid_lots, top.ask_ticks, top.ask_lots,
            0 if view.position is None else view.position.position_lots, bought, sold,
        )  # fmt: skip
        wishes = self._wishes
        count = self._kernel(market, now_ns, self.numbers, self.memory, wishes)
        if count == KEEP:
            return None
        if count == HALT:
            return Wishes(quotes=(), is_halt=True)
        quotes, orders = [], []
        for row in range(count):
            price_ticks, quantity_lots, kind = wishes[row]
            if kind == WISH_QUOTE:
                quotes.append(Quote(price_ticks, quantity_lots))
            else:
                orders.append(SingleOrder(price_ticks, quantity_lots, is_reduce_only=True))
        return Wishes(quotes, orders) if orders else quotes

    def on_response(self, response: Any, now_ns: int) -> None:
        """Its position comes with the next view: nothing to learn here."""
