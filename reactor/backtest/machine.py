"""The loop of a backtest, written once: wait, look, (somebody decides,) send the difference. In the subset that Numba compiles.

    wait ──▶ which asset is to be asked     look ──▶ what it sees     send ──▶ cancels and places, as prepost would

An asset is asked when its interval has passed and its top is another than at the last time, and once a second in any case:
feed/host.py's rule. `send` is prepost/quotes.py's rule on hftbacktest's orders: what stands where it is wanted stays, with its
place in the queue, unless it is larger than wanted; the rest is cancelled, then the missing rungs are placed post-only.
An order that nobody wants any more while its place is still on its way is cancelled at the first decision after its ack.

compiled.py compiles these functions together with a kernel, plain.py calls them around an object's decide().
"""

from typing import Any, Final, NamedTuple

import numpy as np

from reactor.strategies.strategy import HALT, KEEP, WISH_QUOTE, WISHES_MAX

SECOND: Final = 1_000_000_000
IDLE_NS: Final = SECOND  # A market that stands still is looked at once a second, as feed/host.py does.
TRADES_MAX = 512  # What a strategy sees of the tape: market/trades.py keeps as many.
LIVE_MAX = 256  # Orders of one asset at a time: four full grids; more is a strategy that forgets its orders.
ROOM = 1 << 16  # Rows of each record before Python empties it.
FAR_NS = 1 << 62
NO_SIDE = -(1 << 62)  # Ticks below this: hftbacktest has no such side.

# What wait() and send() answer besides an asset's number and 0.
END, FULL, MORE, TOO_MANY, REFUSED = -1, -2, -3, -4, -5

# Columns of Machine.clock, one row per asset.
DUE, IDLE, SAMPLE_DUE, BID, BID_LOTS, ASK, ASK_LOTS, LIVE, IS_HALTED, LAST_NS = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
CLOCK_COLUMNS = 10
# Columns of Machine.looks: what the asset saw when it was asked.
NOW, POSITION, BOUGHT, SOLD = 0, 1, 2, 3
LOOK_COLUMNS = 4
# Columns of Machine.live, one row per order.
ORDER_ID, SIDE, PRICE, LOTS, KIND, WANTS_CANCEL = 0, 1, 2, 3, 4, 5
LIVE_COLUMNS = 6
# Places of Machine.context.
NEXT_ID, FILLS, SAMPLES, DECISIONS, WANTED, SAMPLE_NS, KEEPS_DECISIONS = 0, 1, 2, 3, 4, 5, 6
CONTEXT_PLACES = 7
# Columns of Machine.counters.
ASKED, PLACED, CANCELS, CANCELLED, EXPIRED, FILLED, ASIDE = 0, 1, 2, 3, 4, 5, 6
COUNTER_NAMES = ("decisions", "orders", "cancel_requests", "cancelled", "expired", "filled", "looks_aside")

_INT = np.int64
FILL_DTYPE = np.dtype(
    [("seen_ns", _INT), ("exchange_ns", _INT), ("asset", _INT), ("order_id", _INT), ("price_ticks", _INT),
     ("quantity_lots", _INT), ("is_maker", _INT)]
)  # fmt: skip
SAMPLE_DTYPE = np.dtype(
    [("now_ns", _INT), ("asset", _INT), ("bid_ticks", _INT), ("ask_ticks", _INT), ("position_lots", _INT),
     ("live_orders", _INT)]
)  # fmt: skip
DECISION_DTYPE = np.dtype(
    [("now_ns", _INT), ("asset", _INT), ("count", _INT), ("first", _INT), ("bid_ticks", _INT), ("ask_ticks", _INT),
     ("position_lots", _INT)]
)  # fmt: skip
WANTED_DTYPE = np.dtype([("price_ticks", _INT), ("quantity_lots", _INT), ("kind", _INT)])


class Machine(NamedTuple):
    """Everything the loop remembers, in arrays."""

    intervals: Any  # ns, per asset
    scales: Any  # (tick size, lot size, lots per unit) per asset
    clock: Any
    looks: Any
    live: Any
    counters: Any
    context: Any
    fills: Any
    samples: Any
    decisions: Any
    wanted: Any
    wishes_price: Any  # scratch of the difference
    wishes_lots: Any


def new_machine(
    intervals_ns: list[int], scales: list[tuple[float, float]], lasts_ns: list[int], sample_ns: int, keeps_decisions: bool
) -> Machine:
    """One machine for so many assets; nobody is asked about an asset after the end of its data (`lasts_ns`)."""
    count = len(intervals_ns)
    machine = Machine(
        np.array(intervals_ns, _INT),
        np.array([(tick, lot, 1.0 / lot) for tick, lot in scales], np.float64),
        np.zeros((count, CLOCK_COLUMNS), _INT),
        np.zeros((count, LOOK_COLUMNS), _INT),
        np.zeros((count, LIVE_MAX, LIVE_COLUMNS), _INT),
        np.zeros((count, len(COUNTER_NAMES)), _INT),
        np.zeros(CONTEXT_PLACES, _INT),
        np.zeros(ROOM, FILL_DTYPE),
        np.zeros(ROOM, SAMPLE_DTYPE),
        np.zeros(ROOM if keeps_decisions else 1, DECISION_DTYPE),
        np.zeros(ROOM if keeps_decisions else 1, WANTED_DTYPE),
        np.zeros(WISHES_MAX, _INT),
        np.zeros(WISHES_MAX, _INT),
    )
    machine.clock[:, LAST_NS] = lasts_ns
    machine.context[NEXT_ID] = 1
    machine.context[SAMPLE_NS] = sample_ns
    machine.context[KEEPS_DECISIONS] = keeps_decisions
    return machine


def start(hbt: Any, m: Machine, start_ns: int) -> int:
    """Runs the market up to its first moment. Returns 0, or END if there is none."""
    if hbt.elapse(0) != 0:
        return END
    if start_ns > hbt.current_timestamp and hbt.elapse(start_ns - hbt.current_timestamp) != 0:
        return END
    return 0


def has_moved(hbt: Any, m: Machine, asset: int) -> bool:
    """The top is another than at the last look."""
    clock, depth, scale = m.clock[asset], hbt.depth(asset), m.scales[asset, 2]
    bid, ask = depth.best_bid_tick, depth.best_ask_tick
    if bid != clock[BID] or ask != clock[ASK]:
        return True
    if round(depth.bid_qty_at_tick(bid) * scale) != clock[BID_LOTS]:
        return True
    return bool(round(depth.ask_qty_at_tick(ask) * scale) != clock[ASK_LOTS])


def wait(hbt: Any, m: Machine) -> int:
    """Lets time pass until an asset is to be looked at. Returns its number, END, or FULL (empty the records, call again)."""
    context = m.context
    if context[FILLS] > ROOM - LIVE_MAX or context[SAMPLES] > ROOM - 1:
        return FULL
    if context[KEEPS_DECISIONS] and (context[DECISIONS] > ROOM - 1 or context[WANTED] > ROOM - WISHES_MAX):
        return FULL
    while True:
        now, target, is_waiting = hbt.current_timestamp, FAR_NS, False
        for asset in range(len(m.intervals)):
            due = m.clock[asset, DUE]
            if due > now:
                target = min(target, due)
                continue
            if now >= m.clock[asset, IDLE] or has_moved(hbt, m, asset):
                return asset
            is_waiting = True
            target = min(target, m.clock[asset, IDLE])
        code = hbt.wait_next_feed(False, target - now) if is_waiting else hbt.elapse(target - now)
        if code == 1:
            return END


def settle(hbt: Any, m: Machine, asset: int, now_ns: int) -> None:
    """Takes over what became of the orders: fills are recorded, the dead are forgotten, late cancels are sent."""
    clock, counters, context = m.clock[asset], m.counters[asset], m.context
    live, orders, scale = m.live[asset], hbt.orders(asset), m.scales[asset, 2]
    count, kept = clock[LIVE], 0
    for place in range(count):
        row = live[place]
        order = orders.get(row[ORDER_ID])
        status = order.status if order is not None else 4
        if status == 3:  # filled
            fill = m.fills[context[FILLS]]
            context[FILLS] += 1
            fill.seen_ns = now_ns
            fill.exchange_ns = order.exch_timestamp
            fill.asset = asset
            fill.order_id = row[ORDER_ID]
            fill.price_ticks = order.exec_price_tick
            fill.quantity_lots = row[SIDE] * round(order.exec_qty * scale)
            fill.is_maker = order.arr[0].maker
            counters[FILLED] += 1
            continue
        if status == 4:  # cancelled
            counters[CANCELLED] += 1
            continue
        if status == 2:  # expired: a post-only that would have taken, an IOC that found nothing, a refusal
            counters[EXPIRED] += 1
            continue
        if row[WANTS_CANCEL] == 1 and order.cancellable:
            hbt.cancel(asset, row[ORDER_ID], False)
            counters[CANCELS] += 1
            row[WANTS_CANCEL] = 2
        if kept != place:
            for column in range(LIVE_COLUMNS):  # One by one: the compiler takes a second for a slice.
                live[kept, column] = row[column]
        kept += 1
    if kept != count:
        clock[LIVE] = kept
        hbt.clear_inactive_orders(asset)


def look(hbt: Any, m: Machine, asset: int) -> bool:
    """Writes what the asset sees now into m.clock and m.looks. Returns False if nobody is to be asked about it."""
    now_ns = hbt.current_timestamp
    clock, seen, depth, scale = m.clock[asset], m.looks[asset], hbt.depth(asset), m.scales[asset, 2]
    settle(hbt, m, asset, now_ns)
    bid, ask = depth.best_bid_tick, depth.best_ask_tick
    clock[DUE] = now_ns + m.intervals[asset]
    clock[IDLE] = now_ns + max(IDLE_NS, m.intervals[asset])
    clock[BID], clock[ASK] = bid, ask
    clock[BID_LOTS] = round(depth.bid_qty_at_tick(bid) * scale)
    clock[ASK_LOTS] = round(depth.ask_qty_at_tick(ask) * scale)
    seen[NOW] = now_ns
    seen[POSITION] = round(hbt.position(asset) * scale)
    bought, sold = 0.0, 0.0
    trades = hbt.last_trades(asset)
    for place in range(max(0, len(trades) - TRADES_MAX), len(trades)):
        if trades[place].ev & 0x20000000:  # the taker bought
            bought += trades[place].qty
        else:
            sold += trades[place].qty
    hbt.clear_last_trades(asset)
    seen[BOUGHT], seen[SOLD] = round(bought * scale), round(sold * scale)
    is_whole = bid > 0 and ask < FAR_NS and bid < ask
    if is_whole and now_ns >= clock[SAMPLE_DUE]:
        sample_ns = m.context[SAMPLE_NS]
        clock[SAMPLE_DUE] = now_ns - now_ns % sample_ns + sample_ns
        take_sample(m, asset)
    if clock[IS_HALTED] or not is_whole or now_ns > clock[LAST_NS]:
        m.counters[asset, ASIDE] += 1
        withdraw(hbt, m, asset)
        return False
    return True


def take_sample(m: Machine, asset: int) -> None:
    """One row of the equity curve, as of the last look."""
    clock, sample = m.clock[asset], m.samples[m.context[SAMPLES]]
    m.context[SAMPLES] += 1
    sample.now_ns = m.looks[asset, NOW]
    sample.asset = asset
    sample.bid_ticks = clock[BID]
    sample.ask_ticks = clock[ASK]
    sample.position_lots = m.looks[asset, POSITION]
    sample.live_orders = clock[LIVE]


def withdraw(hbt: Any, m: Machine, asset: int) -> None:
    """Cancels every quote."""
    for place in range(m.clock[asset, LIVE]):
        row = m.live[asset, place]
        if row[KIND] == WISH_QUOTE and row[WANTS_CANCEL] == 0:
            cancel(hbt, m, asset, row)


def cancel(hbt: Any, m: Machine, asset: int, row: Any) -> None:
    """Cancels one order: now, or as soon as its place has been acknowledged."""
    row[WANTS_CANCEL] = 1
    order = hbt.orders(asset).get(row[ORDER_ID])
    if order is not None and order.cancellable:
        hbt.cancel(asset, row[ORDER_ID], False)
        m.counters[asset, CANCELS] += 1
        row[WANTS_CANCEL] = 2


def send(hbt: Any, m: Machine, asset: int, count: int, wishes: Any) -> int:
    """Makes the orders what is wanted: rows of (price, signed lots, kind), or KEEP, or HALT. Returns 0, TOO_MANY or REFUSED."""
    counters, context = m.counters[asset], m.context
    counters[ASKED] += 1
    if context[KEEPS_DECISIONS]:
        record(m, asset, count, wishes)
    if count == KEEP:
        return 0
    if count == HALT:
        m.clock[asset, IS_HALTED] = 1
        withdraw(hbt, m, asset)
        return 0
    prices, lots, open_count = m.wishes_price, m.wishes_lots, 0
    for row in range(count):
        if wishes[row, 2] != WISH_QUOTE or wishes[row, 1] == 0 or wishes[row, 0] <= 0:
            continue
        place = 0
        while place < open_count and not (prices[place] == wishes[row, 0] and (lots[place] > 0) == (wishes[row, 1] > 0)):
            place += 1
        if place == open_count:
            prices[place] = wishes[row, 0]
            lots[place] = wishes[row, 1]
            open_count += 1
        else:
            lots[place] += wishes[row, 1]
    for number in range(m.clock[asset, LIVE]):
        row = m.live[asset, number]
        if row[KIND] != WISH_QUOTE or row[WANTS_CANCEL] != 0:
            continue
        stays = False
        for place in range(open_count):
            # Lots that a live order has taken are 0, and 0 matches no side.
            if prices[place] == row[PRICE] and lots[place] * row[SIDE] >= row[LOTS]:
                lots[place] = 0
                stays = True
                break
        if not stays:
            cancel(hbt, m, asset, row)
    for place in range(open_count):
        if lots[place] != 0:
            code = submit(hbt, m, asset, prices[place], lots[place], WISH_QUOTE)
            if code != 0:
                return code
    for row in range(count):
        if wishes[row, 2] != WISH_QUOTE:
            position, wanted = m.looks[asset, POSITION], wishes[row, 1]
            if position * wanted < 0:  # It only reduces.
                reduced = min(abs(wanted), abs(position)) * (1 if wanted > 0 else -1)
                code = submit(hbt, m, asset, wishes[row, 0], reduced, wishes[row, 2])
                if code != 0:
                    return code
    return 0


def submit(hbt: Any, m: Machine, asset: int, price_ticks: int, signed_lots: int, kind: int) -> int:
    """Places one order: a quote post-only, everything else immediate-or-cancel."""
    place, order_id = m.clock[asset, LIVE], m.context[NEXT_ID]
    if place >= LIVE_MAX:
        return TOO_MANY
    price = price_ticks * m.scales[asset, 0]
    quantity = abs(signed_lots) * m.scales[asset, 1]
    time_in_force = 1 if kind == WISH_QUOTE else 3
    if signed_lots > 0:
        code = hbt.submit_buy_order(asset, order_id, price, quantity, time_in_force, 0, False)
    else:
        code = hbt.submit_sell_order(asset, order_id, price, quantity, time_in_force, 0, False)
    if code != 0:
        return REFUSED
    row = m.live[asset, place]
    row[ORDER_ID] = order_id
    row[SIDE] = 1 if signed_lots > 0 else -1
    row[PRICE] = price_ticks
    row[LOTS] = abs(signed_lots)
    row[KIND] = kind
    row[WANTS_CANCEL] = 0
    m.clock[asset, LIVE] = place + 1
    m.context[NEXT_ID] = order_id + 1
    m.counters[asset, PLACED] += 1
    return 0


def record(m: Machine, asset: int, count: int, wishes: Any) -> None:
    """Keeps a decision and its wishes."""
    context, clock = m.context, m.clock[asset]
    decision = m.decisions[context[DECISIONS]]
    context[DECISIONS] += 1
    decision.now_ns = m.looks[asset, NOW]
    decision.asset = asset
    decision.count = count
    decision.first = context[WANTED]
    decision.bid_ticks = clock[BID]
    decision.ask_ticks = clock[ASK]
    decision.position_lots = m.looks[asset, POSITION]
    for row in range(count):
        wanted = m.wanted[context[WANTED]]
        context[WANTED] += 1
        wanted.price_ticks = wishes[row, 0]
        wanted.quantity_lots = wishes[row, 1]
        wanted.kind = wishes[row, 2]


def tape(hbt: Any, asset: int) -> Any:
    """The trades since the last look, newest last: a copy, because the look clears them."""
    return hbt.last_trades(asset)[-TRADES_MAX:].copy()


def sides(hbt: Any, asset: int) -> Any:
    """Both sides of the book, in place: the quantity at every tick of its range."""
    depth = hbt.depth(asset)
    return depth.bid_depth, depth.ask_depth


def states(hbt: Any, asset: int) -> Any:
    """hftbacktest's own figures: position, balance, fee, trades, volume, value."""
    state = hbt.state_values(asset)
    return state.position, state.balance, state.fee, state.num_trades, state.trading_volume, state.trading_value


def now(hbt: Any) -> int:
    """The local time reached."""
    reached: int = hbt.current_timestamp
    return reached


def close(hbt: Any) -> None:
    """Gives hftbacktest's memory back: nothing may be asked afterwards."""
    hbt.close()


def finish(hbt: Any, m: Machine) -> None:
    """After the last event: what was still on its way, and a last sample."""
    now_ns = hbt.current_timestamp
    for asset in range(len(m.intervals)):
        settle(hbt, m, asset, now_ns)
        depth = hbt.depth(asset)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        m.looks[asset, NOW] = now_ns
        m.looks[asset, POSITION] = round(hbt.position(asset) * m.scales[asset, 2])
        if bid > 0 and ask < FAR_NS and bid < ask:
            m.clock[asset, BID], m.clock[asset, ASK] = bid, ask
        if m.clock[asset, BID] > 0:
            take_sample(m, asset)
