"""The rules of OBI market making once more, written by hand as hftbacktest's own examples are: one Numba function around hbt.

An independent implementation: nothing of reactor/ is used. Windows are numpy slices whose mean and deviation are taken anew at
every step, orders are hftbacktest's own dictionary. What it must agree on with the strategy of the house are its trades.
"""

from typing import Any

import numpy as np
from hftbacktest import BUY, FILLED, GTX, LIMIT, NEW, NONE
from hftbacktest.order import IOC
from numba import njit

FILL_DTYPE = np.dtype([("exchange_ns", "i8"), ("side", "i8"), ("price_ticks", "i8"), ("quantity_lots", "i8")])


@njit
def obi_by_hand(
    hbt: Any, fills: Any, start_ns: int, tick_size: float, lot_size: float, order_qty: float, max_position: float,
    grid_num: int, grid_interval: float, looking_depth: float, window: int, half_spread: float, skew: float, c1: float,
    power: float, live_seconds: float, update_interval_ms: int, volatility_interval_ms: int, volatility_window: int,
    volatility_samples_min: int, replace_ticks: int, stop_volatility_z: float, stop_change_z: float, stop_window: int,
    stop_seconds: float, flatten_through_ticks: int,
) -> Any:  # fmt: skip
    """Runs to the end of the data. Returns (how many fills it wrote, orders placed, decisions)."""
    interval = update_interval_ms * 1_000_000
    order_lots = round(order_qty / lot_size)
    position_max = round(max_position / lot_size)
    step = round(grid_interval / tick_size)
    sample_interval = volatility_interval_ms * 1_000_000
    leans = np.zeros(2_000_000, np.float64)
    changes = np.zeros(2_000_000, np.float64)
    volatilities = np.zeros(2_000_000, np.float64)
    lean_count = change_count = volatility_count = 0
    sample_due, sample_mid, verdict, stopped_until, flatten_after = 0, 0.0, False, 0, 0
    held_bid = held_bid_since = held_ask = held_ask_since = 0
    last_bid = last_ask = 0
    last_bid_qty = last_ask_qty = 0.0
    next_id, filled, placed, decisions, asked = 1, 0, 0, 0, 0
    wanted = np.zeros((2 * grid_num, 2), np.int64)
    is_live = np.zeros(2 * grid_num, np.bool_)

    hbt.elapse(0)
    hbt.elapse(start_ns - hbt.current_timestamp)
    while True:
        # One decision per interval; a top that stands still is passed over for up to a second.
        depth = hbt.depth(0)
        bid, ask = depth.best_bid_tick, depth.best_ask_tick
        bid_qty, ask_qty = depth.bid_qty_at_tick(bid), depth.ask_qty_at_tick(ask)
        now = hbt.current_timestamp
        if (
            bid == last_bid
            and ask == last_ask
            and bid_qty == last_bid_qty
            and ask_qty == last_ask_qty
            and now < asked + 1_000_000_000
        ):
            if hbt.wait_next_feed(False, asked + 1_000_000_000 - now) == 1:
                break
            continue
        last_bid, last_ask, last_bid_qty, last_ask_qty, asked = bid, ask, bid_qty, ask_qty, now
        decisions += 1

        orders = hbt.orders(0)
        values = orders.values()
        while values.has_next():
            order = values.get()
            if order.status == FILLED:
                fills[filled].exchange_ns = order.exch_timestamp
                fills[filled].side = order.side
                fills[filled].price_ticks = order.exec_price_tick
                fills[filled].quantity_lots = round(order.exec_qty / lot_size)
                filled += 1
        hbt.clear_inactive_orders(0)
        position = round(hbt.position(0) / lot_size)

        # The book leans: quantity within a share of the mid, and its z-score over a window.
        mid = (bid + ask) / 2.0
        lower, upper = depth.roi_lb_tick, depth.roi_ub_tick
        low = max(int(np.ceil(mid * (1.0 - looking_depth))), lower)
        high = min(int(np.floor(mid * (1.0 + looking_depth))), upper)
        bids = np.sum(depth.bid_depth[low - lower : bid + 1 - lower])
        asks = np.sum(depth.ask_depth[ask - lower : high + 1 - lower])
        lean = np.round(bids / lot_size) - np.round(asks / lot_size)
        leans[lean_count] = lean
        lean_count += 1

        # Changes of the mid on a fixed interval: volatility, and how unusual both are.
        if sample_due == 0:
            sample_due, sample_mid = now + sample_interval, mid
        elif now >= sample_due:
            sample_due += ((now - sample_due) // sample_interval + 1) * sample_interval
            change = mid - sample_mid
            sample_mid = mid
            z_change = z_volatility = 0.0
            if change_count >= stop_window:
                before = changes[change_count - stop_window : change_count]
                if np.std(before) > 0:
                    z_change = (change - np.mean(before)) / np.std(before)
            changes[change_count] = change
            change_count += 1
            if change_count >= stop_window:
                volatility = np.std(changes[change_count - stop_window : change_count])
                if volatility_count >= stop_window:
                    before = volatilities[volatility_count - stop_window : volatility_count]
                    if np.std(before) > 0:
                        z_volatility = (volatility - np.mean(before)) / np.std(before)
                volatilities[volatility_count] = volatility
                volatility_count += 1
            verdict = abs(z_change) > stop_change_z or z_volatility > stop_volatility_z

        count = 0
        if verdict:
            stopped_until = now + round(stop_seconds * 1e9)
        if now < stopped_until:
            held_bid = held_ask = 0
            if position != 0 and now >= flatten_after:
                flatten_after = now + 1_000_000_000
                quantity = abs(position) * lot_size
                placed += 1
                if position > 0:
                    hbt.submit_sell_order(0, next_id, (bid - flatten_through_ticks) * tick_size, quantity, IOC, LIMIT, False)
                else:
                    hbt.submit_buy_order(0, next_id, (ask + flatten_through_ticks) * tick_size, quantity, IOC, LIMIT, False)
                next_id += 1
        elif lean_count >= window and change_count >= min(volatility_samples_min, volatility_window):
            recent = leans[lean_count - window : lean_count]
            deviation = np.std(recent)
            z = (lean - np.mean(recent)) / deviation if deviation > 0 else 0.0
            volatility = np.std(changes[max(0, change_count - volatility_window) : change_count])
            half = half_spread / tick_size * max(volatility, 1.0) ** power
            reservation = mid + c1 / tick_size * z - skew / tick_size * position / order_lots
            new_bid = int(np.floor(min(reservation - half, float(bid)) / step)) * step
            new_ask = int(np.ceil(max(reservation + half, float(ask)) / step)) * step
            # A side stays where it was while it would not move, and is withdrawn once when it has stood long enough.
            if held_bid != 0 and abs(new_bid - held_bid) < replace_ticks and held_bid < ask:
                if now - held_bid_since < live_seconds * 1e9:
                    new_bid = held_bid
                else:
                    new_bid = held_bid = 0
            elif held_bid != new_bid:
                held_bid, held_bid_since = new_bid, now
            if held_ask != 0 and abs(new_ask - held_ask) < replace_ticks and held_ask > bid:
                if now - held_ask_since < live_seconds * 1e9:
                    new_ask = held_ask
                else:
                    new_ask = held_ask = 0
            elif held_ask != new_ask:
                held_ask, held_ask_since = new_ask, now
            for rung in range(grid_num):
                if new_bid > 0 and new_bid - rung * step > 0 and position + (rung + 1) * order_lots <= position_max:
                    wanted[count, 0], wanted[count, 1] = new_bid - rung * step, 1
                    count += 1
                if new_ask > 0 and (rung + 1) * order_lots - position <= position_max:
                    wanted[count, 0], wanted[count, 1] = new_ask + rung * step, -1
                    count += 1

        # What stands where it is wanted stays; the rest goes; then what is missing is placed.
        is_live[:] = False
        values = hbt.orders(0).values()
        while values.has_next():
            order = values.get()
            if order.time_in_force != GTX or (order.req != NONE and order.req != NEW):
                continue
            is_wanted = False
            for place in range(count):
                side = 1 if order.side == BUY else -1
                if not is_live[place] and wanted[place, 0] == order.price_tick and wanted[place, 1] == side:
                    is_live[place] = is_wanted = True
                    break
            if not is_wanted and order.cancellable:
                hbt.cancel(0, order.order_id, False)
        for place in range(count):
            if not is_live[place]:
                placed += 1
                if wanted[place, 1] > 0:
                    hbt.submit_buy_order(0, next_id, wanted[place, 0] * tick_size, order_qty, GTX, LIMIT, False)
                else:
                    hbt.submit_sell_order(0, next_id, wanted[place, 0] * tick_size, order_qty, GTX, LIMIT, False)
                next_id += 1
        if hbt.elapse(interval) == 1:
            break

    values = hbt.orders(0).values()
    while values.has_next():
        order = values.get()
        if order.status == FILLED:
            fills[filled].exchange_ns = order.exch_timestamp
            fills[filled].side = order.side
            fills[filled].price_ticks = order.exec_price_tick
            fills[filled].quantity_lots = round(order.exec_qty / lot_size)
            filled += 1
    return filled, placed, decisions


def arguments(parameters: Any) -> tuple[Any, ...]:
    """The parameters of obi_by_hand out of the strategy's own dataclass, in its order."""
    names = (
        "order_qty", "max_position", "grid_num", "grid_interval", "looking_depth", "window", "half_spread", "skew", "c1",
        "power", "live_seconds", "update_interval_ms", "volatility_interval_ms", "volatility_window", "volatility_samples_min",
        "replace_ticks", "stop_volatility_z", "stop_change_z", "stop_window", "stop_seconds", "flatten_through_ticks",
    )  # fmt: skip
    return tuple(getattr(parameters, name) for name in names)
