"""What Binance answers, read."""

import orjson
import pytest
from binance_codec import IDS, OURS, USDM, codec

from reactor.domain.errors import RemoteProtocolError
from reactor.domain.messages import FLAG_FOREIGN, FLAG_LIQUIDATION, OrderStatus, TimeInForce, new
from reactor.exchanges.binance.answers import read_permissions, status_of


def test_an_order_that_our_cancel_has_renamed_is_known_by_its_own_id() -> None:
    orders = codec()
    assert orders.original(OURS + "c", IDS) == OURS
    assert orders.original(OURS, IDS) == OURS
    assert orders.original("web_c", IDS) == "web_c"
    assert codec(USDM).renamed(OURS) == ""


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b'{"id":3,"status":200,"result":{"orderId":28}}', (3, 200, 0, False)),
        (b'{"id":3,"status":400,"error":{"code":-2010,"msg":"no"}}', (3, 400, -2010, False)),
        (b'{"id":3,"status":500}', (3, 500, 0, False)),
        (b'{"id":null,"status":400,"error":{"code":-1135,"msg":"Invalid JSON Request"}}', (-1, 400, -1135, False)),
        (b'{"id":"x","status":200,"result":{}}', (-1, 200, 0, False)),
        (b'{"event":{"e":"serverShutdown","E":1}}', (-1, 0, 0, True)),
        (b'{"subscriptionId":0,"event":{"e":"executionReport"}}', (-1, 0, 0, True)),
        (b"{", (-1, 0, 0, False)),
        (b"[]", (-1, 0, 0, False)),
        (b"\xff", (-1, 0, 0, False)),
    ],
)
def test_every_frame_of_the_order_socket_is_told_apart(frame: bytes, expected: tuple[int, int, int, bool]) -> None:
    answer = codec().read_answer(memoryview(frame))
    assert (answer.request_number, answer.status, answer.error_code, answer.is_event) == expected


def test_retry_after_is_an_epoch_on_the_socket_and_a_delay_over_rest() -> None:
    error = {"code": -1003, "msg": "Too much…", "data": {"serverTime": 5, "retryAfter": 1660801740000}}
    on_socket = codec().read_answer(orjson.dumps({"id": 1, "status": 429, "error": error}))
    assert on_socket.retry_at_ms == 1660801740000
    over_rest = codec().read_response(429, {"retry-after": "7"}, b'{"code":-1003,"msg":"Too much"}', 1_000_000)
    assert over_rest.retry_at_ms == 1_007_000


def test_success_of_futures_carries_a_code_and_is_no_error() -> None:
    assert codec(USDM).read_response(200, {}, b'{"code":200,"msg":"success"}', 0).status == 200


def test_a_rest_body_that_is_not_json_is_no_success() -> None:
    assert codec().read_response(200, {}, b"<html>", 0).status == 0
    assert codec().read_response(403, {}, b"<html>", 0).status == 403


def test_a_full_futures_answer_fills_the_report() -> None:
    row = {"orderId": 22542179, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": "testOrder", "price": "30000.5"}
    row |= {
        "origQty": "20",
        "executedQty": "10",
        "timeInForce": "GTX",
        "type": "LIMIT",
        "side": "SELL",
        "updateTime": 1566818724722,
    }
    report = new("report")
    assert codec(USDM).write_order(row, report) == OrderStatus.NEW
    assert (report.venue_order_id, report.price_ticks, report.quantity_lots, report.cumulative_lots) == (22542179, 60001, 2, 1)
    assert (report.side, report.time_in_force) == (-1, TimeInForce.POST_ONLY)
    assert report.header.exchange_ns == 1566818724722 * 10**6


def test_an_order_of_the_venues_own_is_told_apart_from_a_strangers_when_it_is_asked_about() -> None:
    # A forced close that happened while the stream was down is found in the list of fills, and its order is asked about.
    answer = {"orderId": 9, "clientOrderId": "autoclose-1700000000000", "symbol": "BTCUSDT", "status": "FILLED", "side": "BUY",
              "type": "LIMIT", "timeInForce": "IOC", "origQty": "20", "executedQty": "20", "price": "0",
              "updateTime": 1}  # fmt: skip
    report = new("report")
    report.header.flags = FLAG_FOREIGN
    codec(USDM).write_order(answer, report)
    assert report.header.flags & (FLAG_LIQUIDATION | FLAG_FOREIGN) == FLAG_LIQUIDATION


def test_a_status_nobody_knows_is_a_protocol_error() -> None:
    with pytest.raises(RemoteProtocolError):
        status_of("HALF_FILLED")


def test_withdrawal_permission_is_told_where_the_venue_tells_it() -> None:
    assert read_permissions({"canTrade": True, "canWithdraw": True}).can_withdraw
    assert not read_permissions({"assets": []}).is_known
