"""hftbacktest's calls, every one of them, from one compiled function: types, results, and the C behind them."""

import math

import numpy as np
import pytest

pytest.importorskip("numba", reason="the extra `backtest` is not installed")

from numba import njit

from reactor._native import lib
from reactor.live_bot.records import RECORD_DTYPE, make_recorder, rows_of, save_records
from reactor.live_bot.surface import EVENT_DTYPE, ORDER_DTYPE, STATE_DTYPE, LiveBot

MS = 1_000_000
BUY, SELL, GTX, LIMIT, ALL_ASSETS = 1, -1, 1, 0, -1
BUY_EVENT = 1 << 29


@njit
def look(hbt, seen, recorder):
    """Everything that can be looked at."""
    depth = hbt.depth(0)
    seen[0], seen[1] = depth.best_bid, depth.best_ask
    seen[2], seen[3] = depth.best_bid_tick, depth.best_ask_tick
    seen[4], seen[5] = depth.best_bid_qty, depth.best_ask_qty
    seen[6], seen[7] = depth.tick_size, depth.lot_size
    seen[8], seen[9] = depth.bid_qty_at_tick(999), depth.ask_qty_at_tick(1001)
    seen[10] = depth.bid_depth[1000 - depth.roi_lb_tick] + len(depth.ask_depth) + depth.roi_ub_tick
    seen[11] = len(depth.snapshot())
    bought = 0.0
    for trade in hbt.last_trades(0):
        if trade.ev & BUY_EVENT == BUY_EVENT:
            bought += trade.px * trade.qty
    seen[12] = bought
    hbt.clear_last_trades(ALL_ASSETS)
    seen[13] = len(hbt.last_trades(0)) + hbt.num_assets
    state = hbt.state_values(0)
    seen[14] = hbt.position(0) + state.position + state.balance + state.fee + state.num_trades
    seen[15] = state.trading_volume + state.trading_value
    latency = hbt.feed_latency(0)
    if latency is not None:
        exch_ts, local_ts = latency
        seen[16] = local_ts > exch_ts
    seen[17] = hbt.order_latency(0) is None
    seen[18] = hbt.current_timestamp > 0
    recorder.record(hbt)


@njit
def trade(hbt, answers):
    """Everything that can be done; the test answers between two calls of it."""
    answers[0] = hbt.submit_buy_order(0, 100, 99.0, 0.1, GTX, LIMIT, False)
    answers[1] = hbt.submit_sell_order(0, np.uint64(101), 101.0, 1, GTX, LIMIT, False)
    answers[2] = hbt.submit_buy_order(0, 102, 99.05, 0.1, GTX, LIMIT, False)
    answers[3] = hbt.cancel(0, 100, False)
    answers[4] = hbt.modify(0, 999, 99.0, 0.1, False)
    answers[5] = hbt.wait_order_response(0, 100, 1)
    answers[6] = hbt.wait_next_feed(True, 1)
    answers[7] = hbt.elapse(1)
    answers[8] = hbt.elapse_bt(10**15)
    orders = hbt.orders(0)
    found = orders.get(101)
    if found is not None:
        answers[9] = found.side
        answers[10] = found.price_tick + (101 in orders) + (55 in orders) + len(orders)
    count = 0
    values = orders.values()
    while values.has_next():
        order = values.get()
        count += order.status + order.req + order.order_type + order.time_in_force + (not order.cancellable)
        count += order.exec_qty == 0.0 and order.exec_price_tick == 0 and order.exch_timestamp == 0
    answers[11] = count
    again = orders.values()
    ids = 0
    while True:
        each = again.next()
        if each is None:
            break
        ids += each.order_id
    answers[12] = ids
    hbt.clear_inactive_orders(ALL_ASSETS)


def test_one_compiled_function_sees_what_the_bot_sees(bench, tmp_path):
    bench.load([(1000, 5), (999, 7)], [(1001, 4), (1003, 6)])
    bench.link.trade(1001, 2000, 1, 1)
    bench.link.trade(1000, -500, 1, 1)
    bench.core.pump()
    seen, recorder = np.zeros(19), make_recorder(2, 1)
    for _ in range(3):
        look(LiveBot(bench.core.address), seen, recorder)
    assert seen[:2] == pytest.approx([100.0, 100.1])
    assert list(seen[2:4]) == [1000, 1001]
    assert list(seen[4:10]) == [0.005, 0.004, 0.1, 0.001, 0.007, 0.004]
    assert seen[10] == 0.005 + 201 + 1100
    assert seen[11] == 4
    assert seen[13] == 1
    assert list(seen[14:16]) == [0.0, 0.0]
    assert list(seen[16:19]) == [1.0, 1.0, 1.0]
    rows = rows_of(recorder)
    assert (len(rows), rows["price"][0, 0], recorder.rows) == (2, pytest.approx(100.05), 3), "the oldest row was overwritten"
    assert rows["timestamp"][0, 0] <= rows["timestamp"][1, 0]
    assert save_records(recorder, tmp_path / "records.npz") == 2
    assert np.load(tmp_path / "records.npz")["0"].dtype == RECORD_DTYPE


def test_one_compiled_function_does_what_the_bot_does(bench):
    answers = np.zeros(13)
    trade(LiveBot(bench.core.address), answers)
    assert list(answers[:3]) == [0, 0, lib.LIVE_OFF_TICK]
    assert list(answers[3:5]) == [lib.LIVE_IN_PROCESS, lib.LIVE_NO_ORDER]
    assert list(answers[5:9]) == [0, 0, 0, 0]
    assert list(answers[9:13]) == [SELL, 1010 + 1 + 0 + 2, 2 * (1 + 1 + 0 + 1 + 1) + 2, 201]
    assert [wish.lots for wish in bench.wishes()] == [100, -1000]
    bench.core.stop()
    trade(LiveBot(bench.core.address), answers)
    assert list(answers[:3]) == [1, 1, 1]
    assert list(answers[5:8]) == [1, 1, 1]


def test_the_layouts_are_hftbacktests():
    hftbacktest = pytest.importorskip("hftbacktest.types", reason="the extra `backtest` is not installed")
    for ours, theirs in ((EVENT_DTYPE, "event_dtype"), (ORDER_DTYPE, "order_dtype"), (STATE_DTYPE, "state_values_dtype")):
        layout = getattr(hftbacktest, theirs)
        assert ours.itemsize == layout.itemsize
        for name in ours.names:
            assert ours.fields[name][1] == layout.fields[name][1], name
    assert hftbacktest.record_dtype == RECORD_DTYPE


def test_without_a_book_prices_are_nan(bench):
    @njit
    def mid(hbt):
        depth = hbt.depth(0)
        return (depth.best_bid + depth.best_ask) / 2.0

    bench.core.pump()
    assert math.isnan(mid(LiveBot(bench.core.address)))
