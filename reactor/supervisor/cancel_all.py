"""Cancels what is ours on every venue and lets the venue confirm it: independent of prepost and engine.

Ours is what carries the instance's prefix in its client order id. Foreign orders are counted and never touched. What to ask
next is decided by CancelAllOurs, as in the engine; here its requests are made over the supervisor's own line.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reactor.domain.ids import ClientIds
from reactor.exchanges.binance.cancel_all import CancelAllOurs
from reactor.exchanges.binance.orders import BinanceOrders
from reactor.exchanges.binance.rules import ProductLine
from reactor.exchanges.venue import OpenOrder, RestCall

ROUNDS_MAX = 4  # Ask, cancel, ask again: a fill or an order under way may need another round.
PAUSE_S = 0.15
# A venue that has had enough of us is waited for as long: its window of ten seconds passes within that. What lasts longer (the
# minute's weight, a ban) is told: who goes on asking is banned, and a stop has to end before systemd loses patience (60 s).
WAIT_S_MAX = 12.0


class Desk(Protocol):
    """What is needed of a VenueDesk."""

    name: str
    line: ProductLine
    codec: BinanceOrders
    ids: ClientIds
    clock_offset_ms: int
    trouble: str

    async def make(self, call: RestCall) -> tuple[int, Mapping[str, str], bytes]:
        """(status, headers, body); status 0: the network had no answer, and `trouble` says why."""


@dataclass(frozen=True)
class ListedOrder:
    """One open order as a venue lists it."""

    venue: int
    symbol: str
    client_order_id: str
    venue_order_id: int


@dataclass
class Confirmation:
    """What the venues said last."""

    ours: list[ListedOrder] = field(default_factory=list)  # still open
    foreign: list[ListedOrder] = field(default_factory=list)
    cancelled: int = 0
    problems: list[str] = field(default_factory=list)  # venues that could not be asked

    @property
    def is_clean(self) -> bool:
        """Every venue was asked and none has an open order of ours."""
        return not self.ours and not self.problems


async def confirm(desks: Sequence[Desk]) -> Confirmation:
    """Asks every venue once; cancels nothing."""
    return await _everywhere(desks, 0)


async def cancel_ours(desks: Sequence[Desk], rounds_max: int = ROUNDS_MAX) -> Confirmation:
    """Asks, cancels what is ours, asks again, until every venue says that none is open or the rounds are over."""
    return await _everywhere(desks, rounds_max)


async def _everywhere(desks: Sequence[Desk], rounds_max: int) -> Confirmation:
    confirmation = Confirmation()
    for part in await asyncio.gather(*(_at(desk, rounds_max) for desk in desks)):
        confirmation.ours += part.ours
        confirmation.foreign += part.foreign
        confirmation.problems += part.problems
        confirmation.cancelled += part.cancelled
    return confirmation


async def _at(desk: Desk, rounds_max: int) -> Confirmation:
    """One venue: rounds of cancelling, then its last word."""
    work = CancelAllOurs(desk.codec, desk.ids)
    calls = work.start(_now_ms(), desk.clock_offset_ms)
    while work.rounds <= rounds_max and calls:
        calls = await _make(desk, work, calls)
        if not calls and work.needs_round and work.rounds < rounds_max:
            wait_s = max(PAUSE_S, (work.wait_until_ms - _now_ms()) / 1000)
            if wait_s > WAIT_S_MAX:
                break
            await asyncio.sleep(wait_s)
            calls = work.next_round(_now_ms())
    if not work.is_done and work.wait_until_ms <= _now_ms():
        if not calls:
            calls = work.next_round(_now_ms())
        await _make(desk, work, calls)  # A list; what it would cancel is left.
    venue = desk.line.venue
    part = Confirmation([_listed(venue, row) for row in work.remaining], [_listed(venue, row) for row in work.others])
    part.cancelled = work.cancelled_count
    if work.needs_round:
        part.problems.append(desk.trouble or f"{desk.name}: {work.failure}{_stop_order(work.wait_until_ms)}")
    return part


def _stop_order(until_ms: int) -> str:
    wait_s = (until_ms - _now_ms()) / 1000
    return f"; it is not asked again for {wait_s:.0f} s, else it bans this address" if wait_s > 0 else ""


async def _make(desk: Desk, work: CancelAllOurs, calls: list[tuple[int, RestCall]]) -> list[tuple[int, RestCall]]:
    desk.trouble = ""
    answers = await asyncio.gather(*(desk.make(call) for _, call in calls))
    more: list[tuple[int, RestCall]] = []
    for (tag, _), answer in zip(calls, answers, strict=True):
        more += work.on_answer(tag, *answer, _now_ms())
    return more


def _listed(venue: int, row: OpenOrder) -> ListedOrder:
    return ListedOrder(venue, row.symbol, row.client_order_id, row.venue_order_id)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
