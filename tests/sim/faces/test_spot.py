"""Binance Spot as its clients see it: REST answers in the venue's order and types, codes and statuses, streams and events."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

Client = Any


def place(client: Client, **params: Any) -> Any:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "59000"}
    return client.signed("POST", "order", **{**fields, **params})


def test_ping_is_empty_and_time_is_an_integer(spot: Client) -> None:
    assert spot.ask("GET", "ping") == {}
    assert spot.ask("GET", "time") == {"serverTime": spot.now_ns // 1_000_000}


def test_times_come_in_microseconds_when_the_header_asks(spot: Client) -> None:
    spot.headers["x-mbx-time-unit"] = "MICROSECOND"
    assert spot.ask("GET", "time") == {"serverTime": spot.now_ns // 1_000}


def test_exchange_info_lists_symbols_limits_and_filters(spot: Client) -> None:
    info = spot.ask("GET", "exchangeInfo")
    assert list(info) == ["timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"]
    assert [row["symbol"] for row in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    assert info["rateLimits"][0] == {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
    filters = {row["filterType"]: row for row in info["symbols"][0]["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert filters["MAX_NUM_ORDERS"]["maxNumOrders"] == 200


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"symbol": "btcusdt"}, -1100),
        ({"symbol": "BTCUSDT", "symbols": '["ETHUSDT"]'}, -1128),
        ({"symbols": "BTCUSDT"}, -1100),
        ({"symbol": "BTCUSDT", "permissions": "SPOT"}, -1128),
    ],
    ids=["unknown", "lower case", "both", "no list", "symbol and permissions"],
)
def test_bad_exchange_info_arguments_are_refused(spot: Client, params: dict[str, str], code: int) -> None:
    assert spot.ask("GET", "exchangeInfo", **params)["code"] == code


def test_exchange_info_narrows_to_what_was_asked(spot: Client) -> None:
    def names(**params: str) -> list[str]:
        return [row["symbol"] for row in spot.ask("GET", "exchangeInfo", **params)["symbols"]]

    assert names(symbol="ETHUSDT") == ["ETHUSDT"]
    assert names(symbols='["ETHUSDT","BTCUSDT"]') == ["ETHUSDT", "BTCUSDT"]
    assert names(permissions="MARGIN") == []
    assert names(symbolStatus="HALT") == []


def test_depth_has_string_levels_and_an_update_id(spot: Client) -> None:
    depth = spot.ask("GET", "depth", symbol="BTCUSDT", limit=5)
    assert list(depth) == ["lastUpdateId", "bids", "asks"]
    assert depth["bids"][0] == ["60000.00000000", "1.00000000"]
    assert depth["asks"][0] == ["60001.00000000", "1.00000000"]


def test_a_price_ticker_is_one_object_or_an_array(spot: Client) -> None:
    assert spot.ask("GET", "ticker/price", symbol="BTCUSDT") == {"symbol": "BTCUSDT", "price": "60001.00000000"}
    assert [row["symbol"] for row in spot.ask("GET", "ticker/bookTicker")] == ["BTCUSDT", "ETHUSDT"]


def test_candles_and_trades_have_the_venues_rows(spot: Client) -> None:
    (row,) = spot.ask("GET", "klines", symbol="BTCUSDT", interval="1m")
    assert len(row) == 12
    assert row[1] == "60001.00000000"
    assert row[8] == 1
    (trade,) = spot.ask("GET", "trades", symbol="BTCUSDT")
    assert trade["price"] == "60001.00000000"
    assert trade["isBestMatch"] is True
    assert spot.ask("GET", "klines", symbol="BTCUSDT", interval="7m")["code"] == -1120


def test_a_resting_limit_order_answers_full_without_fills(spot: Client) -> None:
    answer = place(spot, newClientOrderId="a1")
    assert list(answer) == [
        "symbol", "orderId", "orderListId", "clientOrderId", "transactTime", "price", "origQty", "executedQty",
        "origQuoteOrderQty", "cummulativeQuoteQty", "status", "timeInForce", "type", "side", "workingTime",
        "selfTradePreventionMode", "fills",
    ]  # fmt: skip
    assert answer["clientOrderId"] == "a1"
    assert answer["price"] == "59000.00000000"
    assert answer["status"] == "NEW"
    assert answer["fills"] == []
    assert isinstance(answer["orderId"], int)


def test_the_answer_is_as_long_as_asked(spot: Client) -> None:
    ack = place(spot, newOrderRespType="ACK")
    assert list(ack) == ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]
    assert "fills" not in place(spot, newOrderRespType="RESULT")
    maker = spot.signed("POST", "order", symbol="BTCUSDT", side="BUY", type="LIMIT_MAKER", quantity="0.01", price="59000")
    assert list(maker) == list(ack)


def test_a_market_order_is_filled_with_its_fills(spot: Client) -> None:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5"}
    answer = spot.signed("POST", "order", **fields)
    assert answer["status"] == "FILLED"
    assert answer["price"] == "0.00000000"
    (fill,) = answer["fills"]
    assert fill["price"] == "60001.00000000"
    assert fill["commissionAsset"] == "BTC"
    (trade,) = spot.signed("GET", "myTrades", symbol="BTCUSDT")
    assert trade["id"] == fill["tradeId"]
    assert trade["isBuyer"] is True
    assert trade["isMaker"] is False


def test_an_unknown_parameter_is_counted_and_refused(spot: Client) -> None:
    assert place(spot, reduceOnly="true") == {
        "code": -1104,
        "msg": "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.",
    }
    assert spot.signed("GET", "order", symbol="BTCUSDT", order_id=5)["code"] == -1104


def test_a_cancel_renames_the_order_and_frees_its_id(spot: Client) -> None:
    order = place(spot, newClientOrderId="mine")
    answer = spot.signed("DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine", newClientOrderId="cancel1")
    assert answer["origClientOrderId"] == "mine"
    assert answer["clientOrderId"] == "cancel1"
    assert answer["status"] == "CANCELED"
    assert spot.signed("GET", "order", symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"
    assert place(spot, newClientOrderId="mine")["status"] == "NEW"


def test_an_unknown_order_has_its_own_code_for_asking_and_cancelling(spot: Client) -> None:
    assert spot.signed("GET", "order", symbol="BTCUSDT", origClientOrderId="none") == {
        "code": -2013,
        "msg": "Order does not exist.",
    }
    assert spot.signed("DELETE", "order", symbol="BTCUSDT", orderId=12345) == {"code": -2011, "msg": "Unknown order sent."}
    assert spot.signed("DELETE", "openOrders", symbol="BTCUSDT")["code"] == -2011


def test_a_duplicate_id_is_refused_while_the_first_rests(spot: Client) -> None:
    place(spot, newClientOrderId="twice")
    assert place(spot, newClientOrderId="twice") == {"code": -2010, "msg": "Duplicate order sent."}


def test_open_orders_are_listed_and_cancelled_together(spot: Client) -> None:
    place(spot)
    place(spot)
    rows = spot.signed("GET", "openOrders", symbol="BTCUSDT")
    assert len(rows) == 2
    assert rows[0]["isWorking"] is True
    assert rows[0]["stopPrice"] == "0.00000000"
    assert [row["status"] for row in spot.signed("DELETE", "openOrders", symbol="BTCUSDT")] == ["CANCELED", "CANCELED"]
    assert spot.signed("GET", "openOrders") == []


def test_cancel_replace_tells_both_halves(spot: Client) -> None:
    order = place(spot)
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "58000"}
    good = spot.signed(
        "POST", "order/cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order["orderId"], **fields
    )
    assert (good["cancelResult"], good["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    query = spot.signed_query(cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=order["orderId"], **fields)
    stopped = spot.raw("POST", "order/cancelReplace", query)
    assert stopped.status == 400
    assert orjson.loads(stopped.body) == {
        "code": -2022,
        "msg": "Order cancel-replace failed.",
        "data": {
            "cancelResult": "FAILURE",
            "newOrderResult": "NOT_ATTEMPTED",
            "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
            "newOrderResponse": None,
        },
    }
    query = spot.signed_query(cancelReplaceMode="ALLOW_FAILURE", cancelOrderId=order["orderId"], **fields)
    partial = spot.raw("POST", "order/cancelReplace", query)
    assert partial.status == 409
    assert orjson.loads(partial.body)["code"] == -2021


def test_an_amend_lowers_the_quantity_and_keeps_the_order(spot: Client) -> None:
    order = place(spot)
    answer = spot.signed("PUT", "order/amend/keepPriority", symbol="BTCUSDT", orderId=order["orderId"], newQty="0.005")
    assert answer["amendedOrder"]["qty"] == "0.00500000"
    assert answer["amendedOrder"]["cumulativeQuoteQty"] == "0.00000000"


def test_the_account_has_the_venues_fields(spot: Client) -> None:
    account = spot.signed("GET", "account")
    assert account["accountType"] == "SPOT"
    assert account["makerCommission"] == 10
    assert {"asset": "USDT", "free": "100000.00000000", "locked": "0.00000000"} in account["balances"]
    commission = spot.signed("GET", "account/commission", symbol="BTCUSDT")
    assert commission["standardCommission"]["taker"] == "0.00100000"


def test_the_retired_listen_key_is_gone(spot: Client) -> None:
    answer = spot.raw("POST", "userDataStream")
    assert answer.status == 410
    assert answer.content_type == "text/html"


def test_an_unknown_path_is_a_page_not_a_traceback(spot: Client) -> None:
    assert spot.raw("GET", "nothing").status == 404


# --- market streams


def test_a_trade_is_told_raw_and_wrapped(spot: Client) -> None:
    raw, combined = spot.open("/ws/btcusdt@trade"), spot.open("/stream", streams="btcusdt@trade/ethusdt@trade")
    spot.trade("BTCUSDT", 6_000_200, 2_000, buyer_is_maker=True)
    spot.flush()
    (message,) = raw.take()
    assert list(message) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
    assert (message["p"], message["q"], message["m"]) == ("60002.00000000", "0.02000000", True)
    assert combined.take() == [{"stream": "btcusdt@trade", "data": message}]


def test_microseconds_are_a_property_of_the_connection(spot: Client) -> None:
    socket = spot.open("/ws/btcusdt@trade", timeUnit="MICROSECOND")
    spot.trade("BTCUSDT", 6_000_200, 2_000)
    spot.flush()
    assert socket.take()[0]["T"] == spot.now_ns // 1_000


def test_a_book_ticker_has_no_time(spot: Client) -> None:
    socket = spot.open("/ws/btcusdt@bookTicker")
    spot.book("BTCUSDT", [(6_000_000, 50_000)], [])
    spot.flush()
    (message,) = socket.take()
    assert list(message) == ["u", "s", "b", "B", "a", "A"]
    assert message["B"] == "0.50000000"


def test_depth_events_are_contiguous_and_absent_when_nothing_changes(spot: Client) -> None:
    socket = spot.open("/ws/btcusdt@depth@100ms")
    spot.wait(200)
    assert socket.take() == []
    for lots in (10_000, 20_000):
        spot.book("BTCUSDT", [(5_999_000, lots)], [])
        spot.wait(100)
    first, second = socket.take()
    assert list(first) == ["e", "E", "s", "U", "u", "b", "a"]
    assert first["b"] == [["59990.00000000", "0.10000000"]]
    assert second["U"] == first["u"] + 1


def test_partial_depth_shows_the_top(spot: Client) -> None:
    socket = spot.open("/ws/btcusdt@depth5@100ms")
    spot.book("BTCUSDT", [(5_999_000, 10_000)], [])
    spot.wait(100)
    (message,) = socket.take()
    assert list(message) == ["lastUpdateId", "bids", "asks"]
    assert len(message["bids"]) == 3


# --- WebSocket API and user events


def test_an_order_by_message_answers_with_its_limits(spot: Client) -> None:
    socket = spot.open("/ws-api/v3")
    params = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": "61000.00",
        "quantity": "0.01",
    }
    answer = spot.call(socket, "order.place", params, signed=True)
    assert list(answer) == ["id", "status", "result", "rateLimits"]
    assert answer["status"] == 200
    assert [(row["rateLimitType"], row["count"]) for row in answer["rateLimits"]] == [
        ("ORDERS", 1),
        ("ORDERS", 1),
        ("REQUEST_WEIGHT", 2),
    ]
    order_id = answer["result"]["orderId"]
    found = spot.call(socket, "v3/order.status", {"symbol": "BTCUSDT", "orderId": order_id}, signed=True)
    assert found["result"]["status"] == "NEW"
    gone = spot.call(socket, "order.cancel", {"symbol": "BTCUSDT", "orderId": order_id}, signed=True)
    assert gone["result"]["status"] == "CANCELED"


def test_rate_limits_can_be_left_out(spot: Client) -> None:
    assert "rateLimits" not in spot.call(spot.open("/ws-api/v3", returnRateLimits="false"), "ping")
    assert "rateLimits" not in spot.call(spot.open("/ws-api/v3"), "ping", {"returnRateLimits": False})
    assert spot.call(spot.open("/ws-api/v3"), "ping")["result"] == {}


def test_a_malformed_frame_has_a_code_and_no_id(spot: Client) -> None:
    socket = spot.open("/ws-api/v3")
    for frame in (b"{", b"[]", b"\xff\xfe", b'{"id":true,"method":"ping"}', b'{"id":1.5,"method":"ping"}'):
        spot.face.on_message(socket, frame, spot.now_ns)
    assert socket.take() == [{"id": None, "status": 400, "error": {"code": -1135, "msg": "Invalid JSON Request"}}] * 5


def test_user_events_come_on_the_same_connection_report_before_balances(spot: Client) -> None:
    socket = spot.open("/ws-api/v3")
    assert spot.call(socket, "userDataStream.subscribe.signature", signed=True)["result"] == {"subscriptionId": 0}
    place(spot, newClientOrderId="mine", price="60001", quantity="0.01")
    spot.flush()
    events = [frame["event"] for frame in socket.take() if frame["subscriptionId"] == 0]
    assert [(event["e"], event.get("x")) for event in events] == [
        ("executionReport", "NEW"),
        ("executionReport", "TRADE"),
        ("outboundAccountPosition", None),
    ]
    report = events[0]
    assert "".join(report) == "eEscSofqpPFgCxXrilzLnNTtIwmMOZYQWV"
    assert report["c"] == "mine"
    assert report["C"] == ""
    assert report["t"] == -1
    assert report["N"] is None
    trade = next(event for event in events if event.get("x") == "TRADE")
    assert trade["n"] == "0.00001000"
    assert trade["N"] == "BTC"
    assert trade["X"] == "FILLED"
    assert trade["w"] is False


def test_one_account_does_not_hear_the_other(spot: Client) -> None:
    socket = spot.open("/ws-api/v3")
    spot.call(socket, "userDataStream.subscribe.signature", signed=True)
    spot.key, spot.secret = "test-key-2", "test-secret-2"
    place(spot)
    spot.flush()
    assert socket.take() == []


def test_a_subscription_is_one_per_account_and_can_be_ended(spot: Client) -> None:
    socket = spot.open("/ws-api/v3")
    assert spot.call(socket, "userDataStream.subscribe")["error"]["code"] == -1193
    spot.call(socket, "userDataStream.subscribe.signature", signed=True)
    assert spot.call(socket, "userDataStream.subscribe.signature", signed=True)["error"]["code"] == -2035
    assert spot.call(socket, "session.subscriptions")["result"] == [{"subscriptionId": 0}]
    assert spot.call(socket, "userDataStream.unsubscribe")["result"] == {}
    assert spot.call(socket, "userDataStream.unsubscribe")["error"]["code"] == -2036


def test_a_shutdown_is_announced(spot: Client) -> None:
    raw, combined, api = spot.open("/ws"), spot.open("/stream"), spot.open("/ws-api/v3")
    spot.face.on_shutdown(spot.now_ns)
    assert raw.take()[0]["e"] == "serverShutdown"
    assert combined.take()[0]["stream"] == "!serverShutdown"
    assert api.take()[0]["event"]["e"] == "serverShutdown"


def test_unfilled_orders_count_and_a_fill_gives_back(spot: Client) -> None:
    place(spot)
    assert spot.signed("GET", "rateLimit/order")[0]["count"] == 1
    place(spot, price="60001")
    spot.flush()
    assert spot.signed("GET", "rateLimit/order")[0]["count"] == 1


def test_lifted_limits_refuse_nothing(make_spot: Callable[..., Client]) -> None:
    client = make_spot(lifted_limits=frozenset({"REQUEST_WEIGHT", "ORDERS"}))
    for _ in range(400):
        assert "code" not in client.ask("GET", "exchangeInfo")
