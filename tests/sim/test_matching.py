"""Who trades with whom, how much, in which order."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactor.sim.events import OrderEvent, Refusal, TradeEvent


def prices_and_quantities(stage: Any, order: Any) -> list[tuple[str, str]]:
    fields = {"symbol": order.symbol, "orderId": str(order.order_id)}
    return [(fill.price_text, fill.quantity_text) for fill in stage.venue.my_trades(order.account_id, fields)]


# taking


def test_a_market_order_walks_the_book_and_consumes_it_until_the_market_says_the_level_again(spot: Any) -> None:
    order = spot.order("BUY", "0.6", account=0)
    assert prices_and_quantities(spot, order) == [("60001.00000000", "0.60000000")]
    order = spot.order("BUY", "0.6", account=0)
    assert prices_and_quantities(spot, order) == [("60001.00000000", "0.40000000"), ("60002.00000000", "0.20000000")]
    assert spot.venue.book_ticker("BTCUSDT").ask_ticks == spot.ticks("60002.00")
    spot.levels(asks={"60001.00": "1"})
    assert spot.venue.book_ticker("BTCUSDT").ask_ticks == spot.ticks("60001.00")


def test_a_best_price_that_is_said_again_unchanged_does_not_give_back_what_we_took(spot: Any) -> None:
    spot.top("60000.00", "1", "60001.00", "1")
    spot.order("BUY", "1")
    spot.top("60000.00", "2", "60001.00", "1")  # Only the bid is news.
    assert spot.venue.book_ticker("BTCUSDT").ask_ticks == spot.ticks("60002.00")
    spot.top("60000.00", "2", "60001.00", "3")
    assert spot.venue.book_ticker("BTCUSDT").ask_ticks == spot.ticks("60001.00")


def test_a_limit_order_takes_what_crosses_and_rests_with_the_remainder(spot: Any) -> None:
    order = spot.order("BUY", "1.2", "60001.00")
    assert (order.status, spot.executed(order)) == ("PARTIALLY_FILLED", "1")
    assert spot.venue.book_ticker("BTCUSDT").bid_ticks == spot.ticks("60001.00")
    assert spot.venue.depth("BTCUSDT", 1).bids[0][1] == spot.lots("0.2")


def test_an_ioc_remainder_expires_and_an_unfillable_fok_trades_nothing(spot: Any) -> None:
    order = spot.order("BUY", "1.2", "60001.00", timeInForce="IOC")
    assert (order.status, order.expiry_reason, spot.executed(order)) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED", "1")
    order = spot.order("SELL", "1.5", "60000.00", timeInForce="FOK")
    assert (order.status, order.expiry_reason, spot.executed(order)) == ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED", "0")
    order = spot.order("SELL", "1", "60000.00", timeInForce="FOK")
    assert order.status == "FILLED"


def test_a_market_order_that_exhausts_the_book_expires_with_what_it_got(spot: Any) -> None:
    spot.book({"60000.00": "0.3"}, {"60001.00": "0.3"})
    order = spot.order("SELL", "0.5")
    assert (order.status, order.expiry_reason, spot.executed(order)) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY", "0.3")


# the queue


def test_a_resting_order_waits_behind_everything_displayed_at_its_price(spot: Any) -> None:
    order = spot.order("BUY", "0.5", "60000.00")
    spot.trade("60000.00", "0.9", seller=True)
    assert spot.executed(order) == "0"
    spot.trade("60000.00", "0.2", seller=True)
    assert spot.executed(order) == "0.1"
    spot.trade("60000.00", "5", seller=True)
    assert spot.now(order).status == "FILLED"


def test_a_level_that_shrinks_without_a_trade_is_assumed_to_shrink_behind_us(spot: Any) -> None:
    order = spot.order("BUY", "0.5", "60000.00")
    spot.levels({"60000.00": "4"})  # Others join behind us …
    spot.levels({"60000.00": "1.5"})  # … and these are assumed to have left: we still stand behind 1.
    spot.trade("60000.00", "1", seller=True)
    assert spot.executed(order) == "0"
    spot.trade("60000.00", "0.25", seller=True)
    assert spot.executed(order) == "0.25"


def test_what_is_ahead_is_never_more_than_what_is_displayed(spot: Any) -> None:
    order = spot.order("BUY", "0.5", "60000.00")
    spot.levels({"60000.00": "0.25"})
    spot.trade("60000.00", "0.5", seller=True)
    assert spot.executed(order) == "0.25"


def test_a_trade_through_our_price_fills_us_by_the_traded_quantity_at_our_price(spot: Any) -> None:
    order = spot.order("BUY", "0.5", "60000.00")
    spot.trade("59999.00", "0.2", seller=True)
    assert prices_and_quantities(spot, order) == [("60000.00000000", "0.20000000")]


def test_a_trade_of_the_other_side_does_not_touch_us(spot: Any) -> None:
    order = spot.order("BUY", "0.5", "60000.00")
    spot.trade("60000.00", "9", seller=False)
    assert spot.executed(order) == "0"


def test_a_quote_that_crosses_us_trades_with_us_by_its_size(spot: Any) -> None:
    order = spot.order("SELL", "0.5", "60001.50")
    spot.levels({"60001.75": "0.2"})
    assert prices_and_quantities(spot, order) == [("60001.50000000", "0.20000000")]
    spot.levels({"60001.75": "0.2"})  # said again: somebody else
    assert spot.executed(order) == "0.4"


def test_earlier_orders_at_a_price_come_first_whoever_owns_them(spot: Any) -> None:
    first = spot.order("BUY", "0.3", "60000.50", account=1)
    second = spot.order("BUY", "0.3", "60000.50", account=0)
    spot.trade("60000.50", "0.4", seller=True)
    assert (spot.executed(first), spot.executed(second)) == ("0.3", "0.1")


def test_strangers_between_two_of_ours_keep_their_place(spot: Any) -> None:
    first = spot.order("BUY", "0.3", "60000.50", account=1)
    spot.levels({"60000.50": "1"})
    second = spot.order("BUY", "0.3", "60000.50", account=0)
    spot.trade("60000.50", "1.2", seller=True)
    assert (spot.executed(first), spot.executed(second)) == ("0.3", "0")
    spot.trade("60000.50", "0.2", seller=True)
    assert spot.executed(second) == "0.1"


def test_a_smaller_amended_quantity_keeps_the_place(spot: Any) -> None:
    first = spot.order("BUY", "0.4", "60000.50", account=1)
    second = spot.order("BUY", "0.4", "60000.50", account=0)
    fields = {"symbol": "BTCUSDT", "orderId": str(first.order_id), "newQty": "0.1"}
    assert not isinstance(spot.venue.amend(first.account_id, fields, spot.now_ns), Refusal)
    spot.trade("60000.50", "0.3", seller=True)
    assert (spot.executed(first), spot.executed(second)) == ("0.1", "0.2")


def test_a_modified_futures_order_goes_to_the_end(usdm: Any) -> None:
    first = usdm.order("BUY", "0.4", "60000.5", account=1)
    second = usdm.order("BUY", "0.4", "60000.5", account=0)
    fields = {"symbol": "BTCUSDT", "orderId": str(first.order_id), "side": "BUY", "quantity": "0.5", "price": "60000.5"}
    assert usdm.venue.modify(first.account_id, fields, usdm.now_ns).quantity_lots == usdm.lots("0.5")
    usdm.trade("60000.5", "0.5", seller=True)
    assert (usdm.executed(first), usdm.executed(second)) == ("0.1", "0.4")


# each other


def test_our_accounts_trade_with_each_other_under_one_trade_id(spot: Any) -> None:
    maker = spot.order("SELL", "0.3", "60000.50", account=1)
    taker = spot.order("BUY", "0.2", "60000.50", account=0)
    (made,) = spot.venue.my_trades(maker.account_id, {"symbol": "BTCUSDT"})
    (took,) = spot.venue.my_trades(taker.account_id, {"symbol": "BTCUSDT"})
    assert (made.trade_id, made.is_maker, took.is_maker) == (took.trade_id, True, False)
    assert taker.status == "FILLED"
    assert spot.executed(maker) == "0.2"


def test_self_trade_expires_the_maker_by_default(spot: Any) -> None:
    maker = spot.order("SELL", "0.3", "60000.50")
    taker = spot.order("BUY", "0.2", "60001.00")
    assert spot.now(maker).status == "EXPIRED_IN_MATCH"
    assert prices_and_quantities(spot, taker) == [("60001.00000000", "0.20000000")]


def test_self_trade_modes_expire_the_taker_or_both_or_decrement(spot: Any) -> None:
    maker = spot.order("SELL", "0.3", "60000.50")
    taker = spot.order("BUY", "0.2", "60001.00", selfTradePreventionMode="EXPIRE_TAKER")
    assert (spot.now(maker).status, taker.status) == ("NEW", "EXPIRED_IN_MATCH")
    taker = spot.order("BUY", "0.2", "60001.00", selfTradePreventionMode="DECREMENT")
    assert (spot.now(maker).status, taker.status) == ("NEW", "EXPIRED_IN_MATCH")
    assert spot.now(maker).remaining_lots == spot.lots("0.1")
    assert "TRADE_PREVENTION" in [event.execution_type for event in spot.events(OrderEvent)]
    taker = spot.order("BUY", "0.2", "60001.00", selfTradePreventionMode="EXPIRE_BOTH")
    assert (spot.now(maker).status, taker.status) == ("EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH")
    assert all(row.locked_e8 == 0 for row in spot.venue.balances(spot.accounts[0]))


def test_a_fill_or_kill_that_would_meet_ourselves_trades_nothing(spot: Any) -> None:
    spot.order("SELL", "0.3", "60001.00")
    for mode in ("EXPIRE_TAKER", "EXPIRE_BOTH", "DECREMENT"):
        order = spot.order("BUY", "1.5", "60002.00", timeInForce="FOK", selfTradePreventionMode=mode)
        assert (order.status, spot.executed(order)) == ("EXPIRED", "0")
    order = spot.order("BUY", "1.5", "60002.00", timeInForce="FOK", selfTradePreventionMode="EXPIRE_MAKER")
    assert order.status == "FILLED"


# properties

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(-3, 3), st.integers(1, 40), st.booleans()),
        st.tuples(st.just("level"), st.integers(-3, 3), st.integers(0, 40), st.booleans()),
        st.tuples(st.just("place"), st.integers(-3, 3), st.integers(1, 40), st.booleans()),
        st.tuples(st.just("take"), st.integers(-3, 3), st.integers(1, 40), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.integers(0, 1), st.booleans()),
    ),
    max_size=40,
)


def play(stage: Any, steps: list[Any]) -> int:
    """Runs random steps around 60000; returns how many lots strangers traded among themselves or with us by printing."""
    printed = 0
    orders: list[Any] = []
    for index, (what, offset, size, flag) in enumerate(steps):
        price, quantity = f"{60000 + offset}.0", f"{size / 100:.2f}"
        if what == "trade":
            stage.trade(price, quantity, seller=flag)
            printed += stage.lots(quantity)
        elif what == "level":
            # A quote on the wrong side of the other best would be nonsense from a market: keep bids below 60000 and asks above.
            price = f"{60000 - abs(offset) - 1 if flag else 60000 + abs(offset) + 1}.0"
            stage.levels({price: quantity} if flag else {}, {} if flag else {price: quantity})
        elif what in ("place", "take"):
            fields = {"timeInForce": "IOC"} if what == "take" else {}
            placed = stage.place("BUY" if flag else "SELL", quantity, price, account=index % 2, **fields)
            if not isinstance(placed, Refusal):
                orders.append(placed.order)
        elif orders:
            stage.cancel(orders[offset % len(orders)])
        stage.pass_ms(7)
    return printed


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_order_is_filled_beyond_its_quantity_and_every_fill_is_a_public_trade(make_spot: Any, steps: list[Any]) -> None:
    stage = make_spot()
    printed = play(stage, steps)
    events = stage.events()
    public = {event.trade_id: event for event in events if isinstance(event, TradeEvent)}
    ours: dict[int, list[Any]] = {}
    for account in stage.accounts:
        for order in stage.venue.all_orders(account, {"symbol": "BTCUSDT"}):
            fills = stage.venue.my_trades(account, {"symbol": "BTCUSDT", "orderId": str(order.order_id)})
            assert sum(fill.quantity_lots for fill in fills) == order.executed_lots <= order.quantity_lots
            assert sum(fill.quote_e8 for fill in fills) == order.executed_quote_e8
            for fill in fills:
                limit_kept = (
                    fill.price_ticks <= order.price_ticks if order.side == "BUY" else fill.price_ticks >= order.price_ticks
                )
                assert limit_kept, "no fill is worse than the limit"
                ours.setdefault(fill.trade_id, []).append(fill)
    for trade_id, fills in ours.items():
        assert public[trade_id].quantity_lots == fills[0].quantity_lots
        assert len(fills) in (1, 2)
        if len(fills) == 2:
            assert {fills[0].side, fills[1].side} == {"BUY", "SELL"}
            assert fills[0].is_maker != fills[1].is_maker
    # Strangers' trades are printed lot by lot; what exceeds them is what our takers and crossing quotes added.
    assert sum(event.quantity_lots for event in public.values()) >= printed
    assert len(public) == sum(isinstance(event, TradeEvent) for event in events), "trade ids are unique"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    queue=st.integers(0, 50),
    mine=st.integers(1, 30),
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=12),
)
def test_the_queue_is_honest_against_any_history(make_spot: Any, queue: int, mine: int, moves: list[Any]) -> None:
    """However the level shrinks and trades, we never get more than what traded beyond the queue that was certainly left."""
    stage = make_spot()
    stage.book({"60000.00": f"{queue / 100:.2f}", "59000.00": "9"}, {"60001.00": "9"})
    order = stage.order("BUY", f"{mine / 100:.2f}", "60000.00")
    ahead, filled = queue, 0
    for is_trade, size in moves:
        if is_trade and size:
            stage.trade("60000.00", f"{size / 100:.2f}", seller=True)
            eaten = min(ahead, size)
            ahead -= eaten
            filled = min(mine, filled + size - eaten)
        elif not is_trade:
            stage.levels({"60000.00": f"{size / 100:.2f}"})
            ahead = min(ahead, size)
        assert stage.now(order).executed_lots == stage.lots(f"{filled / 100:.2f}")


@pytest.mark.parametrize("product", ["spot", "usdm"])
def test_strangers_trades_are_printed_lot_for_lot_when_we_are_hit(product: str, request: pytest.FixtureRequest) -> None:
    stage: Any = request.getfixturevalue(product)
    stage.order("BUY", "0.5", "60000.5")
    stage.events()
    stage.trade("60000.0", "0.8", seller=True)
    trades = stage.events(TradeEvent)
    assert sum(row.quantity_lots for row in trades) == stage.lots("0.8")
    assert all(row.buyer_is_maker for row in trades)
