"""Puts what the journal remembers back into a fresh desk, by booking it again with the code that booked it live.

Afterwards every order that was not over is UNKNOWN and asked about; nothing is placed before the venues agree (settle.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reactor.domain.messages import FLAG_FOREIGN, FLAG_LIQUIDATION
from reactor.journal.memory import History, RememberedFill, RememberedOrder
from reactor.prepost import checkpoint
from reactor.prepost.balances import BASELINE
from reactor.prepost.checkpoint import Trips
from reactor.prepost.orders import IS_TERMINAL, Leg, OrderState
from reactor.prepost.pairs import Pair, PairState

if TYPE_CHECKING:
    from reactor.prepost.desk import Desk
    from reactor.prepost.settle import Settlement

MS: Final = 1_000_000
DAY_NS: Final = 86_400_000_000_000
FILLS_OVERLAP: Final = 100  # Fill lists are asked for from this many booked fills back: reports may have come out of order.


def restore(desk: Desk, settlement: Settlement, history: History, fills_overlap_ms: int) -> Trips:
    """Called once, before anything else happens; `desk.now_ns` and `desk.wall_ns` are set. The answer is for a checkpoint."""
    baseline_ns = 0
    for row in history.balances:
        if row.kind == BASELINE:
            desk.balances.set_baseline(row.venue, row.asset, row.amount_e8)
            baseline_ns = min(baseline_ns, row.wall_ns) if baseline_ns else row.wall_ns
        else:
            desk.balances.correct(row.venue, row.asset, row.amount_e8)
    if baseline_ns:
        desk.inquiry.fills_since_ms = baseline_ns // MS - fills_overlap_ms
    for run in settlement.runs.values():
        run.is_first_start = run.venue not in desk.balances.known_venues
    trips = checkpoint.put(desk, settlement, history) if history.checkpoint else checkpoint.Trips(len(desk.pairs))
    trips.add(desk, history)
    trade_ids: dict[int, list[int]] = {}
    for index, trade_id, _ in history.booked:
        trade_ids.setdefault(index, []).append(trade_id)
    today = desk.wall_ns // DAY_NS
    for fill in history.fills:
        if desk.money.day_start_pnl_e8 is None and fill.wall_ns // DAY_NS == today:
            desk.money.day_start_pnl_e8 = sum(row.realised_pnl_e8 - row.fees_e8 for row in desk.positions)
        _book(desk, fill)
        trade_ids.setdefault(fill.instrument_index, []).append(fill.trade_id)
    for index, ids in trade_ids.items():
        ids.sort()
        if len(ids) > FILLS_OVERLAP:
            desk.inquiry.synced_trade_id[index] = ids[-FILLS_OVERLAP]
    for funding in history.fundings:
        settlement.book_funding(
            funding.instrument_index, funding.asset, funding.amount_e8, funding.trade_id, funding.exchange_ns,
            is_insurance=bool(funding.flags & FLAG_LIQUIDATION), is_live=False,
        )  # fmt: skip
    for remembered in history.pairs:
        if remembered.pair_id < len(desk.pairs):
            pair = desk.pairs[remembered.pair_id]
            _restore_pair(desk, pair, remembered.pair_sequence, remembered.state, remembered.direction)
            pair.entry_spread_e8 = remembered.entry_spread_e8
            if pair.state != PairState.IDLE and remembered.opened_wall_ns:
                pair.opened_wall_ns = remembered.opened_wall_ns
                pair.opened_ns = max(1, desk.now_ns - max(0, desk.wall_ns - remembered.opened_wall_ns))
    for order in history.orders:
        _restore_order(desk, order, *trips.filled.get(order.order_id, (0, 0)))
    for instrument_index in history.halted_instruments:
        desk.kill_switch.halt_instrument(instrument_index)
    desk.pairs_opened = sum(trips.count)
    desk.pairs_closed = desk.pairs_opened - sum(
        pair.state != PairState.IDLE and trips.last[pair.pair_id] == pair.sequence for pair in desk.pairs
    )
    desk.orders_sent = trips.orders
    desk.trades_today = len(trips.day_orders)
    for terms in desk.terms:
        desk.money.revalue(terms.index)
        desk.touch(terms.index)
    return trips


def _book(desk: Desk, fill: RememberedFill) -> None:
    terms = desk.terms[fill.instrument_index]
    if not desk.fills.try_book(fill.instrument_index, fill.trade_id, fill.side):
        return
    balances = desk.balances
    is_foreign = bool(fill.flags & FLAG_FOREIGN)
    realised = 0
    position = desk.positions[fill.instrument_index]
    pair = desk.pairs[fill.pair_id] if fill.pair_id < len(desk.pairs) and not is_foreign else None
    leg = None
    if pair is not None:
        leg = pair.hedge_position if terms is pair.hedge else pair.open_position
    if is_foreign:
        desk.foreign_base_e8[terms.index] += fill.side * fill.quantity_lots * terms.lot_base_e8
    else:
        desk.fills_booked += 1
        realised = position.apply_fill(fill.side, fill.quantity_lots, fill.price_ticks)
        if leg is not None:
            leg.apply_fill(fill.side, fill.quantity_lots, fill.price_ticks)
    if terms.is_perpetual and not is_foreign and not fill.asset:
        # Told early, without a fee (an asset comes with every whole report): fee and realised profit follow with the venue's
        # list of fills, which is asked for from a little before the newest one.
        desk.fills.expect_fee(terms.index, fill.trade_id, fill.side)
    elif terms.is_perpetual:
        balances.apply_realised(terms, position.quote_of(realised) if fill.realised_e8 is None else fill.realised_e8)
    else:
        balances.apply_spot_fill(terms, fill.side, fill.quantity_lots, fill.price_ticks)
    if not fill.fee_e8:
        return
    balances.apply_fee(terms.venue, fill.asset, fill.fee_e8)
    if is_foreign:
        return
    if fill.asset == terms.base_asset and not terms.is_perpetual:
        position.apply_base_fee(fill.fee_e8, fill.price_ticks)
        if leg is not None:
            leg.apply_base_fee(fill.fee_e8, fill.price_ticks)
    else:
        quote_e8 = desk.money.in_quote_e8(fill.fee_e8, fill.asset, terms)
        position.fees_e8 += quote_e8
        if leg is not None:
            leg.fees_e8 += quote_e8


def _restore_pair(desk: Desk, pair: Pair, sequence: int, state: int, direction: int) -> None:
    pair.begin(direction, max(1, desk.now_ns), desk.wall_ns)
    pair.sequence = sequence
    pair.state = state
    if state == PairState.IDLE:
        pair.end()
    elif state != PairState.OPENING:
        pair.is_opened_reported = True
        pair.clips = 1


def _restore_order(desk: Desk, remembered: RememberedOrder, filled_lots: int, filled_value: int) -> None:
    order = desk.orders.try_take(remembered.order_id, remembered.instrument_index)
    if order is None:
        return
    order.client_order_id = desk.ids.client_order_id(remembered.order_id).encode()
    order.venue = desk.terms[remembered.instrument_index].venue
    order.side = remembered.side
    order.order_type = remembered.order_type
    order.time_in_force = remembered.time_in_force
    order.price_ticks = remembered.price_ticks
    order.quantity_lots = remembered.quantity_lots
    order.filled_lots = filled_lots
    order.filled_value = filled_value
    order.leg = remembered.leg
    order.pair_id = remembered.pair_id
    order.pair_sequence = remembered.pair_sequence
    order.signal_id = remembered.signal_id
    order.flags = remembered.flags
    order.created_ns = order.sent_ns = order.updated_ns = desk.now_ns
    order.state = remembered.state
    desk.orders.learn_venue_id(order, remembered.venue_order_id)
    if IS_TERMINAL[order.state]:
        order.venue_filled_lots = filled_lots
        order.closed_ns = desk.now_ns
        desk.orders.settle(order)
        return
    order.state = int(OrderState.UNKNOWN)
    pair = desk.pairs[order.pair_id] if order.pair_id < len(desk.pairs) else None
    desk.quota.reserve(order, 0)
    if filled_lots:
        desk.quota.convert(order, filled_lots)
    if pair is not None:
        pair.orders[order.order_id] = order
    elif order.leg not in (Leg.SINGLE, Leg.QUOTE):
        order.leg = int(Leg.SINGLE)
    desk.inquiry.doubt(order)
