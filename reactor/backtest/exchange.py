"""Markets and parameters → hftbacktest's exchange: assets with fees, delays and queues."""

from collections.abc import Sequence
from typing import Any

from reactor.backtest.latency import LatencyModel
from reactor.backtest.market import Market
from reactor.backtest.parameters import BacktestParameters, QueueModel
from reactor.domain.errors import ConfigError

LAST_TRADES = 4096  # Room at first; hftbacktest lets it grow. A strategy sees the newest 512 as it does live.


def need_hftbacktest() -> Any:
    """The hftbacktest module.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import hftbacktest
        import numba
    except ImportError as error:
        raise ConfigError(f"a backtest needs {error.name}: pip install 'crypto-trade[backtest]'") from None
    assert numba, "hftbacktest runs on it"
    return hftbacktest


def open_exchange(parameters: BacktestParameters, markets: Sequence[Market], latencies: Sequence[LatencyModel]) -> Any:
    """A ROIVectorMarketDepthBacktest over every market. It reads the memory of markets and latencies: keep them alive."""
    hftbacktest = need_hftbacktest()
    assets = []
    for market, latency in zip(markets, latencies, strict=True):
        asset, own = hftbacktest.BacktestAsset(), market.parameters
        asset.data(list(market.events))
        if own.is_inverse:
            asset.inverse_asset(own.contract_size)
        else:
            asset.linear_asset(own.contract_size)
        asset.tick_size(own.tick_size).lot_size(own.lot_size)
        asset.roi_lb(market.lower_ticks * own.tick_size).roi_ub(market.upper_ticks * own.tick_size)
        asset.no_partial_fill_exchange()
        asset.trading_value_fee_model(own.maker_fee, own.taker_fee)
        asset.last_trades_capacity(LAST_TRADES)
        latency.apply(asset)
        _queue(asset, parameters.queue)
        assets.append(asset)
    return hftbacktest.ROIVectorMarketDepthBacktest(assets)


def _queue(asset: Any, queue: QueueModel) -> None:
    match queue.name:
        case "risk-averse":
            asset.risk_adverse_queue_model()
        case "log-prob":
            asset.log_prob_queue_model()
        case "log-prob2":
            asset.log_prob_queue_model2()
        case "power-prob":
            asset.power_prob_queue_model(queue.exponent)
        case "power-prob2":
            asset.power_prob_queue_model2(queue.exponent)
        case _:
            asset.power_prob_queue_model3(queue.exponent)
