"""Positions, margin, funding and liquidation, to the last unit."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reactor.domain.units import E8
from reactor.sim.events import (
    AccountUpdateEvent,
    ConfigEvent,
    ForceOrderEvent,
    MarginCallEvent,
    MarkPriceEvent,
    OrderEvent,
    Placed,
)
from reactor.sim.funding import FundingParameters
from reactor.sim.venue import AccountParameters


def wallet(stage: Any, account: int = 0) -> Any:
    return stage.venue.wallet(stage.accounts[account])


def position(stage: Any, account: int = 0) -> Any:
    return stage.venue.positions(stage.accounts[account], "BTCUSDT")[0]


def test_profit_is_realised_in_parts_and_fees_are_paid_in_usdt(usdm: Any) -> None:
    usdm.order("BUY", "0.5")  # at 60001
    usdm.book({"60101.0": "10"}, {"60102.0": "10"})
    closing = usdm.place("SELL", "0.2")
    assert closing.fills[0].realised_e8 == 20 * E8
    assert closing.fills[0].commission_asset == "USDT"
    fees = (60_001 * E8 // 2 + 60_101 * E8 // 5) * 5 // 10_000
    assert wallet(usdm).wallet_e8 == 100_000 * E8 + 20 * E8 - fees
    assert (position(usdm).amount_lots, position(usdm).entry_price_e8) == (300, 60_001 * E8)
    assert position(usdm).realised_e8 == 20 * E8


def test_an_order_through_zero_flips_the_position_at_its_own_price(usdm: Any) -> None:
    usdm.order("BUY", "0.2")
    usdm.order("SELL", "0.5")
    view = position(usdm)
    assert (view.amount_lots, view.entry_price_e8) == (-300, 60_000 * E8)


def test_the_update_follows_the_orders_and_names_what_changed(usdm: Any) -> None:
    usdm.order("BUY", "1.5")
    events = [event for event in usdm.events() if isinstance(event, OrderEvent | AccountUpdateEvent)]
    assert [type(event).__name__ for event in events] == ["OrderEvent"] * 3 + ["AccountUpdateEvent"]
    update = events[-1]
    assert (update.reason, update.wallets[0].change_e8, update.positions[0].amount_lots) == ("ORDER", 0, 1_500)
    usdm.order("BUY", "0.1", "59000.0")
    assert usdm.events(AccountUpdateEvent) == [], "a resting order changes no balance"


def test_initial_margin_counts_the_larger_side_of_position_and_open_orders(usdm: Any) -> None:
    usdm.venue.set_leverage(1, {"symbol": "BTCUSDT", "leverage": "10"}, usdm.now_ns)
    usdm.order("BUY", "0.1", "59000.0")
    assert wallet(usdm).open_order_margin_e8 == 590 * E8
    usdm.order("SELL", "0.1", "61000.0")
    assert wallet(usdm).open_order_margin_e8 == 610 * E8, "only one of the two sides can come true"
    assert wallet(usdm).available_e8 == 100_000 * E8 - 610 * E8


def test_an_order_that_only_reduces_needs_no_margin(usdm: Any) -> None:
    usdm.venue.set_leverage(1, {"symbol": "BTCUSDT", "leverage": "1"}, usdm.now_ns)
    usdm.order("BUY", "1.66")
    assert usdm.refused("BUY", "0.1")[0] == -2019
    assert usdm.order("SELL", "1.66").status == "FILLED"


def test_leverage_is_bounded_told_and_caps_the_position(usdm: Any) -> None:
    assert usdm.venue.set_leverage(1, {"symbol": "BTCUSDT", "leverage": "126"}, 0).code == -4028
    assert usdm.venue.set_leverage(1, {"symbol": "BTCUSDT", "leverage": "125"}, 0) == (125, 300_000 * E8)
    assert [(event.symbol, event.leverage) for event in usdm.events(ConfigEvent)] == [("BTCUSDT", 125)]
    assert usdm.refused("BUY", "6", "59000.0")[0] == -2027
    usdm.order("BUY", "4.9", "59000.0")
    assert usdm.venue.set_leverage(1, {"symbol": "BTCUSDT", "leverage": "2"}, 0).code == -2028


def test_margin_types_change_only_when_nothing_is_open(usdm: Any) -> None:
    fields = {"symbol": "BTCUSDT", "marginType": "ISOLATED"}
    assert usdm.venue.set_margin_type(1, fields | {"marginType": "CROSSED"}, 0).code == -4046
    order = usdm.order("BUY", "0.1", "59000.0")
    assert usdm.venue.set_margin_type(1, fields, 0).code == -4047
    usdm.cancel(order)
    usdm.order("BUY", "0.1")
    assert usdm.venue.set_margin_type(1, fields, 0).code == -4048
    usdm.order("SELL", "0.1")
    assert usdm.venue.set_margin_type(1, fields, 0) is None
    assert usdm.venue.is_isolated(1, "BTCUSDT")


# funding


def test_funding_is_paid_by_longs_to_shorts_when_the_rate_is_positive(make_usdm: Any) -> None:
    stage = make_usdm(FundingParameters(interval_s=30))
    stage.order("BUY", "0.5", account=0)
    stage.order("SELL", "0.5", account=1)
    before = [wallet(stage, account).wallet_e8 for account in (0, 1)]
    stage.events()
    stage.pass_ms(31_000)
    after = [wallet(stage, account).wallet_e8 for account in (0, 1)]
    (row,) = stage.venue.funding_history("BTCUSDT", {})
    assert row.rate_e8 > 0
    paid = row.mark_e8 // 2 * row.rate_e8 // E8
    assert after[0] - before[0] == -paid
    assert after[1] - before[1] == pytest.approx(paid, abs=1)
    updates = stage.events(AccountUpdateEvent)
    assert [(event.account_id, event.reason, event.positions, event.symbol) for event in updates] == [
        (1, "FUNDING_FEE", (), "BTCUSDT"),
        (2, "FUNDING_FEE", (), "BTCUSDT"),
    ]
    assert updates[0].wallets[0].change_e8 == -paid
    (income,) = stage.venue.income(1, {"incomeType": "FUNDING_FEE"})
    assert income.income_e8 == -paid


def test_a_flat_account_pays_no_funding(make_usdm: Any) -> None:
    stage = make_usdm(FundingParameters(interval_s=30))
    stage.pass_ms(65_000)
    assert stage.events(AccountUpdateEvent) == []
    assert len(stage.venue.funding_history("BTCUSDT", {})) >= 1


def test_mark_prices_come_every_second_and_every_third(usdm: Any) -> None:
    for _ in range(90):
        usdm.pass_ms(100)
    events = [event for event in usdm.events(MarkPriceEvent) if event.rules.symbol == "BTCUSDT"]
    assert sum(event.interval_ms == 1000 for event in events) == 9
    assert sum(event.interval_ms == 3000 for event in events) == 3


# liquidation

POOR = (AccountParameters(futures_usdt="1000"), AccountParameters(name="b", api_key="b"))


def test_a_position_is_closed_by_the_venue_when_the_margin_is_gone(make_usdm: Any) -> None:
    stage = make_usdm(accounts=POOR)
    stage.order("BUY", "0.3")
    resting = stage.order("SELL", "0.1", "62000.0")
    stage.events()
    stage.book({"56700.0": "5"}, {"56701.0": "5"})
    for _ in range(200):
        stage.pass_ms(1_000)
    events = stage.events()
    orders = [event for event in events if isinstance(event, OrderEvent)]
    assert stage.now(resting).status == "CANCELED"
    closing = orders[-1].order
    assert closing.client_order_id.startswith("autoclose-")
    assert closing.is_liquidation
    assert closing.status == "FILLED"
    assert position(stage).amount_lots == 0
    assert [type(event).__name__ for event in events].count("ForceOrderEvent") == 1
    assert any(isinstance(event, MarginCallEvent) for event in events)
    assert wallet(stage).wallet_e8 >= 0
    reasons = [event.reason for event in events if isinstance(event, AccountUpdateEvent)]
    assert "ORDER" in reasons


def test_a_debt_is_covered_by_the_insurance_fund_and_the_unfillable_rest_taken_over(make_usdm: Any) -> None:
    stage = make_usdm(accounts=POOR)
    stage.order("BUY", "0.3")
    stage.book({"54300.0": "0.1"}, {"54301.0": "5"})
    for _ in range(300):
        stage.pass_ms(1_000)
    kinds = [event.execution_type for event in stage.events(OrderEvent)]
    assert kinds[-1] == "CALCULATED"
    assert wallet(stage).wallet_e8 == 0
    assert stage.venue.insurance_e8 < 0
    assert position(stage).amount_lots == 0


def test_the_liquidation_price_is_where_it_happens(make_usdm: Any) -> None:
    stage = make_usdm(accounts=POOR)
    stage.order("SELL", "0.3")
    price = position(stage).liquidation_price_e8
    just_before = price // 10**7 - 3
    assert 60_000 * E8 < price < 64_000 * E8

    def settle(ticks: int) -> None:
        stage.book({f"{ticks / 10 - 0.1:.1f}": "9"}, {f"{ticks / 10 + 0.1:.1f}": "9"})
        for _ in range(600):
            stage.pass_ms(1_000)

    settle(just_before)
    assert position(stage).amount_lots == -300
    settle(just_before + 10)
    assert position(stage).amount_lots == 0
    assert stage.events(ForceOrderEvent)


def test_an_isolated_position_dies_alone(make_usdm: Any) -> None:
    stage = make_usdm()
    stage.venue.set_margin_type(1, {"symbol": "BTCUSDT", "marginType": "ISOLATED"}, 0)
    stage.order("BUY", "0.2")
    assert position(stage).isolated_wallet_e8 == 60_001 * E8 // 5 // 20
    stage.order("SELL", "0.1")
    assert position(stage).isolated_wallet_e8 == 60_001 * E8 // 10 // 20
    stage.book({"56500.0": "5"}, {"56501.0": "5"})
    for _ in range(300):
        stage.pass_ms(1_000)
    assert position(stage).amount_lots == 0
    assert wallet(stage).wallet_e8 > 99_000 * E8


# conservation

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["limit", "ioc", "market", "reduce", "cancel", "modify", "trade", "book", "wait"]),
        st.integers(-40, 40),
        st.integers(1, 900),
        st.booleans(),
    ),
    max_size=50,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_wallets_profits_fees_funding_and_insurance_always_add_up(make_usdm: Any, actions: list[Any]) -> None:
    stage = make_usdm(FundingParameters(interval_s=7), accounts=(*POOR,))
    orders: list[Any] = []
    for index, (what, offset, size, is_buy) in enumerate(actions):
        side, price, quantity = "BUY" if is_buy else "SELL", f"{60000 + offset}.0", f"{size / 1000:.3f}"
        account = index % 2
        placed: Any = None
        if what in ("limit", "ioc"):
            placed = stage.place(side, quantity, price, account=account, timeInForce="GTC" if what == "limit" else "IOC")
        elif what in ("market", "reduce"):
            extra = {"reduceOnly": "true"} if what == "reduce" else {}
            placed = stage.place(side, quantity, account=account, **extra)
        elif what == "cancel" and orders:
            stage.cancel(orders[size % len(orders)])
        elif what == "modify" and orders:
            order = orders[size % len(orders)]
            fields = {
                "symbol": "BTCUSDT",
                "orderId": str(order.order_id),
                "side": order.side,
                "quantity": quantity,
                "price": price,
            }
            stage.venue.modify(order.account_id, fields, stage.now_ns)
        elif what == "trade":
            stage.trade(price, quantity, seller=is_buy)
        elif what == "book":
            mid = 60_000 + offset * 60
            stage.book({f"{mid}.0": quantity, f"{mid - 9}.0": "20"}, {f"{mid + 1}.0": quantity, f"{mid + 9}.0": "20"})
        elif what == "wait":
            stage.pass_ms(size * 20)
        if isinstance(placed, Placed):
            orders.append(placed.order)
    venue = stage.venue
    realised = 0
    for account in stage.accounts:
        fills = venue.my_trades(account, {"symbol": "BTCUSDT", "limit": "1000"})
        realised += sum(fill.realised_e8 for fill in fills)
        amount = sum(fill.quantity_lots if fill.side == "BUY" else -fill.quantity_lots for fill in fills)
        cost = sum(fill.quote_e8 if fill.side == "BUY" else -fill.quote_e8 for fill in fills)
        row = venue.positions(account, "BTCUSDT")[0]
        open_orders = venue.open_orders(account, None)
        for side, told in (("BUY", row.bid_notional_e8), ("SELL", row.ask_notional_e8)):
            counted = sum(o.rules.notional_e8(o.price_ticks, o.remaining_lots) for o in open_orders if o.side == side)
            assert told == counted, "open notionals are those of the open orders"
        assert row.amount_lots == amount, "the position is the sum of its fills"
        value = amount * row.rules.lot_e8 * row.mark_price_e8 // E8
        earned = sum(fill.realised_e8 for fill in fills)
        assert row.unrealised_e8 + earned == value - cost, "realised and unrealised lose no unit between them"
    wallets = sum(wallet(stage, account).wallet_e8 for account in (0, 1))
    assert wallets == 101_000 * E8 + realised - venue.fees_e8 - venue.funding_e8 - venue.insurance_e8
