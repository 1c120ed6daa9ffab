"""The C bot: books, own orders, waits. The test plays the feed, prepost and the strategy."""

import math
import threading

import pytest

from reactor._native import lib
from reactor.domain.messages import FLAG_QUOTE, Reason, SignalType, TimeInForce
from reactor.live_bot.counters import Counter
from shm.clock import monotonic_ns

MS = 1_000_000
NO_BID, NO_ASK = -(2**63), 2**63 - 1
ORDER, CANCEL = int(SignalType.STRATEGY_ORDER), int(SignalType.STRATEGY_CANCEL)
BIDS, ASKS = [(1000, 5), (999, 7), (998, 9)], [(1001, 4), (1003, 6)]


# -- books


def test_without_a_book_the_depth_is_empty_as_in_hftbacktest(bench):
    bench.core.pump()
    assert math.isnan(bench.depth("best_bid"))
    assert math.isnan(bench.depth("best_ask"))
    assert (bench.depth("best_bid_tick"), bench.depth("best_ask_tick")) == (NO_BID, NO_ASK)
    assert not bench.core.is_synchronised()


def test_a_whole_book_and_its_deltas_are_the_depth_and_its_arrays(bench):
    bench.load(BIDS, ASKS)
    bench.delta([(999, 0), (997, 3)], [(1001, 2)])
    bench.core.pump()
    assert bench.core.is_synchronised()
    assert (bench.depth("best_bid"), bench.depth("best_ask")) == (pytest.approx(100.0), pytest.approx(100.1))
    assert (bench.depth("best_bid_qty"), bench.depth("best_ask_qty")) == (0.005, 0.002)
    first = bench.depth("roi_lb_tick")
    assert (first, bench.depth("roi_ub_tick")) == (900, 1100)
    bid_depth, ask_depth = bench.depth("bid_depth"), bench.depth("ask_depth")
    assert [bid_depth[tick - first] for tick in (1000, 999, 998, 997)] == [0.005, 0.0, 0.009, 0.003]
    assert [ask_depth[tick - first] for tick in (1001, 1002, 1003)] == [0.002, 0.0, 0.006]
    assert [bench.depth("bid_qty_at_tick", tick) for tick in (1001, 1000, 999, 998)] == [0.0, 0.005, 0.0, 0.009]


def test_a_newer_best_price_lies_over_the_book_until_the_book_has_it(bench):
    bench.load(BIDS, ASKS)
    bench.top((998, 1), (999, 2))
    bench.core.pump()
    assert (bench.depth("best_bid_tick"), bench.depth("best_ask_tick")) == (998, 999)
    assert bench.depth("bid_qty_at_tick", 1000) == 0.0
    assert bench.depth("bid_depth")[1000 - 900] == 0.0
    assert bench.depth("bid_depth")[998 - 900] == 0.001
    assert bench.depth("ask_depth")[999 - 900] == 0.002
    bench.delta([(1000, 0), (999, 0), (998, 1)], [(999, 3)])
    bench.core.pump()
    assert bench.depth("best_ask_qty") == 0.003
    assert [bench.depth("bid_depth")[tick - 900] for tick in (1000, 999, 998)] == [0.0, 0.0, 0.001]
    assert [bench.depth("ask_depth")[tick - 900] for tick in (999, 1001, 1003)] == [0.003, 0.004, 0.006]


def test_a_lost_book_is_an_empty_depth_until_it_comes_whole(bench):
    bench.load(BIDS, ASKS)
    bench.core.pump()
    bench.link.set_good(False)
    bench.link.catch_up(bench.book, 0, 0)
    bench.core.pump()
    assert math.isnan(bench.depth("best_bid"))
    assert not any(bench.depth("bid_depth")[0:201])
    bench.load(BIDS, ASKS)
    bench.core.pump()
    assert bench.depth("best_bid_tick") == 1000
    assert bench.metrics.get(Counter.BOOKS_LOST) == 1


def test_a_full_ring_costs_steps_but_never_the_truth(make_bench):
    bench = make_bench(market=4)
    bench.load(BIDS, ASKS)
    for lots in range(1, 10):
        bench.delta([(1000, lots)], [])
    assert bench.link.is_behind
    bench.core.pump()
    assert bench.depth("best_bid_qty") == 0.003, "what found room"
    bench.link.catch_up(bench.book, 0, monotonic_ns())
    bench.core.pump()
    assert bench.depth("best_bid_qty") == 0.009
    assert bench.depth("bid_depth")[1000 - 900] == 0.009


def test_a_long_book_comes_in_parts_that_belong_together(bench):
    bench.load([(1000 - i, i + 1) for i in range(60)], [(1001 + i, i + 1) for i in range(60)])
    bench.core.pump()
    assert [bench.depth("bid_qty_at_tick", 1000 - i) for i in (0, 27, 28, 59)] == [0.001, 0.028, 0.029, 0.06]
    assert bench.depth("ask_qty_at_tick", 1060) == 0.06
    assert bench.metrics.get(Counter.MARKET_MESSAGES) == 5
    rows = lib.live_depth_snapshot(bench.asset)
    assert lib.live_depth_level_count(bench.asset) == 120
    assert (rows[0].px, rows[0].qty, rows[59].px) == (pytest.approx(100.0), 0.001, pytest.approx(94.1))


def test_trades_are_kept_until_they_are_cleared_and_the_oldest_go_first(bench):
    for tick in range(1, 12):
        bench.link.trade(1000 + tick, 5 if tick % 2 else -5, 77, 1)
    bench.core.pump()
    count = bench.call("trade_count", 0)
    rows = bench.call("last_trades", 0)
    assert count == 7, "eight fit: the older half made room"
    assert rows[count - 1].px == pytest.approx(101.1)
    assert rows[count - 1].ev & lib.EVENT_BUY
    assert rows[count - 2].ev & lib.EVENT_SELL
    assert rows[0].exch_ts == 77
    bench.call("clear_last_trades", 0)
    assert bench.call("trade_count", 0) == 0


# -- orders


def test_an_order_goes_out_in_ticks_and_lots_under_a_signal_id_of_its_own(bench):
    assert bench.buy(42, 99.9, 0.25) == 0
    assert bench.buy(43, 100.3, 0.1, tif=3, side=-1) == 0
    first, second = bench.wishes()
    assert (first.kind, first.price_ticks, first.lots, first.time_in_force) == (ORDER, 999, 250, TimeInForce.POST_ONLY)
    assert first.flags == FLAG_QUOTE, "it rests: a rung"
    assert (second.price_ticks, second.lots, second.time_in_force, second.flags) == (1003, -100, TimeInForce.IOC, 0)
    assert first.signal_id != second.signal_id
    order = bench.order(42)
    assert (order.order_id, order.price_tick, order.qty, order.status, order.req) == (42, 999, 0.25, lib.LIVE_NEW, lib.LIVE_NEW)


@pytest.mark.parametrize(
    ("price", "qty", "answer"),
    [
        (99.95, 0.1, lib.LIVE_OFF_TICK),
        (99.9, 0.1005, lib.LIVE_OFF_LOT),
        (99.9, 0.0001, lib.LIVE_OFF_LOT),
        (float("nan"), 0.1, lib.LIVE_BAD_REQUEST),
        (-1.0, 0.1, lib.LIVE_BAD_REQUEST),
        (99.9, 0.0, lib.LIVE_BAD_REQUEST),
        (99.9 + 1e-9, 0.1, lib.LIVE_OK),
        (1e300, 0.1, lib.LIVE_OFF_TICK),
    ],
)
def test_what_is_not_on_the_grid_is_refused_and_never_rounded_away(bench, price: float, qty: float, answer: int):
    assert bench.buy(1, price, qty) == answer
    assert len(bench.wishes()) == (answer == lib.LIVE_OK)
    assert (bench.order(1) is not None) is (answer == lib.LIVE_OK)


def test_the_venue_speaks_before_an_order_can_be_cancelled(bench):
    bench.buy(1, 99.0)
    (wish,) = bench.wishes()
    assert bench.call("cancel", 0, 1, 0) == lib.LIVE_IN_PROCESS
    bench.accept(wish, 900)
    bench.core.pump()
    assert (bench.order(1).status, bench.order(1).req) == (lib.LIVE_NEW, lib.LIVE_NONE)
    assert bench.call("cancel", 0, 1, 0) == 0
    assert bench.call("cancel", 0, 1, 0) == lib.LIVE_IN_PROCESS
    (cancel,) = bench.wishes()
    assert (cancel.kind, cancel.order_id) == (CANCEL, 900)
    bench.respond("CLOSED", wish, 900, order_status=7)
    bench.core.pump()
    assert (bench.order(1).status, bench.order(1).req) == (lib.LIVE_CANCELED, lib.LIVE_NONE)
    assert bench.call("cancel", 0, 1, 0) == lib.LIVE_BAD_STATUS
    assert bench.buy(1, 99.0) == lib.LIVE_ORDER_EXISTS
    bench.call("clear_inactive_orders", 0)
    assert bench.order(1) is None
    assert bench.buy(1, 99.0) == 0


def test_fills_move_order_position_and_balance(bench):
    wish = bench.resting(1, 99.0, 0.1)
    bench.respond("FILL", wish, 1001, price_ticks=990, quantity_lots=40, cumulative_lots=40, position_lots=40, position_fills=1)
    bench.core.pump()
    order, state = bench.order(1), bench.asset.state
    assert (order.status, order.leaves_qty, order.exec_qty, order.exec_price_tick) == (
        lib.LIVE_PARTIALLY_FILLED,
        0.06,
        0.04,
        990,
    )
    assert (state.position, state.num_trades) == (0.04, 1)
    assert state.balance == pytest.approx(-3.96)
    bench.respond(
        "FILL", wish, 1001, price_ticks=990, quantity_lots=60, cumulative_lots=100, position_lots=100, position_fills=2
    )
    bench.core.pump()
    assert (order.status, order.leaves_qty, state.position) == (lib.LIVE_FILLED, 0.0, 0.1)
    assert state.trading_value == pytest.approx(9.9)


def test_an_older_position_row_never_overrules_a_newer_response(bench):
    wish = bench.resting(1)
    bench.respond(
        "FILL", wish, 1001, price_ticks=990, quantity_lots=100, cumulative_lots=100, position_lots=100, position_fills=5
    )
    row = bench.positions.edit(0)
    row.position_lots, row.fills, row.fees_e8 = 0, 4, 0
    bench.positions.done(0)
    bench.core.pump()
    assert bench.asset.state.position == 0.1
    row.position_lots, row.fills, row.fees_e8 = 60, 6, 25_000_000
    bench.positions.done(0)
    bench.core.pump()
    assert bench.asset.state.position == 0.06


def test_a_refusal_of_our_risk_rules_is_a_rejected_order_and_is_counted_by_reason(bench):
    bench.buy(1, 99.0)
    (wish,) = bench.wishes()
    bench.respond("REFUSED", wish, reason=int(Reason.CAPITAL_LIMIT))
    bench.core.pump()
    assert bench.order(1).status == lib.LIVE_REJECTED
    assert bench.core.refusals() == {int(Reason.CAPITAL_LIMIT): 1}


def test_what_the_desk_refuses_to_everybody_is_not_asked_for_at_every_turn(bench):
    bench.buy(1, 99.0)
    (wish,) = bench.wishes()
    bench.respond("REFUSED", wish, reason=int(Reason.NOT_RECONCILED))
    bench.core.pump()
    assert bench.buy(2, 99.0) == lib.LIVE_PAUSE
    assert bench.order(2) is None
    bench.asset.paused_until_ns = 1
    assert bench.buy(2, 99.0) == 0


def test_a_post_only_order_that_would_have_taken_is_expired(bench):
    bench.buy(1, 99.0)
    (wish,) = bench.wishes()
    bench.respond("ACCEPTED", wish, 9)
    bench.respond("REJECTED", wish, 9, reason=int(Reason.POST_ONLY_WOULD_TAKE))
    bench.core.pump()
    assert bench.order(1).status == lib.LIVE_EXPIRED


def test_modify_is_cancel_and_place_under_the_same_id(bench):
    wish = bench.resting(5, 99.0, 0.1)
    assert bench.call("modify", 0, 5, 98.5, 0.3, 0) == 0
    (cancel,) = bench.wishes()
    assert cancel.kind == CANCEL
    bench.respond("FILL", wish, 1005, price_ticks=990, quantity_lots=50, cumulative_lots=50)
    bench.respond("CLOSED", wish, 1005, order_status=7, cumulative_lots=50)
    bench.core.pump()
    (place,) = bench.wishes()
    assert (place.kind, place.price_ticks, place.lots) == (ORDER, 985, 250), "what was filled counts"
    assert place.signal_id != wish.signal_id
    assert (bench.order(5).status, bench.order(5).req) == (lib.LIVE_NEW, lib.LIVE_REPLACED)
    bench.accept(place, 2000)
    bench.core.pump()
    assert (bench.order(5).price_tick, bench.order(5).qty, bench.order(5).req) == (985, 0.3, lib.LIVE_NONE)
    assert bench.metrics.get(Counter.REPLACES) == 1


def test_a_modified_order_that_is_filled_first_is_not_placed_again(bench):
    wish = bench.resting(5, 99.0, 0.1)
    bench.call("modify", 0, 5, 98.5, 0.1, 0)
    bench.wishes()
    bench.respond("FILL", wish, 1005, price_ticks=990, quantity_lots=100, cumulative_lots=100)
    bench.core.pump()
    assert bench.wishes() == []
    assert bench.order(5).status == lib.LIVE_FILLED
    assert bench.bot.replaces_pending == 0


def test_ids_are_kept_apart_by_asset_and_found_again_after_others_went(make_bench):
    bench = make_bench(assets=2, orders_max=16)
    for order_id in range(14):
        assert bench.call("submit", order_id % 2, 7 * (order_id // 2), 99.0, 0.1, 1, 1, 0, 0) == 0
    wishes = bench.wishes()
    for number, wish in enumerate(wishes):
        if number % 4 < 2:
            bench.respond("REFUSED", wish, instrument_index=number % 2)
    bench.core.pump()
    bench.call("clear_inactive_orders", 2**64 - 1)
    assert bench.call("order_count", 0) == 3
    for number in range(14):
        found = bench.call("order", number % 2, 7 * (number // 2))
        assert bool(found) is (number % 4 >= 2)
    places, place = [], -1
    while (place := bench.call("next_place", 1, place)) >= 0:
        places.append(bench.call("order_at", place).order_id)
    assert sorted(places) == [7, 21, 35]


def test_a_full_table_and_a_full_ring_say_so(make_bench):
    bench = make_bench(orders_max=2)
    assert [bench.buy(order_id, 99.0) for order_id in range(3)] == [0, 0, lib.LIVE_NO_ROOM]
    bench = make_bench(signals=2)
    assert [bench.buy(order_id, 99.0) for order_id in range(3)] == [0, 0, lib.LIVE_NO_ROOM]
    assert bench.order(2) is None


def test_withdraw_asks_for_the_end_of_what_is_open_once(bench):
    bench.resting(1)
    bench.resting(2, 98.0)
    assert bench.core.withdraw() == 2
    assert [wish.kind for wish in bench.wishes()] == [CANCEL, CANCEL]
    assert bench.core.withdraw() == 2
    assert bench.wishes() == []


def test_after_prepost_began_anew_nothing_counts_as_open(bench):
    bench.resting(1)
    assert bench.core.forget() == 1
    assert bench.order(1).status == lib.LIVE_EXPIRED
    assert [wish.order_id for wish in bench.wishes()] == [1001]


# -- waits


def test_elapse_ends_when_its_time_is_over_and_takes_what_came_meanwhile(bench):
    bench.load(BIDS, ASKS)
    assert bench.call("elapse", 2 * MS) == lib.LIVE_OK
    assert bench.depth("best_bid_tick") == 1000


def test_stop_is_a_non_zero_return_of_every_wait(bench):
    waiter = threading.Timer(0.02, bench.core.stop)
    waiter.start()
    assert bench.call("elapse", 60_000 * MS) == lib.LIVE_END
    assert bench.call("wait_next_feed", 1, 60_000 * MS) == lib.LIVE_END
    assert bench.call("wait_order_response", 0, 1, 60_000 * MS) == lib.LIVE_END
    assert bench.buy(1, 99.0) == lib.LIVE_END
    waiter.join()


def test_wait_next_feed_ends_with_a_feed_and_if_asked_with_a_response(bench):
    wish = bench.resting(1)
    bench.link.trade(1000, 1, 1, 1)
    assert bench.call("wait_next_feed", 0, 1000 * MS) == lib.LIVE_FEED
    bench.respond("CLOSED", wish, 1001, order_status=9)
    assert bench.call("wait_next_feed", 0, 1 * MS) == lib.LIVE_OK
    bench.resting(2)
    bench.call("cancel", 0, 2, 0)
    assert bench.call("wait_next_feed", 1, 1 * MS) == lib.LIVE_OK


def test_wait_order_response_answers_as_hftbacktest_does(bench):
    wish = bench.resting(1)
    assert bench.call("wait_order_response", 0, 1, 1 * MS) == lib.LIVE_OK, "the time was over"
    bench.respond("CLOSED", wish, 1001, order_status=7)
    assert bench.call("wait_order_response", 0, 1, 60_000 * MS) == lib.LIVE_OK, "the response came"
    assert bench.order(1).status == lib.LIVE_CANCELED


def test_a_clock_of_ten_times_the_speed_elapses_ten_times_as_fast(make_bench):
    bench = make_bench(clock_speed=10.0)
    before = bench.call("current_timestamp")
    assert bench.call("elapse", 100 * MS) == lib.LIVE_OK
    assert bench.call("current_timestamp") - before >= 100 * MS


def test_the_heartbeat_is_in_the_wait(bench):
    bench.call("elapse", 3 * MS)
    assert bench.metrics.view.heartbeat_ns > 0
    assert bench.metrics.get(Counter.WAITS) == 1


def test_a_region_of_interest_must_be_one(make_bench):
    with pytest.raises(ValueError, match="below roi_ub"):
        make_bench(roi=(110.0, 90.0))
    with pytest.raises(ValueError, match="at most"):
        make_bench(roi=(0.0, 1e9))
