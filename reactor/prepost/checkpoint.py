"""The books as the journal's rows up to a mark make them: taken after a restore, put back before the next one. Pure.

Only what restore.py would book from those rows again is in it. What it asks the journal for anyway (balances that were set,
orders, pairs' states, the operator's word, the last trade ids) is not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from reactor.prepost.orders import Leg
from reactor.prepost.positions import Position

if TYPE_CHECKING:
    from reactor.journal.memory import History
    from reactor.prepost.desk import Desk
    from reactor.prepost.settle import Settlement

DAY_NS: Final = 86_400_000_000_000
LATE_FILLS: Final = 256  # An order that filled this long ago may still fill again after the mark; it was counted.


class Trips:
    """Counts that go on over a restart: round trips of each pair, orders ever sent, today's trades."""

    def __init__(self, pair_count: int) -> None:
        self.count = [0] * pair_count
        self.last = [0] * pair_count  # the last sequence counted
        self.orders = 0
        self.known_orders: set[int] = set()  # those of the counted that may be met again
        self.day = -1
        self.day_orders: set[int] = set()
        self.filled: dict[int, list[int]] = {}  # order id → lots and value, of known orders

    def add(self, desk: Desk, history: History) -> None:
        """What is remembered beyond the checkpoint."""
        today = desk.wall_ns // DAY_NS
        if self.day != today:
            self.day, self.day_orders = today, set()
        met: set[int] = set()
        trips: set[tuple[int, int]] = set()
        for fill in history.fills:
            if fill.order_id:
                met.add(fill.order_id)
                if fill.wall_ns // DAY_NS == today:
                    self.day_orders.add(fill.order_id)
                booked = self.filled.setdefault(fill.order_id, [0, 0])
                booked[0] += fill.quantity_lots
                booked[1] += fill.quantity_lots * fill.price_ticks
            if fill.pair_sequence and fill.leg == Leg.HEDGE:
                trips.add((fill.pair_id, fill.pair_sequence))
        met.update(order.order_id for order in history.orders)
        self.orders += len(met - self.known_orders)
        self.known_orders = {order.order_id for order in history.orders}
        self.known_orders.update(fill.order_id for fill in history.fills[-LATE_FILLS:] if fill.order_id)
        for pair, sequence in trips:
            if pair < len(self.count) and sequence > self.last[pair]:
                self.count[pair] += 1
        for pair, sequence in trips:
            if pair < len(self.count):
                self.last[pair] = max(self.last[pair], sequence)


def take(desk: Desk, settlement: Settlement, history: History, trips: Trips) -> str:
    """The state as text. Call it right after a restore."""
    moved: dict[tuple[int, str], int] = {
        (venue, asset): amount for venue in desk.venues for asset, amount in desk.balances.of_venue(venue).items()
    }
    for row in history.balances:
        key = (row.venue, row.asset)
        moved[key] = moved.get(key, 0) - row.amount_e8
    state = {
        "positions": [_numbers(position) for position in desk.positions],
        "pairs": [[_numbers(pair.open_position), _numbers(pair.hedge_position)] for pair in desk.pairs],
        "moved": [[venue, asset, amount] for (venue, asset), amount in sorted(moved.items()) if amount],
        "foreign": list(desk.foreign_base_e8),
        "newest": list(desk.fills.newest),
        "fills_booked": desk.fills_booked,
        "funding_e8": desk.money.funding_e8,
        "day_start_pnl_e8": desk.money.day_start_pnl_e8,
        "fundings": settlement.known_fundings(),
        "trips": trips.count,
        "last_trips": trips.last,
        "orders": trips.orders,
        "known_orders": sorted(trips.known_orders),
        "day": trips.day,
        "day_orders": sorted(trips.day_orders),
        "filled": [[order, *trips.filled[order]] for order in sorted(trips.known_orders) if order in trips.filled],
    }
    return json.dumps(state)


def put(desk: Desk, settlement: Settlement, history: History) -> Trips:
    """The checkpoint of `history` back into a fresh desk."""
    state: dict[str, Any] = json.loads(history.checkpoint)
    for position, numbers in zip(desk.positions, state["positions"], strict=True):
        _set(position, numbers)
    for pair, (open_numbers, hedge_numbers) in zip(desk.pairs, state["pairs"], strict=True):
        _set(pair.open_position, open_numbers)
        _set(pair.hedge_position, hedge_numbers)
    for venue, asset, amount in state["moved"]:
        desk.balances.correct(venue, asset, amount)
    desk.foreign_base_e8[:] = state["foreign"]
    desk.fills_booked = state["fills_booked"]
    desk.money.funding_e8 = state["funding_e8"]
    settlement.put_fundings(state["fundings"])
    desk.fills.remember(history.booked, state["newest"], is_whole=history.is_booked_whole)
    trips = Trips(len(desk.pairs))
    trips.count, trips.last = list(state["trips"]), list(state["last_trips"])
    trips.orders, trips.known_orders = state["orders"], set(state["known_orders"])
    trips.day, trips.day_orders = state["day"], set(state["day_orders"])
    trips.filled = {order: [lots, value] for order, lots, value in state["filled"]}
    if trips.day == desk.wall_ns // DAY_NS:
        desk.money.day_start_pnl_e8 = state["day_start_pnl_e8"]
    return trips


def _numbers(position: Position) -> list[int]:
    return [
        position.base_e8, position.value, position.realised, position.fees_e8, position.funding_e8, position.fills,
    ]  # fmt: skip


def _set(position: Position, numbers: list[int]) -> None:
    position.base_e8, position.value, position.realised, position.fees_e8, position.funding_e8, position.fills = numbers
