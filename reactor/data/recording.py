"""What becomes of a frame that shall be recorded: once, in order, with a snapshot where a book begins anew. No socket, no file.

    frame ─▶ known already? ─ yes ─▶ dropped (a redundant session was faster)
               │ no
               ▼
             book true? ─ no ─▶ held until the snapshot comes ─▶ snapshot, then what was held
               │ yes
               ▼
             a line of the day's file

One SymbolRecording per symbol. The book itself is not kept: its ids are followed by the same core as the feeds'
(reactor/market/sync.py), which says when deltas are missing and when a snapshot fits.

While a snapshot is on its way the lines are held (at most HOLD_NS), so that a file can begin with it and the book of whoever
reads it is right from there on. A delta that is newer than the snapshot and came before its answer gets the answer's stamp:
nobody could have used it sooner. Every other line has the moment when its last byte left the socket.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

from reactor.market.intake import FrameKind
from reactor.market.sync import BookSync, SyncEvent, SyncRule, SyncState, Verdict, relation

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
HOLD_NS: Final = 5 * SECOND_NS  # A snapshot takes a tenth of a second; fifty at midnight take two or three.
HELD_BYTES_MAX: Final = 32 << 20  # Of one symbol. Beyond it lines are written without their snapshot.
LATE_NS: Final = SECOND_NS  # A stamp of before midnight may still be on its way this long after it.
RECENT_KEYS: Final = 4096  # Redundant sessions are milliseconds apart; this is seconds of the busiest stream.
HOLES_MAX: Final = 1000  # Trades waited for one by one; a larger hole is a gap at once.

_TRADE: Final[int] = FrameKind.TRADE
_AGGREGATE: Final[int] = FrameKind.AGGREGATE_TRADE
_TICKER: Final[int] = FrameKind.BOOK_TICKER
_MARK: Final[int] = FrameKind.MARK_PRICE
_TRADES: Final = (_TRADE, _AGGREGATE)
_BELIEVED: Final = (SyncState.SYNCHRONISED, SyncState.BRIDGING, SyncState.ANCHORING)


class Frame(NamedTuple):
    """What the recording must know of one frame; the ids as in cffi_build/include/frames.h."""

    kind: int
    stream: str  # its name without the symbol
    first_id: int = 0
    final_id: int = 0
    previous_id: int = -1
    trade_id: int = 0
    event_ms: int = 0
    is_delta: bool = False  # of the stream that the book follows
    is_derived: bool = False  # comes over the venue's second connection


@dataclass(frozen=True)
class Gap:
    """Something that the venue may have sent and no file has. Times are wall clock ns."""

    symbol: str
    stream: str  # "depth", "trade", …; "*": anything of the symbol; "snapshot": nothing is lost, but the book is incomplete
    from_ns: int  # last line of the same stream before it; 0: unknown
    to_ns: int
    reason: str
    count: int = 0  # messages, where the ids tell


@dataclass
class SymbolStatistics:
    """What was recorded of one symbol."""

    lines: int = 0
    bytes: int = 0  # of text
    duplicates: int = 0
    snapshots: int = 0
    stale_snapshots: int = 0
    gaps: int = 0
    restamped: int = 0
    last_ns: int = 0  # wall clock of the newest line
    lag_ns: int = 0  # the newest dated line's receipt minus the venue's own time of it
    by_stream: dict[str, int] = field(default_factory=dict)


class _Seen:
    """The last keys of one stream: tells a repetition from news, whatever the order."""

    __slots__ = ("_keys", "_order")

    def __init__(self) -> None:
        self._keys: set[int] = set()
        self._order: deque[int] = deque()

    def is_new(self, key: int) -> bool:
        keys = self._keys
        if key in keys:
            return False
        keys.add(key)
        order = self._order
        order.append(key)
        if len(order) > RECENT_KEYS:
            keys.discard(order.popleft())
        return True


class _Held(NamedTuple):
    stamp_ns: int
    line: bytes
    delta_id: int  # final id; 0: no delta


Write = Callable[["SymbolRecording", bytes], None]
"""(recording, line): into the file of `recording.day`."""
Report = Callable[[Gap], None]


class SymbolRecording:
    """One symbol of one venue. `write` and `report` are called from within its methods."""

    def __init__(self, symbol: str, rule: SyncRule, has_depth: bool, write: Write, report: Report) -> None:
        """`has_depth`: its deltas are recorded, so snapshots belong to it."""
        self.symbol = symbol
        self.has_depth = has_depth
        self.statistics = SymbolStatistics()
        self.sync: BookSync[None] = BookSync(rule)
        self.day = 0  # days since 1970 of the file that is being written; 0: none yet
        self.hold_until_ns = 0  # 0: nothing is held
        self.held_since_ns = 0  # monotonic: when the newest hold began
        self._held: list[_Held] = []
        self._held_bytes = 0
        self._seen: dict[int, _Seen] = {}
        self._depth_id = 0  # final id of the newest delta
        self._depth_ns = 0  # stamp of the newest delta that follows the ones before it
        self._trade_id = 0
        self._trade_ns = 0  # stamp of the newest trade
        self._holes: dict[int, int] = {}  # trade id that another session may bring → until when, monotonic ns
        self._holes_from_ns = 0  # stamp of the last trade before the oldest of them
        self._heard_ns = 0  # stamp of the newest frame: no later one is stamped before it
        self._last_ns = [0, 0]  # newest line of the public and of the derived streams
        self._lost: dict[bool, tuple[int, str]] = {}  # is_derived → (since, why)
        self._write = write
        self._report = report

    # -- frames

    def on_frame(self, frame: Frame, payload: bytes, wall_ns: int, now_ns: int, can_bridge: bool) -> None:
        """One frame of any session. `payload` is the text as received; `can_bridge`: another session may bring what lacks."""
        statistics = self.statistics
        if 0 < self._heard_ns - wall_ns < LATE_NS:  # Several feeds' clocks, and ours when it is set, are a moment apart.
            wall_ns = self._heard_ns
        self._heard_ns = wall_ns
        day = wall_ns // DAY_NS
        if day > self.day:
            self._turn_to(day, now_ns)
        if self._is_known(frame, payload) or (frame.is_delta and not self._follow(frame, wall_ns, now_ns, can_bridge)):
            statistics.duplicates += 1
            return
        if frame.kind == _TRADE:
            self._watch_trades(frame.trade_id, wall_ns, now_ns, can_bridge)
        if frame.event_ms:
            statistics.lag_ns = wall_ns - frame.event_ms * 1_000_000
        name = frame.stream
        statistics.by_stream[name] = statistics.by_stream.get(name, 0) + 1
        self._last_ns[frame.is_derived] = wall_ns
        line = b"%d %b\n" % (wall_ns, payload)
        if self.hold_until_ns:
            self._held.append(_Held(wall_ns, line, frame.final_id if frame.is_delta else 0))
            self._held_bytes += len(line)
            if self._is_bridged():
                self._write_bridged()
            elif self._held_bytes > HELD_BYTES_MAX:
                self.release(wall_ns, "too much came while the snapshot was awaited")
        else:
            self._put(wall_ns, line)

    def _is_known(self, frame: Frame, payload: bytes) -> bool:
        kind = frame.kind
        if kind in _TRADES:
            key = frame.trade_id
        elif kind == _TICKER or frame.is_delta:
            key = frame.final_id
        elif kind == _MARK:
            key = frame.event_ms
        else:
            key = hash(payload)
        seen = self._seen.get(kind)
        if seen is None:
            seen = self._seen[kind] = _Seen()
        return not seen.is_new(key)

    def _follow(self, frame: Frame, wall_ns: int, now_ns: int, can_bridge: bool) -> bool:
        """Follows the ids of a delta. False: everything in it is in the file already."""
        sync = self.sync
        before = sync.state
        first_id, final_id, previous_id = frame.first_id, frame.final_id, frame.previous_id
        verdict = sync.on_delta(first_id, final_id, previous_id, now_ns, can_bridge)
        if verdict is Verdict.KEEP:
            sync.keep(first_id, final_id, previous_id, None)
        elif verdict is Verdict.APPLY and before is not SyncState.SYNCHRONISED:
            sync.take_ready()
        elif verdict is Verdict.IGNORE and final_id <= self._depth_id:  # Not one that only the snapshot knows already.
            return False
        if sync.state is SyncState.BRIDGING or before is SyncState.BRIDGING:
            self.hold(now_ns)
        elif self._depth_id and self._is_gap(frame):
            self._gap("depth", self._depth_ns, wall_ns, "the ids of the updates do not follow")
        if sync.state is SyncState.BUFFERING and before is not SyncState.BUFFERING:
            self.hold(now_ns)
        self._depth_id = max(self._depth_id, final_id)
        if sync.state is not SyncState.BRIDGING:
            self._depth_ns = wall_ns
        return True

    def _is_gap(self, frame: Frame) -> bool:
        ids = (frame.first_id, frame.final_id, frame.previous_id)
        return relation(self.sync.rule, self._depth_id, True, *ids) is SyncEvent.DELTA_GAP

    def _watch_trades(self, trade_id: int, wall_ns: int, now_ns: int, can_bridge: bool) -> None:
        """Trade ids of a symbol are consecutive; a hole that nobody fills is a loss."""
        last, holes = self._trade_id, self._holes
        missing = trade_id - last - 1
        if holes:
            holes.pop(trade_id, None)
        if last and missing > 0:
            if can_bridge and missing <= HOLES_MAX:
                self._holes_from_ns = self._holes_from_ns if holes else self._trade_ns
                holes.update(dict.fromkeys(range(last + 1, trade_id), now_ns + LATE_NS))
            else:
                self._gap("trade", self._trade_ns, wall_ns, f"trade ids jump from {last} to {trade_id}", missing)
        if trade_id > last:
            self._trade_id, self._trade_ns = trade_id, wall_ns

    # -- days

    def _turn_to(self, day: int, now_ns: int) -> None:
        """Another day's file begins: with a snapshot, if the symbol has a book."""
        if self._held:
            self.release(self._held[-1].stamp_ns, "the day ended before the snapshot came")
        self.day = day
        if self.has_depth:
            if self.sync.state in _BELIEVED:
                self.sync.on_crossed()  # What is known stays true; a snapshot is wanted all the same.
            self.sync.needs_snapshot = True
            self.hold(now_ns)

    # -- snapshots

    def hold(self, now_ns: int) -> None:
        """Lines wait for the snapshot from now on."""
        if not self.hold_until_ns:
            self.hold_until_ns = now_ns + HOLD_NS
            self.held_since_ns = now_ns

    def on_snapshot(self, last_update_id: int, body: bytes, wall_ns: int) -> bool:
        """The REST book came. False: it is older than what is held, ask again."""
        verdict = self.sync.on_snapshot(last_update_id)
        if verdict is not Verdict.LOAD:
            self.statistics.stale_snapshots += 1
            return verdict is not Verdict.WAIT
        self.sync.take_ready()
        self.day = self.day or wall_ns // DAY_NS
        self.statistics.snapshots += 1
        self._put(wall_ns, b"%d %b\n" % (wall_ns, body.replace(b"\n", b" ")))
        for stamp_ns, line, delta_id in self._held:
            if delta_id > last_update_id:
                self._restamp(wall_ns, line)
            else:
                self._put(stamp_ns, line)
        self._forget_held()
        return True

    def _restamp(self, stamp_ns: int, line: bytes) -> None:
        self.statistics.restamped += 1
        self._put(stamp_ns, b"%d%b" % (stamp_ns, line[line.index(b" ") :]))

    def release(self, wall_ns: int, reason: str) -> None:
        """Writes what is held without a snapshot, and says so."""
        from_ns = self._held[0].stamp_ns
        for stamp_ns, line, _ in self._held:
            self._put(stamp_ns, line)
        self._forget_held()
        self._gap("snapshot", from_ns, wall_ns, reason)

    def _forget_held(self) -> None:
        self._held.clear()
        self._held_bytes = 0
        self.hold_until_ns = 0

    # -- bridges

    def _is_bridged(self) -> bool:
        return self.sync.state is SyncState.SYNCHRONISED

    def _write_bridged(self) -> None:
        """Another session filled the hole: the deltas are written in their own order, none before the one it follows."""
        rows, newest_ns = [], 0
        for stamp_ns, line, delta_id in sorted(self._held, key=itemgetter(2)):  # Lines that are no deltas come first.
            if delta_id:
                newest_ns = max(newest_ns, stamp_ns)
            rows.append((newest_ns if delta_id else stamp_ns, stamp_ns, line))
        for stamp_ns, own_ns, line in sorted(rows, key=itemgetter(0)):
            if stamp_ns == own_ns:
                self._put(stamp_ns, line)
            else:
                self._restamp(stamp_ns, line)
        self._forget_held()

    # -- losses

    def on_lost(self, since_ns: int, reason: str, is_derived: bool = False) -> None:
        """Nobody brings these streams any more (`since_ns` 0: since the last line of them)."""
        since_ns = since_ns or self._last_ns[is_derived]
        if is_derived not in self._lost and since_ns:
            self._lost[is_derived] = (since_ns, reason)
        if not is_derived:
            self.sync.reset()
            self._trade_id = self._depth_id = 0
            self._holes.clear()

    def on_found(self, wall_ns: int, is_derived: bool = False) -> None:
        """Somebody brings them again: what was between is a gap."""
        lost = self._lost.pop(is_derived, None)
        if lost is not None:
            self._gap("derived" if is_derived else "*", lost[0], wall_ns, lost[1])

    def on_missed(self, from_ns: int, to_ns: int, reason: str, count: int) -> None:
        """Messages were lost on the way to us, nobody knows whose: the ids will tell what of the book and the trades."""
        self._gap("*", from_ns, to_ns, reason, count)

    def begin(self, wall_ns: int, now_ns: int) -> None:
        """Its streams are there, whether they speak or not: the day's file begins."""
        if not self.day:
            self._turn_to(wall_ns // DAY_NS, now_ns)

    def on_time(self, wall_ns: int, now_ns: int) -> None:
        """Turns the day, gives up bridges, holes and snapshots that took too long."""
        sync = self.sync
        if self.day and (wall_ns - LATE_NS) // DAY_NS > self.day:
            self._turn_to(wall_ns // DAY_NS, now_ns)
        if sync.state is SyncState.BRIDGING:
            sync.on_time(now_ns)
            if self._has_given_up():
                self._gap("depth", self._depth_ns, wall_ns, "no session brought the missing updates")
        if self._holes:
            self._give_up_holes(wall_ns, now_ns)
        if self.hold_until_ns and now_ns >= self.hold_until_ns:
            if self._held:
                self.release(wall_ns, "no snapshot in time: the book is incomplete until one comes")
            else:
                self.hold_until_ns = now_ns + HOLD_NS

    def _has_given_up(self) -> bool:
        return self.sync.state is SyncState.BUFFERING

    def _give_up_holes(self, wall_ns: int, now_ns: int) -> None:
        lost = [trade_id for trade_id, until_ns in self._holes.items() if now_ns >= until_ns]
        if lost:
            reason = f"no session brought the trades {min(lost)} to {max(lost)}"
            self._gap("trade", self._holes_from_ns, wall_ns, reason, len(lost))
            for trade_id in lost:
                del self._holes[trade_id]

    def finish(self, wall_ns: int) -> None:
        """The recording ends: what is held is written, what is lost reported."""
        if self._held:
            self.release(wall_ns, "the recording ended before the snapshot came")
        self._give_up_holes(wall_ns, wall_ns + DAY_NS)
        for is_derived in (False, True):
            self.on_found(wall_ns, is_derived)

    def _gap(self, stream: str, from_ns: int, to_ns: int, reason: str, count: int = 0) -> None:
        self.statistics.gaps += 1
        self._report(Gap(self.symbol, stream, from_ns, to_ns, reason, count))

    def _put(self, stamp_ns: int, line: bytes) -> None:
        statistics = self.statistics
        statistics.lines += 1
        statistics.bytes += len(line)
        if stamp_ns > statistics.last_ns:
            statistics.last_ns = stamp_ns
        self._write(self, line)
