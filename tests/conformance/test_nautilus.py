"""nautilus_trader's live node on the simulated USD-M futures, pointed at it by base URL only.

Its spot client still asks for the listen key that the venue has retired, so only futures are tried.
"""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("nautilus_trader", reason="nautilus_trader is not installed")
binance = pytest.importorskip("nautilus_trader.adapters.binance", reason="nautilus_trader is not installed")
pytestmark = pytest.mark.processes
WAIT_S = 30.0


def test_a_strategy_sees_the_market_and_trades(exchange: Any) -> None:
    from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, TradingNodeConfig
    from nautilus_trader.live.node import TradingNode
    from nautilus_trader.model.enums import OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, TraderId
    from nautilus_trader.trading.strategy import Strategy

    perpetual = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
    story: list[str] = []

    class Trader(Strategy):  # type: ignore[misc]
        """Rests one order, cancels it, then buys at the market."""

        def on_start(self) -> None:
            self.subscribe_quote_ticks(perpetual)
            self.subscribe_order_book_deltas(perpetual)

        def on_quote_tick(self, tick: Any) -> None:
            book = self.cache.order_book(perpetual)
            if story or book is None or book.best_bid_price() is None:
                return
            story.append("quoted")
            instrument = self.cache.instrument(perpetual)
            self.size = instrument.make_qty(Decimal("0.005"))
            price = instrument.make_price(float(tick.bid_price) * 0.97)
            self.resting = self.order_factory.limit(perpetual, OrderSide.BUY, self.size, price)
            self.submit_order(self.resting)

        def on_order_accepted(self, event: Any) -> None:
            if event.client_order_id == self.resting.client_order_id:
                story.append("accepted")
                self.cancel_order(self.resting)

        def on_order_canceled(self, event: Any) -> None:
            story.append("cancelled")
            self.submit_order(self.order_factory.market(perpetual, OrderSide.BUY, self.size))

        def on_order_filled(self, event: Any) -> None:
            story.append("filled")

    where = {
        "api_key": exchange.key,
        "api_secret": exchange.secret,
        "account_type": binance.BinanceAccountType.USDT_FUTURES,
        "base_url_http": f"http://{exchange.usdm}",
        "base_url_ws": f"ws://{exchange.usdm}",
        "instrument_provider": InstrumentProviderConfig(load_all=True),
    }
    node = TradingNode(
        config=TradingNodeConfig(
            trader_id=TraderId("TESTER-001"),
            logging=LoggingConfig(log_level="ERROR"),
            data_clients={binance.BINANCE: binance.BinanceDataClientConfig(**where)},
            exec_clients={binance.BINANCE: binance.BinanceExecClientConfig(**where)},
            timeout_connection=WAIT_S,
            timeout_post_stop=0.1,
        )
    )
    node.trader.add_strategy(Trader())
    node.add_data_client_factory(binance.BINANCE, binance.BinanceLiveDataClientFactory)
    node.add_exec_client_factory(binance.BINANCE, binance.BinanceLiveExecClientFactory)
    node.build()

    async def run() -> None:
        running = asyncio.ensure_future(node.run_async())
        async with asyncio.timeout(WAIT_S):
            while "filled" not in story:
                await asyncio.sleep(0.1)
        await node.stop_async()
        running.cancel()

    node.get_event_loop().run_until_complete(run())
    assert story == ["quoted", "accepted", "cancelled", "filled"]
