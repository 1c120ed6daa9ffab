"""The signals of one feed: who is asked when a top moves, and how an opinion becomes a message.

    top moved ─▶ on_top(instrument) ─▶ every signal that reads it: update() ─▶ True: say it
    every 10 ms ─▶ on_time() ─▶ samples; what still holds is said again at its refresh

What a trigger waits for comes first, the way out before the way in, and is carried on at once where the collector is in the
same shard (`turn`): what nobody waits for is said behind the decision.

A message is kept ready per signal; saying it means filling in time, ids and tops and copying it into the ring. State-like
signals conflate: while the ring is full the newest of each waits (reactor/loop/link.py). Of a lossless signal every message
waits, and while one does, `sender.is_pressed()` says to the sockets that they shall wait too.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from reactor.domain.instrument import Instruments
from reactor.domain.messages import NO_INSTRUMENT, NO_ROW, NO_TOP, copier, new, signal_index, signal_source, signal_tell
from reactor.feed.counters import Counter
from reactor.feed.signals.signal import Signal, Tops
from reactor.loop.counters import Metrics
from reactor.loop.link import ConflatingSender
from reactor.loop.log import Log
from shm.ring import Producer

MS: Final = 1_000_000
SIGNAL_ID_SHIFT: Final = 48
TURNS_PER_READ_MAX: Final = 4  # A read that moves more is a burst: one pass for all the rest of it is cheaper for all of them.


class Place:
    """One signal on the board, with its message."""

    __slots__ = (
        "failed", "hedge_index", "index", "instrument_index", "is_lossless", "message", "refresh_due_ns", "refresh_ns",
        "signal", "source", "update",
    )  # fmt: skip

    def __init__(self, signal: Signal, source_index: int, pair_id: int) -> None:
        self.signal = signal
        self.update = signal.update
        self.failed = False
        self.refresh_ns = signal.refresh_ms * MS
        self.refresh_due_ns = 0
        self.source: Any = None  # signal_source_t
        self.index = signal_index(signal.signal_type, signal.instrument_index)
        self.instrument_index = signal.instrument_index
        self.hedge_index = signal.hedge_instrument_index
        self.is_lossless = signal.is_lossless
        message = self.message = new("signal")
        message.signal_index = self.index
        message.value_count = signal.value_count
        header = message.header
        header.kind = signal.signal_type
        header.source = source_index
        header.instrument_index = signal.instrument_index
        header.hedge_instrument_index = signal.hedge_instrument_index
        header.pair_id = pair_id
        signal.values = message.values


class Board:
    """Every signal of the feed."""

    def __init__(
        self,
        instruments: Instruments,
        tops: Tops,
        producer: Producer,
        monotonic_ns: Callable[[], int],
        top_row: Callable[[int], Any],
        metrics: Metrics,
        log: Log,
        feed_index: int,
        source_index: int = 0,
    ) -> None:
        """`top_row(instrument_index)`: where a top is shown before a signal that was made from it (top_row_t)."""
        self._tops = tops
        self._monotonic_ns = monotonic_ns
        self._top_row = top_row
        self._tell = signal_tell
        self._metrics = metrics
        self._said = 0  # since the last pass
        self._log = log
        self._source_index = source_index
        self.sender = ConflatingSender(producer, lambda: new("signal"), copier("signal"))
        self.places: list[Place] = []
        self._on_price: list[tuple[Place, ...]] = [()] * len(instruments)
        self._on_quantity: list[tuple[Place, ...]] = [()] * len(instruments)
        self._on_mark: list[tuple[Place, ...]] = [()] * len(instruments)
        self._signal_id = (feed_index + 1) << SIGNAL_ID_SHIFT
        self._turn: Callable[[], None] | None = None
        self._is_awaited: Callable[[int], bool] = _always
        self._read_ns = 0  # the read, or the refresh, that is being told of …
        self._turns = 0  # … and how many turns it has caused

    def plug_collector(self, turn: Callable[[], None], is_awaited: Callable[[int], bool]) -> None:
        """A collector in the same shard: `turn()` lets it read what was said, `is_awaited(signal_index)` tells whether one of
        its triggers looks at it. Without one every signal counts as awaited, and its reader is woken by the ring."""
        self._turn = turn
        self._is_awaited = is_awaited

    def next_signal_id(self) -> int:
        """Minted here for everything this feed says: it follows the decision from the tick to the fill."""
        self._signal_id += 1
        return self._signal_id

    def plug(self, signals: Sequence[tuple[Signal, int]]) -> None:
        """Replaces the signals: (signal, pair_id or NO_PAIR)."""
        places = [Place(signal, self._source_index, pair_id) for signal, pair_id in signals]
        self.places = sorted(places, key=lambda place: (not self._is_awaited(place.index), not place.signal.closes))
        for index in range(len(self._on_price)):
            reading = [place for place in self.places if index in place.signal.inputs()]
            # Quantities only concern who asks for them; a pair's funding is told by the mark price, not by ticks.
            self._on_price[index] = tuple(place for place in reading if not place.signal.hears_marks)
            self._on_quantity[index] = tuple(place for place in reading if place.signal.hears_quantities)
            self._on_mark[index] = tuple(place for place in reading if place.signal.hears_marks)

    def on_top(self, instrument_index: int, is_price: bool, receive_ns: int) -> None:
        """The hot path."""
        tops = self._tops
        for place in self._on_price[instrument_index] if is_price else self._on_quantity[instrument_index]:
            try:
                is_said = place.update(tops, receive_ns)
            except Exception as error:
                self._switch_off(place, error)
                continue
            if is_said:
                self._say(place, receive_ns, receive_ns)

    def on_mark(self, instrument_index: int, receive_ns: int) -> None:
        """Mark price and funding rate came."""
        for place in self._on_mark[instrument_index]:
            self._ask(place, receive_ns)

    def on_time(self, now_ns: int) -> None:
        """Samples and refreshes."""
        tops = self._tops
        for place in self.places:
            if place.failed:
                continue
            try:
                place.signal.on_time(tops, now_ns)
            except Exception as error:
                self._switch_off(place, error)
                continue
            if now_ns >= place.refresh_due_ns:
                place.refresh_due_ns = now_ns + place.refresh_ns
                self._ask(place, now_ns, is_refresh=True)

    def flush(self) -> int:
        """Sends what had to wait for room. Once per pass."""
        sent = self.sender.flush()
        if self._said:
            self._metrics.count(Counter.SIGNALS, self._said)
            self._said = 0
        self._metrics.set(Counter.SIGNALS_SKIPPED, self.sender.skipped)
        self._metrics.set(Counter.SIGNALS_DELAYED, self.sender.delayed)
        return sent

    def hears_every(self, instrument_index: int) -> bool:
        """A signal wants each update of this top by itself."""
        return any(place.is_lossless for place in self._on_quantity[instrument_index] + self._on_price[instrument_index])

    def _ask(self, place: Place, now_ns: int, is_refresh: bool = False) -> None:
        if place.failed:
            return
        if is_refresh:
            now_ns = self._monotonic_ns()  # Nothing was received: what holds, holds as of now.
        try:
            is_said = place.update(self._tops, now_ns)
        except Exception as error:
            self._switch_off(place, error)
            return
        if is_said or (is_refresh and place.signal.is_valid):
            self._say(place, now_ns, now_ns)

    def _say(self, place: Place, receive_ns: int, now_ns: int) -> None:
        source = place.source
        if source is None:
            source = place.source = self._source_of(place)
        self._signal_id += 1
        place.refresh_due_ns = now_ns + place.refresh_ns
        sender = self.sender
        view = sender.begin_each() if place.is_lossless else sender.begin(place.index)
        self._tell(view, source, self._signal_id, receive_ns, self._monotonic_ns())
        sender.done()
        self._said += 1
        turn = self._turn
        if turn is not None and self._is_awaited(place.index):
            if receive_ns != self._read_ns:
                self._read_ns, self._turns = receive_ns, 0
            if self._turns < TURNS_PER_READ_MAX:
                self._turns += 1
                turn()

    def _source_of(self, place: Place) -> Any:
        """Made when it is needed first: by then every top is there."""
        tops, index, hedge_index = self._tops, place.instrument_index, place.hedge_index
        if hedge_index == NO_INSTRUMENT:
            return signal_source(place.message, tops[index], NO_TOP, self._top_row(index), NO_ROW)
        return signal_source(place.message, tops[index], tops[hedge_index], self._top_row(index), self._top_row(hedge_index))

    def _switch_off(self, place: Place, error: Exception) -> None:
        """A user's signal that raises is silenced: its trigger finds it stale. The feed goes on."""
        place.failed = True
        place.update = _nothing
        self._metrics.count(Counter.SIGNAL_FAILURES)
        self._log.error("signal switched off: its update failed", signal=type(place.signal).__name__,
                        instrument=place.signal.instrument_index, error=f"{type(error).__name__}: {error}")  # fmt: skip


def _always(index: int) -> bool:
    return True


def _nothing(tops: Tops, now_ns: int) -> bool:
    return False
