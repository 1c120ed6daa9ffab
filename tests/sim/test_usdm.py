"""The USD-M venue: how orders are accepted, changed and ended."""

from typing import Any

from reactor.sim.events import OrderEvent, Placed, Refusal

HEDGE = {"dualSidePosition": "true"}


def executions(stage: Any) -> list[tuple[str, str]]:
    return [(event.execution_type, event.order.status) for event in stage.events(OrderEvent)]


def position(stage: Any, side: str = "BOTH", account: int = 0) -> Any:
    rows = stage.venue.positions(stage.accounts[account], "BTCUSDT")
    return next(row for row in rows if row.position_side == side)


def test_a_market_order_is_acknowledged_as_new_and_filled_a_moment_later(usdm: Any) -> None:
    placed = usdm.place("BUY", "0.5")
    assert isinstance(placed, Placed)
    assert (placed.accepted.status, placed.accepted.executed_lots) == ("NEW", 0)
    assert (placed.order.status, placed.order.average_price_e8) == ("FILLED", 60001 * 10**8)
    assert executions(usdm) == [("NEW", "NEW"), ("TRADE", "FILLED")]


def test_a_market_remainder_expires_for_reason_nine_and_an_ioc_remainder_for_two(usdm: Any) -> None:
    usdm.book({"60000.0": "0.1"}, {"60001.0": "0.1"})
    order = usdm.order("BUY", "0.5")
    assert (order.status, order.expiry_reason) == ("EXPIRED", "9")
    order = usdm.order("SELL", "0.5", "60000.0", timeInForce="IOC")
    assert (order.status, order.expiry_reason) == ("EXPIRED", "2")


def test_a_cancelled_order_keeps_its_client_id(usdm: Any) -> None:
    order = usdm.order("BUY", "0.1", "59000.0", newClientOrderId="mine")
    cancelled = usdm.cancel(order, newClientOrderId="ignored")
    assert (cancelled.status, cancelled.client_order_id) == ("CANCELED", "mine")
    assert usdm.venue.query(1, {"symbol": "BTCUSDT", "origClientOrderId": "mine"}, 0).status == "CANCELED"
    assert usdm.venue.query_open(1, {"symbol": "BTCUSDT", "origClientOrderId": "mine"}, 0).code == -2013
    assert usdm.cancel(order) == Refusal(-2011, "Unknown order sent.")


def test_a_client_id_is_refused_only_among_open_orders(usdm: Any) -> None:
    first = usdm.order("BUY", "0.1", "59000.0", newClientOrderId="mine")
    assert usdm.refused("BUY", "0.1", "59000.0", newClientOrderId="mine") == (-4116, "ClientOrderId is duplicated.")
    usdm.cancel(first)
    second = usdm.order("BUY", "0.1", newClientOrderId="mine")
    third = usdm.order("BUY", "0.1", newClientOrderId="mine")
    assert usdm.venue.query(1, {"symbol": "BTCUSDT", "origClientOrderId": "mine"}, 0).order_id == third.order_id
    assert second.order_id != third.order_id


def test_cancel_all_of_nothing_is_a_success(usdm: Any) -> None:
    assert usdm.venue.cancel_all(1, "BTCUSDT", usdm.now_ns) == []
    usdm.order("BUY", "0.1", "59000.0")
    assert len(usdm.venue.cancel_all(1, "BTCUSDT", usdm.now_ns)) == 1


# reduce only


def test_a_reduce_only_order_trades_no_more_than_the_position(usdm: Any) -> None:
    usdm.order("BUY", "0.5")
    order = usdm.order("SELL", "0.8", reduceOnly="true")
    assert (usdm.executed(order), order.status, order.expiry_reason) == ("0.5", "EXPIRED", "4")
    assert position(usdm).amount_lots == 0
    assert usdm.refused("SELL", "0.1", reduceOnly="true")[0] == -2022, "the second copy of a close is refused"


def test_a_reduce_only_order_of_the_opening_side_is_refused(usdm: Any) -> None:
    usdm.order("BUY", "0.5")
    assert usdm.refused("BUY", "0.1", reduceOnly="true")[0] == -2022


def test_resting_reduce_only_orders_end_when_the_position_does(usdm: Any) -> None:
    usdm.order("BUY", "0.5")
    resting = usdm.order("SELL", "0.5", "61000.0", reduceOnly="true")
    usdm.order("SELL", "0.5")
    ended = usdm.now(resting)
    assert (ended.status, ended.expiry_reason) == ("EXPIRED", "4")


def test_a_resting_reduce_only_order_is_clipped_when_it_is_hit(usdm: Any) -> None:
    usdm.order("BUY", "0.5")
    resting = usdm.order("SELL", "0.5", "60000.5", reduceOnly="true")
    usdm.order("SELL", "0.3")
    usdm.trade("60000.5", "5", seller=False)
    ended = usdm.now(resting)
    assert (usdm.executed(resting), ended.status, ended.expiry_reason) == ("0.2", "EXPIRED", "4")
    assert position(usdm).amount_lots == 0


def test_a_small_notional_is_allowed_to_close(usdm: Any) -> None:
    usdm.order("BUY", "0.005")
    assert usdm.order("SELL", "0.001", reduceOnly="true").status == "FILLED"


# hedge mode


def test_hedge_mode_wants_a_position_side_and_keeps_both_positions(usdm: Any) -> None:
    assert usdm.venue.set_position_mode(1, HEDGE, usdm.now_ns) is None
    assert usdm.venue.set_position_mode(1, HEDGE, usdm.now_ns).code == -4059
    assert usdm.refused("BUY", "0.1")[0] == -4061
    assert usdm.refused("BUY", "0.1", positionSide="LONG", reduceOnly="false")[0] == -1106
    usdm.order("BUY", "0.5", positionSide="LONG")
    usdm.order("SELL", "0.2", positionSide="SHORT")
    assert (position(usdm, "LONG").amount_lots, position(usdm, "SHORT").amount_lots) == (500, -200)
    close = usdm.order("SELL", "0.7", positionSide="LONG")
    assert (usdm.executed(close), close.status) == ("0.5", "EXPIRED")
    assert usdm.refused("SELL", "0.1", positionSide="LONG")[0] == -2022


def test_the_mode_changes_only_when_nothing_is_open(usdm: Any) -> None:
    order = usdm.order("BUY", "0.1", "59000.0")
    assert usdm.venue.set_position_mode(1, HEDGE, usdm.now_ns).code == -4067
    usdm.cancel(order)
    usdm.order("BUY", "0.1")
    assert usdm.venue.set_position_mode(1, HEDGE, usdm.now_ns).code == -4068


# modify, price match, time


def test_a_modify_that_does_not_fit_is_refused_and_one_that_ends_the_order_cancels_it(usdm: Any) -> None:
    order = usdm.order("BUY", "0.5", "60000.5", timeInForce="GTX")
    fields = {"symbol": "BTCUSDT", "orderId": str(order.order_id), "side": "BUY", "quantity": "0.5", "price": "60000.5"}
    assert usdm.venue.modify(1, fields, usdm.now_ns).code == -5027
    assert usdm.venue.modify(1, fields | {"price": "60000.55"}, usdm.now_ns).code == -4014
    assert usdm.venue.modify(1, fields | {"price": "59000.0"}, usdm.now_ns).price_ticks == usdm.ticks("59000.0")
    assert executions(usdm)[-1] == ("AMENDMENT", "NEW")
    assert usdm.venue.modify(1, fields | {"price": "60001.0"}, usdm.now_ns).status == "CANCELED", "GTX that would take"
    assert usdm.venue.modify(1, fields, usdm.now_ns).code == -2013


def test_a_modified_price_that_crosses_trades(usdm: Any) -> None:
    order = usdm.order("BUY", "0.5", "59000.0")
    fields = {"symbol": "BTCUSDT", "orderId": str(order.order_id), "side": "BUY", "quantity": "0.5", "price": "60001.0"}
    assert usdm.venue.modify(1, fields, usdm.now_ns).status == "FILLED"


def test_price_match_names_a_level_of_the_book(usdm: Any) -> None:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    order = usdm.venue.place(1, fields | {"priceMatch": "QUEUE"}, usdm.now_ns).order
    assert (order.price_ticks, order.status) == (usdm.ticks("60000.0"), "NEW")
    assert usdm.venue.place(1, fields | {"priceMatch": "OPPONENT"}, usdm.now_ns).order.status == "FILLED"
    assert usdm.venue.place(1, fields | {"priceMatch": "QUEUE_20"}, usdm.now_ns).code == -5041


def test_a_good_till_date_order_expires_on_time(usdm: Any) -> None:
    until_ms = usdm.now_ns // 1_000_000 + 700_000
    order = usdm.order("BUY", "0.1", "59000.0", timeInForce="GTD", goodTillDate=str(until_ms))
    usdm.pass_ms(699_000)
    assert usdm.now(order).status == "NEW"
    usdm.pass_ms(1_100)
    assert usdm.now(order).status == "EXPIRED"


def test_the_countdown_cancels_all_unless_it_is_renewed(usdm: Any) -> None:
    order = usdm.order("BUY", "0.1", "59000.0")
    other = usdm.order("BUY", "0.1", "59000.0", account=1)
    usdm.venue.countdown_cancel_all(1, "BTCUSDT", 1_000, usdm.now_ns)
    usdm.pass_ms(900)
    usdm.venue.countdown_cancel_all(1, "BTCUSDT", 1_000, usdm.now_ns)
    usdm.pass_ms(900)
    assert usdm.now(order).status == "NEW"
    usdm.pass_ms(150)
    assert (usdm.now(order).status, usdm.now(other).status) == ("CANCELED", "NEW")
    again = usdm.order("BUY", "0.1", "59000.0")
    usdm.venue.countdown_cancel_all(1, "BTCUSDT", 1_000, usdm.now_ns)
    usdm.venue.countdown_cancel_all(1, "BTCUSDT", 0, usdm.now_ns)
    usdm.pass_ms(5_000)
    assert usdm.now(again).status == "NEW"
