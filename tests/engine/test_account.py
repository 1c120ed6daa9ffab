"""One venue's account: what is asked of it, and "cancel all ours"."""

from typing import Any

from engine_stand import OPEN_ORDERS, SPOT, USDM, Stand, name_of, order_row, placed

from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_LIQUIDATION,
    NO_INSTRUMENT,
    CommandKind,
    Reason,
    ReportKind,
)
from reactor.net.network import Failure


def test_open_orders_come_as_rows_and_an_end(stand: Stand) -> None:
    request_id = stand.command(CommandKind.OPEN_ORDERS, SPOT)
    stand.work()
    rows = [order_row("ct0000100000007", "NEW"), order_row("web_1", "NEW", orderId=29, symbol="ETHUSDT")]
    stand.network.take("GET", OPEN_ORDERS[SPOT]).answer(rows)
    session, ours, foreign, end = stand.reports_now()
    assert session.header.kind == ReportKind.SESSION_UP  # A prepost younger than the session learns it so.
    assert (ours.header.kind, ours.header.order_id, ours.quantity_lots) == (ReportKind.OPEN_ORDER, 1 << 40 | 7, 123)
    assert foreign.header.flags & FLAG_FOREIGN
    assert (end.header.kind, end.row_count, end.reason) == (ReportKind.SNAPSHOT_END, 2, Reason.NONE)
    assert {ours.request_id, foreign.request_id, end.request_id} == {request_id}


def test_a_failed_snapshot_says_so(stand: Stand) -> None:
    stand.command(CommandKind.BALANCES, USDM)
    stand.work()
    stand.network.take("GET", "/fapi/v3/account").fail(Failure.OUTCOME_UNKNOWN)
    [end] = stand.reports_now()
    assert (end.header.kind, end.reason) == (ReportKind.SNAPSHOT_END, Reason.UNKNOWN_EXECUTION)


def test_spot_has_no_positions_and_says_so_at_once(stand: Stand) -> None:
    stand.command(CommandKind.POSITIONS, SPOT)
    stand.work()
    [end] = stand.reports_now()
    assert (end.header.kind, end.row_count) == (ReportKind.SNAPSHOT_END, 0)


def test_positions_are_signed_and_balances_are_wallets(stand: Stand) -> None:
    stand.command(CommandKind.POSITIONS, USDM)
    stand.command(CommandKind.BALANCES, USDM)
    stand.work()
    position = {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.250", "entryPrice": "61000.04"}
    position |= {"unRealizedProfit": "-1.50000000", "marginAsset": "USDT", "updateTime": 7}
    stand.network.take("GET", "/fapi/v3/positionRisk").answer([position])
    assets = [{"asset": "USDT", "walletBalance": "100.12345678", "maintMargin": "2.5", "unrealizedProfit": "0"}]
    stand.network.take("GET", "/fapi/v3/account").answer({"assets": assets})
    reports = stand.reports_now()
    assert [ReportKind(r.header.kind).name for r in reports] == ["POSITION", "SNAPSHOT_END", "BALANCE", "SNAPSHOT_END"]
    assert (reports[0].quantity_lots, reports[0].price_ticks, reports[0].amount_e8) == (-250, 610_000, -150_000_000)
    assert (reports[2].amount_e8, reports[2].locked_e8) == (10_012_345_678, 250_000_000)


def trade(trade_id: int, venue_order_id: int = 28) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "id": trade_id, "orderId": venue_order_id, "price": "61234.56", "qty": "0.00100"}
    return row | {"commission": "0.00000100", "commissionAsset": "BTC", "time": 9, "isBuyer": True, "isMaker": True}


def test_fills_since_a_trade_id_are_fetched_page_by_page(stand: Stand) -> None:
    client_order_id = placed(stand)
    stand.command(CommandKind.FILLS_SINCE, SPOT, trade_id=10)
    stand.work()
    first = stand.network.take("GET", "/api/v3/myTrades")
    assert first.query["fromId"] == "11"
    first.answer([trade(number) for number in range(11, 1011)])
    second = stand.network.take("GET", "/api/v3/myTrades")
    assert second.query["fromId"] == "1011"
    second.answer([trade(1011, venue_order_id=99)])
    reports = stand.reports_now()
    assert len(reports) == 1002
    assert name_of(reports[0]) == client_order_id  # found by the venue's order id
    assert name_of(reports[1000]) == ""
    assert (reports[-1].header.kind, reports[-1].row_count) == (ReportKind.SNAPSHOT_END, 1001)


def test_funding_payments_carry_the_venues_transaction_id(stand: Stand) -> None:
    stand.command(CommandKind.FUNDING_SINCE, USDM, since_ms=5)
    stand.work()
    row = {
        "symbol": "BTCUSDT",
        "incomeType": "FUNDING_FEE",
        "income": "-0.37500000",
        "asset": "USDT",
        "time": 6,
        "tranId": 9689,
    }
    stand.network.take("GET", "/fapi/v1/income").answer([row])
    payment, end = stand.reports_now()
    assert (payment.trade_id, payment.amount_e8, payment.header.instrument_index) == (9689, -37_500_000, 1)
    assert end.row_count == 1


def test_insurance_fees_are_asked_for_by_their_flag_and_carry_it(stand: Stand) -> None:
    stand.command(CommandKind.FUNDING_SINCE, USDM, since_ms=5, flags=FLAG_LIQUIDATION)
    stand.work()
    asked = stand.network.take("GET", "/fapi/v1/income")
    assert asked.query["incomeType"] == "INSURANCE_CLEAR"
    row = {"symbol": "BTCUSDT", "incomeType": "INSURANCE_CLEAR", "income": "-1.5", "asset": "USDT", "time": 6, "tranId": 7}
    asked.answer([row, row | {"symbol": "", "income": "20", "tranId": 8}])
    fee, cover, _ = stand.reports_now()
    assert (fee.trade_id, fee.amount_e8, fee.header.instrument_index) == (7, -150_000_000, 1)
    assert (cover.trade_id, cover.header.instrument_index) == (8, NO_INSTRUMENT)
    assert fee.header.flags & cover.header.flags & FLAG_LIQUIDATION
