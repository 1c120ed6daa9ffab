"""ccxt (REST and pro), pointed at the simulated exchange by base URL only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed (extra `rivals`)")
ccxt_pro = pytest.importorskip("ccxt.pro", reason="ccxt is not installed (extra `rivals`)")
pytestmark = pytest.mark.processes
WAIT_S = 20.0


@asynccontextmanager
async def open_client(exchange: Any, kind: str) -> AsyncIterator[Any]:
    options = {"apiKey": exchange.key, "secret": exchange.secret}
    client = ccxt_pro.binance(options) if kind == "spot" else ccxt_pro.binanceusdm(options)
    spot, usdm = f"http://{exchange.spot}", f"http://{exchange.usdm}"
    client.urls["api"] |= {
        "public": f"{spot}/api/v3",
        "private": f"{spot}/api/v3",
        "v1": f"{spot}/api/v1",
        "sapi": f"{spot}/sapi/v1",
        "sapiV2": f"{spot}/sapi/v2",
        "sapiV3": f"{spot}/sapi/v3",
        "fapiPublic": f"{usdm}/fapi/v1",
        "fapiPublicV2": f"{usdm}/fapi/v2",
        "fapiPublicV3": f"{usdm}/fapi/v3",
        "fapiPrivate": f"{usdm}/fapi/v1",
        "fapiPrivateV2": f"{usdm}/fapi/v2",
        "fapiPrivateV3": f"{usdm}/fapi/v3",
        "dapiPublic": f"{usdm}/dapi/v1",
        "dapiPrivate": f"{usdm}/dapi/v1",
        "ws": {
            "spot": f"ws://{exchange.spot}/stream/ws",  # "/stream" is how this client knows a spot URL.
            "margin": f"ws://{exchange.spot}/stream/ws",
            "linear": f"ws://{exchange.usdm}/ws",
            "ws-api": {"spot": f"ws://{exchange.spot}/ws-api/v3", "linear": f"ws://{exchange.usdm}/ws-fapi/v1"},
        },
    }
    try:
        yield client
    finally:
        await client.close()


async def soon(waiting: Any) -> Any:
    async with asyncio.timeout(WAIT_S):
        return await waiting


def test_spot_markets_orders_and_balance(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange, "spot") as client:
            markets = await client.load_markets()
            assert "BTC/USDT" in markets
            book = await client.fetch_order_book("BTC/USDT", 5)
            order = await client.create_order("BTC/USDT", "limit", "buy", 0.001, round(book["bids"][0][0] * 0.95, 2))
            assert (await client.fetch_order(order["id"], "BTC/USDT"))["status"] == "open"
            assert order["id"] in [row["id"] for row in await client.fetch_open_orders("BTC/USDT")]
            assert (await client.cancel_order(order["id"], "BTC/USDT"))["status"] == "canceled"
            assert (await client.create_order("BTC/USDT", "market", "buy", 0.001))["status"] == "closed"
            assert await client.fetch_my_trades("BTC/USDT")
            assert (await client.fetch_balance())["USDT"]["total"] > 0
            assert await client.fetch_ohlcv("BTC/USDT", "1m")
            with pytest.raises(ccxt.OrderNotFound):
                await client.cancel_order("999999999", "BTC/USDT")
            with pytest.raises(ccxt.InsufficientFunds):
                await client.create_order("BTC/USDT", "limit", "buy", 100, round(book["bids"][0][0] * 0.95, 2))

    asyncio.run(story())


def test_spot_streams_and_user_events(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange, "spot") as client:
            await client.load_markets()
            book = await soon(client.watch_order_book("BTC/USDT"))
            book = await soon(client.watch_order_book("BTC/USDT"))
            assert book["bids"][0][0] < book["asks"][0][0]
            assert await soon(client.watch_trades("BTC/USDT"))
            assert (await soon(client.watch_bids_asks(["BTC/USDT"])))["BTC/USDT"]["bid"]
            hearing = asyncio.ensure_future(client.watch_orders("BTC/USDT"))
            await asyncio.sleep(1.0)  # The subscription has no acknowledgement that this client would show.
            order = await client.create_order("BTC/USDT", "limit", "buy", 0.001, round(book["bids"][0][0] * 0.95, 2))
            (heard, *_) = await soon(hearing)
            assert heard["id"] == order["id"]
            placed = await soon(client.create_order_ws("BTC/USDT", "limit", "buy", 0.001, round(book["bids"][0][0] * 0.95, 2)))
            await soon(client.cancel_order_ws(placed["id"], "BTC/USDT"))
            await client.cancel_all_orders("BTC/USDT")

    asyncio.run(story())


def test_futures_markets_orders_and_positions(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange, "usdm") as client:
            assert "BTC/USDT:USDT" in await client.load_markets()
            book = await client.fetch_order_book("BTC/USDT:USDT", 5)
            order = await client.create_order("BTC/USDT:USDT", "limit", "buy", 0.005, round(book["bids"][0][0] * 0.97, 1))
            assert (await client.fetch_order(order["id"], "BTC/USDT:USDT"))["status"] == "open"
            assert (await client.cancel_order(order["id"], "BTC/USDT:USDT"))["status"] == "canceled"
            await client.create_order("BTC/USDT:USDT", "market", "sell", 0.005)
            (position, *_) = await client.fetch_positions(["BTC/USDT:USDT"])
            assert position["side"] == "short"
            assert (await client.fetch_balance())["USDT"]["total"] > 0
            assert (await client.fetch_funding_rate("BTC/USDT:USDT"))["fundingRate"] is not None
            await client.create_order("BTC/USDT:USDT", "market", "buy", 0.005, params={"reduceOnly": True})
            assert await client.set_leverage(7, "BTC/USDT:USDT")

    asyncio.run(story())


def test_futures_streams_and_user_events(exchange: Any) -> None:
    async def story() -> None:
        async with open_client(exchange, "usdm") as client:
            await client.load_markets()
            book = await soon(client.watch_order_book("BTC/USDT:USDT"))
            book = await soon(client.watch_order_book("BTC/USDT:USDT"))
            assert book["bids"][0][0] < book["asks"][0][0]
            assert await soon(client.watch_trades("BTC/USDT:USDT"))
            assert (await soon(client.watch_mark_price("BTC/USDT:USDT")))["markPrice"]
            hearing = asyncio.ensure_future(client.watch_orders("BTC/USDT:USDT"))
            await asyncio.sleep(1.0)  # The subscription has no acknowledgement that this client would show.
            order = await client.create_order("BTC/USDT:USDT", "limit", "buy", 0.005, round(book["bids"][0][0] * 0.97, 1))
            (heard, *_) = await soon(hearing)
            assert heard["id"] == order["id"]
            await client.cancel_order(order["id"], "BTC/USDT:USDT")

    asyncio.run(story())
