"""Ours are cancelled and confirmed; foreign orders are never touched."""

import asyncio
from dataclasses import dataclass, field

from reactor.domain.errors import OutcomeUnknown
from reactor.supervisor.cancel_all import cancel_ours, confirm
from reactor.supervisor.venue_desk import ListedOrder


@dataclass
class Line:
    venue: int


@dataclass
class FakeDesk:
    """A venue with some open orders. `stubborn` orders survive that many cancels."""

    venue: int
    orders: list[ListedOrder]
    stubborn: int = 0
    is_unreachable: bool = False
    cancelled: list[int] = field(default_factory=list)

    @property
    def line(self) -> Line:
        return Line(self.venue)

    async def open_orders(self) -> list[ListedOrder]:
        if self.is_unreachable:
            raise OutcomeUnknown("no answer")
        return list(self.orders)

    async def cancel(self, order: ListedOrder) -> None:
        assert order.is_ours
        self.cancelled.append(order.venue_order_id)
        if self.stubborn:
            self.stubborn -= 1
            raise OutcomeUnknown("timeout")
        self.orders.remove(order)


def order(venue: int, number: int, is_ours: bool = True) -> ListedOrder:
    return ListedOrder(venue, "BTCUSDT", f"id{number}", number, is_ours)


def test_ours_go_and_foreign_orders_stay():
    desk = FakeDesk(0, [order(0, 1), order(0, 2, is_ours=False), order(0, 3)])
    answer = asyncio.run(cancel_ours([desk]))
    assert answer.is_clean
    assert answer.cancelled == 2
    assert [each.venue_order_id for each in desk.orders] == [2]
    assert len(answer.foreign) == 1


def test_an_order_that_survives_a_cancel_is_cancelled_again():
    desk = FakeDesk(0, [order(0, 1)], stubborn=2)
    answer = asyncio.run(cancel_ours([desk]))
    assert answer.is_clean
    assert desk.cancelled == [1, 1, 1]


def test_a_venue_that_cannot_be_asked_is_never_clean_and_does_not_stop_the_others():
    dead, alive = FakeDesk(0, [order(0, 1)], is_unreachable=True), FakeDesk(1, [order(1, 2)])
    answer = asyncio.run(cancel_ours([dead, alive], rounds_max=2))
    assert not answer.is_clean
    assert answer.problems == ["no answer"]
    assert alive.orders == []


def test_confirming_cancels_nothing():
    desk = FakeDesk(0, [order(0, 1)])
    answer = asyncio.run(confirm([desk]))
    assert not answer.is_clean
    assert desk.cancelled == []
