"""A strategy's wanted grid against what is live: place and cancel only what must move."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reactor.prepost.orders import Order


@dataclass(frozen=True)
class GridDifference:
    """What to do so that the live orders become the wanted grid. Cancel first, then place."""

    cancels: tuple[Order, ...]
    places: tuple[tuple[int, int], ...]  # (price_ticks, signed quantity_lots)


def difference(wanted: Sequence[tuple[int, int]], live: Iterable[Order]) -> GridDifference:
    """Compares by side and price.

    A live order that stands where one is wanted stays, with its place in the queue, unless it is larger than wanted: a rest
    after a partial fill is not topped up. One with a cancel on its way is on its way out: it neither stays nor is cancelled
    again, and its rung is placed anew.
    """
    open_wishes: dict[tuple[int, int], int] = {}
    for price_ticks, lots in wanted:
        if lots:
            key = (1 if lots > 0 else -1, price_ticks)
            open_wishes[key] = open_wishes.get(key, 0) + abs(lots)
    cancels: list[Order] = []
    for order in live:
        if order.wants_cancel:
            continue
        key = (order.side, order.price_ticks)
        lots = open_wishes.get(key, 0)
        if lots and order.remaining_lots <= lots:
            del open_wishes[key]
        else:
            cancels.append(order)
    return GridDifference(tuple(cancels), tuple((price, side * lots) for (side, price), lots in open_wishes.items()))
