"""Cancels what is ours on every venue and lets the venue confirm it: independent of prepost and engine.

Ours is what carries the instance's prefix in its client order id. Foreign orders are counted and never touched.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from reactor.domain.errors import TradeError
from reactor.supervisor.venue_desk import ListedOrder, VenueDesk

ROUNDS_MAX = 4  # Ask, cancel, ask again: a fill or an order under way may need another round.
PAUSE_S = 0.15


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


async def confirm(desks: Sequence[VenueDesk]) -> Confirmation:
    """Asks every venue once; cancels nothing."""
    confirmation = Confirmation()
    for answer in await asyncio.gather(*(desk.open_orders() for desk in desks), return_exceptions=True):
        if isinstance(answer, TradeError):
            confirmation.problems.append(str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            confirmation.ours += [order for order in answer if order.is_ours]
            confirmation.foreign += [order for order in answer if not order.is_ours]
    return confirmation


async def cancel_ours(desks: Sequence[VenueDesk], rounds_max: int = ROUNDS_MAX) -> Confirmation:
    """Asks, cancels what is ours, asks again, until every venue says that none is open or the rounds are over."""
    by_venue = {desk.line.venue: desk for desk in desks}
    cancelled = 0
    confirmation = Confirmation()
    for round_number in range(rounds_max):
        confirmation = await confirm(desks)
        confirmation.cancelled = cancelled
        if confirmation.is_clean:
            return confirmation
        answers = await asyncio.gather(
            *(by_venue[order.venue].cancel(order) for order in confirmation.ours), return_exceptions=True
        )
        for answer in answers:
            if answer is None:
                cancelled += 1
            elif not isinstance(answer, TradeError):
                raise answer
        if round_number + 1 < rounds_max:
            await asyncio.sleep(PAUSE_S if confirmation.problems else 0)
    confirmation = await confirm(desks)
    confirmation.cancelled = cancelled
    return confirmation
