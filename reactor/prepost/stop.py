"""The way out: REDUCE_ONLY, cancel ours, hedge the fills that raced the cancels, and the venue's word that nothing is open.

NONE ─STOP▶ CANCELLING ─all over, all hedged▶ CONFIRMING ─venue: none of ours open▶ CLEAN
  └FLATTEN▶ FLATTENING ─every pair idle, or time is up▶ FLAT ─STOP▶ …         (CONFIRMING finds one ▶ CANCELLING)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from reactor.domain.messages import CommandKind
from reactor.prepost.orders import IS_TERMINAL, Leg
from reactor.prepost.pairs import PairState

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk
    from reactor.prepost.settle import Settlement

MS: Final = 1_000_000
NEVER_NS: Final = 2**62
CANCEL_ALL_OURS: Final = int(CommandKind.CANCEL_ALL_OURS)
ANSWER_NS_MAX: Final = 5_000_000_000  # then the question is put again
IDLE: Final = int(PairState.IDLE)


class Phase(IntEnum):
    """How far the way out has been walked."""

    NONE = 0
    FLATTENING = 1
    FLAT = 2
    CANCELLING = 3
    CONFIRMING = 4
    CLEAN = 5


class Step(IntEnum):
    """What moves it."""

    FLATTEN = 0
    STOP = 1
    ALL_FLAT = 2
    ALL_OVER = 3
    CONFIRMED = 4
    STILL_OPEN = 5


P = Phase

TRANSITIONS: Final[Mapping[tuple[Phase, Step], Phase]] = {
    (P.NONE, Step.FLATTEN): P.FLATTENING,
    (P.NONE, Step.STOP): P.CANCELLING,
    (P.FLATTENING, Step.ALL_FLAT): P.FLAT,
    (P.FLAT, Step.FLATTEN): P.FLATTENING,
    (P.FLAT, Step.STOP): P.CANCELLING,
    (P.CANCELLING, Step.FLATTEN): P.FLATTENING,
    (P.CANCELLING, Step.ALL_OVER): P.CONFIRMING,
    (P.CONFIRMING, Step.FLATTEN): P.FLATTENING,
    (P.CONFIRMING, Step.STILL_OPEN): P.CANCELLING,
    (P.CONFIRMING, Step.CONFIRMED): P.CLEAN,
    (P.CLEAN, Step.FLATTEN): P.FLATTENING,
    (P.CLEAN, Step.STILL_OPEN): P.CANCELLING,
}
"""A STOP while flattening is remembered (`wants_stop`) and taken when it is flat."""


class StopSequence:
    """One way out."""

    def __init__(self, desk: Desk, settlement: Settlement) -> None:
        self._desk = desk
        self._settlement = settlement
        self.phase = Phase.NONE
        self.wants_stop = False
        self._next_ns = 0
        self._flat_until_ns = 0
        self._requests: dict[int, int] = {}  # venue → request
        self._asked_ns: dict[int, int] = {}

    @property
    def is_clean(self) -> bool:
        """The venues have said that none of ours is open, and our books say the same."""
        return self.phase == Phase.CLEAN

    @property
    def is_walking(self) -> bool:
        """On the way out: what it waits for is looked at again and again."""
        return self.phase not in (Phase.NONE, Phase.FLAT, Phase.CLEAN)

    def on_stop(self) -> None:
        """Walk out."""
        self.wants_stop = True
        self._desk.is_stopping = True
        if self._move(Step.STOP):
            self._next_ns = 0

    def on_flatten(self) -> None:
        """Close every pair first, and every position without one."""
        if self._move(Step.FLATTEN):
            self._flat_until_ns = self._desk.now_ns + self._desk.parameters.stop.flatten_ms_max * MS
            self._next_ns = 0

    def on_resume(self) -> None:
        """The operator stays."""
        if not self.wants_stop:
            self.phase = Phase.NONE

    def deadline_ns(self) -> int:
        """When `work` has something to do."""
        return self._next_ns if self.is_walking else NEVER_NS

    def work(self, now_ns: int) -> int:
        """One step, if one is due."""
        phase = self.phase
        if phase == Phase.FLATTENING:
            return self._flatten(now_ns)
        if phase == Phase.CANCELLING:
            return self._cancel(now_ns)
        if phase == Phase.CONFIRMING:
            return self._confirm(now_ns)
        if phase == Phase.CLEAN and self._desk.orders.unsettled:
            self._move(Step.STILL_OPEN)
        return 0

    def _move(self, step: Step) -> bool:
        phase = TRANSITIONS.get((self.phase, step))
        if phase is None:
            return False
        self.phase = phase
        self._requests.clear()
        return True

    def _flatten(self, now_ns: int) -> int:
        desk = self._desk
        unpaired = [(terms, desk.unpaired_lots(terms.index)) for terms in desk.terms]
        unpaired = [
            (terms, lots) for terms, lots in unpaired
            if lots and terms.is_tradable(abs(lots), desk.money.mark_ticks(terms.index), is_reducing=True)
        ]  # fmt: skip
        is_flat = not unpaired and all(pair.state == IDLE for pair in desk.pairs) and not desk.orders.unsettled
        if is_flat or now_ns >= self._flat_until_ns:
            if not is_flat:
                open_count = sum(pair.state != IDLE for pair in desk.pairs)
                desk.log.error("not flat in time; what is open stays as it is", pairs_open=open_count)
            self._move(Step.ALL_FLAT)
            if self.wants_stop:
                self._move(Step.STOP)
                self._next_ns = 0
            return 1
        if now_ns < self._next_ns:
            return 0
        self._next_ns = now_ns + desk.parameters.stop.repeat_ms * MS
        for terms in desk.terms:
            desk.cancel_instrument(terms.index, (Leg.SINGLE, Leg.QUOTE, Leg.OPEN))
        for pair in desk.pairs:
            if pair.state != IDLE and not pair.is_leaving:
                desk.hedging.close(pair, 0)
        for terms, lots in unpaired:
            if not desk.orders.unsettled_of[terms.index]:
                desk.take_back(terms, -lots)
        return 1

    def _cancel(self, now_ns: int) -> int:
        desk = self._desk
        is_first = self._next_ns == 0
        if is_first:
            for venue in desk.venues:
                desk.out.ask(CANCEL_ALL_OURS, venue)  # Also those that only the venue knows of.
            self._next_ns = now_ns
        if not desk.orders.unsettled and all(self._is_quiet(pair_id) for pair_id in range(len(desk.pairs))):
            self._move(Step.ALL_OVER)
            self._next_ns = 0
            return self._confirm(now_ns)
        if now_ns < self._next_ns:
            return 0
        self._next_ns = now_ns + desk.parameters.stop.repeat_ms * MS
        for terms in desk.terms:
            desk.cancel_instrument(terms.index, (Leg.SINGLE, Leg.QUOTE, Leg.OPEN))
        for order in list(desk.orders.unsettled.values()):
            if not IS_TERMINAL[order.state] and now_ns - order.sent_ns > desk.parameters.stop.repeat_ms * MS:
                desk.inquiry.doubt(order)
            elif order.venue_filled_lots > order.filled_lots:
                desk.inquiry.miss(order)
        return 1

    def _is_quiet(self, pair_id: int) -> bool:
        """Nothing of the pair is under way and nothing is to hedge. A hedged pair may stay."""
        pair = self._desk.pairs[pair_id]
        if pair.is_leaving or pair.echo_due_ns:
            return False
        return self._desk.hedging.hedge_lots(pair) == 0

    def _confirm(self, now_ns: int) -> int:
        """Every venue must say that none of ours is open."""
        desk, settlement = self._desk, self._settlement
        if desk.orders.unsettled:
            self._move(Step.STILL_OPEN)
            return 1
        clean = 0
        for venue in desk.venues:
            request = self._requests.get(venue)
            answer = None if request is None else settlement.open_order_answers.get(request)
            if request is not None and answer:
                rows = settlement.open_order_listeners.get(request, [])
                ours = [row for row in rows if row.order_id]
                if not ours:
                    clean += 1
                    continue
                for row in ours:
                    order = desk.orders.by_id.get(row.order_id)
                    if order is not None:
                        order.contradicted = True
                        desk.cancel(order)
                desk.out.ask(CANCEL_ALL_OURS, venue)
                settlement.forget_open_orders(self._requests.pop(venue))
                self._next_ns = now_ns + desk.parameters.stop.repeat_ms * MS
        if clean == len(desk.venues):
            self._move(Step.CONFIRMED)
            desk.log.info("the venues confirm that none of our orders is open")
            return 1
        if now_ns < self._next_ns:
            return 0
        self._next_ns = now_ns + desk.parameters.stop.repeat_ms * MS
        for venue in desk.venues:
            request = self._requests.get(venue)
            if request is not None:
                answer = settlement.open_order_answers.get(request)
                if answer or (answer is None and now_ns - self._asked_ns[venue] < ANSWER_NS_MAX):
                    continue
                settlement.forget_open_orders(request)
            self._requests[venue] = request = settlement.ask_open_orders(venue)
            self._asked_ns[venue] = now_ns
        return 1
