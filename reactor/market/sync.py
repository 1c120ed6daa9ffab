"""From a snapshot and a stream of deltas to a book that is exactly the venue's, or to the knowledge that it is not.

Every delta carries the ids of the updates in it: `first_id` (U), `final_id` (u) and, on futures, `previous_id` (pu, the
final id of the delta before). Quantities are absolute, so a delta that overlaps what is known is harmless and a delta that
leaves a hole is not.

                        delta                       snapshot fits
              IDLE ───────────────▶ BUFFERING ───────────────────────▶ SYNCHRONISED ◀─────┐
                                     ▲  │  ▲ │                          │     ▲           │
                       stale: fetch  └──┘  │ │ snapshot is ahead    gap │     │ the other │
                       again               │ ▼                          ▼     │ session   │
                                           │ ANCHORING ──next──────▶ (same)  BRIDGING ────┘
                                           └────────── gap, bridge expired ────┘

BUFFERING   deltas are kept while the snapshot is fetched: the one that covers it often arrives before it does.
ANCHORING   the snapshot is newer than every delta kept: the next delta has to overlap it.
BRIDGING    a gap on one session; the other one may bring what is missing before the deadline. Only with redundant sessions.

Spot, docs: "the first event should have lastUpdateId within its [U;u] range", "U > local + 1: events were lost, restart";
in a running stream U == previous u + 1. If lastUpdateId < U of the first event kept: fetch again.
Futures, docs: drop u < lastUpdateId; the first event has U <= lastUpdateId AND u >= lastUpdateId (or pu == lastUpdateId: a
snapshot exactly on a boundary); then "pu should be equal to the previous event's u", else start over. U == pu + 1 does NOT
hold there: ids are shared by all symbols.

The core keeps a caller's payload with every delta and never looks at it: the feed keeps levels, the recorder raw frames.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Generic, TypeVar

from reactor.market.book import depth_relation

Payload = TypeVar("Payload")

BUFFERED_MAX = 20_000  # Deltas; at 10 per second half an hour of snapshots that fail. The oldest are given up first.
BRIDGE_NS = 100_000_000  # Redundant sessions are rarely further apart; a snapshot would take as long.


class SyncRule(IntEnum):
    """How a venue numbers its deltas."""

    CONTIGUOUS = 0  # spot: U == previous u + 1
    CHAINED = 1  # futures: pu == previous u


class SyncState(IntEnum):
    """Where a book stands."""

    IDLE = 0
    BUFFERING = 1
    ANCHORING = 2
    SYNCHRONISED = 3
    BRIDGING = 4


class SyncEvent(IntEnum):
    """What can happen to it."""

    DELTA = 0  # while there is nothing to compare it with
    DELTA_OLD = 1  # everything in it is known
    DELTA_NEXT = 2  # it continues what is known
    DELTA_GAP = 3  # something between is missing, nobody else can have it
    DELTA_GAP_BRIDGEABLE = 4  # something between is missing, another session may bring it
    SNAPSHOT_STALE = 5  # older than the first delta kept
    SNAPSHOT_FITS = 6  # a delta kept covers or continues it
    SNAPSHOT_AHEAD = 7  # newer than every delta kept
    SNAPSHOT_FAILED = 8
    BRIDGE_EXPIRED = 9
    CROSSED = 10  # the book contradicts itself
    RESET = 11  # every session is gone


class Verdict(IntEnum):
    """What the caller does next."""

    REFUSED = 0  # no such transition: nothing, counted
    IGNORE = 1
    KEEP = 2  # call keep() with the payload
    APPLY = 3  # apply the delta; while BRIDGING was the state before, take_ready() after it
    LOAD = 4  # load the snapshot, then apply everything of take_ready()
    WAIT = 5  # nothing to do but look at needs_snapshot


_S, _E, _V = SyncState, SyncEvent, Verdict

TRANSITIONS: Final[Mapping[tuple[SyncState, SyncEvent], tuple[SyncState, Verdict]]] = {
    (_S.IDLE, _E.DELTA): (_S.BUFFERING, _V.KEEP),
    (_S.IDLE, _E.SNAPSHOT_AHEAD): (_S.ANCHORING, _V.LOAD),  # Asked for although the stream was quiet.
    (_S.IDLE, _E.SNAPSHOT_FAILED): (_S.IDLE, _V.WAIT),
    (_S.IDLE, _E.RESET): (_S.IDLE, _V.WAIT),
    (_S.BUFFERING, _E.DELTA): (_S.BUFFERING, _V.KEEP),
    (_S.BUFFERING, _E.DELTA_OLD): (_S.BUFFERING, _V.IGNORE),  # The other session brought it before.
    (_S.BUFFERING, _E.SNAPSHOT_STALE): (_S.BUFFERING, _V.WAIT),
    (_S.BUFFERING, _E.SNAPSHOT_FITS): (_S.SYNCHRONISED, _V.LOAD),
    (_S.BUFFERING, _E.SNAPSHOT_AHEAD): (_S.ANCHORING, _V.LOAD),
    (_S.BUFFERING, _E.SNAPSHOT_FAILED): (_S.BUFFERING, _V.WAIT),
    (_S.BUFFERING, _E.RESET): (_S.IDLE, _V.WAIT),
    (_S.ANCHORING, _E.DELTA_OLD): (_S.ANCHORING, _V.IGNORE),
    (_S.ANCHORING, _E.DELTA_NEXT): (_S.SYNCHRONISED, _V.APPLY),
    (_S.ANCHORING, _E.DELTA_GAP): (_S.BUFFERING, _V.KEEP),
    (_S.ANCHORING, _E.DELTA_GAP_BRIDGEABLE): (_S.BUFFERING, _V.KEEP),  # Nothing was proven yet: a new snapshot is surer.
    (_S.ANCHORING, _E.CROSSED): (_S.BUFFERING, _V.WAIT),
    (_S.ANCHORING, _E.RESET): (_S.IDLE, _V.WAIT),
    (_S.SYNCHRONISED, _E.DELTA_OLD): (_S.SYNCHRONISED, _V.IGNORE),
    (_S.SYNCHRONISED, _E.DELTA_NEXT): (_S.SYNCHRONISED, _V.APPLY),
    (_S.SYNCHRONISED, _E.DELTA_GAP): (_S.BUFFERING, _V.KEEP),
    (_S.SYNCHRONISED, _E.DELTA_GAP_BRIDGEABLE): (_S.BRIDGING, _V.KEEP),
    (_S.SYNCHRONISED, _E.CROSSED): (_S.BUFFERING, _V.WAIT),
    (_S.SYNCHRONISED, _E.RESET): (_S.IDLE, _V.WAIT),
    (_S.BRIDGING, _E.DELTA_OLD): (_S.BRIDGING, _V.IGNORE),
    (_S.BRIDGING, _E.DELTA_NEXT): (_S.SYNCHRONISED, _V.APPLY),
    (_S.BRIDGING, _E.DELTA_GAP): (_S.BRIDGING, _V.KEEP),
    (_S.BRIDGING, _E.DELTA_GAP_BRIDGEABLE): (_S.BRIDGING, _V.KEEP),
    (_S.BRIDGING, _E.BRIDGE_EXPIRED): (_S.BUFFERING, _V.WAIT),
    (_S.BRIDGING, _E.CROSSED): (_S.BUFFERING, _V.WAIT),
    (_S.BRIDGING, _E.RESET): (_S.IDLE, _V.WAIT),
}  # fmt: skip
# A snapshot that comes while none is wanted (ANCHORING, SYNCHRONISED, BRIDGING) is the late answer to an old question: refused.

_RELATIONS: Final = (SyncEvent.DELTA_OLD, SyncEvent.DELTA_NEXT, SyncEvent.DELTA_GAP)  # by depth_relation_e
_PROVEN = (SyncState.SYNCHRONISED, SyncState.BRIDGING)


@dataclass(frozen=True, slots=True)
class Delta(Generic[Payload]):
    """One depth update that had to wait."""

    first_id: int
    final_id: int
    previous_id: int
    payload: Payload


def relation(rule: int, local_id: int, is_anchored: bool, first_id: int, final_id: int, previous_id: int) -> SyncEvent:
    """How a delta stands to a book that is true up to `local_id`: DELTA_OLD, DELTA_NEXT or DELTA_GAP.

    `is_anchored` is False for the first delta after a snapshot. The rule itself is in C (cffi_build/src/intake.c), because the
    intake asks it too.
    """
    return _RELATIONS[depth_relation(rule, local_id, is_anchored, first_id, final_id, previous_id)]


class BookSync(Generic[Payload]):
    """The synchronisation of one book. It owns ids and waiting deltas; the caller owns the book and the fetching.

    After every call look at `needs_snapshot`: fetch one, and say on_request().
    """

    __slots__ = (
        "_kept", "bridge_deadline_ns", "bridged", "gaps", "local_id", "needs_snapshot", "refused", "resyncs", "rule", "state",
    )  # fmt: skip

    def __init__(self, rule: SyncRule) -> None:
        self.rule = rule
        self.state = SyncState.IDLE
        self.local_id = 0  # the book is true up to here
        self.needs_snapshot = False
        self.bridge_deadline_ns = 0  # 0: no bridge
        self.resyncs = 0  # a book that was true had to be thrown away
        self.gaps = 0  # holes seen, bridged ones included
        self.bridged = 0  # holes that the other session filled
        self.refused = 0  # events that the table does not know
        self._kept: deque[Delta[Payload]] = deque()

    @property
    def is_synchronised(self) -> bool:
        """True while the book may be believed."""
        return self.state is SyncState.SYNCHRONISED

    @property
    def kept(self) -> int:
        """How many deltas wait."""
        return len(self._kept)

    @property
    def seen_id(self) -> int:
        """Deltas up to this final id need not be shown again (0: show all)."""
        if self.state is SyncState.BUFFERING:
            return self._kept[-1].final_id if self._kept else 0
        return 0 if self.state in (SyncState.IDLE, SyncState.ANCHORING) else self.local_id

    def on_delta(self, first_id: int, final_id: int, previous_id: int, now_ns: int = 0, can_bridge: bool = False) -> Verdict:
        """A delta came. Returns APPLY (it is the next), KEEP (call keep()), or IGNORE.

        `can_bridge`: another live session carries the same stream.
        """
        if self.state is SyncState.SYNCHRONISED:  # The common way, without the table.
            event = relation(self.rule, self.local_id, True, first_id, final_id, previous_id)
            if event is SyncEvent.DELTA_NEXT:
                self.local_id = final_id
                return Verdict.APPLY
        elif self.state in (SyncState.IDLE, SyncState.BUFFERING):
            is_known = bool(self._kept) and final_id <= self._kept[-1].final_id
            event = SyncEvent.DELTA_OLD if is_known else SyncEvent.DELTA
        else:
            event = relation(self.rule, self.local_id, self.state is SyncState.BRIDGING, first_id, final_id, previous_id)
        if event is SyncEvent.DELTA_GAP:
            if self.state is SyncState.SYNCHRONISED:
                self.gaps += 1
            if can_bridge:
                event = SyncEvent.DELTA_GAP_BRIDGEABLE
        before = self.state
        verdict = self._step(event)
        if verdict is Verdict.APPLY:
            self.local_id = final_id
            if before is SyncState.BRIDGING:
                self.bridged += 1
        elif before is SyncState.SYNCHRONISED and self.state is SyncState.BRIDGING:
            self.bridge_deadline_ns = now_ns + BRIDGE_NS
        return verdict

    def advance(self, local_id: int) -> None:
        """The intake has applied the deltas up to here by itself."""
        assert self.state is SyncState.SYNCHRONISED, "only a synchronised book is armed"
        assert local_id >= self.local_id, "a book does not go back"
        self.local_id = local_id

    def keep(self, first_id: int, final_id: int, previous_id: int, payload: Payload) -> None:
        """Keeps a delta for later, after a KEEP. While buffering, a hole makes everything before it worthless."""
        kept = self._kept
        delta = Delta(first_id, final_id, previous_id, payload)
        if self.state is SyncState.BRIDGING:
            place = next((index for index, other in enumerate(kept) if other.final_id >= final_id), len(kept))
            if place == len(kept) or kept[place].final_id != final_id:
                kept.insert(place, delta)
        else:
            if kept and relation(self.rule, kept[-1].final_id, True, first_id, final_id, previous_id) is SyncEvent.DELTA_GAP:
                self.gaps += 1
                kept.clear()
            kept.append(delta)
        if len(kept) > BUFFERED_MAX:
            kept.popleft()

    def on_request(self) -> None:
        """The snapshot was asked for."""
        self.needs_snapshot = False

    def on_snapshot(self, last_update_id: int) -> Verdict:
        """A snapshot came. Returns LOAD (then apply take_ready()), WAIT (too old: fetch again) or REFUSED (none was wanted)."""
        event = SyncEvent.SNAPSHOT_AHEAD
        if self._kept:
            event = self._fit(last_update_id)
        verdict = self._step(event)
        if verdict is Verdict.LOAD:
            self.local_id = last_update_id
            self.needs_snapshot = False
        elif event is SyncEvent.SNAPSHOT_STALE and verdict is Verdict.WAIT:
            self.needs_snapshot = True
        return verdict

    def _fit(self, last_update_id: int) -> SyncEvent:
        if self.rule is SyncRule.CONTIGUOUS and last_update_id < self._kept[0].first_id:
            return SyncEvent.SNAPSHOT_STALE
        for delta in self._kept:
            fit = relation(self.rule, last_update_id, False, delta.first_id, delta.final_id, delta.previous_id)
            if fit is SyncEvent.DELTA_NEXT:
                return SyncEvent.SNAPSHOT_FITS
            if fit is SyncEvent.DELTA_GAP:
                return SyncEvent.SNAPSHOT_STALE
        # All of them are older. On a contiguous stream the last one may end exactly where the snapshot stands.
        is_exact = self.rule is SyncRule.CONTIGUOUS and self._kept[-1].final_id == last_update_id
        return SyncEvent.SNAPSHOT_FITS if is_exact else SyncEvent.SNAPSHOT_AHEAD

    def on_snapshot_failed(self) -> Verdict:
        """The snapshot could not be had: ask again when the backoff allows."""
        verdict = self._step(SyncEvent.SNAPSHOT_FAILED)
        if verdict is Verdict.WAIT:
            self.needs_snapshot = True
        return verdict

    def take_ready(self) -> list[Delta[Payload]]:
        """The waiting deltas that continue the book now, in order: apply them all. Moves local_id."""
        ready: list[Delta[Payload]] = []
        kept = self._kept
        is_anchored = self.state is not SyncState.ANCHORING and self.bridge_deadline_ns != 0
        while kept:
            delta = kept[0]
            fit = relation(self.rule, self.local_id, is_anchored, delta.first_id, delta.final_id, delta.previous_id)
            if fit is SyncEvent.DELTA_GAP:
                break
            kept.popleft()
            if fit is SyncEvent.DELTA_NEXT:
                self.local_id = max(self.local_id, delta.final_id)
                is_anchored = True
                ready.append(delta)
        if kept and self.state is SyncState.SYNCHRONISED:  # A second hole behind the first: same bridge, same deadline.
            self.state = SyncState.BRIDGING
        else:
            self.bridge_deadline_ns = 0
        return ready

    def on_time(self, now_ns: int) -> None:
        """Gives up a bridge whose deadline has passed."""
        if self.state is SyncState.BRIDGING and now_ns >= self.bridge_deadline_ns:
            self._step(SyncEvent.BRIDGE_EXPIRED)
            self._drop_before_last_hole()

    def on_crossed(self) -> None:
        """The book's best bid reached its best ask: something was lost, whatever the ids say."""
        self._kept.clear()
        self._step(SyncEvent.CROSSED)

    def reset(self) -> None:
        """Every session of the stream is gone; begin anew with the next delta."""
        self._kept.clear()
        self._step(SyncEvent.RESET)
        self.local_id = 0
        self.needs_snapshot = False

    def _drop_before_last_hole(self) -> None:
        kept = list(self._kept)
        start = 0
        for index in range(1, len(kept)):
            delta, known_id = kept[index], kept[index - 1].final_id
            if relation(self.rule, known_id, True, delta.first_id, delta.final_id, delta.previous_id) is SyncEvent.DELTA_GAP:
                start = index
        self._kept = deque(kept[start:])

    def _step(self, event: SyncEvent) -> Verdict:
        step = TRANSITIONS.get((self.state, event))
        if step is None:
            self.refused += 1
            return Verdict.REFUSED
        before, (self.state, verdict) = self.state, step
        if self.state is SyncState.BUFFERING and before is not SyncState.BUFFERING:
            self.needs_snapshot = True
            self.bridge_deadline_ns = 0
            if before in _PROVEN:
                self.resyncs += 1
        elif self.state is SyncState.IDLE:
            self.bridge_deadline_ns = 0
        return verdict
