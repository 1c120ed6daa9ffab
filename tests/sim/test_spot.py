"""The spot venue: client ids, balances, fees, cancels, amends, and that no unit is ever lost."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactor.domain.units import E8
from reactor.sim.events import Amended, DepositEvent, Order, OrderEvent, Placed, Refusal, SpotBalanceEvent

BALANCES = {"USDT": 100_000 * E8, "BTC": E8}


def balances(stage: Any, account: int = 0) -> dict[str, tuple[int, int]]:
    return {row.asset: (row.free_e8, row.locked_e8) for row in stage.venue.balances(stage.accounts[account])}


# client ids


def test_a_client_id_is_refused_while_its_order_is_open_and_accepted_after_it_is_filled(spot: Any) -> None:
    spot.order("BUY", "0.1", "59000.00", newClientOrderId="one")
    assert spot.refused("BUY", "0.1", "59000.00", newClientOrderId="one") == (-2010, "Duplicate order sent.")
    first = spot.order("BUY", "0.1", newClientOrderId="two")
    second = spot.order("BUY", "0.1", newClientOrderId="two")
    assert (first.status, second.status) == ("FILLED", "FILLED"), "the same id executes twice: nobody may rely on the refusal"


def test_another_account_or_symbol_may_use_the_same_client_id(spot: Any) -> None:
    spot.order("BUY", "0.1", "59000.00", newClientOrderId="one")
    assert isinstance(spot.place("BUY", "0.1", "59000.00", account=1, newClientOrderId="one"), Placed)
    fields = {
        "symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "2000", "quantity": "1",
        "newClientOrderId": "one",
    }  # fmt: skip
    assert isinstance(spot.venue.place(spot.accounts[0], fields, spot.now_ns), Placed)


def test_both_open_questions_about_client_ids_can_be_answered_the_other_way(make_spot: Any) -> None:
    stage = make_spot(refuse_closed_client_ids=True, client_ids_per_symbol=False)
    stage.order("BUY", "0.1", newClientOrderId="two")
    assert stage.refused("BUY", "0.1", newClientOrderId="two")[0] == -2010
    stage.order("BUY", "0.1", "59000.00", newClientOrderId="one")
    fields = {
        "symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "2000", "quantity": "1",
        "newClientOrderId": "one",
    }  # fmt: skip
    assert isinstance(stage.venue.place(stage.accounts[0], fields, stage.now_ns), Refusal)


def test_a_cancel_renames_the_order_and_frees_its_id(spot: Any) -> None:
    order = spot.order("BUY", "0.1", "59000.00", newClientOrderId="mine")
    spot.events()
    cancelled = spot.cancel(order, newClientOrderId="my-cancel")
    assert (cancelled.status, cancelled.client_order_id, cancelled.original_client_order_id) == (
        "CANCELED",
        "my-cancel",
        "mine",
    )
    (event,) = spot.events(OrderEvent)
    assert (event.execution_type, event.order.client_order_id, event.order.original_client_order_id) == (
        "CANCELED",
        "my-cancel",
        "mine",
    )
    assert isinstance(spot.place("BUY", "0.1", "59000.00", newClientOrderId="mine"), Placed)


def test_a_query_by_client_id_finds_closed_orders_the_open_one_first_the_latest_else(spot: Any) -> None:
    first = spot.order("BUY", "0.1", newClientOrderId="id")
    second = spot.order("BUY", "0.2", newClientOrderId="id")
    ask = {"symbol": "BTCUSDT", "origClientOrderId": "id"}
    assert spot.venue.query(1, ask, 0).order_id == second.order_id
    third = spot.order("BUY", "0.1", "59000.00", newClientOrderId="id")
    assert spot.venue.query(1, ask, 0).order_id == third.order_id
    spot.cancel(third, newClientOrderId="gone")
    assert spot.venue.query(1, ask, 0).order_id == third.order_id
    assert spot.venue.query(1, ask | {"origClientOrderId": "gone"}, 0).order_id == third.order_id
    assert spot.venue.query(1, ask | {"orderId": str(first.order_id)}, 0).order_id == first.order_id


def test_an_id_that_does_not_fit_the_order_id_is_a_mismatch(spot: Any) -> None:
    order = spot.order("BUY", "0.1", "59000.00", newClientOrderId="id")
    fields = {"symbol": "BTCUSDT", "orderId": str(order.order_id), "origClientOrderId": "other"}
    assert spot.venue.query(1, fields, 0).code == -2039
    assert spot.venue.cancel(1, fields, 0).code == -2039


def test_unknown_orders_are_named_by_what_was_asked(spot: Any) -> None:
    fields = {"symbol": "BTCUSDT", "orderId": "7"}
    assert spot.venue.query(1, fields, 0) == Refusal(-2013, "Order does not exist.")
    assert spot.venue.cancel(1, fields, 0) == Refusal(-2011, "Unknown order sent.")
    order = spot.order("BUY", "0.1")
    assert spot.cancel(order) == Refusal(-2011, "Unknown order sent."), "a filled order cannot be cancelled"
    mine = spot.order("BUY", "0.1", "59000.00")
    assert spot.venue.query(2, {"symbol": "BTCUSDT", "orderId": str(mine.order_id)}, 0).code == -2013
    assert spot.venue.cancel_all(2, "BTCUSDT", 0) == Refusal(-2011, "Unknown order sent.")


# balances and fees


def test_a_limit_buy_locks_its_cost_and_releases_what_a_better_price_saved(spot: Any) -> None:
    spot.order("BUY", "0.5", "60001.00")
    spot.order("BUY", "0.1", "59000.00")
    free, locked = balances(spot)["USDT"]
    assert locked == 5_900 * E8
    assert free + locked == 100_000 * E8 - 60_001 * E8 // 2
    order = spot.order("BUY", "1", "60010.00")  # takes 0.5 at 60001 and 0.5 at 60002
    assert order.status == "FILLED"
    assert balances(spot)["USDT"][1] == 5_900 * E8


def test_fees_are_taken_from_what_is_received(spot: Any) -> None:
    buy = spot.place("BUY", "0.5")
    assert [(fill.commission_e8, fill.commission_asset) for fill in buy.fills] == [(50_000, "BTC")]
    sell = spot.place("SELL", "0.5")
    assert [(fill.commission_e8, fill.commission_asset) for fill in sell.fills] == [(30 * E8, "USDT")]
    assert balances(spot)["BTC"][0] == E8 - 50_000
    assert spot.venue.fees_e8 == {"BTC": 50_000, "USDT": 30 * E8}


def test_reports_come_before_the_balances_they_cause(spot: Any) -> None:
    spot.order("BUY", "1.5")
    events = spot.events()
    kinds = [event.execution_type if isinstance(event, OrderEvent) else type(event).__name__ for event in events]
    kinds = [kind for kind in kinds if kind in ("NEW", "TRADE", "SpotBalanceEvent")]
    assert kinds == ["NEW", "TRADE", "TRADE", "SpotBalanceEvent"]
    reports = [event for event in events if isinstance(event, OrderEvent)]
    assert [event.order.status for event in reports] == ["NEW", "PARTIALLY_FILLED", "FILLED"]
    assert [event.order.executed_lots for event in reports] == [0, spot.lots("1"), spot.lots("1.5")]
    assert len({event.execution_id for event in reports}) == 3
    (update,) = [event for event in events if isinstance(event, SpotBalanceEvent)]
    assert {row.asset for row in update.balances} == {"BTC", "USDT"}


def test_a_quote_quantity_order_spends_at_most_that_much(spot: Any) -> None:
    order = spot.order("BUY", "", quoteOrderQty="90000")
    assert order.status == "FILLED"
    assert 0 <= 90_000 * E8 - order.executed_quote_e8 < 60_002 * E8 // 100_000
    assert order.quantity_lots == order.executed_lots
    reports = [event.order.status for event in spot.events(OrderEvent)]
    assert reports == ["NEW", "PARTIALLY_FILLED", "FILLED"]
    sell = spot.order("SELL", "", quoteOrderQty="600")
    assert (sell.status, sell.executed_lots) == ("FILLED", spot.lots("0.01"))


def test_a_deposit_is_told_as_a_delta_and_as_a_balance(spot: Any) -> None:
    spot.venue.deposit(1, "ETH", 5 * E8, spot.now_ns)
    delta, balance = spot.events()
    assert isinstance(delta, DepositEvent)
    assert (delta.asset, delta.delta_e8) == ("ETH", 5 * E8)
    assert balance.balances[0].free_e8 == 25 * E8


def test_a_test_order_is_checked_and_leaves_no_trace(spot: Any) -> None:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "59000", "quantity": "1"}
    assert spot.venue.place(1, fields, spot.now_ns, is_test=True).order.order_id == 0
    assert spot.venue.place(1, fields | {"quantity": "3"}, spot.now_ns, is_test=True).code == -2010
    assert spot.venue.open_orders(1, None) == []
    assert spot.events() == []


# cancel, replace, amend


def test_cancel_restrictions_look_at_what_is_executed(spot: Any) -> None:
    order = spot.order("BUY", "1.5", "60001.00")
    refusal = spot.cancel(order, cancelRestrictions="ONLY_NEW")
    assert refusal == Refusal(-2011, "Order was not canceled due to cancel restrictions.")
    assert isinstance(spot.cancel(order, cancelRestrictions="ONLY_PARTIALLY_FILLED"), Order)


def test_cancel_all_takes_one_symbol_of_one_account(spot: Any) -> None:
    mine = [spot.order("BUY", "0.1", "59000.00"), spot.order("SELL", "0.1", "61000.00")]
    other = spot.order("BUY", "0.1", "59000.00", account=1)
    cancelled = spot.venue.cancel_all(1, "BTCUSDT", spot.now_ns)
    assert [order.order_id for order in cancelled] == [order.order_id for order in mine]
    assert spot.now(other).status == "NEW"
    assert balances(spot) == {"USDT": (100_000 * E8, 0), "BTC": (E8, 0), "ETH": (20 * E8, 0), "BNB": (0, 0), "SOL": (0, 0)}


def test_cancel_replace_stops_or_goes_on_as_told(spot: Any) -> None:
    order = spot.order("BUY", "0.1", "59000.00")
    fields = {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "59001", "quantity": "0.1",
        "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": str(order.order_id),
    }  # fmt: skip
    done = spot.venue.cancel_replace(1, fields, spot.now_ns)
    assert (done.cancel_result, done.new_order_result) == ("SUCCESS", "SUCCESS")
    again = spot.venue.cancel_replace(1, fields, spot.now_ns)
    assert (again.cancel_result, again.new_order_result, again.new_order_response) == ("FAILURE", "NOT_ATTEMPTED", None)
    anyway = spot.venue.cancel_replace(1, fields | {"cancelReplaceMode": "ALLOW_FAILURE"}, spot.now_ns)
    assert (anyway.cancel_result, anyway.new_order_result) == ("FAILURE", "SUCCESS")
    assert len(spot.venue.open_orders(1, "BTCUSDT")) == 2


def test_an_amend_gives_back_the_difference_and_is_told_as_replaced(spot: Any) -> None:
    order = spot.order("BUY", "0.5", "59000.00", newClientOrderId="a")
    spot.events()
    fields = {"symbol": "BTCUSDT", "origClientOrderId": "a", "newQty": "0.2", "newClientOrderId": "b"}
    amended = spot.venue.amend(1, fields, spot.now_ns)
    assert isinstance(amended, Amended)
    assert (amended.order.client_order_id, amended.order.original_client_order_id) == ("b", "a")
    assert balances(spot)["USDT"][1] == 11_800 * E8
    assert [event.execution_type for event in spot.events(OrderEvent)] == ["REPLACED"]
    assert spot.venue.amend(1, fields | {"origClientOrderId": "b", "newQty": "0.3"}, 0).code == -2038
    spot.cancel(order)
    assert balances(spot)["USDT"] == (100_000 * E8, 0)


def test_lists_are_cut_by_id_time_and_limit(spot: Any) -> None:
    orders = [spot.order("BUY", "0.01") for _ in range(5)]
    ask = {"symbol": "BTCUSDT"}
    assert [row.order_id for row in spot.venue.all_orders(1, ask | {"limit": "2"})] == [row.order_id for row in orders[3:]]
    from_second = spot.venue.all_orders(1, ask | {"orderId": str(orders[1].order_id), "limit": "2"})
    assert [row.order_id for row in from_second] == [orders[1].order_id, orders[2].order_id]
    fills = spot.venue.my_trades(1, ask)
    assert len(fills) == 5
    assert spot.venue.my_trades(1, ask | {"fromId": str(fills[3].trade_id)}) == fills[3:]
    assert spot.venue.my_trades(1, ask | {"orderId": str(orders[0].order_id)}) == fills[:1]
    assert spot.venue.my_trades(1, ask | {"startTime": str(spot.now_ns // 1_000_000 + 1)}) == []


# conservation

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["limit", "ioc", "market", "quote", "cancel", "amend", "trade", "level"]),
        st.integers(-4, 4),
        st.integers(1, 60),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_no_unit_is_ever_lost(make_spot: Any, actions: list[Any]) -> None:
    """Balances + fees = what we started with + what strangers gave in fills; locks are exactly what open orders may cost."""
    stage = make_spot()
    orders: list[Order] = []
    for index, (what, offset, size, is_buy) in enumerate(actions):
        side, price, quantity = "BUY" if is_buy else "SELL", f"{60000 + offset}.37", f"{size / 50:.3f}"
        account = index % 2
        placed: Any = None
        if what == "limit":
            placed = stage.place(side, quantity, price, account=account)
        elif what == "ioc":
            placed = stage.place(side, quantity, price, account=account, timeInForce="IOC")
        elif what == "market":
            placed = stage.place(side, quantity, account=account)
        elif what == "quote":
            placed = stage.place(side, "", account=account, quoteOrderQty=f"{size * 997}.13")
        elif what == "cancel" and orders:
            stage.cancel(orders[size % len(orders)])
        elif what == "amend" and orders:
            order = orders[size % len(orders)]
            fields = {"symbol": "BTCUSDT", "orderId": str(order.order_id), "newQty": "0.01"}
            stage.venue.amend(order.account_id, fields, stage.now_ns)
        elif what == "trade":
            stage.trade(f"{60000 + offset}.37", quantity, seller=is_buy)
        elif what == "level":
            stage.levels(
                {f"{59999 - offset}.00": quantity} if is_buy else {}, {} if is_buy else {f"{60005 + offset}.00": quantity}
            )
        if isinstance(placed, Placed):
            orders.append(placed.order)
    start = {"USDT": 150_000 * E8, "BTC": 3 * E8}
    for account in stage.accounts:
        locked = {"USDT": 0, "BTC": 0}
        for order in stage.venue.open_orders(account, None):
            if order.side == "BUY":
                locked["USDT"] += order.rules.notional_e8(order.price_ticks, order.remaining_lots)
            else:
                locked["BTC"] += order.rules.base_e8(order.remaining_lots)
        for row in stage.venue.balances(account):
            assert row.free_e8 >= 0
            assert row.locked_e8 == locked.get(row.asset, 0)
        for fill in stage.venue.my_trades(account, {"symbol": "BTCUSDT", "limit": "1000"}):
            sign = 1 if fill.side == "BUY" else -1
            start["BTC"] += sign * fill.rules.base_e8(fill.quantity_lots)
            start["USDT"] -= sign * fill.quote_e8
    for asset, expected in start.items():
        held = sum(
            row.free_e8 + row.locked_e8
            for account in stage.accounts
            for row in stage.venue.balances(account)
            if row.asset == asset
        )
        assert held + stage.venue.fees_e8.get(asset, 0) == expected
