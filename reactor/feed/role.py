"""The feed's door: venues' books, the board of signals and the strategies, joined and given their turn."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from reactor.domain.errors import ConfigError
from reactor.domain.instrument import VENUE_NAMES, Instruments
from reactor.domain.messages import NO_INSTRUMENT, NO_PAIR, ControlKind, text_of
from reactor.exchanges.binance.market import BinanceMarket
from reactor.exchanges.venue import Endpoints
from reactor.feed.board import Board
from reactor.feed.books import MarketBook, VenueBooks
from reactor.feed.counters import Counter
from reactor.feed.host import StrategyHost
from reactor.feed.parameters import FeedParameters, HostedParameters, UserSignalParameters
from reactor.feed.publish import MarketTopic, TopRows, wanted_symbols
from reactor.feed.signals.adaptive_spread import AdaptiveSpread
from reactor.feed.signals.book_top import BookTop
from reactor.feed.signals.fixed_spread import FixedSpread
from reactor.feed.signals.funding import FundingDirection, FundingRisk
from reactor.feed.signals.position_close import PositionClose
from reactor.feed.signals.signal import Signal, SignalContext
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from reactor.loop.user_file import load_class, make
from reactor.market.book import LevelBuffer
from reactor.market.market_link import MarketLink
from reactor.net.network import Network, StreamSource
from reactor.strategies.registry import make_strategy
from reactor.strategies.strategy import Scale, Strategy, StrategyView
from shm.ring import NORMAL, Consumer, Producer
from shm.seqlock import RowsReader, RowsWriter
from shm.topic import TopicPublisher

MS: Final = 1_000_000
TIMER_NS: Final = 10 * MS  # Samples, refreshes, timeouts: ten times finer than any of them.
GAUGES_NS: Final = 100 * MS
ROWS_NS: Final = MS // 10  # How often tops that made no signal are shown: in a burst most would be overwritten unread.
ROOM_NS: Final = MS // 5  # What waits for room in the signal ring is tried again this soon.
CONTROLS_PER_PASS_MAX: Final = 16
SYMBOLS_WANTED_MAX: Final = 200  # What topic subscribers may add: a thousand streams are a connection's limit.
CONTROL_SUBSCRIBE: Final = int(ControlKind.SUBSCRIBE)
CONTROL_CHECK_BOOK: Final = int(ControlKind.CHECK_BOOK)
CONTROL_RELOAD: Final = int(ControlKind.RELOAD)
CONTROL_STOP: Final = int(ControlKind.STOP)


@dataclass
class FeedPorts:
    """What a feed is plugged into."""

    instruments: Instruments
    endpoints: Mapping[int, Endpoints]  # by venue
    network: Network
    clock: Clock
    metrics: Metrics
    log: Log
    signals: Producer  # signal_message_t, both lanes
    tops: RowsWriter  # book_top, a row per instrument
    positions: RowsReader | None = None  # position, a row per instrument
    control: Consumer | None = None
    responses: Consumer | None = None
    topic: TopicPublisher | None = None
    strategies: Sequence[Strategy] = ()
    reload: Callable[[int], FeedParameters] | None = None  # plan generation → parameters; raises ConfigError
    source_index: int = 0  # of this role in the plan: header.source
    bots: Sequence[tuple[Producer, frozenset[int]]] = ()  # live bots: a ring of market messages each, and its instruments


class FeedRole:
    """One feed."""

    def __init__(self, parameters: FeedParameters, ports: FeedPorts) -> None:
        self.name = f"feed-{parameters.feed_index}"
        self.parameters = parameters
        self.ports = ports
        instruments = ports.instruments
        self._log = ports.log
        self._metrics = ports.metrics
        self._count = ports.metrics.count
        self._tops: list[Any] = [None] * len(instruments)
        self._rows = TopRows(ports.tops, self._tops)
        self._positions = ports.positions
        self._position_rows: dict[int, Any] = {}
        self._timer_ns = 0
        self._rows_due_ns = 0
        self._gauges_ns = 0
        self._wanted = 0
        self._is_stopping = False
        self._held: list[StreamSource] = []  # connections that are not read because the signal ring is full
        self.board = Board(instruments, self._tops, ports.signals, ports.clock.monotonic_ns, self._rows.native, ports.metrics,
                           ports.log, parameters.feed_index, ports.source_index)  # fmt: skip
        self._on_board_top = self.board.on_top
        self.is_pressed = self.board.sender.is_pressed  # Asked by the sockets: a signal that may not be lost waits for room.
        uniform = random.Random(parameters.seed).random
        self.venues: dict[int, VenueBooks] = {}
        for index in parameters.instruments:
            venue = instruments[index].venue
            if venue not in self.venues:
                self.venues[venue] = self._open_venue(venue, uniform)
        self.host: StrategyHost | None = None
        self._bot_links: list[tuple[Producer, list[MarketLink]]] = [(producer, []) for producer, _ in ports.bots]
        self._bot_meetings = [0] * len(ports.bots)
        self._book_room = LevelBuffer() if ports.bots else LevelBuffer(1)

    def _open_venue(self, venue: int, uniform: Callable[[], float]) -> VenueBooks:
        ports, parameters = self.ports, self.parameters
        endpoints = ports.endpoints.get(venue)
        if endpoints is None:
            raise ConfigError(f"feed: no endpoints for {VENUE_NAMES[venue]}; add the venue under exchanges")
        books = VenueBooks(
            BinanceMarket(venue), endpoints, ports.network, ports.clock, ports.metrics, ports.log, self,
            parameters.books_by_venue.get(venue, parameters.books), parameters.sessions, uniform,
        )  # fmt: skip
        if ports.topic is not None:
            books.tap = MarketTopic(ports.topic, venue, books.inquiry.wall_minus_monotonic_ns, ports.metrics)
        return books

    # -- the shard's calls

    def on_start(self, now_ns: int) -> None:
        """Opens the sessions of every book."""
        for index in self.parameters.instruments:
            instrument = self.ports.instruments[index]
            venue = self.venues[instrument.venue]
            book = venue.add(instrument.symbol, instrument, now_ns)
            self._tops[index] = book.top
            self._rows.add(venue.intake, book.slot, index)
            for (producer, wanted), (_, links) in zip(self.ports.bots, self._bot_links, strict=True):
                if index in wanted:
                    links.append(MarketLink(producer.lane_address(NORMAL), index, self._book_room))
                    venue.add_link(book, links[-1])
        self._plug_strategies()
        self._plug_signals(self._make_signals(self.parameters))
        self._work_on_time(now_ns)

    def do_work(self, now_ns: int) -> int:
        """One pass: control, strategies, timers, what had to wait."""
        work = self._take_controls(now_ns) if self.ports.control is not None else 0
        if now_ns >= self._timer_ns:
            self._work_on_time(now_ns)
        if self.host is not None:
            work += self.host.do_work(now_ns)
        if self.board.sender.waiting:
            work += self.board.flush()
        if self._held and not self.is_pressed():
            work += self._go_on()
        if now_ns >= self._rows_due_ns:
            self._rows_due_ns = now_ns + ROWS_NS
            work += self._rows.flush()
        return work

    def deadline_ns(self, now_ns: int) -> int:
        """The next timer, the next question to a strategy, or the next look at the rows if one has to wait for it."""
        deadline_ns = self._timer_ns if self.host is None else min(self._timer_ns, self.host.deadline_ns())
        if self.board.sender.waiting or self._held:
            deadline_ns = min(deadline_ns, now_ns + ROOM_NS)
        return min(deadline_ns, self._rows_due_ns) if self._rows.has_waiting() else deadline_ns

    def is_ready(self) -> bool:
        """Every session is live and every book synchronised."""
        return all(venue.is_ready() for venue in self.venues.values())

    def on_stop(self, now_ns: int) -> None:
        """Closes every session."""
        self._is_stopping = True
        for venue in self.venues.values():
            venue.stop()

    # -- the books' calls

    def on_top(self, instrument_index: int, is_price: bool, receive_ns: int) -> None:
        """The hot path: a top moved."""
        self._on_board_top(instrument_index, is_price, receive_ns)
        if self.host is not None:
            self.host.on_top(instrument_index, receive_ns)

    def on_mark(self, instrument_index: int, receive_ns: int) -> None:
        """Mark price or funding rate came."""
        self.board.on_mark(instrument_index, receive_ns)

    def on_held(self, connection: StreamSource) -> None:
        """A connection is not read for that reason."""
        self._held.append(connection)
        self._log.warning("the signal ring is full: sockets wait", delayed=self.board.sender.delayed)

    def _go_on(self) -> int:
        """There is room again: what stayed in the buffers is taken, until the ring is full once more."""
        held, self._held = self._held, []
        for connection in held:
            connection.go_on()
        return len(held)

    def on_trust(self) -> None:
        """A top's word has changed: its row does not wait."""
        self._rows_due_ns = 0

    # -- time

    def _work_on_time(self, now_ns: int) -> None:
        self._timer_ns = now_ns + TIMER_NS
        if self._is_stopping:
            return
        positions = self._positions
        if positions is not None:
            for index in self._position_rows:
                positions.read(index)  # Fills the view that the signals hold.
        if self._bot_links:
            self._greet_bots()
        for venue in self.venues.values():
            venue.on_time(now_ns)
        self.board.on_time(now_ns)
        if self.ports.topic is not None:
            self._take_wishes(self.ports.topic, now_ns)
        if now_ns >= self._gauges_ns:
            self._gauges_ns = now_ns + GAUGES_NS
            self._set_gauges()

    def _greet_bots(self) -> None:
        """A bot that has just attached knows no book: each is sent whole."""
        for number, (producer, links) in enumerate(self._bot_links):
            if producer.meetings != self._bot_meetings[number]:
                self._bot_meetings[number] = producer.meetings
                for link in links:
                    link.begin_anew()

    def _set_gauges(self) -> None:
        lines = [line for venue in self.venues.values() for line in venue.lines]
        books = [book for venue in self.venues.values() for book in venue.books if book.instrument is not None]
        values = {
            Counter.FRAMES: sum(venue.frames for venue in self.venues.values()),
            Counter.DUPLICATES: sum(int(book.top.duplicates) for book in books),
            Counter.SESSIONS_LIVE: sum(line.live_count() for line in lines),
            Counter.ROTATIONS: sum(line.rotations for line in lines),
            Counter.RESYNCS: sum(book.sync.resyncs for book in books),
            Counter.GAPS: sum(book.sync.gaps for book in books),
            Counter.GAPS_BRIDGED: sum(book.sync.bridged for book in books),
            Counter.BOOKS: len(books),
            Counter.BOOKS_SYNCHRONISED: sum(bool(book.top.is_synchronised) for book in books),
            Counter.BOOKS_STALE: sum(book.is_stale for book in books),
            Counter.OFF_GRID: sum(int(book.state.off_grid) for book in books),
            Counter.BOT_UPDATES_LEFT_OUT: sum(link.left_out for _, links in self._bot_links for link in links),
            Counter.CLOCK_ERROR_US: max((venue.inquiry.error_us() for venue in self.venues.values()), default=0),
        }
        for counter, value in values.items():
            self._metrics.set(counter, value)

    # -- signals and strategies

    def _make_signals(self, parameters: FeedParameters) -> list[tuple[Signal, int]]:
        made: list[tuple[Signal, int]] = []
        owned, signals = set(parameters.instruments), parameters.signals
        for pair_id, (open_index, hedge_index) in enumerate(parameters.pairs):
            if open_index not in owned or hedge_index not in owned:
                continue  # Another feed's pair: both legs of a pair are in one feed.
            context = self._context(open_index, hedge_index)
            if signals.adaptive_spread is not None:
                made.append((AdaptiveSpread(context, signals.adaptive_spread), pair_id))
            if signals.fixed_spread is not None:
                made.append((FixedSpread(context, signals.fixed_spread), pair_id))
            if signals.funding_direction is not None:
                made.append((FundingDirection(context, signals.funding_direction), pair_id))
            if self._positions is not None and signals.funding_risk is not None:
                made.append((FundingRisk(context, signals.funding_risk), pair_id))
            if self._positions is not None and signals.position_close is not None:
                made.append((PositionClose(context, signals.position_close), pair_id))
        for index in signals.book_top.instruments:
            if index in owned:
                made.append((BookTop(self._context(index), signals.book_top), NO_PAIR))
        for user in signals.user:
            if user.instrument_index in owned:
                made.append((self._make_user_signal(user), NO_PAIR))
        return made

    def _plug_signals(self, signals: list[tuple[Signal, int]]) -> None:
        self.board.plug(signals)
        for venue in self.venues.values():
            venue.hears_quantities = self.host is not None or any(signal.hears_quantities for signal, _ in signals)
            venue.keeps_trades = self.host is not None
            venue.set_attention()
            for book in venue.books:
                if book.instrument is not None:
                    venue.hear_every(book, self.board.hears_every(book.instrument_index))

    def _make_user_signal(self, user: UserSignalParameters) -> Signal:
        context = self._context(user.instrument_index, user.hedge_instrument_index)
        return make(user.file, load_class(user.file, user.class_name, Signal), user.parameters, context)  # type: ignore[type-abstract]

    def _context(self, index: int, hedge_index: int = NO_INSTRUMENT) -> SignalContext:
        return SignalContext(self.ports.instruments, index, hedge_index, self._position_of(index))

    def _position_of(self, index: int) -> Any:
        if self._positions is None:
            return None
        row = self._position_rows.get(index)
        if row is None:
            row = self._position_rows[index] = self._positions.read(index)
        return row

    def _plug_strategies(self) -> None:
        ports = self.ports
        strategies = [*ports.strategies, *(self._make_strategy(each) for each in self.parameters.strategies)]
        if not strategies:
            return
        read: Callable[[int], object] = self._position_of
        if self._positions is not None:
            read = self._positions.read
        self.host = StrategyHost(ports.signals, ports.responses, self.board, ports.metrics, ports.log, ports.source_index, read)
        hosted = []
        for strategy in strategies:
            index = strategy.instrument_index
            book = self.book_of(index)
            if book is None or book.instrument is None:
                raise ConfigError(f"strategy {strategy.name}: feed {self.parameters.feed_index} has no instrument {index}")
            view = StrategyView(book.instrument, book.book, book.trades, book.top, self._position_of(index))
            hosted.append((strategy, view))
        self.host.plug(hosted, self.parameters.first_strategy_index)

    def _make_strategy(self, wanted: HostedParameters) -> Strategy:
        scale = Scale.of(self.ports.instruments[wanted.instrument_index])
        if not wanted.file:
            return make_strategy(wanted.name, wanted.instrument_index, scale, wanted.parameters)
        made = load_class(wanted.file, wanted.class_name, object)
        return make(wanted.file, made, wanted.parameters, wanted.instrument_index, scale)  # type: ignore[return-value]

    def book_of(self, instrument_index: int) -> MarketBook | None:
        """The book of an instrument of this feed."""
        instrument = self.ports.instruments[instrument_index]
        venue = self.venues.get(instrument.venue)
        slot = -1 if venue is None else venue.slot_of(instrument.symbol)
        return None if venue is None or slot < 0 else venue.books[slot]

    # -- control

    def _take_controls(self, now_ns: int) -> int:
        control, count = self.ports.control, 0
        assert control is not None, "the caller has looked"
        while count < CONTROLS_PER_PASS_MAX:
            message = control.try_peek(NORMAL)
            if message is None:
                break
            count += 1
            self._obey(message.header.kind, text_of(message.text), int(message.generation), now_ns)
            self._metrics.view.control_sequence = message.header.sequence
        if count:
            control.release(NORMAL)
            self._count(Counter.CONTROLS, count)
        return count

    def _obey(self, kind: int, text: str, generation: int, now_ns: int) -> None:
        if kind == CONTROL_SUBSCRIBE:
            venue, _, symbol = text.partition(":")
            self.subscribe(venue, symbol, now_ns)
        elif kind == CONTROL_CHECK_BOOK:
            self._check(text, now_ns)
        elif kind == CONTROL_RELOAD and self.ports.reload is not None:
            self._reload(generation)
        elif kind == CONTROL_STOP:
            self.on_stop(now_ns)

    def _check(self, text: str, now_ns: int) -> None:
        """`binance_spot:BTCUSDT`, or everything."""
        checked = 0
        for venue in self.venues.values():
            for book in venue.books:
                if book.instrument is not None and book.has_depth and text in ("", "all", book.instrument.name):
                    venue.begin_check(book, now_ns)
                    checked += 1
        if not checked:
            self._log.warning("book check: no such book in this feed", instrument=text)

    def _reload(self, generation: int) -> None:
        """New thresholds; sessions and books stay. Refused as a whole if anything is wrong."""
        assert self.ports.reload is not None, "the caller has looked"
        try:
            parameters = self.ports.reload(generation)
            signals = self._make_signals(replace(self.parameters, signals=parameters.signals, pairs=parameters.pairs))
        except (ConfigError, ValueError, TypeError) as error:
            self._log.error("reload refused", generation=generation, error=str(error))
            return
        before = [place.signal for place in self.board.places if isinstance(place.signal, AdaptiveSpread)]
        for signal, _ in signals:
            for other in before:
                if isinstance(signal, AdaptiveSpread) and signal.inputs() == other.inputs():
                    signal.adopt(other)
        self.parameters = replace(self.parameters, signals=parameters.signals, pairs=parameters.pairs)
        self._plug_signals(signals)
        self._metrics.view.plan_generation = generation
        self._log.info("parameters reloaded", generation=generation)

    # -- the market-data topic

    def subscribe(self, venue_name: str, symbol: str, now_ns: int) -> bool:
        """A symbol for the topic's subscribers. One of the table that another feed owns, or that nobody trades, is followed by
        its frames only. Returns False if it cannot be had; the reason is logged."""
        venue = next((books for number, books in self.venues.items() if VENUE_NAMES[number] == venue_name), None)
        if venue is None:
            return False  # Another feed's venue: every feed hears every wish.
        if venue.slot_of(symbol) >= 0:
            return True
        if self._wanted >= SYMBOLS_WANTED_MAX or not symbol.isascii() or not symbol.replace("_", "").isalnum():
            self._log.warning("symbol refused", venue=venue_name, symbol=symbol, wanted=self._wanted)
            return False
        try:
            venue.add(symbol.upper(), None, now_ns)
        except ValueError as error:
            self._log.warning("symbol refused", venue=venue_name, symbol=symbol, error=str(error))
            return False
        self._wanted += 1
        self._log.info("symbol subscribed for the topic", venue=venue_name, symbol=symbol)
        return True

    def _take_wishes(self, topic: TopicPublisher, now_ns: int) -> None:
        for venue_name, symbol in wanted_symbols(topic):
            self.subscribe(venue_name, symbol, now_ns)
