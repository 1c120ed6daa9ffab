"""What a feed shows to others: book tops in the seqlocked rows, and every frame once on the market-data topic.

Neither is on the way to an order: rows are written when a signal goes out and at the end of a pass, and a topic that nobody
hears costs a comparison.
"""

from collections.abc import Callable, Iterator
from typing import Any

from reactor.domain.instrument import VENUE_NAMES
from reactor.domain.messages import INSTRUMENTS_MAX, NO_INSTRUMENT, NO_ROW
from reactor.feed.counters import Counter
from reactor.feed.signals.signal import Tops
from reactor.loop.counters import Metrics
from reactor.market.intake import Intake, show_top
from reactor.market.topic_frame import FrameCutter
from shm.seqlock import RowsWriter
from shm.topic import BODY_MAX, TopicPublisher

TOPIC_NAME = "market"


class TopRows:
    """Publishes the tops that changed. Which did is noted in C (intake.h): a tick costs nothing here."""

    def __init__(self, rows: RowsWriter, tops: Tops) -> None:
        self._rows = rows
        self._tops = tops
        self._natives: list[Any] = [NO_ROW] * len(tops)  # top_row_t by instrument index
        self._places: list[tuple[Intake, list[int]]] = []  # per venue: instrument index by slot

    def add(self, intake: Intake, slot: int, instrument_index: int) -> None:
        """A top of this feed, in place in its venue's intake."""
        indexes = next((indexes for known, indexes in self._places if known is intake), None)
        if indexes is None:
            indexes = [NO_INSTRUMENT] * INSTRUMENTS_MAX
            self._places.append((intake, indexes))
        indexes[slot] = instrument_index
        self._natives[instrument_index] = intake.top_row(slot, self._rows.address, instrument_index)

    def native(self, instrument_index: int) -> Any:
        """The top_row_t, for C that shows a changed top at once: a signal made from it is about to go out."""
        return self._natives[instrument_index]

    def show(self, instrument_index: int) -> None:
        """Shows a changed top at once."""
        show_top(self._natives[instrument_index])

    def has_waiting(self) -> bool:
        """A changed top is not shown yet."""
        return any(intake.native.dirty_count for intake, _ in self._places)

    def flush(self) -> int:
        """Shows the rest. Returns how many rows were written."""
        count = 0
        for intake, indexes in self._places:
            for slot in intake.take_dirty():
                self._write(indexes[slot])
                count += 1
        return count

    def _write(self, index: int) -> None:
        self._rows.write(index, self._tops[index])


class MarketTopic:
    """Every frame of one venue, once, for the recorder, the dashboard and anybody's own process."""

    def __init__(self, topic: TopicPublisher, venue: int, wall_minus_monotonic_ns: Callable[[], int], metrics: Metrics) -> None:
        self._topic = topic
        self._prefix = f"{VENUE_NAMES[venue]}:"
        self._cutter = FrameCutter(venue, BODY_MAX)
        self._shift_ns = wall_minus_monotonic_ns
        self._count = metrics.count
        self._keys: dict[str, bytes] = {}

    @property
    def is_heard(self) -> bool:
        """Somebody listens."""
        return self._topic.is_heard

    def tap(
        self, frame_kind: int, symbol: str, instrument_index: int, session: int, payload: memoryview | bytes, receive_ns: int
    ) -> None:
        """One frame. The key is "binance_spot:BTCUSDT", the kind market.intake.FrameKind."""
        key = self._keys.get(symbol)
        if key is None:
            key = self._keys[symbol] = (self._prefix + symbol).encode()
        sent = 0
        for body in self._cutter.cut(payload, frame_kind, instrument_index, session, receive_ns, receive_ns + self._shift_ns()):
            self._topic.publish(frame_kind, key, body)
            sent += 1
        self._count(Counter.TOPIC_FRAMES if sent else Counter.TOPIC_OVERSIZED)


def wanted_symbols(topic: TopicPublisher) -> Iterator[tuple[str, str]]:
    """(venue name, symbol) that subscribers asked for since last time; keys of another form are ignored."""
    for key, is_wanted in topic.take_wanted():
        venue, colon, symbol = key.partition(":")
        if is_wanted and colon and symbol:
            yield venue, symbol
