"""Hosts strategies beside the books they read: asks them, and sends the grids they want.

A grid goes out whole or not at all: its parts carry one signal id, lie on the URGENT lane and are published together. While
there is no room the newest wanted grid waits and the strategy is not asked again: nothing is lost, the pressure is counted.
A strategy is asked only while its book is synchronised; when the book is lost, its quotes are withdrawn.
"""

from collections.abc import Sequence
from typing import Any, Final

from reactor.domain.messages import (
    FLAG_LAST_PART,
    NO_INSTRUMENT,
    NO_PAIR,
    QUOTES_PER_MESSAGE,
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
from reactor.strategies.strategy import Quote, Strategy, StrategyView
from shm.ring import URGENT, Consumer, Producer

MS: Final = 1_000_000
IDLE_INTERVAL_NS: Final = 1_000_000_000  # A market that stands still is looked at once a second.
RESPONSES_PER_PASS_MAX = 64
QUOTES_MAX = 64  # Per grid: eleven parts; more is not a grid but a mistake.
STRATEGY_QUOTES: int = SignalType.STRATEGY_QUOTES
STAGE_RECEIVE: int = Stage.RECEIVE
STAGE_SIGNAL: int = Stage.SIGNAL


class Hosted:
    """One strategy and what it last wanted."""

    __slots__ = (
        "failed", "index", "interval_ns", "is_moved", "is_quoting", "next_ns", "receive_ns", "strategy", "view", "waiting",
    )  # fmt: skip

    def __init__(self, strategy: Strategy, index: int, view: StrategyView) -> None:
        self.strategy = strategy
        self.index = index
        self.view = view
        self.interval_ns = strategy.update_interval_ms * MS
        self.next_ns = 0
        self.receive_ns = 0  # of the tick it has not been asked about yet
        self.is_moved = False
        self.failed = False
        self.is_quoting = False  # the last grid sent was not empty
        self.waiting: Sequence[Quote] | None = None


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
    ) -> None:
        self._sender = LosslessSender(producer, URGENT)
        self._responses = responses
        self._board = board
        self._metrics = metrics
        self._log = log
        self._source_index = source_index
        self.hosted: list[Hosted] = []

    def plug(self, strategies: Sequence[tuple[Strategy, StrategyView]]) -> None:
        """The strategies; their place in the list is their strategy_index."""
        self.hosted = [Hosted(strategy, index, view) for index, (strategy, view) in enumerate(strategies)]

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
                    work += self._try_send(each, (), now_ns)
                continue
            since_ns = now_ns - each.next_ns
            if since_ns < 0 or not (each.is_moved or since_ns >= IDLE_INTERVAL_NS - each.interval_ns):
                continue
            work += 1
            each.next_ns = now_ns + each.interval_ns
            each.is_moved = False
            quotes = self._decide(each, now_ns)
            if quotes is not None:
                self._try_send(each, quotes, now_ns)
        return work

    def _decide(self, each: Hosted, now_ns: int) -> Sequence[Quote] | None:
        try:
            quotes = each.strategy.decide(each.view, now_ns)
            if quotes is not None and len(quotes) > QUOTES_MAX:
                raise ValueError(f"a grid of {len(quotes)} quotes; at most {QUOTES_MAX}")
            return quotes
        except Exception as error:  # Somebody's strategy: withdraw its quotes, switch it off, go on.
            each.failed = True
            failure = f"{type(error).__name__}: {error}"
            self._log.error("strategy switched off: it failed", strategy=each.strategy.name, error=failure)
            return ()

    def _try_send(self, each: Hosted, quotes: Sequence[Quote], now_ns: int) -> bool:
        parts = max(1, -(-len(quotes) // QUOTES_PER_MESSAGE))
        sender = self._sender
        if not sender.has_room(parts):
            each.waiting = quotes
            self._metrics.count(Counter.STRATEGY_STALLS)
            return False
        each.waiting = None
        signal_id = self._board.next_signal_id()
        for part in range(parts):
            view = sender.claim()
            sequence = view.header.sequence
            clear(view, "signal")
            view.header.sequence = sequence
            self._fill(view, each, quotes[part * QUOTES_PER_MESSAGE : (part + 1) * QUOTES_PER_MESSAGE], signal_id, now_ns)
            if part + 1 == parts:
                view.header.flags = FLAG_LAST_PART
        sender.commit()
        each.is_quoting = len(quotes) > 0
        self._metrics.count(Counter.STRATEGY_GRIDS)
        return True

    def _fill(self, view: Any, each: Hosted, quotes: Sequence[Quote], signal_id: int, now_ns: int) -> None:
        header, top = view.header, each.view.top
        index = each.strategy.instrument_index
        header.signal_id = signal_id
        header.kind = STRATEGY_QUOTES
        header.source = self._source_index
        header.instrument_index = index
        header.hedge_instrument_index = NO_INSTRUMENT
        header.pair_id = NO_PAIR
        header.exchange_ns = top.exchange_ns
        header.stage_ns[STAGE_RECEIVE] = each.receive_ns or now_ns
        header.stage_ns[STAGE_SIGNAL] = now_ns
        view.signal_index = signal_index(STRATEGY_QUOTES, index)
        view.strategy_index = each.index
        view.bid_ticks, view.ask_ticks = top.bid_ticks, top.ask_ticks
        view.bid_lots, view.ask_lots = top.bid_lots, top.ask_lots
        view.quote_count = len(quotes)
        for place, quote in enumerate(quotes):
            view.quotes[place].price_ticks = quote.price_ticks
            view.quotes[place].quantity_lots = quote.quantity_lots

    def _take_responses(self, now_ns: int) -> int:
        responses, count = self._responses, 0
        if responses is None:
            return 0
        while count < RESPONSES_PER_PASS_MAX:
            response = responses.try_peek()
            if response is None:
                break
            count += 1
            index = response.strategy_index
            if index < len(self.hosted) and not self.hosted[index].failed:
                try:
                    self.hosted[index].strategy.on_response(response, now_ns)
                except Exception as error:
                    name = self.hosted[index].strategy.name
                    self._log.error("strategy failed on a response", strategy=name, error=f"{type(error).__name__}: {error}")
        if count:
            responses.release()
        return count
