"""Hosts strategies beside the books they read: asks them, and sends the grids they want.

What it wants goes out whole or not at all: a grid's parts carry one signal id, lie on the URGENT lane and are published
together with the cancels before and the orders and the halt behind it. While there is no room the newest wish waits and the
strategy is not asked again: nothing is lost, the pressure is counted.
A strategy is asked only while its book is synchronised; when the book is lost, its quotes are withdrawn.
It is asked when its interval is over and its top is another than at the last time, at that very moment, with its position as it
is then; and once a second in any case. The loop of the backtest (backtest/machine.py) keeps the same rule.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from reactor.domain.messages import (
    FLAG_LAST_PART,
    FLAG_REDUCE_ONLY,
    NO_INSTRUMENT,
    NO_PAIR,
    QUOTES_PER_MESSAGE,
    Reason,
    SignalType,
    Stage,
    clear,
    signal_index,
)
from reactor.feed.board import Board
from reactor.feed.counters import Counter
from reactor.loop.counters import Metrics
from reactor.loop.link import LosslessSender
from reactor.loop.log import Log
from reactor.strategies.strategy import Quote, SingleOrder, Strategy, StrategyView, Wishes
from shm.ring import URGENT, Consumer, Producer

MS: Final = 1_000_000
FAR_NS: Final = 1 << 62
IDLE_INTERVAL_NS: Final = 1_000_000_000  # A market that stands still is looked at once a second.
RESPONSES_PER_PASS_MAX = 64
QUOTES_MAX = 64  # Per grid: eleven parts; more is not a grid but a mistake.
ORDERS_MAX = 16  # Single orders and cancels of one decision: far more than a strategy means.
STRATEGY_QUOTES: int = SignalType.STRATEGY_QUOTES
STRATEGY_ORDER: int = SignalType.STRATEGY_ORDER
STRATEGY_CANCEL: int = SignalType.STRATEGY_CANCEL
STRATEGY_HALT: int = SignalType.STRATEGY_HALT
REASON_SYMBOL_HALTED: int = Reason.SYMBOL_HALTED
WITHDRAW = Wishes(quotes=())
STAGE_RECEIVE: int = Stage.RECEIVE
STAGE_SIGNAL: int = Stage.SIGNAL


class Hosted:
    """One strategy and what it last wanted."""

    __slots__ = (
        "failed", "index", "instrument_index", "interval_ns", "is_moved", "is_quoting", "next_ns", "receive_ns", "seen",
        "strategy", "view", "waiting",
    )  # fmt: skip

    def __init__(self, strategy: Strategy, index: int, view: StrategyView) -> None:
        self.strategy = strategy
        self.index = index
        self.instrument_index = strategy.instrument_index
        self.view = view
        self.seen = (0, 0, 0, 0)  # the top that it was asked about last
        self.interval_ns = strategy.update_interval_ms * MS
        self.next_ns = 0
        self.receive_ns = 0  # of the tick it has not been asked about yet
        self.is_moved = False
        self.failed = False
        self.is_quoting = False  # the last grid sent was not empty
        self.waiting: Wishes | None = None


class StrategyHost:
    """Every strategy of this feed."""

    def __init__(
        self,
        producer: Producer,
        responses: Consumer | None,
        board: Board,
        metrics: Metrics,
        log: Log,
        source_index: int = 0,
        read_position: Callable[[int], object] = lambda instrument_index: None,
    ) -> None:
        self._sender = LosslessSender(producer, URGENT)
        self._read_position = read_position  # brings the position of a view up to date
        self._responses = responses
        self._board = board
        self._metrics = metrics
        self._log = log
        self._source_index = source_index
        self._first_index = 0
        self.hosted: list[Hosted] = []

    def plug(self, strategies: Sequence[tuple[Strategy, StrategyView]], first_index: int = 0) -> None:
        """The strategies; their place in the list, behind those of the feeds before, is their strategy_index."""
        self._first_index = first_index
        self.hosted = [Hosted(strategy, first_index + index, view) for index, (strategy, view) in enumerate(strategies)]

    def on_top(self, instrument_index: int, receive_ns: int) -> None:
        """A book moved: whoever trades it is asked at its next interval."""
        for each in self.hosted:
            if each.strategy.instrument_index == instrument_index:
                each.is_moved = True
                each.receive_ns = receive_ns

    def do_work(self, now_ns: int) -> int:
        """Responses, then decisions. Returns how much was done."""
        work = self._take_responses(now_ns)
        for each in self.hosted:
            if each.waiting is not None:
                if not self._try_send(each, each.waiting, now_ns):
                    continue
                work += 1
            if each.failed:
                continue
            if not each.view.top.is_synchronised:
                if each.is_quoting:  # Nobody quotes on a book that is not the venue's.
                    work += self._try_send(each, WITHDRAW, now_ns)
                continue
            since_ns = now_ns - each.next_ns
            if since_ns < 0 or not (each.is_moved or since_ns >= IDLE_INTERVAL_NS - each.interval_ns):
                continue
            top = each.view.top
            seen = (top.bid_ticks, top.bid_lots, top.ask_ticks, top.ask_lots)
            each.is_moved = False
            if seen == each.seen and since_ns < IDLE_INTERVAL_NS - each.interval_ns:
                continue  # It moved, and back.
            work += 1
            each.seen = seen
            each.next_ns = now_ns + each.interval_ns
            self._read_position(each.instrument_index)
            wishes = self._decide(each, now_ns)
            if wishes is not None:
                self._try_send(each, wishes, now_ns)
        return work

    def deadline_ns(self) -> int:
        """When somebody is to be asked next, if nothing comes in before."""
        due_ns = FAR_NS
        for each in self.hosted:
            if not each.failed and each.waiting is None and each.view.top.is_synchronised:
                wait_ns = 0 if each.is_moved else max(0, IDLE_INTERVAL_NS - each.interval_ns)
                due_ns = min(due_ns, each.next_ns + wait_ns)
        return due_ns

    def _decide(self, each: Hosted, now_ns: int) -> Wishes | None:
        try:
            wanted = each.strategy.decide(each.view, now_ns)
            if wanted is None:
                return None
            wishes = wanted if isinstance(wanted, Wishes) else Wishes(wanted)
            if wishes.quotes is not None and len(wishes.quotes) > QUOTES_MAX:
                raise ValueError(f"a grid of {len(wishes.quotes)} quotes; at most {QUOTES_MAX}")
            if len(wishes.orders) + len(wishes.cancels) > ORDERS_MAX:
                raise ValueError(f"more than {ORDERS_MAX} orders and cancels at once")
            return wishes
        except Exception as error:  # Somebody's strategy: withdraw its quotes, switch it off, go on.
            each.failed = True
            failure = f"{type(error).__name__}: {error}"
            self._log.error("strategy switched off: it failed", strategy=each.strategy.name, error=failure)
            return WITHDRAW

    def _try_send(self, each: Hosted, wishes: Wishes, now_ns: int) -> bool:
        quotes = wishes.quotes
        parts = 0 if quotes is None else max(1, -(-len(quotes) // QUOTES_PER_MESSAGE))
        sender = self._sender
        if not sender.has_room(parts + len(wishes.orders) + len(wishes.cancels) + wishes.is_halt):
            each.waiting = wishes
            self._metrics.count(Counter.STRATEGY_STALLS)
            return False
        each.waiting = None
        signal_id = self._board.next_signal_id()
        for order_id in wishes.cancels:
            self._begin(each, STRATEGY_CANCEL, signal_id, now_ns).header.order_id = order_id
        if quotes is not None:
            for part in range(parts):
                view = self._begin(each, STRATEGY_QUOTES, signal_id, now_ns)
                _fill(view, quotes[part * QUOTES_PER_MESSAGE : (part + 1) * QUOTES_PER_MESSAGE])
                if part + 1 == parts:
                    view.header.flags = FLAG_LAST_PART
            each.is_quoting = len(quotes) > 0
            self._metrics.count(Counter.STRATEGY_GRIDS)
        for order in wishes.orders:
            view = self._begin(each, STRATEGY_ORDER, signal_id, now_ns)
            view.header.flags = FLAG_REDUCE_ONLY if order.is_reduce_only else 0
            view.order_type, view.time_in_force = order.order_type, order.time_in_force
            _fill(view, (order,))
        if wishes.is_halt:
            self._begin(each, STRATEGY_HALT, signal_id, now_ns).values[0] = REASON_SYMBOL_HALTED
        sender.commit()
        return True

    def _begin(self, each: Hosted, kind: int, signal_id: int, now_ns: int) -> Any:
        """A claimed message with everything that all four kinds share."""
        view = self._sender.claim()
        sequence = view.header.sequence
        clear(view, "signal")
        header, top = view.header, each.view.top
        index = each.strategy.instrument_index
        header.sequence = sequence
        header.signal_id = signal_id
        header.kind = kind
        header.source = self._source_index
        header.instrument_index = index
        header.hedge_instrument_index = NO_INSTRUMENT
        header.pair_id = NO_PAIR
        header.exchange_ns = top.exchange_ns
        header.stage_ns[STAGE_RECEIVE] = each.receive_ns or now_ns
        header.stage_ns[STAGE_SIGNAL] = now_ns
        view.signal_index = signal_index(kind, index)
        view.strategy_index = each.index
        view.bid_ticks, view.ask_ticks = top.bid_ticks, top.ask_ticks
        view.bid_lots, view.ask_lots = top.bid_lots, top.ask_lots
        return view

    def _take_responses(self, now_ns: int) -> int:
        responses, count = self._responses, 0
        if responses is None:
            return 0
        while count < RESPONSES_PER_PASS_MAX:
            response = responses.try_peek()
            if response is None:
                break
            count += 1
            index = response.strategy_index - self._first_index
            if 0 <= index < len(self.hosted) and not self.hosted[index].failed:
                try:
                    self.hosted[index].strategy.on_response(response, now_ns)
                except Exception as error:
                    name = self.hosted[index].strategy.name
                    self._log.error("strategy failed on a response", strategy=name, error=f"{type(error).__name__}: {error}")
        if count:
            responses.release()
        return count


def _fill(view: Any, quotes: Sequence[Quote | SingleOrder]) -> None:
    view.quote_count = len(quotes)
    for place, quote in enumerate(quotes):
        view.quotes[place].price_ticks = quote.price_ticks
        view.quotes[place].quantity_lots = quote.quantity_lots
