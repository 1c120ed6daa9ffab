"""The market making model of Guéant, Lehalle and Fernandez-Tapia.

Published in hftbacktest's tutorials, Copyright (c) 2022 nkaz001@protonmail.com, MIT license (LICENSE): https://github.com/nkaz001/hftbacktest
(examples/GLFT Market Making Model and Grid Trading.ipynb). The calls and the rules are the tutorial's, its comments are left out.
"""
# ruff: noqa

import numpy as np
from hftbacktest import BUY, BUY_EVENT, GTX, LIMIT, SELL
from numba import njit

out_dtype = np.dtype([("half_spread_tick", "f8"), ("skew", "f8"), ("volatility", "f8"), ("A", "f8"), ("k", "f8")])


@njit
def measure_trading_intensity(order_arrival_depth, out):
    max_tick = 0
    for depth in order_arrival_depth:
        if not np.isfinite(depth):
            continue
        tick = round(depth / 0.5) - 1
        if tick < 0 or tick >= len(out):
            continue
        out[:tick] += 1
        max_tick = max(max_tick, tick)
    return out[:max_tick]


@njit
def linear_regression(x, y):
    sx = np.sum(x)
    sy = np.sum(y)
    sx2 = np.sum(x**2)
    sxy = np.sum(x * y)
    w = len(x)
    slope = (w * sxy - sx * sy) / (w * sx2 - sx**2)
    intercept = (sy - slope * sx) / w
    return slope, intercept


@njit
def compute_coeff(xi, gamma, delta, A, k):
    inv_k = np.divide(1, k)
    c1 = 1 / (xi * delta) * np.log(1 + xi * delta * inv_k)
    c2 = np.sqrt(np.divide(gamma, 2 * A * delta * k) * ((1 + xi * delta * inv_k) ** (k / (xi * delta) + 1)))
    return c1, c2


@njit
def glft_market_maker(hbt, recorder):
    tick_size = hbt.depth(0).tick_size
    arrival_depth = np.full(10_000_000, np.nan, np.float64)
    mid_price_chg = np.full(10_000_000, np.nan, np.float64)
    out = np.zeros(10_000_000, out_dtype)
    t = 0
    prev_mid_price_tick = np.nan
    mid_price_tick = np.nan
    tmp = np.zeros(500, np.float64)
    ticks = np.arange(len(tmp)) + 0.5
    A = np.nan
    k = np.nan
    volatility = np.nan
    gamma = 0.05
    delta = 1
    adj1 = 1
    adj2 = 0.05
    order_qty = 1
    max_position = 20
    while hbt.elapse(100_000_000) == 0:
        if not np.isnan(mid_price_tick):
            depth = -np.inf
            for last_trade in hbt.last_trades(0):
                trade_price_tick = last_trade.px / tick_size
                if last_trade.ev & BUY_EVENT == BUY_EVENT:
                    depth = np.nanmax([trade_price_tick - mid_price_tick, depth])
                else:
                    depth = np.nanmax([mid_price_tick - trade_price_tick, depth])
            arrival_depth[t] = depth
        hbt.clear_last_trades(0)
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        position = hbt.position(0)
        orders = hbt.orders(0)
        best_bid_tick = depth.best_bid_tick
        best_ask_tick = depth.best_ask_tick
        prev_mid_price_tick = mid_price_tick
        mid_price_tick = (best_bid_tick + best_ask_tick) / 2.0
        mid_price_chg[t] = mid_price_tick - prev_mid_price_tick
        if t % 50 == 0:
            if t >= 6_000 - 1:
                tmp[:] = 0
                lambda_ = measure_trading_intensity(arrival_depth[t + 1 - 6_000 : t + 1], tmp)
                if len(lambda_) > 2:
                    lambda_ = lambda_[:70] / 600
                    x = ticks[: len(lambda_)]
                    y = np.log(lambda_)
                    k_, logA = linear_regression(x, y)
                    A = np.exp(logA)
                    k = -k_
                volatility = np.nanstd(mid_price_chg[t + 1 - 6_000 : t + 1]) * np.sqrt(10)
        c1, c2 = compute_coeff(gamma, gamma, delta, A, k)
        half_spread_tick = (c1 + delta / 2 * c2 * volatility) * adj1
        skew = c2 * volatility * adj2
        reservation_price_tick = mid_price_tick - skew * position
        bid_price_tick = np.minimum(np.round(reservation_price_tick - half_spread_tick), best_bid_tick)
        ask_price_tick = np.maximum(np.round(reservation_price_tick + half_spread_tick), best_ask_tick)
        bid_price = bid_price_tick * tick_size
        ask_price = ask_price_tick * tick_size
        order_values = orders.values()
        while order_values.has_next():
            order = order_values.get()
            if order.cancellable:
                if (order.side == BUY and order.price_tick != bid_price_tick) or (
                    order.side == SELL and order.price_tick != ask_price_tick
                ):
                    hbt.cancel(0, order.order_id, False)
        if position < max_position and np.isfinite(bid_price):
            bid_price_as_order_id = round(bid_price / tick_size)
            if bid_price_as_order_id not in orders:
                hbt.submit_buy_order(0, bid_price_as_order_id, bid_price, order_qty, GTX, LIMIT, False)
        if position > -max_position and np.isfinite(ask_price):
            ask_price_as_order_id = round(ask_price / tick_size)
            if ask_price_as_order_id not in orders:
                hbt.submit_sell_order(0, ask_price_as_order_id, ask_price, order_qty, GTX, LIMIT, False)
        out[t].half_spread_tick = half_spread_tick
        out[t].skew = skew
        out[t].volatility = volatility
        out[t].A = A
        out[t].k = k
        t += 1
        if t >= len(arrival_depth) or t >= len(mid_price_chg) or t >= len(out):
            raise Exception
        recorder.record(hbt)
    return out[:t]
