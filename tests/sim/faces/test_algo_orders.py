"""Conditional orders: they wait, a price releases them, and the account hears of every step."""

from typing import Any

import orjson

Client = Any


def place(client: Client, **params: Any) -> Any:
    fields = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.010"}
    return client.signed("POST", "v1/algoOrder", **{**fields, **params})


def listen(client: Client) -> Any:
    key = orjson.loads(client.raw("POST", "v1/listenKey").body)["listenKey"]
    return client.open(f"/private/ws/{key}")


def steps(socket: Any) -> list[str]:
    return [frame["o"]["X"] for frame in socket.take() if frame["e"] == "ALGO_UPDATE"]


def test_a_stop_becomes_a_market_order_when_the_price_comes(usdm: Client) -> None:
    socket = listen(usdm)
    order = place(usdm, triggerPrice="59000", clientAlgoId="guard")
    assert (order["algoStatus"], order["clientAlgoId"], order["triggerPrice"]) == ("NEW", "guard", "59000.00")
    usdm.trade("BTCUSDT", 595_000, 1)
    usdm.flush()
    assert steps(socket) == ["NEW"]
    usdm.trade("BTCUSDT", 590_000, 1, buyer_is_maker=True)
    usdm.flush()
    assert steps(socket) == ["TRIGGERED", "FINISHED"]
    found = usdm.signed("GET", "v1/algoOrder", algoId=order["algoId"])
    assert found["algoStatus"] == "FINISHED"
    real = usdm.signed("GET", "v1/order", symbol="BTCUSDT", orderId=found["actualOrderId"])
    assert (real["type"], real["status"]) == ("MARKET", "FILLED")


def test_a_take_profit_looks_the_other_way(usdm: Client) -> None:
    order = place(usdm, type="TAKE_PROFIT_MARKET", triggerPrice="60500")
    usdm.trade("BTCUSDT", 605_000, 1)
    usdm.flush()
    assert usdm.signed("GET", "v1/algoOrder", algoId=order["algoId"])["algoStatus"] == "FINISHED"


def test_a_trailing_stop_follows_the_best_price(usdm: Client) -> None:
    order = place(usdm, type="TRAILING_STOP_MARKET", callbackRate="1")
    for ticks in (600_000, 610_000, 604_100):
        usdm.trade("BTCUSDT", ticks, 1)
    usdm.flush()
    assert usdm.signed("GET", "v1/algoOrder", algoId=order["algoId"])["algoStatus"] == "NEW"
    usdm.trade("BTCUSDT", 603_900, 1)
    usdm.flush()
    assert usdm.signed("GET", "v1/algoOrder", algoId=order["algoId"])["algoStatus"] == "FINISHED"


def test_waiting_orders_are_listed_and_cancelled(usdm: Client) -> None:
    order = place(usdm, triggerPrice="59000")
    assert [row["algoId"] for row in usdm.signed("GET", "v1/openAlgoOrders")] == [order["algoId"]]
    gone = usdm.signed("DELETE", "v1/algoOrder", algoId=order["algoId"])
    assert (gone["code"], gone["msg"]) == ("200", "success")
    assert usdm.signed("DELETE", "v1/algoOrder", algoId=order["algoId"])["code"] == -2011
    assert usdm.signed("GET", "v1/algoOrder", algoId=1)["code"] == -2013
    place(usdm, triggerPrice="59000")
    usdm.signed("DELETE", "v1/algoOpenOrders", symbol="BTCUSDT")
    assert usdm.signed("GET", "v1/openAlgoOrders") == []


def test_an_order_that_would_trigger_at_once_is_refused(usdm: Client) -> None:
    assert place(usdm, triggerPrice="61000")["code"] == -2021
    assert place(usdm, type="LIMIT", triggerPrice="59000")["code"] == -1116
    assert place(usdm)["code"] == -1102
