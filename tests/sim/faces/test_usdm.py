"""Binance USD-M as its clients see it: REST shapes and types, the path split of streams, listen keys and user events."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

Client = Any


def place(client: Client, **params: Any) -> Any:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "59000"}
    return client.signed("POST", "v1/order", **{**fields, **params})


def market(client: Client, side: str, quantity: str, **params: Any) -> Any:
    fields = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": quantity}
    return client.signed("POST", "v1/order", **{**fields, **params})


def test_exchange_info_has_the_futures_filters(usdm: Client) -> None:
    info = usdm.ask("GET", "v1/exchangeInfo")
    row = info["symbols"][0]
    filters = {item["filterType"]: item for item in row["filters"]}
    assert filters["PRICE_FILTER"] == {
        "filterType": "PRICE_FILTER",
        "minPrice": "556.80",
        "maxPrice": "4529764",
        "tickSize": "0.10",
    }
    assert filters["MIN_NOTIONAL"] == {"filterType": "MIN_NOTIONAL", "notional": "100"}
    assert filters["MAX_NUM_ORDERS"]["limit"] == 200
    assert row["contractType"] == "PERPETUAL"
    assert row["liquidationFee"] == "0.012500"
    assert [limit["limit"] for limit in info["rateLimits"]] == [2400, 1200, 300]


def test_depth_has_event_and_transaction_time(usdm: Client) -> None:
    depth = usdm.ask("GET", "v1/depth", symbol="BTCUSDT", limit=5)
    assert list(depth) == ["lastUpdateId", "E", "T", "bids", "asks"]
    assert depth["bids"][0] == ["60000.00", "5.000"]
    assert usdm.ask("GET", "v1/depth", symbol="BTCUSDT", limit=7)["code"] == -4021


def test_the_premium_index_is_one_object_or_all(usdm: Client) -> None:
    usdm.wait(1100)
    row = usdm.ask("GET", "v1/premiumIndex", symbol="BTCUSDT")
    assert list(row) == [
        "symbol", "markPrice", "indexPrice", "estimatedSettlePrice", "lastFundingRate", "interestRate", "nextFundingTime",
        "time",
    ]  # fmt: skip
    assert len(usdm.ask("GET", "v1/premiumIndex")) == 2


def test_an_order_answers_in_the_classic_shape_with_its_own_types(usdm: Client) -> None:
    answer = place(usdm, newClientOrderId="mine")
    assert answer["status"] == "NEW"
    assert (answer["reduceOnly"], answer["closePosition"], answer["priceProtect"]) == (False, False, False)
    assert (answer["price"], answer["origQty"], answer["executedQty"]) == ("59000.00", "0.010", "0.000")
    assert answer["goodTillDate"] == 0
    assert isinstance(answer["updateTime"], int)
    found = usdm.signed("GET", "v1/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert isinstance(found["time"], int)
    gone = usdm.signed("DELETE", "v1/order", symbol="BTCUSDT", orderId=answer["orderId"])
    assert (gone["status"], gone["clientOrderId"]) == ("CANCELED", "mine")


def test_a_market_order_acks_new_and_results_filled(usdm: Client) -> None:
    ack = market(usdm, "BUY", "0.010")
    assert (ack["status"], ack["executedQty"]) == ("NEW", "0.000")
    result = market(usdm, "BUY", "0.010", newOrderRespType="RESULT")
    assert (result["status"], result["executedQty"], result["avgPrice"]) == ("FILLED", "0.010", "60001.00000")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"type": "STOP_MARKET", "stopPrice": "61000"}, -4120),
        ({"price": "60001", "timeInForce": "GTX"}, -5022),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"price": "59000.05"}, -4014),
        ({"quantity": "0.001"}, -4164),
        ({"symbol": "NOPE"}, -1121),
        ({"reduceOnly": "true"}, -2022),
    ],
    ids=["conditional", "post only would take", "long id", "off tick", "too small", "unknown symbol", "nothing to reduce"],
)
def test_refusals_have_the_venues_codes(usdm: Client, params: dict[str, str], code: int) -> None:
    assert place(usdm, **params)["code"] == code


def test_a_duplicate_id_is_refused_with_the_futures_code(usdm: Client) -> None:
    place(usdm, newClientOrderId="twice")
    assert place(usdm, newClientOrderId="twice")["code"] == -4116


def test_a_batch_answers_each_order_for_itself(usdm: Client) -> None:
    good = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.010", "price": "59000"}
    rows = orjson.dumps([good, {**good, "symbol": "NOPE"}]).decode()
    first, second = usdm.signed("POST", "v1/batchOrders", batchOrders=rows)
    assert first["status"] == "NEW"
    assert second == {"code": -1121, "msg": "Invalid symbol."}
    ids = orjson.dumps([first["orderId"], 4711]).decode()
    gone, unknown = usdm.signed("DELETE", "v1/batchOrders", symbol="BTCUSDT", orderIdList=ids)
    assert gone["status"] == "CANCELED"
    assert unknown["code"] == -2011
    assert usdm.signed("POST", "v1/batchOrders", batchOrders="[]")["code"] == -4082


def test_cancelling_everything_answers_with_a_code_of_success(usdm: Client) -> None:
    place(usdm)
    assert usdm.signed("DELETE", "v1/allOpenOrders", symbol="BTCUSDT") == {
        "code": 200,
        "msg": "The operation of cancel all open order is done.",
    }
    assert usdm.signed("GET", "v1/openOrders") == []


def test_a_countdown_cancels_unless_it_is_renewed(usdm: Client) -> None:
    place(usdm)
    answer = usdm.signed("POST", "v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=1000)
    assert answer == {"symbol": "BTCUSDT", "countdownTime": "1000"}
    usdm.wait(1100)
    assert usdm.signed("GET", "v1/openOrders", symbol="BTCUSDT") == []


def test_positions_differ_between_versions(usdm: Client) -> None:
    market(usdm, "SELL", "0.010")
    v2 = usdm.signed("GET", "v2/positionRisk")
    assert [row["symbol"] for row in v2] == ["BTCUSDT", "ETHUSDT"]
    assert (v2[0]["positionAmt"], v2[0]["marginType"], v2[0]["leverage"]) == ("-0.010", "cross", "20")
    (v3,) = usdm.signed("GET", "v3/positionRisk")
    assert v3["positionAmt"] == "-0.010"
    assert isinstance(v3["adl"], int)
    assert "leverage" not in v3
    (trade,) = usdm.signed("GET", "v1/userTrades", symbol="BTCUSDT")
    assert (trade["side"], trade["buyer"], trade["maker"]) == ("SELL", False, False)


def test_the_account_has_flags_only_in_version_2(usdm: Client) -> None:
    v2, v3 = usdm.signed("GET", "v2/account"), usdm.signed("GET", "v3/account")
    assert v2["canTrade"] is True
    assert "canTrade" not in v3
    assert v2["totalWalletBalance"] == "100000.00000000"
    assert v3["positions"] == []
    (balance,) = usdm.signed("GET", "v3/balance")
    assert (balance["asset"], balance["marginAvailable"]) == ("USDT", True)


def test_account_settings_answer_as_the_venue(usdm: Client) -> None:
    assert usdm.signed("POST", "v1/leverage", symbol="BTCUSDT", leverage=21)["leverage"] == 21
    assert usdm.signed("POST", "v1/marginType", symbol="BTCUSDT", marginType="CROSSED")["code"] == -4046
    assert usdm.signed("POST", "v1/marginType", symbol="BTCUSDT", marginType="ISOLATED") == {"code": 200, "msg": "success"}
    assert usdm.signed("GET", "v1/positionSide/dual") == {"dualSidePosition": False}
    assert usdm.signed("POST", "v1/positionSide/dual", dualSidePosition="false")["code"] == -4059
    assert usdm.signed("GET", "v1/symbolConfig", symbol="BTCUSDT")[0]["marginType"] == "ISOLATED"
    assert usdm.signed("GET", "v1/accountConfig")["dualSidePosition"] is False
    assert usdm.signed("GET", "v1/commissionRate", symbol="BTCUSDT")["takerCommissionRate"] == "0.000500"
    assert usdm.signed("GET", "v1/leverageBracket", symbol="BTCUSDT")[0]["brackets"][0]["initialLeverage"] == 125


def test_an_unknown_path_says_so_in_json(usdm: Client) -> None:
    answer = usdm.raw("GET", "v1/account")
    assert answer.status == 404
    assert orjson.loads(answer.body)["code"] == -5000


# --- streams


def test_a_stream_of_the_wrong_category_is_acknowledged_and_silent(usdm: Client) -> None:
    public, market_path = usdm.open("/public/ws"), usdm.open("/market/ws")
    for socket in (public, market_path):
        usdm.say(socket, {"method": "SUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@aggTrade", "nonsense@x"], "id": 1})
        assert socket.take() == [{"result": None, "id": 1}]
    usdm.trade("BTCUSDT", 600_010, 7)
    usdm.wait(200)
    assert {row["e"] for row in public.take()} == {"trade"}
    assert {row["e"] for row in market_path.take()} == {"aggTrade"}


def test_an_unrouted_path_behaves_as_public(usdm: Client, make_usdm: Callable[..., Client]) -> None:
    socket = usdm.open("/stream", streams="btcusdt@bookTicker/btcusdt@markPrice@1s")
    usdm.book("BTCUSDT", [(600_000, 4_000)], [])
    usdm.wait(1100)
    assert {row["stream"] for row in socket.take()} == {"btcusdt@bookTicker"}
    generous = make_usdm(unrouted_serves_all=True)
    socket = generous.open("/ws/btcusdt@markPrice@1s")
    generous.wait(1100)
    assert {row["e"] for row in socket.take()} == {"markPriceUpdate"}


def test_depth_is_chained_by_pu_and_has_gaps_in_its_ids(usdm: Client) -> None:
    socket = usdm.open("/public/ws/btcusdt@depth@0ms")
    for lots in (10, 20):
        usdm.book("BTCUSDT", [(599_000, lots)], [])
        usdm.wait(100)
    first, second = socket.take()
    assert list(first)[:9] == ["e", "E", "T", "s", "U", "u", "pu", "b", "a"]
    assert second["pu"] == first["u"]


def test_mark_prices_come_alone_and_as_an_array(usdm: Client) -> None:
    alone, together = usdm.open("/market/ws/btcusdt@markPrice@1s"), usdm.open("/market/ws/!markPrice@arr@1s")
    usdm.wait(1100)
    assert alone.take()[0]["s"] == "BTCUSDT"
    assert [row["s"] for row in together.take()[0]] == ["BTCUSDT", "ETHUSDT"]


# --- user streams


@pytest.mark.parametrize("form", ["path", "old path", "query", "subscribe", "combined"])
def test_user_events_come_under_the_listen_key(usdm: Client, form: str) -> None:
    key = orjson.loads(usdm.raw("POST", "v1/listenKey").body)["listenKey"]
    if form == "path":
        socket = usdm.open(f"/private/ws/{key}")
    elif form == "old path":
        socket = usdm.open(f"/ws/{key}")
    elif form == "query":
        socket = usdm.open("/private/ws", listenKey=key)
    else:
        socket = usdm.open("/private/stream" if form == "combined" else "/private/ws")
        usdm.say(socket, {"method": "SUBSCRIBE", "params": [key], "id": "7f1c"})
        assert socket.take() == [{"result": None, "id": "7f1c"}]
    market(usdm, "BUY", "0.010")
    usdm.flush()
    frames = socket.take()
    if form == "combined":
        assert {frame["stream"] for frame in frames} == {key}
        frames = [frame["data"] for frame in frames]
    names = [frame["e"] for frame in frames]
    assert names.index("TRADE_LITE") < max(index for index, name in enumerate(names) if name == "ORDER_TRADE_UPDATE")
    assert "ACCOUNT_UPDATE" in names
    new, trade = (frame["o"] for frame in frames if frame["e"] == "ORDER_TRADE_UPDATE")
    assert (new["x"], new["X"], new["t"], new["l"]) == ("NEW", "NEW", 0, "0")
    assert "N" not in new
    assert (trade["x"], trade["X"], trade["l"], trade["N"]) == ("TRADE", "FILLED", "0.010", "USDT")
    lite = next(frame for frame in frames if frame["e"] == "TRADE_LITE")
    assert lite["t"] == trade["t"]
    account = next(frame["a"] for frame in frames if frame["e"] == "ACCOUNT_UPDATE")
    assert (account["m"], account["P"][0]["pa"]) == ("ORDER", "0.010")


def test_events_is_an_allow_list(usdm: Client) -> None:
    key = orjson.loads(usdm.raw("POST", "v1/listenKey").body)["listenKey"]
    socket = usdm.open("/private/ws", listenKey=key, events="ACCOUNT_UPDATE")
    market(usdm, "BUY", "0.010")
    usdm.flush()
    assert {frame["e"] for frame in socket.take()} == {"ACCOUNT_UPDATE"}


def test_a_listen_key_is_the_same_until_it_expires(make_usdm: Callable[..., Client]) -> None:
    usdm = make_usdm(listen_key_life_ms=1000)
    key = orjson.loads(usdm.raw("POST", "v1/listenKey").body)["listenKey"]
    assert orjson.loads(usdm.raw("POST", "v1/listenKey").body) == {"listenKey": key}
    told, untold = usdm.open(f"/private/ws/{key}"), usdm.open("/private/ws", listenKey=key, events="ACCOUNT_UPDATE")
    usdm.wait(1100)
    (message,) = told.take()
    assert (message["e"], message["listenKey"]) == ("listenKeyExpired", key)
    assert untold.take() == []
    answer = usdm.raw("PUT", "v1/listenKey")
    assert (answer.status, orjson.loads(answer.body)["code"]) == (400, -1125)


def test_a_bad_listen_key_completes_the_handshake(usdm: Client) -> None:
    assert usdm.open("/private/ws/nobody").take() == []


def test_a_funding_fee_of_a_cross_position_has_no_positions(usdm: Client) -> None:
    market(usdm, "SELL", "0.010")
    key = orjson.loads(usdm.raw("POST", "v1/listenKey").body)["listenKey"]
    usdm.wait(1100)
    mark = usdm.ask("GET", "v1/premiumIndex", symbol="BTCUSDT")
    usdm.now_ns = mark["nextFundingTime"] * 1_000_000 - 1_000_000_000
    usdm.raw("PUT", "v1/listenKey")
    socket = usdm.open(f"/private/ws/{key}")
    usdm.wait(2000)
    (fee,) = [frame["a"] for frame in socket.take() if frame["e"] == "ACCOUNT_UPDATE"]
    assert fee["m"] == "FUNDING_FEE"
    assert "P" not in fee
    assert float(fee["B"][0]["bc"]) > 0
    assert fee["S"] == "BTCUSDT"
    (row,) = usdm.signed("GET", "v1/income", incomeType="FUNDING_FEE")
    assert row["income"].startswith(fee["B"][0]["bc"])


# --- WebSocket API


def test_orders_by_message_and_listen_keys_by_message(usdm: Client) -> None:
    socket = usdm.open("/ws-fapi/v1")
    params = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": "59000.0",
        "quantity": "0.010",
    }
    placed = usdm.call(socket, "order.place", params, signed=True)
    assert placed["status"] == 200
    order_id = placed["result"]["orderId"]
    fields = {"symbol": "BTCUSDT", "orderId": order_id}
    changed = usdm.call(socket, "order.modify", {**fields, "side": "BUY", "price": "58000.0", "quantity": "0.010"}, signed=True)
    assert changed["result"]["price"] == "58000.00"
    assert usdm.call(socket, "order.status", fields, signed=True)["result"]["price"] == "58000.00"
    assert usdm.call(socket, "order.cancel", fields, signed=True)["result"]["status"] == "CANCELED"
    assert usdm.call(socket, "userDataStream.start", {"apiKey": usdm.key})["result"]["listenKey"]
    for method in ("account.balance", "v2/account.balance", "account.status", "v2/account.status", "account.position"):
        assert usdm.call(socket, method, signed=True)["status"] == 200
    missing = usdm.call(socket, "order.place", {**params, "quantity": None}, signed=False)
    assert missing["error"]["code"] == -2014


def test_an_hmac_key_cannot_log_on(usdm: Client) -> None:
    socket = usdm.open("/ws-fapi/v1")
    assert usdm.call(socket, "session.logon", signed=True)["error"]["code"] == -4056
