"""python-binance, pointed at the simulated exchange by base URL only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

binance = pytest.importorskip("binance", reason="python-binance is not installed (extra `rivals`)")
pytestmark = pytest.mark.processes
WAIT_S = 15.0


@asynccontextmanager
async def open_client(exchange: Any) -> AsyncIterator[Any]:
    class Client(binance.AsyncClient):  # type: ignore[misc,name-defined]
        API_URL = f"http://{exchange.spot}/api"
        MARGIN_API_URL = f"http://{exchange.spot}/sapi"
        FUTURES_URL = f"http://{exchange.usdm}/fapi"
        WS_API_URL = f"ws://{exchange.spot}/ws-api/v3"
        WS_FUTURES_URL = f"ws://{exchange.usdm}/ws-fapi/v1"

    client = await Client.create(exchange.key, exchange.secret)
    try:
        yield client
    finally:
        await client.close_connection()


def sockets(client: Any, exchange: Any) -> Any:
    class Sockets(binance.BinanceSocketManager):  # type: ignore[misc,name-defined]
        STREAM_URL = f"ws://{exchange.spot}/"
        FSTREAM_URL = f"ws://{exchange.usdm}/"

    return Sockets(client)


async def hear(socket: Any, wanted: Any) -> Any:
    """The first message that `wanted` likes."""
    async with asyncio.timeout(WAIT_S):
        while True:
            message = await socket.recv()
            if wanted(message):
                return message


def test_spot_symbols_order_and_account(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange) as client:
            info = await client.get_exchange_info()
            assert {"BTCUSDT", "ETHUSDT"} <= {row["symbol"] for row in info["symbols"]}
            depth = await client.get_order_book(symbol="BTCUSDT", limit=5)
            price = f"{float(depth['bids'][0][0]) * 0.95:.2f}"
            order = await client.order_limit_buy(symbol="BTCUSDT", quantity="0.001", price=price)
            found = await client.get_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert found["status"] == "NEW"
            assert order["orderId"] in [row["orderId"] for row in await client.get_open_orders(symbol="BTCUSDT")]
            gone = await client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert gone["status"] == "CANCELED"
            bought = await client.order_market_buy(symbol="BTCUSDT", quantity="0.001")
            assert bought["status"] == "FILLED"
            assert any(row["asset"] == "USDT" for row in (await client.get_account())["balances"])
            with pytest.raises(binance.exceptions.BinanceAPIException) as refusal:
                await client.order_limit_buy(symbol="BTCUSDT", quantity="0.001", price="1.001")
            assert refusal.value.code == -1013

    asyncio.run(story())


def test_spot_streams_and_user_events(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange) as client:
            manager = sockets(client, exchange)
            async with manager.depth_socket("BTCUSDT") as depth:
                assert (await hear(depth, lambda row: row.get("e") == "depthUpdate"))["s"] == "BTCUSDT"
            async with manager.multiplex_socket(["btcusdt@bookTicker", "ethusdt@trade"]) as streams:
                assert (await hear(streams, lambda row: row["stream"] == "btcusdt@bookTicker"))["data"]["s"] == "BTCUSDT"
            async with manager.user_socket() as user:
                order = await client.order_market_buy(symbol="BTCUSDT", quantity="0.001")
                trade = await hear(user, lambda row: row["e"] == "executionReport" and row["x"] == "TRADE")
                assert trade["i"] == order["orderId"]
                assert (await hear(user, lambda row: row["e"] == "outboundAccountPosition"))["B"]

    asyncio.run(story())


def test_spot_orders_over_the_websocket_api(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange) as client:
            depth = await client.ws_get_order_book(symbol="BTCUSDT", limit=5)
            price = f"{float(depth['bids'][0][0]) * 0.95:.2f}"
            order = await client.ws_create_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.001", price=price
            )
            assert (await client.ws_get_order(symbol="BTCUSDT", orderId=order["orderId"]))["status"] == "NEW"
            gone = await client.ws_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert gone["status"] == "CANCELED"

    asyncio.run(story())


def test_futures_symbols_order_and_account(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange) as client:
            info = await client.futures_exchange_info()
            assert {"BTCUSDT", "ETHUSDT"} <= {row["symbol"] for row in info["symbols"]}
            assert (await client.futures_change_leverage(symbol="BTCUSDT", leverage=10))["leverage"] == 10
            depth = await client.futures_order_book(symbol="BTCUSDT", limit=5)
            price = f"{float(depth['bids'][0][0]) * 0.97:.1f}"
            order = await client.futures_create_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.005", price=price
            )
            assert (await client.futures_get_order(symbol="BTCUSDT", orderId=order["orderId"]))["status"] == "NEW"
            assert order["orderId"] in [row["orderId"] for row in await client.futures_get_open_orders(symbol="BTCUSDT")]
            gone = await client.futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert gone["status"] == "CANCELED"
            sold = await client.futures_create_order(
                symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.005", newOrderRespType="RESULT"
            )
            assert sold["status"] == "FILLED"
            position = next(row for row in await client.futures_position_information(symbol="BTCUSDT"))
            assert float(position["positionAmt"]) < 0
            assert (await client.futures_account())["assets"]
            assert (await client.futures_mark_price(symbol="BTCUSDT"))["markPrice"]
            await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.005", reduceOnly="true")
            with pytest.raises(binance.exceptions.BinanceAPIException) as refusal:
                await client.futures_create_order(
                    symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.005", reduceOnly="true"
                )
            assert refusal.value.code == -2022

    asyncio.run(story())


def test_futures_streams_and_user_events(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange) as client:
            manager = sockets(client, exchange)
            async with manager.symbol_mark_price_socket("BTCUSDT") as marks:
                message = await hear(marks, lambda row: row.get("data", row).get("e") == "markPriceUpdate")
                assert message.get("data", message)["s"] == "BTCUSDT"
            async with manager.futures_depth_socket("BTCUSDT") as depth:
                assert await hear(depth, lambda row: row.get("data", row).get("e") == "depthUpdate")
            async with manager.futures_user_socket() as user:
                await asyncio.sleep(0.1)  # The client says it is connected a moment before it is.
                order = await client.futures_create_order(symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.005")
                update = await hear(user, lambda row: row["e"] == "ORDER_TRADE_UPDATE" and row["o"]["x"] == "TRADE")
                assert update["o"]["i"] == order["orderId"]
            await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.005")

    asyncio.run(story())


def test_futures_orders_over_the_websocket_api(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange) as client:
            depth = await client.ws_futures_get_order_book(symbol="BTCUSDT", limit=5)
            price = f"{float(depth['bids'][0][0]) * 0.97:.1f}"
            order = await client.ws_futures_create_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.005", price=price
            )
            assert (await client.ws_futures_get_order(symbol="BTCUSDT", orderId=order["orderId"]))["status"] == "NEW"
            gone = await client.ws_futures_cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
            assert gone["status"] == "CANCELED"
            assert await client.ws_futures_account_balance()

    asyncio.run(story())
