"""What comes back: queries, fills, private events."""

import pytest
from engine_stand import MS, SPOT, USDM, Stand, execution, name_of, order_row, placed, refusal

from reactor.domain.messages import (
    FLAG_FOREIGN,
    FLAG_REPLAYED,
    OrderStatus,
    ReportKind,
    text_of,
)

# ---- queries


def test_a_query_answers_with_the_venues_view(stand: Stand) -> None:
    client_order_id = placed(stand)
    request_id = stand.query(SPOT, client_order_id)
    stand.work()
    connection, request = stand.sent(SPOT)[0]
    connection.say({"id": request["id"], "status": 200, "result": order_row(client_order_id, "PARTIALLY_FILLED", "0.00100")})
    [report] = stand.reports_now()
    assert (report.header.kind, report.request_id) == (ReportKind.ORDER_STATE, request_id)
    assert (report.order_status, report.cumulative_lots) == (OrderStatus.PARTIALLY_FILLED, 100)
    assert report.header.flags & FLAG_REPLAYED


def test_not_found_is_said_only_when_the_venue_said_it(stand: Stand) -> None:
    client_order_id = placed(stand, USDM)
    stand.query(USDM, client_order_id)
    stand.work()
    for connection, request in stand.sent(USDM):
        connection.say(refusal(request, -2013, "Order does not exist."))
    assert stand.kinds() == ["ORDER_NOT_FOUND"]
    stand.query(USDM, client_order_id)
    stand.work()
    for connection, _ in stand.sent(USDM):
        connection.lose()
    assert "ORDER_NOT_FOUND" not in stand.kinds()


def test_before_spot_says_not_found_the_cancels_own_id_is_asked_for(stand: Stand) -> None:
    client_order_id = "ct0000100000099"  # placed and cancelled by an earlier run
    stand.query(SPOT, client_order_id)
    stand.work()
    for connection, request in stand.sent(SPOT):
        connection.say(refusal(request, -2013, "Order does not exist."))
    assert stand.kinds() == []
    connection, request = stand.sent(SPOT)[0]
    assert request["params"]["origClientOrderId"] == client_order_id + "c"
    connection.say({"id": request["id"], "status": 200, "result": order_row(client_order_id + "c", "CANCELED")})
    [report] = stand.reports_now()
    assert (report.header.kind, report.order_status) == (ReportKind.ORDER_STATE, OrderStatus.CANCELLED)
    assert name_of(report) == client_order_id


def test_an_order_known_only_by_the_venues_id_can_be_asked_for(stand: Stand) -> None:
    stand.query(SPOT, "", venue_order_id=28)
    stand.work()
    connection, request = stand.sent(SPOT)[0]
    assert request["params"]["orderId"] == 28
    connection.say({"id": request["id"], "status": 200, "result": order_row("ct0000100000007c", "CANCELED")})
    [report] = stand.reports_now()
    assert name_of(report) == "ct0000100000007"
    assert report.header.order_id == 1 << 40 | 7


# ---- fills and events


def test_a_fill_carries_trade_fee_and_the_decision(stand: Stand) -> None:
    client_order_id = placed(stand)
    fill = {"X": "PARTIALLY_FILLED", "l": "0.00100000", "z": "0.00100000", "L": "61234.50000000", "t": 56}
    fill |= {"n": "0.00000100", "N": "BTC", "m": True}
    stand.user_stream(SPOT).say(execution(client_order_id, "TRADE", **fill))
    [report] = stand.reports_now()
    assert report.header.kind == ReportKind.FILL
    assert (report.trade_id, report.price_ticks, report.quantity_lots, report.cumulative_lots) == (56, 6_123_450, 100, 100)
    assert (report.fee_e8, text_of(report.asset)) == (100, "BTC")
    assert report.header.signal_id == 77
    assert report.header.exchange_ns == 1_700_000_000_500 * MS


def test_somebody_elses_order_is_marked_foreign(stand: Stand) -> None:
    stand.user_stream(SPOT).say(execution("web_abc", "NEW"))
    [report] = stand.reports_now()
    assert report.header.flags & FLAG_FOREIGN
    assert report.header.order_id == 0


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b'{"e":"executionReport"}', b'{"e":"new thing"}', b'{"e":12}', b"\xff\xfe"]
)
def test_a_frame_that_nobody_understands_is_counted_and_harms_nothing(stand: Stand, frame: bytes) -> None:
    stand.user_stream(USDM).say(frame)
    stand.order_sessions(SPOT)[0].say(frame)
    assert stand.kinds() == []
    client_order_id = placed(stand)
    stand.user_stream(SPOT).say(execution(client_order_id, "EXPIRED"))
    assert stand.kinds() == ["EXPIRED"]
