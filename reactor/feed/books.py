"""The books of one venue: redundant sessions → one stream → synchronised books and tops.

    Line (public)  ─┐                         ┌─▶ top moved ─▶ listener.on_top (signals)
                    ├─▶ intake ─▶ bits ───────┼─▶ delta ─▶ BookSync ─▶ Book ─▶ top
    Line (derived) ─┘     (C)                 └─▶ mark, trade, answer, refused …

A top is marked synchronised while its book is, and while data is fresh; otherwise whoever reads it does not trade on it.
Snapshots are fetched over REST within the feed's share of the venue's weight, one or two at a time.
"""

from collections.abc import Callable
from typing import Final, Protocol

from reactor.domain.instrument import Instrument
from reactor.domain.messages import NO_INSTRUMENT
from reactor.exchanges.venue import Endpoints, MarketCodec, Stream
from reactor.feed.check import CHECK_LIFE_NS, BookCheck, CheckResult, Horizon, horizon_of
from reactor.feed.counters import Counter
from reactor.feed.inquiry import VenueInquiry
from reactor.feed.parameters import BooksParameters, SessionParameters
from reactor.feed.sessions import FeedSession, Line, Take, Wholesale
from reactor.loop.clock import Clock
from reactor.loop.counters import Metrics
from reactor.loop.log import Log
from reactor.market.book import CROSSED as BOOK_CROSSED
from reactor.market.book import Book, KeptLevels
from reactor.market.intake import (
    APPLIED,
    CONTROL,
    CROSSED,
    DEPTH,
    MARK,
    MORE,
    NO_SLOT,
    QUIET,
    REFUSED,
    TOP,
    TOP_PRICE,
    TRADE,
    WAKE,
    FrameError,
    FrameKind,
    Intake,
    Session,
    StreamTaker,
    next_moved,
)
from reactor.market.market_link import MarketLink
from reactor.market.sync import BookSync, SyncState, Verdict
from reactor.market.trades import Trade, Trades
from reactor.net.backoff import Backoff
from reactor.net.network import Failure, Network, Response, StreamSource

MS: Final = 1_000_000
SNAPSHOTS_IN_FLIGHT_MAX: Final = 2  # More would only queue at the venue and grow stale.
SNAPSHOT_DUE_NS: Final = 2_000_000_000  # A quiet market brings no first delta: its snapshot is fetched all the same.
ATTENTION_ALWAYS: Final = TOP_PRICE | DEPTH | MARK | REFUSED | CONTROL | CROSSED | WAKE
ATTENTION_ALL: Final = ATTENTION_ALWAYS | TOP | TRADE | APPLIED | QUIET
APPLY, KEEP = Verdict.APPLY, Verdict.KEEP
SYNCHRONISED = SyncState.SYNCHRONISED
MALFORMED: Final = int(FrameKind.MALFORMED)
ANSWER: Final = int(FrameKind.ANSWER)
BOOK_TICKER: Final = int(FrameKind.BOOK_TICKER)


class BooksListener(Protocol):
    """Who hears of changes: the board of signals, by way of the role."""

    def on_top(self, instrument_index: int, is_price: bool, receive_ns: int) -> None:
        """The top of an instrument moved."""

    def on_mark(self, instrument_index: int, receive_ns: int) -> None:
        """Mark price or funding rate of an instrument came."""

    def on_trust(self) -> None:
        """A top may be believed from now on, or may not any more: whoever reads it should know at once."""

    def is_pressed(self) -> bool:
        """What is heard next has nowhere to go: frames shall stay in their buffers."""

    def on_held(self, connection: StreamSource) -> None:
        """They do, and this connection is not read: `go_on` is to be called when there is room."""


class FrameTap(Protocol):
    """Who wants every frame, once: the market-data topic."""

    @property
    def is_heard(self) -> bool:
        """Somebody listens there."""

    def tap(self, frame_kind: int, symbol: str, instrument_index: int, session: int, payload: memoryview | bytes,
            receive_ns: int) -> None:  # fmt: skip
        """One frame."""


class MarketBook:
    """One symbol of the venue. `instrument` is None for a symbol that only a topic subscriber wanted."""

    def __init__(self, symbol: str, instrument: Instrument | None, slot: int, intake: Intake, codec: MarketCodec,
                 parameters: BooksParameters, uniform: Callable[[], float]) -> None:  # fmt: skip
        self.symbol = symbol
        self.instrument = instrument
        self.instrument_index = NO_INSTRUMENT if instrument is None else instrument.instrument_index
        self.slot = slot
        self.top = intake.top(slot)
        self.state = intake.state(slot)
        self.sync: BookSync[KeptLevels] = BookSync(codec.sync_rule)
        self.book = Book(parameters.book_capacity if instrument is not None else 1)
        self.trades = Trades()
        self.links: list[MarketLink] = []  # to the live bots that trade it
        self.horizon = Horizon(0, 0)
        self.check: BookCheck | None = None
        self.has_depth = False
        self.is_fetching = False
        self.is_stale = True
        self.state.is_sleeping = 1
        self.mark_receive_ns = 0
        self.added_ns = 0
        self.fetch_due_ns = 0
        self.backoff = Backoff(parameters.backoff, uniform)


class VenueBooks:
    """Everything public of one venue."""

    def __init__(
        self,
        codec: MarketCodec,
        endpoints: Endpoints,
        network: Network,
        clock: Clock,
        metrics: Metrics,
        log: Log,
        listener: BooksListener,
        parameters: BooksParameters,
        sessions: SessionParameters,
        uniform: Callable[[], float],
    ) -> None:
        self.venue = codec.venue
        self.codec = codec
        self.intake = Intake()
        self.inquiry = VenueInquiry(codec, endpoints, network, clock, log, parameters.inquiry)
        self._intake_native = self.intake.native
        self._next_moved = next_moved
        self._on_top = listener.on_top
        self.books: list[MarketBook] = []  # by slot
        self.tap: FrameTap | None = None
        self.hears_quantities = False  # somebody reads more of a top than its prices
        self.keeps_trades = False  # somebody reads the tape
        self._has_links = False
        self._is_tapped = False
        self._clock = clock
        self._count = metrics.count
        self._log = log
        self._listener = listener
        self._parameters = parameters
        self._uniform = uniform
        self._frame = self.intake.frame
        self._buffer = self.intake.buffer
        self._fetching = 0
        self._frames_gone = 0
        self._can_bridge = False
        self._is_stopping = False
        wholesale = Wholesale(
            lambda session: StreamTaker(self.intake, session), self._on_moved, listener.is_pressed, listener.on_held
        )
        self.lines = tuple(
            Line(
                self,
                codec,
                codec.stream_url(endpoints, is_derived),
                network,
                sessions,
                self._make_take,
                uniform,
                ATTENTION_ALWAYS,
                wholesale,
            )
            for is_derived in (False, True)
        )

    def _make_take(self, session: Session) -> Take:
        return self.intake.taker(session)

    # -- instruments

    def add(self, symbol: str, instrument: Instrument | None, now_ns: int) -> MarketBook:
        """Subscribes a symbol (an instrument of the table, or a bare one for the topic only). Idempotent.

        Raises:
            ValueError: there is no room for it.
        """
        slot = self.intake.add(instrument if instrument is not None else symbol)
        if slot < len(self.books):
            return self.books[slot]
        book = MarketBook(symbol, instrument, slot, self.intake, self.codec, self._parameters, self._uniform)
        book.added_ns = now_ns
        self.books.append(book)
        streams = self.codec.streams(symbol, self._parameters.streams)
        book.has_depth = instrument is not None and any(stream.frame_kind == FrameKind.DEPTH_UPDATE for stream in streams)
        wanted = 0
        for is_derived, line in zip((False, True), self.lines, strict=True):
            of_line = [stream for stream in streams if stream.is_derived == is_derived]
            wanted += len(of_line) - line.add(of_line, now_ns)
        if wanted:
            self._log.error("no room for more streams on a connection", venue=self.venue, symbol=symbol, left_out=wanted)
        return book

    def slot_of(self, symbol: str) -> int:
        """The intake's slot of a subscribed symbol."""
        return self.intake.find(symbol)

    def add_link(self, book: MarketBook, link: MarketLink) -> None:
        """A live bot follows this book from now on."""
        book.links.append(link)
        self._has_links = True
        self.set_attention()

    # -- frames

    def on_frame_bits(self, bits: int, payload: memoryview, receive_ns: int, session: FeedSession) -> None:
        """A frame with bits that we attend to. Bits: reactor/market/intake.py."""
        slot = bits >> 16
        if slot == NO_SLOT or bits & REFUSED:
            self._on_other(bits, payload, receive_ns, session)
            return
        book = self.books[slot]
        if bits & WAKE:
            self._wake(book)
        if bits & TOP:
            self._listener.on_top(book.instrument_index, bits & TOP_PRICE != 0, receive_ns)
        if bits & DEPTH:
            self._on_delta(book, receive_ns)
        elif bits & MARK:
            book.mark_receive_ns = receive_ns
            self._listener.on_mark(book.instrument_index, receive_ns)
        elif bits & TRADE:
            if self.keeps_trades:
                self._keep_trade(book, receive_ns)
        elif bits & CROSSED:
            book.sync.advance(book.book.update_id)
            self._on_crossed(book)
        if book.links:
            self._share(book, bits, receive_ns)
        if self._is_tapped and self.tap is not None:
            self.tap.tap(self._frame.kind, book.symbol, book.instrument_index, session.number, payload, receive_ns)

    def _on_moved(self, receive_ns: int) -> None:
        """The frames of a read are taken: who reads the tops that moved is asked now, once."""
        native, more = self._intake_native, MORE
        while more:
            each = self._next_moved(native)
            if not each:
                return
            more = each & MORE
            book = self.books[each >> 16]
            self._on_top(book.instrument_index, each & TOP_PRICE != 0, receive_ns)
            if book.links:
                for link in book.links:
                    link.top(book.top, receive_ns)

    def hear_every(self, book: MarketBook, is_wanted: bool) -> None:
        """From now on the listener is asked at every update of this top, or once per read."""
        book.state.hears_every = is_wanted

    def _share(self, book: MarketBook, bits: int, receive_ns: int) -> None:
        """What the frame said, to the live bots. Deltas that went through our hands have been sent as whole books."""
        frame, top = self._frame, book.top
        if bits & APPLIED:
            exchange_ns = (frame.transaction_ms or frame.event_ms) * MS
            for link in book.links:
                link.delta(self._buffer, frame, book.book, exchange_ns, receive_ns)
        elif bits & TRADE:
            for link in book.links:
                link.trade(frame.trade.price_ticks, top.last_trade_lots, frame.transaction_ms * MS, receive_ns)
        elif bits & TOP and frame.kind == BOOK_TICKER:
            for link in book.links:
                link.top(top, receive_ns)

    def _keep_trade(self, book: MarketBook, receive_ns: int) -> None:
        frame = self._frame
        exchange_ns = frame.transaction_ms * MS
        book.trades.append(Trade(frame.trade_id, frame.trade.price_ticks, book.top.last_trade_lots, exchange_ns, receive_ns))

    def set_attention(self) -> None:
        """What the intake finds is handed up only if somebody reads it."""
        attention = ATTENTION_ALWAYS
        if self.hears_quantities:
            attention |= TOP
        if self.keeps_trades:
            attention |= TRADE
        if self._has_links:
            attention |= APPLIED | TOP | TRADE
        self._is_tapped = self.tap is not None and self.tap.is_heard
        if self._is_tapped:
            attention = ATTENTION_ALL
        for line in self.lines:
            if line.attention != attention:
                line.set_attention(attention)

    def _on_delta(self, book: MarketBook, receive_ns: int) -> None:
        """A delta that the intake did not apply by itself: the synchronisation decides."""
        frame, buffer, sync = self._frame, self._buffer, book.sync
        first_id, final_id, previous_id = frame.first_id, frame.final_id, frame.previous_id
        if book.instrument is None:  # A symbol of the topic: its ids are followed, it has no book.
            self.intake.set_depth_id(book.slot, final_id)
            return
        was_synchronised = sync.state is SYNCHRONISED
        if was_synchronised:
            sync.advance(book.book.update_id)
        if book.check is not None:
            book.check.on_delta(first_id, final_id, previous_id, buffer.copy(frame.bid_count, frame.ask_count))
        verdict = sync.on_delta(first_id, final_id, previous_id, receive_ns, self._can_bridge)
        if verdict is APPLY:
            exchange_ns = (frame.transaction_ms or frame.event_ms) * MS
            changes = book.book.apply_levels(buffer.bids, frame.bid_count, buffer.asks, frame.ask_count, final_id)
            self._on_applied(book, changes, receive_ns, exchange_ns)
        elif verdict is KEEP:
            sync.keep(first_id, final_id, previous_id, buffer.copy(frame.bid_count, frame.ask_count))
        self.intake.set_depth_id(book.slot, sync.seen_id)
        if was_synchronised and sync.state is not SYNCHRONISED:
            self._on_unsynchronised(book)
        if book.check is not None:
            self._look_at_check(book)

    def _on_applied(self, book: MarketBook, changes: int, receive_ns: int, exchange_ns: int) -> None:
        sync = book.sync
        for delta in sync.take_ready():
            changes = book.book.apply_kept(delta.payload, delta.final_id)
        if changes & BOOK_CROSSED:
            self._on_crossed(book)
        elif sync.state is SYNCHRONISED:
            self._arm(book)
            self.intake.take_book(book.slot, book.book, receive_ns, exchange_ns)
            for link in book.links:
                link.is_behind = True
            if not book.top.is_synchronised:
                self._wake(book)
            for link in book.links:
                link.catch_up(book.book, exchange_ns, receive_ns)
            self._listener.on_top(book.instrument_index, True, receive_ns)  # Signals may speak again.

    def _arm(self, book: MarketBook) -> None:
        """The intake goes on by itself, as long as nobody compares the book."""
        if book.check is None:
            self.intake.arm(book.slot, book.book, self.codec.sync_rule)

    def _on_crossed(self, book: MarketBook) -> None:
        self._count(Counter.CROSSED)
        self._log.warning("book crossed: fetching it anew", venue=self.venue, symbol=book.symbol,
                          update_id=book.book.update_id)  # fmt: skip
        book.sync.on_crossed()
        self.intake.set_depth_id(book.slot, book.sync.seen_id)
        self._on_unsynchronised(book)

    def _on_other(self, bits: int, payload: memoryview, receive_ns: int, session: FeedSession) -> None:
        frame = self._frame
        if bits & CONTROL:
            if frame.kind == ANSWER:
                if frame.code:
                    text = bytes(payload[frame.text_offset : frame.text_offset + frame.text_size]).decode(errors="replace")
                    self._log.error("venue refused a subscription", venue=self.venue, code=frame.code, answer=text)
                session.on_answer(frame.answer_id, frame.code, receive_ns)
            else:
                self._log.warning("venue announced a shutdown: replacing the session", venue=self.venue, session=session.number)
                session.rotate_now(receive_ns)
            return
        self._count(Counter.REFUSED)
        if frame.kind == MALFORMED:
            self._count(Counter.MALFORMED)
            name = FrameError(frame.error).name.lower()
            start = bytes(payload[:80]).decode("ascii", "replace")
            self._log.warning("malformed frame", venue=self.venue, error=name, size=len(payload), start=start)
        else:
            start = bytes(payload[:80]).decode("ascii", "replace")
            self._log.debug("frame of a kind or symbol nobody asked for", venue=self.venue, start=start)

    # -- synchronised, stale

    def _wake(self, book: MarketBook) -> None:
        """Data is coming: the top may be believed if the book may."""
        if book.is_stale:
            book.is_stale = False
            book.state.is_sleeping = 0
            self._log.info("data is fresh", venue=self.venue, symbol=book.symbol)
        self._show(book)

    def _show(self, book: MarketBook) -> None:
        if book.instrument is None:
            return
        top = book.top
        is_good = not book.is_stale and (not book.has_depth or book.sync.is_synchronised)
        top.is_synchronised = 1 if is_good else 0
        for link in book.links:
            link.set_good(is_good)
            link.catch_up(book.book, top.exchange_ns, self._clock.monotonic_ns())
        top.resyncs = book.sync.resyncs
        self.intake.mark(book.slot)
        self._listener.on_trust()

    def _on_unsynchronised(self, book: MarketBook) -> None:
        sync = book.sync
        self.intake.disarm(book.slot)
        self._log.warning("book lost its thread", venue=self.venue, symbol=book.symbol, state=sync.state.name.lower(),
                          update_id=sync.local_id, resyncs=sync.resyncs)  # fmt: skip
        self._show(book)

    # -- sessions

    def on_session_up(self, session: FeedSession, now_ns: int) -> None:
        """It has its streams."""
        self._log.info("session is live", venue=self.venue, url=session.line.url, session=session.number)
        self._can_bridge = self.lines[0].live_count() > 1

    def on_session_down(self, session: FeedSession, reason: str, now_ns: int) -> None:
        """The other one carries on; with none left the books begin anew when somebody is back."""
        self._can_bridge = self.lines[0].live_count() > 1
        if session.is_over:
            self._frames_gone += int(session.counters.native.frames)
            session.counters.native.frames = 0
        if not reason or self._is_stopping:
            return
        if not session.was_open:
            self._log.warning("cannot connect", venue=self.venue, url=session.line.url, session=session.number, reason=reason)
            return
        self._count(Counter.SESSIONS_LOST)
        left = session.line.live_count()
        self._log.warning("session lost", venue=self.venue, url=session.line.url, session=session.number, reason=reason,
                          others_live=left)  # fmt: skip
        if left == 0 and session.line is self.lines[0]:
            for book in self.books:
                self._begin_anew(book)

    def _begin_anew(self, book: MarketBook) -> None:
        """Nobody brings data: what comes later may have new ids."""
        book.sync.reset()
        self.intake.disarm(book.slot)
        self.intake.forget(book.slot)
        self._set_stale(book)
        book.check = None
        self._show(book)

    def _set_stale(self, book: MarketBook) -> None:
        book.is_stale = True
        book.state.is_sleeping = 1

    def on_silent_stream(self, session: FeedSession, stream: Stream) -> None:
        """Acknowledged and silent: a wrong name or a wrong path looks exactly like this."""
        self._count(Counter.SILENT_STREAMS)
        self._log.warning("subscribed but no data: is the stream's name and path right?", venue=self.venue, stream=stream.name,
                          url=session.line.url)  # fmt: skip

    # -- time

    def on_time(self, now_ns: int) -> None:
        """Sessions, snapshots, staleness, clock. Call it about every 10 ms."""
        for line in self.lines:
            line.on_time(now_ns)
        self.set_attention()
        inquiry = self.inquiry
        inquiry.on_time(now_ns)
        offset_ns = inquiry.offset_ns()
        self.intake.native.exchange_minus_monotonic_ns = inquiry.wall_minus_monotonic_ns() + offset_ns
        parameters = self._parameters
        stale_ns, mark_stale_ns = parameters.stale_after_ms * MS, parameters.mark_stale_after_ms * MS
        for book in self.books:
            if book.instrument is None:
                continue
            top, sync = book.top, book.sync
            top.clock_offset_ns = offset_ns
            if not book.is_stale and now_ns - top.receive_ns > stale_ns:
                self._set_stale(book)
                self._log.warning("data is stale", venue=self.venue, symbol=book.symbol, after_ms=parameters.stale_after_ms)
                self._show(book)
            if top.mark_price and now_ns - book.mark_receive_ns > mark_stale_ns:
                top.mark_price = 0.0
                self._log.warning("mark price is stale", venue=self.venue, symbol=book.symbol)
                self.intake.mark(book.slot)
            if sync.state is SyncState.BRIDGING:
                sync.on_time(now_ns)
                self.intake.set_depth_id(book.slot, sync.seen_id)
            if book.has_depth and not book.is_fetching and now_ns >= book.fetch_due_ns:
                is_quiet = sync.state is SyncState.IDLE and now_ns - book.added_ns > SNAPSHOT_DUE_NS
                if sync.needs_snapshot or (is_quiet and self.lines[0].live_count() > 0):
                    self._fetch(book, now_ns)
            if book.check is not None:
                self._run_check(book, now_ns)
            for link in book.links:
                if link.is_waiting:
                    link.catch_up(book.book, top.exchange_ns, now_ns)

    # -- snapshots

    def _fetch(self, book: MarketBook, now_ns: int) -> None:
        if self._fetching >= SNAPSHOTS_IN_FLIGHT_MAX:
            return
        book.sync.on_request()
        book.is_fetching = True
        self._fetching += 1
        depth = self._parameters.snapshot_depth
        if not self.inquiry.try_snapshot(book.symbol, depth, lambda response: self._on_snapshot(book, response)):
            book.is_fetching = False
            self._fetching -= 1
            if book.sync.state is SyncState.BUFFERING:
                book.sync.needs_snapshot = True
            book.fetch_due_ns = now_ns + 50 * MS

    def _on_snapshot(self, book: MarketBook, response: Response) -> None:
        book.is_fetching = False
        self._fetching -= 1
        if self._is_stopping:
            return
        sync, now_ns = book.sync, response.receive_ns or self._clock.monotonic_ns()
        levels = self._read_snapshot(book, response)
        if levels is None:
            self._count(Counter.SNAPSHOTS_FAILED)
            sync.on_snapshot_failed()
            book.fetch_due_ns = now_ns + book.backoff.next_delay_ns()
            return
        last_update_id = int(self._frame.final_id)
        verdict = sync.on_snapshot(last_update_id)
        if verdict is Verdict.WAIT:
            self._count(Counter.SNAPSHOTS_STALE)
            book.fetch_due_ns = now_ns + book.backoff.next_delay_ns()
        elif verdict is Verdict.LOAD:
            self._count(Counter.SNAPSHOTS)
            book.backoff.reset()
            changes = book.book.load(levels.bids, levels.bid_count, levels.asks, levels.ask_count, last_update_id)
            book.horizon = horizon_of(levels)
            self._on_applied(book, changes, now_ns, now_ns + int(self.intake.native.exchange_minus_monotonic_ns))
            self.intake.set_depth_id(book.slot, sync.seen_id)
            if sync.is_synchronised:
                self._log.info("book is synchronised", venue=self.venue, symbol=book.symbol, update_id=sync.local_id,
                               resyncs=sync.resyncs)  # fmt: skip

    def _read_snapshot(self, book: MarketBook, response: Response) -> KeptLevels | None:
        if response.failure is not Failure.NONE or response.status != 200:
            self.inquiry.note(response)
            self._log.warning("no snapshot", venue=self.venue, symbol=book.symbol, status=response.status, error=response.text)
            return None
        frame = self._frame
        if self.intake.decode_body(response.body, book.slot) != FrameKind.SNAPSHOT or frame.error:
            start = response.body[:80].decode("ascii", "replace")
            self._log.warning("malformed snapshot", venue=self.venue, symbol=book.symbol, error=int(frame.error), start=start)
            return None
        return self._buffer.copy(frame.bid_count, frame.ask_count)

    # -- checks

    def begin_check(self, book: MarketBook, now_ns: int) -> None:
        """Compares the book with the venue's REST book; the result is logged and counted."""
        book.check = BookCheck(self.codec.sync_rule, now_ns, self._parameters.book_capacity)
        book.check.sync.needs_snapshot = True
        self.intake.disarm(book.slot)  # Every delta goes through our hands, and so into the check's.

    def _run_check(self, book: MarketBook, now_ns: int) -> None:
        check = book.check
        assert check is not None, "a check is running"
        if now_ns - check.started_ns > CHECK_LIFE_NS:
            self._end_check(book)
            self._count(Counter.CHECKS_OPEN_ENDED)
            self._log.warning("book check: no comparison was possible in time", venue=self.venue, symbol=book.symbol)
        elif check.sync.needs_snapshot:
            depth = self._parameters.snapshot_depth
            if self.inquiry.try_snapshot(book.symbol, depth, lambda response: self._on_check_snapshot(book, check, response)):
                check.sync.on_request()

    def _on_check_snapshot(self, book: MarketBook, check: BookCheck, response: Response) -> None:
        if book.check is not check:
            return
        levels = self._read_snapshot(book, response)
        if levels is None:
            self._end_check(book)
            self._count(Counter.CHECKS_OPEN_ENDED)
        elif check.on_snapshot(levels, int(self._frame.final_id)):
            self._look_at_check(book)

    def _end_check(self, book: MarketBook) -> None:
        book.check = None
        if book.sync.is_synchronised:
            self._arm(book)

    def _look_at_check(self, book: MarketBook) -> None:
        check = book.check
        if check is None or not book.sync.is_synchronised:
            return
        result: CheckResult | None = check.compare(book.book, book.horizon)
        if result is None:
            return
        self._end_check(book)
        fields: dict[str, int | str] = {"venue": self.venue, "symbol": book.symbol, "update_id": book.book.update_id}
        fields["levels"] = result.levels
        if not result.differences:
            self._count(Counter.CHECKS_PASSED)
            self._log.info("book check passed", **fields)
            return
        self._count(Counter.CHECKS_FAILED)
        self._log.error("book check failed: fetching the book anew", differences=result.differences,
                        first=result.difference, **fields)  # fmt: skip
        book.sync.on_crossed()
        self.intake.set_depth_id(book.slot, book.sync.seen_id)
        self._on_unsynchronised(book)

    # -- what others ask

    @property
    def frames(self) -> int:
        """Frames received on all sessions, living and gone."""
        return self._frames_gone + sum(int(session.counters.native.frames) for line in self.lines for session in line.sessions)

    # -- ends

    def stop(self) -> None:
        """Closes every session."""
        self._is_stopping = True
        self.inquiry.stop()
        for line in self.lines:
            line.stop()

    def is_ready(self) -> bool:
        """Every line that has streams has a live session, and every book is synchronised."""
        are_live = all(line.live_count() for line in self.lines if line.streams)
        return are_live and all(book.top.is_synchronised for book in self.books if book.instrument is not None)
