"""Reports on their way to prepost, and what the engine remembers of an order so that they can be complete.

A place leaves an *entry*: a report_message_t with everything that every report about this order repeats (decision, pair,
stamps, client id, side, price). A report is a copy of it plus what is new. An entry is no state of the order: nothing is
decided by it, and a report about an order without entry (placed by an earlier run) is built from the client id alone.

The ring may be full: reports then wait, in order, in a list that only the bound below limits. Commands are not read
meanwhile. At the bound the role cuts its sessions: a venue's events are then recovered by reconciliation instead.
"""

from collections import deque
from typing import Any, Final, Protocol

from reactor.domain.ids import ClientIds
from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_OURS,
    NO_INSTRUMENT,
    NO_PAIR,
    OrderStatus,
    Reason,
    ReportKind,
    Stage,
    clear,
    copier,
    new,
    put_text,
)
from reactor.engine.counters import Counter
from reactor.exchanges.binance.executions import begin_entry, write_execution
from reactor.loop.counters import Metrics

PENDING_MAX: Final = 65_536  # About 30 MB and several seconds of fills at full speed.
CLOSED_KEPT_MAX: Final = 4096  # Closed orders whose late fills should still carry their stamps.

K = ReportKind
_ACK: Final = int(K.ACK)
_FILL: Final = int(K.FILL)
_NOT_FOUND: Final = int(K.ORDER_NOT_FOUND)
_FILLED: Final = int(OrderStatus.FILLED)
_CLOSING: Final = frozenset({int(K.CANCELLED), int(K.EXPIRED), int(K.REJECT)})
_STAGE_ACK: Final = int(Stage.ACK)
DOUBLE_EXECUTION: Final = int(Reason.DOUBLE_EXECUTION)


class ReportRing(Protocol):
    """What reports need of shm/ring.py's Producer."""

    def try_claim(self) -> Any: ...

    def commit(self) -> None: ...

    def sequence(self) -> int: ...


class Entry:
    """What is repeated about one order."""

    __slots__ = (
        "client_order_id",
        "connection",
        "has_cancel",
        "is_acked",
        "is_closed",
        "order_id",
        "report",
        "symbol",
        "venue",
        "venue_order_id",
    )

    def __init__(self) -> None:
        self.report = new("report")
        self.client_order_id = ""
        self.order_id = 0
        self.venue = 0
        self.symbol = ""
        self.venue_order_id = 0
        self.connection = -1  # the session that carried the place
        self.is_acked = False
        self.is_closed = False
        self.has_cancel = False


class OrderMemory:
    """Entries by client id and by the venue's id. Pooled; closed ones are forgotten oldest first."""

    def __init__(self, closed_kept_max: int = CLOSED_KEPT_MAX) -> None:
        self._entries: dict[str, Entry] = {}
        self._by_order_id: dict[int, Entry] = {}
        self._by_venue_id: dict[tuple[int, int], Entry] = {}
        self._closed: deque[str] = deque()
        self._free: list[Entry] = []
        self._closed_kept_max = closed_kept_max
        self.find = self._entries.get
        self.find_order_id = self._by_order_id.get

    def __len__(self) -> int:
        return len(self._entries)

    def find_venue_id(self, venue: int, venue_order_id: int) -> Entry | None:
        """The entry of the venue's order id."""
        return self._by_venue_id.get((venue, venue_order_id))

    def remember(self, command: Any, client_order_id: str, order_id: int, venue: int, symbol: str, source: int) -> Entry:
        """The entry of a place that is about to be sent, or has just been."""
        entry = self._free.pop() if self._free else Entry()
        entry.is_acked = entry.is_closed = entry.has_cancel = False
        entry.venue_order_id = 0
        entry.connection = -1
        entry.client_order_id = client_order_id
        entry.order_id = order_id
        entry.symbol = symbol
        entry.venue = venue
        begin_entry(entry.report, command, source)
        self._entries[client_order_id] = entry
        self._by_order_id[order_id] = entry
        return entry

    def glance(self) -> None:
        """Warms the entry that would be taken next: it is nobody's."""
        if self._free:
            self._free[-1].is_closed = False

    def learn_venue_id(self, entry: Entry, venue_order_id: int) -> None:
        """The venue has given the order its own id."""
        entry.venue_order_id = venue_order_id
        self._by_venue_id[entry.venue, venue_order_id] = entry

    def close(self, entry: Entry) -> None:
        """The order is over: late fills may still come for a while."""
        if entry.is_closed:
            return
        entry.is_closed = True
        self._closed.append(entry.client_order_id)
        if len(self._closed) > self._closed_kept_max:
            self.forget(self._closed.popleft())

    def forget(self, client_order_id: str) -> None:
        """Nothing more will be said about it."""
        entry = self._entries.pop(client_order_id, None)
        if entry is not None:
            self._by_order_id.pop(entry.order_id, None)
            self._by_venue_id.pop((entry.venue, entry.venue_order_id), None)
            entry.client_order_id = ""  # Who still holds it sees that it is nobody's.
            self._free.append(entry)


class ReportWriter:
    """Writes reports: the `ReportSink` of the codecs. Call `about` first."""

    def __init__(
        self,
        ring: ReportRing,
        orders: OrderMemory,
        ids: ClientIds,
        metrics: Metrics,
        source: int = 0,
        pending_max: int = PENDING_MAX,
    ) -> None:
        self._try_claim = ring.try_claim
        self._commit = ring.commit
        self._sequence = ring.sequence
        self._orders = orders
        self._ids = ids
        self._metrics = metrics
        self._source = source
        self._pending_max = pending_max
        self._copy = copier("report")
        self._pending: deque[Any] = deque()
        self._open: Any = None  # handed out and not committed: an event that broke off halfway
        self._is_open_pending = False
        self._entry: Entry | None = None
        self._kind = 0
        self.venue = 0
        self.receive_ns = 0
        self.request_id = 0
        self.extra_flags = 0
        self.connection = 0
        self.reports = 0  # written, of them …
        self.fills = 0

    @property
    def is_blocked(self) -> bool:
        """Reports wait for room: read no commands."""
        return bool(self._pending)

    @property
    def pending(self) -> int:
        """How many wait."""
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        """The bound is reached: cut the sessions."""
        return len(self._pending) >= self._pending_max

    def about(self, venue: int, receive_ns: int, request_id: int = 0, extra_flags: int = 0, connection: int = 0) -> None:
        """What the next reports have in common."""
        self.venue = venue
        self.receive_ns = receive_ns
        self.request_id = request_id
        self.extra_flags = extra_flags
        self.connection = connection

    def begin(self, kind: int, client_order_id: str, instrument_index: int, venue_order_id: int = 0) -> Any:
        """See ReportSink. None for the second end of an order: prepost has heard it."""
        orders = self._orders
        if client_order_id:
            entry = orders.find(client_order_id)
        else:
            entry = orders.find_venue_id(self.venue, venue_order_id) if venue_order_id else None
        if entry is not None and entry.is_closed and kind in _CLOSING and not self.request_id:
            self._metrics.count(Counter.DUPLICATE_REPORTS_DROPPED)
            return None
        self._entry = entry
        report = self._claim()
        if entry is not None:
            self._copy(report, entry.report)
            header = report.header
        else:
            clear(report, "report")
            header = report.header
            header.instrument_index = instrument_index
            header.hedge_instrument_index = NO_INSTRUMENT
            header.pair_id = NO_PAIR
            report.venue = self.venue
            if client_order_id:
                order_id = self._ids.order_id(client_order_id)
                header.order_id = order_id
                header.flags = FLAG_OURS if order_id else FLAG_FOREIGN
                put_text(report.client_order_id, client_order_id)
        header.kind = self._kind = kind
        header.source = self._source
        header.stage_ns[_STAGE_ACK] = self.receive_ns
        if self.extra_flags:
            header.flags |= self.extra_flags
        report.request_id = self.request_id
        report.connection = self.connection
        return report

    def commit(self) -> None:
        """Publishes the report begun last, or queues it. The second ACK of an order says nothing new and is dropped, unless it
        names another order of the venue: then one decision was executed twice."""
        report = self._open
        assert report is not None, "commit without begin"
        entry = self._entry
        metrics = self._metrics
        if entry is not None and not self._learn(entry, report):
            metrics.count(Counter.DUPLICATE_REPORTS_DROPPED)
            return  # The view stays open for the next report.
        self._open = None
        self.reports += 1
        if self._kind == _FILL:
            self.fills += 1
        if self._is_open_pending:
            self._pending.append(report)
            return
        report.header.sequence = self._sequence()
        self._commit()

    def write_execution(
        self, entry: Entry, execution: Any, kind: int, venue_order_id: int, order_status: int, receive_ns: int,
        request_id: int = 0, flags: int = 0, connection: int = 0,
    ) -> None:  # fmt: skip
        """`begin`, the codec and `commit` in one, about an order that is remembered, from what C has read.

        `kind` … `order_status` are what the execution says; the rest is as in `about`.
        """
        is_double = False
        is_closing = kind in _CLOSING
        if entry.is_closed and is_closing and not request_id:
            self._metrics.count(Counter.DUPLICATE_REPORTS_DROPPED)
            return
        if entry.venue_order_id != venue_order_id:
            if not entry.venue_order_id:
                self._orders.learn_venue_id(entry, venue_order_id)
            elif kind == _ACK:
                is_double = True
                self._metrics.count(Counter.DOUBLE_EXECUTIONS)
        if is_double:
            pass
        elif kind == _ACK:
            if entry.is_acked:
                self._metrics.count(Counter.DUPLICATE_REPORTS_DROPPED)
                return
            entry.is_acked = True
        elif is_closing or (kind == _FILL and order_status == _FILLED):
            self._orders.close(entry)
        self.reports += 1
        if kind == _FILL:
            self.fills += 1
        is_plain = self._open is None and not self._pending
        report = self._try_claim() if is_plain else self._claim()
        is_queued = report is None if is_plain else self._is_open_pending
        self._open = None
        if report is None:
            report = new("report")
        sequence = 0 if is_queued else self._sequence()
        write_execution(execution, entry.report, report, kind, sequence, receive_ns, request_id, flags << 16 | connection)
        if is_double:
            report.reason = DOUBLE_EXECUTION
        if is_queued:
            self._pending.append(report)
        else:
            self._commit()

    def _learn(self, entry: Entry, report: Any) -> bool:
        """Notes what the report says about its order. False: nothing new."""
        kind = self._kind
        venue_order_id = report.venue_order_id
        if venue_order_id:
            if not entry.venue_order_id:
                self._orders.learn_venue_id(entry, venue_order_id)
            elif entry.venue_order_id != venue_order_id and kind == _ACK:
                report.reason = DOUBLE_EXECUTION
                self._metrics.count(Counter.DOUBLE_EXECUTIONS)
                return True
        if kind == _ACK:
            if entry.is_acked:
                return False
            entry.is_acked = True
        elif kind in _CLOSING or kind == _NOT_FOUND or (kind == _FILL and report.order_status == _FILLED):
            self._orders.close(entry)
        return True

    def flush(self) -> int:
        """Moves waiting reports into the ring as far as there is room. Returns how many."""
        moved = 0
        while self._pending:
            slot = self._try_claim()
            if slot is None:
                break
            self._copy(slot, self._pending.popleft())
            slot.header.sequence = self._sequence()
            moved += 1
        if moved:
            self._commit()
        return moved

    def _claim(self) -> Any:
        if self._open is not None:
            return self._open  # Left over from an event that turned out to be malformed.
        slot = None if self._pending else self._try_claim()
        self._is_open_pending = slot is None
        if slot is None:
            slot = new("report")
        self._open = slot
        return slot
