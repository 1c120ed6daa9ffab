"""The venue's own SDKs with their strict types, pointed at the simulated exchange by base URL only."""

import asyncio
from typing import Any

import pytest

spot_sdk = pytest.importorskip("binance_sdk_spot.spot", reason="binance-sdk-spot is not installed")
usdm_sdk = pytest.importorskip(
    "binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures",
    reason="binance-sdk-derivatives-trading-usds-futures is not installed",
)
pytestmark = pytest.mark.processes
WAIT_S = 15.0


def keys(exchange: Any) -> dict[str, str]:
    return {"api_key": exchange.key, "api_secret": exchange.secret}


def open_spot(exchange: Any) -> Any:
    return spot_sdk.Spot(
        config_rest_api=spot_sdk.ConfigurationRestAPI(base_path=f"http://{exchange.spot}", **keys(exchange)),
        config_ws_api=spot_sdk.ConfigurationWebSocketAPI(stream_url=f"ws://{exchange.spot}/ws-api/v3", **keys(exchange)),
        config_ws_streams=spot_sdk.ConfigurationWebSocketStreams(stream_url=f"ws://{exchange.spot}/stream"),
    )


def open_usdm(exchange: Any) -> Any:
    return usdm_sdk.DerivativesTradingUsdsFutures(
        config_rest_api=usdm_sdk.ConfigurationRestAPI(base_path=f"http://{exchange.usdm}", **keys(exchange)),
        config_ws_api=usdm_sdk.ConfigurationWebSocketAPI(stream_url=f"ws://{exchange.usdm}/ws-fapi/v1", **keys(exchange)),
        config_ws_streams=usdm_sdk.ConfigurationWebSocketStreams(stream_url=f"ws://{exchange.usdm}"),
    )


class Heard:
    """Messages of one connection, by the name of their type."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, message: Any) -> None:
        self.names.append(type(getattr(message, "actual_instance", message)).__name__)

    async def wait_for(self, *names: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while not set(names) <= set(self.names):
                await asyncio.sleep(0.05)


def test_spot_rest_satisfies_strict_types(exchange: Any) -> None:
    rest = open_spot(exchange).rest_api
    depth = rest.depth(symbol="BTCUSDT", limit=5).data()
    price = round(float(depth.bids[0][0]) * 0.95, 2)
    order = rest.new_order(symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.001, price=price).data()
    for ask in (
        lambda: rest.exchange_info(),
        lambda: rest.avg_price(symbol="BTCUSDT"),
        lambda: rest.klines(symbol="BTCUSDT", interval="1m"),
        lambda: rest.ticker24hr(symbol="BTCUSDT"),
        lambda: rest.ticker_price(),
        lambda: rest.ticker_book_ticker(),
        lambda: rest.get_trades(symbol="BTCUSDT"),
        lambda: rest.agg_trades(symbol="BTCUSDT"),
        lambda: rest.get_order(symbol="BTCUSDT", order_id=order.order_id),
        lambda: rest.get_open_orders(),
        lambda: rest.delete_order(symbol="BTCUSDT", order_id=order.order_id),
        lambda: rest.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.001),
        lambda: rest.my_trades(symbol="BTCUSDT"),
        lambda: rest.get_account(),
        lambda: rest.account_commission(symbol="BTCUSDT"),
        lambda: rest.rate_limit_order(),
    ):
        assert ask().data() is not None


def test_spot_streams_and_orders_by_message_satisfy_strict_types(exchange: Any) -> None:
    async def story() -> None:
        client = open_spot(exchange)
        streams, heard = await client.websocket_streams.create_connection(), Heard()
        for name in ("trade", "agg_trade", "book_ticker", "diff_book_depth", "ticker"):
            (await getattr(streams, name)(symbol="btcusdt")).on("message", heard)
        await heard.wait_for(
            "TradeResponse", "AggTradeResponse", "BookTickerResponse", "DiffBookDepthResponse", "TickerResponse"
        )
        await streams.close_connection(close_session=True)
        api, events = await client.websocket_api.create_connection(), Heard()
        (await api.user_data_stream_subscribe_signature()).stream.on("message", events)
        order = await api.order_place(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.001)
        order_id = order.data().result.order_id
        assert (await api.order_status(symbol="BTCUSDT", order_id=order_id)).data().result.status == "FILLED"
        await events.wait_for("ExecutionReport", "OutboundAccountPosition")
        await api.close_connection(close_session=True)

    asyncio.run(story())


def test_futures_rest_satisfies_strict_types(exchange: Any) -> None:
    rest = open_usdm(exchange).rest_api
    depth = rest.order_book(symbol="BTCUSDT", limit=5).data()
    price = round(float(depth.bids[0][0]) * 0.97, 1)
    order = rest.new_order(symbol="BTCUSDT", side="BUY", type="LIMIT", time_in_force="GTC", quantity=0.005, price=price).data()
    trigger = {"algo_type": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": 0.005}
    for ask in (
        lambda: rest.exchange_information(),
        lambda: rest.recent_trades_list(symbol="BTCUSDT"),
        lambda: rest.mark_price(),
        lambda: rest.ticker24hr_price_change_statistics(symbol="BTCUSDT"),
        lambda: rest.symbol_order_book_ticker(symbol="BTCUSDT"),
        lambda: rest.kline_candlestick_data(symbol="BTCUSDT", interval="1m"),
        lambda: rest.change_initial_leverage(symbol="BTCUSDT", leverage=10),
        lambda: rest.query_order(symbol="BTCUSDT", order_id=order.order_id),
        lambda: rest.current_all_open_orders(),
        lambda: rest.cancel_order(symbol="BTCUSDT", order_id=order.order_id),
        lambda: rest.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.005),
        lambda: rest.position_information_v3(),
        lambda: rest.position_information_v2(),
        lambda: rest.futures_account_balance_v3(),
        lambda: rest.account_information_v3(),
        lambda: rest.account_information_v2(),
        lambda: rest.account_trade_list(symbol="BTCUSDT"),
        lambda: rest.get_income_history(),
        lambda: rest.user_commission_rate(symbol="BTCUSDT"),
        lambda: rest.symbol_configuration(symbol="BTCUSDT"),
        lambda: rest.notional_and_leverage_brackets(symbol="BTCUSDT"),
        lambda: rest.new_algo_order(**trigger, trigger_price=round(price * 0.9, 1)),
        lambda: rest.current_all_algo_open_orders(),
        lambda: rest.cancel_all_algo_open_orders(symbol="BTCUSDT"),
        lambda: rest.new_order(symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.005),
    ):
        assert ask().data() is not None


def test_futures_streams_and_orders_by_message_satisfy_strict_types(exchange: Any) -> None:
    async def story() -> None:
        client = open_usdm(exchange)
        key = client.rest_api.start_user_data_stream().data().listen_key
        streams, heard, events = await client.websocket_streams.create_connection(), Heard(), Heard()
        for name in ("aggregate_trade_streams", "individual_symbol_book_ticker_streams", "diff_book_depth_streams"):
            (await getattr(streams, name)(symbol="btcusdt")).on("message", heard)
        (await streams.mark_price_stream(symbol="btcusdt", update_speed="1s")).on("message", heard)
        (await streams.user_data(key)).on("message", events)
        await heard.wait_for(
            "AggregateTradeStreamsResponse",
            "IndividualSymbolBookTickerStreamsResponse",
            "DiffBookDepthStreamsResponse",
            "MarkPriceStreamResponse",
        )
        api = await client.websocket_api.create_connection()
        order = await api.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.005)
        assert (await api.query_order(symbol="BTCUSDT", order_id=order.data().result.order_id)).data().result.status == "FILLED"
        await events.wait_for("OrderTradeUpdate", "TradeLite", "AccountUpdate")
        await api.new_order(symbol="BTCUSDT", side="SELL", type="MARKET", quantity=0.005)
        assert (await api.account_information_v2()).data().result.assets
        await api.close_connection(close_session=True)
        await streams.close_connection(close_session=True)

    asyncio.run(story())
