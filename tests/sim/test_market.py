"""Streams cut from one symbol's book."""

from itertools import pairwise
from typing import Any

import pytest

from reactor.sim.events import AggregateTradeEvent, BookTickerEvent, DepthEvent, TradeEvent
from reactor.sim.market import BookSide, UpdateIds


def depth_events(stage: Any, speed_ms: int) -> list[DepthEvent]:
    return [event for event in stage.events(DepthEvent) if event.speed_ms == speed_ms]


def applied(stage: Any, events: list[DepthEvent], bids: dict[int, int], asks: dict[int, int]) -> None:
    for event in events:
        for side, rows in ((bids, event.bids), (asks, event.asks)):
            for ticks, lots in rows:
                if lots:
                    side[ticks] = lots
                else:
                    side.pop(ticks, None)


def test_spot_depth_ids_are_contiguous_from_event_to_event(spot: Any) -> None:
    events = []
    for index in range(30):
        spot.levels({"59000.00": f"{1 + index}"}, {"61000.00": f"{1 + index}", "61001.00": f"{1 + index}"})
        spot.pass_ms(37)
        events += depth_events(spot, 100)
    assert len(events) > 5
    for before, after in pairwise(events):
        assert after.first_update_id == before.last_update_id + 1


def test_futures_depth_ids_have_gaps_and_are_chained_by_pu(usdm: Any) -> None:
    events = []
    for index in range(40):
        usdm.levels({"59000.0": f"{1 + index}"})
        usdm.pass_ms(53)
        events += depth_events(usdm, 0)
    assert len(events) > 20
    gaps = 0
    for before, after in pairwise(events):
        assert after.previous_update_id == before.last_update_id
        gaps += after.first_update_id != before.last_update_id + 1
    assert gaps > len(events) // 2


def test_nothing_is_sent_when_nothing_changed(spot: Any) -> None:
    spot.pass_ms(2_000)
    spot.events()
    spot.levels({"60000.00": "1"})  # as it was
    spot.pass_ms(5_000)
    assert spot.events() == []


def test_a_snapshot_taken_between_events_joins_the_stream_without_a_seam(spot: Any) -> None:
    spot.pass_ms(100)
    spot.events()
    spot.levels({"59000.00": "3"})
    snapshot = spot.venue.depth("BTCUSDT", 1000)
    bids, asks = dict(snapshot.bids), dict(snapshot.asks)
    spot.levels({"59000.00": "4", "58000.00": "1"}, {"60001.00": "0"})
    spot.pass_ms(100)
    events = depth_events(spot, 100)
    assert len(events) == 1
    assert events[0].first_update_id <= snapshot.last_update_id + 1 <= events[0].last_update_id
    applied(spot, events, bids, asks)
    now = spot.venue.depth("BTCUSDT", 1000)
    assert (bids, asks) == (dict(now.bids), dict(now.asks))


@pytest.mark.parametrize("speed_ms", [100, 1000])
def test_every_cadence_tells_the_same_book(spot: Any, speed_ms: int) -> None:
    spot.pass_ms(1_000)
    spot.events()
    start = spot.venue.depth("BTCUSDT", 1000)
    bids, asks = dict(start.bids), dict(start.asks)
    for index in range(100):
        spot.levels({f"{59000 + index % 7}.00": f"{index % 3}"}, {f"{61000 + index % 5}.00": f"{index % 4}"})
        spot.pass_ms(23)
    spot.pass_ms(1_000)
    applied(spot, depth_events(spot, speed_ms), bids, asks)
    end = spot.venue.depth("BTCUSDT", 1000)
    assert (bids, asks) == (dict(end.bids), dict(end.asks))


def test_book_ticker_speaks_only_when_a_best_level_changed_and_its_id_grows(spot: Any) -> None:
    spot.levels({"59000.00": "7"})
    assert spot.events(BookTickerEvent) == []
    spot.levels({"60000.00": "3"})
    spot.levels({"60000.50": "1"})
    first, second = spot.events(BookTickerEvent)
    assert (first.bid_ticks, first.bid_lots) == (spot.ticks("60000.00"), spot.lots("3"))
    assert second.bid_ticks == spot.ticks("60000.50")
    assert second.update_id > first.update_id


def test_a_best_price_message_clears_what_stood_better(spot: Any) -> None:
    spot.top("59999.00", "4", "60002.00", "2")
    view = spot.venue.depth("BTCUSDT", 5)
    assert view.bids[0] == (spot.ticks("59999.00"), spot.lots("4"))
    assert view.asks[0] == (spot.ticks("60002.00"), spot.lots("2"))


def test_our_resting_orders_are_part_of_the_displayed_book(spot: Any) -> None:
    spot.order("BUY", "0.5", "60000.00")
    assert spot.venue.depth("BTCUSDT", 1).bids[0] == (spot.ticks("60000.00"), spot.lots("1.5"))
    spot.order("BUY", "0.5", "60000.50")
    assert spot.venue.book_ticker("BTCUSDT").bid_ticks == spot.ticks("60000.50")


def test_a_switched_off_cadence_is_silent_and_joins_again_with_right_ids(spot: Any) -> None:
    spot.pass_ms(100)
    spot.events()
    spot.venue.want_depth("BTCUSDT", 100, False)
    spot.levels({"59000.00": "7"})
    spot.pass_ms(500)
    assert depth_events(spot, 100) == []
    spot.venue.want_depth("BTCUSDT", 100, True)
    last = spot.venue.depth("BTCUSDT", 1).last_update_id
    spot.levels({"59000.00": "8"})
    spot.pass_ms(100)
    (event,) = depth_events(spot, 100)
    assert event.first_update_id == last + 1


def test_trade_ids_are_consecutive_and_trades_of_one_instant_and_price_aggregate(spot: Any) -> None:
    spot.trade("60000.00", "0.1", seller=True)
    spot.trade("60000.00", "0.2", seller=True)
    spot.trade("60001.00", "0.3", seller=False)
    spot.pass_ms(100)
    events = spot.events()
    trades = [event for event in events if isinstance(event, TradeEvent)]
    assert [row.trade_id - trades[0].trade_id for row in trades] == [0, 1, 2]
    sums = [event for event in events if isinstance(event, AggregateTradeEvent)]
    assert [row.quantity_lots for row in sums] == [spot.lots("0.3"), spot.lots("0.3")]
    assert (sums[0].first_trade_id, sums[0].last_trade_id) == (trades[0].trade_id, trades[1].trade_id)
    day = spot.venue.day("BTCUSDT")
    assert (day.high_ticks, day.low_ticks, day.volume_lots) == (spot.ticks("60001"), spot.ticks("60000"), spot.lots("0.6"))


def test_the_average_price_is_weighted_by_volume_and_forgets_after_five_minutes(spot: Any) -> None:
    spot.trade("60000.00", "3", seller=True)
    spot.trade("60004.00", "1", seller=False)
    assert spot.venue.average_price_e8("BTCUSDT") == 60001 * 10**8
    spot.pass_ms(311_000)
    spot.trade("50000.00", "1", seller=True)
    assert spot.venue.average_price_e8("BTCUSDT") == 50000 * 10**8


def test_a_snapshot_update_replaces_its_range_and_keeps_what_lies_beyond(spot: Any) -> None:
    stage_rows = [(spot.ticks("60000.00"), spot.lots("9")), (spot.ticks("59995.00"), spot.lots("1"))]
    from reactor.sim.updates import BookUpdate

    spot.venue.on_market(BookUpdate("spot", "BTCUSDT", stage_rows, [], 1, 1, is_snapshot=True), spot.now_ns)
    assert spot.venue.depth("BTCUSDT", 10).bids == [*stage_rows, (spot.ticks("59990.00"), spot.lots("5"))]


def test_levels_that_cross_after_an_update_yield_to_what_was_said_last(spot: Any) -> None:
    spot.levels({"60001.50": "1"})
    view = spot.venue.depth("BTCUSDT", 1)
    assert (view.bids[0][0], view.asks[0][0]) == (spot.ticks("60001.50"), spot.ticks("60002.00"))


def test_a_book_side_finds_best_between_and_better() -> None:
    asks = BookSide(-1)
    for ticks in (105, 101, 103):
        asks.apply_level(ticks, 1)
    assert asks.best() == 101
    assert asks.better_than(104) == [101, 103]
    assert sorted(asks.between(105, 102)) == [103, 105]
    assert not asks.apply_level(999, 0)
    asks.apply_level(101, 0)
    assert asks.top(5) == [(103, 1), (105, 1)]


def test_ids_without_gaps_are_consecutive() -> None:
    ids = UpdateIds(10, has_gaps=False)
    assert [ids.mint(1), ids.mint(3), ids.mint(1)] == [(10, 10), (11, 13), (14, 14)]
