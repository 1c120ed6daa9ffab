"""The room as a whole: rings in, rings out, a scripted venue behind them."""

import pytest
from prepost_room import (
    PERP,
    SPOT,
    Room,
    fills_whole,
    is_not_sent,
    loses_outcome,
    refuses,
    rests,
    says_nothing,
    takes,
    test_parameters,
)

from reactor.domain.errors import ConfigError
from reactor.domain.messages import (
    FLAG_HEDGE,
    FLAG_LAST_PART,
    FLAG_LIQUIDATION,
    FLAG_REDUCE_ONLY,
    NO_INSTRUMENT,
    CommandKind,
    ControlKind,
    EventKind,
    Reason,
    ReportKind,
    ResponseKind,
    TimeInForce,
    Venue,
)
from reactor.domain.units import E8
from reactor.prepost.counters import Counter
from reactor.prepost.kill_switch import HALTED, RUNNING
from reactor.prepost.orders import OrderState
from reactor.prepost.pairs import PairState

# ---- pairs


def test_a_pair_opens_hedges_and_closes_and_ends_flat(room: Room):
    room.open()
    room.settle()
    spot, hedge = room.venue.places
    assert (spot.instrument_index, spot.side, spot.quantity_lots) == (SPOT, 1, 200)
    assert (hedge.instrument_index, hedge.side, hedge.quantity_lots) == (PERP, -1, 2)
    assert hedge.flags & FLAG_HEDGE
    assert room.desk.pairs[0].state == PairState.OPEN
    assert len(room.kinds(ResponseKind.PAIR_OPENED)) == 1
    room.check_books()
    room.close()
    room.settle()
    back, buy = room.venue.places[2:]
    assert {back.instrument_index, buy.instrument_index} == {SPOT, PERP}
    assert next(order for order in (back, buy) if order.instrument_index == PERP).flags & FLAG_REDUCE_ONLY
    assert room.venue.positions[PERP] == 0
    assert room.desk.pairs[0].state == PairState.IDLE
    assert len(room.kinds(ResponseKind.PAIR_CLOSED)) == 1
    assert abs(room.desk.positions[SPOT].base_e8) < 1000, "less than a lot is carried"
    room.check_books()


def test_both_legs_of_a_close_leave_in_the_same_pass(room: Room):
    room.open()
    room.settle()
    room.close()
    room.turn(2)
    assert len(room.venue.places) == 4


def test_selling_inventory_and_buying_the_perpetual_works_the_same(room: Room):
    room.open(direction=1)
    room.settle()
    spot, hedge = room.venue.places
    assert (spot.side, hedge.side, hedge.quantity_lots) == (-1, 1, 2)
    room.close()
    room.settle()
    assert room.venue.positions[PERP] == 0
    assert room.desk.pairs[0].state == PairState.IDLE
    room.check_books()


def test_selling_more_than_the_inventory_is_refused(room: Room):
    room.desk.balances.correct(int(Venue.BINANCE_SPOT), "BTC", -E8 // 10)
    room.open(direction=1)
    room.settle()
    assert room.refusals() == [Reason.NO_INVENTORY]


def test_every_partial_fill_is_hedged_as_it_comes_and_the_rest_is_carried(room: Room):
    room.venue.script = [rests, fills_whole]
    room.open(quantity_lots=500)
    room.turn(3)
    spot = room.venue.places[0]
    room.venue.fill(spot, 140)  # 0.0014: one lot of the perpetual is 65 USDT, below its minimum of 100
    room.settle()
    assert len(room.venue.places) == 1
    room.venue.fill(spot, 120)  # 0.0026 in all: nearest is 0.003
    room.settle()
    assert room.venue.positions[PERP] == -3
    room.venue.fill(spot, 240)  # 0.005 less fees: 0.004995 → 5; two more
    room.settle()
    assert room.venue.positions[PERP] == -5
    assert room.desk.pairs[0].state == PairState.OPEN
    room.check_books()


def test_an_open_leg_too_small_to_hedge_is_taken_back_without_halting(room: Room):
    room.venue.script = [takes(40), fills_whole]
    room.open()
    room.settle()
    assert [order.instrument_index for order in room.venue.places] == [SPOT, SPOT]
    assert room.venue.places[1].side == -1
    assert room.desk.pairs[0].state == PairState.IDLE
    assert not any(room.desk.kill_switch.is_halted)
    assert room.kinds(ResponseKind.PAIR_OPENED) == []
    room.check_books()


def test_what_a_close_leaves_is_carried_into_the_next_round_trip(room: Room):
    for _ in range(5):
        room.open()
        room.settle()
        room.close()
        room.settle()
    pair = room.desk.pairs[0]
    assert pair.sequence == 5
    assert room.venue.positions[PERP] == 0
    assert 0 <= pair.open_position.base_e8 < 1000, "dust of several round trips was sold with the last one"
    room.check_books()


def test_an_open_that_fills_nothing_leaves_the_pair_idle(room: Room):
    room.venue.script = [takes(0), fills_whole]
    room.open()
    room.settle()
    assert room.desk.pairs[0].state == PairState.IDLE
    room.open()
    room.settle()
    assert room.desk.pairs[0].state == PairState.OPEN


def test_a_busy_pair_refuses_a_second_open(room: Room):
    room.open()
    room.open()
    room.settle()
    assert room.refusals() == [Reason.PAIR_BUSY]


def test_an_open_pair_grows_clip_by_clip_if_it_may(make_room):
    room = make_room(test_parameters(pair={"clips_max": 3}))
    room.start_trading()
    for _ in range(4):
        room.open()
        room.settle()
    assert room.venue.positions[PERP] == -6
    assert room.refusals() == [Reason.PAIR_BUSY]
    assert room.desk.pairs[0].sequence == 1
    room.close()
    room.settle()
    assert room.venue.positions[PERP] == 0
    room.check_books()


def test_a_hedge_that_is_refused_is_retried(room: Room):
    room.venue.script = [fills_whole, refuses(), refuses(), fills_whole]
    room.open()
    room.settle()
    room.run(1000)
    assert room.venue.positions[PERP] == -2
    assert room.desk.pairs[0].state == PairState.OPEN
    assert not any(room.desk.kill_switch.is_halted)
    room.check_books()


def test_a_hedge_that_expires_goes_further_through_the_book_each_time(room: Room):
    room.venue.script = [fills_whole, takes(0), takes(0), fills_whole]
    room.open()
    room.run(1000)
    prices = [order.price_ticks for order in room.venue.places if order.instrument_index == PERP]
    assert prices == sorted(prices, reverse=True)
    assert len(set(prices)) == 3
    assert all(650_500 - price <= 650_500 // 200 for price in prices), "never beyond the collar"


def test_a_hedge_that_keeps_failing_unwinds_the_open_leg_and_halts_the_symbol(room: Room):
    room.venue.script = [fills_whole, *[refuses()] * 6, fills_whole]
    room.open()
    room.run(6_000)
    assert room.venue.positions.get(PERP, 0) == 0
    assert room.desk.pairs[0].state == PairState.IDLE
    assert abs(room.desk.positions[SPOT].base_e8) < 1000
    assert room.desk.kill_switch.is_halted[SPOT]
    assert room.desk.kill_switch.is_halted[PERP]
    room.check_books()
    room.open()
    room.settle()
    assert room.refusals()[-1] == Reason.SYMBOL_HALTED
    room.control(ControlKind.RESUME)
    room.open()
    room.settle()
    assert room.desk.pairs[0].state == PairState.OPEN


def test_hedges_that_cannot_be_sent_unwind_after_a_bounded_time(room: Room):
    room.venue.script = [fills_whole]

    def spot_only(venue, order):
        (fills_whole if order.instrument_index == SPOT else is_not_sent())(venue, order)

    room.venue.script = [spot_only]
    room.open()
    room.run(8_000)
    assert room.desk.pairs[0].state == PairState.IDLE
    assert abs(room.desk.positions[SPOT].base_e8) < 1000
    room.check_books()


def test_a_short_loss_of_the_session_is_no_reason_to_unwind(room: Room):
    room.venue.script = [fills_whole, *[is_not_sent()] * 8, fills_whole]
    room.open()
    room.run(6_000)
    assert room.venue.positions[PERP] == -2
    assert not any(room.desk.kill_switch.is_halted)


def test_an_engine_that_was_dead_for_long_gets_one_more_attempt(room: Room):
    room.venue.script = [fills_whole, says_nothing, fills_whole]
    room.open()
    room.run(6_500)  # the hedge lies in a dead engine's ring
    hedge = room.venue.places[1]
    del room.venue.orders[hedge.client_order_id]
    room.venue.say(ReportKind.NOT_SENT, hedge, reason=int(Reason.QUEUED_BEFORE_RESTART))
    room.run(500)
    assert room.venue.positions[PERP] == -2
    assert not any(room.desk.kill_switch.is_halted)


def test_an_open_leg_that_cannot_be_closed_stays_hedged_and_halted(room: Room):
    room.open()
    room.settle()

    def perpetual_only(venue, order):
        (fills_whole if order.instrument_index == PERP else refuses())(venue, order)

    room.venue.script = [perpetual_only]
    room.close()
    room.run(20_000)
    assert room.desk.kill_switch.is_halted[SPOT]
    assert room.desk.pairs[0].state == PairState.OPEN
    assert room.venue.positions[PERP] == -2, "hedged again"
    room.check_books()


def test_a_close_leg_that_is_refused_once_is_tried_again(room: Room):
    room.open()
    room.settle()
    room.venue.script = [refuses(), fills_whole]
    room.close()
    room.run(1_000)
    assert room.desk.pairs[0].state == PairState.IDLE
    assert room.venue.positions[PERP] == 0
    room.check_books()


def test_a_liquidation_that_strips_the_hedge_is_booked_and_the_pair_rebalanced(room: Room):
    room.open()
    room.settle()
    order = room.venue.place_foreign(PERP, 1, 2, 650_500)
    order.flags |= FLAG_LIQUIDATION
    order.client_order_id = "autoclose-1"
    fill = room.venue.fill(order, 2)
    room.settle()
    assert fill.trade_id in [entry.trade_id for entry in room.journal]
    assert room.venue.positions[PERP] == -2, "hedged again"
    for (venue, asset), amount in room.venue.wallets.items():
        assert room.desk.balances.expected_e8(venue, asset) == amount


# ---- a maker leg


def maker_room(make_room, **pair):
    room = make_room(test_parameters(pair={"opens_as_maker": True, "maker_ttl_ms": 1_000, **pair}))
    room.start_trading()
    room.venue.script = [rests, fills_whole]
    return room


def test_a_maker_leg_rests_at_the_touch_and_is_hedged_when_it_fills(make_room):
    room = maker_room(make_room)
    room.open()
    room.turn(3)
    spot = room.venue.places[0]
    assert (spot.price_ticks, spot.time_in_force) == (6_500_000, TimeInForce.POST_ONLY)
    room.venue.fill(spot, spot.quantity_lots, spot.price_ticks)
    room.settle()
    assert room.venue.positions[PERP] == -2
    assert room.desk.pairs[0].state == PairState.OPEN


def test_a_maker_leg_that_nobody_takes_ends_with_its_time_to_live(make_room):
    room = maker_room(make_room)
    room.open()
    room.run(1_500)
    assert room.venue.places[0].status == 3
    assert len(room.venue.places) == 1
    assert room.desk.pairs[0].state == PairState.IDLE
    room.check_books()


def test_a_maker_leg_that_the_market_leaves_is_quoted_again_for_the_rest(make_room):
    room = maker_room(make_room)
    room.venue.script = [rests]
    room.open()
    room.run(50)
    first = room.venue.places[0]
    room.venue.fill(first, 30, first.price_ticks)
    room.top(SPOT, 6_500_100, 6_500_101)
    room.run(100)
    second = room.venue.places[1]
    assert first.status == 3
    assert (second.price_ticks, second.quantity_lots) == (6_500_100, 170)
    assert room.desk.pairs[0].requotes == 1


def test_a_partly_filled_maker_leg_keeps_what_it_has_hedged_when_its_time_is_over(make_room):
    room = maker_room(make_room)
    room.open()
    room.run(50)
    room.venue.fill(room.venue.places[0], 160, 6_500_000)
    room.run(2_000)
    assert room.venue.positions[PERP] == -2
    assert room.desk.pairs[0].state == PairState.OPEN
    room.check_books()


# ---- who hedges


def test_the_collectors_event_hedges(room: Room):
    room.open()
    room.settle()
    assert room.metrics.get(Counter.HEDGES_BY_EVENT) == 1
    assert room.metrics.get(Counter.HEDGES_BY_WATCHDOG) == 0


def test_without_the_collectors_heartbeat_prepost_hedges_by_itself(room: Room):
    room.open()
    room.turn(1)
    room.collector_lives = False
    room.settle()
    assert room.venue.positions[PERP] == -2
    assert room.metrics.get(Counter.HEDGES_BY_PREPOST) == 1


def test_an_event_that_does_not_come_back_in_time_is_replaced_by_the_watchdog(room: Room):
    room.collector_hedges = False
    room.open()
    room.run(40, step_ms=1)
    assert room.venue.positions[PERP] == -2
    assert room.metrics.get(Counter.HEDGES_BY_WATCHDOG) == 1


def test_an_event_that_comes_after_the_watchdog_finds_nothing_to_hedge(room: Room):
    room.collector_hedges = False
    room.open()
    room.run(40, step_ms=1)
    room.hedge_event(-2)
    room.hedge_event(-2)
    room.settle()
    assert room.venue.positions[PERP] == -2
    assert room.refusals() == [Reason.ALREADY_HEDGED, Reason.ALREADY_HEDGED]
    room.check_books()


# ---- reports that are late, doubled, lost


def test_a_fill_seen_twice_is_booked_once(room: Room):
    room.open()
    room.settle()
    for fill in list(room.venue.fills):
        room.venue.tell_again(fill)
        room.venue.tell_again(fill)
    room.settle()
    assert room.venue.positions[PERP] == -2
    assert room.metrics.get(Counter.FILLS_SEEN_AGAIN) == 4
    room.check_books()


def test_a_fill_before_its_ack_is_booked_and_hedged(room: Room):
    def backwards(venue, order):
        venue.fill(order, order.quantity_lots)
        venue.ack(order)

    room.venue.script = [backwards]
    room.open()
    room.settle()
    assert room.desk.pairs[0].state == PairState.OPEN
    room.check_books()


def test_a_fill_after_its_cancel_is_booked_and_hedged(room: Room):
    room.venue.script = [rests, fills_whole]
    room.open()
    room.turn(3)
    spot = room.venue.places[0]
    room.event(EventKind.CANCEL, SPOT, NO_INSTRUMENT, lane=1)
    room.venue.mute = True
    room.venue.fill(spot, 180)
    room.venue.mute = False
    room.turn(3)  # the cancel's answer counts 180
    assert room.desk.orders.by_id[spot.order_id].state == OrderState.CANCELLED
    room.venue.tell_again(room.venue.fills[0])
    room.settle()
    assert room.venue.positions[PERP] == -2
    room.check_books()


def test_a_lost_fill_is_fetched_by_trade_id(room: Room):
    room.venue.script = [rests, fills_whole]
    room.open()
    room.turn(3)
    spot = room.venue.places[0]
    room.venue.mute = True
    room.venue.fill(spot, 200)
    room.venue.mute = False
    room.event(EventKind.CANCEL, SPOT, NO_INSTRUMENT, lane=1)
    room.run(3_000)
    assert room.venue.positions[PERP] == -2
    room.check_books()


def test_an_order_that_nobody_acknowledges_is_asked_about(room: Room):
    room.venue.script = [says_nothing, fills_whole]
    room.order(1, 200, 6_499_000)
    room.turn(3)
    order = next(iter(room.desk.orders.unsettled.values()))
    assert order.state == OrderState.SUBMITTED
    room.run(3_000)
    assert order.state == OrderState.ACKNOWLEDGED


def test_an_unknown_outcome_that_had_executed_is_found_and_not_sent_again(room: Room):
    room.venue.script = [loses_outcome(True), fills_whole]
    room.open()
    room.run(5_000)
    assert len([order for order in room.venue.places if order.instrument_index == SPOT]) == 1
    assert room.desk.pairs[0].state == PairState.OPEN
    assert room.venue.positions[PERP] == -2
    room.check_books()


def test_an_unknown_outcome_that_never_arrived_is_believed_only_late_and_twice(room: Room):
    room.venue.script = [loses_outcome(False), fills_whole]
    room.open()
    room.run(1_400)
    order = next(iter(room.desk.orders.unsettled.values()))
    assert order.state == OrderState.UNKNOWN, "within the receive window nothing is believed"
    room.run(3_000)
    assert order.state == OrderState.NOT_SENT
    assert room.desk.pairs[0].state == PairState.IDLE
    room.check_books()


def test_an_unknown_hedge_is_not_hedged_again_until_the_venue_has_said(room: Room):
    room.venue.script = [fills_whole, loses_outcome(True), fills_whole]
    room.open()
    room.run(3_000)
    assert room.venue.positions[PERP] == -2
    assert len(room.venue.places) == 2
    room.check_books()


def test_a_fill_seen_early_without_its_fee_is_hedged_at_once_and_its_fee_booked_later(room: Room):
    room.open()
    room.settle()
    room.venue.script = [rests]
    room.close()
    room.turn(3)
    order = next(order for order in room.venue.places[2:] if order.instrument_index == PERP)
    room.venue.mute = True
    fill = room.venue.fill(order, 2)
    room.venue.mute = False
    lite = room.venue._begin(ReportKind.ACK_LITE, order)
    lite.trade_id, lite.price_ticks, lite.quantity_lots = fill.trade_id, fill.price_ticks, 2
    room.reports_out.commit(0)
    room.turn(2)
    assert room.desk.positions[PERP].base_e8 == 0
    assert room.desk.fills.has_fees_due()
    room.venue.tell_again(fill)
    room.turn(2)
    assert not room.desk.fills.has_fees_due()
    spot = next(order for order in room.venue.places[2:] if order.instrument_index == SPOT)
    room.venue.fill(spot, spot.quantity_lots)
    room.settle()
    room.check_books()


def test_a_reject_for_a_duplicate_id_is_asked_about(room: Room):
    def duplicate(venue, order):
        venue.say(ReportKind.REJECT, order, reason=int(Reason.DUPLICATE_CLIENT_ID))

    room.venue.script = [duplicate, fills_whole]
    room.order(1, 200, 6_499_000)
    room.run(1_000)
    assert next(iter(room.desk.orders.unsettled.values())).state == OrderState.ACKNOWLEDGED


def test_a_command_that_was_not_sent_gives_its_quota_back(room: Room):
    room.venue.script = [is_not_sent(), fills_whole]
    room.open()
    room.settle()
    assert room.desk.pairs[0].state == PairState.IDLE
    room.check_books()


def test_an_open_leg_that_was_executed_twice_is_detected_and_everything_is_closed(room: Room):
    def twice(venue, order):
        venue.ack(order)
        venue.fill(order, order.quantity_lots)
        venue.fill(order, order.quantity_lots)

    room.venue.script = [twice, fills_whole]
    room.open()
    room.settle()
    assert room.desk.duplicates_detected == 1
    assert room.venue.positions.get(PERP, 0) == 0
    assert abs(room.desk.positions[SPOT].base_e8) < 1000
    room.check_books()


def test_a_single_order_that_was_executed_twice_gives_the_second_back(room: Room):
    def twice(venue, order):
        venue.fill(order, order.quantity_lots)
        venue.fill(order, order.quantity_lots)

    room.venue.script = [twice, fills_whole]
    room.order(1, 20, 35_020, index=3, tif=int(TimeInForce.IOC))
    room.settle()
    assert room.venue.positions[3] == 20
    room.check_books()


# ---- risk and the kill switch


def test_an_old_signal_opens_nothing(room: Room):
    room.open(age_ms=101)
    room.settle()
    assert room.refusals() == [Reason.SIGNAL_TOO_OLD]


def test_cooldown_keeps_the_pair_quiet_between_opens(make_room):
    room = make_room(test_parameters(risk={"cooldown_s": 60.0}))
    room.start_trading()
    room.open()
    room.settle()
    room.close()
    room.settle()
    room.open()
    room.settle()
    assert room.refusals() == [Reason.COOLDOWN]
    room.run(61_000, step_ms=50)
    room.open()
    room.settle()
    assert room.desk.pairs[0].state == PairState.OPEN


def test_reduce_only_opens_nothing_and_closes(room: Room):
    room.open()
    room.settle()
    room.control(ControlKind.REDUCE_ONLY)
    room.order(1, 200, 6_499_000)
    room.settle()
    assert room.refusals() == [Reason.KILL_SWITCH]
    room.close()
    room.settle()
    assert room.venue.positions[PERP] == 0


def test_halted_lets_only_hedges_out(room: Room):
    room.venue.script = [rests, fills_whole]
    room.open()
    room.turn(3)
    room.venue.mute = True
    room.venue.fill(room.venue.places[0], 200)  # races the halt
    room.venue.mute = False
    room.control(ControlKind.HALT)
    room.turn(1)
    room.venue.tell_again(room.venue.fills[0])
    room.settle()
    assert room.desk.kill_switch.state == HALTED
    assert room.venue.positions[PERP] == -2, "the hedge went out"
    room.close()
    room.order(-1, 100, 6_500_000)
    room.settle()
    assert set(room.refusals()) == {Reason.KILL_SWITCH}
    assert all(order.flags & FLAG_HEDGE for order in room.venue.places[1:])
    room.control(ControlKind.RESUME)
    room.settle()
    assert room.desk.kill_switch.state == RUNNING


def test_a_price_beyond_the_collar_is_refused_also_for_a_users_order(room: Room):
    room.order(1, 200, 6_540_000)
    room.settle()
    assert room.refusals() == [Reason.PRICE_COLLAR]


def test_a_stale_book_opens_nothing_but_a_hedge_goes_out_all_the_same(room: Room):
    room.venue.script = [rests, fills_whole]
    room.open()
    room.turn(3)
    room.run(20_000, step_ms=50, feeds=False)
    room.venue.fill(room.venue.places[0], 200, 6_500_001)
    room.settle(feeds=False)
    assert room.venue.positions[PERP] == -2
    room.open()
    room.settle(feeds=False)
    assert room.refusals()[-1] in (Reason.NO_BOOK, Reason.PAIR_BUSY)


def test_the_order_rate_is_kept_and_hedges_have_their_share(make_room):
    room = make_room(test_parameters(risk={"order_rates_max": (4, 4, 4), "pending_orders_max": 100}))
    room.start_trading()
    room.venue.script = [rests]
    for _ in range(5):
        room.order(1, 200, 6_400_000)
    room.settle()
    assert room.refusals() == [Reason.ORDER_RATE, Reason.ORDER_RATE]
    room.run(10_000, step_ms=50)
    room.order(1, 200, 6_400_000)
    room.settle()
    assert len(room.venue.places) == 4


# ---- strategies and user triggers


def test_a_grid_is_placed_and_only_what_must_move_moves(room: Room):
    room.venue.script = [rests]
    first = [(6_499_000, 100), (6_498_000, 100), (6_502_000, -100)]
    room.event(EventKind.QUOTES, SPOT, NO_INSTRUMENT, flags=FLAG_LAST_PART, quotes=first)
    room.settle()
    assert len(room.venue.places) == 3
    room.event(EventKind.QUOTES, SPOT, NO_INSTRUMENT, quotes=[(6_499_000, 100)])
    room.event(EventKind.QUOTES, SPOT, NO_INSTRUMENT, flags=FLAG_LAST_PART, quotes=[(6_497_000, 100), (6_502_000, -100)])
    room.settle()
    assert len(room.venue.places) == 4
    open_prices = sorted(order.price_ticks for order in room.venue.orders.values() if order.is_open)
    assert open_prices == [6_497_000, 6_499_000, 6_502_000]
    assert len(room.strategy_responses) >= 4


def test_an_empty_grid_cancels_everything_of_the_strategy(room: Room):
    room.venue.script = [rests]
    room.event(EventKind.QUOTES, SPOT, NO_INSTRUMENT, flags=FLAG_LAST_PART, quotes=[(6_499_000, 100)])
    room.settle()
    room.event(EventKind.QUOTES, SPOT, NO_INSTRUMENT, flags=FLAG_LAST_PART)
    room.settle()
    assert not [order for order in room.venue.orders.values() if order.is_open]
    room.check_books()


def test_an_order_of_a_trigger_goes_out_exactly_as_written(room: Room):
    room.order(1, 123, 6_499_321, tif=int(TimeInForce.POST_ONLY))
    room.turn(2)
    order = room.venue.places[0]
    assert (order.side, order.quantity_lots, order.price_ticks, order.time_in_force) == (
        1,
        123,
        6_499_321,
        TimeInForce.POST_ONLY,
    )
    room.settle()
    room.check_books()


def test_a_cancel_by_order_id_reaches_the_venue(room: Room):
    room.venue.script = [rests]
    room.order(1, 200, 6_499_000)
    room.settle()
    order = room.venue.places[0]
    room.event(EventKind.CANCEL, SPOT, NO_INSTRUMENT, lane=1, target_order_id=order.order_id)
    room.settle()
    assert not order.is_open
    room.check_books()


def test_malformed_events_are_counted_and_change_nothing(room: Room):
    room.event(99)
    room.event(EventKind.ORDER, 700, NO_INSTRUMENT, side=1, quantity_lots=1, price_ticks=1)
    room.order(1, 0, 6_499_000)
    room.open(direction=5)
    room.settle()
    assert room.venue.places == []
    assert room.metrics.get(Counter.EVENTS_MALFORMED) == 2


# ---- sessions and reconciliation


def test_fills_missed_while_the_session_was_down_are_booked_after_it_is_up(room: Room):
    room.venue.script = [rests]
    room.order(1, 200, 6_499_000)
    room.settle()
    room.venue.session(int(Venue.BINANCE_SPOT), is_up=False)
    room.turn(2)
    room.open()
    room.settle()
    assert room.refusals() == [Reason.NO_SESSION]
    room.venue.mute = True
    room.venue.fill(room.venue.places[0], 200)
    room.venue.mute = False
    room.venue.session(int(Venue.BINANCE_SPOT))
    room.run(3_000)
    assert room.desk.is_reconciled
    assert room.desk.positions[SPOT].fills == 1
    room.check_books()


def test_questions_that_the_engine_may_not_send_yet_are_asked_again_soon_and_the_log_says_why(room: Room):
    venue, answers = room.venue, room.venue._snapshot
    venue._snapshot = lambda command: venue.say_about(command, ReportKind.NOT_SENT, reason=int(Reason.CLOCK_UNCERTAIN))
    venue.session(int(Venue.BINANCE_USDM), is_up=False)
    room.turn(2)
    venue.session(int(Venue.BINANCE_USDM))
    room.run(25_000, step_ms=20)
    assert not room.desk.is_reconciled
    told = [fields for _, text, fields in room.log.records if text.startswith("our books could not be compared yet")]
    assert told == [{"venue": 1, "why": "the venue was not asked, or did not answer: clock uncertain"}]
    venue._snapshot = answers
    room.run(1_000, step_ms=20)
    assert room.desk.is_reconciled


def test_an_engine_that_died_without_a_word_is_followed_by_a_comparison(room: Room):
    room.venue.script = [rests]
    room.order(1, 200, 6_499_000)
    room.settle()
    room.venue.mute = True
    room.venue.fill(room.venue.places[0], 200)
    room.venue.mute = False
    room.venue.session(int(Venue.BINANCE_SPOT))  # its successor
    room.run(2_000)
    assert room.desk.positions[SPOT].fills == 1
    room.check_books()


def test_a_balance_that_nobody_explains_halts_with_the_list_and_the_operator_may_accept_it(room: Room):
    key = (int(Venue.BINANCE_SPOT), "USDT")
    room.venue.wallets[key] += 5
    room.run(40_000, step_ms=20)
    assert room.desk.kill_switch.state == HALTED
    assert not room.desk.is_reconciled
    assert any("balance of USDT" in str(fields.get("difference")) for _, _, fields in room.log.records)
    room.control(ControlKind.RESUME)
    room.run(3_000)
    assert room.desk.kill_switch.state == RUNNING
    assert room.desk.is_reconciled
    room.check_books()


def test_a_foreign_order_is_reported_and_its_fill_moves_only_the_wallets(room: Room):
    foreign = room.venue.place_foreign(SPOT, 1, 300, 6_400_000)
    room.run(35_000, step_ms=20)
    assert room.desk.is_reconciled
    assert foreign.is_open
    room.venue.fill(foreign, 300)
    room.run(35_000, step_ms=20)
    assert room.desk.positions[SPOT].base_e8 == 0
    assert room.desk.is_reconciled
    room.check_books()


def test_a_foreign_fill_that_was_only_listed_is_asked_about_and_booked_as_foreign(room: Room):
    foreign = room.venue.place_foreign(PERP, 1, 3, 640_000)
    room.venue.mute = True
    room.venue.fill(foreign, 3)
    room.venue.mute = False
    room.run(40_000, step_ms=20)
    assert room.desk.is_reconciled
    assert room.desk.positions[PERP].base_e8 == 0
    room.check_books()


def test_a_futures_position_that_nobody_explains_stops_a_first_start(make_room):
    room = make_room()
    room.venue.positions[PERP] = 5
    room.venue.session(int(Venue.BINANCE_SPOT))
    room.venue.session(int(Venue.BINANCE_USDM))
    room.run(5_000)
    assert not room.desk.is_reconciled
    assert room.desk.kill_switch.state == HALTED


@pytest.mark.parametrize("asks_funding", [True, False])
def test_a_venue_that_knows_no_funding_is_not_asked_for_it_and_the_books_agree_all_the_same(make_room, asks_funding: bool):
    room = make_room(test_parameters(settlement={"asks_funding": asks_funding}))
    room.start_trading()
    assert room.desk.is_reconciled
    assert any(command.header.kind == CommandKind.FUNDING_SINCE for command in room.venue.commands) is asks_funding


def test_funding_is_booked_once_on_wallet_position_and_pair(room: Room):
    room.open()
    room.settle()
    time_ms = 1_700_000_000_000
    room.venue.funding(PERP, 12_345, time_ms)
    room.turn(2)
    room.venue._move(int(Venue.BINANCE_USDM), "USDT", -12_345)
    room.venue.funding(PERP, 12_345, time_ms + 40)  # the same one, told by the other stream
    room.settle()
    assert room.desk.pairs[0].funding_e8 == 12_345
    assert room.desk.money.funding_e8 == 12_345
    room.check_books()


# ---- the way out


def test_stop_cancels_ours_confirms_with_the_venue_and_leaves_foreign_orders(room: Room):
    foreign = room.venue.place_foreign(SPOT, 1, 300, 6_400_000)
    room.venue.script = [rests]
    room.order(1, 200, 6_400_000)
    room.settle()
    room.stop()
    room.run(1_000)
    assert room.risk_row.read(0).venue_confirmed_clean == 1
    assert foreign.is_open
    assert [order for order in room.venue.orders.values() if order.is_open] == [foreign]
    room.order(1, 200, 6_400_000)
    room.settle()
    assert room.refusals() == [Reason.KILL_SWITCH]


def test_stop_hedges_a_fill_that_raced_its_cancel(room: Room):
    room.venue.script = [rests, fills_whole]
    room.open()
    room.settle()
    room.stop()
    room.venue.fill(room.venue.places[0], 200)
    room.run(2_000)
    assert room.venue.positions[PERP] == -2
    assert room.risk_row.read(0).venue_confirmed_clean == 1
    room.check_books()


def test_stop_keeps_hedged_pairs_unless_told_to_flatten(room: Room):
    room.open()
    room.settle()
    room.stop()
    room.run(2_000)
    assert room.venue.positions[PERP] == -2
    assert room.role.stop.is_clean


def test_flatten_closes_every_pair_before_it_stops(room: Room):
    room.open()
    room.settle()
    room.stop(flatten=True)
    room.run(3_000)
    assert room.venue.positions[PERP] == 0
    assert room.role.stop.is_clean
    room.check_books()


def test_flatten_takes_back_positions_without_a_pair(room: Room):
    room.order(1, 20, 35_020, index=3, tif=int(TimeInForce.IOC))
    room.order(1, 200, 6_500_001, tif=int(TimeInForce.IOC))
    room.settle()
    room.stop(flatten=True)
    room.run(3_000)
    assert room.venue.positions[3] == 0
    assert abs(room.desk.positions[SPOT].base_e8) < 1000
    assert room.role.stop.is_clean
    room.check_books()


def test_stop_does_not_claim_to_be_clean_while_the_venue_is_silent(room: Room):
    room.venue.script = [rests]
    room.order(1, 200, 6_400_000)
    room.settle()
    room.venue.is_deaf = True
    room.stop()
    room.run(3_000)
    assert room.risk_row.read(0).venue_confirmed_clean == 0
    room.venue.is_deaf = False
    room.run(3_000)
    assert room.risk_row.read(0).venue_confirmed_clean == 1


def test_an_order_of_ours_that_only_the_venue_knows_is_cancelled(room: Room):
    stray = room.venue.place_foreign(SPOT, 1, 300, 6_400_000)
    del room.venue.orders[stray.client_order_id]
    stray.client_order_id = room.venue.ids.client_order_id(3 << 40 | 99)
    stray.order_id = 3 << 40 | 99
    room.venue.orders[stray.client_order_id] = stray
    room.run(40_000, step_ms=20)
    assert not stray.is_open
    assert room.desk.is_reconciled
    room.check_books()


def test_cancel_all_cancels_ours(room: Room):
    room.venue.script = [rests]
    room.order(1, 200, 6_400_000)
    room.order(1, 200, 6_300_000)
    room.settle()
    room.control(ControlKind.CANCEL_ALL)
    room.settle()
    assert not [order for order in room.venue.orders.values() if order.is_open]
    assert any(command.header.kind == CommandKind.CANCEL_ALL_OURS for command in room.venue.commands)


# ---- reload


def test_new_parameters_are_taken_as_a_whole(room: Room):
    room.loaded[2] = lambda: test_parameters(risk={"order_notional_usdt_max": 10.0})
    room.control(ControlKind.RELOAD, 2)
    room.order(1, 200, 6_499_000)
    room.settle()
    assert room.refusals() == [Reason.ORDER_NOTIONAL]
    assert room.metrics.view.plan_generation == 2


def test_wrong_parameters_are_refused_and_nothing_changes(room: Room):
    def wrong():
        raise ConfigError("risk.clip_usdt: must be positive")

    room.loaded[2] = wrong
    room.loaded[3] = lambda: test_parameters(risk={"rules": ("kill_switch", "no_such_rule")})
    room.control(ControlKind.RELOAD, 2)
    room.control(ControlKind.RELOAD, 3)
    room.open()
    room.settle()
    assert room.desk.pairs[0].state == PairState.OPEN
    assert room.metrics.view.plan_generation == 0


# ---- backpressure


def test_a_full_command_ring_stops_the_reading_and_loses_nothing(make_room):
    room = make_room(test_parameters(risk={"pending_orders_max": 1000, "order_rates_max": (1000, 1000, 1000)}), commands=64)
    room.start_trading()
    room.venue.script = [rests]
    room.venue.is_deaf = True
    for position in range(50):
        room.order(1, 100, 6_400_000 + position)
    room.run(30, feeds=True)
    assert room.metrics.get(Counter.STALLED_ON_COMMANDS) > 0
    assert room.desk.orders_sent < 50
    room.venue.is_deaf = False
    room.settle()
    assert len(room.venue.places) == 50
    assert len({order.client_order_id for order in room.venue.places}) == 50


def test_a_full_journal_stops_the_reading(make_room):
    room = make_room(test_parameters(risk={"pending_orders_max": 1000, "order_rates_max": (1000, 1000, 1000)}), journal=256)
    room.start_trading()
    journal, room.journal_in = room.journal_in, None
    room._take = lambda ring, lane, name, into: None if ring is None else Room._take(room, ring, lane, name, into)
    room.venue.script = [takes(0)]
    for position in range(100):
        room.order(1, 100, 6_400_000 + position)
    room.run(100)
    assert room.metrics.get(Counter.STALLED_ON_JOURNAL) > 0
    assert journal.try_peek(0) is not None


def test_a_journal_that_is_behind_holds_what_is_new_and_refuses_nothing(make_room):
    risk = {"pending_orders_max": 1000, "order_rates_max": (1000, 1000, 1000), "signal_age_ms_max": 10_000.0}
    room = make_room(test_parameters(risk=risk), journal=512)
    room.start_trading()
    journal, room.journal_in = room.journal_in, None
    room._take = lambda ring, lane, name, into: None if ring is None else Room._take(room, ring, lane, name, into)
    room.venue.script = [takes(0)]
    for position in range(250):
        room.order(1, 100, 6_400_000 + position)
    room.run(100, feeds=True)
    assert room.metrics.get(Counter.HELD_FOR_JOURNAL) > 0
    assert 0 < room.desk.orders_sent < 250
    placed = room.desk.orders_sent
    assert len(room.venue.places) == placed, "what has begun goes on"
    assert room.journal_out.free() >= 512 // 2 - 3 * 64, "64 events of a pass, at most three entries each"
    room.journal_in = journal
    room.run(200, feeds=True)
    assert room.desk.orders_sent == 250
    assert not room.metrics.get(Counter.REFUSED_BACKPRESSURE)


def test_an_alarm_of_the_journal_ends_the_waiting(make_room):
    risk = {"pending_orders_max": 1000, "order_rates_max": (1000, 1000, 1000), "signal_age_ms_max": 10_000.0}
    room = make_room(test_parameters(risk=risk), journal=512)
    room.start_trading()
    room.journal_in = None
    room._take = lambda ring, lane, name, into: None if ring is None else Room._take(room, ring, lane, name, into)
    room.venue.script = [takes(0)]
    for position in range(250):
        room.order(1, 100, 6_400_000 + position)
    room.run(100, feeds=True)
    held = room.desk.orders_sent
    room.desk.hear_journal(1)
    room.run(100, feeds=True)
    assert room.metrics.get(Counter.REFUSED_BACKPRESSURE) == 250 - held


def test_more_entries_than_the_journal_ring_can_take_wait_in_order(make_room):
    room = make_room(test_parameters(risk={"pending_orders_max": 1000, "order_rates_max": (1000, 1000, 1000)}), journal=256)
    room.start_trading()
    room.venue.script = [rests]
    for _ in range(3):
        for position in range(20):
            room.order(1, 100, 6_400_000 + position)
        room.settle()
    journal, room.journal_in = room.journal_in, None
    room._take = lambda ring, lane, name, into: None if ring is None else Room._take(room, ring, lane, name, into)
    seen = len(room.journal)
    for _ in range(8):
        room.control(ControlKind.HALT)
        room.control(ControlKind.RESUME)
    for position in range(60):
        room.order(1, 100, 6_300_000 + position)
    room.run(20)
    room.control(ControlKind.CANCEL_ALL)
    room.run(20)
    room.journal_in = journal
    room.run(200)
    sequences = [entry.header.sequence for entry in room.journal[seen:]]
    assert sequences == sorted(sequences)
    assert not room.role.out.held_entries
    assert not [order for order in room.venue.orders.values() if order.is_open]
    ended = {
        entry.header.order_id for entry in room.journal if entry.header.kind == 0 and entry.state_to == OrderState.CANCELLED
    }
    assert len(ended) == len(room.venue.places)


def test_a_collector_that_reads_nothing_never_stops_the_desk(room: Room):
    room._collect = lambda: None
    for _ in range(40):
        room.open()
        room.run(30, step_ms=1)
        room.close()
        room.run(30, step_ms=1)
        while room.journal_in.try_peek(0) is not None:
            pass
        room.journal_in.release(0)
    assert room.desk.pairs[0].sequence >= 20
    assert room.venue.positions[PERP] == 0


# ---- rows


def test_the_open_leg_row_shows_the_pair(room: Room):
    room.open()
    room.settle()
    row = room.rows.read(SPOT)
    assert row.pair_direction == -1
    assert row.pair_opened_ns > 0
    assert row.pair_state == PairState.OPEN
    assert row.pair_entry_spread_e8 != 0
    room.close()
    room.settle()
    row = room.rows.read(SPOT)
    assert (row.pair_direction, row.pair_opened_ns, row.pair_state) == (0, 0, PairState.IDLE)


def test_the_row_of_a_position_goes_out_with_the_pass_that_books_its_fill(room: Room):
    room.open()
    for _ in range(20):
        room.turn(ms=0.01)
        shown = [room.rows.read(terms.index).position_lots for terms in room.desk.terms]
        assert shown == [position.lots for position in room.desk.positions]
    assert shown[PERP] == -2


def test_the_risk_row_shows_equity_exposure_and_counts(room: Room):
    room.open()
    room.settle()
    room.run(300)
    row = room.risk_row.read(0)
    assert row.equity_e8 > 20_000 * E8
    assert abs(row.net_exposure_e8) < E8
    assert (row.orders, row.fills, row.pairs_opened, row.is_reconciled) == (2, 2, 1, 1)
    assert row.kill_switch == RUNNING


def test_a_collector_that_looks_at_no_orders_hears_of_hedges_and_pairs_only(room: Room) -> None:
    room.collector_hears = False
    room.run(50)
    room.responses.clear()
    room._seen = 0  # type: ignore[attr-defined]
    room.open()
    room.settle()
    room.close()
    room.settle()
    assert {response.header.kind for response in room.responses} == {
        ResponseKind.HEDGE_REQUIRED, ResponseKind.PAIR_OPENED, ResponseKind.PAIR_CLOSED
    }  # fmt: skip
    room.check_books()
